//! Events in the application's own transactions.

use std::collections::BTreeSet;
use std::time::Duration;

use sealog::{AuditLog, ErrorKind, Event};
use tokio_postgres::Client;

use crate::application::{self, connect};
use crate::support::{Fixture, check};

/// A log on the clock that the database has too.
async fn open(fixture: &Fixture, index: &str) -> AuditLog {
    application::builder(fixture).index(fixture.dir.path().join(index)).open().await.unwrap()
}

async fn insert(client: &Client, id: &str) {
    let sql = format!("INSERT INTO sealog.inbox (id, event) VALUES ('{id}', '{{\"action\": \"paid\"}}')");
    client.batch_execute(&sql).await.unwrap();
}

async fn ids(log: &AuditLog) -> Vec<String> {
    let mut ids = Vec::new();
    let mut from = 0;
    loop {
        let page = log.read(from, 5000).await.unwrap();
        if page.events.is_empty() {
            return ids;
        }
        ids.extend(page.events.iter().map(|event| event.id().to_owned()));
        from = page.next_seq;
    }
}

/// Invariant 11, and the order of commits.
#[tokio::test]
async fn slow_and_fast_transactions_are_seen_in_the_order_of_their_commits_and_none_is_missed() {
    let fixture = Fixture::new();
    let log = open(&fixture, "first").await;
    let (slow, fast, undone, old) =
        (connect(&fixture).await, connect(&fixture).await, connect(&fixture).await, connect(&fixture).await);
    // A snapshot from before all of it stays open.
    old.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").await.unwrap();
    let mut expected = Vec::new();
    for round in 0..5 {
        slow.batch_execute("BEGIN").await.unwrap();
        insert(&slow, &format!("slow-{round}")).await;
        undone.batch_execute("BEGIN").await.unwrap();
        insert(&undone, &format!("undone-{round}")).await;
        for number in 0..3 {
            let id = format!("fast-{round}-{number}");
            insert(&fast, &id).await;
            log.sequenced(&id).await.unwrap();
            expected.push(id);
        }
        // Behind what it saw.
        insert(&slow, &format!("slower-{round}")).await;
        undone.batch_execute("ROLLBACK").await.unwrap();
        slow.batch_execute("COMMIT").await.unwrap();
        log.sequenced(&format!("slower-{round}")).await.unwrap();
        expected.extend([format!("slow-{round}"), format!("slower-{round}")]);
        assert_eq!(ids(&log).await, expected);
        check(&log).await;
    }
    assert_eq!(fixture.database().sql("SELECT count(*) FROM sealog.inbox"), "0");
}

#[tokio::test]
async fn more_than_a_batch_takes_is_drained_once_and_in_order_by_several_nodes() {
    let fixture = Fixture::new();
    let log = open(&fixture, "first").await;
    let other = open(&fixture, "other").await;
    let app = connect(&fixture).await;
    let slow = connect(&fixture).await;
    slow.batch_execute("BEGIN").await.unwrap();
    insert(&slow, "slow").await;
    let many = "INSERT INTO sealog.inbox (id, event) \
                SELECT 'e-' || lpad(i::text, 5, '0'), '{\"action\": \"paid\"}' FROM generate_series(1, 4500) AS i";
    app.batch_execute(many).await.unwrap();
    log.sequenced("e-04500").await.unwrap();
    slow.batch_execute("COMMIT").await.unwrap();
    other.sequenced("slow").await.unwrap();
    let found = ids(&log).await;
    assert_eq!(found.len(), 4501);
    assert!(found[..4500].is_sorted() && found[4500] == "slow");
    assert_eq!(check(&other).await, 4501);
    assert_eq!(fixture.database().sql("SELECT count(*) FROM sealog.inbox"), "0");
}

/// What was drained stays in the table while an old snapshot may ask for it, and must not be stepped over again.
#[tokio::test]
async fn what_an_open_transaction_keeps_is_no_burden_to_later_rounds() {
    const ROUNDS: u64 = 8;
    let fixture = Fixture::new();
    let log = open(&fixture, "first").await;
    let app = connect(&fixture).await;
    let old = connect(&fixture).await;
    old.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_current_xact_id()").await.unwrap();
    for round in 0..ROUNDS {
        let many = format!(
            "INSERT INTO sealog.inbox (id, event) SELECT 'e-{round}-' || i, '{{\"action\": \"paid\"}}' \
             FROM generate_series(1, 2500) AS i"
        );
        app.batch_execute(&many).await.unwrap();
        log.sequenced(&format!("e-{round}-2500")).await.unwrap();
    }
    let rows = check(&log).await;
    assert_eq!(rows, ROUNDS * 2500);
    // What the log's connections read is counted at the latest when they end.
    log.close().await.unwrap();
    let read = "SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'inbox_pkey'";
    let read = || fixture.database().sql(read).parse::<u64>().unwrap();
    let enough = async {
        while read() < rows {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), enough).await.unwrap();
    // Found once and deleted once.
    assert!(read() < rows * 3, "{} index entries were read for {rows} rows", read());
}

#[tokio::test]
async fn what_is_no_event_is_set_aside_and_a_staged_event_vouches_for_itself() {
    let fixture = Fixture::new();
    let log = open(&fixture, "first").await;
    let app = connect(&fixture).await;
    for event in ["{}", "[]", "null", "{\"action\": 7}", "{\"action\": \"sealog.mine\"}"] {
        app.execute("INSERT INTO sealog.inbox (id, event) VALUES ($1, $2::text::json)", &[&event, &event])
            .await
            .unwrap();
        let kind = log.sequenced(event).await.unwrap_err().kind();
        assert!(matches!(kind, ErrorKind::InvalidEvent | ErrorKind::ReservedAction), "{event}: {kind:?}");
    }
    assert_eq!(log.rejected_count().await.unwrap(), 5);

    // What is no text for the log is one for the inbox, and no reason for the application to fail.
    app.execute("INSERT INTO sealog.inbox (id, event) VALUES ('nul', $1::text::json)", &[&r#"{"action": "\u0000"}"#])
        .await
        .unwrap();
    assert_eq!(log.sequenced("nul").await.unwrap_err().kind(), ErrorKind::InvalidEvent);

    let staged = log.stage(Event::new("paid").actor("ada")).unwrap();
    let insert = staged.insert.clone().unwrap();
    let params: Vec<&(dyn tokio_postgres::types::ToSql + Sync)> =
        insert.params.iter().map(|param| param as &(dyn tokio_postgres::types::ToSql + Sync)).collect();
    app.execute(insert.sql, &params).await.unwrap();
    let logged = log.settled(&staged).await.unwrap();
    assert_eq!(log.get(logged.id()).await.unwrap().actor_id.as_deref(), Some("ada"));
    // The same again is the same event; a code that is not the log's is no event.
    app.execute(insert.sql, &params).await.unwrap();
    app.execute("INSERT INTO sealog.inbox (id, event, digest) VALUES ('forged', '{\"action\": \"a\"}', 'ab')", &[])
        .await
        .unwrap();
    assert_eq!(log.sequenced("forged").await.unwrap_err().kind(), ErrorKind::InvalidEvent);
    assert_eq!(check(&log).await, 1);
    let unique: BTreeSet<_> = ids(&log).await.into_iter().collect();
    assert_eq!(unique.len(), 1);
}

/// Numbers of transactions begin anew where a database is restored from a dump.
#[tokio::test]
async fn an_inbox_that_was_restored_elsewhere_is_drained_as_a_whole() {
    let fixture = Fixture::new();
    let log = open(&fixture, "first").await;
    let app = connect(&fixture).await;
    insert(&app, "before").await;
    log.sequenced("before").await.unwrap();
    log.close().await.unwrap();
    // As of a cluster that was much further, with a row that waits.
    insert(&app, "waiting").await;
    fixture.database().sql(
        "UPDATE sealog.drained SET cluster = 1, seen = '900000000:900000000:'; UPDATE sealog.inbox SET xid = '899999999'",
    );
    let log = open(&fixture, "first").await;
    log.sequenced("waiting").await.unwrap();
    insert(&app, "after").await;
    log.sequenced("after").await.unwrap();
    assert_eq!(ids(&log).await, ["before", "waiting", "after"]);
    check(&log).await;
}
