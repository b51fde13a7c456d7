//! What every journal must do.

use sealog::{Change, ErrorKind, Event, Outcome, Severity, VerifyOptions, actions};
use serde_json::json;

use crate::support::{Fixture, NOW_MS, again, check, fill, receipt};

#[tokio::test]
async fn an_event_comes_back_as_it_was_sealed() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    let event = Event::new(actions::USER_LOGIN)
        .actor("u-1")
        .actor_type("user")
        .actor_name("Ada")
        .on_behalf_of("u-2")
        .resource("session", "s-1")
        .severity(Severity::Warning)
        .outcome(Outcome::Success)
        .ip_address("203.0.113.9")
        .user_agent("curl/8")
        .session("s-1")
        .request("r-1")
        .tag("web")
        .tenant("acme")
        .retention_category("security")
        .metadata(json!({"n": 1.5, "deep": {"list": [1, null, "ü"]}}));
    let receipt = receipt(log.log(event.clone()).await.unwrap());
    assert_eq!((receipt.seq, receipt.timestamp, receipt.tree_size), (0, NOW_MS, 1));

    let record = log.get(&receipt.id).await.unwrap();
    assert_eq!((record.seq(), record.timestamp(), record.recorded_at()), (0, NOW_MS, NOW_MS));
    assert_eq!(record.id(), receipt.id);
    let mut expected = serde_json::to_value(&event).unwrap();
    expected["id"] = json!(receipt.id);
    expected["timestamp"] = json!(NOW_MS);
    expected["recordedAt"] = json!(NOW_MS);
    expected["seq"] = json!(0);
    assert_eq!(serde_json::to_value(&record).unwrap(), expected);
    assert_eq!(serde_json::from_str::<serde_json::Value>(record.canonical_json()).unwrap(), expected);
    check(&log).await;
}

#[tokio::test]
async fn ids_and_times_come_from_the_clock_alone() {
    let ids = async || {
        let fixture = Fixture::new();
        let log = fixture.open().await;
        let first = receipt(log.log(Event::new("a")).await.unwrap()).id;
        fixture.clock.advance(1000);
        let second = log.log(Event::new("b")).await.unwrap();
        let head = log.head().await.unwrap();
        (first, second, head.checkpoint.note().to_owned())
    };
    let (first, second) = (ids().await, ids().await);
    assert_eq!(first, second);
    assert_eq!(first.0.len(), 36);
}

/// Invariant 2: seq is dense, and what was read once in an order is read in that order for ever.
#[tokio::test]
async fn invariant_2_seq_is_dense_in_every_form_of_storage() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    // Batches that are written as frames, batches that are written as rows and packed later, and
    // single events between them.
    let mut order = Vec::new();
    for round in 0..40 {
        let count = [1, 31, 32, 65, 200, 3][round % 6];
        let events = (0..count).map(|i| Event::new(format!("round.{round}")).actor(format!("{i}"))).collect();
        for logged in log.log_bulk(events).await.unwrap() {
            order.push(logged.id().to_owned());
        }
        if round % 10 == 0 {
            assert_eq!(check(&log).await, order.len() as u64);
        }
    }
    for reopened in [false, true] {
        let log = if reopened { fixture.open().await } else { log.clone() };
        let mut read = Vec::new();
        let mut from = 0;
        loop {
            let page = log.read(from, 97).await.unwrap();
            if page.events.is_empty() {
                break;
            }
            assert!(page.events.iter().zip(from..).all(|(record, seq)| record.seq() == seq));
            from = page.next_seq;
            read.extend(page.events.into_iter().map(|record| record.id().to_owned()));
        }
        assert_eq!(read, order);
        assert_eq!(check(&log).await, order.len() as u64);
    }
    let middle = log.read(17, 3).await.unwrap();
    assert_eq!(middle.events.iter().map(sealog::Record::seq).collect::<Vec<_>>(), [17, 18, 19]);
    assert_eq!(log.read(1_000_000, 5).await.unwrap().next_seq, 1_000_000);
    assert_eq!(log.read(0, 0).await.unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!(log.read(u64::MAX, 10).await.unwrap().events, []);
}

#[tokio::test]
async fn a_bulk_is_all_or_nothing() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    log.log(Event::new("first").id("taken")).await.unwrap();
    let error = log.log_bulk(vec![Event::new("a"), Event::new("b"), Event::new("")]).await.unwrap_err();
    assert_eq!((error.kind(), error.pointer()), (ErrorKind::InvalidEvent, Some("/2/action")));
    let error = log.log_bulk(vec![Event::new("a").id("new"), Event::new("b").id("taken")]).await.unwrap_err();
    assert_eq!((error.kind(), error.pointer()), (ErrorKind::IdConflict, Some("/1/id")));
    assert_eq!(check(&log).await, 1);
    assert_eq!(log.get("new").await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(log.log_bulk(Vec::new()).await.unwrap(), []);
}

/// The pointer names the event as the caller counts: those that sampling leaves out, and lists of one.
#[tokio::test]
async fn a_conflict_in_a_bulk_names_the_event_as_it_was_sent() {
    let fixture = Fixture::new();
    let log = fixture.builder().policy(sealog::Policy::default().sample_info(0.0)).open().await.unwrap();
    let kept = |id: &str| Event::new("alarm").id(id).severity(Severity::Error);
    log.log(kept("taken")).await.unwrap();
    let other = kept("taken").actor("other");
    let viewed = || Event::new("page.viewed");
    let bulk = vec![viewed(), viewed(), kept("new"), viewed(), other.clone()];
    let error = log.log_bulk(bulk).await.unwrap_err();
    assert_eq!((error.kind(), error.pointer()), (ErrorKind::IdConflict, Some("/4/id")));
    let error = log.log_bulk(vec![other.clone()]).await.unwrap_err();
    assert_eq!((error.kind(), error.pointer()), (ErrorKind::IdConflict, Some("/0/id")));
    let error = log.log(other).await.unwrap_err();
    assert_eq!((error.kind(), error.pointer()), (ErrorKind::IdConflict, Some("/id")));
    assert_eq!(check(&log).await, 1);
}

/// Invariant 10: the same id sent twice is one event and two equal receipts.
#[tokio::test]
async fn invariant_10_the_same_id_is_the_same_event() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    fill(&log, 3).await;
    for id in ["order-7", "0192f000-0000-7000-8000-000000000001", "0192F000-0000-7000-8000-000000000001"] {
        let event = Event::new("order.paid").id(id).metadata(json!({"password": "one", "n": 1}));
        let first = receipt(log.log(event.clone()).await.unwrap());
        fixture.clock.advance(60_000);
        assert!(!first.existed);
        assert_eq!(first, again(log.log(event.clone()).await.unwrap()));
        // What the policy hides still tells two events apart.
        let other = Event::new("order.paid").id(id).metadata(json!({"password": "two", "n": 1}));
        let error = log.log(other).await.unwrap_err();
        assert_eq!((error.kind(), error.pointer()), (ErrorKind::IdConflict, Some("/id")));
        // Twice in one batch, and beside a fresh one.
        let logged = log.log_bulk(vec![event.clone(), Event::new("x"), event.clone()]).await.unwrap();
        assert_eq!(again(logged[0].clone()), first);
        assert!(!receipt(logged[1].clone()).existed);
        assert_eq!(again(logged[2].clone()), first);
        // It is said where it is so, and nowhere else.
        assert_eq!(serde_json::to_value(&logged[0]).unwrap()["existed"], json!(true));
        assert!(serde_json::to_value(&logged[1]).unwrap().get("existed").is_none());
    }
    let twins = log.log_bulk(vec![Event::new("t").id("twin"), Event::new("t").id("twin")]).await.unwrap();
    assert_eq!(receipt(twins[0].clone()), again(twins[1].clone()));
    let error = log.log_bulk(vec![Event::new("t").id("pair"), Event::new("u").id("pair")]).await.unwrap_err();
    assert_eq!((error.kind(), error.pointer()), (ErrorKind::IdConflict, Some("/1/id")));
    // An id that the log chose is nobody else's.
    let drawn = log.log(Event::new("drawn")).await.unwrap();
    let error = log.log(Event::new("drawn").id(drawn.id())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::IdConflict);
    assert_eq!(check(&log).await, 3 + 3 * 2 + 1 + 1);

    // Another handle, on the same file, knows it too.
    let other = fixture.open().await;
    let event = Event::new("t").id("twin");
    assert_eq!(Some(&again(other.log(event).await.unwrap())), twins[0].receipt());
}

#[tokio::test]
async fn a_change_has_a_diff_even_of_what_is_hidden() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    let change = Change::new(actions::RECORD_UPDATED, "user", "u-1")
        .before(json!({"name": "Ada", "password": "old-secret"}))
        .after(json!({"name": "Ada", "password": "new-secret"}))
        .with(|event| event.actor("u-1"));
    let logged = log.log_change(change).await.unwrap();
    let record = log.get(logged.id()).await.unwrap();
    let diff = record.diff().unwrap();
    assert_eq!(diff.len(), 1);
    assert_eq!(diff[0].path, "/password");
    assert_eq!((&diff[0].old, &diff[0].value), (&Some(json!("[REDACTED]")), &Some(json!("[REDACTED]"))));
    assert!(!record.canonical_json().contains("secret"));

    let error = log.log_change(Change::new("a", "b", "c")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidEvent);
    check(&log).await;
}

#[tokio::test]
async fn what_is_sampled_away_is_counted() {
    let fixture = Fixture::new();
    let log = fixture.builder().policy(sealog::Policy::default().sample_info(0.25)).open().await.unwrap();
    let mut kept = 0;
    for i in 0..400 {
        let event = Event::new("page.viewed").id(format!("v-{i}"));
        let first = log.log(event.clone()).await.unwrap();
        kept += u64::from(first.receipt().is_some());
        // A retry falls alike.
        if i % 10 == 0 {
            assert_eq!(log.log(event).await.unwrap().receipt().is_some(), first.receipt().is_some());
        }
    }
    assert!((50..150).contains(&kept), "{kept}");
    let bulk = (0..50).map(|i| Event::new("page.viewed").id(format!("b-{i}"))).collect();
    let bulk = log.log_bulk(bulk).await.unwrap();
    assert!(bulk.iter().enumerate().all(|(i, logged)| logged.id() == format!("b-{i}")));
    for (i, severity) in [Severity::Warning, Severity::Error, Severity::Critical].into_iter().enumerate() {
        assert!(
            log.log(Event::new("alarm").id(format!("a-{i}")).severity(severity)).await.unwrap().receipt().is_some()
        );
    }
    let counted = log.sampled().await.unwrap();
    let size = check(&log).await;
    assert!(counted > 250, "{counted}");
    log.close().await.unwrap();
    let log = fixture.builder().read_only(true).open().await.unwrap();
    assert_eq!(log.sampled().await.unwrap(), counted);
    assert_eq!(log.head().await.unwrap().size, size);
}

#[tokio::test]
async fn proofs_stand_alone() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    fill(&log, 700).await;
    for _ in 0..5 {
        log.log(Event::new("single")).await.unwrap();
    }
    let vkey = log.vkey().await.unwrap();
    for seq in [0, 1, 255, 256, 511, 512, 699, 700, 704] {
        let text = log.proof(seq).await.unwrap().to_text();
        let proven = sealog::Proof::parse(&text).unwrap().verify(&vkey).unwrap();
        assert_eq!(proven.seq(), seq);
        assert_eq!(proven.canonical_json(), log.read(seq, 1).await.unwrap().events[0].canonical_json());
    }
    assert_eq!(log.proof(705).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn the_tree_can_be_published_and_compared() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    fill(&log, 100).await;
    let older = log.head().await.unwrap().checkpoint;
    fill(&log, 500).await;
    let (newer, proof) = log.consistency(100).await.unwrap();
    newer.extends(&older, &proof).unwrap();
    assert_eq!(older.extends(&newer, &proof).unwrap_err().kind(), ErrorKind::Integrity);
    assert_eq!(log.consistency(601).await.unwrap_err().kind(), ErrorKind::InvalidArgument);
    let sizes: Vec<_> = log.checkpoints(2).await.unwrap().iter().map(sealog::Checkpoint::size).collect();
    assert_eq!(sizes, [600, 100]);
    assert_eq!(log.checkpoints(1).await.unwrap(), [newer]);

    assert_eq!(log.tile("tile/0/000").await.unwrap().len(), 256 * 32);
    assert_eq!(log.tile("tile/0/002.p/88").await.unwrap().len(), 88 * 32);
    assert_eq!(log.tile("tile/1/000.p/2").await.unwrap().len(), 64);
    assert_eq!(log.tile("tile/entries/002.p/88").await.unwrap().len(), 88 * 34);
    assert_eq!(log.tile("tile/0/002").await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(log.tile("../audit.db.key").await.unwrap_err().kind(), ErrorKind::InvalidArgument);
}

#[tokio::test]
async fn a_new_key_takes_over_and_both_are_trusted() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    let other = fixture.builder().clock(std::sync::Arc::new(sealog::ManualClock::new(NOW_MS, 8))).open().await.unwrap();
    fill(&log, 10).await;
    let first = log.vkey().await.unwrap();
    let second = log.rotate_key().await.unwrap();
    assert_ne!(first, second);
    fill(&log, 10).await;
    // A handle that was open before takes up the new key by itself.
    fill(&other, 10).await;
    let third = other.rotate_key().await.unwrap();
    fill(&log, 300).await;
    assert_eq!(log.vkey().await.unwrap(), third);
    assert_eq!(check(&log).await, 332);
    for vkey in [first, second, third] {
        let options = VerifyOptions { vkey: Some(vkey), ..VerifyOptions::default() };
        assert!(log.verify(options, |_| {}).await.unwrap().is_ok());
    }
    let stranger = sealog::Key::generate("example.com/audit", &*fixture.clock).unwrap();
    let options = VerifyOptions { vkey: Some(stranger.vkey().to_owned()), ..VerifyOptions::default() };
    let report = log.verify(options, |_| {}).await.unwrap();
    assert_eq!(report.problems.iter().map(|problem| problem.code).collect::<Vec<_>>(), ["key"]);

    log.close().await.unwrap();
    other.close().await.unwrap();
    let log = fixture.open().await;
    fill(&log, 1).await;
    assert_eq!(check(&log).await, 333);
}

#[tokio::test]
async fn the_key_must_be_the_logs_own() {
    let fixture = Fixture::new();
    let key_path = fixture.dir.path().join("audit.db.key");
    let log = fixture.open().await;
    fill(&log, 3).await;
    log.close().await.unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&key_path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let text = std::fs::read_to_string(&key_path).unwrap();
    std::fs::remove_file(&key_path).unwrap();
    assert_eq!(fixture.builder().open().await.unwrap_err().kind(), ErrorKind::Key);
    assert!(!key_path.exists(), "a log that has a key gets no other");
    // Reading needs none.
    let reader = fixture.builder().read_only(true).open().await.unwrap();
    assert_eq!(check(&reader).await, 3);
    assert_eq!(reader.log(Event::new("a")).await.unwrap_err().kind(), ErrorKind::ReadOnly);

    let stranger = sealog::Key::generate("example.com/audit", &*fixture.clock).unwrap();
    std::fs::write(&key_path, stranger.to_text()).unwrap();
    let error = fixture.builder().open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Key);
    std::fs::write(&key_path, "nonsense").unwrap();
    assert_eq!(fixture.builder().open().await.unwrap_err().kind(), ErrorKind::Key);

    // From the environment or a secret store: the same text.
    let key = sealog::Key::parse(&text).unwrap();
    let log = fixture.builder().key(key).open().await.unwrap();
    fill(&log, 3).await;
    assert_eq!(log.rotate_key().await.unwrap_err().kind(), ErrorKind::Key);
    assert_eq!(check(&log).await, 6);
}

#[tokio::test]
async fn a_closed_log_says_so() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    let clone = log.clone();
    log.close().await.unwrap();
    assert_eq!(clone.log(Event::new("a")).await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(clone.close().await.unwrap_err().kind(), ErrorKind::Closed);
}

#[derive(Debug)]
struct BrokenClock;

impl sealog::Clock for BrokenClock {
    fn now_ms(&self) -> i64 {
        NOW_MS
    }

    fn fill(&self, bytes: &mut [u8]) {
        // Salts are drawn on the sequencer's thread.
        assert!(std::thread::current().name() != Some("sealog-sequencer"), "no randomness left");
        bytes.fill(1);
    }
}

#[tokio::test]
async fn a_panic_of_the_sequencer_is_told() {
    let fixture = Fixture::new();
    let log = fixture.builder().clock(std::sync::Arc::new(BrokenClock)).open().await.unwrap();
    assert_eq!(log.log(Event::new("a")).await.unwrap_err().kind(), ErrorKind::Closed);
    let error = log.close().await.unwrap_err();
    assert!(error.message().contains("no randomness left"), "{error}");
}

#[tokio::test]
async fn the_size_is_told_to_those_who_wait() {
    let fixture = Fixture::new();
    let (log, reader) = (fixture.open().await, fixture.builder());
    let reader = reader.read_only(true).open().await.unwrap();
    let waiting = tokio::spawn(async move { reader.grown(0).await.unwrap() });
    fill(&log, 5).await;
    assert_eq!(waiting.await.unwrap(), 5);
    assert_eq!(log.grown(4).await.unwrap(), 5);
}

#[tokio::test]
async fn old_checkpoints_are_thinned_and_the_newest_stay() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    for batch in 0..900 {
        fill(&log, if batch % 2 == 0 { 40 } else { 1 }).await;
    }
    let size = check(&log).await;
    let count = || fixture.count("checkpoint");
    // The 64 newest, one for each 4,096 events, and those since the last thinning.
    assert!(count() < 64 + size.div_ceil(4096) + 256 + 2, "{}", count());
    log.close().await.unwrap();
    let log = fixture.open().await;
    fill(&log, 1).await;
    fill(&log, 1).await;
    log.close().await.unwrap();
    assert!(count() < 64 + size.div_ceil(4096) + 4, "{}", count());
    let reader = fixture.builder().read_only(true).open().await.unwrap();
    assert_eq!(check(&reader).await, size + 2);
}
