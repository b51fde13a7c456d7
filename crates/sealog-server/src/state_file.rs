//! What changes and is no evidence: when keys were last used, and what witnesses have said. It stands in a
//! small SQLite file beside the log, `audit.db.server`, and may be deleted at any time.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sealog::Cosignature;
use sealog::rusqlite::{self, Connection, params};

use crate::problem::Problem;

/// Cosigned checkpoints that are kept, the newest.
const KEPT_CHECKPOINTS: usize = 64;

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS key_use (id TEXT PRIMARY KEY, last_used_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS cosigned (size INTEGER PRIMARY KEY, note TEXT NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS cosignature (
        size INTEGER NOT NULL, witness TEXT NOT NULL, time_s INTEGER NOT NULL, line TEXT NOT NULL,
        PRIMARY KEY (size, witness)
    ) STRICT, WITHOUT ROWID;
";

/// The file, opened when it is first needed; nothing is kept where there is none.
#[derive(Clone)]
pub(crate) struct StateFile {
    path: Option<PathBuf>,
    connection: Arc<Mutex<Option<Connection>>>,
}

/// A checkpoint and what witnesses say of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cosigned {
    /// The checkpoint as the log signed it.
    pub(crate) note: String,
    /// The witnesses' lines.
    pub(crate) lines: Vec<String>,
}

impl Cosigned {
    /// The note with all signatures.
    pub(crate) fn text(&self) -> String {
        self.lines.iter().fold(self.note.clone(), |note, line| note + line + "\n")
    }
}

impl StateFile {
    pub(crate) fn new(path: Option<PathBuf>) -> Self {
        Self { path, connection: Arc::default() }
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<Option<T>, Problem> {
        let Some(path) = self.path.clone() else { return Ok(None) };
        let connection = self.connection.clone();
        let done = tokio::task::spawn_blocking(move || {
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            if connection.is_none() {
                let opened = Connection::open(&path)?;
                opened.busy_timeout(Duration::from_secs(5))?;
                opened.execute_batch(SCHEMA)?;
                *connection = Some(opened);
            }
            match &mut *connection {
                Some(connection) => work(connection).map(Some),
                None => Ok(None),
            }
        });
        done.await
            .map_err(Problem::internal)?
            .map_err(|error| Problem::internal(format!("the server's state file: {error}")))
    }

    /// Keeps when keys were used.
    pub(crate) async fn keep_uses(&self, uses: Vec<(String, i64)>) -> Result<(), Problem> {
        if uses.is_empty() {
            return Ok(());
        }
        self.with(move |connection| {
            let transaction = connection.transaction()?;
            {
                let mut statement = transaction.prepare_cached(
                    "INSERT INTO key_use (id, last_used_at) VALUES (?1, ?2)
                     ON CONFLICT (id) DO UPDATE SET last_used_at = max(last_used_at, excluded.last_used_at)",
                )?;
                for (id, at) in &uses {
                    statement.execute(params![id, at])?;
                }
            }
            transaction.commit()
        })
        .await
        .map(drop)
    }

    /// When keys were used.
    pub(crate) async fn uses(&self) -> Result<HashMap<String, i64>, Problem> {
        let uses = self.with(|connection| {
            let mut statement = connection.prepare_cached("SELECT id, last_used_at FROM key_use")?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<rusqlite::Result<_>>()
        });
        Ok(uses.await?.unwrap_or_default())
    }

    /// Keeps what a witness says of the checkpoint of this size. Answers whether there is a file to keep it in.
    pub(crate) async fn keep_cosignatures(
        &self,
        size: u64,
        note: String,
        cosignatures: Vec<Cosignature>,
    ) -> Result<bool, Problem> {
        let kept = self.with(move |connection| {
            let transaction = connection.transaction()?;
            transaction.execute("INSERT OR IGNORE INTO cosigned (size, note) VALUES (?1, ?2)", params![size, note])?;
            for Cosignature { witness, time_s, line, .. } in &cosignatures {
                transaction.execute(
                    "INSERT INTO cosignature (size, witness, time_s, line) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (size, witness) DO UPDATE SET time_s = excluded.time_s, line = excluded.line
                     WHERE excluded.time_s > time_s",
                    params![size, witness, time_s, line],
                )?;
            }
            for table in ["cosigned", "cosignature"] {
                transaction.execute(
                    &format!(
                        "DELETE FROM {table} WHERE size < (SELECT min(size) FROM
                             (SELECT size FROM cosigned ORDER BY size DESC LIMIT ?1))"
                    ),
                    params![KEPT_CHECKPOINTS],
                )?;
            }
            transaction.commit()
        });
        Ok(kept.await?.is_some())
    }

    /// What each witness has signed last: the checkpoint's size, and when, in seconds since the Unix epoch.
    pub(crate) async fn last_cosignatures(&self) -> Result<HashMap<String, (u64, i64)>, Problem> {
        let last = self.with(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT witness, max(size), time_s FROM cosignature GROUP BY witness")?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?;
            rows.collect::<rusqlite::Result<_>>()
        });
        Ok(last.await?.unwrap_or_default())
    }

    /// The newest checkpoint that a witness has signed, or that of one size.
    pub(crate) async fn cosigned(&self, size: Option<u64>) -> Result<Option<Cosigned>, Problem> {
        let found = self.with(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT size, note FROM cosigned WHERE ?1 IS NULL OR size = ?1 ORDER BY size DESC LIMIT 1",
            )?;
            let mut rows = statement.query(params![size])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            let (size, note): (u64, String) = (row.get(0)?, row.get(1)?);
            let mut lines =
                connection.prepare_cached("SELECT line FROM cosignature WHERE size = ?1 ORDER BY witness")?;
            let lines = lines.query_map(params![size], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            Ok(Some(Cosigned { note, lines }))
        });
        Ok(found.await?.flatten())
    }
}
