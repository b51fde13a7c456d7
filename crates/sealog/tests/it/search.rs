//! Questions, against a plain list of the same events: invariants 4, 5 and 6.

use std::time::Duration;

use proptest::prelude::*;
use sealog::{
    AuditLog, CleanupOptions, Event, Filter, HoldOptions, MAX_WINDOW_MS, Order, Outcome, PageOptions, Record, Rule,
    Severity, StatsOptions, WatchFrom,
};
use serde_json::{Value, json};

use crate::support::{Fixture, NOW_MS, cases, check};

/// What a filter means, said once more and as plainly as can be.
fn selects(filter: &Filter, record: &Record) -> bool {
    let one_of = |wanted: &[String], found: &Option<String>| {
        wanted.is_empty() || found.as_ref().is_some_and(|found| wanted.contains(found))
    };
    let is = |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
    let action = |wanted: &String| match wanted.strip_suffix('*') {
        Some(prefix) => record.action.starts_with(prefix),
        None => record.action == *wanted,
    };
    let address = |wanted: &String| match (wanted.as_str(), record.ip_address.as_deref()) {
        ("10.0.0.0/8", Some(found)) => found.starts_with("10."),
        (wanted, Some(found)) => wanted == found,
        _ => false,
    };
    (filter.severities.is_empty() || filter.severities.contains(&record.severity))
        && (filter.actions.is_empty() || filter.actions.iter().any(action))
        && one_of(&filter.actor_ids, &record.actor_id)
        && one_of(&filter.actor_types, &record.actor_type)
        && one_of(&filter.resource_types, &record.resource_type)
        && filter.resource.as_ref().is_none_or(|resource| {
            record.resource_type.as_ref() == Some(&resource.kind) && record.resource_id.as_ref() == Some(&resource.id)
        })
        && (filter.tags_any.is_empty() || filter.tags_any.iter().any(|tag| record.tags.contains(tag)))
        && filter.tags_all.iter().all(|tag| record.tags.contains(tag))
        && (filter.outcomes.is_empty() || record.outcome.is_some_and(|outcome| filter.outcomes.contains(&outcome)))
        && is(&filter.tenant, &record.tenant)
        && (filter.ip_addresses.is_empty() || filter.ip_addresses.iter().any(address))
        && is(&filter.session_id, &record.session_id)
        && is(&filter.request_id, &record.request_id)
        && one_of(&filter.retention_categories, &record.retention_category)
        && filter.from_timestamp.is_none_or(|from| record.timestamp() >= from)
        && filter.to_timestamp.is_none_or(|to| record.timestamp() < to)
        && filter.text.as_deref().is_none_or(|text| says(text, record))
        && filter.changed.as_deref().is_none_or(|path| touches(path, record))
}

fn says(text: &str, record: &Record) -> bool {
    let mut texts = Vec::new();
    for document in [&record.metadata.clone().map(Value::Object), &record.before, &record.after].into_iter().flatten() {
        collect(document, &mut texts);
    }
    texts.extend(record.diff().unwrap_or_default().iter().map(|step| step.path.clone()));
    let words = |text: &str| -> Vec<String> {
        text.split(|char: char| !char.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect()
    };
    let ids = [Some(record.id().to_owned()), record.actor_id.clone(), record.resource_id.clone()];
    let holds = |phrase: &str| {
        let wanted = words(phrase);
        ids.iter().flatten().any(|id| id == phrase)
            || !wanted.is_empty()
                && texts.iter().any(|text| words(text).windows(wanted.len()).any(|window| window == wanted))
    };
    // The texts of these tests have no spaces in a phrase but in the one quoted form below.
    let (phrase, rest) = match text.split_once('"').and_then(|(_, rest)| rest.split_once('"')) {
        Some((phrase, rest)) => (Some(phrase), rest),
        None => (None, text),
    };
    phrase.is_none_or(holds)
        && rest.split_whitespace().all(|word| match word.strip_prefix('-') {
            Some(word) => !holds(word),
            None => holds(word),
        })
}

fn collect(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
        Value::Object(map) => {
            for (name, value) in map {
                texts.push(name.clone());
                collect(value, texts);
            }
        }
        _ => {}
    }
}

fn touches(path: &str, record: &Record) -> bool {
    record.diff().unwrap_or_default().iter().any(|step| {
        step.path == path || step.path.starts_with(&format!("{path}/")) || path.starts_with(&format!("{}/", step.path))
    })
}

fn event() -> impl Strategy<Value = Event> {
    let words = prop::sample::select(vec!["reset link sent", "Link expired", "a reset", "会议记録", "x-1"]);
    let document = prop::sample::select(vec![
        json!(null),
        json!({"spec": {"replicas": 1}, "name": "web"}),
        json!({"spec": {"replicas": 2}, "name": "web"}),
        json!({"spec": {"replicas": 2, "image": "Nginx latest"}}),
        json!(["a", {"b": "reset"}]),
    ]);
    let small = (0..4_usize, 0..4_usize, 0..6_usize, 0..5_usize, 0..3_usize);
    let states = (prop::option::of(document.clone()), prop::option::of(document));
    (small, words, states, 0..60_i64, prop::option::of(0..4_usize)).prop_map(
        |((severity, outcome, actor, action, tag), words, (before, after), time, address)| {
            let actions = ["user.login", "user.login.failed", "user.logout", "record.updated", "userx"];
            let mut event = Event::new(actions[action])
                .severity(Severity::ALL[severity])
                .timestamp(1_700_000_000_000 + time * 1000)
                .metadata(json!({"note": words, "depth": {"inner": [words]}}))
                .tenant(["acme", "globex"][actor % 2])
                .resource(["invoice", "user"][action % 2], format!("i-{actor}"))
                .request(format!("r-{}", actor * 7 + action));
            event.outcome = Outcome::ALL.get(outcome).copied();
            if actor > 0 {
                event = event.actor(format!("u-{actor}")).actor_type(["user", "service"][actor % 2]);
            }
            if tag > 0 {
                event = event.tag("red");
            }
            if tag > 1 {
                event = event.tag("blue").session("s-1").retention_category("long");
            }
            if let Some(address) = address {
                event = event.ip_address(["10.1.2.3", "203.0.113.9", "2001:db8::1", "ec2.example.com"][address]);
            }
            (event.before, event.after) = (before, after);
            event
        },
    )
}

fn filter() -> impl Strategy<Value = Filter> {
    let condition = (0..17_usize, 0..5_usize);
    prop::collection::vec(condition, 0..4).prop_map(|conditions| {
        conditions.into_iter().fold(Filter::new(), |filter, (kind, which)| match kind {
            0 => filter.severity(Severity::ALL[which % 4]),
            1 => filter.severity_from(Severity::ALL[which % 4]),
            2 => filter.action(["user.*", "user.login", "user.login.*", "record.updated", "nobody"][which]),
            3 => filter.actor(format!("u-{which}")),
            4 => filter.actor_type(["user", "service"][which % 2]),
            5 => filter.resource_type(["invoice", "user"][which % 2]),
            6 => filter.resource(["invoice", "user"][which % 2], format!("i-{which}")),
            7 => filter.tag_any(["red", "blue", "green"][which % 3]),
            8 => filter.tag_all(["red", "blue"][which % 2]),
            9 => filter.outcome(Outcome::ALL[which % 3]),
            10 => filter.tenant(["acme", "globex"][which % 2]),
            11 => filter.ip_address(["10.0.0.0/8", "203.0.113.9", "2001:db8::1", "ec2.example.com", "10.1.2.3"][which]),
            12 => filter.request(format!("r-{which}")).session("s-1"),
            13 => filter.from_timestamp(1_700_000_000_000 + which as i64 * 7_000),
            14 => filter.to_timestamp(1_700_000_030_000 + which as i64 * 7_000),
            15 => filter.text(["reset", "\"reset link\" -expired", "web -nginx", "u-2", "i-1"][which]),
            _ => filter.changed(["/spec/replicas", "/spec", "/name", "/spec/replicas/deep", "/1"][which]),
        })
    })
}

/// All pages of `limit`, one after the other.
async fn pages(log: &AuditLog, filter: &Filter, order: Order, limit: usize) -> Vec<Record> {
    let mut found = Vec::new();
    let mut options = PageOptions::new().limit(limit).order(order);
    loop {
        let page = log.search(filter, &options).await.unwrap();
        assert!(page.events.len() <= limit && (page.events.len() == limit || !page.has_more));
        assert_eq!(page.has_more, page.next_cursor.is_some());
        found.extend(page.events);
        match page.next_cursor {
            Some(cursor) => options = options.after(cursor),
            None => return found,
        }
    }
}

/// Each way of asking gives what the plain list gives.
async fn agree(log: &AuditLog, all: &[Record], filter: &Filter, limit: usize) {
    let mut expected: Vec<_> = all.iter().filter(|record| selects(filter, record)).cloned().collect();
    let describe = || format!("{filter}");
    assert_eq!(log.count(filter).await.unwrap(), expected.len() as u64, "{}", describe());

    if !expected.is_empty() {
        let mut watch = log.watch(filter, WatchFrom::Seq(0)).await.unwrap();
        for record in &expected {
            assert_eq!(watch.next().await.unwrap().unwrap(), *record, "{}", describe());
        }
    }

    expected.sort_by_key(|record| (record.timestamp(), record.seq()));
    assert_eq!(pages(log, filter, Order::OldestFirst, limit).await, expected, "{}", describe());
    let stats = log.stats(.., filter, &StatsOptions::new().bucket_ms(5000)).await.unwrap();
    assert_eq!(stats.total, expected.len() as u64, "{}", describe());
    for severity in Severity::ALL {
        let count = expected.iter().filter(|record| record.severity == severity).count() as u64;
        assert_eq!(stats.by_severity.get(severity), count, "{}", describe());
        assert_eq!(stats.series.iter().map(|bucket| bucket.by_severity.get(severity)).sum::<u64>(), count);
    }
    for (top, of) in [
        (
            &stats.top_actions,
            Box::new(|record: &Record| Some(record.action.clone())) as Box<dyn Fn(&Record) -> Option<String>>,
        ),
        (&stats.top_actors, Box::new(|record: &Record| record.actor_id.clone())),
    ] {
        let mut counts = std::collections::BTreeMap::<String, u64>::new();
        expected.iter().filter_map(of).for_each(|value| *counts.entry(value).or_default() += 1);
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        let found: Vec<_> = top.iter().map(|entry| (entry.value.clone(), entry.count)).collect();
        assert_eq!(found, counts, "{}", describe());
    }

    expected.reverse();
    assert_eq!(pages(log, filter, Order::NewestFirst, limit).await, expected, "{}", describe());
}

/// A rule counts what the filter selects, and a hold keeps just that.
async fn rules_and_holds_agree(log: &AuditLog, all: &[Record], filter: &Filter) {
    let selected = all.iter().filter(|record| selects(filter, record)).count() as u64;
    let rule = Rule::new("r", filter.clone(), 1, MAX_WINDOW_MS);
    let found = log.backtest(&[rule], ..).await.unwrap().findings;
    assert_eq!(found.iter().map(|finding| finding.count).sum::<u64>(), selected, "{filter}");
    let hold = log.place_hold(HoldOptions::new(filter.clone(), "case")).await.unwrap();
    let would = log.cleanup(&CleanupOptions::new().older_than_days(0).dry_run(true)).await.unwrap();
    assert_eq!((would.held, would.removed), (selected, all.len() as u64 - selected), "{filter}");
    log.lift_hold(&hold.id, "over").await.unwrap();
}

async fn everything(log: &AuditLog) -> Vec<Record> {
    let mut all = Vec::new();
    loop {
        let page = log.read(all.len() as u64, 1000).await.unwrap();
        if page.events.is_empty() {
            return all;
        }
        all.extend(page.events);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(24), ..ProptestConfig::default() })]

    /// Invariants 4, 5 and 6: with a tail that is written to the index after every few events, the answers
    /// are those of a plain list, at once after each write, after opening again, and with the index gone.
    #[test]
    fn invariants_4_5_and_6_every_way_of_asking_agrees_with_a_plain_list(
        batches in prop::collection::vec((prop::collection::vec(event(), 1..40), filter()), 1..8),
        filters in prop::collection::vec((filter(), 1..30_usize), 6),
        tail_events in prop::sample::select(vec![1_u64, 7, 64, 100_000]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = Fixture::new();
            let open = || async { dir.builder().tail_events(tail_events).open().await.unwrap() };
            let log = open().await;
            for (events, filter) in batches {
                log.log_bulk(events).await.unwrap();
                agree(&log, &everything(&log).await, &filter, 7).await;
            }
            let all = everything(&log).await;
            for (filter, limit) in &filters {
                agree(&log, &all, filter, *limit).await;
            }
            log.close().await.unwrap();
            let log = open().await;
            for (filter, limit) in &filters {
                agree(&log, &all, filter, *limit).await;
            }
            log.close().await.unwrap();
            std::fs::remove_dir_all(dir.index()).unwrap();
            let log = open().await;
            for (filter, limit) in &filters {
                agree(&log, &all, filter, *limit).await;
            }
            for (filter, _) in &filters {
                rules_and_holds_agree(&log, &all, filter).await;
            }
            check(&log).await;
            log.close().await.unwrap();
        });
    }
}

/// Also where the index's thread is just opening what is there.
#[tokio::test]
async fn an_index_is_made_anew_before_it_is_said_to_be() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    let events = (0..2_000).map(|i| Event::new("a").timestamp(i));
    log.log_bulk(events.collect()).await.unwrap();
    log.close().await.unwrap();
    let files = || std::fs::read(fixture.index().join("meta.json")).unwrap();
    for delay in 0..12 {
        let before = files();
        let log = fixture.builder().read_only(true).open().await.unwrap();
        log.index_progress().unwrap();
        tokio::time::sleep(Duration::from_micros(500 * delay)).await;
        log.reindex().await.unwrap();
        log.close().await.unwrap();
        assert_ne!(files(), before, "after {delay} times 500 µs");
    }
    // One that was whole when it was opened says so.
    let log = fixture.builder().read_only(true).open().await.unwrap();
    assert_eq!(log.count(&Filter::new()).await.unwrap(), 2_000);
    assert_eq!(log.index_progress().unwrap().borrow().events, 2_000);
}

#[tokio::test]
async fn each_short_form_filters_before_it_limits() {
    let fixture = Fixture::new();
    let log = fixture.builder().tail_events(64).open().await.unwrap();
    // What is asked for is the oldest, behind many that fit all but one of the conditions.
    let wanted = [("w-2", 2), ("w-1", 1)].map(|(id, number)| {
        let event = Event::new("record.deleted").actor("u-1").resource("invoice", "i-1").severity(Severity::Error);
        event.id(id).timestamp(NOW_MS - 10_000 + number)
    });
    log.log_bulk(wanted.into_iter().rev().collect()).await.unwrap();
    let near = (0..300).map(|number| {
        let event = Event::new(["record.viewed", "user.login"][number % 2]).severity(Severity::Info);
        event.actor(["u-1", "u-2"][number / 2 % 2]).resource("invoice", "i-2")
    });
    log.log_bulk(near.collect()).await.unwrap();
    let page = PageOptions::new().limit(2);
    let pages = [
        log.query_by_actor("u-1", &["record.deleted", "record.restored"], &page).await.unwrap(),
        log.query_by_resource("invoice", "i-1", &page).await.unwrap(),
        log.query_by_severity(&[Severity::Error, Severity::Critical], &page).await.unwrap(),
        log.query_by_action("record.deleted", &page).await.unwrap(),
    ];
    for page in pages {
        let ids: Vec<_> = page.events.iter().map(Record::id).collect();
        assert_eq!((ids, page.has_more), (vec!["w-2", "w-1"], false));
    }
    assert_eq!(log.query_by_actor("u-1", &[], &PageOptions::new()).await.unwrap().events.len(), 50);

    // What comes between two pages moves neither.
    let first = log.query_by_actor("u-2", &[], &page).await.unwrap();
    log.log_bulk((0..5).map(|_| Event::new("user.login").actor("u-2")).collect()).await.unwrap();
    let second = log.query_by_actor("u-2", &[], &page.clone().after(first.next_cursor.unwrap())).await.unwrap();
    let seqs: Vec<_> = first.events.iter().chain(&second.events).map(Record::seq).collect();
    assert_eq!(seqs, [301, 300, 297, 296]);
    check(&log).await;
}
