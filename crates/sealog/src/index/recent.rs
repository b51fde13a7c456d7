//! Records that were asked for of late, since the same questions are asked again and again.

use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;

use crate::event::Record;

/// What they take in memory at the most, in bytes.
const MAX_BYTES: usize = 32 * 1024 * 1024;
/// What a record takes besides the text of its fields, which it holds twice over.
const RECORD_BYTES: usize = 1536;

/// Records by seq, as they are after one removal. After the next one none of them is answered any more.
pub(crate) struct Recent {
    removal: Option<u64>,
    records: LruCache<u64, Record>,
    bytes: usize,
}

impl Default for Recent {
    fn default() -> Self {
        Self { removal: None, records: LruCache::unbounded(), bytes: 0 }
    }
}

impl Recent {
    /// The record at `seq` in a state of the log whose newest removal receipt is at `removal`.
    pub(crate) fn get(&mut self, removal: Option<u64>, seq: u64) -> Option<Record> {
        if removal == self.removal { self.records.get(&seq).cloned() } else { None }
    }

    /// Keeps what was read in such a state.
    pub(crate) fn put(&mut self, removal: Option<u64>, record: Record) {
        if removal > self.removal {
            self.forget();
            self.removal = removal;
        }
        if removal != self.removal {
            return;
        }
        self.bytes += bytes(&record);
        if let Some((_, known)) = self.records.push(record.seq(), record) {
            self.bytes -= bytes(&known);
        }
        while self.bytes > MAX_BYTES
            && let Some((_, oldest)) = self.records.pop_lru()
        {
            self.bytes -= bytes(&oldest);
        }
    }

    /// Lets go of all of them.
    pub(super) fn forget(&mut self) {
        (self.records, self.bytes) = (LruCache::unbounded(), 0);
    }
}

pub(super) fn locked(recent: &Mutex<Recent>) -> MutexGuard<'_, Recent> {
    recent.lock().unwrap_or_else(PoisonError::into_inner)
}

fn bytes(record: &Record) -> usize {
    RECORD_BYTES + 3 * record.canonical_json().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(seq: u64, action: &str) -> Record {
        let json = format!(r#"{{"action":"{action}","id":"i","recordedAt":1,"seq":{seq},"timestamp":1}}"#);
        Record::from_canonical(json).unwrap()
    }

    #[test]
    fn nothing_outlives_a_removal() {
        let mut recent = Recent::default();
        recent.put(None, record(1, "before"));
        assert_eq!(recent.get(None, 1).unwrap().action, "before");
        assert_eq!(recent.get(Some(5), 1), None);
        recent.put(Some(5), record(1, "after"));
        // Read before the removal, and here only now.
        recent.put(None, record(2, "before"));
        assert_eq!((recent.get(None, 1), recent.get(None, 2), recent.get(Some(5), 2)), (None, None, None));
        assert_eq!(recent.get(Some(5), 1).unwrap().action, "after");
    }

    #[test]
    fn the_least_asked_for_goes_first() {
        let mut recent = Recent::default();
        let long = "x".repeat(1000);
        for seq in 0..20_000 {
            recent.put(None, record(seq, &long));
            assert!(recent.get(None, 0).is_some());
            assert!(recent.bytes <= MAX_BYTES);
        }
        assert!(recent.get(None, 19_999).is_some());
        assert_eq!(recent.get(None, 1), None);
        let bytes: usize = recent.records.iter().map(|(_, record)| bytes(record)).sum();
        assert_eq!(recent.bytes, bytes);
    }
}
