//! Reading the tree: what a journal keeps of it, and the proofs that follow from that.

use std::cell::RefCell;

use tlog_tiles::{HashReader, Tile};

use super::{Hash, MAX_SIZE, leaf_hash, mismatch};
use crate::error::{Error, ErrorKind, Result};

/// How many levels of the tree one tile spans; a full tile has `2^8` hashes (c2sp.org/tlog-tiles).
pub(super) const TILE_HEIGHT: u8 = 8;
/// How many hashes a full tile has.
pub(super) const TILE_WIDTH: u64 = 1 << TILE_HEIGHT;

/// What a journal keeps of the tree: the commitments of its rows, and each [`Node`](super::Node)
/// that was completed. Everything else is computed from these.
///
/// A proof or root reads at most two tiles of each level: the one on the way to its leaf, and the
/// last one. That is at most 512 commitments, and 512 nodes of each level above.
pub(crate) trait Leaves {
    /// The commitments of the events `from..to`, in order: exactly `to - from` of them.
    fn commitments(&self, from: u64, to: u64) -> Result<Vec<Hash>>;

    /// The nodes `from..to` of a tile level (1 and above), in order: exactly `to - from` of them.
    fn nodes(&self, level: u8, from: u64, to: u64) -> Result<Vec<Hash>>;

    /// The leaf hashes of the events `from..to`. Only tests have leaves that are no commitments.
    fn leaf_hashes(&self, from: u64, to: u64) -> Result<Vec<Hash>> {
        let commitments = self.commitments(from, to)?;
        Ok(commitments.iter().map(|commitment| leaf_hash(commitment)).collect())
    }
}

/// The hashes `from..to` of a tile level.
pub(super) fn hashes(leaves: &dyn Leaves, level: u8, from: u64, to: u64) -> Result<Vec<Hash>> {
    let hashes = if level == 0 { leaves.leaf_hashes(from, to) } else { leaves.nodes(level, from, to) }?;
    if hashes.len() as u64 != to - from {
        return Err(mismatch(
            &format!("the hashes {from}..{to} of tree level {level}"),
            format_args!("{} of them", to - from),
            hashes.len(),
        ));
    }
    Ok(hashes)
}

/// The root of the tree of the first `size` leaves.
///
/// # Errors
///
/// Those of the reader, and `Integrity` when it has fewer leaves.
#[cfg(test)]
pub(crate) fn root_at(size: u64, leaves: &dyn Leaves) -> Result<Hash> {
    // Not asked of the library, which takes the empty tree for a special case as well.
    if size == 0 {
        return Ok(super::EMPTY_ROOT);
    }
    Reader::run(size, leaves, |reader| Ok(tlog_tiles::tree_hash(size, reader)?.0))
}

/// The inclusion proof (RFC 6962, section 2.1.1) of leaf `seq` in the tree of the first `size`
/// leaves: the siblings on the way from the leaf up to the root.
///
/// # Errors
///
/// `InvalidArgument` when the tree has no such leaf; those of the reader.
pub(crate) fn inclusion_proof(seq: u64, size: u64, leaves: &dyn Leaves) -> Result<Vec<Hash>> {
    if seq >= size {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("a tree of {size} events does not hold event {seq}; its last is {:?}", size.checked_sub(1)),
        ));
    }
    Reader::run(size, leaves, |reader| tlog_tiles::prove_record(size, seq, reader).map(plain))
}

/// The consistency proof (RFC 6962, section 2.1.2) that the tree of the first `new` leaves begins
/// with the tree of the first `old`. Empty when `old` is zero, since every tree begins with the
/// empty one, and when both are the same.
///
/// # Errors
///
/// `InvalidArgument` when `old` is larger than `new`; those of the reader.
pub(crate) fn consistency_proof(old: u64, new: u64, leaves: &dyn Leaves) -> Result<Vec<Hash>> {
    if old > new {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("a tree of {new} events cannot extend one of {old}"),
        ));
    }
    if old == 0 {
        return Ok(Vec::new());
    }
    Reader::run(new, leaves, |reader| tlog_tiles::prove_tree(new, old, reader).map(plain))
}

fn plain(hashes: Vec<tlog_tiles::Hash>) -> Vec<Hash> {
    hashes.into_iter().map(|hash| hash.0).collect()
}

/// Answers the library's questions for single hashes from whole tiles, each read once.
struct Reader<'a> {
    size: u64,
    leaves: &'a dyn Leaves,
    /// At most a dozen, so a list is searched as fast as a map.
    tiles: RefCell<Vec<(Tile, Vec<u8>)>>,
    /// Why a read failed: the library's own error has no place for it.
    failure: RefCell<Option<Error>>,
}

impl<'a> Reader<'a> {
    fn run<T>(size: u64, leaves: &'a dyn Leaves, job: impl FnOnce(&Self) -> Result<T, tlog_tiles::Error>) -> Result<T> {
        if size > MAX_SIZE {
            let message = format!("a tree of {size} events is larger than any can be, which is {MAX_SIZE}");
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        let reader = Self { size, leaves, tiles: RefCell::default(), failure: RefCell::default() };
        job(&reader).map_err(|error| {
            let failure = reader.failure.take();
            failure.unwrap_or_else(|| Error::new(ErrorKind::Integrity, error.to_string()).with_source(error))
        })
    }

    fn hash(&self, index: u64) -> Result<tlog_tiles::Hash, tlog_tiles::Error> {
        let least = Tile::from_index(TILE_HEIGHT, index);
        // The widest tile of this tree serves all questions that fall into it.
        let start = least.level_index() * TILE_WIDTH;
        let width = (self.size >> (TILE_HEIGHT * least.level())).saturating_sub(start).min(TILE_WIDTH);
        if u64::from(least.width()) > width {
            return Err(tlog_tiles::Error::IndexesNotInTree);
        }
        let tile = Tile::new(TILE_HEIGHT, least.level(), least.level_index(), width as u32, false);
        let mut tiles = self.tiles.borrow_mut();
        if let Some((_, data)) = tiles.iter().find(|(known, _)| *known == tile) {
            return tile.hash_at_index(data, index);
        }
        let hashes = hashes(self.leaves, tile.level(), start, start + width).map_err(|error| {
            self.failure.replace(Some(error));
            tlog_tiles::Error::InvalidTile
        })?;
        let data = hashes.concat();
        let hash = tile.hash_at_index(&data, index);
        tiles.push((tile, data));
        hash
    }
}

impl HashReader for Reader<'_> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
        indexes.iter().map(|index| self.hash(*index)).collect()
    }
}
