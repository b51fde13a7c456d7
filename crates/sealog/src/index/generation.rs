//! One committed state of the index on disk.

use std::collections::HashMap;
use std::sync::Arc;

use tantivy::Searcher;

use super::damaged;
use super::schema::Fields;
use super::segment::Segment;
use super::term_query::Terms;
use crate::error::Result;

/// The segments, in the order of their events: all events before `next_seq`.
pub(crate) struct Generation {
    pub(crate) fields: Arc<Fields>,
    pub(crate) searcher: Searcher,
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) next_seq: u64,
    pub(crate) full_text: bool,
    pub(crate) terms: Arc<Terms>,
}

impl Generation {
    /// Opens the segments of `searcher`; those that `before` has open are taken from there.
    pub(crate) fn new(
        fields: Arc<Fields>,
        searcher: Searcher,
        next_seq: u64,
        full_text: bool,
        before: Option<&Self>,
    ) -> Result<Self> {
        let open: HashMap<_, _> = before
            .iter()
            .flat_map(|before| &before.segments)
            .map(|segment| ((segment.reader.segment_id(), segment.reader.delete_opstamp()), segment))
            .collect();
        let segments = searcher.segment_readers().iter().map(|reader| {
            match open.get(&(reader.segment_id(), reader.delete_opstamp())) {
                Some(segment) => Ok(Arc::clone(segment)),
                None => Segment::open(reader.clone(), &fields).map(Arc::new),
            }
        });
        let mut segments: Vec<_> = segments.collect::<tantivy::Result<_>>().map_err(damaged)?;
        segments.sort_by_key(|segment| segment.first_seq());
        Ok(Self { fields, searcher, segments, next_seq, full_text, terms: Arc::default() })
    }
}
