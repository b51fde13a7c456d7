//! The index's thread: reads what is new, writes segments, merges neighbours.

use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tantivy::indexer::NoMergePolicy;
use tantivy::{IndexReader, IndexWriter, ReloadPolicy};

use super::folder::{
    DAMAGED_FILE, Payload, commitment, create, delete_segments, fitting, open_found, payload, to_json, try_lock,
    unwritable,
};
use super::rewriting::{NewSegment, Old, Purge, Rewrite, STRIDE_EVENTS, WRITER_BYTES, entries};
use super::schema::{Fields, IndexDocument};
use super::seq_query::SegmentsQuery;
use super::tail::{Chunk, Entry, Tail};
use super::{Generation, Shared, damaged};
use crate::clock::Stopwatch;
use crate::error::{Error, ErrorKind, Result};
use crate::journal::{OwnKind, Reader};
use crate::log::joined;
use crate::ranges::Ranges;

/// A segment is written once its events have so many bytes of canonical JSON, however few they are.
const COMMIT_BYTES: usize = 32 * 1024 * 1024;
/// How many rounds of [`TICK`] the tail keeps what could be written.
const COMMIT_TICKS: u32 = 30;
/// How often the thread looks at what other processes wrote.
const TICK: Duration = Duration::from_secs(1);
/// How often it looks whether segments have been written anew, for which somebody may be waiting.
const PURGE_TICK: Duration = Duration::from_millis(10);
/// How long the thread rests after a failure that nobody was told of.
const RETRY: Duration = Duration::from_millis(50);
/// So many times the thread looks whether another process has made the index, before it says so.
const BUSY_RETRIES: u32 = 40;
/// How many rounds of [`TICK`] the one that writes the segments may take to come nearer, before the tail
/// here grows as long as it must.
const PATIENCE_TICKS: u32 = 3;
/// Neighbouring segments of about one size that become one.
const MERGE_SEGMENTS: usize = 8;
/// A larger segment is not merged any more: it would take long and gain little.
const MAX_SEGMENT_EVENTS: u64 = 4_000_000;
/// By how much tantivy's threads, which merge and do the last of a commit, give way to others where the processor is
/// short: they get about a third of what others do.
#[cfg(target_os = "linux")]
const MERGE_NICENESS: i32 = 5;

pub(super) fn run(shared: &Shared) {
    // In a row, without a tail in between.
    let mut failures = 0;
    while !shared.lock().stop {
        let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| Worker::open(shared)?.work()));
        let failed = match worked {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error),
            Err(_) => Some(Error::new(ErrorKind::Index, "the index's thread panicked; it starts again")),
        };
        let mut state = shared.lock();
        if state.tail.take().is_some() || failed.is_none() {
            failures = 0;
        }
        (state.generation, state.writes) = (None, false);
        if let Some(error) = failed {
            failures += 1;
            let is_damaged = error.kind() == ErrorKind::Index;
            // Another process that writes the segments is making them anew just now, or is about to.
            let is_others = is_damaged && matches!(try_lock(&shared.options.folder), Ok(None));
            // Whatever it was, the journal has it all.
            state.rebuild |= is_damaged && !is_others;
            // Those who ask wait for another attempt, which mostly helps.
            let is_passing = error.kind() == ErrorKind::Busy || is_others;
            let is_told = failures > if is_passing { BUSY_RETRIES } else { 1 };
            if is_told {
                state.failed = Some(error);
                shared.progress.send_modify(|_| {});
            }
            if !state.stop {
                drop(shared.woken.wait_timeout(state, if is_told { TICK } else { RETRY }));
            }
        }
    }
    // Those who still wait are told that the log is closed.
    shared.progress.send_modify(|_| {});
}

struct Worker<'s> {
    shared: &'s Shared,
    journal: Reader,
    log: String,
    fields: Arc<Fields>,
    index: tantivy::Index,
    reader: IndexReader,
    full_text: bool,
    /// `None` when another process writes the segments.
    writer: Option<Writer>,
    /// The seq after the last one that is in the index or on its way there.
    next_seq: u64,
    /// Rounds since a segment was committed, here or by another process.
    ticks: u32,
    /// Since the round began.
    round: Stopwatch,
    /// What is on show no more. To free it takes longer than to answer a question, so no lock is held meanwhile, and
    /// questions under way are not the last ones to hold it.
    retired: (Vec<Arc<Chunk>>, Option<Arc<Generation>>),
}

/// What the one has that writes the segments.
struct Writer {
    tantivy: IndexWriter<IndexDocument>,
    segment: Option<NewSegment>,
    /// Events since the last commit, and how many of them are in the segment.
    events: u64,
    docs: u64,
    bytes: usize,
    /// What was committed last.
    committed: Payload,
    merging: Option<Arc<AtomicBool>>,
    purging: Option<Purge>,
    /// The last field, so that whoever gets it finds tantivy's own lock free as well.
    _lock: File,
}

impl<'s> Worker<'s> {
    fn open(shared: &'s Shared) -> Result<Self> {
        let options = &shared.options;
        let mut journal = options.log.open_reader()?;
        let log = journal.snapshot(|snapshot| snapshot.signers())?;
        let log = log.first().map(|signer| signer.vkey.clone()).unwrap_or_default();
        std::fs::create_dir_all(&options.folder).map_err(|error| unwritable(&options.folder, error))?;
        let lock = try_lock(&options.folder)?;

        let fields = Arc::new(Fields::new());
        let rebuild = std::mem::take(&mut shared.lock().rebuild);
        let mut found = if rebuild { None } else { open_found(&options.folder, &fields, &log, &mut journal) };
        if let (Some((_, payload)), Some(full_text), Some(_)) = (&found, options.full_text, &lock)
            && payload.full_text != full_text
        {
            found = None;
        }
        let (index, payload) = match (found, &lock) {
            (Some(found), _) => found,
            (None, Some(_)) => create(&options.folder, &fields, &log, options.full_text.unwrap_or(true), &mut journal)?,
            (None, None) => {
                return Err(Error::new(
                    ErrorKind::Busy,
                    format!("another process is building the index in {}; ask again soon", options.folder.display()),
                ));
            }
        };
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into().map_err(damaged)?;
        let writer = lock.map(|lock| Writer::new(&index, payload.clone(), lock)).transpose()?;
        let full_text = payload.full_text;
        let mut worker = Self {
            shared,
            journal,
            log,
            fields,
            index,
            reader,
            full_text,
            writer,
            next_seq: payload.next_seq,
            ticks: 0,
            round: Stopwatch::start(),
            retired: (Vec::new(), None),
        };
        worker.note_removals(payload.removed_to)?;
        worker.sweep()?;
        worker.publish()?;
        shared.progress.send_modify(|progress| progress.events = payload.next_seq);
        Ok(worker)
    }

    /// Works until it is told to stop, or to make the index anew.
    fn work(mut self) -> Result<()> {
        loop {
            self.retired = (Vec::new(), None);
            let asked = self.shared.lock().wanted;
            let size = self.journal.size()?;
            self.shared.progress.send_if_modified(|progress| {
                let grown = size > progress.total;
                progress.total = progress.total.max(size);
                grown
            });
            self.catch_up(size)?;
            self.fill(size)?;
            self.take_in()?;
            let is_full = self.shared.lock().tail.as_ref().is_some_and(Tail::is_full);
            self.commit_if_due(is_full)?;
            self.purge()?;
            self.merge()?;

            let state = self.shared.lock();
            if state.stop || state.rebuild {
                drop(state);
                return self.finish();
            }
            let is_purging = self.writer.as_ref().is_some_and(|writer| writer.purging.is_some());
            let has_work = state.removals.is_due() && !is_purging && self.writer.as_ref().is_some_and(Writer::is_free)
                || state.tail.as_ref().is_some_and(|tail| {
                    let is_behind = tail.end() < state.wanted && (tail.end() < size || state.wanted > asked);
                    let is_new = tail.end() >= self.next_seq + self.shared.options.small_events();
                    is_behind && !tail.is_full() || is_new && self.writer.is_some()
                });
            let rest = TICK.saturating_sub(self.round.elapsed());
            let rest = if is_purging { rest.min(PURGE_TICK) } else { rest };
            if !has_work && !rest.is_zero() {
                drop(self.shared.woken.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner));
            } else {
                drop(state);
            }
            // By the clock: under load it is woken all the time.
            if self.round.elapsed() >= TICK {
                self.round = Stopwatch::start();
                self.ticks += 1;
                self.shared.lock().removals.round();
                self.follow()?;
            }
        }
    }

    fn stopped(&self) -> bool {
        let state = self.shared.lock();
        state.stop || state.rebuild
    }

    /// Indexes from the journal until the rest fits the tail, and begins the tail there.
    fn catch_up(&mut self, mut size: u64) -> Result<()> {
        if self.shared.lock().tail.is_some() {
            return Ok(());
        }
        while self.writer.is_some() && self.next_seq + self.shared.options.tail_events < size && !self.stopped() {
            let to = size.min(self.next_seq + STRIDE_EVENTS);
            let entries = entries(&mut self.journal, self.next_seq, to)?;
            self.shared.lock().note_removals(self.next_seq, &entries);
            self.add(&entries)?;
            self.commit_if_due(false)?;
            let events = self.next_seq;
            if events >= size.saturating_sub(self.shared.options.tail_events) {
                size = self.journal.size()?;
            }
            self.shared.progress.send_modify(|progress| {
                progress.events = events;
                progress.total = progress.total.max(size);
            });
        }
        let is_far = size - self.committed().min(size) > 4 * self.shared.options.tail_events;
        if self.writer.is_none() && is_far && self.ticks < PATIENCE_TICKS {
            // The tail would be too long. The one that writes the segments comes nearer.
            return Ok(());
        }
        // What is added but not committed yet is in no segment: the tail holds it too.
        self.commit_if_due(
            self.writer.as_ref().is_some_and(|writer| writer.events > self.shared.options.small_events()),
        )?;
        let mut state = self.shared.lock();
        let Some(generation) = state.generation.as_ref().filter(|_| !state.rebuild) else { return Ok(()) };
        state.tail = Some(Tail::at(generation.next_seq));
        state.failed = None;
        drop(state);
        self.shared.progress.send_modify(|_| {});
        Ok(())
    }

    /// The seq up to which the segments on show hold all events.
    fn committed(&self) -> u64 {
        self.shared.lock().generation.as_ref().map_or(0, |generation| generation.next_seq)
    }

    /// Puts into the tail what the journal has and nobody has fed: what other processes wrote.
    fn fill(&mut self, size: u64) -> Result<()> {
        loop {
            let end = match &self.shared.lock().tail {
                Some(tail) if tail.end() < size => tail.end(),
                _ => return Ok(()),
            };
            let to = size.min(end + STRIDE_EVENTS);
            let entries = entries(&mut self.journal, end, to)?;
            let mut state = self.shared.lock();
            state.note_removals(end, &entries);
            let Some(tail) = &mut state.tail else { return Ok(()) };
            tail.push(end, entries);
            let (events, is_full) = (tail.end(), tail.is_full());
            self.shared.progress.send_modify(|progress| progress.events = events);
            if state.stop || state.rebuild || is_full {
                return Ok(());
            }
        }
    }

    /// Adds what is new in the tail to the segment that is being written.
    fn take_in(&mut self) -> Result<()> {
        if self.writer.is_none() {
            return Ok(());
        }
        let chunks = self.shared.lock().tail.as_ref().map(|tail| tail.from(self.next_seq)).unwrap_or_default();
        for chunk in chunks {
            let known = (self.next_seq.saturating_sub(chunk.seqs().start) as usize).min(chunk.entries.len());
            self.add(&chunk.entries[known..])?;
            self.commit_if_due(false)?;
        }
        Ok(())
    }

    fn add(&mut self, entries: &[Option<Entry>]) -> Result<()> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        for entry in entries {
            if let Some(entry) = entry {
                let segment = NewSegment::begun(&mut writer.segment, &self.index)?;
                segment.add(&self.fields, self.next_seq, entry, self.full_text)?;
                writer.docs += 1;
                writer.bytes += entry.body().len();
            }
            writer.events += 1;
            self.next_seq += 1;
        }
        Ok(())
    }

    fn commit_if_due(&mut self, at_once: bool) -> Result<()> {
        let Some(writer) = &self.writer else { return Ok(()) };
        let is_due = writer.events >= self.shared.options.tail_events
            || writer.bytes >= COMMIT_BYTES
            || writer.events >= self.shared.options.small_events() && self.ticks >= COMMIT_TICKS;
        if !(is_due || at_once && writer.events > 0) {
            return Ok(());
        }
        let next_seq = self.next_seq;
        let last = commitment(&mut self.journal, next_seq)?;
        let Some(writer) = &mut self.writer else { return Ok(()) };
        if let Some(segment) = writer.segment.take() {
            writer.tantivy.add_segment(segment.finish(&self.index)?).map_err(damaged)?;
        }
        let payload =
            Payload { next_seq, events: writer.committed.events + writer.docs, last, ..writer.committed.clone() };
        (writer.events, writer.docs, writer.bytes) = (0, 0, 0);
        writer.commit(payload)?;
        self.publish()
    }

    /// Takes note of the removal receipts from `seq` on that are in the journal.
    fn note_removals(&mut self, seq: u64) -> Result<()> {
        let receipts = self.journal.snapshot(|snapshot| snapshot.own(OwnKind::Removal, seq))?;
        for seq in receipts {
            let entries = entries(&mut self.journal, seq, seq + 1)?;
            self.shared.lock().note_removals(seq, &entries);
        }
        Ok(())
    }

    /// Deletes what a process left of segments that it had written anew, and was gone before it could.
    fn sweep(&mut self) -> Result<()> {
        let Some(writer) =
            self.writer.as_mut().filter(|writer| writer.committed.purged_to < writer.committed.removed_to)
        else {
            return Ok(());
        };
        let known = self.index.searchable_segment_ids().map_err(damaged)?;
        delete_segments(&self.shared.options.folder, |id| !known.iter().any(|known| known.uuid_string() == id))?;
        writer.commit(Payload { purged_to: writer.committed.removed_to, ..writer.committed.clone() })
    }

    /// Writes anew the segments that hold something of what was removed, on a thread of its own.
    fn purge(&mut self) -> Result<()> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        if let Some(purge) = writer.purging.take_if(|purge| purge.is_finished()) {
            return self.replace(purge);
        }
        if !writer.is_free() || !self.shared.lock().removals.is_due() {
            return Ok(());
        }
        // What is on its way into a segment may be gone by now.
        self.commit_if_due(true)?;
        // Of all receipts up to now, those of other processes too that have not come here yet.
        let removed_to = self.journal.size()?;
        let from = self.writer.as_ref().map_or(0, |writer| writer.committed.removed_to);
        self.note_removals(from)?;
        let seqs = self.shared.lock().removals.before(removed_to);
        let mut left: HashMap<u64, Entry> = HashMap::new();
        let committed = self.committed();
        for range in seqs.iter().filter(|range| range.end > committed) {
            let range = range.start.max(committed)..range.end;
            let entries = entries(&mut self.journal, range.start, range.end.min(removed_to))?;
            left.extend(range.zip(entries).filter_map(|(seq, entry)| Some((seq, entry?))));
        }
        if !left.is_empty() {
            let mut state = self.shared.lock();
            // Of what was removed since, nothing comes back.
            let since = state.removals.since(removed_to);
            left.retain(|seq, _| !since.contains(*seq));
            if let Some(tail) = &mut state.tail {
                tail.replace(&left.keys().copied().collect(), |seq| left.remove(&seq));
            }
        }
        let Some(generation) = self.shared.lock().generation.clone() else { return Ok(()) };
        let remaining = self.shared.lock().removals.remaining_before(removed_to);
        let (old, rewritten) = affected(&generation, &seqs, &remaining);
        let stop = Arc::new(AtomicBool::new(false));
        let work = Rewrite {
            stop: stop.clone(),
            journal: self.shared.options.log.open_reader()?,
            index: self.index.clone(),
            fields: self.fields.clone(),
            full_text: self.full_text,
            seqs: rewritten,
        };
        let thread = std::thread::Builder::new().name("sealog-purge".to_owned()).spawn(move || work.run());
        let thread = thread.map_err(|error| {
            Error::new(ErrorKind::Storage, "cannot start a thread to write the index without what was removed")
                .with_source(error)
        })?;
        if let Some(writer) = &mut self.writer {
            writer.purging = Some(Purge { thread: Some(thread), stop, old, removed_to });
        }
        Ok(())
    }

    /// Puts segments that were written anew in the place of the old ones, whose files go.
    fn replace(&mut self, mut purge: Purge) -> Result<()> {
        let Some(thread) = purge.thread.take() else { return Ok(()) };
        let new = joined(thread, "the thread that writes the index anew")?;
        let Some(writer) = &mut self.writer else { return Ok(()) };
        let old: Vec<_> = purge.old.iter().map(|old| old.id).collect();
        let mut payload = Payload { removed_to: purge.removed_to, ..writer.committed.clone() };
        payload.events -= purge.old.iter().map(|old| old.docs).sum::<u64>();
        writer.tantivy.delete_query(Box::new(SegmentsQuery(old.clone()))).map_err(damaged)?;
        for new in new.into_iter().flatten() {
            payload.events += u64::from(new.max_doc());
            writer.tantivy.add_segment(new).map_err(damaged)?;
        }
        writer.commit(payload)?;
        self.publish()?;
        // Whoever still reads them has them open.
        delete_segments(&self.shared.options.folder, |id| old.iter().any(|old| old.uuid_string() == id))?;
        let Some(writer) = &mut self.writer else { return Ok(()) };
        writer.commit(Payload { purged_to: purge.removed_to, ..writer.committed.clone() })?;
        self.publish()
    }

    /// Shows the committed segments to those who ask, and drops from the tail what is in them.
    fn publish(&mut self) -> Result<()> {
        // What was committed with the segments must be of the same moment as they are, though another
        // process may be committing right now.
        let mut payload = payload(&self.index)?;
        loop {
            self.reader.reload().map_err(damaged)?;
            match self::payload(&self.index)? {
                same if same == payload => break,
                other => payload = other,
            }
        }
        if let Some(writer) = &self.writer {
            writer.expect(&payload)?;
        }
        let next_seq = payload.next_seq;
        self.full_text = payload.full_text;
        if self.writer.is_none() {
            // Receipts may have passed by that the tail never held.
            self.note_removals(payload.removed_to)?;
        }
        let before = self.shared.lock().generation.clone();
        let searcher = self.reader.searcher();
        let generation = Generation::new(self.fields.clone(), searcher, next_seq, self.full_text, before.as_deref())?;
        if generation.segments.iter().map(|segment| u64::from(segment.reader.num_docs())).sum::<u64>() != payload.events
        {
            return Err(Error::new(ErrorKind::Index, "the index does not hold the events that it should"));
        }
        if before.as_ref().is_none_or(|before| before.next_seq != next_seq) {
            self.ticks = 0;
        }
        let mut state = self.shared.lock();
        if state.rebuild {
            return Ok(());
        }
        self.retired.1 = state.generation.replace(Arc::new(generation));
        state.writes = self.writer.is_some();
        state.removals.settle(payload.removed_to);
        state.purged_to = payload.purged_to;
        match &mut state.tail {
            // Another process made the index anew.
            Some(tail) if tail.start() > next_seq => state.tail = None,
            Some(tail) if tail.end() < next_seq => *tail = Tail::at(next_seq),
            Some(tail) => self.retired.0 = tail.take_before(next_seq),
            None => {}
        }
        drop(state);
        self.shared.progress.send_modify(|_| {});
        self.shared.woken.notify_all();
        Ok(())
    }

    /// Where another process writes the segments: takes its place when it is gone, or shows its work.
    /// Otherwise sees whether they are still there.
    fn follow(&mut self) -> Result<()> {
        if let Some(writer) = &self.writer {
            if self.shared.options.folder.join(DAMAGED_FILE).exists() {
                return Err(Error::new(ErrorKind::Index, "another process found the index damaged"));
            }
            return writer.expect(&payload(&self.index)?);
        }
        let lock = try_lock(&self.shared.options.folder)?;
        let Some(payload) = fitting(&self.index, &self.log, &mut self.journal) else {
            return Err(Error::new(ErrorKind::Busy, "the index is being made anew by another process"));
        };
        if let Some(lock) = lock {
            self.writer = Some(Writer::new(&self.index, payload.clone(), lock)?);
            self.next_seq = payload.next_seq;
            self.note_removals(payload.removed_to)?;
            self.sweep()?;
        }
        self.publish()?;
        let mut state = self.shared.lock();
        if self.writer.is_none() && state.tail.as_ref().is_some_and(Tail::is_full) {
            // Those who write events must not be held up by it.
            state.tail = None;
            state.failed = Some(Error::new(ErrorKind::Busy, "the process that writes the index does not go on"));
            self.ticks = 0;
            drop(state);
            self.shared.progress.send_modify(|_| {});
            self.shared.woken.notify_all();
        }
        Ok(())
    }

    /// Merges the oldest neighbours of about one size. One merge at a time, on a thread of tantivy's.
    fn merge(&mut self) -> Result<()> {
        let Some(writer) = self.writer.as_mut().filter(|writer| writer.purging.is_none()) else { return Ok(()) };
        if let Some(done) = &writer.merging {
            if !done.load(Ordering::Acquire) {
                return Ok(());
            }
            writer.merging = None;
            self.publish()?;
        }
        let Some(generation) = self.shared.lock().generation.clone() else { return Ok(()) };
        let sizes: Vec<_> = generation.segments.iter().map(|segment| u64::from(segment.docs())).collect();
        let Some(range) = neighbours_to_merge(&sizes, self.shared.options.small_events()) else { return Ok(()) };
        let ids: Vec<_> = generation.segments[range].iter().map(|segment| segment.reader.segment_id()).collect();
        let Some(writer) = &mut self.writer else { return Ok(()) };
        let merged = writer.tantivy.merge(&ids);
        let done = Arc::new(AtomicBool::new(false));
        writer.merging = Some(done.clone());
        let waiting = std::thread::Builder::new().name("sealog-merge".to_owned()).spawn(move || {
            // A merge that failed is tried again, and changes no answer.
            let _ = merged.wait();
            done.store(true, Ordering::Release);
        });
        waiting.map(drop).map_err(|error| {
            Error::new(ErrorKind::Storage, "cannot start a thread for a merge of the index").with_source(error)
        })
    }

    /// Writes what is worth it before the thread ends.
    fn finish(mut self) -> Result<()> {
        if self.shared.lock().rebuild {
            return Ok(());
        }
        self.commit_if_due(
            self.writer.as_ref().is_some_and(|writer| writer.events >= self.shared.options.small_events()),
        )
    }
}

impl Writer {
    fn new(index: &tantivy::Index, committed: Payload, lock: File) -> Result<Self> {
        let tantivy = in_background(|| index.writer_with_num_threads(1, WRITER_BYTES))?.map_err(damaged)?;
        tantivy.set_merge_policy(Box::new(NoMergePolicy));
        Ok(Self {
            tantivy,
            segment: None,
            events: 0,
            docs: 0,
            bytes: 0,
            committed,
            merging: None,
            purging: None,
            _lock: lock,
        })
    }

    /// Whether no other thread is at the segments.
    fn is_free(&self) -> bool {
        self.merging.is_none() && self.purging.is_none()
    }

    /// Whether what is in the folder is what was committed here. Somebody may have deleted the folder, and
    /// another process begun a new one.
    fn expect(&self, found: &Payload) -> Result<()> {
        if *found == self.committed {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Busy, "the index was made anew by another process"))
    }

    fn commit(&mut self, payload: Payload) -> Result<()> {
        let mut commit = self.tantivy.prepare_commit().map_err(damaged)?;
        commit.set_payload(&to_json(&payload));
        commit.commit().map_err(damaged)?;
        self.committed = payload;
        Ok(())
    }
}

/// Runs `start`, so that the threads it starts give way to others.
fn in_background<T: Send>(start: impl FnOnce() -> T + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let starting = std::thread::Builder::new().name("sealog-start".to_owned()).spawn_scoped(scope, || {
            // On Linux that is a thread's own, and goes over to those that it starts. Where it cannot be set, all are
            // as they would be without.
            #[cfg(target_os = "linux")]
            let _ = rustix::process::nice(MERGE_NICENESS);
            start()
        });
        let starting = starting.map_err(|error| {
            Error::new(ErrorKind::Storage, "cannot start a thread for the index's segments").with_source(error)
        })?;
        starting.join().map_err(|panic| std::panic::resume_unwind(panic))
    })
}

/// Which neighbours become one: the first run of at least [`MERGE_SEGMENTS`] that are all of the lowest
/// size there is such a run of. Segments only ever become one with their neighbours, so that each stays
/// in the order of `seq` and apart from the others.
fn neighbours_to_merge(sizes: &[u64], small: u64) -> Option<std::ops::Range<usize>> {
    let mut limit = small * MERGE_SEGMENTS as u64;
    while limit <= MAX_SEGMENT_EVENTS {
        let mut start = 0;
        for (index, size) in sizes.iter().chain([&u64::MAX]).enumerate() {
            if *size < limit {
                continue;
            }
            if index - start >= MERGE_SEGMENTS {
                let end = index.min(start + 2 * MERGE_SEGMENTS);
                return Some(start..end);
            }
            start = index + 1;
        }
        limit *= MERGE_SEGMENTS as u64;
    }
    None
}

/// The segments that hold some of `seqs`, and for each new one the events to read.
///
/// When an event was removed before it came into a segment, it is in none, and what is left of it (`remaining`) comes
/// into the one beside it.
fn affected(generation: &Generation, seqs: &Ranges, remaining: &Ranges) -> (Vec<Old>, Vec<Vec<Range<u64>>>) {
    let remaining = |gap: Range<u64>| -> Vec<Range<u64>> {
        let inside = remaining.within(&gap).iter().map(|range| range.start.max(gap.start)..range.end.min(gap.end));
        inside.filter(|range| !range.is_empty()).collect()
    };
    let (mut old, mut rewritten) = (Vec::new(), Vec::new());
    let mut end = 0;
    for segment in &generation.segments {
        let own = segment.first_seq()..segment.end_seq();
        let mut read = remaining(end..own.start);
        end = own.end;
        if !read.is_empty() || seqs.overlaps(&own) {
            old.push(Old::of(segment));
            read.push(own);
            rewritten.push(read);
        }
    }
    let rest = remaining(end..generation.next_seq);
    if !rest.is_empty() {
        rewritten.push(rest);
    }
    (old, rewritten)
}

#[cfg(test)]
mod tests;
