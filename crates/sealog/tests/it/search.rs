//! Questions, against a plain list of the same events: invariants 4, 5 and 6.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use proptest::prelude::*;
use sealog::{
    AuditLog, CleanupOptions, Event, Filter, HoldOptions, MAX_WINDOW_MS, Order, Outcome, PageOptions, Record, Rule,
    Severity, StatsOptions, WatchFrom,
};
use serde_json::{Value, json};

use crate::support::{Fixture, NOW_MS, cases, check, fill};

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
    let address = |wanted: &String| {
        let (network, prefix) = match wanted.split_once('/') {
            // IPv4 is a part of IPv6.
            Some((network, prefix)) => {
                (network, prefix.parse().unwrap_or(0) + if network.contains(':') { 0 } else { 96 })
            }
            None => (wanted.as_str(), 128),
        };
        record.ip_address.as_ref().is_some_and(|found| match bits(network) {
            Some(network) => {
                found.split(", ").filter_map(bits).any(|found| (found ^ network).leading_zeros() >= prefix)
            }
            None => found == wanted,
        })
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

fn bits(address: &str) -> Option<u128> {
    Some(match address.parse().ok()? {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    })
}

fn says(text: &str, record: &Record) -> bool {
    let mut texts = Vec::new();
    for document in [&record.metadata.clone().map(Value::Object), &record.before, &record.after].into_iter().flatten() {
        collect(document, &mut texts);
    }
    texts.extend(record.diff().unwrap_or_default().iter().map(|step| step.path.clone()));
    let words = |text: &str| -> Vec<String> {
        // A Chinese character is a word.
        let mut spaced = String::new();
        for char in text.chars() {
            match char {
                '\u{4e00}'..='\u{9fff}' => spaced.extend([' ', char, ' ']),
                _ => spaced.push(char),
            }
        }
        spaced
            .split(|char: char| !char.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect()
    };
    let ids = [&record.actor_id, &record.resource_id, &record.session_id, &record.request_id];
    let holds = |phrase: &str| {
        let wanted = words(phrase);
        ids.into_iter().flatten().chain([&record.id().to_owned()]).any(|id| id == phrase)
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
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{}", path.replace('.', "/")) };
    record.diff().unwrap_or_default().iter().any(|step| {
        step.path == path || step.path.starts_with(&format!("{path}/")) || path.starts_with(&format!("{}/", step.path))
    })
}

fn event() -> impl Strategy<Value = Event> {
    let words = prop::sample::select(vec![
        "reset link sent",
        "Link expired",
        "a reset",
        "会议记録",
        "x-1",
        "Größe der Straße",
        "l'été de ΣΊΣΥΦΟΣ",
    ]);
    let document = prop::sample::select(vec![
        json!(null),
        json!({"spec": {"replicas": 1}, "name": "web"}),
        json!({"spec": {"replicas": 2}, "name": "web"}),
        json!({"spec": {"replicas": 2, "image": "Nginx latest"}}),
        json!(["a", {"b": "reset"}]),
    ]);
    let small = (0..4_usize, 0..4_usize, 0..6_usize, 0..5_usize, 0..3_usize);
    let states = (prop::option::of(document.clone()), prop::option::of(document));
    (small, words, states, 0..60_i64, prop::option::weighted(0.8, 0..ADDRESSES.len())).prop_map(
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
                event = event.tag("blue").session(format!("s-{}", action % 2 + 1)).retention_category("long");
            } else if action > 2 {
                event = event.retention_category("short");
            }
            event.ip_address = address.map(|address| ADDRESSES[address].to_owned());
            (event.before, event.after) = (before, after);
            event
        },
    )
}

const ADDRESSES: [&str; 9] = [
    "10.1.2.3",
    "10.200.0.1",
    "203.0.113.9",
    "203.0.113.200",
    "2001:db8::1",
    "2001:db8:1::5",
    "::ffff:10.1.2.3",
    "ec2.example.com",
    "10.1.2.3, 2001:db8::7",
];

/// So many kinds of condition there are, each in so many ways.
const KINDS: usize = 24;
const WAYS: usize = 5;

/// The filter with a condition more.
fn with(filter: Filter, kind: usize, way: usize) -> Filter {
    match kind {
        0 => filter.severity(Severity::ALL[way % 4]),
        1 => filter.severity_from(Severity::ALL[way % 4]),
        2 => filter.action(["user.*", "user.login", "user.login.*", "record.updated", "nobody"][way]),
        3 => filter.actor(format!("u-{way}")),
        4 => filter.actor_type(["user", "service"][way % 2]),
        5 => filter.resource_type(["invoice", "user"][way % 2]),
        6 => filter.resource(["invoice", "user"][way % 2], format!("i-{way}")),
        7 => filter.tag_any(["red", "blue", "green"][way % 3]),
        8 => filter.tag_all(["red", "blue"][way % 2]),
        9 => filter.outcome(Outcome::ALL[way % 3]),
        10 => filter.tenant(["acme", "globex"][way % 2]),
        11 => filter.ip_address(["10.1.2.3", "203.0.113.9", "2001:db8::1", "ec2.example.com", "2001:DB8:0::7"][way]),
        12 => filter.request(format!("r-{}", way * 8)).session(["s-1", "s-2"][way % 2]),
        13 => filter.from_timestamp(1_700_000_000_000 + way as i64 * 7_000),
        14 => filter.to_timestamp(1_700_000_030_000 + way as i64 * 7_000),
        15 => filter.text(["reset", "\"reset link\" -expired", "web -nginx", "u-2", "i-1"][way]),
        16 => filter.changed(["/spec/replicas", "/spec", "/name", "/spec/replicas/deep", "/1"][way]),
        17 => filter.changed(["spec.replicas", "spec", "name", "spec.replicas.deep", "1.b"][way]),
        18 => filter.text(["会议", "größe -sent", "\"DER STRASSE\"", "Été σίσυφος", "\"记録\""][way]),
        19 => filter.ip_address(["10.0.0.0/8", "203.0.113.128/25", "10.1.2.2/31", "203.0.1.2/16", "0.0.0.0/0"][way]),
        20 => filter.ip_address(["2001:db8::/32", "2001:db8:1::/48", "::/0", "::ffff:0:0/97", "2001:db8::/125"][way]),
        21 => filter.session(["s-1", "s-2"][way % 2]),
        22 => filter.request(format!("r-{}", way * 8)),
        _ => filter.retention_category(["long", "short"][way % 2]),
    }
}

fn filter() -> impl Strategy<Value = Filter> {
    let condition = (0..KINDS, 0..WAYS);
    prop::collection::vec(condition, 0..4).prop_map(|conditions| {
        conditions.into_iter().fold(Filter::new(), |filter, (kind, way)| with(filter, kind, way))
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
        let mut counts = BTreeMap::<String, u64>::new();
        expected.iter().filter_map(of).for_each(|value| *counts.entry(value).or_default() += 1);
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        let found: Vec<_> = top.iter().map(|entry| (entry.value.clone(), entry.count)).collect();
        assert_eq!(found, counts, "{}", describe());
    }

    expected.reverse();
    assert_eq!(pages(log, filter, Order::NewestFirst, limit).await, expected, "{}", describe());
}

/// Each change is the state of its resource from its time on, unless another one of that millisecond came after it.
async fn states_agree(log: &AuditLog, all: &[Record]) {
    let mut changes = BTreeMap::<_, Vec<&Record>>::new();
    for record in all.iter().filter(|record| record.before.is_some() || record.after.is_some()) {
        changes.entry((record.resource_type.clone(), record.resource_id.clone())).or_default().push(record);
    }
    for ((kind, id), mut changes) in changes {
        let (kind, id) = (kind.unwrap(), id.unwrap());
        changes.sort_by_key(|record| (record.timestamp(), record.seq()));
        let then = log.state_at(&kind, &id, changes[0].timestamp() - 1).await.unwrap();
        assert_eq!(then.state, changes[0].before, "{kind} {id} before its first change");
        for (place, change) in changes.iter().enumerate() {
            if changes.get(place + 1).is_none_or(|next| next.timestamp() > change.timestamp()) {
                let then = log.state_at(&kind, &id, change.timestamp()).await.unwrap();
                assert_eq!(then.state, change.after, "{kind} {id} at {}", change.timestamp());
            }
        }
    }
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

/// Invariants 4, 5 and 6: with a tail that is written to the index after every few events, the answers are those of a
/// plain list, at once after each write, after opening again, and with the index gone.
#[test]
fn invariants_4_5_and_6_every_way_of_asking_agrees_with_a_plain_list() {
    let config = ProptestConfig { cases: cases(24), failure_persistence: None, ..ProptestConfig::default() };
    let met = [const { Cell::new(0_usize) }; KINDS];
    let batches = prop::collection::vec((prop::collection::vec(event(), 1..40), filter()), 1..8);
    let filters = prop::collection::vec((filter(), 1..30_usize), 6);
    let tail_events = prop::sample::select(vec![1_u64, 7, 64, 100_000]);
    let ways = prop::collection::vec(0..WAYS, KINDS);
    proptest!(config, |(batches in batches, filters in filters, tail_events in tail_events, ways in ways)| {
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
            // Each kind of condition alone, so that each comes to events that meet it.
            for (kind, way) in ways.into_iter().enumerate() {
                let filter = with(Filter::new(), kind, way);
                let expected = all.iter().filter(|record| selects(&filter, record)).count();
                assert_eq!(pages(&log, &filter, Order::NewestFirst, 1000).await.len(), expected, "{filter}");
                met[kind].set(met[kind].get() + expected);
            }
            log.close().await.unwrap();
            let log = open().await;
            for (filter, limit) in &filters {
                agree(&log, &all, filter, *limit).await;
            }
            states_agree(&log, &all).await;
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
    });
    for (kind, met) in met.iter().enumerate() {
        assert!(met.get() > 0 || cases(24) < 24, "no event met {}", with(Filter::new(), kind, 0));
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

#[tokio::test]
async fn a_page_has_fifty_events_and_a_top_list_ten_entries_unless_told_otherwise() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    let events = (0..60).map(|number| Event::new(format!("a-{}", number % 12)).actor(format!("u-{}", number % 15)));
    log.log_bulk(events.collect()).await.unwrap();
    let all = Filter::new();
    for page in [PageOptions::new(), serde_json::from_str("{}").unwrap()] {
        let page = log.search(&all, &page).await.unwrap();
        assert_eq!((page.events.len(), page.has_more), (50, true));
    }
    for options in [StatsOptions::new(), serde_json::from_str("{}").unwrap()] {
        let stats = log.stats(.., &all, &options).await.unwrap();
        assert_eq!((stats.top_actions.len(), stats.top_actors.len()), (10, 10));
    }
}

/// How far an index is that is made anew is told on the way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_is_told_while_an_index_is_made_anew() {
    let fixture = Fixture::new();
    let log = fixture.builder().tail_events(16).open().await.unwrap();
    for _ in 0..6 {
        fill(&log, 1000).await;
    }
    assert_eq!(log.count(&Filter::new()).await.unwrap(), 6000);
    let (mut progress, mut seen) = (log.index_progress().unwrap(), Vec::new());
    let mut anew = tokio::spawn(async move { log.reindex().await });
    loop {
        tokio::select! {
            done = &mut anew => break done.unwrap().unwrap(),
            _ = progress.changed() => seen.push(*progress.borrow_and_update()),
        }
    }
    assert_eq!((progress.borrow().events, progress.borrow().total), (6000, 6000));
    assert!(seen.iter().all(|now| now.total == 6000), "{seen:?}");
    seen.retain(|now| (1..6000).contains(&now.events));
    assert!(!seen.is_empty() && seen.is_sorted_by_key(|now| now.events), "{seen:?}");
}
