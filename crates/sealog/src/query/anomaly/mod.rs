//! Anomalies: what rules find in the log.
//!
//! One machine ([`machine`]) serves every way to evaluate: it is fed the events that a rule's filter selects,
//! in the order of `seq`, and tells what it finds. Here it is fed from the index.

mod burst;
mod feed;
mod found;
mod hours;
mod machine;
mod rule;

use std::cmp::Reverse;
use std::collections::HashMap;

use serde::{Deserialize, Serialize};

pub(crate) use found::Found;
pub use found::MAX_FINDING_IDS;
pub(crate) use rule::validate as validate_rules;
pub use rule::{
    DEFAULT_MIN_WEEKS, DEFAULT_SENSITIVITY, GroupBy, HISTORY_WEEKS, MAX_RULE_NAME_BYTES, MAX_RULES, MAX_THRESHOLD,
    MAX_WINDOW_MS, Rule, RuleKind,
};

use super::search::bodies;
use super::{Matcher, Selection, TimeRange};
use crate::error::{Error, Result};
use crate::index::Facts;
use crate::log::AuditLog;
use machine::Machine;

/// The most findings in one answer, the newest; all of them are counted.
pub const MAX_FINDINGS: usize = 10_000;

/// One event of a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FindingEvent {
    /// Its place in the log.
    pub seq: u64,
    /// When it happened, in milliseconds since the Unix epoch.
    pub timestamp: i64,
    /// Its id.
    pub id: String,
}

/// What a [`Rule`] has found, by its definition there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Finding {
    /// The rule's name.
    pub rule: String,
    /// What the rule counts apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_by: Option<GroupBy>,
    /// The actor, address, session or tenant, or the resource as `type/id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// How many events it has.
    pub count: u64,
    /// From how many on it is a finding: in a window, or in the hour.
    pub threshold: u64,
    /// How long a window is, in milliseconds; an hour for unusual activity.
    pub window_ms: i64,
    /// The event that happened first.
    pub first: FindingEvent,
    /// The event that happened last.
    pub last: FindingEvent,
    /// The ids of its events in the order of `seq`, of the first [`MAX_FINDING_IDS`] of them.
    pub ids: Vec<String>,
}

/// What rules have found, the newest by its last event first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Findings {
    /// How many there are, also where they are more than [`MAX_FINDINGS`].
    pub total: u64,
    /// The findings.
    pub findings: Vec<Finding>,
}

impl AuditLog {
    /// What stands now, of all that the rules find in `range`. A threshold stands as long as the window that
    /// ends now holds enough events, an unusual hour until the hour after it is over. Where the range is
    /// over, its end is now.
    ///
    /// ```
    /// use sealog::{AuditLog, Event, Filter, GroupBy, Rule};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> sealog::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// let log = AuditLog::open(dir.path().join("audit.db")).await?;
    /// for _ in 0..5 {
    ///     log.log(Event::new("user.login.failed").actor("u-17")).await?;
    /// }
    ///
    /// let guessing = Rule::new("guessing", Filter::new().action("user.login.failed"), 5, 300_000);
    /// let now = log.detect_anomalies(&[guessing.group_by(GroupBy::Actor)], ..).await?;
    /// assert_eq!((now.findings[0].group.as_deref(), now.findings[0].count), (Some("u-17"), 5));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`AuditLog::search`]; `InvalidArgument` when a rule makes no sense, two have one name, or there
    /// are more than [`MAX_RULES`]. The pointer names the rule's place and the field.
    pub async fn detect_anomalies(&self, rules: &[Rule], range: impl Into<TimeRange>) -> Result<Findings> {
        let range = range.into();
        let now = self.shared.clock.now_ms().min(range.to.saturating_sub(1));
        self.found(rules, range, now).await
    }

    /// All that the rules would have found in `range`, had they been evaluated from its beginning.
    ///
    /// ```
    /// use sealog::{AuditLog, Event, Filter, Rule};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> sealog::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// let log = AuditLog::open(dir.path().join("audit.db")).await?;
    /// for minute in [0, 1, 2, 60, 61, 62, 63] {
    ///     log.log(Event::new("record.exported").timestamp(minute * 60_000)).await?;
    /// }
    ///
    /// let export = Rule::new("export", Filter::new().action("record.exported"), 3, 180_000);
    /// let found = log.backtest(&[export], 0..86_400_000).await?;
    /// assert_eq!(found.findings.iter().map(|finding| finding.count).collect::<Vec<_>>(), [4, 3]);
    /// assert_eq!(found.findings[0].first.timestamp, 60 * 60_000);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`AuditLog::detect_anomalies`].
    pub async fn backtest(&self, rules: &[Rule], range: impl Into<TimeRange>) -> Result<Findings> {
        self.found(rules, range.into(), i64::MIN).await
    }

    /// What the rules find in `range` that stands at `at` or later.
    async fn found(&self, rules: &[Rule], range: TimeRange, at: i64) -> Result<Findings> {
        let evaluation = Evaluation::new(&self.scope, rules, range)?;
        let size = self.size().await?;
        let evaluation = self.evaluate(evaluation, size, at).await?;
        self.told(&evaluation, evaluation.standing(at)).await
    }

    /// Feeds the rules with what is in the log up to `size` and they have not seen. Of what is complete, only
    /// what stands at `at` or later is kept.
    pub(crate) async fn evaluate(&self, mut evaluation: Evaluation, size: u64, at: i64) -> Result<Evaluation> {
        evaluation.complete.retain(at);
        for rule in 0..evaluation.running.len() {
            while evaluation.running[rule].next < size {
                let Running { selection, warm_up, next, .. } = &evaluation.running[rule];
                let (selection, size) = match warm_up {
                    Some((warm_up, since)) if next < since => (warm_up.clone(), size.min(*since)),
                    _ => (selection.clone(), size),
                };
                let fed = self.ask(selection, move |view, selection, snapshot| {
                    let Evaluation { running, complete, live, .. } = &mut evaluation;
                    let Running { machine, group_by, next, .. } = &mut running[rule];
                    *next = feed::page(view, selection, *group_by, *next..size, snapshot, &mut |place, group| {
                        machine.feed(place, group, &mut |found| {
                            if found.raised.until > at {
                                complete.add(found);
                            }
                        });
                        if let Some((since, fresh)) = live
                            && place.1 >= *since
                        {
                            fresh.extend(machine.raised_by(place.1, group));
                        }
                    })?;
                    Ok(evaluation)
                });
                evaluation = fed.await.map_err(|error| match error.pointer() {
                    Some(_) => error.inside(&format!("/{rule}/filter")),
                    None => error,
                })?;
            }
        }
        Ok(evaluation)
    }

    /// The findings as callers get them, with the ids from the journal.
    pub(crate) async fn told(&self, evaluation: &Evaluation, standing: Standing) -> Result<Findings> {
        let of = |found: &Found| {
            let evidence = &found.raised.evidence;
            evidence.seqs.iter().copied().chain([evidence.first.1, evidence.last.1]).collect::<Vec<_>>()
        };
        let mut seqs: Vec<_> = standing.found.iter().flat_map(of).collect();
        seqs.sort_unstable();
        seqs.dedup();
        let ids = self.snapshot(move |snapshot| {
            let mut ids = HashMap::with_capacity(seqs.len());
            bodies(snapshot, &seqs, &mut |index, body| {
                ids.insert(seqs[index], Facts::of_body(body)?.1);
                Ok(())
            })?;
            Ok(ids)
        });
        let ids = ids.await?;
        let findings = standing.found.into_iter().map(|found| finding(&evaluation.rules[found.rule], found, &ids));
        Ok(Findings { total: standing.total, findings: findings.collect() })
    }
}

fn finding(rule: &Rule, found: Found, ids: &HashMap<u64, String>) -> Finding {
    let id = |seq: u64| ids.get(&seq).cloned().unwrap_or_default();
    let event = |(timestamp, seq)| FindingEvent { seq, timestamp, id: id(seq) };
    let evidence = found.raised.evidence;
    let group = found.group.map(|group| match group.split_once('\0') {
        Some((id, kind)) => format!("{kind}/{id}"),
        None => group.to_string(),
    });
    Finding {
        rule: rule.name.clone(),
        group_by: rule.group_by,
        group,
        count: evidence.count,
        threshold: found.raised.threshold,
        window_ms: match rule.kind {
            RuleKind::Threshold { window_ms, .. } => window_ms,
            RuleKind::Unusual { .. } => hours::HOUR_MS,
        },
        first: event(evidence.first),
        last: event(evidence.last),
        ids: evidence.seqs.iter().map(|seq| id(*seq)).collect(),
    }
}

/// Rules at work on a log, and how far each has come.
pub(crate) struct Evaluation {
    rules: Vec<Rule>,
    running: Vec<Running>,
    /// What can no longer grow.
    complete: Collected,
    /// Where rules run live: what events from this seq on have made findings, as it was then.
    live: Option<(u64, Vec<Found>)>,
}

struct Running {
    selection: Selection,
    /// What of the events before a seq it sees, and that seq.
    warm_up: Option<(Selection, u64)>,
    group_by: Option<GroupBy>,
    machine: Machine,
    /// It has seen everything before this seq.
    next: u64,
}

/// The findings that stand at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) found: Vec<Found>,
    total: u64,
    /// When the first of them stands no more.
    pub(crate) until: Option<i64>,
}

impl Standing {
    /// The newest of them; all stay counted.
    pub(crate) fn newest(mut self, most: usize) -> Self {
        self.found.truncate(most);
        self
    }
}

impl Evaluation {
    pub(crate) fn new(scope: &Selection, rules: &[Rule], range: TimeRange) -> Result<Self> {
        rule::validate(rules)?;
        let running = rules.iter().enumerate().map(|(place, rule)| {
            let mut matcher = Matcher::new(&rule.filter)?;
            matcher.from = matcher.from.max(range.from);
            matcher.to = matcher.to.min(range.to);
            matcher.without_own = true;
            let machine = Machine::new(place, rule.kind);
            let selection = scope.and(matcher);
            Ok::<_, Error>(Running { selection, warm_up: None, group_by: rule.group_by, machine, next: 0 })
        });
        let running = running.collect::<Result<_>>()?;
        Ok(Self { rules: rules.to_vec(), running, complete: Collected::default(), live: None })
    }

    /// Rules that run live from `since` on, the log being as of `at_ms` there: of what came before they see enough to
    /// know what goes on.
    pub(crate) fn live(rules: &[Rule], since: u64, at_ms: i64) -> Result<Self> {
        let mut evaluation = Self::new(&Selection::default(), rules, (..).into())?;
        for (rule, running) in rules.iter().zip(&mut evaluation.running) {
            let before = match rule.kind {
                RuleKind::Threshold { window_ms, .. } => window_ms.saturating_mul(2),
                RuleKind::Unusual { .. } => i64::from(HISTORY_WEEKS + 1) * 7 * 24 * hours::HOUR_MS,
            };
            let mut matcher = Matcher::new(&rule.filter)?;
            matcher.from = matcher.from.max(at_ms.saturating_sub(before));
            running.warm_up = Some((running.selection.and(matcher), since));
        }
        evaluation.live = Some((since, Vec::new()));
        Ok(evaluation)
    }

    /// What has become a finding since the last time this was asked.
    pub(crate) fn take_fresh(&mut self) -> Standing {
        let found = self.live.as_mut().map(|(_, fresh)| std::mem::take(fresh)).unwrap_or_default();
        Standing { total: found.len() as u64, found, until: None }
    }

    /// The findings that stand at `at` or later, those that may still grow among them.
    pub(crate) fn standing(&self, at: i64) -> Standing {
        let mut all = Collected::default();
        self.complete.found.iter().filter(|found| found.raised.until > at).for_each(|found| all.add(found.clone()));
        // What was too much to keep was counted.
        all.total += self.complete.total - self.complete.found.len() as u64;
        for running in &self.running {
            running.machine.open(|raised| raised.until > at, |found| all.add(found));
        }
        all.newest();
        let until = all.found.iter().map(|found| found.raised.until).min();
        Standing { found: all.found, total: all.total, until }
    }
}

/// Findings: all are counted, and the newest [`MAX_FINDINGS`] kept.
#[derive(Default)]
struct Collected {
    found: Vec<Found>,
    total: u64,
}

impl Collected {
    fn add(&mut self, found: Found) {
        self.found.push(found);
        self.total += 1;
        if self.found.len() >= 2 * MAX_FINDINGS {
            self.newest();
        }
    }

    /// Puts the newest first, and drops what is too much.
    fn newest(&mut self) {
        self.found.sort_by_key(|found| (Reverse(found.raised.evidence.last), found.rule));
        self.found.truncate(MAX_FINDINGS);
    }

    /// Keeps what stands at `at` or later.
    fn retain(&mut self, at: i64) {
        let before = self.found.len();
        self.found.retain(|found| found.raised.until > at);
        // What was dropped was older, and stands no more than these do.
        self.total = if self.found.is_empty() { 0 } else { self.total - (before - self.found.len()) as u64 };
    }
}
