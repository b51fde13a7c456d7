//! The frames of live streams. `contract/vectors/frames.json` holds each of them.

use axum::body::Bytes;
use serde_json::json;

use crate::problem::Problem;

/// How long a client is asked to wait before it connects again, in milliseconds.
const RETRY_MS: u32 = 1000;

/// One frame. `data` is JSON on one line.
pub(crate) fn frame(event: &str, id: Option<i64>, data: &str) -> Bytes {
    let mut text = String::with_capacity(data.len() + event.len() + 48);
    text.push_str("event: ");
    text.push_str(event);
    if let Some(id) = id {
        text.push_str("\nid: ");
        text.push_str(&id.to_string());
    }
    text.push_str("\ndata: ");
    text.push_str(data);
    text.push_str("\n\n");
    text.into()
}

/// One event; the id is its seq.
pub(crate) fn event(seq: u64, canonical_json: &str) -> Bytes {
    frame("event", Some(i64::try_from(seq).unwrap_or(i64::MAX)), canonical_json)
}

/// What each stream begins with.
pub(crate) fn retry() -> Bytes {
    format!("retry: {RETRY_MS}\n\n").into()
}

/// What keeps the line alive.
pub(crate) fn keep_alive() -> Bytes {
    Bytes::from_static(b": keep-alive\n\n")
}

/// That the stream ends, and why: `shutdown`, or `expired` where the key or token is over.
pub(crate) fn stop(reason: &str) -> Bytes {
    frame("stop", None, &json!({ "reason": reason }).to_string())
}

/// That the stream ends because something went wrong.
pub(crate) fn error(problem: &Problem) -> Bytes {
    frame("error", None, &problem.json())
}
