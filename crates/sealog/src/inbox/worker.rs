//! The thread that drains an inbox.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, TransactionBehavior, params};
use tokio::sync::oneshot;

use super::{Drain, Sorted, sort_out};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{MAX_EVENT_BYTES, MAX_ID_BYTES};
use crate::journal::Found;
use crate::journal::sqlite::application;
use crate::keyfile::{beside, sync_folder};
use crate::sequencer::{Request, Work};

/// How often the application's file is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// How long it waits after something failed.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// How often a handle that closes looks again after something failed: for two seconds.
const LAST_TRIES: u32 = 200;
/// How many rows are read at once.
const DRAIN_ROWS: usize = 500;
/// How long nobody must have committed before drained rows are deleted, in polls: one second.
const IDLE_POLLS: u32 = 100;
/// With so many drained rows in the table they are deleted without waiting for a quiet moment.
const BACKLOG_ROWS: i64 = 50_000;
/// How many rows one deletion takes, so that it holds the application's lock for a moment only.
const DELETE_ROWS: i64 = 1_000;

pub(super) struct Worker {
    connection: Connection,
    /// The application's file, as SQLite finds its other files beside it.
    path: PathBuf,
    drain: Drain,
    drained: Arc<AtomicI64>,
    last_error: Arc<Mutex<Option<Error>>>,
    stop: Arc<AtomicBool>,
    /// Rows up to here have been read.
    read_to: i64,
    /// Whether rows that are in the log may still stand in the table.
    kept: bool,
    version: Option<i64>,
    quiet_polls: u32,
}

impl Worker {
    pub(super) fn new(
        connection: Connection,
        path: PathBuf,
        drain: Drain,
        drained: Arc<AtomicI64>,
        last_error: Arc<Mutex<Option<Error>>>,
        stop: Arc<AtomicBool>,
    ) -> Self {
        Self {
            connection,
            path,
            drain,
            drained,
            last_error,
            stop,
            // Any position may have been given by hand, those below zero included.
            read_to: i64::MIN,
            kept: false,
            version: None,
            quiet_polls: 0,
        }
    }

    /// Works until it is told to stop, and drains what is committed by then.
    pub(super) fn run(mut self) -> Result<()> {
        while !self.stop.load(Ordering::Acquire) && !self.drain.queue.is_closed() {
            let polled = self.poll();
            let pause = match &polled {
                Ok(true) => Duration::ZERO,
                Ok(false) => POLL_INTERVAL,
                // Busy, or a disk that fails for a while: the rows stay where they are.
                Err(_) => RETRY_INTERVAL,
            };
            *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = polled.err();
            std::thread::sleep(pause);
        }
        let mut end = None;
        let mut tries = LAST_TRIES;
        loop {
            match self.drain_to(&mut end) {
                // A log that is closed takes nothing any more, however often it is asked.
                Err(_) if tries > 0 && !self.drain.queue.is_closed() => tries -= 1,
                result => return result,
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// Drains the rows up to `end`, the last one where that is not known yet: an application that goes on
    /// holds up nobody who closes.
    fn drain_to(&mut self, end: &mut Option<i64>) -> Result<()> {
        let end = match *end {
            Some(end) => end,
            None => *end.insert(self.last()?),
        };
        while self.read_to < end && self.drain_some()? {}
        Ok(())
    }

    /// Drains some rows. Answers whether there may be more.
    fn poll(&mut self) -> Result<bool> {
        let version: i64 = self
            .connection
            .query_row(include_str!("../journal/sqlite/queries/changed.sql"), [], |row| row.get(0))
            .map_err(application)?;
        if self.version == Some(version) {
            self.quiet_polls = self.quiet_polls.saturating_add(1);
            if self.quiet_polls >= IDLE_POLLS && self.kept {
                self.delete()?;
            }
            return Ok(false);
        }
        self.quiet_polls = 0;
        if self.last()? < self.read_to {
            // The file is another one now, restored from a copy: its positions are given anew, and ids
            // tell which of its rows are known.
            self.read_to = i64::MIN;
            self.drained.store(0, Ordering::Release);
        }
        if !self.drain_some()? {
            self.version = Some(version);
            return Ok(false);
        }
        // Most of them go with the application's own transactions, so only the table knows how many are left.
        if self.first()?.is_some_and(|first| self.read_to.saturating_sub(first) >= BACKLOG_ROWS) {
            // Best effort: the application may hold its lock just now.
            let _ = self.delete();
        }
        Ok(true)
    }

    /// The position of the last row that was ever committed.
    fn last(&self) -> Result<i64> {
        self.connection
            .query_row(include_str!("../journal/sqlite/queries/inbox_last.sql"), [], |row| row.get(0))
            .map_err(application)
    }

    /// The position of the oldest row that is there.
    fn first(&self) -> Result<Option<i64>> {
        self.connection
            .query_row(include_str!("../journal/sqlite/queries/inbox_first.sql"), [], |row| row.get(0))
            .map_err(application)
    }

    /// Puts the next rows into the log. Answers whether there were any.
    fn drain_some(&mut self) -> Result<bool> {
        let found = self.read()?;
        let Some(last) = found.last().map(|row| row.position) else { return Ok(false) };
        sync_commits(&self.path).map_err(|error| {
            Error::new(ErrorKind::Storage, format!("cannot sync {}: {error}", self.path.display())).with_source(error)
        })?;
        self.hand_over(found)?;
        self.read_to = last;
        self.kept = true;
        self.drained.store(last, Ordering::Release);
        Ok(true)
    }

    fn read(&self) -> Result<Vec<Found>> {
        let mut statement = self
            .connection
            .prepare_cached(include_str!("../journal/sqlite/queries/inbox_rows.sql"))
            .map_err(application)?;
        let mut rows = statement.query(params![self.read_to, DRAIN_ROWS]).map_err(application)?;
        let mut found = Vec::new();
        let mut bytes = 0;
        while let Some(row) = rows.next().map_err(application)? {
            let mut event = match row.get_ref(2).map_err(application)? {
                ValueRef::Text(text) | ValueRef::Blob(text) if text.len() > 2 * MAX_EVENT_BYTES => Err(Error::new(
                    ErrorKind::LimitExceeded,
                    format!("the event has {} bytes; the limit is {MAX_EVENT_BYTES}", text.len()),
                )),
                ValueRef::Text(text) | ValueRef::Blob(text) => std::str::from_utf8(text)
                    .map(str::to_owned)
                    .map_err(|error| Error::new(ErrorKind::InvalidEvent, format!("the event is no UTF-8: {error}"))),
                other => Err(Error::new(
                    ErrorKind::InvalidEvent,
                    format!("the event is {}; it must be JSON in text", other.data_type()),
                )),
            };
            bytes += event.as_ref().map_or(0, String::len);
            // Any value may stand in any column, and none may stop those behind it.
            let id = row.get_ref(1).map_err(application)?;
            let row_id = match id {
                // What is too long is kept by its beginning, and is no id.
                ValueRef::Text(text) | ValueRef::Blob(text) => {
                    String::from_utf8_lossy(&text[..text.len().min(MAX_ID_BYTES)]).into_owned()
                }
                other => other.data_type().to_string(),
            };
            match id.as_str() {
                Ok(id) if id.len() > MAX_ID_BYTES => {
                    let message = format!("the column id has {} bytes; the limit is {MAX_ID_BYTES}", id.len());
                    event = Err(Error::new(ErrorKind::LimitExceeded, message));
                }
                Ok(_) => {}
                Err(_) => event = Err(Error::new(ErrorKind::InvalidEvent, "the column id is no text")),
            }
            let inserted_at = row.get_ref(3).map_err(application)?.as_i64().unwrap_or_else(|_| {
                event = Err(Error::new(ErrorKind::InvalidEvent, "the column inserted_at is no whole number"));
                0
            });
            let digest = match row.get_ref(4).map_err(application)? {
                ValueRef::Null => None,
                // No digest is longer than 64 digits, so a longer text is as good as none.
                other => Some(other.as_str().ok().filter(|text| text.len() <= 64).unwrap_or_default().to_owned()),
            };
            let position = row.get(0).map_err(application)?;
            found.push(Found { position, row_id, event, inserted_at, digest });
            if bytes > MAX_EVENT_BYTES {
                break;
            }
        }
        Ok(found)
    }

    /// Puts the rows into the log, or aside.
    fn hand_over(&self, found: Vec<Found>) -> Result<()> {
        let Sorted { rows, rejected, sampled } =
            sort_out(&self.drain.current.policy(), found, self.drain.clock.now_ms());
        let (reply, answer) = oneshot::channel();
        let closed = || Error::new(ErrorKind::Closed, "the log is closed");
        self.drain.queue.send(Request::Batched(Work::Drain { rows, rejected, reply })).map_err(|_| closed())?;
        answer.blocking_recv().map_err(|_| closed())??;
        // Counted once the rows cannot come again.
        for _ in 0..sampled {
            self.drain.sampled.count(&self.drain.queue);
        }
        Ok(())
    }

    /// Deletes some of the rows that are in the log.
    fn delete(&mut self) -> Result<()> {
        let transaction = rusqlite::Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate);
        let transaction = transaction.map_err(application)?;
        transaction
            .prepare_cached(include_str!("../journal/sqlite/queries/inbox_delete.sql"))
            .and_then(|mut delete| delete.execute(params![self.read_to, DELETE_ROWS]))
            .map_err(application)?;
        let kept = self.first()?.is_some_and(|first| first <= self.read_to);
        transaction.commit().map_err(application)?;
        self.kept = kept;
        Ok(())
    }
}

/// Makes durable what the application has committed, since with `synchronous=NORMAL` a loss of power could
/// undo the commit of an event that is in the log.
///
/// The database itself is left out: closing it would drop every lock that this process has on it (as POSIX
/// has it), SQLite's own included. SQLite syncs it before it gives up the file beside it.
fn sync_commits(path: &Path) -> std::io::Result<()> {
    for suffix in ["-wal", "-journal"] {
        match OpenOptions::new().write(true).open(beside(path, suffix)) {
            Ok(file) => file.sync_all()?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    // Without a write-ahead log a commit is that its journal is gone from the folder.
    sync_folder(path)
}
