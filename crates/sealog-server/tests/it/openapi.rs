//! `contract/openapi.json` is what the server says of itself.

use std::path::Path;

use serde_json::Value;

#[test]
fn the_specification_is_the_one_that_is_checked_in() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contract/openapi.json");
    if std::env::var_os("SEALOG_WRITE_SNAPSHOTS").is_some() {
        std::fs::write(&path, sealog_server::openapi()).expect("the specification is written");
    }
    let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        checked_in == sealog_server::openapi(),
        "contract/openapi.json is not what the server says; write it with \
         `SEALOG_WRITE_SNAPSHOTS=1 cargo test -p sealog-server --test it openapi`, and look at what has changed"
    );
}

#[test]
fn every_operation_has_an_id_of_its_own_a_tag_and_an_answer() {
    let document: Value = serde_json::from_str(&sealog_server::openapi()).expect("JSON");
    let mut ids = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let place = format!("{method} {path}");
            ids.push(operation["operationId"].as_str().unwrap_or_else(|| panic!("{place} has no id")).to_owned());
            assert!(operation["tags"].as_array().is_some_and(|tags| tags.len() == 1), "{place}");
            assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{place}");
            assert!(operation["responses"].as_object().is_some_and(|all| !all.is_empty()), "{place}");
        }
    }
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[test]
fn what_is_referred_to_is_there() {
    fn each(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str).map(ToOwned::to_owned));
                map.values().for_each(|value| each(value, found));
            }
            Value::Array(list) => list.iter().for_each(|value| each(value, found)),
            _ => {}
        }
    }

    let document: Value = serde_json::from_str(&sealog_server::openapi()).expect("JSON");
    let mut references = Vec::new();
    each(&document, &mut references);
    assert!(!references.is_empty());
    for reference in references {
        let pointer = reference.strip_prefix('#').expect("a reference into the document");
        assert!(document.pointer(pointer).is_some(), "{reference} is not there");
    }
}
