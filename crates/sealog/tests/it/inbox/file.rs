//! The application's file: what the log does there, when, and what it does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sealog::rusqlite::{Connection, TransactionBehavior, params};
use sealog::{AuditLog, ErrorKind, Event};
use serde_json::json;

use super::{app, app_path, open, set_clock, wait_for_size};
use crate::support::{Fixture, check};

/// An application that never stops committing holds up nobody who closes.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_closes_while_the_application_commits() {
    let fixture = Fixture::new();
    let app = app(&fixture);
    app.pragma_update(None, "synchronous", "off").unwrap();
    let log = open(&fixture).await;
    let stop = Arc::new(AtomicBool::new(false));
    let application = std::thread::spawn({
        let stop = stop.clone();
        move || {
            while !stop.load(Ordering::Relaxed) {
                app.execute("INSERT INTO sealog_inbox(event) VALUES ('{\"action\": \"busy\"}')", []).unwrap();
            }
        }
    });
    assert!(log.grown(99).await.unwrap() >= 100);
    let closed = tokio::time::timeout(Duration::from_secs(20), log.close()).await;
    stop.store(true, Ordering::Relaxed);
    application.join().unwrap();
    closed.expect("it closes").unwrap();
}

/// What could not be drained is told, and is there for the next handle.
#[tokio::test]
async fn an_inbox_that_cannot_be_drained_is_told() {
    let fixture = Fixture::new();
    // In this mode a writer keeps readers out.
    let app = Connection::open(app_path(&fixture)).unwrap();
    set_clock(&fixture, &app);
    let log = open(&fixture).await;
    app.execute("INSERT INTO sealog_inbox(event) VALUES ('{\"action\": \"in\"}')", []).unwrap();
    wait_for_size(&log, 1).await;
    let started = Instant::now();
    let state = || log.inboxes().swap_remove(0);
    while (state().position, state().last_error.is_some()) != (1, false) {
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", state());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(state().path, app_path(&fixture));

    app.execute_batch("BEGIN EXCLUSIVE; INSERT INTO sealog_inbox(event) VALUES ('{\"action\": \"late\"}')").unwrap();
    while state().last_error.is_none() {
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", state());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(state().last_error.unwrap().kind(), ErrorKind::Busy);
    let error = log.close().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.message().contains("app.db"), "{error}");
    app.execute_batch("COMMIT").unwrap();
    let log = open(&fixture).await;
    wait_for_size(&log, 2).await;
    log.close().await.unwrap();
}

/// Opening waits for the application's lock: in SQLite's default mode a reader meets it at each commit.
#[tokio::test(flavor = "multi_thread")]
async fn an_inbox_opens_while_the_application_commits() {
    for mode in ["delete", "wal"] {
        let fixture = Fixture::new();
        let app = Connection::open(app_path(&fixture)).unwrap();
        app.pragma_update(None, "journal_mode", mode).unwrap();
        app.busy_timeout(Duration::from_secs(20)).unwrap();
        app.execute_batch("CREATE TABLE busy (n INTEGER)").unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let application = std::thread::spawn({
            let stop = stop.clone();
            move || {
                while !stop.load(Ordering::Relaxed) {
                    app.execute("INSERT INTO busy VALUES (1)", []).unwrap();
                    std::thread::sleep(Duration::from_micros(300));
                }
            }
        });
        for round in 0..15 {
            let opened = fixture.builder().inbox(app_path(&fixture)).open().await;
            let log = opened.unwrap_or_else(|error| panic!("{mode}, round {round}: {error}"));
            log.close().await.unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        application.join().unwrap();
        check(&open(&fixture).await).await;
    }
}

/// What the application committed is on the disk before its event is in the log, or is not in the log yet.
#[cfg(unix)]
#[tokio::test]
async fn what_cannot_be_synced_is_not_handed_over() {
    let fixture = Fixture::new();
    let app = app(&fixture);
    app.pragma_update(None, "synchronous", "normal").unwrap();
    let log = open(&fixture).await;
    let insert = |id: &str| {
        let event = json!({"action": "a", "id": id}).to_string();
        app.execute("INSERT INTO sealog_inbox(event) VALUES (?1)", params![event]).unwrap();
    };
    insert("first");
    log.sequenced("first").await.unwrap();
    // Those who have the file open go on with it; who looks for it anew finds a link to itself.
    let (wal, away) = (fixture.dir.path().join("app.db-wal"), fixture.dir.path().join("away"));
    std::fs::rename(&wal, &away).unwrap();
    std::os::unix::fs::symlink(&wal, &wal).unwrap();
    insert("second");
    let waited = tokio::time::timeout(Duration::from_millis(300), log.sequenced("second")).await;
    assert!(waited.is_err(), "it is in the log, and may be gone from the application's file");
    assert_eq!(log.inboxes()[0].last_error.as_ref().unwrap().kind(), ErrorKind::Storage);
    std::fs::remove_file(&wal).unwrap();
    std::fs::rename(&away, &wal).unwrap();
    log.sequenced("second").await.unwrap();
    check(&log).await;
}

/// However many rows went through the file before, the log writes there only for those that are left.
#[tokio::test]
async fn an_old_inbox_is_left_alone_during_traffic() {
    let fixture = Fixture::new();
    let app = app(&fixture);
    open(&fixture).await.close().await.unwrap();
    app.execute_batch("INSERT INTO sqlite_sequence (name, seq) VALUES ('sealog_inbox', 60000)").unwrap();
    let log = open(&fixture).await;
    let version = || app.query_row("PRAGMA data_version", [], |row| row.get::<_, i64>(0)).unwrap();
    let before = version();
    for i in 0..20 {
        let event = json!({"action": "a", "id": format!("id-{i}")}).to_string();
        app.execute("INSERT INTO sealog_inbox(event) VALUES (?1)", params![event]).unwrap();
        log.sequenced(&format!("id-{i}")).await.unwrap();
        // Time for it to write, but not the second without commits after which it may.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(version(), before, "somebody else wrote to the application's file");
    check(&log).await;
}

#[tokio::test]
async fn what_can_have_no_inbox_is_said_to_have_none() {
    let fixture = Fixture::new();
    let mut app = app(&fixture);
    let path = |name: &str| fixture.dir.path().join(name);
    AuditLog::open(path("other.db")).await.unwrap().close().await.unwrap();
    std::fs::write(path("passwd"), "root:x:0:0:root:/root:/bin/bash\n".repeat(100)).unwrap();
    for (name, kind, words) in [
        ("mistyped.db", ErrorKind::NotFound, "no file"),
        ("other.db", ErrorKind::InvalidArgument, "a Sealog log"),
        ("passwd", ErrorKind::InvalidArgument, "no SQLite file"),
    ] {
        let error = fixture.builder().inbox(path(name)).open().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(words), "{error}");
    }
    assert!(!path("mistyped.db").exists());

    // A handle without one, and a transaction on a file without one.
    let log = fixture.open().await;
    let mut tx = app.transaction().unwrap();
    for error in [log.stage(Event::new("a")).unwrap_err(), log.log_in(&mut tx, Event::new("a")).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.message().contains("Builder::inbox"), "{error}");
    }
    drop(tx);
    let log = open(&fixture).await;
    let mut elsewhere = Connection::open(path("elsewhere.db")).unwrap();
    let error = log.log_in(&mut elsewhere.transaction().unwrap(), Event::new("a")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    // What the application's file is up to is not said of the log's.
    app.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut late = Connection::open(app_path(&fixture)).unwrap();
    late.busy_timeout(Duration::ZERO).unwrap();
    let error = log.log_in(&mut late.transaction().unwrap(), Event::new("a")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.message().contains("the application holds its file"), "{error}");
    let clone = log.clone();
    log.close().await.unwrap();
    assert_eq!(clone.stage(Event::new("a")).unwrap_err().kind(), ErrorKind::Closed);
}

/// One log, an inbox for each of two tenants: what a handle knows of one says nothing of the other.
#[tokio::test]
async fn a_position_in_one_inbox_deletes_no_row_of_another() {
    let fixture = Fixture::new();
    let mut files = Vec::new();
    for name in ["a.db", "b.db"] {
        let app = Connection::open(fixture.dir.path().join(name)).unwrap();
        app.pragma_update(None, "journal_mode", "wal").unwrap();
        set_clock(&fixture, &app);
        fixture.builder().inbox(fixture.dir.path().join(name)).open().await.unwrap().close().await.unwrap();
        files.push(app);
    }
    let insert = |app: &Connection, i: u64| {
        let event = json!({"action": "kept", "id": format!("kept-{i}")}).to_string();
        app.execute("INSERT INTO sealog_inbox(event) VALUES (?1)", params![event]).unwrap();
    };
    let log = fixture.builder().inbox(fixture.dir.path().join("a.db")).open().await.unwrap();
    (0..10).for_each(|i| insert(&files[0], i));
    log.sequenced("kept-9").await.unwrap();
    (10..20).for_each(|i| insert(&files[1], i));
    let staged = loop {
        let staged = log.stage(Event::new("staged")).unwrap().insert.unwrap();
        if staged.params[3] == "10" {
            break staged;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    files[1].execute(staged.sql, sealog::rusqlite::params_from_iter(&staged.params)).unwrap();
    let left: i64 = files[1].query_row("SELECT count(*) FROM sealog_inbox", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 11, "rows that nobody has drained are gone");
    log.close().await.unwrap();
    let log = fixture.builder().inbox(fixture.dir.path().join("b.db")).open().await.unwrap();
    log.sequenced("kept-19").await.unwrap();
    wait_for_size(&log, 21).await;
    check(&log).await;
}

#[tokio::test]
async fn an_inbox_belongs_to_one_log() {
    let fixture = Fixture::new();
    let _app = app(&fixture);
    open(&fixture).await.close().await.unwrap();
    let other = AuditLog::builder(fixture.dir.path().join("other.db")).origin("example.com/other");
    let error = other.inbox(app_path(&fixture)).open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.message().contains("example.com/audit"), "{error}");
    check(&open(&fixture).await).await;
}

#[tokio::test]
async fn rows_of_a_file_that_was_restored_are_not_missed() {
    let fixture = Fixture::new();
    let app = app(&fixture);
    let log = open(&fixture).await;
    for i in 0..20 {
        app.execute(
            "INSERT INTO sealog_inbox(event) VALUES (?1)",
            params![json!({"action": format!("n.{i}")}).to_string()],
        )
        .unwrap();
    }
    wait_for_size(&log, 20).await;
    app.execute_batch("DELETE FROM sealog_inbox; DELETE FROM sqlite_sequence WHERE name = 'sealog_inbox'").unwrap();
    app.execute("INSERT INTO sealog_inbox(event) VALUES ('{\"action\": \"after\", \"id\": \"after\"}')", []).unwrap();
    let waited = tokio::time::timeout(Duration::from_secs(20), log.sequenced("after")).await;
    assert_eq!(waited.expect("it is drained").unwrap().seq, 20);
    check(&log).await;
}

/// The application reads, then writes, in transactions that begin deferred: the very kind that fails
/// at once, whatever its busy timeout, when somebody else commits in between.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_never_holds_up_the_application() {
    let fixture = Fixture::new();
    let mut app = app(&fixture);
    app.busy_timeout(Duration::ZERO).unwrap();
    app.execute_batch("CREATE TABLE counter (n INTEGER); INSERT INTO counter VALUES (0)").unwrap();
    let log = open(&fixture).await;

    let stop = Arc::new(AtomicBool::new(false));
    let batches = tokio::spawn({
        let (log, stop) = (log.clone(), stop.clone());
        async move {
            let mut batches = 0;
            while !stop.load(Ordering::Relaxed) {
                log.log_bulk(vec![Event::new("busy"); 10]).await.unwrap();
                batches += 1;
                tokio::time::sleep(Duration::from_millis(8)).await;
            }
            batches
        }
    });
    let staging = log.clone();
    let application = tokio::task::spawn_blocking(move || {
        for i in 0..2000 {
            // No error here is the test: with a timeout of zero each collision is one.
            let mut tx = app.transaction_with_behavior(TransactionBehavior::Deferred).unwrap();
            let n: i64 = tx.query_row("SELECT n FROM counter", [], |row| row.get(0)).unwrap();
            std::thread::sleep(Duration::from_micros(500));
            tx.execute("UPDATE counter SET n = ?1", [n + 1]).unwrap();
            if i % 2 == 0 {
                staging.log_in(&mut tx, Event::new("counted")).unwrap();
            } else {
                tx.execute("INSERT INTO sealog_inbox(event) VALUES ('{\"action\": \"counted\"}')", []).unwrap();
            }
            tx.commit().unwrap();
        }
    });
    application.await.unwrap();
    stop.store(true, Ordering::Relaxed);
    let batches = batches.await.unwrap();
    wait_for_size(&log, batches * 10 + 2000).await;
    check(&log).await;
}
