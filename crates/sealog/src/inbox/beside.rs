//! The thread that has the inbox beside the journal drained.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::error::{Error, ErrorKind, Result};
use crate::journal::{Place, Reader};
use crate::sequencer::{Request, Work};

/// How often the inbox is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// How long it waits after something failed.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

pub(super) struct Worker {
    pub(super) place: Place,
    pub(super) queue: mpsc::UnboundedSender<Request>,
    pub(super) last_error: Arc<Mutex<Option<Error>>>,
    pub(super) stop: Arc<AtomicBool>,
}

impl Worker {
    /// Works until it is told to stop, and drains what is committed by then.
    pub(super) fn run(self) -> Result<()> {
        let mut reader = None;
        // Whether rows wait is told by what was drained before, and the database may have been restored since.
        let mut is_first = true;
        while !self.stop.load(Ordering::Acquire) && !self.queue.is_closed() {
            let polled = self.poll(&mut reader, is_first);
            is_first &= polled.is_err();
            let pause = match &polled {
                Ok(true) => Duration::ZERO,
                Ok(false) => POLL_INTERVAL,
                Err(_) => RETRY_INTERVAL,
            };
            *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = polled.err();
            std::thread::sleep(pause);
        }
        // One batch more: an application that goes on holds up nobody who closes, and other nodes drain too.
        if self.queue.is_closed() { Ok(()) } else { self.poll(&mut reader, false).map(drop) }
    }

    /// Has some rows drained, if there are any. Answers whether there may be more.
    fn poll(&self, reader: &mut Option<Reader>, at_once: bool) -> Result<bool> {
        let reader = match reader {
            Some(reader) => reader,
            None => reader.insert(self.place.open_reader()?),
        };
        if !reader.inbox_waits()? && !at_once {
            return Ok(false);
        }
        let (reply, answer) = oneshot::channel();
        let closed = || Error::new(ErrorKind::Closed, "the log is closed");
        self.queue.send(Request::Batched(Work::Inbox { sorted: Default::default(), reply })).map_err(|_| closed())?;
        answer.blocking_recv().map_err(|_| closed())??;
        Ok(true)
    }
}
