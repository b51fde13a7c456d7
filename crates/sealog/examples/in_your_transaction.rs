//! The change and its event commit together or not at all.
//! `cargo run -p sealog --example in_your_transaction`

use sealog::rusqlite::{Connection, params_from_iter};
use sealog::{AuditLog, ErrorKind, Event};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let app = folder.path().join("app.db");
    let mut db = Connection::open(&app)?;
    db.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE invoice (id TEXT PRIMARY KEY, paid INTEGER)")?;

    // The log is a file of its own; in the application's file it makes one table, `sealog_inbox`.
    let log = AuditLog::builder(folder.path().join("audit.db")).inbox(&app).open().await?;
    let paid = |id: &str| Event::new("invoice.paid").actor("ada").resource("invoice", id);

    // 1. With rusqlite: the event is durable with this very commit.
    let mut tx = db.transaction()?;
    tx.execute("INSERT INTO invoice VALUES ('i-1', 1)", [])?;
    let staged = log.log_in(&mut tx, paid("i-1"))?;
    tx.commit()?;
    // A moment later it is sealed and visible. You need not wait for it; this shows that it comes.
    println!("committed:   seq {}", log.sequenced(&staged.id).await?.seq);

    // 2. Rolled back: neither the invoice nor its event ever was.
    let mut tx = db.transaction()?;
    tx.execute("INSERT INTO invoice VALUES ('i-2', 1)", [])?;
    let lost = log.log_in(&mut tx, paid("i-2"))?;
    drop(tx);

    // 3. With any other driver: run this one insert in your transaction. The policy has been applied to it.
    let staged = log.stage(paid("i-3"))?;
    // `None` when the policy samples the event away; there is nothing to insert then.
    if let Some(insert) = staged.insert {
        db.execute(insert.sql, params_from_iter(&insert.params))?;
        println!("staged:      seq {}", log.sequenced(&staged.id).await?.seq);
    }

    // 4. From any language, by hand. The policy is applied when the log takes it.
    db.execute(
        r#"INSERT INTO sealog_inbox(event) VALUES ('{"action": "invoice.paid", "id": "by-hand", "actorId": "ada"}')"#,
        [],
    )?;
    println!("by hand:     seq {}", log.sequenced("by-hand").await?.seq);

    // Events are taken in the order of their commits, so the lost one would be there by now.
    let error = log.get(&lost.id).await.expect_err("what was rolled back is not in the log");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    println!("rolled back: {error}");
    log.close().await?;
    Ok(())
}
