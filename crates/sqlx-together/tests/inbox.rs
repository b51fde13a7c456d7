//! An application that keeps its data in SQLite through sqlx, beside a log in the same process.
//!
//! That this builds at all is half of what it shows: sqlx and rusqlite link the same
//! `libsqlite3-sys`, of which a program can hold only one version.

use std::path::Path;
use std::time::Duration;

use sealog::{AuditLog, ErrorKind, Event, Receipt, Staged, actions};
use serde_json::json;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions};
use sqlx::{Sqlite, Transaction};
use tempfile::TempDir;
use tokio::time::timeout;

/// Far more than the 50 ms in which an inbox is drained: a busy machine must not fail the test, a
/// log that never drains must not hang it.
const DRAIN_LIMIT: Duration = Duration::from_secs(20);

struct App {
    pool: SqlitePool,
    log: AuditLog,
    _dir: TempDir,
}

impl App {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("app.db");
        let pool = open(&file).await;
        sqlx::query("CREATE TABLE invoice (id TEXT PRIMARY KEY, paid INTEGER NOT NULL)").execute(&pool).await.unwrap();
        let log = AuditLog::builder(dir.path().join("audit.db")).inbox(&file).open().await.unwrap();
        Self { pool, log, _dir: dir }
    }

    async fn invoices(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM invoice").fetch_one(&self.pool).await.unwrap()
    }

    async fn sequenced(&self, id: &str) -> Receipt {
        timeout(DRAIN_LIMIT, self.log.sequenced(id)).await.expect("the inbox is drained in time").unwrap()
    }
}

async fn open(file: &Path) -> SqlitePool {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(Duration::from_secs(10));
    SqlitePoolOptions::new().max_connections(4).connect_with(options).await.unwrap()
}

async fn run(tx: &mut Transaction<'_, Sqlite>, staged: &Staged) {
    let insert = staged.insert.as_ref().expect("nothing is sampled away by default");
    let mut query = sqlx::query(insert.sql);
    for param in &insert.params {
        query = query.bind(param);
    }
    assert_eq!(query.execute(&mut **tx).await.unwrap().rows_affected(), 1);
}

async fn pay(tx: &mut Transaction<'_, Sqlite>, invoice: &str) {
    sqlx::query("INSERT INTO invoice (id, paid) VALUES (?1, 1)").bind(invoice).execute(&mut **tx).await.unwrap();
}

fn paid(invoice: &str) -> Event {
    Event::new(actions::RECORD_UPDATED)
        .actor("u-17")
        .resource("invoice", invoice)
        .change(json!({"paid": false}), json!({"paid": true}))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_staged_event_commits_with_the_applications_change() {
    let app = App::start().await;
    let staged = app.log.stage(paid("i-1")).unwrap();

    let mut tx = app.pool.begin().await.unwrap();
    pay(&mut tx, "i-1").await;
    run(&mut tx, &staged).await;
    tx.commit().await.unwrap();

    let receipt = app.sequenced(&staged.id).await;
    assert_eq!(receipt.id, staged.id);
    let record = app.log.get(&staged.id).await.unwrap();
    assert_eq!(record.action, actions::RECORD_UPDATED);
    assert_eq!(record.resource_id.as_deref(), Some("i-1"));
    assert_eq!(record.after, Some(json!({"paid": true})));
    assert_eq!(app.invoices().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_insert_of_json_is_an_event_too() {
    let app = App::start().await;
    let json = json!({"id": "from-sql", "action": "record.exported", "actorId": "u-17"}).to_string();

    let mut tx = app.pool.begin().await.unwrap();
    sqlx::query("INSERT INTO sealog_inbox(event) VALUES (?1)").bind(json).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();

    let receipt = app.sequenced("from-sql").await;
    let record = app.log.get("from-sql").await.unwrap();
    assert_eq!(receipt.seq, record.seq());
    assert_eq!(record.actor_id.as_deref(), Some("u-17"));
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_11_a_rolled_back_event_is_never_seen() {
    let app = App::start().await;
    let lost = app.log.stage(paid("i-lost")).unwrap();
    let mut tx = app.pool.begin().await.unwrap();
    pay(&mut tx, "i-lost").await;
    run(&mut tx, &lost).await;
    tx.rollback().await.unwrap();

    // An event that commits afterwards is drained after everything that was there before it.
    let kept = app.log.stage(paid("i-kept")).unwrap();
    let mut tx = app.pool.begin().await.unwrap();
    pay(&mut tx, "i-kept").await;
    run(&mut tx, &kept).await;
    tx.commit().await.unwrap();
    app.sequenced(&kept.id).await;

    assert_eq!(app.log.get(&lost.id).await.unwrap_err().kind(), ErrorKind::NotFound);
    let page = app.log.read(0, 100).await.unwrap();
    assert!(page.events.iter().all(|record| record.id() != lost.id));
    assert_eq!(app.invoices().await, 1);
}

#[tokio::test]
async fn sqlx_and_rusqlite_run_the_same_sqlite() {
    let pool = SqlitePool::connect("sqlite::memory:").await.unwrap();
    let of_sqlx: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&pool).await.unwrap();
    assert_eq!(of_sqlx, rusqlite::version());
}
