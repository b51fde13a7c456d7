//! Reading: one committed state at a time.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, ToSql};

use super::body::{Jsonb, sealed};
use super::{Database, Link, schema, storage};
use crate::clock::Stopwatch;
use crate::error::{Error, ErrorKind, Result};
use crate::journal::{
    Census, Entered, Entry, Head, OwnKind, Signer, Snapshot, StoredCheckpoint, StoredRow, no_checkpoint, no_commitment,
    no_entry, no_hash,
};
use crate::log::Rejected;
use crate::tree::Hash;

/// How many events are read at once.
const READ_EVENTS: u64 = 4096;

/// What reads. It takes a connection for each state.
pub(crate) struct Reader {
    database: Arc<Database>,
}

impl Reader {
    pub(super) fn new(database: Arc<Database>) -> Self {
        Self { database }
    }

    /// Runs `read` on one committed state.
    pub(crate) fn snapshot<T>(&mut self, read: impl FnOnce(&mut dyn Snapshot) -> Result<T>) -> Result<T> {
        let state = State::begin(&self.database)?;
        let result = read(&mut View { link: state.link() });
        state.end();
        result
    }

    /// How many events there are.
    pub(crate) fn size(&mut self) -> Result<u64> {
        let size = self.alone(include_str!("queries/size.sql"), &[])?;
        size.first().map_or_else(|| Err(no_checkpoint()), |row| number(row, 0))
    }

    /// A number that changes when anything is committed that somebody may wait for.
    pub(crate) fn version(&self) -> Result<u64> {
        let rows = self.alone(include_str!("queries/version.sql"), &[])?;
        let row = rows.first().ok_or_else(no_checkpoint)?;
        Ok(number(row, 0)?.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ number(row, 1)?)
    }

    /// Whether rows wait in the inbox.
    pub(crate) fn inbox_waits(&self) -> Result<bool> {
        let rows = self.alone(include_str!("queries/inbox_waits.sql"), &[])?;
        rows.first().map_or(Ok(false), |row| column(row, 0))
    }

    /// One statement that needs no transaction.
    fn alone(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        answering(&self.database, |link| link.query(sql, params)).map(|(_, rows)| rows)
    }
}

/// A connection that answers `ask`, and its answer. One may have been lost long ago: as long as the patience lasts
/// another is asked, which harms nobody.
fn answering<T>(database: &Arc<Database>, ask: impl Fn(&Link) -> Result<T>) -> Result<(Link, T)> {
    let waiting = Stopwatch::start();
    loop {
        let link = database.connect(database.patience.saturating_sub(waiting.elapsed()))?;
        match ask(&link) {
            Ok(answer) => return Ok((link, answer)),
            Err(_) if link.is_lost() && waiting.elapsed() < database.patience => {}
            Err(error) => return Err(error),
        }
    }
}

/// A connection in a transaction that reads. Dropped before its end, the connection is closed.
struct State(Option<Link>);

impl State {
    fn begin(database: &Arc<Database>) -> Result<Self> {
        let (link, ()) = answering(database, |link| link.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"))?;
        Ok(Self(Some(link)))
    }

    fn link(&self) -> &Link {
        self.0.as_ref().expect("the state is there until its end")
    }

    fn end(mut self) {
        if let Some(mut link) = self.0.take()
            && link.batch("COMMIT").is_err()
        {
            link.discard();
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if let Some(link) = &mut self.0 {
            link.discard();
        }
    }
}

impl Link {
    pub(super) fn query(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        self.run(async {
            let statement = super::prepared(self.client(), sql).await?;
            self.client().query(&statement, params).await
        })
    }

    fn one(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Row> {
        let row = self.query(sql, params)?.pop();
        row.ok_or_else(|| Error::new(ErrorKind::Integrity, "expected a row in the log's tables, found none"))
    }
}

/// One committed state.
pub(super) struct View<'a> {
    pub(super) link: &'a Link,
}

impl Snapshot for View<'_> {
    fn head(&mut self) -> Result<Head> {
        let rows = self.link.query(include_str!("queries/head.sql"), &[])?;
        read_head(rows.first())
    }

    fn find(&mut self, id: &str) -> Result<Option<Entry>> {
        self.find_all(&[id])?.pop().unwrap_or(Ok(None))
    }

    fn find_all(&mut self, ids: &[&str]) -> Result<Vec<Result<Option<Entry>>>> {
        let rows = self.link.query(include_str!("queries/find_ids.sql"), &[&ids])?;
        let mut found = HashMap::with_capacity(rows.len());
        for row in &rows {
            let id: &str = column(row, 0)?;
            found.insert(id, row);
        }
        Ok(ids.iter().map(|id| found.get(id).map(|row| read_entry(id, row)).transpose()).collect())
    }

    fn place(&mut self, id: &str) -> Result<Option<u64>> {
        let rows = self.link.query(include_str!("queries/place.sql"), &[&id])?;
        rows.first().map(|row| number(row, 0)).transpose()
    }

    fn entered(&mut self, ids: &[&str]) -> Result<Vec<Option<Entered>>> {
        let rows = self.link.query(include_str!("queries/entered.sql"), &[&ids])?;
        let mut found = HashMap::with_capacity(rows.len());
        for row in &rows {
            let seq = number(row, 1)?;
            let entered = Entered { seq, tree_size: tree_size(row, 2, seq)?, removed: column(row, 3)? };
            found.insert(column::<&str>(row, 0)?, entered);
        }
        Ok(ids.iter().map(|id| found.get(id).copied()).collect())
    }

    fn removed_entries(&mut self, each: &mut dyn FnMut(u64, bool)) -> Result<()> {
        for row in self.link.query(include_str!("queries/removed_ids.sql"), &[])? {
            each(number(&row, 0)?, column(&row, 1)?);
        }
        Ok(())
    }

    fn strange_schema(&mut self) -> Result<Vec<(String, String, String)>> {
        schema::differences(self.link)
    }

    fn census(&mut self) -> Result<Census> {
        let row = self.link.one(include_str!("queries/census.sql"), &[])?;
        let events = number(&row, 0)?;
        // An id stands in its event's row.
        Ok(Census { ids: events, events, nodes: number(&row, 1)?, stray_checkpoints: number(&row, 2)? })
    }

    fn own(&mut self, kind: OwnKind, from: u64) -> Result<Vec<u64>> {
        let rows = self.link.query(include_str!("queries/own.sql"), &[&(kind as i16), &signed(from)])?;
        rows.iter().map(|row| number(row, 0)).collect()
    }

    fn rows(&mut self, from: u64, to: u64, each: &mut dyn FnMut(u64, StoredRow<'_>) -> Result<()>) -> Result<()> {
        let mut bytes = Vec::new();
        let mut from = signed(from);
        let to = signed(to);
        while from < to {
            let end = to.min(from.saturating_add(READ_EVENTS as i64));
            let rows = self.link.query(include_str!("queries/rows.sql"), &[&from, &end])?;
            for row in &rows {
                let seq = number(row, 0)?;
                bytes.clear();
                if let Some(jsonb) = column::<Option<Jsonb<'_>>>(row, 3)? {
                    sealed(jsonb, &mut bytes).map_err(|error| unreadable(seq, error))?;
                }
                let salt: Option<&[u8]> = column(row, 2)?;
                let stored = StoredRow { commitment: column(row, 1)?, salt: salt.unwrap_or_default(), body: &bytes };
                each(seq, stored)?;
            }
            // Beyond the log's end there is nothing, however far somebody looks.
            from = if rows.is_empty() { self.next_seq(end)?.unwrap_or(to) } else { end };
        }
        Ok(())
    }

    fn commitments(&mut self, from: u64, to: u64) -> Result<Vec<[u8; 32]>> {
        let mut commitments = Vec::with_capacity(usize::try_from(to.saturating_sub(from)).unwrap_or(0).min(1 << 20));
        let rows = self.link.query(include_str!("queries/commitments.sql"), &[&signed(from), &signed(to)])?;
        for row in &rows {
            match column::<&[u8]>(row, 1)?.try_into() {
                Ok(commitment) if number(row, 0)? == from + commitments.len() as u64 => commitments.push(commitment),
                _ => break,
            }
        }
        if commitments.len() as u64 == to.saturating_sub(from) {
            return Ok(commitments);
        }
        Err(no_commitment(from + commitments.len() as u64))
    }

    fn nodes(&mut self, level: u8, from: u64, to: u64) -> Result<Vec<Hash>> {
        let params: &[&(dyn ToSql + Sync)] = &[&i16::from(level), &signed(from), &signed(to)];
        let rows = self.link.query(include_str!("queries/nodes.sql"), params)?;
        let mut hashes: Vec<Hash> = Vec::with_capacity(rows.len());
        for row in &rows {
            match column::<&[u8]>(row, 1)?.try_into() {
                Ok(hash) if number(row, 0)? == from + hashes.len() as u64 => hashes.push(hash),
                _ => break,
            }
        }
        if hashes.len() as u64 == to.saturating_sub(from) {
            return Ok(hashes);
        }
        Err(no_hash(level, from + hashes.len() as u64))
    }

    fn checkpoints(&mut self, from: u64, limit: usize) -> Result<Vec<StoredCheckpoint>> {
        let rows = self.link.query(include_str!("queries/checkpoints.sql"), &[&signed(from), &(limit as i64)])?;
        rows.iter().map(read_checkpoint).collect()
    }

    fn signers(&mut self) -> Result<Vec<Signer>> {
        let rows = self.link.query(include_str!("queries/signers.sql"), &[])?;
        rows.iter().map(|row| Ok(Signer { since: number(row, 0)?, vkey: column(row, 1)? })).collect()
    }

    fn state(&mut self, name: &str) -> Result<Option<i64>> {
        let rows = self.link.query(include_str!("queries/state.sql"), &[&name])?;
        rows.first().map(|row| column(row, 0)).transpose()
    }

    fn sampled(&mut self) -> Result<u64> {
        number(&self.link.one(include_str!("queries/sampled.sql"), &[])?, 0)
    }

    fn count_rejected(&mut self) -> Result<u64> {
        number(&self.link.one(include_str!("queries/count_rejected.sql"), &[])?, 0)
    }

    fn rejected(&mut self, offset: u64, limit: usize) -> Result<Vec<Rejected>> {
        let rows = self.link.query(include_str!("queries/rejected.sql"), &[&signed(offset), &(limit as i64)])?;
        rows.iter().map(read_rejected).collect()
    }

    fn find_rejected(&mut self, id: &str, digest: Option<&str>) -> Result<Option<Rejected>> {
        let rows = self.link.query(include_str!("queries/find_rejected.sql"), &[&id, &digest])?;
        rows.first().map(read_rejected).transpose()
    }
}

impl View<'_> {
    /// The first seq from `from` on that there is a row of.
    fn next_seq(&self, from: i64) -> Result<Option<i64>> {
        let rows = self.link.query(include_str!("queries/next_seq.sql"), &[&from])?;
        rows.first().map(|row| column(row, 0)).transpose()
    }
}

/// Whether a log has begun here.
pub(super) fn is_born(link: &Link) -> Result<bool> {
    Ok(!link.query(include_str!("queries/size.sql"), &[])?.is_empty())
}

pub(super) fn read_head(row: Option<&Row>) -> Result<Head> {
    let row = row.ok_or_else(no_checkpoint)?;
    schema::check_version(column::<i32>(row, 6)? as usize)?;
    let seq = |index| Ok::<_, Error>(column::<Option<i64>>(row, index)?.map(i64::cast_unsigned));
    Ok(Head { checkpoint: read_checkpoint(row)?, vkey: column(row, 3)?, settings: seq(4)?, removal: seq(5)? })
}

fn unreadable(seq: u64, error: serde_json::Error) -> Error {
    let message = format!("seq {seq}: expected an event's JSON, found something else: {error}");
    Error::new(ErrorKind::Integrity, message).with_source(error)
}

fn read_entry(id: &str, row: &Row) -> Result<Entry> {
    let seq = number(row, 1)?;
    let digest: Option<&[u8]> = column(row, 3)?;
    let removed: Option<i64> = column(row, 4)?;
    let timestamp: Option<&str> = column(row, 5)?;
    let timestamp = removed.or_else(|| timestamp?.parse().ok()).ok_or_else(|| no_entry(seq, id))?;
    let digest = digest.map(<[u8; 16]>::try_from).transpose().map_err(|_| {
        Error::new(ErrorKind::Integrity, format!("seq {seq}: expected a digest of 16 bytes, found another"))
    })?;
    Ok(Entry { seq, tree_size: tree_size(row, 2, seq)?, digest, timestamp, removed: removed.is_some() })
}

/// The size of the tree that is stored as counted from `seq`.
fn tree_size(row: &Row, index: usize, seq: u64) -> Result<u64> {
    Ok(seq.saturating_add_signed(column::<i32>(row, index)?.into()))
}

fn read_checkpoint(row: &Row) -> Result<StoredCheckpoint> {
    Ok(StoredCheckpoint { size: number(row, 0)?, frontier: column(row, 1)?, note: column(row, 2)? })
}

fn read_rejected(row: &Row) -> Result<Rejected> {
    let copy: Option<&str> = column(row, 5)?;
    Ok(Rejected {
        id: column(row, 0)?,
        rejected_at: column(row, 1)?,
        code: column(row, 2)?,
        reason: column(row, 3)?,
        digest: column(row, 4)?,
        copy: copy.and_then(|text| serde_json::from_str(text).ok()),
    })
}

pub(super) fn column<'a, T: FromSql<'a>>(row: &'a Row, index: usize) -> Result<T> {
    row.try_get(index).map_err(storage)
}

/// A column that counts or numbers something.
fn number(row: &Row, index: usize) -> Result<u64> {
    let value: i64 = column(row, index)?;
    u64::try_from(value).map_err(|_| {
        Error::new(ErrorKind::Integrity, format!("expected a number from 0 on in the log's tables, found {value}"))
    })
}

/// No row has a larger number.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
