//! `sealog state`

use clap::Args;
use sealog::{Record, StateAt};
use serde_json::json;

use super::asking::{OneResource, answer, moment, now_ms};
use crate::cli::Shared;
use crate::failure::Failure;
use crate::output::{self, Output};
use crate::render::{self, DIM};

/// Print a resource's document as it was at a time
///
/// It is known from the changes that were logged of it; which one is told on standard error. Exits with 1
/// when there was no such document then, or nothing is known of it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sealog state invoice i-4
  sealog state invoice i-4 --at 7d
  sealog state invoice/i-4 --at '2026-03-02 07:00:05.123' --json | jq .change.seq")]
pub(crate) struct State {
    #[command(flatten)]
    resource: OneResource,
    /// When: an age (45s, 30m, 12h, 7d, 2w), a date, RFC 3339, milliseconds since 1970, or a time in UTC
    /// as `sealog history` shows it; what happened in that millisecond counts [default: now]
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

impl State {
    pub(crate) async fn run(self, shared: &Shared, out: Output) -> Result<(), Failure> {
        let (kind, id) = self.resource.read()?;
        // What is logged with a time ahead of the clock is known, too.
        let at = self.at.as_deref().map_or(Ok(i64::MAX), |text| moment("--at", text, now_ms()))?;
        let log = shared.open_to_read().await?;
        let found = answer(&log, log.state_at(kind, id, at)).await?;
        let Some(state) = &found.state else {
            let name = format!("{}/{}", render::safe(kind), render::safe(id));
            return Err(Failure::NotFound(why_not(&found, &name, at)));
        };
        if out.json {
            let change = found.change.as_ref().map(|change| {
                json!({"seq": change.seq(), "id": change.id(), "timestamp": change.timestamp(),
                    "action": change.action, "actorId": change.actor_id})
            });
            return output::document(&json!({"state": state, "change": change}));
        }
        let pretty = serde_json::to_string_pretty(state).map_err(std::io::Error::from)?;
        output::write(&(pretty.lines().map(render::safe).collect::<Vec<_>>().join("\n") + "\n"))?;
        if let Some(change) = &found.change {
            output::note(&format!("{DIM}as {} {}{DIM:#}", relation(change, at), told(change)));
        }
        Ok(())
    }
}

/// Whether the change left the state, or found it.
fn relation(change: &Record, at: i64) -> &'static str {
    if change.timestamp() <= at { "left by" } else { "found by" }
}

fn told(change: &Record) -> String {
    format!(
        "seq {}, {}, {} UTC, {}",
        change.seq(),
        render::safe(&change.action),
        render::time(change.timestamp(), true),
        render::actor(change)
    )
}

fn why_not(found: &StateAt, name: &str, at: i64) -> String {
    match &found.change {
        None => format!("no change of {name} is in the log"),
        Some(change) if change.timestamp() <= at => format!("{name} was gone by then: {}", told(change)),
        Some(change) => format!("{name} was not there yet: {}", told(change)),
    }
}
