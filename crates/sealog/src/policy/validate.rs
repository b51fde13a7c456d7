//! What an event must be before anything is done with it.

use serde_json::Value;

use super::pointer;
use crate::canonical;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{
    Event, MAX_ACTION_BYTES, MAX_CHANGED_POINTERS, MAX_DEPTH, MAX_FIELD_BYTES, MAX_ID_BYTES, MAX_METADATA_BYTES,
    MAX_STATE_BYTES, MAX_TAG_BYTES, MAX_TAGS, MAX_USER_AGENT_BYTES,
};

/// The most bytes of all pointers in `changed` together.
const MAX_CHANGED_BYTES: usize = 256 * 1024;
/// The first word of the log's own actions.
const RESERVED: &str = "sealog";

/// Where an event comes from, which decides what it may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// A caller: nothing that the log assigns, and no action of the log's own.
    Caller,
    /// An inbox, after this policy was applied to it once: it has its id, its time and its diff.
    /// Metadata and states were within their limits as sent and may have grown by being hashed, so
    /// only the limit on the whole event holds for them.
    Staged,
    /// The log itself.
    Own,
}

/// Checks the whole event, in time linear in its size.
///
/// # Errors
///
/// The first thing that is wrong, with a pointer to it.
pub(super) fn check(event: &Event, source: Source, now_ms: i64, max_future_ms: i64) -> Result<()> {
    check_assigned(event, source)?;
    check_action(&event.action, source)?;
    check_timestamp(event.timestamp, now_ms, max_future_ms)?;

    // Fields that identify are refused when empty: an empty id is a bug of the caller's that would
    // otherwise be found when the event is looked for. Those that describe are taken as they come.
    text("/id", event.id.as_deref(), ("MAX_ID_BYTES", MAX_ID_BYTES), false)?;
    let field = ("MAX_FIELD_BYTES", MAX_FIELD_BYTES);
    text("/actorId", event.actor_id.as_deref(), field, false)?;
    text("/actorType", event.actor_type.as_deref(), field, false)?;
    text("/actorName", event.actor_name.as_deref(), field, true)?;
    text("/onBehalfOf", event.on_behalf_of.as_deref(), field, false)?;
    text("/resourceType", event.resource_type.as_deref(), field, false)?;
    text("/resourceId", event.resource_id.as_deref(), field, false)?;
    text("/ipAddress", event.ip_address.as_deref(), field, true)?;
    text("/sessionId", event.session_id.as_deref(), field, false)?;
    text("/requestId", event.request_id.as_deref(), field, false)?;
    text("/tenant", event.tenant.as_deref(), field, false)?;
    text("/retentionCategory", event.retention_category.as_deref(), field, false)?;
    text("/userAgent", event.user_agent.as_deref(), ("MAX_USER_AGENT_BYTES", MAX_USER_AGENT_BYTES), true)?;
    if event.resource_id.is_some() && event.resource_type.is_none() {
        return Err(invalid("/resourceId", "a resourceId needs the resourceType that it is an id of"));
    }

    limit("/tags", "tags", event.tags.len(), ("MAX_TAGS", MAX_TAGS))?;
    for (i, tag) in event.tags.iter().enumerate() {
        // The pointer is only made for what is wrong.
        text("/tags", Some(tag), ("MAX_TAG_BYTES", MAX_TAG_BYTES), false)
            .map_err(|error| Error::field(error.kind(), format!("/tags/{i}"), error.message()))?;
    }

    check_documents(event, source)?;
    check_pointers(event)
}

fn check_assigned(event: &Event, source: Source) -> Result<()> {
    let assigned = |pointer| Err(invalid(pointer, "is assigned by the log and cannot be sent"));
    if event.seq.is_some() {
        return assigned("/seq");
    }
    if event.recorded_at.is_some() {
        return assigned("/recordedAt");
    }
    match source {
        Source::Staged if event.id.is_none() => Err(invalid("/id", "a staged event has its id")),
        Source::Staged if event.timestamp.is_none() => Err(invalid("/timestamp", "a staged event has its timestamp")),
        Source::Caller | Source::Own if event.diff.is_some() => Err(invalid(
            "/diff",
            "is assigned by the log and cannot be sent; to say what changed in states that you redacted, send \
             `changed`",
        )),
        _ => Ok(()),
    }
}

fn check_action(action: &str, source: Source) -> Result<()> {
    const POINTER: &str = "/action";
    let words = action.trim();
    if words.is_empty() {
        return Err(invalid(POINTER, "is empty; an event says what was done, such as user.login"));
    }
    text(POINTER, Some(action), ("MAX_ACTION_BYTES", MAX_ACTION_BYTES), false)?;
    let first = words.split('.').next().unwrap_or(words).trim_end();
    if source != Source::Own && first.eq_ignore_ascii_case(RESERVED) {
        return Err(Error::field(
            ErrorKind::ReservedAction,
            POINTER,
            format!("{action:?} belongs to the log itself, as all actions under `{RESERVED}.` do"),
        ));
    }
    Ok(())
}

fn check_timestamp(timestamp: Option<i64>, now_ms: i64, max_future_ms: i64) -> Result<()> {
    const POINTER: &str = "/timestamp";
    let Some(timestamp) = timestamp else { return Ok(()) };
    if timestamp < 0 {
        return Err(invalid(
            POINTER,
            format!("{timestamp} ms lies before 1970; a timestamp is in milliseconds since the Unix epoch"),
        ));
    }
    let latest = now_ms.saturating_add(max_future_ms);
    if timestamp > latest {
        return Err(invalid(
            POINTER,
            format!(
                "{timestamp} ms lies {} ms ahead of the log's clock; at most {max_future_ms} ms are allowed \
                 (`max_future_ms`), and a timestamp is in milliseconds since the Unix epoch",
                timestamp.saturating_sub(now_ms)
            ),
        ));
    }
    Ok(())
}

fn check_documents(event: &Event, source: Source) -> Result<()> {
    let sized = |size, pointer: &str, limit_of| match source {
        Source::Staged => Ok(()),
        Source::Caller | Source::Own => limit(pointer, "bytes of canonical JSON", size, limit_of),
    };
    if let Some(metadata) = &event.metadata {
        let size = measure_object(metadata, MAX_DEPTH).map_err(|problem| problem.at("/metadata"))?;
        sized(size, "/metadata", ("MAX_METADATA_BYTES", MAX_METADATA_BYTES))?;
    }
    for (pointer, state) in [("/before", &event.before), ("/after", &event.after)] {
        if let Some(state) = state {
            let size = measure(state, MAX_DEPTH).map_err(|problem| problem.at(pointer))?;
            sized(size, pointer, ("MAX_STATE_BYTES", MAX_STATE_BYTES))?;
        }
    }
    for (i, op) in event.diff.iter().flatten().enumerate() {
        for (name, value) in [("old", &op.old), ("value", &op.value)] {
            if let Some(value) = value {
                measure(value, MAX_DEPTH).map_err(|problem| problem.at(&format!("/diff/{i}/{name}")))?;
            }
        }
    }
    Ok(())
}

fn check_pointers(event: &Event) -> Result<()> {
    limit("/changed", "pointers", event.changed.len(), ("MAX_CHANGED_POINTERS", MAX_CHANGED_POINTERS))?;
    let bytes = event.changed.iter().map(String::len).sum();
    limit("/changed", "bytes in all pointers", bytes, ("MAX_CHANGED_BYTES", MAX_CHANGED_BYTES))?;
    let in_changed = event.changed.iter().enumerate().map(|(i, path)| (path, i, "/changed", ""));
    let in_diff = event.diff.iter().flatten().enumerate().map(|(i, op)| (&op.path, i, "/diff", "/path"));
    for (path, i, list, member) in in_changed.chain(in_diff) {
        let problem = if path.contains('\0') {
            "holds a NUL character"
        } else if !pointer::is_valid(path) {
            "is no JSON Pointer (RFC 6901): empty, or each segment after a `/`, with `~` as `~0` and `/` as `~1`"
        } else {
            continue;
        };
        return Err(invalid(format!("{list}/{i}{member}"), problem));
    }
    Ok(())
}

fn invalid(pointer: impl Into<String>, message: impl Into<String>) -> Error {
    Error::field(ErrorKind::InvalidEvent, pointer, message)
}

fn text(pointer: &str, field: Option<&str>, bytes: (&str, usize), may_be_empty: bool) -> Result<()> {
    let Some(text) = field else { return Ok(()) };
    if text.is_empty() && !may_be_empty {
        return Err(invalid(pointer, "is empty; leave it out where there is none"));
    }
    limit(pointer, "bytes", text.len(), bytes)?;
    if text.as_bytes().contains(&0) {
        return Err(invalid(pointer, "holds a NUL character"));
    }
    Ok(())
}

fn limit(pointer: &str, what: &str, size: usize, (name, limit): (&str, usize)) -> Result<()> {
    if size <= limit {
        return Ok(());
    }
    let message = format!("has {size} {what}; the limit is {limit} ({name})");
    Err(Error::field(ErrorKind::LimitExceeded, pointer, message))
}

/// What is wrong inside a document.
struct Problem {
    kind: ErrorKind,
    message: String,
    /// The names on the way to it, innermost first.
    path: Vec<String>,
}

#[expect(clippy::unnecessary_box_returns, reason = "boxed where it is made, to keep the result of each step small")]
impl Problem {
    fn new(kind: ErrorKind, message: impl Into<String>) -> Box<Self> {
        Box::new(Self { kind, message: message.into(), path: Vec::new() })
    }

    fn inside(mut self: Box<Self>, name: impl Into<String>) -> Box<Self> {
        self.path.push(name.into());
        self
    }

    fn at(&self, root: &str) -> Error {
        let mut place = root.to_owned();
        for name in self.path.iter().rev() {
            pointer::push(&mut place, name);
        }
        Error::field(self.kind, place, self.message.as_str())
    }
}

type Measured = Result<usize, Box<Problem>>;

/// The size of the value's canonical JSON in bytes, and a check of all that is in it. Goes at most
/// `depth` levels down, so that no document overflows the stack.
fn measure(value: &Value, depth: usize) -> Measured {
    match value {
        Value::Null | Value::Bool(true) => Ok(4),
        Value::Bool(false) => Ok(5),
        Value::Number(number) => {
            if let Some(size) =
                number.as_u64().map(|integer| integer.checked_ilog10().map_or(1, |log| log as usize + 1))
            {
                return Ok(size);
            }
            if number.as_i64().is_none() && number.as_f64().is_none() {
                return Err(Problem::new(ErrorKind::InvalidEvent, "is a number that no 64-bit float can hold"));
            }
            let mut text = Vec::with_capacity(24);
            canonical::write_number(&mut text, number);
            Ok(text.len())
        }
        Value::String(text) => measure_text(text),
        Value::Array(items) => {
            let depth = deeper(depth)?;
            let mut size = 1 + items.len().max(1);
            for (i, item) in items.iter().enumerate() {
                size += measure(item, depth).map_err(|problem| problem.inside(i.to_string()))?;
            }
            Ok(size)
        }
        Value::Object(map) => measure_object(map, depth),
    }
}

fn measure_object(map: &serde_json::Map<String, Value>, depth: usize) -> Measured {
    let depth = deeper(depth)?;
    // Two braces, a colon for each member and a comma between any two.
    let mut size = 1 + (2 * map.len()).max(1);
    for (name, value) in map {
        size += measure_text(name).map_err(|_| {
            Problem::new(ErrorKind::InvalidEvent, format!("has a member whose name holds a NUL character: {name:?}"))
        })?;
        size += measure(value, depth).map_err(|problem| problem.inside(name))?;
    }
    Ok(size)
}

fn measure_text(text: &str) -> Measured {
    if canonical::is_plain(text.as_bytes()) {
        return Ok(text.len() + 2);
    }
    let mut escapes = 0;
    for &byte in text.as_bytes() {
        if byte < 0x20 || byte == b'"' || byte == b'\\' {
            escapes += match byte {
                0 => return Err(Problem::new(ErrorKind::InvalidEvent, "holds a NUL character")),
                b'"' | b'\\' | 0x08 | b'\t' | b'\n' | 0x0C | b'\r' => 1,
                _ => 5,
            };
        }
    }
    Ok(text.len() + escapes + 2)
}

fn deeper(depth: usize) -> Measured {
    depth.checked_sub(1).ok_or_else(|| {
        let message = format!("nests deeper than {MAX_DEPTH} levels (MAX_DEPTH)");
        Problem::new(ErrorKind::LimitExceeded, message)
    })
}

/// Takes an event apart without recursion: a document that nests too deep would overflow the stack
/// when it is dropped as a whole.
pub(crate) fn dismantle(event: Event) {
    let metadata = event.metadata.map(Value::Object);
    let ops = event.diff.into_iter().flatten().flat_map(|op| [op.old, op.value]);
    let mut pending: Vec<Value> = [metadata, event.before, event.after].into_iter().chain(ops).flatten().collect();
    while let Some(value) = pending.pop() {
        match value {
            Value::Array(items) => pending.extend(items),
            Value::Object(map) => pending.extend(map.into_iter().map(|(_, value)| value)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
