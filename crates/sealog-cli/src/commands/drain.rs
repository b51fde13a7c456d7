//! `sealog drain`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::cli::{Shared, Writing, finish};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::{self, Output};
use crate::render::{self, GOOD, WARN};

/// Drain an application's inbox into the log
///
/// An application that is not in Rust, or whose own process does not open the log, inserts its events
/// into the table sealog_inbox of its SQLite file, in its own transactions. This takes them from there.
/// Ends when all that was committed is in the log; with --follow, goes on as the application commits.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sealog drain --inbox app.db
  sealog drain --inbox app.db --follow     As a service; Ctrl-C ends it")]
pub(crate) struct Drain {
    /// The application's SQLite file; the table is made there if it is missing
    #[arg(long, value_name = "FILE", env = "SEALOG_INBOX")]
    inbox: PathBuf,
    /// Go on until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    #[command(flatten)]
    writing: Writing,
}

impl Drain {
    pub(crate) async fn run(self, shared: &Shared, out: Output, interrupt: &Interrupt) -> Result<(), Failure> {
        let log = shared.open_to_write(true, &self.writing, Some(&self.inbox)).await?;
        if self.follow {
            if !out.json {
                output::note(&format!(
                    "Draining {} into {}; Ctrl-C ends it.",
                    self.inbox.display(),
                    shared.location().name
                ));
            }
            interrupt.pressed().await;
        }
        // Closing drains what is there.
        finish(log, Ok(()), out).await?;
        let log = shared.open_to_read().await?;
        let (size, rejected) = (log.head().await?.size, log.rejected_count().await?);
        let aside = match rejected {
            0 => String::new(),
            _ => format!(", and {WARN}{} set aside{WARN:#} (see `sealog rejected`)", render::counted(rejected, "row")),
        };
        let text = format!(
            "{GOOD}Drained{GOOD:#} {}; the log holds {}{aside}\n",
            self.inbox.display(),
            render::counted(size, "event")
        );
        out.either(&json!({"inbox": self.inbox.display().to_string(), "size": size, "rejected": rejected}), &text)
    }
}
