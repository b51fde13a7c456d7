//! Events as people read them.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Color, Style};
use jiff::Timestamp;
use sealog::{DiffKind, DiffOp, Outcome, Record, Severity};
use serde_json::Value;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

const fn colour(colour: AnsiColor) -> Style {
    Style::new().fg_color(Some(Color::Ansi(colour)))
}

pub(crate) const BAD: Style = colour(AnsiColor::Red).bold();
pub(crate) const GOOD: Style = colour(AnsiColor::Green).bold();
pub(crate) const WARN: Style = colour(AnsiColor::Yellow);
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const NAME: Style = colour(AnsiColor::Cyan);

/// How much of a value is shown, in columns, where a step has a line to itself.
const VALUE_COLUMNS: usize = 48;
/// How much, where several steps share a line.
const SHORT_VALUE_COLUMNS: usize = 20;
/// To what it is cut before the name gives way.
const MIN_VALUE_COLUMNS: usize = 8;
/// How many steps at the most.
const SHORT_STEPS: usize = 3;
/// From how many columns on a terminal shows all of a line.
const WIDE_COLUMNS: usize = 110;

/// The style of a severity.
pub(crate) fn severity_style(severity: Severity) -> Style {
    match severity {
        Severity::Info => DIM,
        Severity::Warning => WARN,
        Severity::Error => colour(AnsiColor::Red),
        Severity::Critical => colour(AnsiColor::Magenta).bold(),
    }
}

/// A time in UTC, to the second or the millisecond.
pub(crate) fn time(ms: i64, millis: bool) -> String {
    let format = if millis { "%Y-%m-%d %H:%M:%S%.3f" } else { "%Y-%m-%d %H:%M:%S" };
    Timestamp::from_millisecond(ms).map_or_else(|_| format!("{ms} ms"), |time| time.strftime(format).to_string())
}

/// Text from an event, safe on a terminal: what would move the cursor or hide text is shown escaped.
pub(crate) fn safe(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    if !text.contains(hidden) {
        return text.to_owned();
    }
    text.chars().fold(String::with_capacity(text.len() + 8), |mut safe, c| {
        if hidden(c) {
            let _ = write!(safe, "{}", c.escape_unicode());
        } else {
            safe.push(c);
        }
        safe
    })
}

/// How many columns of a terminal a text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// At most `columns` columns of a terminal, with an ellipsis where something was cut.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut taken = 1;
    let kept = text.chars().take_while(|c| {
        taken += c.width().unwrap_or_default();
        taken <= columns
    });
    kept.chain(['…']).collect()
}

/// The text in exactly so many columns, cut or filled up with spaces.
pub(crate) fn cell(text: &str, columns: usize) -> String {
    let text = cut(text, columns);
    let missing = columns.saturating_sub(text.width());
    text + &" ".repeat(missing)
}

/// A table with a line for each row, and above them the titles. Where it is wider than `columns`, those give way
/// that `gives_way` names, one after the other, each down to the width that stands with it.
pub(crate) fn table<const N: usize>(
    titles: [&str; N],
    styles: [Style; N],
    rows: &[[String; N]],
    gives_way: &[(usize, usize)],
    columns: Option<usize>,
) -> String {
    let mut widths: [usize; N] = std::array::from_fn(|column| {
        rows.iter().map(|row| row[column].width()).fold(titles[column].width(), usize::max)
    });
    if let Some(columns) = columns {
        for (column, least) in gives_way {
            let all = widths.iter().map(|width| 2 + width).sum::<usize>();
            widths[*column] -= all.saturating_sub(columns).min(widths[*column].saturating_sub(*least));
        }
    }
    let line = |cells: [&str; N], styles: [Style; N]| {
        let mut line = String::new();
        for (place, (text, style)) in cells.into_iter().zip(styles).enumerate() {
            let filled = cell(text, widths[place]);
            let shown = if place + 1 == N { filled.trim_end() } else { &filled };
            let _ = write!(line, "  {style}{shown}{style:#}");
        }
        line.push('\n');
        line
    };
    let rows = rows.iter().map(|row| line(std::array::from_fn(|column| &*row[column]), styles));
    std::iter::once(line(titles, [DIM; N])).chain(rows).collect()
}

/// An argument as a shell takes it.
pub(crate) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:,=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// 1234567 → `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 event`, `2 events`.
pub(crate) fn counted(number: u64, what: &str) -> String {
    format!("{} {what}{}", count(number), if number == 1 { "" } else { "s" })
}

/// Who did it: the name where there is one, and for whom.
pub(crate) fn actor(record: &Record) -> String {
    let who = record.actor_name.as_deref().or(record.actor_id.as_deref()).unwrap_or("—");
    match &record.on_behalf_of {
        Some(whom) => format!("{} for {}", safe(who), safe(whom)),
        None => safe(who),
    }
}

/// What it was done to, `type/id`.
pub(crate) fn resource(record: &Record) -> String {
    match (&record.resource_type, &record.resource_id) {
        (Some(kind), Some(id)) => format!("{}/{}", safe(kind), safe(id)),
        (Some(kind), None) => safe(kind),
        _ => String::new(),
    }
}

fn outcome(outcome: Outcome) -> String {
    let style = match outcome {
        Outcome::Success => GOOD,
        Outcome::Failure => WARN,
        Outcome::Denied => BAD,
    };
    format!("{style}{outcome}{style:#}")
}

/// One event on one line, and another one with what changed. On a terminal no line is longer than its
/// `columns`: what would be stands on two.
pub(crate) fn line(record: &Record, columns: Option<usize>) -> String {
    let is_narrow = columns.is_some_and(|columns| columns < WIDE_COLUMNS);
    let (severity_columns, action_columns) = if is_narrow { (4, 0) } else { (8, 30) };
    let indent = 7 + 2 + 19 + 2 + severity_columns + 2;
    // Where there is little room, the lines below have more of it.
    let below = if is_narrow { 9 } else { indent };
    let (mut action, mut who, mut what) = (safe(&record.action), actor(record), resource(record));
    let how = record.outcome.filter(|outcome| *outcome != Outcome::Success);
    let mut break_or_space = "  ".to_owned();
    if let Some(columns) = columns {
        let others = if what.is_empty() { 0 } else { 4 } + how.map_or(0, |outcome| 2 + outcome.as_str().len());
        let room = columns.saturating_sub(indent);
        action = cut(&action, room);
        if action.width().max(action_columns) + 2 + who.width() + what.width() + others > room {
            break_or_space = format!("\n{:below$}", "");
            // Each has its half, and what the other one leaves of it.
            let room = columns.saturating_sub(below + others);
            what = cut(&what, room.saturating_sub(who.width()).max(room / 2));
            who = cut(&who, room.saturating_sub(what.width()));
        }
    }
    let severity = severity_style(record.severity);
    let mut line = format!(
        "{DIM}{:>7}  {}{DIM:#}  {severity}{}{severity:#}  {BOLD}{}{BOLD:#}{break_or_space}{NAME}{who}{NAME:#}",
        record.seq(),
        time(record.timestamp(), false),
        cell(if is_narrow { short_name(record.severity) } else { record.severity.as_str() }, severity_columns),
        cell(&action, action.width().max(action_columns)),
    );
    if !what.is_empty() {
        let _ = write!(line, "  {DIM}→{DIM:#} {what}");
    }
    if let Some(how) = how {
        let _ = write!(line, "  {}", outcome(how));
    }
    line.push('\n');
    if let Some(diff) = record.diff().filter(|diff| !diff.is_empty()) {
        let room = columns.map(|columns| columns.saturating_sub(below));
        let _ = writeln!(line, "{:below$}{}", "", short_diff(diff, room));
    }
    line
}

fn short_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warn",
        Severity::Error => "err",
        Severity::Critical => "crit",
    }
}

/// The first steps of a diff on one line, as many as have room there.
fn short_diff(diff: &[DiffOp], room: Option<usize>) -> String {
    let shown = |most: usize| {
        let steps = diff.iter().take(most).map(|op| step_within(op, SHORT_VALUE_COLUMNS));
        let mut text = steps.collect::<Vec<_>>().join("   ");
        if diff.len() > most {
            let space = if most > 0 { "   " } else { "" };
            let _ = write!(text, "{space}{DIM}and {} more{DIM:#}", diff.len() - most);
        }
        text
    };
    let fits = |text: &String| room.is_none_or(|room| anstream::adapter::strip_str(text).to_string().width() <= room);
    let fitting = (1..=SHORT_STEPS).rev().map(shown).find(fits);
    // A path may be longer than the terminal is wide.
    fitting.unwrap_or_else(|| format!("{DIM}{}{DIM:#}", cut(&counted(diff.len() as u64, "change"), room.unwrap_or(0))))
}

/// One step: `- key`, `+ key: value` or `~ key: old → new`, in at most `room` columns.
pub(crate) fn step(op: &DiffOp, room: Option<usize>) -> String {
    let Some(room) = room else { return step_within(op, VALUE_COLUMNS) };
    let plain = |text: &str| anstream::adapter::strip_str(text).to_string();
    let mut shown = (MIN_VALUE_COLUMNS..=VALUE_COLUMNS).rev().map(|columns| step_within(op, columns));
    let fitting = shown.find(|step| plain(step).width() <= room);
    // A path may be longer than the terminal is wide.
    fitting.unwrap_or_else(|| cut(&plain(&step_within(op, MIN_VALUE_COLUMNS)), room))
}

fn step_within(op: &DiffOp, columns: usize) -> String {
    let path = match op.path.strip_prefix('/') {
        Some(path) => safe(&path.replace('/', ".").replace("~1", "/").replace("~0", "~")),
        None => "(all of it)".to_owned(),
    };
    let shown =
        |value: &Option<Value>| value.as_ref().map_or_else(|| "…".to_owned(), |value| value_text(value, columns));
    match op.op {
        DiffKind::Add => format!("{GOOD}+{GOOD:#} {path}: {}", shown(&op.value)),
        DiffKind::Remove => format!("{BAD}-{BAD:#} {path} {DIM}(was {}){DIM:#}", shown(&op.old)),
        DiffKind::Replace => format!("{WARN}~{WARN:#} {path}: {} {DIM}→{DIM:#} {}", shown(&op.old), shown(&op.value)),
    }
}

fn value_text(value: &Value, columns: usize) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    cut(&safe(&text), columns)
}

/// All of an event, one field a line.
pub(crate) fn card(record: &Record) -> String {
    let severity = severity_style(record.severity);
    let mut text = format!("{BOLD}{}{BOLD:#}  {severity}{}{severity:#}", safe(&record.action), record.severity);
    if let Some(what) = record.outcome {
        let _ = write!(text, "  {}", outcome(what));
    }
    text.push('\n');
    let mut field = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            let _ = writeln!(text, "  {DIM}{name:<12}{DIM:#}{}", safe(value));
        }
    };
    field("seq", Some(&record.seq().to_string()));
    field("id", Some(record.id()));
    field("time", Some(&format!("{} UTC", time(record.timestamp(), true))));
    field("recorded", Some(&format!("{} UTC", time(record.recorded_at(), true))));
    field("actor", record.actor_id.as_deref());
    field("  type", record.actor_type.as_deref());
    field("  name", record.actor_name.as_deref());
    field("  for", record.on_behalf_of.as_deref());
    field("resource", Some(resource(record)).filter(|resource| !resource.is_empty()).as_deref());
    field("address", record.ip_address.as_deref());
    field("program", record.user_agent.as_deref());
    field("session", record.session_id.as_deref());
    field("request", record.request_id.as_deref());
    field("tags", Some(record.tags.join(", ")).filter(|tags| !tags.is_empty()).as_deref());
    field("tenant", record.tenant.as_deref());
    field("retention", record.retention_category.as_deref());
    if let Some(diff) = record.diff() {
        let _ = writeln!(text, "  {DIM}changes{DIM:#}");
        if diff.is_empty() {
            text.push_str("    none: before and after are equal\n");
        }
        for op in diff {
            let _ = writeln!(text, "    {}", step(op, None));
        }
    }
    let parts = [("metadata", record.metadata.clone().map(Value::Object))]
        .into_iter()
        .chain([("before", record.before.clone()), ("after", record.after.clone())]);
    for (name, value) in parts {
        if let Some(value) = value {
            let _ = writeln!(text, "  {DIM}{name}{DIM:#}");
            for line in serde_json::to_string_pretty(&value).unwrap_or_default().lines() {
                let _ = writeln!(text, "    {}", safe(line));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_an_event_can_steer_the_terminal() {
        assert_eq!(safe("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(safe("user\u{202e}gpj.exe"), "user\\u{202e}gpj.exe");
        assert_eq!(safe("Zoë → ok"), "Zoë → ok");
    }

    #[test]
    fn numbers_and_lengths() {
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(12), "12");
        assert_eq!(counted(1, "event"), "1 event");
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("abcd", 4), "abcd");
        assert_eq!(time(1_772_434_800_123, true), "2026-03-02 07:00:00.123");
    }

    #[tokio::test]
    async fn no_line_is_wider_than_the_terminal() {
        let dir = tempfile::tempdir().unwrap();
        let log = sealog::AuditLog::open(dir.path().join("audit.db")).await.unwrap();
        for (action, who) in [("a", "b"), (&*"user.".repeat(20), "山田太郎山田太郎山田太郎"), ("user.login", "Ada")]
        {
            let path = "p".repeat(30);
            let event = sealog::Event::new(action)
                .actor_name(who)
                .resource("日本語日本語日本語", "i".repeat(60))
                .severity(Severity::Critical)
                .outcome(Outcome::Denied)
                .change(serde_json::json!({&*path: 1, "a": 1}), serde_json::json!({&*path: 2, "a": 2}));
            let record = log.get(log.log(event).await.unwrap().id()).await.unwrap();
            let plain = |columns| anstream::adapter::strip_str(&line(&record, columns)).to_string();
            for columns in [80, 109, 110, 200] {
                let shown = plain(Some(columns));
                assert!(shown.lines().all(|line| line.width() <= columns), "{columns}: {shown}");
                assert!(shown.contains("denied"), "{shown}");
            }
            let whole = plain(None);
            assert!(whole.contains(action) && whole.contains(who) && !whole.contains('…'), "{whole}");
        }
    }

    #[test]
    fn a_step_reads_like_a_sentence() {
        let op: DiffOp =
            serde_json::from_value(serde_json::json!({"op": "replace", "path": "/a/b~1c", "old": 1, "value": "x"}))
                .unwrap();
        assert_eq!(anstream::adapter::strip_str(&step(&op, None)).to_string(), "~ a.b/c: 1 → x");
    }
}
