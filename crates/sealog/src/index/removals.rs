//! Removals that the segments do not know of yet.
//!
//! The index learns of a removal from its receipt, which comes to it like every event. From then on queries leave out
//! what it covers; later the segments that hold some of it are written anew, so that its words are in no file.

use std::sync::Arc;

use super::{Entry, Key};
use crate::journal::OwnKind;
use crate::log::record_of;
use crate::ranges::Ranges;
use crate::retention::Covered;

/// The segments are written anew when no receipt has come for so many rounds, or some have waited for so many.
const QUIET_ROUNDS: u32 = 2;
const MAX_ROUNDS: u32 = 15;

/// What one receipt covers.
#[derive(Debug, Clone)]
struct Noted {
    receipt: u64,
    seqs: Ranges,
    /// Something is left of the events, which the segments do not hold.
    remains: bool,
}

/// What was removed and is still in segments.
#[derive(Debug, Default)]
pub(super) struct Pending {
    noted: Vec<Noted>,
    /// All of their seqs.
    seqs: Arc<Ranges>,
    /// Somebody waits for it.
    in_a_hurry: bool,
    /// Rounds since the last receipt came, and since the first one that is pending did.
    quiet_rounds: u32,
    rounds: u32,
}

impl Pending {
    pub(super) fn note(&mut self, receipt: u64, covered: &Covered) {
        if self.noted.iter().any(|noted| noted.receipt == receipt) {
            return;
        }
        Arc::make_mut(&mut self.seqs).add_all(&covered.seqs);
        self.noted.push(Noted { receipt, seqs: covered.seqs.clone(), remains: !covered.remains.is_empty() });
        self.quiet_rounds = 0;
    }

    /// What the receipts before `seq` cover.
    pub(super) fn before(&self, seq: u64) -> Ranges {
        self.covered_by(|noted| noted.receipt < seq)
    }

    /// Of that, the events of which something is left.
    pub(super) fn remaining_before(&self, seq: u64) -> Ranges {
        self.covered_by(|noted| noted.receipt < seq && noted.remains)
    }

    /// What receipts from `seq` on cover.
    pub(super) fn since(&self, seq: u64) -> Ranges {
        self.covered_by(|noted| noted.receipt >= seq)
    }

    fn covered_by(&self, wanted: impl Fn(&Noted) -> bool) -> Ranges {
        let mut seqs = Ranges::default();
        self.noted.iter().filter(|noted| wanted(noted)).for_each(|noted| seqs.add_all(&noted.seqs));
        seqs
    }

    /// The segments are without what the receipts before `seq` cover.
    pub(super) fn settle(&mut self, seq: u64) {
        let before = self.noted.len();
        self.noted.retain(|noted| noted.receipt >= seq);
        if self.noted.len() < before {
            self.seqs = Arc::new(self.covered_by(|_| true));
        }
        self.in_a_hurry &= !self.noted.is_empty();
        self.rounds = 0;
    }

    /// What queries leave out of the segments.
    pub(super) fn seqs(&self) -> Arc<Ranges> {
        self.seqs.clone()
    }

    /// Whether answers are not what they should be yet: what is left of some events is in no segment.
    pub(super) fn is_unsettled(&self) -> bool {
        self.noted.iter().any(|noted| noted.remains)
    }

    pub(super) fn hurry(&mut self) {
        self.in_a_hurry = true;
    }

    pub(super) fn round(&mut self) {
        self.quiet_rounds += 1;
        self.rounds += 1;
    }

    /// Whether it is time to write the segments anew. While receipts come, more of them will.
    pub(super) fn is_due(&self) -> bool {
        let waited = self.quiet_rounds >= QUIET_ROUNDS || self.rounds >= MAX_ROUNDS;
        !self.noted.is_empty() && (self.in_a_hurry || waited)
    }
}

/// The removal receipts among these events, each with its seq.
pub(super) fn receipts(first_seq: u64, entries: &[Option<Entry>]) -> impl Iterator<Item = (u64, Covered)> {
    (first_seq..).zip(entries).filter_map(|(seq, entry)| {
        let entry = entry.as_ref()?;
        let kind = entry.facts.text(Key::Action).and_then(OwnKind::of_action);
        if kind != Some(OwnKind::Removal) {
            return None;
        }
        // One that cannot be read covers nothing; `verify` reports it.
        let covered = record_of(seq, entry.body()).and_then(|record| Covered::of_record(&record));
        Some((seq, covered.ok().flatten().unwrap_or_default()))
    })
}
