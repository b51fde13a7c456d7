//! The threads that compute what rows must be, while another one reads on.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Scope};

use super::copies::{Computed, Copies};
use crate::error::Result;
use crate::journal::{Stretch, Unpacker};

/// More threads wait for the one that reads.
const MAX_THREADS: usize = 8;
/// So much stands ready for each thread, to last it while the one that reads looks at what is done.
const QUEUED_PER_THREAD: usize = 4;

type Queue = Receiver<(u64, Copies)>;

/// Copies rows, unpacks and computes them, and gives back what they are in the order in which they came.
pub(super) struct Crew {
    copies: Copies,
    unpacker: Unpacker,
    queue: SyncSender<(u64, Copies)>,
    queued: Arc<Mutex<Queue>>,
    done: Receiver<(u64, Copies, thread::Result<Computed>)>,
    /// Done, and others before them are not.
    waiting: BTreeMap<u64, Computed>,
    handed_over: u64,
    taken: u64,
    spare: Vec<Copies>,
}

impl Crew {
    /// The threads end with the crew.
    pub(super) fn start<'scope>(scope: &'scope Scope<'scope, '_>) -> Result<Self> {
        // One core is reading.
        let cores = thread::available_parallelism().map_or(1, usize::from).saturating_sub(1);
        let threads = cores.clamp(1, MAX_THREADS);
        let (queue, queued) = mpsc::sync_channel(threads * QUEUED_PER_THREAD);
        let queued = Arc::new(Mutex::new(queued));
        let (sender, done) = mpsc::channel();
        for _ in 0..threads {
            let (queued, sender, mut unpacker) = (queued.clone(), sender.clone(), Unpacker::new()?);
            scope.spawn(move || {
                let next = || queued.lock().unwrap_or_else(PoisonError::into_inner).recv();
                while let Ok::<(u64, Copies), _>((number, copies)) = next() {
                    let computed = catch_unwind(AssertUnwindSafe(|| copies.computed(&mut unpacker)));
                    let _ = sender.send((number, copies, computed));
                }
            });
        }
        Ok(Self {
            copies: Copies::default(),
            unpacker: Unpacker::new()?,
            queue,
            queued,
            done,
            waiting: BTreeMap::new(),
            handed_over: 0,
            taken: 0,
            spare: Vec::new(),
        })
    }

    /// Copies some more rows.
    pub(super) fn push(&mut self, stretch: Stretch<'_>) {
        self.copies.push(stretch);
        if self.copies.is_full() {
            self.hand_over();
        }
    }

    /// Has what was copied computed. While all threads have enough to do, the caller computes as well.
    pub(super) fn hand_over(&mut self) {
        if self.copies.is_empty() {
            return;
        }
        let copies = std::mem::replace(&mut self.copies, self.spare.pop().unwrap_or_default());
        let number = self.handed_over;
        self.handed_over += 1;
        if let Err(TrySendError::Full((_, copies)) | TrySendError::Disconnected((_, copies))) =
            self.queue.try_send((number, copies))
        {
            let computed = copies.computed(&mut self.unpacker);
            self.put(number, copies, Ok(computed));
        }
    }

    /// The next rows, if they are computed.
    pub(super) fn next_done(&mut self) -> Option<Computed> {
        while let Ok((number, copies, computed)) = self.done.try_recv() {
            self.put(number, copies, computed);
        }
        self.take()
    }

    /// The next rows, once they are computed, by the caller too; `None` when there are none to be.
    pub(super) fn next(&mut self) -> Option<Computed> {
        while self.taken < self.handed_over {
            if let Some(computed) = self.next_done() {
                return Some(computed);
            }
            // It is locked while a thread waits for more, or takes some.
            let queued = self.queued.try_lock().ok().and_then(|queued| queued.try_recv().ok());
            if let Some((number, copies)) = queued {
                let computed = copies.computed(&mut self.unpacker);
                self.put(number, copies, Ok(computed));
            } else {
                let (number, copies, computed) = self.done.recv().ok()?;
                self.put(number, copies, computed);
            }
        }
        None
    }

    fn put(&mut self, number: u64, mut copies: Copies, computed: thread::Result<Computed>) {
        copies.clear();
        self.spare.push(copies);
        self.waiting.insert(number, computed.unwrap_or_else(|panic| resume_unwind(panic)));
    }

    fn take(&mut self) -> Option<Computed> {
        let computed = self.waiting.remove(&self.taken)?;
        self.taken += 1;
        Some(computed)
    }
}
