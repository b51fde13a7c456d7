//! The log: open it, write to it, read it, prove it.

mod staging;

pub use self::staging::{InboxSql, Staged};

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Poll;
use std::thread::JoinHandle;

use serde::Serialize;
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::anchor::{AnchorState, Mailbox};
use crate::builder::Builder;
use crate::clock::{Clock, new_id};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Change, Event, Logged, MAX_BULK_BYTES, MAX_BULK_EVENTS, Receipt, Record};
use crate::inbox::{Inbox, InboxState};
use crate::index::Index;
use crate::journal::{CHECKPOINT_STRETCH_EVENTS, Entry, Place, Reader, Snapshot};
use crate::keeper::Keeper;
use crate::meter::Meter;
use crate::policy::{Applied, Prepared, dismantle};
use crate::query::Selection;
use crate::sampled::Sampled;
use crate::sequencer::{Appended, OwnWork, Refused, Request, Task, Work, named};
use crate::settings::Current;
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
/// Reading connections that are open at once; further calls wait for one.
pub(crate) const MAX_READERS: usize = 16;

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
    /// Who is behind what the log itself records through this handle.
    pub(crate) who: Arc<Event>,
}

pub(crate) struct Shared {
    pub(crate) place: Place,
    /// The beginning of the names of its local files: that of the journal, where it is one.
    pub(crate) local: PathBuf,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) readers: Mutex<Vec<Reader>>,
    pub(crate) reading: Arc<Semaphore>,
    pub(crate) lookout: tokio::sync::Mutex<Lookout>,
    pub(crate) size: watch::Receiver<u64>,
    pub(crate) writer: Option<Writer>,
    pub(crate) index: Arc<Index>,
}

impl Shared {
    pub(crate) fn new(
        place: Place,
        local: PathBuf,
        clock: Arc<dyn Clock>,
        readers: Vec<Reader>,
        sender: watch::Sender<u64>,
        writer: Option<Writer>,
        index: Arc<Index>,
    ) -> Self {
        Self {
            place,
            local,
            clock,
            readers: Mutex::new(readers),
            reading: Arc::new(Semaphore::new(MAX_READERS)),
            size: sender.subscribe(),
            lookout: tokio::sync::Mutex::new(Lookout { size: sender, seen: None }),
            writer,
            index,
        }
    }

    /// Closes the lookout's connection, unless somebody is waiting with it.
    fn forget_lookout(&self) {
        if let Ok(mut lookout) = self.lookout.try_lock() {
            lookout.seen = None;
        }
    }
}

/// Events that no policy has looked at yet. One of them may nest so deep that dropping it as a whole would
/// overflow the stack, so what is left of them goes in pieces.
struct Incoming(std::vec::IntoIter<Event>);

impl Drop for Incoming {
    fn drop(&mut self) {
        self.0.by_ref().for_each(dismantle);
    }
}

/// What looks, for all who wait, at what other processes have written.
pub(crate) struct Lookout {
    /// Wakes those who wait, as the sequencer does with a new size.
    pub(crate) size: watch::Sender<u64>,
    /// A connection, and what it saw last.
    pub(crate) seen: Option<(Reader, u64)>,
}

/// What a handle has that may write.
pub(crate) struct Writer {
    pub(crate) current: Arc<Current>,
    pub(crate) queue: mpsc::UnboundedSender<Request>,
    pub(crate) room: Arc<Semaphore>,
    pub(crate) sampled: Arc<Sampled>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) inboxes: Mutex<Vec<Inbox>>,
    pub(crate) anchor: Option<Arc<Mailbox>>,
    /// Set once the log is open.
    pub(crate) keeper: OnceLock<Keeper>,
    /// The sequencer's, until somebody closes the log.
    pub(crate) thread: Mutex<Option<JoinHandle<Result<()>>>>,
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

    /// Opens the log in a PostgreSQL database, or creates it there: `postgres://user@host/database`. For the options
    /// [`AuditLog::builder`] takes the same URL.
    ///
    /// Beside what libpq knows, the URL may have `schema=NAME`, by default `sealog`. `sslmode` is `disable`, `prefer`,
    /// `require` or `verify-full`, the last with `sslrootcert=FILE`, or the authorities that the system trusts.
    ///
    /// Any number of processes may have the log open and write. Each needs the same signing key, and has an index of
    /// its own: key and index are below the user's folders for settings and caches unless the builder names others.
    ///
    /// # Errors
    ///
    /// See [`Builder::open`]; `Storage` when the database cannot be reached.
    #[cfg(feature = "postgres")]
    pub async fn connect(url: impl Into<String>) -> Result<Self> {
        Self::builder(url.into()).open().await
    }

    /// Makes the tables of a log in a PostgreSQL database, or brings them forward, and the roles that share the work,
    /// so that programs can run without a right to make tables. Running it again changes nothing.
    ///
    /// Who runs it owns the tables, and must be allowed to make roles.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when the URL is wrong; `Storage` when the database cannot be reached or does not allow it.
    #[cfg(feature = "postgres")]
    pub async fn set_up_database(url: impl Into<String>) -> Result<crate::DatabaseRoles> {
        use crate::journal::postgres::{DEFAULT_PATIENCE, Database, set_up};
        let url = url.into();
        blocking(move || set_up(&Database::new(&url, DEFAULT_PATIENCE)?)).await
    }

    /// Options for opening the log at `path`, or, with the feature `postgres`, at a URL of PostgreSQL's.
    pub fn builder(path: impl Into<PathBuf>) -> Builder {
        Builder::new(path.into())
    }

    /// Logs one event. When this returns, the event is durable, sealed and visible.
    ///
    /// When it fails with `Storage` or `Busy`, or its future is dropped, the event may be there or not. One
    /// that was sent with an id can be sent again: it is the same event then. [`AuditLog::new_id`] gives one.
    ///
    /// # Errors
    ///
    /// `InvalidEvent`, `LimitExceeded` or `ReservedAction` when the event cannot be logged as it is;
    /// `IdConflict` when its id belongs to another event; `Storage` or `Busy` when it could not be
    /// written; `ReadOnly` or `Closed` when this handle does not write.
    pub async fn log(&self, event: Event) -> Result<Logged> {
        let (writer, event) = self.writer_for(event)?;
        match writer.apply(&self.shared, event)? {
            Applied::Keep(prepared) => {
                let receipt = writer.append(vec![prepared]).await.map_err(|refused| refused.error)?.pop();
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
            dismantle(event);
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
        let mut events = Incoming(events.into_iter());
        let writer = self.writer()?;
        if events.0.len() > MAX_BULK_EVENTS {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!(
                    "{} events at once; the limit is {MAX_BULK_EVENTS}: send them in several calls",
                    events.0.len()
                ),
            ));
        }
        let (mut prepared, mut indices, mut sampled) = (Vec::with_capacity(events.0.len()), Vec::new(), Vec::new());
        let mut bytes = 0;
        let inside = |error: Error, index: usize| error.inside(&format!("/{index}"));
        for (index, event) in events.0.by_ref().enumerate() {
            match writer.apply(&self.shared, event).map_err(|error| inside(error, index))? {
                Applied::Keep(event) => {
                    bytes += event.max_len();
                    prepared.push(event);
                    indices.push(index);
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
        let receipts = if prepared.is_empty() { Ok(Vec::new()) } else { writer.append(prepared).await };
        let receipts = receipts.map_err(|Refused { index, error }| match index {
            // Which of those that sampling kept: which it was of all.
            Some(kept) => inside(error, indices[kept]),
            None => error,
        })?;
        let mut logged: Vec<_> = receipts.into_iter().map(Logged::Recorded).collect();
        // The indices ascend, so each one goes where it was.
        for (index, id) in sampled {
            writer.count_sampled();
            logged.insert(index, Logged::Sampled { id });
        }
        Ok(logged)
    }

    /// The event with this id.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is none.
    pub async fn get(&self, id: &str) -> Result<Record> {
        let (id, removed_id) = (id.to_owned(), self.removed_id(id));
        let scope = self.scope.clone();
        self.snapshot(move |snapshot| {
            let not_found =
                || Error::new(ErrorKind::NotFound, format!("there is no event with the id {id:?} in the log"));
            let entry = find(snapshot, &id, removed_id.as_deref())?.ok_or_else(not_found)?;
            match read_records(snapshot, entry.seq, entry.seq + 1)?.pop() {
                Some(record) if scope.record(&record)? => Ok(record),
                None if scope.is_whole() => {
                    let message = format!(
                        "the event with the id {id:?}, at seq {}, was removed; a removal receipt says why",
                        entry.seq
                    );
                    Err(Error::new(ErrorKind::NotFound, message))
                }
                _ => Err(not_found()),
            }
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
            let mut page = Page { events: Vec::new(), next_seq: from_seq };
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

    /// The newest checkpoints that are kept, the newest first, at most `limit`. Older ones are thinned to one for
    /// each 4,096 events.
    ///
    /// # Errors
    ///
    /// When the log cannot be read.
    pub async fn checkpoints(&self, limit: usize) -> Result<Vec<Checkpoint>> {
        self.snapshot(move |snapshot| {
            // So far back there are at least as many, and not many more.
            let span = u64::try_from(limit).unwrap_or(u64::MAX).saturating_mul(CHECKPOINT_STRETCH_EVENTS.into());
            let from = snapshot.head()?.checkpoint.size.saturating_sub(span);
            let stored = snapshot.checkpoints(from, i64::MAX as usize)?;
            stored.iter().rev().take(limit).map(|stored| Checkpoint::parse(&stored.note)).collect()
        })
        .await
    }

    pub(crate) async fn size(&self) -> Result<u64> {
        self.reader(Reader::size).await
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
            let now = self.size().await?;
            if now > size {
                return Ok(now);
            }
            self.news(&mut known).await?;
        }
    }

    /// Checks the whole log: every row's commitment, its columns against its body, the tree, the
    /// checkpoints, the signatures, and that `seq` has no gap. `progress` is called now and then, from
    /// another thread.
    ///
    /// # Errors
    ///
    /// When the log cannot be read; `InvalidArgument` when the options hold what is no key or checkpoint.
    /// Damage is no error: it is in the report, and so is that a key or checkpoint is of another log.
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
    /// `NotFound` when there is no such event; `Integrity` when it is not the one that was sealed, or the
    /// tree above it is damaged.
    pub async fn proof(&self, seq: u64) -> Result<Proof> {
        let scope = self.scope.clone();
        self.snapshot(move |snapshot| {
            let head = snapshot.head()?.checkpoint;
            if seq < head.size && !scope.is_whole() {
                let records = read_records(snapshot, seq, seq + 1)?;
                if !records.first().map_or(Ok(false), |record| scope.record(record))? {
                    return Err(Error::new(ErrorKind::NotFound, format!("there is no event at seq {seq}")));
                }
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
        writer
            .queue
            .send(Request::Alone(Task::Rotate { policy: writer.current.policy(), reply }))
            .map_err(|_| closed())?;
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
        let sampled = self.shared.writer.as_ref().map(|writer| writer.sampled.clone()).unwrap_or_default();
        self.reader(move |reader| sampled.total(|| reader.snapshot(|snapshot| snapshot.sampled()))).await
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

    /// A new id, a UUIDv7. An event that is given one before it is sent can be sent again after a failure;
    /// of one that was not, nobody learns the id that it may be in the log under.
    ///
    /// ```
    /// use sealog::{AuditLog, ErrorKind, Event};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> sealog::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// let log = AuditLog::open(dir.path().join("audit.db")).await?;
    /// let event = Event::new("invoice.paid").id(log.new_id());
    /// let mut logged = log.log(event.clone()).await;
    /// while logged.as_ref().is_err_and(|error| error.kind() == ErrorKind::Busy) {
    ///     logged = log.log(event.clone()).await;
    /// }
    /// # logged?; Ok(()) }
    /// ```
    pub fn new_id(&self) -> String {
        new_id(&*self.shared.clock)
    }

    /// A digest with the log's own key, 32 hex digits: the same bytes give the same digest in this log
    /// and in no other. For ids that derive from content.
    ///
    /// # Errors
    ///
    /// `ReadOnly` when this handle has no key.
    pub fn keyed_digest(&self, bytes: &[u8]) -> Result<String> {
        Ok(self.writer()?.current.policy().keyed_digest(bytes))
    }

    /// Drains the inboxes, writes what is pending, closes the file, and waits for all of it. Other clones
    /// of this handle fail with `Closed` where they write afterwards.
    ///
    /// # Errors
    ///
    /// What could not be written, an anchor included.
    pub async fn close(self) -> Result<()> {
        let Some(writer) = &self.shared.writer else {
            self.shared.readers.lock().unwrap_or_else(PoisonError::into_inner).clear();
            self.shared.forget_lookout();
            return self.close_index().await;
        };
        let inboxes = std::mem::take(&mut *writer.inboxes.lock().unwrap_or_else(PoisonError::into_inner));
        // Each of them, and then the log, whatever becomes of the others.
        let drained = blocking(move || {
            let results: Vec<_> = inboxes.into_iter().map(Inbox::close).collect();
            results.into_iter().collect::<Result<()>>()
        })
        .await;
        let shared = self.shared.clone();
        let drained = drained.and(
            blocking(move || {
                shared.writer.as_ref().and_then(|writer| writer.keeper.get()).map_or(Ok(()), Keeper::close)
            })
            .await,
        );
        let thread = writer.thread.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or_else(closed)?;
        self.close_index().await?;
        // Before the writer: SQLite tidies up where the last connection that goes may write.
        self.shared.readers.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.shared.forget_lookout();
        // Where nobody receives any more the thread has ended by itself, and says why.
        let _ = writer.queue.send(Request::Alone(Task::Close));
        blocking(move || joined(thread, "the sequencer's thread")).await.and(drained)
    }

    /// How the anchor of this handle is getting on, if it has one.
    pub fn anchor(&self) -> Option<AnchorState> {
        self.shared.writer.as_ref()?.anchor.as_ref().map(|mailbox| mailbox.state())
    }

    /// How the inboxes of this handle are getting on.
    pub fn inboxes(&self) -> Vec<InboxState> {
        let Some(writer) = &self.shared.writer else { return Vec::new() };
        writer.inboxes.lock().unwrap_or_else(PoisonError::into_inner).iter().map(Inbox::state).collect()
    }

    /// An event of the log's own, as it would be logged; `None` where this handle only reads.
    pub(crate) fn prepare_own(&self, event: Event) -> Result<Option<Prepared>> {
        let Some(writer) = &self.shared.writer else { return Ok(None) };
        let clock = &*self.shared.clock;
        let event = named(event, &self.who);
        writer.current.policy().apply_own(event, clock.now_ms(), || new_id(clock)).map(Some)
    }

    /// Logs an event of the log's own; nothing where this handle only reads.
    pub(crate) async fn log_own(&self, event: Event) -> Result<Option<Receipt>> {
        let Some(prepared) = self.prepare_own(event)? else { return Ok(None) };
        let receipts = self.writer()?.append(vec![prepared]).await.map_err(|refused| refused.error)?;
        Ok(receipts.into_iter().next())
    }

    /// A handle that reads all and names nobody.
    pub(crate) fn of(shared: Arc<Shared>) -> Self {
        Self { shared, scope: Selection::default(), who: Arc::default() }
    }

    /// A handle through which what the log itself records (changes of settings, holds, clean-ups, erasures, reports)
    /// names who is behind it: the actor, the address, the program, the session, the request and the tenant of this
    /// event. Nothing else of it matters.
    ///
    /// ```
    /// use sealog::{AuditLog, Event};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> sealog::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// let log = AuditLog::open(dir.path().join("audit.db")).await?;
    /// let admin = log.acting(Event::new("").actor("root@example.com").ip_address("203.0.113.9"));
    /// admin.update_settings(|settings| { settings.default_retention_days = Some(30); Ok(()) }).await?;
    /// assert_eq!(log.read(0, 1).await?.events[0].actor_id.as_deref(), Some("root@example.com"));
    /// # Ok(()) }
    /// ```
    pub fn acting(&self, who: Event) -> AuditLog {
        AuditLog { who: Arc::new(who), ..self.clone() }
    }

    /// Does something of the log's own under the write lock, in one transaction with what it logs.
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut OwnWork<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        Ok(self.change_with_receipts(work).await?.0)
    }

    /// [`change`](Self::change), and the receipts of what was logged.
    pub(crate) async fn change_with_receipts<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut OwnWork<'_>) -> Result<T> + Send + 'static,
    ) -> Result<(T, Vec<Receipt>)> {
        let who = self.who.clone();
        let (reply, answer) = oneshot::channel();
        let task = Task::Own(Box::new(move |sequencer| {
            // Some of it is the caller's, and the thread is everybody's.
            let done = AssertUnwindSafe(|| sequencer.own(&who, work));
            let done = catch_unwind(done).unwrap_or_else(|_| {
                Err(Error::new(ErrorKind::InvalidArgument, "the change panicked, so nothing was changed"))
            });
            let works = done.is_ok();
            let _ = reply.send(done);
            works
        }));
        self.writer()?.queue.send(Request::Alone(task)).map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    /// The id under which the event with this id is entered once it was removed; only those who have the log's secret
    /// know it.
    fn removed_id(&self, id: &str) -> Option<String> {
        self.shared.writer.as_ref().map(|writer| writer.current.policy().removed_id(id))
    }

    pub(crate) fn writer(&self) -> Result<&Writer> {
        self.shared.writer.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::ReadOnly, format!("{} was opened for reading only", self.shared.place.name()))
        })
    }

    /// The writer for this event, which is taken apart where there is none.
    fn writer_for(&self, event: Event) -> Result<(&Writer, Event)> {
        match self.writer() {
            Ok(writer) => Ok((writer, event)),
            Err(error) => {
                dismantle(event);
                Err(error)
            }
        }
    }

    /// The index, which a handle that only reads starts with its first question.
    pub(crate) fn index(&self) -> Result<Arc<Index>> {
        self.shared.index.start()?;
        Ok(self.shared.index.clone())
    }

    async fn close_index(&self) -> Result<()> {
        let index = self.shared.index.clone();
        blocking(move || {
            index.close();
            Ok(())
        })
        .await
    }

    /// Refuses what concerns the log as a whole where only a part of it may be read.
    pub(crate) fn whole(&self) -> Result<()> {
        if self.scope.is_whole() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::OutOfScope, "this concerns the log as a whole, and the handle is scoped"))
    }

    /// Waits until somebody has written something: this handle, or another process, which only looking
    /// tells. One of those who wait looks, and wakes the others.
    pub(crate) async fn news(&self, size: &mut watch::Receiver<u64>) -> Result<()> {
        let mut changed = std::pin::pin!(size.changed());
        let mut looked = std::pin::pin!(self.look_out());
        std::future::poll_fn(|context| match changed.as_mut().poll(context) {
            Poll::Ready(_) => Poll::Ready(Ok(())),
            Poll::Pending => looked.as_mut().poll(context),
        })
        .await
    }

    /// Returns with an error only: what there is to see is told to all.
    async fn look_out(&self) -> Result<()> {
        let mut lookout = self.shared.lookout.lock().await;
        loop {
            self.shared.place.pause().await;
            // Who gives up waiting in the middle takes the connection along; the next one opens another.
            let seen = lookout.seen.take();
            let shared = self.shared.clone();
            let (reader, before, now) = blocking(move || {
                let (reader, before) = match seen {
                    Some((reader, version)) => (reader, Some(version)),
                    None => (shared.place.open_reader()?, None),
                };
                let now = reader.version()?;
                Ok((reader, before, now))
            })
            .await?;
            lookout.seen = Some((reader, now));
            if before != Some(now) {
                lookout.size.send_modify(|_| {});
            }
        }
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
        let turn = shared.reading.clone().acquire_owned().await.map_err(|_| closed())?;
        blocking(move || {
            let _turn = turn;
            let idle = shared.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut reader = match idle {
                Some(reader) => reader,
                None => shared.place.open_reader()?,
            };
            let result = read(&mut reader);
            let mut readers = shared.readers.lock().unwrap_or_else(PoisonError::into_inner);
            if readers.len() < shared.place.idle_readers() && !reader.is_broken() {
                readers.push(reader);
            }
            result
        })
        .await
    }
}

impl std::fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuditLog").field("place", &self.shared.place.name()).finish_non_exhaustive()
    }
}

impl Writer {
    fn apply(&self, shared: &Shared, event: Event) -> Result<Applied> {
        let now_ms = shared.clock.now_ms();
        self.current.policy().apply(event, now_ms, || new_id(&*shared.clock))
    }

    pub(crate) async fn append(&self, events: Vec<Prepared>) -> Appended {
        let bytes: usize = events.iter().map(Prepared::max_len).sum();
        let kib = bytes.div_ceil(1024).clamp(1, MAX_QUEUE_KIB) as u32;
        let room = self.room.clone().acquire_many_owned(kib).await.map_err(|_| closed())?;
        let (reply, answer) = oneshot::channel();
        self.queue.send(Request::Batched(Work::Append { events, reply, room })).map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    fn count_sampled(&self) {
        self.sampled.count(&self.queue);
    }
}

pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the log is closed")
}

/// The record at `seq` from its body in the journal.
pub(crate) fn record_of(seq: u64, body: &[u8]) -> Result<Record> {
    let record = String::from_utf8(body.to_vec()).ok().and_then(Record::from_canonical);
    record.filter(|record| record.seq() == seq).ok_or_else(|| {
        Error::new(ErrorKind::Integrity, format!("seq {seq}: expected an event's canonical JSON, found something else"))
    })
}

pub(crate) fn missing_event(seq: u64) -> Error {
    Error::new(ErrorKind::Integrity, format!("seq {seq}: expected an event, found none"))
}

/// The records `from..to`, each of which must be there, but for those that were removed.
fn read_records(snapshot: &mut dyn Snapshot, from: u64, to: u64) -> Result<Vec<Record>> {
    let mut records = Vec::with_capacity((to - from) as usize);
    let mut next = from;
    snapshot.rows(from, to, &mut |seq, row| {
        if seq != next {
            return Err(missing_event(next));
        }
        next += 1;
        if !row.body.is_empty() {
            records.push(record_of(seq, row.body)?);
        }
        Ok(())
    })?;
    if next < to {
        return Err(missing_event(next));
    }
    Ok(records)
}

/// Where the event with this id is, also when it was removed: then it is entered under the other id.
fn find(snapshot: &mut dyn Snapshot, id: &str, removed_id: Option<&str>) -> Result<Option<Entry>> {
    match (snapshot.find(id)?, removed_id) {
        (None, Some(removed_id)) => snapshot.find(removed_id),
        (found, _) => Ok(found),
    }
}

/// Waits for a thread of ours to end. A panic of it is an error of the caller's call, not of the caller.
pub(crate) fn joined<T>(thread: JoinHandle<Result<T>>, name: &str) -> Result<T> {
    thread.join().unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Err(Error::new(
            ErrorKind::Storage,
            format!("{name} panicked, which is a bug of Sealog: {}", text.unwrap_or("no message")),
        ))
    })
}

/// Runs what blocks on a thread for that.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(closed()),
    }
}
