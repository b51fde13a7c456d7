//! The frontier.

use super::super::{EMPTY_ROOT, Frontier, MAX_SIZE, Node, commitment, leaf_hash};
use super::{hex, naive_root, sample};
use crate::error::ErrorKind;

#[test]
fn a_commitment_is_the_hash_of_salt_and_body() {
    let salt = std::array::from_fn(|byte| byte as u8);
    let commitment = commitment(&salt, br#"{"action":"user.login"}"#);
    assert_eq!(hex(&commitment), "64583e5f2686797e480c126df8ee2afb78ccc18171529cdf8a57e069824bbf2f");
    assert_eq!(hex(&leaf_hash(&commitment)), "9172b43ebf3ad16385b21f49666d774ee4b5a5f3e540402407149dfd864ff18e");
}

#[test]
fn the_root_is_the_naive_one_at_each_size() {
    let leaves = sample(600);
    let mut frontier = Frontier::new();
    assert_eq!(frontier.root(), EMPTY_ROOT);
    for (size, leaf) in (1..).zip(&leaves) {
        frontier.append(leaf, &mut |_| {});
        assert_eq!(frontier.size(), size as u64);
        assert_eq!(frontier.root(), naive_root(&leaves[..size]), "at size {size}");
        let again = Frontier::from_bytes(frontier.size(), &frontier.to_bytes()).unwrap();
        assert_eq!(again, frontier, "through bytes at size {size}");
    }
}

#[test]
fn each_256_leaves_complete_a_node_and_each_65536_another() {
    let leaves = sample(65_536 + 300);
    let mut frontier = Frontier::new();
    let mut nodes = Vec::new();
    for leaf in &leaves {
        frontier.append(leaf, &mut |node| nodes.push(node));
    }
    assert_eq!(nodes.len(), 257 + 1);
    for (index, node) in nodes.iter().filter(|node| node.level == 1).enumerate() {
        let hash = naive_root(&leaves[index * 256..][..256]);
        assert_eq!(*node, Node { level: 1, index: index as u64, hash });
    }
    let above: Vec<_> = nodes.iter().filter(|node| node.level == 2).collect();
    assert_eq!(above, [&Node { level: 2, index: 0, hash: naive_root(&leaves[..65_536]) }]);
}

#[test]
fn a_frontier_of_the_wrong_length_is_refused_with_evidence() {
    for (size, len) in [(0, 32), (1, 0), (3, 32), (3, 65), (7, 128), (MAX_SIZE + 1, 32)] {
        let error = Frontier::from_bytes(size, &vec![0; len]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Integrity);
        assert!(error.message().contains("expected") && error.message().contains("found"), "{error}");
    }
    // The largest tree there can be is read without any shift going wrong.
    let largest = Frontier::from_bytes(MAX_SIZE, &[7; 63 * 32]).unwrap();
    assert_ne!(largest.root(), EMPTY_ROOT);
}
