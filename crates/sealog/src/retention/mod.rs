//! Retention: what is removed when it was kept long enough, what is held, and what somebody has a right to have
//! forgotten.
//!
//! A removal takes the body and the salt out of the journal and leaves the commitment, so that every proof stays
//! valid; the receipt for it, an event of the log's own, is committed in the same transaction. Which events go is
//! decided there, under the write lock, by their stored bodies: what the index says is only where to look.

mod cleanup;
mod erasure;
mod hold;
mod receipt;

pub use cleanup::{
    CleanupOptions, CleanupProgress, CleanupReport, DEFAULT_CLEANUP_BATCH_EVENTS, MAX_CLEANUP_BATCH_EVENTS,
};
pub use erasure::{Erasure, ErasureMode, ErasureReport, MAX_CASE_BYTES, MAX_REASON_BYTES, Subject};
pub(crate) use hold::{HOLD_LIFTED, HOLD_PLACED};
pub use hold::{Hold, HoldOptions, MAX_HOLD_REASON_BYTES, MAX_HOLDS};
pub(crate) use receipt::{Covered, ERASURE_APPLIED, RETENTION_APPLIED, Removals};

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use self::hold::Holds;
use crate::clock::Stopwatch;
use crate::error::Result;
use crate::event::{Event, Record};
use crate::journal::{OwnKind, Rewritten, Snapshot};
use crate::log::{AuditLog, record_of};
use crate::query::{BySeverity, bodies};
use crate::sequencer::{OwnWork, Request, Task};
use crate::tree;

/// How long a removal waits for readers that still see what was removed, before it leaves the write-ahead log as it
/// is.
const SCRUB_PATIENCE: Duration = Duration::from_secs(10);
/// How often it tries.
const SCRUB_INTERVAL: Duration = Duration::from_millis(50);

/// So many bytes of events are removed in one transaction, and not more than one event beyond.
const MAX_JUDGED_BYTES: usize = 16 * 1024 * 1024;

/// What becomes of one event.
#[derive(Debug, Clone, PartialEq)]
enum Fate {
    /// It stays as it is.
    Stays,
    /// Nothing of it stays.
    Goes,
    /// This stays of it; it has its new id, seq and times.
    Remains(Box<Event>),
}

/// An event that does not stay.
struct Judged {
    seq: u64,
    id: String,
    timestamp: i64,
    fate: Fate,
}

/// How many events had which fate, and of which kinds they were.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Tally {
    /// Nothing of them stays.
    removed: u64,
    /// A part of them stays.
    reduced: u64,
    held: u64,
    by_severity: [u64; 4],
    by_category: BTreeMap<String, u64>,
    /// The earliest and the latest timestamp.
    span: Option<(i64, i64)>,
    /// How many of the seqs that were given were looked at: the others were too much for once.
    looked_at: usize,
}

impl Tally {
    fn count(&mut self, record: &Record, fate: &Fate) {
        match fate {
            Fate::Goes => self.removed += 1,
            Fate::Remains(_) => self.reduced += 1,
            Fate::Stays => return,
        }
        self.by_severity[record.severity as usize] += 1;
        if let Some(category) = &record.retention_category {
            *self.by_category.entry(category.clone()).or_default() += 1;
        }
        self.widen((record.timestamp(), record.timestamp()));
    }

    fn widen(&mut self, (first, last): (i64, i64)) {
        self.span = Some(self.span.map_or((first, last), |span| (span.0.min(first), span.1.max(last))));
    }

    fn add(&mut self, other: &Self) {
        self.removed += other.removed;
        self.reduced += other.reduced;
        self.held += other.held;
        self.by_severity.iter_mut().zip(other.by_severity).for_each(|(count, more)| *count += more);
        for (category, count) in &other.by_category {
            *self.by_category.entry(category.clone()).or_default() += count;
        }
        if let Some(span) = other.span {
            self.widen(span);
        }
    }

    fn by_severity(&self) -> BySeverity {
        BySeverity::of(self.by_severity)
    }
}

/// Whether the event carries state of the log's own, or covers a removal: nothing removes it.
fn is_exempt(record: &Record) -> bool {
    OwnKind::of_action(&record.action).is_some()
        || record.action == crate::verify::KEY_ROTATED
        || record.action.starts_with(crate::serving::API_KEYS)
}

/// Which of the events at `seqs`, which are in order, do not stay, by `verdict` and the holds.
fn judge(
    snapshot: &mut dyn Snapshot,
    seqs: &[u64],
    holds: &Holds,
    verdict: &dyn Fn(&Record) -> Result<Fate>,
) -> Result<(Vec<Judged>, Tally)> {
    let (mut judged, mut tally) = (Vec::new(), Tally { looked_at: seqs.len(), ..Tally::default() });
    let mut bytes = 0;
    bodies(snapshot, seqs, &mut |index, body| {
        // What may be left of an event is as large as it was.
        bytes += body.len();
        if bytes > MAX_JUDGED_BYTES && index > 0 {
            tally.looked_at = tally.looked_at.min(index);
            return Ok(());
        }
        let record = record_of(seqs[index], body)?;
        let fate = if is_exempt(&record) { Fate::Stays } else { verdict(&record)? };
        if fate == Fate::Stays {
            return Ok(());
        }
        if holds.hold(&record)? {
            tally.held += 1;
        } else {
            tally.count(&record, &fate);
            judged.push(Judged { seq: record.seq(), id: record.id().to_owned(), timestamp: record.timestamp(), fate });
        }
        Ok(())
    })?;
    Ok((judged, tally))
}

/// Removes those of the events at `seqs` that do not stay; the receipts have this action and say `why`. All under the
/// write lock.
fn remove(
    work: &mut OwnWork<'_>,
    seqs: &[u64],
    action: &str,
    why: &Map<String, Value>,
    verdict: &dyn Fn(&Record) -> Result<Fate>,
) -> Result<Tally> {
    let policy = work.current.policy.clone();
    let (judged, tally) = {
        let mut snapshot = work.transaction.snapshot();
        let holds = Holds::read(&mut *snapshot)?;
        judge(&mut *snapshot, seqs, &holds, verdict)?
    };
    let (mut rows, mut gone) = (Vec::with_capacity(judged.len()), Vec::with_capacity(judged.len()));
    for Judged { seq, id, timestamp, fate } in judged {
        let mut removed_id = policy.removed_id(&id);
        let mut salt = [0; 16];
        let mut body = Vec::new();
        if let Fate::Remains(mut event) = fate {
            // What is left of an event for the second time has its id from the first.
            if work.transaction.find(&id)?.is_some_and(|entry| entry.removed) {
                removed_id.clone_from(&id);
            }
            event.id = Some(removed_id.clone());
            work.clock.fill(&mut salt);
            body = crate::canonical::with_event(&event, <[u8]>::to_vec);
            gone.push((seq, Some(tree::commitment(&salt, &body))));
        } else {
            gone.push((seq, None));
        }
        rows.push(Rewritten { seq, id, removed_id, timestamp, salt, body });
    }
    if !rows.is_empty() {
        work.transaction.rewrite(&rows)?;
        for receipt in Covered::receipts(action, why, &gone) {
            work.log(receipt)?;
        }
    }
    Ok(tally)
}

/// Has `part` look at all of `seqs`, as many at once as one transaction takes.
async fn in_parts<F: Future<Output = Result<Tally>>>(
    mut seqs: Vec<u64>,
    part: impl Fn(Vec<u64>) -> F,
) -> Result<Tally> {
    let mut all = Tally::default();
    while !seqs.is_empty() {
        let tally = part(seqs.clone()).await?;
        seqs.drain(..tally.looked_at.clamp(1, seqs.len()));
        all.add(&tally);
    }
    Ok(all)
}

impl AuditLog {
    /// Waits until what was removed is in no file: not in the index, whose segments are written anew without it, nor
    /// in the journal's write-ahead log. Answers whether that is so.
    async fn scrub(&self) -> Result<bool> {
        let newest = self.snapshot(|snapshot| Ok(snapshot.head()?.removal)).await?;
        let purged = match newest {
            Some(receipt) => self.index()?.purged(receipt).await?,
            None => true,
        };
        let waiting = Stopwatch::start();
        loop {
            let (reply, answer) = tokio::sync::oneshot::channel();
            let task = Task::Own(Box::new(move |sequencer| {
                let scrubbed = sequencer.journal.scrub();
                let works = scrubbed.is_ok();
                let _ = reply.send(scrubbed);
                works
            }));
            self.writer()?.queue.send(Request::Alone(task)).map_err(|_| crate::log::closed())?;
            let truncated = answer.await.map_err(|_| crate::log::closed())??;
            if truncated || waiting.elapsed() >= SCRUB_PATIENCE {
                return Ok(truncated && purged);
            }
            tokio::time::sleep(SCRUB_INTERVAL).await;
        }
    }
}
