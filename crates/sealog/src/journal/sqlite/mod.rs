//! The journal in a SQLite file of its own.
//!
//! A batch of many events is written as frames at once; what comes alone stands as rows until
//! [`pack`](Journal::pack) gathers them. Readers see both alike. The SQL is in `queries/`, the schema
//! in `migrations/`.

mod frame;
mod place;
mod read;
mod schema;
mod write;

use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, TransactionBehavior, params};
use uuid::Uuid;

pub(crate) use frame::Unpacker;
pub(crate) use read::Reader;
pub(crate) use write::SqliteJournal;

use crate::clock::Stopwatch;
use crate::error::{Error, ErrorKind, Result};
use crate::journal::{Birth, StoredCheckpoint};
use crate::log::Rejected;

/// Says in the file's header that it is a Sealog log: "SeaL" in ASCII.
pub(crate) const APPLICATION_ID: i32 = 0x5365_614c;

/// The schema's migrations, in order; the file's version is how many have run.
const MIGRATIONS: [&str; 2] =
    [include_str!("migrations/0001_journal.sql"), include_str!("migrations/0002_own_events.sql")];

/// How long a writer waits for the write lock that another one holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// A batch with fewer events than this is written as rows: packing them with their neighbours later
/// is denser.
const FRAME_AT_ONCE_EVENTS: usize = 32;

/// Opens a connection for writing: see [`Place::open`](super::Place::open).
pub(crate) fn open(path: &Path, create: bool, birth: impl FnOnce() -> Result<Birth>) -> Result<SqliteJournal> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if create {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    } else {
        must_exist(path)?;
    }
    let mut connection = open_file(path, flags).map_err(|error| open_failed(path, error))?;
    connection.busy_handler(Some(wait_a_little)).map_err(|error| open_failed(path, error))?;
    // Before anything is written to the file: is it ours?
    if check_format(&connection, path)? == 0 && !create {
        return Err(no_log_yet(path));
    }
    connection.execute_batch(include_str!("queries/configure_writer.sql")).map_err(|error| open_failed(path, error))?;
    // SQLite answers with another mode, and no error, where the file system cannot do what it needs for this.
    let mode: String = connection
        .pragma_query_value(None, "journal_mode", |row| row.get(0))
        .map_err(|error| open_failed(path, error))?;
    if mode != "wal" {
        return Err(Error::new(
            ErrorKind::Storage,
            format!(
                "{} cannot have a write-ahead log (its journal mode is {mode}): put it on a local disk, where processes \
                 can share memory",
                path.display()
            ),
        ));
    }
    connection.set_prepared_statement_cache_capacity(64);

    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(|error| open_failed(path, error))?;
    let version = check_format(&transaction, path)?;
    if version < MIGRATIONS.len() {
        for migration in &MIGRATIONS[version..] {
            transaction.execute_batch(migration).map_err(storage)?;
        }
        if version == 0 {
            let birth = birth()?;
            transaction.execute(include_str!("queries/insert_signer.sql"), params![0, birth.vkey]).map_err(storage)?;
            transaction
                .execute(include_str!("queries/insert_secret_check.sql"), params![birth.secret_check])
                .map_err(storage)?;
            write::insert_checkpoint(&transaction, &birth.checkpoint)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(storage)?;
        }
    }
    schema::check(&transaction)?;
    // Written in any case, since a commit syncs the whole write-ahead log: if every process died between a
    // write and its fsync, what was recovered just now may be in the machine's memory alone, and must not
    // be answered for before it is on the disk.
    transaction.pragma_update(None, "user_version", MIGRATIONS.len()).map_err(storage)?;
    transaction.commit().map_err(storage)?;
    SqliteJournal::new(connection, path)
}

/// Opens a connection for reading.
pub(crate) fn open_reader(path: &Path) -> Result<Reader> {
    must_exist(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = open_file(path, flags).map_err(|error| open_failed(path, error))?;
    connection.busy_handler(Some(wait_a_little)).map_err(|error| open_failed(path, error))?;
    let version = check_format(&connection, path)?;
    if version == 0 {
        return Err(no_log_yet(path));
    }
    if version < MIGRATIONS.len() {
        return Err(Error::new(
            ErrorKind::Format,
            format!(
                "{} has schema {version} and this program reads {}: open it once for writing to bring it forward",
                path.display(),
                MIGRATIONS.len()
            ),
        ));
    }
    connection.execute_batch(include_str!("queries/configure_reader.sql")).map_err(|error| open_failed(path, error))?;
    connection.set_prepared_statement_cache_capacity(64);
    Reader::new(connection)
}

/// Opens the file of just this name. SQLite takes `:memory:`, an empty name and what begins with `file:`
/// for something else, in which an event would be sealed and gone.
pub(crate) fn open_file(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    if path.is_absolute() {
        return Connection::open_with_flags(path, flags);
    }
    Connection::open_with_flags(Path::new(".").join(path), flags)
}

fn must_exist(path: &Path) -> Result<()> {
    match path.try_exists() {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::new(ErrorKind::NotFound, format!("there is no log at {}", path.display()))),
        Err(error) => {
            let message = format!("cannot look for a log at {}: {error}", path.display());
            Err(Error::new(ErrorKind::Storage, message).with_source(error))
        }
    }
}

fn no_log_yet(path: &Path) -> Error {
    Error::new(ErrorKind::Format, format!("{} is empty, so it is no log", path.display()))
}

/// The file's schema version; 0 for a new file. An error when it is something else's file or a newer
/// program's.
fn check_format(connection: &Connection, path: &Path) -> Result<usize> {
    let pragma = |name: &str| -> Result<i64> {
        connection.pragma_query_value(None, name, |row| row.get(0)).map_err(|error| open_failed(path, error))
    };
    let application = pragma("application_id")?;
    let version = pragma("user_version")?;
    if application == i64::from(APPLICATION_ID) {
        let known = MIGRATIONS.len() as i64;
        if version > known {
            return Err(Error::new(
                ErrorKind::Format,
                format!(
                    "{} was written by a newer version of Sealog: its schema is {version}, this program knows {known}; \
                     use a newer program",
                    path.display()
                ),
            ));
        }
        return Ok(usize::try_from(version).unwrap_or(0));
    }
    let tables: i64 = connection
        .query_row(include_str!("queries/count_tables.sql"), [], |row| row.get(0))
        .map_err(|error| open_failed(path, error))?;
    if application != 0 || version != 0 || tables != 0 {
        return Err(Error::new(
            ErrorKind::Format,
            format!("{} is a SQLite file, but no Sealog log; a log is a file of its own", path.display()),
        ));
    }
    Ok(0)
}

/// The schema is still the one that this connection was opened for: a newer program may have brought the
/// file forward since. Asked in each transaction.
fn check_version(connection: &Connection) -> Result<()> {
    let mut statement = connection.prepare_cached(include_str!("queries/version.sql")).map_err(storage)?;
    let version: i64 = statement.query_row([], |row| row.get(0)).map_err(storage)?;
    let known = MIGRATIONS.len() as i64;
    if version == known {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Format,
        format!(
            "another program has changed the log's schema to {version} while this one, which knows {known}, had it \
             open; start the newer program here too"
        ),
    ))
}

/// Waits for the lock in short steps, since batches are short: a handler that sleeps longer each time
/// starves beside one that writes all the time.
fn wait_a_little(tries: i32) -> bool {
    wait_within(BUSY_TIMEOUT, tries)
}

fn wait_within(limit: Duration, tries: i32) -> bool {
    const STEP: Duration = Duration::from_micros(500);
    thread_local! {
        /// When this thread began to wait.
        static WAITING: Cell<Option<Stopwatch>> = const { Cell::new(None) };
    }
    let waiting = WAITING.get().filter(|_| tries > 0).unwrap_or_else(Stopwatch::start);
    WAITING.set(Some(waiting));
    // A sleep may take far longer than it was told to, so they are not what is counted.
    if waiting.elapsed() >= limit {
        return false;
    }
    std::thread::sleep(if tries < 20 { STEP / 10 } else { STEP });
    true
}

fn open_failed(path: &Path, error: rusqlite::Error) -> Error {
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => {
            return Error::new(ErrorKind::Format, format!("{} is no SQLite file, so it is no log", path.display()));
        }
        Some(ErrorCode::CannotOpen) => {
            return Error::new(
                ErrorKind::Storage,
                format!(
                    "cannot open {}: check that its folder exists and may be written to, since SQLite keeps files \
                     beside it for readers too; copy a log elsewhere to read it where you may not write",
                    path.display()
                ),
            )
            .with_source(error);
        }
        _ => storage(error),
    };
    let message = format!("cannot open {}: {}", path.display(), kind.message());
    Error::new(kind.kind(), message).with_source(kind)
}

/// What SQLite reports of the log's file, as an error for callers.
pub(crate) fn storage(error: rusqlite::Error) -> Error {
    let advice = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another writer held the log for too long; send the events again"
        }
        Some(ErrorCode::DiskFull) => "the disk is full; make room and send the events again",
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            "the log's file is damaged; `sealog verify` says where"
        }
        Some(ErrorCode::ReadOnly) => "the log's file or folder may not be written to",
        _ if is_value(&error) => "the log's file holds a value that nobody wrote there",
        _ => "the log's file could not be read or written",
    };
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => ErrorKind::Integrity,
        _ if is_value(&error) => ErrorKind::Integrity,
        _ => busy_or_storage(&error),
    };
    Error::new(kind, format!("{advice} ({error})")).with_source(error)
}

/// What SQLite reports of the application's file. Damage to it is none to the log.
pub(crate) fn application(error: rusqlite::Error) -> Error {
    let advice = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "the application holds its file",
        Some(ErrorCode::DiskFull) => "the disk is full",
        Some(ErrorCode::DatabaseCorrupt) => "the application's file is damaged",
        Some(ErrorCode::ReadOnly) => "the application's file or folder may not be written to",
        _ => "the application's file could not be read or written",
    };
    Error::new(busy_or_storage(&error), format!("{advice} ({error})")).with_source(error)
}

fn busy_or_storage(error: &rusqlite::Error) -> ErrorKind {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => ErrorKind::Busy,
        _ => ErrorKind::Storage,
    }
}

/// Whether a column held what does not belong there.
fn is_value(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};
    matches!(error, FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) | Utf8Error(..))
}

/// An id as it is stored: 16 bytes for a UUID in its usual form, text for anything else. In the order of SQLite's
/// index, where text comes before bytes.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum IdKey<'a> {
    Text(&'a str),
    Uuid([u8; 16]),
}

impl<'a> IdKey<'a> {
    /// As it is stored; `None` for what is stored for no id.
    fn stored(value: ValueRef<'a>) -> Option<Self> {
        match value {
            ValueRef::Text(text) => std::str::from_utf8(text).ok().map(Self::Text),
            ValueRef::Blob(bytes) => bytes.try_into().ok().map(Self::Uuid),
            _ => None,
        }
    }
}

impl<'a> From<&'a str> for IdKey<'a> {
    fn from(id: &'a str) -> Self {
        // Only the form that is written back the same: an upper-case UUID is another id.
        let canonical = id.len() == 36 && !id.bytes().any(|byte| byte.is_ascii_uppercase());
        match Uuid::try_parse(id) {
            Ok(uuid) if canonical => Self::Uuid(uuid.into_bytes()),
            _ => Self::Text(id),
        }
    }
}

impl rusqlite::ToSql for IdKey<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        match self {
            Self::Uuid(bytes) => bytes.to_sql(),
            Self::Text(text) => text.to_sql(),
        }
    }
}

fn read_rejected(row: &rusqlite::Row<'_>) -> rusqlite::Result<Rejected> {
    let copy: Option<String> = row.get(5)?;
    Ok(Rejected {
        id: row.get(0)?,
        rejected_at: row.get(1)?,
        code: row.get(2)?,
        reason: row.get(3)?,
        digest: row.get(4)?,
        copy: copy.and_then(|text| serde_json::from_str(&text).ok()),
    })
}

fn read_checkpoint(row: &rusqlite::Row<'_>) -> rusqlite::Result<StoredCheckpoint> {
    Ok(StoredCheckpoint { size: row.get(0)?, frontier: row.get(1)?, note: row.get(2)? })
}

/// The one row that `query` gives, if any.
fn optional<T>(result: rusqlite::Result<T>) -> Result<Option<T>> {
    result.optional().map_err(storage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_for_the_lock_ends_by_the_clock() {
        let mut tries = 0;
        while wait_within(Duration::from_millis(50), tries) {
            // On a loaded machine a sleep takes far longer than it was told to.
            std::thread::sleep(Duration::from_millis(20));
            tries += 1;
            assert!(tries < 5);
        }
        // The next wait is one of its own.
        assert!(wait_within(Duration::from_millis(50), 0));
    }
}
