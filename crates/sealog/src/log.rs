//! The log: open it, write to it, read it, prove it.

use std::path::PathBuf;
use std::sync::Arc;

use crate::clock::Clock;
use crate::error::Result;
use crate::event::{Change, Event, Logged, Record};
use crate::policy::Policy;
use crate::tree::{Checkpoint, Key, Proof};
use crate::verify::{VerifyOptions, VerifyProgress, VerifyReport};

/// The audit log. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AuditLog {}

/// How to open a log.
#[derive(Debug)]
pub struct Builder {}

impl Builder {
    /// The key file; default: the log's path with `.key` added.
    pub fn key_file(self, _path: impl Into<PathBuf>) -> Self {
        todo!()
    }
    /// The key itself, instead of a file.
    pub fn key(self, _key: Key) -> Self {
        todo!()
    }
    /// The log's name in its checkpoints; used when the log is created.
    pub fn origin(self, _origin: impl Into<String>) -> Self {
        todo!()
    }
    /// The policy.
    pub fn policy(self, _policy: Policy) -> Self {
        todo!()
    }
    /// The application's SQLite file to drain.
    pub fn inbox(self, _path: impl Into<PathBuf>) -> Self {
        todo!()
    }
    /// The file elsewhere to which checkpoints are appended.
    pub fn anchor(self, _path: impl Into<PathBuf>) -> Self {
        todo!()
    }
    /// The clock.
    pub fn clock(self, _clock: Arc<dyn Clock>) -> Self {
        todo!()
    }
    /// Reading only: needs no key, writes nothing. The file must exist.
    pub fn read_only(self, _yes: bool) -> Self {
        todo!()
    }
    /// Whether a missing file is created (default) or an error.
    pub fn create(self, _yes: bool) -> Self {
        todo!()
    }
    /// Opens it.
    pub async fn open(self) -> Result<AuditLog> {
        todo!()
    }
}

/// The newest state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// How many events there are.
    pub size: u64,
    /// The newest signed checkpoint.
    pub checkpoint: Checkpoint,
}

/// Events in order.
#[derive(Debug, Clone)]
pub struct Page {
    /// The events.
    pub events: Vec<Record>,
    /// Where to read on.
    pub next_seq: u64,
}

/// A row of the inbox that was no valid event.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rejected {
    /// The row's id.
    pub id: String,
    /// When it was set aside, milliseconds since the Unix epoch.
    pub rejected_at: i64,
    /// Why, as a code of the error table.
    pub code: String,
    /// Why, in words.
    pub reason: String,
    /// SHA-256 of what stood there, hex.
    pub digest: String,
    /// A redacted copy, where it parses.
    pub copy: Option<serde_json::Value>,
}

/// What to run in the application's own transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct InboxSql {
    /// One `INSERT` with `?1`, `?2`, … as parameters.
    pub sql: &'static str,
    /// The parameters, all text.
    pub params: Vec<String>,
}

/// What `stage` and `log_in` answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Staged {
    /// The event's id; `sequenced(id)` waits for it.
    pub id: String,
    /// The statement; `None` when sampled away.
    pub insert: Option<InboxSql>,
}

impl AuditLog {
    /// Opens or creates the log at `path`.
    pub async fn open(_path: impl Into<PathBuf>) -> Result<Self> {
        todo!()
    }
    /// Options.
    pub fn builder(_path: impl Into<PathBuf>) -> Builder {
        todo!()
    }
    /// Logs one event.
    pub async fn log(&self, _event: Event) -> Result<Logged> {
        todo!()
    }
    /// Logs one change.
    pub async fn log_change(&self, _change: Change) -> Result<Logged> {
        todo!()
    }
    /// Logs all or none.
    pub async fn log_bulk(&self, _events: Vec<Event>) -> Result<Vec<Logged>> {
        todo!()
    }
    /// Waits until a staged event is sequenced.
    pub async fn sequenced(&self, _id: &str) -> Result<Logged> {
        todo!()
    }
    /// The event with this id; `NotFound` otherwise.
    pub async fn get(&self, _id: &str) -> Result<Record> {
        todo!()
    }
    /// Events in order from a seq on, at most `limit` (1 to 10,000).
    pub async fn read(&self, _from_seq: u64, _limit: usize) -> Result<Page> {
        todo!()
    }
    /// The newest state.
    pub async fn head(&self) -> Result<Head> {
        todo!()
    }
    /// Waits until the log is larger than `size`, whoever writes.
    pub async fn grown(&self, _size: u64) -> Result<u64> {
        todo!()
    }
    /// Checks all of it; `progress` is called now and then.
    pub async fn verify(
        &self,
        _options: VerifyOptions,
        _progress: impl Fn(VerifyProgress) + Send + 'static,
    ) -> Result<VerifyReport> {
        todo!()
    }
    /// The proof of one event.
    pub async fn proof(&self, _seq: u64) -> Result<Proof> {
        todo!()
    }
    /// The public key that signs the log now.
    pub async fn vkey(&self) -> Result<String> {
        todo!()
    }
    /// A new signing key, signed into the log by the old one; answers the new vkey.
    pub async fn rotate_key(&self) -> Result<String> {
        todo!()
    }
    /// How many events were sampled away.
    pub async fn sampled(&self) -> Result<u64> {
        todo!()
    }
    /// How many rows of inboxes were set aside.
    pub async fn rejected_count(&self) -> Result<u64> {
        todo!()
    }
    /// Rows of inboxes that were set aside, oldest first, at most `limit` after skipping `offset`.
    pub async fn rejected(&self, _offset: u64, _limit: usize) -> Result<Vec<Rejected>> {
        todo!()
    }
    /// A keyed digest, hex: the same text gives the same digest in this log and in no other. For ids
    /// derived from content.
    pub fn keyed_digest(&self, _bytes: &[u8]) -> Result<String> {
        todo!()
    }
    /// Writes what is pending and releases the file.
    pub async fn close(self) -> Result<()> {
        todo!()
    }
}
