//! Reports, read back: what is text here, tables by programs that nobody here wrote.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use sealog::AuditLog;
use serde_json::{Value, json};

use crate::support::Folder;

/// Gives `each` the lines that `outside/read.py` prints of a report.
pub(crate) fn read(kind: &str, file: &Path, mut each: impl FnMut(Value)) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python = root.join("target/tools/bin/python");
    assert!(python.exists(), "DuckDB is not there: `scripts/need duckdb` gets it");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/outside/read.py");
    let mut child = Command::new(python)
        .arg(script)
        .arg(kind)
        .arg(file)
        .current_dir(file.parent().expect("a folder"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python runs");
    for line in BufReader::new(child.stdout.take().expect("its output is piped")).lines() {
        each(serde_json::from_str(&line.expect("text")).expect("JSON"));
    }
    let status = child.wait().expect("it ends");
    assert!(status.success(), "{}: {status}; `scripts/need duckdb` gets what it needs", file.display());
}

/// Whether the reports of the log hold its events, all of them, and nothing else. They are made with a handle
/// that only reads, so that they are no events themselves.
pub(crate) async fn reports_read_back(folder: &Folder, log: &AuditLog) {
    // In the order of a report.
    let mut sealed = Vec::new();
    let mut next = 0;
    loop {
        let page = log.read(next, 10_000).await.expect("the log can be read");
        if page.events.is_empty() {
            break;
        }
        next = page.next_seq;
        let places = page.events.iter().map(|record| (record.timestamp(), record.seq()));
        sealed.extend(places.zip(page.events.iter().map(|record| record.canonical_json().to_owned())));
    }
    sealed.sort_unstable();
    let sealed: Vec<_> = sealed.into_iter().map(|(_, event)| event).collect();
    let made = |name: &str, more: &[&str]| {
        let summary = folder.json(0, &[&["report", "--read-only", "--force", "-o", name], more].concat());
        assert_eq!(summary["recordCount"], sealed.len(), "{name}");
        (summary, folder.path(name))
    };
    let text = |path: &Path| std::fs::read_to_string(path).expect("the report");

    let text_of_all = text(&made("all.ndjson", &[]).1);
    let rows: Vec<_> = text_of_all.lines().collect();
    assert_eq!(rows.len(), sealed.len() + 2);
    assert!(rows[1..=sealed.len()].iter().eq(&sealed));

    let text_of_all = text(&made("all.json", &[]).1);
    let document: Value = serde_json::from_str(&text_of_all).expect("JSON");
    assert_eq!(document["rows"].as_array().map(Vec::len), Some(sealed.len()));
    let rows = text_of_all.lines().skip(1).map(|line| line.strip_suffix(',').unwrap_or(line));
    assert!(rows.take(sealed.len()).eq(sealed.iter().map(String::as_str)));
    drop((document, text_of_all));

    let mut by_action: HashMap<Value, Vec<Value>> = HashMap::new();
    for event in &sealed {
        let event: Value = serde_json::from_str(event).expect("JSON");
        by_action.entry(event["action"].clone()).or_default().push(event["seq"].clone());
    }
    let grouped = text(&made("grouped.json", &["--group-by", "action", "--fields", "seq"]).1);
    let document: Value = serde_json::from_str(&grouped).expect("JSON");
    let groups = document["groups"].as_array().expect("groups");
    assert_eq!(groups.len(), by_action.len());
    for group in groups {
        let rows = group["rows"].as_array().expect("rows").iter().map(|row| &row["seq"]);
        assert!(rows.eq(&by_action[&group["group"]["action"]]), "{}", group["group"]);
    }

    let (mut names, mut events) = (Vec::new(), sealed.iter());
    read("csv", &made("all.csv", &[]).1, |row| {
        let cells: Vec<String> = serde_json::from_value(row).expect("cells");
        if names.is_empty() {
            names = cells;
            return assert_eq!(names.len(), 25);
        }
        let event: Value = serde_json::from_str(events.next().expect("an event for each row")).expect("JSON");
        for (name, cell) in names.iter().zip(cells).filter(|(name, _)| *name != "time") {
            let cell = cell.strip_prefix('\'').unwrap_or(&cell);
            match event.get(name) {
                None => assert_eq!(cell, "", "{name}"),
                Some(Value::String(text)) => assert_eq!(cell, text, "{name}"),
                Some(other) => {
                    let document: Value = serde_json::from_str(cell).expect("JSON");
                    assert_eq!(document, *other, "{name}");
                }
            }
        }
    });
    assert_eq!(events.next(), None, "a row for each event");

    let (summary, file) = made("all.parquet", &[]);
    let (mut head, mut events) = (None, sealed.iter());
    read("parquet", &file, |row| {
        if head.is_none() {
            return head = Some(row);
        }
        let event: Value = serde_json::from_str(events.next().expect("an event for each row")).expect("JSON");
        assert_eq!(row, event);
    });
    assert_eq!(events.next(), None, "a row for each event");
    let head = head.expect("a line before the rows");
    assert_eq!(
        (&head["about"]["recordCount"], &head["about"]["checkpoint"]),
        (&json!(sealed.len()), &summary["checkpoint"])
    );
    for (column, kind) in [
        ("seq", "BIGINT"),
        ("timestamp", "TIMESTAMP WITH TIME ZONE"),
        ("recordedAt", "TIMESTAMP WITH TIME ZONE"),
        ("action", "VARCHAR"),
        ("tags", "VARCHAR[]"),
        ("metadata", "JSON"),
        ("before", "JSON"),
        ("diff", "JSON"),
    ] {
        assert_eq!(head["types"][column], kind, "{column}");
    }

    let page = text(&made("all.html", &["--fields", "seq"]).1);
    assert_eq!(page.matches("<tr><td>").count(), sealed.len());
}
