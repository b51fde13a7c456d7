//! Reports in Parquet, read back with the library that others read such files with.

use std::fmt::Write as _;
use std::io::Write as _;

use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use parquet::schema::printer::print_schema;
use sealog::{AuditLog, Event, Filter, Record, ReportFormat, ReportOptions, ReportSummary};
use serde_json::{Map, Value, json};

use super::{hostile, report_bytes, scanned};
use crate::support::{Fixture, NOW_MS, check};

/// What a file of Parquet tells.
pub(super) struct File {
    pub(super) rows: Vec<Map<String, Value>>,
    pub(super) about: Value,
    pub(super) metadata: ParquetMetaData,
}

pub(super) fn read(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    let metadata = reader.metadata().clone();
    let pairs = metadata.file_metadata().key_value_metadata().unwrap();
    assert_eq!(pairs.len(), 1);
    assert_eq!(pairs[0].key, "sealog.report");
    let about = serde_json::from_str(pairs[0].value.as_ref().unwrap()).unwrap();
    let rows = reader.get_row_iter(None).unwrap().map(|row| object(&row.unwrap())).collect();
    File { rows, about, metadata }
}

/// A row as an object, without what is not there.
fn object(row: &Row) -> Map<String, Value> {
    let value = |field: &Field| match field {
        Field::Null => None,
        Field::Long(number) | Field::TimestampMillis(number) => Some(json!(number)),
        Field::Date(days) => Some(json!(days)),
        Field::Str(text) => Some(json!(text)),
        Field::ListInternal(list) => {
            let text = |item: &Field| match item {
                Field::Str(text) => json!(text),
                other => panic!("{other:?}"),
            };
            Some(list.elements().iter().map(text).collect())
        }
        other => panic!("{other:?}"),
    };
    row.get_column_iter().filter_map(|(name, field)| Some((name.clone(), value(field)?))).collect()
}

async fn report(log: &AuditLog, options: &ReportOptions) -> (ReportSummary, File) {
    let (summary, bytes) = report_bytes(log, options).await;
    (summary, read(&bytes))
}

fn options() -> ReportOptions {
    ReportOptions::new(ReportFormat::Parquet).filter(Filter::new().action("test.*"))
}

/// The event that a row is, with its documents as what they say.
fn event(mut row: Map<String, Value>) -> Value {
    for name in ["metadata", "before", "after", "diff"] {
        if let Some(document) = row.get_mut(name) {
            *document = serde_json::from_str(document.as_str().unwrap()).unwrap();
        }
    }
    row.into()
}

fn sealed(record: &Record) -> Value {
    serde_json::from_str(record.canonical_json()).unwrap()
}

#[tokio::test]
async fn parquet_reads_back_as_the_events() {
    for tail_events in [3, 100_000] {
        let fixture = Fixture::new();
        let log = fixture.builder().tail_events(tail_events).open().await.unwrap();
        hostile(&log).await;
        let records = scanned(&log, |_| true).await;
        let (summary, file) = report(&log, &options().range(..=NOW_MS)).await;
        assert_eq!(
            file.rows.into_iter().map(event).collect::<Vec<_>>(),
            records.iter().map(sealed).collect::<Vec<_>>()
        );

        assert_eq!(file.about["recordCount"], 14);
        assert_eq!(file.about["generatedAt"], NOW_MS);
        assert_eq!(file.about["filter"], json!({"actions": ["test.*"]}));
        assert_eq!(file.about["range"], json!({"to": NOW_MS + 1}));
        assert_eq!(file.about["checkpoint"]["note"], summary.checkpoint.note());
        assert_eq!(file.about["checkpoint"]["size"], 14);
        summary.checkpoint.verify(file.about["vkey"].as_str().unwrap()).unwrap();
        check(&log).await;
    }
}

#[tokio::test]
async fn columns_of_parquet_have_the_types_of_the_fields() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    hostile(&log).await;
    // Tags that are none, one, several.
    log.log(Event::new("test.tagged").tag("a").tag("b")).await.unwrap();
    let fields =
        ["seq", "timestamp", "time", "date", "tags", "metadata", "metadata.method", "metadata.n", "before", "severity"];
    let (_, file) = report(&log, &options().fields(fields)).await;
    let mut schema = Vec::new();
    print_schema(&mut schema, file.metadata.file_metadata().schema());
    assert_eq!(
        String::from_utf8(schema).unwrap(),
        "message report {
  OPTIONAL INT64 seq;
  OPTIONAL INT64 timestamp (TIMESTAMP(MILLIS,true));
  OPTIONAL INT64 time (TIMESTAMP(MILLIS,true));
  OPTIONAL INT32 date (DATE);
  OPTIONAL group tags (LIST) {
    REPEATED group list {
      REQUIRED BYTE_ARRAY element (STRING);
    }
  }
  OPTIONAL BYTE_ARRAY metadata (JSON);
  OPTIONAL BYTE_ARRAY metadata.method (STRING);
  OPTIONAL BYTE_ARRAY metadata.n (STRING);
  OPTIONAL BYTE_ARRAY before (JSON);
  OPTIONAL BYTE_ARRAY severity (STRING);
}
"
    );
    let row = |seq: u64| file.rows.iter().find(|row| row["seq"] == seq).unwrap();
    // 2025-12-31 and 2026-01-01 are days 20,453 and 20,454.
    let odd = row(3);
    assert_eq!(
        (&odd["timestamp"], &odd["time"], &odd["date"]),
        (&json!(NOW_MS - 1_000), &json!(NOW_MS - 1_000), &json!(20_453))
    );
    assert_eq!(
        (&odd["metadata.method"], &odd["metadata.n"], &odd["tags"]),
        (&json!("GET"), &json!("-1.5"), &json!(["@SUM(A1)"]))
    );
    // What is not there is null, and a state that is null is one.
    assert_eq!(
        (row(12)["before"].as_str(), row(12).get("metadata.method"), row(12).get("tags")),
        (Some("null"), None, None)
    );
    assert_eq!((row(13)["date"].as_i64(), row(13).get("before")), (Some(20_454), None));
    assert_eq!(row(14)["tags"], json!(["a", "b"]));

    let (_, empty) = report(&log, &options().range(5..5)).await;
    assert_eq!((empty.rows.len(), empty.metadata.num_row_groups(), &empty.about["recordCount"]), (0, 0, &json!(0)));
    assert_eq!(empty.metadata.file_metadata().schema().get_fields().len(), 24);
}

#[tokio::test]
async fn groups_of_parquet_stand_together() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    hostile(&log).await;
    let grouped =
        options().fields(["seq", "action", "timestamp"]).group_by(["metadata.method", "action", "time", "tags"]);
    let (summary, file) = report(&log, &grouped).await;
    assert_eq!(
        (summary.record_count, &file.about["groupBy"]),
        (14, &json!(["metadata.method", "action", "time", "tags"]))
    );
    let names: Vec<_> = file.metadata.file_metadata().schema().get_fields().iter().map(|field| field.name()).collect();
    assert_eq!(names, ["metadata.method", "action", "time", "tags", "groupCount", "seq", "timestamp"]);
    let mut records = scanned(&log, |record| record.action.starts_with("test.")).await;
    let key = |record: &Record| {
        let event = sealed(record);
        let method = event["metadata"]["method"].as_str().map(str::to_owned);
        let tags = event.get("tags").map(Value::to_string);
        (method, record.action.clone(), record.timestamp(), tags)
    };
    records.sort_by_cached_key(|record| (key(record), record.seq()));
    assert_eq!(file.rows.len(), records.len());
    for (row, record) in file.rows.iter().zip(&records) {
        let (method, action, time, tags) = key(record);
        let count = records.iter().filter(|other| key(other) == key(record)).count();
        assert_eq!(row.get("metadata.method").and_then(Value::as_str), method.as_deref());
        assert_eq!((row["action"].as_str(), &row["time"]), (Some(&*action), &json!(time)));
        assert_eq!(row.get("tags").map(Value::to_string), tags);
        assert_eq!(
            (&row["groupCount"], &row["seq"], &row["timestamp"]),
            (&json!(count), &json!(record.seq()), &json!(time))
        );
    }
}

/// However many rows there are, no more than a row group of them is held.
#[tokio::test]
async fn parquet_is_written_in_row_groups() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    // Texts that do not compress, so that what is written is as large as what was held.
    let mut state = 1_u64;
    let mut noise = |bytes: usize| {
        let mut text = String::with_capacity(bytes + 16);
        while text.len() < bytes {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            write!(text, "{:x}", state >> 16).unwrap();
        }
        text
    };
    for _ in 0..3 {
        let events = (0..150).map(|_| Event::new("test.large").metadata(json!({"text": noise(100_000)})));
        log.log_bulk(events.collect()).await.unwrap();
    }
    let (summary, file) = report(&log, &options()).await;
    assert_eq!((summary.record_count, file.rows.len()), (450, 450));
    let groups = file.metadata.row_groups();
    assert_eq!(groups.len(), 3);
    for group in groups {
        let size: i64 = group.columns().iter().map(ColumnChunkMetaData::uncompressed_size).sum();
        assert!(size < 17 * 1024 * 1024, "{size}");
    }
    let records = scanned(&log, |record| record.action == "test.large").await;
    assert!(file.rows.into_iter().map(event).eq(records.iter().map(sealed)));
}
