//! Rows out of the journal's hands, so that other threads can compute what they must be.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memmem;

use super::KEY_ROTATED;
use crate::canonical::Scanner;
use crate::journal::{OwnKind, StoredRow, Stretch, Unpacker};
use crate::tree::{self, Hash};

/// So many bytes, packed or not, are computed at once.
const FULL_BYTES: usize = 128 * 1024;

/// Copied stretches, in order. It is used again, so that its memory need not be found anew.
#[derive(Default)]
pub(super) struct Copies {
    bytes: Vec<u8>,
    places: Vec<Place>,
}

/// A stretch, whose bytes are elsewhere.
struct Place {
    seq: u64,
    commitments: Range<usize>,
    salts: Range<usize>,
    bodies: Range<usize>,
    is_packed: bool,
    wanted: (usize, usize),
}

/// What rows are, in order.
#[derive(Default)]
pub(super) struct Computed {
    pub(super) rows: Vec<Row>,
    /// What the bodies give as their ids, one behind the other.
    pub(super) ids: String,
}

/// What one row is.
pub(super) struct Row {
    pub(super) seq: u64,
    /// The commitment that stands in the row, and the leaf that it makes.
    pub(super) stored: Hash,
    pub(super) leaf: Hash,
    pub(super) event: Content,
}

pub(super) enum Content {
    /// It cannot be unpacked, and why.
    Unreadable(String),
    /// The body is gone; and whether the salt is too.
    Gone { is_salted: bool },
    Here {
        /// Of salt and body, or how many bytes the salt has where it is none.
        commitment: Result<Hash, usize>,
        /// Or why the body cannot be read.
        says: Result<Says, String>,
    },
}

/// What a body says of itself.
pub(super) struct Says {
    /// Its place among the ids.
    pub(super) id: Range<usize>,
    pub(super) seq: u64,
    /// It hands over to another key.
    pub(super) is_rotation: bool,
    pub(super) own: Option<OwnKind>,
}

impl Copies {
    pub(super) fn push(&mut self, stretch: Stretch<'_>) {
        let mut append = |bytes: &[u8]| {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(bytes);
            start..self.bytes.len()
        };
        let Stretch { seq, commitments, salts, bodies, is_packed, wanted } = stretch;
        let (commitments, salts, bodies) = (append(commitments), append(salts), append(bodies));
        self.places.push(Place { seq, commitments, salts, bodies, is_packed, wanted });
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= FULL_BYTES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.places.clear();
    }

    /// What each row is, in order.
    pub(super) fn computed(&self, unpacker: &mut Unpacker) -> Computed {
        let (mut computed, names) = (Computed::default(), Names::new());
        for Place { seq, commitments, salts, bodies, is_packed, wanted } in &self.places {
            let stretch = Stretch {
                seq: *seq,
                commitments: &self.bytes[commitments.clone()],
                salts: &self.bytes[salts.clone()],
                bodies: &self.bytes[bodies.clone()],
                is_packed: *is_packed,
                wanted: *wanted,
            };
            let result = stretch.rows(unpacker, &mut |seq, row| {
                let row = compute(seq, row, &names, &mut computed.ids);
                computed.rows.push(row);
                Ok(())
            });
            if let Err(error) = result {
                let stored = Hash::default();
                computed.rows.extend((wanted.0..wanted.1).map(|index| {
                    let event = Content::Unreadable(error.message().to_owned());
                    Row { seq: seq + index as u64, stored, leaf: tree::leaf_hash(&stored), event }
                }));
            }
        }
        computed
    }
}

fn compute(seq: u64, row: StoredRow<'_>, names: &Names, ids: &mut String) -> Row {
    let stored = Hash::try_from(row.commitment).unwrap_or_default();
    let event = if row.body.is_empty() {
        Content::Gone { is_salted: row.salt.iter().any(|byte| *byte != 0) }
    } else {
        let salt = row.salt.try_into().map_err(|_| row.salt.len());
        let commitment = salt.map(|salt| tree::commitment(salt, row.body));
        // What is as it was sealed was canonical JSON then.
        let members = if commitment == Ok(stored) { names.members(row.body) } else { None };
        let says = members.map_or_else(|| scan(row.body), Ok).map(|Members { action, id, seq }| {
            let start = ids.len();
            ids.push_str(&id);
            let own = OwnKind::of_action(&action);
            Says { id: start..ids.len(), seq, is_rotation: action == KEY_ROTATED, own }
        });
        Content::Here { commitment, says }
    };
    Row { seq, stored, leaf: tree::leaf_hash(&stored), event }
}

/// The members of an event that are looked at.
#[derive(Debug, PartialEq)]
struct Members<'a> {
    action: Cow<'a, str>,
    id: Cow<'a, str>,
    seq: u64,
}

/// Finds members by their names, without going over the others.
struct Names {
    id: memmem::Finder<'static>,
    seq: memmem::Finder<'static>,
}

impl Names {
    fn new() -> Self {
        Self { id: memmem::Finder::new(br#","id":"#), seq: memmem::Finder::new(br#","seq":"#) }
    }

    /// The members of an event in canonical JSON; `None` where a scan is needed to tell them.
    ///
    /// No name of an event comes before `action`, so a comma stands before the others. In JSON a comma and a quote
    /// begin a string, never end one, and only a name has a colon behind it. So where this stands once in all, it is
    /// the event's own member, and none of what it holds.
    fn members<'a>(&self, body: &'a [u8]) -> Option<Members<'a>> {
        let action = string(body.strip_prefix(br#"{"action":"#)?)?.into();
        let id = string(&body[only(&self.id, body)?..])?.into();
        let seq = &body[only(&self.seq, body)?..];
        let digits = seq.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let seq = std::str::from_utf8(&seq[..digits]).ok()?.parse().ok()?;
        Some(Members { action, id, seq })
    }
}

/// Where what `name` finds ends, if it is there once.
fn only(name: &memmem::Finder<'_>, body: &[u8]) -> Option<usize> {
    let end = name.find(body)? + name.needle().len();
    name.find(&body[end..]).is_none().then_some(end)
}

/// The string that begins here, if nothing is escaped in it.
fn string(json: &[u8]) -> Option<&str> {
    let json = json.strip_prefix(b"\"")?;
    let end = memchr::memchr2(b'"', b'\\', json).filter(|end| json[*end] == b'"')?;
    std::str::from_utf8(&json[..end]).ok()
}

/// The same of any body, or why there are none.
fn scan(body: &[u8]) -> Result<Members<'_>, String> {
    let (mut id, mut action, mut seq) = (None, None, None);
    let scanned = Scanner::new(body).and_then(|mut scanner| {
        scanner.object(&mut |scanner, name| {
            let is_second = match name.raw() {
                "id" => id.replace(scanner.string()?.unescaped()?).is_some(),
                "action" => action.replace(scanner.string()?.unescaped()?).is_some(),
                "seq" => seq.replace(scanner.integer()?).is_some(),
                _ => return scanner.value(|_| Some(())),
            };
            (!is_second).then_some(())
        })?;
        scanner.is_at_end().then_some(())
    });
    match (scanned, action, id, seq) {
        (Some(()), Some(action), Some(id), Some(seq)) => Ok(Members { action, id, seq }),
        (Some(()), ..) => Err("an object without them".to_owned()),
        (None, ..) => Err(String::from_utf8_lossy(body).chars().take(80).collect()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::canonical;
    use crate::policy::arbitrary;

    fn body(id: &str, metadata: &Value) -> Vec<u8> {
        canonical::to_vec(&json!({"action": "a.b", "id": id, "metadata": metadata, "seq": 7, "tags": ["x"]}))
    }

    #[test]
    fn members_are_told_from_those_of_what_the_event_holds() {
        let names = Names::new();
        let event = body("e-1", &json!({"id": "other", "note": ",\"id\":\"x\",\"seq\":1"}));
        let found = names.members(&event).unwrap();
        assert_eq!((found.action.as_ref(), found.id.as_ref(), found.seq), ("a.b", "e-1", 7));
        // Two that could be it, and one that is escaped, take a scan.
        for (id, metadata) in
            [("e-1", json!({"a": 1, "id": 2})), ("e-1", json!({"a": {"b": 1, "seq": 2}})), ("\"", json!({}))]
        {
            let body = body(id, &metadata);
            assert_eq!(names.members(&body), None);
            assert_eq!(scan(&body).unwrap().id, id);
        }
        assert_eq!(names.members(b"[]"), None);
    }

    proptest! {
        #[test]
        fn what_is_found_by_name_is_what_a_scan_finds(id in ".{1,9}", metadata in arbitrary::value()) {
            let body = body(&id, &metadata);
            let scanned = scan(&body).unwrap();
            prop_assert_eq!(&scanned.id, &id);
            if let Some(found) = Names::new().members(&body) {
                prop_assert_eq!(found, scanned);
            }
        }
    }
}
