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
        let columns = output::columns();
        let (shown, next) = self.paging.show(&log, out, ask, |record| version(record, columns)).await?;
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

/// A version: who made it and when, and each step on a line. No line is longer than `columns`.
pub(super) fn version(record: &Record, columns: Option<usize>) -> String {
    const INDENT: usize = 9;
    // To the millisecond: it is what `sealog state --at` takes.
    let when = format!("{:>7}  {}", record.seq(), render::time(record.timestamp(), true));
    let room = |taken: usize| columns.map_or(usize::MAX, |columns| columns.saturating_sub(taken));
    let beside = room(render::width(&when) + 2);
    let action = render::cut(&render::safe(&record.action), beside);
    let mut actor = render::actor(record);
    let mut break_or_space = "  ".to_owned();
    if render::width(&action) + 2 + render::width(&actor) > beside {
        break_or_space = format!("\n{:INDENT$}", "");
        actor = render::cut(&actor, room(INDENT));
    }
    let mut text = format!("{DIM}{when}{DIM:#}  {BOLD}{action}{BOLD:#}{break_or_space}{NAME}{actor}{NAME:#}\n");
    let steps = match (&record.before, &record.after, record.diff()) {
        (_, None, _) => vec!["gone since".to_owned()],
        (None, Some(_), _) => vec!["the first that is known".to_owned()],
        (_, _, Some([]) | None) => vec!["nothing changed".to_owned()],
        (_, _, Some(diff)) => diff.iter().map(|op| render::step(op, columns.map(|_| room(INDENT)))).collect(),
    };
    for step in steps {
        let _ = writeln!(text, "{:INDENT$}{step}", "");
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn no_line_is_wider_than_the_terminal() {
        let dir = tempfile::tempdir().unwrap();
        let log = sealog::AuditLog::open(dir.path().join("audit.db")).await.unwrap();
        for (action, who) in [("a", "b"), (&*"user.".repeat(20), "山田太郎山田太郎山田太郎山田太郎山田太郎山田太郎")]
        {
            let (path, value) = ("p".repeat(30), "日本".repeat(40));
            let before = json!({&*path: 1, "a": value, "x".repeat(90): 1, "gone": value});
            let event = sealog::Event::new(action).actor_name(who).resource("r", "1");
            let event = event.change(before, json!({&*path: value, "a": 2, "x".repeat(90): 2}));
            let record = log.get(log.log(event).await.unwrap().id()).await.unwrap();
            let plain = |columns| anstream::adapter::strip_str(&version(&record, columns)).to_string();
            for columns in [48, 60, 80, 109, 200] {
                let shown = plain(Some(columns));
                assert!(shown.lines().all(|line| render::width(line) <= columns), "{columns}: {shown}");
                // Each step has its line.
                assert!(["- gone", "~ a: ", "~ ppp", "~ xxx"].iter().all(|step| shown.contains(step)), "{shown}");
            }
            assert!(plain(None).contains(action) && plain(None).contains(who), "{}", plain(None));
        }
    }
}
