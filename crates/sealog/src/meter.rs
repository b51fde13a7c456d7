//! How the sequencer is getting on, in numbers that it keeps as it goes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Stopwatch;
use crate::log::{AuditLog, MAX_QUEUE_KIB};

/// Upper ends of the classes that [`Vitals::commits`] counts batches in, in microseconds. One more class is
/// for what took longer.
pub const COMMIT_CLASSES_US: [u64; 12] =
    [250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000];

/// How a handle that writes is getting on: what [`AuditLog::vitals`] answers. All counts are of this handle,
/// since it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Vitals {
    /// How many batches took how long from the write lock to the disk: a count for each of
    /// [`COMMIT_CLASSES_US`], and one for those that took longer.
    pub commits: [u64; COMMIT_CLASSES_US.len() + 1],
    /// How long all batches together took, in microseconds.
    pub commit_us: u64,
    /// Batches that failed.
    pub failed: u64,
    /// Events that were added.
    pub events: u64,
    /// What waits to be written, in KiB of canonical JSON.
    pub queued_kib: u64,
    /// The most that may wait, in KiB: further callers wait for room.
    pub queue_kib: u64,
    /// How long the batch that is being written has taken by now; `None` between two batches.
    pub held: Option<Duration>,
}

/// Where the sequencer counts.
#[derive(Default)]
pub(crate) struct Meter {
    commits: [AtomicU64; COMMIT_CLASSES_US.len() + 1],
    commit_us: AtomicU64,
    failed: AtomicU64,
    events: AtomicU64,
    began: Mutex<Option<Stopwatch>>,
}

impl Meter {
    /// A batch begins.
    pub(crate) fn begin(&self) {
        *self.began.lock().unwrap_or_else(PoisonError::into_inner) = Some(Stopwatch::start());
    }

    /// The batch is through: so many events were added, or it failed.
    pub(crate) fn end(&self, added: Option<u64>) {
        let began = self.began.lock().unwrap_or_else(PoisonError::into_inner).take();
        let us = began.map_or(0, |began| u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
        let class = COMMIT_CLASSES_US.iter().position(|end| us <= *end).unwrap_or(COMMIT_CLASSES_US.len());
        self.commits[class].fetch_add(1, Ordering::Relaxed);
        self.commit_us.fetch_add(us, Ordering::Relaxed);
        match added {
            Some(added) => self.events.fetch_add(added, Ordering::Relaxed),
            None => self.failed.fetch_add(1, Ordering::Relaxed),
        };
    }
}

impl AuditLog {
    /// How this handle is getting on, for whoever watches over it; `None` when it only reads.
    ///
    /// ```
    /// use sealog::{AuditLog, Event};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> sealog::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// let log = AuditLog::open(dir.path().join("audit.db")).await?;
    /// log.log(Event::new("user.login")).await?;
    ///
    /// let vitals = log.vitals().unwrap();
    /// assert_eq!((vitals.events, vitals.failed, vitals.commits.iter().sum::<u64>()), (1, 0, 1));
    /// # Ok(()) }
    /// ```
    pub fn vitals(&self) -> Option<Vitals> {
        let writer = self.shared.writer.as_ref()?;
        let meter = &writer.meter;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let began = *meter.began.lock().unwrap_or_else(PoisonError::into_inner);
        Some(Vitals {
            commits: std::array::from_fn(|class| count(&meter.commits[class])),
            commit_us: count(&meter.commit_us),
            failed: count(&meter.failed),
            events: count(&meter.events),
            queued_kib: MAX_QUEUE_KIB.saturating_sub(writer.room.available_permits()) as u64,
            queue_kib: MAX_QUEUE_KIB as u64,
            held: began.map(Stopwatch::elapsed),
        })
    }
}
