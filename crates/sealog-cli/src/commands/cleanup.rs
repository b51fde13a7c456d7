//! `sealog cleanup`

use std::cell::Cell;
use std::cmp::Reverse;
use std::fmt::Write as _;

use clap::Args;
use sealog::{AuditLog, CleanupOptions, CleanupProgress, CleanupReport, Severity};

use super::changing::{Changing, progress_bar, unless_stopped};
use crate::cli::{Shared, finish};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::{self, Output};
use crate::render::{self, DIM, GOOD, NAME, WARN};

/// The most retention categories that are listed; --json has all of them.
const MAX_CATEGORIES: usize = 20;
/// The narrowest that the name of a category is cut to, in columns.
const MIN_NAME_COLUMNS: usize = 8;

/// Remove what was kept long enough
///
/// How long that is the settings say (`sealog settings`), or --older-than for once. The age of an event counts
/// from when it happened or when it was logged, whichever is later. Every removal leaves a receipt, an event
/// sealog.retention.applied, by which `sealog verify` tells it from damage; when the command ends, what went is
/// in no file. What a hold selects stays, and so do receipts, holds and settings.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sealog cleanup --dry-run
  sealog cleanup --by ops
  sealog cleanup --older-than 30d --preserve error --preserve critical
  sealog cleanup --category debug --older-than 7 --json | jq .removed

It can be stopped and run again at any time; docs/RETENTION.md tells all of it.")]
pub(crate) struct Cleanup {
    /// What is at least so old, in days (30, 30d) or weeks (2w) [default: as the settings say of each kind]
    #[arg(long, value_name = "AGE", value_parser = days)]
    older_than: Option<u32>,
    /// Remove nothing of this severity: info, warning, error, critical; may be given again
    #[arg(long, value_name = "SEVERITY")]
    preserve: Vec<Severity>,
    /// Remove events of this retention category only
    #[arg(long, value_name = "NAME")]
    category: Option<String>,
    /// How many events are looked at in one transaction; all is done whatever it is
    #[arg(long, value_name = "N", default_value_t = sealog::DEFAULT_CLEANUP_BATCH_EVENTS)]
    batch: usize,
    /// Remove nothing, and tell what would go; needs no key
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    changing: Changing,
}

/// An age in days.
fn days(text: &str) -> Result<u32, String> {
    let (number, unit) = match text.strip_suffix('w') {
        Some(weeks) => (weeks, 7),
        None => (text.strip_suffix('d').unwrap_or(text), 1),
    };
    let days = number.parse::<u32>().ok().and_then(|number| number.checked_mul(unit));
    days.ok_or_else(|| format!("{text:?} is no number of days; give 30, 30d or 4w"))
}

impl Cleanup {
    pub(crate) async fn run(self, shared: &Shared, out: Output, interrupt: &Interrupt) -> Result<(), Failure> {
        let options = self.options();
        if self.dry_run {
            let log = shared.open_to_read().await?;
            return clean(&log, &options, out, interrupt).await;
        }
        let log = self.changing.open(shared).await?;
        let done = clean(&self.changing.acting(&log), &options, out, interrupt).await;
        finish(log, done, out).await
    }

    fn options(&self) -> CleanupOptions {
        let mut options = CleanupOptions::new().batch_size(self.batch).dry_run(self.dry_run);
        options.older_than_days = self.older_than;
        options.preserve_severity.clone_from(&self.preserve);
        options.retention_category.clone_from(&self.category);
        options
    }
}

async fn clean(log: &AuditLog, options: &CleanupOptions, out: Output, interrupt: &Interrupt) -> Result<(), Failure> {
    let (bar, last) = (progress_bar(None), Cell::new(CleanupProgress::default()));
    let progress = |progress: CleanupProgress| {
        last.set(progress);
        bar.set_position(progress.looked_at);
        let verb = if options.dry_run { "would be removed" } else { "removed" };
        bar.set_message(format!("{} {verb}", render::count(progress.removed)));
    };
    let done = unless_stopped(log, interrupt, log.cleanup_with(options, progress)).await;
    bar.finish_and_clear();
    if matches!(done, Err(Failure::Interrupted)) && !out.json && !options.dry_run {
        let removed = render::counted(last.get().removed, "event");
        output::note(&format!("Stopped: {removed} removed, each with its receipt; run it again for the rest."));
    }
    let report = done?;
    if out.json { output::document(&report) } else { output::write(&text(&report, output::columns())) }
}

/// What went, or would, for a person.
fn text(report: &CleanupReport, columns: Option<usize>) -> String {
    let verb = if report.dry_run { "Would remove" } else { "Removed" };
    let mut text = format!("{GOOD}{verb}{GOOD:#} {}\n", render::counted(report.removed, "event"));
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {DIM}{name:<11}{DIM:#}{value}");
    };
    if let (Some(oldest), Some(newest)) = (report.oldest, report.newest) {
        line("from", &format!("{} UTC", render::time(oldest, false)));
        line("to", &format!("{} UTC", render::time(newest, false)));
    }
    for severity in Severity::ALL {
        let count = report.by_severity.get(severity);
        if count > 0 {
            line(severity.as_str(), &render::count(count));
        }
    }
    if report.held > 0 {
        line("held", &format!("{WARN}{}{WARN:#} more; `sealog holds` lists why", render::count(report.held)));
    }
    if !report.dry_run {
        line("files", scrubbed(report.scrubbed));
    }
    if !report.by_category.is_empty() {
        text.push('\n');
        text.push_str(&categories(report, columns));
    }
    text
}

/// Whether what went is in no file any more.
pub(super) fn scrubbed(scrubbed: bool) -> &'static str {
    if scrubbed {
        "none holds anything of it any more"
    } else {
        "somebody still reads an older state of the log, so its bytes are there until that ends;\n             \
         `sealog cleanup` later sees to it"
    }
}

/// How many of each retention category, the most frequent first.
fn categories(report: &CleanupReport, columns: Option<usize>) -> String {
    let mut categories: Vec<_> = report.by_category.iter().collect();
    categories.sort_by_key(|(_, count)| Reverse(**count));
    let shown = categories.iter().take(MAX_CATEGORIES);
    let rows: Vec<_> = shown.map(|(name, count)| [render::safe(name), render::count(**count)]).collect();
    let styles = [NAME, anstyle::Style::new()];
    let mut text = render::table(["category", "events"], styles, &rows, &[(0, MIN_NAME_COLUMNS)], columns);
    if categories.len() > MAX_CATEGORIES {
        let hidden = (categories.len() - MAX_CATEGORIES) as u64;
        let _ = writeln!(text, "  {DIM}and {} more; --json has all of them{DIM:#}", render::count(hidden));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ages_are_days() {
        for (text, expected) in [("30", 30), ("30d", 30), ("2w", 14), ("0", 0)] {
            assert_eq!(days(text), Ok(expected));
        }
        for text in ["", "d", "12h", "-1", "4294967295w"] {
            assert!(days(text).unwrap_err().contains("is no number of days"), "{text}");
        }
    }

    #[test]
    fn what_went_fits_the_terminal() {
        let categories: serde_json::Map<_, _> =
            (0..30).map(|i| (format!("{}\u{1b}{i}", "c".repeat(100)), json!(i + 1))).collect();
        let report: CleanupReport = serde_json::from_value(json!({"dryRun": false, "removed": 1234, "held": 5,
            "bySeverity": {"info": 1000, "warning": 0, "error": 0, "critical": 234}, "byCategory": categories,
            "oldest": 1_772_434_800_000_i64, "newest": 1_772_434_801_000_i64, "scrubbed": false}))
        .unwrap();
        let plain = |columns| anstream::adapter::strip_str(&text(&report, columns)).to_string();
        let shown = plain(Some(80));
        for part in
            ["Removed 1,234 events", "critical   234", "held       5 more", "2026-03-02 07:00:01 UTC", "and 10 more"]
        {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert!(!shown.contains("warning") && !shown.contains('\u{1b}'), "{shown}");
        let table = shown.split_once("\n\n").unwrap().1;
        assert!(table.lines().all(|line| render::width(line) <= 80), "{table}");
        assert!(plain(None).contains(&"c".repeat(100)));
    }
}
