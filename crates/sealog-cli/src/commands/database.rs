//! `sealog database`

use clap::{Args, Subcommand};
use sealog::AuditLog;
use serde_json::json;

use crate::cli::Shared;
use crate::failure::Failure;
use crate::output::Output;
use crate::render::safe;

/// Prepare a PostgreSQL database for a log
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  sealog database setup --log postgres://admin@db.example.com/app")]
pub(crate) struct DatabaseArgs {
    #[command(subcommand)]
    command: DatabaseCommand,
}

#[derive(Debug, Subcommand)]
enum DatabaseCommand {
    /// Make the tables of a log and the roles that share the work, or bring them forward
    ///
    /// Whoever runs it owns the tables and must be allowed to make roles. The roles are called after the schema
    /// (sealog, or schema=NAME in the URL) and nobody can log in by them: grant them to those of your programs.
    /// NAME_inbox may insert events and read nothing; NAME_reader may read the log; NAME_sequencer may write it, as
    /// `sealog serve` does. Running it again changes nothing; after an update of Sealog it brings the tables forward.
    #[command(after_help = "\
Example:
  sealog database setup --log postgres://admin@db.example.com/app
  psql -d app -c 'GRANT sealog_inbox TO webshop' -c 'GRANT sealog_sequencer TO sealog_server'")]
    Setup,
}

impl DatabaseArgs {
    pub(crate) async fn run(self, shared: &Shared, out: Output) -> Result<(), Failure> {
        let DatabaseCommand::Setup = self.command;
        let location = shared.location();
        let Some(url) = shared.log.to_str().filter(|_| !location.is_file) else {
            let text = format!("{} is a file, and needs no setting up; --log takes postgres://…", location.name);
            return Err(Failure::Usage(text));
        };
        let roles = AuditLog::set_up_database(url).await?;
        let text = format!(
            "The tables at {} are ready. Grant {} to applications that log in their own transactions, {} to who reads, \
             and {} to who runs `sealog serve` or the library.\n",
            safe(&location.name),
            safe(&roles.inbox),
            safe(&roles.reader),
            safe(&roles.sequencer)
        );
        out.either(&json!({"log": location.name, "roles": roles}), &text)
    }
}
