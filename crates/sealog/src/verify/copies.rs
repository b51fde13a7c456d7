//! Rows out of the journal's hands, so that other threads can compute what they must be.

use std::ops::Range;

use super::KEY_ROTATED;
use crate::canonical::Scanner;
use crate::journal::{OwnKind, StoredRow, Stretch, Unpacker};
use crate::tree::{self, Hash};

/// So many bytes, packed or not, are computed at once.
const FULL_BYTES: usize = 128 * 1024;

/// Copied stretches, in order. It is used again, so that its memory need not be found anew.
#[derive(Default)]
pub(super) struct Copies {
    bytes: Vec<u8>,
    places: Vec<Place>,
}

/// A stretch, whose bytes are elsewhere.
struct Place {
    seq: u64,
    commitments: Range<usize>,
    salts: Range<usize>,
    bodies: Range<usize>,
    is_packed: bool,
    wanted: (usize, usize),
}

/// What one row is.
pub(super) struct Computed {
    pub(super) seq: u64,
    /// The commitment that stands in the row, and the leaf that it makes.
    pub(super) stored: Hash,
    pub(super) leaf: Hash,
    pub(super) event: Content,
}

pub(super) enum Content {
    /// It cannot be unpacked, and why.
    Unreadable(String),
    /// The body is gone; and whether the salt is too.
    Gone { is_salted: bool },
    Here {
        /// Of salt and body, or how many bytes the salt has where it is none.
        commitment: Result<Hash, usize>,
        /// Or why the body cannot be read.
        says: Result<Says, String>,
    },
}

/// What a body says of itself.
pub(super) struct Says {
    pub(super) id: String,
    pub(super) seq: u64,
    /// It hands over to another key.
    pub(super) is_rotation: bool,
    pub(super) own: Option<OwnKind>,
}

impl Copies {
    pub(super) fn push(&mut self, stretch: Stretch<'_>) {
        let mut append = |bytes: &[u8]| {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(bytes);
            start..self.bytes.len()
        };
        let Stretch { seq, commitments, salts, bodies, is_packed, wanted } = stretch;
        let (commitments, salts, bodies) = (append(commitments), append(salts), append(bodies));
        self.places.push(Place { seq, commitments, salts, bodies, is_packed, wanted });
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= FULL_BYTES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.places.clear();
    }

    /// What each row is, in order.
    pub(super) fn computed(&self, unpacker: &mut Unpacker) -> Vec<Computed> {
        let mut computed = Vec::new();
        for Place { seq, commitments, salts, bodies, is_packed, wanted } in &self.places {
            let stretch = Stretch {
                seq: *seq,
                commitments: &self.bytes[commitments.clone()],
                salts: &self.bytes[salts.clone()],
                bodies: &self.bytes[bodies.clone()],
                is_packed: *is_packed,
                wanted: *wanted,
            };
            let result = stretch.rows(unpacker, &mut |seq, row| {
                computed.push(compute(seq, row));
                Ok(())
            });
            if let Err(error) = result {
                let stored = Hash::default();
                computed.extend((wanted.0..wanted.1).map(|index| {
                    let event = Content::Unreadable(error.message().to_owned());
                    Computed { seq: seq + index as u64, stored, leaf: tree::leaf_hash(&stored), event }
                }));
            }
        }
        computed
    }
}

fn compute(seq: u64, row: StoredRow<'_>) -> Computed {
    let stored = Hash::try_from(row.commitment).unwrap_or_default();
    let event = if row.body.is_empty() {
        Content::Gone { is_salted: row.salt.iter().any(|byte| *byte != 0) }
    } else {
        let salt = row.salt.try_into().map_err(|_| row.salt.len());
        Content::Here { commitment: salt.map(|salt| tree::commitment(salt, row.body)), says: says(row.body) }
    };
    Computed { seq, stored, leaf: tree::leaf_hash(&stored), event }
}

fn says(body: &[u8]) -> Result<Says, String> {
    let (mut id, mut action, mut seq) = (None, None, None);
    let scanned = Scanner::new(body).and_then(|mut scanner| {
        scanner.object(&mut |scanner, name| {
            let is_second = match name.raw {
                "id" => id.replace(scanner.string()?.unescaped()?).is_some(),
                "action" => action.replace(scanner.string()?.unescaped()?).is_some(),
                "seq" => seq.replace(scanner.integer()?).is_some(),
                _ => return scanner.value(&mut |_| Some(())),
            };
            (!is_second).then_some(())
        })?;
        scanner.is_at_end().then_some(())
    });
    match (scanned, id, action, seq) {
        (Some(()), Some(id), Some(action), Some(seq)) => {
            let own = OwnKind::of_action(&action);
            Ok(Says { id: id.into_owned(), seq, is_rotation: action == KEY_ROTATED, own })
        }
        (Some(()), ..) => Err("an object without them".to_owned()),
        (None, ..) => Err(String::from_utf8_lossy(body).chars().take(80).collect()),
    }
}
