//! Sets of seqs that mostly stand in a row.

use std::fmt;
use std::ops::Range;

/// A set of seqs, as ranges: in order, apart from each other, none empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ranges(Vec<Range<u64>>);

impl Ranges {
    /// Adds `range`.
    pub(crate) fn add(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        // What touches it becomes one with it.
        let first = self.0.partition_point(|other| other.end < range.start);
        let last = first + self.0[first..].partition_point(|other| other.start <= range.end);
        let start = self.0[first..last].first().map_or(range.start, |other| other.start.min(range.start));
        let end = self.0[first..last].last().map_or(range.end, |other| other.end.max(range.end));
        self.0.splice(first..last, std::iter::once(start..end));
    }

    pub(crate) fn add_all(&mut self, other: &Self) {
        let mut all = std::mem::take(&mut self.0);
        all.extend(other.0.iter().cloned());
        // Two runs in order, which sorting merges.
        all.sort_by_key(|range| range.start);
        for range in all {
            match self.0.last_mut().filter(|last| range.start <= last.end) {
                Some(last) => last.end = last.end.max(range.end),
                None => self.0.push(range),
            }
        }
    }

    /// The ranges that have something of `seqs`.
    pub(crate) fn within(&self, seqs: &Range<u64>) -> &[Range<u64>] {
        let first = self.0.partition_point(|range| range.end <= seqs.start);
        let last = first + self.0[first..].partition_point(|range| range.start < seqs.end);
        &self.0[first..last]
    }

    pub(crate) fn contains(&self, seq: u64) -> bool {
        let next = self.0.partition_point(|range| range.end <= seq);
        self.0.get(next).is_some_and(|range| range.start <= seq)
    }

    /// Whether one of `seqs` is in it.
    pub(crate) fn overlaps(&self, seqs: &Range<u64>) -> bool {
        !self.within(seqs).is_empty()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many seqs it has.
    pub(crate) fn len(&self) -> u64 {
        self.0.iter().map(|range| range.end - range.start).sum()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Range<u64>> {
        self.0.iter()
    }

    pub(crate) fn seqs(&self) -> impl Iterator<Item = u64> {
        self.0.iter().cloned().flatten()
    }

    /// Reads what [`Display`](fmt::Display) writes: in order and apart, as it is written.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut ranges = Self::default();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
            let range = first..last.checked_add(1)?;
            if range.is_empty() || ranges.0.last().is_some_and(|before| before.end >= range.start) {
                return None;
            }
            ranges.0.push(range);
        }
        Some(ranges)
    }
}

impl From<Range<u64>> for Ranges {
    fn from(range: Range<u64>) -> Self {
        let mut ranges = Self::default();
        ranges.add(range);
        ranges
    }
}

impl FromIterator<u64> for Ranges {
    fn from_iter<I: IntoIterator<Item = u64>>(seqs: I) -> Self {
        let mut ranges = Self::default();
        seqs.into_iter().for_each(|seq| ranges.add(seq..seq.saturating_add(1)));
        ranges
    }
}

/// `0-99,120,130-140`: the first and the last seq of each range.
impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            if range.end - range.start == 1 {
                write!(f, "{comma}{}", range.start)?;
            } else {
                write!(f, "{comma}{}-{}", range.start, range.end - 1)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn they_hold_what_a_set_holds(added in proptest::collection::vec((0..60_u64, 0..9_u64), 0..12)) {
            let mut ranges = Ranges::default();
            let mut set = BTreeSet::new();
            for (start, length) in added {
                ranges.add(start..start + length);
                set.extend(start..start + length);
            }
            prop_assert_eq!(ranges.seqs().collect::<BTreeSet<_>>(), set.clone());
            prop_assert_eq!(ranges.len(), set.len() as u64);
            prop_assert!((0..80).all(|seq| ranges.contains(seq) == set.contains(&seq)));
            prop_assert!((0..80).all(|seq| ranges.overlaps(&(seq..seq + 3)) == set.range(seq..seq + 3).next().is_some()));
            prop_assert_eq!(set.iter().copied().collect::<Ranges>(), ranges.clone());
            let mut both = set.into_iter().filter(|seq| seq % 3 == 0).collect::<Ranges>();
            both.add_all(&ranges);
            prop_assert_eq!(&both, &ranges);
            if !ranges.is_empty() {
                prop_assert_eq!(Ranges::parse(&ranges.to_string()), Some(ranges));
            }
        }
    }

    #[test]
    fn only_what_is_written_is_read() {
        assert_eq!(Ranges::parse("0-99,120").unwrap().len(), 101);
        for text in ["", ",", "1,1", "2,1", "1-3,4", "5-4", "-1", "a", "1-18446744073709551615"] {
            assert_eq!(Ranges::parse(text), None, "{text}");
        }
    }
}
