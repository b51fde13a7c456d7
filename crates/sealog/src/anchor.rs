//! Checkpoints kept elsewhere: the newest one is appended to a file at intervals, so that who can
//! rewrite the log and its key still cannot rewrite what was said of it before.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};

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
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let mut options = OpenOptions::new();
        let mut file = options.create(true).read(true).append(true).open(path).map_err(|error| failed(path, error))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(|error| failed(path, error))?;
        // A crash may have left the beginning of a checkpoint, which nobody could read, and behind which
        // nobody could read the next one.
        let whole = whole_notes(&text);
        if whole < text.len() {
            file.set_len(whole as u64).map_err(|error| failed(path, error))?;
        }
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
        let written = self.file.write_all(note.as_bytes()).and_then(|()| self.file.sync_all());
        written.map_err(|error| failed(&self.path, error))?;
        self.pending = None;
        Ok(())
    }
}

/// How many bytes of `text` end with a whole line of a signature.
fn whole_notes(text: &[u8]) -> usize {
    let mut whole = 0;
    let mut end = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        end += line.len();
        if line.starts_with("\u{2014} ".as_bytes()) && line.ends_with(b"\n") {
            whole = end;
        }
    }
    whole
}

fn failed(path: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Storage, format!("cannot keep a checkpoint in {}: {error}", path.display()))
        .with_source(error)
}
