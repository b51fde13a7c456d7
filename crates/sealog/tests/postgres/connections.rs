//! Connections that are cut, statements that time out, servers that start again: what was acknowledged is there
//! once, and what was not can be sent again.

use std::time::Duration;

use sealog::{AuditLog, Builder, ErrorKind, Event};
use throwaway_postgres::{Mode, Proxy};

use crate::support::{Fixture, check, fill, receipt};

/// A log behind a proxy, beside one that sees what is really there.
fn through(fixture: &Fixture, proxy: &Proxy) -> Builder {
    let database = fixture.database();
    let url = database.url().replace(&format!(":{}/", database.server().port()), &format!(":{}/", proxy.port()));
    fixture.builder_at(url).index(fixture.dir.path().join("through.index"))
}

async fn seqs(log: &AuditLog, action: &str) -> Vec<u64> {
    let page = log.read(0, 1000).await.unwrap();
    page.events.iter().filter(|event| event.action == action).map(sealog::Record::seq).collect()
}

#[tokio::test]
async fn invariant_1_a_connection_that_is_cut_at_a_commit_loses_and_repeats_nothing() {
    let fixture = Fixture::new();
    let direct = fixture.open().await;
    let proxy = Proxy::to(fixture.database().server().port());
    let log = through(&fixture, &proxy).open().await.unwrap();
    for (round, mode) in [Mode::CutBeforeCommit, Mode::CutAfterCommit].into_iter().cycle().take(8).enumerate() {
        // Sent by one statement, and copied.
        let count = if round % 4 < 2 { 1 } else { 200 };
        let action = format!("round.{round}");
        proxy.set(mode);
        let events = (0..count).map(|_| Event::new(&action)).collect();
        let logged = log.log_bulk(events).await.unwrap();
        assert_eq!(proxy.mode(), Mode::Pass, "the connection was cut");
        let receipts: Vec<_> = logged.into_iter().map(|logged| receipt(logged).seq).collect();
        assert_eq!(seqs(&direct, &action).await, receipts);
        check(&direct).await;
    }
    check(&log).await;
}

#[tokio::test]
async fn a_network_that_is_gone_is_told_after_the_time_to_wait_and_events_can_be_sent_again() {
    let fixture = Fixture::new();
    let direct = fixture.open().await;
    let proxy = Proxy::to(fixture.database().server().port());
    let log = through(&fixture, &proxy).patience(Duration::from_millis(400)).open().await.unwrap();
    fill(&log, 3).await;
    for mode in [Mode::Silent, Mode::Refuse] {
        proxy.set(mode);
        if mode == Mode::Refuse {
            proxy.cut();
        }
        let event = Event::new("again").id(log.new_id());
        let error = log.log(event.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Storage, "{error}");
        assert_eq!(log.head().await.unwrap_err().kind(), ErrorKind::Storage);
        // Others go on meanwhile.
        fill(&direct, 1).await;

        proxy.cut();
        proxy.set(Mode::Pass);
        let mut logged = log.log(event.clone()).await;
        while logged.as_ref().is_err_and(|error| error.kind() == ErrorKind::Storage) {
            logged = log.log(event.clone()).await;
        }
        let seq = receipt(logged.unwrap()).seq;
        assert_eq!(direct.get(event.id.as_deref().unwrap()).await.unwrap().seq(), seq);
        check(&direct).await;
    }
    assert_eq!(seqs(&direct, "again").await.len(), 2);
}

#[tokio::test]
async fn a_statement_that_times_out_in_the_middle_of_a_batch_stores_nothing_of_it() {
    let fixture = Fixture::new();
    let database = fixture.database();
    let direct = fixture.open().await;
    fill(&direct, 5).await;
    database.sql(&format!("ALTER DATABASE {} SET statement_timeout = '3s'", database.name()));
    let log = fixture.builder().index(fixture.dir.path().join("second.index")).open().await.unwrap();
    fill(&log, 1).await;

    // The events can be copied, and the checkpoint has to wait.
    let url = database.url();
    let holder = tokio::task::spawn_blocking({
        let psql = database.server().program("psql");
        move || {
            let sql = "SET statement_timeout = 0; BEGIN; LOCK TABLE sealog.checkpoint IN EXCLUSIVE MODE; SELECT pg_sleep(600)";
            std::process::Command::new(psql).args(["-X", "-q", "-d", &url, "-c", sql]).output()
        }
    });
    let held =
        "SELECT count(*) FROM pg_locks WHERE relation = 'sealog.checkpoint'::regclass AND mode = 'ExclusiveLock'";
    while database.sql(held) != "1" {
        tokio::task::yield_now().await;
    }
    for count in [1, 300] {
        let error = log.log_bulk((0..count).map(|_| Event::new("late")).collect()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
    }
    database.sql("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE relation = 'sealog.checkpoint'::regclass AND mode = 'ExclusiveLock'");
    let _ = holder.await.unwrap();
    assert_eq!(check(&log).await, 6);
    fill(&log, 300).await;
    assert_eq!(check(&log).await, 306);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_starts_again_is_waited_for() {
    let server = throwaway_postgres::Server::start(&throwaway_postgres::ServerOptions::default());
    let database = server.database();
    let fixture = Fixture::new();
    let log = fixture.builder_at(database.url()).open().await.unwrap();
    fill(&log, 10).await;
    for round in 0..3 {
        tokio::task::block_in_place(|| {
            if round % 2 == 0 {
                server.restart();
            } else {
                server.kill();
                server.resume();
            }
        });
        fill(&log, 10).await;
        assert_eq!(check(&log).await, 20 + 10 * round);
    }
    // It answers what it answered before, from an index that was there all the time.
    assert_eq!(log.count(&sealog::Filter::new().action("record.viewed")).await.unwrap(), 40);
    log.close().await.unwrap();
}
