//! The three real histories beside the project: into a log in a file and into one in a database, out again, equal,
//! and verified, with the same answers from both. They are not part of it, so where they are not there this says so,
//! and shows nothing.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use sealog::{
    AuditLog, Filter, GroupBy, MAX_FINDING_IDS, Order, Outcome, PageOptions, Record, Rule, StatsOptions, VerifyOptions,
};
use serde_json::Value;

use crate::outside::reports_read_back;
use crate::support::Folder;

fn data(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    if path.is_file() {
        return Some(path);
    }
    // Past the test runner, which hides what a test that passes prints.
    let _ = writeln!(std::io::stderr(), "NOT RUN: the history {name} is not beside the project, in ../shared/data");
    None
}

fn records(path: &Path) -> impl Iterator<Item = Value> {
    let file = std::fs::File::open(path).expect("the file opens");
    let unpacked = BufReader::new(zstd::Decoder::new(file).expect("a zstd file"));
    unpacked.lines().map(|line| serde_json::from_str(&line.expect("text")).expect("JSON"))
}

/// Imports the file twice, verifies, and shows each event of the log beside its record in the file. Answers
/// the log.
async fn import(folder: &Folder, path: &Path, mut each: impl FnMut(&Record, &Value)) -> AuditLog {
    let file = path.to_str().expect("a path in UTF-8");
    folder.expect(0, &["import", file]);
    let log = folder.builder().read_only(true).open().await.expect("the log opens");
    let mut next = 0;
    let mut page = Vec::new().into_iter();
    for source in records(path) {
        if page.len() == 0 {
            page = log.read(next, 1000).await.expect("the log can be read").events.into_iter();
        }
        let record = page.next().expect("an event for each record");
        assert_eq!(record.seq(), next);
        next += 1;
        each(&record, &source);
    }
    let report = log.verify(VerifyOptions::default(), |_| {}).await.expect("the log can be read");
    assert!(report.is_ok(), "{:?}", report.problems.first());
    assert_eq!(report.size, next, "nothing but the records is in the log");
    folder.expect(0, &["import", file]);
    assert_eq!(log.head().await.expect("the log can be read").size, next, "importing twice adds nothing");
    log
}

/// What is selected, each page of it.
async fn search(log: &AuditLog, filter: &Filter, order: Order) -> Vec<Record> {
    let mut found = Vec::new();
    let mut options = PageOptions::new().limit(1000).order(order);
    loop {
        let page = log.search(filter, &options).await.expect("the log answers");
        found.extend(page.events);
        match page.next_cursor {
            Some(cursor) => options = options.after(cursor),
            None => return found,
        }
    }
}

/// Whether the values, or some of them where they are many, select as many events as a plain scan counted.
async fn counts(log: &AuditLog, scanned: &HashMap<String, u64>, filter: impl Fn(&str) -> Filter) {
    assert!(scanned.len() > 1);
    for (value, count) in scanned.iter().take(150) {
        assert_eq!(log.count(&filter(value)).await.expect("the log answers"), *count, "{}", filter(value));
    }
}

fn count(counts: &mut HashMap<String, u64>, value: Option<&String>) {
    if let Some(value) = value {
        *counts.entry(value.clone()).or_default() += 1;
    }
}

/// Whether a document is the one that was sent, but for values that were hidden; under which names is
/// noted, so that a policy that hides too much does not pass.
fn is_same(stored: &Value, sent: &Value, name: &str, hidden: &mut BTreeSet<String>) -> bool {
    match (stored, sent) {
        (Value::String(stored), _) if stored == "[REDACTED]" => {
            hidden.insert(name.to_owned());
            true
        }
        (Value::Object(stored), Value::Object(sent)) => {
            stored.len() == sent.len()
                && stored
                    .iter()
                    .all(|(name, value)| sent.get(name).is_some_and(|sent| is_same(value, sent, name, hidden)))
        }
        (Value::Array(stored), Value::Array(sent)) => {
            stored.len() == sent.len()
                && stored.iter().zip(sent).all(|(stored, sent)| is_same(stored, sent, name, hidden))
        }
        // 1 and 1.0 are one number in canonical JSON.
        (Value::Number(stored), Value::Number(sent)) => stored == sent || stored.as_f64() == sent.as_f64(),
        _ => stored == sent,
    }
}

/// A time, and an id.
type Event = (i64, String);

/// The bursts that a rule finds among these events, which stand in the order of `seq`, by counting all of
/// them for each: the ids of the events in each.
fn bursts(events: &[Event], threshold: usize, window_ms: i64) -> Vec<Vec<String>> {
    let mut bursts: Vec<BTreeSet<usize>> = Vec::new();
    let mut kept: Vec<usize> = Vec::new();
    for place in 0..events.len() {
        let latest = kept.iter().chain([&place]).map(|place| events[*place].0).max().expect("itself");
        if events[place].0 <= latest - window_ms {
            continue;
        }
        kept.push(place);
        let window: BTreeSet<usize> =
            kept.iter().filter(|place| events[**place].0 > latest - window_ms).copied().collect();
        if window.len() < threshold {
            continue;
        }
        match bursts.iter_mut().find(|burst| !burst.is_disjoint(&window)) {
            Some(burst) => burst.extend(window),
            None => bursts.push(window),
        }
    }
    let ids = |burst: BTreeSet<usize>| burst.into_iter().map(|place| events[place].1.clone()).collect();
    bursts.into_iter().map(ids).collect()
}

fn millis(time: &Value) -> i64 {
    let time: jiff::Timestamp = time.as_str().expect("a time").parse().expect("RFC 3339");
    time.as_millisecond()
}

#[tokio::test]
async fn manifests() {
    manifests_in(&Folder::new()).await;
}

#[tokio::test]
async fn manifests_in_postgres() {
    manifests_in(&Folder::with_database()).await;
}

async fn manifests_in(folder: &Folder) {
    let Some(path) = data("manifests.ndjson.zst") else { return };
    let mut places: HashMap<String, Vec<(i64, u64)>> = HashMap::new();
    let mut actors = HashMap::new();
    let mut empty_diffs = 0;
    let mut hidden = BTreeSet::new();
    let log = import(folder, &path, |record, sent| {
        assert_eq!(Value::from(record.timestamp()), sent["timestamp"]);
        assert_eq!(record.action, sent["action"].as_str().expect("an action"));
        assert_eq!(record.actor_id.as_deref(), sent["actorId"].as_str());
        assert_eq!(record.resource_id.as_deref(), sent["resourceId"].as_str());
        for (stored, name) in [(&record.before, "before"), (&record.after, "after")] {
            let same = match (stored, sent.get(name)) {
                (Some(stored), Some(sent)) => is_same(stored, sent, name, &mut hidden),
                (None, None) => true,
                _ => false,
            };
            assert!(same, "seq {}: {name} is not what was sent", record.seq());
        }
        let resource = record.resource_id.clone().unwrap_or_default();
        places.entry(resource).or_default().push((record.timestamp(), record.seq()));
        count(&mut actors, record.actor_id.as_ref());
        empty_diffs += u32::from(record.diff().is_some_and(<[_]>::is_empty));
    })
    .await;
    assert_eq!(empty_diffs, 236);
    assert_eq!(hidden, BTreeSet::new(), "no manifest has a secret under its usual name");
    // Minutes, for what the smaller ones show of a database too.
    if !folder.has_database() {
        reports_read_back(folder, &log).await;
    }

    counts(&log, &actors, |actor| Filter::new().actor(actor)).await;
    let scanned = places.iter().map(|(id, places)| (id.clone(), places.len() as u64)).collect();
    counts(&log, &scanned, |id| Filter::new().resource("manifest", id)).await;
    let reformats = search(&log, &Filter::new().tag_any("reformat"), Order::NewestFirst).await;
    assert_eq!(reformats.len(), 236);
    assert!(reformats.iter().all(|record| record.diff().is_some_and(<[_]>::is_empty)));

    let mut places: Vec<_> = places.into_iter().collect();
    for (_, places) in &mut places {
        places.sort_unstable();
    }
    places.sort_by_key(|(id, places)| (Reverse(places.len()), id.clone()));
    let (id, most) = &places[0];
    assert_eq!(most.len(), 1506, "{id}");
    let found = search(&log, &Filter::new().resource("manifest", id), Order::OldestFirst).await;
    assert!(found.iter().map(|record| (record.timestamp(), record.seq())).eq(most.iter().copied()));
    states(&log, id, most, 31).await;
    for (id, places) in places.iter().step_by(places.len() / 60) {
        states(&log, id, places, places.len() / 4 + 1).await;
    }
}

/// At and before every so manieth of its changes, a manifest's state is what the change says.
async fn states(log: &AuditLog, id: &str, places: &[(i64, u64)], step: usize) {
    for (index, (time, _)) in places.iter().enumerate().step_by(step) {
        // Of several in one millisecond the last one holds.
        let last = places[index..].iter().take_while(|(other, _)| other == time).last().expect("itself");
        let change = log.read(last.1, 1).await.expect("the log can be read").events.swap_remove(0);
        let then = log.state_at("manifest", id, *time).await.expect("the log answers");
        assert_eq!(then.state, change.after, "{id}");
        assert_eq!(then.change, Some(change), "{id}");
        if index > 0 && places[index - 1].0 < time - 1 {
            let before = log.read(places[index - 1].1, 1).await.expect("the log can be read").events.swap_remove(0);
            let then = log.state_at("manifest", id, time - 1).await.expect("the log answers");
            assert_eq!(then.change, Some(before), "{id}");
        }
    }
}

#[tokio::test]
async fn kubernetes() {
    kubernetes_in(&Folder::new()).await;
}

#[tokio::test]
async fn kubernetes_in_postgres() {
    kubernetes_in(&Folder::with_database()).await;
}

async fn kubernetes_in(folder: &Folder) {
    let Some(path) = data("kubernetes-audit.ndjson.zst") else { return };
    let mut denied = 0;
    let (mut actors, mut actions) = (HashMap::new(), HashMap::new());
    let mut refusals: BTreeMap<Option<String>, Vec<Event>> = BTreeMap::new();
    let log = import(folder, &path, |record, sent| {
        let id = format!("{}/{}", sent["auditID"].as_str().expect("an id"), sent["stage"].as_str().expect("a stage"));
        assert_eq!(record.id(), id);
        assert_eq!(record.timestamp(), millis(&sent["requestReceivedTimestamp"]), "{id}");
        assert_eq!(sent["responseStatus"]["code"] == 403, record.outcome == Some(Outcome::Denied), "{id}");
        if record.outcome == Some(Outcome::Denied) {
            denied += 1;
            for group in [None, record.actor_id.clone()] {
                refusals.entry(group).or_default().push((record.timestamp(), id.clone()));
            }
        }
        count(&mut actors, record.actor_id.as_ref());
        count(&mut actions, Some(&record.action));
    })
    .await;
    assert_eq!(denied, 71);
    reports_read_back(folder, &log).await;

    let denied = Filter::new().outcome(Outcome::Denied);
    assert_eq!(log.count(&denied).await.expect("the log answers"), 71);
    assert_eq!(search(&log, &denied, Order::NewestFirst).await.len(), 71);
    let mut found_any = false;
    for (threshold, window_ms) in [(1, 1), (2, 1000), (3, 60_000), (5, 600_000), (20, 86_400_000)] {
        let rule = || Rule::new("refusals", denied.clone(), threshold, window_ms);
        for rule in [rule(), rule().group_by(GroupBy::Actor)] {
            let found = log.backtest(std::slice::from_ref(&rule), ..).await.expect("the log answers");
            let mut told: Vec<_> = found.findings.into_iter().map(|finding| (finding.group, finding.ids)).collect();
            told.sort();
            let of_rule = refusals.iter().filter(|(group, _)| group.is_some() == rule.group_by.is_some());
            let bursts = of_rule.flat_map(|(group, events)| {
                bursts(events, threshold as usize, window_ms).into_iter().map(|ids| (group.clone(), ids))
            });
            let mut expected: Vec<_> = bursts.collect();
            expected.sort();
            assert!(expected.iter().all(|(_, ids)| ids.len() <= MAX_FINDING_IDS));
            found_any |= threshold > 2 && !expected.is_empty();
            assert_eq!(told, expected, "{rule:?}");
        }
    }
    assert!(found_any);
    counts(&log, &actors, |actor| Filter::new().actor(actor)).await;
    counts(&log, &actions, |action| Filter::new().action(action)).await;
    let stats = log.stats(.., &Filter::new(), &StatsOptions::new().top(1000)).await.expect("the log answers");
    assert_eq!(stats.total, actions.values().sum::<u64>());
    let top = |entries: Vec<sealog::TopEntry>| entries.into_iter().map(|entry| (entry.value, entry.count));
    assert_eq!(top(stats.top_actors).collect::<HashMap<_, _>>(), actors);
    assert_eq!(top(stats.top_actions).collect::<HashMap<_, _>>(), actions);
}

#[tokio::test]
async fn cloudtrail() {
    cloudtrail_in(&Folder::new()).await;
}

#[tokio::test]
async fn cloudtrail_in_postgres() {
    cloudtrail_in(&Folder::with_database()).await;
}

async fn cloudtrail_in(folder: &Folder) {
    let Some(path) = data("cloudtrail.ndjson.zst") else { return };
    let mut addresses = HashMap::new();
    let log = import(folder, &path, |record, sent| {
        assert_eq!(record.id(), sent["eventID"].as_str().expect("an id"));
        assert_eq!(record.ip_address.as_deref(), sent["sourceIPAddress"].as_str());
        assert_eq!(record.timestamp(), millis(&sent["eventTime"]));
        let refused = sent["errorCode"].as_str().is_some_and(|code| code.contains("AccessDenied"));
        assert!(!refused || record.outcome == Some(Outcome::Denied));
        count(&mut addresses, record.ip_address.as_ref());
    })
    .await;
    reports_read_back(folder, &log).await;
    counts(&log, &addresses, |address| Filter::new().ip_address(address)).await;
}
