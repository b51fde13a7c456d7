//! The index's folder: whose it is, what is in it, who writes it.

use std::fs::{self, File, TryLockError};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use tantivy::IndexSettings;
use tantivy::directory::MmapDirectory;
use tantivy::store::Compressor;
use tantivy::tokenizer::TextAnalyzer;

use super::damaged;
use super::rewriting::WRITER_BYTES;
use super::schema::{Fields, INDEX_VERSION, IndexDocument, TOKENIZER, WordTokenizer};
use crate::error::{Error, ErrorKind, Result};
use crate::journal::Reader;

/// What is committed along with the segments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Payload {
    pub(super) version: u32,
    /// The key that the log began with.
    pub(super) log: String,
    pub(super) next_seq: u64,
    /// How many of them the segments hold; the others were removed.
    pub(super) events: u64,
    /// Of what the removal receipts before this seq cover nothing is left in the segments.
    pub(super) removed_to: u64,
    /// Nor is it in a file that is about to go.
    pub(super) purged_to: u64,
    /// The commitment of the last event, base64: the log may have been put back to an older state since.
    pub(super) last: String,
    pub(super) full_text: bool,
}

/// Opens the index in `folder` if it is one of this log and whole.
pub(super) fn open_found(
    folder: &Path,
    fields: &Fields,
    log: &str,
    journal: &mut Reader,
) -> Option<(tantivy::Index, Payload)> {
    let index = tantivy::Index::open_in_dir(folder).ok().filter(|index| index.schema() == fields.schema)?;
    index.tokenizers().register(TOKENIZER, TextAnalyzer::from(WordTokenizer::default()));
    let payload = fitting(&index, log, journal)?;
    // Without its list of files none would ever be deleted. A file that is missing or cut off shows when
    // it is opened, other damage only by its checksum.
    if !folder.join(MANAGED_FILE).is_file() || index.reader().is_err() {
        return None;
    }
    let damaged = index.validate_checksum().ok()?;
    if !damaged.is_empty() {
        // Should another process write the index, it sees this and makes it anew. If it cannot be told, this
        // one asks again.
        let _ = File::create(folder.join(DAMAGED_FILE));
        return None;
    }
    Some((index, payload))
}

/// What was committed with the segments.
pub(super) fn payload(index: &tantivy::Index) -> Result<Payload> {
    let Some(payload) = index.load_metas().map_err(damaged)?.payload else {
        // Its files are there a moment before it says so.
        return Err(Error::new(ErrorKind::Busy, "the index is being made by another process"));
    };
    serde_json::from_str(&payload)
        .map_err(|error| Error::new(ErrorKind::Index, "the index does not say what it holds").with_source(error))
}

/// What was committed with the segments, if it is of this log as it is now.
pub(super) fn fitting(index: &tantivy::Index, log: &str, journal: &mut Reader) -> Option<Payload> {
    let payload = payload(index).ok()?;
    let size = journal.size().ok()?;
    let fits = payload.version == INDEX_VERSION && payload.log == log && payload.next_seq <= size;
    (fits && commitment(journal, payload.next_seq).ok()? == payload.last).then_some(payload)
}

/// The commitment of the last event before `seq`, base64; empty when there is none.
pub(super) fn commitment(journal: &mut Reader, seq: u64) -> Result<String> {
    let Some(last) = seq.checked_sub(1) else { return Ok(String::new()) };
    let found = journal.snapshot(|snapshot| snapshot.commitments(last, seq))?;
    Ok(STANDARD.encode(found.concat()))
}

/// Makes an empty index in place of the one in the folder. Other files are left alone: somebody may have
/// given the wrong folder.
pub(super) fn create(
    folder: &Path,
    fields: &Fields,
    log: &str,
    full_text: bool,
    journal: &mut Reader,
) -> Result<(tantivy::Index, Payload)> {
    // What is read from here on is without what receipts up to here cover.
    let size = journal.size()?;
    for entry in fs::read_dir(folder).map_err(|error| unwritable(folder, error))? {
        let entry = entry.map_err(|error| unwritable(folder, error))?;
        if is_of_an_index(&entry.file_name().to_string_lossy()) {
            let path = entry.path();
            let removed = if path.is_dir() { fs::remove_dir(path) } else { fs::remove_file(path) };
            removed.map_err(|error| unwritable(folder, error))?;
        }
    }
    let directory = MmapDirectory::open(folder).map_err(|error| damaged(error.into()))?;
    let settings = IndexSettings { docstore_compression: Compressor::None, ..IndexSettings::default() };
    let index = tantivy::Index::create(directory, fields.schema.clone(), settings).map_err(damaged)?;
    index.tokenizers().register(TOKENIZER, TextAnalyzer::from(WordTokenizer::default()));
    let payload = Payload {
        version: INDEX_VERSION,
        log: log.to_owned(),
        next_seq: 0,
        events: 0,
        removed_to: size,
        purged_to: size,
        last: String::new(),
        full_text,
    };
    // So that others know whose it is from the beginning.
    let mut writer = index.writer_with_num_threads::<IndexDocument>(1, WRITER_BYTES).map_err(damaged)?;
    let mut commit = writer.prepare_commit().map_err(damaged)?;
    commit.set_payload(&to_json(&payload));
    commit.commit().map_err(damaged)?;
    Ok((index, payload))
}

/// Deletes the files of segments whose number `unwanted` picks.
pub(super) fn delete_segments(folder: &Path, unwanted: impl Fn(&str) -> bool) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(|error| unwritable(folder, error))? {
        let entry = entry.map_err(|error| unwritable(folder, error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if segment_of(&name).is_some_and(&unwanted) {
            match fs::remove_file(entry.path()) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(unwritable(folder, error)),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Whether a file of an index has such a name. Those of tantivy are `meta.json`, `.managed.json`,
/// `.tantivy-writer.lock`, and a segment's number with an extension.
pub(super) fn is_of_an_index(name: &str) -> bool {
    segment_of(name).is_some()
        || ["meta.json", MANAGED_FILE, DAMAGED_FILE].contains(&name)
        || name.starts_with(".tantivy-")
}

/// The number of the segment that a file of this name is of.
pub(super) fn segment_of(name: &str) -> Option<&str> {
    let (number, _) = name.split_once('.')?;
    (number.len() == 32 && number.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(number)
}

/// tantivy's list of the files that it may delete.
pub(super) const MANAGED_FILE: &str = ".managed.json";
pub(super) const LOCK_FILE: &str = "lock";
/// Says to the one that writes the index that it is damaged.
pub(super) const DAMAGED_FILE: &str = "damaged";

/// The lock of those who write the segments; `None` when another process has it.
pub(super) fn try_lock(folder: &Path) -> Result<Option<File>> {
    let file = File::create(folder.join(LOCK_FILE)).map_err(|error| unwritable(folder, error))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(unwritable(folder, error)),
    }
}

pub(super) fn unwritable(folder: &Path, error: std::io::Error) -> Error {
    Error::new(
        ErrorKind::Index,
        format!("cannot write the index in {}: {error}; another folder can be given for it", folder.display()),
    )
    .with_source(error)
}

pub(super) fn to_json(payload: &Payload) -> String {
    serde_json::to_string(payload).unwrap_or_default()
}
