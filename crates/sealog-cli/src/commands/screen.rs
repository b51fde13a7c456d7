//! What the demo shows.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;

use sealog::{Outcome, ProvenEvent, Record, Severity, actions};
use serde_json::{Map, Value};

use super::demo::{FORGOTTEN_FOR, Forgotten};
use super::questions::{Questions, command};
use crate::render::{self, BAD, BOLD, DIM, GOOD, NAME, severity_style};

/// How many lines the story has.
const STORY_LINES: usize = 30;

/// All that is shown.
pub(super) struct Told<'a> {
    pub(super) size: u64,
    pub(super) seconds: f64,
    pub(super) recent: &'a [Record],
    pub(super) questions: &'a Questions,
    /// The event with a secret as it is stored, and what was sent.
    pub(super) secret: Option<(&'a Record, &'a Map<String, Value>)>,
    pub(super) proof: &'a ProvenEvent,
    pub(super) proof_file: &'a Path,
    pub(super) report_file: &'a Path,
    pub(super) forgotten: Option<&'a Forgotten>,
    pub(super) vkey: &'a str,
    pub(super) log: &'a Path,
    pub(super) verified: &'a str,
    pub(super) stays: bool,
}

/// The whole screen.
pub(super) fn text(told: &Told<'_>) -> String {
    let mut text = String::new();
    header(&mut text, told);
    story(&mut text, told.recent);
    let questions = told.questions;
    let took = format!("all that follows until the history took {:.0} ms", questions.millis());
    title(&mut text, "Questions are answered", &took);
    questions.found(&mut text);
    title(&mut text, "Statistics", "exact, however many events there are");
    questions.statistics(&mut text);
    if questions.has_anomalies() {
        title(&mut text, "Anomalies are found", "by rules: sealog rules prints them");
        questions.anomalies(&mut text);
    }
    if questions.has_past() {
        title(
            &mut text,
            "One record's history, and how it was before",
            "diffs are computed and sealed with the events",
        );
        questions.past(&mut text);
    }
    if let Some((stored, sent)) = told.secret {
        secret(&mut text, stored, sent);
    }
    proof(&mut text, told);
    if let Some(forgotten) = told.forgotten {
        forget(&mut text, forgotten);
    }
    title(
        &mut text,
        "The whole log is checked",
        "every commitment, the tree, the signatures, and that only what has a receipt is gone",
    );
    for line in told.verified.lines() {
        let _ = writeln!(text, "  {line}");
    }
    title(
        &mut text,
        "A report for an auditor",
        "one page with findings, charts, every event, and the checkpoint that seals them",
    );
    let _ = writeln!(text, "  {DIM}file{DIM:#}  {BOLD}{}{BOLD:#}", told.report_file.display());
    next(&mut text, told);
    text
}

fn title(text: &mut String, what: &str, more: &str) {
    let more = if more.is_empty() { String::new() } else { format!("  {DIM}{more}{DIM:#}") };
    let _ = writeln!(text, "\n{NAME}▌{NAME:#} {BOLD}{what}{BOLD:#}{more}\n");
}

fn header(text: &mut String, told: &Told<'_>) {
    let rule = "─".repeat(78);
    let rate = (told.size as f64 / told.seconds.max(1e-9)) as u64;
    let _ = writeln!(text, "{NAME}{rule}{NAME:#}");
    let _ = writeln!(text, "  {BOLD}Sealog{BOLD:#}  the audit log for applications");
    let _ = writeln!(
        text,
        "  {} written, durable, redacted and sealed in {:.0} ms: {GOOD}{} a second{GOOD:#}",
        render::counted(told.size, "event"),
        told.seconds * 1e3,
        render::count(rate)
    );
    let _ = writeln!(text, "{NAME}{rule}{NAME:#}");
}

/// Whether an event belongs into a story of one page: not the daily views, and of the many edits
/// only those by the assistant.
fn is_notable(record: &Record) -> bool {
    let daily = matches!(
        record.action.as_str(),
        actions::RECORD_VIEWED
            | actions::RECORD_CREATED
            | actions::RECORD_UPDATED
            | actions::USER_LOGIN
            | actions::USER_LOGOUT
            | "email.sent"
    );
    let by_agent = record.on_behalf_of.is_some() && record.diff().is_some();
    record.severity > Severity::Info || by_agent || !daily
}

/// From how many failed sign-ins of one address on somebody is guessing.
const BURST: u64 = 5;

/// From where a sign-in failed.
fn guessed_from(record: &Record) -> Option<&str> {
    record.ip_address.as_deref().filter(|_| record.action == actions::USER_LOGIN_FAILED)
}

/// How many lines of one action the story has at most, so that all kinds of events have their place.
fn most_lines(record: &Record) -> usize {
    match record.severity {
        Severity::Info => 2,
        Severity::Warning | Severity::Error => 3,
        Severity::Critical => 4,
    }
}

/// The newest notable events, oldest first; guesses of one password thief are one line.
fn story(text: &mut String, recent: &[Record]) {
    let mut guesses: HashMap<&str, u64> = HashMap::new();
    for address in recent.iter().filter_map(guessed_from) {
        *guesses.entry(address).or_default() += 1;
    }
    let times = |record: &Record| guessed_from(record).and_then(|address| guesses.get(address)).map_or(1, |n| *n);
    let is_alarming = |record: &&Record| record.severity == Severity::Critical || times(record) >= BURST;
    let newest = || recent.iter().rev().filter(|record| is_notable(record));
    // What should not be missed comes first, wherever it stands; the rest by how new it is.
    let order = newest().filter(is_alarming).chain(newest().filter(|record| !is_alarming(record)));

    let mut told: HashMap<&str, usize> = HashMap::new();
    let mut lines: Vec<&Record> = Vec::new();
    for record in order {
        let repeated =
            guessed_from(record).is_some_and(|address| lines.iter().any(|line| guessed_from(line) == Some(address)));
        let of_this_action = told.entry(&record.action).or_default();
        if lines.len() < STORY_LINES && !repeated && *of_this_action < most_lines(record) {
            *of_this_action += 1;
            lines.push(record);
        }
    }
    if lines.is_empty() {
        return;
    }
    lines.sort_by_key(|record| record.seq());
    // Who works on whose behalf is known by id; here a name reads better.
    let names: HashMap<&str, &str> =
        recent.iter().filter_map(|record| record.actor_id.as_deref().zip(record.actor_name.as_deref())).collect();
    title(text, "What happened", "some notable events of the newest, UTC");
    let mut day = String::new();
    for record in lines {
        let time = render::time(record.timestamp(), false);
        let (date, clock) = time.split_at_checked(10).unwrap_or((&time, ""));
        if date != day {
            let _ = writeln!(text, "  {DIM}{date}{DIM:#}");
            date.clone_into(&mut day);
        }
        let whom = record.on_behalf_of.as_deref().and_then(|id| names.get(id));
        let who = match (whom, &record.actor_id) {
            (Some(whom), Some(actor)) => format!("{} for {}", render::safe(actor), render::safe(whom)),
            _ => render::actor(record),
        };
        story_line(text, record, &who, clock.trim(), times(record));
    }
    let _ = writeln!(text, "\n  {DIM}· info   ! warning or error   ✗ denied   ‼ critical{DIM:#}");
}

/// What an event was done to, where that is said.
fn to(record: &Record) -> String {
    let what = render::cut(&render::resource(record), 44);
    if what.is_empty() { what } else { format!(" {DIM}→{DIM:#} {what}") }
}

fn story_line(text: &mut String, record: &Record, who: &str, clock: &str, times: u64) {
    let style = severity_style(record.severity);
    let mark = match (record.severity, record.outcome) {
        (Severity::Critical, _) => "‼",
        (_, Some(Outcome::Denied)) => "✗",
        (Severity::Warning | Severity::Error, _) => "!",
        (Severity::Info, _) => "·",
    };
    let who = render::cut(who, 30);
    let _ = write!(
        text,
        "  {DIM}{clock}{DIM:#} {style}{mark} {:<29}{style:#} {NAME}{who}{NAME:#}{}",
        render::cut(&render::safe(&record.action), 29),
        to(record)
    );
    if times > 1 {
        let from = record.ip_address.as_deref().unwrap_or_default();
        let _ = write!(text, "  {BAD}×{times} from {}{BAD:#}", render::safe(from));
    } else if record.outcome == Some(Outcome::Denied) {
        let _ = write!(text, "  {BAD}denied{BAD:#}");
    }
    text.push('\n');
    if let Some(op) = record.diff().and_then(|diff| diff.first()) {
        let _ = writeln!(text, "           {DIM}╰{DIM:#} {}", render::step(op, None));
    }
}

/// What was sent beside what is stored, line by line.
fn secret(text: &mut String, stored: &Record, sent: &Map<String, Value>) {
    title(text, "A secret, which was never written", "redacted before it reached any file");
    let _ = writeln!(
        text,
        "  {DIM}seq {}{DIM:#}  {BOLD}{}{BOLD:#}  {NAME}{}{NAME:#}",
        stored.seq(),
        stored.action,
        render::actor(stored)
    );
    let now = stored.metadata.clone().unwrap_or_default();
    for (name, value) in sent {
        let shown = |value: &Value| render::cut(&render::safe(&value.to_string()), 46);
        match now.get(name) {
            Some(kept) if kept == value => {
                let _ = writeln!(text, "      {name:<14} {}", shown(value));
            }
            kept => {
                let kept = kept.map_or_else(|| "nothing".to_owned(), shown);
                let _ = writeln!(
                    text,
                    "      {name:<14} {DIM}sent{DIM:#} {}  {DIM}stored{DIM:#} {GOOD}{kept}{GOOD:#}",
                    shown(value)
                );
            }
        }
    }
}

fn proof(text: &mut String, told: &Told<'_>) {
    let record = told.proof.record();
    title(text, "One event is proven", "by a file that is checked without the log");
    let _ = writeln!(
        text,
        "  {DIM}seq {}{DIM:#}  {BOLD}{}{BOLD:#}  {NAME}{}{NAME:#}{}",
        told.proof.seq(),
        render::safe(&record.action),
        render::actor(record),
        to(record)
    );
    let checkpoint = told.proof.checkpoint();
    let hashes = if checkpoint.size() > 1 { (checkpoint.size() - 1).ilog2() + 1 } else { 0 };
    let _ = writeln!(
        text,
        "  {GOOD}Proven:{GOOD:#} SHA-256 of the event, up to {hashes} hashes to the root, one signature over {}.",
        render::counted(checkpoint.size(), "event")
    );
    let _ = writeln!(text, "  {DIM}root{DIM:#}  {}", checkpoint.root_base64());
    let _ = writeln!(text, "  {DIM}file{DIM:#}  {}", told.proof_file.display());
}

fn forget(text: &mut String, forgotten: &Forgotten) {
    title(text, "Somebody is forgotten", "bodies go, a receipt stays, and so does every proof");
    let id = render::quoted(&forgotten.id);
    command(text, &format!("erase --actor {id} --reason {FORGOTTEN_FOR}"));
    let files = if forgotten.report.scrubbed { "none of the log's files holds anything of it any more" } else { "" };
    let _ = writeln!(
        text,
        "  {GOOD}Erased:{GOOD:#} {}  {DIM}{files}{DIM:#}\n",
        render::counted(forgotten.report.removed, "event")
    );
    command(text, &format!("count actor:{id}"));
    let _ = writeln!(text, "  {GOOD}{}{GOOD:#}", forgotten.found);
}

fn next(text: &mut String, told: &Told<'_>) {
    let program = std::env::args().next().unwrap_or_else(|| "sealog".to_owned());
    let quoted = |path: &Path| render::quoted(&path.display().to_string());
    let (log, proof) = (quoted(told.log), quoted(told.proof_file));
    if told.stays {
        title(text, "Try next", "");
    } else {
        title(text, "Try next", "this log is gone again; run the demo with --keep to try these on it");
    }
    for (command, what) in [
        (format!("tail -n 40 --log {log}"), "the newest events"),
        (format!("search --log {log} severity:critical"), "what should wake somebody up"),
        (format!("stats --log {log} outcome:denied"), "who was refused what, and when"),
        (format!("anomalies --log {log}"), "failed logins in a row, and the like"),
        (format!("get {} --log {log}", told.proof.seq()), "one event, whole"),
        (format!("log user.login --actor you --log {log}"), "one more"),
        (format!("cleanup --log {log} --older-than 0d --preserve critical --dry-run"), "what a clean-up would remove"),
        (format!("report --log {log} outcome:denied -o denied.csv"), "a table for a spreadsheet"),
        (format!("verify --log {log} --vkey {}", told.vkey), "check the whole again"),
        (format!("verify-proof {proof} --vkey {}", told.vkey), "check the proof, without the log"),
    ] {
        let _ = writeln!(text, "  {DIM}# {what}{DIM:#}\n  {program} {command}");
    }
}
