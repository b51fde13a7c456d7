//! Tracked tables of an application's SQLite file.

use std::sync::Arc;

use sealog::rusqlite::Connection;
use sealog::{AuditLog, ErrorKind, Filter, Mode, Policy, Record, SystemClock, TrackOptions, WatchFrom, acting_in};
use serde_json::{Value, json};

use crate::application;
use crate::support::{Fixture, check};

struct App {
    fixture: Fixture,
    db: Connection,
}

impl App {
    fn new(schema: &str) -> Self {
        let fixture = Fixture::new();
        let db = Connection::open(fixture.dir.path().join("app.db")).unwrap();
        db.pragma_update(None, "journal_mode", "wal").unwrap();
        db.execute_batch(schema).unwrap();
        Self { fixture, db }
    }

    async fn log(&self, policy: Policy) -> AuditLog {
        let builder = application::builder(&self.fixture).clock(Arc::new(SystemClock::new()));
        builder.policy(policy).open().await.unwrap()
    }

    fn run(&self, sql: &str) {
        self.db.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// The events that these statements make, and no more.
    async fn changes(&self, log: &AuditLog, sql: &str) -> Vec<Record> {
        let from = log.head().await.unwrap().size;
        self.run(sql);
        self.run("INSERT INTO sealog_inbox (event) VALUES ('{\"action\": \"marker\"}')");
        let mut watch = log.watch(&Filter::new(), WatchFrom::Seq(from)).await.unwrap();
        let mut found = Vec::new();
        loop {
            let record = watch.next().await.unwrap().unwrap();
            if record.action == "marker" {
                break;
            }
            found.push(record);
        }
        check(log).await;
        assert_eq!(log.rejected_count().await.unwrap(), 0, "{:?}", log.rejected(0, 10).await);
        found
    }
}

/// `created 1`, `updated 2 /name`.
fn told(found: &[Record]) -> Vec<String> {
    let one = |record: &Record| {
        let paths: String = record.diff().unwrap_or_default().iter().flat_map(|op| [" ", &op.path]).collect();
        let action = record.action.strip_prefix("record.").unwrap();
        format!("{action} {}{paths}", record.resource_id.as_deref().unwrap_or("-"))
    };
    found.iter().map(one).collect()
}

#[tokio::test]
async fn every_kind_of_statement_is_captured_row_by_row() {
    let app = App::new(
        "CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE, email TEXT UNIQUE);
        CREATE TABLE \"it's $table\" (customer REFERENCES customer ON DELETE CASCADE, number, PRIMARY KEY (customer, number)) WITHOUT ROWID;
        PRAGMA foreign_keys = on",
    );
    let log = app.log(Policy::default()).await;
    log.track("Customer", TrackOptions::default()).await.unwrap();
    log.track("it's $table", TrackOptions::default()).await.unwrap();

    let found = app.changes(&log, "INSERT INTO customer VALUES (1, 'Ada', 'a'), (2, 'Bob', 'b')").await;
    assert_eq!(told(&found), ["created 1", "created 2"]);
    assert_eq!(found[0].after, Some(json!({"id": 1, "name": "Ada", "email": "a"})));
    assert_eq!((found[0].resource_type.as_deref(), found[0].actor_id.as_deref()), (Some("customer"), None));
    assert_eq!(told(&app.changes(&log, "INSERT INTO customer (name) VALUES ('Cy')").await), ["created 3"]);
    // To the byte, whatever the collation; and what changes nothing is no event.
    assert_eq!(told(&app.changes(&log, "UPDATE customer SET name = upper(name)").await).len(), 3);
    assert_eq!(told(&app.changes(&log, "UPDATE customer SET name = upper(name)").await), [""; 0]);
    let found = app.changes(&log, "UPDATE customer SET id = 10 WHERE id = 3").await;
    assert_eq!(told(&found), ["updated 10 /id"]);
    let found = app.changes(&log, "INSERT INTO \"it's $table\" VALUES (1, 'x'), (1, 'y')").await;
    assert_eq!(told(&found), ["created [1,\"x\"]", "created [1,\"y\"]"]);
    let found = app.changes(&log, "DELETE FROM customer WHERE id = 1").await;
    assert_eq!(
        (found.len(), found.iter().filter(|record| record.action == "record.deleted").count()),
        (3, 3),
        "by cascade"
    );

    // A transaction that rolls back, and a part of one.
    let found = app.changes(
        &log,
        "BEGIN; DELETE FROM customer; ROLLBACK; BEGIN; SAVEPOINT s; DELETE FROM customer; ROLLBACK TO s; COMMIT",
    );
    assert_eq!(told(&found.await), [""; 0]);
    assert_eq!(told(&app.changes(&log, "DELETE FROM customer").await).len(), 2);
    assert!(log.untrack("customer", None).await.unwrap() && !log.untrack("customer", None).await.unwrap());
    assert_eq!(told(&app.changes(&log, "INSERT INTO customer VALUES (7, 'x', 'y')").await), [""; 0]);
    log.close().await.unwrap();
}

#[tokio::test]
async fn what_takes_the_place_of_another_row_is_seen() {
    for recursive in [false, true] {
        let app = App::new(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT UNIQUE, b TEXT, UNIQUE (b COLLATE NOCASE));
            CREATE TABLE w (k TEXT PRIMARY KEY, v TEXT UNIQUE) WITHOUT ROWID",
        );
        app.db.pragma_update(None, "recursive_triggers", recursive).unwrap();
        let log = app.log(Policy::default()).await;
        for table in ["t", "w"] {
            log.track(table, TrackOptions::default()).await.unwrap();
        }
        app.changes(&log, "INSERT INTO t VALUES (1, 'a', 'b'), (2, 'c', 'd'), (-1, 'e', 'f'); INSERT INTO w VALUES ('k', 'v'), ('l', 'm')").await;
        // With recursive triggers SQLite tells of the row that goes by itself.
        let replaced = |updated: &[&str], deleted: &[&str]| -> Vec<String> {
            (if recursive { deleted } else { updated }).iter().map(|&text| text.to_owned()).collect()
        };
        let found = app.changes(&log, "INSERT OR REPLACE INTO t VALUES (1, 'a', 'x')").await;
        assert_eq!(told(&found), replaced(&["updated 1 /b"], &["deleted 1", "created 1"]), "{recursive}");
        let found = app.changes(&log, "REPLACE INTO t VALUES (5, 'a', 'D')").await;
        let (mut gone, came) = (told(&found), told(&found).pop());
        gone.sort();
        assert_eq!(
            (gone, came),
            (["created 5", "deleted 1", "deleted 2"].map(str::to_owned).to_vec(), Some("created 5".into()))
        );
        let first = found.iter().find(|record| record.resource_id.as_deref() == Some("1")).unwrap();
        assert_eq!(first.before, Some(json!({"id": 1, "a": "a", "b": "x"})));
        let found = app.changes(&log, "REPLACE INTO t VALUES (5, 'a', 'D')").await;
        assert_eq!(told(&found), replaced(&[], &["deleted 5", "created 5"]));
        assert_eq!(told(&app.changes(&log, "INSERT OR IGNORE INTO t VALUES (5, 'new', 'new')").await), [""; 0]);
        assert_eq!(told(&app.changes(&log, "INSERT INTO t (a, b) VALUES ('n', 'n')").await), ["created 6"]);
        let upsert = "INSERT INTO t VALUES (5, 'q', 'q') ON CONFLICT DO UPDATE SET b = 'up'";
        assert_eq!(told(&app.changes(&log, upsert).await), ["updated 5 /b"]);
        let found = app.changes(&log, "UPDATE OR REPLACE t SET a = 'e' WHERE id = 5").await;
        assert_eq!(told(&found), ["deleted -1", "updated 5 /a"], "{recursive}");
        assert_eq!(told(&app.changes(&log, "DELETE FROM t WHERE id = 6").await), ["deleted 6"]);
        assert!(app.db.execute("INSERT INTO t VALUES (5, 'z', 'z')", []).is_err());
        assert_eq!(told(&app.changes(&log, "INSERT INTO t VALUES (8, 'z', 'z')").await), ["created 8"]);
        let found = app.changes(&log, "REPLACE INTO w VALUES ('k', 'm')").await;
        let mut said = told(&found);
        said.sort();
        let deleted = ["created k", "deleted k", "deleted l"];
        assert_eq!(said, replaced(&["deleted l", "updated k /v"], &deleted), "{recursive}");
        log.close().await.unwrap();
    }
}

#[tokio::test]
async fn invariant_7_columns_are_left_out_and_hidden_before_the_inbox() {
    let app = App::new("CREATE TABLE person (id INTEGER PRIMARY KEY, email, iban, apiKey, gone, at, note)");
    let policy = Policy::default().redact_with("email", Mode::Mask).redact_with("gone", Mode::Remove);
    let log = app.log(policy.clone()).await;
    let wrong = [
        ("none", TrackOptions::default(), "no table"),
        ("person", TrackOptions::default().key("x"), "no column"),
        ("person", TrackOptions::default().exclude("id"), "cannot be left out"),
        ("sealog_inbox", TrackOptions::default(), "the log's own"),
        ("person", TrackOptions::default().inbox("other.db"), "no inbox in other.db"),
    ];
    for (table, options, said) in wrong {
        let error = log.track(table, options).await.unwrap_err();
        assert!(error.kind() == ErrorKind::InvalidArgument && error.message().contains(said), "{table}: {error}");
    }
    log.track("person", TrackOptions::default().exclude("at").redact("iban")).await.unwrap();
    app.run(
        "BEGIN; INSERT INTO person VALUES (1, 'secret-1@example.com', 'secret-2', 'secret-3', 'secret-4', 1, NULL);
        UPDATE person SET email = 'secret-5@example.com', iban = 'secret-6', gone = 'secret-7', at = 2; UPDATE person SET at = 3",
    );
    let mut rows = app.db.prepare("SELECT event FROM sealog_inbox").unwrap();
    let rows: Vec<String> = rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(rows.len() == 2 && rows.iter().all(|row| !row.contains("secret")), "{rows:?}");
    let found = app.changes(&log, "COMMIT").await;
    let hidden = json!({"id": 1, "email": "****.com", "iban": "[REDACTED]", "apiKey": "[REDACTED]", "note": null});
    assert_eq!((found[0].after.as_ref(), found[1].before.as_ref()), (Some(&hidden), Some(&hidden)));
    assert_eq!(told(&found)[1], "updated 1 /email /iban /gone");
    let tracked = log.tracked().await.unwrap();
    assert_eq!(
        (tracked[0].table.as_str(), &*tracked[0].exclude, &*tracked[0].redact),
        ("person", &["at".to_owned()][..], &["iban".to_owned()][..])
    );

    // What comes later is known when the log is opened next.
    log.close().await.unwrap();
    app.run("ALTER TABLE person ADD COLUMN pin; ALTER TABLE person RENAME COLUMN note TO remark");
    let log = app.log(policy.redact("pin")).await;
    let found = app.changes(&log, "UPDATE person SET pin = 'secret-8', remark = 'seen'").await;
    assert_eq!(told(&found), ["updated 1 /remark /pin"]);
    assert_eq!(found[0].after.as_ref().unwrap()["pin"], "[REDACTED]");
    log.close().await.unwrap();
}

#[tokio::test]
async fn values_are_exact_and_none_keeps_a_row_out_of_the_log() {
    let columns: Vec<_> = (0..150).map(|number| format!("c{number} DEFAULT {number}")).collect();
    let app = App::new(&format!(
        "CREATE TABLE v (id TEXT PRIMARY KEY, a, b, c, d, e); CREATE TABLE wide (id INTEGER PRIMARY KEY, {})",
        columns.join(", ")
    ));
    let log = app.log(Policy::default()).await;
    log.track("v", TrackOptions::default()).await.unwrap();
    log.track("wide", TrackOptions::default()).await.unwrap();
    let found = app
        .changes(
            &log,
            "INSERT INTO v VALUES ('1', 0.1, 1e308 * 10, 9223372036854775807, x'ff00', 'a' || char(0) || 'b')",
        )
        .await;
    assert_eq!(
        found[0].after,
        Some(json!({"id": "1", "a": 0.1, "b": "Inf", "c": i64::MAX, "d": "\\xff00", "e": "\\x610062"}))
    );
    let exact = app
        .changes(&log, "UPDATE v SET a = 0.30000000000000004, b = 5e-324, c = -0.0, d = '\u{1f600}', e = '\"\\'")
        .await;
    assert_eq!(exact[0].after.as_ref().unwrap()["a"], json!(0.300_000_000_000_000_04));
    assert_eq!(exact[0].after.as_ref().unwrap()["b"], json!(5e-324));
    let large = app
        .changes(&log, "UPDATE v SET e = hex(zeroblob(1000000)); UPDATE v SET e = '1' || substr(e, 2); UPDATE v SET id = hex(zeroblob(5000))")
        .await;
    assert_eq!(large[0].after.as_ref().unwrap()["e"], "[OMITTED 2000000 bytes]");
    assert_eq!(large[1].diff().unwrap()[0].path, "/e");
    assert!(large[2].resource_id.as_ref().unwrap().ends_with('…'));
    let wide = app.changes(&log, "INSERT INTO wide (id) VALUES (1); UPDATE wide SET c149 = 'x'").await;
    assert_eq!(wide[0].after.as_ref().unwrap().as_object().unwrap().len(), 151);
    assert_eq!(told(&wide), ["created 1", "updated 1 /c149"]);
    log.close().await.unwrap();
}

#[tokio::test]
async fn who_acts_is_told_for_one_transaction() {
    let mut app = App::new("CREATE TABLE t (id INTEGER PRIMARY KEY, a)");
    let log = app.log(Policy::default()).await;
    log.track("t", TrackOptions::default()).await.unwrap();
    let context = json!({"actorId": "u-1", "requestId": "r-1", "metadata": {"token": "t", "a": null}});
    let tx = app.db.transaction().unwrap();
    acting_in(&tx, &context, |tx| tx.execute("INSERT INTO t VALUES (1, 'x')", [])).unwrap();
    tx.execute("INSERT INTO t VALUES (2, 'x')", []).unwrap();
    tx.commit().unwrap();
    let found = app.changes(&log, "").await;
    let (first, second): (&Record, &Record) = match &found[..] {
        [first, second] => (first, second),
        // They may have been drained before.
        _ => panic!("{found:#?}"),
    };
    assert_eq!((first.actor_id.as_deref(), first.request_id.as_deref()), (Some("u-1"), Some("r-1")));
    assert_eq!(json!(first.metadata), json!({"token": "[REDACTED]", "a": null}));
    assert_eq!(second.actor_id, None);
    let tx = app.db.transaction().unwrap();
    for wrong in [json!({"action": "x"}), json!({"actorId": 5}), json!([])] {
        let error = acting_in(&tx, &wrong, |_| Ok(())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{wrong}");
    }
    drop(tx);
    log.close().await.unwrap();
}

/// The events of a table tell its state at the end of many random statements.
#[tokio::test]
async fn the_events_of_a_table_tell_its_state() {
    let app = App::new("CREATE TABLE stock (id INTEGER PRIMARY KEY, n UNIQUE, note)");
    let log = app.log(Policy::default()).await;
    log.track("stock", TrackOptions::default()).await.unwrap();
    let mut state = 7_u64;
    let mut draw = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut sql = String::new();
    for _ in 0..200 {
        let (id, n) = (draw(20), draw(20));
        let statement = match draw(5) {
            0 => format!("INSERT OR IGNORE INTO stock VALUES ({id}, {n}, 'i');"),
            1 => format!("REPLACE INTO stock VALUES ({id}, {n}, 'r');"),
            2 => format!("UPDATE OR REPLACE stock SET n = {n}, note = note || '!' WHERE id = {id};"),
            3 => format!("INSERT INTO stock VALUES ({id}, {n}, 'u') ON CONFLICT DO UPDATE SET note = 'up';"),
            _ => format!("DELETE FROM stock WHERE id = {id};"),
        };
        sql.push_str(&statement);
    }
    let mut rows = std::collections::BTreeMap::new();
    for record in app.changes(&log, &sql).await {
        let key = |state: &Option<Value>| state.as_ref().map(|state| state["id"].as_i64().unwrap());
        if let Some(id) = key(&record.before) {
            assert_eq!(rows.remove(&id), record.before, "{record:?}");
        }
        if let Some(id) = key(&record.after) {
            assert_eq!(rows.insert(id, record.after.clone().unwrap()), None, "{record:?}");
        }
    }
    let sql =
        "SELECT json_group_array(json_object('id', id, 'n', n, 'note', note)) FROM (SELECT * FROM stock ORDER BY id)";
    let table: String = app.db.query_row(sql, [], |row| row.get(0)).unwrap();
    assert!(rows.len() > 3);
    assert_eq!(Value::Array(rows.into_values().collect()), serde_json::from_str::<Value>(&table).unwrap());
    log.close().await.unwrap();
}
