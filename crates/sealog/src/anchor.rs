//! Checkpoints kept elsewhere: the newest one is appended to a file at intervals, so that who can
//! rewrite the log and its key still cannot rewrite what was said of it before.
//!
//! The file may be on another machine's disk, which may be slow or gone. So a thread of its own writes
//! it: no event waits for that, and what fails is tried again later.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::clock::Stopwatch;
use crate::error::{Error, ErrorKind, Result};
use crate::keyfile::sync_folder;
use crate::log::joined;
use crate::tree::Checkpoint;

/// How long after one checkpoint the next one is kept, at the least.
const ANCHOR_INTERVAL_MS: i64 = 60_000;
/// How long after a failure the next try comes; twice as long after each further one.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// But never longer than this.
const MAX_RETRY_INTERVAL: Duration = Duration::from_mins(1);

/// How long the file's lock is waited for, which others hold for one write.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
/// How often it is tried.
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// How an anchor is getting on: what [`AuditLog::anchor`](crate::AuditLog::anchor) answers.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AnchorState {
    /// The file.
    pub path: PathBuf,
    /// Why the last try to keep a checkpoint failed; `None` while all is well.
    pub last_error: Option<Error>,
}

/// The file, as the sequencer holds it.
#[derive(Debug)]
pub(crate) struct Anchor {
    mailbox: Arc<Mailbox>,
    kept_at: Option<i64>,
    thread: Option<JoinHandle<Result<()>>>,
}

/// What the thread is handed.
#[derive(Debug)]
pub(crate) struct Mailbox {
    path: PathBuf,
    slot: Mutex<Slot>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Slot {
    /// The checkpoint to be kept now; a later one takes its place.
    due: Option<String>,
    /// A newer one, to be kept on closing.
    newest: Option<String>,
    closing: bool,
    last_error: Option<Error>,
}

impl Anchor {
    /// Opens the file of the log `origin`, or makes it.
    pub(crate) fn open(path: &Path, origin: &str) -> Result<Self> {
        let mut options = OpenOptions::new();
        // A pipe would wait for a reader, and a device has no end.
        if std::fs::metadata(path).is_ok_and(|data| !data.is_file()) {
            let message = format!("{} is no regular file, so it cannot keep checkpoints", path.display());
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        let file = options.create(true).read(true).append(true).open(path).map_err(|error| failed(path, error))?;
        drop_torn_end(path, &file, origin)?;
        sync_folder(path).map_err(|error| failed(path, error))?;
        Self::start(path, file)
    }

    fn start(path: &Path, file: File) -> Result<Self> {
        let (slot, changed) = (Mutex::default(), Condvar::new());
        let mailbox = Arc::new(Mailbox { path: path.to_owned(), slot, changed });
        let thread = std::thread::Builder::new()
            .name("sealog-anchor".to_owned())
            .spawn({
                let mailbox = mailbox.clone();
                move || mailbox.work(&file)
            })
            .map_err(|error| Error::new(ErrorKind::Storage, "cannot start the anchor's thread").with_source(error))?;
        Ok(Self { mailbox, kept_at: None, thread: Some(thread) })
    }

    /// Where the state can be seen from elsewhere.
    pub(crate) fn mailbox(&self) -> Arc<Mailbox> {
        self.mailbox.clone()
    }

    /// Takes note of the newest checkpoint; has it kept when it is time to, or when it must be `at_once`.
    pub(crate) fn offer(&mut self, note: String, now_ms: i64, at_once: bool) {
        let on_time = self.kept_at.is_none_or(|kept_at| now_ms.abs_diff(kept_at) >= ANCHOR_INTERVAL_MS as u64);
        if on_time {
            self.kept_at = Some(now_ms);
        }
        let mut slot = self.mailbox.slot();
        if on_time || at_once {
            slot.due = Some(note);
            slot.newest = None;
            self.mailbox.changed.notify_one();
        } else {
            slot.newest = Some(note);
        }
    }

    /// Keeps what is not kept yet, and ends.
    pub(crate) fn close(mut self) -> Result<()> {
        self.mailbox.stop();
        self.thread.take().map_or(Ok(()), |thread| joined(thread, "the anchor's thread"))
    }
}

impl Drop for Anchor {
    fn drop(&mut self) {
        self.mailbox.stop();
    }
}

impl Mailbox {
    pub(crate) fn state(&self) -> AnchorState {
        AnchorState { path: self.path.clone(), last_error: self.slot().last_error.clone() }
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(&self) {
        self.slot().closing = true;
        self.changed.notify_one();
    }

    /// The thread: keeps what is due until it is told to stop, and what is left then.
    fn work(&self, file: &File) -> Result<()> {
        let mut pause = RETRY_INTERVAL;
        loop {
            let idle = |slot: &mut Slot| slot.due.is_none() && !slot.closing;
            let mut slot = self.changed.wait_while(self.slot(), idle).unwrap_or_else(PoisonError::into_inner);
            let Some(note) = slot.due.take().or_else(|| slot.newest.take()) else { return Ok(()) };
            drop(slot);
            // Not under the mailbox's lock: this may take as long as it likes.
            let written = append(file, note.as_bytes()).map_err(|error| failed(&self.path, error));
            let mut slot = self.slot();
            slot.last_error = written.clone().err();
            let Err(error) = written else {
                pause = RETRY_INTERVAL;
                continue;
            };
            if slot.closing {
                return Err(error);
            }
            slot.due.get_or_insert(note);
            let waited = self.changed.wait_timeout_while(slot, pause, |slot| !slot.closing);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
            pause = MAX_RETRY_INTERVAL.min(pause * 2);
        }
    }
}

/// A lock on the file, for as long as this lives: other processes may keep the same file, and one must not
/// cut off what another one is writing.
struct Locked<'a>(&'a File);

impl<'a> Locked<'a> {
    fn new(file: &'a File) -> std::io::Result<Self> {
        let waiting = Stopwatch::start();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                Err(TryLockError::WouldBlock) if waiting.elapsed() < LOCK_TIMEOUT => std::thread::sleep(LOCK_PAUSE),
                Err(TryLockError::WouldBlock) => {
                    let message = format!("another process held its lock for {} seconds", LOCK_TIMEOUT.as_secs());
                    return Err(std::io::Error::new(std::io::ErrorKind::TimedOut, message));
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // It goes with the file at the latest.
        let _ = self.0.unlock();
    }
}

/// Appends durably, and leaves nothing of what could not be written.
fn append(mut file: &File, note: &[u8]) -> std::io::Result<()> {
    let _locked = Locked::new(file)?;
    let before = file.metadata()?.len();
    let written = file.write_all(note).and_then(|()| file.sync_all());
    let undone = if written.is_err() { file.set_len(before) } else { Ok(()) };
    written.and(undone)
}

/// A crash may have left the beginning of a checkpoint, which nobody could read, and behind which nobody
/// could read the next one. Any other file is left as it is: it was named by mistake.
fn drop_torn_end(path: &Path, file: &File, origin: &str) -> Result<()> {
    let _locked = Locked::new(file).map_err(|error| failed(path, error))?;
    let mut bytes = Vec::new();
    (&*file).read_to_end(&mut bytes).map_err(|error| failed(path, error))?;
    let first_line = format!("{origin}\n").into_bytes();
    let torn = |rest: &[u8]| rest.starts_with(&first_line) || first_line.starts_with(rest);
    let rest = Checkpoint::read_anchor(&bytes).ok().map(|(_, rest)| rest).filter(|rest| torn(rest));
    let rest = rest.ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidArgument,
            format!(
                "{} is not empty and holds something else than checkpoints of {origin}; give the anchor a file of its own",
                path.display()
            ),
        )
    })?;
    if !rest.is_empty() {
        file.set_len((bytes.len() - rest.len()) as u64).map_err(|error| failed(path, error))?;
    }
    Ok(())
}

fn failed(path: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Storage, format!("cannot keep a checkpoint in {}: {error}", path.display()))
        .with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_kept_holds_up_nobody_and_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("anchor");
        std::fs::write(&path, "").unwrap();
        // Opened for reading, so that no write works.
        let mut anchor = Anchor::start(&path, File::open(&path).unwrap()).unwrap();
        let mailbox = anchor.mailbox();
        assert!(mailbox.state().last_error.is_none());
        anchor.offer("one\n".to_owned(), 0, false);
        while mailbox.state().last_error.is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        anchor.offer("two\n".to_owned(), ANCHOR_INTERVAL_MS, false);
        let error = anchor.close().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Storage);
        assert!(error.message().contains("anchor"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }
}
