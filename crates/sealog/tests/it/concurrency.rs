//! Many callers, several handles, one log.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sealog::{AuditLog, Event, ManualClock, Receipt};
use serde_json::json;

use crate::support::{Fixture, NOW_MS, check, fill, receipt};

impl Fixture {
    /// Another handle on the same file. Its clock draws other numbers, as another process's would.
    pub(crate) async fn another(&self, seed: u64) -> AuditLog {
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
