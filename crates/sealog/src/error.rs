//! One opaque error, and one table that gives each kind its code, HTTP status and exit code.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// A `Result` whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong: a kind that programs act on, and a message for a person that says what, where,
/// and what to do.
///
/// ```
/// use sealog::{Event, ErrorKind};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> sealog::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// let log = sealog::AuditLog::open(dir.path().join("audit.db")).await?;
/// let error = log.log(Event::new("")).await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidEvent);
/// assert_eq!(error.pointer(), Some("/action"));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    pointer: Option<String>,
    /// Shared, since an error goes to each caller of a failed batch.
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// Each kind of [`Error`]. More kinds may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument other than an event is wrong: a path, a range, an option.
    InvalidArgument,
    /// The event cannot be logged as it is; [`Error::pointer`] names the field.
    InvalidEvent,
    /// A field or the whole event is larger than its limit; the message names the limit and the size.
    LimitExceeded,
    /// The action belongs to the log itself (`sealog.*`).
    ReservedAction,
    /// The id was used before by an event with other content.
    IdConflict,
    /// There is no such event.
    NotFound,
    /// The log or a proof is not what was sealed.
    Integrity,
    /// The signing key is missing, malformed or not this log's.
    Key,
    /// The file is no log, or was written by a newer version.
    Format,
    /// The handle was opened for reading only.
    ReadOnly,
    /// Another writer held the log for longer than the time to wait.
    Busy,
    /// The disk or the database failed. What was not acknowledged may or may not have been stored;
    /// sending it again with the same id is safe.
    Storage,
    /// The log was closed.
    Closed,
    /// The index cannot be read or written. The log itself is unharmed, and goes on.
    Index,
    /// The handle's scope does not reach that far.
    OutOfScope,
}

/// The table: kind, code, HTTP status, exit code.
const KINDS: [(ErrorKind, &str, u16, u8); 15] = [
    (ErrorKind::InvalidArgument, "invalid_argument", 400, 2),
    (ErrorKind::InvalidEvent, "invalid_event", 422, 3),
    (ErrorKind::LimitExceeded, "limit_exceeded", 422, 3),
    (ErrorKind::ReservedAction, "reserved_action", 422, 3),
    (ErrorKind::IdConflict, "id_conflict", 409, 4),
    (ErrorKind::NotFound, "not_found", 404, 1),
    (ErrorKind::Integrity, "integrity", 500, 1),
    (ErrorKind::Key, "key", 500, 5),
    (ErrorKind::Format, "format", 500, 6),
    (ErrorKind::ReadOnly, "read_only", 403, 7),
    (ErrorKind::Busy, "busy", 503, 8),
    (ErrorKind::Storage, "storage", 503, 9),
    (ErrorKind::Closed, "closed", 503, 10),
    (ErrorKind::Index, "index", 503, 11),
    (ErrorKind::OutOfScope, "out_of_scope", 403, 12),
];

impl ErrorKind {
    fn row(self) -> &'static (ErrorKind, &'static str, u16, u8) {
        KINDS.iter().find(|row| row.0 == self).expect("every kind has its row")
    }

    /// All kinds, in the order of the table.
    pub fn all() -> impl Iterator<Item = ErrorKind> {
        KINDS.iter().map(|row| row.0)
    }

    /// A stable word for programs, such as `id_conflict`.
    pub fn code(self) -> &'static str {
        self.row().1
    }

    /// The HTTP status a server answers with.
    pub fn http_status(self) -> u16 {
        self.row().2
    }

    /// The exit code of the command line.
    pub fn exit_code(self) -> u8 {
        self.row().3
    }
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), pointer: None, source: None }))
    }

    /// A document is not what it is to be, and where in it.
    #[doc(hidden)]
    pub fn of_document(what: &str, error: &serde_path_to_error::Error<serde_json::Error>) -> Self {
        use serde_path_to_error::Segment;
        let pointer = error.path().iter().fold(String::new(), |pointer, segment| match segment {
            Segment::Seq { index } => format!("{pointer}/{index}"),
            Segment::Map { key } => format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")),
            Segment::Enum { .. } | Segment::Unknown => pointer,
        });
        let message = format!("{what}: {}", error.inner());
        if pointer.is_empty() {
            return Self::new(ErrorKind::InvalidArgument, message);
        }
        Self::field(ErrorKind::InvalidArgument, pointer, message)
    }

    /// The event's field at `pointer` (RFC 6901) is wrong.
    pub(crate) fn field(kind: ErrorKind, pointer: impl Into<String>, message: impl Into<String>) -> Self {
        let mut error = Self::new(kind, message);
        error.0.pointer = Some(pointer.into());
        error
    }

    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(Arc::from(source.into()));
        self
    }

    /// Puts `prefix` before the pointer: what was wrong in one event is then wrong in a list of them.
    pub(crate) fn inside(mut self, prefix: &str) -> Self {
        self.0.pointer = Some(format!("{prefix}{}", self.0.pointer.as_deref().unwrap_or("")));
        self
    }

    /// The kind, for programs to act on.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The message alone, without the pointer.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Which field of the event is wrong, as a JSON Pointer (RFC 6901) into what was sent.
    pub fn pointer(&self) -> Option<&str> {
        self.0.pointer.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.pointer {
            Some(pointer) if !pointer.is_empty() => write!(f, "{pointer}: {}", self.0.message),
            _ => f.write_str(&self.0.message),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("pointer", &self.0.pointer)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| &**source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_one_row_and_a_code_of_its_own() {
        let mut codes: Vec<_> = ErrorKind::all().map(ErrorKind::code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), KINDS.len());
        assert!(ErrorKind::all().all(|kind| kind.exit_code() != 0 && kind.http_status() >= 400));
    }

    #[test]
    fn a_copy_has_the_same_source() {
        let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let copy = Error::new(ErrorKind::Storage, "no room").with_source(source).clone();
        let source = copy.source().and_then(|source| source.downcast_ref::<std::io::Error>());
        assert_eq!(source.map(std::io::Error::kind), Some(std::io::ErrorKind::StorageFull));
    }
}
