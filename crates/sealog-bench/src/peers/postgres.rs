//! The contestants in PostgreSQL: ours, and what a user would otherwise write by hand, one table and the six usual
//! indexes, filled by binary `COPY` or by prepared inserts. Each run has a database of its own on one server.

use std::path::Path;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sealog::{AuditLog, Event};
use serde_json::{Map, Value};
use throwaway_postgres::{Database, Server};
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{Json, ToSql, Type};
use tokio_postgres::{Client, NoTls, Statement};
use uuid::Uuid;

use super::sealog::{run_batches, run_calls};
use super::{Contestant, batches, run_tasks, runtime};
use crate::measure::{Run, bytes_below};
use crate::{Error, Result};

const SCHEMA: &str = include_str!("postgres_table.sql");
const COPY: &str = include_str!("postgres_copy.sql");
const INSERT: &str = include_str!("postgres_insert.sql");

/// `log_bulk` in batches, until all events are in the index and the log is closed.
pub(crate) struct PostgresSealog<'s> {
    pub(crate) server: &'s Server,
    pub(crate) full_text: bool,
}

impl Contestant for PostgresSealog<'_> {
    fn name(&self) -> &'static str {
        if self.full_text { "sealog, full text" } else { "sealog" }
    }

    fn run(&self, dir: &Path, events: Vec<Event>, budget: Duration) -> Result<Run> {
        let home = Home::new(self.server, dir)?;
        let runtime = runtime()?;
        let log = runtime.block_on(home.log(self.full_text))?;
        run_batches(&runtime, log, events, budget, || home.bytes())
    }
}

/// `log`, one event a call.
pub(crate) struct PostgresSealogCalls<'s>(pub(crate) &'s Server);

impl Contestant for PostgresSealogCalls<'_> {
    fn name(&self) -> &'static str {
        "sealog"
    }

    fn run(&self, dir: &Path, events: Vec<Event>, budget: Duration) -> Result<Run> {
        let home = Home::new(self.0, dir)?;
        let runtime = runtime()?;
        let log = runtime.block_on(home.log(true))?;
        run_calls(&runtime, log, events, budget, || home.bytes())
    }
}

/// Batches, each one `COPY`, which is a transaction.
pub(crate) struct PostgresTable<'s> {
    pub(crate) server: &'s Server,
    /// More than one copy side by side.
    pub(crate) connections: usize,
}

impl Contestant for PostgresTable<'_> {
    fn name(&self) -> &'static str {
        if self.connections == 1 { "hand-written table" } else { "table, several connections" }
    }

    fn run(&self, dir: &Path, events: Vec<Event>, budget: Duration) -> Result<Run> {
        let home = Home::new(self.server, dir)?;
        let runtime = runtime()?;
        let tables = runtime.block_on(home.tables(self.connections))?;
        let batches = Arc::new(Mutex::new(batches(events.into_iter()).collect::<Vec<_>>().into_iter()));

        let start = Instant::now();
        let events = runtime.block_on(async {
            let copying: Vec<_> = tables
                .into_iter()
                .map(|table| {
                    let batches = batches.clone();
                    tokio::spawn(async move {
                        let mut copied = 0;
                        while start.elapsed() < budget {
                            let Some(batch) = batches.lock().unwrap_or_else(PoisonError::into_inner).next() else {
                                break;
                            };
                            copied += table.copy(&batch).await?;
                        }
                        Ok::<_, Error>(copied)
                    })
                })
                .collect();
            let mut events = 0;
            for copying in copying {
                events += copying.await??;
            }
            Ok::<_, Error>(events)
        })?;
        let elapsed = start.elapsed();
        let bytes = home.bytes()?;
        Ok(Run { events, elapsed, bytes, closed_bytes: bytes })
    }
}

/// Single calls, a transaction each.
pub(crate) struct PostgresTableCalls<'s> {
    pub(crate) server: &'s Server,
    /// Which the tasks share; what several commit at once may reach the disk together.
    pub(crate) connections: usize,
}

impl Contestant for PostgresTableCalls<'_> {
    fn name(&self) -> &'static str {
        if self.connections == 1 { "table, one transaction per event" } else { "the same, a pool of connections" }
    }

    fn run(&self, dir: &Path, events: Vec<Event>, budget: Duration) -> Result<Run> {
        let home = Home::new(self.server, dir)?;
        let runtime = runtime()?;
        let tables = Arc::new(runtime.block_on(home.tables(self.connections))?);
        let turn = Arc::new(AtomicUsize::new(0));
        let (events, elapsed) = run_tasks(&runtime, events, budget, move |event| {
            let (tables, turn) = (tables.clone(), turn.fetch_add(1, Ordering::Relaxed));
            async move { tables[turn % tables.len()].insert(&event).await }
        })?;
        let bytes = home.bytes()?;
        Ok(Run { events, elapsed, bytes, closed_bytes: bytes })
    }
}

/// Where one run writes: a database, and what is beside it on the client's disk.
struct Home<'s> {
    database: Database<'s>,
    dir: &'s Path,
    /// Of a database without a table.
    empty_bytes: u64,
}

impl<'s> Home<'s> {
    fn new(server: &'s Server, dir: &'s Path) -> Result<Self> {
        let database = server.database();
        // Nobody pays for the pages that the one before left dirty.
        database.try_sql("CHECKPOINT")?;
        let empty_bytes = database_bytes(&database)?;
        Ok(Self { database, dir, empty_bytes })
    }

    async fn log(&self, full_text: bool) -> Result<AuditLog> {
        let (key, index) = (self.dir.join("key"), self.dir.join("index"));
        let builder = AuditLog::builder(self.database.url()).key_file(key).index(index);
        Ok(builder.full_text(full_text).open().await?)
    }

    /// The table, over this many connections.
    async fn tables(&self, connections: usize) -> Result<Vec<Table>> {
        self.database.try_sql(SCHEMA)?;
        let mut tables = Vec::with_capacity(connections);
        for _ in 0..connections {
            tables.push(Table::connect(&self.database.url()).await?);
        }
        Ok(tables)
    }

    fn bytes(&self) -> Result<u64> {
        Ok(database_bytes(&self.database)? - self.empty_bytes + bytes_below(self.dir)?)
    }
}

fn database_bytes(database: &Database<'_>) -> Result<u64> {
    Ok(database.try_sql(include_str!("postgres_bytes.sql"))?.parse()?)
}

/// One connection to the hand-written table.
struct Table {
    client: Client,
    insert: Statement,
    /// Of the columns, as `insert` names them.
    types: Vec<Type>,
}

impl Table {
    async fn connect(url: &str) -> Result<Self> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        // It ends with the client.
        tokio::spawn(connection);
        let insert = client.prepare(INSERT).await?;
        let types = insert.params().to_vec();
        Ok(Self { client, insert, types })
    }

    async fn copy(&self, events: &[Event]) -> Result<u64> {
        let mut copy = pin!(BinaryCopyInWriter::new(self.client.copy_in(COPY).await?, &self.types));
        for event in events {
            copy.as_mut().write(&Row::of(event).columns()).await?;
        }
        Ok(copy.finish().await?)
    }

    async fn insert(&self, event: &Event) -> Result<()> {
        self.client.execute(&self.insert, &Row::of(event).columns()).await?;
        Ok(())
    }
}

/// What an event becomes in the table, where it is not there as it is.
struct Row<'e> {
    event: &'e Event,
    id: Uuid,
    timestamp: SystemTime,
    severity: &'static str,
    outcome: Option<&'static str>,
    metadata: Option<Json<&'e Map<String, Value>>>,
    before: Option<Json<&'e Value>>,
    after: Option<Json<&'e Value>>,
    tags: Option<&'e Vec<String>>,
}

impl<'e> Row<'e> {
    #[expect(clippy::disallowed_methods, reason = "the peer takes ids and time as an application would")]
    fn of(event: &'e Event) -> Self {
        Self {
            event,
            // The usual choice of type, which is smaller than a text; an id of another kind gets a new one.
            id: event.id.as_deref().and_then(|id| id.parse().ok()).unwrap_or_else(Uuid::now_v7),
            timestamp: event
                .timestamp
                .and_then(|ms| UNIX_EPOCH.checked_add(Duration::from_millis(ms.try_into().ok()?)))
                .unwrap_or_else(SystemTime::now),
            severity: event.severity.as_str(),
            outcome: event.outcome.map(sealog::Outcome::as_str),
            metadata: event.metadata.as_ref().map(Json),
            before: event.before.as_ref().map(Json),
            after: event.after.as_ref().map(Json),
            tags: (!event.tags.is_empty()).then_some(&event.tags),
        }
    }

    /// In the order of the columns.
    fn columns(&self) -> [&(dyn ToSql + Sync); 21] {
        let event = self.event;
        [
            &self.id,
            &self.timestamp,
            &event.action,
            &event.actor_id,
            &event.actor_type,
            &event.actor_name,
            &event.on_behalf_of,
            &event.resource_type,
            &event.resource_id,
            &self.severity,
            &self.outcome,
            &self.metadata,
            &self.before,
            &self.after,
            &event.ip_address,
            &event.user_agent,
            &event.session_id,
            &event.request_id,
            &self.tags,
            &event.tenant,
            &event.retention_category,
        ]
    }
}
