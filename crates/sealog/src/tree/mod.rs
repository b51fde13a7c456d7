//! The tree: commitments, tiles, proofs, checkpoints and keys. Pure: no I/O, no clock, no SQL.
//!
//! An event enters the tree as a **commitment**, `SHA-256(salt ‖ canonical JSON)`, so that what is
//! published of the tree says nothing about the event, and a body that was removed cannot be
//! guessed from what remains. Over the commitments stands the Merkle tree of RFC 6962, section 2.1:
//!
//! ```text
//! leaf   SHA-256(0x00 ‖ commitment)
//! node   SHA-256(0x01 ‖ left ‖ right)
//! empty  SHA-256("")
//! ```
//!
//! The formats are those of C2SP, byte for byte: [tlog-tiles](https://c2sp.org/tlog-tiles),
//! [tlog-checkpoint](https://c2sp.org/tlog-checkpoint), [signed-note](https://c2sp.org/signed-note)
//! and [tlog-proof](https://c2sp.org/tlog-proof).

mod check;
mod checkpoint;
mod cosignature;
mod frontier;
mod key;
mod leaves;
mod proof;
#[cfg(test)]
mod tests;
mod tile;

pub use checkpoint::Checkpoint;
pub use cosignature::{Cosignature, Witness};
pub use key::Key;
pub use proof::{Proof, ProvenEvent};

pub(crate) use self::{
    check::{Tree, check_consistency},
    checkpoint::check_vkey,
    frontier::{Frontier, Node},
    key::Signer,
    leaves::{Leaves, consistency_proof, inclusion_proof},
    proof::leaf_proof,
    tile::{TilePath, tile},
};

#[cfg(test)]
pub(crate) use self::{check::check_inclusion, leaves::root_at};

use std::fmt;

use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind};

/// A SHA-256 hash: of a leaf, of a node, or of the whole tree.
pub(crate) type Hash = [u8; 32];

/// The root of the tree without leaves: SHA-256 of nothing.
pub(crate) const EMPTY_ROOT: Hash = tlog_tiles::EMPTY_HASH.0;

/// The most leaves of a tree: what SQL can count, and half of what the storage indexes of
/// `tlog_tiles` can. A checkpoint that claims more is refused before any arithmetic on it.
pub(crate) const MAX_SIZE: u64 = i64::MAX as u64;

/// What the tree holds of an event: `SHA-256(salt ‖ canonical JSON)`.
pub(crate) fn commitment(salt: &[u8; 16], canonical: &[u8]) -> Hash {
    Sha256::new().chain_update(salt).chain_update(canonical).finalize().into()
}

/// The hash of a leaf: `SHA-256(0x00 ‖ data)`. The data is a commitment, except in tests against
/// logs of others.
pub(crate) fn leaf_hash(data: &[u8]) -> Hash {
    tlog_tiles::record_hash(data).0
}

/// The hash of an inner node: `SHA-256(0x01 ‖ left ‖ right)`.
pub(crate) fn node_hash(left: &Hash, right: &Hash) -> Hash {
    tlog_tiles::node_hash(tlog_tiles::Hash(*left), tlog_tiles::Hash(*right)).0
}

/// An error that speaks of integrity, with its evidence.
fn mismatch(what: &str, expected: impl fmt::Display, found: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Integrity, format!("{what}: expected {expected}, found {found}"))
}
