//! What a rule has found, as the machine tells it: with places in the log instead of ids.

use std::sync::Arc;

/// The most ids that a [`Finding`](super::Finding) names. Its count is of all events.
pub const MAX_FINDING_IDS: usize = 100;

/// Where an event stands: its timestamp and its seq.
pub(super) type Place = (i64, u64);

/// Events of a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Evidence {
    pub(super) count: u64,
    pub(super) first: Place,
    pub(super) last: Place,
    /// The first of them in the order of `seq`.
    pub(super) seqs: Vec<u64>,
}

impl Evidence {
    pub(super) fn new() -> Self {
        Self { count: 0, first: (i64::MAX, u64::MAX), last: (i64::MIN, 0), seqs: Vec::new() }
    }

    /// Adds an event; they come in the order of `seq`.
    pub(super) fn add(&mut self, place: Place) {
        self.count += 1;
        self.first = self.first.min(place);
        self.last = self.last.max(place);
        if self.seqs.len() < MAX_FINDING_IDS {
            self.seqs.push(place.1);
        }
    }
}

/// What a group has of a finding: all but the rule and the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Raised {
    pub(super) evidence: Evidence,
    /// How many events were too many.
    pub(super) threshold: u64,
    /// Until when it stands, if nothing else happens: the first millisecond at which it does not.
    pub(super) until: i64,
    /// The seq of the event that made it a finding, as soon as one did.
    pub(super) by: u64,
}

/// A finding of one of many rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Which rule.
    pub(super) rule: usize,
    pub(super) group: Option<Arc<str>>,
    pub(super) raised: Raised,
}
