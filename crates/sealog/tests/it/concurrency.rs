//! Many callers, several handles, one log.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use sealog::{AuditLog, Event, ManualClock, Receipt};
use serde_json::json;

use crate::support::{Fixture, NOW_MS, check, fill, receipt};

impl Fixture {
    /// Another handle on the same file. Its clock draws other numbers, as another process's would.
    async fn another(&self, seed: u64) -> AuditLog {
        self.builder().clock(Arc::new(ManualClock::new(NOW_MS, seed))).open().await.unwrap()
    }
}

/// Invariants 2 and 3 with eight tasks on four handles, singles and bulks, beside a reader that verifies.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn invariants_2_and_3_hold_under_eight_writers() {
    const WRITERS: u64 = 8;
    let fixture = Fixture::new();
    fixture.open().await.close().await.unwrap();
    let mut handles = Vec::new();
    for seed in 0..4 {
        handles.push(fixture.another(100 + seed).await);
    }
    let done = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn({
        let (log, done) = (fixture.builder().read_only(true).open().await.unwrap(), done.clone());
        async move {
            let (mut read, mut checks) = (Vec::new(), 0);
            loop {
                let last = done.load(Ordering::Relaxed);
                loop {
                    let page = log.read(read.len() as u64, 500).await.unwrap();
                    if page.events.is_empty() {
                        break;
                    }
                    read.extend(page.events.iter().map(|record| record.id().to_owned()));
                }
                check(&log).await;
                checks += 1;
                if last {
                    return (read, checks);
                }
            }
        }
    });

    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let log = handles[writer as usize % handles.len()].clone();
            tokio::spawn(async move {
                let mut receipts: Vec<Receipt> = Vec::new();
                for round in 0..40 {
                    // Rows, frames, and now and then the same event from two writers.
                    let count = [1, 1, 5, 1, 40][round % 5];
                    let event = |i: usize| match i {
                        0 if round % 7 == 0 => Event::new("shared").id(format!("shared-{round}")),
                        0 if round % 2 == 0 => Event::new("own").id(format!("w{writer}-{round}")),
                        _ => Event::new("drawn").actor(format!("w{writer}")).metadata(json!({"round": round})),
                    };
                    if count == 1 {
                        receipts.push(receipt(log.log(event(0)).await.unwrap()));
                    } else {
                        let logged = log.log_bulk((0..count).map(event).collect()).await.unwrap();
                        receipts.extend(logged.into_iter().map(receipt));
                    }
                }
                receipts
            })
        })
        .collect();
    let mut receipts = Vec::new();
    for writer in writers {
        receipts.push(writer.await.unwrap());
    }
    done.store(true, Ordering::Relaxed);
    let (read, checks) = reader.await.unwrap();

    for receipts in &receipts {
        // Who waits for each answer sees its own order, but for what another one logged first.
        let own: Vec<_> = receipts.iter().filter(|receipt| !receipt.id.starts_with("shared")).collect();
        assert!(own.is_sorted_by(|a, b| a.seq < b.seq));
        assert!(receipts.iter().all(|receipt| receipt.tree_size > receipt.seq));
    }
    let receipts: HashSet<_> = receipts.into_iter().flatten().map(|receipt| (receipt.seq, receipt.id)).collect();
    let events: HashSet<_> = (0..).zip(read.iter().cloned()).collect();
    assert_eq!(receipts, events, "every acknowledged event once, and nothing else");
    assert_eq!(read.iter().collect::<HashSet<_>>().len(), read.len());
    for log in &handles {
        assert_eq!(check(log).await, read.len() as u64);
    }
    assert!(checks > 1);
}

/// Invariant 6: what one handle acknowledged, another one reads from then on, and what it writes then
/// comes later.
#[tokio::test(flavor = "multi_thread")]
async fn invariant_6_an_acknowledgement_holds_for_every_handle() {
    let fixture = Fixture::new();
    fixture.open().await.close().await.unwrap();
    let logs = [fixture.another(1).await, fixture.another(2).await, fixture.another(3).await];
    let reader = fixture.builder().read_only(true).open().await.unwrap();
    let mut last = None;
    for round in 0..60 {
        let (writer, other) = (&logs[round % 3], &logs[(round + 1) % 3]);
        let first = receipt(writer.log(Event::new("first")).await.unwrap());
        for log in [writer, other, &reader] {
            assert_eq!(log.get(&first.id).await.unwrap().seq(), first.seq);
            assert_eq!(log.head().await.unwrap().size, first.seq + 1);
            assert_eq!(log.read(first.seq, 10).await.unwrap().events.len(), 1);
            log.proof(first.seq).await.unwrap();
        }
        let second = receipt(other.log(Event::new("second")).await.unwrap());
        assert_eq!(second.seq, first.seq + 1);
        assert!(last < Some(first.seq));
        last = Some(second.seq);
    }
    check(&reader).await;
}

/// Two change the key at the same time: each is signed over by the one before, and none is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keys_change_one_after_the_other() {
    let fixture = Fixture::new();
    fixture.open().await.close().await.unwrap();
    let logs = [fixture.another(1).await, fixture.another(2).await, fixture.another(3).await];
    for _ in 0..3 {
        let rotations: Vec<_> = logs
            .iter()
            .map(|log| {
                let log = log.clone();
                tokio::spawn(async move {
                    let vkey = log.rotate_key().await.unwrap();
                    fill(&log, 2).await;
                    vkey
                })
            })
            .collect();
        let mut vkeys = HashSet::new();
        for rotation in rotations {
            vkeys.insert(rotation.await.unwrap());
        }
        assert_eq!(vkeys.len(), 3);
        assert!(vkeys.contains(&logs[0].vkey().await.unwrap()));
        check(&logs[1]).await;
    }
    for log in logs {
        log.close().await.unwrap();
    }
    // What the file holds is the key that the log asks for.
    let log = fixture.another(4).await;
    fill(&log, 1).await;
    assert_eq!(check(&log).await, 3 * 9 + 1);
}

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

/// A handle that does not write has no news to tell of its own, and waits all the same.
#[tokio::test]
async fn a_reader_waits_for_an_event_by_id() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    let reader = fixture.builder().read_only(true).open().await.unwrap();
    let started = Instant::now();
    let waiting = tokio::spawn(async move { reader.sequenced("late").await });
    tokio::time::sleep(Duration::from_millis(60)).await;
    log.log(Event::new("late").id("late")).await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().seq, 0);
    assert!(started.elapsed() < Duration::from_secs(10));
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
