//! What is written where: results to standard output, all else to standard error.

use std::io::{self, IsTerminal as _, Write as _};

use anstream::AutoStream;
use serde::Serialize;
use serde_json::Value;

use crate::failure::Failure;
use crate::render::{BAD, safe};

/// Standard output, for people or for programs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// One JSON document, or one line an event.
    pub(crate) json: bool,
}

/// Says something beside the result. Nothing depends on it, so a closed standard error is no failure.
pub(crate) fn note(text: &str) {
    let _ = writeln!(AutoStream::auto(io::stderr().lock()), "{text}");
}

/// Writes text that may have colours, which are left out where nobody would see them. Flushed, so that
/// what was written is out when the process is killed.
pub(crate) fn write(text: &str) -> Result<(), Failure> {
    let mut out = AutoStream::auto(io::stdout().lock());
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// What is told while work goes on, which does not end where nobody listens any more: what a script was
/// asked to store is stored.
#[derive(Debug, Default)]
pub(crate) struct Telling {
    failure: Option<Failure>,
}

impl Telling {
    /// Writes, unless that has failed before.
    pub(crate) fn write(&mut self, text: &str) {
        if self.failure.is_none() {
            self.failure = write(text).err();
        }
    }

    /// Why not all was told.
    pub(crate) fn result(self) -> Result<(), Failure> {
        self.failure.map_or(Ok(()), Err)
    }
}

/// Writes one JSON document as one line.
pub(crate) fn document(document: &impl Serialize) -> Result<(), Failure> {
    write(&line(document)?)
}

/// A JSON document as one line.
pub(crate) fn line(document: &impl Serialize) -> Result<String, Failure> {
    let mut line = serde_json::to_string(document).map_err(io::Error::from)?;
    line.push('\n');
    Ok(line)
}

impl Output {
    /// Writes the document or the text, whichever was asked for.
    pub(crate) fn either(self, document: &Value, text: &str) -> Result<(), Failure> {
        if self.json { self::document(document) } else { write(text) }
    }

    /// Says why the command failed.
    pub(crate) fn failure(self, failure: &Failure) {
        if self.json {
            if let Some(document) = failure.json() {
                note(&document.to_string());
            }
        } else if let Some(text) = failure.text() {
            // It may quote what somebody else wrote.
            let text = text.lines().map(safe).collect::<Vec<_>>().join("\n");
            note(&format!("{BAD}error:{BAD:#} {text}"));
        }
    }
}

/// How many columns a line may have; `None` where it goes into a file or a pipe, and nothing is cut.
pub(crate) fn columns() -> Option<usize> {
    terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0))
}

/// How many columns a chart may have, which has some width everywhere.
pub(crate) fn chart_columns() -> usize {
    let said = || std::env::var("COLUMNS").ok()?.parse().ok();
    columns().or_else(said).unwrap_or(80).clamp(48, 140)
}

/// Whether progress is worth drawing.
pub(crate) fn shows_progress() -> bool {
    io::stderr().is_terminal()
}
