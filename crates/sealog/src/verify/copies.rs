//! Rows out of the journal's hands, so that several threads can compute what they must be.

use std::borrow::Cow;
use std::ops::Range;

use serde::Deserialize;

use super::KEY_ROTATED;
use crate::journal::{OwnKind, StoredRow};
use crate::tree::{self, Hash};

/// So many bytes are computed at once.
const FULL_BYTES: usize = 512 * 1024;
/// Fewer rows are not worth a thread.
const FEW_ROWS: usize = 128;
/// More threads wait for the one that reads.
const MAX_THREADS: usize = 8;

/// The columns that a body repeats.
#[derive(Deserialize)]
struct Columns<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    action: Cow<'a, str>,
    seq: u64,
}

/// What a body says of itself.
pub(super) struct Says {
    pub(super) id: String,
    pub(super) seq: u64,
    /// It hands over to another key.
    pub(super) is_rotation: bool,
    pub(super) own: Option<OwnKind>,
}

/// Copied rows, in order.
#[derive(Default)]
pub(super) struct Copies {
    bytes: Vec<u8>,
    places: Vec<Place>,
}

struct Place {
    seq: u64,
    commitment: Range<usize>,
    salt: Range<usize>,
    body: Range<usize>,
}

/// One copied row.
pub(super) struct Copy<'a> {
    pub(super) seq: u64,
    pub(super) commitment: &'a [u8],
    pub(super) salt: &'a [u8],
    pub(super) body: &'a [u8],
}

/// What a row's commitment must be, where its salt is one, and what its body says.
pub(super) type Computed = (Option<Hash>, Result<Says, String>);

impl Copies {
    pub(super) fn push(&mut self, seq: u64, row: StoredRow<'_>) {
        let mut append = |bytes: &[u8]| {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(bytes);
            start..self.bytes.len()
        };
        let (commitment, salt, body) = (append(row.commitment), append(row.salt), append(row.body));
        self.places.push(Place { seq, commitment, salt, body });
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= FULL_BYTES
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = Copy<'_>> {
        self.places.iter().map(|place| self.row(place))
    }

    fn row(&self, place: &Place) -> Copy<'_> {
        Copy {
            seq: place.seq,
            commitment: &self.bytes[place.commitment.clone()],
            salt: &self.bytes[place.salt.clone()],
            body: &self.bytes[place.body.clone()],
        }
    }

    /// What each row must be, in order.
    pub(super) fn computed(&self) -> Vec<Computed> {
        let compute = |places: &[Place]| -> Vec<Computed> {
            let one = |place| {
                let row = self.row(place);
                let salt = <[u8; 16]>::try_from(row.salt).ok();
                (salt.map(|salt| tree::commitment(&salt, row.body)), says(row.body))
            };
            places.iter().map(one).collect()
        };
        // One core is reading.
        let cores = std::thread::available_parallelism().map_or(1, usize::from).saturating_sub(1);
        let threads = cores.min(MAX_THREADS).min(self.places.len() / FEW_ROWS).max(1);
        let mut parts = self.places.chunks(self.places.len().div_ceil(threads).max(1));
        let first = parts.next().unwrap_or_default();
        std::thread::scope(|scope| {
            let others: Vec<_> = parts.map(|part| scope.spawn(move || compute(part))).collect();
            let mut all = compute(first);
            for other in others {
                all.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            all
        })
    }
}

fn says(body: &[u8]) -> Result<Says, String> {
    let Columns { id, action, seq } = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let own = OwnKind::of_action(&action);
    Ok(Says { id: id.into_owned(), seq, is_rotation: action == KEY_ROTATED, own })
}
