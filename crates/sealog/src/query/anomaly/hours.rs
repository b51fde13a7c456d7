//! The rule for unusual activity, for one group.

use std::collections::VecDeque;

use super::found::{Evidence, Place, Raised};
use super::rule::HISTORY_WEEKS;

pub(super) const HOUR_MS: i64 = 60 * 60 * 1000;
const WEEK_HOURS: i64 = 7 * 24;
/// The standard deviation of a normal distribution, in median absolute deviations.
const DEVIATION_PER_MAD: f64 = 1.4826;

/// What is known of a group. Hours are numbered from the Unix epoch.
#[derive(Debug, Default)]
pub(super) struct Hours {
    /// The first hour with an event.
    first: Option<i64>,
    /// Hours that can no longer grow and had events, with their counts.
    past: VecDeque<(i64, u64)>,
    /// The latest hour and the one before it, those with events, in order.
    open: Vec<Hour>,
}

#[derive(Debug)]
struct Hour {
    number: i64,
    raised: Raised,
}

impl Hours {
    /// Takes the next event. Answers the findings that are complete by it, at most two.
    pub(super) fn feed(&mut self, sensitivity: f64, min_weeks: u32, place: Place) -> Vec<Raised> {
        let number = place.0.div_euclid(HOUR_MS);
        let latest = self.open.last().map_or(number, |hour| hour.number.max(number));
        let mut complete = Vec::new();
        if number < latest - 1 {
            return complete;
        }
        let at = match self.open.iter().position(|hour| hour.number == number) {
            Some(at) => at,
            None => self.begin(number, latest, sensitivity, min_weeks, &mut complete),
        };
        let raised = &mut self.open[at].raised;
        raised.evidence.add(place);
        if raised.evidence.count == raised.threshold {
            raised.by = place.1;
        }
        complete
    }

    /// Begins an hour, and ends those that can no longer grow. Answers where it is.
    fn begin(
        &mut self,
        number: i64,
        latest: i64,
        sensitivity: f64,
        min_weeks: u32,
        complete: &mut Vec<Raised>,
    ) -> usize {
        while self.open.first().is_some_and(|hour| hour.number < latest - 1) {
            let hour = self.open.remove(0);
            self.past.push_back((hour.number, hour.raised.evidence.count));
            complete.extend(Some(hour.raised).filter(is_unusual));
        }
        let oldest = latest - 1 - WEEK_HOURS * i64::from(HISTORY_WEEKS);
        while self.past.front().is_some_and(|(hour, _)| *hour < oldest) {
            self.past.pop_front();
        }
        let first = self.first.map_or(number, |first| first.min(number));
        self.first = Some(first);
        let threshold = threshold(&self.before(number, first), sensitivity, min_weeks);
        let until = number.saturating_add(2).saturating_mul(HOUR_MS);
        let at = self.open.partition_point(|hour| hour.number < number);
        self.open
            .insert(at, Hour { number, raised: Raised { evidence: Evidence::new(), threshold, until, by: u64::MAX } });
        at
    }

    /// The counts of the same hour in the weeks before.
    fn before(&self, number: i64, first: i64) -> Vec<u64> {
        let hours = (1..=i64::from(HISTORY_WEEKS)).map(|week| number - week * WEEK_HOURS);
        let counts = hours.filter(|hour| *hour >= first).map(|hour| {
            let found = self.past.binary_search_by_key(&hour, |(hour, _)| *hour);
            found.map_or(0, |at| self.past[at].1)
        });
        counts.collect()
    }

    /// The findings that may still grow.
    pub(super) fn open(&self) -> impl Iterator<Item = &Raised> {
        self.open.iter().map(|hour| &hour.raised).filter(|raised| is_unusual(raised))
    }

    /// How many hours and events it remembers.
    pub(super) fn remembered(&self) -> usize {
        self.past.len() + self.open.iter().map(|hour| 1 + hour.raised.evidence.seqs.len()).sum::<usize>()
    }
}

fn is_unusual(raised: &Raised) -> bool {
    raised.evidence.count >= raised.threshold
}

/// From how many events on an hour is unusual after these counts; out of reach where they are too few.
pub(super) fn threshold(before: &[u64], sensitivity: f64, min_weeks: u32) -> u64 {
    if before.len() < min_weeks as usize {
        return u64::MAX;
    }
    let counts: Vec<f64> = before.iter().map(|count| *count as f64).collect();
    let middle = median(counts.clone());
    let mad = median(counts.iter().map(|count| (count - middle).abs()).collect());
    let deviation = (DEVIATION_PER_MAD * mad).max(middle.sqrt()).max(1.0);
    ((middle + sensitivity * deviation).floor() as u64).saturating_add(1)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let half = values.len() / 2;
    if values.len().is_multiple_of(2) { f64::midpoint(values[half - 1], values[half]) } else { values[half] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_is_robust() {
        assert_eq!(threshold(&[], 3.5, 1), u64::MAX);
        assert_eq!(threshold(&[10, 10], 3.5, 3), u64::MAX);
        // One wild week changes little: the median is 101, and its square root is more than the deviations.
        assert_eq!(threshold(&[100, 99, 101, 102, 1000], 1.0, 3), 101 + 10 + 1);
        assert_eq!(threshold(&[100, 50, 150, 200], 1.0, 3), (125.0_f64 + 1.4826 * 50.0) as u64 + 1);
        assert_eq!(threshold(&[0, 0, 0], 3.5, 3), 4, "nobody was ever there");
    }
}
