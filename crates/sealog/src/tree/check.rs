//! Checking proofs, with evidence when they fail.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::{EMPTY_ROOT, Hash, MAX_SIZE, mismatch, node_hash};
use crate::error::Result;

/// Checks that `leaf` is the hash of leaf `seq` in the tree of `size` leaves under `root`.
///
/// # Errors
///
/// `Integrity` when it is not, or when the proof has too few hashes or too many.
pub(crate) fn check_inclusion(seq: u64, size: u64, root: &Hash, leaf: &Hash, proof: &[Hash]) -> Result<()> {
    if size > MAX_SIZE || seq >= size {
        return Err(mismatch(
            &format!("the tree of {size} leaves does not hold the leaf"),
            format_args!("an index below {}", size.min(MAX_SIZE)),
            seq,
        ));
    }
    // The way from the leaf to the root has two parts. Below the place where it parts from the way
    // to the last leaf, each level gives a sibling, left or right as the bits of `seq` say. Above it,
    // the way follows the right edge, and only the left turns of the edge have siblings.
    let inner = (seq ^ (size - 1)).checked_ilog2().map_or(0, |bit| bit as usize + 1);
    let edge = (seq >> inner).count_ones() as usize;
    if proof.len() != inner + edge {
        return Err(mismatch(
            &format!("the inclusion proof of leaf {seq} in a tree of {size}"),
            format_args!("{} hashes", inner + edge),
            proof.len(),
        ));
    }
    let below = proof[..inner].iter().enumerate().fold(*leaf, |hash, (level, sibling)| {
        if seq >> level & 1 == 0 { node_hash(&hash, sibling) } else { node_hash(sibling, &hash) }
    });
    let found = proof[inner..].iter().fold(below, |hash, left| node_hash(left, &hash));
    if found == *root {
        return Ok(());
    }
    Err(mismatch(
        &format!("leaf {seq} is not in the tree of {size} leaves"),
        format_args!("root {}", BASE64_STANDARD.encode(root)),
        format_args!(
            "root {} from the leaf {} and its proof",
            BASE64_STANDARD.encode(found),
            BASE64_STANDARD.encode(leaf)
        ),
    ))
}

/// A tree as a checkpoint states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tree {
    /// How many leaves.
    pub(crate) size: u64,
    /// The root over them.
    pub(crate) root: Hash,
}

/// Checks that the tree `new` begins with the tree `old`.
///
/// # Errors
///
/// `Integrity` when it does not, or the proof does not show it.
pub(crate) fn check_consistency(old: Tree, new: Tree, proof: &[Hash]) -> Result<()> {
    if new.size > MAX_SIZE || old.size > new.size {
        return Err(mismatch(
            "the tree became smaller",
            format_args!("{} leaves or more, at most {MAX_SIZE}", old.size),
            new.size,
        ));
    }
    let holds = if old.size == 0 {
        old.root == EMPTY_ROOT && proof.is_empty()
    } else {
        let proof = proof.iter().copied().map(tlog_tiles::Hash).collect();
        let (old_root, new_root) = (tlog_tiles::Hash(old.root), tlog_tiles::Hash(new.root));
        tlog_tiles::check_tree(&proof, new.size, new_root, old.size, old_root).is_ok()
    };
    if holds {
        return Ok(());
    }
    Err(mismatch(
        "the tree was changed",
        format_args!("one that begins with {} leaves under root {}", old.size, BASE64_STANDARD.encode(old.root)),
        format_args!("one of {} leaves under root {} that does not", new.size, BASE64_STANDARD.encode(new.root)),
    ))
}
