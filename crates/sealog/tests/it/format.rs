//! The reference verifier of docs/FORMAT.md: checks a log, its proofs and its keyed values by what the
//! document says, with none of the library's own code.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use hmac::{Hmac, Mac};
use sealog::rusqlite::{Connection, types::Value as Sql};
use sealog::{AuditLog, Change, Event, Mode, Policy, Severity};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{Fixture, NOW_MS};

type Hash = [u8; 32];

fn sha256(parts: &[&[u8]]) -> Hash {
    parts.iter().fold(Sha256::new(), Sha256::chain_update).finalize().into()
}

fn base64(text: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(text).unwrap()
}

/// "The tree": RFC 6962, section 2.1, word for word.
fn root(leaves: &[Hash]) -> Hash {
    match leaves.len() {
        0 => sha256(&[]),
        1 => leaves[0],
        count => {
            let (left, right) = leaves.split_at(count.next_power_of_two() / 2);
            node(&root(left), &root(right))
        }
    }
}

fn leaf(commitment: &[u8]) -> Hash {
    sha256(&[&[0], commitment])
}

fn node(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[1], left, right])
}

/// "The tree": the root that an inclusion proof leads to (RFC 9162, section 2.1.3.2).
fn root_of_proof(mut index: u64, size: u64, leaf: Hash, proof: &[Hash]) -> Hash {
    assert!(index < size);
    let mut last = size - 1;
    let root = proof.iter().fold(leaf, |hash, sibling| {
        assert_ne!(last, 0, "the proof is too long");
        let above = if index & 1 == 1 || index == last {
            while index & 1 == 0 && index != 0 {
                (index, last) = (index >> 1, last >> 1);
            }
            node(sibling, &hash)
        } else {
            node(&hash, sibling)
        };
        (index, last) = (index >> 1, last >> 1);
        above
    });
    assert_eq!(last, 0, "the proof is too short");
    root
}

/// "Checkpoints": the size and root that a note states, and the vkeys among `vkeys` that signed it.
fn checkpoint<'a>(note: &str, vkeys: &[&'a str]) -> (u64, Hash, Vec<&'a str>) {
    let (text, signatures) = note.rsplit_once("\n\n").unwrap();
    let text = format!("{text}\n");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    let signed = vkeys.iter().copied().filter(|vkey| {
        let parts: Vec<_> = vkey.splitn(3, '+').collect();
        let key = base64(parts[2]);
        assert_eq!(key[0], 1, "Ed25519");
        let key_id = &sha256(&[parts[0].as_bytes(), b"\n", &key])[..4];
        assert_eq!(parts[1], hex(key_id));
        assert_eq!(parts[0], lines[0], "the origin is the key's name");
        let key = VerifyingKey::from_bytes(key[1..].try_into().unwrap()).unwrap();
        signatures.lines().any(|line| {
            let (name, bytes) = line.strip_prefix("— ").unwrap().rsplit_once(' ').unwrap();
            let bytes = base64(bytes);
            let signature = Signature::from_slice(&bytes[4..]).unwrap();
            name == lines[0] && bytes[..4] == *key_id && key.verify_strict(text.as_bytes(), &signature).is_ok()
        })
    });
    (lines[1].parse().unwrap(), base64(lines[2]).try_into().unwrap(), signed.collect())
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])).collect()
}

/// An event as the file holds it.
struct Stored {
    commitment: Vec<u8>,
    salt: Vec<u8>,
    body: Vec<u8>,
}

/// "Events: rows and frames".
fn events(db: &Connection) -> Vec<Stored> {
    let mut events = BTreeMap::new();
    let mut rows = db.prepare("SELECT seq, commitment, salt, body FROM event").unwrap();
    let mut rows = rows.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let [commitment, salt, body] = [1, 2, 3].map(|column| row.get(column).unwrap());
        events.insert(row.get::<_, u64>(0).unwrap(), Stored { commitment, salt, body });
    }
    let mut frames = db.prepare("SELECT seq, count, commitments, salts, bodies FROM frame").unwrap();
    let mut frames = frames.query([]).unwrap();
    while let Some(frame) = frames.next().unwrap() {
        let (seq, count): (u64, usize) = (frame.get(0).unwrap(), frame.get(1).unwrap());
        let [commitments, salts, bodies] = [2, 3, 4].map(|column| frame.get::<_, Vec<u8>>(column).unwrap());
        assert_eq!((commitments.len(), salts.len()), (32 * count, 16 * count));
        let plain = zstd::decode_all(&*bodies).unwrap();
        let (lengths, mut rest) = plain.split_at(4 * count);
        let parts = commitments.chunks(32).zip(salts.chunks(16)).zip(lengths.chunks(4));
        for (seq, ((commitment, salt), length)) in (seq..).zip(parts) {
            let length = u32::from_le_bytes(length.try_into().unwrap()) as usize;
            let body;
            (body, rest) = rest.split_at(length);
            events.insert(seq, Stored { commitment: commitment.into(), salt: salt.into(), body: body.into() });
        }
        assert!(rest.is_empty());
    }
    assert!(events.keys().copied().eq(0..events.len() as u64), "seq is dense");
    events.into_values().collect()
}

/// "Keyed hashes": HMAC-SHA256 under the secret of the key file.
fn keyed(key_file: &str, domain: &str, bytes: &[u8]) -> Vec<u8> {
    let secret = key_file.lines().find_map(|line| line.strip_prefix("secret ")).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&base64(secret)).unwrap();
    mac.update(format!("sealog {domain}\0").as_bytes());
    mac.update(bytes);
    mac.finalize().into_bytes().to_vec()
}

/// A log with a frame, single rows, a redacted value, a change, events sampled away, and a new key.
async fn write(fixture: &Fixture) -> AuditLog {
    let policy = Policy::default().redact_with("email", Mode::Hash).sample_info(0.5);
    let log = fixture.builder().policy(policy).anchor(fixture.dir.path().join("anchor")).open().await.unwrap();
    log.log_bulk(vec![Event::new("many").severity(Severity::Warning); 300]).await.unwrap();
    let change = Change::new("user.updated", "user", "u-1").before(json!({"n": 1, "email": "old@example.com"}));
    let change = change.after(json!({"n": 18_446_744_073_709_551_615_u64, "email": "ada@example.com"}));
    log.log_change(change.with(|event| event.id("chosen").timestamp(NOW_MS - 1))).await.unwrap();
    log.rotate_key().await.unwrap();
    for n in 0..20 {
        log.log(Event::new("sampled").id(format!("s-{n}"))).await.unwrap();
    }
    log
}

#[tokio::test]
async fn a_log_is_what_the_format_document_says() {
    let fixture = Fixture::new();
    let log = write(&fixture).await;
    let (tile, bundle) = (log.tile("tile/0/000").await.unwrap(), log.tile("tile/entries/001.p/2").await.unwrap());
    let proof = log.proof(300).await.unwrap().to_text();
    log.close().await.unwrap();
    let db = fixture.raw();
    let key_file = std::fs::read_to_string(fixture.dir.path().join("audit.db.key")).unwrap();

    let pragma = |name| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!((pragma("application_id"), pragma("user_version")), (0x5365_614c, 2));

    // Events, their commitments and their entries.
    let events = events(&db);
    for (seq, event) in (0_u64..).zip(&events) {
        assert_eq!(event.commitment, sha256(&[&event.salt, &event.body]));
        let body: Value = serde_json::from_slice(&event.body).unwrap();
        assert_eq!((&body["seq"], &body["recordedAt"]), (&json!(seq), &json!(NOW_MS)));
        let id = body["id"].as_str().unwrap();
        let uuid = (id.len() == 36).then(|| u128::from_str_radix(&id.replace('-', ""), 16).unwrap());
        let key = uuid.map_or(Sql::Text(id.to_owned()), |uuid| Sql::Blob(uuid.to_be_bytes().into()));
        let found = db.query_row("SELECT seq, seq + tree, digest FROM event_id WHERE id = ?1", [key], |row| {
            Ok((row.get::<_, u64>(0)?, row.get::<_, u64>(1)?, row.get::<_, Option<Vec<u8>>>(2)?))
        });
        let (place, size, digest) = found.unwrap();
        assert_eq!((place, size), (seq, if seq < 300 { 300 } else { seq + 1 }));
        assert_eq!(digest.is_some(), uuid.is_none(), "a digest where the caller chose the id");
    }

    // Keyed hashes: what the caller sent, a hidden value, which ids are kept.
    let bytes = |sql| db.query_row(sql, [], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    let digest = bytes("SELECT digest FROM event_id WHERE id = 'chosen'");
    let sent = br#"{"action":"user.updated","after":{"email":"ada@example.com","n":18446744073709551615},"before":{"email":"old@example.com","n":1},"id":"chosen","resourceId":"u-1","resourceType":"user","severity":"info","timestamp":1767225599999}"#;
    assert_eq!(digest, keyed(&key_file, "digest", sent)[..16]);
    let body: Value = serde_json::from_slice(&events[300].body).unwrap();
    let hidden = format!("hmac:{}", hex(&keyed(&key_file, "value", br#""ada@example.com""#)));
    assert_eq!((&body["after"]["email"], &body["diff"][0]["value"]), (&json!(hidden), &json!(hidden)));
    let kept = (0..20).filter(|n| keyed(&key_file, "sample", format!("s-{n}").as_bytes())[0] < 0x80).count();
    assert_eq!(events.len(), 302 + kept);

    // The tree: nodes, tiles, checkpoints with the edge of their tree, and who signs which.
    let leaves: Vec<_> = events.iter().map(|event| leaf(&event.commitment)).collect();
    assert_eq!(bytes("SELECT hash FROM node WHERE level = 1 AND idx = 0"), root(&leaves[..256]));
    assert_eq!(tile, leaves[..256].concat());
    assert_eq!(bundle, events[256..258].iter().flat_map(|e| [&[0, 32], &*e.commitment].concat()).collect::<Vec<_>>());
    let mut signers = db.prepare("SELECT since, vkey FROM signer ORDER BY since").unwrap();
    let signers = signers.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let signers: Vec<(u64, String)> = signers.map(Result::unwrap).collect();
    let vkeys: Vec<_> = signers.iter().map(|(_, vkey)| vkey.as_str()).collect();
    assert_eq!((signers.len(), signers[0].0, signers[1].0), (2, 0, 302));
    let rotated: Value = serde_json::from_slice(&events[301].body).unwrap();
    assert_eq!(rotated["action"], "sealog.key.rotated");
    assert_eq!(rotated["metadata"], json!({"oldVkey": vkeys[0], "newVkey": vkeys[1]}));
    let mut stored = db.prepare("SELECT size, frontier, note FROM checkpoint ORDER BY size").unwrap();
    let mut stored = stored.query([]).unwrap();
    let mut notes = Vec::new();
    while let Some(row) = stored.next().unwrap() {
        let (edge, note): (Vec<u8>, String) = (row.get(1).unwrap(), row.get(2).unwrap());
        let (size, signed_root, signed) = checkpoint(&note, &vkeys);
        assert_eq!((size, signed_root), (row.get(0).unwrap(), root(&leaves[..size as usize])));
        let mut left = &leaves[..size as usize];
        for hash in edge.chunks(32) {
            let (subtree, rest) = left.split_at(1 << left.len().ilog2());
            assert_eq!(hash, root(subtree));
            left = rest;
        }
        assert!(left.is_empty());
        let expected = match size.cmp(&302) {
            Ordering::Less => &vkeys[..1],
            Ordering::Equal => &vkeys[..],
            Ordering::Greater => &vkeys[1..],
        };
        assert_eq!(signed, expected, "at the size {size}");
        notes.push(note);
    }
    let anchor = std::fs::read_to_string(fixture.dir.path().join("anchor")).unwrap();
    assert_eq!(anchor, [1, 3, notes.len() - 1].map(|place| &*notes[place]).concat());

    // The proof file.
    let (head, note) = proof.split_once("\n\n").unwrap();
    let lines: Vec<_> = head.lines().collect();
    assert_eq!((lines[0], lines[2]), ("c2sp.org/tlog-proof@v1", "index 300"));
    let extra = base64(lines[1].strip_prefix("extra ").unwrap());
    assert_eq!((extra[0], &extra[1..17], &extra[17..]), (1, &*events[300].salt, &*events[300].body));
    let hashes: Vec<Hash> = lines[3..].iter().map(|line| base64(line).try_into().unwrap()).collect();
    let (size, signed_root, signed) = checkpoint(note, &vkeys);
    assert_eq!(signed, vkeys[1..]);
    let commitment = sha256(&[&extra[1..]]);
    assert_eq!(root_of_proof(300, size, leaf(&commitment), &hashes), signed_root);
}
