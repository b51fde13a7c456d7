//! Clean-ups: what was kept long enough goes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Fate, Holds, RETENTION_APPLIED, Tally, in_parts, judge, remove};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Record, Severity};
use crate::log::AuditLog;
use crate::query::{BySeverity, Filter, Matcher, Selection, in_order};
use crate::settings::{DAY_MS, MAX_RETENTION_DAYS, Settings};

/// How many events are looked at in one transaction unless told otherwise: some tens of milliseconds, in which
/// nobody else writes.
pub const DEFAULT_CLEANUP_BATCH_EVENTS: usize = 4096;
/// The most events that one transaction of a clean-up looks at.
pub const MAX_CLEANUP_BATCH_EVENTS: usize = 65_536;

/// What a clean-up removes.
///
/// By itself it removes what was kept as long as the [`Settings`] say of its kind. With
/// [`older_than_days`](Self::older_than_days) it removes what is older than that, whatever they say. The age of an
/// event counts from when it happened or when it was logged, whichever is later, so that a history that was imported
/// yesterday is a day old.
///
/// ```
/// use sealog::{AuditLog, CleanupOptions, Severity};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> sealog::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// let log = AuditLog::open(dir.path().join("audit.db")).await?;
/// let old = CleanupOptions::new().older_than_days(30).preserve_severity(Severity::Critical);
/// let would_go = log.cleanup(&old.clone().dry_run(true)).await?;
/// assert_eq!(log.cleanup(&old).await?.removed, would_go.removed);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct CleanupOptions {
    /// Removes what is at least so many days old; as the settings say of each kind unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub older_than_days: Option<u32>,
    /// Removes no events of these severities; none unless given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub preserve_severity: Vec<Severity>,
    /// Removes events of this retention category only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_category: Option<String>,
    /// How many events are looked at in one transaction: 1 to [`MAX_CLEANUP_BATCH_EVENTS`],
    /// [`DEFAULT_CLEANUP_BATCH_EVENTS`] unless given. The clean-up goes on until all is done, whatever it is.
    pub batch_size: usize,
    /// Removes nothing, and counts what would go.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

impl Default for CleanupOptions {
    fn default() -> Self {
        Self {
            older_than_days: None,
            preserve_severity: Vec::new(),
            retention_category: None,
            batch_size: DEFAULT_CLEANUP_BATCH_EVENTS,
            dry_run: false,
        }
    }
}

impl CleanupOptions {
    /// What the settings say.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how old an event must be to go, in days of 24 hours.
    pub fn older_than_days(mut self, days: u32) -> Self {
        self.older_than_days = Some(days);
        self
    }

    /// Adds a severity of which no event goes.
    pub fn preserve_severity(mut self, severity: Severity) -> Self {
        self.preserve_severity.push(severity);
        self
    }

    /// Sets the one retention category of which events go.
    pub fn retention_category(mut self, category: impl Into<String>) -> Self {
        self.retention_category = Some(category.into());
        self
    }

    /// Sets how many events are looked at in one transaction.
    pub fn batch_size(mut self, events: usize) -> Self {
        self.batch_size = events;
        self
    }

    /// Sets whether it only counts.
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    fn check(&self) -> Result<()> {
        if let Some(days) = self.older_than_days.filter(|days| *days > MAX_RETENTION_DAYS) {
            let message = format!("an event is at most {MAX_RETENTION_DAYS} days old, and this is {days}");
            return Err(Error::field(ErrorKind::InvalidArgument, "/olderThanDays", message));
        }
        if !(1..=MAX_CLEANUP_BATCH_EVENTS).contains(&self.batch_size) {
            let message =
                format!("a batch has 1 to {MAX_CLEANUP_BATCH_EVENTS} events, and this is {}", self.batch_size);
            return Err(Error::field(ErrorKind::InvalidArgument, "/batchSize", message));
        }
        Ok(())
    }

    /// What is left of a time after the age that an event of this kind must have.
    fn cutoff(&self, settings: &Settings, severity: Severity, category: Option<&str>, now_ms: i64) -> Option<i64> {
        let days = match self.older_than_days {
            Some(days) => days,
            None => settings.retention_days(severity, category)?,
        };
        Some(now_ms.saturating_sub(i64::from(days) * DAY_MS))
    }

    fn judge(&self, settings: &Settings, now_ms: i64, record: &Record) -> Fate {
        let category = record.retention_category.as_deref();
        let is_asked_for = !self.preserve_severity.contains(&record.severity)
            && (self.retention_category.is_none() || self.retention_category.as_deref() == category);
        let age_from = record.timestamp().max(record.recorded_at());
        match self.cutoff(settings, record.severity, category, now_ms) {
            Some(cutoff) if is_asked_for && age_from <= cutoff => Fate::Goes,
            _ => Fate::Stays,
        }
    }

    /// Filters that between them select every event that may go, and few others.
    fn candidates(&self, settings: &Settings, now_ms: i64) -> Vec<Filter> {
        let severities = Severity::ALL.into_iter().filter(|severity| !self.preserve_severity.contains(severity));
        let (critical, others): (Vec<_>, Vec<_>) = severities.partition(|severity| *severity == Severity::Critical);
        let mut filters = Vec::new();
        let mut add = |severities: &[Severity], category: Option<&str>| {
            let Some(severity) = severities.first() else { return };
            let mut filter = Filter::new();
            filter.severities = severities.to_vec();
            filter.retention_categories = category.map(str::to_owned).into_iter().collect();
            let cutoff = self.cutoff(settings, *severity, category, now_ms);
            filter.to_timestamp = cutoff.map(|cutoff| cutoff.saturating_add(1));
            if cutoff.is_some() {
                filters.push(filter);
            }
        };
        let wanted = self.retention_category.as_deref();
        let custom: Vec<_> = match self.older_than_days {
            None => settings.custom_retention.iter().map(|custom| &*custom.category).collect(),
            Some(_) => Vec::new(),
        };
        for category in custom.iter().copied().filter(|category| wanted.is_none_or(|wanted| wanted == *category)) {
            add(&[others.clone(), critical.clone()].concat(), Some(category));
        }
        if wanted.is_none_or(|wanted| !custom.contains(&wanted)) {
            add(&others, wanted);
            add(&critical, wanted);
        }
        filters
    }

    /// What the receipts say of it.
    fn why(&self, settings: Option<u64>) -> Map<String, Value> {
        let mut why = Map::new();
        match self.older_than_days {
            Some(days) => why.insert("olderThanDays".to_owned(), json!(days)),
            // By the settings that this event made; the defaults where there is none.
            None => why.insert("settingsSeq".to_owned(), json!(settings)),
        };
        if !self.preserve_severity.is_empty() {
            why.insert("preserveSeverity".to_owned(), json!(self.preserve_severity));
        }
        if let Some(category) = &self.retention_category {
            why.insert("retentionCategory".to_owned(), json!(category));
        }
        why
    }
}

/// How far a clean-up is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CleanupProgress {
    /// Events that were looked at.
    pub looked_at: u64,
    /// Events that were removed, or would be.
    pub removed: u64,
}

/// What a clean-up did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CleanupReport {
    /// Whether it only counted.
    pub dry_run: bool,
    /// How many events went.
    pub removed: u64,
    /// How many would have gone, but for a hold.
    pub held: u64,
    /// How many of each severity went.
    pub by_severity: BySeverity,
    /// How many of each retention category went; those without one are not here.
    pub by_category: BTreeMap<String, u64>,
    /// The earliest timestamp of what went, in milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest: Option<i64>,
    /// The latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest: Option<i64>,
    /// Whether nothing of it is in any file any more. Otherwise a reader still looks at an older state of the log:
    /// the next clean-up sees to it, or closing the log.
    pub scrubbed: bool,
}

impl AuditLog {
    /// Removes what was kept long enough. Every removal leaves a receipt, an event `sealog.retention.applied` in the
    /// same transaction; when this returns, no query finds what went, and it is in no file.
    ///
    /// A crash in the middle leaves a log that verifies, and the next clean-up goes on. What a [hold](crate::HoldOptions)
    /// selects stays, and so do receipts, holds and changes of settings.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when the options are wrong; `OutOfScope` on a scoped handle; `ReadOnly` when this handle does
    /// not write, unless it only counts; else as [`AuditLog::search`].
    pub async fn cleanup(&self, options: &CleanupOptions) -> Result<CleanupReport> {
        self.cleanup_with(options, |_| {}).await
    }

    /// [`AuditLog::cleanup`], which tells how far it is.
    ///
    /// # Errors
    ///
    /// As [`AuditLog::cleanup`].
    pub async fn cleanup_with(
        &self,
        options: &CleanupOptions,
        mut progress: impl FnMut(CleanupProgress),
    ) -> Result<CleanupReport> {
        self.whole()?;
        options.check()?;
        if !options.dry_run {
            self.writer()?;
        }
        let now_ms = self.shared.clock.now_ms();
        let settings = self.settings().await?;
        let mut told = CleanupProgress::default();
        let mut tally = Tally::default();
        for filter in options.candidates(&settings, now_ms) {
            let selection = Selection::default().and(Matcher::new(&filter)?);
            let mut next = 0;
            let end = self.size().await?;
            while next < end {
                let limit = options.batch_size;
                let found = self.ask(selection.clone(), move |view, selection, snapshot| {
                    in_order(view, selection, next, limit, snapshot)
                });
                let (seqs, looked_to) = found.await?;
                next = looked_to;
                told.looked_at += seqs.len() as u64;
                tally.add(&in_parts(seqs, |seqs| self.clean(options, seqs, now_ms)).await?);
                told.removed = tally.removed;
                progress(told);
            }
        }
        let scrubbed = options.dry_run || self.scrub().await?;
        Ok(CleanupReport {
            dry_run: options.dry_run,
            removed: tally.removed,
            held: tally.held,
            by_severity: tally.by_severity(),
            by_category: tally.by_category,
            oldest: tally.span.map(|(oldest, _)| oldest),
            newest: tally.span.map(|(_, newest)| newest),
            scrubbed,
        })
    }

    /// Removes those of some events that may go, or only counts them.
    async fn clean(&self, options: &CleanupOptions, seqs: Vec<u64>, now_ms: i64) -> Result<Tally> {
        let options = options.clone();
        if options.dry_run {
            return self
                .snapshot(move |snapshot| {
                    let settings = Settings::read(snapshot)?.1;
                    let holds = Holds::read(snapshot)?;
                    let judged = judge(snapshot, &seqs, &holds, &|record| Ok(options.judge(&settings, now_ms, record)));
                    Ok(judged?.1)
                })
                .await;
        }
        self.change(move |work| {
            let current = work.current.clone();
            let judge = |record: &Record| Ok(options.judge(&current.settings, now_ms, record));
            remove(work, &seqs, RETENTION_APPLIED, &options.why(current.seq), &judge)
        })
        .await
    }
}
