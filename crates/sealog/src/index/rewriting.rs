//! Segments on their way to disk: of new events, and written anew without what was removed.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use tantivy::index::{SegmentId, SegmentMeta};
use tantivy::indexer::{AddOperation, SegmentWriter};

use super::damaged;
use super::facts::Facts;
use super::schema::{Fields, IndexDocument};
use super::segment::Segment;
use super::tail::Entry;
use crate::error::{Error, ErrorKind, Result};
use crate::journal::Reader;
use crate::log::missing_event;

/// Events read from the journal at once.
pub(super) const STRIDE_EVENTS: u64 = 1024;
/// What tantivy is told of its memory. The segments here are bounded by their events and by their bytes instead.
pub(super) const WRITER_BYTES: usize = 64 * 1024 * 1024;

/// A segment that is being written.
pub(super) struct NewSegment {
    segment: tantivy::Segment,
    writer: SegmentWriter,
}

impl NewSegment {
    /// The one that was begun, or a new one: without an event there is none.
    pub(super) fn begun<'s>(begun: &'s mut Option<Self>, index: &tantivy::Index) -> Result<&'s mut Self> {
        match begun {
            Some(segment) => Ok(segment),
            none => {
                let segment = index.new_segment();
                let writer = SegmentWriter::for_segment(WRITER_BYTES, segment.clone()).map_err(damaged)?;
                Ok(none.insert(Self { segment, writer }))
            }
        }
    }

    pub(super) fn add(&mut self, fields: &Arc<Fields>, seq: u64, entry: &Entry, full_text: bool) -> Result<()> {
        let document = IndexDocument::new(fields.clone(), seq, entry.facts.clone(), entry.body(), full_text)?;
        self.writer.add_document(AddOperation { opstamp: 0, document }).map_err(damaged)
    }

    pub(super) fn finish(self, index: &tantivy::Index) -> Result<SegmentMeta> {
        let docs = self.writer.max_doc();
        self.writer.finalize().map_err(damaged)?;
        Ok(index.new_segment_meta(self.segment.id(), docs))
    }
}

/// A segment that is to be replaced.
pub(super) struct Old {
    pub(super) id: SegmentId,
    pub(super) docs: u64,
}

impl Old {
    pub(super) fn of(segment: &Segment) -> Self {
        let docs = u64::from(segment.reader.num_docs());
        Self { id: segment.reader.segment_id(), docs }
    }
}

/// Segments that are being written anew.
pub(super) struct Purge {
    /// Until it has ended.
    pub(super) thread: Option<JoinHandle<Result<Vec<Option<SegmentMeta>>>>>,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) old: Vec<Old>,
    /// What the receipts before this seq cover is left out.
    pub(super) removed_to: u64,
}

impl Purge {
    pub(super) fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

/// Before somebody else may write into the folder.
impl Drop for Purge {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Writes segments anew, from the journal as it is now.
pub(super) struct Rewrite {
    pub(super) stop: Arc<AtomicBool>,
    pub(super) journal: Reader,
    pub(super) index: tantivy::Index,
    pub(super) fields: Arc<Fields>,
    pub(super) full_text: bool,
    /// What comes into each new segment, in order.
    pub(super) seqs: Vec<Vec<Range<u64>>>,
}

impl Rewrite {
    /// The new segments, where anything is left.
    pub(super) fn run(mut self) -> Result<Vec<Option<SegmentMeta>>> {
        let mut written = Vec::with_capacity(self.seqs.len());
        for ranges in std::mem::take(&mut self.seqs) {
            let mut new: Option<NewSegment> = None;
            let strides = ranges.into_iter().flat_map(|seqs| {
                let end = seqs.end;
                seqs.step_by(STRIDE_EVENTS as usize).map(move |from| (from, end.min(from + STRIDE_EVENTS)))
            });
            for (from, to) in strides {
                if self.stop.load(Ordering::Acquire) {
                    return Err(Error::new(ErrorKind::Closed, "the index is written by nobody any more"));
                }
                for (seq, entry) in (from..).zip(entries(&mut self.journal, from, to)?) {
                    let Some(entry) = entry else { continue };
                    let segment = NewSegment::begun(&mut new, &self.index)?;
                    segment.add(&self.fields, seq, &entry, self.full_text)?;
                }
            }
            written.push(new.map(|new| new.finish(&self.index)).transpose()?);
        }
        Ok(written)
    }
}

/// The events `from..to` of the journal; `None` where one was removed.
pub(super) fn entries(journal: &mut Reader, from: u64, to: u64) -> Result<Vec<Option<Entry>>> {
    let mut bodies = Vec::new();
    let mut facts = Vec::with_capacity((to - from) as usize);
    journal.snapshot(|snapshot| {
        snapshot.rows(from, to, &mut |seq, row| {
            if seq != from + facts.len() as u64 {
                return Err(missing_event(from + facts.len() as u64));
            }
            let start = bodies.len();
            bodies.extend_from_slice(row.body);
            let of_body = (!row.body.is_empty()).then(|| Facts::of_body(row.body)).transpose()?;
            facts.push(of_body.map(|(facts, _)| (facts, start..bodies.len())));
            Ok(())
        })
    })?;
    let bodies = Arc::new(bodies);
    let entry = |(facts, range)| Entry::new(Arc::new(facts), bodies.clone(), range);
    Ok(facts.into_iter().map(|found: Option<_>| found.map(entry)).collect())
}
