//! Bodies that nobody should send, to each operation that takes one: a clear refusal, and nothing else.

use axum::body::{Body, Bytes};
use futures_util::stream::iter;
use sealog::ErrorKind;
use sealog_server::Code;
use serde_json::{Map, Value, json};

use crate::support::{Mounted, verify};

/// More than any operation takes, in pieces of a mebibyte.
const LARGE_MIB: usize = 17;

/// Operations with a body as they are asked, the type that they take, and the names in it.
fn operations() -> Vec<(String, String, Vec<String>)> {
    let document: Value = serde_json::from_str(&sealog_server::openapi()).expect("JSON");
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            for (kind, content) in operation["requestBody"]["content"].as_object().unwrap_or(&Map::new()) {
                // A stream of lines answers each for itself.
                if kind != "application/x-ndjson" {
                    let line = format!("{} {path}", method.to_uppercase()).replace("{id}", "0000000000000000");
                    let names = names(&document, &content["schema"]);
                    operations.push((line.replace("{name}", "any"), kind.clone(), names));
                }
            }
        }
    }
    assert!(operations.len() > 10, "{operations:?}");
    operations
}

/// The names of the fields that a schema has, in any of its forms.
fn names(document: &Value, schema: &Value) -> Vec<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        return names(document, document.pointer(&reference[1..]).expect("it is there"));
    }
    let own = schema["properties"].as_object().into_iter().flat_map(|fields| fields.keys().cloned());
    let forms = ["oneOf", "anyOf", "allOf"].into_iter().filter_map(|name| schema[name].as_array()).flatten();
    own.chain(forms.flat_map(|form| names(document, form))).collect()
}

fn is_known(code: &str) -> bool {
    Code::all().map(Code::as_str).chain(ErrorKind::all().map(ErrorKind::code)).any(|known| known == code)
}

#[tokio::test]
async fn no_operation_takes_what_it_cannot_read() {
    let mounted = Mounted::new().await;
    let size = mounted.log.head().await.expect("a head").size;
    let refused = async |about: &str, line: &str, kind: &str, body: Body, statuses: &[u16]| {
        let (status, headers, body) = mounted.ask(line, kind, body).await;
        let about = format!("{about} to {line} as {kind:?}: {status} {}", String::from_utf8_lossy(&body));
        assert!(statuses.contains(&status), "{about}");
        assert_eq!(headers["content-type"], "application/problem+json", "{about}");
        let problem: Value = serde_json::from_slice(&body).expect("JSON");
        assert!(problem["code"].as_str().is_some_and(is_known) && problem["status"] == status, "{about}");
        assert!(body.len() < 4096, "{about}");
    };
    for (line, kind, names) in &operations() {
        let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(1000), close.repeat(1000));
        let mut cases: Vec<(&str, Bytes)> = vec![
            ("nothing", "".into()),
            ("what is cut off", "{\"reason\": \"x\"".into()),
            ("two documents", "{} {}".into()),
            ("a thousand lists", deep("[", "]").into()),
            ("a thousand objects", deep("{\"a\":", "}").into()),
            ("no UTF-8", b"{\"reason\": \"\xff\"}".as_slice().into()),
            ("a lone surrogate", r#"{"reason": "\ud800"}"#.into()),
            ("zeros", vec![0; 1000].into()),
            ("another name", r#"{"no such name": 1}"#.into()),
        ];
        cases.extend(["null", "7", "true", "\"{}\"", "[[]]"].map(|other| ("no object", other.into())));
        if !line.ends_with("/v1/events") {
            // Of no events there is nothing wrong; of any other list, even an empty one, there is.
            cases.push(("an empty list", " []".into()));
        }
        // In no field does an object of unknown names make sense.
        cases.extend(names.iter().map(|name| {
            let body = json!({ name: {"no such name": [[]]} }).to_string();
            ("another type", body.into())
        }));
        for (about, body) in cases {
            refused(about, line, kind, body.into(), &[400, 422]).await;
        }
        for other in ["", "text/html", "application/json+x", "multipart/form-data; boundary=x"] {
            refused("another type of body", line, other, "{}".into(), &[415]).await;
        }
        let pieces = (0..LARGE_MIB).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 1024 * 1024])));
        refused("too much", line, kind, Body::from_stream(iter(pieces)), &[413]).await;
        let broken = [Ok(Bytes::from("{")), Err(std::io::Error::other("gone"))];
        refused("what breaks off", line, kind, Body::from_stream(iter(broken)), &[400]).await;
    }
    assert_eq!(mounted.log.head().await.expect("a head").size, size);
    verify(&mounted.log).await;
}
