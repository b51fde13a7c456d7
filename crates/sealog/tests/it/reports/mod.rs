//! Reports: each format holds exactly what a plain scan of the log selects.

mod findings;
#[cfg(feature = "parquet")]
mod parquet;
mod running;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use sealog::{
    AuditLog, Change, ErrorKind, Event, Filter, Outcome, Record, ReportFormat, ReportOptions, ReportSummary, Severity,
};
use serde_json::{Value, json};

use crate::support::{Fixture, NOW_MS, check, fill};

/// A writer that keeps what it gets, and remembers the largest piece.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<(Vec<u8>, usize)>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut kept = self.0.lock().unwrap();
        kept.0.extend_from_slice(bytes);
        kept.1 = kept.1.max(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn report(log: &AuditLog, options: &ReportOptions) -> (ReportSummary, String) {
    let (summary, bytes) = report_bytes(log, options).await;
    #[cfg(feature = "parquet")]
    if options.format == ReportFormat::Parquet {
        let file = parquet::read(&bytes);
        let rows = file.rows.into_iter().map(|row| format!("{}\n", Value::from(row)));
        return (summary, rows.chain([file.about.to_string()]).collect());
    }
    (summary, String::from_utf8(bytes).expect("text"))
}

async fn report_bytes(log: &AuditLog, options: &ReportOptions) -> (ReportSummary, Vec<u8>) {
    let kept = Kept::default();
    let summary = log.generate_report(options, kept.clone(), |_| {}).await.expect("the report is written");
    let bytes = std::mem::take(&mut kept.0.lock().unwrap().0);
    assert_eq!(summary.bytes, bytes.len() as u64);
    (summary, bytes)
}

/// The rows of a CSV by RFC 4180, and nothing more lenient: CRLF after each record, quotes only around whole
/// fields and doubled inside, as many fields in each record.
fn parse_csv(text: &str) -> Vec<Vec<String>> {
    let (mut records, mut record) = (Vec::new(), Vec::new());
    let mut rest = text;
    while !rest.is_empty() {
        let mut field = String::new();
        if let Some(mut quoted) = rest.strip_prefix('"') {
            loop {
                let end = quoted.find('"').expect("a closing quote");
                field.push_str(&quoted[..end]);
                quoted = &quoted[end + 1..];
                match quoted.strip_prefix('"') {
                    Some(more) => {
                        field.push('"');
                        quoted = more;
                    }
                    None => break,
                }
            }
            rest = quoted;
        } else {
            let end = rest.find([',', '\r', '\n', '"']).expect("a record ends");
            field.push_str(&rest[..end]);
            rest = &rest[end..];
        }
        record.push(field);
        if let Some(more) = rest.strip_prefix(',') {
            rest = more;
        } else {
            rest = rest.strip_prefix("\r\n").expect("a record ends with CRLF");
            records.push(std::mem::take(&mut record));
        }
    }
    assert!(record.is_empty());
    assert!(records.iter().all(|record| record.len() == records[0].len()), "records of one length");
    records
}

/// A cell as a program reads it back.
fn cell(value: &str) -> &str {
    value.strip_prefix('\'').unwrap_or(value)
}

/// What a cell of this value must read back as.
fn as_cell(value: Option<&Value>) -> String {
    match value {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// All that the filter selects, by a plain read of the whole log, in the order of a report.
async fn scanned(log: &AuditLog, keeps: impl Fn(&Record) -> bool) -> Vec<Record> {
    let (mut all, mut next) = (Vec::new(), 0);
    loop {
        let page = log.read(next, 1000).await.unwrap();
        if page.next_seq == next {
            break;
        }
        next = page.next_seq;
        all.extend(page.events.into_iter().filter(&keeps));
    }
    all.sort_by_key(|record| (record.timestamp(), record.seq()));
    all
}

const HOSTILE: [&str; 12] = [
    "=HYPERLINK(\"http://x\",\"y\")",
    "+49 30 1234",
    "-2+3",
    "@SUM(A1)",
    "\ttab",
    "\r\nnew",
    "'=quoted",
    "say \"hi\", twice",
    "</td></tr><script>alert(1)</script>",
    "\" onmouseover=\"alert(1)",
    "\u{202e}txt.exe\u{200b}",
    "ünïcödé 日本 🦀 ",
];

/// Hostile events, some of them earlier than those before them.
async fn hostile(log: &AuditLog) {
    for (i, text) in (0..).zip(HOSTILE) {
        let event = Event::new(format!("test.{}", if i % 2 == 0 { "even" } else { "odd" }))
            .timestamp(NOW_MS - 1_000 * (i * 7 % 5))
            .actor(text)
            .actor_name(text)
            .user_agent(text)
            .resource("kind,\"", text)
            .severity(Severity::ALL[i as usize % 4])
            .tag(text)
            .metadata(json!({"text": text, "method": if i % 3 == 0 { "GET" } else { "POST" }, "n": -1.5, "a.b": {"c": [text]}}));
        log.log(event).await.unwrap();
    }
    let change = Change::new("test.changed", "doc", "d-1").before(Value::Null).after(json!({"=x": "<b>", "n": 1}));
    log.log_change(change).await.unwrap();
    log.log(Event::new("test.bare").outcome(Outcome::Denied)).await.unwrap();
}

#[tokio::test]
async fn every_format_reads_back_as_the_events() {
    for tail_events in [3, 100_000] {
        let fixture = Fixture::new();
        let log = fixture.builder().tail_events(tail_events).open().await.unwrap();
        hostile(&log).await;
        let is_reported = |record: &Record| !record.action.starts_with("sealog.");
        let records = scanned(&log, is_reported).await;
        assert_eq!(records.len(), 14);
        let filter = Filter::new().action("test.*");
        let options = |format| ReportOptions::new(format).filter(filter.clone());
        let sealed: Vec<_> = records.iter().map(Record::canonical_json).collect();

        let (summary, text) = report(&log, &options(ReportFormat::Json)).await;
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((summary.record_count, summary.group_count, summary.generated_at), (14, None, NOW_MS));
        assert_eq!(document["recordCount"], 14);
        assert_eq!(document["generatedAt"], NOW_MS);
        assert_eq!(document["filter"], json!({"actions": ["test.*"]}));
        assert_eq!(document["range"], json!({}));
        assert_eq!(document["checkpoint"]["size"], 14);
        assert_eq!(document["checkpoint"]["note"], summary.checkpoint.note());
        summary.checkpoint.verify(document["vkey"].as_str().unwrap()).unwrap();
        // The very bytes that were sealed, one a line.
        let lines: Vec<_> = text.lines().map(|line| line.strip_suffix(',').unwrap_or(line)).collect();
        assert_eq!(lines[1..15], sealed);

        let (_, text) = report(&log, &options(ReportFormat::Ndjson)).await;
        let lines: Vec<_> = text.lines().collect();
        let head: Value = serde_json::from_str(lines[0]).unwrap();
        assert_eq!(head["report"]["filter"], document["filter"]);
        assert_eq!(lines[1..15], sealed);
        assert_eq!(lines[15..], [r#"{"end":{"recordCount":14}}"#]);

        let (_, text) = report(&log, &options(ReportFormat::Csv)).await;
        let table = parse_csv(&text);
        assert_eq!((table.len(), table[0].len()), (15, 25));
        for (row, record) in table[1..].iter().zip(&records) {
            let event: Value = serde_json::from_str(record.canonical_json()).unwrap();
            for (name, value) in table[0].iter().zip(row).filter(|(name, _)| *name != "time") {
                assert_eq!(cell(value), as_cell(event.get(name)), "{name}");
                assert!(!value.starts_with(['=', '+', '@', '\t', '\r']), "{value}");
                assert!(!value.starts_with('-') || value.parse::<f64>().is_ok(), "{value}");
            }
        }
        assert!(table[1][1].starts_with("2025-12-31T23:59:5") && table[1][1].ends_with('Z'), "{}", table[1][1]);

        let (_, text) =
            report(&log, &options(ReportFormat::Html).fields(["seq", "action", "actorId", "metadata"])).await;
        assert_eq!(text.matches("<tr><td>").count(), 14);
        for forbidden in ["<script", "onmouseover=\"", "\u{202e}", "http://x\"", "src=", "<b>\""] {
            assert!(!text.contains(forbidden), "{forbidden}");
        }
        assert!(text.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && text.contains("\\u{202e}"));
        assert!(text.contains("End of the table: 14 events.") && text.ends_with("</html>\n"));
        assert!(text.contains(summary.checkpoint.origin()));
        check(&log).await;
    }
}

#[tokio::test]
async fn groups_stand_together_in_every_format() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    hostile(&log).await;
    let options = |format| {
        ReportOptions::new(format)
            .filter(Filter::new().action("test.*"))
            .fields(["seq", "severity"])
            .group_by(["metadata.method", "action"])
    };
    // By hand: method and action, in the order of their JSON, with seqs in the order of time.
    let mut expected: BTreeMap<(String, String), Vec<u64>> = BTreeMap::new();
    for record in scanned(&log, |_| true).await {
        let method = record.metadata.as_ref().and_then(|metadata| metadata.get("method")).map(Value::to_string);
        expected.entry((method.unwrap_or_default(), record.action.clone())).or_default().push(record.seq());
    }
    let seqs =
        |rows: &Value| rows.as_array().unwrap().iter().map(|row| row["seq"].as_u64().unwrap()).collect::<Vec<_>>();

    let (summary, text) = report(&log, &options(ReportFormat::Json)).await;
    assert_eq!((summary.record_count, summary.group_count), (14, Some(expected.len() as u64)));
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["groupBy"], json!(["metadata.method", "action"]));
    let groups = document["groups"].as_array().unwrap();
    assert_eq!(groups.len(), expected.len());
    for (group, ((method, action), seqs_of_it)) in groups.iter().zip(&expected) {
        assert_eq!(group["group"]["action"], **action);
        assert_eq!(group["group"].get("metadata.method").map(Value::to_string).unwrap_or_default(), *method);
        assert_eq!((&group["count"], seqs(&group["rows"])), (&json!(seqs_of_it.len()), seqs_of_it.clone()));
        assert!(group["firstTimestamp"].as_i64() <= group["lastTimestamp"].as_i64());
    }

    let (_, text) = report(&log, &options(ReportFormat::Ndjson)).await;
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 1 + expected.len() + 14 + 1);
    let mut rest = lines[1..].iter();
    for seqs_of_it in expected.values() {
        assert_eq!(rest.next().unwrap()["count"], seqs_of_it.len());
        for seq in seqs_of_it {
            assert_eq!(rest.next().unwrap()["seq"], *seq);
        }
    }

    let (_, text) = report(&log, &options(ReportFormat::Csv)).await;
    let table = parse_csv(&text);
    assert_eq!(table[0], ["metadata.method", "action", "groupCount", "seq", "severity"]);
    let mut rows = table[1..].iter();
    for ((method, action), seqs_of_it) in &expected {
        for seq in seqs_of_it {
            let row = rows.next().unwrap();
            let count = seqs_of_it.len().to_string();
            assert_eq!(row[..4], [method.trim_matches('"'), action.as_str(), count.as_str(), seq.to_string().as_str()]);
        }
    }
    // Of a field that is grouped by there is one column.
    let (_, text) = report(&log, &options(ReportFormat::Csv).fields(["action", "metadata.method"])).await;
    assert!(text.starts_with("metadata.method,action,groupCount\r\n"), "{text}");
    assert_eq!(parse_csv(&text).len(), 15);

    let (_, text) = report(&log, &options(ReportFormat::Html)).await;
    assert_eq!(text.matches("<tr class=\"group\">").count(), expected.len());
    assert!(text.contains("<h2>Groups</h2>") && text.contains("metadata.method: GET · action: test.even · 2 events"));
    assert_eq!(text.matches("<tbody>").count(), text.matches("</tbody>").count());
}

#[tokio::test]
async fn fields_reach_into_the_documents() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    hostile(&log).await;
    let fields = ["seq", "metadata.method", "/metadata/a.b/c/0", "after.n", "before", "date"];
    let options = |format| {
        ReportOptions::new(format).filter(Filter::new().action("test.changed").action("test.odd")).fields(fields)
    };
    let (_, text) = report(&log, &options(ReportFormat::Ndjson)).await;
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let changed = rows.iter().find(|row| row["seq"] == 12).unwrap();
    // What is not there is left out, and null is a value.
    assert_eq!(*changed, json!({"seq": 12, "after.n": 1, "before": null, "date": "2026-01-01"}));
    let odd = rows.iter().find(|row| row["seq"] == 3).unwrap();
    assert_eq!(
        *odd,
        json!({"seq": 3, "metadata.method": "GET", "/metadata/a.b/c/0": "@SUM(A1)", "date": "2025-12-31"})
    );
    let (_, text) = report(&log, &options(ReportFormat::Csv)).await;
    let table = parse_csv(&text);
    assert_eq!(table[0], fields);
    assert!(table.contains(&["12", "", "", "1", "null", "2026-01-01"].map(str::to_owned).to_vec()), "{text}");

    for (place, options) in [
        ("/fields/1", ReportOptions::new(ReportFormat::Csv).fields(["seq", "colour"])),
        ("/fields/1", ReportOptions::new(ReportFormat::Csv).fields(["seq", "seq"])),
        ("/fields", ReportOptions::new(ReportFormat::Csv).fields((0..101).map(|i| format!("metadata.{i}")))),
        ("/groupBy/0", ReportOptions::new(ReportFormat::Html).group_by(["metadata..x"])),
        ("/groupBy", ReportOptions::new(ReportFormat::Html).group_by((0..9).map(|i| format!("metadata.{i}")))),
        ("/filter/actions/0", ReportOptions::new(ReportFormat::Json).filter(Filter::new().action("*"))),
        ("/requestedBy", ReportOptions::new(ReportFormat::Json).requested_by("")),
        (
            "/filter",
            ReportOptions::new(ReportFormat::Json)
                .filter((0..100).fold(Filter::new(), |filter, i| filter.actor(format!("{i}{}", "x".repeat(4_000))))),
        ),
    ] {
        let size = log.head().await.unwrap().size;
        let error = log.generate_report(&options, Kept::default(), |_| {}).await.unwrap_err();
        assert_eq!(error.pointer(), Some(place), "{error}");
        assert_eq!(log.head().await.unwrap().size, size, "nothing was handed out");
    }
}

#[tokio::test]
async fn an_empty_report_is_whole() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    for grouped in [false, true] {
        let options = |format| {
            let options = ReportOptions::new(format).range(5..5).filter(Filter::new().actor("nobody")).fields(["seq"]);
            if grouped { options.group_by(["action"]) } else { options }
        };
        let (summary, text) = report(&log, &options(ReportFormat::Json)).await;
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((summary.record_count, &document["recordCount"]), (0, &json!(0)));
        assert_eq!(document[if grouped { "groups" } else { "rows" }], json!([]));
        assert_eq!(document["range"], json!({"from": 5, "to": 5}));
        let (_, text) = report(&log, &options(ReportFormat::Ndjson)).await;
        assert_eq!(text.lines().count(), 2);
        let (_, text) = report(&log, &options(ReportFormat::Csv)).await;
        assert_eq!(text, if grouped { "action,groupCount,seq\r\n" } else { "seq\r\n" });
        let (_, text) = report(&log, &options(ReportFormat::Html)).await;
        assert!(text.contains("End of the table: 0 events."));
    }
}

/// Invariant 5: a filter selects the same events in a report as in a plain scan.
#[tokio::test]
async fn invariant_5_a_report_holds_what_the_filter_selects() {
    for tail_events in [5, 100_000] {
        let fixture = Fixture::new();
        let log = fixture.builder().tail_events(tail_events).open().await.unwrap();
        hostile(&log).await;
        fill(&log, 40).await;
        for text in [
            "",
            "actor:u-3",
            "severity>=warning",
            "GET",
            "-GET action:test.*",
            "changed:n",
            "outcome:denied",
            "tag:-2+3",
        ] {
            let filter = Filter::parse(text, NOW_MS).unwrap();
            let mut expected = Vec::new();
            let own = log.scoped(&filter).ok();
            for record in scanned(own.as_ref().unwrap_or(&log), |_| true).await {
                expected.push(record.canonical_json().to_owned());
            }
            let (summary, text) = report(&log, &ReportOptions::new(ReportFormat::Ndjson).filter(filter)).await;
            let lines: Vec<_> = text.lines().collect();
            assert_eq!(lines[1..lines.len() - 1], expected);
            assert_eq!(summary.record_count, expected.len() as u64);
        }
        let range = ReportOptions::new(ReportFormat::Ndjson).range(NOW_MS - 2_000..=NOW_MS - 1_000);
        let narrower = range.clone().filter(Filter::new().from_timestamp(NOW_MS - 1_500));
        let expected = scanned(&log, |record| record.timestamp() == NOW_MS - 1_000).await.len() as u64;
        let (summary, _) = report(&log, &narrower).await;
        assert_eq!(summary.record_count, expected);
        assert_eq!((summary.range.start(), summary.range.end()), (Some(NOW_MS - 1_500), Some(NOW_MS - 999)));
        assert!(report(&log, &range).await.0.record_count > expected);
    }
}

/// Invariant 12: a report of a scoped handle is of its scope, and so are its charts, counts and groups.
#[tokio::test]
async fn invariant_12_a_scoped_report_is_of_its_scope() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    for tenant in ["acme", "globex"] {
        for i in 0..5 {
            let event = Event::new(format!("{tenant}.viewed")).tenant(tenant).actor(format!("{tenant}-{i}"));
            log.log(event.metadata(json!({"of": tenant}))).await.unwrap();
        }
    }
    let scoped = log.scoped(&Filter::new().tenant("acme")).unwrap();
    for format in ReportFormat::ALL.iter().copied() {
        for group_by in [None, Some("metadata.of")] {
            let options = ReportOptions::new(format).group_by(group_by);
            let (summary, text) = report(&scoped, &options).await;
            assert_eq!((summary.record_count, summary.group_count), (5, group_by.map(|_| 1)), "{format}");
            assert!(text.contains("acme-4") && !text.contains("globex"), "{format}");
            let event = log.get(&summary.receipt.unwrap().id).await.unwrap();
            assert_eq!(event.metadata.as_ref().unwrap()["scoped"], true);
            assert_eq!(scoped.get(event.id()).await.unwrap_err().kind(), ErrorKind::NotFound);
        }
        let other = ReportOptions::new(format).filter(Filter::new().tenant("globex"));
        let (summary, text) = report(&scoped, &other).await;
        assert_eq!(summary.record_count, 0);
        assert!(!text.contains("globex-"), "{format}");
    }
    check(&log).await;
}
