//! Handles that read a part of the log: invariant 12.

use std::time::Duration;

use sealog::{
    AuditLog, Change, ErrorKind, Event, Filter, PageOptions, Record, Severity, StatsOptions, SuggestField,
    VerifyOptions, WatchFrom,
};
use serde_json::json;

use crate::support::{Fixture, check, receipt};

/// Logs the same for two tenants, one after the other; what belongs to the other one says so.
async fn log_both(log: &AuditLog, rounds: usize) {
    for round in 0..rounds {
        for tenant in ["acme", "globex"] {
            let event = Event::new(format!("{tenant}.viewed"))
                .id(format!("{tenant}-{round}"))
                .tenant(tenant)
                .actor(format!("{tenant}-user"))
                .severity(Severity::ALL[round % 4])
                .metadata(json!({"note": format!("secret of {tenant}")}));
            log.log(event).await.unwrap();
            let change = Change::new("doc.updated", "doc", "shared")
                .before(json!({"owner": tenant, "round": round}))
                .after(json!({"owner": tenant, "round": round + 1}))
                .with(|event| event.tenant(tenant).actor(format!("{tenant}-user")));
            log.log_change(change).await.unwrap();
        }
    }
}

fn is_own(record: &Record) -> bool {
    record.tenant.as_deref() == Some("acme") && !record.canonical_json().contains("globex")
}

/// Invariant 12: no way of reading shows anything from outside the scope, with the events in segments and
/// in the tail.
#[tokio::test]
async fn invariant_12_nothing_from_outside_the_scope_is_shown() {
    for tail_events in [4, 100_000] {
        let fixture = Fixture::new();
        let log = fixture.builder().tail_events(tail_events).open().await.unwrap();
        log_both(&log, 12).await;
        let size = log.head().await.unwrap().size;
        let scoped = log.scoped(&Filter::new().tenant("acme")).unwrap();
        let all = Filter::new();
        let page = PageOptions::new().limit(1000);

        let own = scoped.search(&all, &page).await.unwrap();
        assert_eq!((own.events.len(), own.has_more), (24, false));
        assert!(own.events.iter().all(is_own));
        let read = scoped.read(0, 1000).await.unwrap();
        assert_eq!((read.events.len(), read.next_seq), (24, size));
        assert!(read.events.iter().all(is_own));
        // Pages are counted inside the scope.
        let short = scoped.search(&all, &PageOptions::new().limit(24)).await.unwrap();
        assert_eq!((short.events.len(), short.has_more, short.next_cursor), (24, false, None));

        for filter in [
            Filter::new().tenant("globex"),
            Filter::new().actor("globex-user"),
            Filter::new().action("globex.*"),
            Filter::new().text("globex"),
            Filter::new().text("globex-3"),
            Filter::new().text("globex-user"),
        ] {
            assert_eq!(scoped.count(&filter).await.unwrap(), 0, "{filter}");
            assert_eq!(scoped.search(&filter, &page).await.unwrap().events, [], "{filter}");
            assert_eq!(scoped.stats(.., &filter, &StatsOptions::new()).await.unwrap().total, 0, "{filter}");
            assert!(log.count(&filter).await.unwrap() > 0, "{filter}");
        }
        let stats = scoped.stats(.., &all, &StatsOptions::new().top(1000)).await.unwrap();
        assert_eq!((stats.total, stats.by_severity.total()), (24, 24));
        assert_eq!(stats.series.iter().map(|bucket| bucket.by_severity.total()).sum::<u64>(), 24);
        assert!(stats.top_actions.iter().chain(&stats.top_actors).all(|entry| !entry.value.contains("globex")));

        let history = scoped.history("doc", "shared", &page).await.unwrap();
        assert_eq!(history.events.len(), 12);
        assert!(history.events.iter().all(is_own));
        let newest = scoped.state_at("doc", "shared", i64::MAX).await.unwrap();
        assert_eq!(newest.state, Some(json!({"owner": "acme", "round": 12})));
        assert!(scoped.query_by_resource("doc", "shared", &page).await.unwrap().events.iter().all(is_own));
        assert_eq!(scoped.query_by_actor("globex-user", &[], &page).await.unwrap().events, []);
        assert!(scoped.query_by_severity(&[Severity::Info], &page).await.unwrap().events.iter().all(is_own));

        let mut watch = scoped.watch(&all, WatchFrom::Seq(0)).await.unwrap();
        for expected in &read.events {
            assert_eq!(watch.next().await.unwrap().unwrap(), *expected);
        }
        assert!(is_pending(watch.next()).await, "what comes from outside does not come");
        assert!(scoped.watch_list(&all, 1000).unwrap().next().await.unwrap().unwrap().iter().all(is_own));
        let critical = scoped.watch_critical(&[], 1000).unwrap().next().await.unwrap().unwrap();
        assert_eq!(critical.len(), 6);
        assert!(critical.iter().all(is_own));
        let mut stats_watch = scoped.watch_stats(.., &all, &StatsOptions::new().top(1000)).unwrap();
        assert_eq!(stats_watch.next().await.unwrap().unwrap(), stats);
        log.log(Event::new("globex.viewed").tenant("globex")).await.unwrap();
        assert!(is_pending(stats_watch.next()).await, "nothing is told when nothing changes");
        check(&log).await;
    }
}

async fn is_pending<T>(next: impl Future<Output = T>) -> bool {
    tokio::time::timeout(Duration::from_millis(300), next).await.is_err()
}

/// Invariant 12: an id or a seq from outside is answered as one that is not there.
#[tokio::test]
async fn invariant_12_what_is_outside_is_as_if_it_were_not_there() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    log_both(&log, 1).await;
    let other = receipt(log.log(Event::new("n").id("theirs").tenant("globex")).await.unwrap());
    let mine = receipt(log.log(Event::new("n").id("mine").tenant("acme")).await.unwrap());
    let scoped = log.scoped(&Filter::new().tenant("acme")).unwrap();

    let there = scoped.get("theirs").await.unwrap_err();
    let absent = scoped.get("absent").await.unwrap_err();
    assert_eq!(there.kind(), ErrorKind::NotFound);
    assert_eq!(there.to_string().replace("theirs", "absent"), absent.to_string());
    assert_eq!(scoped.get("mine").await.unwrap().seq(), mine.seq);

    assert_eq!(scoped.proof(other.seq).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(scoped.proof(mine.seq + 1).await.unwrap_err().kind(), ErrorKind::NotFound);
    scoped.proof(mine.seq).await.unwrap();

    assert!(is_pending(scoped.sequenced("theirs")).await);
    assert!(is_pending(scoped.sequenced("absent")).await);
    assert_eq!(scoped.sequenced("mine").await.unwrap(), mine);
}

/// Invariant 12: a scope can be made narrower and never wider, and one that bounds nothing is refused.
#[tokio::test]
async fn invariant_12_scopes_narrow() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    log_both(&log, 4).await;
    let acme = log.scoped(&Filter::new().tenant("acme")).unwrap();
    let narrower = acme.scoped(&Filter::new().action("doc.updated")).unwrap();
    assert_eq!(narrower.count(&Filter::new()).await.unwrap(), 4);
    let nothing = narrower.scoped(&Filter::new().tenant("globex")).unwrap();
    assert_eq!(nothing.count(&Filter::new()).await.unwrap(), 0);
    assert_eq!(nothing.read(0, 1000).await.unwrap().events, []);
    let sets = log.scoped(&Filter::new().severity(Severity::Info).severity(Severity::Error)).unwrap();
    assert_eq!(
        sets.scoped(&Filter::new().severity_from(Severity::Warning)).unwrap().count(&Filter::new()).await.unwrap(),
        2
    );
    for times in [Filter::new().from_timestamp(i64::MAX), Filter::new().to_timestamp(0)] {
        let scoped = log.scoped(&times).unwrap();
        assert_eq!(scoped.count(&Filter::new()).await.unwrap(), 0);
        assert_eq!(scoped.read(0, 1000).await.unwrap().events, []);
    }
    for empty in
        [Filter::new(), Filter::new().text(""), Filter::new().text(" \"\" "), Filter::new().from_timestamp(i64::MIN)]
    {
        assert_eq!(log.scoped(&empty).unwrap_err().kind(), ErrorKind::InvalidArgument, "{empty:?}");
        assert_eq!(acme.scoped(&empty).unwrap_err().kind(), ErrorKind::InvalidArgument, "{empty:?}");
    }
}

/// Invariant 12: what concerns the log as a whole is refused.
#[tokio::test]
async fn invariant_12_the_whole_log_is_out_of_scope() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    log_both(&log, 2).await;
    let scoped = log.scoped(&Filter::new().tenant("acme")).unwrap();
    let refused = [
        scoped.verify(VerifyOptions::default(), |_| {}).await.map(drop),
        scoped.tile("tile/0/000.p/1").await.map(drop),
        scoped.sampled().await.map(drop),
        scoped.rejected_count().await.map(drop),
        scoped.rejected(0, 10).await.map(drop),
        scoped.reindex().await,
        scoped.rotate_key().await.map(drop),
    ];
    for result in refused {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::OutOfScope);
    }
    // The tree's size is all that is learnt of the whole: with it a proof is checked.
    assert_eq!(scoped.head().await.unwrap(), log.head().await.unwrap());
    scoped.consistency(1).await.unwrap();
    // A scope bounds what is read, not what is logged.
    scoped.log(Event::new("n").tenant("globex")).await.unwrap();
    assert_eq!(scoped.count(&Filter::new()).await.unwrap(), 4);
}

/// Suggestions count what a plain list counts, of the scope's events only, from segments and tail alike.
#[tokio::test]
async fn invariant_12_suggestions_are_cut_by_the_scope() {
    let fixture = Fixture::new();
    for tail_events in [1, 100_000] {
        let log = fixture.builder().tail_events(tail_events).open().await.unwrap();
        if tail_events == 1 {
            let events = (0..300).map(|i| {
                let tenant = ["acme", "globex", "initech"][i % 3];
                Event::new(["user.login", "user.logout", "record.viewed"][i % 5 % 3])
                    .actor(format!("{tenant}-{}", i % 7))
                    .tenant(tenant)
                    .tag(format!("t-{}", i % 2))
            });
            log.log_bulk(events.collect()).await.unwrap();
        }
        let all = log.read(0, 1000).await.unwrap().events;
        let count = |value: &str, tenant: Option<&str>| {
            let is_there = |record: &&sealog::Record| {
                record.action == value
                    || record.actor_id.as_deref() == Some(value)
                    || record.tags.iter().any(|tag| tag == value)
            };
            let of_tenant = |record: &&sealog::Record| tenant.is_none() || record.tenant.as_deref() == tenant;
            all.iter().filter(is_there).filter(of_tenant).count() as u64
        };
        let acme = log.scoped(&Filter::new().tenant("acme")).unwrap();
        for (handle, tenant) in [(&log, None), (&acme, Some("acme"))] {
            for (field, prefix, values) in [
                (SuggestField::Action, "user.", 2),
                (SuggestField::ActorId, "", if tenant.is_some() { 7 } else { 21 }),
                (SuggestField::ActorId, "globex", if tenant.is_some() { 0 } else { 7 }),
                (SuggestField::Tag, "t-", 2),
                (SuggestField::Tenant, "", if tenant.is_some() { 1 } else { 3 }),
            ] {
                let found = handle.suggest(field, prefix, 100).await.unwrap();
                assert_eq!(found.len(), values, "{field:?} {prefix:?} {tenant:?}");
                assert!(found.is_sorted_by_key(|entry| std::cmp::Reverse(entry.count)));
                for entry in found.iter().filter(|_| field != SuggestField::Tenant) {
                    assert!(entry.value.starts_with(prefix));
                    assert_eq!(entry.count, count(&entry.value, tenant), "{}", entry.value);
                }
            }
            assert_eq!(handle.suggest(SuggestField::ActorId, "", 3).await.unwrap().len(), 3);
            assert!(handle.suggest(SuggestField::ActorId, "", 0).await.is_err());
        }
        check(&log).await;
        log.close().await.unwrap();
    }
}
