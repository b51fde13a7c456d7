//! Queries for a term, which remember where it stands in each segment.
//!
//! To look a term up, its whole block of the term dictionary is unpacked. The newest events of one actor are looked for
//! in many segments, and the same questions are asked again and again.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::FxHashMap;
use tantivy::index::SegmentId;
use tantivy::postings::TermInfo;
use tantivy::query::{AllWeight, ConstScorer, EmptyScorer, EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::schema::IndexRecordOption;
use tantivy::{DocId, Score, SegmentReader, TantivyError, Term};

/// So many terms and segments are remembered; past that, all are forgotten. Each takes some hundred bytes.
const MAX_KNOWN: usize = 16_384;

/// Where terms stand in the segments of one generation.
#[derive(Default)]
pub(crate) struct Terms(Mutex<FxHashMap<(SegmentId, Term), Option<TermInfo>>>);

impl Terms {
    fn find(&self, reader: &SegmentReader, term: &Term) -> tantivy::Result<Option<TermInfo>> {
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (reader.segment_id(), term.clone());
        if let Some(found) = known().get(&place) {
            return Ok(found.clone());
        }
        let found = reader.inverted_index(term.field())?.get_term_info(term)?;
        let mut known = known();
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(place, found.clone());
        Ok(found)
    }
}

impl fmt::Debug for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terms").finish_non_exhaustive()
    }
}

/// The events with one term, without scores.
#[derive(Debug, Clone)]
pub(super) struct KnownTermQuery {
    pub(super) term: Term,
    pub(super) terms: Arc<Terms>,
}

impl Query for KnownTermQuery {
    fn weight(&self, _: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(self.clone()))
    }
}

impl Weight for KnownTermQuery {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        match self.terms.find(reader, &self.term)? {
            None => Ok(Box::new(EmptyScorer)),
            Some(place) if place.doc_freq == reader.max_doc() => AllWeight.scorer(reader, boost),
            Some(place) => {
                let index = reader.inverted_index(self.term.field())?;
                let postings = index.read_postings_from_terminfo(&place, IndexRecordOption::Basic)?;
                Ok(Box::new(ConstScorer::new(postings, boost)))
            }
        }
    }

    fn count(&self, reader: &SegmentReader) -> tantivy::Result<u32> {
        match reader.alive_bitset() {
            Some(alive) => Ok(self.scorer(reader, 1.0)?.count(alive)),
            None => Ok(self.terms.find(reader, &self.term)?.map_or(0, |place| place.doc_freq)),
        }
    }

    fn explain(&self, _: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        Err(TantivyError::InvalidArgument(format!("document {doc} was not scored")))
    }
}
