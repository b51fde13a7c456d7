//! The vectors of `contract/vectors`, which the other languages run too, and those of the standards
//! where they stand beside the repository.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Applied, Policy, diff, readable};
use crate::canonical;
use crate::event::{DiffOp, Event};

fn workspace(path: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../..", path].iter().collect()
}

/// The document and its cases.
fn vectors(name: &str) -> (Value, Vec<Value>) {
    let path = workspace("contract/vectors").join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let document: Value = serde_json::from_str(&text).unwrap();
    let cases = document["cases"].as_array().expect("a list of cases").clone();
    assert!(document["description"].is_string() && !cases.is_empty());
    (document, cases)
}

fn read<T: DeserializeOwned>(case: &Value, member: &str) -> T {
    T::deserialize(&case[member]).unwrap_or_else(|error| panic!("{}: {member}: {error}", case["name"]))
}

fn text(value: &Value) -> String {
    String::from_utf8(canonical::to_vec(value)).unwrap()
}

#[test]
fn canonical_json() {
    for case in vectors("canonical.json").1 {
        let value: Value = serde_json::from_str(&read::<String>(&case, "json")).unwrap();
        assert_eq!(text(&value), read::<String>(&case, "canonical"), "{}", case["name"]);
    }
}

#[test]
fn diffs() {
    for case in vectors("diff.json").1 {
        let ops = diff(&case["before"], &case["after"]);
        assert_eq!(ops, read::<Vec<DiffOp>>(&case, "ops"), "{}", case["name"]);
        assert_eq!(readable(&ops), read::<String>(&case, "readable"), "{}", case["name"]);
    }
}

#[test]
fn redactions() {
    let (document, cases) = vectors("redaction.json");
    let key = document["key"].as_str().unwrap();
    let key: Vec<u8> = (0..key.len()).step_by(2).map(|at| u8::from_str_radix(&key[at..at + 2], 16).unwrap()).collect();
    let key: [u8; 32] = key.try_into().unwrap();
    for case in cases {
        let policy = read::<Policy>(&case, "policy").compile(key).unwrap();
        let applied = policy.apply(read::<Event>(&case, "event"), 1_000, || unreachable!("each case has its id"));
        let Ok(Applied::Keep(prepared)) = applied else { panic!("{}: {applied:?}", case["name"]) };
        let stored = String::from_utf8(prepared.sealable.unsealed().to_vec()).unwrap();
        assert_eq!(stored, text(&case["stored"]), "{}", case["name"]);

        let again = policy.apply_staged(read::<Event>(&case, "stored"), None, 1_000).unwrap();
        assert_eq!(again.sealable, prepared.sealable, "{}", case["name"]);
    }
}

/// The vectors of RFC 8785's author. Conditional: the folder stands beside the repository, not in it.
#[test]
fn canonical_json_of_the_rfc() {
    let folder = workspace("../shared/vectors/jcs");
    let Ok(inputs) = fs::read_dir(folder.join("input")) else {
        // Past the test runner, which hides what a test that passes prints.
        let _ = writeln!(std::io::stderr(), "NOT RUN: {} is not there", folder.display());
        return;
    };
    for input in inputs {
        let input = input.unwrap().path();
        let value: Value = serde_json::from_slice(&fs::read(&input).unwrap()).unwrap();
        let output = fs::read_to_string(folder.join("output").join(input.file_name().unwrap())).unwrap();
        assert_eq!(text(&value), output.trim_end_matches('\n'), "{}", input.display());
    }
}
