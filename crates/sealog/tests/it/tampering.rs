//! What `verify` must find, and what it says of it.

mod random;

use sealog::rusqlite::{Connection, params};
use sealog::{ErrorKind, Event, Key, Problem, VerifyOptions};

use crate::application;
use crate::support::{Fixture, check, fill, report_at};

/// A closed log of 600 events: frames, and the last three as rows.
async fn closed_log() -> Fixture {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    for _ in 0..3 {
        fill(&log, 199).await;
    }
    for i in 0..3 {
        log.log(Event::new("single").actor(format!("u-{i}"))).await.unwrap();
    }
    check(&log).await;
    log.close().await.unwrap();
    fixture
}

async fn problems(fixture: &Fixture, options: VerifyOptions) -> Vec<Problem> {
    let report = report_at(&fixture.path(), options).await;
    for problem in &report.problems {
        assert_ne!(problem.expected, problem.found, "{problem}");
    }
    report.problems
}

/// Damages the file and answers what is found: code and seq of each problem.
async fn found(fixture: &Fixture, damage: impl FnOnce(&Connection)) -> Vec<(&'static str, u64)> {
    let raw = fixture.raw();
    damage(&raw);
    drop(raw);
    problems(fixture, VerifyOptions::default()).await.iter().map(|problem| (problem.code, problem.seq)).collect()
}

#[tokio::test]
async fn a_changed_body_is_named() {
    let fixture = closed_log().await;
    let found = found(&fixture, |raw| {
        raw.execute("UPDATE event SET body = replace(CAST(body AS TEXT), 'u-1', 'u-9') WHERE seq = 598", [])
            .unwrap_err();
        raw.execute(
            "UPDATE event SET body = CAST(replace(CAST(body AS TEXT), 'u-1', 'u-9') AS BLOB) WHERE seq = 598",
            [],
        )
        .unwrap();
    })
    .await;
    assert_eq!(found, [("commitment", 598)]);
}

#[tokio::test]
async fn a_changed_body_with_a_new_commitment_is_found_by_the_tree() {
    let fixture = closed_log().await;
    let found = found(&fixture, |raw| {
        // The attacker computes the commitment anew: only the tree knows better.
        let (salt, body): (Vec<u8>, Vec<u8>) = raw
            .query_row("SELECT salt, body FROM event WHERE seq = 598", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        let body = String::from_utf8(body).unwrap().replace("u-1", "u-9").into_bytes();
        let commitment = sha256(&[salt.as_slice(), &body].concat());
        raw.execute("UPDATE event SET body = ?1, commitment = ?2 WHERE seq = 598", params![body, commitment]).unwrap();
    })
    .await;
    // Between the checkpoint of size 598 and that of size 599 lies one event.
    assert_eq!(found, [("checkpoint", 598)]);
}

#[tokio::test]
async fn a_damaged_event_is_not_proven() {
    let fixture = closed_log().await;
    let (raw, log) = (fixture.raw(), fixture.builder().read_only(true).open().await.unwrap());
    log.proof(598).await.unwrap();
    raw.execute("UPDATE event SET body = CAST(replace(CAST(body AS TEXT), 'u-1', 'u-9') AS BLOB) WHERE seq = 598", [])
        .unwrap();
    let error = log.proof(598).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert!(error.message().contains("598"), "{error}");
    log.proof(599).await.unwrap();
    raw.execute("UPDATE event SET commitment = zeroblob(32) WHERE seq = 597", []).unwrap();
    assert_eq!(log.proof(599).await.unwrap_err().kind(), ErrorKind::Integrity);
}

#[tokio::test]
async fn damage_to_one_event_stops_no_other() {
    let fixture = Fixture::new();
    let app = Connection::open(fixture.dir.path().join("app.db")).unwrap();
    app.pragma_update(None, "journal_mode", "wal").unwrap();
    let log = application::builder(&fixture).open().await.unwrap();
    let event = |id: &str| Event::new("order.paid").id(id);
    log.log(event("damaged")).await.unwrap();
    fixture.raw().execute("UPDATE event SET body = x'00'", []).unwrap();

    let (again, other) = tokio::join!(log.log(event("damaged")), log.log(event("other")));
    assert_eq!(again.unwrap_err().kind(), ErrorKind::Integrity);
    other.unwrap();
    // What comes through an inbox is set aside, and those behind it go on.
    for id in ["damaged", "behind"] {
        let json = format!("{{\"action\": \"order.paid\", \"id\": \"{id}\"}}");
        app.execute("INSERT INTO sealog_inbox(event, inserted_at) VALUES (?1, 0)", [json]).unwrap();
    }
    log.sequenced("behind").await.unwrap();
    assert_eq!(log.rejected(0, 9).await.unwrap()[0].code, "integrity");
}

#[tokio::test]
async fn a_swapped_pair_is_named() {
    let fixture = closed_log().await;
    let found = found(&fixture, |raw| {
        raw.execute_batch(
            "UPDATE event SET seq = -1 WHERE seq = 597; UPDATE event SET seq = 597 WHERE seq = 598;
             UPDATE event SET seq = 598 WHERE seq = -1;
             UPDATE event_id SET seq = -1 WHERE seq = 597; UPDATE event_id SET seq = 597 WHERE seq = 598;
             UPDATE event_id SET seq = 598 WHERE seq = -1;",
        )
        .unwrap();
    })
    .await;
    assert_eq!(found, [("column", 597), ("checkpoint", 597), ("column", 598)]);
}

#[tokio::test]
async fn a_removed_row_is_named() {
    let fixture = closed_log().await;
    let found = found(&fixture, |raw| {
        raw.execute("DELETE FROM event WHERE seq = 598", []).unwrap();
        raw.execute("DELETE FROM event_id WHERE seq = 598", []).unwrap();
    })
    .await;
    assert_eq!(found, [("missing", 598), ("column", 0)]);
}

#[tokio::test]
async fn a_removed_frame_is_named() {
    let fixture = closed_log().await;
    let found = found(&fixture, |raw| {
        raw.execute("DELETE FROM frame WHERE seq = (SELECT max(seq) FROM frame)", []).unwrap();
    })
    .await;
    assert!(found.iter().all(|(code, seq)| *code == "missing" && (500..597).contains(seq)), "{found:?}");
    assert!(found.len() > 30);
}

#[tokio::test]
async fn a_damaged_frame_is_named() {
    let fixture = closed_log().await;
    let found = found(&fixture, |raw| {
        raw.execute("UPDATE frame SET bodies = substr(bodies, 2) WHERE seq = 199", []).unwrap();
    })
    .await;
    assert!(found.iter().all(|(code, seq)| *code == "unreadable" && (199..265).contains(seq)), "{found:?}");
    assert_eq!(found.first(), Some(&("unreadable", 199)));
}

#[tokio::test]
async fn a_removed_tail_is_found_with_a_checkpoint_from_elsewhere() {
    let fixture = closed_log().await;
    let log = fixture.builder().read_only(true).open().await.unwrap();
    let note = log.head().await.unwrap().checkpoint.note().to_owned();
    drop(log);
    let found = found(&fixture, |raw| {
        raw.execute_batch(
            "DELETE FROM event WHERE seq >= 598; DELETE FROM event_id WHERE seq >= 598;
             DELETE FROM checkpoint WHERE size > 598;",
        )
        .unwrap();
    })
    .await;
    // Consistent with itself, which is why the report says on what it rests.
    assert_eq!(found, []);
    let options = VerifyOptions { checkpoints: vec![note], ..VerifyOptions::default() };
    let problems = problems(&fixture, options).await;
    assert_eq!(problems.iter().map(|problem| (problem.code, problem.seq)).collect::<Vec<_>>(), [("truncated", 598)]);
    assert_eq!((&*problems[0].expected, &*problems[0].found), ("600 events", "598"));
}

/// The newest checkpoint against an older copy, which lacks the change to the key that signed it.
#[tokio::test]
async fn a_removed_tail_is_found_across_a_change_of_keys() {
    let fixture = closed_log().await;
    let copy = Fixture::new();
    std::fs::copy(fixture.path(), copy.path()).unwrap();
    let log = fixture.open().await;
    log.rotate_key().await.unwrap();
    fill(&log, 5).await;
    let note = log.head().await.unwrap().checkpoint.note().to_owned();
    let options = VerifyOptions { checkpoints: vec![note], ..VerifyOptions::default() };
    let problems = problems(&copy, options).await;
    assert_eq!(problems.iter().map(|problem| (problem.code, problem.seq)).collect::<Vec<_>>(), [("truncated", 600)]);
}

#[tokio::test]
async fn what_is_of_another_log_is_said_to_be() {
    let fixture = closed_log().await;
    let other = Fixture::new();
    let log = other.builder().origin("example.com/other").open().await.unwrap();
    fill(&log, 3).await;
    let (vkey, note) = (log.vkey().await.unwrap(), log.head().await.unwrap().checkpoint.note().to_owned());
    let options = VerifyOptions { vkey: Some(vkey), checkpoints: vec![note] };
    let found = problems(&fixture, options).await;
    assert_eq!(found.iter().map(|problem| problem.code).collect::<Vec<_>>(), ["other_log", "other_log"]);
    assert!(found[1].found.contains("example.com/other"), "{}", found[1]);
}

#[tokio::test]
async fn what_is_no_key_or_checkpoint_is_the_callers_mistake() {
    let fixture = closed_log().await;
    let log = fixture.builder().read_only(true).open().await.unwrap();
    for options in [
        VerifyOptions { vkey: Some("foo".to_owned()), ..VerifyOptions::default() },
        VerifyOptions { checkpoints: vec!["foo".to_owned()], ..VerifyOptions::default() },
    ] {
        assert_eq!(log.verify(options, |_| {}).await.unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
}

#[tokio::test]
async fn rows_without_a_checkpoint_are_found() {
    let fixture = closed_log().await;
    let found = found(&fixture, |raw| {
        raw.execute("DELETE FROM checkpoint WHERE size = 600", []).unwrap();
    })
    .await;
    assert_eq!(found, [("unsealed", 599), ("column", 0)]);
}

#[tokio::test]
async fn a_forged_checkpoint_is_named() {
    let fixture = closed_log().await;
    let found = found(&fixture, |raw| {
        let note: String = raw.query_row("SELECT note FROM checkpoint WHERE size = 598", [], |row| row.get(0)).unwrap();
        // The root of another tree, under the old signature.
        let mut lines: Vec<_> = note.lines().collect();
        let root = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        lines[2] = root;
        raw.execute("UPDATE checkpoint SET note = ?1 WHERE size = 598", params![lines.join("\n") + "\n"]).unwrap();
    })
    .await;
    assert_eq!(found.iter().map(|(code, _)| *code).collect::<Vec<_>>(), ["signature", "checkpoint"]);

    // A true statement, signed by a stranger under the log's name: only the signature is wrong.
    let fixture = closed_log().await;
    let strange = Fixture::new();
    for name in ["audit.db", "audit.db.key"] {
        std::fs::copy(fixture.dir.path().join(name), strange.dir.path().join(name)).unwrap();
    }
    let stranger = Key::generate("example.com/audit", &*fixture.clock).unwrap();
    strange.raw().execute("UPDATE signer SET vkey = ?1", params![stranger.vkey()]).unwrap();
    // What the secret is known by is the stranger's too.
    std::fs::remove_file(strange.dir.path().join("audit.db.key")).unwrap();
    let known: i64 = {
        let other = Fixture::new();
        other.builder().key(stranger.clone()).open().await.unwrap().close().await.unwrap();
        other.raw().query_row("SELECT value FROM state WHERE name = 'secret'", [], |row| row.get(0)).unwrap()
    };
    strange.raw().execute("UPDATE state SET value = ?1 WHERE name = 'secret'", params![known]).unwrap();
    let log = strange.builder().key(stranger).open().await.unwrap();
    log.log(Event::new("further")).await.unwrap();
    log.close().await.unwrap();
    // The stranger's log with the owner's key in its table: as if the stranger had written to the owner's.
    let vkey: String = fixture.raw().query_row("SELECT vkey FROM signer", [], |row| row.get(0)).unwrap();
    let found = self::found(&strange, |raw| {
        raw.execute("UPDATE signer SET vkey = ?1", params![vkey]).unwrap();
    })
    .await;
    assert_eq!(found, [("signature", 600)]);
}

/// A trigger could undo what is written, so the log is not written to either.
#[tokio::test]
async fn what_stands_beside_the_tables_is_named() {
    let fixture = closed_log().await;
    let found = found(&fixture, |raw| {
        raw.execute_batch("CREATE TRIGGER t AFTER INSERT ON event_id BEGIN DELETE FROM sealog_rejected; END").unwrap();
    })
    .await;
    assert_eq!(found, [("schema", 0)]);
    let error = fixture.builder().open().await.unwrap_err();
    assert!(error.kind() == ErrorKind::Integrity && error.message().contains("trigger t"), "{error}");
}

#[tokio::test]
async fn a_changed_size_of_entry_is_named() {
    for (change, place) in [("tree = 1", 10), ("tree = 700", 597), ("tree = 0", 599)] {
        let fixture = closed_log().await;
        let found = found(&fixture, |raw| {
            raw.execute(&format!("UPDATE event_id SET {change} WHERE seq = ?1"), [place]).unwrap();
        })
        .await;
        assert!(found[0] == ("column", place as u64) && found.len() <= 2, "{change}: {found:?}");
    }
}

#[tokio::test]
async fn a_replaced_key_is_named() {
    let fixture = closed_log().await;
    let log = fixture.builder().read_only(true).open().await.unwrap();
    let vkey = log.vkey().await.unwrap();
    drop(log);
    let stranger = Key::generate("example.com/audit", &*fixture.clock).unwrap();
    let found = found(&fixture, |raw| {
        raw.execute("UPDATE signer SET vkey = ?1", params![stranger.vkey()]).unwrap();
    })
    .await;
    assert!(!found.is_empty() && found.iter().all(|(code, _)| *code == "signature"), "{found:?}");
    let options = VerifyOptions { vkey: Some(vkey.clone()), ..VerifyOptions::default() };
    let problems = problems(&fixture, options).await;
    assert_eq!((problems[0].code, &problems[0].expected), ("key", &vkey));

    // A key change that no event hands over to.
    let fixture = closed_log().await;
    let found = self::found(&fixture, |raw| {
        raw.execute("INSERT INTO signer (since, vkey) VALUES (600, ?1)", params![stranger.vkey()]).unwrap();
    })
    .await;
    assert_eq!(found, [("signature", 599), ("key", 599)]);
}

#[tokio::test]
async fn changed_hashes_of_the_tree_are_named() {
    let fixture = closed_log().await;
    let found = found(&fixture, |raw| {
        raw.execute("UPDATE node SET hash = zeroblob(32) WHERE level = 1 AND idx = 1", []).unwrap();
    })
    .await;
    assert_eq!(found, [("tile", 256)]);
    let fixture = closed_log().await;
    let found = self::found(&fixture, |raw| {
        raw.execute("UPDATE checkpoint SET frontier = zeroblob(length(frontier)) WHERE size = 600", []).unwrap();
    })
    .await;
    assert_eq!(found, [("tile", 600)]);
}

/// Damage is no error of the check: it is what the check reports.
#[tokio::test]
async fn what_cannot_be_read_is_reported() {
    for damage in [
        "UPDATE signer SET since = -1",
        "DELETE FROM signer",
        "UPDATE event_id SET seq = -5 WHERE seq = 598",
        "UPDATE event_id SET id = CAST(id || x'00' AS BLOB)",
        "UPDATE event_id SET digest = x'00' WHERE seq = 598",
        "UPDATE frame SET count = -1 WHERE seq = 199",
        "UPDATE checkpoint SET note = CAST(x'ff' AS TEXT) WHERE size = 598",
    ] {
        let fixture = closed_log().await;
        fixture.raw().execute_batch(damage).unwrap();
        let opened = fixture.builder().read_only(true).open().await;
        match opened {
            Ok(log) => assert!(!crate::support::report(&log).await.is_ok(), "{damage}"),
            // Where not even the head can be read there is no log to check, and it says why.
            Err(error) => assert_eq!(error.kind(), sealog::ErrorKind::Integrity, "{damage}: {error}"),
        }
    }
}

#[tokio::test]
async fn an_anchor_keeps_checkpoints_elsewhere() {
    let fixture = Fixture::new();
    let anchor = fixture.dir.path().join("anchor");
    let open = || fixture.builder().anchor(&anchor).open();
    let log = open().await.unwrap();
    fill(&log, 10).await;
    // A thread of its own keeps it, and would keep the newer one had it not had its turn yet.
    while std::fs::metadata(&anchor).unwrap().len() == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    fill(&log, 10).await;
    fixture.clock.advance(60_000);
    fill(&log, 10).await;
    log.close().await.unwrap();
    let log = open().await.unwrap();
    fill(&log, 10).await;
    log.close().await.unwrap();

    // A crash in the middle of an append.
    let mut torn = std::fs::read(&anchor).unwrap();
    let whole = torn.len();
    torn.extend_from_slice(b"example.com/audit\n41\nAAAA");
    std::fs::write(&anchor, torn).unwrap();
    open().await.unwrap().close().await.unwrap();
    assert_eq!(std::fs::metadata(&anchor).unwrap().len(), whole as u64);

    let kept = sealog::Checkpoint::parse_many(&std::fs::read_to_string(&anchor).unwrap()).unwrap();
    assert_eq!(kept.iter().map(sealog::Checkpoint::size).collect::<Vec<_>>(), [10, 30, 40]);
    let checkpoints = kept.iter().map(|checkpoint| checkpoint.note().to_owned()).collect();
    let report = report_at(&fixture.path(), VerifyOptions { checkpoints, ..VerifyOptions::default() }).await;
    assert!(report.is_ok(), "{:?}", report.problems);
    assert_eq!(report.trust, sealog::Trust::Checkpoint);

    // A log rewritten from scratch with the same key passes on its own, and not against the anchor.
    std::fs::remove_file(fixture.path()).unwrap();
    let log = fixture.open().await;
    fill(&log, 50).await;
    check(&log).await;
    log.close().await.unwrap();
    let checkpoints = kept.iter().map(|checkpoint| checkpoint.note().to_owned()).collect();
    let problems = problems(&fixture, VerifyOptions { checkpoints, ..VerifyOptions::default() }).await;
    assert_eq!(problems.iter().map(|problem| problem.code).collect::<Vec<_>>(), ["checkpoint"; 3]);
}

/// A disk elsewhere that hangs holds up nobody; closing waits for it.
#[tokio::test]
async fn an_anchor_that_hangs_holds_up_no_event() {
    let fixture = Fixture::new();
    let anchor = fixture.dir.path().join("anchor");
    let log = fixture.builder().anchor(&anchor).open().await.unwrap();
    let hung = std::fs::File::open(&anchor).unwrap();
    hung.lock().unwrap();
    let limit = std::time::Duration::from_secs(20);
    tokio::time::timeout(limit, fill(&log, 3)).await.expect("no event waits for the anchor");
    tokio::time::timeout(limit, log.rotate_key()).await.expect("nor does a change of keys").unwrap();
    assert!(log.anchor().unwrap().last_error.is_none());
    assert_eq!(std::fs::read(&anchor).unwrap(), b"");
    hung.unlock().unwrap();
    log.close().await.unwrap();
    let (kept, _) = sealog::Checkpoint::read_anchor(&std::fs::read(&anchor).unwrap())
        .map(|(kept, rest)| (kept, rest.len()))
        .unwrap();
    assert_eq!(kept.last().map(sealog::Checkpoint::size), Some(4));
}

#[tokio::test]
async fn an_anchor_is_read_up_to_its_last_whole_signature() {
    let fixture = closed_log().await;
    let log = fixture.builder().read_only(true).open().await.unwrap();
    let note = log.head().await.unwrap().checkpoint.note().to_owned();
    let read = |text: &str| {
        let (kept, rest) = sealog::Checkpoint::read_anchor(text.as_bytes())?;
        Ok::<_, sealog::Error>((kept.len(), String::from_utf8(rest.to_vec()).unwrap()))
    };
    assert_eq!(read("").unwrap(), (0, String::new()));
    assert_eq!(read(&format!("{note}\n{note}")).unwrap(), (2, String::new()));
    for end in 1..note.len() {
        let Some(torn) = note.get(..end) else { continue };
        let (kept, rest) = read(&format!("{note}{torn}")).unwrap();
        assert_eq!((kept, &*rest), (1, torn));
    }
    // What stands in the middle is not cut off by a crash.
    assert_eq!(read(&format!("{note}torn\n{note}")).unwrap_err().kind(), ErrorKind::Integrity);
}

/// What is named as the anchor by mistake is refused, and left as it is.
#[tokio::test]
async fn an_anchor_takes_no_other_file() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    fill(&log, 3).await;
    log.close().await.unwrap();
    let path = |name: &str| fixture.dir.path().join(name);
    std::fs::write(path("notes.txt"), "what I must not forget").unwrap();
    std::fs::write(path("list.txt"), "one\ntwo\n\n\u{2014} three\n").unwrap();
    std::fs::create_dir(path("folder")).unwrap();
    for name in
        ["notes.txt", "list.txt", "audit.db", "audit.db.key", "folder/../audit.db.key", "audit.db-wal", "app.db"]
    {
        let before = std::fs::read(path(name)).ok();
        let opened = fixture.builder().inbox(path("app.db")).anchor(path(name)).open().await;
        assert_eq!(opened.unwrap_err().kind(), ErrorKind::InvalidArgument, "{name}");
        assert_eq!(std::fs::read(path(name)).ok(), before, "{name}");
    }
    for name in ["audit.db", "audit.db.key"] {
        let before = std::fs::read(path(name)).unwrap();
        let opened = fixture.builder().inbox(path(name)).open().await;
        assert_eq!(opened.unwrap_err().kind(), ErrorKind::InvalidArgument, "{name}");
        assert_eq!(std::fs::read(path(name)).unwrap(), before, "{name}");
    }
    // The beginning of a checkpoint of this log is one that a crash cut off.
    std::fs::write(path("torn"), "example.com/au").unwrap();
    fixture.builder().anchor(path("torn")).open().await.unwrap().close().await.unwrap();
    assert_eq!(std::fs::read(path("torn")).unwrap(), b"");
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).to_vec()
}
