//! How many events were sampled away: counted here, and stored with the next batch.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::mpsc;

use crate::error::Result;
use crate::sequencer::{Request, Work};

/// Events that were sampled away and are not stored yet.
#[derive(Debug, Default)]
pub(crate) struct Sampled {
    pending: AtomicU64,
    /// Held while they go from here into the journal, so that nobody adds them up twice or not at all.
    storing: Mutex<()>,
}

impl Sampled {
    /// Counts one, and has the count stored every now and then.
    pub(crate) fn count(&self, queue: &mpsc::UnboundedSender<Request>) {
        const STORE_EVERY: u64 = 256;
        if self.pending.fetch_add(1, Ordering::Relaxed).is_multiple_of(STORE_EVERY) {
            // A log that is closed counts no more.
            let _ = queue.send(Request::Batched(Work::Count));
        }
    }

    /// Counts so many, for the next batch to store.
    pub(crate) fn add(&self, events: usize) {
        self.pending.fetch_add(events as u64, Ordering::Relaxed);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pending.load(Ordering::Relaxed) == 0
    }

    /// Hands over what is pending; takes it back when that fails.
    pub(crate) fn store<T>(&self, store: impl FnOnce(u64) -> Result<T>) -> Result<T> {
        if self.is_empty() {
            return store(0);
        }
        let _storing = self.storing.lock().unwrap_or_else(PoisonError::into_inner);
        let pending = self.pending.swap(0, Ordering::Relaxed);
        let stored = store(pending);
        if stored.is_err() {
            self.pending.fetch_add(pending, Ordering::Relaxed);
        }
        stored
    }

    /// What is `stored`, and what is not yet.
    pub(crate) fn total(&self, stored: impl FnOnce() -> Result<u64>) -> Result<u64> {
        let _storing = self.storing.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(stored()? + self.pending.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_counted_once_at_any_moment() {
        let (sampled, journal) = (Sampled::default(), AtomicU64::new(0));
        let (queue, _requests) = mpsc::unbounded_channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..2000 {
                    sampled.count(&queue);
                    sampled
                        .store(|pending| {
                            std::thread::yield_now();
                            journal.fetch_add(pending, Ordering::Relaxed);
                            std::thread::yield_now();
                            Ok(())
                        })
                        .unwrap();
                }
            });
            let mut last = 0;
            while last < 2000 {
                let total = sampled.total(|| Ok(journal.load(Ordering::Relaxed))).unwrap();
                assert!((last..=2000).contains(&total), "{last}, then {total}");
                last = total;
            }
        });
    }
}
