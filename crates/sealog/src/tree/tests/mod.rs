//! The tree against the plain definitions of RFC 6962, against vectors, and against a log of others.

mod keys;
mod trees;

use sha2::{Digest, Sha256};

use super::{Hash, commitment};

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
