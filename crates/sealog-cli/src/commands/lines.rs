//! Records that come in lines: how a bad one is reported, and whether to go on after it.

use clap::ValueEnum;
use sealog::ErrorKind;
use serde_json::json;

use crate::failure::Failure;
use crate::output::{self, Output};
use crate::render::{BAD, BOLD, safe};
use crate::sources::Place;

/// What a bad line does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnError {
    /// Report it and go on
    Skip,
    /// Report it and read no further
    Stop,
}

/// Why a line is bad.
#[derive(Debug)]
pub(crate) enum Reason {
    /// It could not be read, or is no event.
    Unreadable(String),
    /// The log refused it.
    Refused(sealog::Error),
}

/// Reports bad lines and remembers that there were some.
#[derive(Debug)]
pub(crate) struct BadLines {
    out: Output,
    on_error: OnError,
    pub(crate) count: u64,
    first: Option<u8>,
}

impl BadLines {
    pub(crate) fn new(out: Output, on_error: OnError) -> Self {
        Self { out, on_error, count: 0, first: None }
    }

    /// Reports one. Whoever draws progress must have made room for it.
    pub(crate) fn report(&mut self, file: &str, place: Place, reason: &Reason) {
        self.count += 1;
        let (kind, text, pointer) = match reason {
            Reason::Unreadable(text) => (ErrorKind::InvalidEvent, text.as_str(), None),
            Reason::Refused(error) => (error.kind(), error.message(), error.pointer()),
        };
        self.first.get_or_insert(kind.exit_code());
        if self.out.json {
            let error = json!({
                "code": kind.code(), "message": text, "pointer": pointer, "file": file, "line": place.number(),
            });
            output::note(&json!({"error": error}).to_string());
            return;
        }
        let field = pointer.filter(|pointer| !pointer.is_empty()).map(|pointer| format!("{}: ", safe(pointer)));
        let field = field.unwrap_or_default();
        output::note(&format!("{BAD}error:{BAD:#} {BOLD}{file}: {place}{BOLD:#}: {field}{}", safe(text)));
    }

    /// Reports a file that cannot be read, or not to its end.
    pub(crate) fn file(&mut self, failure: &Failure) {
        self.first.get_or_insert(failure.exit_code());
        self.out.failure(failure);
    }

    /// Whether a bad line would end the reading.
    pub(crate) fn stops(&self) -> bool {
        self.on_error == OnError::Stop
    }

    /// Whether to read no further.
    pub(crate) fn must_stop(&self) -> bool {
        self.count > 0 && self.stops()
    }

    /// That there were bad lines is a failure, even where the rest was done.
    pub(crate) fn result(&self) -> Result<(), Failure> {
        self.first.map_or(Ok(()), |code| Err(Failure::Reported(code)))
    }
}
