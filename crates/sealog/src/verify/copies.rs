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
        // One large document, and it would stay so large.
        self.bytes.shrink_to(2 * FULL_BYTES);
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

/// Finds members by their names, without going over what else a body holds.
struct Names {
    action: memmem::Finder<'static>,
    id: memmem::Finder<'static>,
    seq: memmem::Finder<'static>,
}

impl Names {
    fn new() -> Self {
        let [action, id, seq] = [r#","action":"#, r#","id":"#, r#","seq":"#].map(memmem::Finder::new);
        Self { action, id, seq }
    }

    /// The members of an event in canonical JSON; `None` where a scan is needed to tell them.
    ///
    /// No name of an event comes before `action`, so a comma stands before the others. Within a string no quote stands
    /// without a backslash, and behind one that ends it comes none of these letters: so the quotes found are around a
    /// string, and the colon makes it a name. Where it stands once in all, it is the event's own, and of nothing that
    /// the event holds.
    fn members<'a>(&self, body: &'a [u8]) -> Option<Members<'a>> {
        let body = std::str::from_utf8(body).ok().filter(|body| body.ends_with('}'))?;
        let (action, _) = string(body.strip_prefix(r#"{"action":"#)?)?;
        if self.action.find(body.as_bytes()).is_some() {
            return None;
        }
        let (id, rest) = string(only(&self.id, body)?)?;
        let seq = only(&self.seq, body)?;
        let (seq, end) = seq.split_at(seq.find([',', '}'])?);
        let is_number = seq.bytes().all(|byte| byte.is_ascii_digit());
        let is_whole = rest.starts_with(',') && (end.starts_with(',') || end == "}") && is_number;
        is_whole.then_some(Members { action: action.into(), id: id.into(), seq: seq.parse().ok()? })
    }
}

/// What stands behind the one place where `name` is.
fn only<'a>(name: &memmem::Finder<'_>, body: &'a str) -> Option<&'a str> {
    let rest = &body[name.find(body.as_bytes())? + name.needle().len()..];
    name.find(rest.as_bytes()).is_none().then_some(rest)
}

/// The string that begins here, if nothing is escaped in it, and what stands behind it.
fn string(json: &str) -> Option<(&str, &str)> {
    let json = json.strip_prefix('"')?;
    let (string, rest) = json.split_at(memchr::memchr2(b'"', b'\\', json.as_bytes())?);
    Some((string, rest.strip_prefix('"')?))
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

    fn body(id: &str, held: &Value) -> Vec<u8> {
        let (before, after) = (held, json!({"id": held, "seq": 1}));
        let metadata = json!({"action": held, "id": "other", "seq": held});
        let event =
            json!({"action": "a.b", "after": after, "before": before, "id": id, "metadata": metadata, "seq": 7});
        canonical::to_vec(&event)
    }

    fn found(body: &[u8]) -> Option<Members<'_>> {
        Names::new().members(body)
    }

    #[test]
    fn members_are_told_from_those_of_what_the_event_holds() {
        // In what this one holds, the names are the first of their objects, or stand in texts.
        let event = canonical::to_vec(&json!({
            "action": "a.b", "after": {"id": "other"}, "id": "e-1", "metadata": {"note": ",\"id\":\"x\",\"seq\":1"}, "seq": 7, "tags": [],
        }));
        assert_eq!(found(&event), Some(Members { action: "a.b".into(), id: "e-1".into(), seq: 7 }));
        // Two that could be it, and one that is escaped, take a scan.
        for (id, held) in [
            ("e-1", json!({"action": {"a": 1, "id": "x"}})),
            ("e-1", json!({"a": {"b": 1, "seq": 2}})),
            ("e-1", json!({"a": 1, "action": "x"})),
            ("\"", json!({"a": 1})),
        ] {
            let body = body(id, &held);
            assert_eq!(found(&body), None, "{held}");
            assert_eq!(scan(&body), Ok(Members { action: "a.b".into(), id: id.into(), seq: 7 }));
        }
    }

    #[test]
    fn what_is_no_event_is_not_taken_for_one() {
        for body in [
            r#"{"action":"a","id":"x","seq":0"#,
            r#"{"action":"a","id":"x","seq":0garbage}"#,
            r#"{"action":"a","id":"x","seq":0.5}"#,
            r#"{"action":"a","id":"x","seq":}"#,
            r#"{"action":"a","id":"x","seq":0}}"#,
            r#"{"action":"a","id":"x"garbage,"seq":0}"#,
            r#"{"action":"a","action":"b","id":"x","seq":0}"#,
            r#"{"action":"a","id":"x","id":"y","seq":0}"#,
            r#"{"id":"x","seq":0}"#,
            r#"{"action":"a"}"#,
            "[]",
            "",
        ] {
            assert_eq!(found(body.as_bytes()), None, "{body}");
            assert!(scan(body.as_bytes()).is_err(), "{body}");
        }
        assert_eq!(found(b"{\"action\":\"a\",\"actorId\":\"\xff\",\"id\":\"x\",\"seq\":0}"), None);
    }

    /// Documents whose names and texts look like what is searched for.
    fn held() -> impl Strategy<Value = Value> {
        let text = || {
            prop_oneof![
                Just("id"),
                Just("seq"),
                Just("action"),
                Just(",\"id\":\"x\""),
                Just(","),
                Just("\\"),
                Just("a")
            ]
        };
        let leaf = prop_oneof![text().prop_map(Value::from), (0..9).prop_map(Value::from)];
        leaf.prop_recursive(3, 12, 3, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map(text(), inner, 0..3)
                    .prop_map(|map| map.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_found_by_name_is_what_a_scan_finds(id in "[a-z,\"\\\\:]{1,9}", held in held()) {
            let bodies = [body(&id, &held), canonical::to_vec(&json!({"action": "a.b", "after": held, "id": id, "seq": 7, "tags": []}))];
            for body in bodies {
                let scanned = scan(&body);
                prop_assert_eq!(scanned.as_ref().map(|found| (&*found.id, found.seq)), Ok((&*id, 7)));
                if let Some(found) = found(&body) {
                    prop_assert_eq!(Ok(found), scanned);
                }
            }
        }
    }
}
