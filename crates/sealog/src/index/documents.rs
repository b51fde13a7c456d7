//! What an event's documents say: the texts and the changed paths in its canonical JSON.
//!
//! The bytes are scanned as they are, without building the documents.

use std::borrow::Cow;

use crate::canonical::{Quoted, Scanner};
use crate::error::{Error, ErrorKind, Result};

/// Takes what [`visit`] finds.
pub(crate) trait Sink<'b> {
    /// The name of a member, a string value, or a path of the diff. No phrase goes from one to the next.
    fn text(&mut self, text: Cow<'b, str>);

    /// The id of the event, its actor, its resource, its session or its request.
    fn id(&mut self, id: &str);

    /// The path of one step of the diff, as a JSON Pointer.
    fn changed(&mut self, path: &str);
}

/// Gives `sink` all the texts of an event: of its metadata, its states, its diff, its actor's name, and
/// on whose behalf it was done; and its ids.
///
/// What stands in the state before a change stands in the state after it, or else in the diff: so with
/// a state after it, the one before is not read.
pub(crate) fn visit<'b>(body: &'b [u8], sink: &mut dyn Sink<'b>) -> Result<()> {
    let scan = |mut scanner: Scanner<'b>| scanner.object(&mut members(sink));
    Scanner::new(body).and_then(scan).ok_or_else(no_event)
}

/// As [`visit`], but passes over the members before `from`, where a comma must stand.
pub(crate) fn visit_from<'b>(body: &'b [u8], from: usize, sink: &mut dyn Sink<'b>) -> Result<()> {
    let scan = |mut scanner: Scanner<'b>| match scanner.next()? {
        b',' => scanner.members(&mut members(sink)),
        _ => None,
    };
    body.get(from..).and_then(Scanner::new).and_then(scan).ok_or_else(no_event)
}

fn no_event() -> Error {
    Error::new(ErrorKind::Integrity, "expected an event's canonical JSON, found something else")
}

/// Takes an event's members, one after the other.
fn members<'b>(sink: &mut dyn Sink<'b>) -> impl FnMut(&mut Scanner<'b>, Quoted<'b>) -> Option<()> {
    // The names are sorted: "after" comes before "before".
    let mut has_after = false;
    move |scanner, name| {
        match name.raw() {
            "actorId" | "id" | "requestId" | "resourceId" | "sessionId" => {
                sink.id(&scanner.string()?.unescaped()?);
                return Some(());
            }
            "diff" => return scanner.array(&mut |scanner| step(scanner, sink)),
            "actorName" | "metadata" | "onBehalfOf" => {}
            "after" => has_after = true,
            "before" if !has_after => {}
            _ => return pass(scanner),
        }
        texts(scanner, sink)
    }
}

/// One step of the diff.
fn step<'b>(scanner: &mut Scanner<'b>, sink: &mut dyn Sink<'b>) -> Option<()> {
    scanner.object(&mut |scanner, name| match name.raw() {
        "old" => texts(scanner, sink),
        "path" => {
            let path = scanner.string()?.unescaped()?;
            sink.changed(&path);
            // As its names are written in the documents, and as RFC 6901 has it: "~1" first.
            let is_escaped = path.contains('~');
            sink.text(if is_escaped { path.replace("~1", "/").replace("~0", "~").into() } else { path });
            Some(())
        }
        _ => pass(scanner),
    })
}

fn texts<'b>(scanner: &mut Scanner<'b>, sink: &mut dyn Sink<'b>) -> Option<()> {
    scanner.value(|text| {
        sink.text(text.unescaped()?);
        Some(())
    })
}

fn pass(scanner: &mut Scanner<'_>) -> Option<()> {
    scanner.value(|_| Some(()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::canonical;
    use crate::policy::arbitrary;

    #[derive(Default, Debug, PartialEq)]
    struct Found {
        texts: Vec<String>,
        ids: Vec<String>,
        changed: Vec<String>,
    }

    impl Sink<'_> for Found {
        fn text(&mut self, text: Cow<'_, str>) {
            self.texts.push(text.into_owned());
        }

        fn id(&mut self, id: &str) {
            self.ids.push(id.to_owned());
        }

        fn changed(&mut self, path: &str) {
            self.changed.push(path.to_owned());
        }
    }

    fn found(body: &str) -> Option<Found> {
        let mut found = Found::default();
        visit(body.as_bytes(), &mut found).ok().map(|()| found)
    }

    #[test]
    fn names_and_strings_of_the_documents_are_found() {
        let body = r#"{"action":"a","actorName":"Ada","after":{"k":["v",1,{"x\n":null}]},"before":{"not":"read"},"diff":[{"old":{"gone":"was"},"op":"replace","path":"/k/0","value":"v"}],"id":"1","metadata":{"m":"\"q\""}}"#;
        let found_all = found(body).unwrap();
        assert_eq!(found_all.texts, ["Ada", "k", "v", "x\n", "gone", "was", "/k/0", "m", "\"q\""]);
        assert_eq!((found_all.ids, found_all.changed), (vec!["1".to_owned()], vec!["/k/0".to_owned()]));
        assert_eq!(found(r#"{"before":"only"}"#).unwrap().texts, ["only"]);
        // The name of what was removed stands in the diff's path alone.
        let removed =
            found(r#"{"after":{},"before":{"a/b~":1},"diff":[{"old":1,"op":"remove","path":"/a~1b~0"}]}"#).unwrap();
        assert_eq!((removed.texts, removed.changed), (vec!["/a/b~".to_owned()], vec!["/a~1b~0".to_owned()]));
        assert_eq!(found("{}"), Some(Found::default()));
    }

    #[test]
    fn the_changes_are_found_from_where_the_diff_begins() {
        let event = crate::Event::new("a").metadata(serde_json::json!({"diff": []}));
        let event = event.change(serde_json::json!({"k": 1, "diff": 2}), serde_json::json!({"k": 2}));
        let policy = crate::Policy::default().compile([7; 32]).unwrap();
        let prepared = policy.apply_own(event, 1, || "i".to_owned()).unwrap();
        let mut body = Vec::new();
        prepared.sealable.seal(1, 2, &mut body);
        let mut found = Found::default();
        visit_from(&body, prepared.facts.diff.unwrap(), &mut found).unwrap();
        assert_eq!(found.changed, ["/diff", "/k"]);
        assert!(visit_from(&body, 1, &mut found).is_err() && visit_from(&body, body.len() + 1, &mut found).is_err());
    }

    #[test]
    fn what_is_no_event_is_an_error() {
        for body in [
            "",
            "{",
            "[]",
            r#"{"a"}"#,
            r#"{"metadata":{"a":"#,
            r#"{"metadata":"a\"#,
            r#"{"diff":{}}"#,
            "{\"metadata\":\"\u{0}\\x\"}",
        ] {
            assert_eq!(found(body), None, "{body}");
        }
    }

    fn collect(value: &serde_json::Value, texts: &mut Vec<String>) {
        match value {
            serde_json::Value::String(text) => texts.push(text.clone()),
            serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
            serde_json::Value::Object(map) => {
                for (name, value) in map {
                    texts.push(name.clone());
                    collect(value, texts);
                }
            }
            _ => {}
        }
    }

    proptest! {
        #[test]
        fn the_scan_finds_what_the_parsed_document_holds(document in arbitrary::value()) {
            let body = String::from_utf8(canonical::to_vec(&serde_json::json!({"metadata": document}))).unwrap();
            let mut texts = Vec::new();
            collect(&document, &mut texts);
            let mut found = found(&body).unwrap().texts;
            texts.sort();
            found.sort();
            prop_assert_eq!(found, texts);
        }
    }
}
