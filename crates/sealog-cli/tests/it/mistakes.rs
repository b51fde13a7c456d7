//! What the program says and spares where somebody made a mistake.

use serde_json::{Value, json};

use crate::support::{Folder, lines};

#[test]
fn nothing_is_written_over_unasked_and_the_log_and_its_key_never() {
    let folder = Folder::new();
    folder.expect(0, &["log", "a"]);
    std::fs::create_dir(folder.path("sub")).expect("a folder");
    let key = std::fs::read(folder.path("audit.db.key")).expect("the key");
    for file in ["audit.db", "audit.db.key", "sub/../audit.db.key", "./audit.db-wal"] {
        for command in [&["checkpoint"][..], &["proof", "0"], &["report"]] {
            let arguments = [command, &["--output", file, "--force"]].concat();
            let said = folder.said(2, &arguments);
            assert!(said.contains("name another file"), "{said}");
        }
    }
    assert_eq!(std::fs::read(folder.path("audit.db.key")).expect("the key"), key);

    folder.write("notes.txt", "mine");
    for command in [&["checkpoint"][..], &["proof", "0"], &["report"]] {
        let arguments = [command, &["--output", "notes.txt"]].concat();
        assert!(folder.said(2, &arguments).contains("--force"));
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
        assert!(!folder.said(2, arguments).contains("Damaged"), "{arguments:?}");
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
        let said = folder.said(3, arguments);
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
    assert!(folder.said(2, &["key", "generate"]).contains("already"));
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
    assert!(folder.said(2, &["log", "a", "--policy", "policy.json"]).contains("docs/POLICY.md"));
}

#[test]
fn names_that_sqlite_knows_are_files_like_others() {
    let folder = Folder::new();
    for name in [":memory:", "file:x.db?mode=memory"] {
        for action in ["a", "b"] {
            folder.expect(0, &["log", action, "--log", name]);
        }
        assert_eq!(folder.json(0, &["verify", "--log", name])["size"], 2);
        assert!(folder.path(name).is_file());
    }
    assert_ne!(folder.run(&["log", "a", "--log", ""]).status.code(), Some(0));
    folder.expect(2, &["log", "a", "--inbox", "file:y.db?mode=memory"]);
}

#[test]
fn what_is_wrong_with_one_file_says_nothing_of_the_next() {
    let folder = Folder::new();
    let event = |action: &str| format!("{{\"action\": \"{action}\"}}\n");
    folder.write("a.ndjson", event("a"));
    folder.write("b.ndjson.gz", b"\x1f\x8b\x08 and nothing that could be unpacked");
    folder.write("c.ndjson", event("c"));
    let files = ["a.ndjson", "b.ndjson.gz", "nowhere", "c.ndjson"];
    let output = folder.run(&[&["import", "--on-error", "skip", "--json"], &files[..]].concat());
    let told = &lines(&output.stdout)[0];
    assert_eq!((output.status.code(), &told["new"]), (Some(2), &json!(2)));
    assert!(told["files"][2]["error"].as_str().is_some_and(|text| text.contains("nowhere")), "{told}");
    assert_eq!(told["files"][3]["error"], Value::Null);
    assert_eq!(lines(&output.stderr).len(), 2);
}

#[test]
fn an_import_counts_what_was_new_whatever_else_was_refused() {
    let folder = Folder::new();
    folder.expect(0, &["log", "other", "--id", "taken"]);
    let line = |id: &str| format!("{{\"action\": \"a\", \"id\": \"{id}\"}}\n");
    folder.write("a.ndjson", ["1", "taken", "2", "3"].map(line).concat());
    let told = |code| folder.json(code, &["import", "--on-error", "skip", "a.ndjson"]);
    assert_eq!((&told(4)["new"], &told(4)["existing"]), (&json!(3), &json!(3)));
}

#[test]
fn a_member_that_stands_there_twice_is_no_event() {
    let folder = Folder::new();
    let twice = "{\"action\":\"benign\",\"action\":\"evil\"}\n";
    let output = folder.run_with_input(&["log", "-"], twice);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("\"action\" stands there twice"));
    folder.write("a.ndjson", twice);
    folder.expect(3, &["import", "a.ndjson"]);
    assert_eq!(folder.json(0, &["verify"])["size"], 0);
}

#[cfg(unix)]
#[test]
fn pipes_and_devices_are_not_taken_for_files() {
    let folder = Folder::new();
    folder.expect(0, &["log", "a"]);
    let vkey = folder.expect(0, &["key", "show"]).trim().to_owned();
    assert!(std::process::Command::new("mkfifo").arg(folder.path("ff")).status().expect("mkfifo runs").success());
    for file in ["ff", "/dev/zero"] {
        for (code, arguments) in [
            (2, &["verify", "--anchor", file][..]),
            (2, &["verify", "--checkpoint", file]),
            (2, &["verify-proof", file, "--vkey", &vkey]),
            (2, &["log", "a", "--policy", file]),
            (2, &["log", "a", "--anchor", file]),
            (2, &["log", "a", "--inbox", file]),
            (5, &["log", "a", "--key", file]),
        ] {
            assert!(folder.said(code, arguments).contains("regular file"), "{arguments:?}");
        }
    }
    // What comes out of a pipe is imported.
    let mut command = folder.command(&["import", "ff"]);
    let mut child = command.stdout(std::process::Stdio::null()).spawn().expect("it starts");
    std::fs::write(folder.path("ff"), "{\"action\": \"a\"}\n").expect("somebody reads it");
    assert!(child.wait().expect("it ends").success());
    assert_eq!(folder.json(0, &["verify"])["size"], 2);
}

#[cfg(unix)]
#[test]
fn names_and_keys_that_are_no_text_are_an_error_and_no_panic() {
    use std::os::unix::ffi::OsStrExt;

    let folder = Folder::new();
    let strange = std::ffi::OsStr::from_bytes(b"\xff.key");
    let made = folder.command(&["key", "generate", "--json", "--key"]).arg(strange).output().expect("the program runs");
    assert!(made.status.success() && folder.dir.path().join(strange).exists());
    let refused = folder.command(&["log", "a"]).env("SEALOG_KEY", strange).output().expect("the program runs");
    assert_eq!(refused.status.code(), Some(5));
    assert!(!folder.path("audit.db.key").exists());
}

#[test]
fn what_a_forged_log_says_does_not_reach_the_terminal_as_it_is() {
    let folder = Folder::new();
    folder.expect(0, &["log", "a"]);
    let raw = sealog::rusqlite::Connection::open(folder.path("audit.db")).expect("the file opens");
    raw.execute("UPDATE signer SET vkey = char(27) || '[2J' || vkey", []).expect("it is changed");
    for arguments in [&["verify"][..], &["key", "show"], &["key", "list"], &["log", "b"]] {
        let output = folder.run(arguments);
        assert!(![output.stdout, output.stderr].concat().contains(&0x1b), "{arguments:?}");
    }
}
