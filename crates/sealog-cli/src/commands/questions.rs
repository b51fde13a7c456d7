//! What the demo asks of its log.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use sealog::{AuditLog, Filter, Findings, PageOptions, Record, Rule, Stats, StatsOptions};
use serde_json::{Value, json};

use super::{anomalies, history, stats};
use crate::failure::Failure;
use crate::render::{self, BOLD, DIM, GOOD};

/// Asked with `count`.
const COUNTED: &str = "outcome:denied";
/// Asked with `search`: words, in a row.
const SEARCHED: &str = "\"wrong password\" severity>=warning";
/// How many events and versions are shown.
const SHOWN: usize = 3;
/// How wide charts and events are.
const CHART_COLUMNS: usize = 92;
const EVENT_COLUMNS: usize = 112;

/// The answers.
pub(super) struct Questions {
    denied: u64,
    found: Vec<Record>,
    stats: Stats,
    findings: Findings,
    took: Duration,
    record: Option<RecordsPast>,
}

/// One resource's past.
struct RecordsPast {
    kind: String,
    id: String,
    versions: Vec<Record>,
    /// Just before the newest of them.
    at: i64,
    before: Option<Value>,
}

/// Asks.
pub(super) async fn ask(log: &AuditLog, recent: &[Record]) -> Result<Questions, Failure> {
    let started = Instant::now();
    let page = PageOptions::new().limit(SHOWN);
    let denied = log.count(&Filter::parse(COUNTED, 0)?).await?;
    let found = log.search(&Filter::parse(SEARCHED, 0)?, &page).await?.events;
    let stats = log.stats(.., &Filter::new(), &StatsOptions::new().top(SHOWN)).await?;
    let record = match most_changed(recent) {
        Some((kind, id)) => {
            let versions = log.history(kind, id, &page).await?.events;
            let at = versions.first().map_or(0, |newest| newest.timestamp() - 1);
            let (kind, id, before) = (kind.to_owned(), id.to_owned(), log.state_at(kind, id, at).await?.state);
            Some(RecordsPast { kind, id, versions, at, before })
        }
        None => None,
    };
    let mut findings = log.backtest(&Rule::built_in(), ..).await?;
    findings.findings.truncate(SHOWN);
    Ok(Questions { denied, found, stats, findings, took: started.elapsed(), record })
}

/// The resource that was changed most often, the latest of them.
fn most_changed(recent: &[Record]) -> Option<(&str, &str)> {
    let mut changes: HashMap<_, (usize, u64)> = HashMap::new();
    for record in recent.iter().filter(|record| record.before.is_some() && record.after.is_some()) {
        if let Some(resource) = record.resource_type.as_deref().zip(record.resource_id.as_deref()) {
            let (count, newest) = changes.entry(resource).or_default();
            (*count, *newest) = (*count + 1, record.seq());
        }
    }
    changes.into_iter().max_by_key(|(_, order)| *order).map(|(resource, _)| resource)
}

impl Questions {
    pub(super) fn json(&self) -> Value {
        let seqs = |records: &[Record]| records.iter().map(Record::seq).collect::<Vec<_>>();
        json!({
            "denied": self.denied, "found": seqs(&self.found), "bySeverity": self.stats.by_severity,
            "findings": self.findings.total,
            "history": self.record.as_ref().map(|record| json!({
                "resourceType": record.kind, "resourceId": record.id, "seqs": seqs(&record.versions),
            })),
        })
    }

    pub(super) fn millis(&self) -> f64 {
        self.took.as_secs_f64() * 1e3
    }

    /// A count and a search, each below its command.
    pub(super) fn found(&self, text: &mut String) {
        command(text, &format!("count {COUNTED}"));
        let _ = writeln!(text, "  {GOOD}{}{GOOD:#}\n", self.denied);
        command(text, &format!("search {} -n {SHOWN}", render::quoted(SEARCHED)));
        self.found.iter().for_each(|record| text.push_str(&render::line(record, Some(EVENT_COLUMNS))));
    }

    pub(super) fn statistics(&self, text: &mut String) {
        command(text, "stats");
        text.push_str(&stats::severities(&self.stats, CHART_COLUMNS));
        text.push('\n');
        text.push_str(&stats::over_time(&self.stats, CHART_COLUMNS));
    }

    /// What the rules have found, newest first.
    pub(super) fn anomalies(&self, text: &mut String) {
        command(text, &format!("anomalies -n {SHOWN}"));
        text.push_str(&anomalies::table(&self.findings.findings, &Rule::built_in(), Some(CHART_COLUMNS)));
    }

    pub(super) fn has_anomalies(&self) -> bool {
        self.findings.total > 0
    }

    /// A resource's newest versions, and its state before the last of them.
    pub(super) fn past(&self, text: &mut String) {
        let Some(record) = &self.record else { return };
        command(text, &format!("history {} {} -n {SHOWN}", record.kind, record.id));
        record.versions.iter().for_each(|version| text.push_str(&history::version(version, Some(CHART_COLUMNS))));
        if let Some(state) = &record.before {
            text.push('\n');
            command(text, &format!("state {} {} --at '{}'", record.kind, record.id, render::time(record.at, true)));
            for line in serde_json::to_string_pretty(state).unwrap_or_default().lines() {
                let _ = writeln!(text, "  {}", render::safe(line));
            }
        }
    }

    pub(super) fn has_past(&self) -> bool {
        self.record.is_some()
    }
}

/// A command above what it answers.
pub(super) fn command(text: &mut String, command: &str) {
    let _ = writeln!(text, "  {DIM}${DIM:#} {BOLD}sealog {command}{BOLD:#}");
}
