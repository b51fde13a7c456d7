//! The tail: events that the index on disk does not hold yet, in memory.

use std::collections::VecDeque;
use std::hash::{Hash as _, Hasher as _};
use std::ops::Range;
use std::sync::Arc;

use rustc_hash::FxHasher;

use super::best::{Best, Times};
use super::facts::{Facts, Key};
use crate::error::Result;
use crate::event::Severity;
use crate::query::Selection;
use crate::ranges::Ranges;

/// Events of one chunk, at the most. A chunk that a reader holds is copied when it grows.
const CHUNK_EVENTS: usize = 512;

/// What the tail takes in memory at the most, in bytes: past it, those who write wait.
const MAX_TAIL_BYTES: usize = 64 * 1024 * 1024;

/// An event in memory.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) facts: Arc<Facts>,
    /// All the bodies of its batch, and where in them its own is.
    bodies: Arc<Vec<u8>>,
    range: Range<usize>,
}

impl Entry {
    pub(crate) fn new(facts: Arc<Facts>, bodies: Arc<Vec<u8>>, range: Range<usize>) -> Self {
        Self { facts, bodies, range }
    }

    /// Its canonical JSON.
    pub(crate) fn body(&self) -> &[u8] {
        &self.bodies[self.range.clone()]
    }

    fn bytes(&self) -> usize {
        self.range.len() + self.facts.bytes()
    }
}

/// Neighbouring events, with what most filters ask for in columns.
#[derive(Debug, Clone)]
pub(crate) struct Chunk {
    first_seq: u64,
    timestamps: Vec<i64>,
    severities: Vec<Severity>,
    /// A hash of the text of each key, 0 where there is none: it rules out, and the facts decide.
    hashes: [Vec<u32>; Key::ALL.len()],
    /// `None` where the event was removed.
    pub(crate) entries: Vec<Option<Entry>>,
    /// The earliest and the latest timestamp.
    pub(crate) times: Times,
    bytes: usize,
}

impl Chunk {
    fn new(first_seq: u64) -> Self {
        Self {
            first_seq,
            timestamps: Vec::new(),
            severities: Vec::new(),
            hashes: std::array::from_fn(|_| Vec::new()),
            entries: Vec::new(),
            times: Times::NONE,
            bytes: 0,
        }
    }

    pub(crate) fn seqs(&self) -> Range<u64> {
        self.first_seq..self.first_seq + self.entries.len() as u64
    }

    /// `bytes` is what the entry takes in memory.
    fn push(&mut self, entry: Option<Entry>, bytes: usize) {
        let facts = entry.as_ref().map(|entry| &entry.facts);
        self.severities.push(facts.map(|facts| facts.severity).unwrap_or_default());
        for key in Key::ALL {
            self.hashes[key as usize].push(facts.and_then(|facts| facts.text(key)).map_or(0, hash));
        }
        self.timestamps.push(facts.map(|facts| facts.timestamp).unwrap_or_default());
        if let Some(timestamp) = facts.map(|facts| facts.timestamp) {
            self.times = self.times.with(timestamp, timestamp);
        }
        self.bytes += bytes;
        self.entries.push(entry);
    }

    /// This chunk with other entries in some places.
    fn with(&self, mut entry_at: impl FnMut(u64) -> Option<Option<Entry>>) -> Self {
        let mut chunk = Self::new(self.first_seq);
        for (seq, entry) in (self.first_seq..).zip(&self.entries) {
            let entry = entry_at(seq).unwrap_or_else(|| entry.clone());
            let bytes = entry.as_ref().map_or(0, Entry::bytes);
            chunk.push(entry, bytes);
        }
        chunk
    }

    /// The events from `seqs` that `scan` selects, in order, each with its seq.
    pub(crate) fn select(
        &self,
        seqs: Range<u64>,
        scan: &Scan<'_>,
        each: &mut dyn FnMut(u64, &Entry) -> bool,
    ) -> Result<()> {
        for index in self.candidates(seqs, scan) {
            if let Some(entry) = self.selected(index, scan)?
                && !each(self.first_seq + index as u64, entry)
            {
                break;
            }
        }
        Ok(())
    }

    /// Offers the events from `seqs` that `scan` selects, from the end at which the best most likely are.
    pub(crate) fn best(&self, seqs: Range<u64>, scan: &Scan<'_>, best: &mut Best) -> Result<()> {
        let mut candidates = self.candidates(seqs, scan);
        let newest_first = best.newest_first();
        while let Some(index) = if newest_first { candidates.next_back() } else { candidates.next() } {
            let timestamp = self.timestamps[index];
            if best.wants(Times { first: timestamp, last: timestamp }) && self.selected(index, scan)?.is_some() {
                best.offer(timestamp, || self.first_seq + index as u64);
            }
        }
        Ok(())
    }

    /// Where those stand that need to be looked at.
    fn candidates(&self, seqs: Range<u64>, scan: &Scan<'_>) -> impl DoubleEndedIterator<Item = usize> {
        let at = |seq: u64| (seq.saturating_sub(self.first_seq) as usize).min(self.entries.len());
        // Most often there is one key with one value, and most events have another one.
        let first = scan.hashes.first().and_then(|(key, wanted)| match wanted[..] {
            [wanted] => Some((&self.hashes[*key as usize][..], wanted)),
            _ => None,
        });
        (at(seqs.start)..at(seqs.end))
            .filter(move |index| first.is_none_or(|(hashes, wanted)| hashes[*index] == wanted))
    }

    /// The event there, if `scan` selects it.
    fn selected(&self, index: usize, scan: &Scan<'_>) -> Result<Option<&Entry>> {
        let in_columns = scan.severities.is_none_or(|wanted| wanted[self.severities[index] as usize])
            && scan.hashes.iter().all(|(key, wanted)| wanted.contains(&self.hashes[*key as usize][index]));
        let Some(entry) = self.entries[index].as_ref().filter(|_| in_columns) else { return Ok(None) };
        let is_selected = scan.selection.facts(&entry.facts) && scan.selection.documents(entry.body())?;
        Ok(is_selected.then_some(entry))
    }
}

/// A selection, made ready to be asked of many chunks.
pub(crate) struct Scan<'s> {
    selection: &'s Selection,
    severities: Option<[bool; 4]>,
    hashes: Vec<(Key, Vec<u32>)>,
}

impl<'s> Scan<'s> {
    pub(crate) fn new(selection: &'s Selection) -> Self {
        let mut scan = Self { selection, severities: None, hashes: Vec::new() };
        for matcher in selection.matchers() {
            if !matcher.severities.is_empty() {
                let mut wanted = scan.severities.unwrap_or([true; 4]);
                for severity in Severity::ALL {
                    wanted[severity as usize] &= matcher.severities.contains(&severity);
                }
                scan.severities = Some(wanted);
            }
            for (key, values) in &matcher.keys {
                if *key != Key::Action || !values.iter().any(|value| value.ends_with('*')) {
                    scan.hashes.push((*key, values.iter().map(|value| hash(value)).collect()));
                }
            }
        }
        scan
    }
}

/// Never 0.
fn hash(text: &str) -> u32 {
    let mut hasher = FxHasher::default();
    text.hash(&mut hasher);
    (hasher.finish() >> 32) as u32 | 1
}

/// The chunks, oldest first, without a gap between them.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    chunks: VecDeque<Arc<Chunk>>,
    start: u64,
    end: u64,
    /// An estimate of what it takes in memory.
    bytes: usize,
}

impl Tail {
    /// An empty tail that begins at `seq`.
    pub(crate) fn at(seq: u64) -> Self {
        Self { chunks: VecDeque::new(), start: seq, end: seq, bytes: 0 }
    }

    /// The seq from which on it holds everything.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// The seq after its last event.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Whether those who write must wait.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes > MAX_TAIL_BYTES
    }

    pub(crate) fn events(&self) -> u64 {
        self.end - self.start
    }

    /// Takes the events from `first_seq` on that it does not hold yet. Answers whether there was no gap.
    pub(crate) fn push(&mut self, first_seq: u64, entries: impl IntoIterator<Item = Option<Entry>>) -> bool {
        if first_seq > self.end {
            return false;
        }
        let known = (self.end - first_seq) as usize;
        for entry in entries.into_iter().skip(known) {
            if self.chunks.back().is_none_or(|chunk| chunk.entries.len() >= CHUNK_EVENTS) {
                self.chunks.push_back(Arc::new(Chunk::new(self.end)));
            }
            if let Some(chunk) = self.chunks.back_mut() {
                let bytes = entry.as_ref().map_or(0, Entry::bytes);
                self.bytes += bytes;
                Arc::make_mut(chunk).push(entry, bytes);
                self.end += 1;
            }
        }
        true
    }

    /// Takes other entries for some of the seqs.
    pub(crate) fn replace(&mut self, seqs: &Ranges, mut entry_at: impl FnMut(u64) -> Option<Entry>) {
        for chunk in self.chunks.iter_mut().filter(|chunk| seqs.overlaps(&chunk.seqs())) {
            self.bytes -= chunk.bytes;
            *chunk = Arc::new(chunk.with(|seq| seqs.contains(seq).then(|| entry_at(seq))));
            self.bytes += chunk.bytes;
        }
    }

    /// Takes out the chunks that end before `seq`.
    pub(crate) fn take_before(&mut self, seq: u64) -> Vec<Arc<Chunk>> {
        let mut taken = Vec::new();
        while let Some(chunk) = self.chunks.pop_front_if(|chunk| chunk.seqs().end <= seq) {
            self.bytes -= chunk.bytes;
            self.start = chunk.seqs().end;
            taken.push(chunk);
        }
        taken
    }

    /// The chunks that hold events from `seq` on.
    pub(crate) fn from(&self, seq: u64) -> Vec<Arc<Chunk>> {
        self.chunks.iter().skip_while(|chunk| chunk.seqs().end <= seq).cloned().collect()
    }
}
