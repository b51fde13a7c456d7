//! `sealog track`, `sealog untrack` and `sealog tracked`

use clap::Args;
use sealog::{TrackOptions, TrackedTable};
use serde_json::json;

use crate::cli::{Shared, WithInbox, Writing, finish};
use crate::failure::Failure;
use crate::output::Output;
use crate::render::GOOD;

/// Capture each change of an application's table
///
/// Triggers write record.created, record.updated and record.deleted with the row before and after, in the transaction
/// that makes the change, whatever program makes it. The table is in the log's own PostgreSQL database, or in the
/// SQLite file that --inbox names. What the policy hides is hidden in the database already. On a table that is
/// tracked it changes how; docs/TRACKING.md tells what is seen and what is not.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sealog track invoice --inbox app.db
  sealog track person --inbox app.db --exclude updated_at --redact iban
  sealog --log postgres://app@db/shop track public.invoice")]
pub(crate) struct Track {
    /// The table; of PostgreSQL with its schema, unless that is public
    table: String,
    /// A column that a record is known by, for which --key is short behind `track`; the signing key's file is named
    /// before it, or by SEALOG_KEY_FILE [default: the primary key]
    #[arg(long, value_name = "COL")]
    key_column: Vec<String>,
    /// A column that is left out; an update of nothing else is no event
    #[arg(long, value_name = "COL")]
    exclude: Vec<String>,
    /// A column that is hidden, whatever the policy says
    #[arg(long, value_name = "COL")]
    redact: Vec<String>,
    #[command(flatten)]
    inbox: WithInbox,
    #[command(flatten)]
    writing: Writing,
}

/// Capture no change of a table any more
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sealog untrack invoice --inbox app.db")]
pub(crate) struct Untrack {
    /// The table
    table: String,
    #[command(flatten)]
    inbox: WithInbox,
    #[command(flatten)]
    writing: Writing,
}

/// List the tables whose changes are captured
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sealog tracked --inbox app.db")]
pub(crate) struct Tracked {
    #[command(flatten)]
    inbox: WithInbox,
    #[command(flatten)]
    writing: Writing,
}

impl Track {
    pub(crate) async fn run(self, shared: &Shared, out: Output) -> Result<(), Failure> {
        let log = shared.open_to_write(true, &self.writing, self.inbox.inbox.as_deref()).await?;
        let mut options = TrackOptions::default();
        (options.key, options.exclude, options.redact) = (self.key_column, self.exclude, self.redact);
        options.inbox = self.inbox.inbox;
        let done = log.track(&self.table, options).await.map_err(Failure::from);
        finish(log, done, out).await?;
        let text = format!("{GOOD}Tracked{GOOD:#} {}: its changes go into the log\n", self.table);
        out.either(&json!({"table": self.table, "tracked": true}), &text)
    }
}

impl Untrack {
    pub(crate) async fn run(self, shared: &Shared, out: Output) -> Result<(), Failure> {
        let log = shared.open_to_write(false, &self.writing, self.inbox.inbox.as_deref()).await?;
        let done = log.untrack(&self.table, self.inbox.inbox.as_deref()).await.map_err(Failure::from);
        if !finish(log, done, out).await? {
            return Err(Failure::NotFound(format!("{} is not tracked", self.table)));
        }
        let text = format!("{GOOD}Untracked{GOOD:#} {}\n", self.table);
        out.either(&json!({"table": self.table, "tracked": false}), &text)
    }
}

impl Tracked {
    pub(crate) async fn run(self, shared: &Shared, out: Output) -> Result<(), Failure> {
        let log = shared.open_to_write(false, &self.writing, self.inbox.inbox.as_deref()).await?;
        let done = log.tracked().await.map_err(Failure::from);
        let tables = finish(log, done, out).await?;
        let text =
            if tables.is_empty() { "No table is tracked\n".to_owned() } else { tables.iter().map(line).collect() };
        out.either(&json!(tables), &text)
    }
}

fn line(table: &TrackedTable) -> String {
    let mut line = format!("{}, known by {}", table.table, table.key.join(", "));
    for (what, columns) in [("without", &table.exclude), ("hiding", &table.redact)] {
        if !columns.is_empty() {
            line = format!("{line}; {what} {}", columns.join(", "));
        }
    }
    line + "\n"
}
