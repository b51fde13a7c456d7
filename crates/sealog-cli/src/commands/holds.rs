//! `sealog holds`

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use sealog::{Hold, HoldOptions};
use serde_json::json;

use super::asking::{answer, read_filter};
use super::changing::{Changing, explained};
use super::unless_damaged;
use crate::cli::{Shared, finish};
use crate::failure::Failure;
use crate::output::{self, Output};
use crate::render::{self, BOLD, DIM, GOOD, NAME};

/// List, place or lift legal holds: what nothing removes, whatever its age and whoever asks
///
/// Without a command, lists the holds that are in force, oldest first. Placing and lifting are events of the
/// log, sealog.hold.placed and sealog.hold.lifted, and nothing removes those either. With --json, prints one line
/// a hold.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sealog holds
  sealog holds place actor:u-17 --reason 'case 2026-114' --owner legal
  sealog holds lift 0199a6f3-9d5e-7c31-b5a1-6f0c4b8e2d17 --reason 'case closed'")]
pub(crate) struct HoldsArgs {
    #[command(subcommand)]
    command: Option<HoldsCommand>,
}

#[derive(Debug, Subcommand)]
enum HoldsCommand {
    /// Hold what a filter selects, now and later
    ///
    /// Ages such as since:30d are counted from now, and then stay where they are.
    #[command(after_help = "\
Examples:
  sealog holds place actor:u-17 --reason 'case 2026-114' --owner legal
  sealog holds place 'resource:invoice:i-4 since:2026-01-01' --reason 'tax audit' --by ada")]
    Place {
        /// Which events, as for sealog search; '' holds all of them
        #[arg(value_name = "FILTER", required = true)]
        filter: Vec<String>,
        /// Why; it stays in the log, and a case number says enough
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Who asked for it
        #[arg(long, value_name = "NAME")]
        owner: Option<String>,
        #[command(flatten)]
        changing: Changing,
    },
    /// Lift a hold; what it held goes with the next clean-up, if nothing else holds it
    #[command(after_help = "\
Example:
  sealog holds lift 0199a6f3-9d5e-7c31-b5a1-6f0c4b8e2d17 --reason 'case closed'")]
    Lift {
        /// Its id, as sealog holds shows it
        id: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        changing: Changing,
    },
}

impl HoldsArgs {
    pub(crate) async fn run(self, shared: &Shared, out: Output) -> Result<(), Failure> {
        match self.command {
            None => list(shared, out).await,
            Some(HoldsCommand::Place { filter, reason, owner, changing }) => {
                let mut hold = HoldOptions::new(read_filter(&filter)?, reason);
                hold.owner = owner;
                let log = changing.open(shared).await?;
                let placed = place(&changing.acting(&log), hold, out).await;
                finish(log, placed, out).await
            }
            Some(HoldsCommand::Lift { id, reason, changing }) => {
                let log = changing.open(shared).await?;
                let lifted = match changing.acting(&log).lift_hold(&id, &reason).await {
                    Ok(hold) => {
                        out.either(&json!(hold), &format!("{GOOD}Lifted{GOOD:#} the hold on {}\n", filter(&hold)))
                    }
                    Err(error) => Err(not_in_force(error)),
                };
                finish(log, lifted, out).await
            }
        }
    }
}

fn not_in_force(error: sealog::Error) -> Failure {
    if error.kind() == sealog::ErrorKind::NotFound {
        let text = format!("{}; `sealog holds` lists those that are", error.message());
        return Failure::Explained(error, text);
    }
    explained(error)
}

async fn place(log: &sealog::AuditLog, options: HoldOptions, out: Output) -> Result<(), Failure> {
    // A hold is asked of each event itself, and holds also what an index without words cannot count.
    let events = match answer(log, log.count(&options.filter)).await {
        Err(Failure::Explained(error, _)) if error.pointer() == Some("/text") => None,
        counted => Some(counted?),
    };
    let hold = log.place_hold(options).await.map_err(explained)?;
    let now = events.map_or_else(String::new, |events| format!(" {} now, and", render::counted(events, "event")));
    let text = format!(
        "{GOOD}Placed{GOOD:#} a hold on {}:{now} what will be logged\n  {DIM}id{DIM:#}  {}\n",
        filter(&hold),
        hold.id
    );
    let mut document = serde_json::to_value(&hold).map_err(std::io::Error::from)?;
    document["events"] = json!(events);
    out.either(&document, &text)
}

async fn list(shared: &Shared, out: Output) -> Result<(), Failure> {
    let log = shared.open_to_read().await?;
    let holds = log.holds().await.map_err(unless_damaged)?;
    if out.json {
        return output::write(&holds.iter().map(output::line).collect::<Result<String, _>>()?);
    }
    if holds.is_empty() {
        return output::write("Nothing is held.\n");
    }
    output::write(&holds.iter().map(|hold| card(hold, output::columns())).collect::<String>())
}

/// What a hold selects, in the compact form.
fn filter(hold: &Hold) -> String {
    let text = hold.filter.to_string();
    if text.is_empty() { "all events".to_owned() } else { render::safe(&text) }
}

/// A hold on a few lines, since ids, filters and reasons are long.
fn card(hold: &Hold, columns: Option<usize>) -> String {
    let mut text = format!("{BOLD}{}{BOLD:#}\n", render::safe(&hold.id));
    let mut line = |name: &str, value: &str, style: anstyle::Style| {
        let shown = columns.map_or_else(|| value.to_owned(), |columns| render::cut(value, columns.saturating_sub(11)));
        let _ = writeln!(text, "  {DIM}{name:<9}{DIM:#}{style}{shown}{style:#}");
    };
    let plain = anstyle::Style::new();
    line("holds", &filter(hold), NAME);
    line("because", &render::safe(&hold.reason), plain);
    if let Some(owner) = &hold.owner {
        line("owner", &render::safe(owner), plain);
    }
    line("since", &format!("{} UTC, seq {}", render::time(hold.placed_at, false), hold.seq), plain);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_fits_the_terminal() {
        let hold = serde_json::from_value::<Hold>(json!({"id": "h-1", "filter": {"actorIds": ["ü".repeat(200)]},
            "reason": "r\u{1b}[2J".repeat(50), "owner": "legal", "placedAt": 1_772_434_800_000_i64, "seq": 7}));
        let hold = hold.unwrap();
        let plain = |columns| anstream::adapter::strip_str(&card(&hold, columns)).to_string();
        for columns in [40, 80] {
            let shown = plain(Some(columns));
            assert!(shown.lines().all(|line| render::width(line) <= columns), "{shown}");
        }
        let whole = plain(None);
        assert!(whole.contains(&"ü".repeat(200)) && !whole.contains('\u{1b}') && !whole.contains('…'), "{whole}");
        assert!(whole.contains("2026-03-02 07:00:00 UTC, seq 7") && whole.contains("owner    legal"), "{whole}");
    }
}
