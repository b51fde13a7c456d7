//! The inbox beside the journal: the application inserts, and each batch takes what was committed.
//!
//! The order of positions is not the order of commits: a slow transaction's row shows up behind others that were
//! inserted later. So what is drained is told by transactions, not by positions: all that a snapshot saw. What the
//! next snapshot sees beyond it is of the transactions that were still running then, and of later ones. Within that
//! the order is by position, so that whoever saw another's event before inserting its own comes behind it.

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::Link;
use super::read::column;
use crate::error::{Error, ErrorKind, Result};
use crate::journal::Found;

/// Rows that are drained at once.
const DRAIN_ROWS: i64 = 1000;
/// Once their JSON has so many bytes, no further row is taken.
const DRAIN_BYTES: i64 = 8 * 1024 * 1024;
/// The snapshot that saw nothing: below it are only numbers that no transaction has.
const NOTHING_SEEN: &str = "3:3:";

/// How far the inbox is drained.
pub(super) struct Drained {
    cluster: i64,
    seen: String,
    round: Option<String>,
    position: i64,
}

impl Drained {
    pub(super) fn params(&self) -> [&(dyn ToSql + Sync); 4] {
        [&self.cluster, &self.seen, &self.round, &self.position]
    }
}

/// Takes rows out of the inbox, with the transaction at hand. Answers how far it is drained then; `None` if that is
/// as far as before.
pub(super) fn drain(link: &Link) -> Result<Option<(Vec<Found>, Drained)>> {
    // Small and emptied all the time, the table may look to the planner as if reading all of it were cheap.
    link.batch("SET LOCAL enable_seqscan TO off")?;
    let rows = link.query(include_str!("queries/inbox_state.sql"), &[])?;
    let state = rows.first().ok_or_else(|| Error::new(ErrorKind::Storage, "the database did not say where it is"))?;
    let (now, cluster): (String, i64) = (column(state, 4)?, column(state, 5)?);
    let known: Option<i64> = column(state, 0)?;
    if known.is_some_and(|known| known != cluster) {
        link.query(include_str!("queries/inbox_adopt.sql"), &[])?;
    }
    let (seen, round, mut position): (String, Option<String>, i64) = if known == Some(cluster) {
        (column(state, 1)?, column(state, 2)?, column(state, 3)?)
    } else {
        (NOTHING_SEEN.to_owned(), None, 0)
    };
    if round.is_none() {
        let rows = link.query(include_str!("queries/inbox_drain.sql"), &[&seen, &now, &DRAIN_ROWS, &DRAIN_BYTES])?;
        let count: i64 = rows.first().map_or(Ok(0), |row| column(row, 0))?;
        if count <= DRAIN_ROWS {
            let found = if count == 0 { Vec::new() } else { rows.iter().map(read_found).collect::<Result<_>>()? };
            let is_news = count > 0 || known != Some(cluster);
            return Ok(is_news.then_some((found, Drained { cluster, seen: now, round, position: 0 })));
        }
        // More than one batch takes: a round of several, up to what is there now.
        let rows = link.query(include_str!("queries/inbox_round.sql"), &[&seen, &now])?;
        position = rows.first().map_or(Ok(0), |row| column(row, 0))?;
    }
    let round = round.unwrap_or(now);
    link.batch("SET LOCAL enable_sort TO off; SET LOCAL enable_bitmapscan TO off")?;
    let params: &[&(dyn ToSql + Sync)] = &[&seen, &round, &position, &DRAIN_ROWS, &DRAIN_BYTES];
    let rows = link.query(include_str!("queries/inbox_drain_some.sql"), params)?;
    let found = rows.iter().map(read_found).collect::<Result<Vec<_>>>()?;
    let drained = match found.last() {
        Some(last) => Drained { cluster, seen, position: last.position, round: Some(round) },
        None => Drained { cluster, seen: round, round: None, position: 0 },
    };
    Ok(Some((found, drained)))
}

fn read_found(row: &Row) -> Result<Found> {
    let (id, event): (&str, &str) = (column(row, 2)?, column(row, 3)?);
    Ok(Found::new(column(row, 1)?, id, event, column(row, 4)?, column(row, 5)?))
}
