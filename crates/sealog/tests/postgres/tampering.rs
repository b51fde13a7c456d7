//! What somebody changes in the database, `verify` names: the twin of `it/tampering.rs`, whose reasons are here too.

use sealog::{AuditLog, Erasure, ErasureMode, ErrorKind, Event, Subject, VerifyOptions};

use crate::support::{Fixture, check, fill, report};

/// 300 events, some of them removed, and a few on their own at the end: 307 with the receipts.
async fn log(fixture: &Fixture) -> AuditLog {
    let log = fixture.open().await;
    fill(&log, 300).await;
    log.erase(&Erasure::new(Subject::actor("u-3"), "x")).await.unwrap();
    log.erase(&Erasure::new(Subject::actor("u-2"), "x").mode(ErasureMode::Fields)).await.unwrap();
    for number in 0..5 {
        log.log(Event::new("single").actor("u-9").id(format!("single-{number}"))).await.unwrap();
    }
    assert_eq!(check(&log).await, 307);
    log
}

/// Each damage, and the code and seq of a problem that must be found then; they are mended again by what was there.
#[tokio::test]
async fn whatever_is_changed_in_the_tables_is_named() {
    let fixture = Fixture::new();
    let log = log(&fixture).await;
    fixture.database().sql(
        "CREATE SCHEMA kept;
         CREATE TABLE kept.event AS TABLE sealog.event; CREATE TABLE kept.node AS TABLE sealog.node;
         CREATE TABLE kept.checkpoint AS TABLE sealog.checkpoint; CREATE TABLE kept.own_event AS TABLE sealog.own_event;
         CREATE TABLE kept.signer AS TABLE sealog.signer",
    );
    let anew = "sha256(salt || convert_to('{\"action\":\"forged\"}', 'UTF8'))";
    let damages = [
        ("UPDATE event SET body = jsonb_set(body, '{actorId}', '\"u-1\"') WHERE seq = 305", ("commitment", 305)),
        // Whoever computes the commitment anew is found by the tree.
        (
            &format!("UPDATE event SET body = '{{\"action\":\"forged\"}}', commitment = {anew} WHERE seq = 305"),
            ("checkpoint", 305),
        ),
        ("UPDATE event SET body = '7' WHERE seq = 305", ("commitment", 305)),
        ("UPDATE event SET commitment = sha256('') WHERE seq = 8", ("commitment", 8)),
        ("UPDATE event SET commitment = '' WHERE seq = 8", ("commitment", 8)),
        ("UPDATE event SET salt = sha256('') WHERE seq = 8", ("commitment", 8)),
        ("UPDATE event SET id = 'other' WHERE seq = 305", ("column", 305)),
        ("UPDATE event SET tree = 5 WHERE seq = 305", ("column", 305)),
        ("DELETE FROM event WHERE seq = 305", ("missing", 305)),
        ("UPDATE event SET seq = 400 WHERE seq = 306", ("missing", 306)),
        // Gone without a receipt, and back in spite of one.
        ("UPDATE event SET body = NULL, salt = NULL WHERE seq = 305", ("missing", 305)),
        ("UPDATE event SET body = '{\"action\":\"back\"}', salt = sha256('') WHERE seq = 3", ("restored", 3)),
        // What is entered of those that are gone would swallow one that is to come.
        ("UPDATE event SET id = 'invoice-4711' WHERE seq = 3", ("column", 3)),
        ("UPDATE event SET digest = sha256('') WHERE seq = 3", ("column", 3)),
        ("UPDATE event SET removed = NULL WHERE seq = 2", ("column", 2)),
        ("UPDATE event SET removed = 0 WHERE seq = 1", ("column", 1)),
        ("DELETE FROM own_event WHERE kind = 2 AND seq = 300", ("missing", 3)),
        ("INSERT INTO own_event (kind, seq) VALUES (2, 7)", ("receipt", 0)),
        ("UPDATE node SET hash = sha256('') WHERE level = 1 AND idx = 0", ("tile", 0)),
        ("DELETE FROM node WHERE level = 1 AND idx = 0", ("tile", 0)),
        ("DELETE FROM checkpoint WHERE size = 307", ("unsealed", 306)),
        ("UPDATE checkpoint SET note = replace(note, E'\\n306\\n', E'\\n305\\n') WHERE size = 306", ("signature", 305)),
        ("UPDATE checkpoint SET frontier = '' WHERE size = 307", ("tile", 307)),
        ("UPDATE signer SET vkey = replace(vkey, '+', '-')", ("signature", 0)),
    ];
    let mut missed = Vec::new();
    for (damage, expected) in damages {
        let rows = fixture.database().sql(&format!("SET search_path TO sealog; {damage} RETURNING 1"));
        assert!(!rows.is_empty(), "{damage}");
        let problems = report(&log).await.problems;
        assert!(problems.iter().all(|problem| problem.expected != problem.found), "{damage}: {problems:#?}");
        let found: Vec<_> = problems.iter().map(|problem| (problem.code, problem.seq)).collect();
        if !found.contains(&expected) {
            missed.push(format!("{damage}: {found:?}"));
        }
        fixture.database().sql(
            "BEGIN; TRUNCATE sealog.event, sealog.node, sealog.checkpoint, sealog.own_event, sealog.signer;
             INSERT INTO sealog.event TABLE kept.event; INSERT INTO sealog.node TABLE kept.node;
             INSERT INTO sealog.checkpoint TABLE kept.checkpoint; INSERT INTO sealog.own_event TABLE kept.own_event;
             INSERT INTO sealog.signer TABLE kept.signer; COMMIT",
        );
        check(&log).await;
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

#[tokio::test]
async fn a_removed_tail_is_found_with_a_checkpoint_from_elsewhere() {
    let fixture = Fixture::new();
    let log = log(&fixture).await;
    let note = log.head().await.unwrap().checkpoint.note().to_owned();
    fixture.database().sql("DELETE FROM sealog.event WHERE seq >= 305; DELETE FROM sealog.checkpoint WHERE size > 305");
    // Consistent with itself, which is why the report says on what it rests.
    assert_eq!(check(&log).await, 305);
    let options = VerifyOptions { checkpoints: vec![note], ..VerifyOptions::default() };
    let problems = log.verify(options, |_| {}).await.unwrap().problems;
    assert_eq!(problems.iter().map(|problem| (problem.code, problem.seq)).collect::<Vec<_>>(), [("truncated", 305)]);
}

#[tokio::test]
async fn a_damaged_event_is_neither_proven_nor_taken_for_another_and_stops_no_other() {
    let fixture = Fixture::new();
    let log = log(&fixture).await;
    fixture.database().sql("UPDATE sealog.event SET body = jsonb_set(body, '{actorId}', '\"u-1\"') WHERE seq = 305");
    let error = log.proof(305).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Integrity && error.message().contains("305"), "{error}");
    log.proof(304).await.unwrap();
    let new = log.log(Event::new("single").actor("u-9")).await.unwrap();
    assert_eq!(log.get(new.id()).await.unwrap().seq(), 307);
}
