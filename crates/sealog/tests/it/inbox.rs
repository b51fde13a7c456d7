//! Events in the application's own transactions.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sealog::rusqlite::{Connection, TransactionBehavior, params};
use sealog::{AuditLog, Clock, ErrorKind, Event, Policy};
use serde_json::json;

use crate::support::{Fixture, again, check};

const SECRET: &str = "correct-horse-battery-staple";

fn app_path(fixture: &Fixture) -> PathBuf {
    fixture.dir.path().join("app.db")
}

fn app(fixture: &Fixture) -> Connection {
    let connection = Connection::open(app_path(fixture)).unwrap();
    connection.pragma_update(None, "journal_mode", "wal").unwrap();
    set_clock(fixture, &connection);
    connection
}

/// The table's own default reads the machine's clock, and the log's must not be behind it.
fn set_clock(fixture: &Fixture, app: &Connection) {
    let now_ms = "SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)";
    fixture.clock.set(app.query_row(now_ms, [], |row| row.get(0)).unwrap());
}

async fn open(fixture: &Fixture) -> AuditLog {
    fixture.builder().inbox(app_path(fixture)).open().await.unwrap()
}

async fn wait_for_size(log: &AuditLog, size: u64) {
    let waited = tokio::time::timeout(Duration::from_secs(20), log.grown(size - 1)).await;
    assert_eq!(waited.expect("the inbox is drained").unwrap(), size);
}

/// Invariant 11: an event in a transaction that rolls back is never seen by anyone.
#[tokio::test]
async fn invariant_11_what_rolls_back_never_was() {
    let fixture = Fixture::new();
    let mut app = app(&fixture);
    app.execute_batch("CREATE TABLE invoice (id TEXT PRIMARY KEY)").unwrap();
    let log = open(&fixture).await;

    let tx = app.transaction().unwrap();
    tx.execute("INSERT INTO sealog_inbox(event) VALUES ('{\"action\": \"rolled.back\"}')", []).unwrap();
    drop(tx);
    let mut tx = app.transaction().unwrap();
    let lost = log.log_in(&mut tx, Event::new("rolled.back")).unwrap();
    drop(tx);

    let mut tx = app.transaction().unwrap();
    tx.execute("INSERT INTO invoice VALUES ('i-1')", []).unwrap();
    let kept = log.log_in(&mut tx, Event::new("invoice.created").resource("invoice", "i-1")).unwrap();
    tx.commit().unwrap();

    let receipt = log.sequenced(&kept.id).await.unwrap();
    assert_eq!(receipt.seq, 0);
    assert_eq!(log.get(&lost.id).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(check(&log).await, 1);
    let waited = tokio::time::timeout(Duration::from_millis(100), log.sequenced(&lost.id)).await;
    assert!(waited.is_err());
}

#[tokio::test]
async fn any_driver_may_insert_and_order_is_the_order_of_commits() {
    let fixture = Fixture::new();
    let app = app(&fixture);
    let log = open(&fixture).await;
    for i in 0..1200 {
        app.execute(
            "INSERT INTO sealog_inbox(event) VALUES (?1)",
            params![json!({"action": format!("n.{i}")}).to_string()],
        )
        .unwrap();
    }
    let id: String = app
        .query_row(
            "INSERT INTO sealog_inbox(event) VALUES ('{\"action\": \"last\", \"actorId\": \"u-1\"}') RETURNING id",
            [],
            |row| row.get(0),
        )
        .unwrap();
    let receipt = log.sequenced(&id).await.unwrap();
    assert_eq!(receipt.seq, 1200);
    let page = log.read(0, 1201).await.unwrap();
    assert!(page.events[..1200].iter().enumerate().all(|(i, record)| record.action == format!("n.{i}")));
    // The time is that of the insert, which the application's own SQLite told.
    assert!(page.events[1200].timestamp() > fixture.clock.now_ms() - 1000);
    assert_eq!(check(&log).await, 1201);
}

#[tokio::test]
async fn what_is_no_event_is_set_aside_and_stops_nothing() {
    let fixture = Fixture::new();
    let app = app(&fixture);
    let log = open(&fixture).await;
    let oversized = format!("{{\"action\": \"{}\"}}", "x".repeat(300));
    let password = json!({"action": "a", "metadata": {"password": SECRET}, "unknownField": 1}).to_string();
    let mut bad = Vec::new();
    for event in [
        "no json",
        "",
        "[]",
        "123",
        "{}",
        "{\"action\": \"\"}",
        "{\"action\": \"sealog.settings.changed\"}",
        "{\"action\": \"a\", \"severity\": \"loud\"}",
        "{\"action\": \"a\", \"timestamp\": -1}",
        "{\"action\": \"a\", \"metadata\": {\"x\": \"\\ud800\"}}",
        "{\"action\": \"a\", \"seq\": 1}",
        &oversized,
        &password,
    ] {
        let id: String = app
            .query_row("INSERT INTO sealog_inbox(event) VALUES (?1) RETURNING id", params![event], |row| row.get(0))
            .unwrap();
        bad.push(id);
    }
    app.execute("INSERT INTO sealog_inbox(event) VALUES (NULL)", []).unwrap();
    app.execute("INSERT INTO sealog_inbox(event) VALUES (x'ff00')", []).unwrap();
    app.execute("INSERT INTO sealog_inbox(event) VALUES (1.5)", []).unwrap();
    app.execute("INSERT INTO sealog_inbox(event, digest) VALUES ('{\"action\": \"a\"}', 'forged')", []).unwrap();
    let ahead = fixture.clock.now_ms() + 3_600_000;
    app.execute("INSERT INTO sealog_inbox(event, inserted_at) VALUES ('{\"action\": \"a\"}', ?1)", [ahead]).unwrap();
    for column in ["id", "inserted_at", "digest"] {
        for value in ["x'00ff'", "CAST(x'61ff' AS TEXT)", "''"] {
            let sql = format!("INSERT INTO sealog_inbox(event, {column}) VALUES ('{{\"action\": \"a\"}}', {value})");
            app.execute(&sql, []).unwrap();
        }
    }
    let good: String = app
        .query_row("INSERT INTO sealog_inbox(event) VALUES ('{\"action\": \"good\"}') RETURNING id", [], |row| {
            row.get(0)
        })
        .unwrap();
    log.sequenced(&good).await.unwrap();

    assert_eq!(log.rejected_count().await.unwrap(), 18 + 9);
    let rejected = log.rejected(0, 100).await.unwrap();
    assert!(rejected.iter().zip(&bad).all(|(rejected, id)| rejected.id == *id));
    assert_eq!(rejected[6].code, "reserved_action");
    assert_eq!(rejected[11].code, "limit_exceeded");
    // What is kept of it is redacted.
    assert_eq!(rejected[12].copy.as_ref().unwrap()["metadata"]["password"], "[REDACTED]");
    assert_eq!(log.rejected(16, 50).await.unwrap().len(), 11);
    let error = log.sequenced(&bad[0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidEvent);
    assert_eq!(check(&log).await, 1);
}

/// Invariant 7, for the ways through the library: what the policy redacts is in no file.
#[tokio::test]
async fn invariant_7_what_is_redacted_is_in_no_file() {
    let fixture = Fixture::new();
    let mut app = app(&fixture);
    let log = fixture
        .builder()
        .policy(Policy::default().redact_path("metadata.user.note"))
        .inbox(app_path(&fixture))
        .open()
        .await
        .unwrap();
    let event = || {
        Event::new("user.updated")
            .metadata(json!({"password": SECRET, "list": [{"api-key": SECRET}], "user": {"note": SECRET}}))
            .change(json!({"token": format!("{SECRET}-1")}), json!({"token": format!("{SECRET}-2")}))
    };
    log.log(event()).await.unwrap();
    log.log(event().id("by-id")).await.unwrap();
    log.log_bulk((0..100).map(|_| event()).collect()).await.unwrap();
    let mut tx = app.transaction().unwrap();
    let staged = log.log_in(&mut tx, event()).unwrap();
    tx.commit().unwrap();
    let insert = log.stage(event().id("staged")).unwrap().insert.unwrap();
    app.execute(insert.sql, sealog::rusqlite::params_from_iter(&insert.params)).unwrap();
    log.log(event().timestamp(-1)).await.unwrap_err();

    let scan = || {
        let bytes = fixture.all_bytes();
        assert!(bytes.len() > 10_000);
        assert!(!bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()), "a secret is in a file");
    };
    scan();
    log.sequenced(&staged.id).await.unwrap();
    log.sequenced("staged").await.unwrap();
    let records = log.read(0, 1000).await.unwrap().events;
    assert!(records.iter().all(|record| record.diff().is_some_and(|diff| diff.len() == 1)));
    assert_eq!(check(&log).await, 104);
    scan();
    log.close().await.unwrap();
    scan();
    // The bodies are compressed, so look into them too.
    let reader = fixture.builder().read_only(true).open().await.unwrap();
    assert!(reader.read(0, 1000).await.unwrap().events.iter().all(|record| !record.canonical_json().contains(SECRET)));
}

#[tokio::test]
async fn a_staged_event_is_the_event_that_was_logged() {
    let fixture = Fixture::new();
    let app = app(&fixture);
    let log = open(&fixture).await;
    let event = Event::new("order.paid").id("o-1").metadata(json!({"password": SECRET, "n": 1}));
    let insert = log.stage(event.clone()).unwrap().insert.unwrap();
    app.execute(insert.sql, sealog::rusqlite::params_from_iter(&insert.params)).unwrap();
    let receipt = log.sequenced("o-1").await.unwrap();
    // Sent again by another way, it is the same event.
    assert_eq!(again(log.log(event.clone()).await.unwrap()), receipt);
    let insert = log.stage(event).unwrap().insert.unwrap();
    app.execute(insert.sql, sealog::rusqlite::params_from_iter(&insert.params)).unwrap();
    let last = log.stage(Event::new("last")).unwrap();
    let insert = last.insert.unwrap();
    app.execute(insert.sql, sealog::rusqlite::params_from_iter(&insert.params)).unwrap();
    log.sequenced(&last.id).await.unwrap();
    assert_eq!((check(&log).await, log.rejected_count().await.unwrap()), (2, 0));

    // With other content it is set aside.
    app.execute("INSERT INTO sealog_inbox(event) VALUES ('{\"action\": \"other\", \"id\": \"o-1\"}')", []).unwrap();
    app.execute("INSERT INTO sealog_inbox(event) VALUES ('{\"action\": \"more\", \"id\": \"o-2\"}')", []).unwrap();
    log.sequenced("o-2").await.unwrap();
    let rejected = log.rejected(0, 9).await.unwrap().swap_remove(0);
    // Under the id that its event names, as any other row.
    assert_eq!((&*rejected.code, &*rejected.id), ("id_conflict", "o-1"));
    check(&log).await;
}

/// What waits for a staged event is told of that event, whatever else there is under its id.
#[tokio::test]
async fn another_event_under_the_id_does_not_pass_for_the_staged_one() {
    let fixture = Fixture::new();
    let app = app(&fixture);
    let log = open(&fixture).await;
    let put = |staged: &sealog::Staged| {
        let insert = staged.insert.as_ref().unwrap();
        app.execute(insert.sql, sealog::rusqlite::params_from_iter(&insert.params)).unwrap();
    };
    let settled = async |staged: &sealog::Staged| {
        let waited = tokio::time::timeout(Duration::from_secs(20), log.settled(staged)).await;
        waited.expect("it is drained")
    };
    // In the log there is another event with its id.
    log.log(Event::new("first").id("taken")).await.unwrap();
    let staged = log.stage(Event::new("second").id("taken")).unwrap();
    put(&staged);
    assert_eq!(settled(&staged).await.unwrap_err().kind(), ErrorKind::IdConflict);
    assert_eq!(log.sequenced("taken").await.unwrap().seq, 0);

    // A row was set aside under its id, and this is the corrected one.
    app.execute("INSERT INTO sealog_inbox(event) VALUES ('{\"id\": \"mended\", \"action\": \"\"}')", []).unwrap();
    assert_eq!(log.sequenced("mended").await.unwrap_err().kind(), ErrorKind::InvalidEvent);
    let staged = log.stage(Event::new("mended").id("mended")).unwrap();
    let early = tokio::time::timeout(Duration::from_millis(100), log.settled(&staged)).await;
    assert!(early.is_err(), "nothing was committed yet");
    put(&staged);
    let seq = settled(&staged).await.unwrap().receipt().unwrap().seq;
    assert_eq!(seq, 1);

    // An id that the log drew.
    let staged = log.stage(Event::new("drawn")).unwrap();
    put(&staged);
    assert_eq!(settled(&staged).await.unwrap().id(), staged.id);
    check(&log).await;
}

#[tokio::test]
async fn a_staged_event_that_was_sampled_away_is_not_waited_for() {
    let fixture = Fixture::new();
    let _app = app(&fixture);
    let log = fixture.builder().policy(Policy::default().sample_info(0.0)).inbox(app_path(&fixture)).open();
    let log = log.await.unwrap();
    let staged = log.stage(Event::new("page.viewed").id("v-1")).unwrap();
    assert_eq!(log.settled(&staged).await.unwrap(), sealog::Logged::Sampled { id: "v-1".to_owned() });
}

#[tokio::test]
async fn rows_that_are_in_the_log_go_and_a_second_log_handle_adds_nothing() {
    let fixture = Fixture::new();
    let app = app(&fixture);
    let log = open(&fixture).await;
    for i in 0..50 {
        app.execute(
            "INSERT INTO sealog_inbox(event) VALUES (?1)",
            params![json!({"action": format!("n.{i}")}).to_string()],
        )
        .unwrap();
    }
    wait_for_size(&log, 50).await;
    // A staged event takes the drained rows with it, in the application's own transaction.
    let staged = loop {
        let staged = log.stage(Event::new("staged")).unwrap();
        let insert = staged.insert.clone().unwrap();
        if insert.params[3] == "50" {
            break staged;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let insert = staged.insert.unwrap();
    app.execute(insert.sql, sealog::rusqlite::params_from_iter(&insert.params)).unwrap();
    let left: i64 = app.query_row("SELECT count(*) FROM sealog_inbox", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 1);
    log.sequenced(&staged.id).await.unwrap();
    // A handle that starts anew reads what is left, and it is known.
    let other = open(&fixture).await;
    let started = Instant::now();
    let empty = || app.query_row("SELECT count(*) FROM sealog_inbox", [], |row| row.get::<_, i64>(0)).unwrap() == 0;
    while !empty() {
        assert!(started.elapsed() < Duration::from_secs(20), "drained rows stay");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(check(&other).await, 51);
}

#[tokio::test]
async fn what_was_committed_before_the_log_opened_or_closed_is_drained() {
    let fixture = Fixture::new();
    let app = app(&fixture);
    open(&fixture).await.close().await.unwrap();
    app.execute("INSERT INTO sealog_inbox(event) VALUES ('{\"action\": \"while.closed\"}')", []).unwrap();
    let log = open(&fixture).await;
    wait_for_size(&log, 1).await;
    app.execute("INSERT INTO sealog_inbox(event) VALUES ('{\"action\": \"just.before\"}')", []).unwrap();
    log.close().await.unwrap();
    let reader = fixture.builder().read_only(true).open().await.unwrap();
    assert_eq!(check(&reader).await, 2);
}

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

#[tokio::test]
async fn who_waits_for_an_event_that_is_set_aside_is_told() {
    let fixture = Fixture::new();
    let app = app(&fixture);
    let log = open(&fixture).await;
    app.execute("INSERT INTO sealog_inbox(event) VALUES ('{\"id\": \"mine\", \"action\": \"\"}')", []).unwrap();
    let waited = tokio::time::timeout(Duration::from_secs(20), log.sequenced("mine")).await;
    assert_eq!(waited.expect("it is told").unwrap_err().kind(), ErrorKind::InvalidEvent);
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
