//! What the program says and spares where somebody made a mistake.

use serde_json::{Value, json};

use crate::support::{Folder, lines};

/// What it says when it ends with this code.
fn said(folder: &Folder, code: i32, arguments: &[&str]) -> String {
    let output = folder.run(arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "sealog {arguments:?}: {said}");
    said
}

#[test]
fn nothing_is_written_over_unasked_and_the_log_and_its_key_never() {
    let folder = Folder::new();
    folder.expect(0, &["log", "a"]);
    std::fs::create_dir(folder.path("sub")).expect("a folder");
    let key = std::fs::read(folder.path("audit.db.key")).expect("the key");
    for file in ["audit.db", "audit.db.key", "sub/../audit.db.key", "./audit.db-wal"] {
        for command in [&["checkpoint"][..], &["proof", "0"], &["report"]] {
            let arguments = [command, &["--output", file, "--force"]].concat();
            let said = said(&folder, 2, &arguments);
            assert!(said.contains("name another file"), "{said}");
        }
    }
    assert_eq!(std::fs::read(folder.path("audit.db.key")).expect("the key"), key);

    folder.write("notes.txt", "mine");
    for command in [&["checkpoint"][..], &["proof", "0"], &["report"]] {
        let arguments = [command, &["--output", "notes.txt"]].concat();
        assert!(said(&folder, 2, &arguments).contains("--force"));
    }
    assert_eq!(std::fs::read(folder.path("notes.txt")).expect("a file"), b"mine");
    folder.expect(0, &["checkpoint", "--output", "notes.txt", "--force"]);
    folder.expect(0, &["verify", "--checkpoint", "notes.txt"]);
    folder.expect(2, &["checkpoint", "--force"]);
}

#[test]
fn what_is_malformed_is_wrong_usage_and_no_damage() {
    let folder = Folder::new();
    folder.expect(0, &["log", "a"]);
    folder.expect(0, &["proof", "0", "--output", "a.proof"]);
    folder.write("text", "this is neither\n");
    let vkey = folder.expect(0, &["key", "show"]).trim().to_owned();
    for arguments in [
        &["verify", "--vkey", "foo"][..],
        &["verify", "--checkpoint", "text"],
        &["verify", "--checkpoint", "a.proof"],
        &["verify", "--checkpoint", "nowhere"],
        &["verify", "--anchor", "nowhere"],
        &["verify-proof", "text", "--vkey", &vkey],
        &["verify-proof", "nowhere", "--vkey", &vkey],
        &["verify-proof", "a.proof", "--vkey", "foo"],
        &["log", "a", "--policy", "nowhere"],
        &["log", "a", "--policy", "text"],
        &["import", "nowhere"],
        &["demo", "--log", "other.db"],
        &["log", "a", "--set", "x=1", "--set", "x=2"],
    ] {
        assert!(!said(&folder, 2, arguments).contains("Damaged"), "{arguments:?}");
    }
    folder.write("broken.ndjson.gz", b"\x1f\x8b\x08 and nothing that could be unpacked");
    folder.expect(2, &["import", "broken.ndjson.gz"]);
    folder.expect(0, &["log", "b"]);
    assert_eq!(folder.json(0, &["verify"])["size"], 2);
}

#[test]
fn a_file_that_is_not_there_is_said_before_the_others_are_imported() {
    let folder = Folder::new();
    let event = "{\"action\": \"a\"}\n";
    folder.write("a.ndjson", event);
    folder.expect(2, &["import", "a.ndjson", "nowhere"]);
    assert!(!folder.path("audit.db").exists());
    // One that breaks later stops the rest, and what was done is still told.
    folder.write("b.ndjson.gz", b"\x1f\x8b\x08 and nothing that could be unpacked");
    let output = folder.run(&["import", "a.ndjson", "b.ndjson.gz", "--json"]);
    assert_eq!((output.status.code(), &lines(&output.stdout)[0]["new"]), (Some(2), &json!(1)));
    assert!(folder.expect(2, &["import", "a.ndjson", "b.ndjson.gz"]).contains("Stopped after 1 event: 0 new"));
}

#[test]
fn an_error_in_an_event_names_the_option_or_the_field() {
    let folder = Folder::new();
    for (option, arguments) in [
        ("the action: is empty", &["log", ""][..]),
        ("--actor: is empty", &["log", "a", "--actor", ""]),
        ("--tag at /0: is empty", &["log", "a", "--tag", ""]),
        ("--tenant: is empty", &["log", "a", "--tenant", ""]),
    ] {
        let said = said(&folder, 3, arguments);
        assert!(said.contains(option), "{said}");
    }
    let pointer = folder.run(&["log", "a", "--actor", "", "--json"]).stderr;
    assert_eq!(lines(&pointer)[0]["error"]["pointer"], "/actorId");

    let events =
        "{\"action\": \"a\", \"timestamp\": \"2026-03-02T07:00:00Z\"}\n{\"action\": \"a\", \"timestamp\": true}\n";
    let output = folder.run_with_input(&["log", "-"], events);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("timestamp: this is a boolean") && said.contains("milliseconds"), "{said}");
    assert_eq!(folder.json(0, &["get", "0"])["timestamp"], 1_772_434_800_000_i64);
}

#[test]
fn an_id_that_is_a_number_can_be_asked_for() {
    let folder = Folder::new();
    folder.expect(0, &["log", "first", "--id", "1"]);
    folder.expect(0, &["log", "second"]);
    assert_eq!(folder.json(0, &["get", "1"])["action"], "second");
    assert_eq!(folder.json(0, &["get", "--id", "1"])["action"], "first");
    assert_eq!(folder.json(0, &["get", "--seq", "0"])["action"], "first");
    assert_eq!(folder.json(0, &["proof", "--id", "1"])["seq"], 0);
    folder.expect(1, &["get", "--seq", "2"]);
    folder.expect(2, &["get", "1", "--id", "1"]);
    folder.expect(2, &["get"]);
}

#[test]
fn what_one_log_gives_out_another_takes_in() {
    let folder = Folder::new();
    folder.expect(
        0,
        &["log", "a", "--actor", "ada", "--before", "{\"apiKey\": \"x\"}", "--after", "{\"apiKey\": \"y\"}"],
    );
    folder.expect(0, &["log", "b", "--id", "b-1", "--set", "password=x"]);
    let exported = folder.expect(0, &["tail", "--from", "0", "--json"]);
    folder.write("everything.ndjson", &exported);
    for _ in 0..2 {
        folder.expect(0, &["import", "everything.ndjson", "--log", "other.db"]);
    }
    let without_time = |event: &Value| {
        let mut event = event.clone();
        event["recordedAt"] = Value::Null;
        event
    };
    let taken = lines(folder.expect(0, &["tail", "--from", "0", "--json", "--log", "other.db"]).as_bytes());
    assert_eq!(
        taken.iter().map(without_time).collect::<Vec<_>>(),
        lines(exported.as_bytes()).iter().map(without_time).collect::<Vec<_>>()
    );
    assert_eq!(taken[0]["diff"][0]["path"], "/apiKey");
}

#[test]
fn keys_are_made_once_and_no_two_logs_share_a_name() {
    let folder = Folder::new();
    folder.expect(0, &["key", "generate"]);
    let before = std::fs::read(folder.path("audit.db.key")).expect("the key");
    assert!(said(&folder, 2, &["key", "generate"]).contains("already"));
    assert_eq!(std::fs::read(folder.path("audit.db.key")).expect("the key"), before);
    folder.expect(0, &["key", "generate", "--key", "other.key"]);
    let origin = |vkey: &str| vkey.split('+').next().expect("a name").to_owned();
    let other = folder.expect(0, &["key", "show", "--key", "other.key"]);
    assert_ne!(origin(&folder.expect(0, &["key", "show"])), origin(&other));
}

#[test]
fn a_policy_adds_to_the_defaults() {
    let folder = Folder::new();
    folder.write("policy.json", "{\"redactFields\": [{\"name\": \"email\"}]}");
    folder.expect(0, &["log", "a", "--policy", "policy.json", "--set", "email=e", "--set", "password=p"]);
    let metadata = &folder.json(0, &["get", "0"])["metadata"];
    assert_eq!(metadata, &json!({"email": "[REDACTED]", "password": "[REDACTED]"}));
    folder.write("policy.json", "{\"redactFields\": [\"email\"]}");
    assert!(said(&folder, 2, &["log", "a", "--policy", "policy.json"]).contains("docs/POLICY.md"));
}
