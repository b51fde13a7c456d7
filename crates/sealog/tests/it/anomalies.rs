//! What rules find: the same as a plain count, in segments and in the tail, within the scope only.

use std::collections::HashMap;
use std::time::Duration;

use sealog::{
    AuditLog, ErrorKind, Event, Filter, Finding, Findings, GroupBy, MAX_FINDING_IDS, Outcome, Record, Rule, Watch,
};

use crate::support::{Fixture, NOW_MS, check};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// The group of an event.
type Group = fn(&Record) -> Option<String>;

/// Failed logins of one actor after the other, more and more of them, a second apart.
async fn guess(log: &AuditLog, from: i64) {
    let of_actor = |actor: i64| {
        (0..actor).map(move |i| {
            let minute = |i: i64| from + actor * HOUR_MS + i * 1000;
            Event::new("user.login.failed")
                .actor(format!("u-{actor}"))
                .ip_address(format!("203.0.113.{}", actor % 3))
                .resource(if actor % 2 == 0 { "account" } else { "site" }, "x")
                .session(format!("s-{}", actor % 4))
                .tenant(if actor > 6 { "acme" } else { "globex" })
                .outcome(Outcome::Failure)
                .timestamp(minute(i))
        })
    };
    log.log_bulk((0..10).flat_map(of_actor).collect()).await.unwrap();
}

fn failed(threshold: u64, window_ms: i64) -> Rule {
    Rule::new("failed", Filter::new().action("user.login.failed"), threshold, window_ms)
}

/// The groups and counts, in the order of the groups.
fn counts(found: &Findings) -> Vec<(String, u64)> {
    let mut counts: Vec<_> =
        found.findings.iter().map(|finding| (finding.group.clone().unwrap_or_default(), finding.count)).collect();
    counts.sort();
    counts
}

/// Whether each event that a finding names is there, and says what the finding says.
async fn names_what_is_there(log: &AuditLog, finding: &Finding, group: impl Fn(&Record) -> Option<String>) {
    assert_eq!(finding.ids.len() as u64, finding.count.min(MAX_FINDING_IDS as u64));
    for event in [&finding.first, &finding.last] {
        let record = log.get(&event.id).await.unwrap();
        assert_eq!((record.seq(), record.timestamp()), (event.seq, event.timestamp));
    }
    for id in &finding.ids {
        let record = log.get(id).await.unwrap();
        assert!((finding.first.timestamp..=finding.last.timestamp).contains(&record.timestamp()));
        assert_eq!(group(&record), finding.group);
    }
}

/// Each grouping, with the events in segments, in the tail, and in both.
#[tokio::test]
async fn groups_are_counted_apart() {
    let resource =
        |record: &Record| Some(format!("{}/{}", record.resource_type.as_deref()?, record.resource_id.as_deref()?));
    for tail_events in [4, 20, 100_000] {
        let fixture = Fixture::new();
        let log = fixture.builder().tail_events(tail_events).open().await.unwrap();
        guess(&log, 0).await;
        log.log(Event::new("user.login.failed").timestamp(9 * HOUR_MS)).await.unwrap();
        let groups: [(Option<GroupBy>, Group); 6] = [
            (None, |_| None),
            (Some(GroupBy::Actor), |record| record.actor_id.clone()),
            (Some(GroupBy::IpAddress), |record| record.ip_address.clone()),
            (Some(GroupBy::Resource), resource),
            (Some(GroupBy::Session), |record| record.session_id.clone()),
            (Some(GroupBy::Tenant), |record| record.tenant.clone()),
        ];
        for (group_by, group) in groups {
            let mut rule = failed(5, HOUR_MS / 2);
            rule.group_by = group_by;
            let found = log.backtest(&[rule], ..).await.unwrap();
            assert_eq!(found.total, 5, "{group_by:?}");
            for (finding, actor) in found.findings.iter().zip((5..10).rev()) {
                // The event without an actor happened beside those of the last one.
                let others = u64::from(group_by.is_none() && actor == 9);
                assert_eq!(finding.count, actor + others, "{group_by:?}");
                assert_eq!(finding.first.timestamp, actor as i64 * HOUR_MS);
                names_what_is_there(&log, finding, group).await;
            }
        }
        let by_actor = [failed(5, HOUR_MS).group_by(GroupBy::Actor)];
        let some = log.backtest(&by_actor, 6 * HOUR_MS + 1000..9 * HOUR_MS).await.unwrap();
        assert_eq!(counts(&some), [("u-6".into(), 5), ("u-7".into(), 7), ("u-8".into(), 8)]);
        let stands = log.detect_anomalies(&by_actor, ..9 * HOUR_MS).await.unwrap();
        assert_eq!(counts(&stands), [("u-8".into(), 8)]);
        assert_eq!(log.detect_anomalies(&by_actor, ..).await.unwrap(), Findings::default());
        check(&log).await;
    }
}

/// More pages than one, half of them in the tail.
#[tokio::test]
async fn a_long_history_is_read_page_by_page() {
    let fixture = Fixture::new();
    let log = fixture.builder().tail_events(20_000).open().await.unwrap();
    for batch in 0..30 {
        let event = |i: i64| Event::new("record.viewed").actor(format!("u-{}", i % 3)).timestamp(i * 1000);
        log.log_bulk((batch * 1000..(batch + 1) * 1000).map(event).collect()).await.unwrap();
    }
    let rule = || Rule::new("views", Filter::new(), 20, MINUTE_MS);
    let all = log.backtest(&[rule()], ..).await.unwrap();
    assert_eq!((all.total, all.findings[0].count, all.findings[0].last.seq), (1, 30_000, 29_999));
    let each = log.backtest(&[rule().group_by(GroupBy::Actor)], ..).await.unwrap();
    assert_eq!(counts(&each), (0..3).map(|actor| (format!("u-{actor}"), 10_000)).collect::<Vec<_>>());
    let by_text = [Rule::new("none", Filter::new().text("nothing"), 1, 1), rule()];
    assert_eq!(log.backtest(&by_text, ..).await.unwrap().total, 1);
}

/// Invariant 12: a scoped handle's findings are those of a log that holds nothing else.
#[tokio::test]
async fn invariant_12_findings_are_of_the_scope() {
    for tail_events in [4, 100_000] {
        let fixture = Fixture::new();
        let log = fixture.builder().tail_events(tail_events).open().await.unwrap();
        guess(&log, NOW_MS - 9 * HOUR_MS).await;
        let scoped = log.scoped(&Filter::new().tenant("acme")).unwrap();
        for group_by in [GroupBy::Actor, GroupBy::IpAddress, GroupBy::Tenant] {
            let rules = [failed(5, DAY_MS).group_by(group_by)];
            for found in [
                scoped.backtest(&rules, ..).await.unwrap(),
                scoped.detect_anomalies(&rules, ..).await.unwrap(),
                next(&mut scoped.watch_anomalies(&rules).unwrap()).await,
            ] {
                assert_eq!(found.findings.iter().map(|finding| finding.count).sum::<u64>(), 7 + 8 + 9);
                for id in found.findings.iter().flat_map(|finding| &finding.ids) {
                    assert_eq!(log.get(id).await.unwrap().tenant.as_deref(), Some("acme"));
                }
            }
            assert!(log.backtest(&rules, ..).await.unwrap().findings.iter().map(|f| f.count).sum::<u64>() > 7 + 8 + 9);
        }
        let nothing = log.scoped(&Filter::new().tenant("nobody")).unwrap();
        assert_eq!(nothing.backtest(&[failed(1, 1)], ..).await.unwrap(), Findings::default());
    }
}

#[tokio::test]
async fn the_logs_own_events_trigger_no_rule() {
    for tail_events in [1, 100_000] {
        let fixture = Fixture::new();
        let log = fixture.builder().tail_events(tail_events).open().await.unwrap();
        log.rotate_key().await.unwrap();
        log.rotate_key().await.unwrap();
        for filter in [Filter::new(), Filter::new().action("sealog.*"), Filter::new().action("sealog.key.rotated")] {
            assert_eq!(log.backtest(&[Rule::new("own", filter, 1, 1)], ..).await.unwrap(), Findings::default());
        }
        log.log(Event::new("sealogger.x")).await.unwrap();
        assert_eq!(log.backtest(&[Rule::new("own", Filter::new(), 1, 1)], ..).await.unwrap().total, 1);
    }
}

/// An hour with far more than the same hour of the weeks before, and a Monday morning that is always busy.
#[tokio::test]
async fn an_unusual_hour_is_found_and_a_busy_one_is_not() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    let start = NOW_MS - 35 * DAY_MS;
    let mut events = Vec::new();
    for day in 0..=35 {
        for (hour, count) in [(3, 2), (9, if day % 7 == 0 { 60 } else { 20 })] {
            let count = if (day, hour) == (31, 3) { 15 } else { count };
            let at = start + day * DAY_MS + hour * HOUR_MS;
            events.extend((0..count).map(|i| Event::new("record.viewed").tenant("acme").timestamp(at + i * 1000)));
        }
    }
    events.retain(|event| event.timestamp.is_some_and(|time| time < NOW_MS));
    for batch in events.chunks(500) {
        log.log_bulk(batch.to_vec()).await.unwrap();
    }
    let rules = [Rule::unusual("unusual", Filter::new()).group_by(GroupBy::Tenant)];
    let found = log.backtest(&rules, ..).await.unwrap();
    assert_eq!(found.total, 1, "{found:#?}");
    let finding = &found.findings[0];
    let hour = start + 31 * DAY_MS + 3 * HOUR_MS;
    assert_eq!((finding.count, finding.threshold, finding.window_ms), (15, 7, HOUR_MS));
    assert_eq!((finding.first.timestamp, finding.last.timestamp), (hour, hour + 14_000));
    names_what_is_there(&log, finding, |record| record.tenant.clone()).await;

    let stands = async |at: i64| log.detect_anomalies(&rules, ..at).await.unwrap().total;
    assert_eq!((stands(hour + 6_000).await, stands(hour + 7_000).await), (0, 1));
    assert_eq!((stands(hour + 2 * HOUR_MS).await, stands(hour + 2 * HOUR_MS + 1).await), (1, 0));
}

async fn next(watch: &mut Watch<Findings>) -> Findings {
    let next = tokio::time::timeout(Duration::from_secs(30), watch.next()).await.expect("it comes");
    next.expect("a watch does not end").expect("no error")
}

/// A watch tells what stands, each time it changes: by an event, by another handle's, and by time alone.
#[tokio::test]
async fn a_watch_tells_what_stands_now() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    guess(&log, NOW_MS - 30 * DAY_MS).await;
    let rules = [failed(3, MINUTE_MS).group_by(GroupBy::Actor)];
    let reader = fixture.builder().read_only(true).open().await.unwrap();
    let mut watches = [log.watch_anomalies(&rules).unwrap(), reader.watch_anomalies(&rules).unwrap()];
    for watch in &mut watches {
        assert_eq!(next(watch).await, Findings::default(), "what was a month ago stands no more");
    }
    let event = |ago: i64| Event::new("user.login.failed").actor("u").timestamp(NOW_MS - ago);
    log.log_bulk(vec![event(50_000), event(40_000)]).await.unwrap();
    log.log_bulk(vec![event(0), event(20_000)]).await.unwrap();
    for watch in &mut watches {
        let found = next(watch).await;
        assert_eq!(counts(&found), [("u".into(), 4)]);
        assert_eq!(found, log.detect_anomalies(&rules, ..).await.unwrap());
    }
    fixture.clock.advance(19_500);
    log.log(Event::new("user.login")).await.unwrap();
    let silent = tokio::time::timeout(Duration::from_millis(400), watches[0].next()).await;
    assert!(silent.is_err(), "three of four are within a minute still");
    // Half a second on this clock, and nothing else happens.
    fixture.clock.advance(500);
    for watch in &mut watches {
        assert_eq!(next(watch).await, Findings::default());
    }
    assert_eq!(log.backtest(&rules, NOW_MS - HOUR_MS..).await.unwrap().total, 1);
    check(&log).await;
}

#[tokio::test]
async fn rules_that_make_no_sense_are_refused() {
    let fixture = Fixture::new();
    let log = fixture.builder().full_text(false).open().await.unwrap();
    log.log(Event::new("a")).await.unwrap();
    for (rules, pointer) in [
        (vec![failed(1, 1), Rule::new("zero", Filter::new(), 0, 1)], "/1/threshold"),
        (vec![failed(1, 1), failed(2, 2)], "/1/name"),
        (vec![Rule::new("n", Filter::new().action("*"), 1, 1)], "/0/filter/actions/0"),
        (vec![failed(1, 1), Rule::new("words", Filter::new().text("w"), 1, 1)], "/1/filter/text"),
    ] {
        for error in [log.backtest(&rules, ..).await.unwrap_err(), log.detect_anomalies(&rules, ..).await.unwrap_err()]
        {
            assert_eq!((error.kind(), error.pointer()), (ErrorKind::InvalidArgument, Some(pointer)), "{error}");
        }
    }
    assert_eq!(log.backtest(&[], ..).await.unwrap(), Findings::default());
}

/// All findings are counted, and the newest told.
#[tokio::test]
async fn more_findings_than_are_told_are_counted() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    for batch in 0..25 {
        let events = (0..1000).map(|i| Event::new("a").timestamp((batch * 1000 + i) * 10)).collect();
        log.log_bulk(events).await.unwrap();
    }
    let found = log.backtest(&[Rule::new("each", Filter::new(), 1, 5)], ..).await.unwrap();
    assert_eq!((found.total, found.findings.len()), (25_000, sealog::MAX_FINDINGS));
    let seqs: Vec<_> = found.findings.iter().map(|finding| finding.first.seq).collect();
    assert!(seqs.iter().copied().eq((15_000..25_000).rev()));
    let ids: HashMap<_, _> = found.findings.iter().map(|finding| (&finding.ids[0], finding.count)).collect();
    assert_eq!(ids.len(), sealog::MAX_FINDINGS);
}
