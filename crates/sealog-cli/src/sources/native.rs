//! Sealog's own events, as callers send them and as a log gives them out.

use sealog::{Event, MAX_CHANGED_POINTERS};
use serde_json::{Map, Value, json};

use super::{kind_of, object, parse_time};

/// An event as a caller sends it. Its time may be RFC 3339 too.
///
/// # Errors
///
/// Which field is wrong, and why.
pub(crate) fn event(record: Value) -> Result<Event, String> {
    let mut record = object(record)?;
    if let Some(Value::String(time)) = record.get("timestamp") {
        let ms = parse_time(time).map_err(|error| format!("timestamp: {error}"))?;
        record.insert("timestamp".to_owned(), ms.into());
    }
    serde_json::from_value(Value::Object(record.clone())).map_err(|error| match culprit(&record) {
        Some(("timestamp", value)) => format!(
            "timestamp: this is {}; a timestamp is a whole number of milliseconds since 1970, or RFC 3339 text",
            kind_of(value)
        ),
        Some((name, _)) if !error.to_string().contains(name) => format!("{name}: {error}"),
        _ => format!("this is no event of Sealog: {error}"),
    })
}

/// The first field that no event can have: the error alone does not always name it.
fn culprit(record: &Map<String, Value>) -> Option<(&str, &Value)> {
    let alone = |name: &str, value: &Value| serde_json::from_value::<Event>(json!({"action": "x", name: value}));
    record.iter().find(|(name, value)| alone(name, value).is_err()).map(|(name, value)| (name.as_str(), value))
}

/// The event that a record of an import tells of: sent by a caller, or given out by another log. What
/// that log assigned is dropped, since this one assigns its own.
pub(super) fn map(record: Value) -> Result<Event, String> {
    let mut record = object(record)?;
    if !(record.contains_key("seq") && record.contains_key("recordedAt")) {
        return event(Value::Object(record));
    }
    record.remove("seq");
    record.remove("recordedAt");
    // The states give the diff again, except for changes of what was hidden in them.
    let hidden: Vec<_> = record.remove("diff").map(|diff| hidden_changes(&diff)).unwrap_or_default();
    let mut event = event(Value::Object(record))?;
    event.changed.extend(hidden);
    Ok(event)
}

fn hidden_changes(diff: &Value) -> Vec<String> {
    let is_hidden = |op: &&Value| {
        let (old, value) = (op.get("old"), op.get("value"));
        old == value || [old, value].into_iter().flatten().any(|side| side == "[REDACTED]")
    };
    let hidden = diff.as_array().into_iter().flatten().filter(is_hidden);
    hidden.filter_map(|op| op["path"].as_str().map(str::to_owned)).take(MAX_CHANGED_POINTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_our_own_is_taken_as_it_is() {
        let taken = event(json!({"action": "x.y", "before": null, "timestamp": "2026-03-02T07:00:00Z"})).unwrap();
        assert_eq!((taken.before, taken.timestamp), (Some(Value::Null), Some(1_772_434_800_000)));
    }

    #[test]
    fn an_error_names_the_field() {
        for (record, part) in [
            (json!({"action": "x", "acter": "u"}), "this is no event of Sealog: unknown field `acter`"),
            (json!({"actorId": "u"}), "missing field `action`"),
            (
                json!({"action": "x", "timestamp": 1.5}),
                "timestamp: this is a number; a timestamp is a whole number of milli",
            ),
            (json!({"action": "x", "timestamp": "yesterday"}), "timestamp: \"yesterday\" is no time"),
            (json!({"action": "x", "actorId": 7}), "actorId: invalid type: integer `7`"),
            (json!({"action": "x", "seq": "a"}), "seq: "),
            (json!([1]), "an array"),
        ] {
            let error = event(record).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn what_a_log_gave_out_can_be_sent_to_another() {
        let exported = json!({
            "action": "x", "id": "i", "seq": 4, "recordedAt": 2, "timestamp": 1,
            "before": {"a": 1, "apiKey": "[REDACTED]"}, "after": {"a": 2, "apiKey": "[REDACTED]"},
            "diff": [
                {"op": "replace", "path": "/a", "old": 1, "value": 2},
                {"op": "replace", "path": "/apiKey", "old": "[REDACTED]", "value": "[REDACTED]"},
            ],
        });
        let event = map(exported).unwrap();
        assert_eq!((event.id.as_deref(), event.timestamp, event.changed), (Some("i"), Some(1), vec!["/apiKey".into()]));
        // One that only says its seq was not given out by a log; what is wrong with it is said when it is logged.
        assert!(map(json!({"action": "x", "seq": 4})).is_ok());
    }
}
