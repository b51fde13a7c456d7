//! What is removed leaves a receipt and nothing else: clean-ups, holds, erasures.

use std::collections::BTreeMap;

use sealog::{
    AuditLog, CategoryRetention, CleanupOptions, Erasure, ErasureMode, ErrorKind, Event, Filter, HoldOptions,
    PageOptions, Proof, Severity, Subject,
};
use serde_json::json;

use crate::support::{Fixture, NOW_MS, check, receipt};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

async fn all(log: &AuditLog) -> Vec<u64> {
    log.read(0, 10_000).await.unwrap().events.iter().map(sealog::Record::seq).collect()
}

#[tokio::test]
async fn what_was_kept_long_enough_goes_and_leaves_a_receipt() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    log.update_settings(|settings| {
        settings.custom_retention = vec![
            CategoryRetention { category: "debug".to_owned(), retention_days: Some(1) },
            CategoryRetention { category: "tax".to_owned(), retention_days: None },
        ];
        Ok(())
    })
    .await
    .unwrap();
    let mut events = Vec::new();
    for i in 0..200 {
        let event = Event::new("record.viewed").id(format!("id-{i}")).actor(format!("u-{}", i % 7));
        events.push(match i % 4 {
            0 => event.severity(Severity::Critical),
            1 => event.retention_category("debug"),
            2 => event.retention_category("tax"),
            _ => event,
        });
    }
    log.log_bulk(events.clone()).await.unwrap();
    let proof = log.proof(4).await.unwrap().to_text();
    let vkey = log.vkey().await.unwrap();
    assert_eq!(log.cleanup(&CleanupOptions::new()).await.unwrap().removed, 0);

    fixture.clock.advance(2 * DAY_MS);
    let dry = log.cleanup(&CleanupOptions::new().dry_run(true)).await.unwrap();
    assert_eq!((dry.removed, dry.by_category.clone()), (50, BTreeMap::from([("debug".to_owned(), 50)])));
    assert_eq!((dry.oldest, dry.newest), (Some(NOW_MS), Some(NOW_MS)));
    assert_eq!(check(&log).await, 201);
    let done = log.cleanup(&CleanupOptions::new().batch_size(16)).await.unwrap();
    assert_eq!((done.removed, done.by_severity, done.scrubbed), (50, dry.by_severity, true));
    check(&log).await;
    assert_eq!(log.count(&Filter::new().retention_category("debug")).await.unwrap(), 0);

    fixture.clock.advance(100 * DAY_MS);
    assert_eq!(log.cleanup(&CleanupOptions::new()).await.unwrap().removed, 50);
    fixture.clock.advance(300 * DAY_MS);
    assert_eq!(log.cleanup(&CleanupOptions::new()).await.unwrap().removed, 50);
    check(&log).await;
    let kept = log.search(&Filter::new().action("record.viewed"), &PageOptions::new().limit(100)).await.unwrap();
    assert_eq!(kept.events.len(), 50);
    assert!(kept.events.iter().all(|record| record.retention_category.as_deref() == Some("tax")));

    // Receipts tell what went and why, and proofs of what went hold for ever.
    let (applied, page) = (Filter::new().action("sealog.retention.applied"), PageOptions::new().limit(100));
    let receipts = log.search(&applied, &page).await.unwrap().events;
    let count: u64 = receipts.iter().map(|receipt| receipt.metadata.as_ref().unwrap()["count"].as_u64().unwrap()).sum();
    assert_eq!(count, 150);
    assert_eq!(receipts[0].metadata.as_ref().unwrap()["settingsSeq"], json!(0));
    assert!(Proof::parse(&proof).unwrap().verify(&vkey).is_ok());
    let error = log.proof(4).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(log.get("id-3").await.unwrap_err().message().contains("was removed"));

    // Sent again, they are known, and nothing comes back.
    let size = check(&log).await;
    let again = log.log_bulk(events).await.unwrap();
    assert_eq!(check(&log).await, size);
    for (i, logged) in again.into_iter().enumerate() {
        let receipt = receipt(logged);
        assert_eq!((receipt.seq, receipt.existed, receipt.removed), (1 + i as u64, true, i % 4 != 2), "{receipt:?}");
        assert_eq!((receipt.timestamp, receipt.tree_size), (NOW_MS, 201));
    }
    // And another one under the id of one that is gone is it, since nobody knows any more.
    let other = receipt(log.log(Event::new("other").id("id-3")).await.unwrap());
    assert!(other.removed && other.seq == 4);
    log.reindex().await.unwrap();
    assert_eq!(log.count(&Filter::new().action("record.viewed")).await.unwrap(), 50);
}

#[tokio::test]
async fn a_history_that_was_imported_is_as_old_as_its_import() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    let events = (0..40).map(|i| Event::new("old").timestamp(1_000 + i)).collect();
    log.log_bulk(events).await.unwrap();
    assert_eq!(log.cleanup(&CleanupOptions::new()).await.unwrap().removed, 0);
    assert_eq!(log.cleanup(&CleanupOptions::new().older_than_days(1)).await.unwrap().removed, 0);
    fixture.clock.advance(DAY_MS);
    assert_eq!(log.cleanup(&CleanupOptions::new().older_than_days(1)).await.unwrap().removed, 40);
    check(&log).await;
}

#[tokio::test]
async fn a_clean_up_ends_whatever_the_oldest_are() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    let critical = (0..300).map(|_| Event::new("a").severity(Severity::Critical)).collect();
    log.log_bulk(critical).await.unwrap();
    log.log_bulk((0..300).map(|_| Event::new("b")).collect()).await.unwrap();
    fixture.clock.advance(400 * DAY_MS);
    let options = CleanupOptions::new().older_than_days(90).preserve_severity(Severity::Critical).batch_size(10);
    assert_eq!(log.cleanup(&options).await.unwrap().removed, 300);
    assert_eq!(log.cleanup(&options).await.unwrap().removed, 0);
    assert_eq!(log.count(&Filter::new().action("a")).await.unwrap(), 300);
    check(&log).await;
}

#[tokio::test]
async fn nothing_under_a_hold_goes() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    let events = (0..100).map(|i| Event::new("a").actor(format!("u-{}", i % 2)).metadata(json!({"case": i % 10})));
    log.log_bulk(events.collect()).await.unwrap();
    let hold = log.place_hold(HoldOptions::new(Filter::new().actor("u-1"), "case 7").owner("legal")).await.unwrap();
    assert_eq!(log.holds().await.unwrap(), std::slice::from_ref(&hold));
    fixture.clock.advance(DAY_MS);
    let old = CleanupOptions::new().older_than_days(1);
    let done = log.cleanup(&old).await.unwrap();
    assert_eq!((done.removed, done.held), (50, 50));
    let erased = log.erase(&Erasure::new(Subject::actor("u-1"), "gdpr-17")).await.unwrap();
    assert_eq!((erased.removed, erased.held), (0, 50));
    assert_eq!(log.lift_hold("nothing", "done").await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(log.lift_hold(&hold.id, "").await.unwrap_err().pointer(), Some("/reason"));
    assert_eq!(log.lift_hold(&hold.id, "closed").await.unwrap(), hold);
    assert_eq!(log.holds().await.unwrap(), []);
    assert_eq!(log.cleanup(&old).await.unwrap().removed, 50);
    check(&log).await;
    // Holds and receipts stay, whatever is asked.
    fixture.clock.advance(4000 * DAY_MS);
    assert_eq!(log.cleanup(&CleanupOptions::new().older_than_days(0)).await.unwrap().removed, 0);
    let actions: Vec<_> = log.read(100, 100).await.unwrap().events.iter().map(|record| record.action.clone()).collect();
    assert_eq!(
        actions,
        [
            "sealog.hold.placed",
            "sealog.retention.applied",
            "sealog.erasure.applied",
            "sealog.hold.lifted",
            "sealog.retention.applied"
        ]
    );
}

#[tokio::test]
async fn erased_words_are_in_no_file() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    for round in 0..3 {
        let events = (0..60).map(|i| {
            let event = Event::new("user.login").resource("invoice", format!("i-{i}"));
            if i % 20 == 7 {
                event
                    .id(format!("zebra-{round}-{i}"))
                    .actor("zebra@example.com")
                    .actor_name("Zebedee Quagga")
                    .metadata(json!({"note": "quagga stripes"}))
            } else {
                event.actor("u-1").metadata(json!({"seen": "by zebra@example.com today"}))
            }
        });
        log.log_bulk(events.collect()).await.unwrap();
        log.log(Event::new("single").actor("zebra@example.com").id(format!("zebra-{round}"))).await.unwrap();
    }
    // Into segments, so that there is something to write anew.
    log.close().await.unwrap();
    let log = fixture.builder().tail_events(16).open().await.unwrap();
    assert_eq!(log.count(&Filter::new().text("stripes")).await.unwrap(), 9);
    assert!(fixture.holds("quagga") && fixture.holds("zebra-1"));

    let erased = log.erase(&Erasure::new(Subject::actor("zebra@example.com"), "gdpr-17").case("2026-7")).await.unwrap();
    assert_eq!((erased.removed, erased.reduced, erased.held, erased.scrubbed), (12, 0, 0, true));
    check(&log).await;
    for word in ["quagga", "Quagga", "stripes", "zebra-"] {
        assert!(!fixture.holds(word), "{word}");
    }
    assert_eq!(log.count(&Filter::new().text("stripes")).await.unwrap(), 0);
    // Others mention the address, and that goes where it is asked for.
    assert!(fixture.holds("zebra@example.com"));
    let erasure = Erasure::new(Subject::actor("zebra@example.com"), "gdpr-17").mentions(true);
    assert_eq!(log.erase(&erasure.clone().dry_run(true)).await.unwrap().reduced, 171);
    let erased = log.erase(&erasure).await.unwrap();
    assert_eq!((erased.removed, erased.reduced, erased.scrubbed), (0, 171, true));
    check(&log).await;
    assert!(!fixture.holds("zebra"));
    assert_eq!(log.count(&Filter::new().text("\"by ERASED today\"")).await.unwrap(), 171);
    assert_eq!(log.erase(&erasure).await.unwrap().reduced, 0);

    let receipts = log.search(&Filter::new().action("sealog.erasure.applied"), &PageOptions::new()).await.unwrap();
    let metadata = receipts.events.last().unwrap().metadata.clone().unwrap();
    assert_eq!((&metadata["reason"], &metadata["case"]), (&json!("gdpr-17"), &json!("2026-7")));
    assert_eq!(metadata["subject"], json!(erased.subject));
    log.reindex().await.unwrap();
    assert_eq!(log.count(&Filter::new().text("\"by ERASED today\"")).await.unwrap(), 171);
    log.close().await.unwrap();
    assert!(!fixture.holds("zebra"));
}

#[tokio::test]
async fn what_is_left_of_an_event_is_sealed_by_the_receipt() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    let event = Event::new("user.login")
        .id("e-1")
        .actor("ada")
        .actor_type("user")
        .actor_name("Ada")
        .resource("session", "s-1")
        .severity(Severity::Warning)
        .ip_address("203.0.113.9")
        .tag("web")
        .tenant("acme")
        .timestamp(NOW_MS - 5);
    log.log(event.clone()).await.unwrap();
    log.log_bulk((0..64).map(|_| Event::new("other").actor("ada")).collect()).await.unwrap();
    let proof = log.proof(0).await.unwrap();
    let erasure = Erasure::new(Subject::actor("ada"), "gdpr-17").mode(ErasureMode::Fields);
    assert_eq!(log.erase(&erasure).await.unwrap().reduced, 65);
    check(&log).await;

    let left = log.get("e-1").await.unwrap();
    assert_eq!((left.action.as_str(), left.severity, left.timestamp()), ("user.login", Severity::Warning, NOW_MS - 5));
    assert_eq!((left.actor_id.as_deref(), left.actor_type.as_deref()), (Some("[ERASED]"), Some("user")));
    assert_eq!((left.resource_id.as_deref(), left.tenant.as_deref()), (Some("s-1"), Some("acme")));
    assert_eq!((&left.actor_name, &left.ip_address, left.tags.len()), (&None, &None, 0));
    assert_ne!(left.id(), "e-1");
    assert_eq!(log.get(left.id()).await.unwrap(), left);
    assert_eq!(log.count(&Filter::new().actor("[ERASED]")).await.unwrap(), 65);
    assert!(proof.verify(&log.vkey().await.unwrap()).is_ok());
    let error = log.proof(0).await.unwrap_err();
    assert!(error.kind() == ErrorKind::NotFound && error.message().contains("a part"), "{error}");
    let again = receipt(log.log(event).await.unwrap());
    assert_eq!((again.seq, again.removed, again.timestamp), (0, true, NOW_MS - 5));

    // Then all of it, by age.
    fixture.clock.advance(DAY_MS);
    assert_eq!(log.cleanup(&CleanupOptions::new().older_than_days(1)).await.unwrap().removed, 65);
    check(&log).await;
    assert!(receipt(log.log(Event::new("x").id("e-1")).await.unwrap()).removed);
    assert_eq!(all(&log).await, [65, 66]);
}

#[tokio::test]
async fn what_is_left_of_an_event_is_found_that_no_segment_had_yet() {
    let fixture = Fixture::new();
    // So many that nothing is on its way into a segment when the erasure comes.
    let log = fixture.builder().tail_events(64 * 1024).open().await.unwrap();
    for round in 0..3 {
        log.log_bulk((0..3).map(|_| Event::new("user.login").actor("ada")).collect()).await.unwrap();
        let erasure = Erasure::new(Subject::actor("ada"), "gdpr-17").mode(ErasureMode::Fields);
        assert_eq!(log.erase(&erasure).await.unwrap().reduced, 3);
        assert_eq!(log.count(&Filter::new().actor("[ERASED]")).await.unwrap(), 3 * (round + 1));
        check(&log).await;
    }
}

/// Two handles are as two processes to each other: one writes the index, the other one follows.
#[tokio::test]
async fn whoever_removes_it_is_gone_for_all() {
    let fixture = Fixture::new();
    let log = fixture.builder().tail_events(16).open().await.unwrap();
    let events = |from: usize| {
        let event = |i| Event::new("a").actor(format!("u-{}", i % 2)).metadata(json!({"word": format!("wombat{i}")}));
        (from..from + 100).map(event).collect::<Vec<_>>()
    };
    log.log_bulk(events(0)).await.unwrap();
    assert_eq!(log.count(&Filter::new()).await.unwrap(), 100);
    let other = fixture.builder().tail_events(16).open().await.unwrap();
    other.log_bulk(events(100)).await.unwrap();
    for (round, (one, two)) in [(&other, &log), (&log, &other)].into_iter().enumerate() {
        let actor = format!("u-{round}");
        // Both have it in memory or in a segment that they look at.
        assert_eq!(two.count(&Filter::new().actor(&*actor)).await.unwrap(), 100);
        let mode = if round == 0 { ErasureMode::Events } else { ErasureMode::Fields };
        let erased = one.erase(&Erasure::new(Subject::actor(&*actor), "x").mode(mode)).await.unwrap();
        assert!(erased.scrubbed && erased.removed + erased.reduced == 100, "{erased:?}");
        for handle in [one, two] {
            assert_eq!(handle.count(&Filter::new().actor(&*actor)).await.unwrap(), 0);
            let left = handle.count(&Filter::new().actor("[ERASED]")).await.unwrap();
            assert_eq!(left, if round == 0 { 0 } else { 100 });
            check(handle).await;
        }
    }
    assert!(!fixture.holds("wombat"));
    log.close().await.unwrap();
    other.close().await.unwrap();
    assert!(!fixture.holds("wombat"));
}

#[tokio::test]
async fn mentions_go_from_texts_and_from_nothing_else() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    for id in ["info", "metadata", "success"] {
        let event = Event::new("info.metadata").actor("other").metadata(json!({"info": 1, "metadata": "success"}));
        log.log(event.tag("info")).await.unwrap();
        let erased = log.erase(&Erasure::new(Subject::actor(id), "x").mentions(true)).await.unwrap();
        assert_eq!(erased.removed, 0);
        check(&log).await;
    }
    let left = log.read(0, 1).await.unwrap().events.remove(0);
    assert_eq!((left.action.as_str(), left.severity), ("info.metadata", Severity::Info));
    assert_eq!(left.metadata.clone().unwrap()["[ERASED]_"], json!("[ERASED]"));
    // Who erases their own data is not named by the receipt.
    let own = log.acting(Event::new("").actor("grace").ip_address("203.0.113.9"));
    own.place_hold(HoldOptions::new(Filter::new().actor("grace"), "x")).await.unwrap();
    let erased = own.erase(&Erasure::new(Subject::actor("grace"), "x")).await.unwrap();
    assert_eq!((erased.removed, erased.kept), (0, 1));
    let receipt = log.read(0, 100).await.unwrap().events.pop().unwrap();
    assert_eq!((receipt.action.as_str(), &receipt.actor_id), ("sealog.erasure.applied", &None));
}
