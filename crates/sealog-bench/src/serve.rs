//! `sealog-bench serve`: the same log over HTTP, with the client on the same machine.
//!
//! The server is a process of its own, this program again, so that its memory can be told from the client's.

mod child;
mod http;

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use sealog_cli::count;
use serde::Serialize;
use serde_json::json;
use tokio::runtime::Runtime;

use self::child::Served;
pub(crate) use self::child::{Kind, run as run_child};
use self::http::Connection;
use crate::Result;
use crate::input::generated;
use crate::machine::Machine;
use crate::measure::median;
use crate::peers;
use crate::report::{Figure, Hold, Holds};

/// Events as lines of one request, at scale 1.
const LINES: f64 = 300_000.0;
/// Events in the log when it is asked, at scale 1.
const ASKED_EVENTS: f64 = 1_000_000.0;
/// Connections that each post one event after the other.
const POSTERS: usize = 64;
/// How long each contestant is posted to in one round, at scale 1.
const POST_TIME: Duration = Duration::from_secs(4);
/// Rounds of posting, of which the median counts.
const ROUNDS: usize = 3;
/// Connections that ask.
const ASKERS: usize = 16;
/// How long is asked and watched, at scale 1.
const ASK_TIME: Duration = Duration::from_secs(6);
const WATCH_TIME: Duration = Duration::from_secs(10);
const WATCHERS: usize = 1_000;
const WATCH_RATE: u64 = 200;

/// What is measured.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    benchmark: &'static str,
    machine: Machine,
    figures: Vec<Figure>,
    pub(crate) holds: Vec<Hold>,
}

/// Runs all of it below `dir`.
pub(crate) fn run(scale: f64, dir: &Path) -> Result<Report> {
    let machine = Machine::look(dir)?;
    let runtime = peers::runtime()?;
    let mut figures = Vec::new();
    let mut note = |name, value: f64, unit| {
        eprintln!("{name}: {value:.1} {unit}");
        figures.push(Figure { name, value, unit });
    };

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let time = POST_TIME.mul_f64(scale.clamp(0.2, 1.0));
    for round in 0..ROUNDS {
        let kinds = if round % 2 == 0 { [Kind::Sealog, Kind::Table] } else { [Kind::Table, Kind::Sealog] };
        for kind in kinds {
            let home = tempfile::Builder::new().prefix("serve-").tempdir_in(dir)?;
            let served = Served::start(kind, home.path())?;
            let rate = runtime.block_on(post(&served, time))?;
            if kind == Kind::Sealog { &mut ours } else { &mut theirs }.push(rate);
        }
    }
    let (ours, theirs) = (median(ours), median(theirs));
    note("single posts of 64 connections", ours, "events/s");
    note("the same to axum and a table, a transaction each", theirs, "events/s");

    let home = tempfile::Builder::new().prefix("serve-").tempdir_in(dir)?;
    let served = Served::start(Kind::Sealog, home.path())?;
    let lines = (LINES * scale).max(1000.0) as usize;
    let ingest = stream(&runtime, &served, 0, lines)?;
    note("NDJSON ingest", ingest, "events/s");
    let asked = ((ASKED_EVENTS * scale) as usize).max(lines);
    stream(&runtime, &served, lines, asked - lines)?;
    let asking = ASK_TIME.mul_f64(scale.clamp(0.2, 1.0));
    let (queries, query_p99) = runtime.block_on(ask(&served, asking))?;
    note("newest 50, of four kinds, 16 connections", queries, "queries/s");
    note("the same, 99th percentile", query_p99, "ms");
    let watching = WATCH_TIME.mul_f64(scale.clamp(0.2, 1.0));
    let watched = runtime.block_on(watch(&served, watching))?;
    note("deliveries to 1,000 watchers", watched.deliveries as f64, "frames");
    note("commit to watcher, median", watched.median_ms, "ms");
    note("commit to watcher, 99th percentile", watched.p99_ms, "ms");
    let memory = served.memory()?;
    note("server's resident memory, at the most", memory.resident_mib, "MiB");
    note("of that anonymous, at the end", memory.anonymous_mib, "MiB");

    let holds = vec![
        Hold::at_least("NDJSON ingest, events/s", ingest, 30_000.0),
        Hold::at_least("single posts, events/s", ours, 6_000.0),
        Hold::at_least("single posts over axum and a table", ours / theirs, 3.0),
        Hold::at_least("newest 50, queries/s", queries, 4_000.0),
        Hold::at_least("watchers that were told every event, of 1,000", watched.complete as f64, WATCHERS as f64),
        Hold::at_most("commit to watcher, 99th percentile in ms", watched.p99_ms, 100.0),
        Hold::at_most("server's resident memory, MiB", memory.resident_mib, 500.0),
    ];
    Ok(Report { benchmark: "serve", machine, figures, holds })
}

/// Posts single events on many connections for a while; answers how many a second were acknowledged.
async fn post(served: &Served, time: Duration) -> Result<f64> {
    let bodies: Vec<Vec<u8>> =
        generated(5_000).iter().map(serde_json::to_vec).collect::<std::result::Result<_, _>>()?;
    let bodies = std::sync::Arc::new(bodies);
    let start = Instant::now();
    let tasks: Vec<_> = (0..POSTERS)
        .map(|poster| {
            let (address, key, bodies) = (served.address.clone(), served.key.clone(), bodies.clone());
            tokio::spawn(async move {
                let mut connection = Connection::open(&address, &key).await?;
                let mut acknowledged = 0_u64;
                for number in 0.. {
                    if start.elapsed() >= time {
                        break;
                    }
                    let body = &bodies[(poster * 79 + number) % bodies.len()];
                    let (status, _) =
                        connection.ask("POST /v1/events", "content-type: application/json\r\n", body).await?;
                    if status != 201 {
                        return Err(format!("a post was answered with {status}").into());
                    }
                    acknowledged += 1;
                }
                Ok::<_, crate::Error>(acknowledged)
            })
        })
        .collect();
    let mut acknowledged = 0;
    for task in tasks {
        acknowledged += task.await??;
    }
    Ok(acknowledged as f64 / start.elapsed().as_secs_f64())
}

/// Sends events as lines of one request; answers how many a second were acknowledged. They are made before the
/// clock starts, but for their text.
fn stream(runtime: &Runtime, served: &Served, skip: usize, events: usize) -> Result<f64> {
    if events == 0 {
        return Ok(0.0);
    }
    let generator = sealog_cli::Generator::new(crate::input::SEED, crate::input::START_MS).skip(skip).take(events);
    let mut text = Vec::with_capacity(events * 300);
    for event in generator {
        serde_json::to_writer(&mut text, &event)?;
        text.push(b'\n');
    }
    runtime.block_on(async {
        let connection = Connection::open(&served.address, &served.key).await?;
        let start = Instant::now();
        let end = connection.stream(text).await?;
        let seconds = start.elapsed().as_secs_f64();
        let expected = json!({"end": {"lines": events, "logged": events, "rejected": 0}});
        if end != expected {
            return Err(format!("the stream ended with {end}").into());
        }
        Ok(events as f64 / seconds)
    })
}

/// Asks for the newest 50 of something on some connections for a while; answers how often a second, and the
/// 99th percentile in milliseconds.
async fn ask(served: &Served, time: Duration) -> Result<(f64, f64)> {
    let actors: Vec<String> = {
        let mut actors: Vec<_> = generated(5_000).into_iter().filter_map(|event| event.actor_id).collect();
        actors.sort();
        actors.dedup();
        actors.into_iter().take(200).collect()
    };
    let resources: Vec<(String, String)> =
        generated(5_000).into_iter().filter_map(|event| event.resource_type.zip(event.resource_id)).take(200).collect();
    let start = Instant::now();
    let tasks: Vec<_> = (0..ASKERS)
        .map(|asker| {
            let (address, key) = (served.address.clone(), served.key.clone());
            let (actors, resources) = (actors.clone(), resources.clone());
            tokio::spawn(async move {
                let mut connection = Connection::open(&address, &key).await?;
                let mut took = Vec::new();
                for number in 0.. {
                    if start.elapsed() >= time {
                        break;
                    }
                    let which = asker * 31 + number;
                    let query = match which % 4 {
                        0 => format!("actorIds={}", http::escape(&actors[which % actors.len()])),
                        1 => {
                            let (kind, id) = &resources[which % resources.len()];
                            format!("resource={}", http::escape(&format!("{kind}:{id}")))
                        }
                        2 => "severities=info".to_owned(),
                        _ => "actions=user.*".to_owned(),
                    };
                    let asked = Instant::now();
                    let (status, _) = connection.ask(&format!("GET /v1/events?{query}"), "", &[]).await?;
                    if status != 200 {
                        return Err(format!("a question was answered with {status}").into());
                    }
                    took.push(asked.elapsed().as_secs_f64() * 1e3);
                }
                Ok::<_, crate::Error>(took)
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await??);
    }
    let rate = all.len() as f64 / start.elapsed().as_secs_f64();
    Ok((rate, percentile(&mut all, 0.99)))
}

struct Watched {
    deliveries: u64,
    /// Watchers that were told every event.
    complete: usize,
    median_ms: f64,
    p99_ms: f64,
}

/// Watches on many connections while events come at an even pace.
async fn watch(served: &Served, time: Duration) -> Result<Watched> {
    let events = (WATCH_RATE as f64 * time.as_secs_f64()) as u64;
    let epoch = Instant::now();
    let mut connections = Vec::with_capacity(WATCHERS);
    for _ in 0..WATCHERS {
        connections.push(Connection::open(&served.address, &served.key).await?);
    }
    let mut tasks = Vec::with_capacity(WATCHERS);
    for connection in connections {
        let watcher = connection.watch("GET /v1/events?actions=bench.watched&limit=1").await?;
        tasks.push(tokio::spawn(watcher.take(events, epoch)));
    }
    let mut writer = Connection::open(&served.address, &served.key).await?;
    let mut pace = tokio::time::interval(Duration::from_micros(1_000_000 / WATCH_RATE));
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    for _ in 0..events {
        pace.tick().await;
        let sent = epoch.elapsed().as_micros() as u64;
        let body = json!({"action": "bench.watched", "metadata": {"sent": sent}}).to_string();
        let (status, _) = writer.ask("POST /v1/events", "content-type: application/json\r\n", body.as_bytes()).await?;
        if status != 201 {
            return Err(format!("a post was answered with {status}").into());
        }
    }
    let (mut all, mut complete) = (Vec::new(), 0);
    for task in tasks {
        let took = task.await??;
        complete += usize::from(took.len() as u64 == events);
        all.extend(took);
    }
    let deliveries = all.len() as u64;
    Ok(Watched { deliveries, complete, median_ms: percentile(&mut all, 0.5), p99_ms: percentile(&mut all, 0.99) })
}

fn percentile(values: &mut [f64], which: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = ((values.len() as f64 * which) as usize).min(values.len().saturating_sub(1));
    values.get(place).copied().unwrap_or(f64::NAN)
}

impl Holds for Report {
    fn holds(&self) -> &[Hold] {
        &self.holds
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "machine  {}\n", self.machine)?;
        for Figure { name, value, unit } in &self.figures {
            if *value >= 1000.0 {
                writeln!(f, "{name:<52}{:>12} {unit}", count(value.round() as u64))?;
            } else {
                writeln!(f, "{name:<52}{value:>12.1} {unit}")?;
            }
        }
        writeln!(f)?;
        self.holds.iter().try_for_each(|hold| writeln!(f, "{hold}"))
    }
}
