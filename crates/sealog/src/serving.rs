//! What a program needs that stands between a log and others: the server, foremost.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Receipt, Record};
use crate::index::Facts;
#[cfg(feature = "postgres")]
use crate::journal::postgres;
use crate::keyfile::beside;
use crate::log::{AuditLog, MAX_READ_EVENTS, Page};
use crate::query::{Filter, Matcher, Selection};
use crate::verify::prove_leaf;

/// The log's own actions that a server may write. All others say what the log itself did, and only it can
/// say that.
const SERVED_ACTIONS: [&str; 4] = ["sealog.read", API_KEYS, "sealog.token.", "sealog.server."];

/// How the actions begin that say which API keys there are. They carry state, so nothing removes them.
pub(crate) const API_KEYS: &str = "sealog.api_key.";

/// Which events a handle shows to one who asks with a filter: what [`AuditLog::selector`] answers.
///
/// ```
/// use sealog::{AuditLog, Event, Filter};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> sealog::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// let log = AuditLog::open(dir.path().join("audit.db")).await?;
/// log.log(Event::new("user.login").tenant("acme")).await?;
/// let login = log.read(0, 1).await?.events.remove(0);
///
/// let acme = log.scoped(&Filter::new().tenant("acme"))?;
/// assert!(acme.selector(&Filter::new().action("user.*"))?.selects(&login)?);
/// let globex = log.scoped(&Filter::new().tenant("globex"))?;
/// assert!(!globex.selector(&Filter::new().action("user.*"))?.selects(&login)?);
///
/// // Where many ask, what they look at is taken out of the record once.
/// let login = sealog::Examined::new(login)?;
/// assert!(acme.selector(&Filter::new())?.selects_examined(&login)?);
/// assert!(!globex.selector(&Filter::new())?.selects_examined(&login)?);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Selector(Selection);

impl Selector {
    /// Whether this event is shown.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Integrity`] when the record is not as the log writes records.
    pub fn selects(&self, record: &Record) -> Result<bool> {
        self.0.record(record)
    }

    /// [`Selector::selects`] of a record that many selectors are asked of.
    ///
    /// # Errors
    ///
    /// As [`Selector::selects`].
    pub fn selects_examined(&self, examined: &Examined) -> Result<bool> {
        let body = examined.record.canonical_json().as_bytes();
        Ok(self.0.facts(&examined.facts) && self.0.documents(body)?)
    }
}

/// A record whose facts were taken out of it once, for as many selectors as there are.
#[derive(Debug)]
pub struct Examined {
    record: Record,
    facts: Facts,
}

impl Examined {
    /// Takes out of the record what selectors look at.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Integrity`] when the record is not as the log writes records.
    pub fn new(record: Record) -> Result<Self> {
        let facts = Facts::of_body(record.canonical_json().as_bytes())?.0;
        Ok(Self { record, facts })
    }

    /// The record.
    pub fn record(&self) -> &Record {
        &self.record
    }
}

impl AuditLog {
    /// Events that the filter selects, in the order of `seq` from `from_seq` on: [`AuditLog::read`] with a
    /// filter. At most `limit` (1 to [`MAX_READ_EVENTS`]); [`Page::next_seq`] is where to go on, and has
    /// passed what is not selected.
    ///
    /// ```
    /// use sealog::{AuditLog, Event, Filter};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> sealog::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// let log = AuditLog::open(dir.path().join("audit.db")).await?;
    /// log.log(Event::new("user.login")).await?;
    /// log.log(Event::new("user.logout")).await?;
    ///
    /// let page = log.select(&Filter::new().action("user.login"), 0, 100).await?;
    /// assert_eq!((page.events.len(), page.next_seq), (1, 2));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`AuditLog::search`], and when the limit is out of range.
    pub async fn select(&self, filter: &Filter, from_seq: u64, limit: usize) -> Result<Page> {
        if !(1..=MAX_READ_EVENTS).contains(&limit) {
            let message = format!("the limit is from 1 to {MAX_READ_EVENTS}, and this is {limit}");
            return Err(Error::field(ErrorKind::InvalidArgument, "/limit", message));
        }
        let selection = self.scope.and(Matcher::new(filter)?);
        let (events, next_seq) = self.selected(&selection, from_seq, limit).await?;
        Ok(Page { events, next_seq })
    }

    /// What tells of a record at hand whether this handle shows it to one who asks with `filter`.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when the filter is wrong.
    pub fn selector(&self, filter: &Filter) -> Result<Selector> {
        let matcher = Matcher::new(filter)?;
        // What lets everything through need not be asked.
        Ok(Selector(if matcher.is_whole() { self.scope.clone() } else { self.scope.and(matcher) }))
    }

    /// Whether events could be written now: goes through the queue, takes the journal's write lock, and gives
    /// it back. Answers when all that was waiting before it is through.
    ///
    /// # Errors
    ///
    /// As [`AuditLog::log`].
    pub async fn probe(&self) -> Result<()> {
        self.writer()?.append(Vec::new()).await.map(drop).map_err(|refused| refused.error)
    }

    /// That something is sealed at `seq`, without a word of what: a [tlog-proof](https://c2sp.org/tlog-proof) without
    /// `extra`. It holds what the tiles hold, and may be published as they may. Whoever has the event with its salt
    /// checks it by their commitment.
    ///
    /// # Errors
    ///
    /// `NotFound` when the log is smaller; `OutOfScope` on a scoped handle.
    pub async fn leaf_proof(&self, seq: u64) -> Result<String> {
        self.whole()?;
        self.snapshot(move |snapshot| prove_leaf(snapshot, seq)).await
    }

    /// Waits until the index holds all that the log does, as a question does.
    ///
    /// # Errors
    ///
    /// As [`AuditLog::search`].
    pub async fn indexed(&self) -> Result<()> {
        self.index()?.view(self.size().await?).await.map(drop)
    }

    /// Where this handle has its time and its randomness from.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.shared.clock
    }

    /// The beginning of the names of the log's files on this machine: for a log in a file the file itself.
    pub fn path(&self) -> &Path {
        &self.shared.local
    }

    /// Whether this handle reads only a part of the log.
    pub fn is_scoped(&self) -> bool {
        !self.scope.is_whole()
    }

    /// A secret for one purpose, derived from the log's own: it survives restarts, every process that has
    /// the log's key derives the same, and it tells nothing of the log's secret nor of those for other
    /// purposes.
    ///
    /// # Errors
    ///
    /// `ReadOnly` when this handle has no key.
    pub fn derived_secret(&self, purpose: &str) -> Result<[u8; 32]> {
        Ok(self.writer()?.current.policy().derived_secret(purpose))
    }

    /// Logs an event of the log's own, for the server that stands before it: reads, and its keys. The action
    /// is `sealog.read` or begins with `sealog.api_key.`, `sealog.token.` or `sealog.server.`. No policy
    /// hides anything in it, and no sampling leaves it out.
    ///
    /// # Errors
    ///
    /// `ReservedAction` when the action is another one; else as [`AuditLog::log`].
    #[doc(hidden)]
    pub async fn log_served(&self, event: Event) -> Result<Receipt> {
        if !SERVED_ACTIONS.iter().any(|action| match action.strip_suffix('.') {
            Some(_) => event.action.starts_with(action),
            None => event.action == *action,
        }) {
            let message = format!("{:?} is not for a server to say", event.action);
            return Err(Error::field(ErrorKind::ReservedAction, "/action", message));
        }
        self.writer()?;
        let receipt = self.log_own(event).await?;
        receipt.ok_or_else(|| Error::new(ErrorKind::ReadOnly, "this handle only reads"))
    }
}

/// Where a log is, for programs that keep files beside it.
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// As messages call it: its path, or its URL without a password.
    pub name: String,
    /// The beginning of the names of its files on this machine; for a log in a file the file itself.
    pub local: PathBuf,
    /// Its key's file, unless another one is named.
    pub key_file: PathBuf,
    /// Whether it is a file.
    pub is_file: bool,
}

impl Location {
    /// Of the log of this name, a path or a URL.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when the URL is wrong, or where there is no home folder for files of its log.
    pub fn of(log: &Path) -> Result<Self> {
        #[cfg(feature = "postgres")]
        if let Some(url) = log.to_str().filter(|name| postgres::is_url(name)) {
            let (name, file) = postgres::locate(url)?;
            let local = postgres::local_file("XDG_CACHE_HOME", ".cache", &file)?;
            let key_file = postgres::local_file("XDG_CONFIG_HOME", ".config", &format!("{file}.key"))?;
            return Ok(Self { name, local, key_file, is_file: false });
        }
        let name = log.display().to_string();
        Ok(Self { name, local: log.to_owned(), key_file: beside(log, ".key"), is_file: true })
    }
}
