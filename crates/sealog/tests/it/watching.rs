//! Live streams: invariant 9.

use std::sync::Arc;
use std::time::Duration;

use sealog::{
    AuditLog, Erasure, Event, Filter, ManualClock, Record, Severity, StatsOptions, Subject, Watch, WatchFrom,
};

use crate::application::{self, Application};
use crate::support::{Fixture, NOW_MS, check, fill, receipt};

/// How long anything may take before the test calls it stuck.
const PATIENCE: Duration = Duration::from_secs(30);

async fn next<T>(watch: &mut Watch<T>) -> T {
    let next = tokio::time::timeout(PATIENCE, watch.next()).await.expect("it comes");
    next.expect("a watch does not end").expect("no error")
}

/// The items until one is as wanted, that one included.
async fn until<T>(watch: &mut Watch<T>, wanted: impl Fn(&T) -> bool) -> Vec<T> {
    let mut items = Vec::new();
    loop {
        items.push(next(watch).await);
        if items.last().is_some_and(&wanted) {
            return items;
        }
    }
}

/// Opens another handle, which draws other numbers.
async fn handle(fixture: &Fixture, seed: u64) -> AuditLog {
    let clock = Arc::new(ManualClock::new(NOW_MS, seed));
    fixture.builder().clock(clock).tail_events(16).open().await.unwrap()
}

/// What a plain scan gives of the actor.
async fn scan(log: &AuditLog, actor: Option<&str>) -> Vec<Record> {
    let all = log.read(0, 10_000).await.unwrap().events;
    all.into_iter().filter(|record| actor.is_none() || record.actor_id.as_deref() == actor).collect()
}

/// Invariant 9: two handles that write single events, bulks, rotations and inbox rows at once, and watchers
/// on both and on a third that only reads, with and without a filter, one of them slow, one that breaks off
/// and resumes on the other handle after every few events.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn invariant_9_each_matching_event_once_and_in_order() {
    const ROUNDS: usize = 24;
    let fixture = Fixture::new();
    let mut app = Some(Application::of(&fixture).await);
    let clock = Arc::new(ManualClock::new(NOW_MS, 1));
    let first = application::builder(&fixture).clock(clock).tail_events(16).open().await.unwrap();
    let logs = [first, handle(&fixture, 2).await];
    let reader = fixture.builder().tail_events(16).read_only(true).open().await.unwrap();
    let last = || Filter::new().action("last");
    let is_last = |record: &Record| record.action == "last";

    let mut watchers = Vec::new();
    for log in [&logs[0], &logs[1], &reader] {
        for actor in [None, Some("u-3")] {
            let filter = actor.map_or(Filter::new(), |actor| Filter::new().actor(actor));
            let mut watch = log.watch(&filter, WatchFrom::Now).await.unwrap();
            let slow = actor.is_some();
            watchers.push((
                actor,
                tokio::spawn(async move {
                    let mut seen = Vec::new();
                    loop {
                        let record = next(&mut watch).await;
                        if slow && seen.len() % 20 == 0 {
                            tokio::time::sleep(Duration::from_millis(20)).await;
                        }
                        let done = is_last(&record);
                        seen.push(record);
                        if done {
                            return seen;
                        }
                    }
                }),
            ));
        }
    }
    let resumed = tokio::spawn({
        let logs = logs.clone();
        async move {
            let mut seen: Vec<Record> = Vec::new();
            for round in 0.. {
                let from = seen.last().map_or(0, |record| record.seq() + 1);
                let mut watch = logs[round % 2].watch(&Filter::new(), WatchFrom::Seq(from)).await.unwrap();
                for _ in 0..=round % 5 {
                    seen.push(next(&mut watch).await);
                    if is_last(&seen[seen.len() - 1]) {
                        return seen;
                    }
                }
            }
            seen
        }
    });

    let mut writers = Vec::new();
    for log in &logs {
        let log = log.clone();
        // The first of them has the inbox.
        let mut app = app.take();
        writers.push(tokio::spawn(async move {
            for round in 0..ROUNDS {
                match (round % 4, &mut app) {
                    (0, _) => drop(log.log(Event::new("single").actor("u-3")).await.unwrap()),
                    (1, _) => fill(&log, 40).await,
                    (2, Some(app)) => {
                        let staged = log.stage(Event::new("staged").actor("u-3")).unwrap();
                        app.stage(std::slice::from_ref(&staged), true).await;
                        log.sequenced(&staged.id).await.unwrap();
                    }
                    (2, None) => drop(log.log(Event::new("other")).await.unwrap()),
                    (_, _) => drop(log.rotate_key().await.unwrap()),
                }
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    logs[0].log(Event::new("last").actor("u-3")).await.unwrap();
    assert_eq!(logs[1].count(&last()).await.unwrap(), 1);

    for (actor, watcher) in watchers {
        assert_eq!(watcher.await.unwrap(), scan(&reader, actor).await);
    }
    assert_eq!(resumed.await.unwrap(), scan(&reader, None).await);
    check(&reader).await;
}

/// Invariant 9: across closing and opening, with the index kept or gone, and from a time on.
#[tokio::test]
async fn invariant_9_a_watch_goes_on_after_opening_again() {
    let fixture = Fixture::new();
    let filter = Filter::new().actor("u-3");
    let mut seen: Vec<Record> = Vec::new();
    for round in 0..6 {
        let log = handle(&fixture, round).await;
        fill(&log, 30).await;
        let mut watch = log.watch(&filter, WatchFrom::Seq(seen.last().map_or(0, |last| last.seq() + 1))).await.unwrap();
        let end = receipt(log.log(Event::new("end").actor("u-3")).await.unwrap()).seq;
        seen.extend(until(&mut watch, |record| record.seq() == end).await);
        assert_eq!(seen, scan(&log, Some("u-3")).await);
        log.close().await.unwrap();
        if round % 2 == 0 {
            std::fs::remove_dir_all(fixture.index()).unwrap();
        }
    }
    let log = handle(&fixture, 9).await;
    log.log(Event::new("late").actor("u-3").timestamp(NOW_MS + 7)).await.unwrap();
    let mut watch = log.watch(&filter, WatchFrom::Timestamp(NOW_MS + 1)).await.unwrap();
    assert_eq!(next(&mut watch).await.action, "late");
    // A seq that is still to come is waited for.
    let mut watch = log.watch(&Filter::new(), WatchFrom::Seq(log.head().await.unwrap().size + 5)).await.unwrap();
    fill(&log, 6).await;
    assert_eq!(next(&mut watch).await.seq() + 1, log.head().await.unwrap().size);
}

/// Invariant 9: a reader that gives up a wait and asks again loses nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_9_a_wait_that_is_given_up_loses_nothing() {
    let fixture = Fixture::new();
    let log = handle(&fixture, 1).await;
    let mut watch = log.watch(&Filter::new(), WatchFrom::Seq(0)).await.unwrap();
    let writer = tokio::spawn({
        let log = log.clone();
        async move {
            for _ in 0..100 {
                log.log(Event::new("n")).await.unwrap();
            }
        }
    });
    let mut seqs = Vec::new();
    while seqs.len() < 100 {
        if let Ok(next) = tokio::time::timeout(Duration::from_micros(300), watch.next()).await {
            seqs.push(next.unwrap().unwrap().seq());
        }
    }
    writer.await.unwrap();
    assert_eq!(seqs, (0..100).collect::<Vec<_>>());
}

/// Invariant 9: lists and statistics come to the right answer, whoever writes, and tell no state twice.
#[tokio::test]
async fn what_is_removed_goes_from_lists_and_statistics_too() {
    let fixture = Fixture::new();
    let log = fixture.builder().open().await.unwrap();
    for actor in ["u-1", "u-2", "u-1"] {
        log.log(Event::new("a.b").actor(actor).severity(Severity::Critical)).await.unwrap();
    }
    let filter = Filter::new().action("a.b");
    let mut stats = log.watch_stats(.., &filter, &StatsOptions::new()).unwrap();
    let mut list = log.watch_list(&filter, 10).unwrap();
    assert_eq!((next(&mut stats).await.total, next(&mut list).await.len()), (3, 3));
    // Nothing that they select comes, and yet they change.
    log.erase(&Erasure::new(Subject::actor("u-1"), "gdpr-17")).await.unwrap();
    until(&mut stats, |stats| stats.total == 1).await;
    let left = until(&mut list, |list| list.len() == 1).await;
    assert_eq!(left[left.len() - 1][0].actor_id.as_deref(), Some("u-2"));
    check(&log).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn invariant_9_lists_and_statistics_end_with_the_right_answer() {
    const EVENTS: usize = 300;
    let fixture = Fixture::new();
    let logs = [handle(&fixture, 1).await, handle(&fixture, 2).await];
    let mut list = logs[0].watch_list(&Filter::new().action("kept"), 5).unwrap();
    let mut critical = logs[1].watch_critical(&[], 5).unwrap();
    let mut warnings = logs[1].watch_critical(&[Severity::Warning], 5).unwrap();
    let mut stats = logs[1].watch_stats(.., &Filter::new().action("kept"), &StatsOptions::new()).unwrap();
    assert_eq!(next(&mut list).await, []);
    assert_eq!(next(&mut critical).await, []);
    assert_eq!(next(&mut warnings).await, []);
    assert_eq!(next(&mut stats).await.total, 0);

    let started = std::time::Instant::now();
    let writer = tokio::spawn({
        let logs = logs.clone();
        async move {
            for i in 0..EVENTS {
                let action = if i % 3 == 0 { "kept" } else { "other" };
                let severity = if i % 50 == 0 { Severity::Critical } else { Severity::Info };
                logs[i % 2].log(Event::new(action).severity(severity)).await.unwrap();
            }
            logs[0].log(Event::new("kept").severity(Severity::Error).actor("end")).await.unwrap();
            // This one is in no answer but the last's.
            logs[1].log(Event::new("other").severity(Severity::Warning).actor("end")).await.unwrap();
        }
    });
    let is_end = |records: &Vec<Record>| records.first().and_then(|first| first.actor_id.as_deref()) == Some("end");
    let lists = until(&mut list, is_end).await;
    let criticals = until(&mut critical, is_end).await;
    let total = EVENTS as u64 / 3 + 1;
    let told = until(&mut stats, |stats| stats.total == total).await;
    let quarters = started.elapsed().as_millis() as usize / 250 + 1;
    until(&mut warnings, is_end).await;
    writer.await.unwrap();

    let all = scan(&logs[0], None).await;
    let newest = |selects: &dyn Fn(&Record) -> bool| -> Vec<Record> {
        all.iter().rev().filter(|record| selects(record)).take(5).cloned().collect()
    };
    assert_eq!(lists[lists.len() - 1], newest(&|record| record.action == "kept"));
    assert_eq!(criticals[criticals.len() - 1], newest(&|record| record.severity >= Severity::Error));
    assert!(criticals.len() <= EVENTS / 50 + 1);
    assert!(lists.windows(2).all(|pair| pair[0] != pair[1]));
    assert!(told.windows(2).all(|pair| pair[0].total < pair[1].total));
    assert!(told.len() <= quarters, "{} in {quarters} quarters of a second", told.len());
    assert_eq!(
        told[told.len() - 1],
        logs[0].stats(.., &Filter::new().action("kept"), &StatsOptions::new()).await.unwrap()
    );
}
