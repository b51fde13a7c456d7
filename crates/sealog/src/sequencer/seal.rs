//! A batch on its way into the journal: sealed into the tree, signed, stored.

use crate::clock::Clock;
use crate::error::Result;
use crate::index::Key;
use crate::journal::{Batch, Head, OwnKind, Row, StoredCheckpoint, Transaction};
use crate::log::Rejected;
use crate::policy::Prepared;
use crate::tree::{self, Frontier, Hash, Node};

/// What goes into the journal at once.
pub(super) struct Contents<'a> {
    pub(super) events: &'a [&'a Prepared],
    pub(super) next_vkey: Option<&'a str>,
    pub(super) rejected: &'a [Rejected],
    pub(super) sampled: u64,
    pub(super) state: &'a [(&'static str, i64)],
}

/// What came of it: the log's size, its new checkpoint where it has grown, and where each body ends.
#[derive(Default)]
pub(super) struct Stored {
    pub(super) size: u64,
    pub(super) note: Option<String>,
    pub(super) ends: Vec<usize>,
}

/// Seals events behind `head`, has the new tree signed, and stores all of it.
pub(super) fn seal_and_store(
    transaction: Box<dyn Transaction + '_>,
    head: &Head,
    contents: &Contents<'_>,
    now_ms: i64,
    clock: &dyn Clock,
    bodies: &mut Vec<u8>,
    sign: impl FnOnce(u64, &Hash) -> tree::Checkpoint,
) -> Result<Stored> {
    let sealed = Sealed::new(head, contents.events, now_ms, clock, bodies)?;
    let size = sealed.frontier.size();
    let note = (!contents.events.is_empty()).then(|| sign(size, &sealed.frontier.root()).note().to_owned());
    let checkpoint = note.clone().map(|note| StoredCheckpoint { size, frontier: sealed.frontier.to_bytes(), note });
    transaction.commit(&Batch {
        first_seq: head.checkpoint.size,
        rows: &sealed.rows,
        nodes: &sealed.nodes,
        checkpoint,
        next_vkey: contents.next_vkey,
        rejected: contents.rejected,
        sampled: contents.sampled,
        state: contents.state,
    })?;
    Ok(Stored { size, note, ends: sealed.ends })
}

/// A batch with places, salts and commitments, and the tree that holds it.
struct Sealed<'a> {
    rows: Vec<Row<'a>>,
    nodes: Vec<Node>,
    frontier: Frontier,
    /// Where each body ends.
    ends: Vec<usize>,
}

impl<'a> Sealed<'a> {
    /// Seals `events` behind `head`. Their canonical JSON goes into `bodies`, one after the other.
    fn new(
        head: &Head,
        events: &[&'a Prepared],
        now_ms: i64,
        clock: &dyn Clock,
        bodies: &'a mut Vec<u8>,
    ) -> Result<Self> {
        let mut frontier = Frontier::from_bytes(head.checkpoint.size, &head.checkpoint.frontier)?;
        let mut nodes = Vec::new();
        let mut salts = vec![[0; 16]; events.len()];
        clock.fill(salts.as_flattened_mut());
        bodies.reserve(events.iter().map(|event| event.max_len()).sum());
        let mut ends = Vec::with_capacity(events.len());
        for (seq, event) in (head.checkpoint.size..).zip(events) {
            event.sealable.seal(now_ms, seq, bodies);
            ends.push(bodies.len());
        }
        let bodies = &*bodies;
        let mut start = 0;
        let rows = events
            .iter()
            .zip(salts)
            .zip(&ends)
            .map(|((event, salt), &end)| {
                let body = &bodies[start..end];
                start = end;
                let commitment = tree::commitment(&salt, body);
                frontier.append(&commitment, &mut |node| nodes.push(node));
                let own = event.facts.text(Key::Action).and_then(OwnKind::of_action);
                Row { id: &event.id, digest: event.digest, commitment, salt, body, own }
            })
            .collect();
        Ok(Self { rows, nodes, frontier, ends })
    }
}
