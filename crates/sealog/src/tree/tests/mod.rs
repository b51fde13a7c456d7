//! The tree against the plain definitions of RFC 6962, against vectors, and against a log of others.

mod events;
mod keys;
mod paths;
mod properties;
mod tessera;
mod trees;
mod vectors;

use std::cell::RefCell;

use sha2::{Digest, Sha256};

use super::{Frontier, Hash, Leaves, commitment, leaf_hash};
use crate::error::Result;

/// RFC 6962, section 2.1, word for word; shares nothing with the code it checks.
fn naive_root(leaves: &[impl AsRef<[u8]>]) -> Hash {
    match leaves {
        [] => Sha256::digest([]).into(),
        [leaf] => Sha256::digest([&[0], leaf.as_ref()].concat()).into(),
        _ => {
            // The largest power of two smaller than the number of leaves.
            let split = leaves.len().next_power_of_two() / 2;
            let (left, right) = (naive_root(&leaves[..split]), naive_root(&leaves[split..]));
            Sha256::digest([&[1], left.as_slice(), right.as_slice()].concat()).into()
        }
    }
}

/// Literal leaves that any language can make: the commitment of the number's decimal digits under a
/// salt of zeroes.
fn sample(count: u64) -> Vec<Hash> {
    (0..count).map(|number| commitment(&[0; 16], number.to_string().as_bytes())).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

/// What a journal would keep, in memory; its leaves are any bytes, so that logs of others fit too.
struct Memory<T> {
    leaves: Vec<T>,
    /// By tile level; the first is empty.
    nodes: Vec<Vec<Hash>>,
    frontier: Frontier,
    /// How many hashes were read, by tile level.
    reads: RefCell<Vec<u64>>,
}

impl<T: AsRef<[u8]>> Memory<T> {
    fn new(leaves: Vec<T>) -> Self {
        let (mut frontier, mut nodes) = (Frontier::new(), vec![Vec::new(); 8]);
        for leaf in &leaves {
            frontier.append_leaf_hash(leaf_hash(leaf.as_ref()), &mut |node| {
                let level: &mut Vec<Hash> = &mut nodes[usize::from(node.level)];
                assert_eq!(level.len() as u64, node.index);
                level.push(node.hash);
            });
        }
        Self { leaves, nodes, frontier, reads: RefCell::new(vec![0; 8]) }
    }

    fn count(&self, level: u8, from: u64, to: u64) {
        self.reads.borrow_mut()[usize::from(level)] += to - from;
    }
}

impl<T: AsRef<[u8]>> Leaves for Memory<T> {
    fn commitments(&self, from: u64, to: u64) -> Result<Vec<Hash>> {
        let leaves = &self.leaves[from as usize..to as usize];
        Ok(leaves.iter().map(|leaf| leaf.as_ref().try_into().expect("these leaves are commitments")).collect())
    }

    fn nodes(&self, level: u8, from: u64, to: u64) -> Result<Vec<Hash>> {
        self.count(level, from, to);
        Ok(self.nodes[usize::from(level)][from as usize..to as usize].to_vec())
    }

    fn leaf_hashes(&self, from: u64, to: u64) -> Result<Vec<Hash>> {
        self.count(0, from, to);
        Ok(self.leaves[from as usize..to as usize].iter().map(|leaf| leaf_hash(leaf.as_ref())).collect())
    }
}
