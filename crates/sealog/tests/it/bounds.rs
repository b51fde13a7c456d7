//! What a log in a file holds on to: a queue, frames and open files, and no more of them than it should.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use sealog::Event;
use serde_json::json;

use crate::support::{Fixture, check, fill, receipt};

/// The queue is bounded: while nothing can be written callers wait, and then nothing is missing.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_wait_for_room_in_the_queue() {
    /// Of the queue's 64 MiB each takes one.
    const CALLS: u64 = 90;
    let fixture = Fixture::new();
    let log = fixture.open().await;
    fill(&log, 1).await;
    // Somebody holds the write lock.
    let raw = fixture.raw();
    raw.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (waiting, answered) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let text = "x".repeat(60_000);
    let calls: Vec<_> = (0..CALLS)
        .map(|call| {
            let (log, waiting, answered, text) = (log.clone(), waiting.clone(), answered.clone(), text.clone());
            tokio::spawn(async move {
                let event = |i| Event::new("large").id(format!("{call}-{i}")).metadata(json!({"text": text}));
                let mut logging = Box::pin(log.log_bulk((0..18).map(event).collect()));
                // The first poll goes as far as the queue, or to the wait for room in it.
                let first = std::future::poll_fn(|context| Poll::Ready(logging.as_mut().poll(context))).await;
                assert!(first.is_pending());
                waiting.fetch_add(1, Ordering::Relaxed);
                let logged = logging.await.unwrap();
                answered.fetch_add(1, Ordering::Relaxed);
                logged.into_iter().map(receipt).collect::<Vec<_>>()
            })
        })
        .collect();
    while waiting.load(Ordering::Relaxed) < CALLS {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(answered.load(Ordering::Relaxed), 0);
    // Reading needs no room.
    assert_eq!(log.read(0, 10).await.unwrap().events.len(), 1);
    // A call that gives up leaves its room to the others.
    let given_up =
        tokio::time::timeout(Duration::from_millis(50), log.log(Event::new("given.up").id("given-up"))).await;
    assert!(given_up.is_err(), "there was room beyond the bound");
    assert_eq!(log.get("given-up").await.unwrap_err().kind(), sealog::ErrorKind::NotFound);
    raw.execute_batch("ROLLBACK").unwrap();

    let mut seqs = HashSet::new();
    for call in calls {
        seqs.extend(call.await.unwrap().into_iter().map(|receipt| receipt.seq));
    }
    assert_eq!(seqs.len() as u64, CALLS * 18);
    assert_eq!(check(&log).await, 1 + CALLS * 18);
    // It gave up while it waited for room, so it was never in the queue.
    assert_eq!(log.get("given-up").await.unwrap_err().kind(), sealog::ErrorKind::NotFound);
}

/// A program that starts for each event leaves no frames of one event.
#[tokio::test]
async fn short_lived_handles_pack_full_frames() {
    let fixture = Fixture::new();
    for seed in 0..20 {
        let log = fixture.another(seed).await;
        fill(&log, 16).await;
        log.close().await.unwrap();
    }
    let raw = fixture.raw();
    let smallest: i64 = raw.query_row("SELECT min(count) FROM frame", [], |row| row.get(0)).unwrap();
    assert_eq!(smallest, 64);
    assert_eq!(check(&fixture.another(99).await).await, 320);
}

/// However many read and wait, the log's file is open a few times only.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn readers_and_those_who_wait_are_bounded() {
    const CALLS: u64 = 200;
    let fixture = Fixture::new();
    let log = fixture.open().await;
    fill(&log, 1000).await;
    let reader = fixture.builder().read_only(true).open().await.unwrap();
    let path = fixture.path().canonicalize().unwrap();
    let open = || {
        let files = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| entry.ok()?.path().read_link().ok());
        files.filter(|file| *file == path).count()
    };
    let calls: Vec<_> = (0..CALLS)
        .flat_map(|call| {
            let (reading, waiting) = (reader.clone(), reader.clone());
            let read = tokio::spawn(async move { reading.read(0, 1000).await.map(|page| page.events.len() as u64) });
            let wait = tokio::spawn(async move { waiting.sequenced(&format!("late-{call}")).await.map(|_| 1) });
            [read, wait]
        })
        .collect();
    let mut most = 0;
    for _ in 0..200 {
        most = most.max(open());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // Sixteen, one that looks out, the writer's own, and its index's.
    assert!((3..=19).contains(&most), "{most} connections");
    log.log_bulk((0..CALLS).map(|call| Event::new("late").id(format!("late-{call}"))).collect()).await.unwrap();
    for call in calls {
        assert!(call.await.unwrap().unwrap() > 0);
    }
}
