//! Checkpoints kept elsewhere: the newest one is appended to a file at intervals, so that who can
//! rewrite the log and its key still cannot rewrite what was said of it before.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::tree::Checkpoint;

/// How long after one checkpoint the next one is kept, at the least.
const ANCHOR_INTERVAL_MS: i64 = 60_000;

/// The file.
#[derive(Debug)]
pub(crate) struct Anchor {
    path: PathBuf,
    file: File,
    /// The newest checkpoint, while it is not in the file.
    pending: Option<String>,
    kept_at: Option<i64>,
}

impl Anchor {
    /// Opens the file of the log `origin`, or makes it.
    pub(crate) fn open(path: &Path, origin: &str) -> Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.create(true).read(true).append(true).open(path).map_err(|error| failed(path, error))?;
        drop_torn_end(path, &file, origin)?;
        Ok(Self { path: path.to_owned(), file, pending: None, kept_at: None })
    }

    /// Takes note of the newest checkpoint; keeps it when it is time to.
    pub(crate) fn offer(&mut self, note: String, now_ms: i64) {
        self.pending = Some(note);
        if self.kept_at.is_none_or(|kept_at| now_ms.abs_diff(kept_at) >= ANCHOR_INTERVAL_MS as u64) {
            // The events are sealed whether or not this works; it is tried again, and closing the log
            // reports what still fails then.
            if self.flush().is_ok() {
                self.kept_at = Some(now_ms);
            }
        }
    }

    /// Keeps what is not kept yet.
    pub(crate) fn flush(&mut self) -> Result<()> {
        let Some(note) = &self.pending else { return Ok(()) };
        let written = append(&self.file, note.as_bytes());
        written.map_err(|error| failed(&self.path, error))?;
        self.pending = None;
        Ok(())
    }
}

/// Appends durably, and leaves nothing of what could not be written. Other processes may keep the same
/// file: the lock keeps one from cutting off what another one is writing.
fn append(mut file: &File, note: &[u8]) -> std::io::Result<()> {
    file.lock()?;
    let before = file.metadata()?.len();
    let written = file.write_all(note).and_then(|()| file.sync_all());
    let undone = if written.is_err() { file.set_len(before) } else { Ok(()) };
    file.unlock()?;
    written.and(undone)
}

/// A crash may have left the beginning of a checkpoint, which nobody could read, and behind which nobody
/// could read the next one. Any other file is left as it is: it was named by mistake.
fn drop_torn_end(path: &Path, mut file: &File, origin: &str) -> Result<()> {
    file.lock().map_err(|error| failed(path, error))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|error| failed(path, error))?;
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
    file.unlock().map_err(|error| failed(path, error))
}

fn failed(path: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Storage, format!("cannot keep a checkpoint in {}: {error}", path.display()))
        .with_source(error)
}
