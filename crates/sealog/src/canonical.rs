//! Canonical JSON (RFC 8785, JCS), with one extension: integers from −2^63 to 2^64−1 keep all digits.
//!
//! The same event gives the same bytes on every machine and with every feature of `serde_json` that
//! another crate in the build may have switched on (`preserve_order`, `arbitrary_precision`). These
//! bytes are what the log commits to.

mod scanner;

use std::cell::Cell;
use std::cmp::Ordering;
use std::fmt;

use serde_json::{Map, Number, Value};

pub(crate) use self::scanner::{Quoted, Scanner};
use crate::event::{DiffKind, Event, Step};

/// The canonical JSON of `value`.
pub(crate) fn to_vec(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write_value(&mut out, value);
    out
}

/// Appends the canonical JSON of `value`. Recursive: what comes from outside is checked for its
/// depth first.
pub(crate) fn write_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => write_number(out, number),
        Value::String(text) => write_string(out, text),
        Value::Array(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_value(out, item);
            }
            out.push(b']');
        }
        Value::Object(map) => write_object(out, map),
    }
}

/// Appends the canonical JSON of an object: its members by the UTF-16 code units of their names.
pub(crate) fn write_object(out: &mut Vec<u8>, map: &Map<String, Value>) {
    out.push(b'{');
    for (i, (name, value)) in members(map).enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write_string(out, name);
        out.push(b':');
        write_value(out, value);
    }
    out.push(b'}');
}

/// The members in the order of canonical JSON.
pub(crate) fn members(map: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    // A map is usually in this order already; only with `preserve_order`, or with names beyond the
    // basic multilingual plane, it is not.
    let is_sorted = map.keys().is_sorted_by(|a, b| compare_names(a, b) == Ordering::Less);
    let mut sorted = Vec::new();
    if !is_sorted {
        sorted.extend(map);
        sorted.sort_unstable_by(|a, b| compare_names(a.0, b.0));
    }
    map.iter().take(if is_sorted { map.len() } else { 0 }).chain(sorted)
}

/// The order of RFC 8785, section 3.2.3: by UTF-16 code units.
///
/// It is the order of the UTF-8 bytes, except that characters beyond U+FFFF (lead bytes F0 to F4)
/// are surrogates in UTF-16 and come before U+E000 to U+FFFF (lead bytes EE and EF).
pub(crate) fn compare_names(a: &str, b: &str) -> Ordering {
    fn rank(byte: u8) -> u8 {
        if matches!(byte, 0xEE | 0xEF) { byte + 0x10 } else { byte }
    }

    match a.bytes().zip(b.bytes()).find(|(a, b)| a != b) {
        Some((a, b)) => rank(a).cmp(&rank(b)),
        None => a.len().cmp(&b.len()),
    }
}

/// Whether a string stands in JSON as it is. Most do, and looking at all of it without stopping lets
/// the compiler look at many bytes at once.
#[expect(clippy::needless_bitwise_bool, reason = "a branch for each byte is what this avoids")]
pub(crate) fn is_plain(text: &[u8]) -> bool {
    !text.iter().fold(false, |found, &byte| found | (byte < 0x20) | (byte == b'"') | (byte == b'\\'))
}

/// Appends a string: only what must be escaped is escaped, in the shortest way.
pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    if is_plain(bytes) {
        out.extend_from_slice(bytes);
        out.push(b'"');
        return;
    }
    let mut done = 0;
    for (i, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[done..i]);
        done = i + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0x0C => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.push(b'0' + (byte >> 4));
                out.push(b"0123456789abcdef"[usize::from(byte & 0x0F)]);
            }
        }
    }
    out.extend_from_slice(&bytes[done..]);
    out.push(b'"');
}

/// Appends a number: an integer of 64 bits in full, any other as ECMAScript writes it.
pub(crate) fn write_number(out: &mut Vec<u8>, number: &Number) {
    if let Some(integer) = number.as_i64() {
        write_i64(out, integer);
    } else if let Some(integer) = number.as_u64() {
        write_u64(out, integer);
    } else if let Some(float) = number.as_f64() {
        write_f64(out, float);
    } else {
        // Only with `arbitrary_precision`, for numbers that no f64 holds; the policy refuses them.
        out.extend_from_slice(number.to_string().as_bytes());
    }
}

fn write_f64(out: &mut Vec<u8>, float: f64) {
    out.extend_from_slice(ryu_js::Buffer::new().format(float).as_bytes());
}

fn write_i64(out: &mut Vec<u8>, integer: i64) {
    if integer < 0 {
        out.push(b'-');
    }
    write_u64(out, integer.unsigned_abs());
}

fn write_u64(out: &mut Vec<u8>, mut integer: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (integer % 10) as u8;
        integer /= 10;
        if integer == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// Whether two values are the same document: whether their canonical bytes are the same. `1` and
/// `1.0` are; the order of an object's members does not matter.
pub(crate) fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Number(a), Value::Number(b)) => equal_numbers(a, b),
        (Value::String(a), Value::String(b)) => a == b,
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| equal(a, b)))
        }
        _ => false,
    }
}

fn equal_numbers(a: &Number, b: &Number) -> bool {
    if a == b {
        return true;
    }
    // Two different integers need no text; 1 beside 1.0, and 0 beside -0, do.
    if (a.is_i64() || a.is_u64()) && (b.is_i64() || b.is_u64()) {
        return false;
    }
    let (mut text_a, mut text_b) = (Vec::with_capacity(24), Vec::with_capacity(24));
    write_number(&mut text_a, a);
    write_number(&mut text_b, b);
    text_a == text_b
}

/// The canonical JSON of an event, all but the two members that sequencing adds.
///
/// Whatever takes time is done before the journal's write lock is held; what is left for the moment
/// of sequencing is two numbers.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Sealable {
    bytes: Box<[u8]>,
    /// Where `,"recordedAt":…` goes.
    recorded_at: usize,
    /// Where `,"seq":…` goes.
    seq: usize,
    /// Where `,"diff":…` stands, or would.
    diff: usize,
}

/// An event is nobody's business in a message for developers.
impl fmt::Debug for Sealable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealable({} bytes)", self.bytes.len())
    }
}

impl Sealable {
    /// Appends the final canonical JSON.
    pub(crate) fn seal(&self, recorded_at: i64, seq: u64, out: &mut Vec<u8>) {
        out.reserve(self.bytes.len() + MAX_SEAL_BYTES);
        out.extend_from_slice(&self.bytes[..self.recorded_at]);
        out.extend_from_slice(b",\"recordedAt\":");
        write_i64(out, recorded_at);
        out.extend_from_slice(&self.bytes[self.recorded_at..self.seq]);
        out.extend_from_slice(b",\"seq\":");
        write_u64(out, seq);
        out.extend_from_slice(&self.bytes[self.seq..]);
    }

    /// The largest size of what [`seal`](Self::seal) writes, in bytes.
    pub(crate) fn max_len(&self) -> usize {
        self.bytes.len() + MAX_SEAL_BYTES
    }

    /// Where in it the members from `diff` on begin: sealed or not.
    pub(crate) fn diff(&self) -> usize {
        self.diff
    }

    /// The canonical JSON without `recordedAt` and `seq`.
    pub(crate) fn unsealed(&self) -> &[u8] {
        &self.bytes
    }
}

/// The most that sealing adds: two names and two numbers of 20 characters.
const MAX_SEAL_BYTES: usize = ",\"recordedAt\":,\"seq\":".len() + 40;

/// Writes the documents of an event into its canonical JSON.
pub(crate) trait Documents {
    fn metadata(&self, out: &mut Vec<u8>, metadata: &Map<String, Value>);
    fn before(&self, out: &mut Vec<u8>, before: &Value);
    fn after(&self, out: &mut Vec<u8>, after: &Value);
    /// The whole member with its name, and nothing when there is no diff.
    fn diff(&self, out: &mut Vec<u8>, event: &Event);
}

/// Writes all that is there.
pub(crate) struct AsTheyAre;

impl Documents for AsTheyAre {
    fn metadata(&self, out: &mut Vec<u8>, metadata: &Map<String, Value>) {
        write_object(out, metadata);
    }

    fn before(&self, out: &mut Vec<u8>, before: &Value) {
        write_value(out, before);
    }

    fn after(&self, out: &mut Vec<u8>, after: &Value) {
        write_value(out, after);
    }

    fn diff(&self, out: &mut Vec<u8>, event: &Event) {
        if let Some(ops) = &event.diff {
            out.extend_from_slice(DIFF_MEMBER);
            write_list(out, ops, |out, op| write_step(out, &op.step(), |out, value, _| write_value(out, value)));
        }
    }
}

/// What comes before the list of operations.
pub(crate) const DIFF_MEMBER: &[u8] = b",\"diff\":";

/// Writes an event's canonical JSON straight from its fields, ready for its place. `recorded_at` and
/// `seq` of the event itself are passed over.
pub(crate) fn sealed_parts(event: &Event, documents: &dyn Documents) -> Sealable {
    with_scratch(|scratch| {
        let [diff, recorded_at, seq] = write_members(scratch, event, documents, false);
        Sealable { bytes: scratch.as_slice().into(), recorded_at, seq, diff }
    })
}

/// Gives `read` the canonical JSON of an event as it is.
pub(crate) fn with_event<T>(event: &Event, read: impl FnOnce(&[u8]) -> T) -> T {
    with_scratch(|scratch| {
        write_members(scratch, event, &AsTheyAre, true);
        read(scratch)
    })
}

/// Lends an empty buffer of the thread's own. A buffer that grows anew for each event makes the allocator
/// tidy up each time, which takes as long as the writing.
fn with_scratch<T>(write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    /// A larger buffer is not kept.
    const KEPT_BYTES: usize = 256 * 1024;

    thread_local! {
        static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }

    let mut scratch = SCRATCH.take();
    scratch.clear();
    let written = write(&mut scratch);
    if scratch.capacity() <= KEPT_BYTES {
        SCRATCH.set(scratch);
    }
    written
}

/// Writes the members in the order of their JSON names, and answers where `diff`, `recordedAt` and `seq`
/// belong. `action` is always there and always first, so each of the others begins with a comma.
fn write_members(out: &mut Vec<u8>, event: &Event, documents: &dyn Documents, with_place: bool) -> [usize; 3] {
    fn text(out: &mut Vec<u8>, member: &[u8], field: Option<&String>) {
        if let Some(text) = field {
            out.extend_from_slice(member);
            write_string(out, text);
        }
    }
    fn texts(out: &mut Vec<u8>, member: &[u8], field: &[String]) {
        if !field.is_empty() {
            out.extend_from_slice(member);
            write_list(out, field, |out, text| write_string(out, text));
        }
    }

    // No field is left out by accident: a new one does not compile until it has its place here.
    let Event {
        id,
        timestamp,
        action,
        actor_id,
        actor_type,
        actor_name,
        on_behalf_of,
        resource_type,
        resource_id,
        severity,
        outcome,
        metadata,
        before,
        after,
        changed,
        ip_address,
        user_agent,
        session_id,
        request_id,
        tags,
        tenant,
        retention_category,
        diff: _,
        seq,
        recorded_at,
    } = event;

    out.extend_from_slice(b"{\"action\":");
    write_string(out, action);
    text(out, b",\"actorId\":", actor_id.as_ref());
    text(out, b",\"actorName\":", actor_name.as_ref());
    text(out, b",\"actorType\":", actor_type.as_ref());
    if let Some(after) = after {
        out.extend_from_slice(b",\"after\":");
        documents.after(out, after);
    }
    if let Some(before) = before {
        out.extend_from_slice(b",\"before\":");
        documents.before(out, before);
    }
    texts(out, b",\"changed\":", changed);
    let diff_place = out.len();
    documents.diff(out, event);
    text(out, b",\"id\":", id.as_ref());
    text(out, b",\"ipAddress\":", ip_address.as_ref());
    if let Some(map) = metadata {
        out.extend_from_slice(b",\"metadata\":");
        documents.metadata(out, map);
    }
    text(out, b",\"onBehalfOf\":", on_behalf_of.as_ref());
    if let Some(outcome) = outcome {
        out.extend_from_slice(b",\"outcome\":");
        write_string(out, outcome.as_str());
    }
    let recorded_at_place = out.len();
    if let Some(ms) = recorded_at.filter(|_| with_place) {
        out.extend_from_slice(b",\"recordedAt\":");
        write_i64(out, ms);
    }
    text(out, b",\"requestId\":", request_id.as_ref());
    text(out, b",\"resourceId\":", resource_id.as_ref());
    text(out, b",\"resourceType\":", resource_type.as_ref());
    text(out, b",\"retentionCategory\":", retention_category.as_ref());
    let seq_place = out.len();
    if let Some(seq) = seq.filter(|_| with_place) {
        out.extend_from_slice(b",\"seq\":");
        write_u64(out, seq);
    }
    text(out, b",\"sessionId\":", session_id.as_ref());
    out.extend_from_slice(b",\"severity\":");
    write_string(out, severity.as_str());
    texts(out, b",\"tags\":", tags);
    text(out, b",\"tenant\":", tenant.as_ref());
    if let Some(ms) = timestamp {
        out.extend_from_slice(b",\"timestamp\":");
        write_i64(out, *ms);
    }
    text(out, b",\"userAgent\":", user_agent.as_ref());
    out.push(b'}');
    [diff_place, recorded_at_place, seq_place]
}

fn write_list<T>(out: &mut Vec<u8>, items: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

/// Appends one step of a diff. `write` appends a value, and is told whether it is the new one.
pub(crate) fn write_step(out: &mut Vec<u8>, step: &Step<'_>, write: impl Fn(&mut Vec<u8>, &Value, bool)) {
    out.push(b'{');
    if let Some(old) = step.old {
        out.extend_from_slice(b"\"old\":");
        write(out, old, false);
        out.push(b',');
    }
    out.extend_from_slice(match step.op {
        DiffKind::Add => b"\"op\":\"add\"".as_slice(),
        DiffKind::Remove => b"\"op\":\"remove\"",
        DiffKind::Replace => b"\"op\":\"replace\"",
    });
    out.extend_from_slice(b",\"path\":");
    write_string(out, step.path);
    if let Some(value) = step.value {
        out.extend_from_slice(b",\"value\":");
        write(out, value, true);
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests;
