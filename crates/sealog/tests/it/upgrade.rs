//! Logs that earlier versions wrote are opened, verified, read and written by this one.
//!
//! A fixture is a folder of `tests/fixtures`: `audit.db`, closed, with its key; `anchor`, checkpoints
//! kept elsewhere; `vkey`; `proof`, of one event; `events.ndjson`, what must be read. Once released it
//! is never written again. The one of the current format is written anew, after a change of format that
//! no release holds yet, by
//!
//! ```text
//! SEALOG_WRITE_FIXTURE=1 cargo test -p sealog --test it upgrade
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealog::{AuditLog, Change, Checkpoint, Event, ManualClock, Outcome, Proof, Severity, Trust, VerifyOptions};
use serde_json::json;

use crate::support::{NOW_MS, check};

/// The folder of the format that this version writes.
const CURRENT: &str = "v1";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// A log with something of everything: frames and rows, ids of both kinds, every field, a change of
/// keys, an event set aside.
async fn write(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    for name in ["audit.db", "audit.db.key", "anchor"] {
        let _ = std::fs::remove_file(folder.join(name));
    }
    let dir = tempfile::tempdir().unwrap();
    let app = sealog::rusqlite::Connection::open(dir.path().join("app.db")).unwrap();
    app.pragma_update(None, "journal_mode", "wal").unwrap();
    let clock = Arc::new(ManualClock::new(NOW_MS, 1));
    let log = AuditLog::builder(folder.join("audit.db"))
        .clock(clock.clone())
        .origin("example.com/fixture")
        .anchor(folder.join("anchor"))
        .inbox(dir.path().join("app.db"))
        .open()
        .await
        .unwrap();
    let event = Event::new("user.login")
        .id("order-7")
        .timestamp(NOW_MS - 60_000)
        .actor("u-1")
        .actor_type("user")
        .actor_name("Ada Lovelace")
        .on_behalf_of("u-2")
        .resource("session", "s-1")
        .severity(Severity::Critical)
        .outcome(Outcome::Denied)
        .ip_address("2001:db8::1")
        .user_agent("curl/8")
        .session("s-1")
        .request("r-1")
        .tag("web")
        .tenant("acme")
        .retention_category("security")
        .metadata(
            json!({"password": "hidden", "float": 1e-7, "large": u64::MAX, "text": "ü€😀\u{2028}", "null": null}),
        );
    log.log(event).await.unwrap();
    let change = Change::new("record.updated", "invoice", "i-4")
        .before(json!({"paid": false, "lines": [1, 2, 3], "token": "a"}))
        .after(json!({"paid": true, "lines": [1, 3], "token": "b"}))
        .with(|event| event.id("0192f000-0000-7000-8000-000000000001"));
    log.log_change(change).await.unwrap();
    for round in 0..3 {
        clock.advance(90_000);
        let events = (0..40).map(|i| Event::new("record.viewed").actor(format!("u-{i}")).severity(Severity::Info));
        log.log_bulk(events.collect()).await.unwrap();
        if round == 1 {
            log.rotate_key().await.unwrap();
        }
        log.log(Event::new("single").metadata(json!({"round": round}))).await.unwrap();
    }
    app.execute("INSERT INTO sealog_inbox(id, event, inserted_at) VALUES ('row-1', '{}', 0)", []).unwrap();
    app.execute("INSERT INTO sealog_inbox(id, event, inserted_at) VALUES ('row-2', '{\"action\": \"in\"}', 0)", [])
        .unwrap();
    log.sequenced("row-2").await.unwrap();
    check(&log).await;

    let mut listing = String::new();
    for record in log.read(0, 10_000).await.unwrap().events {
        listing.push_str(record.canonical_json());
        listing.push('\n');
    }
    std::fs::write(folder.join("events.ndjson"), listing).unwrap();
    std::fs::write(folder.join("vkey"), log.vkey().await.unwrap() + "\n").unwrap();
    std::fs::write(folder.join("proof"), log.proof(41).await.unwrap().to_text()).unwrap();
    log.close().await.unwrap();
    // All of it in the one file; a log that was closed has no write-ahead log, but SQLite may still be at it.
    let raw = sealog::rusqlite::Connection::open(folder.join("audit.db")).unwrap();
    raw.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    raw.execute_batch("VACUUM").unwrap();
}

#[tokio::test]
async fn logs_of_each_format_are_read_and_written() {
    if std::env::var_os("SEALOG_WRITE_FIXTURE").is_some() {
        write(&fixtures().join(CURRENT)).await;
    }
    let mut formats = 0;
    for entry in std::fs::read_dir(fixtures()).unwrap() {
        let folder = entry.unwrap().path();
        let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        // A copy, since opening a file in WAL mode writes beside it.
        let dir = tempfile::tempdir().unwrap();
        for name in ["audit.db", "audit.db.key"] {
            std::fs::copy(folder.join(name), dir.path().join(name)).unwrap();
        }
        let path = dir.path().join("audit.db");
        let vkey = text("vkey").trim_end().to_owned();
        let kept = Checkpoint::parse_many(&text("anchor")).unwrap();
        let listing = text("events.ndjson");
        let listing: Vec<_> = listing.lines().collect();

        // Writing brings an older format forward, so it comes first.
        let log = AuditLog::builder(&path).create(false).open().await.unwrap();
        let options = VerifyOptions {
            vkey: Some(vkey.clone()),
            checkpoints: kept.iter().map(|checkpoint| checkpoint.note().to_owned()).collect(),
        };
        let report = log.verify(options.clone(), |_| {}).await.unwrap();
        assert!(report.is_ok(), "{:#?}", report.problems);
        assert_eq!((report.size, report.trust), (listing.len() as u64, Trust::KeyAndCheckpoint));
        assert_eq!(kept.last().map(Checkpoint::size), Some(report.size));

        let events = log.read(0, 10_000).await.unwrap().events;
        assert_eq!(events.iter().map(sealog::Record::canonical_json).collect::<Vec<_>>(), listing);
        for record in &events {
            assert_eq!(log.get(record.id()).await.unwrap(), *record);
        }
        let proof = Proof::parse(&text("proof")).unwrap();
        assert_eq!(proof.verify(&vkey).unwrap().canonical_json(), listing[41]);
        assert_eq!(log.rejected_count().await.unwrap(), 1);

        // The same event, sent again, is known; new ones follow.
        let change = Change::new("record.updated", "invoice", "i-4")
            .before(json!({"paid": false, "lines": [1, 2, 3], "token": "a"}))
            .after(json!({"paid": true, "lines": [1, 3], "token": "b"}))
            .with(|event| event.id("0192f000-0000-7000-8000-000000000001"));
        let receipt = log.log_change(change).await.unwrap().receipt().cloned().unwrap();
        assert_eq!((receipt.seq, receipt.tree_size), (1, 2));
        log.log_bulk((0..300).map(|_| Event::new("later")).collect()).await.unwrap();
        log.rotate_key().await.unwrap();
        log.log(Event::new("later")).await.unwrap();
        let report = log.verify(options, |_| {}).await.unwrap();
        assert!(report.is_ok(), "{:#?}", report.problems);
        assert_eq!(report.size, listing.len() as u64 + 302);
        log.close().await.unwrap();
        formats += 1;
    }
    assert!(formats > 0);
}
