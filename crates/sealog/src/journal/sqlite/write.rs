//! Writing: one connection, one transaction at a time.

use std::path::Path;

use rusqlite::{Connection, ErrorCode, TransactionBehavior, params};
use serde_json::Value;

use super::frame::{FRAME_EVENTS, Frame, Packer, Unpacker, next_frame};
use super::place::Place;
use super::read::{View, read_head};
use super::{FRAME_AT_ONCE_EVENTS, IdKey, check_version, optional, storage, wait_a_little};
use crate::error::{Error, ErrorKind, Result};
use crate::journal::{
    Batch, CHECKPOINT_STRETCH_EVENTS, Entry, Head, Journal, NEWEST_CHECKPOINTS, Rewritten, Row, Snapshot,
    StoredCheckpoint, StoredRow, THIN_FROM_CHECKPOINTS, Transaction,
};
use crate::log::missing_event;

/// Rows are packed once there are this many: a few full frames.
const PACK_FROM_EVENTS: usize = 4 * FRAME_EVENTS;
/// One thinning looks at so many: more than all handles write between two of one.
const THIN_AT_ONCE_CHECKPOINTS: usize = 16 * THIN_FROM_CHECKPOINTS;

/// The connection that writes.
pub(crate) struct SqliteJournal {
    place: Place,
    connection: Connection,
    packer: Packer,
    unpacker: Unpacker,
    /// Rows that were written unpacked since the last packing, by this connection.
    unpacked: usize,
    /// Checkpoints that were written since the last thinning, by this connection.
    checkpoints: usize,
}

/// Takes the write lock.
fn lock(connection: &Connection) -> Result<rusqlite::Transaction<'_>> {
    let transaction = rusqlite::Transaction::new_unchecked(connection, TransactionBehavior::Immediate);
    let transaction = transaction.map_err(storage)?;
    check_version(&transaction)?;
    Ok(transaction)
}

impl SqliteJournal {
    pub(super) fn new(connection: Connection, path: &Path) -> Result<Self> {
        let unpacked = connection
            .query_row(include_str!("queries/count_unpacked.sql"), params![PACK_FROM_EVENTS], |row| row.get(0))
            .map_err(storage)?;
        // A process that starts often thins at its first chance, since it may never write enough.
        let checkpoints = THIN_FROM_CHECKPOINTS;
        Ok(Self {
            place: Place::of(path)?,
            connection,
            packer: Packer::new()?,
            unpacker: Unpacker::new()?,
            unpacked,
            checkpoints,
        })
    }
}

impl Journal for SqliteJournal {
    fn begin(&mut self) -> Result<Box<dyn Transaction + '_>> {
        self.place.check()?;
        let transaction = lock(&self.connection)?;
        Ok(Box::new(SqliteTransaction {
            transaction,
            packer: &mut self.packer,
            unpacker: &mut self.unpacker,
            unpacked: &mut self.unpacked,
            checkpoints: &mut self.checkpoints,
        }))
    }

    fn pack(&mut self) -> Result<bool> {
        let thin = self.checkpoints >= THIN_FROM_CHECKPOINTS;
        if self.unpacked < PACK_FROM_EVENTS && !thin {
            return Ok(false);
        }
        let transaction = lock(&self.connection)?;
        let due = self.unpacked >= PACK_FROM_EVENTS;
        let found = if due { pack_oldest(&transaction, &mut self.packer)? } else { 0 };
        if thin {
            transaction
                .prepare_cached(include_str!("queries/thin_checkpoints.sql"))
                .and_then(|mut statement| {
                    statement.execute(params![NEWEST_CHECKPOINTS, CHECKPOINT_STRETCH_EVENTS, THIN_AT_ONCE_CHECKPOINTS])
                })
                .map_err(storage)?;
        }
        transaction.commit().map_err(storage)?;
        if due {
            // Fewer rows than counted: another handle has packed them.
            self.unpacked = if found < PACK_FROM_EVENTS { found } else { self.unpacked - found };
        }
        if thin {
            self.checkpoints = 0;
        }
        Ok(self.unpacked >= PACK_FROM_EVENTS)
    }

    /// What was rewritten is zeroed in the file (`secure_delete`), but the write-ahead log holds older pages
    /// until it is cut off.
    fn scrub(&mut self) -> Result<bool> {
        // It holds the write lock while it waits for readers, so it must not wait.
        self.connection.busy_handler(None).map_err(storage)?;
        let busy = self.connection.query_row(include_str!("queries/truncate_wal.sql"), [], |row| row.get::<_, i64>(0));
        self.connection.busy_handler(Some(wait_a_little)).map_err(storage)?;
        match busy {
            Ok(busy) => Ok(busy == 0),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(false),
            Err(error) => Err(storage(error)),
        }
    }
}

struct SqliteTransaction<'a> {
    transaction: rusqlite::Transaction<'a>,
    packer: &'a mut Packer,
    unpacker: &'a mut Unpacker,
    unpacked: &'a mut usize,
    checkpoints: &'a mut usize,
}

impl Transaction for SqliteTransaction<'_> {
    fn head(&mut self) -> Result<Head> {
        read_head(&self.transaction)
    }

    fn find(&mut self, id: &str) -> Result<Option<Entry>> {
        View { connection: &self.transaction, unpacker: self.unpacker, head: None }.find(id)
    }

    fn snapshot(&mut self) -> Box<dyn Snapshot + '_> {
        Box::new(View { connection: &self.transaction, unpacker: self.unpacker, head: None })
    }

    fn rewrite(&mut self, mut rows: &[Rewritten]) -> Result<()> {
        let mut remove = self.transaction.prepare_cached(include_str!("queries/remove_id.sql")).map_err(storage)?;
        for row in rows {
            let found = remove
                .execute(params![IdKey::from(&*row.id), IdKey::from(&*row.removed_id), row.timestamp])
                .map_err(storage)?;
            if found != 1 {
                let message = format!("seq {}: expected an entry for the event's id, found none", row.seq);
                return Err(Error::new(ErrorKind::Integrity, message));
            }
        }
        while let Some(first) = rows.first() {
            let done = rewrite_frame(&self.transaction, self.packer, self.unpacker, rows)?;
            if done == 0 {
                let found = self
                    .transaction
                    .prepare_cached(include_str!("queries/rewrite_event.sql"))
                    .and_then(|mut update| update.execute(params![first.seq, first.salt, first.body]))
                    .map_err(storage)?;
                if found != 1 {
                    return Err(missing_event(first.seq));
                }
            }
            rows = &rows[done.max(1)..];
        }
        Ok(())
    }

    fn forget_rejected(&mut self, unwanted: &dyn Fn(&Value) -> bool) -> Result<u64> {
        let mut statement =
            self.transaction.prepare_cached(include_str!("queries/rejected_copies.sql")).map_err(storage)?;
        let mut rows = statement.query([]).map_err(storage)?;
        let mut numbers: Vec<i64> = Vec::new();
        while let Some(row) = rows.next().map_err(storage)? {
            let copy: String = row.get(1).map_err(storage)?;
            if serde_json::from_str(&copy).is_ok_and(|copy| unwanted(&copy)) {
                numbers.push(row.get(0).map_err(storage)?);
            }
        }
        for number in &numbers {
            self.transaction.execute(include_str!("queries/forget_rejected.sql"), params![number]).map_err(storage)?;
        }
        Ok(numbers.len() as u64)
    }

    fn commit(self: Box<Self>, batch: &Batch<'_>) -> Result<()> {
        insert_ids(&self.transaction, batch)?;
        for (seq, row) in (batch.first_seq..).zip(batch.rows) {
            if let Some(kind) = row.own {
                self.transaction
                    .execute(include_str!("queries/insert_own.sql"), params![kind as u8, seq])
                    .map_err(storage)?;
            }
        }
        if insert_rows(&self.transaction, self.packer, batch.first_seq, batch.rows)? == Form::Rows {
            *self.unpacked += batch.rows.len();
        }
        if !batch.nodes.is_empty() {
            let mut insert =
                self.transaction.prepare_cached(include_str!("queries/insert_node.sql")).map_err(storage)?;
            for node in batch.nodes {
                insert.execute(params![node.level, node.index, node.hash]).map_err(storage)?;
            }
        }
        if let Some(checkpoint) = &batch.checkpoint {
            insert_checkpoint(&self.transaction, checkpoint)?;
            *self.checkpoints += 1;
            if let Some(vkey) = batch.next_vkey {
                self.transaction
                    .execute(include_str!("queries/insert_signer.sql"), params![checkpoint.size, vkey])
                    .map_err(storage)?;
            }
        }
        for rejected in batch.rejected {
            let copy = rejected.copy.as_ref().map(ToString::to_string);
            self.transaction
                .execute(
                    include_str!("queries/insert_rejected.sql"),
                    params![rejected.id, rejected.rejected_at, rejected.code, rejected.reason, rejected.digest, copy],
                )
                .map_err(storage)?;
        }
        if batch.sampled > 0 {
            self.transaction
                .execute(include_str!("queries/add_sampled.sql"), params![batch.sampled])
                .map_err(storage)?;
        }
        for (name, value) in batch.state {
            self.transaction.execute(include_str!("queries/set_state.sql"), params![name, value]).map_err(storage)?;
        }
        self.transaction.commit().map_err(storage)
    }
}

pub(super) fn insert_checkpoint(connection: &Connection, checkpoint: &StoredCheckpoint) -> Result<()> {
    connection
        .prepare_cached(include_str!("queries/insert_checkpoint.sql"))
        .and_then(|mut insert| insert.execute(params![checkpoint.size, checkpoint.frontier, checkpoint.note]))
        .map_err(storage)?;
    Ok(())
}

fn insert_ids(connection: &Connection, batch: &Batch<'_>) -> Result<()> {
    let mut insert = connection.prepare_cached(include_str!("queries/insert_id.sql")).map_err(storage)?;
    let size = batch.first_seq + batch.rows.len() as u64;
    for (seq, row) in (batch.first_seq..).zip(batch.rows) {
        insert.execute(params![IdKey::from(row.id), seq, size - seq, row.digest]).map_err(storage)?;
    }
    Ok(())
}

/// How a batch was written.
#[derive(PartialEq)]
enum Form {
    Rows,
    Frames,
}

fn insert_rows(connection: &Connection, packer: &mut Packer, first_seq: u64, rows: &[Row<'_>]) -> Result<Form> {
    let stored: Vec<_> =
        rows.iter().map(|row| StoredRow { commitment: &row.commitment, salt: &row.salt, body: row.body }).collect();
    if rows.len() >= FRAME_AT_ONCE_EVENTS {
        insert_frames(connection, packer, first_seq, &stored)?;
        return Ok(Form::Frames);
    }
    let mut insert = connection.prepare_cached(include_str!("queries/insert_event.sql")).map_err(storage)?;
    for (seq, row) in (first_seq..).zip(&stored) {
        insert.execute(params![seq, row.commitment, row.salt, row.body]).map_err(storage)?;
    }
    Ok(Form::Rows)
}

fn insert_frames(connection: &Connection, packer: &mut Packer, mut seq: u64, mut rows: &[StoredRow<'_>]) -> Result<()> {
    let mut insert = connection.prepare_cached(include_str!("queries/insert_frame.sql")).map_err(storage)?;
    while !rows.is_empty() {
        let (now, later) = rows.split_at(next_frame(rows.iter().map(|row| row.body.len())));
        let Frame { count, commitments, salts, bodies } = packer.pack(now)?;
        insert.execute(params![seq, count, commitments, salts, bodies]).map_err(storage)?;
        seq += count;
        rows = later;
    }
    Ok(())
}

/// Rewrites the events of one frame: that of the first row. Answers how many of the rows it held; none when the
/// first row is in no frame.
fn rewrite_frame(
    connection: &Connection,
    packer: &mut Packer,
    unpacker: &mut Unpacker,
    rows: &[Rewritten],
) -> Result<usize> {
    /// The first seq, the count, the salts and the bodies.
    type Stored = (u64, u64, Vec<u8>, Vec<u8>);

    let wanted = rows[0].seq;
    let mut statement = connection.prepare_cached(include_str!("queries/frames.sql")).map_err(storage)?;
    let frame = statement
        .query_row(params![wanted, wanted + 1], |row| Ok((row.get(0)?, row.get(1)?, row.get(3)?, row.get(4)?)));
    let Some((first, count, mut salts, bodies)): Option<Stored> = optional(frame)? else { return Ok(0) };
    let end = first.saturating_add(count);
    if !(first..end).contains(&wanted) {
        return Ok(0);
    }
    let held = rows.partition_point(|row| row.seq < end);
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    unpacker.unpack(first, count, &bodies)?;
    salts.resize(count * 16, 0);
    let mut stored: Vec<_> = (0..count)
        .map(|index| StoredRow { commitment: &[], salt: &salts[index * 16..][..16], body: unpacker.body(index) })
        .collect();
    for row in &rows[..held] {
        let slot = &mut stored[(row.seq - first) as usize];
        (slot.salt, slot.body) = (&row.salt, &row.body);
    }
    let is_empty = stored.iter().all(|row| row.body.is_empty());
    let frame = packer.pack(&stored)?;
    let salts = if is_empty { Vec::new() } else { frame.salts };
    connection
        .prepare_cached(include_str!("queries/rewrite_frame.sql"))
        .and_then(|mut update| update.execute(params![first, salts, frame.bodies]))
        .map_err(storage)?;
    Ok(held)
}

/// Packs the oldest rows, each stretch of neighbours on its own, if there are enough of them for full
/// frames: a small frame stays small for good. Answers how many rows there were, up to that number.
fn pack_oldest(connection: &Connection, packer: &mut Packer) -> Result<usize> {
    type Stored = (u64, Vec<u8>, Vec<u8>, Vec<u8>);
    let mut rows: Vec<Stored> = Vec::with_capacity(PACK_FROM_EVENTS);
    {
        let mut statement = connection.prepare_cached(include_str!("queries/unpacked.sql")).map_err(storage)?;
        let found = statement
            .query_map(params![PACK_FROM_EVENTS], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
            .map_err(storage)?;
        for row in found {
            rows.push(row.map_err(storage)?);
        }
    }
    if rows.len() < PACK_FROM_EVENTS {
        return Ok(rows.len());
    }
    let mut delete = connection.prepare_cached(include_str!("queries/delete_packed.sql")).map_err(storage)?;
    for stretch in rows.chunk_by(|a, b| a.0 + 1 == b.0) {
        let stored: Vec<_> =
            stretch.iter().map(|(_, commitment, salt, body)| StoredRow { commitment, salt, body }).collect();
        let first = stretch[0].0;
        insert_frames(connection, packer, first, &stored)?;
        delete.execute(params![first, first + stretch.len() as u64]).map_err(storage)?;
    }
    Ok(rows.len())
}
