//! How reports are written: logged, of one state, in bounded memory, and what becomes of them half way.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use sealog::{ErrorKind, Event, Filter, Outcome, ReportFormat, ReportOptions};
use serde_json::{Value, json};

use super::{Kept, report};
use crate::support::{Fixture, NOW_MS, check, fill};

#[tokio::test]
async fn a_report_is_an_event() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    fill(&log, 10).await;
    let options = ReportOptions::new(ReportFormat::Csv)
        .range(..NOW_MS + 1)
        .filter(Filter::new().actor("u-3"))
        .fields(["seq"])
        .requested_by("auditor");
    let (summary, text) = report(&log, &options).await;
    assert_eq!(text, "seq\r\n3\r\n");
    let receipt = summary.receipt.unwrap();
    let event = log.get(&receipt.id).await.unwrap();
    assert_eq!((event.seq(), &*event.action), (10, "sealog.report.generated"));
    assert_eq!((event.actor_id.as_deref(), event.outcome), (Some("auditor"), Some(Outcome::Success)));
    // printf 'seq\r\n3\r\n' | sha256sum
    assert_eq!(summary.sha256, "f041733b203a7b878018f0f0e926121579131f4515397ec71b09d2b714c76a77");
    let metadata = event.metadata.clone().unwrap();
    assert_eq!(
        Value::Object(metadata),
        json!({
            "format": "csv", "range": {"to": NOW_MS + 1}, "filter": {"actorIds": ["u-3"]}, "fields": ["seq"], "groupBy": [],
            "recordCount": 1, "bytes": 8, "checkpointSize": 10, "generatedAt": NOW_MS, "sha256": summary.sha256,
        })
    );
    assert_eq!(summary.checkpoint.size(), 10);

    let reader = fixture.builder().read_only(true).open().await.unwrap();
    let (summary, _) = report(&reader, &options).await;
    assert_eq!((summary.receipt, log.head().await.unwrap().size), (None, 11));
    // Nobody else can claim one.
    let error = log.log(Event::new("sealog.report.generated")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReservedAction);
    check(&log).await;
}

/// Takes so many bytes and then fails.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_report_that_fails_or_is_given_up_is_logged_as_that() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    fill(&log, 5_000).await;
    let options = ReportOptions::new(ReportFormat::Json);
    let error = log.generate_report(&options, Full(200_000), |_| {}).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage, "{error}");
    let event = log.read(5_000, 1).await.unwrap().events.remove(0);
    assert_eq!((&*event.action, event.outcome), ("sealog.report.generated", Some(Outcome::Failure)));
    assert!(event.metadata.as_ref().unwrap()["bytes"].as_u64().unwrap() > 100_000);

    let (told, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let task = tokio::spawn({
        let log = log.clone();
        async move {
            let progress = move |_| {
                let _ = told.send(());
                let _ = wait.recv();
            };
            log.generate_report(&options, io::sink(), progress).await
        }
    });
    seen.recv().await.unwrap();
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    drop(go_on);
    log.grown(5_001).await.unwrap();
    let event = log.read(5_001, 1).await.unwrap().events.remove(0);
    assert_eq!((&*event.action, event.outcome), ("sealog.report.generated", Some(Outcome::Failure)));
    assert!(event.metadata.as_ref().unwrap()["recordCount"].as_u64().unwrap() < 5_000);
    check(&log).await;
}

/// What is logged while the report is written is in none of it; what it shows is what its checkpoint seals.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_shows_one_state_of_the_log() {
    let fixture = Fixture::new();
    let log = fixture.builder().tail_events(50).open().await.unwrap();
    fill(&log, 500).await;
    let writing = tokio::spawn({
        let log = log.clone();
        async move {
            for i in 0..60 {
                // Earlier than all that is there, so that they would come first.
                let events = (0..9).map(|j| Event::new("late").timestamp(i * 9 + j).actor("u-1")).collect();
                log.log_bulk(events).await.unwrap();
            }
        }
    });
    for format in [ReportFormat::Ndjson, ReportFormat::Html].repeat(8) {
        let mut options = ReportOptions::new(format).fields(["seq"]);
        if format == ReportFormat::Ndjson {
            options = options.group_by(["action"]);
        }
        let (summary, text) = report(&log, &options).await;
        let size = summary.checkpoint.size();
        assert_eq!(summary.record_count, size);
        if format == ReportFormat::Html {
            let events = format!("<li><b>{size}</b> events</li>");
            assert!(size > 999 || text.contains(&events), "{size}");
            continue;
        }
        let mut seqs: Vec<u64> =
            text.lines().filter_map(|line| serde_json::from_str::<Value>(line).unwrap()["seq"].as_u64()).collect();
        seqs.sort_unstable();
        assert!(seqs.into_iter().eq(0..size));
    }
    writing.await.unwrap();
    check(&log).await;
}

#[tokio::test]
async fn memory_does_not_grow_with_the_rows() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    for _ in 0..2 {
        fill(&log, 10_000).await;
    }
    // Of Parquet, `parquet_is_written_in_row_groups` tells.
    for format in [ReportFormat::Json, ReportFormat::Ndjson, ReportFormat::Csv, ReportFormat::Html] {
        for group_by in [None, Some("actorId")] {
            let options = ReportOptions::new(format).group_by(group_by).filter(Filter::new().action("record.*"));
            let (kept, steps) = (Kept::default(), Arc::new(Mutex::new(Vec::new())));
            let seen = steps.clone();
            let progress =
                move |progress: sealog::ReportProgress| seen.lock().unwrap().push((progress.written, progress.total));
            let summary = log.generate_report(&options, kept.clone(), progress).await.unwrap();
            assert_eq!(summary.record_count, 20_000, "{format}");
            // A piece is as large as the buffer and one row at the most, and a page has its size.
            let (bytes, largest) = {
                let kept = kept.0.lock().unwrap();
                (kept.0.len(), kept.1)
            };
            assert!(
                bytes > 10 * largest && largest < 72 * 1024,
                "{format}: {bytes} bytes, the largest piece {largest}"
            );
            let steps = steps.lock().unwrap();
            assert_eq!(steps.last(), Some(&(20_000, 20_000)));
            assert!(steps.windows(2).all(|two| two[1].0 - two[0].0 <= 1024));
        }
    }
    check(&log).await;
}

#[tokio::test]
async fn too_many_groups_are_refused_before_anything_is_written() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    for batch in 0..11 {
        let events = (0..10_000).map(|i| Event::new("e").actor(format!("u-{batch}-{i}"))).collect();
        log.log_bulk(events).await.unwrap();
    }
    let kept = Kept::default();
    let options = ReportOptions::new(ReportFormat::Csv).group_by(["actorId"]);
    let error = log.generate_report(&options, kept.clone(), |_| {}).await.unwrap_err();
    assert_eq!((error.kind(), error.pointer()), (ErrorKind::LimitExceeded, Some("/groupBy")));
    assert!(kept.0.lock().unwrap().0.is_empty());
}
