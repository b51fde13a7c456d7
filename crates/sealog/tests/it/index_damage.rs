//! The folder of the index, damaged in every way: invariant 4. The journal has everything, so the answers
//! stay what they were.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use sealog::{
    AuditLog, Change, ErrorKind, Event, EventPage, Filter, Order, PageOptions, Severity, StateAt, Stats, StatsOptions,
};
use serde_json::{Value, json};

use crate::support::{Fixture, check, fill};

/// What a log answers to one question of each kind.
#[derive(Debug, PartialEq)]
pub(crate) struct Answers {
    pages: Vec<EventPage>,
    counts: Vec<u64>,
    pub(crate) stats: Stats,
    then: StateAt,
}

async fn answers(log: &AuditLog) -> sealog::Result<Answers> {
    let filters = [
        Filter::new(),
        Filter::new().actor("u-3"),
        Filter::new().severity_from(Severity::Warning).action("doc.*"),
        Filter::new().resource("doc", "d-1"),
        Filter::new().text("\"round seven\""),
        Filter::new().text("seven -u-3"),
        Filter::new().changed("/round"),
        Filter::new().ip_address("10.0.0.0/8").tag_any("red"),
        Filter::new().from_timestamp(2_000).to_timestamp(9_000),
    ];
    let (mut pages, mut counts) = (Vec::new(), Vec::new());
    for filter in &filters {
        counts.push(log.count(filter).await?);
        for order in [Order::NewestFirst, Order::OldestFirst] {
            pages.push(log.search(filter, &PageOptions::new().limit(20).order(order)).await?);
        }
    }
    let stats = log.stats(.., &Filter::new(), &StatsOptions::new()).await?;
    let then = log.state_at("doc", "d-1", 7_500).await?;
    Ok(Answers { pages, counts, stats, then })
}

/// Logs changes of every kind in small batches.
async fn log_changes(log: &AuditLog) {
    let words = ["one", "two", "three", "four", "five", "six", "seven"];
    for batch in 0..10_usize {
        let event = |i: usize| {
            let round = batch * 7 + i;
            let change = Change::new("doc.updated", "doc", format!("d-{}", round % 3))
                .before(json!({"round": round}))
                .after(json!({"round": round + 1}));
            change.with(|event| {
                event
                    .actor(format!("u-{}", round % 5))
                    .severity(Severity::ALL[round % 4])
                    .timestamp(round as i64 * 200)
                    .tag("red")
                    .ip_address("10.1.2.3")
                    .metadata(json!({"note": format!("round {}", words[round % 7])}))
            })
        };
        log.log_bulk((0..7).map(|i| event(i).into()).collect()).await.unwrap();
    }
}

pub(crate) async fn open(fixture: &Fixture) -> AuditLog {
    fixture.builder().tail_events(16).open().await.unwrap()
}

/// A closed log with an index of several segments, what it answers, and the files of its index.
pub(crate) async fn template() -> (Fixture, Answers, BTreeMap<String, Vec<u8>>) {
    let fixture = Fixture::new();
    for _ in 0..3 {
        let log = open(&fixture).await;
        log_changes(&log).await;
        log.close().await.unwrap();
    }
    let log = open(&fixture).await;
    let expected = answers(&log).await.unwrap();
    log.close().await.unwrap();
    let files = files(&fixture.index());
    let segments = files.keys().filter(|name| Path::new(name).extension().is_some_and(|kind| kind == "idx"));
    assert!(segments.count() > 1, "{:?}", files.keys());
    (fixture, expected, files)
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(path).unwrap()))
        .collect()
}

pub(crate) fn put(folder: &Path, files: &BTreeMap<String, Vec<u8>>) {
    let _ = std::fs::remove_dir_all(folder);
    std::fs::create_dir_all(folder).unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
}

/// The answers, within a while: an error of the index may come once on the way, and nothing else may.
pub(crate) async fn healed(log: &AuditLog, what: &str) -> Answers {
    let mut errors = 0;
    loop {
        let answered = tokio::time::timeout(Duration::from_secs(20), answers(log)).await;
        match answered.unwrap_or_else(|_| panic!("{what}: no answer")) {
            Ok(answers) => return answers,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Index, "{what}: {error}");
                errors += 1;
                assert!(errors < 2, "{what}: {error}");
            }
        }
    }
}

/// Invariant 4: each file of the index damaged while the log is closed.
#[tokio::test]
async fn invariant_4_a_damaged_file_changes_no_answer() {
    let (fixture, expected, whole) = template().await;
    for (name, bytes) in &whole {
        let half = bytes.len() / 2;
        let flipped = |at: usize| {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x55;
            bytes
        };
        let mut damages = vec![("removed", None), ("emptied", Some(Vec::new()))];
        if bytes.len() > 2 {
            damages.push(("cut in half", Some(bytes[..half].to_vec())));
            damages.push(("cut by a byte", Some(bytes[..bytes.len() - 1].to_vec())));
            damages.push(("changed in the middle", Some(flipped(half))));
            damages.push(("changed at its third", Some(flipped(bytes.len() / 3))));
            damages.push(("garbage", Some(b"{\"garbage\": [".to_vec())));
        }
        // Many files are alike: of the segments the first one will do.
        let is_segment = name.split_once('.').is_some_and(|(number, _)| number.len() == 32);
        let first = whole.keys().find(|other| other.rsplit('.').next() == name.rsplit('.').next());
        if is_segment && first != Some(name) {
            damages.truncate(1);
        }
        for (damage, damaged) in damages {
            put(&fixture.index(), &whole);
            let path = fixture.index().join(name);
            match damaged {
                Some(bytes) => std::fs::write(path, bytes).unwrap(),
                None => std::fs::remove_file(path).unwrap(),
            }
            let log = open(&fixture).await;
            assert_eq!(healed(&log, &format!("{name} {damage}")).await, expected, "{name} {damage}");
            log.close().await.unwrap();
        }
    }
}

/// Invariant 4: each number of `meta.json` changed, which is then still JSON.
#[tokio::test]
async fn invariant_4_a_number_that_is_wrong_changes_no_answer() {
    let (fixture, expected, whole) = template().await;
    let meta = &whole["meta.json"];
    for at in (0..meta.len()).filter(|at| meta[*at].is_ascii_digit()) {
        // Of the segments' numbers a few will do.
        if at % 5 != 0 && meta[at - 1].is_ascii_hexdigit() {
            continue;
        }
        let mut damaged = whole.clone();
        damaged.get_mut("meta.json").unwrap()[at] = if meta[at] == b'9' { b'1' } else { meta[at] + 1 };
        put(&fixture.index(), &damaged);
        let log = open(&fixture).await;
        let what = String::from_utf8_lossy(&damaged["meta.json"][at.saturating_sub(30)..=at]).into_owned();
        assert_eq!(healed(&log, &what).await, expected, "{what}");
        log.close().await.unwrap();
    }
}

/// Invariant 4: an index that says that it is of another version or another log, or holds other fields or other events,
/// is made anew, and one that says nothing of the kind is not.
#[tokio::test]
async fn invariant_4_an_index_that_does_not_fit_the_log_is_made_anew() {
    type Change = fn(&mut Value, &mut Value);
    fn number(value: &Value) -> u64 {
        value.as_u64().expect("a number")
    }
    let changes: [(&str, Change); 9] = [
        ("nothing", |_, _| {}),
        ("a later version", |_, held| held["version"] = (number(&held["version"]) + 1).into()),
        ("an earlier version", |_, held| held["version"] = (number(&held["version"]) - 1).into()),
        ("another log", |_, held| held["log"] = format!("{}x", held["log"].as_str().expect("a key")).into()),
        ("fewer events", |_, held| held["next_seq"] = (number(&held["next_seq"]) - 1).into()),
        ("more events than there are", |_, held| {
            (held["next_seq"], held["last"]) = ((number(&held["next_seq"]) + 1000).into(), "".into());
        }),
        ("another last event", |_, held| held["last"] = "AAAA".into()),
        ("another field", |meta, _| meta["schema"][0]["name"] = "number".into()),
        ("a field more", |meta, _| {
            let mut field = meta["schema"][0].clone();
            field["name"] = "number".into();
            meta["schema"].as_array_mut().expect("fields").push(field);
        }),
    ];
    let (fixture, expected, whole) = template().await;
    let segments = |files: &BTreeMap<String, Vec<u8>>| -> BTreeSet<String> {
        files.keys().filter_map(|name| name.strip_suffix(".idx")).map(str::to_owned).collect()
    };
    for (what, change) in changes {
        let mut meta: Value = serde_json::from_slice(&whole["meta.json"]).unwrap();
        let mut held = serde_json::from_str(meta["payload"].as_str().unwrap()).unwrap();
        change(&mut meta, &mut held);
        meta["payload"] = held.to_string().into();
        put(&fixture.index(), &whole);
        std::fs::write(fixture.index().join("meta.json"), meta.to_string()).unwrap();
        let log = open(&fixture).await;
        assert_eq!(healed(&log, what).await, expected, "{what}");
        log.close().await.unwrap();
        let is_anew = segments(&files(&fixture.index())).is_disjoint(&segments(&whole));
        assert_eq!(is_anew, what != "nothing", "{what}");
    }
}

/// Invariant 4: the folder is emptied, is gone, or is another log's.
#[tokio::test]
async fn invariant_4_another_folder_changes_no_answer() {
    let (fixture, expected, _) = template().await;
    let other = Fixture::new();
    let log = open(&other).await;
    fill(&log, 500).await;
    log.close().await.unwrap();
    let others = files(&other.index());
    let none = BTreeMap::new();
    for (what, files) in [("emptied", &none), ("another log's", &others)] {
        put(&fixture.index(), files);
        let log = open(&fixture).await;
        assert_eq!(healed(&log, what).await, expected, "{what}");
        log.close().await.unwrap();
    }
    std::fs::remove_dir_all(fixture.index()).unwrap();
    let log = open(&fixture).await;
    assert_eq!(healed(&log, "gone").await, expected);
    log.close().await.unwrap();
}

/// Invariant 4: the folder goes, in parts and as a whole, while the log is open and written to.
#[tokio::test]
async fn invariant_4_the_folder_goes_while_the_log_is_open() {
    let fixture = Fixture::new();
    let log = open(&fixture).await;
    log_changes(&log).await;
    for round in 0..6 {
        let expected = answers(&log).await.unwrap();
        match round % 3 {
            0 => put(&fixture.index(), &BTreeMap::new()),
            1 => std::fs::remove_dir_all(fixture.index()).unwrap(),
            _ => std::fs::write(fixture.index().join("meta.json"), "garbage").unwrap(),
        }
        assert_eq!(healed(&log, "gone").await, expected);
        let before = expected.stats.total;
        // Another handle begins a new folder, or shares the one that is there.
        let other = open(&fixture).await;
        assert_eq!(healed(&other, "gone, asked by another").await, expected);
        fill(&log, 40).await;
        fill(&other, 40).await;
        let (own, others) = (healed(&log, "gone and on").await, healed(&other, "gone and on, by another").await);
        assert_eq!(own.stats.total, before + 80);
        assert_eq!(own, others);
        other.close().await.unwrap();
    }
    check(&log).await;
}

/// Invariant 4: a handle that finds damage in what another one writes has that one mend it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_4_damage_is_mended_by_the_handle_that_writes() {
    let (fixture, expected, files) = template().await;
    let leader = open(&fixture).await;
    assert_eq!(healed(&leader, "whole").await, expected);
    let (name, bytes) = files.iter().find(|(name, _)| name.contains(".fast")).unwrap();
    // In place: a file that is cut off while it is mapped ends the process.
    let mut file = std::fs::OpenOptions::new().write(true).open(fixture.index().join(name)).unwrap();
    let half = bytes.len() / 2;
    file.seek(SeekFrom::Start(half as u64)).unwrap();
    file.write_all(&[bytes[half] ^ 0x55]).unwrap();
    let follower = open(&fixture).await;
    assert_eq!(healed(&follower, "asked by the follower").await, expected);
    assert_eq!(healed(&leader, "asked by the one that writes").await, expected);
    assert!(!fixture.index().join("damaged").exists());
}

/// Without a folder that can be written questions fail, and say why; the log goes on, and once the folder can
/// be written the answers come.
#[tokio::test]
async fn a_folder_that_cannot_be_made_holds_up_the_questions_only() {
    let fixture = Fixture::new();
    std::fs::write(fixture.index(), "a file").unwrap();
    let log = open(&fixture).await;
    fill(&log, 40).await;
    let error = log.count(&Filter::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Index);
    assert!(error.to_string().contains("audit.db.index"), "{error}");
    assert_eq!(log.read(0, 100).await.unwrap().events.len(), 40);
    assert_eq!(check(&log).await, 40);
    assert_eq!(log.reindex().await.unwrap_err().kind(), ErrorKind::Index);
    assert_eq!(std::fs::read(fixture.index()).unwrap(), b"a file");
    std::fs::remove_file(fixture.index()).unwrap();
    log.reindex().await.unwrap();
    assert_eq!(log.count(&Filter::new()).await.unwrap(), 40);
}

/// Whoever gives the wrong folder loses nothing in it.
#[tokio::test]
async fn what_is_not_of_the_index_is_left_alone() {
    let fixture = Fixture::new();
    std::fs::create_dir_all(fixture.index().join("photos")).unwrap();
    std::fs::write(fixture.index().join("thesis.txt"), "years of work").unwrap();
    std::fs::write(fixture.index().join("photos/one.jpg"), "a picture").unwrap();
    let log = open(&fixture).await;
    fill(&log, 40).await;
    log.reindex().await.unwrap();
    assert_eq!(log.count(&Filter::new()).await.unwrap(), 40);
    log.close().await.unwrap();
    assert_eq!(std::fs::read(fixture.index().join("thesis.txt")).unwrap(), b"years of work");
    assert_eq!(std::fs::read(fixture.index().join("photos/one.jpg")).unwrap(), b"a picture");
}

/// Many small commits leave few files: neighbours are merged, and what was merged is deleted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_small_commits_leave_few_files() {
    /// Of each size a run of eight is merged; up to 3,000 events there are three sizes. A segment has up to
    /// seven files.
    const FEW: usize = 3 * 8 * 7;
    let fixture = Fixture::new();
    let log = open(&fixture).await;
    let mut most = 0;
    for _ in 0..3000 / 20 {
        fill(&log, 20).await;
        log.count(&Filter::new()).await.unwrap();
        most = most.max(files_of(&fixture));
    }
    for _ in 0..500 {
        if files_of(&fixture) <= FEW {
            break;
        }
        log.log(Event::new("n")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(files_of(&fixture) <= FEW, "{} files are left of {most}", files_of(&fixture));
    // The merging keeps up while events come.
    assert!(most <= 2 * FEW, "{most} files");
    assert!(log.count(&Filter::new()).await.unwrap() >= 3000);
}

fn files_of(fixture: &Fixture) -> usize {
    std::fs::read_dir(fixture.index()).unwrap().count()
}
