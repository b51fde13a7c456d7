//! What `import` reads: whose format a file is in, and how each record becomes an event.

mod cloudtrail;
mod kubernetes;
mod native;
mod reader;
mod record;
mod repeats;
mod time;

use sealog::Event;
use serde_json::{Map, Value};

pub(crate) use native::event;
pub use reader::{Located, Place, Records};
pub use repeats::Repeats;
pub use time::parse_time;

/// The formats that can be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Sealog's own events, as `sealog log -` takes them and `sealog tail --json` prints them.
    Native,
    /// AWS CloudTrail records.
    Cloudtrail,
    /// Kubernetes API-server audit events (audit.k8s.io/v1).
    Kubernetes,
}

impl Format {
    /// Whose record this is, by the fields that only its format has. `None` when it is nobody's.
    pub fn guess(record: &Value) -> Option<Self> {
        let has = |name: &str| record.get(name).is_some();
        if has("auditID") || record["apiVersion"].as_str().is_some_and(|version| version.starts_with("audit.k8s.io/")) {
            Some(Self::Kubernetes)
        } else if has("eventSource") && has("eventName") {
            Some(Self::Cloudtrail)
        } else if has("action") {
            Some(Self::Native)
        } else {
            None
        }
    }

    /// Its name, as `--format` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Cloudtrail => "cloudtrail",
            Self::Kubernetes => "kubernetes",
        }
    }

    /// The event that a record tells of.
    ///
    /// The id is left out where the source has none.
    ///
    /// # Errors
    ///
    /// What is missing or malformed, in words. The limits of the log are checked when it is logged.
    pub fn map(self, record: Value) -> Result<Event, String> {
        match self {
            Self::Native => native::map(record),
            Self::Cloudtrail => cloudtrail::map(object(record)?),
            Self::Kubernetes => kubernetes::map(object(record)?),
        }
    }
}

fn object(record: Value) -> Result<Map<String, Value>, String> {
    match record {
        Value::Object(map) => Ok(map),
        other => Err(format!("a record is a JSON object, and this is {}", kind_of(&other))),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Takes a text field out of a record. What is no text or empty stays where it is, for the metadata.
fn take_text(record: &mut Map<String, Value>, name: &str) -> Option<String> {
    match record.get_mut(name) {
        Some(Value::String(text)) if !text.is_empty() => {
            let text = std::mem::take(text);
            record.remove(name);
            Some(text)
        }
        _ => None,
    }
}

/// Takes a text field that a record of this format always has.
fn require_text(record: &mut Map<String, Value>, name: &str) -> Result<String, String> {
    take_text(record, name).ok_or_else(|| match record.get(name) {
        None => format!("the field {name} is missing"),
        Some(other) => format!("the field {name} is text, and this is {}", kind_of(other)),
    })
}

/// A text somewhere inside, unless it is empty.
fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_format_is_guessed_from_what_only_it_has() {
        let guess = |record: Value| Format::guess(&record);
        assert_eq!(guess(json!({"action": "user.login"})), Some(Format::Native));
        assert_eq!(
            guess(json!({"eventSource": "s3.amazonaws.com", "eventName": "GetObject"})),
            Some(Format::Cloudtrail)
        );
        assert_eq!(guess(json!({"auditID": "a"})), Some(Format::Kubernetes));
        assert_eq!(guess(json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1"})), Some(Format::Kubernetes));
        for other in [json!({"kind": "Event", "apiVersion": "v1"}), json!({"a": 1}), json!([1]), json!("x")] {
            assert_eq!(guess(other), None);
        }
    }
}
