//! `sealog-bench standing`: whether a log in PostgreSQL slows down while a transaction stays open, which keeps every
//! dead row where it is, and while millions of rows go through its inbox.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use sealog::AuditLog;
use sealog::tokio_postgres::{self, Client, NoTls};
use serde::Serialize;
use throwaway_postgres::{Server, ServerOptions};

use crate::input::{SEED, START_MS};
use crate::machine::Machine;
use crate::peers::batches;
use crate::report::{Hold, Holds};
use crate::{Error, Result};

/// Each work is measured in so many parts of the same size.
const PARTS: u64 = 10;
/// Events of each work at scale 1.
const BATCHED_EVENTS: f64 = 1_000_000.0;
const INBOX_EVENTS: f64 = 2_000_000.0;
/// Rows that the application inserts in one transaction, and how far it may be ahead of the log.
const INBOX_ROWS: u64 = 1_000;
const MAX_AHEAD: u64 = 20_000;
const INSERT: &str = include_str!("standing/insert.sql");

/// All of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StandingReport {
    benchmark: &'static str,
    machine: Machine,
    postgres: u32,
    works: Vec<Work>,
    /// How long the transaction was open, seconds.
    open_seconds: f64,
    holds: Vec<Hold>,
}

/// One way in.
#[derive(Debug, Serialize)]
struct Work {
    name: &'static str,
    events: u64,
    /// Events a second, part for part.
    rates: Vec<f64>,
}

impl Work {
    fn new(name: &'static str, events: u64) -> Self {
        Self { name, events, rates: Vec::new() }
    }

    fn took(&mut self, events: u64, time: Duration) {
        let rate = events as f64 / time.as_secs_f64();
        self.rates.push(rate);
        eprintln!("{}, part {} of {PARTS}: {rate:.0}/s", self.name, self.rates.len());
    }

    fn last_over_first(&self) -> f64 {
        self.rates.last().zip(self.rates.first()).map_or(0.0, |(last, first)| last / first)
    }
}

impl Holds for StandingReport {
    fn holds(&self) -> &[Hold] {
        &self.holds
    }
}

/// Measures on a server of its own, with fsync.
pub(crate) fn run(scale: f64, dir: &Path) -> Result<StandingReport> {
    let machine = Machine::look(dir)?;
    let server = Server::start(&ServerOptions { fsync: true, settings: vec!["shared_buffers = '256MB'".to_owned()] });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let home = tempfile::tempdir_in(dir)?;
    let (works, open) = runtime.block_on(measure(&server, scale, home.path()))?;
    let holds = vec![
        Hold::at_least("batches, the last tenth over the first", works[0].last_over_first(), 0.8),
        Hold::at_least("inbox, the last tenth over the first", works[1].last_over_first(), 0.8),
    ];
    let postgres = server.major();
    Ok(StandingReport { benchmark: "standing", machine, postgres, works, open_seconds: open.as_secs_f64(), holds })
}

async fn measure(server: &Server, scale: f64, home: &Path) -> Result<(Vec<Work>, Duration)> {
    let database = server.database();
    let url = database.url();
    AuditLog::set_up_database(url.as_str()).await?;
    let log = AuditLog::builder(&url).key_file(home.join("key")).index(home.join("index")).open().await?;
    let (application, other) = (connect(&url).await?, connect(&url).await?);
    // With a number and a snapshot of its own: nothing that dies from here on can be vacuumed.
    other.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_current_xact_id()").await?;
    let opened = Instant::now();

    let part = ((BATCHED_EVENTS * scale) as u64 / PARTS).max(10);
    let mut events = sealog_cli::Generator::new(SEED, START_MS);
    let mut batched = Work::new("batches of 1,000, one after the other", part * PARTS);
    for _ in 0..PARTS {
        let started = Instant::now();
        for batch in batches(events.by_ref().take(usize::try_from(part)?)) {
            log.log_bulk(batch).await?;
        }
        batched.took(part, started.elapsed());
    }

    let part = ((INBOX_EVENTS * scale) as u64 / PARTS).max(10);
    let before = log.head().await?.size;
    let insert = application.prepare(INSERT).await?;
    let mut inserted = 0;
    let mut inbox = Work::new("rows through the inbox", part * PARTS);
    for number in 1..=PARTS {
        let started = Instant::now();
        while inserted < part * number {
            let to = (inserted + INBOX_ROWS).min(part * number);
            application.execute(&insert, &[&i64::try_from(inserted + 1)?, &i64::try_from(to)?]).await?;
            inserted = to;
            drained(&log, before + inserted.saturating_sub(MAX_AHEAD)).await?;
        }
        drained(&log, before + inserted).await?;
        inbox.took(part, started.elapsed());
    }

    let open = opened.elapsed();
    other.batch_execute("COMMIT").await?;
    log.close().await?;
    Ok((vec![batched, inbox], open))
}

async fn connect(url: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Waits until the log has so many events.
async fn drained(log: &AuditLog, size: u64) -> Result<()> {
    while log.head().await?.size < size {
        if let Some(error) = log.inboxes().into_iter().find_map(|inbox| inbox.last_error) {
            return Err(Error::from(error));
        }
        if log.rejected_count().await? > 0 {
            return Err("rows of the inbox were set aside".into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

impl fmt::Display for StandingReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "machine  {}\nserver   PostgreSQL {}, fsync on", self.machine, self.postgres)?;
        writeln!(f, "         a transaction was open for {:.0} s\n", self.open_seconds)?;
        writeln!(f, "{:<42}{:>12}{:>14}{:>14}", "events/s", "events", "first tenth", "last tenth")?;
        for Work { name, events, rates } in &self.works {
            let (first, last) = (rates.first().unwrap_or(&0.0), rates.last().unwrap_or(&0.0));
            writeln!(f, "{name:<42}{events:>12}{first:>14.0}{last:>14.0}")?;
        }
        writeln!(f)?;
        self.holds.iter().try_for_each(|hold| writeln!(f, "{hold}"))
    }
}
