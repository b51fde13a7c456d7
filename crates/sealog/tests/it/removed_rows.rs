//! What is left of removed events in the log's file, for whoever may write to it, or still reads it.

use sealog::{CleanupOptions, Erasure, ErasureMode, ErrorKind, Event, Subject};

use crate::support::{Fixture, check, report};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Invariant 8: each body that is gone without a receipt, or back in spite of one, is named.
#[tokio::test]
async fn a_removal_without_its_receipt_is_found() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    log.log_bulk((0..100).map(|i| Event::new("a").actor(format!("u-{}", i % 4))).collect()).await.unwrap();
    for _ in 0..5 {
        log.log(Event::new("b").actor("u-9")).await.unwrap();
    }
    fixture.clock.advance(DAY_MS);
    let backup = fixture.dir.path().join("backup.db");
    fixture.raw().execute("VACUUM INTO ?1", [backup.to_str().unwrap()]).unwrap();
    log.erase(&Erasure::new(Subject::actor("u-3"), "x")).await.unwrap();
    log.erase(&Erasure::new(Subject::actor("u-2"), "x").mode(ErasureMode::Fields)).await.unwrap();
    check(&log).await;
    let problems = || async {
        let problems = report(&log).await.problems;
        problems.into_iter().map(|problem| (problem.seq, problem.code)).collect::<Vec<_>>()
    };

    // A body more is gone.
    let raw = fixture.raw();
    raw.execute("UPDATE event SET body = x'', salt = zeroblob(16) WHERE seq = 102", []).unwrap();
    assert_eq!(problems().await[0], (102, "missing"));
    raw.execute_batch(&format!("ATTACH '{}' AS backup", backup.display())).unwrap();
    raw.execute("REPLACE INTO event SELECT * FROM backup.event WHERE seq = 102", []).unwrap();
    check(&log).await;

    // What was removed is back.
    raw.execute_batch("CREATE TEMP TABLE kept AS SELECT * FROM frame").unwrap();
    raw.execute("REPLACE INTO frame SELECT * FROM backup.frame", []).unwrap();
    let found = problems().await;
    assert!(found.contains(&(3, "restored")) && found.contains(&(2, "commitment")), "{found:?}");
    raw.execute("REPLACE INTO frame SELECT * FROM kept", []).unwrap();
    check(&log).await;

    // A receipt is not entered: what it covers is not covered.
    raw.execute("DELETE FROM own_event WHERE kind = 2 AND seq = 105", []).unwrap();
    let found = problems().await;
    assert!(found.contains(&(3, "missing")) && found.contains(&(105, "column")), "{found:?}");
    raw.execute("INSERT INTO own_event VALUES (2, 105), (2, 7)", []).unwrap();
    let found = problems().await;
    assert!(found.iter().any(|(_, code)| *code == "receipt"), "{found:?}");
    raw.execute("DELETE FROM own_event WHERE seq = 7", []).unwrap();
    check(&log).await;
    for action in ["sealog.retention.applied", "sealog.erasure.applied", "sealog.hold.placed"] {
        assert_eq!(log.log(Event::new(action)).await.unwrap_err().kind(), ErrorKind::ReservedAction);
    }
}

/// Whoever may write to the file and has no key cannot make `verify` believe that another event was removed, nor have
/// one swallowed that is still to come.
#[tokio::test]
async fn what_is_entered_of_removed_events_is_checked() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    log.log_bulk((0..100).map(|i| Event::new("a").id(format!("e-{i}")).actor(format!("u-{}", i % 4))).collect())
        .await
        .unwrap();
    log.erase(&Erasure::new(Subject::actor("u-3"), "x")).await.unwrap();
    log.erase(&Erasure::new(Subject::actor("u-2"), "x").mode(ErasureMode::Fields)).await.unwrap();
    check(&log).await;
    log.close().await.unwrap();
    let raw = fixture.raw();
    let undo = fixture.dir.path().join("undo.db");
    raw.execute("VACUUM INTO ?1", [undo.to_str().unwrap()]).unwrap();
    raw.execute_batch(&format!("ATTACH '{}' AS undo", undo.display())).unwrap();
    for sql in [
        // An event to come would be taken for one that is gone.
        "UPDATE event_id SET id = 'invoice-4711' WHERE seq = 3",
        "UPDATE event_id SET digest = zeroblob(16) WHERE seq = 3",
        "UPDATE event_id SET seq = 7 WHERE seq = 3",
        // One that is there would be taken for removed, and one that was not.
        "UPDATE event_id SET removed = 0 WHERE seq = 1",
        "UPDATE event_id SET removed = NULL WHERE seq = 2",
        "UPDATE event_id SET removed = NULL WHERE seq = 3",
        // A salt that is left tells what the event was to whoever guesses it.
        "UPDATE frame SET salts = (SELECT randomblob(length(salts))) WHERE seq = 0",
    ] {
        assert!(raw.execute(sql, []).unwrap() > 0, "{sql}");
        let log = fixture.builder().read_only(true).open().await.unwrap();
        assert!(!report(&log).await.is_ok(), "{sql}");
        log.close().await.unwrap();
        raw.execute_batch(
            "BEGIN; DELETE FROM event_id; INSERT INTO event_id SELECT * FROM undo.event_id; \
             REPLACE INTO frame SELECT * FROM undo.frame; COMMIT",
        )
        .unwrap();
        let log = fixture.builder().read_only(true).open().await.unwrap();
        check(&log).await;
        log.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_reader_of_an_old_state_holds_nobody_up() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    log.log_bulk((0..50).map(|_| Event::new("a").actor("ada")).collect()).await.unwrap();
    let raw = fixture.raw();
    raw.execute_batch("BEGIN").unwrap();
    raw.query_row("SELECT count(*) FROM event_id", [], |_| Ok(())).unwrap();
    let (erasing, began) = (log.clone(), std::time::Instant::now());
    let erased = tokio::spawn(async move { erasing.erase(&Erasure::new(Subject::actor("ada"), "x")).await });
    let mut logged = 0;
    while !erased.is_finished() {
        log.log(Event::new("b")).await.unwrap();
        logged += 1;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let erased = erased.await.unwrap().unwrap();
    // It is honest about what a reader still sees, and the next one sees to it.
    assert_eq!((erased.removed, erased.scrubbed), (50, false));
    assert!(logged > 20, "{logged} events in {:?}", began.elapsed());
    raw.execute_batch("COMMIT").unwrap();
    assert!(log.cleanup(&CleanupOptions::new()).await.unwrap().scrubbed);
    check(&log).await;
}
