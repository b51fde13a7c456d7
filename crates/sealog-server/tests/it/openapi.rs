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

/// The names of a schema's properties.
fn properties(document: &Value, schema: &str) -> Vec<String> {
    let properties = document["components"]["schemas"][schema]["properties"].as_object();
    properties.unwrap_or_else(|| panic!("{schema} has no properties")).keys().cloned().collect()
}

/// The schemas are written beside the library's types, so they are held against them: a name that the library
/// does not know is an error there that says which names it does know.
#[test]
fn what_is_described_is_what_the_library_reads() {
    let document: Value = serde_json::from_str(&sealog_server::openapi()).expect("JSON");
    let reads = |schema: &str, read: &dyn Fn(&str) -> Result<(), String>| {
        let known = read(r#"{"no such name": 1}"#).expect_err("an unknown name is an error");
        let names = properties(&document, schema);
        assert!(!names.is_empty());
        for name in &names {
            assert!(known.contains(&format!("`{name}`")), "{schema} describes {name:?}, and the library says: {known}");
        }
        let expected = known.split("expected").nth(1).unwrap_or_default();
        (names, expected.split('`').skip(1).step_by(2).map(ToOwned::to_owned).collect::<Vec<_>>())
    };
    let text = |error: serde_json::Error| error.to_string();
    let (described, read) = reads("Event", &|json| match sealog::Event::from_json(json) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    });
    // What the log sets itself is refused from callers, by another check.
    let missing: Vec<_> = read.iter().filter(|name| !described.contains(name)).collect();
    assert_eq!(missing, ["diff", "seq", "recordedAt"]);
    let (described, read) = reads("Filter", &|json| match sealog::Filter::from_json(json) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.message().to_owned()),
    });
    // Lists also go by the names of single fields.
    let single = ["severity", "action", "actorId", "actorType", "resourceType", "tags", "outcome", "ipAddress"];
    let missing = read.iter().filter(|name| !described.contains(name) && !single.contains(&name.as_str()));
    assert_eq!(missing.collect::<Vec<_>>(), ["retentionCategory"]);
    let all = |schema: &str, read: &dyn Fn(&str) -> Result<(), String>| {
        let (described, read) = reads(schema, read);
        let missing: Vec<_> = read.iter().filter(|name| !described.contains(name)).collect();
        assert!(missing.is_empty(), "{schema} does not describe {missing:?}");
    };
    all("Settings", &|json| serde_json::from_str::<sealog::Settings>(json).map(drop).map_err(text));
    all("Cleanup", &|json| serde_json::from_str::<sealog::CleanupOptions>(json).map(drop).map_err(text));
    all("Erasure", &|json| serde_json::from_str::<sealog::Erasure>(json).map(drop).map_err(text));
}
