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

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// What a parser after the standard reads: event, id, data, retry.
    fn read(text: &str) -> (Option<String>, Option<String>, Option<Value>, Option<Value>) {
        let mut read = (None, None, None, None);
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with(':')) {
            let (name, value) = line.split_once(": ").expect("a field");
            match name {
                "event" => read.0 = Some(value.to_owned()),
                "id" => read.1 = Some(value.to_owned()),
                "data" => read.2 = Some(serde_json::from_str(value).expect("JSON")),
                "retry" => read.3 = Some(serde_json::from_str(value).expect("a number")),
                _ => panic!("{name}"),
            }
        }
        read
    }

    #[test]
    fn frames_are_those_of_the_vectors() {
        let vectors: Value =
            serde_json::from_str(include_str!("../../../../contract/vectors/frames.json")).expect("the vectors");
        let vectors = vectors["frames"].as_array().expect("frames");
        for vector in vectors {
            let text = vector["text"].as_str().expect("a text");
            let owned = |name: &str| vector[name].as_str().map(ToOwned::to_owned);
            let value = |name: &str| vector.get(name).cloned();
            assert_eq!(read(text), (owned("event"), owned("id"), value("data"), value("retry")), "{vector}");
            // The very bytes that a server sends for it.
            let data = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or_default();
            let id = vector["id"].as_str().map(|id| id.parse::<i64>().expect("a number"));
            let made = match vector["name"].as_str().expect("a name") {
                "retry" => retry(),
                "keep-alive" => keep_alive(),
                name if name.starts_with("event") => event(id.expect("a seq") as u64, data),
                "stop at shutdown" => stop("shutdown"),
                "stop when the key or token is over" => stop("expired"),
                "error" => {
                    let log = Problem::of_kind(
                        sealog::ErrorKind::Closed,
                        "the log is closed; send it again when the server is back",
                    );
                    error(&log)
                }
                _ => frame(vector["event"].as_str().expect("an event"), id, data),
            };
            assert_eq!(made, text);
        }
        assert_eq!(vectors.len(), 11);
    }
}
