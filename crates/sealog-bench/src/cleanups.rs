//! `sealog-bench cleanup`: half of a log goes, and half of the hand-written table.
//!
//! Both are durable when they are through, and the bytes of what went are in no file: the table is deleted from under
//! `secure_delete`, as ours always is, and its write-ahead log is cut off as well. Ours also writes receipts, keeps
//! the removed ids' hashes, and writes the segments of its index anew.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rusqlite::{Connection, params};
use sealog::{AuditLog, CleanupOptions, DEFAULT_CLEANUP_BATCH_EVENTS, Event, ManualClock};
use sealog_cli::{Generator, count};
use tokio::runtime::Runtime;

use crate::Result;
use crate::input::{Input, SEED, START_MS};
use crate::machine::Machine;
use crate::measure::{Run, bytes_below};
use crate::peers::{self, BATCH_EVENTS, batches, load};
use crate::report::{Figures, Report, Section};

/// Events at scale 1.
const EVENTS: f64 = 1_000_000.0;
/// How often each removes its half, from a fresh copy of the same files.
const ROUNDS: usize = 3;
/// From one event to the next.
const STEP_MS: i64 = 1_000;
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// How much later the newer half was logged: ours counts the age from there.
const APART_DAYS: u32 = 100;
/// The retention category of every second event.
const CATEGORY: &str = "half";

const OURS: &str = "sealog";
const TABLE: &str = "table, one DELETE";
const BATCHED: &str = "table, DELETE by 4,096";

/// Writes both below `dir`, and removes the oldest half and every second event from copies of them.
pub(crate) fn run(scale: f64, dir: &Path) -> Result<Report> {
    let machine = Machine::look(dir)?;
    let events = ((EVENTS * scale) as usize).max(2 * BATCH_EVENTS);
    let home = tempfile::Builder::new().prefix("cleanup-").tempdir_in(dir)?;
    let halves = Halves::of(events, home.path())?;
    let oldest = halves.section(&OLDEST)?;
    let second = halves.section(&SECOND)?;
    // Nothing is promised: what the table deletes at once is locked meanwhile, and stays in no proof.
    let holds = Vec::new();
    Ok(Report { benchmark: "cleanup", machine, input: halves.input, sections: vec![oldest, second], holds })
}

/// One half of the events, as each names it.
struct Half {
    name: &'static str,
    ours: fn() -> CleanupOptions,
    whole: &'static str,
    batch: &'static str,
}

const OLDEST: Half = Half {
    name: "the oldest half",
    ours: || CleanupOptions::new().older_than_days(APART_DAYS / 2),
    whole: include_str!("cleanups/oldest.sql"),
    batch: include_str!("cleanups/oldest_batch.sql"),
};
const SECOND: Half = Half {
    name: "every second event",
    ours: || CleanupOptions::new().older_than_days(0).retention_category(CATEGORY),
    whole: include_str!("cleanups/second.sql"),
    batch: include_str!("cleanups/second_batch.sql"),
};

/// The same events in a log and in a table.
struct Halves<'a> {
    dir: &'a Path,
    events: usize,
    input: Input,
    runtime: Runtime,
}

impl<'a> Halves<'a> {
    fn of(events: usize, dir: &'a Path) -> Result<Self> {
        let mut bytes = 0;
        let all = || {
            Generator::new(SEED, START_MS).take(events).enumerate().map(|(number, event)| {
                let event = event.timestamp(START_MS + number as i64 * STEP_MS);
                if number % 2 == 1 { event.retention_category(CATEGORY) } else { event }
            })
        };
        let mut halves = Self { dir, events, input: Input::counted(events, 0), runtime: peers::runtime()? };

        eprintln!("{} events into the log", count(events as u64));
        let clock = halves.clock(0);
        fs::create_dir(dir.join("log"))?;
        let builder = AuditLog::builder(dir.join("log/audit.db")).clock(clock.clone());
        let log = halves.runtime.block_on(builder.open())?;
        // Time goes on from batch to batch, so that ids are as they would be.
        let goes_on = |batch: Vec<Event>| {
            clock.advance(batch.len() as i64 * STEP_MS);
            batch
        };
        let mut all_ours = all();
        halves.runtime.block_on(load(&log, batches(all_ours.by_ref().take(events / 2)).map(goes_on)))?;
        clock.advance(i64::from(APART_DAYS) * DAY_MS);
        halves.runtime.block_on(load(&log, batches(all_ours).map(goes_on)))?;
        halves.runtime.block_on(log.close())?;

        eprintln!("{} events into the table", count(events as u64));
        fs::create_dir(dir.join("table"))?;
        let mut table = peers::open_table(&dir.join("table"))?;
        for batch in batches(all()) {
            for event in &batch {
                bytes += serde_json::to_string::<Event>(event)?.len() as u64 + 1;
            }
            peers::write_table(&mut table, &batch)?;
        }
        table.close().map_err(|(_, error)| error)?;
        halves.input = Input::counted(events, bytes);
        Ok(halves)
    }

    /// A clock that stands where the last event happened, or so many days later; no two draw the same ids.
    fn clock(&self, days: u32) -> Arc<ManualClock> {
        let last_ms = START_MS + self.events as i64 * STEP_MS;
        Arc::new(ManualClock::new(last_ms + i64::from(days) * DAY_MS, u64::from(days)))
    }

    fn section(&self, half: &Half) -> Result<Section> {
        let names = [OURS, TABLE, BATCHED];
        let mut runs = vec![Vec::with_capacity(ROUNDS); names.len()];
        for round in 0..ROUNDS {
            for turn in 0..names.len() {
                let which = (turn + round) % names.len();
                eprintln!("{}, round {} of {ROUNDS}: {}", half.name, round + 1, names[which]);
                let copy = tempfile::Builder::new().prefix("copy-").tempdir_in(self.dir)?;
                copy_all(&self.dir.join(if which == 0 { "log" } else { "table" }), copy.path())?;
                let run = match which {
                    0 => self.ours(copy.path(), half)?,
                    1 => self.table(copy.path(), half.whole, None)?,
                    _ => self.table(copy.path(), half.batch, Some(DEFAULT_CLEANUP_BATCH_EVENTS))?,
                };
                let expected = self.events as u64 / 2;
                if run.events != expected {
                    return Err(format!("{} removed {} events of {expected}", names[which], run.events).into());
                }
                runs[which].push(run);
            }
        }
        let figures = names.iter().zip(&runs).map(|(name, runs)| Figures::of(name, runs));
        Ok(Section::new(half.name, figures.collect()))
    }

    fn ours(&self, dir: &Path, half: &Half) -> Result<Run> {
        // When the last event was logged, so that all of them have an age.
        let clock = self.clock(APART_DAYS);
        clock.advance(self.events as i64 * STEP_MS);
        self.runtime.block_on(async {
            let log = AuditLog::builder(dir.join("audit.db")).clock(clock).open().await?;
            let start = Instant::now();
            let report = log.cleanup(&(half.ours)()).await?;
            let elapsed = start.elapsed();
            if !report.scrubbed {
                return Err("something of what was removed is still in a file".into());
            }
            let bytes = bytes_below(dir)?;
            log.close().await?;
            Ok(Run { events: report.removed, elapsed, bytes, closed_bytes: bytes_below(dir)? })
        })
    }

    fn table(&self, dir: &Path, sql: &str, batch: Option<usize>) -> Result<Run> {
        let connection = peers::connect_table(dir)?;
        connection.pragma_update(None, "secure_delete", "ON")?;
        let until = START_MS + (self.events / 2) as i64 * STEP_MS;
        let until = if sql.contains("retention_category") { i64::MAX } else { until };
        let start = Instant::now();
        let mut events = 0;
        match batch {
            None => events += connection.execute(sql, params![until])?,
            Some(batch) => loop {
                let deleted = connection.prepare_cached(sql)?.execute(params![until, batch as i64])?;
                events += deleted;
                if deleted < batch {
                    break;
                }
            },
        }
        cut_off_wal(&connection)?;
        let elapsed = start.elapsed();
        let bytes = bytes_below(dir)?;
        connection.close().map_err(|(_, error)| error)?;
        Ok(Run { events: events as u64, elapsed, bytes, closed_bytes: bytes_below(dir)? })
    }
}

/// Older pages of what was deleted stand there.
fn cut_off_wal(connection: &Connection) -> Result<()> {
    let busy: i64 = connection.query_row(include_str!("cleanups/cut_off_wal.sql"), [], |row| row.get(0))?;
    if busy == 0 { Ok(()) } else { Err("the table's write-ahead log cannot be cut off".into()) }
}

fn copy_all(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_all(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), &to)?;
            // What is copied is not what is measured.
            fs::File::open(&to)?.sync_all()?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_removes_its_half_and_what_is_left_is_the_other_one() {
        let dir = tempfile::tempdir().unwrap();
        let halves = Halves::of(3_000, dir.path()).unwrap();
        for (half, left) in [(OLDEST, 750), (SECOND, 0)] {
            halves.section(&half).unwrap();
            let copy = tempfile::tempdir().unwrap();
            copy_all(&dir.path().join("table"), copy.path()).unwrap();
            halves.table(copy.path(), half.batch, Some(100)).unwrap();
            let table = peers::connect_table(copy.path()).unwrap();
            let counted: i64 = table
                .query_row("SELECT count(*) FROM audit_log WHERE retention_category = 'half'", [], |row| row.get(0))
                .unwrap();
            assert_eq!(counted, left, "{}", half.name);
            let copy = tempfile::tempdir().unwrap();
            copy_all(&dir.path().join("log"), copy.path()).unwrap();
            halves.ours(copy.path(), &half).unwrap();
            let ours = halves.runtime.block_on(async {
                let log = AuditLog::builder(copy.path().join("audit.db")).open().await.unwrap();
                assert!(log.verify(sealog::VerifyOptions::default(), |_| {}).await.unwrap().is_ok());
                log.count(&sealog::Filter::new().retention_category(CATEGORY)).await.unwrap()
            });
            assert_eq!(ours, left as u64, "{}", half.name);
        }
    }
}
