//! What a server takes of its clients at the most. Each limit says its unit, its default and its reason.

use serde::{Deserialize, Serialize};

use crate::rate::Pace;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// The limits of a server. Each can be set; none can be turned off.
///
/// ```
/// use sealog_server::Limits;
///
/// let limits = Limits { max_streams_per_caller: 1000, ..Limits::default() };
/// assert_eq!(limits.max_body_bytes, 16 * 1024 * 1024);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The largest body that is taken as a whole, in bytes after decompression. Default: 16 MiB, which is
    /// room for 10,000 events of a usual size. What is larger goes as NDJSON, of any length.
    pub max_body_bytes: usize,
    /// The largest event, and the largest line of NDJSON, in bytes of JSON as sent. Default: 4 MiB: both
    /// states of 1 MiB each, with every character of them escaped once.
    pub max_event_bytes: usize,
    /// What the bodies of all requests may take in memory together, in bytes. Default: 64 MiB, so that many
    /// large bodies at once are refused with `overloaded` and not taken by the machine's memory.
    pub max_buffered_bytes: usize,
    /// Requests of one key per second, on average; a tenth of a minute's worth may come at once. Default:
    /// 10,000: above what a service does, and below what a loop gone wrong does.
    pub max_key_requests_per_second: u32,
    /// The same of one view token or of one who is authorized by the application, and of public proofs from one
    /// address. Default: 100: a page that a person looks at.
    pub max_view_requests_per_second: u32,
    /// Requests per minute from one address that were refused as unauthenticated. Default: 60. Keys cannot be
    /// guessed; this keeps those who try from costing anything.
    pub max_refusals_per_minute: u32,
    /// Live streams of one key, token or user. Default: 100: one service, or every tab of one person.
    pub max_streams_per_caller: usize,
    /// Live streams of all callers. Default: 4,096: some 20 KiB each.
    pub max_streams: usize,
    /// Connections at once. Default: 4,096. Further ones wait to be accepted.
    pub max_connections: usize,
    /// Connections at once from one address that is no trusted proxy's; of IPv6, from one /64. Default: 1,024, so
    /// that no one takes all the places. Further ones are closed.
    pub max_connections_per_address: usize,
    /// How long a request's head may take, and how long a connection may be idle between two requests, in
    /// milliseconds. Default: 30,000: longer than a slow network needs, shorter than what half-open
    /// connections would need to add up.
    pub head_timeout_ms: u64,
    /// How long a body may pause, in milliseconds. Default: 30,000, for the same reason.
    pub body_pause_ms: u64,
    /// How long a client may not take what it is sent, in milliseconds. Default: 60,000: a laptop that sleeps
    /// a little goes on, one that has gone makes room.
    pub write_pause_ms: u64,
    /// How long a question may take, in milliseconds. Default: 30,000: an index that is being made anew has
    /// people wait, not hang.
    pub question_timeout_ms: u64,
    /// After how long without anything else a live stream is sent a comment, in milliseconds. Default: 15,000:
    /// proxies usually cut connections that are silent for 30 seconds or a minute.
    pub keep_alive_ms: u64,
    /// How long a server that stops waits for requests to end, in milliseconds. Default: 10,000: as long as
    /// service managers usually wait before they kill.
    pub drain_ms: u64,
    /// For how long a view token may be valid, in milliseconds. Default: 24 hours: a token cannot be taken
    /// back but with the key that it was minted with.
    pub max_token_ms: i64,
    /// Reads of one caller and kind within so many milliseconds are one `sealog.read` event, and one more for
    /// those after the first. Default: 60,000, so that the log does not fill with itself.
    pub read_event_window_ms: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body_bytes: 16 * MIB,
            max_event_bytes: 4 * MIB,
            max_buffered_bytes: 64 * MIB,
            max_key_requests_per_second: 10_000,
            max_view_requests_per_second: 100,
            max_refusals_per_minute: 60,
            max_streams_per_caller: 100,
            max_streams: 4096,
            max_connections: 4096,
            max_connections_per_address: 1024,
            head_timeout_ms: 30_000,
            body_pause_ms: 30_000,
            write_pause_ms: 60_000,
            question_timeout_ms: 30_000,
            keep_alive_ms: 15_000,
            drain_ms: 10_000,
            max_token_ms: 24 * 60 * 60 * 1000,
            read_event_window_ms: 60_000,
        }
    }
}

impl Limits {
    pub(crate) fn key_pace(&self) -> Pace {
        Pace::per_second(self.max_key_requests_per_second)
    }

    pub(crate) fn view_pace(&self) -> Pace {
        Pace::per_second(self.max_view_requests_per_second)
    }
}

/// How long a request's head may be, in bytes, give or take what is read at once: the addresses of the longest filters that people share fit.
pub(crate) const MAX_HEAD_BYTES: usize = 64 * KIB;
/// The longest `X-Request-Id` that is taken over, in bytes.
pub(crate) const MAX_REQUEST_ID_BYTES: usize = 128;
/// The most keys that are valid at once. Each is remembered.
pub(crate) const MAX_KEYS: usize = 10_000;
/// The longest name of a key and the longest subject of a token, in bytes.
pub(crate) const MAX_NAME_BYTES: usize = 256;
/// The longest token, in bytes: a scope of many values fits.
pub(crate) const MAX_TOKEN_BYTES: usize = 8 * KIB;
/// For how long a view token is valid unless told otherwise, in milliseconds: a quarter of an hour.
pub(crate) const DEFAULT_TOKEN_MS: i64 = 15 * 60 * 1000;
/// For how long the old secret of a rotated key works on unless told otherwise, in milliseconds: a day.
pub(crate) const DEFAULT_GRACE_MS: i64 = 24 * 60 * 60 * 1000;
/// The longest such time, in milliseconds: thirty days.
pub(crate) const MAX_GRACE_MS: i64 = 30 * 24 * 60 * 60 * 1000;
/// The largest note with cosignatures that a witness may post, in bytes.
pub(crate) const MAX_NOTE_BYTES: usize = 16 * KIB;
