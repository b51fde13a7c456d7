//! Several handles on one log, each with its own view of the one index: one writes it, the others follow.

use std::sync::Arc;

use sealog::{AuditLog, Builder, Event, Filter, ManualClock, PageOptions, StatsOptions};

use crate::support::{Fixture, NOW_MS, check, fill, receipt};

impl Fixture {
    /// Options for another handle, which draws other numbers.
    fn handle(&self, seed: u64) -> Builder {
        self.builder().clock(Arc::new(ManualClock::new(NOW_MS, seed)))
    }
}

/// Each way of asking finds `total` events, each once, and the newest one.
async fn sees(log: &AuditLog, total: u64) {
    let all = Filter::new();
    assert_eq!(log.count(&all).await.unwrap(), total);
    assert_eq!(log.stats(.., &all, &StatsOptions::new()).await.unwrap().total, total);
    let newest = log.search(&all, &PageOptions::new().limit(3)).await.unwrap();
    let seqs: Vec<_> = newest.events.iter().map(sealog::Record::seq).collect();
    assert_eq!(seqs, (0..total).rev().take(3).collect::<Vec<_>>());
}

/// Invariant 6: what any handle acknowledged, the next question to any other one covers: to the one that
/// writes the index, to those that follow, and to one that only reads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_6_a_question_covers_what_any_handle_acknowledged() {
    for tail_events in [1, 16, 100_000] {
        let fixture = Fixture::new();
        let mut logs = Vec::new();
        for seed in 1..4 {
            logs.push(fixture.handle(seed).tail_events(tail_events).open().await.unwrap());
        }
        logs.push(fixture.handle(9).tail_events(tail_events).read_only(true).open().await.unwrap());
        let mut size = 0;
        for round in 0..40 {
            let writer = &logs[round % 3];
            match round % 4 {
                0 | 1 => {
                    size += 1;
                    writer.log(Event::new("single")).await.unwrap();
                }
                2 => {
                    size += 50;
                    fill(writer, 50).await;
                }
                _ => {
                    size += 1;
                    writer.rotate_key().await.unwrap();
                }
            }
            for asked in 1..=logs.len() {
                sees(&logs[(round + asked) % logs.len()], size).await;
            }
        }
        check(&logs[3]).await;
    }
}

/// Invariant 6: the same while all of them write and ask at once, so that segments are committed between
/// any two steps of a question.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn invariant_6_questions_at_the_same_time_as_commits() {
    let fixture = Fixture::new();
    fixture.open().await.close().await.unwrap();
    let mut tasks = Vec::new();
    for seed in 1..4 {
        let log = fixture.handle(seed).tail_events(4).open().await.unwrap();
        tasks.push(tokio::spawn(async move {
            let mine = Filter::new().actor(format!("u-{seed}"));
            for round in 0..60 {
                let seq = receipt(log.log(Event::new("n").actor(format!("u-{seed}"))).await.unwrap()).seq;
                assert_eq!(log.count(&mine).await.unwrap(), round + 1);
                let found = log.search(&Filter::new(), &PageOptions::new().limit(1000)).await.unwrap().events;
                let seqs: Vec<_> = found.iter().map(sealog::Record::seq).collect();
                assert!(seqs[0] >= seq);
                assert!(seqs.iter().copied().eq((0..=seqs[0]).rev()), "each once and without a gap: {seqs:?}");
            }
            log
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

/// Invariant 6: when the handle that writes the index goes, closed or dropped, another takes its place, and
/// nothing is missing on the way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_6_another_handle_takes_over_the_index() {
    let fixture = Fixture::new();
    let mut size = 0;
    let mut leader = fixture.handle(0).tail_events(8).open().await.unwrap();
    for seed in 1..5 {
        let follower = fixture.handle(seed).tail_events(8).open().await.unwrap();
        for writer in [&leader, &follower] {
            fill(writer, 30).await;
            size += 30;
            sees(&leader, size).await;
            sees(&follower, size).await;
        }
        if seed % 2 == 0 {
            leader.close().await.unwrap();
        } else {
            drop(leader);
        }
        let before = meta(&fixture);
        fill(&follower, 30).await;
        size += 30;
        // Taken over when its index goes on: the old one's last commit may come after `before` was read.
        let mut looked = 0;
        while (meta(&fixture) == before || committed(&fixture) < size - 8) && looked < 1000 {
            sees(&follower, size).await;
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            looked += 1;
        }
        assert!(committed(&fixture) >= size - 8, "nobody took over");
        leader = follower;
    }
    check(&leader).await;
}

fn meta(fixture: &Fixture) -> String {
    std::fs::read_to_string(fixture.index().join("meta.json")).unwrap()
}

/// How many events are in the index on disk.
fn committed(fixture: &Fixture) -> u64 {
    let meta: serde_json::Value = serde_json::from_str(&meta(fixture)).unwrap();
    meta["segments"].as_array().unwrap().iter().map(|segment| segment["max_doc"].as_u64().unwrap()).sum()
}

/// Invariant 4: one handle makes the index anew behind the backs of the others, again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn invariant_4_an_index_that_is_made_anew_misleads_no_follower() {
    let fixture = Fixture::new();
    let leader = fixture.handle(1).tail_events(16).open().await.unwrap();
    fill(&leader, 500).await;
    sees(&leader, 500).await;
    let follower = fixture.handle(2).tail_events(16).open().await.unwrap();
    sees(&follower, 500).await;
    let asking = tokio::spawn(async move {
        for size in 501..520 {
            follower.log(Event::new("single")).await.unwrap();
            for _ in 0..10 {
                sees(&follower, size).await;
            }
            tokio::time::sleep(std::time::Duration::from_millis(150)).await;
        }
        follower
    });
    while !asking.is_finished() {
        leader.reindex().await.unwrap();
        leader.count(&Filter::new()).await.unwrap();
    }
    sees(&leader, 519).await;
    check(&asking.await.unwrap()).await;
}

/// A follower need not keep what the other one keeps: neither waits for the other's segments for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_does_not_wait_for_segments_that_never_come() {
    let fixture = Fixture::new();
    let leader = fixture.handle(1).tail_events(1_000_000).open().await.unwrap();
    fill(&leader, 1000).await;
    sees(&leader, 1000).await;
    let follower = fixture.handle(2).tail_events(1).open().await.unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(20), sees(&follower, 1000)).await.unwrap();
}

/// A handle that asks for words where another one keeps none takes the index as it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handles_with_other_wishes_share_the_index_that_is_there() {
    let fixture = Fixture::new();
    let leader = fixture.handle(1).full_text(false).open().await.unwrap();
    fill(&leader, 10).await;
    sees(&leader, 10).await;
    let follower = fixture.handle(2).full_text(true).open().await.unwrap();
    sees(&follower, 10).await;
    let error = follower.count(&Filter::new().text("word")).await.unwrap_err();
    assert_eq!(error.kind(), sealog::ErrorKind::InvalidArgument);
}

/// The last clone may go where nothing may block, and a question that is being answered then ends well.
#[tokio::test]
async fn the_last_clone_is_dropped_inside_the_runtime() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    fill(&log, 2000).await;
    let asking = tokio::spawn({
        let log = log.clone();
        async move { log.count(&Filter::new()).await }
    });
    drop(log);
    assert_eq!(asking.await.unwrap().unwrap(), 2000);
    let log = fixture.open().await;
    sees(&log, 2000).await;
}

/// A closed log answers no question, and holds the index no longer.
#[tokio::test]
async fn a_closed_log_is_closed_to_all_its_clones() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    fill(&log, 3).await;
    let clone = log.clone();
    let mut watch = log.watch(&Filter::new(), sealog::WatchFrom::Now).await.unwrap();
    log.close().await.unwrap();
    assert_eq!(clone.count(&Filter::new()).await.unwrap_err().kind(), sealog::ErrorKind::Closed);
    assert_eq!(watch.next().await.unwrap().unwrap_err().kind(), sealog::ErrorKind::Closed);
}

/// Events that take more memory than their text lets expect fill the tail before a segment is due: it is
/// written then, and nobody waits for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_tail_makes_room_for_itself() {
    /// Some 3.5 KB each in memory, of the tail's 96 MiB.
    const EVENTS: usize = 40_000;
    let fixture = Fixture::new();
    let log = fixture.handle(1).tail_events(1_000_000).open().await.unwrap();
    let tags: Vec<_> = (0..sealog::MAX_TAGS).map(|tag| format!("{tag}")).collect();
    let event = |_| tags.iter().fold(Event::new("n"), |event, tag| event.tag(tag.as_str()));
    for _ in 0..EVENTS / 1000 {
        let logging = log.log_bulk((0..1000).map(event).collect());
        tokio::time::timeout(std::time::Duration::from_mins(1), logging).await.unwrap().unwrap();
    }
    sees(&log, EVENTS as u64).await;
    assert!(committed(&fixture) > 0, "it was never full");
}
