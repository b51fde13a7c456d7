//! The seam between the log and the database that holds its rows.
//!
//! A journal keeps rows and answers by key; it knows nothing of policies, trees, keys or callers.
//! What a row means is decided above: the sequencer gives each its place, the tree its commitment.
//!
//! The contract, for each implementation:
//!
//! - [`Journal::begin`] takes the journal's one write lock, across processes. While it is held nobody
//!   else commits; when its holder dies, it is free again.
//! - [`Transaction::commit`] stores a whole batch or nothing of it, and returns `Ok` only when the
//!   batch is on stable storage. After an `Err` the batch may or may not be stored, and the journal
//!   goes on working: the next `begin` sees either all of it or nothing.
//! - Dropping a transaction stores nothing.
//! - A [`Snapshot`] sees one committed state, and never waits for writers.
//!
//! All of it blocks; callers run it on threads of their own.

#[cfg(feature = "postgres")]
pub(crate) mod postgres;
pub(crate) mod sqlite;

use std::path::{Path, PathBuf};
#[cfg(feature = "postgres")]
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

pub(crate) use self::sqlite::Unpacker;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{MAX_EVENT_BYTES, MAX_ID_BYTES};
use crate::keyfile::beside;
use crate::log::{MAX_READERS, Rejected};
use crate::retention::{ERASURE_APPLIED, HOLD_LIFTED, HOLD_PLACED, RETENTION_APPLIED};
use crate::settings::SETTINGS_CHANGED;
use crate::tree::{Hash, Node};

/// How often a journal in a file is looked at for what other processes have written.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Thinning of checkpoints waits for so many new ones, so that it costs little.
const THIN_FROM_CHECKPOINTS: usize = 256;
/// The newest checkpoints are kept all, so that what was proven against one lately can be compared.
const NEWEST_CHECKPOINTS: u32 = 64;
/// Of older ones one is kept for so many events: enough to say where damage begins.
pub(crate) const CHECKPOINT_STRETCH_EVENTS: u32 = 4096;

/// Where a journal is.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// In a SQLite file of its own.
    File(PathBuf),
    /// In a schema of a PostgreSQL database.
    #[cfg(feature = "postgres")]
    Database(Arc<postgres::Database>),
}

impl Place {
    /// The place of this name: a path, or a URL of PostgreSQL's. Calls wait for a database for as long as `patience`.
    #[cfg(feature = "postgres")]
    pub(crate) fn named(name: &Path, patience: Option<Duration>) -> Result<Self> {
        match name.to_str().filter(|name| postgres::is_url(name)) {
            Some(url) => {
                let patience = patience.unwrap_or(postgres::DEFAULT_PATIENCE);
                postgres::Database::new(url, patience).map(Self::Database)
            }
            None => Ok(Self::File(name.to_owned())),
        }
    }

    /// The place of this name: a path.
    #[cfg(not(feature = "postgres"))]
    pub(crate) fn named(name: &Path, _: Option<Duration>) -> Result<Self> {
        if name.to_str().is_some_and(|name| name.starts_with("postgres://") || name.starts_with("postgresql://")) {
            let message = "this program was built without PostgreSQL: it takes the feature `postgres`";
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        Ok(Self::File(name.to_owned()))
    }

    /// As messages call it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            #[cfg(feature = "postgres")]
            Self::Database(database) => database.name(),
        }
    }

    /// The beginning of the names of local files that can be made anew.
    pub(crate) fn local(&self) -> Result<PathBuf> {
        match self {
            Self::File(path) => Ok(path.clone()),
            #[cfg(feature = "postgres")]
            Self::Database(database) => postgres::local_file("XDG_CACHE_HOME", ".cache", &database.file_name()),
        }
    }

    /// The key's file, unless another one is named.
    pub(crate) fn key_file(&self) -> Result<PathBuf> {
        match self {
            Self::File(path) => Ok(beside(path, ".key")),
            #[cfg(feature = "postgres")]
            Self::Database(database) => {
                postgres::local_file("XDG_CONFIG_HOME", ".config", &format!("{}.key", database.file_name()))
            }
        }
    }

    /// Opens the journal for writing; creates it, with what `birth` gives, when it is not there yet, and brings an
    /// older schema forward. `birth` runs under the write lock, so that of several processes one creates.
    pub(crate) fn open(&self, create: bool, birth: impl FnOnce() -> Result<Birth>) -> Result<Box<dyn Journal>> {
        Ok(match self {
            Self::File(path) => Box::new(sqlite::open(path, create, birth)?),
            #[cfg(feature = "postgres")]
            Self::Database(database) => Box::new(postgres::open(database, create, birth)?),
        })
    }

    /// Opens the journal for reading.
    pub(crate) fn open_reader(&self) -> Result<Reader> {
        Ok(match self {
            Self::File(path) => Reader::Sqlite(sqlite::open_reader(path)?),
            #[cfg(feature = "postgres")]
            Self::Database(database) => Reader::Postgres(postgres::open_reader(database)?),
        })
    }

    /// Reading connections that are kept open while nobody reads: as many as may read at once, or in a database, which
    /// has a process for each, fewer.
    pub(crate) fn idle_readers(&self) -> usize {
        match self {
            Self::File(_) => MAX_READERS,
            #[cfg(feature = "postgres")]
            Self::Database(_) => MAX_READERS / 4,
        }
    }

    /// Waits until it is time to look whether another process has written.
    pub(crate) async fn pause(&self) {
        match self {
            Self::File(_) => tokio::time::sleep(POLL_INTERVAL).await,
            #[cfg(feature = "postgres")]
            Self::Database(database) => database.notified().await,
        }
    }
}

/// What reads a journal, one committed state at a time.
pub(crate) enum Reader {
    Sqlite(sqlite::Reader),
    #[cfg(feature = "postgres")]
    Postgres(postgres::Reader),
}

impl Reader {
    /// Runs `read` on one committed state.
    pub(crate) fn snapshot<T>(&mut self, read: impl FnOnce(&mut dyn Snapshot) -> Result<T>) -> Result<T> {
        match self {
            Self::Sqlite(reader) => reader.snapshot(read),
            #[cfg(feature = "postgres")]
            Self::Postgres(reader) => reader.snapshot(read),
        }
    }

    /// How many events there are.
    pub(crate) fn size(&mut self) -> Result<u64> {
        match self {
            Self::Sqlite(reader) => reader.size(),
            #[cfg(feature = "postgres")]
            Self::Postgres(reader) => reader.size(),
        }
    }

    /// A number that changes when anybody else commits something that may be waited for.
    pub(crate) fn version(&self) -> Result<u64> {
        match self {
            Self::Sqlite(reader) => reader.version(),
            #[cfg(feature = "postgres")]
            Self::Postgres(reader) => reader.version(),
        }
    }

    /// Whether rows wait in the inbox that stands beside the journal.
    #[cfg(feature = "postgres")]
    pub(crate) fn inbox_waits(&self) -> Result<bool> {
        match self {
            Self::Sqlite(_) => Ok(false),
            Self::Postgres(reader) => reader.inbox_waits(),
        }
    }

    /// Whether a state could not be left again: then every later one would be that old one.
    pub(crate) fn is_broken(&self) -> bool {
        match self {
            Self::Sqlite(reader) => reader.is_broken(),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => false,
        }
    }
}

/// What a journal that is being created needs from above: the key that signs, what its secret is known by,
/// and the checkpoint of the empty tree.
pub(crate) struct Birth {
    pub(crate) vkey: String,
    pub(crate) secret_check: i64,
    pub(crate) checkpoint: StoredCheckpoint,
}

/// The name of the small number that the log's secret is known by.
pub(crate) const SECRET_CHECK: &str = "secret";

/// A journal, as the one who writes it holds it.
pub(crate) trait Journal: Send {
    /// Takes the write lock.
    fn begin(&mut self) -> Result<Box<dyn Transaction + '_>>;

    /// After an `Err` of what [`begin`](Self::begin) began: whether nothing was stored and the same may be tried again
    /// at once, since it was the connection that failed and the time to wait for another one is not over.
    fn try_again(&mut self) -> bool {
        false
    }

    /// Rewrites some cold rows in a denser form and drops checkpoints that have become superfluous.
    /// Answers whether there is more to do. Changes no answer of any snapshot.
    fn pack(&mut self) -> Result<bool>;

    /// Makes what was rewritten unreadable in every file of the journal. Answers whether it is: a reader that
    /// still looks at an older state keeps it from being done.
    fn scrub(&mut self) -> Result<bool>;
}

/// The write lock, held.
pub(crate) trait Transaction {
    /// Where the log stands.
    fn head(&mut self) -> Result<Head>;

    /// Where the event with this id is, if it was ever there.
    fn find(&mut self, id: &str) -> Result<Option<Entry>>;

    /// The state that the lock holds, to read.
    fn snapshot(&mut self) -> Box<dyn Snapshot + '_>;

    /// Takes some rows out of the inbox that stands beside the journal, where there is one. They are gone with the
    /// commit. `None` where there is nothing to commit.
    fn drain(&mut self) -> Result<Option<Vec<Found>>> {
        Ok(None)
    }

    /// Puts these in the place of what stands at their seqs, which are in order. Stored with the commit.
    fn rewrite(&mut self, rows: &[Rewritten]) -> Result<()>;

    /// Drops the copies of rows that were set aside which `unwanted` picks. Answers how many. Stored with the
    /// commit.
    fn forget_rejected(&mut self, unwanted: &dyn Fn(&Value) -> bool) -> Result<u64>;

    /// Stores the batch, durably, and gives the lock back.
    fn commit(self: Box<Self>, batch: &Batch<'_>) -> Result<()>;
}

/// One committed state, to read.
pub(crate) trait Snapshot {
    /// Where the log stands.
    fn head(&mut self) -> Result<Head>;

    /// Where the event with this id is, if it was ever there.
    fn find(&mut self, id: &str) -> Result<Option<Entry>>;

    /// For each of these ids, where the event with it is, or why that cannot be told.
    fn find_all(&mut self, ids: &[&str]) -> Result<Vec<Result<Option<Entry>>>> {
        ids.iter()
            .map(|id| match self.find(id) {
                Err(error) if error.kind() != ErrorKind::Integrity => Err(error),
                found => Ok(found),
            })
            .collect()
    }

    /// The seq that is entered for this id.
    fn place(&mut self, id: &str) -> Result<Option<u64>>;

    /// For each of these ids, what is entered for it.
    fn entered(&mut self, ids: &[&str]) -> Result<Vec<Option<Entered>>>;

    /// Gives `each` the seq of each entry of a removed event, and whether it is as such an entry is: under a keyed
    /// hash, and without a digest.
    fn removed_entries(&mut self, each: &mut dyn FnMut(u64, bool)) -> Result<()>;

    /// Tables and the like that are not as the journal makes them: what each is called, what was expected, and
    /// what was found.
    fn strange_schema(&mut self) -> Result<Vec<(String, String, String)>>;

    /// How many rows there are, those that no other query would find included.
    fn census(&mut self) -> Result<Census>;

    /// The seqs of the log's own events of this kind from `from` on, in order.
    fn own(&mut self, kind: OwnKind, from: u64) -> Result<Vec<u64>>;

    /// The rows `from..to` that exist, in order, each with its seq; those too whose body was removed.
    fn rows(&mut self, from: u64, to: u64, each: &mut dyn FnMut(u64, StoredRow<'_>) -> Result<()>) -> Result<()>;

    /// The same, packed as they are stored, for whoever unpacks them on another thread.
    fn stretches(&mut self, from: u64, to: u64, each: &mut dyn FnMut(Stretch<'_>) -> Result<()>) -> Result<()> {
        self.rows(from, to, &mut |seq, row| each(Stretch::of(seq, row)))
    }

    /// The commitments `from..to`, in order.
    fn commitments(&mut self, from: u64, to: u64) -> Result<Vec<[u8; 32]>>;

    /// The hashes `from..to` of a tile level, in order; level 1 and up.
    fn nodes(&mut self, level: u8, from: u64, to: u64) -> Result<Vec<Hash>>;

    /// The checkpoints that were kept with a size of at least `from`, smallest first, at most `limit`.
    fn checkpoints(&mut self, from: u64, limit: usize) -> Result<Vec<StoredCheckpoint>>;

    /// Which key signs from which tree size on, oldest first.
    fn signers(&mut self) -> Result<Vec<Signer>>;

    /// A small number that was stored by this name.
    fn state(&mut self, name: &str) -> Result<Option<i64>>;

    /// How many events were sampled away.
    fn sampled(&mut self) -> Result<u64>;

    /// How many rows of inboxes were set aside.
    fn count_rejected(&mut self) -> Result<u64>;

    /// Rows of inboxes that were set aside, oldest first.
    fn rejected(&mut self, offset: u64, limit: usize) -> Result<Vec<Rejected>>;

    /// The newest row of an inbox with this id, and with this digest where one is given, that was set aside.
    fn find_rejected(&mut self, id: &str, digest: Option<&str>) -> Result<Option<Rejected>>;
}

/// Where the log stands: its newest checkpoint, and the key that signs the next one.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) checkpoint: StoredCheckpoint,
    pub(crate) vkey: String,
    /// The seq of the newest event that changed the settings.
    pub(crate) settings: Option<u64>,
    /// The seq of the newest removal receipt.
    pub(crate) removal: Option<u64>,
}

/// What events of the log's own carry state: they are found without reading all, and nothing removes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OwnKind {
    Settings = 0,
    Hold = 1,
    Removal = 2,
}

impl OwnKind {
    /// The kind of an event with this action.
    pub(crate) fn of_action(action: &str) -> Option<Self> {
        match action {
            SETTINGS_CHANGED => Some(Self::Settings),
            HOLD_PLACED | HOLD_LIFTED => Some(Self::Hold),
            RETENTION_APPLIED | ERASURE_APPLIED => Some(Self::Removal),
            _ => None,
        }
    }
}

/// A checkpoint and the right edge of its tree.
#[derive(Debug, Clone)]
pub(crate) struct StoredCheckpoint {
    pub(crate) size: u64,
    pub(crate) frontier: Vec<u8>,
    pub(crate) note: String,
}

/// From the tree size `since` on, `vkey` signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signer {
    pub(crate) since: u64,
    pub(crate) vkey: String,
}

/// How many rows there are, wherever they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Census {
    pub(crate) ids: u64,
    /// Events; one that is there twice counts twice.
    pub(crate) events: u64,
    pub(crate) nodes: u64,
    /// Checkpoints of sizes that no tree has.
    pub(crate) stray_checkpoints: u64,
}

/// What the table of ids knows of one id.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) seq: u64,
    /// The size of the tree that first held it.
    pub(crate) tree_size: u64,
    /// Keyed digest of what the caller sent; `None` when the log chose the id.
    pub(crate) digest: Option<[u8; 16]>,
    pub(crate) timestamp: i64,
    /// The event's body was removed, in whole or in part.
    pub(crate) removed: bool,
}

/// What is left of an event.
#[derive(Debug)]
pub(crate) struct Rewritten {
    pub(crate) seq: u64,
    /// The id under which it is entered.
    pub(crate) id: String,
    /// The keyed hash that takes the id's place.
    pub(crate) removed_id: String,
    pub(crate) timestamp: i64,
    pub(crate) salt: [u8; 16],
    /// Empty when nothing is left.
    pub(crate) body: Vec<u8>,
}

/// What is entered for an id, for who checks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entered {
    pub(crate) seq: u64,
    /// The size of the tree that first held the event.
    pub(crate) tree_size: u64,
    /// The timestamp, where the event was removed.
    pub(crate) removed: Option<i64>,
}

// What should be in a journal and is not.

fn no_checkpoint() -> Error {
    Error::new(ErrorKind::Integrity, "expected at least one checkpoint in the log, found none")
}

fn no_entry(seq: u64, id: &str) -> Error {
    let message = format!("seq {seq}: expected the event with id {id:?}, found none that can be read");
    Error::new(ErrorKind::Integrity, message)
}

fn no_commitment(seq: u64) -> Error {
    Error::new(ErrorKind::Integrity, format!("seq {seq}: expected a commitment, found none"))
}

fn no_hash(level: u8, index: u64) -> Error {
    Error::new(ErrorKind::Integrity, format!("tile level {level}: expected the hash number {index}, found none"))
}

/// A row of an inbox.
pub(crate) struct Found {
    pub(crate) position: i64,
    pub(crate) row_id: String,
    /// The event's JSON, or why it is no text.
    pub(crate) event: Result<String>,
    pub(crate) inserted_at: i64,
    pub(crate) digest: Option<String>,
}

impl Found {
    /// A row as it stands there. Any value may stand in any column, and none may stop those behind it.
    #[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "columns of SQLite hold any type"))]
    pub(crate) fn new(position: i64, id: &str, event: &str, inserted_at: i64, digest: Option<&str>) -> Self {
        let too_long = |what: &str, bytes: usize, limit: usize| {
            Error::new(ErrorKind::LimitExceeded, format!("{what} has {bytes} bytes; the limit is {limit}"))
        };
        let mut event = match event {
            long if long.len() > 2 * MAX_EVENT_BYTES => Err(too_long("the event", long.len(), MAX_EVENT_BYTES)),
            event => Ok(event.to_owned()),
        };
        if id.len() > MAX_ID_BYTES {
            event = Err(too_long("the column id", id.len(), MAX_ID_BYTES));
        }
        // What is too long is kept by its beginning, and is no id.
        let end = (0..=id.len().min(MAX_ID_BYTES)).rev().find(|end| id.is_char_boundary(*end)).unwrap_or(0);
        // No digest is longer than 64 digits, so a longer text is as good as none.
        let digest = digest.map(|digest| if digest.len() <= 64 { digest } else { "" }.to_owned());
        Self { position, row_id: id[..end].to_owned(), event, inserted_at, digest }
    }
}

/// An event on its way into the journal.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    pub(crate) id: &'a str,
    pub(crate) digest: Option<[u8; 16]>,
    pub(crate) commitment: [u8; 32],
    pub(crate) salt: [u8; 16],
    pub(crate) body: &'a [u8],
    pub(crate) own: Option<OwnKind>,
}

/// An event in the journal. The bytes are as stored: whoever trusts them has checked them first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoredRow<'a> {
    pub(crate) commitment: &'a [u8],
    pub(crate) salt: &'a [u8],
    /// Empty when it was removed.
    pub(crate) body: &'a [u8],
}

/// Neighbouring rows as they are stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stretch<'a> {
    /// Of its first row.
    pub(crate) seq: u64,
    /// 32 bytes a row.
    pub(crate) commitments: &'a [u8],
    /// 16 bytes a row, or none.
    pub(crate) salts: &'a [u8],
    /// One body, or all of them in a frame.
    pub(crate) bodies: &'a [u8],
    pub(crate) is_packed: bool,
    /// The first row that is wanted, and the one after the last, counted from its first.
    pub(crate) wanted: (usize, usize),
}

impl<'a> Stretch<'a> {
    fn of(seq: u64, row: StoredRow<'a>) -> Self {
        let StoredRow { commitment, salt, body } = row;
        Self { seq, commitments: commitment, salts: salt, bodies: body, is_packed: false, wanted: (0, 1) }
    }

    /// Gives `each` the rows that are wanted, in order.
    ///
    /// # Errors
    ///
    /// `Integrity`, before any row, when the frame is damaged; and those of `each`.
    pub(crate) fn rows(
        &self,
        unpacker: &mut Unpacker,
        each: &mut dyn FnMut(u64, StoredRow<'_>) -> Result<()>,
    ) -> Result<()> {
        let (commitments, salts) = (self.commitments, self.salts);
        if !self.is_packed {
            return each(self.seq, StoredRow { commitment: commitments, salt: salts, body: self.bodies });
        }
        unpacker.unpack(self.seq, commitments.len() / 32, self.bodies)?;
        for index in self.wanted.0..self.wanted.1 {
            let row = StoredRow {
                commitment: &commitments[index * 32..][..32],
                salt: salts.get(index * 16..index * 16 + 16).unwrap_or_default(),
                body: unpacker.body(index),
            };
            each(self.seq + index as u64, row)?;
        }
        Ok(())
    }
}

/// All that one commit stores.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    /// The seq of the first row.
    pub(crate) first_seq: u64,
    pub(crate) rows: &'a [Row<'a>],
    /// The tree's subtrees that these rows completed.
    pub(crate) nodes: &'a [Node],
    /// The new checkpoint; `None` when there are no rows.
    pub(crate) checkpoint: Option<StoredCheckpoint>,
    /// The key that signs the checkpoints after this one, when it changes.
    pub(crate) next_vkey: Option<&'a str>,
    pub(crate) rejected: &'a [Rejected],
    /// Events sampled away since the last batch.
    pub(crate) sampled: u64,
    /// Small numbers by name, no evidence.
    pub(crate) state: &'a [(&'static str, i64)],
}
