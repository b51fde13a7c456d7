//! A query for the one event with a seq, found by the order of the documents rather than by a term.

use tantivy::query::{ConstScorer, EmptyScorer, EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::{DocId, DocSet, Score, SegmentReader, TERMINATED, TantivyError};

#[derive(Debug, Clone)]
pub(crate) struct SeqQuery {
    pub(crate) seq: u64,
    /// The column of seqs.
    pub(crate) column: String,
}

/// One document.
struct One(DocId);

impl DocSet for One {
    fn advance(&mut self) -> DocId {
        self.0 = TERMINATED;
        TERMINATED
    }

    fn doc(&self) -> DocId {
        self.0
    }

    fn size_hint(&self) -> u32 {
        u32::from(self.0 != TERMINATED)
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
        let (mut low, mut high) = (0, reader.max_doc());
        while low < high {
            let middle = low + (high - low) / 2;
            if seqs.get_val(middle) < self.seq {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        if low < reader.max_doc() && seqs.get_val(low) == self.seq {
            return Ok(Box::new(ConstScorer::new(One(low), boost)));
        }
        Ok(Box::new(EmptyScorer))
    }

    fn explain(&self, _: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        Err(TantivyError::InvalidArgument(format!("document {doc} was not scored")))
    }
}
