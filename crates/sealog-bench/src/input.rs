//! What is written: the same events for every contestant, made or read before any clock starts.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use sealog::Event;
use serde::Serialize;

use crate::{Result, workspace};

/// The seed of the generator: the same events in each run, on each machine.
pub(crate) const SEED: u64 = 7;
/// When the generated events begin: in September 2001, so that none lies in the future, however many there are.
pub(crate) const START_MS: i64 = 1_000_000_000_000;
/// A packed file begins with these bytes (RFC 8878).
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The events and what is said of them.
#[derive(Debug, Serialize)]
pub(crate) struct Input {
    name: String,
    #[serde(rename = "events")]
    count: usize,
    /// As JSON, one event a line.
    bytes: u64,
    #[serde(skip)]
    pub(crate) events: Vec<Event>,
}

impl Input {
    /// At most `limit` events of `source`: `generator`, `manifests`, or a file.
    pub(crate) fn load(source: &str, limit: usize) -> Result<Self> {
        let events = match source {
            "generator" => generated(limit),
            "manifests" => read(&manifests()?, limit)?,
            path => read(Path::new(path), limit)?,
        };
        if events.is_empty() {
            return Err(format!("{source} has no events").into());
        }
        let mut bytes = 0;
        for event in &events {
            bytes += serde_json::to_string(event)?.len() as u64 + 1;
        }
        Ok(Self { name: source.to_owned(), count: events.len(), bytes, events })
    }

    /// Events of the generator that are made as they are needed.
    pub(crate) fn counted(count: usize, bytes: u64) -> Self {
        Self { name: "generator".to_owned(), count, bytes, events: Vec::new() }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count as u64
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// The history of a company that `sealog demo` shows too.
pub(crate) fn generated(count: usize) -> Vec<Event> {
    sealog_cli::Generator::new(SEED, START_MS).take(count).collect()
}

/// Seven years of changes to the documents of a package registry, kept beside the project.
fn manifests() -> Result<PathBuf> {
    let beside = workspace().parent().unwrap_or(workspace());
    let path = beside.join("shared/data/manifests.ndjson.zst");
    if path.is_file() {
        return Ok(path);
    }
    Err(format!("the manifests are not there: {} (give another file with --input FILE)", path.display()).into())
}

fn read(path: &Path, limit: usize) -> Result<Vec<Event>> {
    let name = path.display();
    let mut file = File::open(path).map_err(|error| format!("{name}: {error}"))?;
    let mut magic = Vec::with_capacity(ZSTD_MAGIC.len());
    Read::by_ref(&mut file).take(ZSTD_MAGIC.len() as u64).read_to_end(&mut magic)?;
    let packed = magic == ZSTD_MAGIC;
    let whole = std::io::Cursor::new(magic).chain(file);
    let lines: Box<dyn BufRead> =
        if packed { Box::new(BufReader::new(zstd::Decoder::new(whole)?)) } else { Box::new(BufReader::new(whole)) };
    let mut events = Vec::new();
    for (number, line) in lines.lines().take(limit).enumerate() {
        let line = line.map_err(|error| format!("{name}: {error}"))?;
        events.push(Event::from_json(&line).map_err(|error| format!("{name}, line {}: {error}", number + 1))?);
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_reads_the_same_plain_and_packed() {
        let dir = tempfile::tempdir().unwrap();
        let events = generated(20);
        let lines: Vec<String> = events.iter().map(|event| serde_json::to_string(event).unwrap()).collect();
        let text = lines.join("\n");
        let (plain, packed) = (dir.path().join("events.ndjson"), dir.path().join("events.ndjson.zst"));
        fs::write(&plain, &text).unwrap();
        fs::write(&packed, zstd::encode_all(text.as_bytes(), 1).unwrap()).unwrap();
        assert_eq!(read(&plain, 100).unwrap(), events);
        assert_eq!(read(&packed, 100).unwrap(), events);
        assert_eq!(read(&packed, 5).unwrap(), events[..5]);
    }

    #[test]
    fn a_bad_line_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.ndjson");
        fs::write(&path, "{\"action\":\"a\"}\nnonsense\n").unwrap();
        assert!(read(&path, 100).unwrap_err().to_string().contains("line 2"));
    }
}
