//! Random tampering is always found.

use std::path::Path;

use proptest::prelude::*;
use sealog::rusqlite::types::Value;
use sealog::rusqlite::{Connection, params_from_iter};
use sealog::{AuditLog, ErrorKind, VerifyOptions};

use crate::support::{Fixture, check, fill};

/// The tables that are evidence, and their columns that are, the key first.
///
/// Not among them are the columns `tree` and `digest` of `event_id`: they repeat to who sends an event
/// again what was answered the first time, and say nothing of the history. Nor could they be checked:
/// in between checkpoints are thinned, and the digest is of what the caller sent before the policy hid
/// some of it.
const EVIDENCE: [(&str, &[&str]); 6] = [
    ("event", &["seq", "commitment", "salt", "body"]),
    ("frame", &["seq", "count", "commitments", "salts", "bodies"]),
    ("event_id", &["id", "seq"]),
    ("node", &["level", "idx", "hash"]),
    ("checkpoint", &["size", "frontier", "note"]),
    ("signer", &["since", "vkey"]),
];

type Rows = Vec<Vec<Value>>;

/// A closed log, and what is known of it elsewhere.
struct Original {
    file: Vec<u8>,
    vkeys: Vec<String>,
    checkpoint: String,
    events: Vec<String>,
    /// The checkpoints that may not go: where keys change, and the newest.
    kept: Vec<i64>,
}

async fn original(rotation_is_last: bool) -> Original {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    let mut vkeys = vec![log.vkey().await.unwrap()];
    fill(&log, 230).await;
    fill(&log, 1).await;
    vkeys.push(log.rotate_key().await.unwrap());
    for count in [90, 3, 1, 20] {
        fill(&log, count).await;
    }
    if rotation_is_last {
        vkeys.push(log.rotate_key().await.unwrap());
    }
    check(&log).await;
    let head = log.head().await.unwrap();
    let checkpoint = head.checkpoint.note().to_owned();
    let events = events(&log).await;
    log.close().await.unwrap();
    let raw = fixture.raw();
    // So that what waits in the write-ahead log is in the file.
    raw.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let mut since = raw.prepare("SELECT since FROM signer UNION SELECT max(size) FROM checkpoint").unwrap();
    let kept = since.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    drop(since);
    drop(raw);
    Original { file: std::fs::read(fixture.path()).unwrap(), vkeys, checkpoint, events, kept }
}

async fn events(log: &AuditLog) -> Vec<String> {
    let page = log.read(0, 10_000).await.unwrap();
    page.events.iter().map(|record| record.canonical_json().to_owned()).collect()
}

/// One thing that somebody does to a table.
#[derive(Debug, Clone, Copy)]
enum Act {
    Flip,
    Lengthen,
    Shorten,
    /// Two rows change one column.
    SwapCells,
    /// Two rows change places.
    SwapRows,
    Delete,
    /// A row stands in another place, too.
    Copy,
    /// A row stands in another place.
    Move,
}

#[derive(Debug, Clone)]
struct Damage {
    table: usize,
    act: Act,
    row: prop::sample::Index,
    other: prop::sample::Index,
    column: prop::sample::Index,
    place: prop::sample::Index,
    rotation_is_last: bool,
    old_key: bool,
}

fn damage() -> impl Strategy<Value = Damage> {
    use Act::{Copy, Delete, Flip, Lengthen, Move, Shorten, SwapCells, SwapRows};
    let act = prop::sample::select(vec![Flip, Flip, Flip, Lengthen, Shorten, SwapCells, SwapRows, Delete, Copy, Move]);
    let index = any::<prop::sample::Index>;
    (0..EVIDENCE.len(), act, index(), index(), index(), index(), any::<bool>(), any::<bool>()).prop_map(
        |(table, act, row, other, column, place, rotation_is_last, old_key)| Damage {
            table,
            act,
            row,
            other,
            column,
            place,
            rotation_is_last,
            old_key,
        },
    )
}

fn flip(value: &Value, place: prop::sample::Index) -> Value {
    match value {
        Value::Integer(n) => Value::Integer(n ^ (1 << place.index(64))),
        Value::Text(text) => {
            let mut bytes = text.clone().into_bytes();
            let bit = place.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            // What is no UTF-8 any more is stored as it is, as bytes.
            String::from_utf8(bytes).map_or_else(|error| Value::Blob(error.into_bytes()), Value::Text)
        }
        Value::Blob(bytes) if bytes.is_empty() => Value::Blob(vec![0]),
        Value::Blob(bytes) => {
            let mut bytes = bytes.clone();
            let bit = place.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            Value::Blob(bytes)
        }
        other => other.clone(),
    }
}

fn resize(value: &Value, longer: bool) -> Value {
    match value {
        Value::Text(text) if longer => Value::Text(format!("{text}\n")),
        Value::Text(text) => Value::Text(text[..text.len().saturating_sub(1)].to_owned()),
        Value::Blob(bytes) => {
            let mut bytes = bytes.clone();
            if longer {
                bytes.push(0);
            } else {
                bytes.pop();
            }
            Value::Blob(bytes)
        }
        Value::Integer(n) => Value::Integer(if longer { n + 1 } else { n - 1 }),
        other => other.clone(),
    }
}

impl Damage {
    fn apply(&self, rows: &mut Rows) {
        let columns = EVIDENCE[self.table].1.len();
        let (row, other) = (self.row.index(rows.len()), self.other.index(rows.len()));
        let column = self.column.index(columns);
        match self.act {
            Act::Flip => rows[row][column] = flip(&rows[row][column], self.place),
            Act::Lengthen => rows[row][column] = resize(&rows[row][column], true),
            Act::Shorten => rows[row][column] = resize(&rows[row][column], false),
            Act::SwapCells => {
                let cell = rows[row][column].clone();
                rows[row][column] = std::mem::replace(&mut rows[other][column], cell);
            }
            Act::SwapRows => {
                let key = rows[row][0].clone();
                rows[row][0] = std::mem::replace(&mut rows[other][0], key);
            }
            Act::Delete => drop(rows.remove(row)),
            Act::Copy => {
                let mut copy = rows[row].clone();
                copy[0] = flip(&copy[0], self.place);
                rows.push(copy);
            }
            Act::Move => rows[row][0] = flip(&rows[row][0], self.place),
        }
    }
}

/// Whether other rows say something else, in whatever order they are.
fn differ(table: &str, original: &Original, before: &Rows, after: &Rows) -> bool {
    let columns = EVIDENCE.iter().find(|(name, _)| *name == table).unwrap().1.len();
    // The log itself thins old checkpoints: those that stay cover the same events. So nobody can tell
    // who took one away, and nothing is lost with it; what one that is there says must be true.
    let may_go = |row: &Vec<Value>| {
        table == "checkpoint" && matches!(row[0], Value::Integer(size) if !original.kept.contains(&size))
    };
    let said = |row: &Vec<Value>| format!("{:?}", &row[..columns]);
    let mut after: Vec<_> = after.iter().map(said).collect();
    let mut before: Vec<_> = before.iter().filter(|row| !may_go(row) || after.contains(&said(row))).map(said).collect();
    before.sort();
    after.sort();
    before != after
}

/// Puts changed rows into the file. `None` when SQLite would not have them.
fn store(path: &Path, table: &str, change: impl FnOnce(&mut Rows)) -> Option<(Rows, Rows)> {
    let raw = Connection::open(path).unwrap();
    let transaction = raw.unchecked_transaction().unwrap();
    let evidence = EVIDENCE.iter().find(|(name, _)| *name == table).unwrap().1;
    let extra: &[&str] = if table == "event_id" { &["tree", "digest"] } else { &[] };
    let columns = [evidence, extra].concat();
    let mut select = transaction.prepare(&format!("SELECT {} FROM {table}", columns.join(", "))).unwrap();
    let read = select.query_map([], |row| (0..columns.len()).map(|index| row.get(index)).collect()).unwrap();
    let before: Rows = read.collect::<Result<_, _>>().unwrap();
    drop(select);
    let mut after = before.clone();
    change(&mut after);
    transaction.execute(&format!("DELETE FROM {table}"), []).unwrap();
    let holes = vec!["?"; columns.len()].join(", ");
    let mut insert =
        transaction.prepare(&format!("INSERT INTO {table} ({}) VALUES ({holes})", columns.join(", "))).unwrap();
    for row in &after {
        insert.execute(params_from_iter(row)).ok()?;
    }
    drop(insert);
    transaction.commit().unwrap();
    Some((before, after))
}

/// Damages a copy and says whether that went unseen although something else is said now.
async fn unseen(original: &Original, damage: &Damage) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.db");
    std::fs::write(&path, &original.file).unwrap();
    let table = EVIDENCE[damage.table].0;
    let Some((before, after)) = store(&path, table, |rows| damage.apply(rows)) else { return false };
    let differ = differ(table, original, &before, &after);

    let options = VerifyOptions {
        vkey: if damage.old_key { original.vkeys.first() } else { original.vkeys.last() }.cloned(),
        checkpoints: vec![original.checkpoint.clone()],
    };
    let verified = match AuditLog::builder(&path).read_only(true).open().await {
        Ok(log) => log.verify(options, |_| {}).await.map(|report| (log, report)),
        Err(error) => Err(error),
    };
    match verified {
        // A log whose newest checkpoint cannot be read has nothing to be checked against.
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Integrity, "{error}");
            false
        }
        Ok((_, report)) if !report.is_ok() => {
            assert!(differ, "nothing was changed: {:?}", report.problems);
            false
        }
        Ok((log, _)) => {
            // Other bytes may unpack to the same bodies: zstd has bits that nobody reads.
            let same = events(&log).await == original.events;
            assert!(same, "what is read has changed, and nobody said so: {damage:?}");
            differ && table != "frame"
        }
    }
}

#[test]
fn random_tampering_is_always_found() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let originals = [runtime.block_on(original(false)), runtime.block_on(original(true))];
    let cases = std::env::var("SEALOG_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(400);
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(damage in damage())| {
        let original = &originals[usize::from(damage.rotation_is_last)];
        prop_assert!(!runtime.block_on(unseen(original, &damage)), "{damage:?} in {}", EVIDENCE[damage.table].0);
    });
}

/// What hides behind other rows, or before the first: no random damage comes upon it easily.
#[tokio::test]
async fn what_hides_from_a_whole_check_is_found() {
    let original = original(false).await;
    let forged = |seq: i64| {
        move |rows: &mut Rows| {
            let mut row = rows[0].clone();
            row[0] = Value::Integer(seq);
            rows.push(row);
        }
    };
    for (table, seq) in [("frame", 5), ("event", 5), ("event", -1), ("event", 100_000), ("checkpoint", -5)] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.db");
        std::fs::write(&path, &original.file).unwrap();
        store(&path, table, forged(seq)).unwrap();
        let log = AuditLog::builder(&path).read_only(true).open().await.unwrap();
        let report = log.verify(VerifyOptions::default(), |_| {}).await.unwrap();
        assert!(!report.is_ok(), "{table} {seq}");
    }
}
