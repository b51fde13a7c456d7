//! Legal holds: what nothing removes, whatever its age and whoever asks.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Record, Severity};
use crate::index::Facts;
use crate::journal::{OwnKind, Snapshot};
use crate::log::{AuditLog, record_of};
use crate::object::object;
use crate::query::{Filter, Matcher, Selection};

/// The action of the event that places a hold.
pub(crate) const HOLD_PLACED: &str = "sealog.hold.placed";
/// The action of the event that lifts one.
pub(crate) const HOLD_LIFTED: &str = "sealog.hold.lifted";

/// The most holds at a time: each of them is asked of each event that is about to be removed.
pub const MAX_HOLDS: usize = 1000;
/// The longest reason for a hold or for lifting it, and the longest name of who asked for it, in bytes.
pub const MAX_HOLD_REASON_BYTES: usize = 1024;

/// A hold to place: which events, why, and on whose word.
///
/// ```
/// use sealog::{AuditLog, CleanupOptions, Event, Filter, HoldOptions};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> sealog::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// let log = AuditLog::open(dir.path().join("audit.db")).await?;
/// log.log(Event::new("invoice.paid").actor("u-17")).await?;
///
/// let hold = HoldOptions::new(Filter::new().actor("u-17"), "case 2026-114").owner("legal");
/// let hold = log.place_hold(hold).await?;
/// assert_eq!(log.cleanup(&CleanupOptions::new().older_than_days(0)).await?.held, 1);
///
/// log.lift_hold(&hold.id, "case closed").await?;
/// assert_eq!(log.cleanup(&CleanupOptions::new().older_than_days(0)).await?.removed, 1);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct HoldOptions {
    /// Which events are held; those that come later too.
    #[serde(deserialize_with = "object")]
    pub filter: Filter,
    /// Why. It stands in the log for good: a case number says enough.
    pub reason: String,
    /// Who asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

impl HoldOptions {
    /// A hold on what `filter` selects.
    pub fn new(filter: Filter, reason: impl Into<String>) -> Self {
        Self { filter, reason: reason.into(), owner: None }
    }

    /// Sets who asked for it.
    pub fn owner(mut self, owner: impl Into<String>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    fn check(&self) -> Result<()> {
        self.filter.validate().map_err(|error| error.inside("/filter"))?;
        reason("/reason", &self.reason)?;
        self.owner.as_deref().map_or(Ok(()), |owner| reason("/owner", owner))
    }
}

fn reason(pointer: &str, text: &str) -> Result<()> {
    if (1..=MAX_HOLD_REASON_BYTES).contains(&text.len()) {
        return Ok(());
    }
    let message = format!("has {} bytes; it has 1 to {MAX_HOLD_REASON_BYTES} (MAX_HOLD_REASON_BYTES)", text.len());
    Err(Error::field(ErrorKind::InvalidArgument, pointer, message))
}

/// A hold that is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Hold {
    /// Its id, which is that of the event that placed it.
    pub id: String,
    /// Which events are held.
    pub filter: Filter,
    /// Why.
    pub reason: String,
    /// Who asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// When it was placed, milliseconds since the Unix epoch.
    pub placed_at: i64,
    /// The seq of the event that placed it.
    pub seq: u64,
}

/// The holds that are in force.
pub(super) struct Holds {
    holds: Vec<Hold>,
    selections: Vec<Selection>,
}

impl Holds {
    pub(super) fn read(snapshot: &mut dyn Snapshot) -> Result<Self> {
        let mut holds: Vec<Hold> = Vec::new();
        for seq in snapshot.own(OwnKind::Hold, 0)? {
            snapshot.rows(seq, seq + 1, &mut |seq, row| {
                let record = record_of(seq, row.body)?;
                if record.action == HOLD_LIFTED {
                    let lifted = record.metadata.as_ref().and_then(|metadata| metadata.get("hold")?.as_str());
                    holds.retain(|hold| Some(&*hold.id) != lifted);
                } else {
                    holds.push(hold(&record)?);
                }
                Ok(())
            })?;
        }
        let selections = holds.iter().map(|hold| Ok(Selection::default().and(Matcher::new(&hold.filter)?)));
        Ok(Self { selections: selections.collect::<Result<_>>()?, holds })
    }

    /// Whether one of them holds the event.
    pub(super) fn hold(&self, record: &Record) -> Result<bool> {
        if self.selections.is_empty() {
            return Ok(false);
        }
        let body = record.canonical_json().as_bytes();
        let facts = Facts::of_body(body)?.0;
        for selection in self.selections.iter().filter(|selection| selection.facts(&facts)) {
            if selection.documents(body)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The hold that an event placed.
fn hold(record: &Record) -> Result<Hold> {
    let metadata = record.metadata.clone().map(Value::Object).unwrap_or_default();
    let options: HoldOptions = serde_json::from_value(metadata).map_err(|error| {
        let message = format!("seq {}: expected a hold, found something else: {error}", record.seq());
        Error::new(ErrorKind::Integrity, message).with_source(error)
    })?;
    let HoldOptions { filter, reason, owner } = options;
    Ok(Hold { id: record.id().to_owned(), filter, reason, owner, placed_at: record.timestamp(), seq: record.seq() })
}

impl AuditLog {
    /// Places a hold: nothing that its filter selects is removed until it is lifted. It is an event,
    /// `sealog.hold.placed`.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when the filter is wrong or the reason empty, or there are [`MAX_HOLDS`] already;
    /// `OutOfScope` on a scoped handle; else as [`AuditLog::log`].
    pub async fn place_hold(&self, options: HoldOptions) -> Result<Hold> {
        self.whole()?;
        options.check()?;
        let placed = options.clone();
        let (placed_at, receipts) = self
            .change_with_receipts(move |work| {
                if Holds::read(&mut *work.transaction.snapshot())?.holds.len() >= MAX_HOLDS {
                    let message = format!("there are {MAX_HOLDS} holds already (MAX_HOLDS); lift one first");
                    return Err(Error::new(ErrorKind::InvalidArgument, message));
                }
                let metadata = serde_json::to_value(&placed).unwrap_or_default();
                work.log(Event::new(HOLD_PLACED).severity(Severity::Warning).metadata(metadata))?;
                Ok(work.now_ms)
            })
            .await?;
        let receipt = receipts.into_iter().next().ok_or_else(crate::log::closed)?;
        let HoldOptions { filter, reason, owner } = options;
        Ok(Hold { id: receipt.id, filter, reason, owner, placed_at, seq: receipt.seq })
    }

    /// Lifts the hold with this id. It is an event, `sealog.hold.lifted`.
    ///
    /// # Errors
    ///
    /// `NotFound` when no such hold is in force; `InvalidArgument` when the reason is empty; `OutOfScope` on a scoped
    /// handle; else as [`AuditLog::log`].
    pub async fn lift_hold(&self, id: &str, why: &str) -> Result<Hold> {
        self.whole()?;
        reason("/reason", why)?;
        let (id, why) = (id.to_owned(), why.to_owned());
        self.change(move |work| {
            let holds = Holds::read(&mut *work.transaction.snapshot())?.holds;
            let hold = holds
                .into_iter()
                .find(|hold| hold.id == id)
                .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("no hold with the id {id:?} is in force")))?;
            let metadata = json!({"hold": hold.id, "reason": why});
            work.log(Event::new(HOLD_LIFTED).severity(Severity::Warning).metadata(metadata))?;
            Ok(hold)
        })
        .await
    }

    /// The holds that are in force, oldest first.
    ///
    /// # Errors
    ///
    /// `OutOfScope` on a scoped handle; when the log cannot be read.
    pub async fn holds(&self) -> Result<Vec<Hold>> {
        self.whole()?;
        self.snapshot(|snapshot| Ok(Holds::read(snapshot)?.holds)).await
    }
}
