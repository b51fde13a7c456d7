//! A log that another implementation wrote (transparency-dev/tessera), read where it stands beside
//! the workspace: `../shared/vectors/tlog-tessera`.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use super::super::tile::entry_bundle;
use super::super::{
    Checkpoint, Frontier, TilePath, Tree, check_consistency, check_inclusion, consistency_proof, inclusion_proof,
    leaf_hash, root_at, tile,
};
use super::{Memory, naive_root};

const VKEY: &str = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx";
const WORDS: [&str; 15] = [
    "one", "two", "three", "four", "five", "six", "seven", "eit", "nain", "ten", "ileven", "twelf", "threeten",
    "fourten", "fivten",
];

#[test]
fn the_log_of_another_implementation_checks() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors/tlog-tessera");
    if !folder.is_dir() {
        // Past the test runner, which hides what a test that passes prints.
        let _ = writeln!(std::io::stderr(), "NOT RUN: there is no {}", folder.display());
        return;
    }
    let log = Memory::new(WORDS.to_vec());
    let read = |path: String| fs::read(folder.join(&path)).unwrap_or_else(|error| panic!("{path}: {error}"));

    let mut trees = Vec::new();
    let mut frontier = Frontier::new();
    for size in 0..=WORDS.len() {
        let note = String::from_utf8(read(format!("checkpoint.{size}"))).unwrap();
        let checkpoint = Checkpoint::parse(&note).unwrap();
        checkpoint.verify(VKEY).unwrap();
        assert_eq!(checkpoint.note(), note);
        assert_eq!(checkpoint.origin(), "example.com/log/testdata");
        assert_eq!(checkpoint.size(), size as u64);
        assert_eq!(checkpoint.root(), naive_root(&WORDS[..size]));
        assert_eq!(checkpoint.root(), root_at(size as u64, &log).unwrap());
        assert_eq!(checkpoint.root(), frontier.root());
        trees.push(Tree { size: checkpoint.size(), root: checkpoint.root() });
        if let Some(word) = WORDS.get(size) {
            frontier.append_leaf_hash(leaf_hash(word.as_bytes()), &mut |_| {});
        }
    }
    assert_eq!(read("checkpoint".to_owned()), read("checkpoint.15".to_owned()));

    for new in &trees {
        for old in &trees[..=new.size as usize] {
            let proof = consistency_proof(old.size, new.size, &log).unwrap();
            check_consistency(*old, *new, &proof).unwrap();
        }
        for (seq, word) in (0..new.size).zip(WORDS) {
            let proof = inclusion_proof(seq, new.size, &log).unwrap();
            check_inclusion(seq, new.size, &new.root, &leaf_hash(word.as_bytes()), &proof).unwrap();
        }
    }

    for width in 1..=WORDS.len() {
        let hashes = TilePath::hashes(0, 0, width as u16).unwrap();
        assert_eq!(tile(hashes, WORDS.len() as u64, &log).unwrap(), read(hashes.to_string()));
        let entries = TilePath::entries(0, width as u16).unwrap();
        assert_eq!(entry_bundle(&WORDS[..width]), read(entries.to_string()));
    }
}
