//! Trees of random sizes; what holds of each, and that nothing random makes the code panic.

use proptest::prelude::*;

use super::super::{
    Checkpoint, Frontier, Hash, Key, Proof, TilePath, Tree, check_consistency, check_inclusion, consistency_proof,
    inclusion_proof, leaf_hash, root_at,
};
use super::{Memory, events, naive_root, sample};
use crate::error::ErrorKind;

/// Above one full node of level 2, so that proofs cross three levels of tiles.
const LARGE: u64 = 65_536 + 700;

std::thread_local! {
    /// Made once: most of the time of these tests would be spent on it.
    static MEMORY: Memory<Hash> = Memory::new(sample(LARGE));
}

/// Sizes near the edges of tiles as often as others.
fn sizes() -> impl Strategy<Value = u64> {
    prop_oneof![1..40_u64, 200..800_u64, 65_500..LARGE, 1..LARGE]
}

fn flipped(hash: &Hash, bit: usize) -> Hash {
    let mut hash = *hash;
    hash[bit / 8] ^= 1 << (bit % 8);
    hash
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn roots_and_inclusion_proofs_hold_and_any_change_breaks_them(
        size in sizes(), place in any::<prop::sample::Index>(), bit in 0..256_usize,
    ) {
        MEMORY.with(|memory| {
            memory.reads.borrow_mut().fill(0);
            let seq = place.index(size as usize) as u64;
            let root = root_at(size, memory).unwrap();
            prop_assert_eq!(root, naive_root(&memory.leaves[..size as usize]));
            memory.reads.borrow_mut().fill(0);
            let proof = inclusion_proof(seq, size, memory).unwrap();
            prop_assert!(memory.reads.borrow().iter().all(|reads| *reads <= 512), "{:?}", memory.reads);

            let leaf = leaf_hash(&memory.leaves[seq as usize]);
            check_inclusion(seq, size, &root, &leaf, &proof).unwrap();
            // The library's own check, which shares no code with ours.
            let theirs = proof.iter().copied().map(tlog_tiles::Hash).collect();
            tlog_tiles::check_record(&theirs, size, tlog_tiles::Hash(root), seq, tlog_tiles::Hash(leaf)).unwrap();

            let fails = |seq, size, root: &Hash, leaf: &Hash, proof: &[Hash]| {
                let error = check_inclusion(seq, size, root, leaf, proof).unwrap_err();
                error.kind() == ErrorKind::Integrity
            };
            prop_assert!(fails(seq, size, &flipped(&root, bit), &leaf, &proof));
            prop_assert!(fails(seq, size, &root, &flipped(&leaf, bit), &proof));
            for number in 0..proof.len() {
                let mut changed = proof.clone();
                changed[number] = flipped(&changed[number], bit);
                prop_assert!(fails(seq, size, &root, &leaf, &changed));
                changed.remove(number);
                prop_assert!(fails(seq, size, &root, &leaf, &changed));
            }
            prop_assert!(fails(seq, size, &root, &leaf, &[&proof[..], &[root]].concat()));
            prop_assert!(fails(seq + 1, size, &root, &leaf, &proof));
            prop_assert!(fails(seq ^ 1, size, &root, &leaf, &proof));
            Ok(())
        })?;
    }

    #[test]
    fn consistency_proofs_hold_and_any_change_breaks_them(
        first in sizes(), second in sizes(), bit in 0..256_usize,
    ) {
        MEMORY.with(|memory| {
            let (old, new) = (first.min(second), first.max(second));
            let tree = |size| Tree { size, root: root_at(size, memory).unwrap() };
            let (old, new) = (tree(old), tree(new));
            memory.reads.borrow_mut().fill(0);
            let proof = consistency_proof(old.size, new.size, memory).unwrap();
            prop_assert!(memory.reads.borrow().iter().all(|reads| *reads <= 512), "{:?}", memory.reads);
            check_consistency(old, new, &proof).unwrap();

            let fails = |old, new, proof: &[Hash]| {
                check_consistency(old, new, proof).unwrap_err().kind() == ErrorKind::Integrity
            };
            let flip = |tree: Tree| Tree { root: flipped(&tree.root, bit), ..tree };
            prop_assert!(fails(flip(old), new, &proof));
            prop_assert!(fails(old, flip(new), &proof));
            prop_assert!(fails(old, new, &[&proof[..], &[old.root]].concat()));
            for number in 0..proof.len() {
                let mut changed = proof.clone();
                changed[number] = flipped(&changed[number], bit);
                prop_assert!(fails(old, new, &changed));
                changed.remove(number);
                prop_assert!(fails(old, new, &changed));
            }
            if old.size < new.size {
                prop_assert!(fails(new, old, &proof));
            }
            Ok(())
        })?;
    }

    #[test]
    fn a_frontier_continues_from_its_bytes(size in sizes(), more in 1..600_usize) {
        MEMORY.with(|memory| {
            let before = memory.leaves[..size as usize].iter();
            let mut frontier = Frontier::new();
            before.for_each(|leaf| frontier.append(leaf, &mut |_| {}));
            let mut frontier = Frontier::from_bytes(size, &frontier.to_bytes()).unwrap();
            let end = memory.leaves.len().min(size as usize + more);
            let mut emitted = Vec::new();
            for leaf in &memory.leaves[size as usize..end] {
                frontier.append(leaf, &mut |node| emitted.push(node));
            }
            prop_assert_eq!(frontier.root(), root_at(end as u64, memory).unwrap());
            for node in emitted {
                prop_assert_eq!(memory.nodes[usize::from(node.level)][node.index as usize], node.hash);
            }
            Ok(())
        })?;
    }

    #[test]
    fn nothing_random_makes_a_check_panic(
        seq in any::<u64>(), size in any::<u64>(), old in any::<u64>(), hashes in prop::collection::vec(any::<Hash>(), 0..70),
    ) {
        let hash = [0; 32];
        prop_assert!(check_inclusion(seq, size, &hash, &hash, &hashes).is_err());
        let _ = check_consistency(Tree { size: old, root: hash }, Tree { size, root: hash }, &hashes);
        let _ = Frontier::from_bytes(size, &hashes.concat());
        let _ = TilePath::parse(&format!("tile/{}/{seq:03}.p/{}", size % 70, old % 300));
    }

    #[test]
    fn nothing_random_makes_a_parser_panic(text in "\\PC*", at in any::<prop::sample::Index>(), cut in 0..40_usize) {
        let proof = events::proof(2, 5).to_text();
        let key = events::key().to_text();
        for whole in [proof, key, "tile/entries/x001/x234/067.p/8".to_owned(), String::new()] {
            // A piece of the whole is replaced.
            let chars: Vec<char> = whole.chars().collect();
            let start = at.index(chars.len() + 1);
            let end = chars.len().min(start + cut);
            let changed: String = chars[..start].iter().copied().chain(text.chars()).chain(chars[end..].iter().copied()).collect();
            let _ = Proof::parse(&changed).and_then(|proof| proof.verify(events::key().vkey()));
            let _ = Checkpoint::parse(&changed);
            let _ = Key::parse(&changed);
            if let Ok(path) = TilePath::parse(&changed) {
                prop_assert_eq!(path.to_string(), changed);
            }
        }
    }
}

#[test]
fn questions_beyond_the_tree_are_refused() {
    let memory = Memory::new(sample(10));
    for (seq, size) in [(0, 0), (10, 10), (11, 10), (u64::MAX, 10)] {
        assert_eq!(inclusion_proof(seq, size, &memory).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
    for kind in [
        root_at(u64::MAX, &memory).unwrap_err().kind(),
        inclusion_proof(0, u64::MAX, &memory).unwrap_err().kind(),
        consistency_proof(1, 1 << 63, &memory).unwrap_err().kind(),
    ] {
        assert_eq!(kind, ErrorKind::InvalidArgument);
    }
    assert_eq!(consistency_proof(9, 8, &memory).unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!(consistency_proof(0, 10, &memory).unwrap(), [[0; 32]; 0]);
    assert_eq!(consistency_proof(10, 10, &memory).unwrap(), [[0; 32]; 0]);
}

/// A journal that has lost rows answers with fewer than it was asked for.
#[test]
fn a_reader_that_answers_too_little_is_found_out() {
    struct Short;
    impl super::super::Leaves for Short {
        fn commitments(&self, from: u64, to: u64) -> crate::Result<Vec<Hash>> {
            Ok(vec![[0; 32]; (to - from - 1) as usize])
        }
        fn nodes(&self, level: u8, _from: u64, _to: u64) -> crate::Result<Vec<Hash>> {
            Err(crate::error::Error::new(ErrorKind::Storage, format!("level {level} cannot be read")))
        }
    }
    let error = root_at(5, &Short).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert!(error.message().contains("expected 5 of them, found 4"), "{error}");
    // What the reader says goes through unchanged.
    let error = root_at(256, &Short).unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Storage, "level 1 cannot be read"));
}
