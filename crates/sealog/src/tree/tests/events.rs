//! A small log of events, and the proof files from it.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::super::{Hash, Key, Proof, commitment, inclusion_proof, root_at};
use super::{Memory, naive_root};
use crate::clock::ManualClock;
use crate::error::ErrorKind;

/// A key from a seed: the same at each run.
pub(super) fn key() -> Key {
    Key::generate("example.com/log", &ManualClock::new(0, 1)).unwrap()
}

/// Event `seq` as a log would seal it.
pub(super) fn canonical(seq: u64) -> String {
    let (action, actor) = [("user.login", "u-1"), ("record.viewed", "Zoë")][seq as usize % 2];
    let at = 1_700_000_000_000 + seq * 1000;
    format!(
        r#"{{"action":"{action}","actorId":"{actor}","id":"e-{seq}","recordedAt":{at},"seq":{seq},"severity":"info","timestamp":{at}}}"#
    )
}

/// The salt of event `seq`.
pub(super) fn salt(seq: u64) -> [u8; 16] {
    std::array::from_fn(|byte| (seq * 16) as u8 ^ byte as u8)
}

pub(super) fn log(size: u64) -> Memory<Hash> {
    Memory::new((0..size).map(|seq| commitment(&salt(seq), canonical(seq).as_bytes())).collect())
}

/// The proof file of event `seq` in the log of `size` events.
pub(super) fn proof(seq: u64, size: u64) -> Proof {
    let log = log(size);
    let checkpoint = key().sign_checkpoint(size, &root_at(size, &log).unwrap());
    Proof::new(seq, inclusion_proof(seq, size, &log).unwrap(), checkpoint, salt(seq), canonical(seq))
}

#[test]
fn a_proof_is_checked_without_the_log() {
    for size in 1..=20 {
        for seq in 0..size {
            let text = proof(seq, size).to_text();
            let parsed = Proof::parse(&text).unwrap();
            assert_eq!(parsed.to_string(), text);
            let proven = parsed.verify(key().vkey()).unwrap();
            assert_eq!(proven.seq(), seq);
            assert_eq!(proven.canonical_json(), canonical(seq));
            assert_eq!(proven.record().id(), format!("e-{seq}"));
            assert_eq!(proven.checkpoint().root(), naive_root(&log(size).leaves));
        }
    }
}

#[test]
fn each_bit_of_a_proof_matters() {
    let text = proof(2, 5).to_text();
    for place in 0..text.len() * 8 {
        let mut bytes = text.clone().into_bytes();
        bytes[place / 8] ^= 1 << (place % 8);
        let Ok(changed) = String::from_utf8(bytes) else { continue };
        let checked = Proof::parse(&changed).and_then(|proof| proof.verify(key().vkey()));
        assert_eq!(checked.unwrap_err().kind(), ErrorKind::Integrity, "bit {place}: {changed:?}");
    }
}

#[test]
fn a_proof_cut_off_anywhere_is_refused() {
    let text = proof(2, 5).to_text();
    for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
        assert_eq!(Proof::parse(&text[..end]).unwrap_err().kind(), ErrorKind::Integrity, "at {end}");
    }
}

#[test]
fn a_malformed_proof_is_refused_with_what_was_expected_and_found() {
    let text = proof(2, 5).to_text();
    let lines: Vec<&str> = text.split('\n').collect();
    let with = |number: usize, line: &str| {
        let mut lines = lines.clone();
        lines[number] = line;
        lines.join("\n")
    };
    let extra = |bytes: &[u8]| format!("extra {}", BASE64_STANDARD.encode(bytes));
    let without_extra = [&lines[..1], &lines[2..]].concat().join("\n");
    let hashes = format!("{}\n", lines[3]).repeat(64);
    let bad = [
        (text.replace('\n', "\r\n"), "line 1"),
        (with(0, "c2sp.org/tlog-proof@v2"), "line 1"),
        (without_extra, "line 2"),
        (with(1, "extra"), "line 2"),
        (with(1, "extra "), "line 2"),
        (with(1, "extra *"), "line 2"),
        (with(1, &extra(&[])), "line 2"),
        (with(1, &extra(&[1; 16])), "line 2"),
        (with(1, &extra(&[2; 99])), "line 2"),
        (with(1, &extra(&[[1].as_slice(), &[0; 16], &[0xff]].concat())), "line 2"),
        (with(2, "index"), "line 3"),
        (with(2, "index -1"), "line 3"),
        (with(2, "index 02"), "line 3"),
        (with(2, "index +2"), "line 3"),
        (with(2, "index 2 "), "line 3"),
        (with(2, "index 18446744073709551616"), "line 3"),
        (with(3, "AAAA"), "line 4"),
        (with(3, &format!(" {}", lines[3])), "line 4"),
        (with(3, hashes.trim_end()), "at most 63 hashes"),
        ("x".repeat(9_000_000), "at most"),
    ];
    for (text, place) in bad {
        let error = Proof::parse(&text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Integrity);
        for word in [place, "expected", "found"] {
            assert!(error.message().contains(word), "{word:?} is not in {error}");
        }
    }
}

#[test]
fn a_proof_that_does_not_hold_says_why() {
    let vkey = key().vkey().to_owned();
    let good = proof(2, 5);
    let fails = |proof: &Proof, word: &str| {
        // Through the text, as it comes from outside.
        let error = Proof::parse(&proof.to_text()).unwrap().verify(&vkey).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Integrity);
        for word in [word, "expected", "found"] {
            assert!(error.message().contains(word), "{word:?} is not in {error}");
        }
    };
    let build = |seq, hashes: &[Hash], salt, canonical: &str| {
        Proof::new(seq, hashes.to_vec(), good.checkpoint().clone(), salt, canonical.to_owned())
    };
    let hashes = inclusion_proof(2, 5, &log(5)).unwrap();
    assert_eq!(build(2, &hashes, salt(2), &canonical(2)), good);
    fails(&build(2, &hashes, salt(2), &canonical(2).replace("u-1", "u-2")), "not in the tree");
    fails(&build(2, &hashes, salt(3), &canonical(2)), "not in the tree");
    fails(&build(3, &hashes, salt(2), &canonical(2)), "not in the tree");
    fails(&build(5, &hashes, salt(2), &canonical(2)), "does not hold");
    fails(&build(u64::MAX, &hashes, salt(2), &canonical(2)), "does not hold");
    fails(&build(2, &hashes[1..], salt(2), &canonical(2)), "3 hashes");
    fails(&build(2, &[&hashes[..], &hashes[..1]].concat(), salt(2), &canonical(2)), "3 hashes");
    fails(&build(2, &[], salt(2), &canonical(2)), "3 hashes");

    // What the log's own key sealed, and is no event or stands at the wrong place.
    let sealed = |body: &str| {
        let root = naive_root(&[commitment(&[9; 16], body.as_bytes())]);
        Proof::new(0, Vec::new(), key().sign_checkpoint(1, &root), [9; 16], body.to_owned())
    };
    sealed(&canonical(0)).verify(&vkey).unwrap();
    fails(&sealed(&canonical(1)), "another place");
    for body in ["", "{}", "null", r#"{"action":"user.login"}"#, &"[".repeat(100_000)] {
        fails(&sealed(body), "no event");
    }
    let other = Key::generate("example.com/log", &ManualClock::new(0, 2)).unwrap();
    assert_eq!(good.verify(other.vkey()).unwrap_err().kind(), ErrorKind::Integrity);
    assert_eq!(good.verify("nonsense").unwrap_err().kind(), ErrorKind::InvalidArgument);
}
