//! Writing: one connection, one transaction at a time.

use std::cell::Cell;
use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use deadpool_postgres::ClientWrapper;
use futures_util::SinkExt as _;
use futures_util::future::{try_join, try_join_all};
use serde_json::Value;
use tokio_postgres::Error as PgError;
use tokio_postgres::types::ToSql;

use super::body::Jsonb;
use super::inbox::Drained;
use super::read::{View, column, read_head, signed};
use super::{Database, Link, prepared};
use crate::clock::Stopwatch;
use crate::error::{Error, ErrorKind, Result};
use crate::journal::{
    Batch, Birth, CHECKPOINT_STRETCH_EVENTS, Entry, Found, Head, Journal, NEWEST_CHECKPOINTS, Rewritten, Row, Snapshot,
    StoredCheckpoint, THIN_FROM_CHECKPOINTS, Transaction,
};

/// A batch with fewer events is inserted by one statement: beginning to copy takes a round trip.
const COPY_FROM_EVENTS: usize = 64;
/// So many go to the server at once: it works on them while the next are written.
const COPY_PIECE_EVENTS: usize = 64;
/// Small numbers become one row for each name once there are so many.
const FOLD_FROM_ROWS: i64 = 256;

/// What writes.
pub(crate) struct PostgresJournal {
    database: Arc<Database>,
    /// The connection, between transactions.
    link: Option<Link>,
    /// Checkpoints that were written since the last thinning, here.
    checkpoints: usize,
    /// Up to which size checkpoints were thinned, here.
    thinned_to: i64,
    /// Since when the connection fails, while nothing succeeds.
    failing: Option<Stopwatch>,
    /// What transaction number is above those that rewrote rows, until they are scrubbed.
    rewritten: Option<String>,
    /// The last failure stored nothing, and was the connection's.
    may_try_again: bool,
}

impl PostgresJournal {
    pub(super) fn new(database: Arc<Database>) -> Self {
        Self {
            database,
            link: None,
            // A process that starts often thins at its first chance, since it may never write enough.
            checkpoints: THIN_FROM_CHECKPOINTS,
            thinned_to: 0,
            failing: None,
            rewritten: None,
            may_try_again: false,
        }
    }

    /// Takes the log's lock, on the connection at hand or a new one.
    fn lock(&mut self) -> Result<(Link, Head)> {
        self.may_try_again = false;
        loop {
            let failing = self.failing.map_or_else(Default::default, Stopwatch::elapsed);
            let link = match self.link.take().filter(|link| !link.is_lost()) {
                Some(link) => link,
                None => self.database.connect(self.database.patience.saturating_sub(failing))?,
            };
            let error = match lock(&link) {
                Ok(head) => return Ok((link, head)),
                Err(error) => error,
            };
            if !link.is_lost() {
                self.roll_back(link);
                return Err(error);
            }
            if self.failing.get_or_insert_with(Stopwatch::start).elapsed() >= self.database.patience {
                self.failing = None;
                return Err(error);
            }
        }
    }

    /// Ends a transaction that stores nothing.
    fn roll_back(&mut self, mut link: Link) {
        if !link.is_lost() && link.batch("ROLLBACK").is_ok() {
            self.link = Some(link);
            return;
        }
        link.discard();
    }

    /// After a commit whose answer did not come: whether the batch is stored. Taking the lock waits for the
    /// connection that may still be committing.
    fn is_stored(&mut self, batch: &Batch<'_>) -> Result<bool> {
        let Some(first) = batch.rows.first() else { return Ok(false) };
        let (link, _) = self.lock()?;
        let params: &[&(dyn ToSql + Sync)] = &[&signed(batch.first_seq), &&first.commitment[..]];
        let is_stored = link.query(include_str!("queries/is_stored.sql"), params).and_then(|rows| {
            let is_stored = column(rows.first().ok_or_else(unknown)?, 0)?;
            if is_stored {
                // It may be on no standby yet. What is committed after it is there with it.
                link.query(
                    include_str!("queries/insert_state.sql"),
                    &[&["recovered"].as_slice(), &[0_i64].as_slice()],
                )?;
                link.batch(include_str!("queries/commit.sql"))?;
            }
            Ok(is_stored)
        });
        self.roll_back(link);
        is_stored
    }
}

fn unknown() -> Error {
    Error::new(
        ErrorKind::Storage,
        "the connection to the database was lost while a batch was committed, and it may be stored or not; send events \
         that have an id again",
    )
}

/// Begins a transaction, takes the lock, and reads where the log stands: one round trip.
fn lock(link: &Link) -> Result<Head> {
    let head = link.prepared(include_str!("queries/head.sql"))?;
    let begin = concat!("BEGIN ISOLATION LEVEL READ COMMITTED;", include_str!("queries/lock.sql"));
    let begin = link.client().batch_execute(begin);
    // A statement of its own sees what was committed before the lock was there.
    let ((), rows) = link.run(try_join(begin, async { link.client().query(&head, &[]).await }))?;
    read_head(rows.first())
}

impl Journal for PostgresJournal {
    fn begin(&mut self) -> Result<Box<dyn Transaction + '_>> {
        let (link, head) = self.lock()?;
        Ok(Box::new(PostgresTransaction { journal: self, link: Some(link), head, drained: None, is_rewriting: false }))
    }

    fn try_again(&mut self) -> bool {
        std::mem::take(&mut self.may_try_again)
    }

    /// Thins checkpoints and folds small numbers; rows stay as they are.
    fn pack(&mut self) -> Result<bool> {
        if self.checkpoints < THIN_FROM_CHECKPOINTS {
            return Ok(false);
        }
        let (link, _) = self.lock()?;
        let thinned_to = pack(&link, self.thinned_to);
        let thinned_to = match thinned_to.and_then(|to| link.batch("COMMIT").map(|()| to)) {
            Ok(thinned_to) => thinned_to,
            Err(error) => {
                self.roll_back(link);
                return Err(error);
            }
        };
        self.link = Some(link);
        self.thinned_to = thinned_to.unwrap_or(self.thinned_to);
        self.checkpoints = 0;
        Ok(false)
    }

    /// Has the database give up the old versions of rows, which it keeps for as long as anybody reads an older
    /// state, and where the database's role may ask for it.
    fn scrub(&mut self) -> Result<bool> {
        let link = self.database.connect(self.database.patience)?;
        let rows = link.query(include_str!("queries/may_vacuum.sql"), &[&self.rewritten])?;
        let may_vacuum = rows.first().map_or(Ok(false), |row| column(row, 0))?;
        if may_vacuum {
            for table in ["event", "rejected", "inbox"] {
                link.batch(&format!("VACUUM {table}"))?;
            }
            self.rewritten = None;
        }
        Ok(may_vacuum)
    }
}

/// Answers the size from which the next thinning looks.
fn pack(link: &Link, thinned_to: i64) -> Result<Option<i64>> {
    let params: &[&(dyn ToSql + Sync)] =
        &[&i64::from(NEWEST_CHECKPOINTS), &thinned_to, &i64::from(CHECKPOINT_STRETCH_EVENTS)];
    let rows = link.query(include_str!("queries/thin_checkpoints.sql"), params)?;
    let count = link.query(include_str!("queries/count_state.sql"), &[])?;
    if count.first().map_or(Ok(0), |row| column::<i64>(row, 0))? > FOLD_FROM_ROWS {
        link.query(include_str!("queries/fold_state.sql"), &[])?;
    }
    link.query(include_str!("queries/forget_drained.sql"), &[])?;
    rows.first().map_or(Ok(None), |row| column(row, 0))
}

struct PostgresTransaction<'a> {
    journal: &'a mut PostgresJournal,
    /// None once it is committed.
    link: Option<Link>,
    head: Head,
    /// How far the inbox is drained with this.
    drained: Option<Drained>,
    is_rewriting: bool,
}

impl PostgresTransaction<'_> {
    fn link(&self) -> &Link {
        self.link.as_ref().expect("a transaction has its connection until its end")
    }
}

impl Drop for PostgresTransaction<'_> {
    fn drop(&mut self) {
        let Some(link) = self.link.take() else { return };
        // Nothing was committed, whatever failed.
        if link.is_lost() {
            let failing = self.journal.failing.get_or_insert_with(Stopwatch::start).elapsed();
            self.journal.may_try_again = failing < self.journal.database.patience;
        }
        self.journal.roll_back(link);
    }
}

impl Transaction for PostgresTransaction<'_> {
    fn head(&mut self) -> Result<Head> {
        Ok(self.head.clone())
    }

    fn find(&mut self, id: &str) -> Result<Option<Entry>> {
        View { link: self.link() }.find(id)
    }

    fn snapshot(&mut self) -> Box<dyn Snapshot + '_> {
        Box::new(View { link: self.link() })
    }

    fn drain(&mut self) -> Result<Option<Vec<Found>>> {
        let Some((found, drained)) = super::inbox::drain(self.link())? else { return Ok(None) };
        self.drained = Some(drained);
        Ok(Some(found))
    }

    fn rewrite(&mut self, rows: &[Rewritten]) -> Result<()> {
        self.is_rewriting = true;
        let seqs: Vec<_> = rows.iter().map(|row| signed(row.seq)).collect();
        let ids: Vec<_> = rows.iter().map(|row| &*row.id).collect();
        let removed_ids: Vec<_> = rows.iter().map(|row| &*row.removed_id).collect();
        let times: Vec<_> = rows.iter().map(|row| row.timestamp).collect();
        let salts: Vec<_> = rows.iter().map(|row| (!row.body.is_empty()).then_some(&row.salt[..])).collect();
        let bodies: Vec<_> = rows.iter().map(|row| (!row.body.is_empty()).then_some(Jsonb(&row.body))).collect();
        let params: &[&(dyn ToSql + Sync)] = &[&seqs, &ids, &removed_ids, &times, &salts, &bodies];
        let link = self.link();
        let rewritten = link.run(async {
            let statement = prepared(link.client(), include_str!("queries/rewrite_events.sql")).await?;
            link.client().execute(&statement, params).await
        })?;
        if rewritten == rows.len() as u64 {
            return Ok(());
        }
        let (first, last) = (seqs.first().copied().unwrap_or(0), seqs.last().copied().unwrap_or(0));
        Err(Error::new(
            ErrorKind::Integrity,
            format!("seq {first} to {last}: expected {} events with their ids, found {rewritten}", rows.len()),
        ))
    }

    fn forget_rejected(&mut self, unwanted: &dyn Fn(&Value) -> bool) -> Result<u64> {
        self.is_rewriting = true;
        let mut numbers: Vec<i64> = Vec::new();
        for row in self.link().query(include_str!("queries/rejected_copies.sql"), &[])? {
            if serde_json::from_str(column(&row, 1)?).is_ok_and(|copy| unwanted(&copy)) {
                numbers.push(column(&row, 0)?);
            }
        }
        self.link().query(include_str!("queries/forget_rejected.sql"), &[&numbers])?;
        Ok(numbers.len() as u64)
    }

    fn commit(mut self: Box<Self>, batch: &Batch<'_>) -> Result<()> {
        let is_committing = Cell::new(false);
        let link = self.link();
        let stored = link.run(store(link.client(), batch, self.drained.as_ref(), &is_committing));
        let Err(error) = stored else {
            self.journal.checkpoints += usize::from(batch.checkpoint.is_some());
            self.journal.failing = None;
            if self.is_rewriting {
                let next = self.link().query(include_str!("queries/next_transaction.sql"), &[]);
                self.journal.rewritten = next.ok().and_then(|rows| column(rows.first()?, 0).ok());
            }
            self.journal.link = self.link.take();
            return Ok(());
        };
        if !(is_committing.get() && link.is_lost()) {
            return Err(error);
        }
        if let Some(mut link) = self.link.take() {
            link.discard();
        }
        self.journal.failing.get_or_insert_with(Stopwatch::start);
        match self.journal.is_stored(batch) {
            Ok(true) => {
                self.journal.failing = None;
                Ok(())
            }
            Ok(false) => {
                self.journal.may_try_again = true;
                Err(error)
            }
            Err(why) => Err(unknown().with_source(why)),
        }
    }
}

/// Stores a batch and commits it. `is_committing` says from when on it may be stored.
async fn store(
    client: &ClientWrapper,
    batch: &Batch<'_>,
    drained: Option<&Drained>,
    is_committing: &Cell<bool>,
) -> Result<(), PgError> {
    let mut statements = Statements { client, asked: Vec::new() };
    let size = batch.first_seq + batch.rows.len() as u64;
    let is_copied = batch.rows.len() >= COPY_FROM_EVENTS;
    let inserted = !batch.rows.is_empty() && !is_copied;
    let rows = if inserted { batch.rows } else { &[] };
    let seqs: Vec<_> = (batch.first_seq..).take(rows.len()).map(signed).collect();
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let trees: Vec<_> = (batch.first_seq..).take(rows.len()).map(|seq| (size - seq) as i32).collect();
    let digests: Vec<_> = rows.iter().map(|row| row.digest.as_ref().map(|digest| &digest[..])).collect();
    let commitments: Vec<_> = rows.iter().map(|row| &row.commitment[..]).collect();
    let salts: Vec<_> = rows.iter().map(|row| &row.salt[..]).collect();
    let bodies: Vec<_> = rows.iter().map(|row| Jsonb(row.body)).collect();
    let events: [&(dyn ToSql + Sync); 7] = [&seqs, &ids, &trees, &digests, &commitments, &salts, &bodies];
    if inserted {
        statements.ask(include_str!("queries/insert_events.sql"), &events).await?;
    }

    let levels: Vec<_> = batch.nodes.iter().map(|node| i16::from(node.level)).collect();
    let indices: Vec<_> = batch.nodes.iter().map(|node| signed(node.index)).collect();
    let hashes: Vec<_> = batch.nodes.iter().map(|node| &node.hash[..]).collect();
    let nodes: [&(dyn ToSql + Sync); 3] = [&levels, &indices, &hashes];
    if !batch.nodes.is_empty() {
        statements.ask(include_str!("queries/insert_nodes.sql"), &nodes).await?;
    }

    let own = || (batch.first_seq..).zip(batch.rows).filter_map(|(seq, row)| Some((row.own? as i16, signed(seq))));
    let (kinds, own): (Vec<_>, Vec<_>) = own().unzip();
    let own: [&(dyn ToSql + Sync); 2] = [&kinds, &own];
    if !kinds.is_empty() {
        statements.ask(include_str!("queries/insert_own.sql"), &own).await?;
    }

    let tree_size = batch.checkpoint.as_ref().map_or(0, |checkpoint| signed(checkpoint.size));
    let signer: [&(dyn ToSql + Sync); 2] = [&tree_size, &batch.next_vkey];
    let checkpoint: [&(dyn ToSql + Sync); 3];
    if let Some(StoredCheckpoint { frontier, note, .. }) = &batch.checkpoint {
        checkpoint = [&tree_size, frontier, note];
        statements.ask(include_str!("queries/insert_checkpoint.sql"), &checkpoint).await?;
        if batch.next_vkey.is_some() {
            statements.ask(include_str!("queries/insert_signer.sql"), &signer).await?;
        }
    }

    let rejected = batch.rejected;
    let ids: Vec<_> = rejected.iter().map(|row| &*row.id).collect();
    let times: Vec<_> = rejected.iter().map(|row| row.rejected_at).collect();
    let codes: Vec<_> = rejected.iter().map(|row| &*row.code).collect();
    let reasons: Vec<_> = rejected.iter().map(|row| &*row.reason).collect();
    let digests: Vec<_> = rejected.iter().map(|row| &*row.digest).collect();
    let copies: Vec<_> = rejected.iter().map(|row| row.copy.as_ref().map(ToString::to_string)).collect();
    let rejected: [&(dyn ToSql + Sync); 6] = [&ids, &times, &codes, &reasons, &digests, &copies];
    if !ids.is_empty() {
        statements.ask(include_str!("queries/insert_rejected.sql"), &rejected).await?;
    }

    let sampled = (batch.sampled > 0).then(|| ("sampled", signed(batch.sampled)));
    let (names, values): (Vec<_>, Vec<_>) = batch.state.iter().copied().chain(sampled).unzip();
    let state: [&(dyn ToSql + Sync); 2] = [&names, &values];
    if !names.is_empty() {
        statements.ask(include_str!("queries/insert_state.sql"), &state).await?;
    }

    let done: Option<[&(dyn ToSql + Sync); 4]> = drained.map(Drained::params);
    if let Some(params) = &done {
        statements.ask(include_str!("queries/insert_drained.sql"), params).await?;
    }
    if !batch.rows.is_empty() || !batch.rejected.is_empty() {
        statements.ask(include_str!("queries/notify.sql"), &[]).await?;
    }

    // Nothing can be prepared any more while it is copied.
    let mut copying = None;
    if is_copied {
        let statement = prepared(client, include_str!("queries/copy_events.sql")).await?;
        let mut sink = Box::pin(client.copy_in::<_, Bytes>(&statement).await?);
        // What is written of it is on its way while the rest is.
        for chunk in copied(batch, size) {
            sink.feed(chunk).await?;
        }
        copying = Some(sink);
    }
    // All of it is on its way before the first answer comes. What fails makes the commit a rollback.
    let finish = async {
        match &mut copying {
            Some(sink) => sink.as_mut().finish().await.map(drop),
            None => Ok(()),
        }
    };
    is_committing.set(true);
    let rest = statements.run();
    let commit = client.batch_execute(include_str!("queries/commit.sql"));
    try_join(finish, try_join(rest, commit)).await.map(drop)
}

/// Statements that go to the server together.
struct Statements<'a> {
    client: &'a ClientWrapper,
    asked: Vec<(tokio_postgres::Statement, &'a [&'a (dyn ToSql + Sync)])>,
}

impl<'a> Statements<'a> {
    async fn ask(&mut self, sql: &str, params: &'a [&'a (dyn ToSql + Sync)]) -> Result<(), PgError> {
        let statement = prepared(self.client, sql).await?;
        self.asked.push((statement, params));
        Ok(())
    }

    async fn run(self) -> Result<(), PgError> {
        let client = self.client;
        try_join_all(self.asked.iter().map(|(statement, params)| client.execute(statement, params))).await.map(drop)
    }
}

/// The rows of a batch in the binary form that `COPY` reads, in pieces.
fn copied(batch: &Batch<'_>, size: u64) -> impl Iterator<Item = Bytes> {
    const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
    const END: &[u8] = &(-1_i16).to_be_bytes();
    let pieces = batch.rows.chunks(COPY_PIECE_EVENTS).zip((batch.first_seq..).step_by(COPY_PIECE_EVENTS));
    let rows = pieces.map(move |(rows, first)| {
        let mut out = BytesMut::with_capacity(rows.iter().map(|row| row.body.len() + 200).sum());
        for (seq, row) in (first..).zip(rows) {
            copy_row(&mut out, seq, row, size);
        }
        out.freeze()
    });
    std::iter::once(Bytes::from_static(HEADER)).chain(rows).chain([Bytes::from_static(END)])
}

fn copy_row(out: &mut BytesMut, seq: u64, row: &Row<'_>, size: u64) {
    fn field(out: &mut BytesMut, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => {
                out.put_i32(bytes.len() as i32);
                out.put_slice(bytes);
            }
            None => out.put_i32(-1),
        }
    }

    out.put_i16(7);
    field(out, Some(&signed(seq).to_be_bytes()));
    field(out, Some(row.id.as_bytes()));
    field(out, Some(&((size - seq) as i32).to_be_bytes()));
    field(out, row.digest.as_ref().map(|digest| &digest[..]));
    field(out, Some(&row.commitment));
    field(out, Some(&row.salt));
    out.put_i32(Jsonb(row.body).len() as i32);
    Jsonb(row.body).write(out);
}

/// The first rows of a log.
pub(super) fn give_birth(link: &Link, birth: &Birth) -> Result<()> {
    let Birth { vkey, secret_check, checkpoint } = birth;
    link.query(include_str!("queries/insert_signer.sql"), &[&0_i64, vkey])?;
    link.query(include_str!("queries/insert_state.sql"), &[&["secret"].as_slice(), &[*secret_check].as_slice()])?;
    let params: &[&(dyn ToSql + Sync)] = &[&signed(checkpoint.size), &checkpoint.frontier, &checkpoint.note];
    link.query(include_str!("queries/insert_checkpoint.sql"), params).map(drop)
}
