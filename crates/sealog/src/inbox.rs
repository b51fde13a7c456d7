//! The inbox: a table in the application's own SQLite file, where it drops events in its own
//! transactions, so that a change and its event commit or vanish together.
//!
//! A thread of each handle reads what is committed there and hands it to the sequencer; ids absorb
//! what is handed over twice, after a crash or by two handles. It never writes to the application's
//! file while the application does: a commit between another transaction's read and its write would
//! make that one fail, whatever its busy timeout. Rows that are in the log go instead
//!
//! - in the application's own transactions, by a trigger, told by each staged event how far the log is;
//! - by the thread itself, once nobody has committed for a while, or when very many have gathered.

#[cfg(feature = "postgres")]
mod beside;
mod worker;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};
use serde_json::Value;
use tokio::sync::mpsc;

use self::worker::Worker;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, MAX_ID_BYTES};
use crate::journal::Found;
use crate::journal::Place;
use crate::journal::sqlite::{APPLICATION_ID, application, open_file};
use crate::log::{Rejected, joined};
use crate::policy::{Applied, Compiled};
use crate::sampled::Sampled;
use crate::sequencer::{InboxRow, Request};
use crate::settings::Current;
use crate::track;

/// How long opening waits for the application's lock, to look for the table or make it.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// How an inbox is getting on: what [`AuditLog::inboxes`](crate::AuditLog::inboxes) answers.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct InboxState {
    /// The application's file; the database, without a password, where the inbox stands beside the journal.
    pub path: PathBuf,
    /// All rows up to this position are in the log; 0 at first.
    pub position: i64,
    /// What keeps it from going on; `None` while all is well.
    pub last_error: Option<Error>,
}

/// One inbox and the thread that drains it.
#[derive(Debug)]
pub(crate) struct Inbox {
    path: PathBuf,
    place: Place,
    /// Tells it from the log's other inboxes.
    number: String,
    /// All rows up to this position are in the log.
    drained: Arc<AtomicI64>,
    last_error: Arc<Mutex<Option<Error>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

/// What the draining thread works with.
pub(crate) struct Drain {
    /// The log's name.
    pub(crate) origin: String,
    pub(crate) current: Arc<Current>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) queue: mpsc::UnboundedSender<Request>,
    pub(crate) sampled: Arc<Sampled>,
}

impl Inbox {
    /// Makes the table where it is not there, and begins to drain it.
    pub(crate) fn open(path: &Path, drain: Drain) -> Result<Self> {
        let mut connection = connect(path)?;
        let exists: i64 = connection
            .query_row(include_str!("journal/sqlite/queries/inbox_exists.sql"), [], |row| row.get(0))
            .map_err(|error| failed(path, error))?;
        if exists < 3 {
            connection
                .execute_batch(include_str!("journal/sqlite/queries/inbox_create.sql"))
                .map_err(|error| failed(path, error))?;
        }
        let number = claim(&connection, path, &drain)?;
        track::refresh(&mut connection, path, &drain.current.policy())?;
        // From here on the log waits for the application, never the other way round: what is busy is tried
        // again later.
        connection.busy_timeout(Duration::ZERO).map_err(|error| failed(path, error))?;
        let drained = Arc::new(AtomicI64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let last_error = Arc::new(Mutex::new(None));
        let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let worker = Worker::new(connection, real, drain, drained.clone(), last_error.clone(), stop.clone());
        let thread = std::thread::Builder::new()
            .name("sealog-inbox".to_owned())
            .spawn(move || worker.run())
            .map_err(|error| Error::new(ErrorKind::Storage, "cannot start the inbox's thread").with_source(error))?;
        let place = Place::File(path.to_owned());
        Ok(Self { path: path.to_owned(), place, number, drained, last_error, stop, thread: Some(thread) })
    }

    /// Drains the inbox that stands beside the journal.
    #[cfg(feature = "postgres")]
    pub(crate) fn beside(place: Place, current: Arc<Current>, queue: mpsc::UnboundedSender<Request>) -> Result<Self> {
        let policy = current.policy();
        beside::tell(&place, &policy)?;
        let stop = Arc::new(AtomicBool::new(false));
        let last_error = Arc::new(Mutex::new(None));
        let drained = Arc::new(AtomicI64::new(0));
        let path = PathBuf::from(place.name());
        let of_inbox = place.clone();
        let worker = beside::Worker {
            place,
            current,
            told: policy.settings,
            queue,
            last_error: last_error.clone(),
            stop: stop.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("sealog-inbox".to_owned())
            .spawn(move || worker.run())
            .map_err(|error| Error::new(ErrorKind::Storage, "cannot start the inbox's thread").with_source(error))?;
        Ok(Self { path, place: of_inbox, number: String::new(), drained, last_error, stop, thread: Some(thread) })
    }

    /// Where its table is.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Up to which position the log has all rows, and of which inbox this holds.
    pub(crate) fn drained(&self) -> (i64, &str) {
        (self.drained.load(Ordering::Acquire), &self.number)
    }

    pub(crate) fn state(&self) -> InboxState {
        InboxState {
            path: self.path.clone(),
            position: self.drained().0,
            last_error: self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// Has what is committed by now drained without a rest. An application's file is looked at all the time.
    pub(crate) fn hurry(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    /// Drains what is committed by now, and ends.
    pub(crate) fn close(mut self) -> Result<()> {
        self.stop.store(true, Ordering::Release);
        self.hurry();
        match self.thread.take() {
            Some(thread) => joined(thread, "the inbox's thread").map_err(|error| {
                let message = format!(
                    "the inbox in {} could not be drained; what is left stays there for the next one who opens it: {}",
                    self.path.display(),
                    error.message()
                );
                Error::new(error.kind(), message).with_source(error)
            }),
            None => Ok(()),
        }
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.hurry();
    }
}

/// What becomes of rows of an inbox.
#[derive(Default)]
pub(crate) struct Sorted {
    pub(crate) rows: Vec<InboxRow>,
    pub(crate) rejected: Vec<Rejected>,
    /// How many were sampled away.
    pub(crate) sampled: usize,
}

/// Applies the policy to rows of an inbox.
pub(crate) fn sort_out(policy: &Compiled, found: Vec<Found>, now_ms: i64) -> Sorted {
    let mut sorted = Sorted::default();
    for row in found {
        let text = row.event.as_deref().unwrap_or_default();
        let digest = policy.keyed_digest(text.as_bytes());
        let prepared = match &row.event {
            Ok(text) => prepare(policy, text, &row.row_id, row.inserted_at, row.digest.as_deref(), now_ms),
            Err(error) => Err(error.clone()),
        };
        match prepared {
            Ok(Applied::Keep(event)) => sorted.rows.push(InboxRow { digest, event }),
            Ok(Applied::Sampled { .. }) => sorted.sampled += 1,
            Err(error) => {
                let json = serde_json::from_str::<Value>(text).ok();
                // Under the id that the application waits for.
                let named = json.as_ref().and_then(|json| json.get("id")?.as_str());
                let id = named.filter(|id| (1..=MAX_ID_BYTES).contains(&id.len())).unwrap_or(&row.row_id);
                let copy = json.as_ref().map(|json| policy.redacted_copy(json));
                sorted.rejected.push(Rejected::new(id, &digest, now_ms, &error, copy));
            }
        }
    }
    sorted
}

fn prepare(
    policy: &Compiled,
    text: &str,
    row_id: &str,
    inserted_at: i64,
    digest: Option<&str>,
    now_ms: i64,
) -> Result<Applied> {
    let staged = match digest {
        Some(mark) => Some(policy.read_staged(mark, text.as_bytes()).ok_or_else(not_the_librarys)?),
        None => None,
    };
    // What is wrong is kept, so it must not quote what was sent.
    let mut event = Event::from_json_unquoted(text)?;
    event.id.get_or_insert_with(|| row_id.to_owned());
    match staged {
        Some(digest) => policy.apply_staged(event, Some(digest), now_ms).map(Applied::Keep),
        // It was accepted when it was inserted.
        None => policy.apply_accepted(event, now_ms, inserted_at, || row_id.to_owned()),
    }
}

fn not_the_librarys() -> Error {
    Error::new(ErrorKind::InvalidEvent, "the column digest is the library's; leave it out")
}

/// Makes the inbox this log's own, or finds that it is. Answers which inbox it is.
fn claim(connection: &Connection, path: &Path, drain: &Drain) -> Result<String> {
    let read = || {
        connection
            .query_row(include_str!("journal/sqlite/queries/inbox_owner.sql"), [], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
            })
            .optional()
            .map_err(|error| failed(path, error))
    };
    let mut owner = read()?;
    if owner.is_none() {
        let mut number = [0; 16];
        drain.clock.fill(&mut number);
        let number = format!("{:032x}", u128::from_be_bytes(number));
        connection
            .execute(include_str!("journal/sqlite/queries/inbox_claim.sql"), [&drain.origin, &number])
            .map_err(|error| failed(path, error))?;
        owner = read()?;
    }
    let (owner, number) = owner.unwrap_or_default();
    if owner == drain.origin {
        return Ok(number);
    }
    Err(Error::new(
        ErrorKind::InvalidArgument,
        format!(
            "the inbox in {} belongs to the log {owner}, and this one is {}; give each log a file of its own, or \
             delete the row of sealog_inbox_log when that log is gone",
            path.display(),
            drain.origin
        ),
    ))
}

/// Opens the application's file, which must be one: a name that was mistyped must not become a file that
/// nobody writes to.
pub(crate) fn connect(path: &Path) -> Result<Connection> {
    if !path.try_exists().unwrap_or(true) {
        return Err(Error::new(
            ErrorKind::NotFound,
            format!("there is no file {} to have an inbox; the application makes it first", path.display()),
        ));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = open_file(path, flags).map_err(|error| failed(path, error))?;
    connection.busy_timeout(OPEN_TIMEOUT).map_err(|error| failed(path, error))?;
    let refused = |what: &str| {
        let message = format!("{} is {what}; the inbox is in the application's SQLite file", path.display());
        Error::new(ErrorKind::InvalidArgument, message)
    };
    match connection.pragma_query_value(None, "application_id", |row| row.get::<_, i32>(0)) {
        Ok(APPLICATION_ID) => Err(refused("a Sealog log")),
        Ok(_) => Ok(connection),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => Err(refused("no SQLite file")),
        Err(error) => Err(failed(path, error)),
    }
}

pub(crate) fn failed(path: &Path, error: rusqlite::Error) -> Error {
    let error = application(error);
    Error::new(error.kind(), format!("the inbox in {}: {}", path.display(), error.message())).with_source(error)
}
