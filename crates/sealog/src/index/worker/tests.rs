//! The index's thread, in whose place the test is: step by step.

use serde_json::json;

use super::super::{Facts, Index, IndexOptions, ROOM_INTERVAL};
use super::*;
use crate::{AuditLog, Event};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_mins(1);

/// A new log, and an index of it beside its own.
async fn log_and_index(folder: &tempfile::TempDir, tail_events: u64) -> (AuditLog, Index) {
    let log = AuditLog::open(folder.path().join("audit.db")).await.unwrap();
    let index = index_of(&log, folder, tail_events);
    (log, index)
}

fn index_of(log: &AuditLog, folder: &tempfile::TempDir, tail_events: u64) -> Index {
    let folder = folder.path().join("other.index");
    Index::new(IndexOptions { log: log.shared.place.clone(), folder, full_text: None, tail_events })
}

async fn fill(log: &AuditLog, count: usize, note: &str) {
    let event = |i| Event::new("n").metadata(json!({"note": format!("{note} {i}")}));
    log.log_bulk((0..count).map(event).collect()).await.unwrap();
}

impl Worker<'_> {
    /// Takes in all that is in the journal. Answers how much that is.
    fn take_all_in(&mut self) -> u64 {
        let size = self.journal.size().unwrap();
        self.catch_up(size).unwrap();
        self.fill(size).unwrap();
        self.take_in().unwrap();
        size
    }

    fn is_merging(&self) -> bool {
        let merging = self.writer.as_ref().and_then(|writer| writer.merging.as_ref());
        merging.is_some_and(|done| !done.load(Ordering::Acquire))
    }
}

#[tokio::test]
async fn who_writes_waits_while_the_tail_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let (_log, index) = log_and_index(&folder, 64).await;
    let (facts, _) = Facts::of_body(br#"{"id": "a", "timestamp": 0, "severity": "info", "action": "a"}"#).unwrap();
    let body = Arc::new(vec![0; 65 * 1024 * 1024]);
    let entry = Entry::new(Arc::new(facts), body.clone(), 0..body.len());
    index.shared.lock().tail = Some(Tail::at(0));

    let (index, (tell, fed)) = (Arc::new(index), std::sync::mpsc::channel());
    let mut progress = index.progress();
    std::thread::spawn({
        let index = index.clone();
        move || {
            index.feed(0, vec![entry]);
            tell.send(())
        }
    });
    progress.wait_for(|progress| progress.events == 1).await.unwrap();
    assert!(fed.recv_timeout(3 * ROOM_INTERVAL).is_err(), "nobody waits for room");
    index.shared.lock().tail.as_mut().unwrap().take_before(1);
    index.shared.woken.notify_all();
    fed.recv_timeout(PATIENCE).unwrap();
}

/// A merge may be over sooner than what goes on beside it: then the next one is looked at.
#[tokio::test]
async fn while_neighbours_are_merged_events_are_taken_in_committed_and_answered() {
    let folder = tempfile::tempdir().unwrap();
    let (log, index) = log_and_index(&folder, 64).await;
    let mut worker = Worker::open(&index.shared).unwrap();
    let mut beside = 0;
    for batch in 0..40 {
        let words: Vec<_> = (0..1000).map(|word| format!("w{}", word * batch)).collect();
        fill(&log, 64, &words.join(" ")).await;
        worker.take_all_in();
        worker.merge().unwrap();
        while worker.is_merging() {
            fill(&log, 1, "beside").await;
            let size = worker.take_all_in();
            assert_eq!(index.view_now(size).map(|view| view.size), Some(size));
            beside += u64::from(worker.is_merging());
            worker.commit_if_due(true).unwrap();
            assert_eq!(worker.committed(), size);
        }
        if beside > 0 {
            break;
        }
    }
    assert!(beside > 0, "nothing went on while neighbours were merged");
    worker.merge().unwrap();
    let generation = index.shared.lock().generation.clone().unwrap();
    let largest = generation.segments.iter().map(|segment| segment.docs()).max().unwrap();
    assert!(largest as usize >= 64 * MERGE_SEGMENTS, "{largest} events are in the largest segment");
}

/// What is in a segment is not read again, even where it cannot be read any more.
#[tokio::test]
async fn a_few_events_come_into_a_segment_after_their_time_and_are_not_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let (log, index) = log_and_index(&folder, 6400).await;
    fill(&log, 200, "few").await;
    let mut progress = index.progress();
    let thread = std::thread::spawn({
        let shared = index.shared.clone();
        move || {
            let mut worker = Worker::open(&shared).unwrap();
            worker.ticks = COMMIT_TICKS - 1;
            worker.work().unwrap();
        }
    });
    let committed = || index.shared.lock().generation.as_ref().map(|generation| generation.next_seq);
    while committed() != Some(200) {
        tokio::time::timeout(PATIENCE, progress.changed()).await.unwrap().unwrap();
    }
    index.close();
    thread.join().unwrap();

    let journal = rusqlite::Connection::open(folder.path().join("audit.db")).unwrap();
    journal.execute_batch("UPDATE event SET body = x'00'; UPDATE frame SET bodies = x'00'").unwrap();
    fill(&log, 3, "new").await;
    let index = index_of(&log, &folder, 6400);
    let size = Worker::open(&index.shared).unwrap().take_all_in();
    let view = index.view_now(size).unwrap();
    assert_eq!((view.generation.next_seq, view.size), (200, 203));
}

#[test]
fn neighbours_of_one_size_are_merged_smallest_first() {
    assert_eq!(neighbours_to_merge(&[], 1024), None);
    assert_eq!(neighbours_to_merge(&[65_536; 7], 1024), None);
    assert_eq!(neighbours_to_merge(&[65_536; 8], 1024), Some(0..8));
    let sizes = [&[600_000; 3][..], &[65_536; 8], &[2_000; 9]].concat();
    assert_eq!(neighbours_to_merge(&sizes, 1024), Some(11..20));
    assert_eq!(neighbours_to_merge(&[5_000_000; 20], 1024), None);
    assert_eq!(neighbours_to_merge(&[2_000; 30], 1024), Some(0..16));
}
