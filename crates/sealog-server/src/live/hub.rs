//! One reader for all who watch: each event is read from the journal and put into a frame once, whoever many
//! watch. The newest frames are kept; who is further behind is served from the journal until they have caught
//! up, so that a slow reader holds no memory and loses nothing.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use axum::body::Bytes;
use sealog::{AuditLog, Examined, Filter, Record, Selector};
use tokio::sync::watch;

use super::{Source, frame};
use crate::problem::Problem;

/// The newest frames are kept, so many of them…
const MAX_FRAMES: usize = 1024;
/// …and so many bytes, but always the newest one.
const MAX_FRAME_BYTES: usize = 4 * 1024 * 1024;
/// How many events are read at once, by the hub and by one who is behind.
const READ_EVENTS: usize = 256;
/// A stream is handed so many bytes at once, more or less.
const PIECE_BYTES: usize = 256 * 1024;
/// With many watchers, events are told together: so long for each of them…
const PACE_EACH: Duration = Duration::from_micros(20);
/// …and this long at the most, which no person notices.
const MAX_PACE: Duration = Duration::from_millis(40);

/// An event, ready to be sent.
struct Frame {
    seq: u64,
    examined: Examined,
    bytes: Bytes,
}

/// The newest frames: all events from `from` up to `next`.
struct Ring {
    from: u64,
    next: u64,
    frames: VecDeque<Arc<Frame>>,
    bytes: usize,
    watchers: usize,
    is_running: bool,
    failed: Option<sealog::Error>,
}

pub(crate) struct Hub {
    log: AuditLog,
    ring: Mutex<Ring>,
    news: watch::Sender<()>,
}

/// What there is for one who watches.
enum Found {
    Frames(Vec<Arc<Frame>>, u64),
    /// What comes next is no longer kept.
    Behind,
    Nothing,
}

impl Hub {
    pub(crate) fn new(log: AuditLog) -> Arc<Self> {
        let ring = Ring {
            from: u64::MAX,
            next: u64::MAX,
            frames: VecDeque::new(),
            bytes: 0,
            watchers: 0,
            is_running: false,
            failed: None,
        };
        Arc::new(Self { log, ring: Mutex::new(ring), news: watch::Sender::new(()) })
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is in `view` and selected, from `next` on. `extra` holds frames that are told first.
    pub(crate) fn watch(self: &Arc<Self>, view: AuditLog, filter: Filter, next: u64) -> Result<Events, Problem> {
        let selector = view.selector(&filter)?;
        let mut ring = self.ring();
        ring.watchers += 1;
        if !ring.is_running {
            ring.is_running = true;
            ring.failed = None;
            let hub = Arc::downgrade(self);
            let log = self.log.clone();
            tokio::spawn(async move {
                if let Err(error) = read(&hub, &log).await
                    && let Some(hub) = hub.upgrade()
                {
                    let mut ring = hub.ring();
                    ring.stop();
                    ring.failed = Some(error);
                    drop(ring);
                    hub.news.send_replace(());
                }
            });
        }
        drop(ring);
        Ok(Events { news: self.news.subscribe(), hub: self.clone(), view, filter, selector, next })
    }

    fn find(&self, next: u64) -> Result<Found, sealog::Error> {
        let ring = self.ring();
        if let Some(error) = &ring.failed {
            return Err(error.clone());
        }
        if next < ring.from {
            return Ok(Found::Behind);
        }
        let first = ring.frames.partition_point(|frame| frame.seq < next);
        let mut bytes = 0;
        let mut frames = Vec::new();
        for frame in ring.frames.range(first..) {
            if bytes >= PIECE_BYTES {
                let next = frame.seq;
                return Ok(Found::Frames(frames, next));
            }
            bytes += frame.bytes.len();
            frames.push(frame.clone());
        }
        Ok(if next < ring.next { Found::Frames(frames, ring.next) } else { Found::Nothing })
    }
}

impl Ring {
    fn stop(&mut self) {
        self.is_running = false;
        (self.from, self.next, self.bytes) = (u64::MAX, u64::MAX, 0);
        self.frames.clear();
    }

    fn add(&mut self, records: Vec<Record>, next: u64) -> Result<(), sealog::Error> {
        for record in records {
            let bytes = frame::event(record.seq(), record.canonical_json());
            // The record holds about as much again.
            self.bytes += 2 * bytes.len();
            self.frames.push_back(Arc::new(Frame { seq: record.seq(), examined: Examined::new(record)?, bytes }));
        }
        self.next = next;
        while self.frames.len() > MAX_FRAMES || (self.bytes > MAX_FRAME_BYTES && self.frames.len() > 1) {
            if let Some(oldest) = self.frames.pop_front() {
                self.bytes -= 2 * oldest.bytes.len();
                self.from = oldest.seq + 1;
            }
        }
        Ok(())
    }
}

/// Reads what comes, as long as somebody watches.
async fn read(hub: &Weak<Hub>, log: &AuditLog) -> Result<(), sealog::Error> {
    let mut next = log.head().await?.size;
    {
        let Some(hub) = hub.upgrade() else { return Ok(()) };
        let mut ring = hub.ring();
        (ring.from, ring.next) = (next, next);
        drop(ring);
        hub.news.send_replace(());
    }
    loop {
        log.grown(next).await?;
        let page = log.read(next, READ_EVENTS).await?;
        next = page.next_seq;
        let Some(hub) = hub.upgrade() else { return Ok(()) };
        let watchers = {
            let mut ring = hub.ring();
            if ring.watchers == 0 {
                ring.stop();
                return Ok(());
            }
            ring.add(page.events, next)?;
            ring.watchers
        };
        hub.news.send_replace(());
        drop(hub);
        let rest = PACE_EACH * u32::try_from(watchers).unwrap_or(u32::MAX);
        if rest > Duration::from_millis(1) {
            tokio::time::sleep(rest.min(MAX_PACE)).await;
        }
    }
}

/// Events as they come, for one who watches.
pub(crate) struct Events {
    hub: Arc<Hub>,
    news: watch::Receiver<()>,
    view: AuditLog,
    filter: Filter,
    selector: Selector,
    next: u64,
}

impl Source for Events {
    async fn next(&mut self) -> Result<Bytes, Problem> {
        loop {
            // Before looking, so that what comes in the meantime is seen the next time.
            self.news.mark_unchanged();
            match self.hub.find(self.next)? {
                Found::Frames(frames, next) => {
                    let mut selected = Vec::with_capacity(frames.len());
                    for frame in frames {
                        if self.selector.selects_examined(&frame.examined)? {
                            selected.push(frame);
                        }
                    }
                    self.next = next;
                    match &*selected {
                        [] => {}
                        [one] => return Ok(one.bytes.clone()),
                        many => return Ok(many.iter().map(|frame| &*frame.bytes).collect::<Vec<_>>().concat().into()),
                    }
                }
                Found::Behind => {
                    let page = self.view.select(&self.filter, self.next, READ_EVENTS).await?;
                    let is_new = page.next_seq > self.next;
                    self.next = page.next_seq;
                    if !page.events.is_empty() {
                        let frames =
                            page.events.iter().map(|record| frame::event(record.seq(), record.canonical_json()));
                        return Ok(frames.collect::<Vec<_>>().concat().into());
                    }
                    if !is_new {
                        self.changed().await?;
                    }
                }
                Found::Nothing => self.changed().await?,
            }
        }
    }
}

impl Events {
    async fn changed(&mut self) -> Result<(), Problem> {
        self.news.changed().await.map_err(|_| Problem::internal("the hub has gone"))
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.hub.ring().watchers -= 1;
    }
}
