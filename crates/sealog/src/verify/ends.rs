//! The last steps of a check: the changes of keys, and what stands beyond the tree or beside it.

use std::collections::BTreeSet;

use super::{Check, KEY_ROTATED, MAX_PROBLEMS};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Record;
use crate::journal::{Census, OwnKind, Snapshot};

impl Check {
    /// Each change of keys must be an event that the old key signed.
    pub(super) fn handovers(&mut self, snapshot: &mut dyn Snapshot) -> Result<()> {
        let first = self.signers.first().map(|signer| signer.since);
        if first != Some(0) {
            let found = first.map_or_else(|| "none".to_owned(), |since| format!("one from {since} on"));
            self.report(0, "key", "the key that the log began with is gone", "a key from 0 on", found);
        }
        // It is never thinned: the key's first signature.
        if snapshot.checkpoints(0, 1)?.first().is_none_or(|checkpoint| checkpoint.size != 0) {
            self.report(0, "checkpoint", "the checkpoint of the empty log is gone", "a checkpoint of size 0", "none");
        }
        for seq in std::mem::take(&mut self.rotations) {
            if !self.signers.iter().any(|signer| signer.since == seq + 1) {
                let message = "the key that this event hands over to is gone";
                self.report(seq, "key", message, format!("a key from {} on", seq + 1), "none");
            }
        }
        for pair in self.signers.clone().windows(2) {
            let [old, new] = pair else { continue };
            let mut found = None;
            let at = new.since.saturating_sub(1);
            let read = snapshot.rows(at, new.since, &mut |_, row| {
                found = String::from_utf8(row.body.to_vec()).ok().and_then(Record::from_canonical);
                Ok(())
            });
            match read {
                Err(error) if error.kind() != ErrorKind::Integrity => return Err(error),
                // Reported with the rows.
                Err(_) => continue,
                Ok(()) => {}
            }
            let metadata = found.as_ref().filter(|record| record.action == KEY_ROTATED);
            let metadata = metadata.and_then(|record| record.metadata.as_ref());
            let named = |name: &str| metadata.and_then(|metadata| metadata.get(name)).and_then(|vkey| vkey.as_str());
            if (named("oldVkey"), named("newVkey")) != (Some(&*old.vkey), Some(&*new.vkey)) {
                let found = found.as_ref().map_or("none", |record| record.action.as_str()).to_owned();
                let expected = format!("sealog.key.rotated from {} to {}", old.vkey, new.vkey);
                self.report(at, "key", "no event hands over to the key that signs from here", expected, found);
            }
            if snapshot.checkpoints(new.since, 1)?.first().is_none_or(|checkpoint| checkpoint.size != new.since) {
                self.report(
                    at,
                    "signature",
                    "the old key's signature over the change of keys is gone",
                    "a checkpoint",
                    "none",
                );
            }
        }
        Ok(())
    }

    /// Each event of the log's own that carries state must be found as such, and nothing else.
    pub(super) fn own_events(&mut self, snapshot: &mut dyn Snapshot) -> Result<()> {
        let total = self.frontier.size();
        for kind in [OwnKind::Settings, OwnKind::Hold, OwnKind::Removal] {
            let seen: BTreeSet<_> = self.own.iter().filter(|(of, _)| *of == kind).map(|(_, seq)| *seq).collect();
            let entered: BTreeSet<_> = snapshot.own(kind, 0)?.into_iter().filter(|seq| *seq < total).collect();
            for seq in seen.difference(&entered) {
                self.report(*seq, "column", "an event of the log's own is not entered as one", "an entry", "none");
            }
            // What could not be read was reported with the rows.
            let readable = self.damaged_from.unwrap_or(u64::MAX);
            for seq in entered.difference(&seen).filter(|seq| **seq < readable) {
                self.report(*seq, "column", "an event is entered as one of the log's own", "no entry", "one");
            }
        }
        Ok(())
    }

    /// Each removed event has one entry, under a hash of its id, and nothing else has one.
    pub(super) fn removed_ids(&mut self, snapshot: &mut dyn Snapshot) -> Result<()> {
        let total = self.frontier.size();
        // A bit an event: hashes come in no order.
        let mut seen = vec![0_u64; (total / 64 + 1) as usize];
        let (mut strange, mut count) = (Vec::new(), 0);
        snapshot.removed_entries(&mut |seq, is_hashed| {
            if seq >= total {
                return;
            }
            let (word, bit) = (&mut seen[(seq / 64) as usize], 1 << (seq % 64));
            let is_removed = self.removals.gone.contains(seq) || self.removals.remains.contains_key(&seq);
            if (!is_hashed || !is_removed || *word & bit != 0) && strange.len() < MAX_PROBLEMS {
                strange.push(seq);
            }
            *word |= bit;
            count += 1;
        })?;
        for seq in strange {
            self.report(
                seq,
                "column",
                "an id is entered as a removed event's",
                "none, or the keyed hash of one",
                "another",
            );
        }
        let expected = self.removals.gone.len() + self.removals.remains.len() as u64;
        if count != expected && self.removals.next <= total {
            self.report(0, "column", "there are more or fewer ids of removed events than such events", expected, count);
        }
        Ok(())
    }

    /// Is there anything beyond what is sealed?
    pub(super) fn ends(&mut self, snapshot: &mut dyn Snapshot) -> Result<()> {
        let size = snapshot.head()?.checkpoint.size;
        let mut beyond = None;
        let read = snapshot.rows(size, i64::MAX as u64, &mut |seq, _| {
            beyond.get_or_insert(seq);
            Err(Error::new(ErrorKind::InvalidArgument, "one is enough"))
        });
        match read {
            Err(error) if error.kind() == ErrorKind::InvalidArgument => {}
            Err(error) if error.kind() == ErrorKind::Integrity => beyond = Some(size),
            other => other?,
        }
        if let Some(seq) = beyond {
            self.report(
                seq,
                "unsealed",
                "there is an event that no checkpoint covers",
                format!("{size} events"),
                "more",
            );
        }
        let Census { ids, events, nodes, stray_checkpoints } = snapshot.census()?;
        if ids != size {
            self.report(0, "column", "there are more or fewer ids than events", size, ids);
        }
        // Fewer are missing, and named. More hide behind others, where a reader that asks for one event
        // may come upon them, or stand before the first.
        if events > size && beyond.is_none() {
            self.report(0, "unsealed", "there are more events than the tree has leaves", size, events);
        }
        let expected = (1..8).map(|level| size >> (8 * level)).sum();
        if nodes > expected {
            self.report(0, "tile", "there are more hashes of the tree than it has", expected, nodes);
        }
        for (name, expected, found) in snapshot.strange_schema()? {
            let message = format!("the log's file has another schema than Sealog makes, in the {name}");
            self.report(0, "schema", &message, expected, found);
        }
        if stray_checkpoints > 0 {
            self.report(0, "checkpoint", "there are checkpoints of no size", 0, stray_checkpoints);
        }
        Ok(())
    }
}
