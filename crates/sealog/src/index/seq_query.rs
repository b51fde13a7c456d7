//! A query for the events of a range of seqs, found by the order of the documents rather than by terms.

use std::ops::Range;

use tantivy::query::{ConstScorer, EmptyScorer, EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::{DocId, DocSet, Score, SegmentReader, TERMINATED, TantivyError};

use super::segment::first_from;

#[derive(Debug, Clone)]
pub(crate) struct SeqQuery {
    pub(crate) seqs: Range<u64>,
    /// The column of seqs.
    pub(crate) column: String,
}

/// Neighbouring documents.
struct Run(Range<DocId>);

impl DocSet for Run {
    fn advance(&mut self) -> DocId {
        self.seek(self.0.start.saturating_add(1))
    }

    fn seek(&mut self, target: DocId) -> DocId {
        self.0.start = target.max(self.0.start).min(self.0.end);
        self.doc()
    }

    fn doc(&self) -> DocId {
        if self.0.is_empty() { TERMINATED } else { self.0.start }
    }

    fn size_hint(&self) -> u32 {
        self.0.len() as u32
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
        let docs = first_from(&*seqs, self.seqs.start)..first_from(&*seqs, self.seqs.end);
        if docs.is_empty() {
            return Ok(Box::new(EmptyScorer));
        }
        Ok(Box::new(ConstScorer::new(Run(docs), boost)))
    }

    fn explain(&self, _: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        Err(TantivyError::InvalidArgument(format!("document {doc} was not scored")))
    }
}
