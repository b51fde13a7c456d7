//! One record: a JSON value, of whose own members none stands there twice.

use std::fmt;

use serde::Deserializer as _;
use serde::de::{Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};

/// Reads a record. Of two members of one name the last one would count, unseen by who read the first.
pub(super) fn parse(bytes: &[u8]) -> Result<Value, String> {
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return serde_json::from_slice(bytes).map_err(|error| not_json(&error));
    }
    let mut parser = serde_json::Deserializer::from_slice(bytes);
    let map = parser.deserialize_map(Members).and_then(|map| parser.end().map(|()| map));
    map.map(Value::Object).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => without_place(&error),
        _ => not_json(&error),
    })
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value()?;
            if map.contains_key(&name) {
                return Err(A::Error::custom(format_args!("the member {name:?} stands there twice")));
            }
            map.insert(name, value);
        }
        Ok(map)
    }
}

/// Why it is no JSON. The line that the parser names is that within the record, and would mislead.
fn not_json(error: &serde_json::Error) -> String {
    format!("this is no JSON: {} (column {})", without_place(error), error.column())
}

fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(&*text, |(reason, _)| reason).to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_is_any_value_and_no_member_of_it_stands_there_twice() {
        assert_eq!(parse(b" {\"a\": {\"b\": 1, \"b\": 2}, \"c\": 1.5}\n"), Ok(json!({"a": {"b": 2}, "c": 1.5})));
        assert_eq!(parse(b"[1]"), Ok(json!([1])));
        let twice = parse(b"{\"action\": \"benign\", \"\\u0061ction\": \"evil\"}");
        assert_eq!(twice.unwrap_err(), "the member \"action\" stands there twice");
        assert_eq!(parse(b"{\"a\": 1} x").unwrap_err(), "this is no JSON: trailing characters (column 10)");
        assert!(parse(b"{\"a\": 1").unwrap_err().starts_with("this is no JSON: EOF"));
    }
}
