//! Pages of events, and the cursor from one to the next.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Result};
use crate::event::Record;
use crate::index::{Order, Place};

/// The most events of one page.
pub const MAX_PAGE_EVENTS: usize = 1000;
/// How many events a page has unless told otherwise.
pub const DEFAULT_PAGE_EVENTS: usize = 50;

/// Which page of what a filter selects.
///
/// ```
/// use sealog::{Order, PageOptions};
///
/// let first = PageOptions::new().limit(20).order(Order::OldestFirst);
/// # let page_before: Option<String> = None;
/// let next = match page_before {
///     Some(cursor) => first.after(cursor),
///     None => first,
/// };
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct PageOptions {
    /// How many events, from 1 to [`MAX_PAGE_EVENTS`]; [`DEFAULT_PAGE_EVENTS`] unless given.
    pub limit: usize,
    /// [`Order::NewestFirst`] unless given.
    pub order: Order,
    /// [`EventPage::next_cursor`] of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl Default for PageOptions {
    fn default() -> Self {
        Self { limit: DEFAULT_PAGE_EVENTS, order: Order::default(), cursor: None }
    }
}

impl PageOptions {
    /// The first page of [`DEFAULT_PAGE_EVENTS`], newest first.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how many events.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Sets the order.
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// The page behind the one that answered this cursor.
    pub fn after(mut self, cursor: impl Into<String>) -> Self {
        self.cursor = Some(cursor.into());
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        if !(1..=MAX_PAGE_EVENTS).contains(&self.limit) {
            let message = format!("the limit is from 1 to {MAX_PAGE_EVENTS}, and this is {}", self.limit);
            return Err(Error::field(ErrorKind::InvalidArgument, "/limit", message));
        }
        Ok(())
    }

    /// Where the page begins: behind this place.
    pub(crate) fn start(&self, log: &str) -> Result<Option<Place>> {
        self.cursor.as_deref().map(|cursor| read_cursor(cursor, self.order, log)).transpose()
    }
}

/// A page of events: what [`AuditLog::search`](crate::AuditLog::search) answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct EventPage {
    /// The events, in the order that was asked for.
    pub events: Vec<Record>,
    /// Whether there are more behind them.
    pub has_more: bool,
    /// What [`PageOptions::after`] takes for the page behind this one; `None` when there is none.
    ///
    /// It stands for a place in time, so pages neither shift nor repeat while events arrive. It is
    /// opaque, and good for the same log and order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// The cursor behind `place`: order, timestamp, seq, and a check over them and the log's name.
pub(crate) fn write_cursor((timestamp, seq): Place, order: Order, log: &str) -> String {
    let mut bytes = vec![order as u8];
    bytes.extend_from_slice(&timestamp.to_be_bytes());
    bytes.extend_from_slice(&seq.to_be_bytes());
    bytes.extend_from_slice(&check(&bytes, log));
    URL_SAFE_NO_PAD.encode(bytes)
}

fn read_cursor(cursor: &str, order: Order, log: &str) -> Result<Place> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
    let place = bytes.as_deref().filter(|bytes| bytes.len() == 24).and_then(|bytes| {
        let (place, sum) = bytes.split_at(17);
        let timestamp = i64::from_be_bytes(*place[1..].first_chunk()?);
        let seq = u64::from_be_bytes(*place[9..].first_chunk()?);
        (sum == check(place, log)).then_some((place[0], (timestamp, seq)))
    });
    match place {
        Some((found, place)) if found == order as u8 => Ok(place),
        Some(_) => Err(wrong("the cursor is of a page in the other order; take the order it was given for")),
        None => Err(wrong("this is no cursor of this log; take `nextCursor` of the page before as it is")),
    }
}

fn wrong(message: &str) -> Error {
    Error::field(ErrorKind::InvalidArgument, "/cursor", message)
}

/// Seven bytes that tell a cursor of this log from anything else.
fn check(bytes: &[u8], log: &str) -> [u8; 7] {
    let hash = Sha256::new().chain_update(b"sealog cursor\n").chain_update(log).chain_update(bytes).finalize();
    std::array::from_fn(|index| hash[index])
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_cursor_says_its_place_to_its_own_log_and_order() {
        let cursor = write_cursor((1_700_000_000_000, 7), Order::NewestFirst, "example.com/a");
        assert_eq!(cursor, "AAAAAYvP5WgAAAAAAAAAAAdFVSb6W8jR");
        let options = PageOptions::new().after(&cursor);
        assert_eq!(options.start("example.com/a").unwrap(), Some((1_700_000_000_000, 7)));
        let error = options.start("example.com/b").unwrap_err();
        assert_eq!((error.kind(), error.pointer()), (ErrorKind::InvalidArgument, Some("/cursor")));
        assert!(options.order(Order::OldestFirst).start("example.com/a").unwrap_err().message().contains("order"));
    }

    #[test]
    fn cursors_are_those_of_the_contract() {
        let read = |value: &Value| Order::deserialize(value).unwrap();
        let vectors: Value = serde_json::from_str(include_str!("../../../../contract/vectors/cursor.json")).unwrap();
        let cases = vectors["cases"].as_array().unwrap();
        assert!(!cases.is_empty());
        for case in cases {
            let (log, order) = (case["log"].as_str().unwrap(), read(&case["order"]));
            let place = (case["timestamp"].as_i64().unwrap(), case["seq"].as_u64().unwrap());
            let cursor = case["cursor"].as_str().unwrap();
            assert_eq!(write_cursor(place, order, log), cursor, "{}", case["name"]);
            assert_eq!(read_cursor(cursor, order, log).unwrap(), place, "{}", case["name"]);
        }
        let refused = &vectors["refused"];
        let (log, order) = (refused["log"].as_str().unwrap(), read(&refused["order"]));
        for case in refused["cursors"].as_array().unwrap() {
            let error = read_cursor(case["cursor"].as_str().unwrap(), order, log).unwrap_err();
            assert_eq!((error.kind(), error.pointer()), (ErrorKind::InvalidArgument, Some("/cursor")), "{case}");
        }
    }

    #[test]
    fn a_forged_cursor_is_an_error() {
        let cursor = write_cursor((-1, u64::MAX), Order::OldestFirst, "l");
        for at in 0..cursor.len() {
            let mut forged = cursor.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).unwrap();
            assert!(read_cursor(&forged, Order::OldestFirst, "l").is_err(), "{forged}");
        }
        for cursor in ["", "x", "AAAA", "ü"] {
            assert!(read_cursor(cursor, Order::OldestFirst, "l").is_err());
        }
    }

    #[test]
    fn a_limit_has_its_range() {
        for limit in [0, MAX_PAGE_EVENTS + 1] {
            assert_eq!(PageOptions::new().limit(limit).check().unwrap_err().pointer(), Some("/limit"));
        }
    }
}
