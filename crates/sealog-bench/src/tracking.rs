//! `sealog-bench track`: what tracking adds to changes of a table in PostgreSQL, beside supa_audit's way; and what
//! `log_in_postgres` adds to a transaction that inserts a row.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use sealog::tokio_postgres::{self, NoTls};
use sealog::{AuditLog, Event};
use serde::Serialize;
use throwaway_postgres::{Server, ServerOptions};

use crate::Result;
use crate::machine::Machine;
use crate::measure::median;
use crate::report::{Hold, Holds};

/// How often each works, in turn.
const ROUNDS: u32 = 3;
/// Rows a round at scale 1: one a transaction, and in one statement.
const SINGLE_ROWS: f64 = 2_000.0;
const BULK_ROWS: f64 = 50_000.0;
const TABLES: [&str; 3] = ["untracked", "tracked", "versioned"];
const INSERT: &str = include_str!("tracking/insert.sql");
const UPDATE: &str = include_str!("tracking/update.sql");

/// All of it.
#[derive(Debug, Serialize)]
pub(crate) struct TrackReport {
    benchmark: &'static str,
    machine: Machine,
    postgres: u32,
    works: Vec<Work>,
    log_in: LogIn,
    holds: Vec<Hold>,
}

/// One kind of change: microseconds a row, the median of the rounds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Work {
    name: &'static str,
    untracked_us: f64,
    tracked_us: f64,
    row_trigger_us: f64,
}

/// A transaction that inserts a row, alone, with a row of a table that nobody reads, and with an event: microseconds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "scripts read the unit in the name")]
struct LogIn {
    alone_us: f64,
    by_hand_us: f64,
    with_event_us: f64,
}

impl Holds for TrackReport {
    fn holds(&self) -> &[Hold] {
        &self.holds
    }
}

/// Measures on a server of its own, with fsync.
pub(crate) fn run(scale: f64, dir: &Path) -> Result<TrackReport> {
    let machine = Machine::look(dir)?;
    let server = Server::start(&ServerOptions { fsync: true, settings: vec!["shared_buffers = '256MB'".to_owned()] });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let home = tempfile::tempdir_in(dir)?;
    let (works, log_in) = runtime.block_on(measure(&server, scale, home.path()))?;
    let bulk = &works[3];
    let holds = vec![
        Hold::at_most("a transaction with log_in over one without", log_in.with_event_us / log_in.alone_us, 1.15),
        Hold::at_most("bulk update, tracked over a trigger for each row", bulk.tracked_us / bulk.row_trigger_us, 1.0),
    ];
    Ok(TrackReport { benchmark: "track", machine, postgres: server.major(), works, log_in, holds })
}

async fn measure(server: &Server, scale: f64, home: &Path) -> Result<(Vec<Work>, LogIn)> {
    let database = server.database();
    let url = database.url();
    let (mut client, connection) = tokio_postgres::connect(&url, NoTls).await?;
    let connection = tokio::spawn(connection);
    AuditLog::set_up_database(url.as_str()).await?;
    client.batch_execute(include_str!("tracking/tables.sql")).await?;
    let (single, bulk) = (((SINGLE_ROWS * scale) as u32).max(10), ((BULK_ROWS * scale) as u32).max(10));
    let kinds = [
        ("insert, a row a transaction", INSERT, single, 1),
        ("insert, all in one statement", INSERT, bulk, bulk),
        ("update, a row a transaction", UPDATE, single, 1),
        ("update, all in one statement", UPDATE, bulk, bulk),
    ];
    let mut works = Vec::new();
    for (number, (name, sql, rows, at_once)) in kinds.into_iter().enumerate() {
        let mut times = [const { Vec::new() }; 3];
        for round in 0..ROUNDS {
            // Each round inserts rows of its own; updates find those of the inserts of their size.
            let first = (number as u32 % 2) * 10_000_000 + round * rows + 1;
            for (table, times) in TABLES.iter().zip(&mut times) {
                let sql = sql.replace("$table", table);
                let started = Instant::now();
                for from in (first..first + rows).step_by(at_once as usize) {
                    let to = from + at_once - 1;
                    client
                        .batch_execute(&sql.replace("$from", &from.to_string()).replace("$to", &to.to_string()))
                        .await?;
                }
                times.push(us(started.elapsed(), rows));
            }
            // What nobody drains here must not slow down the next.
            client.batch_execute("TRUNCATE sealog.inbox, record_version; CHECKPOINT").await?;
        }
        let [untracked_us, tracked_us, row_trigger_us] = times.map(median);
        works.push(Work { name, untracked_us, tracked_us, row_trigger_us });
    }

    let builder = AuditLog::builder(&url).key_file(home.join("key")).index(home.join("index"));
    let log = builder.open().await?;
    let insert = client.prepare("INSERT INTO untracked (id, name) VALUES ($1, 'name')").await?;
    let by_hand = client.prepare("INSERT INTO by_hand (event) VALUES ($1::text::json)").await?;
    let mut times = [const { Vec::new() }; 3];
    let mut id = 20_000_000;
    for _ in 0..ROUNDS {
        for (adds, times) in times.iter_mut().enumerate() {
            let started = Instant::now();
            for _ in 0..single {
                id += 1;
                let mut tx = client.transaction().await?;
                tx.execute(&insert, &[&id]).await?;
                let event = Event::new("person.created").actor("u-17").resource("person", id.to_string());
                match adds {
                    1 => drop(tx.execute(&by_hand, &[&serde_json::to_string(&event)?]).await?),
                    2 => drop(log.log_in_postgres(&mut tx, event).await?),
                    _ => {}
                }
                tx.commit().await?;
            }
            times.push(us(started.elapsed(), single));
        }
    }
    log.close().await?;
    drop(client);
    connection.await??;
    let [alone_us, by_hand_us, with_event_us] = times.map(median);
    Ok((works, LogIn { alone_us, by_hand_us, with_event_us }))
}

fn us(elapsed: Duration, rows: u32) -> f64 {
    elapsed.as_secs_f64() * 1e6 / f64::from(rows)
}

impl fmt::Display for TrackReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "machine  {}\nserver   PostgreSQL {}, fsync on\n", self.machine, self.postgres)?;
        writeln!(f, "{:<34}{:>12}{:>12}{:>14}{:>10}", "µs a row", "untracked", "tracked", "row trigger", "ours ÷")?;
        for work in &self.works {
            let Work { name, untracked_us, tracked_us, row_trigger_us } = work;
            let ratio = tracked_us / row_trigger_us;
            writeln!(f, "{name:<34}{untracked_us:>12.1}{tracked_us:>12.1}{row_trigger_us:>14.1}{ratio:>10.2}")?;
        }
        let LogIn { alone_us, by_hand_us, with_event_us } = &self.log_in;
        writeln!(f, "\n{:<34}{:>12}{:>12}{:>14}", "µs a transaction", "alone", "by hand", "with log_in")?;
        writeln!(f, "{:<34}{alone_us:>12.1}{by_hand_us:>12.1}{with_event_us:>14.1}\n", "insert a row")?;
        self.holds.iter().try_for_each(|hold| writeln!(f, "{hold}"))
    }
}
