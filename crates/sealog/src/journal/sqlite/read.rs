//! Reading: one connection, one committed state at a time.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};
use serde::Deserialize;
use uuid::Uuid;

use super::frame::Unpacker;
use super::{IdKey, check_version, optional, read_checkpoint, read_rejected, schema, storage};
use crate::error::{Error, ErrorKind, Result};
use crate::journal::{
    Census, Entered, Entry, Head, OwnKind, Signer, Snapshot, StoredCheckpoint, StoredRow, Stretch, no_checkpoint,
    no_commitment, no_entry, no_hash,
};
use crate::log::Rejected;
use crate::tree::Hash;

/// So many ids are passed before the next one that is wanted is looked for.
const MAX_PASSED_IDS: usize = 8;

/// A connection that reads.
pub(crate) struct Reader {
    connection: Connection,
    unpacker: Unpacker,
    broken: bool,
}

impl Reader {
    pub(super) fn new(connection: Connection) -> Result<Self> {
        Ok(Self { connection, unpacker: Unpacker::new()?, broken: false })
    }

    /// Runs `read` on one committed state.
    pub(crate) fn snapshot<T>(&mut self, read: impl FnOnce(&mut dyn Snapshot) -> Result<T>) -> Result<T> {
        // Deferred: the state is the one at the first read.
        let transaction = self.connection.unchecked_transaction().map_err(storage)?;
        let result = check_version(&transaction)
            .and_then(|()| read(&mut View { connection: &transaction, unpacker: &mut self.unpacker, head: None }));
        if let Err(error) = transaction.finish() {
            self.broken = true;
            return result.and(Err(storage(error)));
        }
        result
    }

    /// How many events there are.
    pub(crate) fn size(&mut self) -> Result<u64> {
        self.snapshot(|snapshot| Ok(snapshot.head()?.checkpoint.size))
    }

    /// Whether a state could not be left again: then every later one would be that old one.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// A number that changes, as this connection sees it, when any other one commits.
    pub(crate) fn version(&self) -> Result<u64> {
        count(&self.connection, include_str!("queries/changed.sql"))
    }
}

/// One committed state.
pub(super) struct View<'a> {
    pub(super) connection: &'a Connection,
    pub(super) unpacker: &'a mut Unpacker,
    /// Once it was read.
    pub(super) head: Option<Head>,
}

impl Snapshot for View<'_> {
    fn head(&mut self) -> Result<Head> {
        let head = match self.head.take() {
            Some(head) => head,
            None => read_head(self.connection)?,
        };
        Ok(self.head.insert(head).clone())
    }

    fn find(&mut self, id: &str) -> Result<Option<Entry>> {
        let Some((seq, tree, digest, removed)) = find_id(self.connection, id)? else { return Ok(None) };
        let mut timestamp = removed;
        if removed.is_none() {
            self.rows(seq, seq + 1, &mut |_, row| {
                timestamp = timestamp_of(row.body);
                Ok(())
            })?;
        }
        let timestamp = timestamp.ok_or_else(|| no_entry(seq, id))?;
        Ok(Some(Entry { seq, tree_size: seq.saturating_add(tree), digest, timestamp, removed: removed.is_some() }))
    }

    fn place(&mut self, id: &str) -> Result<Option<u64>> {
        Ok(find_id(self.connection, id)?.map(|(seq, ..)| seq))
    }

    fn entered(&mut self, ids: &[&str]) -> Result<Vec<Option<Entered>>> {
        let mut keys: Vec<_> = ids.iter().enumerate().map(|(index, id)| (IdKey::from(*id), index)).collect();
        keys.sort_unstable();
        let mut found = vec![None; keys.len()];
        let mut statement = self.connection.prepare_cached(include_str!("queries/ids.sql")).map_err(storage)?;
        let mut wanted = &keys[..];
        // Ids that were drawn one after the other stand in a row, and walking along them is cheaper than looking for
        // each. Where others stand between, the next one is looked for.
        while let (Some((first, _)), Some((last, _))) = (wanted.first(), wanted.last()) {
            let mut rows = statement.query(params![first, last]).map_err(storage)?;
            let mut passed = 0;
            while let Some(row) = rows.next().map_err(storage)? {
                let stored = IdKey::stored(row.get_ref(0).map_err(storage)?);
                // Most often the very next one is found.
                let before = wanted.iter().take_while(|(key, _)| Some(key) < stored.as_ref()).count();
                wanted = &wanted[before..];
                let same = wanted.iter().take_while(|(key, _)| Some(key) == stored.as_ref()).count();
                // What is no id stands nowhere in their order, so that passing it brings nobody further.
                passed = if same == 0 { passed + usize::from(stored.is_some()) } else { 0 };
                for (_, index) in &wanted[..same] {
                    let (seq, tree): (u64, u64) = (row.get(1).map_err(storage)?, row.get(2).map_err(storage)?);
                    // For whoever is sent an id again, so it is read as it is then.
                    let _: Option<[u8; 16]> = row.get(3).map_err(storage)?;
                    let removed = row.get(4).map_err(storage)?;
                    found[*index] = Some(Entered { seq, tree_size: seq.saturating_add(tree), removed });
                }
                wanted = &wanted[same..];
                if wanted.is_empty() || passed > MAX_PASSED_IDS {
                    break;
                }
            }
            if passed <= MAX_PASSED_IDS {
                break;
            }
        }
        Ok(found)
    }

    fn removed_entries(&mut self, each: &mut dyn FnMut(u64, bool)) -> Result<()> {
        let mut statement = self.connection.prepare_cached(include_str!("queries/removed_ids.sql")).map_err(storage)?;
        let mut rows = statement.query([]).map_err(storage)?;
        while let Some(row) = rows.next().map_err(storage)? {
            let id = row.get_ref(0).map_err(storage)?.as_blob().ok();
            let hash = id.and_then(|id| Uuid::from_slice(id).ok()).filter(|id| id.get_version_num() == 8);
            let digest = row.get_ref(2).map_err(storage)?;
            each(row.get(1).map_err(storage)?, hash.is_some() && digest == ValueRef::Null);
        }
        Ok(())
    }

    fn strange_schema(&mut self) -> Result<Vec<(String, String, String)>> {
        schema::differences(self.connection)
    }

    fn census(&mut self) -> Result<Census> {
        let mut statement = self.connection.prepare_cached(include_str!("queries/census.sql")).map_err(storage)?;
        let census = statement.query_row([], |row| {
            Ok(Census { ids: row.get(0)?, events: row.get(1)?, nodes: row.get(2)?, stray_checkpoints: row.get(3)? })
        });
        census.map_err(storage)
    }

    fn own(&mut self, kind: OwnKind, from: u64) -> Result<Vec<u64>> {
        let mut statement = self.connection.prepare_cached(include_str!("queries/own.sql")).map_err(storage)?;
        let rows = statement.query_map(params![kind as u8, from], |row| row.get(0)).map_err(storage)?;
        rows.collect::<rusqlite::Result<_>>().map_err(storage)
    }

    fn rows(&mut self, from: u64, to: u64, each: &mut dyn FnMut(u64, StoredRow<'_>) -> Result<()>) -> Result<()> {
        let unpacker = &mut *self.unpacker;
        stretches(self.connection, from, to, &mut |stretch| stretch.rows(unpacker, each))
    }

    fn stretches(&mut self, from: u64, to: u64, each: &mut dyn FnMut(Stretch<'_>) -> Result<()>) -> Result<()> {
        stretches(self.connection, from, to, each)
    }

    fn commitments(&mut self, from: u64, to: u64) -> Result<Vec<[u8; 32]>> {
        let mut found = vec![None; usize::try_from(to.saturating_sub(from)).unwrap_or(0)];
        let mut put = |seq: u64, commitment: &[u8]| {
            if let (Some(index), Ok(commitment)) = (seq.checked_sub(from), commitment.try_into())
                && let Some(slot) = usize::try_from(index).ok().and_then(|index| found.get_mut(index))
            {
                *slot = Some(commitment);
            }
        };
        for query in [include_str!("queries/frame_commitments.sql"), include_str!("queries/event_commitments.sql")] {
            let mut statement = self.connection.prepare_cached(query).map_err(storage)?;
            let mut rows = statement.query(params![from, to]).map_err(storage)?;
            while let Some(row) = rows.next().map_err(storage)? {
                let seq: u64 = row.get(0).map_err(storage)?;
                for (offset, commitment) in column(row, 1)?.chunks(32).enumerate() {
                    put(seq.saturating_add(offset as u64), commitment);
                }
            }
        }
        let whole = found.iter().copied().collect::<Option<Vec<_>>>();
        whole.ok_or_else(|| no_commitment(from + found.iter().position(Option::is_none).unwrap_or(0) as u64))
    }

    fn nodes(&mut self, level: u8, from: u64, to: u64) -> Result<Vec<Hash>> {
        let mut statement = self.connection.prepare_cached(include_str!("queries/nodes.sql")).map_err(storage)?;
        let mut rows = statement.query(params![level, from, to]).map_err(storage)?;
        let mut hashes = Vec::new();
        while let Some(row) = rows.next().map_err(storage)? {
            let index: u64 = row.get(0).map_err(storage)?;
            let hash: Option<Hash> = column(row, 1)?.try_into().ok();
            match hash {
                Some(hash) if index == from + hashes.len() as u64 => hashes.push(hash),
                _ => break,
            }
        }
        if hashes.len() as u64 == to.saturating_sub(from) {
            return Ok(hashes);
        }
        Err(no_hash(level, from + hashes.len() as u64))
    }

    fn checkpoints(&mut self, from: u64, limit: usize) -> Result<Vec<StoredCheckpoint>> {
        let mut statement = self.connection.prepare_cached(include_str!("queries/checkpoints.sql")).map_err(storage)?;
        let rows = statement.query_map(params![from, limit], read_checkpoint).map_err(storage)?;
        rows.collect::<rusqlite::Result<_>>().map_err(storage)
    }

    fn signers(&mut self) -> Result<Vec<Signer>> {
        let mut statement = self.connection.prepare_cached(include_str!("queries/signers.sql")).map_err(storage)?;
        let rows =
            statement.query_map([], |row| Ok(Signer { since: row.get(0)?, vkey: row.get(1)? })).map_err(storage)?;
        rows.collect::<rusqlite::Result<_>>().map_err(storage)
    }

    fn state(&mut self, name: &str) -> Result<Option<i64>> {
        let mut statement = self.connection.prepare_cached(include_str!("queries/state.sql")).map_err(storage)?;
        optional(statement.query_row(params![name], |row| row.get(0)))
    }

    fn sampled(&mut self) -> Result<u64> {
        count(self.connection, include_str!("queries/sampled.sql"))
    }

    fn count_rejected(&mut self) -> Result<u64> {
        count(self.connection, include_str!("queries/count_rejected.sql"))
    }

    fn rejected(&mut self, offset: u64, limit: usize) -> Result<Vec<Rejected>> {
        let mut statement = self.connection.prepare_cached(include_str!("queries/rejected.sql")).map_err(storage)?;
        let rows = statement.query_map(params![offset, limit], read_rejected).map_err(storage)?;
        rows.collect::<rusqlite::Result<_>>().map_err(storage)
    }

    fn find_rejected(&mut self, id: &str, digest: Option<&str>) -> Result<Option<Rejected>> {
        let mut statement =
            self.connection.prepare_cached(include_str!("queries/find_rejected.sql")).map_err(storage)?;
        optional(statement.query_row(params![id, digest], read_rejected))
    }
}

pub(super) fn read_head(connection: &Connection) -> Result<Head> {
    let mut statement = connection.prepare_cached(include_str!("queries/head.sql")).map_err(storage)?;
    let head = optional(statement.query_row([], |row| {
        Ok(Head { checkpoint: read_checkpoint(row)?, vkey: row.get(3)?, settings: row.get(4)?, removal: row.get(5)? })
    }))?;
    head.ok_or_else(no_checkpoint)
}

/// The seq, the size of the tree counted from it, the digest, and the timestamp where the event was removed.
type IdRow = (u64, u64, Option<[u8; 16]>, Option<i64>);

pub(super) fn find_id(connection: &Connection, id: &str) -> Result<Option<IdRow>> {
    let mut statement = connection.prepare_cached(include_str!("queries/find_id.sql")).map_err(storage)?;
    optional(
        statement.query_row(params![IdKey::from(id)], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))),
    )
}

/// The rows `from..to` that exist, in order, packed as they are.
fn stretches(
    connection: &Connection,
    from: u64,
    to: u64,
    each: &mut dyn FnMut(Stretch<'_>) -> Result<()>,
) -> Result<()> {
    let mut statement = connection.prepare_cached(include_str!("queries/frames.sql")).map_err(storage)?;
    let mut frames = statement.query(params![from, to]).map_err(storage)?;
    let mut cursor = from;
    while let Some(row) = frames.next().map_err(storage)? {
        let seq: u64 = row.get(0).map_err(storage)?;
        let count: u64 = row.get(1).map_err(storage)?;
        let end = seq.saturating_add(count);
        if end <= cursor {
            continue;
        }
        if cursor < seq {
            unpacked_rows(connection, cursor, seq, each)?;
        }
        let commitments = column(row, 2)?;
        let salts = column(row, 3)?;
        let count = usize::try_from(count).ok().filter(|count| {
            // Where no event of the frame is left, it has no salts.
            let salted = salts.is_empty() || count.checked_mul(16) == Some(salts.len());
            count.checked_mul(32) == Some(commitments.len()) && salted
        });
        let count = count.ok_or_else(|| {
            Error::new(
                ErrorKind::Integrity,
                format!(
                    "the frame of the events from seq {seq} on is damaged: expected 32 and 16 bytes an event for \
                     {} events, found {} and {}",
                    end - seq,
                    commitments.len(),
                    salts.len()
                ),
            )
        })?;
        let bodies = column(row, 4)?;
        // From the cursor on, so that frames which overlap give no event twice.
        let first = usize::try_from(cursor.saturating_sub(seq)).unwrap_or(usize::MAX);
        let last = usize::try_from(to - seq).unwrap_or(usize::MAX).min(count);
        each(Stretch { seq, commitments, salts, bodies, is_packed: true, wanted: (first, last) })?;
        cursor = end;
    }
    if cursor < to {
        unpacked_rows(connection, cursor, to, each)?;
    }
    Ok(())
}

fn unpacked_rows(
    connection: &Connection,
    from: u64,
    to: u64,
    each: &mut dyn FnMut(Stretch<'_>) -> Result<()>,
) -> Result<()> {
    let mut statement = connection.prepare_cached(include_str!("queries/events.sql")).map_err(storage)?;
    let mut rows = statement.query(params![from, to]).map_err(storage)?;
    while let Some(row) = rows.next().map_err(storage)? {
        let stored = StoredRow { commitment: column(row, 1)?, salt: column(row, 2)?, body: column(row, 3)? };
        each(Stretch::of(row.get(0).map_err(storage)?, stored))?;
    }
    Ok(())
}

fn column<'a>(row: &'a rusqlite::Row<'_>, index: usize) -> Result<&'a [u8]> {
    let value = row.get_ref(index).map_err(storage)?;
    value.as_blob().map_err(|_| {
        Error::new(ErrorKind::Integrity, format!("expected bytes in the column {index}, found {:?}", value.data_type()))
    })
}

fn count(connection: &Connection, query: &str) -> Result<u64> {
    let mut statement = connection.prepare_cached(query).map_err(storage)?;
    statement.query_row([], |row| row.get(0)).map_err(storage)
}

pub(super) fn timestamp_of(body: &[u8]) -> Option<i64> {
    #[derive(Deserialize)]
    struct Timestamp {
        timestamp: i64,
    }
    serde_json::from_slice::<Timestamp>(body).ok().map(|found| found.timestamp)
}
