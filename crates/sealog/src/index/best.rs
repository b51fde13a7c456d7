//! The best of what several sources offer: the newest events, or the oldest, behind a cursor.

use std::collections::BinaryHeap;

/// A stretch of time, both ends in it, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) first: i64,
    pub(crate) last: i64,
}

impl Times {
    pub(crate) const NONE: Times = Times { first: i64::MAX, last: i64::MIN };

    /// With these as well.
    pub(crate) fn with(self, first: i64, last: i64) -> Self {
        Self { first: self.first.min(first), last: self.last.max(last) }
    }
}

/// In which order events are answered; ties of the timestamp by `seq`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Order {
    /// The latest timestamp first.
    #[default]
    NewestFirst,
    /// The earliest timestamp first.
    OldestFirst,
}

/// Where an event stands among all: its timestamp and its seq.
pub(crate) type Place = (i64, u64);

/// Keeps the best of the places it is offered, and knows what it need not be offered any more.
#[derive(Debug)]
pub(crate) struct Best {
    order: Order,
    limit: usize,
    /// Places with a better rank come before the cursor; so does the cursor's own.
    after: Option<Place>,
    /// From the first timestamp to the last.
    times: Times,
    /// Ranks, the worst on top.
    kept: BinaryHeap<Place>,
}

impl Best {
    /// At most `limit` places behind `after`, from `from` and before `to`.
    pub(crate) fn new(order: Order, limit: usize, after: Option<Place>, (from, to): (i64, i64)) -> Self {
        let times = Times { first: from, last: to.saturating_sub(1) };
        let after = after.map(|place| rank(order, place));
        Self { order, limit, after, times, kept: BinaryHeap::with_capacity(limit + 1) }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn newest_first(&self) -> bool {
        self.order == Order::NewestFirst
    }

    /// Whether an event between these times might be kept.
    pub(crate) fn wants(&self, times: Times) -> bool {
        if times.first > self.times.last || times.last < self.times.first {
            return false;
        }
        let (first, last) = match self.order {
            Order::NewestFirst => (!times.last, !times.first),
            Order::OldestFirst => (times.first, times.last),
        };
        self.after.is_none_or(|after| last >= after.0)
            && (self.kept.len() < self.limit || self.kept.peek().is_some_and(|worst| first <= worst.0))
    }

    /// Keeps the place if it is among the best. `seq` is asked for only when it might be.
    pub(crate) fn offer(&mut self, timestamp: i64, seq: impl FnOnce() -> u64) {
        if !self.wants(Times { first: timestamp, last: timestamp }) {
            return;
        }
        let rank = rank(self.order, (timestamp, seq()));
        if self.after.is_some_and(|after| rank <= after) {
            return;
        }
        if self.kept.len() < self.limit {
            self.kept.push(rank);
        } else if let Some(mut worst) = self.kept.peek_mut()
            && rank < *worst
        {
            *worst = rank;
        }
    }

    /// The places, best first.
    pub(crate) fn into_places(self) -> Vec<Place> {
        let order = self.order;
        self.kept.into_sorted_vec().into_iter().map(|place| rank(order, place)).collect()
    }
}

/// The better, the smaller. Its own inverse.
fn rank(order: Order, (timestamp, seq): Place) -> Place {
    match order {
        Order::NewestFirst => (!timestamp, !seq),
        Order::OldestFirst => (timestamp, seq),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_best_are_those_that_sorting_gives(
            times in proptest::collection::vec(-9..9_i64, 0..40),
            (limit, newest, from, to) in (1..9_usize, any::<bool>(), -9..9_i64, -9..12_i64),
            after in proptest::option::of((-9..9_i64, 0..40_u64)),
        ) {
            let order = if newest { Order::NewestFirst } else { Order::OldestFirst };
            let mut best = Best::new(order, limit, after, (from, to));
            for (seq, time) in times.iter().enumerate() {
                best.offer(*time, || seq as u64);
            }
            let mut places: Vec<_> = times.iter().copied().zip(0..).filter(|(time, _)| (from..to).contains(time)).collect();
            places.sort_by_key(|place| rank(order, *place));
            places.retain(|place| after.is_none_or(|after| rank(order, *place) > rank(order, after)));
            places.truncate(limit);
            prop_assert_eq!(best.into_places(), places);
        }
    }
}
