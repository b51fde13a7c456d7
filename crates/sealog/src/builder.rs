//! Opening a log: the options, and how the parts are put together.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};

use crate::anchor::Anchor;
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, ErrorKind, Result};
use crate::inbox::{Drain, Inbox};
use crate::index::{Index, IndexOptions};
use crate::journal::{Birth, Place, SECRET_CHECK, StoredCheckpoint};
use crate::keeper::Keeper;
use crate::keyfile::{KeySource, beside};
use crate::log::{AuditLog, MAX_QUEUE_KIB, Shared, Writer, blocking};
use crate::meter::Meter;
use crate::policy::{Policy, secret_check};
use crate::sampled::Sampled;
use crate::sequencer::{Request, Sequencer, wrong_key, wrong_secret};
use crate::settings::Current;
use crate::tree::{Frontier, Key};

/// See [`Builder::tail_events`].
const DEFAULT_TAIL_EVENTS: u64 = 32_768;

/// How to open a log: [`AuditLog::builder`].
#[derive(Debug)]
#[must_use = "a builder does nothing until it is opened"]
pub struct Builder {
    path: PathBuf,
    key: Option<KeySource>,
    origin: Option<String>,
    policy: Policy,
    cleanup_every: Option<Duration>,
    inboxes: Vec<PathBuf>,
    anchor: Option<PathBuf>,
    clock: Option<Arc<dyn Clock>>,
    read_only: bool,
    create: bool,
    index: Option<PathBuf>,
    full_text: Option<bool>,
    tail_events: u64,
    patience: Option<Duration>,
}

impl Builder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            key: None,
            origin: None,
            policy: Policy::default(),
            cleanup_every: None,
            inboxes: Vec::new(),
            anchor: None,
            clock: None,
            read_only: false,
            create: true,
            index: None,
            full_text: None,
            tail_events: DEFAULT_TAIL_EVENTS,
            patience: None,
        }
    }

    /// The file that holds the signing key and the log's secret. Default: the log's path with `.key`
    /// added. A new log makes it, readable by its owner only. Whoever holds it can sign this log:
    /// keep it apart from the log where you can, and keep a copy.
    pub fn key_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.key = Some(KeySource::File(path.into()));
        self
    }

    /// The key itself, instead of a file: from an environment variable or a secret store.
    pub fn key(mut self, key: Key) -> Self {
        self.key = Some(KeySource::Given(key));
        self
    }

    /// The log's name in its checkpoints: by custom a URL without its scheme, such as `example.com/audit`.
    /// A log keeps the name that it was created with. Default: that of the key, and for a new key
    /// `sealog.local/` and a random number.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    /// What is redacted and sampled. Default: [`Policy::default`].
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// The application's own SQLite file: the table `sealog_inbox` is made there, and what the
    /// application inserts into it, in its own transactions, is drained into this log. The file must be there.
    ///
    /// ```sql
    /// INSERT INTO sealog_inbox(event) VALUES ('{"action": "invoice.paid", "actorId": "u-17"}');
    /// ```
    ///
    /// The file should be in WAL mode, as SQLite recommends for more than one connection. What is committed
    /// there is synced before it goes into the log, so that with `synchronous=NORMAL` too a loss of power
    /// never leaves the event without the change; with `OFF` it may. Rows that are
    /// in the log are deleted in the application's own transactions, with the next staged event, or by
    /// the log after a second in which nobody committed; a transaction that reads first, writes later and
    /// takes longer than that should begin with `BEGIN IMMEDIATE`. An inbox belongs to one log.
    pub fn inbox(mut self, path: impl Into<PathBuf>) -> Self {
        self.inboxes.push(path.into());
        self
    }

    /// A file elsewhere, best on another machine's disk, to which the newest checkpoint is appended:
    /// at the first batch, then at most once a minute, and on closing. What it holds,
    /// [`VerifyOptions::checkpoints`](crate::VerifyOptions::checkpoints) checks the log against.
    ///
    /// No event waits for that file. What fails is tried again after a second, then less and less often, up
    /// to once a minute; [`AuditLog::anchor`] says so, and [`AuditLog::close`] where the last try fails too.
    pub fn anchor(mut self, path: impl Into<PathBuf>) -> Self {
        self.anchor = Some(path.into());
        self
    }

    /// Where time and randomness come from. Default: [`SystemClock`].
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Opens the log for reading only: needs no key, and writes nothing but the index. The log must exist.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Whether a log that is not there is created (the default) or is an error.
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// The folder of the index. Default: the log's path with `.index` added. It holds what events say, so
    /// keep it as safe as the log; it can be deleted at any time, and is made anew.
    pub fn index(mut self, folder: impl Into<PathBuf>) -> Self {
        self.index = Some(folder.into());
        self
    }

    /// Whether the words of events are indexed, so that they can be searched for. Default: as the index
    /// that is there has it, and yes for a new one. An index that has it otherwise is made anew.
    pub fn full_text(mut self, full_text: bool) -> Self {
        self.full_text = Some(full_text);
        self
    }

    /// How many events are kept in memory before they are written to the index. Default: 32,768, some
    /// 30 MB of usual events. Fewer take less memory and make more and smaller files, which are merged later.
    pub fn tail_events(mut self, events: u64) -> Self {
        self.tail_events = events;
        self
    }

    /// How long a call waits for a PostgreSQL that cannot be reached, for the log's lock there, and for an answer,
    /// before it fails with `Storage` or `Busy`. Default: 30 seconds. A log in a file has no use for it.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// Cleans up this often by itself, as [`AuditLog::cleanup`] does by the settings: at once where the last time is
    /// longer ago, whoever did it. Default: not at all. Of several handles that are told to, one does it.
    /// [`AuditLog::upkeep`] says how it went.
    pub fn cleanup_every(mut self, interval: Duration) -> Self {
        self.cleanup_every = Some(interval);
        self
    }

    /// Opens the log.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is no log and none is to be created, or no file for an inbox; `Format` when the
    /// file is empty then, is something else or a newer program's; `Key` when the key is missing, malformed or
    /// another log's; `InvalidArgument` when the policy or the origin is wrong or not the key's, when two of
    /// the files are one, or when the anchor is a file of something else; `Storage` when the disk fails.
    pub async fn open(self) -> Result<AuditLog> {
        blocking(move || self.open_now()).await
    }

    /// A name that was asked for must be that of the key, where there is one.
    fn check_origin(origin: Option<&String>, key_source: &KeySource) -> Result<()> {
        if let Some(origin) = origin
            && let Some(key) = key_source.load()?
            && key.origin() != origin
        {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "the origin is {origin:?}, but {} is of {:?}; leave the origin out, or give a log of another name a \
                     key of its own",
                    key_source.describe(),
                    key.origin()
                ),
            ));
        }
        Ok(())
    }

    fn open_now(self) -> Result<AuditLog> {
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock::new()));
        let journal_place = Place::named(&self.path, self.patience)?;
        let (local, folder) = local_files(&journal_place, self.index)?;
        let index = Arc::new(Index::new(IndexOptions {
            log: journal_place.clone(),
            folder,
            full_text: self.full_text,
            tail_events: self.tail_events.max(1),
        }));
        if self.read_only {
            let mut reader = journal_place.open_reader()?;
            let size = reader.snapshot(|snapshot| snapshot.head())?.checkpoint.size;
            let sender = watch::Sender::new(size);
            let shared = Shared::new(journal_place, local, clock, vec![reader], sender, None, index);
            return Ok(AuditLog::of(Arc::new(shared)));
        }

        let key_source = match self.key {
            Some(key) => key,
            None => KeySource::File(journal_place.key_file()?),
        };
        check_paths(&journal_place, &key_source, self.anchor.as_deref(), &self.inboxes)?;
        // Before anything is created, since a wrong policy or name is the caller's mistake.
        self.policy.compile([0; 32])?;
        Self::check_origin(self.origin.as_ref(), &key_source)?;
        let origin = self.origin;
        let mut journal =
            journal_place.open(self.create, || birth(&key_source, origin.as_deref(), &journal_place, &*clock))?;
        let (head, known_secret) = {
            let mut transaction = journal.begin()?;
            (transaction.head()?, transaction.snapshot().state(SECRET_CHECK)?)
        };
        let key = key_source.load()?.ok_or_else(|| {
            Error::new(
                ErrorKind::Key,
                format!("{} is not there, and the log cannot be written to without it", key_source.describe()),
            )
        })?;
        if key.signer_for(&head.vkey).is_none() {
            return Err(wrong_key(&key_source, &head.vkey));
        }
        if known_secret != Some(secret_check(key.secret())) {
            return Err(wrong_secret(&key_source));
        }

        let origin = key.origin().to_owned();
        let current = Current::new(self.policy, *key.secret(), &mut *journal.begin()?.snapshot())?;
        let current = Arc::new(current);
        let anchor = self.anchor.as_deref().map(|path| Anchor::open(path, &origin)).transpose()?;
        let mailbox = anchor.as_ref().map(Anchor::mailbox);
        let (queue, requests) = mpsc::unbounded_channel();
        let size_sender = watch::Sender::new(head.checkpoint.size);
        let sampled = Arc::new(Sampled::default());
        let meter = Arc::new(Meter::default());
        index.start()?;
        let sequencer = Sequencer {
            journal,
            key,
            key_source,
            clock: clock.clone(),
            current: current.clone(),
            anchor,
            sampled: sampled.clone(),
            index: index.clone(),
            meter: meter.clone(),
            size: size_sender.clone(),
        };
        let thread = start(sequencer, requests)?;

        let mut inboxes = Vec::new();
        #[cfg(feature = "postgres")]
        if let Place::Database(_) = &journal_place {
            inboxes.push(Inbox::beside(journal_place.clone(), current.clone(), queue.clone())?);
        }
        for path in self.inboxes {
            let drain = Drain {
                origin: origin.clone(),
                current: current.clone(),
                clock: clock.clone(),
                queue: queue.clone(),
                sampled: sampled.clone(),
            };
            inboxes.push(Inbox::open(&path, drain)?);
        }
        let room = Arc::new(Semaphore::new(MAX_QUEUE_KIB));
        let inboxes = Mutex::new(inboxes);
        let writer = Writer {
            current,
            queue,
            room,
            sampled,
            meter,
            inboxes,
            anchor: mailbox,
            keeper: OnceLock::new(),
            thread: Mutex::new(Some(thread)),
        };
        let shared = Arc::new(Shared::new(journal_place, local, clock, Vec::new(), size_sender, Some(writer), index));
        let keeper = Keeper::start(Arc::downgrade(&shared), shared.size.clone(), self.cleanup_every)?;
        if let Some(writer) = &shared.writer {
            let _ = writer.keeper.set(keeper);
        }
        Ok(AuditLog::of(shared))
    }
}

/// The beginning of the names of local files, and the index's folder.
fn local_files(place: &Place, index: Option<PathBuf>) -> Result<(PathBuf, PathBuf)> {
    match (place.local(), index) {
        (Ok(local), index) => {
            let folder = index.unwrap_or_else(|| beside(&local, ".index"));
            Ok((local, folder))
        }
        // Without a home folder the others are beside the index.
        (Err(_), Some(folder)) => Ok((folder.clone(), folder)),
        (Err(error), None) => Err(error),
    }
}

/// What a new log begins with; makes its key where there is none.
fn birth(key_source: &KeySource, origin: Option<&str>, place: &Place, clock: &dyn Clock) -> Result<Birth> {
    let key = if let Some(key) = key_source.load()? {
        key
    } else {
        let origin = origin.map_or_else(|| random_origin(clock), str::to_owned);
        let key = Key::generate(&origin, clock)?;
        if let (false, KeySource::File(path)) = (matches!(place, Place::File(_)), key_source) {
            // The folder for settings may not be there yet. What is wrong with it is told where the key is written.
            let _ = path.parent().map(std::fs::create_dir_all);
        }
        key_source.save(&key)?;
        key
    };
    let empty = Frontier::new();
    let note = key.sign_checkpoint(0, &empty.root()).note().to_owned();
    let checkpoint = StoredCheckpoint { size: 0, frontier: empty.to_bytes(), note };
    Ok(Birth { vkey: key.vkey().to_owned(), secret_check: secret_check(key.secret()), checkpoint })
}

/// Starts the sequencer's thread.
fn start(sequencer: Sequencer, requests: mpsc::UnboundedReceiver<Request>) -> Result<JoinHandle<Result<()>>> {
    let thread = std::thread::Builder::new().name("sealog-sequencer".to_owned()).spawn(move || sequencer.run(requests));
    thread.map_err(|error| Error::new(ErrorKind::Storage, "cannot start the sequencer's thread").with_source(error))
}

/// Each file holds one thing: writing a checkpoint into the key file, or a table into the log, would be the
/// end of it.
fn check_paths(log: &Place, key: &KeySource, anchor: Option<&Path>, inboxes: &[PathBuf]) -> Result<()> {
    let mut taken = match log {
        Place::File(log) => vec![
            (log.clone(), "the log"),
            (beside(log, "-wal"), "the log's write-ahead log"),
            (beside(log, "-shm"), "the log's shared memory"),
        ],
        #[cfg(feature = "postgres")]
        Place::Database(_) => Vec::new(),
    };
    let files = taken.len();
    if let KeySource::File(key) = key {
        taken.push((key.clone(), "the key file"));
    }
    let inboxes = inboxes.iter().map(|path| (path.clone(), "the inbox"));
    let rest =
        taken.split_off(files).into_iter().chain(anchor.map(|path| (path.to_owned(), "the anchor"))).chain(inboxes);
    for (path, what) in rest {
        if let Some((_, other)) = taken.iter().find(|(other, _)| place(other) == place(&path)) {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("{} is {other}, so it cannot be {what} too; give each a file of its own", path.display()),
            ));
        }
        taken.push((path, what));
    }
    Ok(())
}

/// Where a file is or would be, however it is spelled.
fn place(path: &Path) -> PathBuf {
    let whole = std::fs::canonicalize(path);
    whole.unwrap_or_else(|_| match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) => {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned()).join(name)
        }
        _ => path.to_owned(),
    })
}

fn random_origin(clock: &dyn Clock) -> String {
    let mut number = [0; 8];
    clock.fill(&mut number);
    format!("sealog.local/{:016x}", u64::from_be_bytes(number))
}
