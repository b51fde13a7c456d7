//! Statistics: exact at every size.

use std::collections::HashMap;
use std::ops::{Bound, Range, RangeBounds};

use serde::{Deserialize, Deserializer, Serialize};
use tantivy::DocId;
use tantivy::columnar::BytesColumn;

use super::Selection;
use super::search::{clip, each_in_tail, weight_of};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Severity;
use crate::index::{Key, Segment, View, damaged, first_values};
use crate::journal::Snapshot;
use crate::object::object;

/// How many actions and actors the top lists have unless told otherwise.
pub const DEFAULT_TOP: usize = 10;
/// The longest top list.
pub const MAX_TOP: usize = 1000;
/// The most buckets of a series.
pub const MAX_BUCKETS: usize = 10_000;
/// A series has at most so many buckets when their length is chosen for it.
const CHOSEN_BUCKETS: i64 = 100;
/// The lengths to choose from, in milliseconds: seconds, minutes, hours, days, weeks.
const BUCKET_LENGTHS_MS: [i64; 16] = {
    const S: i64 = 1000;
    const M: i64 = 60 * S;
    const H: i64 = 60 * M;
    const D: i64 = 24 * H;
    [S, 5 * S, 15 * S, 30 * S, M, 5 * M, 15 * M, 30 * M, H, 3 * H, 6 * H, 12 * H, D, 7 * D, 28 * D, 364 * D]
};

/// A range of time, in milliseconds since the Unix epoch. Any Rust range is one: `from..to`, `from..`,
/// `..`. In JSON it is `{"from": …, "to": …}`, the first millisecond and the first one after, without the
/// end that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(into = "Ends")]
pub struct TimeRange {
    pub(super) from: i64,
    pub(super) to: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ends {
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<i64>,
}

impl<'de> Deserialize<'de> for TimeRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        object::<Ends, D>(deserializer).map(Self::from)
    }
}

impl From<Ends> for TimeRange {
    fn from(ends: Ends) -> Self {
        Self { from: ends.from.unwrap_or(i64::MIN), to: ends.to.unwrap_or(i64::MAX) }
    }
}

impl From<TimeRange> for Ends {
    fn from(range: TimeRange) -> Self {
        Self { from: range.start(), to: range.end() }
    }
}

impl TimeRange {
    /// The first millisecond, where there is one.
    pub fn start(self) -> Option<i64> {
        Some(self.from).filter(|from| *from != i64::MIN)
    }

    /// The first millisecond after it, where there is one.
    pub fn end(self) -> Option<i64> {
        Some(self.to).filter(|to| *to != i64::MAX)
    }

    /// What is in this range and between the two.
    pub(crate) fn within(self, from: Option<i64>, to: Option<i64>) -> Self {
        let Range { start, end } = clip((self.from, self.to), &(from.unwrap_or(i64::MIN)..to.unwrap_or(i64::MAX)));
        Self { from: start, to: end }
    }
}

impl<R: RangeBounds<i64>> From<R> for TimeRange {
    fn from(range: R) -> Self {
        let after = |bound: &i64| bound.saturating_add(1);
        let from = match range.start_bound() {
            Bound::Included(from) => *from,
            Bound::Excluded(before) => after(before),
            Bound::Unbounded => i64::MIN,
        };
        let to = match range.end_bound() {
            Bound::Included(last) => after(last),
            Bound::Excluded(to) => *to,
            Bound::Unbounded => i64::MAX,
        };
        Self { from, to }
    }
}

/// How statistics are made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct StatsOptions {
    /// How many actions and actors the top lists have; [`DEFAULT_TOP`] unless given, at most [`MAX_TOP`].
    pub top: usize,
    /// The length of a bucket of the series, in milliseconds. Unless given, a length that reads well is
    /// chosen so that there are at most a hundred. Buckets begin at multiples of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket_ms: Option<i64>,
}

impl Default for StatsOptions {
    fn default() -> Self {
        Self { top: DEFAULT_TOP, bucket_ms: None }
    }
}

impl StatsOptions {
    /// The usual.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how long the top lists are.
    pub fn top(mut self, top: usize) -> Self {
        self.top = top;
        self
    }

    /// Sets the length of a bucket, in milliseconds.
    pub fn bucket_ms(mut self, ms: i64) -> Self {
        self.bucket_ms = Some(ms);
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.top > MAX_TOP {
            let message = format!("the top lists have at most {MAX_TOP} entries, and this asks for {}", self.top);
            return Err(Error::field(ErrorKind::InvalidArgument, "/top", message));
        }
        if let Some(ms) = self.bucket_ms.filter(|ms| *ms <= 0) {
            let message = format!("a bucket is at least 1 millisecond long, and this is {ms}");
            return Err(Error::field(ErrorKind::InvalidArgument, "/bucketMs", message));
        }
        Ok(())
    }
}

/// How many events of each severity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BySeverity {
    /// Everyday life.
    pub info: u64,
    /// Worth a look.
    pub warning: u64,
    /// Something failed that should not have.
    pub error: u64,
    /// Somebody should be woken up.
    pub critical: u64,
}

impl BySeverity {
    pub(crate) fn of(counts: [u64; 4]) -> Self {
        let [info, warning, error, critical] = counts;
        Self { info, warning, error, critical }
    }

    /// The count of one severity.
    pub fn get(&self, severity: Severity) -> u64 {
        match severity {
            Severity::Info => self.info,
            Severity::Warning => self.warning,
            Severity::Error => self.error,
            Severity::Critical => self.critical,
        }
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.info + self.warning + self.error + self.critical
    }
}

/// A value and how many events have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TopEntry {
    /// The action, or the actor's id.
    pub value: String,
    /// How many events.
    pub count: u64,
}

/// A stretch of the series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Bucket {
    /// Its first millisecond, since the Unix epoch.
    pub start: i64,
    /// How many events it has.
    pub by_severity: BySeverity,
}

/// Statistics of what a filter selects: what [`AuditLog::stats`](crate::AuditLog::stats) answers. All
/// counts are exact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Stats {
    /// How many events.
    pub total: u64,
    /// How many of each severity.
    pub by_severity: BySeverity,
    /// The most frequent actions, the most frequent first; of equally many, in the order of their bytes.
    pub top_actions: Vec<TopEntry>,
    /// The actors with the most events, in the same order. Events without an actor are in no entry.
    pub top_actors: Vec<TopEntry>,
    /// How long a bucket of the series is, in milliseconds.
    pub bucket_ms: i64,
    /// How many events over time, from the first bucket to the last, empty ones included. It spans the
    /// range, or the selected events where the range has no end.
    pub series: Vec<Bucket>,
}

/// Counts what is selected.
pub(crate) fn stats(
    view: &View,
    selection: &Selection,
    range: TimeRange,
    options: &StatsOptions,
    snapshot: &mut dyn Snapshot,
) -> Result<Stats> {
    let times = clip(selection.times(), &(range.from..range.to));
    let weight = weight_of(view, selection, snapshot)?;
    let mut counts = Counts::default();
    let mut span = (i64::MAX, i64::MIN);
    if times.start == i64::MIN || times.end == i64::MAX {
        // An end is not given: where do the selected events lie?
        for segment in &view.generation.segments {
            segment
                .all(&*weight, &times, &mut |docs| {
                    for doc in docs {
                        let time = segment.timestamps.get_val(*doc);
                        span = (span.0.min(time), span.1.max(time));
                    }
                })
                .map_err(damaged)?;
        }
        each_in_tail(view, selection, 0, &mut |_, entry| {
            let time = entry.facts.timestamp;
            if times.contains(&time) {
                span = (span.0.min(time), span.1.max(time));
            }
            true
        })?;
    }
    let first = if times.start == i64::MIN { span.0 } else { times.start };
    let last = if times.end == i64::MAX { span.1 } else { times.end.saturating_sub(1) };
    let mut series = Series::new(first, last, options.bucket_ms)?;

    for segment in &view.generation.segments {
        counts.segment(segment, &*weight, &times, &mut series)?;
    }
    each_in_tail(view, selection, 0, &mut |_, entry| {
        let facts = &entry.facts;
        if times.contains(&facts.timestamp) {
            counts.severities[facts.severity as usize] += 1;
            series.add(facts.timestamp, facts.severity as usize);
            for (key, map) in [(Key::Action, &mut counts.actions), (Key::ActorId, &mut counts.actors)] {
                if let Some(text) = facts.text(key) {
                    *map.entry(text.into()).or_default() += 1;
                }
            }
        }
        true
    })?;
    let by_severity = BySeverity::of(counts.severities);
    Ok(Stats {
        total: by_severity.total(),
        by_severity,
        top_actions: top(counts.actions, options.top),
        top_actors: top(counts.actors, options.top),
        bucket_ms: series.length,
        series: series.into_buckets(),
    })
}

#[derive(Default)]
struct Counts {
    severities: [u64; 4],
    actions: HashMap<Box<str>, u64>,
    actors: HashMap<Box<str>, u64>,
}

impl Counts {
    fn segment(
        &mut self,
        segment: &Segment,
        weight: &dyn tantivy::query::Weight,
        times: &Range<i64>,
        series: &mut Series,
    ) -> Result<()> {
        let actions = segment.values(Key::Action).map_err(damaged)?;
        let actors = segment.values(Key::ActorId).map_err(damaged)?;
        let mut action_counts = vec![0; actions.as_ref().map_or(0, BytesColumn::num_terms)];
        let mut actor_counts = vec![0; actors.as_ref().map_or(0, BytesColumn::num_terms)];
        let (mut severities, mut timestamps, mut ords) = (Vec::new(), Vec::new(), Vec::new());
        segment
            .all(weight, times, &mut |docs: &[DocId]| {
                severities.resize(docs.len(), 0);
                segment.severities.get_vals(docs, &mut severities);
                timestamps.resize(docs.len(), 0);
                segment.timestamps.get_vals(docs, &mut timestamps);
                for (severity, timestamp) in severities.iter().zip(&timestamps) {
                    let severity = (*severity as usize).min(3);
                    self.severities[severity] += 1;
                    series.add(*timestamp, severity);
                }
                for (column, counts) in [(&actions, &mut action_counts), (&actors, &mut actor_counts)] {
                    let Some(column) = column else { continue };
                    first_values(column.ords(), docs, &mut ords);
                    for ord in ords.iter().flatten() {
                        counts[*ord as usize] += 1;
                    }
                }
            })
            .map_err(damaged)?;
        for (column, counts, map) in
            [(&actions, &action_counts, &mut self.actions), (&actors, &actor_counts, &mut self.actors)]
        {
            if let Some(column) = column {
                add_by_value(column, counts, map).map_err(|error| damaged(error.into()))?;
            }
        }
        Ok(())
    }
}

/// Adds the counts of a segment's values to those of all segments.
fn add_by_value(column: &BytesColumn, counts: &[u64], map: &mut HashMap<Box<str>, u64>) -> std::io::Result<()> {
    let ords: Vec<u64> = (0..).zip(counts).filter(|(_, count)| **count > 0).map(|(ord, _)| ord).collect();
    let mut next = ords.iter();
    column.dictionary().sorted_ords_to_term_cb(&ords, |term| {
        if let Some(ord) = next.next() {
            let (value, count) = (String::from_utf8_lossy(term), counts[*ord as usize]);
            match map.get_mut(&*value) {
                Some(sum) => *sum += count,
                None => drop(map.insert(value.into(), count)),
            }
        }
    })?;
    Ok(())
}

/// The values with the highest counts, the highest first; of equal ones, in the order of their bytes.
pub(super) fn top(counts: HashMap<Box<str>, u64>, limit: usize) -> Vec<TopEntry> {
    let mut entries: Vec<_> = counts.into_iter().map(|(value, count)| (std::cmp::Reverse(count), value)).collect();
    if entries.len() > limit {
        entries.select_nth_unstable(limit);
        entries.truncate(limit);
    }
    entries.sort_unstable();
    entries.into_iter().map(|(count, value)| TopEntry { value: value.into(), count: count.0 }).collect()
}

/// Buckets of one length.
struct Series {
    length: i64,
    /// The number of the first bucket since the epoch.
    first: i64,
    counts: Vec<[u64; 4]>,
}

impl Series {
    /// From the bucket that holds `first` to the one that holds `last`; none when `last` is before.
    fn new(first: i64, last: i64, length: Option<i64>) -> Result<Self> {
        let buckets = |length: i64| i128::from(last.div_euclid(length)) - i128::from(first.div_euclid(length)) + 1;
        let fits = |length: &i64| buckets(*length) <= i128::from(CHOSEN_BUCKETS);
        let length = length.or_else(|| BUCKET_LENGTHS_MS.into_iter().find(fits)).unwrap_or_else(|| {
            // Longer than a hundred years: whole multiples of the longest.
            let longest = BUCKET_LENGTHS_MS[BUCKET_LENGTHS_MS.len() - 1];
            let times = buckets(longest) / i128::from(CHOSEN_BUCKETS) + 1;
            longest.saturating_mul(i64::try_from(times).unwrap_or(i64::MAX))
        });
        let count = if first > last { 0 } else { buckets(length) };
        if count > MAX_BUCKETS as i128 {
            let message = format!(
                "the series would have {count} buckets of {length} milliseconds; the limit is {MAX_BUCKETS}: \
                 take longer ones, or a shorter range"
            );
            return Err(Error::field(ErrorKind::InvalidArgument, "/bucketMs", message));
        }
        let counts = vec![[0; 4]; usize::try_from(count).unwrap_or(0)];
        Ok(Self { length, first: first.div_euclid(length), counts })
    }

    fn add(&mut self, timestamp: i64, severity: usize) {
        let index = timestamp.div_euclid(self.length) - self.first;
        if let Some(counts) = usize::try_from(index).ok().and_then(|index| self.counts.get_mut(index)) {
            counts[severity] += 1;
        }
    }

    fn into_buckets(self) -> Vec<Bucket> {
        let starts = (self.first..).map(|number| number.saturating_mul(self.length));
        starts.zip(self.counts).map(|(start, counts)| Bucket { start, by_severity: BySeverity::of(counts) }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_read_well_and_are_few() {
        let day = 86_400_000;
        for (span, length) in
            [(1_000, 1_000), (3_600_000, 60_000), (day, 900_000), (90 * day, day), (3650 * day, 364 * day)]
        {
            let series = Series::new(0, span - 1, None).unwrap();
            assert_eq!(series.length, length, "{span}");
            assert!(series.counts.len() <= 100);
        }
        assert_eq!(Series::new(1, 0, None).unwrap().counts.len(), 0);
        assert!(Series::new(i64::MIN, i64::MAX, None).unwrap().counts.len() <= 101);
        assert!(Series::new(0, day, Some(1)).is_err());
        let mut series = Series::new(-1, 1, Some(10)).unwrap();
        series.add(-1, 0);
        series.add(0, 3);
        let starts: Vec<_> =
            series.into_buckets().iter().map(|bucket| (bucket.start, bucket.by_severity.total())).collect();
        assert_eq!(starts, [(-10, 1), (0, 1)]);
    }

    #[test]
    fn the_top_is_in_one_order() {
        let counts = [("b", 2), ("a", 2), ("c", 3), ("d", 1)].map(|(value, count)| (value.into(), count));
        let top: Vec<_> = top(counts.into(), 3).into_iter().map(|entry| entry.value).collect();
        assert_eq!(top, ["c", "a", "b"]);
    }

    #[test]
    fn every_range_is_a_time_range() {
        assert_eq!(TimeRange::from(1..3), TimeRange { from: 1, to: 3 });
        assert_eq!(TimeRange::from(1..=3), TimeRange { from: 1, to: 4 });
        assert_eq!(TimeRange::from(..), TimeRange { from: i64::MIN, to: i64::MAX });
    }
}
