//! What a user would otherwise write by hand: one SQLite table and the six usual indexes.
//!
//! Written as well as a good engineer would: a write-ahead log, prepared statements, one transaction
//! a batch, a cache that holds the indexes. It makes ids and JSON, and neither diffs nor redacts nor
//! proves.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use sealog::Event;
use serde::Serialize;
use uuid::Uuid;

use super::{Contestant, batches, calls_to_a_writer};
use crate::Result;
use crate::measure::{Run, bytes_below};

const SCHEMA: &str = include_str!("table.sql");
const FULL_TEXT: &str = include_str!("table_full_text.sql");
const INSERT: &str = include_str!("table_insert.sql");

/// Batches, each one transaction.
pub(crate) struct Table {
    /// With an index of the words of all documents, as SQLite has one.
    pub(crate) full_text: bool,
}

impl Contestant for Table {
    fn name(&self) -> &'static str {
        if self.full_text { "table with FTS5" } else { "hand-written table" }
    }

    fn run(&self, dir: &Path, events: Vec<Event>, budget: Duration) -> Result<Run> {
        let mut connection = open(dir)?;
        if self.full_text {
            connection.execute_batch(FULL_TEXT)?;
        }
        let batches: Vec<_> = batches(events.into_iter()).collect();

        let start = Instant::now();
        let mut written = 0;
        for batch in batches {
            if start.elapsed() >= budget {
                break;
            }
            write(&mut connection, &batch)?;
            written += batch.len() as u64;
            // An application lets go of what it has written; Sealog's part of the time holds that too.
            drop(batch);
        }
        let elapsed = start.elapsed();
        close(connection, dir, written, elapsed)
    }
}

/// Single calls: by default a transaction each.
pub(crate) struct TableCalls {
    /// The most events of one transaction: more than one groups by hand what is waiting.
    pub(crate) group: usize,
}

impl Contestant for TableCalls {
    fn name(&self) -> &'static str {
        if self.group == 1 { "table, one transaction per event" } else { "table, commits grouped by hand" }
    }

    fn run(&self, dir: &Path, events: Vec<Event>, budget: Duration) -> Result<Run> {
        let connection = open(dir)?;
        // The writer hands the connection back, so that the files are measured before it closes.
        let (hand_back, handed_back) = std::sync::mpsc::channel();
        let group = self.group;
        let (events, elapsed) = calls_to_a_writer(events, budget, move |mut calls| {
            let mut connection = connection;
            let mut waiting = Vec::with_capacity(group);
            let mut batch = Vec::with_capacity(group);
            let mut answers = Vec::with_capacity(group);
            while calls.blocking_recv_many(&mut waiting, group) > 0 {
                for (event, done) in waiting.drain(..) {
                    batch.push(event);
                    answers.push(done);
                }
                write(&mut connection, &batch)?;
                batch.clear();
                for done in answers.drain(..) {
                    // A task that no longer waits has nothing to be told.
                    let _ = done.send(());
                }
            }
            hand_back.send(connection).map_err(|_| "nobody takes the connection back")?;
            Ok(())
        })?;
        close(handed_back.recv()?, dir, events, elapsed)
    }
}

pub(crate) fn open(dir: &Path) -> Result<Connection> {
    let connection = connect(dir)?;
    connection.execute_batch(SCHEMA)?;
    Ok(connection)
}

/// The table that is there.
pub(crate) fn connect(dir: &Path) -> Result<Connection> {
    let connection = Connection::open(dir.join("audit_log.db"))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // In KiB when negative: 64 MiB, so that the upper levels of all indexes stay in memory.
    connection.pragma_update(None, "cache_size", -64 * 1024)?;
    Ok(connection)
}

fn close(connection: Connection, dir: &Path, events: u64, elapsed: Duration) -> Result<Run> {
    let bytes = bytes_below(dir)?;
    connection.close().map_err(|(_, error)| error)?;
    Ok(Run { events, elapsed, bytes, closed_bytes: bytes_below(dir)? })
}

pub(crate) fn write(connection: &mut Connection, events: &[Event]) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for event in events {
        insert(&transaction, event)?;
    }
    Ok(transaction.commit()?)
}

#[expect(clippy::disallowed_methods, reason = "the peer takes ids and time as an application would")]
fn insert(transaction: &Transaction<'_>, event: &Event) -> Result<()> {
    let mut fresh = [0; 36];
    let id = match &event.id {
        Some(id) => id.as_str(),
        None => Uuid::now_v7().hyphenated().encode_lower(&mut fresh),
    };
    let timestamp = event.timestamp.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        now.as_millis() as i64
    });
    let tags = (!event.tags.is_empty()).then_some(&event.tags);
    transaction.prepare_cached(INSERT)?.execute(params![
        id,
        timestamp,
        event.action,
        event.actor_id,
        event.actor_type,
        event.actor_name,
        event.on_behalf_of,
        event.resource_type,
        event.resource_id,
        event.severity.as_str(),
        event.outcome.map(sealog::Outcome::as_str),
        json(event.metadata.as_ref())?,
        json(event.before.as_ref())?,
        json(event.after.as_ref())?,
        event.ip_address,
        event.user_agent,
        event.session_id,
        event.request_id,
        json(tags)?,
        event.tenant,
        event.retention_category,
    ])?;
    Ok(())
}

fn json<T: Serialize>(value: Option<&T>) -> Result<Option<String>> {
    Ok(value.map(serde_json::to_string).transpose()?)
}
