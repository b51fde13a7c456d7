//! What is asked of a log: the answers, for people and for programs.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{Folder, lines};

/// 2026-03-02, 07:00 UTC.
const START_MS: i64 = 1_772_434_800_000;

/// A log with one event a minute, by three actors; every tenth is denied, and one says what it is about.
fn folder() -> Folder {
    let folder = Folder::new();
    let event = |i: i64| {
        let mut event = json!({"action": if i % 2 == 0 { "user.login" } else { "user.logout" },
            "actorId": format!("u-{}", i % 3), "timestamp": START_MS + i * 60_000});
        if i % 10 == 0 {
            event["outcome"] = json!("denied");
            event["severity"] = json!("warning");
        }
        if i == 7 {
            event["metadata"] = json!({"note": "a reset link that was sent"});
        }
        format!("{event}\n")
    };
    folder.write("events.ndjson", (0..120).map(event).collect::<String>());
    folder.expect(0, &["import", "events.ndjson"]);
    folder
}

fn seqs(text: &[u8]) -> Vec<u64> {
    lines(text).iter().map(|event| event["seq"].as_u64().expect("a seq")).collect()
}

#[test]
fn a_filter_is_one_argument_or_several() {
    let folder = folder();
    let one = folder.expect(0, &["search", "actor:u-0 outcome:denied", "--json"]);
    assert_eq!(seqs(one.as_bytes()), [90, 60, 30, 0]);
    assert_eq!(folder.expect(0, &["search", "actor:u-0", "outcome:denied", "--json"]), one);
    assert_eq!(lines(one.as_bytes())[0], folder.json(0, &["get", "90"]));
    let oldest = folder.expect(0, &["search", "actor:u-0 outcome:denied", "--oldest-first", "--json"]);
    assert_eq!(seqs(oldest.as_bytes()), [0, 30, 60, 90]);

    for (filter, count) in [
        ("", 120),
        ("severity>=warning", 12),
        ("until:2026-03-02T07:10:00Z", 10),
        ("since:1h", 0),
        ("\"reset link\"", 1),
        ("\"link reset\"", 0),
        ("link -reset", 0),
    ] {
        assert_eq!(folder.expect(0, &["count", filter]), format!("{count}\n"), "{filter}");
        assert_eq!(folder.json(0, &["count", filter]), json!({ "count": count }), "{filter}");
    }
    assert_eq!(folder.expect(0, &["count", "--", "-link"]), "119\n");

    let human = folder.expect(0, &["search", "reset"]);
    assert!(human.contains("7  2026-03-02 07:07:00  info") && human.contains("user.logout"), "{human}");
    assert!(folder.said(0, &["search", "nothing"]).contains("No event"));
    assert_eq!(folder.expect(0, &["search", "nothing", "--json"]), "");
}

#[test]
fn pages_join_up_and_each_tells_how_to_go_on() {
    let folder = folder();
    let all = folder.expect(0, &["search", "actor:u-1", "--all", "--json"]);
    assert_eq!(lines(all.as_bytes()).len(), 40);
    let (mut found, mut cursor) = (String::new(), String::new());
    loop {
        let on = format!("--cursor={cursor}");
        let mut arguments = vec!["search", "actor:u-1", "-n", "15", "--json"];
        arguments.extend(Some(&*on).filter(|_| !cursor.is_empty()));
        let output = folder.run(&arguments);
        assert_eq!(output.status.code(), Some(0));
        found += &String::from_utf8(output.stdout).expect("text");
        let Some(more) = lines(&output.stderr).pop() else { break };
        more["nextCursor"].as_str().expect("a cursor").clone_into(&mut cursor);
    }
    assert_eq!(found, all);

    // The command that is told works as it stands, ages and all.
    let told = folder.said(0, &["search", "actor:u-1 since:5000w -expired", "-n", "30", "--log", "audit.db"]);
    let command = told.trim().strip_prefix("There are more: ").expect("a command").to_owned();
    assert!(command.starts_with("sealog search -n 30 --log audit.db --cursor="), "{command}");
    let program = command.replacen("sealog", &format!("'{}' --json", crate::support::SEALOG), 1);
    let output = std::process::Command::new("bash").args(["-c", &program]).current_dir(folder.dir.path()).output();
    let output = output.expect("bash runs");
    assert_eq!(seqs(&output.stdout), seqs(all.as_bytes())[30..], "{command}");
    assert!(output.stderr.is_empty());
}

#[test]
fn what_is_wrong_in_a_question_is_said_with_its_place() {
    let folder = folder();
    for (place, arguments) in [
        ("  actor:u-1 actr:x\n            ^^^^^^", &["search", "actor:u-1 actr:x"][..]),
        ("  severity:loud\n  ^^^^^^^^^^^^^", &["count", "severity:loud"]),
        ("`actor:`: is empty", &["stats", "actor:"]),
        ("  \"open\n  ^^^^^", &["tail", "\"open"]),
        ("--cursor: this is no cursor", &["search", "--cursor", "x"]),
        ("--bucket: the series would have", &["stats", "since:2000-01-01", "--bucket", "1s"]),
        ("no length of time", &["stats", "--bucket", "1"]),
        ("--top: the top lists", &["stats", "--top", "1001"]),
        ("--at: \"then\" is no time", &["state", "user", "u-1", "--at", "then"]),
        ("which user?", &["history", "user"]),
        ("cannot be used with", &["search", "--all", "-n", "3"]),
        ("0 is not in 1..", &["search", "-n", "0"]),
    ] {
        let said = folder.said(2, arguments);
        assert!(said.contains(place), "{arguments:?}: {said}");
    }
    let output = folder.run(&["search", "actor:", "--json"]);
    assert_eq!(lines(&output.stderr)[0]["error"]["pointer"], "/actorIds/0");
    for command in ["search", "count", "stats", "reindex", "tail"] {
        folder.expect(6, &[command, "--log", "nowhere.db"]);
    }
    assert!(!folder.path("nowhere.db.index").exists());
    folder.write("file", "no folder");
    assert!(folder.said(11, &["count", "--index", "file/index"]).contains("another folder"));
    // Without a filter nothing is asked of the index.
    folder.expect(0, &["tail", "--index", "file/index"]);
}

#[test]
fn statistics_are_a_document_or_a_page() {
    let folder = folder();
    let stats = folder.json(0, &["stats", "until:2026-03-02T08:00:00Z", "--bucket", "30m", "--top", "1"]);
    let of = |info, warning| json!({"info": info, "warning": warning, "error": 0, "critical": 0});
    let expected = json!({
        "total": 60, "bySeverity": of(54, 6), "bucketMs": 1_800_000,
        "topActions": [{"value": "user.login", "count": 30}], "topActors": [{"value": "u-0", "count": 20}],
        "series": [
            {"start": START_MS, "bySeverity": of(27, 3)}, {"start": START_MS + 1_800_000, "bySeverity": of(27, 3)},
        ],
    });
    assert_eq!(stats, expected);
    let mut narrow = folder.command(&["stats", "--bucket", "1h"]);
    let page = narrow.env("COLUMNS", "60").output().expect("the program runs").stdout;
    let page = String::from_utf8(page).expect("text");
    for part in
        ["120 events  2026-03-02 07:00:00 to 2026-03-02 09:00:00 UTC", "By severity", "Actions", "u-2", "10.0 %"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains('\u{1b}') && page.lines().all(|line| line.chars().count() <= 60), "{page}");
    assert_eq!(folder.expect(0, &["stats", "actor:nobody"]), "0 events\n");
}

#[test]
fn a_resource_has_a_history_and_a_state_at_each_time() {
    let folder = Folder::new();
    let change = |at: &str, arguments: &[&str]| {
        let all = ["log", "invoice.changed", "--actor", "ada", "--resource", "invoice/i-4", "--timestamp", at];
        folder.expect(0, &[&all[..], arguments].concat());
    };
    change("2026-03-02T07:00:00Z", &["--after", "{\"paid\": false, \"apiKey\": \"x\"}"]);
    change(
        "2026-03-02T08:00:00.5Z",
        &["--before", "{\"paid\": false}", "--after", "{\"paid\": true, \"by\": \"card\"}"],
    );
    folder.expect(0, &["log", "invoice.viewed", "--resource", "invoice/i-4"]);
    change("2026-03-02T09:00:00Z", &["--before", "{\"paid\": true}"]);

    let history = folder.expect(0, &["history", "invoice", "i-4"]);
    let expected = "      3  2026-03-02 09:00:00.000  invoice.changed  ada
         gone since
      1  2026-03-02 08:00:00.500  invoice.changed  ada
         + by: card
         ~ paid: false → true
      0  2026-03-02 07:00:00.000  invoice.changed  ada
         the first that is known
";
    assert_eq!(history, expected);
    let versions = folder.expect(0, &["history", "invoice/i-4", "--oldest-first", "--json"]);
    assert_eq!(seqs(versions.as_bytes()), [0, 1, 3]);
    assert_eq!(lines(versions.as_bytes())[1]["diff"][0]["path"], "/by");
    let more = folder.said(0, &["history", "invoice/i-4", "-n", "2"]);
    assert!(more.contains("sealog history -n 2 --cursor=") && more.ends_with(" invoice i-4\n"), "{more}");
    assert!(folder.said(0, &["history", "invoice", "i-5"]).contains("No change of invoice/i-5"));

    let state = folder.json(0, &["state", "invoice", "i-4", "--at", "2026-03-02 08:00:00.500"]);
    assert_eq!(state["state"], json!({"paid": true, "by": "card"}));
    assert_eq!((&state["change"]["seq"], &state["change"]["actorId"]), (&json!(1), &json!("ada")));
    let then = folder.run(&["state", "invoice/i-4", "--at", "2026-03-02T08:00:00Z"]);
    assert_eq!(String::from_utf8_lossy(&then.stdout), "{\n  \"apiKey\": \"[REDACTED]\",\n  \"paid\": false\n}\n");
    assert!(String::from_utf8_lossy(&then.stderr).contains("left by seq 0"));
    for (reason, arguments) in [
        ("was gone by then: seq 3", &["state", "invoice", "i-4"][..]),
        ("was not there yet: seq 0", &["state", "invoice", "i-4", "--at", "2026-03-01"]),
        ("no change of invoice/i-5", &["state", "invoice", "i-5"]),
    ] {
        assert!(folder.said(1, arguments).contains(reason), "{arguments:?}");
        let output = folder.run(&[arguments, &["--json"]].concat());
        assert_eq!(lines(&output.stderr)[0]["error"]["code"], "not_found");
        assert!(output.stdout.is_empty());
    }
    // What a change found is known from it, too.
    folder.expect(0, &["log", "a", "--resource", "x/y", "--before", "[1]", "--after", "[2]"]);
    assert_eq!(folder.json(0, &["state", "x", "y", "--at", "1h"])["state"], json!([1]));
}

#[test]
fn the_index_can_go_and_be_anywhere() {
    let folder = folder();
    assert_eq!(folder.expect(0, &["count"]), "120\n");
    std::fs::remove_dir_all(folder.path("audit.db.index")).expect("it goes");
    assert_eq!(folder.expect(0, &["count"]), "120\n");
    std::fs::remove_dir_all(folder.path("audit.db.index")).expect("it goes");
    assert_eq!(folder.expect(0, &["count", "--index", "elsewhere"]), "120\n");
    assert!(folder.path("elsewhere").is_dir() && !folder.path("audit.db.index").exists());
    let status = folder.command(&["log", "a"]).env("SEALOG_INDEX", "elsewhere").status().expect("the program runs");
    assert!(status.success() && !folder.path("audit.db.index").exists());

    let made = folder.json(0, &["reindex", "--index", "elsewhere"]);
    assert_eq!((&made["events"], &made["index"]), (&json!(121), &json!("elsewhere")));
    assert!(folder.expect(0, &["reindex"]).contains("Indexed 121 events"));
    folder.expect(0, &["reindex", "--full-text", "false"]);
    assert!(folder.said(2, &["search", "reset"]).contains("sealog reindex"));
    assert_eq!(folder.expect(0, &["count", "actor:u-1"]), "40\n");
}

#[test]
fn a_tail_is_of_what_the_filter_selects() {
    let folder = folder();
    let newest = folder.expect(0, &["tail", "outcome:denied", "-n", "2", "--json"]);
    assert_eq!(seqs(newest.as_bytes()), [100, 110]);
    let from = folder.expect(0, &["tail", "outcome:denied", "--from", "85", "--json"]);
    assert_eq!(seqs(from.as_bytes()), [90, 100, 110]);
    assert_eq!(folder.expect(0, &["tail", "actor:nobody", "--json"]), "");

    let mut command = folder.command(&["tail", "--follow", "outcome:denied", "-n", "1", "--json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut shown = BufReader::new(child.stdout.take().expect("its output is piped")).lines();
    let mut next = || -> Value { serde_json::from_str(&shown.next().expect("a line").expect("text")).expect("JSON") };
    assert_eq!(next()["seq"], 110);
    folder.expect(0, &["log", "a"]);
    folder.expect(0, &["log", "b", "--outcome", "denied"]);
    assert_eq!((&next()["action"], folder.json(0, &["count"])), (&json!("b"), json!({"count": 122})));
    let pressed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(pressed.expect("kill runs").success());
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}
