//! `sealog-bench query`: what is asked of a log, at 100,000 and at 3,000,000 events.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};
use sealog::{AuditLog, Event, Filter, PageOptions, Severity, StatsOptions, VerifyOptions, WatchFrom};
use sealog_cli::{Generator, count};
use serde::Serialize;
use tokio::runtime::Runtime;

use crate::Result;
use crate::input::{SEED, START_MS};
use crate::machine::Machine;
use crate::measure::median;
use crate::peers::{self, batches, load};
use crate::report::{Figure, Hold, Holds};

/// Events of the smaller and the larger log, at scale 1.
const EVENTS: [f64; 2] = [100_000.0, 3_000_000.0];
/// Events that are added behind them, fewer than the index writes at once: the tail is full.
const TAIL_EVENTS: usize = 30_000;
/// Events of somebody who is hardly ever there, in either log.
const RARE_EVENTS: usize = 60;
const RARE_ACTOR: &str = "rare-person";
/// How often each question is asked.
const ROUNDS: usize = 200;
/// How often the peer's statistics are asked for: each takes a second or more.
const SLOW_ROUNDS: usize = 3;
/// How long events are watched, and how many a second there are.
const WATCH_SECONDS: u64 = 5;
const WATCH_RATE: u64 = 1_000;

/// All of this benchmark.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    benchmark: &'static str,
    machine: Machine,
    newest: Vec<Newest>,
    statistics: Vec<Statistics>,
    other: Vec<Figure>,
    pub(crate) holds: Vec<Hold>,
}

/// The newest 50 of something, in milliseconds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Newest {
    of: &'static str,
    events: u64,
    median_ms: f64,
    p99_ms: f64,
    /// With the tail full.
    full_tail_median_ms: f64,
    full_tail_p99_ms: f64,
    table_median_ms: f64,
}

/// Exact statistics, in milliseconds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Statistics {
    of: &'static str,
    events: u64,
    counted: u64,
    median_ms: f64,
    table_ms: f64,
}

/// Builds both logs below `dir` and asks them.
pub(crate) fn run(scale: f64, dir: &Path) -> Result<Report> {
    let machine = Machine::look(dir)?;
    let runtime = peers::runtime()?;
    let mut report = Report {
        benchmark: "query",
        machine,
        newest: Vec::new(),
        statistics: Vec::new(),
        other: Vec::new(),
        holds: Vec::new(),
    };
    for events in EVENTS {
        let events = ((events * scale) as usize).max(RARE_EVENTS * 100);
        let home = tempfile::Builder::new().prefix("query-").tempdir_in(dir)?;
        ask(&runtime, home.path(), events, &mut report)?;
    }
    let (small, large) = report.newest.split_at(report.newest.len() / 2);
    let worst = |rows: &[Newest], of: fn(&Newest) -> f64| rows.iter().map(of).fold(0.0, f64::max);
    let medians: fn(&Newest) -> f64 = |row| row.median_ms.max(row.full_tail_median_ms);
    let p99s: fn(&Newest) -> f64 = |row| row.p99_ms.max(row.full_tail_p99_ms);
    let growth = small.iter().zip(large).map(|(small, large)| large.median_ms / small.median_ms).fold(0.0, f64::max);
    let speed = report.statistics.iter().map(|row| row.table_ms / row.median_ms).fold(f64::MAX, f64::min);
    let other = |name: &str| {
        report.other.iter().rev().find(|figure| figure.name == name).map_or(f64::NAN, |figure| figure.value)
    };
    report.holds = vec![
        Hold::at_most("newest 50, median in ms", worst(large, medians), 3.0),
        Hold::at_most("newest 50, 99th percentile in ms", worst(large, p99s), 10.0),
        Hold::at_most("newest 50, median over that of the smaller log", growth, 2.0),
        Hold::at_least("statistics, speed over the table's", speed, 20.0),
        Hold::at_most(WATCH, other(WATCH), 20.0),
        Hold::at_least(VERIFY, other(VERIFY), 500_000.0),
        Hold::at_most(MEMORY, other(MEMORY), 400.0),
    ];
    Ok(report)
}

const WATCH: &str = "commit to watcher, 99th percentile in ms";
const VERIFY: &str = "verify, events/s";
const MEMORY: &str = "anonymous memory while ingesting, MiB";

fn ask(runtime: &Runtime, dir: &Path, events: usize, report: &mut Report) -> Result<()> {
    let log = runtime.block_on(AuditLog::open(dir.join("audit.db")))?;
    eprintln!("{} events into the log", count(events as u64));
    let memory = Memory::watch();
    let start = Instant::now();
    let mut generator = Events::new(events / RARE_EVENTS);
    runtime.block_on(load(&log, batches(generator.by_ref().take(events))))?;
    runtime.block_on(log.count(&Filter::new()))?;
    let seconds = start.elapsed().as_secs_f64();
    report.other.push(Figure { name: "ingest in batches, events/s", value: events as f64 / seconds, unit: "1/s" });
    report.other.push(Figure { name: MEMORY, value: memory.peak_mib(), unit: "MiB" });
    // What is left in the tail goes to disk.
    runtime.block_on(log.close())?;

    eprintln!("{} events into the table", count(events as u64));
    let mut table = peers::open_table(dir)?;
    for batch in batches(Events::new(events / RARE_EVENTS).take(events)) {
        peers::write_table(&mut table, &batch)?;
    }
    table.execute_batch("ANALYZE")?;

    eprintln!("questions");
    let log = runtime.block_on(AuditLog::open(dir.join("audit.db")))?;
    let first = report.newest.len();
    newest(runtime, &log, &table, events as u64, report)?;
    statistics(runtime, &log, &table, events as u64, report)?;
    verify(runtime, &log, events, report)?;
    watch(runtime, &log, report)?;
    runtime.block_on(load(&log, batches(generator.take(TAIL_EVENTS))))?;
    for row in &mut report.newest[first..] {
        let (median, p99) = times(ROUNDS, || {
            let filter = question(row.of)?;
            Ok(runtime.block_on(log.search(&filter, &PageOptions::new())).map(drop)?)
        })?;
        (row.full_tail_median_ms, row.full_tail_p99_ms) = (median, p99);
    }
    runtime.block_on(log.close())?;
    Ok(())
}

const QUESTIONS: [&str; 4] = ["a rare actor", "the hottest actor", "a resource", "severity=info"];

fn question(of: &str) -> Result<Filter> {
    let hottest = hottest()?;
    Ok(match of {
        "a rare actor" => Filter::new().actor(RARE_ACTOR),
        "the hottest actor" => Filter::new().actor(&hottest.0),
        "a resource" => Filter::new().resource(&hottest.1.0, &hottest.1.1),
        _ => Filter::new().severity(Severity::Info),
    })
}

type Hottest = (String, (String, String));

/// Who does most, and what most is done to.
fn hottest() -> Result<&'static Hottest> {
    static HOTTEST: std::sync::OnceLock<Option<Hottest>> = std::sync::OnceLock::new();
    let found = HOTTEST.get_or_init(|| {
        let (mut actors, mut resources) = (HashMap::new(), HashMap::new());
        for event in Events::new(usize::MAX).take(20_000) {
            *actors.entry(event.actor_id).or_insert(0) += 1;
            if let (Some(kind), Some(id)) = (event.resource_type, event.resource_id) {
                *resources.entry((kind, id)).or_insert(0) += 1;
            }
        }
        let actor = actors.into_iter().filter(|(actor, _)| actor.is_some()).max_by_key(|(_, count)| *count)?.0?;
        let resource = resources.into_iter().max_by_key(|(_, count)| *count)?.0;
        Some((actor, resource))
    });
    found.as_ref().ok_or_else(|| "the generator has no actors".into())
}

fn newest(runtime: &Runtime, log: &AuditLog, table: &Connection, events: u64, report: &mut Report) -> Result<()> {
    let (actor, (kind, id)) = hottest()?;
    for of in QUESTIONS {
        let filter = question(of)?;
        let (median_ms, p99_ms) =
            times(ROUNDS, || Ok(runtime.block_on(log.search(&filter, &PageOptions::new())).map(drop)?))?;
        let (table_median_ms, _) = times(ROUNDS, || match of {
            "a rare actor" => rows(table, include_str!("query/newest_by_actor.sql"), params![RARE_ACTOR]),
            "the hottest actor" => rows(table, include_str!("query/newest_by_actor.sql"), params![actor]),
            "a resource" => rows(table, include_str!("query/newest_by_resource.sql"), params![kind, id]),
            _ => rows(table, include_str!("query/newest_by_severity.sql"), params!["info"]),
        })?;
        report.newest.push(Newest {
            of,
            events,
            median_ms,
            p99_ms,
            full_tail_median_ms: 0.0,
            full_tail_p99_ms: 0.0,
            table_median_ms,
        });
    }
    Ok(())
}

fn statistics(runtime: &Runtime, log: &AuditLog, table: &Connection, events: u64, report: &mut Report) -> Result<()> {
    let all = runtime.block_on(log.stats(.., &Filter::new(), &StatsOptions::new()))?;
    let starts = || all.series.iter().map(|bucket| bucket.start);
    let (first, last) = (starts().min().unwrap_or(0), starts().max().unwrap_or(0));
    let (from, to) = (first + (last - first) / 5, last - (last - first) / 5);
    let questions = [
        ("a range", Filter::new(), "", "\u{10ffff}"),
        ("a range, action:record.*", Filter::new().action("record.*"), "record.", "record/"),
    ];
    for (of, filter, first_action, to_action) in questions {
        let mut counted = 0;
        let (median_ms, _) = times(ROUNDS / 10, || {
            counted = runtime.block_on(log.stats(from..to, &filter, &StatsOptions::new()))?.total;
            Ok(())
        })?;
        let (table_ms, _) = times(SLOW_ROUNDS, || {
            for sql in [
                include_str!("query/stats_severity.sql"),
                include_str!("query/stats_actions.sql"),
                include_str!("query/stats_actors.sql"),
            ] {
                rows(table, sql, params![from, to, first_action, to_action])?;
            }
            Ok(())
        })?;
        report.statistics.push(Statistics { of, events, counted, median_ms, table_ms });
    }
    Ok(())
}

fn verify(runtime: &Runtime, log: &AuditLog, events: usize, report: &mut Report) -> Result<()> {
    let start = Instant::now();
    let verified = runtime.block_on(log.verify(VerifyOptions::default(), |_| {}))?;
    if !verified.is_ok() {
        return Err("the log is damaged".into());
    }
    let value = events as f64 / start.elapsed().as_secs_f64();
    report.other.push(Figure { name: VERIFY, value, unit: "1/s" });
    Ok(())
}

/// Logs single events at a steady rate, and measures from each acknowledgement to its watcher.
fn watch(runtime: &Runtime, log: &AuditLog, report: &mut Report) -> Result<()> {
    let total = WATCH_SECONDS * WATCH_RATE;
    let first = runtime.block_on(log.head())?.size;
    let mut watch = runtime.block_on(log.watch(&Filter::new(), WatchFrom::Seq(first)))?;
    let seen = runtime.spawn(async move {
        let mut seen = Vec::with_capacity(total as usize);
        while (seen.len() as u64) < total
            && let Some(Ok(_)) = watch.next().await
        {
            seen.push(Instant::now());
        }
        seen
    });
    let acknowledged = runtime.block_on(async {
        let mut times = Vec::with_capacity(total as usize);
        let mut tick = tokio::time::interval(Duration::from_micros(1_000_000 / WATCH_RATE));
        for event in Events::new(usize::MAX).take(total as usize) {
            tick.tick().await;
            log.log(event).await?;
            times.push(Instant::now());
        }
        Ok::<_, sealog::Error>(times)
    })?;
    let seen = runtime.block_on(seen)?;
    let delays: Vec<_> = acknowledged
        .iter()
        .zip(&seen)
        .map(|(acknowledged, seen)| seen.saturating_duration_since(*acknowledged))
        .collect();
    if delays.len() as u64 != total {
        return Err("the watcher missed events".into());
    }
    report.other.push(Figure { name: WATCH, value: percentile(&delays, 99), unit: "ms" });
    Ok(())
}

fn rows(table: &Connection, sql: &str, params: &[&dyn rusqlite::ToSql]) -> Result<()> {
    let mut statement = table.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    while let Some(row) = rows.next()? {
        // Every column is read, as an application would.
        for column in 0..row.as_ref().column_count() {
            std::hint::black_box(row.get_ref(column)?);
        }
    }
    Ok(())
}

/// The median and the 99th percentile of `rounds`, in milliseconds.
fn times(rounds: usize, mut ask: impl FnMut() -> Result<()>) -> Result<(f64, f64)> {
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let start = Instant::now();
        ask()?;
        times.push(start.elapsed());
    }
    Ok((median(times.clone()).as_secs_f64() * 1e3, percentile(&times, 99)))
}

fn percentile(times: &[Duration], percent: usize) -> f64 {
    let mut times = times.to_vec();
    times.sort_unstable();
    times
        .get((times.len() * percent / 100).min(times.len().saturating_sub(1)))
        .map_or(0.0, |time| time.as_secs_f64() * 1e3)
}

/// The generator's events, and now and then one of somebody who is hardly ever there.
struct Events {
    generator: Generator,
    number: usize,
    /// Every how many events.
    rare: usize,
}

impl Events {
    fn new(rare: usize) -> Self {
        Self { generator: Generator::new(SEED, START_MS), number: 0, rare }
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.number += 1;
        let event = self.generator.next()?;
        Some(if self.number % self.rare == self.rare / 2 { event.actor(RARE_ACTOR) } else { event })
    }
}

/// The most anonymous memory of this process while it lives.
struct Memory {
    peak_kib: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Memory {
    fn watch() -> Self {
        let (peak_kib, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        std::thread::spawn({
            let (peak_kib, stop) = (peak_kib.clone(), stop.clone());
            move || {
                while !stop.load(Ordering::Relaxed) {
                    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
                    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
                    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0);
                    peak_kib.fetch_max(kib, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        });
        Self { peak_kib, stop }
    }

    fn peak_mib(&self) -> f64 {
        self.peak_kib.load(Ordering::Relaxed) as f64 / 1024.0
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Holds for Report {
    fn holds(&self) -> &[Hold] {
        &self.holds
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "machine  {}", self.machine)?;
        write!(
            f,
            "\n{:<26}{:>10}{:>9}{:>9}{:>13}{:>9}{:>11}",
            "newest 50, ms", "events", "median", "p99", "tail full", "p99", "table"
        )?;
        for row in &self.newest {
            write!(
                f,
                "\n{:<26}{:>10}{:>9.2}{:>9.2}{:>13.2}{:>9.2}{:>11.2}",
                row.of,
                count(row.events),
                row.median_ms,
                row.p99_ms,
                row.full_tail_median_ms,
                row.full_tail_p99_ms,
                row.table_median_ms
            )?;
        }
        write!(
            f,
            "\n\n{:<26}{:>10}{:>12}{:>9}{:>11}{:>9}",
            "statistics, ms", "events", "counted", "median", "table", "times"
        )?;
        for row in &self.statistics {
            write!(
                f,
                "\n{:<26}{:>10}{:>12}{:>9.2}{:>11.2}{:>9.1}",
                row.of,
                count(row.events),
                count(row.counted),
                row.median_ms,
                row.table_ms,
                row.table_ms / row.median_ms
            )?;
        }
        writeln!(f, "\n")?;
        for figure in &self.other {
            writeln!(f, "{:<42}{:>14.1}", figure.name, figure.value)?;
        }
        writeln!(f)?;
        self.holds.iter().try_for_each(|hold| writeln!(f, "{hold}"))
    }
}
