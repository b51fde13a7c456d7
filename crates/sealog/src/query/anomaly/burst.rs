//! The rule with a threshold, for one group.

use std::collections::VecDeque;

use super::found::{Evidence, Place, Raised};

/// What is known of a group.
#[derive(Debug, Default)]
pub(super) struct Bursts {
    /// The newest events of the window that ends at the latest one, in the order of time. No more than the
    /// threshold: with so many there is an alarm, whatever else the window holds.
    window: VecDeque<Place>,
    burst: Option<Box<Burst>>,
    /// Whether the last event raised an alarm.
    alarmed: bool,
}

/// Alarms that share events.
#[derive(Debug)]
struct Burst {
    raised: Raised,
    /// The latest timestamp when the last alarm was raised.
    latest: i64,
    /// All events before this seq that belong to it are counted.
    counted_to: u64,
}

impl Bursts {
    /// Takes the next event. Answers the finding that is complete by it.
    pub(super) fn feed(&mut self, threshold: u64, window_ms: i64, place: Place) -> Option<Raised> {
        let latest = self.window.back().map_or(place.0, |(latest, _)| (*latest).max(place.0));
        let before = latest.saturating_sub(window_ms);
        if place.0 <= before {
            return None;
        }
        self.window.insert(self.window.partition_point(|other| *other < place), place);
        while self.window.front().is_some_and(|(time, _)| *time <= before) {
            self.window.pop_front();
        }
        let alarmed = std::mem::replace(&mut self.alarmed, self.window.len() as u64 >= threshold);
        if !self.alarmed {
            return None;
        }
        // The latest event of the last alarm is in this one as well, or none is.
        let goes_on = self.burst.as_ref().is_some_and(|burst| burst.latest > before);
        let complete = if goes_on { None } else { self.burst.take() };
        let burst = self.burst.get_or_insert_with(|| {
            let raised = Raised { evidence: Evidence::new(), threshold, until: i64::MIN, by: place.1 };
            Box::new(Burst { raised, latest, counted_to: 0 })
        });
        if goes_on && alarmed {
            burst.raised.evidence.add(place);
        } else {
            let mut fresh: Vec<_> = self.window.iter().filter(|(_, seq)| *seq >= burst.counted_to).copied().collect();
            fresh.sort_unstable_by_key(|(_, seq)| *seq);
            for place in fresh {
                burst.raised.evidence.add(place);
            }
        }
        if self.window.len() as u64 > threshold {
            self.window.pop_front();
        }
        burst.raised.until = self.window.front().map_or(latest, |(time, _)| *time).saturating_add(window_ms);
        (burst.latest, burst.counted_to) = (latest, place.1 + 1);
        complete.map(|burst| burst.raised)
    }

    /// The finding that may still grow.
    pub(super) fn open(&self) -> Option<&Raised> {
        self.burst.as_ref().map(|burst| &burst.raised)
    }

    /// How many events it remembers.
    pub(super) fn remembered(&self) -> usize {
        self.window.len() + self.open().map_or(0, |raised| raised.evidence.seqs.len())
    }
}
