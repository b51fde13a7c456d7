//! The index: what makes queries fast. It is derived from the journal and can be deleted at any time.
//!
//! Two parts hold all events between them, without gap or overlap: segments of tantivy on disk up to a
//! seq, and from there on the tail in memory. The sequencer puts each batch into the tail before it
//! answers; a thread of the index's own moves the tail's events into a segment now and then, reads from
//! the journal what others wrote, and merges neighbouring segments.
//!
//! One process at a time writes the segments: it holds the file `lock`. The others read them and keep a
//! longer tail; when the lock is free one of them takes it.

mod best;
mod compile;
mod documents;
mod facts;
mod folder;
mod generation;
mod recent;
mod removals;
mod rewriting;
mod schema;
mod segment;
mod seq_query;
mod tail;
mod term_query;
mod words;
mod worker;

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

pub use best::Order;
pub(crate) use best::{Best, Place};
pub(crate) use compile::weight;
pub(crate) use documents::{Sink, visit};
pub(crate) use facts::{Facts, Key, resource_text};
pub(crate) use generation::Generation;
pub(crate) use segment::{Segment, first_values};
pub(crate) use tail::{Chunk, Entry, Scan};
pub(crate) use words::words;

use crate::clock::Stopwatch;
use crate::error::{Error, ErrorKind, Result};
use crate::journal::Place as JournalPlace;
use crate::ranges::Ranges;
use recent::Recent;
use tail::Tail;

/// How long a writer waits for room at once, before it looks whether there is anything to wait for.
const ROOM_INTERVAL: Duration = Duration::from_millis(100);
/// How long a removal waits for another process to write it out of the index.
const PURGE_PATIENCE: Duration = Duration::from_mins(1);

/// Where the index is and what it holds.
#[derive(Debug, Clone)]
pub(crate) struct IndexOptions {
    /// The journal.
    pub(crate) log: JournalPlace,
    /// The index's folder.
    pub(crate) folder: PathBuf,
    /// Whether words are indexed; as the index that is there has it unless given.
    pub(crate) full_text: Option<bool>,
    /// A segment is written once the tail has so many events that are in none.
    pub(crate) tail_events: u64,
}

impl IndexOptions {
    /// Fewer events than that are not worth a segment, nor waking the thread for.
    fn small_events(&self) -> u64 {
        self.tail_events.div_ceil(64)
    }
}

/// How far the index is, while it is built.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexProgress {
    /// Events that are indexed or in the tail.
    pub events: u64,
    /// Events of the log when it was last looked at.
    pub total: u64,
}

/// The index, as the log holds it. Dropping it has its thread end, and does not wait for that: the last
/// handle may be dropped where nothing may block.
pub(crate) struct Index {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the thread shares with those who write and those who ask.
struct Shared {
    options: IndexOptions,
    state: Mutex<State>,
    /// Wakes the thread, and those who wait for room.
    woken: Condvar,
    /// Told whenever an answer may have become possible.
    progress: watch::Sender<IndexProgress>,
}

#[derive(Default)]
struct State {
    generation: Option<Arc<Generation>>,
    /// None as long as the thread reads the journal to catch up.
    tail: Option<Tail>,
    /// A size of the log that somebody waits for.
    wanted: u64,
    /// What the segments on show hold of events that were removed since.
    removals: removals::Pending,
    recent: Arc<Mutex<Recent>>,
    /// What receipts before this seq cover is in no file of the index.
    purged_to: u64,
    /// Why there is no index now. The thread tries again.
    failed: Option<Error>,
    /// The index is to be made anew.
    rebuild: bool,
    /// The segments are written here, and not by another process.
    writes: bool,
    stop: bool,
}

/// All events up to a size, ready to be asked.
pub(crate) struct View {
    pub(crate) generation: Arc<Generation>,
    pub(crate) chunks: Vec<Arc<Chunk>>,
    /// What the segments hold beyond is left out too.
    pub(crate) removed: Arc<Ranges>,
    /// The size of the log it shows. What the segments and chunks hold beyond is left out.
    pub(crate) size: u64,
    recent: Arc<Mutex<Recent>>,
}

impl View {
    /// The event's canonical JSON, where it is in memory.
    pub(crate) fn body(&self, seq: u64) -> Option<&[u8]> {
        let chunk = self.chunks.get(self.chunks.partition_point(|chunk| chunk.seqs().end <= seq))?;
        let at = usize::try_from(seq.checked_sub(chunk.seqs().start)?).ok()?;
        chunk.entries.get(at)?.as_ref().map(Entry::body)
    }

    /// What was asked for of late, of this log and not of this view.
    pub(crate) fn recent(&self) -> MutexGuard<'_, Recent> {
        recent::locked(&self.recent)
    }
}

impl Index {
    /// An index that does nothing until it is [started](Self::start).
    pub(crate) fn new(options: IndexOptions) -> Self {
        let (progress, _) = watch::channel(IndexProgress::default());
        let shared = Arc::new(Shared { options, state: Mutex::default(), woken: Condvar::new(), progress });
        Self { shared, thread: Mutex::new(None) }
    }

    /// Starts the index's thread, unless it was started before.
    pub(crate) fn start(&self) -> Result<()> {
        let mut started = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if started.is_some() || self.shared.lock().stop {
            return Ok(());
        }
        let thread = std::thread::Builder::new().name("sealog-index".to_owned()).spawn({
            let shared = self.shared.clone();
            move || worker::run(&shared)
        });
        *started =
            Some(thread.map_err(|error| {
                Error::new(ErrorKind::Storage, "cannot start the index's thread").with_source(error)
            })?);
        Ok(())
    }

    /// Takes a batch that was committed, and waits while there is no room for more.
    pub(crate) fn feed(&self, first_seq: u64, entries: Vec<Entry>) {
        let mut state = self.shared.lock();
        let entries: Vec<_> = entries.into_iter().map(Some).collect();
        state.note_removals(first_seq, &entries);
        let fed = state.tail.as_mut().and_then(|tail| tail.push(first_seq, entries).then(|| tail.end()));
        if let Some(end) = fed {
            self.shared.progress.send_modify(|progress| {
                *progress = IndexProgress { events: end, total: progress.total.max(end) };
            });
            // The thread looks by itself every now and then, which is enough for a few events.
            if state.tail.as_ref().is_some_and(|tail| tail.events() >= self.shared.options.small_events()) {
                self.shared.woken.notify_all();
            }
        }
        while !state.stop && state.tail.as_ref().is_some_and(Tail::is_full) {
            self.shared.woken.notify_all();
            let waited = self.shared.woken.wait_timeout(state, ROOM_INTERVAL);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The events of a log that has just `size`, if they are all there by now.
    pub(crate) fn view_now(&self, size: u64) -> Option<View> {
        let state = self.shared.lock();
        let view = state.failed.is_none().then(|| state.view(size)).flatten()?;
        Some(View { size, ..view })
    }

    /// The events of a log that has at least `size`. Waits until they are all there.
    pub(crate) async fn view(&self, size: u64) -> Result<View> {
        let mut progress = self.shared.progress.subscribe();
        let waiting = Stopwatch::start();
        loop {
            progress.mark_unchanged();
            let unsettled;
            {
                let mut state = self.shared.lock();
                if let Some(error) = &state.failed {
                    return Err(error.clone());
                }
                if let Some(view) = state.view(size) {
                    return Ok(view);
                }
                if state.stop {
                    return Err(Error::new(ErrorKind::Closed, "the log is closed"));
                }
                state.wanted = state.wanted.max(size);
                unsettled = state.removals.is_unsettled();
                if unsettled {
                    state.removals.hurry();
                    if !state.writes && waiting.elapsed() > PURGE_PATIENCE {
                        let message = "another process does not write into the index what is left of removed events";
                        return Err(Error::new(ErrorKind::Busy, message));
                    }
                }
                self.shared.woken.notify_all();
            }
            // The sender lives as long as this does.
            if unsettled {
                let _ = tokio::time::timeout(PURGE_PATIENCE, progress.changed()).await;
            } else {
                let _ = progress.changed().await;
            }
        }
    }

    /// Waits until nothing is in the index's files of what the receipt at this seq and those before it cover. Answers
    /// whether that is so: another process that does not write the index as it should is not waited for without end.
    pub(crate) async fn purged(&self, receipt: u64) -> Result<bool> {
        let mut progress = self.shared.progress.subscribe();
        let waiting = Stopwatch::start();
        loop {
            progress.mark_unchanged();
            {
                let mut state = self.shared.lock();
                if let Some(error) = &state.failed {
                    return Err(error.clone());
                }
                if state.purged_to > receipt {
                    return Ok(true);
                }
                if state.stop {
                    return Err(Error::new(ErrorKind::Closed, "the log is closed"));
                }
                if !state.writes && waiting.elapsed() > PURGE_PATIENCE {
                    return Ok(false);
                }
                state.removals.hurry();
                state.wanted = state.wanted.max(receipt + 1);
                self.shared.woken.notify_all();
            }
            let _ = tokio::time::timeout(ROOM_INTERVAL, progress.changed()).await;
        }
    }

    /// Whether this process writes the segments.
    pub(crate) fn is_written_here(&self) -> bool {
        self.shared.lock().writes
    }

    /// How far the index is. Changes are told.
    pub(crate) fn progress(&self) -> watch::Receiver<IndexProgress> {
        self.shared.progress.subscribe()
    }

    /// Has the index made anew.
    pub(crate) fn rebuild(&self) {
        self.shared.lock().make_anew();
        self.shared.woken.notify_all();
    }

    /// Has the index made anew, unless that has been done since `generation` was found to be damaged.
    pub(crate) fn found_damaged(&self, generation: &Arc<Generation>) {
        let mut state = self.shared.lock();
        if state.generation.as_ref().is_some_and(|known| Arc::ptr_eq(known, generation)) {
            state.make_anew();
            self.shared.woken.notify_all();
        }
    }

    /// Ends the thread and waits for it.
    pub(crate) fn close(&self) {
        self.shared.stop();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic there has been told to those who asked.
            let _ = thread.join();
        }
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

impl State {
    /// All events, if there are at least so many.
    fn view(&self, size: u64) -> Option<View> {
        let (generation, tail) = (self.generation.as_ref()?, self.tail.as_ref()?);
        // What is there while it is to be made anew is what it was before.
        (!self.rebuild && tail.end() >= size && !self.removals.is_unsettled()).then(|| View {
            generation: generation.clone(),
            chunks: tail.from(generation.next_seq),
            removed: self.removals.seqs(),
            size: tail.end(),
            recent: self.recent.clone(),
        })
    }

    fn make_anew(&mut self) {
        (self.rebuild, self.generation, self.tail, self.failed) = (true, None, None, None);
        (self.removals, self.purged_to) = (removals::Pending::default(), 0);
    }

    /// Takes note of the removal receipts among these events: what they cover is gone from the tail, and is left out of
    /// what the segments answer.
    fn note_removals(&mut self, first_seq: u64, entries: &[Option<Entry>]) {
        for (seq, covered) in removals::receipts(first_seq, entries) {
            if let Some(tail) = &mut self.tail {
                tail.replace(&covered.seqs, |_| None);
            }
            self.removals.note(seq, &covered);
            recent::locked(&self.recent).forget();
        }
    }
}

impl Shared {
    fn stop(&self) {
        self.lock().stop = true;
        self.woken.notify_all();
        self.progress.send_modify(|_| {});
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What tantivy reports.
pub(crate) fn damaged(error: tantivy::TantivyError) -> Error {
    Error::new(ErrorKind::Index, format!("the index cannot be read or written; the log itself is unharmed: {error}"))
        .with_source(error)
}
