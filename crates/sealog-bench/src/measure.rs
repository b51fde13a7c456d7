//! What is measured, and how a figure is made of several rounds.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use crate::Result;

/// What one contestant did in one round.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    /// Events acknowledged.
    pub(crate) events: u64,
    /// From the first event handed over to the last acknowledgement.
    pub(crate) elapsed: Duration,
    /// Bytes of all its files when it had acknowledged the last event, write-ahead log included.
    pub(crate) bytes: u64,
    /// The same after it closed its files.
    pub(crate) closed_bytes: u64,
}

impl Run {
    pub(crate) fn events_per_second(&self) -> f64 {
        self.events as f64 / self.elapsed.as_secs_f64()
    }

    pub(crate) fn bytes_per_event(&self) -> f64 {
        self.bytes as f64 / self.events as f64
    }

    pub(crate) fn closed_bytes_per_event(&self) -> f64 {
        self.closed_bytes as f64 / self.events as f64
    }
}

/// Bytes of all files below `dir`.
pub(crate) fn bytes_below(dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes += bytes_below(&entry.path())?,
            Ok(metadata) => bytes += metadata.len(),
            // A contestant may still be at work behind its acknowledgements.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(bytes)
}

/// The middle one; of an even number, the upper of the two.
///
/// # Panics
///
/// When there is none.
pub(crate) fn median<T: PartialOrd + Copy>(mut values: Vec<T>) -> T {
    values.sort_by(|a, b| a.partial_cmp(b).expect("a measured value is a number"));
    values[values.len() / 2]
}
