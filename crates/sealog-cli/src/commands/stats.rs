//! `sealog stats`

use std::fmt::Write as _;

use clap::Args;
use jiff::Timestamp;
use sealog::{Severity, Stats, StatsOptions, TopEntry};

use super::asking::{WithFilter, answer};
use crate::chart;
use crate::cli::Shared;
use crate::failure::Failure;
use crate::output::{self, Output};
use crate::render::{self, BOLD, DIM, NAME, severity_style};

/// How high the chart is, in lines.
const CHART_ROWS: usize = 6;
/// What stands left of a chart: names of severities, numbers.
const GUTTER: usize = 11;
/// The longest name in a top list, in columns.
const NAME_COLUMNS: usize = 40;

/// Show statistics: by severity, over time, and the most frequent actions and actors
///
/// All counts are exact. Times are in UTC. With --json, prints one document, in which times and lengths
/// are in milliseconds.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sealog stats
  sealog stats 'since:7d outcome:denied' --bucket 1h
  sealog stats 'tenant:acme since:2026-01-01 until:2026-02-01' --top 3 --json | jq .bySeverity")]
pub(crate) struct StatsArgs {
    #[command(flatten)]
    filter: WithFilter,
    /// The length of a step in time: 10s, 15m, 1h, 1d, 1w [default: one that makes at most a hundred]
    #[arg(long, value_name = "LENGTH", value_parser = length)]
    bucket: Option<i64>,
    /// How many actions and actors the top lists have
    #[arg(long, value_name = "N", default_value_t = sealog::DEFAULT_TOP)]
    top: usize,
}

/// A length of time in milliseconds.
fn length(text: &str) -> Result<i64, String> {
    let units = [("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 7 * 86_400_000)];
    let length =
        units.iter().find_map(|(unit, ms)| Some(i64::from(text.strip_suffix(unit)?.parse::<u32>().ok()?) * ms));
    length.filter(|ms| *ms > 0).ok_or_else(|| format!("{text:?} is no length of time; give 10s, 15m, 1h, 1d, 1w"))
}

impl StatsArgs {
    pub(crate) async fn run(self, shared: &Shared, out: Output) -> Result<(), Failure> {
        let filter = self.filter.read()?;
        let mut options = StatsOptions::new().top(self.top);
        options.bucket_ms = self.bucket;
        let log = shared.open_to_read().await?;
        let stats = answer(&log, log.stats(.., &filter, &options)).await?;
        if out.json { output::document(&stats) } else { output::write(&text(&stats, output::chart_columns())) }
    }
}

/// The statistics for a person, in lines of at most `columns`.
fn text(stats: &Stats, columns: usize) -> String {
    let counted = render::counted(stats.total, "event");
    let mut text = format!("{BOLD}{counted}{BOLD:#}");
    if let (Some(first), Some(last)) = (stats.series.first(), stats.series.last()) {
        let end = last.start.saturating_add(stats.bucket_ms);
        let range = format!("{} to {} UTC", render::time(first.start, false), render::time(end, false));
        let fits = render::width(&counted) + 2 + range.len() <= columns;
        let _ = write!(text, "{}{DIM}{range}{DIM:#}", if fits { "  " } else { "\n" });
    }
    text.push('\n');
    if stats.total == 0 {
        return text;
    }
    let mut titled = |title: &str, lines: String| {
        if !lines.is_empty() {
            let _ = write!(text, "\n{BOLD}{title}{BOLD:#}\n{lines}");
        }
    };
    titled("By severity", severities(stats, columns));
    titled("Over time", over_time(stats, columns));
    titled("Actions", top(&stats.top_actions, stats.total, columns));
    titled("Actors", top(&stats.top_actors, stats.total, columns));
    text
}

/// How many events each severity has.
pub(super) fn severities(stats: &Stats, columns: usize) -> String {
    let most = Severity::ALL.into_iter().map(|severity| stats.by_severity.get(severity)).max().unwrap_or_default();
    let room = columns.saturating_sub(GUTTER + share_columns(stats.total));
    let mut text = String::new();
    for severity in Severity::ALL {
        let (number, style) = (stats.by_severity.get(severity), severity_style(severity));
        let bar = chart::bar(number, most, room);
        let space = if bar.is_empty() { "" } else { " " };
        let _ = writeln!(text, "  {severity:<9}{style}{bar}{style:#}{space}{}", share(number, stats.total));
    }
    text
}

fn share(number: u64, total: u64) -> String {
    let percent = number as f64 * 100.0 / total.max(1) as f64;
    format!("{}  {DIM}{percent:.1} %{DIM:#}", render::count(number))
}

/// How many columns a share takes at the most, and the space before it.
fn share_columns(total: u64) -> usize {
    " ".len() + render::count(total).len() + "  100.0 %".len()
}

fn top(entries: &[TopEntry], total: u64, columns: usize) -> String {
    let names: Vec<_> = entries.iter().map(|entry| render::safe(&entry.value)).collect();
    let longest = names.iter().map(|name| render::width(name)).max().unwrap_or_default();
    let name_columns = longest.min(NAME_COLUMNS).min(columns / 2);
    let room = columns.saturating_sub(name_columns + 3 + share_columns(total));
    let most = entries.first().map_or(0, |entry| entry.count);
    let mut text = String::new();
    for (name, entry) in names.iter().zip(entries) {
        let bar = chart::bar(entry.count, most, room);
        let _ =
            writeln!(text, "  {} {NAME}{bar}{NAME:#} {}", render::cell(name, name_columns), share(entry.count, total));
    }
    text
}

/// The series: all events as columns, and each severity on a line and a scale of its own, since the rare
/// ones would not be seen among the others.
pub(super) fn over_time(stats: &Stats, columns: usize) -> String {
    let margin = "  most ".len() + render::count(stats.total).len();
    let layout = chart::fit(stats.series.len(), columns.saturating_sub(GUTTER + margin));
    let series = |count: &dyn Fn(&sealog::Bucket) -> u64| {
        chart::gathered(&stats.series.iter().map(count).collect::<Vec<_>>(), layout)
    };
    let all = series(&|bucket| bucket.by_severity.total());
    let most = all.iter().copied().max().unwrap_or_default();
    let (together, repeated) = layout;
    let mut text = String::new();
    for (row, line) in chart::columns(&all, CHART_ROWS).into_iter().enumerate() {
        let scale = if row == 0 { render::count(most) } else { String::new() };
        let _ = writeln!(text, "{DIM}{scale:>width$}{DIM:#} {NAME}{line}{NAME:#}", width = GUTTER - 1);
    }
    let times: Vec<_> = stats.series.iter().step_by(together).map(|bucket| bucket.start).collect();
    let _ = writeln!(text, "{:GUTTER$}{DIM}{}{DIM:#}", "", axis(&times, repeated));
    let occurring: Vec<_> = Severity::ALL.into_iter().filter(|severity| stats.by_severity.get(*severity) > 0).collect();
    for severity in occurring.iter().filter(|_| occurring.len() > 1) {
        let values = series(&|bucket| bucket.by_severity.get(*severity));
        let line = chart::columns(&values, 1).concat();
        let style = severity_style(*severity);
        let _ = writeln!(
            text,
            "  {severity:<width$}{style}{}{style:#}  {DIM}most {}{DIM:#}",
            render::cell(&line, values.len()),
            render::count(values.iter().copied().max().unwrap_or_default()),
            width = GUTTER - 2
        );
    }
    let step = stats.bucket_ms.saturating_mul(together as i64);
    let _ = writeln!(text, "{:GUTTER$}{DIM}a column is {}{DIM:#}", "", span(step));
    text
}

/// The times below a chart whose columns begin at `starts`, each of them `repeated` wide.
fn axis(starts: &[i64], repeated: usize) -> String {
    /// From one label to the next, in columns.
    const DISTANCE: usize = 16;
    const DAY: i64 = 86_400_000;
    let all = starts.first().zip(starts.last()).map_or(0, |(first, last)| last - first);
    let format = if all <= DAY {
        "%H:%M"
    } else if all <= 14 * DAY {
        "%m-%d %H:%M"
    } else {
        "%Y-%m-%d"
    };
    let mut text = String::new();
    for start in starts.iter().step_by(DISTANCE.div_ceil(repeated)) {
        let label = Timestamp::from_millisecond(*start).map(|time| time.strftime(format).to_string());
        let width = repeated * DISTANCE.div_ceil(repeated);
        let _ = write!(text, "{:<width$}", label.map_or_else(|_| "·".to_owned(), |label| format!("╵{label}")));
    }
    text.trim_end().to_owned()
}

/// A length of time in the largest unit that measures it whole.
fn span(ms: i64) -> String {
    let units = [(86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1_000, "second")];
    let unit = units.iter().find(|(unit, _)| ms >= *unit && ms % unit == 0);
    unit.map_or_else(|| format!("{ms} ms"), |(unit, name)| render::counted((ms / unit) as u64, name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stats(counts: &[[u64; 4]], bucket_ms: i64) -> Stats {
        let severities = |counts: [u64; 4]| json!({"info": counts[0], "warning": counts[1], "error": counts[2], "critical": counts[3]});
        let total = counts.iter().fold([0; 4], |sum, counts| std::array::from_fn(|i| sum[i] + counts[i]));
        let series: Vec<_> = counts
            .iter()
            .zip(0..)
            .map(|(counts, n)| json!({"start": n * bucket_ms, "bySeverity": severities(*counts)}))
            .collect();
        serde_json::from_value(json!({
            "total": total.iter().sum::<u64>(), "bySeverity": severities(total), "bucketMs": bucket_ms, "series": series,
            "topActions": [{"value": "user.login", "count": 12}, {"value": "x".repeat(200), "count": 1}],
            "topActors": [],
        }))
        .unwrap()
    }

    fn plain(stats: &Stats, columns: usize) -> String {
        anstream::adapter::strip_str(&text(stats, columns)).to_string()
    }

    #[test]
    fn statistics_read_without_colours() {
        let shown = plain(&stats(&[[4, 0, 0, 0], [8, 1, 0, 0], [0, 0, 0, 0]], 3_600_000), 60);
        let expected = "\
13 events  1970-01-01 00:00:00 to 1970-01-01 03:00:00 UTC

By severity
  info     █████████████████████████████████████ 12  92.3 %
  warning  ███ 1  7.7 %
  error    0  0.0 %
  critical 0  0.0 %

Over time
         9       ██████
                 ██████
                 ██████
           ▅▅▅▅▅▅██████
           ████████████
           ████████████
           ╵00:00
  info     ▄▄▄▄▄▄██████        most 8
  warning        ██████        most 1
           a column is 1 hour

Actions
  user.login ";
        assert!(shown.starts_with(expected), "{shown}");
        assert!(!shown.contains("Actors"), "{shown}");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let many = vec![[123_456, 7, 0, 1]; 3_000];
        for (columns, bucket_ms) in [(48, 1_000), (80, 60_000), (140, 86_400_000)] {
            let shown = plain(&stats(&many, bucket_ms), columns);
            let longest = shown.lines().max_by_key(|line| render::width(line)).unwrap_or_default();
            assert!(render::width(longest) <= columns, "{columns}: {longest}");
        }
        assert_eq!(plain(&stats(&[], 1_000), 80), "0 events\n");
    }

    #[test]
    fn lengths_are_read_and_said() {
        assert_eq!(length("90s"), Ok(90_000));
        assert_eq!(length("1w"), Ok(604_800_000));
        for wrong in ["", "1", "0h", "-1h", "1y", "h", "1.5h"] {
            assert!(length(wrong).is_err(), "{wrong}");
        }
        assert_eq!([900_000, 86_400_000, 7_200_000, 1_500].map(span), ["15 minutes", "1 day", "2 hours", "1500 ms"]);
    }
}
