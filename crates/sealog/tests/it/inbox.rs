//! Events in the application's own transactions.

mod file;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use sealog::rusqlite::{Connection, params};
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
    app.execute("INSERT INTO sealog_inbox(event, id) VALUES ('{\"action\": \"a\"}', ?1)", ["x".repeat(1000)]).unwrap();
    let good: String = app
        .query_row("INSERT INTO sealog_inbox(event) VALUES ('{\"action\": \"good\"}') RETURNING id", [], |row| {
            row.get(0)
        })
        .unwrap();
    log.sequenced(&good).await.unwrap();

    assert_eq!(log.rejected_count().await.unwrap(), 18 + 9 + 1);
    let rejected = log.rejected(0, 100).await.unwrap();
    assert!(rejected.iter().zip(&bad).all(|(rejected, id)| rejected.id == *id));
    assert_eq!(rejected[6].code, "reserved_action");
    assert_eq!(rejected[11].code, "limit_exceeded");
    // What is kept of it is redacted.
    assert_eq!(rejected[12].copy.as_ref().unwrap()["metadata"]["password"], "[REDACTED]");
    assert_eq!(log.rejected(16, 50).await.unwrap().len(), 12);
    let last = &log.rejected(27, 1).await.unwrap()[0];
    assert_eq!((&*last.code, last.id.len()), ("limit_exceeded", 256));
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
    let by_hand =
        "INSERT INTO sealog_inbox(position, event) VALUES (0, '{\"action\": \"a\"}'), (-7, '{\"action\": \"b\"}')";
    app.execute(by_hand, []).unwrap();
    let log = open(&fixture).await;
    wait_for_size(&log, 3).await;
    app.execute("INSERT INTO sealog_inbox(event) VALUES ('{\"action\": \"just.before\"}')", []).unwrap();
    log.close().await.unwrap();
    let reader = fixture.builder().read_only(true).open().await.unwrap();
    assert_eq!(check(&reader).await, 4);
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
