//! `sealog history`

use std::fmt::Write as _;

use clap::Args;
use sealog::Record;

use super::asking::{OneResource, Paging};
use crate::cli::Shared;
use crate::failure::Failure;
use crate::output::{self, Output};
use crate::render::{self, BOLD, DIM, NAME};

/// Show how one resource changed: each version, who made it, and what it changed
///
/// The newest come first. Versions are the events that carry the resource before or after them; times are
/// in UTC. With --json, each line is one event with its before, after and diff.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sealog history invoice i-4
  sealog history invoice/i-4 --oldest-first --all
  sealog history user u-17 --json | jq -c '[.seq, .actorId, .diff]'

Where there are more versions, the way to the next page is told as `sealog search` tells it.")]
pub(crate) struct History {
    #[command(flatten)]
    resource: OneResource,
    #[command(flatten)]
    paging: Paging,
}

impl History {
    pub(crate) async fn run(self, shared: &Shared, out: Output) -> Result<(), Failure> {
        let (kind, id) = self.resource.read()?;
        let log = shared.open_to_read().await?;
        let ask = async |page: &_| log.history(kind, id, page).await;
        let (shown, next) = self.paging.show(&log, out, ask, version).await?;
        match next {
            Some(cursor) => self.paging.more(shared, "history", &[kind, id], &cursor),
            None if shown == 0 && !out.json => {
                output::note(&format!("No change of {}/{} is in the log.", render::safe(kind), render::safe(id)));
            }
            None => {}
        }
        Ok(())
    }
}

/// A version: who made it and when, and each step on a line.
pub(super) fn version(record: &Record) -> String {
    // To the millisecond: it is what `sealog state --at` takes.
    let mut text = format!(
        "{DIM}{:>7}  {}{DIM:#}  {BOLD}{}{BOLD:#}  {NAME}{}{NAME:#}\n",
        record.seq(),
        render::time(record.timestamp(), true),
        render::safe(&record.action),
        render::actor(record)
    );
    match (&record.before, &record.after, record.diff()) {
        (_, None, _) => text.push_str("         gone since\n"),
        (None, Some(_), _) => text.push_str("         the first that is known\n"),
        (_, _, Some([]) | None) => text.push_str("         nothing changed\n"),
        (_, _, Some(diff)) => {
            for op in diff {
                let _ = writeln!(text, "         {}", render::step(op));
            }
        }
    }
    text
}
