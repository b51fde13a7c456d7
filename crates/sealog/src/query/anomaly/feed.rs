//! Feeding rules from the index: pages of events in the order of `seq`, and of each no more than the rule
//! has to know.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use tantivy::DocId;

use super::found::Place;
use super::rule::GroupBy;
use crate::error::Result;
use crate::index::{Facts, Key, Segment, View, damaged};
use crate::journal::Snapshot;
use crate::query::Selection;
use crate::query::search::{bodies, each_in_tail, weight_of};

/// How many events are fed at once: between two pages the log's file is let go.
const PAGE_EVENTS: usize = 8192;

/// Where an event stands, and the group it is in.
type Each<'e> = &'e mut dyn FnMut(Place, Option<&Arc<str>>);

/// Gives `each` a page of what is selected within `seqs`. Answers the seq up to which everything was
/// looked at.
pub(super) fn page(
    view: &View,
    selection: &Selection,
    group_by: Option<GroupBy>,
    seqs: Range<u64>,
    snapshot: &mut dyn Snapshot,
    each: Each<'_>,
) -> Result<u64> {
    let mut fed = 0;
    let segments: Vec<_> = view.generation.segments.iter().filter(|segment| segment.end_seq() > seqs.start).collect();
    if !segments.is_empty() {
        let weight = weight_of(view, selection, snapshot)?;
        let (from, to) = selection.times();
        for segment in segments {
            let mut found = Vec::new();
            let mut take = |doc, seq| {
                if seq < seqs.end {
                    found.push((doc, seq));
                }
                seq < seqs.end && fed + found.len() < PAGE_EVENTS
            };
            segment.in_order(&*weight, seqs.start, from..to, &mut take).map_err(damaged)?;
            give(segment, &found, group_by, snapshot, each)?;
            fed += found.len();
            if let Some((_, last)) = found.last().filter(|_| fed >= PAGE_EVENTS) {
                return Ok(last + 1);
            }
        }
    }
    let mut next = seqs.end;
    each_in_tail(view, selection, seqs.start, &mut |seq, entry| {
        if seq >= seqs.end {
            return false;
        }
        give_one(group_by, &entry.facts, seq, each);
        fed += 1;
        if fed >= PAGE_EVENTS {
            next = seq + 1;
        }
        fed < PAGE_EVENTS
    })?;
    Ok(next)
}

/// Gives `each` the event, unless it is in no group.
fn give_one(group_by: Option<GroupBy>, facts: &Facts, seq: u64, each: Each<'_>) {
    let place = (facts.timestamp, seq);
    match group_by {
        None => each(place, None),
        Some(by) => {
            if let Some(group) = by.of(facts) {
                each(place, Some(&group.into()));
            }
        }
    }
}

/// Gives `each` documents of a segment: from its columns, where those say enough.
fn give(
    segment: &Segment,
    found: &[(DocId, u64)],
    group_by: Option<GroupBy>,
    snapshot: &mut dyn Snapshot,
    each: Each<'_>,
) -> Result<()> {
    let place = |(doc, seq): (DocId, u64)| (segment.timestamps.get_val(doc), seq);
    match group_by {
        None => found.iter().for_each(|found| each(place(*found), None)),
        Some(GroupBy::Actor) => {
            let Some(column) = segment.values(Key::ActorId).map_err(damaged)? else { return Ok(()) };
            let ords: Vec<_> = found.iter().map(|(doc, _)| column.ords().first(*doc)).collect();
            let mut distinct: Vec<_> = ords.iter().flatten().copied().collect();
            distinct.sort_unstable();
            distinct.dedup();
            let mut names: HashMap<u64, Arc<str>> = HashMap::new();
            let mut next = distinct.iter();
            let read = column.dictionary().sorted_ords_to_term_cb(&distinct, |term| {
                if let Some(ord) = next.next() {
                    names.insert(*ord, String::from_utf8_lossy(term).into());
                }
            });
            read.map_err(|error| damaged(error.into()))?;
            for (found, ord) in found.iter().zip(ords) {
                if let Some(name) = ord.and_then(|ord| names.get(&ord)) {
                    each(place(*found), Some(name));
                }
            }
        }
        Some(_) => {
            let seqs: Vec<_> = found.iter().map(|(_, seq)| *seq).collect();
            bodies(snapshot, &seqs, &mut |index, body| {
                give_one(group_by, &Facts::of_body(body)?.0, seqs[index], each);
                Ok(())
            })?;
        }
    }
    Ok(())
}
