//! An application that keeps its data in PostgreSQL through sqlx, and its log in the same database.

use std::time::Duration;

use sealog::{AuditLog, ErrorKind, Event};
use sqlx::postgres::PgPool;
use tokio::time::timeout;

/// Far more than the 10 ms in which an inbox is looked at.
const DRAIN_LIMIT: Duration = Duration::from_mins(1);

#[tokio::test]
async fn postgres_through_sqlx_an_event_is_there_if_the_transaction_commits_and_only_then() {
    let (dir, database) = (tempfile::tempdir().unwrap(), throwaway_postgres::shared().database());
    let pool = PgPool::connect(&database.url()).await.unwrap();
    sqlx::query("CREATE TABLE invoice (id text PRIMARY KEY)").execute(&pool).await.unwrap();
    let builder = AuditLog::builder(database.url()).key_file(dir.path().join("key")).index(dir.path().join("index"));
    let log = builder.open().await.unwrap();

    for (id, commits) in [("i-1", false), ("i-2", true)] {
        let mut tx = pool.begin().await.unwrap();
        sqlx::query("INSERT INTO invoice VALUES ($1)").bind(id).execute(&mut *tx).await.unwrap();
        let event = Event::new("invoice.created").id(id).resource("invoice", id);
        let staged = log.log_in_sqlx(&mut tx, event).await.unwrap();
        if commits {
            tx.commit().await.unwrap();
            let logged = timeout(DRAIN_LIMIT, log.settled(&staged)).await.expect("it is drained in time").unwrap();
            assert_eq!(logged.receipt().unwrap().seq, 0);
        } else {
            tx.rollback().await.unwrap();
        }
    }
    assert_eq!(log.get("i-1").await.unwrap_err().kind(), ErrorKind::NotFound);
    // And by the function, as any driver does.
    let sql = r#"SELECT sealog.log('{"action": "invoice.sent"}')"#;
    let id: String = sqlx::query_scalar(sql).fetch_one(&pool).await.unwrap();
    assert_eq!(timeout(DRAIN_LIMIT, log.sequenced(&id)).await.unwrap().unwrap().seq, 1);
    log.close().await.unwrap();
    pool.close().await;
}
