//! The `auditlog` crate as a contestant of `sealog-bench`.
//!
//! `auditlog-peer EVENTS.ndjson DIR SECONDS` writes the events into a SQLite file in `DIR` for at
//! most `SECONDS` and prints one JSON object: `events`, `seconds`, `bytes` (before closing) and
//! `closedBytes`.
//!
//! The crate has no call for several audits at once: each is a transaction of its own. It runs on
//! one connection, as its own `connect_sqlite` does, since its transactions read before they write
//! and would fail as busy beside each other.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use auditlog::{Action, AuditId, AuditedChanges, Backend, NewAudit, SqlxBackend, ValueMap};
use chrono::DateTime;
use serde_json::{Map, Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, input, dir, seconds] = args.as_slice() else {
        return Err("usage: auditlog-peer EVENTS.ndjson DIR SECONDS".into());
    };
    let dir = Path::new(dir);
    let budget = Duration::from_secs_f64(seconds.parse()?);
    let mut audits = Vec::new();
    for (number, line) in fs::read_to_string(input)?.lines().enumerate() {
        audits.push(audit(number, serde_json::from_str(line)?)?);
    }

    let options = SqliteConnectOptions::new()
        .filename(dir.join("audits.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
    let backend = SqlxBackend::sqlite(pool.clone());
    backend.migrate().await?;

    let start = Instant::now();
    let mut events = 0_u64;
    for audit in audits {
        if start.elapsed() >= budget {
            break;
        }
        backend.insert(audit).await?;
        events += 1;
    }
    let elapsed = start.elapsed();
    let bytes = bytes_in(dir)?;
    pool.close().await;
    let figures = json!({
        "events": events, "seconds": elapsed.as_secs_f64(), "bytes": bytes, "closedBytes": bytes_in(dir)?,
    });
    println!("{figures}");
    Ok(())
}

/// One audit that holds all of the event: what changed as the crate's own diff, what has a column in
/// it, and the rest in the comment.
fn audit(number: usize, event: Map<String, Value>) -> Result<NewAudit, Box<dyn Error>> {
    let mut event = event;
    let mut text = |name: &str| match event.remove(name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    let actor_id = text("actorId").map(AuditId::new);
    let actor_type = text("actorType");
    let remote_address = text("ipAddress");
    let request_uuid = text("requestId");
    // An event about nothing in particular is about itself.
    let auditable_type = text("resourceType").unwrap_or_else(|| "event".to_owned());
    let auditable_id = text("resourceId").unwrap_or_else(|| number.to_string());
    let created_at = event.remove("timestamp").and_then(|ms| ms.as_i64()).and_then(DateTime::from_timestamp_millis);
    let before = attributes(event.remove("before"));
    let after = attributes(event.remove("after"));
    Ok(NewAudit {
        auditable_type,
        auditable_id: AuditId::new(auditable_id),
        associated_type: None,
        associated_id: None,
        user_type: actor_type,
        user_id: actor_id,
        username: None,
        // A second `create` of one resource would break the crate's unique index, and the inputs
        // have such: its versions count on.
        action: Action::Update,
        audited_changes: AuditedChanges::diff(&before, &after),
        comment: Some(serde_json::to_string(&event)?),
        remote_address,
        request_uuid,
        created_at: created_at.ok_or("each event of the input has a timestamp")?,
    })
}

fn attributes(state: Option<Value>) -> ValueMap {
    match state {
        Some(Value::Object(fields)) => fields.into_iter().collect(),
        Some(other) => ValueMap::from_iter([("value".to_owned(), other)]),
        None => ValueMap::default(),
    }
}

fn bytes_in(dir: &Path) -> Result<u64, Box<dyn Error>> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}
