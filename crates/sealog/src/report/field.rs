//! Fields of a row: slices of the very bytes that were sealed.
//!
//! A stored event is canonical JSON, without white space, so a field is found without parsing the rest.

use std::borrow::Cow;

use jiff::Timestamp;

use crate::error::{Error, ErrorKind, Result};
use crate::policy::pointer;

/// The fields of an event, in the order that canonical JSON has them in.
const NAMES: [&str; 24] = [
    "action",
    "actorId",
    "actorName",
    "actorType",
    "after",
    "before",
    "diff",
    "id",
    "ipAddress",
    "metadata",
    "onBehalfOf",
    "outcome",
    "recordedAt",
    "requestId",
    "resourceId",
    "resourceType",
    "retentionCategory",
    "seq",
    "sessionId",
    "severity",
    "tags",
    "tenant",
    "timestamp",
    "userAgent",
];

/// Where the name of a field stands among all of them.
const fn slot_of(name: &str) -> usize {
    const fn is_same(one: &[u8], other: &[u8]) -> bool {
        let mut at = 0;
        while at < one.len() && at < other.len() && one[at] == other[at] {
            at += 1;
        }
        at == one.len() && at == other.len()
    }

    let mut slot = 0;
    while !is_same(NAMES[slot].as_bytes(), name.as_bytes()) {
        slot += 1;
    }
    slot
}

/// Every field, the most telling first: what a table for programs has unless told otherwise.
pub(super) const ALL: [&str; 25] = [
    "seq",
    "time",
    "timestamp",
    "recordedAt",
    "id",
    "severity",
    "outcome",
    "action",
    "actorId",
    "actorType",
    "actorName",
    "onBehalfOf",
    "resourceType",
    "resourceId",
    "tenant",
    "ipAddress",
    "userAgent",
    "sessionId",
    "requestId",
    "retentionCategory",
    "tags",
    "metadata",
    "before",
    "after",
    "diff",
];

/// What a page for people has unless told otherwise.
pub(super) const READABLE: [&str; 9] =
    ["seq", "time", "severity", "outcome", "action", "actorId", "resourceType", "resourceId", "ipAddress"];

/// What a table whose columns have types has unless told otherwise: all but the time as text.
#[cfg(feature = "parquet")]
pub(super) const TYPED: [&str; 24] = {
    let [seq, _, rest @ ..] = ALL;
    let mut all = [seq; 24];
    let mut place = 0;
    while place < rest.len() {
        all[place + 1] = rest[place];
        place += 1;
    }
    all
};

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    /// Milliseconds since the Unix epoch.
    Millis,
    /// The same in RFC 3339.
    Time,
    Date,
    Text,
    Severity,
    /// A list of texts.
    Texts,
    /// An object, an array, or whatever a state is.
    Json,
    /// What is inside of a field, of whatever type.
    Inner,
}

/// A column of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    /// As it was asked for.
    pub(super) name: String,
    origin: Origin,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    /// The timestamp in RFC 3339.
    Time,
    /// Its day.
    Date,
    /// A place in the event: the index of the field, and the path inside it.
    Place { slot: usize, path: Vec<String> },
}

impl Field {
    /// Reads the name of a field: `action`, `metadata.method`, `/metadata/method`, `time`, `date`.
    pub(super) fn parse(name: &str) -> Result<Self> {
        let mut path: Vec<String> = if name.starts_with('/') && pointer::is_valid(name) {
            pointer::segments(name).map(Cow::into_owned).collect()
        } else {
            name.split('.').map(str::to_owned).collect()
        };
        let first = path.remove(0);
        let origin = match first.as_str() {
            "time" if path.is_empty() => Origin::Time,
            "date" if path.is_empty() => Origin::Date,
            root => {
                let slot = NAMES.binary_search(&root).map_err(|_| {
                    wrong(format!(
                        "{name:?} is no field of an event; the fields are {}, time and date, and what is inside one \
                         is named with dots (metadata.method) or as a JSON Pointer (/metadata/method)",
                        NAMES.join(", ")
                    ))
                })?;
                if !name.starts_with('/') && path.iter().any(String::is_empty) {
                    return Err(wrong(format!("{name:?} has an empty name between its dots")));
                }
                Origin::Place { slot, path }
            }
        };
        Ok(Self { name: name.to_owned(), origin })
    }

    /// What its values are.
    pub(super) fn kind(&self) -> Kind {
        match &self.origin {
            Origin::Time => Kind::Time,
            Origin::Date => Kind::Date,
            Origin::Place { path, .. } if !path.is_empty() => Kind::Inner,
            Origin::Place { slot, .. } => match NAMES[*slot] {
                "seq" => Kind::Number,
                "timestamp" | "recordedAt" => Kind::Millis,
                "severity" => Kind::Severity,
                "tags" => Kind::Texts,
                "after" | "before" | "diff" | "metadata" => Kind::Json,
                _ => Kind::Text,
            },
        }
    }
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

/// A stored event, cut at its fields.
pub(super) struct Body<'b> {
    /// Its canonical JSON.
    pub(super) whole: &'b str,
    slots: [Option<&'b str>; NAMES.len()],
}

impl<'b> Body<'b> {
    /// `None` when this is no event's canonical JSON.
    pub(super) fn parse(whole: &'b str) -> Option<Self> {
        let mut slots = [None; NAMES.len()];
        let mut parts = Parts::of_object(whole)?;
        let mut next = 0;
        while let Some((name, value)) = parts.next()? {
            // In canonical JSON each stands behind those before it in the list; what does not is found too.
            let behind = NAMES[next..].iter().position(|other| *other == name).map(|place| next + place);
            if let Some(slot) = behind.or_else(|| NAMES.binary_search(&name).ok()) {
                slots[slot] = Some(value);
                next = slot + 1;
            }
        }
        Some(Self { whole, slots })
    }

    /// When it happened.
    pub(super) fn timestamp(&self) -> Option<i64> {
        const TIMESTAMP: usize = slot_of("timestamp");
        self.slots[TIMESTAMP]?.parse().ok()
    }

    /// Its place in the log.
    pub(super) fn seq(&self) -> Option<u64> {
        const SEQ: usize = slot_of("seq");
        self.slots[SEQ]?.parse().ok()
    }

    /// The value of a field as JSON; `None` where the event has none there.
    pub(super) fn get(&self, field: &Field) -> Option<Cow<'b, str>> {
        match &field.origin {
            Origin::Time => self.timestamp().map(|ms| Cow::Owned(format!("\"{}\"", rfc3339(ms)))),
            Origin::Date => self.timestamp().map(|ms| Cow::Owned(format!("\"{}\"", day(ms)))),
            Origin::Place { slot, path } => {
                let value = self.slots[*slot]?;
                path.iter().try_fold(value, |value, name| inside(value, name)).map(Cow::Borrowed)
            }
        }
    }
}

/// The member of an object or the item of an array.
fn inside<'b>(value: &'b str, name: &str) -> Option<&'b str> {
    if value.starts_with('[') {
        // As a JSON Pointer writes it: digits alone, and no zero before others.
        let index: usize = name.parse().ok().filter(|index: &usize| index.to_string() == name)?;
        let mut parts = Parts::of_array(value)?;
        for _ in 0..index {
            parts.next()??;
        }
        return parts.next()?.map(|(_, item)| item);
    }
    let mut parts = Parts::of_object(value)?;
    loop {
        let (found, value) = parts.next()??;
        if found == name || (found.contains('\\') && unescaped(found).as_deref() == Some(name)) {
            return Some(value);
        }
    }
}

/// What a string of JSON says, of what stands between its quotes.
fn unescaped(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('\\') {
        return Some(Cow::Borrowed(text));
    }
    serde_json::from_str(&format!("\"{text}\"")).ok().map(Cow::Owned)
}

/// A value for a person or a cell: a string as it is, all else as JSON.
pub(super) fn plain(json: &str) -> Cow<'_, str> {
    let text = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    text.and_then(unescaped).unwrap_or(Cow::Borrowed(json))
}

/// The time of a field that is one, as a number or in RFC 3339.
pub(super) fn milliseconds(json: &str) -> Option<i64> {
    let text = plain(json);
    text.parse().ok().or_else(|| Some(text.parse::<Timestamp>().ok()?.as_millisecond()))
}

/// The days from the Unix epoch to a date.
#[cfg(feature = "parquet")]
pub(super) fn day_number(json: &str) -> Option<i32> {
    let date: jiff::civil::Date = plain(json).parse().ok()?;
    i32::try_from(date.duration_since(jiff::civil::date(1970, 1, 1)).as_hours() / 24).ok()
}

/// The items of an array; `None` when this is none.
#[cfg(feature = "parquet")]
pub(super) fn items(json: &str) -> Option<Vec<&str>> {
    let (mut parts, mut items) = (Parts::of_array(json)?, Vec::new());
    while let Some((_, item)) = parts.next()? {
        items.push(item);
    }
    Some(items)
}

/// A time in UTC, to the millisecond.
pub(super) fn rfc3339(ms: i64) -> String {
    written(ms, "%Y-%m-%dT%H:%M:%S%.3fZ")
}

/// A day in UTC.
pub(super) fn day(ms: i64) -> String {
    written(ms, "%Y-%m-%d")
}

/// A time in UTC in this format; its milliseconds where there is no such year.
pub(super) fn written(ms: i64, format: &str) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| time.strftime(format).to_string())
}

/// The members of an object or the items of an array, one after the other.
struct Parts<'b> {
    /// From the next part on; what closes the whole at the end.
    rest: &'b str,
    names: bool,
}

impl<'b> Parts<'b> {
    fn of_object(value: &'b str) -> Option<Self> {
        Some(Self { rest: value.strip_prefix('{')?, names: true })
    }

    fn of_array(value: &'b str) -> Option<Self> {
        Some(Self { rest: value.strip_prefix('[')?, names: false })
    }

    /// The next part: its name as it is written, empty in an array, and its value. `Some(None)` behind the
    /// last, `None` when this is no canonical JSON.
    #[expect(clippy::option_option, reason = "the outer one is of `?`: what cannot be read ends it all")]
    fn next(&mut self) -> Option<Option<(&'b str, &'b str)>> {
        let closing = if self.names { "}" } else { "]" };
        if self.rest == closing {
            return Some(None);
        }
        let mut name = "";
        if self.names {
            let end = end_of_string(self.rest)?;
            name = &self.rest[1..end - 1];
            self.rest = self.rest[end..].strip_prefix(':')?;
        }
        let (value, behind) = self.rest.split_at(end_of_value(self.rest)?);
        if value.is_empty() {
            return None;
        }
        self.rest = match behind.strip_prefix(',') {
            // A comma promises another part.
            Some(rest) if rest != closing => rest,
            None if behind == closing => behind,
            _ => return None,
        };
        Some(Some((name, value)))
    }
}

/// Where the string that `text` begins with ends, behind its closing quote.
fn end_of_string(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    if bytes.first() != Some(&b'"') {
        return None;
    }
    let mut at = 1;
    loop {
        match *bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Where the value that `text` begins with ends.
fn end_of_value(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0_usize);
    loop {
        match *bytes.get(at)? {
            b'"' => at += end_of_string(text.get(at..)?)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            // These close what is around the value.
            b',' | b'}' | b']' if depth == 0 => return Some(at),
            b'}' | b']' => {
                depth -= 1;
                at += 1;
            }
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::canonical;
    use crate::policy::arbitrary;

    fn get(body: &Value, field: &str) -> Option<String> {
        let text = String::from_utf8(canonical::to_vec(body)).unwrap();
        let body = Body::parse(&text).expect("canonical JSON");
        body.get(&Field::parse(field).unwrap()).map(Cow::into_owned)
    }

    #[test]
    fn fields_reach_inside() {
        let body = json!({
            "action": "a \"b\"", "seq": 7, "timestamp": 1_767_225_600_001_i64, "tags": ["x", "y"], "before": null,
            "metadata": {"method": "GET", "a.b": 1, "n\"": {"": [{"deep": -1.5}]}, "a/b": true, "": 3},
        });
        for (field, expected) in [
            ("action", Some(r#""a \"b\"""#)),
            ("seq", Some("7")),
            ("tags", Some(r#"["x","y"]"#)),
            ("tags.1", Some(r#""y""#)),
            ("tags.2", None),
            ("tags.01", None),
            ("before", Some("null")),
            ("after", None),
            ("metadata.method", Some(r#""GET""#)),
            ("/metadata/method", Some(r#""GET""#)),
            ("metadata.a.b", None),
            ("/metadata/a.b", Some("1")),
            ("/metadata/a~1b", Some("true")),
            ("/metadata/", Some("3")),
            ("/metadata/n\"//0/deep", Some("-1.5")),
            ("metadata.method.x", None),
            ("seq.x", None),
            ("time", Some(r#""2026-01-01T00:00:00.001Z""#)),
            ("date", Some(r#""2026-01-01""#)),
        ] {
            assert_eq!(get(&body, field).as_deref(), expected, "{field}");
        }
        for wrong in ["", "Action", "changed", "time.x", "metadata..x", "metadata.", "/", "/x", "/metadata/~2"] {
            assert!(Field::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_field_is_a_default_column() {
        let mut all: Vec<_> = ALL.into_iter().filter(|name| *name != "time").collect();
        all.sort_unstable();
        assert_eq!(all, NAMES);
        assert!(READABLE.into_iter().chain(ALL).all(|name| Field::parse(name).is_ok()));
    }

    #[test]
    fn what_is_no_canonical_json_is_none() {
        for body in ["", "{", "[]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{\"a\":1}x", "{\"a\":\"\\", "{\"a\":[}"] {
            let parsed = Body::parse(body);
            assert!(parsed.is_none(), "{body}");
        }
        assert_eq!(plain(r#""a\nb""#), "a\nb");
        assert_eq!(plain("[\"a\"]"), "[\"a\"]");
    }

    fn check(value: &Value, place: &mut String, whole: &Value) {
        assert_eq!(get(whole, place).map(|text| serde_json::from_str(&text).unwrap()), Some(value.clone()), "{place}");
        let length = place.len();
        let mut each = |name: &str, value: &Value| {
            pointer::push(place, name);
            check(value, place, whole);
            place.truncate(length);
        };
        match value {
            Value::Array(items) => items.iter().enumerate().for_each(|(i, item)| each(&i.to_string(), item)),
            Value::Object(map) => map.iter().for_each(|(name, value)| each(name, value)),
            _ => {}
        }
    }

    proptest! {
        #[test]
        fn every_place_of_a_document_is_found(document in arbitrary::value()) {
            // As it is stored, where 1.0 is 1.
            let document: Value = serde_json::from_slice(&canonical::to_vec(&document)).unwrap();
            check(&document, &mut "/metadata".to_owned(), &json!({"metadata": document}));
        }
    }
}
