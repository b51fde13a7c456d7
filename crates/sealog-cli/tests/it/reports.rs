//! `sealog report`, for people and for programs.

use std::process::Stdio;

use sealog::AuditLog;
use serde_json::{Value, json};

use crate::outside::{read as read_outside, reports_read_back};
use crate::support::{Folder, lines};

/// 2026-03-02, 07:00 UTC.
const START_MS: i64 = 1_772_434_800_000;

/// A log with an event an hour, each second one denied.
fn folder() -> Folder {
    let folder = Folder::new();
    let event = |i: i64| {
        let event = json!({"action": "doc.viewed", "actorId": format!("u-{}", i % 3), "timestamp": START_MS + i * 3_600_000,
            "outcome": if i % 2 == 0 { "success" } else { "denied" }, "metadata": {"method": "=1+1"}});
        format!("{event}\n")
    };
    folder.write("events.ndjson", (0..48).map(event).collect::<String>());
    folder.expect(0, &["import", "events.ndjson"]);
    folder
}

fn read(folder: &Folder, name: &str) -> String {
    std::fs::read_to_string(folder.path(name)).expect("a file")
}

#[test]
fn a_report_goes_into_a_file_or_out() {
    let folder = folder();
    let arguments = ["outcome:denied", "--since", "2026-03-02T10:00:00Z", "--until", "2026-03-02 14:00:00"];
    let fields = ["--fields", "time,actorId,metadata.method"];
    let table = folder.expect(0, &[&["report"][..], &arguments, &fields].concat());
    assert_eq!(
        table,
        "time,actorId,metadata.method\r\n2026-03-02T10:00:00.000Z,u-0,'=1+1\r\n2026-03-02T12:00:00.000Z,u-2,'=1+1\r\n"
    );

    let told = folder.expect(0, &[&["report", "-o", "denied.csv", "--actor", "ada"][..], &arguments, &fields].concat());
    assert_eq!(read(&folder, "denied.csv"), table);
    assert!(told.contains("Wrote 2 events to denied.csv") && told.contains("denied.csv.report.json"), "{told}");
    let beside: Value = serde_json::from_str(&read(&folder, "denied.csv.report.json")).expect("JSON");
    assert_eq!((&beside["recordCount"], &beside["filter"]), (&json!(2), &json!({"outcomes": ["denied"]})));
    assert_eq!(beside["range"], json!({"from": START_MS + 3 * 3_600_000, "to": START_MS + 7 * 3_600_000}));
    // The log vouches for the file.
    let event = folder.json(0, &["get", &beside["receipt"]["seq"].to_string()]);
    assert_eq!((&event["action"], &event["actorId"]), (&json!("sealog.report.generated"), &json!("ada")));
    assert_eq!(event["metadata"]["sha256"], beside["sha256"]);
    folder.write("sealed", beside["checkpoint"]["note"].as_str().expect("a note"));
    folder.expect(0, &["verify", "--checkpoint", "sealed"]);

    // By the name's ending, or as it is said.
    let summary = folder.json(0, &["report", "-o", "all.NDJSON", "--group-by", "actorId,outcome"]);
    assert_eq!((&summary["format"], &summary["groupCount"]), (&json!("ndjson"), &json!(8)));
    assert_eq!(
        lines(read(&folder, "all.NDJSON").as_bytes()).pop().expect("a line"),
        json!({"end": {"recordCount": 50}})
    );
    let summary = folder.json(0, &["report", "-o", "all", "--format", "html", "--read-only"]);
    assert_eq!((&summary["format"], summary.get("receipt")), (&json!("html"), None));
    assert!(read(&folder, "all").starts_with("<!DOCTYPE html>"));
    assert_eq!(folder.json(0, &["report", "-o", "whole.json", "resource:a:b"])["recordCount"], 0);
    let document: Value = serde_json::from_str(&read(&folder, "whole.json")).expect("JSON");
    assert_eq!(document["rows"], json!([]));
}

#[test]
fn what_is_wrong_leaves_every_file_as_it_was() {
    let folder = folder();
    folder.write("kept.csv", "mine");
    folder.write("other.csv.report.json", "mine");
    for (place, arguments) in [
        ("--fields: \"colour\" is no field", &["--fields", "seq,colour", "-o", "kept.csv", "--force"][..]),
        ("--group-by: \"x\" is no field", &["--group-by", "x", "-o", "new.html"]),
        ("--since: \"then\" is no time", &["--since", "then"]),
        ("--actor: ", &["--actor", "", "-o", "new.html"]),
        ("kept.csv is there already; --force replaces it", &["-o", "kept.csv"]),
        ("other.csv.report.json is there already", &["-o", "other.csv"]),
        ("--output", &["--json"]),
        ("possible values: json, ndjson, csv, html, parquet", &["--format", "pdf"]),
        ("  actr:x\n  ^^^^^^", &["actr:x"]),
    ] {
        let said = folder.said(2, &[&["report"], arguments].concat());
        assert!(said.contains(place), "{arguments:?}: {said}");
    }
    folder.expect(6, &["report", "--log", "nowhere.db"]);
    folder.expect(9, &["report", "-o", "no/such/folder.csv"]);
    assert_eq!((read(&folder, "kept.csv"), read(&folder, "other.csv.report.json")), ("mine".into(), "mine".into()));
    assert!(!folder.path("other.csv").exists() && !folder.path("new.html").exists());
    assert_eq!(folder.expect(0, &["count"]), "48\n");

    folder.expect(0, &["report", "-o", "kept.csv", "--force"]);
    assert!(read(&folder, "kept.csv").starts_with("seq,time,"));
    // A key is needed, since the report is an event.
    std::fs::rename(folder.path("audit.db.key"), folder.path("elsewhere")).expect("it moves");
    folder.expect(5, &["report", "-o", "new.html"]);
    folder.expect(0, &["report", "-o", "new.html", "--read-only"]);
    let left: Vec<_> = std::fs::read_dir(folder.dir.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with(".sealog-")), "{left:?}");
}

#[test]
fn a_reader_that_goes_is_no_failure_and_is_logged() {
    let folder = folder();
    let event = |i: i64| format!("{}\n", json!({"action": "big", "metadata": {"text": "x".repeat(900), "i": i}}));
    folder.write("more.ndjson", (0..2_000).map(event).collect::<String>());
    folder.expect(0, &["import", "more.ndjson"]);
    let mut child =
        folder.command(&["report"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), &*output.stderr), (Some(0), &b""[..]));
    let logged = lines(folder.expect(0, &["tail", "-n", "1", "--json"]).as_bytes()).pop().expect("an event");
    assert_eq!((&logged["action"], &logged["outcome"]), (&json!("sealog.report.generated"), &json!("failure")));
}

#[tokio::test]
async fn reports_of_a_generated_log_read_back_as_its_events() {
    let folder = Folder::new();
    folder.expect(0, &["demo", "--once", "--dir", ".", "--events", "3000"]);
    let log = AuditLog::builder(folder.path("audit.db")).read_only(true).open().await.expect("the log opens");
    reports_read_back(&folder, &log).await;
}

/// What the document asks of a Parquet file is answered.
#[test]
fn questions_of_the_document_are_answered() {
    let folder = Folder::new();
    folder.expect(0, &["demo", "--once", "--dir", ".", "--events", "2000"]);
    folder.expect(0, &["report", "-o", "march.parquet", "--read-only"]);
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/REPORTS.md")).expect("it");
    let (_, sql) = document.split_once("```sql\n").expect("SQL");
    folder.write("questions.sql", sql.split_once("```").expect("its end").0);
    let mut rows = Vec::new();
    read_outside("ask", &folder.path("questions.sql"), |row| rows.push(row));
    let by_agents = folder.json(0, &["count", "tag:agent"])["count"].as_u64().expect("a count");
    let of_actors: u64 = rows.iter().filter_map(|row| row.get(1)?.as_u64()).sum();
    assert!(by_agents > 0 && by_agents == of_actors, "{rows:?}");
    assert!(rows.iter().any(|row| row[0] == "password" && row[2].as_str() > row[1].as_str()), "{rows:?}");
    assert!(rows.pop().expect("the note")[0].as_str().expect("text").starts_with("demo.sealog.local\n"));
}

#[test]
fn findings_are_told_when_they_are_asked_for() {
    let folder = Folder::new();
    let event = |i: i64| {
        let event = json!({"action": "user.login.failed", "actorId": "u-1", "timestamp": START_MS + i * 1_000});
        format!("{event}\n")
    };
    folder.write("events.ndjson", (0..7).map(event).collect::<String>());
    folder.expect(0, &["import", "events.ndjson"]);
    assert_eq!(folder.json(0, &["report", "-o", "none.json"]).get("findings"), None);
    let summary = folder.json(0, &["report", "-o", "some.json", "--findings"]);
    assert_eq!((&summary["findings"]["total"], &summary["findings"]["findings"][0]["count"]), (&json!(1), &json!(7)));
    let document: Value = serde_json::from_str(&read(&folder, "some.json")).expect("JSON");
    assert_eq!(document["findings"], summary["findings"]);
    // Beside a table of text.
    let rule = r#"[{"name": "often", "action": "user.login.failed", "threshold": 2, "windowMs": 1001}]"#;
    folder.write("rules.json", rule);
    let told = folder.expect(0, &["report", "-o", "some.csv", "--rules", "rules.json"]);
    assert!(told.contains("findings   1 by 1 rule"), "{told}");
    let beside: Value = serde_json::from_str(&read(&folder, "some.csv.report.json")).expect("JSON");
    assert_eq!(
        (&beside["findings"]["findings"][0]["rule"], &beside["rules"][0]["threshold"]),
        (&json!("often"), &json!(2))
    );
    folder.write("wrong.json", "[{}]");
    let said = folder.said(2, &["report", "-o", "new.html", "--rules", "wrong.json"]);
    assert!(said.contains("wrong.json: /0/threshold"), "{said}");
    assert!(!folder.path("new.html").exists());
}
