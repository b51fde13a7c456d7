//! Whatever JSON an event holds, its canonical bytes come back from jsonb as they were sealed.

use proptest::prelude::*;
use sealog::{AuditLog, ErrorKind, Event};
use serde_json::{Value, json};

use crate::support::{Fixture, NOW_MS, cases, check, receipt};

/// Logs the same on both, which draw the same ids and times.
async fn same_bytes(file: &AuditLog, database: &AuditLog, values: &[Value]) {
    let events: Vec<_> = values.iter().map(|value| Event::new("hostile").metadata(json!({"v": value}))).collect();
    let in_file = file.log_bulk(events.clone()).await.unwrap();
    let in_database = database.log_bulk(events).await.unwrap();
    for (one, other) in in_file.into_iter().zip(in_database) {
        let (one, other) = (receipt(one), receipt(other));
        let sealed = file.get(&one.id).await.unwrap();
        assert_eq!(database.get(&other.id).await.unwrap().canonical_json(), sealed.canonical_json());
    }
}

/// A log in a file on the fixture's clock's twin.
async fn in_file(fixture: &Fixture) -> AuditLog {
    let clock = std::sync::Arc::new(sealog::ManualClock::new(NOW_MS, 7));
    let path = fixture.dir.path().join("twin.db");
    AuditLog::builder(path).clock(clock).origin("example.com/audit").open().await.unwrap()
}

#[tokio::test]
async fn hostile_documents_come_back_byte_for_byte() {
    let fixture = Fixture::new();
    let (database, file) = (fixture.open().await, in_file(&fixture).await);
    let numbers = [
        "0",
        "-0.0",
        "1.0",
        "1e0",
        "1e20",
        "1e21",
        "1e22",
        "123456789012345680000",
        "1e308",
        "1.7976931348623157e308",
        "5e-324",
        "2.2250738585072014e-308",
        "1e-7",
        "0.000001",
        "0.1",
        "0.30000000000000004",
        "9007199254740993",
        "18446744073709551615",
        "-9223372036854775808",
        "18446744073709551616",
        "-9223372036854775809",
        "1e400",
    ];
    let mut values: Vec<Value> = Vec::new();
    for number in numbers {
        match serde_json::from_str(number) {
            Ok(value) => values.push(value),
            // No event can hold it.
            Err(_) => assert_eq!(number, "1e400"),
        }
    }
    for text in [
        "",
        "\\u0000",
        "\u{1f}",
        "\u{7f}",
        "\u{80}",
        "\u{d7ff}",
        "\u{e000}",
        "\u{fffd}",
        "\u{ffff}",
        "\u{1f600}",
        "\u{10ffff}",
        "\u{2028}",
        "\"\\/\u{8}\u{c}\n\r\t",
        "é",
        "e\u{301}",
    ] {
        values.push(json!(text));
        values.push(json!({text: text, "b": [text], "\u{1f600}": 1, "\u{ffff}": 2}));
    }
    values.push(json!({"bb": 1, "a": 2, "": 3, "ccc": 4, "B": 5, "10": 6, "9": 7}));
    values.push(
        (0..40).fold(json!("deep"), |inner, level| if level % 2 == 0 { json!([inner]) } else { json!({"k": inner}) }),
    );
    values.push(json!("x".repeat(30_000)));
    // One statement, and copied.
    for chunk in values.chunks(50).chain([&values[..]]) {
        same_bytes(&file, &database, chunk).await;
    }
    check(&database).await;

    // Who asks in SQL sees all of it.
    let shown = fixture.database().sql("SELECT count(*) FROM sealog.events WHERE action = 'hostile'");
    assert_eq!(shown, (2 * values.len()).to_string());
    // What it shows there is what is sealed.
    fixture.database().sql("UPDATE sealog.event SET body = jsonb_set(body, '{metadata,v}', '\"other\"') WHERE seq = 7");
    let report = crate::support::report(&database).await;
    assert!(report.problems.iter().any(|problem| problem.seq == 7 && problem.code == "commitment"), "{report:#?}");

    // What jsonb cannot hold no event holds.
    for value in [json!("\0"), json!({"a\0": 1})] {
        let error = database.log(Event::new("hostile").metadata(json!({"v": value}))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidEvent);
    }
}

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter_map("a number of JSON", |number| serde_json::Number::from_f64(number).map(Value::Number)),
        "[^\0]{0,8}".prop_map(Value::from),
        "[\\\\u0-1\"]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("[a-cé\\\\\"]{0,3}", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

#[test]
fn any_document_comes_back_byte_for_byte() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let fixture = Fixture::new();
    let (database, file) = runtime.block_on(async { (fixture.open().await, in_file(&fixture).await) });
    let config = ProptestConfig { cases: cases(32), failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(values in prop::collection::vec(document(), 1..20))| {
        runtime.block_on(same_bytes(&file, &database, &values));
    });
    runtime.block_on(check(&database));
}
