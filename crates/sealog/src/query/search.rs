//! Asking the index and the tail as one.

use std::ops::Range;

use super::Selection;
use crate::error::Result;
use crate::event::Record;
use crate::index::{Best, Entry, Order, Place, Scan, View, damaged, weight};
use crate::journal::Snapshot;
use crate::log::{missing_event, record_of};

/// Events that are no farther apart are read at once, since the journal packs neighbours together.
const NEAR_SEQS: u64 = 64;

/// The first `limit` places of what is selected, in this order, behind `after`.
pub(crate) fn best(
    view: &View,
    selection: &Selection,
    order: Order,
    after: Option<Place>,
    limit: usize,
    snapshot: &mut dyn Snapshot,
) -> Result<Vec<Place>> {
    let mut best = Best::new(order, limit, after, selection.times());
    let scan = Scan::new(selection);
    // From the end at which the best most likely are, so that the rest need not be looked at.
    let mut chunks: Vec<_> = view.chunks.iter().collect();
    if order == Order::NewestFirst {
        chunks.reverse();
    }
    let tail = |best: &mut Best| -> Result<()> {
        for chunk in &chunks {
            if best.wants(chunk.times) {
                chunk.best(view.generation.next_seq..view.size, &scan, best)?;
            }
        }
        Ok(())
    };
    let mut index = |best: &mut Best| -> Result<()> {
        let mut segments: Vec<_> = view.generation.segments.iter().collect();
        segments.sort_by_key(|segment| match order {
            Order::NewestFirst => !segment.times().last,
            Order::OldestFirst => segment.times().first,
        });
        segments.retain(|segment| best.wants(segment.times()));
        if segments.is_empty() {
            return Ok(());
        }
        let weight = weight_of(view, selection, snapshot)?;
        for segment in segments {
            segment.best(&*weight, best).map_err(damaged)?;
        }
        Ok(())
    };
    if order == Order::NewestFirst {
        tail(&mut best)?;
        index(&mut best)?;
    } else {
        index(&mut best)?;
        tail(&mut best)?;
    }
    Ok(best.into_places())
}

/// The seqs of what is selected, in order and from `seq` on, at most `limit`; and the seq up to which
/// everything was looked at.
pub(crate) fn in_order(
    view: &View,
    selection: &Selection,
    seq: u64,
    limit: usize,
    snapshot: &mut dyn Snapshot,
) -> Result<(Vec<u64>, u64)> {
    let mut found = Vec::new();
    let (from, to) = selection.times();
    if view.generation.segments.iter().any(|segment| segment.end_seq() > seq) {
        let weight = weight_of(view, selection, snapshot)?;
        for segment in view.generation.segments.iter().filter(|segment| segment.end_seq() > seq) {
            let mut each = |_, seq| {
                found.push(seq);
                found.len() < limit
            };
            segment.in_order(&*weight, seq, from..to, &mut each).map_err(damaged)?;
            if found.len() >= limit {
                break;
            }
        }
    }
    if found.len() < limit {
        each_in_tail(view, selection, seq, &mut |seq, _| {
            found.push(seq);
            found.len() < limit
        })?;
    }
    let next = found.last().filter(|_| found.len() >= limit).map_or(view.size.max(seq), |last| last + 1);
    Ok((found, next))
}

/// Gives `each` what is selected in the tail, from `seq` on and in order, until it has enough.
pub(crate) fn each_in_tail(
    view: &View,
    selection: &Selection,
    seq: u64,
    each: &mut dyn FnMut(u64, &Entry) -> bool,
) -> Result<()> {
    let scan = Scan::new(selection);
    let mut goes_on = true;
    for chunk in &view.chunks {
        chunk.select(seq.max(view.generation.next_seq)..view.size, &scan, &mut |seq, entry| {
            goes_on = each(seq, entry);
            goes_on
        })?;
        if !goes_on {
            break;
        }
    }
    Ok(())
}

/// How many events are selected.
pub(crate) fn count(view: &View, selection: &Selection, snapshot: &mut dyn Snapshot) -> Result<u64> {
    let mut count = count_in_segments(view, selection, snapshot)?;
    each_in_tail(view, selection, 0, &mut |_, _| {
        count += 1;
        true
    })?;
    Ok(count)
}

/// How many of the events that are selected stand in segments.
pub(crate) fn count_in_segments(view: &View, selection: &Selection, snapshot: &mut dyn Snapshot) -> Result<u64> {
    let (from, to) = selection.times();
    let weight = weight_of(view, selection, snapshot)?;
    let mut count = 0;
    for segment in &view.generation.segments {
        count += segment.count(&*weight, &(from..to)).map_err(damaged)?;
    }
    Ok(count)
}

/// The selection as the segments are asked it.
pub(crate) fn weight_of(
    view: &View,
    selection: &Selection,
    snapshot: &mut dyn Snapshot,
) -> Result<Box<dyn tantivy::query::Weight>> {
    let generation = &view.generation;
    let end = Some(view.size).filter(|size| generation.next_seq > *size);
    weight(selection, end, &view.removed, generation, &mut |id| snapshot.place(id))
}

/// The records at these seqs, in the order they are given in: those that were asked for of late from memory, and the
/// others from the tail or the journal. `removal` is the snapshot's newest removal receipt.
pub(crate) fn records(
    view: &View,
    snapshot: &mut dyn Snapshot,
    removal: Option<u64>,
    seqs: &[u64],
) -> Result<Vec<Record>> {
    let mut found: Vec<Option<Record>> = {
        let mut recent = view.recent();
        seqs.iter().map(|seq| recent.get(removal, *seq)).collect()
    };
    let unknown: Vec<_> = (0..seqs.len()).filter(|place| found[*place].is_none()).collect();
    let mut elsewhere = Vec::new();
    for place in &unknown {
        match view.body(seqs[*place]) {
            Some(body) => found[*place] = Some(record_of(seqs[*place], body)?),
            None => elsewhere.push(*place),
        }
    }
    let in_journal: Vec<_> = elsewhere.iter().map(|place| seqs[*place]).collect();
    bodies(snapshot, &in_journal, &mut |index, body| {
        found[elsewhere[index]] = Some(record_of(in_journal[index], body)?);
        Ok(())
    })?;
    // A view from before the removal may still hold in its tail what is gone.
    if removal.is_none_or(|receipt| receipt < view.size) {
        let mut recent = view.recent();
        for record in unknown.iter().filter_map(|place| found[*place].as_ref()) {
            recent.put(removal, record.clone());
        }
    }
    Ok(found.into_iter().flatten().collect())
}

/// Gives `each` the body at each of these seqs, with the index that the seq has among them. They come in the
/// order of the journal.
pub(crate) fn bodies(
    snapshot: &mut dyn Snapshot,
    seqs: &[u64],
    each: &mut dyn FnMut(usize, &[u8]) -> Result<()>,
) -> Result<()> {
    let mut order: Vec<_> = (0..seqs.len()).collect();
    order.sort_unstable_by_key(|index| seqs[*index]);
    for near in order.chunk_by(|a, b| seqs[*b] - seqs[*a] < NEAR_SEQS) {
        let (Some(first), Some(last)) = (near.first(), near.last()) else { continue };
        let mut wanted = near.iter().copied().peekable();
        snapshot.rows(seqs[*first], seqs[*last] + 1, &mut |seq, row| {
            while let Some(index) = wanted.next_if(|index| seqs[*index] == seq) {
                // It may have been removed since the index was asked.
                if !row.body.is_empty() {
                    each(index, row.body)?;
                }
            }
            Ok(())
        })?;
        if let Some(index) = wanted.next() {
            return Err(missing_event(seqs[index]));
        }
    }
    Ok(())
}

/// A range of time, in milliseconds since the Unix epoch: the first millisecond in it, and the first one
/// after it.
pub(crate) fn clip((from, to): (i64, i64), range: &Range<i64>) -> Range<i64> {
    from.max(range.start)..to.min(range.end)
}
