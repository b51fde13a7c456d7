//! Queries for all events of some ranges of seqs or of some segments, found by the order of the documents rather
//! than by terms.

use std::ops::Range;
use std::sync::Arc;

use tantivy::index::SegmentId;
use tantivy::query::{ConstScorer, EmptyScorer, EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::{DocId, DocSet, Score, SegmentReader, TERMINATED, TantivyError};

use super::segment::first_from;
use crate::ranges::Ranges;

#[derive(Debug, Clone)]
pub(crate) struct SeqQuery {
    pub(crate) seqs: Arc<Ranges>,
    /// The column of seqs.
    pub(crate) column: String,
}

/// Runs of neighbouring documents, in order; none is empty.
struct Runs(std::vec::IntoIter<Range<DocId>>, Range<DocId>);

impl DocSet for Runs {
    fn advance(&mut self) -> DocId {
        self.seek(self.1.start.saturating_add(1))
    }

    fn seek(&mut self, target: DocId) -> DocId {
        while self.1.end <= target {
            let Some(run) = self.0.next() else {
                self.1 = TERMINATED..TERMINATED;
                return TERMINATED;
            };
            self.1 = run;
        }
        self.1.start = target.max(self.1.start);
        self.doc()
    }

    fn doc(&self) -> DocId {
        self.1.start
    }

    fn size_hint(&self) -> u32 {
        (self.1.len() + self.0.as_slice().iter().map(Range::len).sum::<usize>()) as u32
    }
}

impl Query for SeqQuery {
    fn weight(&self, _: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(self.clone()))
    }
}

impl Weight for SeqQuery {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let seqs = reader.fast_fields().u64(&self.column)?.first_or_default_col(0);
        let last = seqs.num_vals().checked_sub(1);
        let held = last.map_or(0..0, |last| seqs.get_val(0)..seqs.get_val(last) + 1);
        let docs =
            self.seqs.within(&held).iter().map(|range| first_from(&*seqs, range.start)..first_from(&*seqs, range.end));
        let mut docs = docs.filter(|docs| !docs.is_empty()).collect::<Vec<_>>().into_iter();
        match docs.next() {
            Some(first) => Ok(Box::new(ConstScorer::new(Runs(docs, first), boost))),
            None => Ok(Box::new(EmptyScorer)),
        }
    }

    fn explain(&self, _: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        Err(TantivyError::InvalidArgument(format!("document {doc} was not scored")))
    }
}

/// All events of these segments: what has been written anew elsewhere is deleted by it.
#[derive(Debug, Clone)]
pub(crate) struct SegmentsQuery(pub(crate) Vec<SegmentId>);

impl Query for SegmentsQuery {
    fn weight(&self, _: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(self.clone()))
    }
}

impl Weight for SegmentsQuery {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        if !self.0.contains(&reader.segment_id()) {
            return Ok(Box::new(EmptyScorer));
        }
        Ok(Box::new(ConstScorer::new(Runs(Vec::new().into_iter(), 0..reader.max_doc()), boost)))
    }

    fn explain(&self, _: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        Err(TantivyError::InvalidArgument(format!("document {doc} was not scored")))
    }
}
