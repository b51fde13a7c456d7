//! The filter as a query string.

use serde_json::map::Entry;
use serde_json::{Map, Value, json};

use super::Filter;
use super::filter::misfit;
use crate::error::{Error, ErrorKind, Result};

/// The fields that hold one value.
const SINGLE: [&str; 8] =
    ["resource", "tenant", "sessionId", "requestId", "fromTimestamp", "toTimestamp", "text", "changed"];

impl Filter {
    /// Reads a filter from a query string, without the `?`. Names are those of the JSON, and a list
    /// repeats its name.
    ///
    /// A resource is its type and its id with a `:` between them; in the two, a backslash takes the
    /// meaning from the next character. `filter` holds more conditions in the compact form, whose times
    /// are before `now_ms`, in milliseconds since the Unix epoch. `text` may be empty, as a form sends it.
    ///
    /// ```
    /// use sealog::{Filter, Severity};
    ///
    /// let query = "severity=error&severity=critical&actorId=u-17&resource=invoice:i-4&filter=since:1h+paid";
    /// let filter = Filter::from_query(query, 3_600_000).unwrap();
    /// let same = Filter::new()
    ///     .severity_from(Severity::Error)
    ///     .actor("u-17")
    ///     .resource("invoice", "i-4")
    ///     .from_timestamp(0)
    ///     .text("paid");
    /// assert_eq!(filter, same);
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] for what is one in [`Filter::from_json`] or [`Filter::parse`], and
    /// when a field that holds one value has two.
    pub fn from_query(query: &str, now_ms: i64) -> Result<Self> {
        let mut fields = Map::new();
        let mut compact = Vec::new();
        for (name, text) in form_urlencoded::parse(query.as_bytes()) {
            let value = match &*name {
                "filter" => {
                    compact.push(text);
                    continue;
                }
                "fromTimestamp" | "toTimestamp" => integer(&name, &text)?,
                "resource" => resource(&text)?,
                _ => Value::from(text),
            };
            match fields.entry(name) {
                Entry::Vacant(entry) => {
                    entry.insert(value);
                }
                Entry::Occupied(entry) if SINGLE.contains(&entry.key().as_str()) => {
                    if *entry.get() != value {
                        return Err(wrong(entry.key(), "is given twice with different values, and holds one"));
                    }
                }
                Entry::Occupied(mut entry) => match entry.get_mut() {
                    Value::Array(values) => values.push(value),
                    first => *first = json!([first.take(), value]),
                },
            }
        }
        let mut filter: Self =
            serde_json::from_value(Value::Object(fields.clone())).map_err(|error| misfit(&error, fields))?;
        for text in compact {
            filter.add_compact(&text, now_ms).map_err(|error| error.inside("/filter"))?;
        }
        filter.validate()?;
        Ok(filter)
    }

    /// The filter as a query string, without the `?`. [`Filter::from_query`] reads it.
    ///
    /// ```
    /// let filter = sealog::Filter::new().action("user.login").action("team.*").text("\"reset link\"");
    /// assert_eq!(filter.to_query(), "actions=user.login&actions=team.*&text=%22reset+link%22");
    /// ```
    pub fn to_query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let Ok(Value::Object(fields)) = serde_json::to_value(self) else { unreachable!("a filter is a JSON object") };
        for (name, value) in &fields {
            for value in value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice) {
                match value {
                    Value::String(text) => query.append_pair(name, text),
                    Value::Number(number) => query.append_pair(name, &number.to_string()),
                    resource => {
                        let part = |name: &str| resource[name].as_str().unwrap_or_default().replace('\\', "\\\\");
                        query.append_pair(name, &format!("{}:{}", part("type").replace(':', "\\:"), part("id")))
                    }
                };
            }
        }
        query.finish()
    }
}

fn wrong(name: &str, message: impl Into<String>) -> Error {
    Error::field(ErrorKind::InvalidArgument, format!("/{name}"), message)
}

fn integer(name: &str, text: &str) -> Result<Value> {
    let number: i64 = text
        .parse()
        .map_err(|_| wrong(name, format!("{text:?} is no whole number of milliseconds since the Unix epoch")))?;
    Ok(number.into())
}

fn resource(text: &str) -> Result<Value> {
    let (mut kind, mut part) = (None, String::new());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => part.push(chars.next().unwrap_or('\\')),
            ':' if kind.is_none() => kind = Some(std::mem::take(&mut part)),
            _ => part.push(char),
        }
    }
    let kind =
        kind.ok_or_else(|| wrong("resource", format!("{text:?} has no `:` between type and id, as in `invoice:i-4`")))?;
    Ok(json!({ "type": kind, "id": part }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Outcome, Severity};

    #[test]
    fn known_forms_are_read() {
        for (query, expected) in [
            ("", Filter::new()),
            ("text=", Filter::new()),
            (
                "severity=warning&severity=error&actions=user.*&actorId=u-17&fromTimestamp=-5",
                Filter::new()
                    .severity(Severity::Warning)
                    .severity(Severity::Error)
                    .action("user.*")
                    .actor("u-17")
                    .from_timestamp(-5),
            ),
            ("tags=a&tags=b&tags=c&tagsAll=d", Filter::new().tag_any("a").tag_any("b").tag_any("c").tag_all("d")),
            ("resource=invoice%3Ai:4", Filter::new().resource("invoice", "i:4")),
            (r"resource=a\:b:c\\d\", Filter::new().resource("a:b", r"c\d\")),
            ("text=http://x+%22reset%20link%22", Filter::new().text("\"http://x\" \"reset link\"")),
            ("tenant=%C3%A9+%26&tenant=%C3%A9+%26", Filter::new().tenant("\u{e9} &")),
            (
                "filter=actor:u2+paid&actorId=u1&text=late&filter=since:1s&filter=outcome:denied",
                Filter::new().actor("u1").actor("u2").text("late paid").from_timestamp(4000).outcome(Outcome::Denied),
            ),
        ] {
            assert_eq!(Filter::from_query(query, 5000).unwrap(), expected, "{query}");
        }
    }

    #[test]
    fn errors_name_what_is_wrong() {
        for (query, expected) in [
            ("actr=u", "/actr: unknown field `actr`"),
            ("severity=info&severity=loud", "/severity: unknown variant `loud`"),
            ("tenant=a&tenant=b", "/tenant: is given twice with different values"),
            ("tenant=a&filter=tenant:b", "/filter: `tenant:` has two different values"),
            ("tags=a&filter=tag:b,c", "/filter: `tag:b,c` is a second list of tags"),
            ("toTimestamp=2026-01-31", "/toTimestamp: \"2026-01-31\" is no whole number of milliseconds"),
            ("resource=invoice", "/resource: \"invoice\" has no `:` between type and id"),
            ("resource=:", "/resource/id: is empty"),
            ("actorId=", "/actorIds/0: is empty"),
            ("action=a&actions=b", "this is no filter: duplicate field `actions`"),
            ("filter=x:y", "/filter: there is no condition `x:`"),
        ] {
            let error = Filter::from_query(query, 0).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.to_string().starts_with(expected), "{error}");
        }
    }

    #[test]
    fn filters_are_written_in_one_way() {
        let filter = Filter::new().resource(r"a:b\", r"c:d\").tag_any("x").tag_any("y z").to_timestamp(5);
        assert_eq!(filter.to_query(), "resource=a%5C%3Ab%5C%5C%3Ac%3Ad%5C%5C&tagsAny=x&tagsAny=y+z&toTimestamp=5");
        assert_eq!(Filter::new().to_query(), "");
    }
}
