//! The log: open it, write to it, read it, prove it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::builder::Builder;
use crate::clock::{Clock, new_id};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Change, Event, Logged, MAX_BULK_BYTES, MAX_BULK_EVENTS, Receipt, Record};
use crate::inbox::Inbox;
use crate::index::{Index, IndexOptions};
use crate::journal::Snapshot;
use crate::journal::sqlite::{self, Reader};
use crate::policy::{Applied, Compiled, Prepared};
use crate::query::Selection;
use crate::sequencer::Request;
use crate::tree::{self, Checkpoint, Proof, TilePath};
use crate::verify::{self, SnapshotLeaves, VerifyOptions, VerifyProgress, VerifyReport};

/// The most memory that events waiting to be written may take, in KiB of canonical JSON. Callers
/// wait for room; nothing is dropped.
pub(crate) const MAX_QUEUE_KIB: usize = 64 * 1024;
/// The most events of one [`AuditLog::read`].
pub const MAX_READ_EVENTS: usize = 10_000;
/// [`AuditLog::read`] answers fewer events than asked for once it holds so many bytes of them.
const MAX_READ_BYTES: usize = 16 * 1024 * 1024;
/// How many events are read from the journal at a time.
const READ_STRIDE_EVENTS: u64 = 256;
/// How often a waiting call looks at what other processes have written.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// Reading connections that are kept open.
const MAX_IDLE_READERS: usize = 4;

/// The audit log. Cheap to clone; every clone is the same handle.
///
/// ```
/// use sealog::{AuditLog, Event, actions};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> sealog::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("audit.db");
/// let log = AuditLog::open(path).await?;
/// let logged = log.log(Event::new(actions::USER_LOGIN).actor("u-17")).await?;
///
/// // By now the event is on disk, sealed in the tree, and there for every reader.
/// let record = log.get(logged.id()).await?;
/// assert_eq!(record.actor_id.as_deref(), Some("u-17"));
/// # Ok(()) }
/// ```
///
/// Dropping the last clone lets what is pending be written in the background; [`AuditLog::close`]
/// waits for it and reports what went wrong.
#[derive(Clone)]
pub struct AuditLog {
    pub(crate) shared: Arc<Shared>,
    /// What bounds all that this handle reads.
    pub(crate) scope: Selection,
}

pub(crate) struct Shared {
    pub(crate) path: PathBuf,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) readers: Mutex<Vec<Reader>>,
    pub(crate) size: watch::Receiver<u64>,
    pub(crate) writer: Option<Writer>,
    pub(crate) index: Mutex<Option<Arc<Index>>>,
    pub(crate) index_options: IndexOptions,
}

/// What a handle has that may write.
pub(crate) struct Writer {
    pub(crate) policy: Arc<Compiled>,
    pub(crate) queue: mpsc::UnboundedSender<Request>,
    pub(crate) room: Arc<Semaphore>,
    pub(crate) sampled: Arc<AtomicU64>,
    pub(crate) inboxes: Mutex<Vec<Inbox>>,
}

/// The newest state of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Head {
    /// How many events there are; the next one gets this seq.
    pub size: u64,
    /// The newest signed checkpoint.
    pub checkpoint: Checkpoint,
}

/// Events in order: what [`AuditLog::read`] answers.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Page {
    /// The events, smallest seq first.
    pub events: Vec<Record>,
    /// Where to read on.
    pub next_seq: u64,
}

/// A row of an inbox that was no valid event and was set aside.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Rejected {
    /// The row's id.
    pub id: String,
    /// When it was set aside, milliseconds since the Unix epoch.
    pub rejected_at: i64,
    /// Why, as a code of the error table.
    pub code: String,
    /// Why, in words.
    pub reason: String,
    /// A keyed digest of what stood there, hex: equal rows have equal digests.
    pub digest: String,
    /// A redacted copy, where it was JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy: Option<Value>,
}

impl Rejected {
    pub(crate) fn new(id: &str, digest: &str, now_ms: i64, error: &Error, copy: Option<Value>) -> Self {
        Self {
            id: id.to_owned(),
            rejected_at: now_ms,
            code: error.kind().code().to_owned(),
            reason: error.to_string(),
            digest: digest.to_owned(),
            copy,
        }
    }
}

/// The statement that puts a staged event into the inbox: for any driver, in the application's own
/// transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InboxSql {
    /// One `INSERT` with the parameters `?1`, `?2`, ….
    pub sql: &'static str,
    /// The parameters, in order, all to be bound as text.
    pub params: Vec<String>,
}

/// An event on its way through an inbox: what [`AuditLog::stage`] and [`AuditLog::log_in`] answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Staged {
    /// The event's id. [`AuditLog::sequenced`] waits for it.
    pub id: String,
    /// What to run; `None` when the event was sampled away.
    pub insert: Option<InboxSql>,
}

impl AuditLog {
    /// Opens the log at `path`, or creates it, with its key in the file beside it (`audit.db.key` for
    /// `audit.db`) and the default policy. [`AuditLog::builder`] has the options.
    ///
    /// # Errors
    ///
    /// See [`Builder::open`].
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self> {
        Self::builder(path).open().await
    }

    /// Options for opening the log at `path`.
    pub fn builder(path: impl Into<PathBuf>) -> Builder {
        Builder::new(path.into())
    }

    /// Logs one event. When this returns, the event is durable, sealed and visible.
    ///
    /// Dropping the future before it has finished may or may not have logged the event; an event with
    /// an id can be sent again.
    ///
    /// # Errors
    ///
    /// `InvalidEvent`, `LimitExceeded` or `ReservedAction` when the event cannot be logged as it is;
    /// `IdConflict` when its id belongs to another event; `Storage` or `Busy` when it could not be
    /// written; `ReadOnly` or `Closed` when this handle does not write.
    pub async fn log(&self, event: Event) -> Result<Logged> {
        let writer = self.writer()?;
        match writer.apply(&self.shared, event)? {
            Applied::Keep(prepared) => {
                let receipt = writer.append(vec![prepared]).await?.pop();
                receipt.map(Logged::Recorded).ok_or_else(closed)
            }
            Applied::Sampled { id } => {
                writer.count_sampled();
                Ok(Logged::Sampled { id })
            }
        }
    }

    /// Logs a change with the diff between its states. [`AuditLog::log`] otherwise.
    ///
    /// # Errors
    ///
    /// See [`AuditLog::log`]; `InvalidEvent` when neither state is there.
    pub async fn log_change(&self, change: Change) -> Result<Logged> {
        let event = Event::from(change);
        if event.before.is_none() && event.after.is_none() {
            return Err(Error::new(
                ErrorKind::InvalidEvent,
                "a change has a state before it, after it, or both; this one has neither",
            ));
        }
        self.log(event).await
    }

    /// Logs all of these events in one transaction, or none of them. Answers in their order.
    ///
    /// # Errors
    ///
    /// See [`AuditLog::log`]; the pointer begins with the index of the event that is wrong
    /// (`/3/action`). `LimitExceeded` past [`MAX_BULK_EVENTS`] or [`MAX_BULK_BYTES`].
    pub async fn log_bulk(&self, events: Vec<Event>) -> Result<Vec<Logged>> {
        let writer = self.writer()?;
        if events.len() > MAX_BULK_EVENTS {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!("{} events at once; the limit is {MAX_BULK_EVENTS}: send them in several calls", events.len()),
            ));
        }
        let (mut prepared, mut sampled) = (Vec::with_capacity(events.len()), Vec::new());
        let mut bytes = 0;
        for (index, event) in events.into_iter().enumerate() {
            match writer.apply(&self.shared, event).map_err(|error| error.inside(&format!("/{index}")))? {
                Applied::Keep(event) => {
                    bytes += event.max_len();
                    prepared.push(event);
                }
                Applied::Sampled { id } => sampled.push((index, id)),
            }
            if bytes > MAX_BULK_BYTES {
                return Err(Error::new(
                    ErrorKind::LimitExceeded,
                    format!(
                        "the first {} events have {bytes} bytes; the limit is {MAX_BULK_BYTES}: send them in several calls",
                        index + 1
                    ),
                ));
            }
        }
        let receipts = if prepared.is_empty() { Vec::new() } else { writer.append(prepared).await? };
        let mut logged: Vec<_> = receipts.into_iter().map(Logged::Recorded).collect();
        // The indices ascend, so each one goes where it was.
        for (index, id) in sampled {
            writer.count_sampled();
            logged.insert(index, Logged::Sampled { id });
        }
        Ok(logged)
    }

    /// Logs an event in the application's own transaction: it is there if the transaction commits,
    /// and never was if it rolls back. The twin of [`AuditLog::log`] for rusqlite.
    ///
    /// The transaction's file must have an inbox ([`Builder::inbox`]). The event is durable with the
    /// application's commit, and sealed and visible shortly after it: [`AuditLog::sequenced`] waits for
    /// that.
    ///
    /// ```
    /// use sealog::{AuditLog, Event};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let (audit, app) = (dir.path().join("audit.db"), dir.path().join("app.db"));
    /// let mut db = sealog::rusqlite::Connection::open(&app)?;
    /// db.pragma_update(None, "journal_mode", "wal")?;
    /// db.execute("CREATE TABLE invoice (id TEXT PRIMARY KEY, paid INTEGER)", [])?;
    /// let log = AuditLog::builder(audit).inbox(&app).open().await?;
    ///
    /// let mut tx = db.transaction()?;
    /// tx.execute("INSERT INTO invoice VALUES ('i-4', 1)", [])?;
    /// let staged = log.log_in(&mut tx, Event::new("invoice.paid").resource("invoice", "i-4"))?;
    /// tx.commit()?;
    ///
    /// let receipt = log.sequenced(&staged.id).await?;
    /// assert_eq!(receipt.seq, 0);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`AuditLog::log`], before anything is written; `Storage` when the insert fails.
    pub fn log_in(&self, transaction: &mut rusqlite::Transaction<'_>, event: Event) -> Result<Staged> {
        let staged = self.stage(event)?;
        if let Some(insert) = &staged.insert {
            transaction
                .prepare_cached(insert.sql)
                .and_then(|mut statement| statement.execute(rusqlite::params_from_iter(&insert.params)))
                .map_err(|error| {
                    let error = sqlite::storage(error);
                    let message = format!("cannot insert into sealog_inbox: {}", error.message());
                    Error::new(error.kind(), message).with_source(error)
                })?;
        }
        Ok(staged)
    }

    /// The statement that logs an event in the application's own transaction, for any driver. The
    /// policy has been applied: what it redacts is not in the parameters.
    ///
    /// # Errors
    ///
    /// As [`AuditLog::log`].
    pub fn stage(&self, event: Event) -> Result<Staged> {
        let writer = self.writer()?;
        match writer.apply(&self.shared, event)? {
            Applied::Keep(prepared) => {
                let json = String::from_utf8_lossy(prepared.sealable.unsealed()).into_owned();
                let mark = writer.policy.mark_staged(&prepared);
                // Only a handle with one inbox knows which rows its position speaks of.
                let drained = match &**writer.inboxes.lock().unwrap_or_else(PoisonError::into_inner) {
                    [inbox] => inbox.drained().to_string(),
                    _ => String::new(),
                };
                let params = vec![prepared.id.clone(), json, mark, drained];
                let sql = include_str!("journal/sqlite/queries/inbox_insert.sql").trim_ascii_end();
                Ok(Staged { id: prepared.id, insert: Some(InboxSql { sql, params }) })
            }
            Applied::Sampled { id } => {
                writer.count_sampled();
                Ok(Staged { id, insert: None })
            }
        }
    }

    /// Waits until the event with this id is in the log, whoever puts it there.
    ///
    /// It waits for as long as it takes; put a time-out around it where the transaction may not have
    /// committed. To a scoped handle, what its scope does not select never comes.
    ///
    /// # Errors
    ///
    /// When the row of the inbox was set aside: why.
    pub async fn sequenced(&self, id: &str) -> Result<Receipt> {
        let mut size = self.shared.size.clone();
        loop {
            size.mark_unchanged();
            let (wanted, scope) = (id.to_owned(), self.scope.clone());
            let found = self
                .snapshot(move |snapshot| {
                    let Some(entry) = snapshot.find(&wanted)? else {
                        // Nobody can tell whose it was.
                        return Ok((None, if scope.is_whole() { snapshot.find_rejected(&wanted)? } else { None }));
                    };
                    let is_seen =
                        scope.is_whole() || scope.record(&read_records(snapshot, entry.seq, entry.seq + 1)?[0])?;
                    Ok((is_seen.then_some(entry), None))
                })
                .await?;
            match found {
                (Some(entry), _) => {
                    return Ok(Receipt {
                        id: id.to_owned(),
                        seq: entry.seq,
                        timestamp: entry.timestamp,
                        tree_size: entry.tree_size,
                        removed: false,
                    });
                }
                (None, Some(rejected)) => {
                    let kind = ErrorKind::all().find(|kind| kind.code() == rejected.code);
                    return Err(Error::new(
                        kind.unwrap_or(ErrorKind::InvalidEvent),
                        format!("the event was set aside: {}", rejected.reason),
                    ));
                }
                (None, None) => {
                    // Another process may sequence it, which only looking tells.
                    a_change_or_a_moment(&mut size).await;
                }
            }
        }
    }

    /// The event with this id.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is none.
    pub async fn get(&self, id: &str) -> Result<Record> {
        let id = id.to_owned();
        let scope = self.scope.clone();
        self.snapshot(move |snapshot| {
            let not_found =
                || Error::new(ErrorKind::NotFound, format!("there is no event with the id {id:?} in the log"));
            let entry = snapshot.find(&id)?.ok_or_else(not_found)?;
            let record = read_records(snapshot, entry.seq, entry.seq + 1)?.swap_remove(0);
            if scope.record(&record)? { Ok(record) } else { Err(not_found()) }
        })
        .await
    }

    /// Events from `from_seq` on, at most `limit` (1 to [`MAX_READ_EVENTS`]), fewer when they are
    /// large: the way to poll without loss. Go on from [`Page::next_seq`]; an empty page means that
    /// there is nothing more yet.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when the limit is out of range; `Integrity` when an event that must be there
    /// is not.
    pub async fn read(&self, from_seq: u64, limit: usize) -> Result<Page> {
        if !(1..=MAX_READ_EVENTS).contains(&limit) {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("the limit is from 1 to {MAX_READ_EVENTS}, and this is {limit}"),
            ));
        }
        let scope = self.scope.clone();
        self.snapshot(move |snapshot| {
            let size = snapshot.head()?.checkpoint.size;
            let end = size.min(from_seq.saturating_add(limit as u64));
            let mut page = Page { events: Vec::new(), next_seq: from_seq.min(size).max(from_seq) };
            let mut bytes = 0;
            while page.next_seq < end && bytes < MAX_READ_BYTES {
                let to = end.min(page.next_seq + READ_STRIDE_EVENTS);
                let events = read_records(snapshot, page.next_seq, to)?;
                bytes += events.iter().map(|record| record.canonical_json().len()).sum::<usize>();
                for event in events {
                    if scope.record(&event)? {
                        page.events.push(event);
                    }
                }
                page.next_seq = to;
            }
            Ok(page)
        })
        .await
    }

    /// The log's size and its newest checkpoint.
    ///
    /// # Errors
    ///
    /// When the log cannot be read.
    pub async fn head(&self) -> Result<Head> {
        self.snapshot(|snapshot| {
            let head = snapshot.head()?.checkpoint;
            Ok(Head { size: head.size, checkpoint: Checkpoint::parse(&head.note)? })
        })
        .await
    }

    /// Waits until the log holds more than `size` events, whoever writes them. Answers how many.
    ///
    /// # Errors
    ///
    /// When the log cannot be read.
    pub async fn grown(&self, size: u64) -> Result<u64> {
        let mut known = self.shared.size.clone();
        loop {
            known.mark_unchanged();
            let now = self.snapshot(|snapshot| Ok(snapshot.head()?.checkpoint.size)).await?;
            if now > size {
                return Ok(now);
            }
            a_change_or_a_moment(&mut known).await;
        }
    }

    /// Checks the whole log: every row's commitment, its columns against its body, the tree, the
    /// checkpoints, the signatures, and that `seq` has no gap. `progress` is called now and then, from
    /// another thread.
    ///
    /// # Errors
    ///
    /// When the log cannot be read, or the options are wrong. Damage is no error: it is in the report.
    pub async fn verify(
        &self,
        options: VerifyOptions,
        mut progress: impl FnMut(VerifyProgress) + Send + 'static,
    ) -> Result<VerifyReport> {
        self.whole()?;
        self.reader(move |reader| verify::verify(reader, &options, &mut progress)).await
    }

    /// The proof that the event at `seq` is in the log, against the newest checkpoint: one file that
    /// anyone can check with the log's `vkey`, without the log.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is no such event.
    pub async fn proof(&self, seq: u64) -> Result<Proof> {
        let scope = self.scope.clone();
        self.snapshot(move |snapshot| {
            let head = snapshot.head()?.checkpoint;
            if seq < head.size && !scope.record(&read_records(snapshot, seq, seq + 1)?.swap_remove(0))? {
                return Err(Error::new(ErrorKind::NotFound, format!("there is no event at seq {seq}")));
            }
            verify::prove(snapshot, seq)
        })
        .await
    }

    /// What proves that today's tree begins with the tree of size `old_size`: the newest checkpoint, and
    /// the hashes for [`Checkpoint::extends`].
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when the log is smaller than that.
    pub async fn consistency(&self, old_size: u64) -> Result<(Checkpoint, Vec<[u8; 32]>)> {
        self.snapshot(move |snapshot| {
            let head = snapshot.head()?.checkpoint;
            let proof = tree::consistency_proof(old_size, head.size, &SnapshotLeaves::new(snapshot))?;
            Ok((Checkpoint::parse(&head.note)?, proof))
        })
        .await
    }

    /// A tile or entry bundle of the tree, as C2SP tlog-tiles lays them out: `tile/0/x001/x234/067`,
    /// `tile/entries/000.p/7`. Tiles hold no personal data and may be published.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when this is no such path, `NotFound` when the tree does not reach that far.
    pub async fn tile(&self, path: &str) -> Result<Vec<u8>> {
        self.whole()?;
        let path = TilePath::parse(path)?;
        self.snapshot(move |snapshot| {
            let size = snapshot.head()?.checkpoint.size;
            tree::tile(path, size, &SnapshotLeaves::new(snapshot))
        })
        .await
    }

    /// The public key that signs the log now (`name+id+key`).
    ///
    /// # Errors
    ///
    /// When the log cannot be read.
    pub async fn vkey(&self) -> Result<String> {
        self.snapshot(|snapshot| Ok(snapshot.head()?.vkey)).await
    }

    /// All public keys that signed the log, oldest first; the last one signs it now.
    ///
    /// # Errors
    ///
    /// When the log cannot be read.
    pub async fn vkeys(&self) -> Result<Vec<String>> {
        self.snapshot(|snapshot| Ok(snapshot.signers()?.into_iter().map(|signer| signer.vkey).collect())).await
    }

    /// Makes a new signing key and has the old one sign it into the log, as the event
    /// `sealog.key.rotated`. Answers the new `vkey`. Other open handles take it up by themselves, from
    /// the same key file.
    ///
    /// # Errors
    ///
    /// `Key` when the key is not kept in a file; `OutOfScope` on a scoped handle.
    pub async fn rotate_key(&self) -> Result<String> {
        self.whole()?;
        let writer = self.writer()?;
        let (reply, answer) = oneshot::channel();
        writer.queue.send(Request::Rotate { policy: writer.policy.clone(), reply }).map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    /// How many `info` events were sampled away, as the policy says. A crash may lose the last few of
    /// this count.
    ///
    /// # Errors
    ///
    /// When the log cannot be read.
    pub async fn sampled(&self) -> Result<u64> {
        self.whole()?;
        let pending = self.shared.writer.as_ref().map_or(0, |writer| writer.sampled.load(Ordering::Relaxed));
        Ok(self.snapshot(|snapshot| snapshot.sampled()).await? + pending)
    }

    /// How many rows of inboxes were set aside, since they were no valid events.
    ///
    /// # Errors
    ///
    /// When the log cannot be read.
    pub async fn rejected_count(&self) -> Result<u64> {
        self.whole()?;
        self.snapshot(|snapshot| snapshot.count_rejected()).await
    }

    /// Rows of inboxes that were set aside, oldest first: at most `limit` after the first `offset`.
    ///
    /// # Errors
    ///
    /// When the log cannot be read.
    pub async fn rejected(&self, offset: u64, limit: usize) -> Result<Vec<Rejected>> {
        self.whole()?;
        self.snapshot(move |snapshot| snapshot.rejected(offset, limit)).await
    }

    /// A digest with the log's own key, 32 hex digits: the same bytes give the same digest in this log
    /// and in no other. For ids that derive from content.
    ///
    /// # Errors
    ///
    /// `ReadOnly` when this handle has no key.
    pub fn keyed_digest(&self, bytes: &[u8]) -> Result<String> {
        Ok(self.writer()?.policy.keyed_digest(bytes))
    }

    /// Drains the inboxes, writes what is pending, and waits for it. Other clones of this handle fail
    /// with `Closed` afterwards.
    ///
    /// # Errors
    ///
    /// What could not be written, an anchor included.
    pub async fn close(self) -> Result<()> {
        // It stays where it is, so that other clones do not start another one.
        let index = self.shared.index.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(writer) = &self.shared.writer else {
            return close_index(index).await;
        };
        let inboxes = std::mem::take(&mut *writer.inboxes.lock().unwrap_or_else(PoisonError::into_inner));
        blocking(move || {
            inboxes.into_iter().for_each(Inbox::close);
            Ok(())
        })
        .await?;
        let (reply, answer) = oneshot::channel();
        writer.queue.send(Request::Close { reply }).map_err(|_| closed())?;
        let written = answer.await.map_err(|_| closed())?;
        close_index(index).await?;
        written
    }

    fn writer(&self) -> Result<&Writer> {
        self.shared.writer.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::ReadOnly, format!("{} was opened for reading only", self.shared.path.display()))
        })
    }

    /// The index, which a handle that only reads starts with its first question.
    pub(crate) fn index(&self) -> Result<Arc<Index>> {
        let mut index = self.shared.index.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = &*index {
            return Ok(index.clone());
        }
        let started = Arc::new(Index::start(self.shared.index_options.clone())?);
        Ok(index.insert(started).clone())
    }

    /// Refuses what concerns the log as a whole where only a part of it may be read.
    pub(crate) fn whole(&self) -> Result<()> {
        if self.scope.is_whole() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::OutOfScope, "this concerns the log as a whole, and the handle is scoped"))
    }

    /// Reads one committed state, on a thread that may block.
    pub(crate) async fn snapshot<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut dyn Snapshot) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.reader(move |reader| reader.snapshot(read)).await
    }

    async fn reader<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Reader) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let shared = self.shared.clone();
        blocking(move || {
            let idle = shared.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut reader = match idle {
                Some(reader) => reader,
                None => sqlite::open_reader(&shared.path)?,
            };
            let result = read(&mut reader);
            let mut readers = shared.readers.lock().unwrap_or_else(PoisonError::into_inner);
            if readers.len() < MAX_IDLE_READERS {
                readers.push(reader);
            }
            result
        })
        .await
    }
}

impl std::fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuditLog").field("path", &self.shared.path).finish_non_exhaustive()
    }
}

impl Writer {
    fn apply(&self, shared: &Shared, event: Event) -> Result<Applied> {
        let now_ms = shared.clock.now_ms();
        self.policy.apply(event, now_ms, || new_id(&*shared.clock))
    }

    async fn append(&self, events: Vec<Prepared>) -> Result<Vec<Receipt>> {
        let bytes: usize = events.iter().map(Prepared::max_len).sum();
        let kib = bytes.div_ceil(1024).clamp(1, MAX_QUEUE_KIB) as u32;
        let room = self.room.clone().acquire_many_owned(kib).await.map_err(|_| closed())?;
        let (reply, answer) = oneshot::channel();
        self.queue.send(Request::Append { events, reply, room }).map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    fn count_sampled(&self) {
        count_sampled(&self.sampled, &self.queue);
    }
}

/// Counts an event that was sampled away, and has the count stored every now and then.
pub(crate) fn count_sampled(sampled: &AtomicU64, queue: &mpsc::UnboundedSender<Request>) {
    const STORE_EVERY: u64 = 256;
    if sampled.fetch_add(1, Ordering::Relaxed).is_multiple_of(STORE_EVERY) {
        // A log that is closed counts no more.
        let _ = queue.send(Request::Count);
    }
}

/// Waits until this handle has written something, but not long: others write too.
pub(crate) async fn a_change_or_a_moment(size: &mut watch::Receiver<u64>) {
    if tokio::time::timeout(POLL_INTERVAL, size.changed()).await.is_ok_and(|changed| changed.is_err()) {
        // A handle that does not write has no changes to tell, and says so at once.
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

async fn close_index(index: Option<Arc<Index>>) -> Result<()> {
    let Some(index) = index else { return Ok(()) };
    blocking(move || {
        index.close();
        Ok(())
    })
    .await
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the log is closed")
}

/// The record at `seq` from its body in the journal.
pub(crate) fn record_of(seq: u64, body: &[u8]) -> Result<Record> {
    let record = String::from_utf8(body.to_vec()).ok().and_then(Record::from_canonical);
    record.filter(|record| record.seq() == seq).ok_or_else(|| {
        Error::new(ErrorKind::Integrity, format!("seq {seq}: expected an event's canonical JSON, found something else"))
    })
}

/// The records `from..to`, each of which must be there.
fn read_records(snapshot: &mut dyn Snapshot, from: u64, to: u64) -> Result<Vec<Record>> {
    let mut records = Vec::with_capacity((to - from) as usize);
    snapshot.rows(from, to, &mut |seq, row| {
        records.push(record_of(seq, row.body)?);
        Ok(())
    })?;
    if records.len() as u64 != to - from {
        let missing = (from..).zip(&records).find(|(seq, record)| *seq != record.seq());
        let missing = missing.map_or(from + records.len() as u64, |(seq, _)| seq);
        return Err(Error::new(ErrorKind::Integrity, format!("seq {missing}: expected an event, found none")));
    }
    Ok(records)
}

/// Runs what blocks on a thread for that.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(closed()),
    }
}
