//! The right edge of the tree: all that is needed to append to it and to know its root.

use std::fmt;

use super::{EMPTY_ROOT, Hash, MAX_SIZE, leaf_hash, mismatch, node_hash};
use crate::error::Result;

/// Levels of complete subtrees that a tree of [`MAX_SIZE`] leaves can have.
const LEVELS: usize = 63;

/// The hash of a complete subtree of `256^level` leaves, which is what a tile of that level holds:
/// leaves `[index · 256^level, (index + 1) · 256^level)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Node {
    /// The tile level, 1 or more; the hashes of level 0 are those of the leaves.
    pub(crate) level: u8,
    /// The place among the nodes of its level.
    pub(crate) index: u64,
    /// The hash of the subtree.
    pub(crate) hash: Hash,
}

/// The hashes of the complete subtrees that a tree of some size falls into, one for each bit that is
/// set in the size (RFC 6962, section 2.1). An append costs one leaf hash and, on average, one node.
#[derive(Clone)]
pub(crate) struct Frontier {
    size: u64,
    /// At place `k` the subtree of `2^k` leaves, where bit `k` of the size is set; elsewhere what
    /// happened to stand there.
    subtrees: [Hash; LEVELS],
}

impl Frontier {
    /// The frontier of the empty tree.
    pub(crate) fn new() -> Self {
        Self { size: 0, subtrees: [[0; 32]; LEVELS] }
    }

    /// Reads what [`Frontier::to_bytes`] wrote for a tree of `size` leaves.
    ///
    /// # Errors
    ///
    /// `Integrity` when the number of hashes is not the one that a tree of this size has.
    pub(crate) fn from_bytes(size: u64, bytes: &[u8]) -> Result<Self> {
        if size > MAX_SIZE {
            return Err(mismatch("the size of the tree", format_args!("at most {MAX_SIZE}"), size));
        }
        let (hashes, rest) = bytes.as_chunks::<32>();
        let expected = size.count_ones() as usize;
        if hashes.len() != expected || !rest.is_empty() {
            return Err(mismatch(
                &format!("the frontier of a tree of {size} leaves"),
                format_args!("{} bytes", expected * 32),
                format_args!("{} bytes", bytes.len()),
            ));
        }
        let mut frontier = Self { size, ..Self::new() };
        let set = (0..LEVELS).rev().filter(|level| size >> level & 1 == 1);
        for (level, hash) in set.zip(hashes) {
            frontier.subtrees[level] = *hash;
        }
        Ok(frontier)
    }

    /// The hashes of the complete subtrees, the largest first, 32 bytes each.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let set = (0..LEVELS).rev().filter(|level| self.size >> level & 1 == 1);
        set.flat_map(|level| self.subtrees[level]).collect()
    }

    /// How many leaves the tree has.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf. `emit` is called for each node of tile level 1 and above that is completed by
    /// it, the lowest first: one call for every 256 leaves, another for every 65,536, and so on.
    pub(crate) fn append(&mut self, commitment: &Hash, emit: &mut impl FnMut(Node)) {
        self.append_leaf_hash(leaf_hash(commitment), emit);
    }

    /// Appends a leaf that is hashed already.
    pub(crate) fn append_leaf_hash(&mut self, leaf: Hash, emit: &mut impl FnMut(Node)) {
        debug_assert!(self.size < MAX_SIZE, "no journal can hold so many rows");
        // Adding one to a binary number: each carry joins two subtrees of the same height.
        let carries = self.size.trailing_ones();
        let mut hash = leaf;
        for level in 0..carries {
            hash = node_hash(&self.subtrees[level as usize], &hash);
            let height = level + 1;
            if height.is_multiple_of(8) {
                emit(Node { level: (height / 8) as u8, index: self.size >> height, hash });
            }
        }
        self.subtrees[carries as usize] = hash;
        self.size += 1;
    }

    /// The root of the tree.
    pub(crate) fn root(&self) -> Hash {
        let mut set = (0..LEVELS).filter(|level| self.size >> level & 1 == 1);
        let Some(lowest) = set.next() else { return EMPTY_ROOT };
        set.fold(self.subtrees[lowest], |right, level| node_hash(&self.subtrees[level], &right))
    }
}

impl fmt::Debug for Frontier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frontier").field("size", &self.size).field("root", &self.root()).finish_non_exhaustive()
    }
}

/// Two frontiers are equal when they continue alike; what lies in unused places does not count.
impl PartialEq for Frontier {
    fn eq(&self, other: &Self) -> bool {
        self.size == other.size && self.to_bytes() == other.to_bytes()
    }
}
