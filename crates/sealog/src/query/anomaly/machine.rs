//! The machine that rules run in. Whoever evaluates rules, over a range or as events come, feeds it the
//! events that a rule's filter selects, in the order of `seq`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::burst::Bursts;
use super::found::{Found, Place, Raised};
use super::hours::Hours;
use super::rule::RuleKind;

/// How many groups a rule remembers.
const MAX_GROUPS: usize = 100_000;
/// How many events and hours a rule remembers, in all groups together.
const MAX_REMEMBERED: usize = 1_000_000;

/// One rule at work.
#[derive(Debug)]
pub(crate) struct Machine {
    /// Which of many rules it is.
    rule: usize,
    kind: RuleKind,
    groups: HashMap<Option<Arc<str>>, Group>,
    /// The groups by the seq of their last event, so that the one that was silent for longest is forgotten.
    by_last: BTreeMap<u64, Option<Arc<str>>>,
    remembered: usize,
    max_groups: usize,
    max_remembered: usize,
}

#[derive(Debug)]
struct Group {
    last_seq: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    Bursts(Bursts),
    Hours(Hours),
}

impl State {
    fn new(kind: RuleKind) -> Self {
        match kind {
            RuleKind::Threshold { .. } => Self::Bursts(Bursts::default()),
            RuleKind::Unusual { .. } => Self::Hours(Hours::default()),
        }
    }

    fn remembered(&self) -> usize {
        match self {
            Self::Bursts(bursts) => bursts.remembered(),
            Self::Hours(hours) => hours.remembered(),
        }
    }

    fn open(&self) -> impl Iterator<Item = &Raised> {
        let (burst, hours) = match self {
            Self::Bursts(bursts) => (bursts.open(), None),
            Self::Hours(hours) => (None, Some(hours.open())),
        };
        burst.into_iter().chain(hours.into_iter().flatten())
    }
}

impl Machine {
    pub(super) fn new(rule: usize, kind: RuleKind) -> Self {
        Self {
            rule,
            kind,
            groups: HashMap::new(),
            by_last: BTreeMap::new(),
            remembered: 0,
            max_groups: MAX_GROUPS,
            max_remembered: MAX_REMEMBERED,
        }
    }

    /// Takes the next event, and gives `complete` what can no longer grow.
    pub(super) fn feed(&mut self, place: Place, group: Option<&Arc<str>>, complete: &mut dyn FnMut(Found)) {
        let (rule, key) = (self.rule, group.cloned());
        let found = |raised| Found { rule, group: group.cloned(), raised };
        let kind = self.kind;
        let group =
            self.groups.entry(key.clone()).or_insert_with(|| Group { last_seq: place.1, state: State::new(kind) });
        self.by_last.remove(&group.last_seq);
        group.last_seq = place.1;
        self.by_last.insert(place.1, key);
        self.remembered -= group.state.remembered();
        match (&mut group.state, kind) {
            (State::Bursts(bursts), RuleKind::Threshold { threshold, window_ms }) => {
                bursts.feed(threshold, window_ms, place).into_iter().map(found).for_each(&mut *complete);
            }
            (State::Hours(hours), RuleKind::Unusual { sensitivity, min_weeks }) => {
                hours.feed(sensitivity, min_weeks, place).into_iter().map(found).for_each(&mut *complete);
            }
            _ => unreachable!("a state is of the rule's kind"),
        }
        self.remembered += group.state.remembered();
        while self.groups.len() > self.max_groups || (self.remembered > self.max_remembered && self.groups.len() > 1) {
            self.forget(complete);
        }
    }

    /// What the event at `seq`, the last one of its group, has made a finding.
    pub(super) fn raised_by(&self, seq: u64, group: Option<&Arc<str>>) -> Option<Found> {
        let state = &self.groups.get(&group.cloned())?.state;
        let raised = state.open().find(|raised| raised.by == seq)?.clone();
        Some(Found { rule: self.rule, group: group.cloned(), raised })
    }

    /// Forgets the group that was silent for longest; what it has found stays found.
    fn forget(&mut self, complete: &mut dyn FnMut(Found)) {
        let Some((_, key)) = self.by_last.pop_first() else { return };
        let Some(group) = self.groups.remove(&key) else { return };
        self.remembered -= group.state.remembered();
        for raised in group.state.open() {
            complete(Found { rule: self.rule, group: key.clone(), raised: raised.clone() });
        }
    }

    /// Gives `each` the findings that may still grow, as far as they are wanted.
    pub(super) fn open(&self, wanted: impl Fn(&Raised) -> bool, mut each: impl FnMut(Found)) {
        for (group, state) in self.groups.iter().map(|(key, group)| (key, &group.state)) {
            for raised in state.open().filter(|raised| wanted(raised)) {
                each(Found { rule: self.rule, group: group.clone(), raised: raised.clone() });
            }
        }
    }
}

#[cfg(test)]
mod tests;
