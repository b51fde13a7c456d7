//! The vectors in `contract/vectors`: that they are what this code makes, and that they hold. To
//! write them anew after a deliberate change, run this test with `SEALOG_WRITE_VECTORS=1`.

use std::fs;
use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::super::tile::entry_bundle;
use super::super::{
    Checkpoint, Frontier, Hash, Key, Proof, TilePath, Tree, check_consistency, check_inclusion, commitment,
    consistency_proof, inclusion_proof, leaf_hash, root_at, tile,
};
use super::{Memory, events, naive_root, sample};
use crate::clock::ManualClock;

const LEAVES: &str = "leaf i of a sample tree is SHA-256(16 zero bytes ‖ i in ASCII decimal)";
const BASE64: &str = "binary values are base64, RFC 4648 section 4";

fn b64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_STANDARD.encode(bytes)
}

fn all_b64(hashes: &[Hash]) -> Vec<String> {
    hashes.iter().map(b64).collect()
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../contract/vectors").join(name)
}

/// Compares what was made with what is committed, and answers the latter.
fn committed(name: &str, made: &str) -> String {
    let path = path(name);
    if std::env::var_os("SEALOG_WRITE_VECTORS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, made).unwrap();
    }
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(text, made, "{name} is not what this code makes");
    text
}

fn committed_json(name: &str, made: &Value) -> Value {
    let made = serde_json::to_string_pretty(made).unwrap() + "\n";
    serde_json::from_str(&committed(name, &made)).unwrap()
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    let list = value[name].as_array().unwrap_or_else(|| panic!("no list {name}"));
    assert!(!list.is_empty(), "{name} is empty");
    list
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no text {name} in {value}"))
}

fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_else(|| panic!("no number {name} in {value}"))
}

fn bytes(value: &Value, name: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(text(value, name)).unwrap()
}

fn hash(value: &Value, name: &str) -> Hash {
    bytes(value, name).try_into().unwrap()
}

fn hash_list(value: &Value, name: &str) -> Vec<Hash> {
    let list = value[name].as_array().unwrap_or_else(|| panic!("no list {name}"));
    list.iter().map(|hash| BASE64_STANDARD.decode(hash.as_str().unwrap()).unwrap().try_into().unwrap()).collect()
}

#[test]
fn tree_json() {
    let commitments: Vec<_> = [([0; 16], String::new()), ([0; 16], "0".to_owned()), ([255; 16], "{}".to_owned())]
        .into_iter()
        .chain((0..3).map(|seq| (events::salt(seq), events::canonical(seq))))
        .map(|(salt, canonical)| {
            let commitment = commitment(&salt, canonical.as_bytes());
            json!({
                "salt": b64(salt), "canonical": canonical, "commitment": b64(commitment),
                "leafHash": b64(leaf_hash(&commitment)),
            })
        })
        .collect();
    let sizes = (0..=20).chain([31, 32, 33, 63, 64, 65, 127, 128, 129, 200, 255, 256, 257, 299, 300]);
    let roots: Vec<_> = sizes
        .map(|size| {
            let memory = Memory::new(sample(size));
            json!({"size": size, "root": b64(memory.frontier.root()), "frontier": b64(memory.frontier.to_bytes())})
        })
        .collect();
    let vectors = committed_json(
        "tree.json",
        &json!({
            "about": ["commitment = SHA-256(salt ‖ canonical), leaf hash = SHA-256(0x00 ‖ commitment)",
                "node = SHA-256(0x01 ‖ left ‖ right), RFC 6962 section 2.1",
                "frontier = the hashes of the complete subtrees, largest first", LEAVES, BASE64],
            "commitments": commitments,
            "roots": roots,
        }),
    );

    for vector in list(&vectors, "commitments") {
        let salt = bytes(vector, "salt").try_into().unwrap();
        let found = commitment(&salt, text(vector, "canonical").as_bytes());
        assert_eq!(found, hash(vector, "commitment"));
        assert_eq!(leaf_hash(&found), hash(vector, "leafHash"));
    }
    for vector in list(&vectors, "roots") {
        let size = number(vector, "size");
        assert_eq!(naive_root(&sample(size)), hash(vector, "root"), "size {size}");
        let frontier = Frontier::from_bytes(size, &bytes(vector, "frontier")).unwrap();
        assert_eq!(frontier.root(), hash(vector, "root"), "size {size}");
    }
}

#[test]
fn checkpoint_json() {
    let key = events::key();
    let rotated = key.rotated(&ManualClock::new(0, 2)).unwrap();
    let old = rotated.signer_for(key.vkey()).unwrap();
    let root = |size| naive_root(&sample(size));
    let witness = "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";
    let one = key.sign_checkpoint(1, &root(1)).note().to_owned();
    let good = [
        ("of the empty tree", key.sign_checkpoint(0, &root(0)).note().to_owned(), vec![key.vkey()]),
        ("of one leaf", one.clone(), vec![key.vkey()]),
        ("of 300 leaves", key.sign_checkpoint(300, &root(300)).note().to_owned(), vec![key.vkey()]),
        ("with the signature of a witness", one.clone() + witness, vec![key.vkey()]),
        (
            "where one key hands over to the next",
            rotated.sign_handover(old, 5, &root(5)).note().to_owned(),
            vec![key.vkey(), rotated.vkey()],
        ),
        ("by the next key alone", rotated.sign_checkpoint(6, &root(6)).note().to_owned(), vec![rotated.vkey()]),
    ];
    let valid: Vec<_> = good
        .into_iter()
        .map(|(what, note, vkeys)| {
            let parsed = Checkpoint::parse(&note).unwrap();
            json!({
                "what": what, "note": note, "vkeys": vkeys,
                "origin": parsed.origin(), "size": parsed.size(), "root": parsed.root_base64(),
            })
        })
        .collect();
    let bad = [
        ("no signature", one.split_inclusive('\n').take(4).collect(), key.vkey()),
        ("another size", one.replacen("\n1\n", "\n2\n", 1), key.vkey()),
        ("another root", one.replace(&b64(root(1)), &b64(root(2))), key.vkey()),
        ("another origin", one.replacen("example.com/log\n", "example.com/lag\n", 1), key.vkey()),
        ("a line of extension that was not signed", one.replacen("\n\n", "\nextension\n\n", 1), key.vkey()),
        ("a size with a leading zero", one.replacen("\n1\n", "\n01\n", 1), key.vkey()),
        ("no line of signature at the end", format!("{one}\n"), key.vkey()),
        ("CR LF", one.replace('\n', "\r\n"), key.vkey()),
        ("another key", one.clone(), rotated.vkey()),
    ];
    let invalid: Vec<_> =
        bad.iter().map(|(what, note, vkey)| json!({"what": what, "note": note, "vkey": vkey})).collect();
    let vectors = committed_json(
        "checkpoint.json",
        &json!({
            "about": ["c2sp.org/tlog-checkpoint and c2sp.org/signed-note; Ed25519 signs alike at each run",
                "the keys are made for these vectors and sign nothing else", BASE64],
            "keys": [{"text": key.to_text(), "vkey": key.vkey()}, {"text": rotated.to_text(), "vkey": rotated.vkey()}],
            "valid": valid,
            "invalid": invalid,
        }),
    );

    for vector in list(&vectors, "keys") {
        let key = Key::parse(text(vector, "text")).unwrap();
        assert_eq!(key.vkey(), text(vector, "vkey"));
        assert_eq!(key.to_text(), text(vector, "text"));
    }
    for vector in list(&vectors, "valid") {
        let checkpoint = Checkpoint::parse(text(vector, "note")).unwrap();
        for vkey in list(vector, "vkeys") {
            checkpoint.verify(vkey.as_str().unwrap()).unwrap();
        }
        assert_eq!(checkpoint.origin(), text(vector, "origin"));
        assert_eq!(checkpoint.size(), number(vector, "size"));
        assert_eq!(checkpoint.root(), hash(vector, "root"));
    }
    for vector in list(&vectors, "invalid") {
        let checked = Checkpoint::parse(text(vector, "note")).and_then(|note| note.verify(text(vector, "vkey")));
        assert!(checked.is_err(), "{}", text(vector, "what"));
    }
}

#[test]
fn tile_json() {
    let paths: Vec<_> = [
        TilePath::hashes(0, 0, 256),
        TilePath::hashes(0, 0, 1),
        TilePath::hashes(0, 999, 255),
        TilePath::hashes(0, 1000, 256),
        TilePath::hashes(1, 1_234_067, 256),
        TilePath::hashes(63, 1_234_067, 8),
        TilePath::entries(0, 1),
        TilePath::entries(1_234_067, 256),
    ]
    .into_iter()
    .map(|path| path.unwrap().to_string())
    .collect();
    let invalid = [
        "tile/0/0",
        "tile/0/x001",
        "tile/0/x000/001",
        "tile/00/000",
        "tile/64/000",
        "tile/data/000",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "/tile/0/000",
    ];
    let memory = Memory::new(sample(300));
    let tiles: Vec<_> = [
        TilePath::hashes(0, 0, 1),
        TilePath::hashes(0, 0, 3),
        TilePath::hashes(0, 0, 256),
        TilePath::hashes(0, 1, 44),
        TilePath::hashes(1, 0, 1),
        TilePath::entries(0, 2),
        TilePath::entries(1, 44),
    ]
    .into_iter()
    .map(|path| {
        let path = path.unwrap();
        json!({"path": path.to_string(), "bytes": b64(tile(path, 300, &memory).unwrap())})
    })
    .collect();
    let vectors = committed_json(
        "tile.json",
        &json!({
            "about": ["c2sp.org/tlog-tiles; the tiles are of the sample tree of 300 leaves", LEAVES, BASE64],
            "paths": paths,
            "invalidPaths": invalid,
            "tiles": tiles,
            "missing": ["tile/0/001.p/45", "tile/0/001", "tile/1/000.p/2", "tile/2/000.p/1", "tile/entries/002.p/1"],
        }),
    );

    for path in list(&vectors, "paths").iter().map(|path| path.as_str().unwrap()) {
        assert_eq!(TilePath::parse(path).unwrap().to_string(), path);
    }
    for path in list(&vectors, "invalidPaths").iter().map(|path| path.as_str().unwrap()) {
        assert!(TilePath::parse(path).is_err(), "{path}");
    }
    let leaves = sample(300);
    for vector in list(&vectors, "tiles") {
        // From the leaves, without the functions that made it.
        let (path, bytes) = (text(vector, "path"), bytes(vector, "bytes"));
        let (start, width) = match path.rsplit_once(".p/") {
            Some((before, width)) => (256 * usize::from(before.ends_with("001")), width.parse().unwrap()),
            None => (0, 256),
        };
        let expected = if path.starts_with("tile/entries/") {
            entry_bundle(&leaves[start..start + width])
        } else if path.starts_with("tile/0/") {
            leaves[start..start + width].iter().flat_map(|leaf| leaf_hash(leaf)).collect()
        } else {
            naive_root(&leaves[..256]).to_vec()
        };
        assert_eq!(bytes, expected, "{path}");
    }
    for path in list(&vectors, "missing").iter().map(|path| path.as_str().unwrap()) {
        assert!(tile(TilePath::parse(path).unwrap(), 300, &memory).is_err(), "{path}");
    }
}

#[test]
fn proof_json() {
    let memory = Memory::new(sample(300));
    let root = |size| root_at(size, &memory).unwrap();
    let places = [(0, 1), (0, 2), (1, 2), (2, 3), (3, 5), (4, 5), (6, 7), (0, 8), (7, 8), (5, 13), (100, 256)];
    let inclusion: Vec<_> = places
        .into_iter()
        .chain([(255, 257), (256, 257), (0, 300), (299, 300)])
        .map(|(seq, size)| {
            let proof = inclusion_proof(seq, size, &memory).unwrap();
            let leaf = memory.leaves[seq as usize];
            json!({"seq": seq, "size": size, "leaf": b64(leaf), "root": b64(root(size)), "proof": all_b64(&proof)})
        })
        .collect();
    let sizes = [(0, 0), (0, 5), (1, 1), (1, 2), (2, 3), (3, 7), (4, 7), (6, 8), (8, 8), (7, 13), (255, 256)];
    let consistency: Vec<_> = sizes
        .into_iter()
        .chain([(256, 257), (256, 300), (150, 300), (300, 300)])
        .map(|(old, new)| {
            let proof = consistency_proof(old, new, &memory).unwrap();
            json!({"old": old, "new": new, "oldRoot": b64(root(old)), "newRoot": b64(root(new)), "proof": all_b64(&proof)})
        })
        .collect();
    let files: Vec<_> = [(0, 1), (2, 5), (4, 5), (6, 20)]
        .into_iter()
        .map(|(seq, size)| {
            json!({
                "seq": seq, "size": size, "salt": b64(events::salt(seq)), "canonical": events::canonical(seq),
                "file": events::proof(seq, size).to_text(),
            })
        })
        .collect();
    let example = committed("example.tlog-proof", &events::proof(2, 5).to_text());
    let swapped = {
        let mut lines: Vec<&str> = example.lines().collect();
        lines.swap(3, 4);
        lines.join("\n") + "\n"
    };
    let bad = [
        ("another index", example.replace("index 2\n", "index 3\n")),
        ("an index beyond the tree", example.replace("index 2\n", "index 5\n")),
        ("an index with a leading zero", example.replace("index 2\n", "index 02\n")),
        ("two hashes swapped", swapped),
        (
            "a hash too few",
            example.split_inclusive('\n').enumerate().filter(|(i, _)| *i != 5).map(|(_, l)| l).collect(),
        ),
        ("no event", example.split_inclusive('\n').enumerate().filter(|(i, _)| *i != 1).map(|(_, l)| l).collect()),
        ("another event", example.replace("extra AS", "extra AT")),
        ("another size", example.replace("\n5\n", "\n6\n")),
        ("cut off", example[..example.len() - 1].to_owned()),
    ];
    let bad: Vec<_> = bad
        .iter()
        .map(|(what, file)| {
            assert_ne!(*file, example, "{what}");
            json!({"what": what, "file": file})
        })
        .collect();
    let vectors = committed_json(
        "proof.json",
        &json!({
            "about": ["inclusion and consistency: RFC 6962 sections 2.1.1 and 2.1.2, over the sample tree", LEAVES,
                "files: c2sp.org/tlog-proof, where extra is 0x01 ‖ salt ‖ canonical", BASE64],
            "vkey": events::key().vkey(),
            "inclusion": inclusion,
            "consistency": consistency,
            "files": files,
            "invalidFiles": bad,
        }),
    );

    for vector in list(&vectors, "inclusion") {
        let (seq, size) = (number(vector, "seq"), number(vector, "size"));
        let (leaf, root) = (leaf_hash(&hash(vector, "leaf")), hash(vector, "root"));
        assert_eq!(root, naive_root(&sample(size)));
        let proof = hash_list(vector, "proof");
        check_inclusion(seq, size, &root, &leaf, &proof).unwrap();
        let proof = proof.into_iter().map(tlog_tiles::Hash).collect();
        tlog_tiles::check_record(&proof, size, tlog_tiles::Hash(root), seq, tlog_tiles::Hash(leaf)).unwrap();
    }
    for vector in list(&vectors, "consistency") {
        let tree = |size, root| Tree { size: number(vector, size), root: hash(vector, root) };
        let (old, new) = (tree("old", "oldRoot"), tree("new", "newRoot"));
        assert_eq!(old.root, naive_root(&sample(old.size)));
        check_consistency(old, new, &hash_list(vector, "proof")).unwrap();
    }
    let vkey = text(&vectors, "vkey");
    for vector in list(&vectors, "files") {
        let proof = Proof::parse(text(vector, "file")).unwrap();
        assert_eq!(proof.to_text(), text(vector, "file"));
        let proven = proof.verify(vkey).unwrap();
        assert_eq!((proven.seq(), proven.canonical_json()), (number(vector, "seq"), text(vector, "canonical")));
        assert_eq!(proven.checkpoint().size(), number(vector, "size"));
    }
    for vector in list(&vectors, "invalidFiles") {
        let checked = Proof::parse(text(vector, "file")).and_then(|proof| proof.verify(vkey));
        assert!(checked.is_err(), "{}", text(vector, "what"));
    }
}
