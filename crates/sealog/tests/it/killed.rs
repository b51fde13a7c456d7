//! A process that logs and asks and removes, killed while its index is being written and its events go.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use sealog::{AuditLog, CleanupOptions, Erasure, ErasureMode, Event, Filter, PageOptions, StatsOptions, Subject};
use serde_json::json;

use crate::support::check;

/// Tells the child its log, and the first number it may use.
const CHILD: &str = "SEALOG_KILLED_CHILD";
/// Small, so that nearly each batch is a segment and merges never cease.
const TAIL_EVENTS: u64 = 4;

async fn open(path: &Path) -> AuditLog {
    AuditLog::builder(path).tail_events(TAIL_EVENTS).open().await.unwrap()
}

/// The child's side: not a test of its own, it is started by the one below.
#[tokio::test]
async fn child() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let (first, path) = told.split_once(' ').unwrap();
    let log = open(&PathBuf::from(path)).await;
    let mut out = std::io::stdout();
    for number in first.parse::<u64>().unwrap().. {
        let event = |part: u64| Event::new("n").id(format!("{number}-{part}")).actor(format!("u-{}", number % 3));
        let count = [1, 3, 9][number as usize % 3];
        log.log_bulk((0..count).map(event).collect()).await.unwrap();
        writeln!(out, "acknowledged {number} {count}").unwrap();
        out.flush().unwrap();
        if number % 4 == 0 {
            log.count(&Filter::new()).await.unwrap();
        }
    }
}

/// Starts the child, kills it after `wait`, and answers what it acknowledged. Every second one is killed so long after
/// it is in the midst of its work, however slowly it starts.
fn run_and_kill(child: &str, path: &Path, round: u64, first: u64, wait: Duration) -> Vec<(u64, u64)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", child, "--nocapture", "--test-threads=1"])
        .env(CHILD, format!("{first} {}", path.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let (tell, told) = std::sync::mpsc::channel();
    let hearer = std::thread::spawn(move || {
        let mut acknowledged = Vec::new();
        for line in output.lines().map_while(Result::ok) {
            let mut words = line.split(' ').skip_while(|word| *word != "acknowledged").skip(1);
            // The last line may have been cut short.
            let (Some(Ok(number)), Some(Ok(count))) = (words.next().map(str::parse), words.next().map(str::parse))
            else {
                continue;
            };
            acknowledged.push((number, count));
            if acknowledged.len() > 2 {
                let _ = tell.send(());
            }
        }
        acknowledged
    });
    if round % 2 == 1 {
        told.recv_timeout(Duration::from_mins(1)).unwrap();
    }
    std::thread::sleep(wait);
    child.kill().unwrap();
    child.wait().unwrap();
    hearer.join().unwrap()
}

/// Invariants 1 and 4: what was acknowledged is in every answer after the process was killed at any moment, and
/// the answers are those of a plain scan.
#[tokio::test]
async fn invariants_1_and_4_a_killed_process_leaves_an_index_that_misses_nothing() {
    let rounds = if std::env::var_os("SEALOG_LONG").is_some() { 1000 } else { 40 };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.db");
    let (mut first, mut acknowledged, mut busy) = (0, 0, 0);
    for round in 0..rounds {
        let heard = run_and_kill("killed::child", &path, round, first, Duration::from_millis(20 + round * 37 % 180));
        busy += u64::from(heard.len() > 2);
        acknowledged += heard.iter().map(|(_, count)| count).sum::<u64>();
        // What it logged and could not say any more is there under this number.
        first = heard.last().map_or(first, |(number, _)| number + 1) + 1;

        if !path.exists() {
            continue;
        }
        let log = open(&path).await;
        let size = log.head().await.unwrap().size;
        assert!(size >= acknowledged, "{size} events, and {acknowledged} were acknowledged");
        assert_eq!(log.count(&Filter::new()).await.unwrap(), size);
        let stats = log.stats(.., &Filter::new(), &StatsOptions::new()).await.unwrap();
        assert_eq!((stats.total, stats.top_actors.iter().map(|actor| actor.count).sum()), (size, size));
        let newest = log.search(&Filter::new(), &PageOptions::new().limit(1000)).await.unwrap().events;
        let all = log.read(size.saturating_sub(1000), 1000).await.unwrap().events;
        assert!(newest.iter().map(sealog::Record::seq).eq(all.iter().map(sealog::Record::seq).rev()));
        for (number, count) in heard {
            for part in 0..count {
                let seq = log.get(&format!("{number}-{part}")).await.unwrap().seq();
                let found = Filter::new().text(format!("{number}-{part}"));
                let found = log.search(&found, &PageOptions::new()).await.unwrap().events;
                assert_eq!(found.iter().map(sealog::Record::seq).collect::<Vec<_>>(), [seq]);
            }
        }
        if round % 10 == 0 {
            check(&log).await;
        }
        log.close().await.unwrap();
    }
    assert!(busy >= rounds / 2, "only {busy} were killed in the midst of their work");
    check(&open(&path).await).await;
}

/// The child's side of the next one.
#[tokio::test]
async fn removing_child() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let (first, path) = told.split_once(' ').unwrap();
    let log = open(&PathBuf::from(path)).await;
    let mut out = std::io::stdout();
    for number in first.parse::<u64>().unwrap().. {
        let event = |part: u64| {
            let event = Event::new("n").id(format!("{number}-{part}")).timestamp(1);
            match part % 4 {
                0 => event.actor("kept"),
                1 => event.actor("platypus").metadata(json!({"note": format!("ornithorhynchus{number}")})),
                _ => {
                    event.actor("old").retention_category("short").metadata(json!({"note": format!("quokka{number}")}))
                }
            }
        };
        log.log_bulk((0..40).map(event).collect()).await.unwrap();
        writeln!(out, "acknowledged {number} 10").unwrap();
        out.flush().unwrap();
        remove(&log, 7).await;
    }
}

/// Removes all but what is kept.
async fn remove(log: &AuditLog, batch: usize) {
    let short = CleanupOptions::new().older_than_days(0).retention_category("short").batch_size(batch);
    log.cleanup(&short).await.unwrap();
    let mode = if batch == 7 { ErasureMode::Fields } else { ErasureMode::Events };
    log.erase(&Erasure::new(Subject::actor("platypus"), "x").mode(mode)).await.unwrap();
}

/// Invariant 8: a process that is killed while it removes leaves a log that verifies and answers, and the next one
/// finishes.
#[tokio::test]
async fn invariant_8_a_killed_removal_is_finished_by_the_next() {
    let rounds = if std::env::var_os("SEALOG_LONG").is_some() { 300 } else { 15 };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.db");
    let (mut first, mut kept) = (0, 0);
    for round in 0..rounds {
        let heard =
            run_and_kill("killed::removing_child", &path, round, first, Duration::from_millis(80 + round * 53 % 300));
        kept += heard.iter().map(|(_, count)| count).sum::<u64>();
        first = heard.last().map_or(first, |(number, _)| number + 1) + 1;
        if !path.exists() {
            continue;
        }
        let log = open(&path).await;
        check(&log).await;
        let size = log.head().await.unwrap().size;
        let mut there = Vec::new();
        let mut page = log.read(0, 10_000).await.unwrap();
        while page.next_seq < size {
            there.append(&mut page.events);
            page = log.read(page.next_seq, 10_000).await.unwrap();
        }
        there.append(&mut page.events);
        assert_eq!(log.count(&Filter::new()).await.unwrap(), there.len() as u64);
        assert!(log.count(&Filter::new().actor("kept")).await.unwrap() >= kept);

        remove(&log, 100).await;
        check(&log).await;
        assert_eq!(log.count(&Filter::new().actor("platypus")).await.unwrap(), 0);
        assert_eq!(log.count(&Filter::new().retention_category("short")).await.unwrap(), 0);
        log.close().await.unwrap();
    }
    assert!(kept >= rounds * 5, "only {kept} events were kept: the children did next to nothing");
    for entry in std::fs::read_dir(dir.path().join("audit.db.index")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for word in ["quokka", "ornithorhynchus"] {
            assert!(!bytes.windows(word.len()).any(|window| window == word.as_bytes()), "{word}");
        }
    }
}
