//! How a command ends when it does not end well: what is said, and the exit code.

use std::io;

use sealog::ErrorKind;
use serde_json::{Value, json};

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The log said no.
    Log(sealog::Error),
    /// The log said no, and a person is told more than a program.
    Explained(sealog::Error, String),
    /// There is no log.
    NoLog(String),
    /// The command was called in a way that cannot work.
    Usage(String),
    /// What was asked for is not there.
    NotFound(String),
    /// Something outside the log failed: a file, a terminal.
    File(String),
    /// All was said already; only the exit code is left.
    Reported(u8),
    /// Whoever read our output has gone, which is no failure: `sealog tail | head`.
    PipeClosed,
    /// Stopped by Ctrl-C.
    Interrupted,
}

/// What a shell shows for a process that SIGINT ended.
pub(crate) const EXIT_INTERRUPTED: u8 = 130;

impl Failure {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Log(error) | Self::Explained(error, _) => error.kind().exit_code(),
            Self::NoLog(_) => ErrorKind::Format.exit_code(),
            Self::Usage(_) => ErrorKind::InvalidArgument.exit_code(),
            Self::NotFound(_) => ErrorKind::NotFound.exit_code(),
            Self::File(_) => ErrorKind::Storage.exit_code(),
            Self::Reported(code) => *code,
            Self::PipeClosed => 0,
            Self::Interrupted => EXIT_INTERRUPTED,
        }
    }

    /// The line for a person; `None` when there is nothing to say.
    pub(crate) fn text(&self) -> Option<String> {
        match self {
            Self::Log(error) => Some(error.to_string()),
            Self::Explained(_, text) => Some(text.clone()),
            Self::NoLog(message) | Self::Usage(message) | Self::NotFound(message) | Self::File(message) => {
                Some(message.clone())
            }
            Self::Reported(_) | Self::PipeClosed | Self::Interrupted => None,
        }
    }

    /// The document for a program.
    pub(crate) fn json(&self) -> Option<Value> {
        let (code, message, pointer) = match self {
            Self::Log(error) | Self::Explained(error, _) => (error.kind().code(), error.message(), error.pointer()),
            Self::NoLog(message) => ("no_log", message.as_str(), None),
            Self::Usage(message) => (ErrorKind::InvalidArgument.code(), message.as_str(), None),
            Self::NotFound(message) => (ErrorKind::NotFound.code(), message.as_str(), None),
            Self::File(message) => ("file", message.as_str(), None),
            Self::Reported(_) | Self::PipeClosed | Self::Interrupted => return None,
        };
        Some(json!({"error": {"code": code, "message": message, "pointer": pointer}}))
    }

    /// What was named to be read and cannot be, from its beginning or in its middle.
    pub(crate) fn unreadable(name: impl std::fmt::Display, error: &io::Error) -> Self {
        Self::Usage(format!("cannot read {name}: {error}"))
    }

    /// A file that could not be made or written.
    pub(crate) fn file(what: &str, path: &std::path::Path, error: &io::Error) -> Self {
        Self::File(format!("cannot {what} {}: {error}", path.display()))
    }
}

impl From<sealog::Error> for Failure {
    fn from(error: sealog::Error) -> Self {
        Self::Log(error)
    }
}

/// Of writing to standard output; files say more through [`Failure::file`].
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::PipeClosed
        } else {
            Self::File(format!("cannot write to standard output: {error}"))
        }
    }
}
