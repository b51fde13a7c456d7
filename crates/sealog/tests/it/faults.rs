//! A disk that fails at each write and each fsync, in every form, and then a loss of power.
//!
//! Invariant 1: an acknowledged event survives any single failing write or fsync, and a crash at that
//! moment. Invariant 3: in every committed state the tree holds exactly the journal's events.

mod vfs;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sealog::rusqlite::Connection;
use sealog::{AuditLog, ErrorKind, Event, Logged, ManualClock, Receipt, VerifyOptions};
use serde_json::json;
use tempfile::TempDir;

use self::vfs::{Crash, Disk, Form, Step};
use crate::support::{Fixture, NOW_MS, check, fill, first, receipt};

/// A log just short of everything that happens now and then: its next rows are packed, and its
/// write-ahead log is carried over into the file.
struct Template {
    files: BTreeMap<&'static str, Vec<u8>>,
    vkey: String,
    size: u64,
}

/// Rows that wait to be packed, which happens at 256.
const UNPACKED: usize = 8 * 31;
/// Frames of the write-ahead log, which is carried over at 1,000.
const WAL_FRAMES: u64 = 975;

async fn template() -> Template {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    fill(&log, 100).await;
    for _ in 0..UNPACKED / 31 {
        fill(&log, 31).await;
    }
    let (vkey, size) = (log.vkey().await.unwrap(), check(&log).await);
    log.close().await.unwrap();

    // A counter, which is no evidence, fills the write-ahead log by a frame each time.
    let raw = fixture.raw();
    raw.execute_batch("PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = OFF; PRAGMA journal_mode = WAL").unwrap();
    let wal = fixture.dir.path().join("audit.db-wal");
    while std::fs::metadata(&wal).map_or(0, |wal| wal.len() / 4120) < WAL_FRAMES {
        raw.execute("INSERT INTO state VALUES ('filler', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1", [])
            .unwrap();
    }
    let files = ["audit.db", "audit.db-wal", "audit.db.key"];
    let files = files.map(|name| (name, std::fs::read(fixture.dir.path().join(name)).unwrap())).into();
    Template { files, vkey, size }
}

/// One call, as a caller remembers it.
enum Sent {
    Events(Vec<Event>, Option<Vec<Receipt>>),
    Rotation(bool),
}

/// What the callers do while the disk fails: single events, rows that make a packing due, a frame, a
/// change of keys. Each gets an answer.
async fn script(log: &AuditLog, disk: &Disk) -> Vec<Sent> {
    let named = |name: &str, count: usize| -> Vec<Event> {
        (0..count).map(|i| Event::new(name).id(format!("{name}-{i}")).metadata(json!({"n": i}))).collect()
    };
    let calls = [
        named("first", 1),
        named("rows", 10),
        vec![Event::new("drawn")],
        named("frame", 40),
        Vec::new(),
        named("last", 1),
    ];
    let mut sent = Vec::new();
    for events in calls {
        let answer = answered(async {
            if events.is_empty() {
                log.rotate_key().await.map(|_| Vec::new())
            } else {
                log.log_bulk(events.clone()).await
            }
        })
        .await;
        let receipts = match answer {
            Ok(logged) => {
                disk.acknowledge(logged.len());
                Some(logged.into_iter().map(receipt).collect())
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Storage, "{error:?}");
                None
            }
        };
        sent.push(if events.is_empty() { Sent::Rotation(receipts.is_some()) } else { Sent::Events(events, receipts) });
    }
    sent
}

async fn answered<T>(call: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(1), call).await.expect("every caller gets an answer")
}

fn open_at(folder: &Path, seed: u64) -> sealog::Builder {
    AuditLog::builder(folder.join("audit.db"))
        .clock(Arc::new(ManualClock::new(NOW_MS, seed)))
        .origin("example.com/audit")
}

/// The whole log is clean under the key it began with, and these are in it. Answers its ids.
async fn whole(log: &AuditLog, vkey: &str, acknowledged: &[Receipt]) -> Vec<String> {
    let options = VerifyOptions { vkey: Some(vkey.to_owned()), ..VerifyOptions::default() };
    let report = log.verify(options, |_| {}).await.unwrap();
    assert!(report.is_ok(), "{:#?}", report.problems);
    let mut ids = Vec::new();
    while (ids.len() as u64) < report.size {
        let page = log.read(ids.len() as u64, 10_000).await.unwrap();
        ids.extend(page.events.iter().map(|record| record.id().to_owned()));
    }
    for receipt in acknowledged {
        assert_eq!(ids.get(receipt.seq as usize), Some(&receipt.id), "an acknowledged event is not in its place");
    }
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len(), "an event is there twice");
    ids
}

/// Runs the script on a disk that fails at step `n`. Answers whether it did.
async fn fails_at(template: &Template, step: Step, form: Form, n: u64) -> bool {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in &template.files {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    let disk = Disk::watch(dir.path());
    let log = open_at(dir.path(), 1000).open().await.unwrap();
    disk.arm(step, form, n);
    let sent = script(&log, &disk).await;
    let Some(crash) = disk.mend() else {
        disk.unwatch();
        assert!(sent.iter().all(|sent| matches!(sent, Sent::Events(_, Some(_)) | Sent::Rotation(true))));
        return false;
    };

    // The same handle goes on.
    let acknowledged: Vec<Receipt> = sent
        .iter()
        .filter_map(|sent| if let Sent::Events(_, receipts) = sent { receipts.clone() } else { None })
        .flatten()
        .collect();
    whole(&log, &template.vkey, &acknowledged).await;
    let mut receipts = acknowledged.clone();
    let mut rotations = 1;
    for sent in &sent {
        match sent {
            Sent::Rotation(false) => {
                // It may have been stored: then this is a second one.
                log.rotate_key().await.unwrap();
                rotations += 1;
            }
            Sent::Events(events, known) if events[0].id.is_some() => {
                let again = resend(&log, events).await;
                match known {
                    Some(known) => assert_eq!(known, &again, "an equal receipt"),
                    None => receipts.extend(again.iter().cloned()),
                }
                assert_eq!(again, resend(&log, events).await);
            }
            // Of an event without an id nobody can tell whether it is one that failed.
            Sent::Rotation(true) | Sent::Events(..) => {}
        }
    }
    receipts.push(receipt(log.log(Event::new("further")).await.unwrap()));
    let ids = whole(&log, &template.vkey, &receipts).await;
    let extra = ids.len() as u64 - template.size - receipts.len() as u64;
    // Beside the key changes there may be one event whose caller was told that it failed.
    assert!(extra <= rotations + 1, "{extra} events that nobody sent");

    // A new handle, when the old one is gone.
    log.close().await.unwrap();
    disk.unwatch();
    let log = open_at(dir.path(), 2000).open().await.unwrap();
    assert_eq!(whole(&log, &template.vkey, &receipts).await, ids);
    log.log(Event::new("later")).await.unwrap();

    // A crash at that moment: what was not synced is lost, or is not.
    let durable = &acknowledged[..crash.acknowledged];
    let Crash { as_written, as_synced, key, .. } = &crash;
    for files in [as_written, as_synced] {
        after_a_crash(files, key, template, durable, &sent).await;
    }
    after_two_crashes(&crash, template, &sent).await;
    true
}

async fn resend(log: &AuditLog, events: &[Event]) -> Vec<Receipt> {
    log.log_bulk(events.to_vec()).await.unwrap().into_iter().map(receipt).map(first).collect()
}

async fn after_a_crash(
    files: &BTreeMap<String, Vec<u8>>,
    key: &[u8],
    template: &Template,
    durable: &[Receipt],
    sent: &[Sent],
) {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    std::fs::write(dir.path().join("audit.db.key"), key).unwrap();
    let log = open_at(dir.path(), 3000).open().await.unwrap();
    let ids = whole(&log, &template.vkey, durable).await;
    assert!(ids.len() as u64 >= template.size + durable.len() as u64);
    // The callers that never heard send again.
    for sent in sent {
        if let Sent::Events(events, _) = sent
            && events[0].id.is_some()
        {
            let again = resend(&log, events).await;
            assert!(again.iter().all(|again| durable.iter().all(|known| known.id != again.id || known == again)));
        }
    }
    whole(&log, &template.vkey, durable).await;
}

/// The processes die and leave what no fsync has reached. The next one finds it, answers for it, and then
/// the power goes.
async fn after_two_crashes(crash: &Crash, template: &Template, sent: &[Sent]) {
    let dir = crashed(&crash.as_written, &crash.key);
    let disk = Disk::watch(dir.path());
    let log = open_at(dir.path(), 4000).open().await.unwrap();
    let mut answered = Vec::new();
    for sent in sent {
        if let Sent::Events(events, _) = sent
            && let Some(id) = &events[0].id
            // What is there is not written again, so that nothing else syncs it.
            && log.get(id).await.is_ok()
        {
            answered.extend(resend(&log, events).await);
        }
    }
    let left = disk.synced_since(&crash.as_synced);
    disk.unwatch();
    let dir = crashed(&left, &std::fs::read(dir.path().join("audit.db.key")).unwrap());
    let log = open_at(dir.path(), 5000).open().await.unwrap();
    whole(&log, &template.vkey, &answered).await;
}

/// How often the tables skip a step: `SEALOG_LONG` tries each.
fn stride(short: u64) -> u64 {
    if std::env::var_os("SEALOG_LONG").is_some() { 1 } else { short }
}

async fn table(step: Step, forms: &[Form], stride: u64) {
    let template = template().await;
    for (offset, form) in (0..).zip(forms) {
        let mut n = offset % stride;
        let mut steps = 0;
        while fails_at(&template, step, *form, n).await {
            n += stride;
            steps += 1;
        }
        assert!(steps > 5, "{step:?} {form:?}: {steps} steps");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invariants_1_and_3_hold_at_each_failing_fsync() {
    table(Step::Sync, &[Form::Failed, Form::FailedButStored], 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invariants_1_and_3_hold_at_each_failing_write() {
    table(Step::Write, &[Form::Failed], stride(3)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invariants_1_and_3_hold_at_each_write_that_is_stored_and_fails() {
    table(Step::Write, &[Form::FailedButStored], stride(3)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invariants_1_and_3_hold_at_each_torn_write() {
    table(Step::Write, &[Form::Torn], stride(3)).await;
}

/// The script reaches what it is there for.
#[tokio::test]
async fn the_script_packs_and_carries_the_write_ahead_log_over() {
    let template = template().await;
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in &template.files {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    let rows = |connection: &Connection| -> (i64, i64) {
        let count = "SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM frame)";
        connection.query_row(count, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    };
    let raw = Connection::open(dir.path().join("audit.db")).unwrap();
    let (before, frames) = rows(&raw);
    assert_eq!(before, UNPACKED as i64);
    let main = std::fs::metadata(dir.path().join("audit.db")).unwrap().len();
    let disk = Disk::watch(dir.path());
    let log = open_at(dir.path(), 1000).open().await.unwrap();
    disk.arm(Step::Sync, Form::Failed, u64::MAX);
    script(&log, &disk).await;
    let [writes, syncs] = disk.steps();
    disk.unwatch();
    let (after, packed) = rows(&raw);
    assert!(after < 20 && packed > frames + 3, "{after} rows, {packed} frames");
    assert!(std::fs::metadata(dir.path().join("audit.db")).unwrap().len() > main, "nothing was carried over");
    assert!(writes > 100 && syncs > 8, "{writes} writes, {syncs} fsyncs");
}

/// A log that cannot be created, and the next try.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_created_whole_or_again() {
    for step in [Step::Write, Step::Sync] {
        for form in [Form::Failed, Form::FailedButStored, Form::Torn, Form::Full] {
            for n in 0.. {
                let dir = tempfile::tempdir().unwrap();
                let disk = Disk::watch(dir.path());
                disk.arm(step, form, n);
                let opened = answered(open_at(dir.path(), 1).open()).await;
                let Some(crash) = disk.mend() else {
                    assert!(opened.is_ok() && n > 1);
                    disk.unwatch();
                    break;
                };
                let failed = opened.err().map(|error| error.kind());
                assert!([None, Some(ErrorKind::Storage)].contains(&failed), "{step:?} {form:?} {n}: {failed:?}");
                disk.unwatch();
                let log = open_at(dir.path(), 2).open().await.unwrap();
                fill(&log, 3).await;
                assert_eq!(check(&log).await, 3);
                for files in [&crash.as_written, &crash.as_synced] {
                    let dir = crashed(files, &crash.key);
                    let log = open_at(dir.path(), 3).open().await.unwrap();
                    fill(&log, 3).await;
                    assert_eq!(check(&log).await, 3);
                }
            }
        }
    }
}

/// Where there can be no write-ahead log, what FORMAT.md says of the disk does not hold.
#[tokio::test]
async fn a_disk_without_shared_memory_is_refused() {
    let fixture = Fixture::new();
    let disk = Disk::watch(fixture.dir.path());
    disk.go_remote();
    let error = fixture.builder().open().await.unwrap_err();
    disk.unwatch();
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(error.message().contains("write-ahead log"), "{error}");
}

fn crashed(files: &BTreeMap<String, Vec<u8>>, key: &[u8]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    if !key.is_empty() {
        std::fs::write(dir.path().join("audit.db.key"), key).unwrap();
    }
    dir
}

/// An event that was given an id before it was sent is one event, however often it failed.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_with_a_new_id_can_be_sent_again() {
    let fixture = Fixture::new();
    let disk = Disk::watch(fixture.dir.path());
    let log = fixture.open().await;
    let event = Event::new("paid").id(log.new_id());
    assert_ne!(event.id, Some(log.new_id()));
    // Stored, and reported as failed.
    disk.arm(Step::Sync, Form::FailedButStored, 0);
    assert_eq!(log.log(event.clone()).await.unwrap_err().kind(), ErrorKind::Storage);
    disk.mend();
    assert_eq!(receipt(log.log(event).await.unwrap()).seq, 0);
    assert_eq!(check(&log).await, 1);
    disk.unwatch();
}

/// A full disk is an error to every caller, and the log stays readable; with room again it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_to_every_caller() {
    let fixture = Fixture::new();
    let disk = Disk::watch(fixture.dir.path());
    let log = fixture.open().await;
    fill(&log, 50).await;
    disk.arm(Step::Write, Form::Full, 7);
    let calls: Vec<_> = (0..64)
        .map(|i| {
            let log = log.clone();
            tokio::spawn(async move {
                let count = if i % 8 == 0 { 40 } else { 1 };
                let events: Vec<_> = (0..count).map(|j| Event::new("full").id(format!("{i}-{j}"))).collect();
                let answer = answered(log.log_bulk(events.clone())).await;
                (events, answer)
            })
        })
        .collect();
    let (mut failed, mut logged) = (Vec::new(), 0);
    for call in calls {
        match call.await.unwrap() {
            (events, Err(error)) => {
                assert_eq!(error.kind(), ErrorKind::Storage);
                assert!(error.message().contains("disk is full"), "{error}");
                failed.push(events);
            }
            (_, Ok(answers)) => logged += answers.len() as u64,
        }
    }
    assert!(!failed.is_empty());
    assert_eq!(check(&log).await, 50 + logged);
    assert_eq!(log.read(0, 50).await.unwrap().events.len(), 50);
    assert_eq!(log.rotate_key().await.unwrap_err().kind(), ErrorKind::Storage);
    assert!(disk.mend().is_some());

    let mut seqs = HashSet::new();
    for events in failed {
        logged += events.len() as u64;
        for answer in log.log_bulk(events).await.unwrap() {
            assert!(seqs.insert(answer.receipt().map(|receipt| receipt.seq)));
            assert!(matches!(answer, Logged::Recorded(_)));
        }
    }
    assert_eq!(check(&log).await, 50 + logged);
    disk.unwatch();
}
