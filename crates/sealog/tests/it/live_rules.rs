//! Rules that are saved in the settings are evaluated as events arrive, and what they find is logged once.

use std::time::Duration;

use sealog::{AuditLog, Event, Filter, GroupBy, PageOptions, Record, Rule, WatchFrom};
use serde_json::json;

use crate::support::{Fixture, check};

fn guessing() -> Rule {
    Rule::new("guessing", Filter::new().action("user.login.failed"), 5, 300_000).group_by(GroupBy::Actor)
}

async fn save(log: &AuditLog, rules: Vec<Rule>) {
    log.update_settings(|settings| {
        settings.rules = rules;
        Ok(())
    })
    .await
    .unwrap();
}

async fn failed(log: &AuditLog, actor: &str, count: usize) {
    for _ in 0..count {
        log.log(Event::new("user.login.failed").actor(actor)).await.unwrap();
    }
}

async fn findings(log: &AuditLog) -> Vec<Record> {
    let (filter, page) = (Filter::new().action("sealog.anomaly.detected"), PageOptions::new().limit(100));
    log.search(&filter, &page).await.unwrap().events
}

#[tokio::test]
async fn a_finding_is_logged_once_and_comes_to_watchers() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    // What came before the rules were saved is for `backtest`.
    failed(&log, "before", 9).await;
    save(&log, vec![guessing()]).await;
    let mut watch = log.watch(&Filter::new().action("sealog.anomaly.detected"), WatchFrom::Now).await.unwrap();
    failed(&log, "u-1", 4).await;
    failed(&log, "u-2", 3).await;
    failed(&log, "u-1", 4).await;

    let found = tokio::time::timeout(Duration::from_secs(20), watch.next()).await.unwrap().unwrap().unwrap();
    let metadata = found.metadata.clone().unwrap();
    assert_eq!(
        (&metadata["rule"], &metadata["group"], &metadata["groupBy"]),
        (&json!("guessing"), &json!("u-1"), &json!("actor"))
    );
    // As it was when it became one, whatever came after.
    assert_eq!((&metadata["count"], &metadata["threshold"]), (&json!(5), &json!(5)));
    let ids: Vec<_> = metadata["ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect();
    for id in &ids {
        let record = log.get(id).await.unwrap();
        assert_eq!((record.action.as_str(), record.actor_id.as_deref()), ("user.login.failed", Some("u-1")));
    }
    assert_eq!(ids.len(), 5);
    check(&log).await;
    log.close().await.unwrap();

    // Whoever comes next goes on where the last one stopped; the closing one has looked at everything.
    let log = fixture.open().await;
    failed(&log, "u-2", 2).await;
    log.close().await.unwrap();
    let log = fixture.open().await;
    let groups: Vec<_> =
        findings(&log).await.iter().map(|record| record.metadata.as_ref().unwrap()["group"].clone()).collect();
    assert_eq!(groups, [json!("u-2"), json!("u-1")]);
    // The same as the back-test finds from there on.
    let all = log.backtest(&[guessing()], ..).await.unwrap();
    let mut tested: Vec<_> = all.findings.iter().filter_map(|finding| finding.group.clone()).collect();
    tested.sort();
    assert_eq!(tested, ["before", "u-1", "u-2"]);
    check(&log).await;
}

#[tokio::test]
async fn two_handles_find_it_once() {
    let fixture = Fixture::new();
    let (log, other) = (fixture.open().await, fixture.open().await);
    save(&log, vec![guessing(), Rule::new("any", Filter::new().action("user.*"), 3, 60_000)]).await;
    failed(&log, "u-1", 3).await;
    failed(&other, "u-1", 3).await;
    log.close().await.unwrap();
    failed(&other, "u-3", 5).await;
    other.close().await.unwrap();
    let log = fixture.open().await;
    // It may have been nobody's turn while the first one closed: then it is this one's.
    let mut rules = Vec::new();
    for _ in 0..100 {
        rules = findings(&log).await.iter().map(|record| record.metadata.as_ref().unwrap()["rule"].clone()).collect();
        rules.sort_by_key(ToString::to_string);
        if rules.len() >= 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(rules, ["any", "guessing", "guessing"].map(|rule| json!(rule)));
    assert!(log.upkeep().unwrap().error.is_none());
    check(&log).await;
}

#[tokio::test]
async fn a_clean_up_by_schedule_goes_by_the_settings() {
    let fixture = Fixture::new();
    let log = fixture.builder().cleanup_every(Duration::from_hours(1)).open().await.unwrap();
    log.log(Event::new("old")).await.unwrap();
    fixture.clock.advance(91 * 24 * 3_600_000);
    for _ in 0..300 {
        if log.upkeep().unwrap().cleaned_at.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(log.count(&Filter::new().action("old")).await.unwrap(), 0);
    let upkeep = log.upkeep().unwrap();
    assert!(upkeep.error.is_none() && upkeep.cleaned_at.is_some(), "{upkeep:?}");
    check(&log).await;
}

/// The live evaluation finds what the back-test finds of the same history, each once, whoever evaluates and however
/// often the log is opened anew in between; and the evidence is there.
#[tokio::test]
async fn the_live_rules_find_what_the_back_test_finds() {
    let fixture = Fixture::new();
    let mut log = fixture.open().await;
    let rules = vec![
        Rule::new("three", Filter::new().action("a.*"), 3, 10_000).group_by(GroupBy::Actor),
        Rule::new("many", Filter::new(), 12, 20_000),
        Rule::unusual("odd", Filter::new().action("a.2")).min_weeks(2),
    ];
    save(&log, rules.clone()).await;
    // A small generator of numbers, so that every run is the same.
    let mut seed = 17_u64;
    let mut number = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let mut now = crate::support::NOW_MS - 40 * 24 * 3_600_000;
    for round in 0..40 {
        let events = (0..=number(60)).map(|_| {
            now += number(4_000) as i64;
            if number(40) == 0 {
                now += number(3 * 24 * 3_600_000) as i64;
            }
            let late = if number(6) == 0 { number(15_000) as i64 } else { 0 };
            Event::new(format!("a.{}", number(3))).actor(format!("u-{}", number(4))).timestamp(now - late)
        });
        log.log_bulk(events.collect()).await.unwrap();
        if round % 7 == 3 {
            log.close().await.unwrap();
            log = fixture.open().await;
        }
    }
    log.close().await.unwrap();
    let log = fixture.open().await;
    let key = |rule: &str, group: Option<&str>| format!("{rule} {}", group.unwrap_or_default());
    let mut live = Vec::new();
    let page = PageOptions::new().limit(1000);
    let all = log.search(&Filter::new().action("sealog.anomaly.detected"), &page).await.unwrap().events;
    assert!(all.len() < 1000);
    for record in &all {
        let metadata = record.metadata.as_ref().unwrap();
        let group = metadata.get("group").and_then(|group| group.as_str());
        live.push(key(metadata["rule"].as_str().unwrap(), group));
        for id in metadata["ids"].as_array().unwrap() {
            let evidence = log.get(id.as_str().unwrap()).await.unwrap();
            assert!(evidence.action.starts_with("a.") && (group.is_none() || evidence.actor_id.as_deref() == group));
        }
    }
    let tested = log.backtest(&rules, ..).await.unwrap();
    let mut tested: Vec<_> = tested.findings.iter().map(|found| key(&found.rule, found.group.as_deref())).collect();
    live.sort();
    tested.sort();
    assert!(tested.len() > 20, "{tested:?}");
    assert_eq!(live, tested);
    check(&log).await;
}

#[tokio::test]
async fn a_finding_names_no_event_that_was_erased() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    save(&log, vec![Rule::new("any", Filter::new().action("user.*"), 4, 60_000)]).await;
    for actor in ["ada", "ada", "grace", "ada"] {
        log.log(Event::new("user.login.failed").actor(actor).id(log.new_id())).await.unwrap();
    }
    log.close().await.unwrap();
    let log = fixture.open().await;
    let erasure = sealog::Erasure::new(sealog::Subject::actor("ada"), "x");
    let erased = log.erase(&erasure).await.unwrap();
    assert_eq!((erased.removed, erased.reduced, erased.scrubbed), (3, 1, true));
    check(&log).await;
    let found = findings(&log).await;
    let metadata = found[0].metadata.clone().unwrap();
    let ids: Vec<_> = metadata["ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.iter().filter(|id| *id == "[ERASED]").count(), 3);
    assert_eq!((&metadata["first"]["id"], &metadata["count"]), (&json!("[ERASED]"), &json!(4)));
    let left = ids.iter().find(|id| *id != "[ERASED]").unwrap();
    assert_eq!(log.get(left).await.unwrap().actor_id.as_deref(), Some("grace"));
    // Found again by whoever evaluates again, it is known.
    log.close().await.unwrap();
    let log = fixture.open().await;
    assert_eq!(findings(&log).await.len(), 1);
    assert_eq!(log.erase(&erasure).await.unwrap().reduced, 0);
}
