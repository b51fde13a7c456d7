//! The thread that has the inbox beside the journal drained.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::Sorted;
use crate::clock::Stopwatch;
use crate::error::{Error, ErrorKind, Result};
use crate::journal::{Place, Reader, postgres};
use crate::policy::Compiled;
use crate::sequencer::{Request, Work};
use crate::settings::Current;

/// How often the inbox is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// Once so many rows were there at once, more are drained without a rest.
const MANY_ROWS: u64 = 500;
/// After fewer it rests for so many times as long as they took, or until somebody begins to wait for an event: each
/// drain is a commit, which those of the application wait for, and what comes meanwhile is drained by one.
const RESTS: u32 = 9;
/// The longest rest.
const MAX_REST: Duration = Duration::from_millis(100);
/// How long it waits after something failed.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

pub(super) struct Worker {
    pub(super) place: Place,
    pub(super) current: Arc<Current>,
    /// Of which settings the database knows what to hide.
    pub(super) told: Option<u64>,
    pub(super) queue: mpsc::UnboundedSender<Request>,
    pub(super) last_error: Arc<Mutex<Option<Error>>>,
    pub(super) stop: Arc<AtomicBool>,
}

impl Worker {
    /// Works until it is told to stop, and drains what is committed by then.
    pub(super) fn run(mut self) -> Result<()> {
        let mut reader = None;
        // Whether rows wait is told by what was drained before, and the database may have been restored since.
        let mut is_first = true;
        while !self.stop.load(Ordering::Acquire) && !self.queue.is_closed() {
            let polling = Stopwatch::start();
            let polled = self.poll(&mut reader, is_first);
            is_first &= polled.is_err();
            let pause = match &polled {
                Ok(0) => POLL_INTERVAL,
                Ok(MANY_ROWS..) => Duration::ZERO,
                Ok(_) => (polling.elapsed() * RESTS).clamp(POLL_INTERVAL, MAX_REST),
                Err(_) => RETRY_INTERVAL,
            };
            let rest = if polled.is_ok() { std::thread::park_timeout } else { std::thread::sleep };
            *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = polled.err();
            rest(pause);
        }
        // One batch more: an application that goes on holds up nobody who closes, and other nodes drain too.
        if self.queue.is_closed() { Ok(()) } else { self.poll(&mut reader, false).map(drop) }
    }

    /// Has some rows drained, if there are any. Answers how many.
    fn poll(&mut self, reader: &mut Option<Reader>, at_once: bool) -> Result<u64> {
        let policy = self.current.policy();
        if policy.settings != self.told {
            tell(&self.place, &policy)?;
            self.told = policy.settings;
        }
        let reader = match reader {
            Some(reader) => reader,
            None => reader.insert(self.place.open_reader()?),
        };
        if !reader.inbox_waits()? && !at_once {
            return Ok(0);
        }
        let (reply, answer) = oneshot::channel();
        let closed = || Error::new(ErrorKind::Closed, "the log is closed");
        self.queue.send(Request::Batched(Work::Inbox { sorted: Sorted::default(), reply })).map_err(|_| closed())?;
        answer.blocking_recv().map_err(|_| closed())?
    }
}

/// Tells the database what to hide in what is put into the inbox there.
pub(super) fn tell(place: &Place, policy: &Compiled) -> Result<()> {
    match place {
        Place::Database(database) => postgres::set_redaction(database, &policy.database_rules()),
        Place::File(_) => Ok(()),
    }
}
