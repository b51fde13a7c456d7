//! The whole check of a log, as a library: what `sealog verify` and every test run.
//!
//! Every row is read once, in order; commitments, nodes, roots and signatures are computed anew and
//! compared with what is stored. What does not fit is reported with its place and both values, and the
//! check goes on.

mod copies;
mod crew;
mod ends;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt::Display;
use std::ops::Range;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;

use self::copies::{Computed, Content, Row};
use self::crew::Crew;
use crate::error::{Error, ErrorKind, Result};
use crate::journal::Reader;
use crate::journal::{Entered, Head, OwnKind, Signer, Snapshot, StoredCheckpoint};
use crate::log::missing_event;
use crate::retention::Removals;
use crate::tree::{self, Checkpoint, Frontier, Hash, Node, Proof};

/// How many events are read under one snapshot.
const STRIDE_EVENTS: u64 = 65_536;
/// After so many, those that are computed are looked up in the journal's index.
const READ_EVENTS: u64 = 4096;
/// A report names at most so many problems; a log with more is beyond naming them.
const MAX_PROBLEMS: usize = 1000;
/// The event that says that another key signs from there on.
pub(crate) const KEY_ROTATED: &str = "sealog.key.rotated";

/// What a check of the log is measured against.
///
/// Without either, a log can only be found consistent with itself: whoever holds the file and the key
/// could have rewritten both.
#[derive(Debug, Clone, Default)]
pub struct VerifyOptions {
    /// The public key that must have signed the log (`name+id+key`), now or before a rotation.
    pub vkey: Option<String>,
    /// Older checkpoints (signed notes), kept elsewhere, that today's tree must extend.
    pub checkpoints: Vec<String>,
}

/// How far a check has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyProgress {
    /// Events checked.
    pub checked: u64,
    /// Events to check.
    pub total: u64,
}

/// On what the result of a check rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Trust {
    /// The log is consistent with itself; whoever holds file and key could have rewritten both.
    SelfConsistent,
    /// It is signed by the key that was given.
    Key,
    /// It extends the older checkpoints that were given.
    Checkpoint,
    /// Both.
    KeyAndCheckpoint,
}

/// One thing that is wrong with a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Problem {
    /// Where: the first seq concerned.
    pub seq: u64,
    /// What, as a stable word: `missing`, `unreadable`, `commitment`, `column`, `receipt`, `restored`, `tile`,
    /// `checkpoint`, `signature`, `key`, `other_log`, `truncated`, `unsealed` or `schema`.
    pub code: &'static str,
    /// What, in words.
    pub message: String,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: String,
}

impl Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { seq, message, expected, found, .. } = self;
        write!(f, "seq {seq}: {message}: expected {expected}, found {found}")
    }
}

/// What a check of a log found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct VerifyReport {
    /// The size of the tree that was checked.
    pub size: u64,
    /// Its root as the rows give it, base64.
    pub root: String,
    /// The keys that signed the log, oldest first.
    pub vkeys: Vec<String>,
    /// How many checkpoints were checked, the given ones included.
    pub checkpoints: u64,
    /// Of how many events nothing is left, as removal receipts say.
    pub removed: u64,
    /// Of how many events a part is left that a removal receipt seals.
    pub reduced: u64,
    /// On what the result rests.
    pub trust: Trust,
    /// What is wrong, in the order it was found; empty when the log is whole. At most 1,000.
    pub problems: Vec<Problem>,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_ok(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Checks the log behind `reader`.
pub(crate) fn verify(
    reader: &mut Reader,
    options: &VerifyOptions,
    progress: &mut dyn FnMut(VerifyProgress),
) -> Result<VerifyReport> {
    // What is no key or checkpoint at all is the caller's mistake, and says nothing of the log.
    if let Some(vkey) = &options.vkey {
        tree::check_vkey(vkey)?;
    }
    let given = options.checkpoints.iter().map(|note| Checkpoint::parse(note)).collect::<Result<Vec<_>>>();
    let given = given.map_err(|error| {
        let message = format!("a given checkpoint cannot be read: {}", error.message());
        Error::new(ErrorKind::InvalidArgument, message).with_source(error)
    })?;
    let mut check = Check {
        frontier: Frontier::new(),
        nodes: Vec::new(),
        problems: Vec::new(),
        damaged_from: None,
        good_to: 0,
        stored: VecDeque::new(),
        given,
        checkpoints: 0,
        signers: Vec::new(),
        rotations: Vec::new(),
        removals: Removals::default(),
        own: Vec::new(),
        entered: None,
    };
    let mut total = 0;
    let vkey = options.vkey.as_deref();
    let result = std::thread::scope(|scope| check.run(reader, &mut Crew::start(scope)?, vkey, &mut total, progress));
    match result {
        // What cannot be read is damage too: that much can be said of it.
        Err(error) if error.kind() == ErrorKind::Integrity => {
            let seq = check.frontier.size();
            check.report(seq, "unreadable", "the check can go no further", "a readable log", error.message());
        }
        result => result?,
    }

    check.problems.truncate(MAX_PROBLEMS);
    Ok(VerifyReport {
        size: total,
        root: BASE64_STANDARD.encode(check.frontier.root()),
        vkeys: check.signers.into_iter().map(|signer| signer.vkey).collect(),
        checkpoints: check.checkpoints,
        removed: check.removals.gone.len(),
        reduced: check.removals.remains.len() as u64,
        trust: match (&options.vkey, options.checkpoints.is_empty()) {
            (None, true) => Trust::SelfConsistent,
            (Some(_), true) => Trust::Key,
            (None, false) => Trust::Checkpoint,
            (Some(_), false) => Trust::KeyAndCheckpoint,
        },
        problems: check.problems,
    })
}

/// That the leaf at `seq` is in the tree, and not what is sealed there: a proof file without `extra`.
pub(crate) fn prove_leaf(snapshot: &mut dyn Snapshot, seq: u64) -> Result<String> {
    let head = snapshot.head()?.checkpoint;
    if seq >= head.size {
        return Err(tree_ends(seq, head.size));
    }
    let checkpoint = Checkpoint::parse(&head.note)?;
    tree::leaf_proof(seq, &checkpoint, &SnapshotLeaves::new(snapshot)).map_err(|error| not_provable(seq, error))
}

/// Elsewhere a proof that fails accuses the log, and nobody there can look for the damage.
fn not_provable(seq: u64, error: Error) -> Error {
    let message = format!("seq {seq} cannot be proven; `sealog verify` says more: {}", error.message());
    Error::new(ErrorKind::Integrity, message).with_source(error)
}

fn tree_ends(seq: u64, size: u64) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no event at seq {seq}; the log has {size} events"))
}

/// The proof of one event against the newest checkpoint.
pub(crate) fn prove(snapshot: &mut dyn Snapshot, seq: u64) -> Result<Proof> {
    let Head { checkpoint: head, vkey, .. } = snapshot.head()?;
    let mut found = None;
    let mut sealed = None;
    if seq < head.size {
        snapshot.rows(seq, seq + 1, &mut |_, row| {
            let canonical = std::str::from_utf8(row.body).map(str::to_owned);
            found = <[u8; 16]>::try_from(row.salt).ok().zip(canonical.ok());
            sealed = Some(row.commitment.to_vec());
            Ok(())
        })?;
    }
    if let Some((salt, left)) = &found {
        let computed = tree::commitment(salt, left.as_bytes());
        if sealed.as_deref() != Some(&computed[..]) {
            let mut removals = Removals::default();
            removals.read(snapshot)?;
            let is_gone = left.is_empty();
            if is_gone && removals.gone.contains(seq) || removals.remains.get(&seq) == Some(&computed) {
                let what = if is_gone { "the event" } else { "a part of the event" };
                let message =
                    format!("{what} at seq {seq} was removed, so it cannot be proven; a removal receipt says why");
                return Err(Error::new(ErrorKind::NotFound, message));
            }
            if is_gone {
                return Err(missing_event(seq));
            }
        }
    }
    let (salt, canonical) = found.ok_or_else(|| tree_ends(seq, head.size))?;
    let hashes = tree::inclusion_proof(seq, head.size, &SnapshotLeaves::new(snapshot))?;
    let proof = Proof::new(seq, hashes, Checkpoint::parse(&head.note)?, salt, canonical);
    proof.verify(&vkey).map_err(|error| not_provable(seq, error))?;
    Ok(proof)
}

/// A snapshot as the leaves that proofs are computed from.
pub(crate) struct SnapshotLeaves<'a>(RefCell<&'a mut dyn Snapshot>);

impl<'a> SnapshotLeaves<'a> {
    pub(crate) fn new(snapshot: &'a mut dyn Snapshot) -> Self {
        Self(RefCell::new(snapshot))
    }
}

impl tree::Leaves for SnapshotLeaves<'_> {
    fn commitments(&self, from: u64, to: u64) -> Result<Vec<[u8; 32]>> {
        self.0.borrow_mut().commitments(from, to)
    }

    fn nodes(&self, level: u8, from: u64, to: u64) -> Result<Vec<Hash>> {
        self.0.borrow_mut().nodes(level, from, to)
    }
}

/// The state of a check: the tree as the rows so far give it.
struct Check {
    frontier: Frontier,
    /// Nodes that the rows of this stride completed.
    nodes: Vec<Node>,
    problems: Vec<Problem>,
    /// The first seq whose leaf is not known to be right: from there on the tree cannot match, and
    /// saying so again and again helps nobody.
    damaged_from: Option<u64>,
    /// Up to this size a checkpoint matched.
    good_to: u64,
    /// Checkpoints of sizes that this stride has, smallest first.
    stored: VecDeque<StoredCheckpoint>,
    /// The given ones that are not compared yet, largest first.
    given: Vec<Checkpoint>,
    checkpoints: u64,
    signers: Vec<Signer>,
    /// Events that say that another key signs from there on.
    rotations: Vec<u64>,
    /// What the removal receipts cover.
    removals: Removals,
    /// The log's own events that carry state.
    own: Vec<(OwnKind, u64)>,
    /// The last event whose entry was checked, and the size at which it entered the tree.
    entered: Option<(u64, u64)>,
}

impl Check {
    fn report(&mut self, seq: u64, code: &'static str, message: &str, expected: impl Display, found: impl Display) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(Problem {
                seq,
                code,
                message: message.to_owned(),
                expected: expected.to_string(),
                found: found.to_string(),
            });
        }
    }

    /// The check itself. `total` gets the size of the tree as soon as it is known.
    fn run(
        &mut self,
        reader: &mut Reader,
        crew: &mut Crew,
        vkey: Option<&str>,
        total: &mut u64,
        progress: &mut dyn FnMut(VerifyProgress),
    ) -> Result<()> {
        let (head, signers) = reader.snapshot(|snapshot| Ok((snapshot.head()?.checkpoint, snapshot.signers()?)))?;
        self.signers = signers;
        *total = head.size;
        self.key(vkey);
        self.sort_given(*total, vkey);
        loop {
            self.stride(reader, *total, crew)?;
            progress(VerifyProgress { checked: self.frontier.size(), total: *total });
            if self.problems.len() >= MAX_PROBLEMS {
                break;
            }
            if self.frontier.size() >= *total {
                // What a receipt covers that came meanwhile is covered once the receipt is checked too.
                if self.removals.next <= *total {
                    break;
                }
                *total = reader.size()?;
            }
        }
        reader.snapshot(|snapshot| {
            self.handovers(snapshot)?;
            self.own_events(snapshot)?;
            self.removed_ids(snapshot)?;
            self.ends(snapshot)
        })
    }

    /// Is it signed by the key that was given?
    fn key(&mut self, vkey: Option<&str>) {
        let Some(vkey) = vkey.map(str::trim) else { return };
        if self.signers.iter().any(|signer| signer.vkey == vkey) {
            return;
        }
        let found = self.signers.iter().map(|signer| &*signer.vkey).collect::<Vec<_>>().join(", ");
        match self.origin() {
            Some(origin) if vkey.split('+').next() != Some(&*origin) => {
                self.report(0, "other_log", "this is another log than the one the given key is of", vkey, found);
            }
            _ => self.report(0, "key", "the log is signed by another key", vkey, found),
        }
    }

    /// The log's name, as its keys have it.
    fn origin(&self) -> Option<String> {
        Some(self.signers.first()?.vkey.split('+').next()?.to_owned())
    }

    /// Keeps the given checkpoints that this log is long enough for.
    fn sort_given(&mut self, total: u64, vkey: Option<&str>) {
        let mut given = std::mem::take(&mut self.given);
        given.sort_by_key(Checkpoint::size);
        let origin = self.origin();
        given.retain(|checkpoint| {
            self.checkpoints += 1;
            let size = checkpoint.size();
            if origin.as_ref().is_some_and(|origin| origin != checkpoint.origin()) {
                let message = format!("the given checkpoint of size {size} is of another log");
                let expected = format!("a checkpoint of {:?}", origin.as_deref().unwrap_or_default());
                self.report(0, "other_log", &message, expected, format!("one of {:?}", checkpoint.origin()));
                return false;
            }
            let keys = self.signers.iter().map(|signer| &*signer.vkey).chain(vkey);
            let signed = keys.into_iter().any(|vkey| checkpoint.verify(vkey).is_ok());
            if size > total {
                let message = if signed {
                    "events that a given checkpoint covers are gone"
                } else {
                    // Among them may be the one that names its key.
                    "events that a given checkpoint covers are gone, and the key that signed it is not known without them"
                };
                self.report(total, "truncated", message, format!("{size} events"), format!("{total}"));
                return false;
            }
            if !signed {
                let expected = self.signers.iter().map(|signer| &*signer.vkey).collect::<Vec<_>>().join(" or ");
                let message = format!("the given checkpoint of size {size} is not signed by this log");
                self.report(0, "key", &message, expected, format!("signatures of {}", checkpoint.signers().join(", ")));
                return false;
            }
            true
        });
        given.reverse();
        self.given = given;
    }

    /// Checks the next rows, the nodes they complete, and the checkpoints among them.
    fn stride(&mut self, reader: &mut Reader, total: u64, crew: &mut Crew) -> Result<()> {
        let from = self.frontier.size();
        let to = total.min(from + STRIDE_EVENTS);
        reader.snapshot(|snapshot| {
            // Receipts come after what they cover, and more of them while the check goes on.
            match self.removals.read(snapshot) {
                Err(error) if error.kind() == ErrorKind::Integrity => {
                    self.report(from, "receipt", "a removal receipt cannot be read", "a receipt", error.message());
                }
                read => drop(read?),
            }
            self.read_checkpoints(snapshot, from, to)?;
            self.checkpoints_here();
            for start in (from..to).step_by(READ_EVENTS as usize) {
                self.read(snapshot, start..to.min(start + READ_EVENTS), total, crew)?;
                while let Some(rows) = crew.next_done() {
                    self.rows(snapshot, rows, total)?;
                }
            }
            self.finish(snapshot, total, crew)?;
            self.missing_before(to);
            self.compare_nodes(snapshot)
        })
    }

    /// The stored checkpoints of the sizes up to `to`.
    fn read_checkpoints(&mut self, snapshot: &mut dyn Snapshot, from: u64, to: u64) -> Result<()> {
        self.stored.clear();
        let mut next = from;
        while self.stored.back().is_none_or(|last| last.size < to) {
            let more = match snapshot.checkpoints(next, 1024) {
                Err(error) if error.kind() == ErrorKind::Integrity => {
                    self.report(from, "checkpoint", "a checkpoint cannot be read", "a signed note", error.message());
                    break;
                }
                more => more?,
            };
            let Some(last) = more.last() else { break };
            next = last.size + 1;
            self.stored.extend(more);
        }
        self.stored.retain(|checkpoint| checkpoint.size <= to && (checkpoint.size > from || from == 0));
        Ok(())
    }

    /// Reads rows, which the crew computes; what cannot be read gets a commitment that nothing has.
    fn read(&mut self, snapshot: &mut dyn Snapshot, seqs: Range<u64>, total: u64, crew: &mut Crew) -> Result<()> {
        let mut next = seqs.start;
        let read = snapshot.stretches(seqs.start, seqs.end, &mut |stretch| {
            crew.push(stretch);
            next = stretch.seq + stretch.wanted.1 as u64;
            Ok(())
        });
        crew.hand_over();
        match read {
            Err(error) if error.kind() == ErrorKind::Integrity => {
                self.finish(snapshot, total, crew)?;
                // Something here cannot be read: find out what, one event at a time.
                if seqs.end - seqs.start == 1 {
                    self.missing_before(seqs.start);
                    self.unreadable(seqs.start, error.message());
                } else if self.problems.len() < MAX_PROBLEMS {
                    for seq in next..seqs.end {
                        self.read(snapshot, seq..seq + 1, total, crew)?;
                    }
                }
                Ok(())
            }
            read => read,
        }
    }

    /// Checks all rows that were read.
    fn finish(&mut self, snapshot: &mut dyn Snapshot, total: u64, crew: &mut Crew) -> Result<()> {
        while let Some(rows) = crew.next() {
            self.rows(snapshot, rows, total)?;
        }
        Ok(())
    }

    /// Checks each row for itself, what is entered for its id, and appends it to the tree.
    fn rows(&mut self, snapshot: &mut dyn Snapshot, computed: Computed, total: u64) -> Result<()> {
        let Computed { rows, ids: all_ids } = computed;
        let (mut seqs, mut ids) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
        for Row { seq, stored, leaf, event } in rows {
            self.missing_before(seq);
            // Each event once, whatever a damaged file gives.
            if seq < self.frontier.size() {
                continue;
            }
            match event {
                Content::Unreadable(found) => self.unreadable(seq, &found),
                Content::Gone { is_salted } if self.removals.gone.contains(seq) => {
                    if is_salted {
                        let message = "the event is gone and its salt is not, with which it could be guessed";
                        self.report(seq, "column", message, "no salt", "one");
                    }
                    self.append(leaf);
                }
                Content::Gone { .. } => self.missing_before(seq + 1),
                Content::Here { commitment, says } => {
                    self.row(seq, &stored, commitment);
                    match says {
                        Ok(says) => {
                            if says.is_rotation {
                                self.rotations.push(seq);
                            }
                            self.own.extend(says.own.map(|kind| (kind, seq)));
                            if says.seq != seq {
                                self.report(seq, "column", "the event belongs to another place", seq, says.seq);
                            }
                            seqs.push(seq);
                            ids.push(&all_ids[says.id]);
                        }
                        Err(found) => {
                            let expected = "canonical JSON with action, id and seq";
                            self.report(seq, "column", "the event cannot be read", expected, found);
                        }
                    }
                    self.append(leaf);
                }
            }
        }
        self.ids(snapshot, &seqs, &ids, total)
    }

    /// Is what the row holds what was sealed?
    fn row(&mut self, seq: u64, stored: &Hash, commitment: std::result::Result<Hash, usize>) {
        if self.removals.gone.contains(seq) {
            let message = "the event is there though a removal receipt says that it is gone";
            self.report(seq, "restored", message, "no event", "one");
        }
        // What is left of an event is sealed by the receipt, and the event itself by the tree.
        let expected = self.removals.remains.get(&seq).unwrap_or(stored);
        if commitment.as_ref() != Ok(expected) {
            let expected = hex(expected);
            self.damaged(seq);
            let found = commitment.map_or_else(|bytes| format!("a salt of {bytes} bytes"), |hash| hex(&hash));
            self.report(seq, "commitment", "the event is not the one that was sealed", expected, found);
        }
    }

    fn unreadable(&mut self, seq: u64, found: &str) {
        self.damaged(seq);
        self.report(seq, "unreadable", "the event cannot be read", "an event", found);
        self.append(tree::leaf_hash(&[0; 32]));
    }

    /// The next leaf of the tree.
    fn append(&mut self, leaf: Hash) {
        let nodes = &mut self.nodes;
        self.frontier.append_leaf_hash(leaf, &mut |node| nodes.push(node));
        self.checkpoints_here();
    }

    /// No row is there for the events up to this one.
    fn missing_before(&mut self, seq: u64) {
        while self.frontier.size() < seq {
            let missing = self.frontier.size();
            self.damaged(missing);
            self.report(missing, "missing", "the event is gone and no removal receipt covers it", "an event", "none");
            self.append(tree::leaf_hash(&[0; 32]));
        }
    }

    /// Checks what is entered for the ids of events.
    fn ids(&mut self, snapshot: &mut dyn Snapshot, seqs: &[u64], ids: &[&str], total: u64) -> Result<()> {
        match snapshot.entered(ids) {
            Ok(entered) => {
                for ((seq, id), entered) in seqs.iter().zip(ids).zip(entered) {
                    match entered {
                        Some(Entered { seq: place, .. }) if place != *seq => {
                            self.report(*seq, "column", "the id is entered for another event", seq, place);
                        }
                        Some(Entered { tree_size, removed, .. }) => {
                            self.entered_tree(*seq, tree_size, total);
                            if removed.is_some() != self.removals.remains.contains_key(seq) {
                                let message = "what is entered of the event's removal is not so";
                                let (expected, found) =
                                    if removed.is_some() { ("none", "one") } else { ("one", "none") };
                                self.report(*seq, "column", message, expected, found);
                            }
                        }
                        None => {
                            self.report(
                                *seq,
                                "column",
                                "the id is not entered",
                                format!("an entry for {id:?}"),
                                "none",
                            );
                        }
                    }
                }
            }
            Err(error) if error.kind() == ErrorKind::Integrity && ids.len() == 1 => {
                let expected = format!("an entry for {:?}", ids[0]);
                self.report(seqs[0], "column", "what is entered for the id cannot be read", expected, error.message());
            }
            // One of them cannot be read: find out which.
            Err(error) if error.kind() == ErrorKind::Integrity => {
                for (seq, id) in seqs.iter().zip(ids) {
                    self.ids(snapshot, &[*seq], &[id], total)?;
                }
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Events of one batch entered the tree together, so the sizes that they entered it at follow from each
    /// other.
    fn entered_tree(&mut self, seq: u64, tree_size: u64, total: u64) {
        // Where something cannot be read, events are not seen in their order.
        if self.entered.is_some_and(|(last, _)| seq <= last) {
            return;
        }
        let batch = self.entered.map(|(_, size)| size).filter(|size| *size > seq);
        if batch.is_some_and(|size| size != tree_size) || tree_size <= seq || tree_size > total {
            let expected = batch.map_or_else(|| format!("{} to {total}", seq + 1), |size| size.to_string());
            self.report(seq, "column", "the event did not enter the tree at this size", expected, tree_size);
        }
        self.entered = Some((seq, tree_size));
    }

    fn damaged(&mut self, seq: u64) {
        self.damaged_from = Some(self.damaged_from.map_or(seq, |known| known.min(seq)));
    }

    /// Compares the tree so far with each checkpoint of just this size.
    fn checkpoints_here(&mut self) {
        let size = self.frontier.size();
        while let Some(checkpoint) = self.stored.pop_front_if(|checkpoint| checkpoint.size == size) {
            self.checkpoints += 1;
            self.stored_checkpoint(&checkpoint);
        }
        while let Some(checkpoint) = self.given.pop_if(|checkpoint| checkpoint.size() == size) {
            let root = self.frontier.root();
            if checkpoint.root() != root {
                let message =
                    format!("events below {size} are not those that the given checkpoint of this size covers");
                let seq = self.damaged_from.unwrap_or(self.good_to);
                self.report(seq, "checkpoint", &message, checkpoint.root_base64(), BASE64_STANDARD.encode(root));
            }
        }
    }

    fn stored_checkpoint(&mut self, stored: &StoredCheckpoint) {
        let size = stored.size;
        let checkpoint = match Checkpoint::parse(&stored.note) {
            Ok(checkpoint) => checkpoint,
            Err(error) => {
                self.report(
                    self.good_to,
                    "checkpoint",
                    "a checkpoint cannot be read",
                    "a signed note",
                    error.message(),
                );
                return;
            }
        };
        // The key that a rotation replaced signs up to and with the rotation.
        let signer = self.signers.iter().rposition(|signer| signer.since < size || signer.since == 0);
        // The key that takes over signs the rotation too.
        let next = self.signers.iter().position(|signer| signer.since == size && size > 0);
        for index in [signer, next].into_iter().flatten() {
            let vkey = self.signers[index].vkey.clone();
            if let Err(error) = checkpoint.verify(&vkey) {
                let message = format!("the checkpoint of size {size} is not signed by the log's key");
                self.report(self.good_to, "signature", &message, vkey, error.message());
            }
        }
        if checkpoint.size() != size {
            let message = "a checkpoint speaks of another size";
            self.report(self.good_to, "checkpoint", message, size, checkpoint.size());
        }
        let root = self.frontier.root();
        if checkpoint.root() != root {
            // Damage that was named explains it.
            if self.damaged_from.is_none() {
                let message = format!("the events {}..{size} are not those that were sealed", self.good_to);
                let found = BASE64_STANDARD.encode(root);
                self.report(self.good_to, "checkpoint", &message, checkpoint.root_base64(), found);
                self.damaged(self.good_to);
            }
            return;
        }
        self.good_to = size;
        if stored.frontier != self.frontier.to_bytes() {
            let message = format!("the stored edge of the tree of size {size} is not the tree's");
            self.report(size, "tile", &message, hex(&self.frontier.to_bytes()), hex(&stored.frontier));
        }
    }

    /// Compares the nodes that this stride completed with the stored ones.
    fn compare_nodes(&mut self, snapshot: &mut dyn Snapshot) -> Result<()> {
        for Node { level, index, hash } in std::mem::take(&mut self.nodes) {
            let seq = index << (8 * u32::from(level));
            match snapshot.nodes(level, index, index + 1) {
                Ok(stored) if stored == [hash] => {}
                // Rows below that are known to be damaged explain it.
                Ok(_) if self.damaged_from.is_some_and(|damaged| damaged < seq + (1 << (8 * u32::from(level)))) => {}
                Ok(stored) => {
                    let last = seq + (1 << (8 * u32::from(level))) - 1;
                    let message = format!("the events {seq} to {last} are not those that were sealed");
                    self.report(
                        seq,
                        "tile",
                        &message,
                        stored.first().map_or_else(String::new, |hash| hex(hash)),
                        hex(&hash),
                    );
                    self.damaged(seq);
                }
                Err(error) if error.kind() == ErrorKind::Integrity => {
                    self.report(seq, "tile", "a hash of the tree is gone", hex(&hash), "none");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
