//! What is asked of the log: which events, how many, in which order.

mod anomaly;
mod api;
mod compact;
mod filter;
mod matcher;
mod needle;
mod page;
mod params;
mod search;
mod stats;
mod suggest;
#[cfg(test)]
mod tests;
mod text;

use std::sync::Arc;

pub use anomaly::{
    DEFAULT_MIN_WEEKS, DEFAULT_SENSITIVITY, Finding, FindingEvent, Findings, GroupBy, HISTORY_WEEKS, MAX_FINDING_IDS,
    MAX_FINDINGS, MAX_RULE_NAME_BYTES, MAX_RULES, MAX_THRESHOLD, MAX_WINDOW_MS, Rule, RuleKind,
};
pub(crate) use anomaly::{Evaluation, Standing, validate_rules};
pub use api::StateAt;
pub(crate) use filter::Network;
pub use filter::{Filter, MAX_FILTER_VALUE_BYTES, MAX_FILTER_VALUES, Resource};
pub(crate) use matcher::{Matcher, action_prefix};
pub(crate) use needle::Needle;
pub use page::{DEFAULT_PAGE_EVENTS, EventPage, MAX_PAGE_EVENTS, PageOptions};
pub(crate) use search::{best, bodies, count, in_order, records};
pub(crate) use stats::stats;
pub use stats::{Bucket, BySeverity, DEFAULT_TOP, MAX_BUCKETS, MAX_TOP, Stats, StatsOptions, TimeRange, TopEntry};
pub use suggest::{MAX_SUGGESTIONS, SuggestField};

use crate::error::Result;
use crate::event::Record;
use crate::index::Facts;

/// The filters that an event must all pass: those of the scope, and that of the query.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selection {
    matchers: Vec<Arc<Matcher>>,
}

impl Selection {
    /// This selection, and in it only what `matcher` selects.
    pub(crate) fn and(&self, matcher: Matcher) -> Self {
        let mut matchers = self.matchers.clone();
        matchers.push(Arc::new(matcher));
        Self { matchers }
    }

    pub(crate) fn matchers(&self) -> impl Iterator<Item = &Matcher> {
        self.matchers.iter().map(|matcher| &**matcher)
    }

    /// The first millisecond that an event may have, and the first one after.
    pub(crate) fn times(&self) -> (i64, i64) {
        let from = self.matchers().map(|matcher| matcher.from).max().unwrap_or(i64::MIN);
        (from, self.matchers().map(|matcher| matcher.to).min().unwrap_or(i64::MAX))
    }

    /// Whether every event passes.
    pub(crate) fn is_whole(&self) -> bool {
        self.matchers.is_empty()
    }

    /// Whether a stored event passes.
    pub(crate) fn record(&self, record: &Record) -> Result<bool> {
        if self.is_whole() {
            return Ok(true);
        }
        let body = record.canonical_json().as_bytes();
        Ok(self.facts(&Facts::of_body(body)?.0) && self.documents(body)?)
    }

    pub(crate) fn facts(&self, facts: &Facts) -> bool {
        self.matchers().all(|matcher| matcher.facts(facts))
    }

    pub(crate) fn documents(&self, body: &[u8]) -> Result<bool> {
        for matcher in self.matchers() {
            if !matcher.documents(body)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
