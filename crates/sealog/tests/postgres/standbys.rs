//! High availability is PostgreSQL's own: what was acknowledged is on a standby.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sealog::{Event, Filter, VerifyOptions};
use throwaway_postgres::{Server, ServerOptions};

use crate::support::{Fixture, check};

/// Invariant 1 when a machine is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_is_lost_takes_nothing_along_that_was_acknowledged() {
    let settings = vec!["synchronous_standby_names = 'ANY 1 (a, b)'".to_owned()];
    let primary = Server::start(&ServerOptions { settings, ..ServerOptions::default() });
    let standbys = [primary.standby("a"), primary.standby("b")];
    let database = primary.database();
    let hosts = [&primary, &standbys[0], &standbys[1]].map(|server| format!("127.0.0.1:{}", server.port()));
    let url = format!("postgres://postgres@{}/{}?target_session_attrs=read-write", hosts.join(","), database.name());
    let fixture = Fixture::new();
    let log = fixture.builder_at(url).open().await.unwrap();

    let stop = Arc::new(AtomicBool::new(false));
    let (acknowledged, mut progress) = tokio::sync::watch::channel(0);
    let writer = tokio::spawn({
        let (log, stop) = (log.clone(), stop.clone());
        async move {
            let mut ids = Vec::new();
            while !stop.load(Ordering::Acquire) {
                let event = Event::new("node.wrote").id(log.new_id());
                // In doubt it is sent again: its id makes it the same event.
                while log.log(event.clone()).await.is_err() {}
                ids.extend(event.id);
                let _ = acknowledged.send(ids.len());
            }
            ids
        }
    });
    progress.wait_for(|count| *count >= 50).await.unwrap();
    let before = log.head().await.unwrap().checkpoint;
    let promoted = tokio::task::block_in_place(|| {
        primary.kill();
        // The one that is further has all that either has acknowledged.
        let received = |server: &&Server| -> u64 {
            let lsn = "SELECT pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0')::bigint";
            server.psql("postgres", lsn).expect("it answers").parse().expect("a number")
        };
        let promoted = standbys.iter().max_by_key(received).expect("there are two");
        promoted.configure("synchronous_standby_names = ''\n");
        promoted.psql("postgres", "SELECT pg_reload_conf()").expect("it answers");
        promoted.promote();
        promoted
    });
    let killed_at = *progress.borrow();
    progress.wait_for(|count| *count >= killed_at + 50).await.unwrap();
    stop.store(true, Ordering::Release);
    let ids = writer.await.unwrap();

    assert_eq!(log.count(&Filter::new().action("node.wrote")).await.unwrap(), ids.len() as u64);
    for id in &ids {
        log.get(id).await.unwrap();
    }
    check(&log).await;
    let options = VerifyOptions { checkpoints: vec![before.note().to_owned()], ..VerifyOptions::default() };
    let report = log.verify(options, |_| {}).await.unwrap();
    assert!(report.is_ok(), "{:#?}", report.problems);
    assert_eq!(promoted.psql(database.name(), "SELECT count(*) FROM sealog.event").unwrap(), ids.len().to_string());
    log.close().await.unwrap();
}
