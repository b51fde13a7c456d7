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
        if log.count(&Filter::new().action("old")).await.unwrap() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(log.count(&Filter::new().action("old")).await.unwrap(), 0);
    let upkeep = log.upkeep().unwrap();
    assert!(upkeep.error.is_none() && upkeep.cleaned_at.is_some(), "{upkeep:?}");
    check(&log).await;
}
