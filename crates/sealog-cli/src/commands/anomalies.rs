//! `sealog anomalies`

use std::path::{Path, PathBuf};

use clap::Args;
use sealog::{AuditLog, Finding, Findings, Rule, RuleKind};

use super::asking::{answer, moment, now_ms};
use super::{name_of, read_text, unless_damaged};
use crate::cli::Shared;
use crate::failure::Failure;
use crate::output::{self, Output};
use crate::render::{self, BOLD, DIM, NAME, WARN};

/// The narrowest that a rule's name and a group are cut to, in columns.
const MIN_NAME_COLUMNS: usize = 8;

/// Show what rules find: many failed logins, denied access, mass export and deletion, unusual hours
///
/// The newest come first, by their last event. A finding is a burst of events of one actor, address or the like, as its rule
/// says; its count is of all events of the burst. Times are in UTC. With --json, prints one document, in
/// which each finding has its first and last event and the ids of the first hundred.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sealog anomalies
  sealog anomalies --since 7d --json | jq '.findings[].ids'
  sealog anomalies --now
  sealog rules > rules.json && sealog anomalies --rules rules.json

Without --rules, the rules are used that the log has saved, or else the built-in ones; `sealog rules`
prints and explains them.")]
pub(crate) struct Anomalies {
    /// Rules as JSON, in the form that `sealog rules` prints; - is standard input
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// From this time on: an age (45s, 30m, 12h, 7d, 2w), a date, RFC 3339, milliseconds since 1970, or a
    /// time in UTC as it is shown [default: all of the log]
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only what stands now, or did at the time of --until
    #[arg(long)]
    now: bool,
    /// At most so many are shown
    #[arg(long, short = 'n', value_name = "N", default_value_t = 50)]
    limit: usize,
}

impl Anomalies {
    pub(crate) async fn run(self, shared: &Shared, out: Output) -> Result<(), Failure> {
        let given = self.rules.as_deref().map(read_rules).transpose()?;
        let now_ms = now_ms();
        let time = |option, text: &Option<String>| text.as_deref().map(|text| moment(option, text, now_ms)).transpose();
        let from = time("--since", &self.since)?.unwrap_or(i64::MIN);
        let to = time("--until", &self.until)?.unwrap_or(i64::MAX);
        let log = shared.open_to_read().await?;
        let rules = match given {
            Some(rules) => rules,
            None => saved_or_built_in(&log).await?.0,
        };
        let mut found = if self.now {
            answer(&log, log.detect_anomalies(&rules, from..to)).await?
        } else {
            answer(&log, log.backtest(&rules, from..to)).await?
        };
        found.findings.truncate(self.limit);
        if out.json {
            return output::document(&found);
        }
        if found.total == 0 {
            output::note("Nothing was found.");
            return Ok(());
        }
        output::write(&table(&found.findings, &rules, output::columns()))?;
        more(&found);
        Ok(())
    }
}

/// The rules that the log's settings hold, or the built-in ones where they hold none; and whether they are the saved
/// ones.
pub(super) async fn saved_or_built_in(log: &AuditLog) -> Result<(Vec<Rule>, bool), Failure> {
    let saved = log.settings().await.map_err(unless_damaged)?.rules;
    Ok(if saved.is_empty() { (Rule::built_in(), false) } else { (saved, true) })
}

pub(super) fn read_rules(path: &Path) -> Result<Vec<Rule>, Failure> {
    Rule::list_from_json(&read_text(path)?).map_err(|error| {
        let text = format!("{}: {error}; `sealog rules` prints rules as they should be", name_of(path));
        Failure::Explained(error, text)
    })
}

/// Says what is not shown.
fn more(found: &Findings) {
    let hidden = found.total - found.findings.len() as u64;
    if hidden > 0 {
        let text = format!(
            "{DIM}and {} older; -n shows more, and --since and --until less time{DIM:#}",
            render::count(hidden)
        );
        output::note(&text);
    }
}

/// A finding a line: when it began, what was found, of whom, how many events, and in which time.
pub(super) fn table(findings: &[Finding], rules: &[Rule], columns: Option<usize>) -> String {
    let rows: Vec<_> = findings.iter().map(|finding| row(finding, rules)).collect();
    // The names give way, first that of the group, and then what they were found by.
    let gives_way = [(2, MIN_NAME_COLUMNS), (1, MIN_NAME_COLUMNS), (4, 0)];
    render::table(
        ["from (UTC)", "rule", "group", "events", "within"],
        [DIM, BOLD, NAME, WARN, DIM],
        &rows,
        &gives_way,
        columns,
    )
}

fn row(finding: &Finding, rules: &[Rule]) -> [String; 5] {
    let count = render::count(finding.count);
    let is_unusual =
        rules.iter().any(|rule| rule.name == finding.rule && matches!(rule.kind, RuleKind::Unusual { .. }));
    let why = if is_unusual {
        format!("1h (usual: up to {})", render::count(finding.threshold - 1))
    } else {
        let length = short(finding.last.timestamp.saturating_sub(finding.first.timestamp));
        format!("{length} (rule: {} in {})", render::count(finding.threshold), short(finding.window_ms))
    };
    let group = finding.group.as_deref().map_or_else(|| "—".to_owned(), render::safe);
    [render::time(finding.first.timestamp, false), render::safe(&finding.rule), group, count, why]
}

/// A length of time in its largest unit, and the one below where there is something left.
fn short(ms: i64) -> String {
    const UNITS: [(i64, &str); 4] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let Some(place) = UNITS.iter().position(|(unit, _)| ms >= *unit) else { return format!("{ms}ms") };
    let (unit, name) = UNITS[place];
    let below = UNITS.get(place + 1).filter(|(below, _)| ms % unit >= *below);
    let below = below.map_or_else(String::new, |(below, name)| format!("{}{name}", ms % unit / below));
    format!("{}{name}{below}", ms / unit)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lengths_are_short() {
        for (ms, text) in
            [(0, "0ms"), (999, "999ms"), (1_000, "1s"), (90_500, "1m30s"), (3_600_000, "1h"), (176_400_000, "2d1h")]
        {
            assert_eq!(short(ms), text);
        }
    }

    #[test]
    fn the_table_fits_and_says_what_it_shows() {
        let event = |timestamp: i64| json!({"seq": 1, "timestamp": timestamp, "id": "i"});
        let finding = |rule: &str, group: Option<&str>, count: u64| -> Finding {
            serde_json::from_value(json!({"rule": rule, "group": group, "count": count, "threshold": 5,
                "windowMs": 300_000, "first": event(1_772_434_800_000), "last": event(1_772_434_872_000), "ids": []}))
            .unwrap()
        };
        let findings = [
            finding("failed-logins-by-actor", Some(&"山田太郎".repeat(20)), 12),
            finding("unusual-activity", None, 1_234),
            finding(&"r".repeat(100), Some("u\u{1b}[2J"), 7),
        ];
        let plain = |columns| anstream::adapter::strip_str(&table(&findings, &Rule::built_in(), columns)).to_string();
        for columns in [60, 80, 120, 400] {
            let shown = plain(Some(columns));
            assert!(shown.lines().all(|line| render::width(line) <= columns), "{columns}: {shown}");
            assert!(shown.contains("12 ") && shown.contains("2026-03-02 07:00:00"), "{shown}");
        }
        let whole = plain(None);
        assert!(whole.contains(&"r".repeat(100)) && !whole.contains('\u{1b}') && !whole.contains('…'), "{whole}");
        assert!(whole.contains("1m12s (rule: 5 in 5m)") && whole.contains("1h (usual: up to 4)"), "{whole}");
    }
}
