//! Every statement in `queries/` is valid SQL against the schema it is for, and is used.

use std::path::{Path, PathBuf};

use sealog::AuditLog;
use sealog::rusqlite::Connection;
use sealog::rusqlite::fallible_iterator::FallibleIterator;

use crate::support::Fixture;

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// All Rust files below `folder`, one after the other.
fn sources(folder: &Path, all: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

#[tokio::test]
async fn every_query_is_valid_and_used() {
    let fixture = Fixture::new();
    let app = fixture.dir.path().join("app.db");
    Connection::open(&app).unwrap().pragma_update(None, "journal_mode", "wal").unwrap();
    let log: AuditLog = fixture.builder().inbox(&app).open().await.unwrap();
    log.close().await.unwrap();
    let (journal, inbox) = (fixture.raw(), Connection::open(&app).unwrap());

    let mut rust = String::new();
    sources(&source(), &mut rust);
    let mut count = 0;
    for entry in std::fs::read_dir(source().join("journal/sqlite/queries")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let sql = std::fs::read_to_string(&path).unwrap();
        let connection = if name.starts_with("inbox_") { &inbox } else { &journal };
        let mut statements = sealog::rusqlite::Batch::new(connection, &sql);
        let mut prepared = 0;
        while let Some(statement) = statements.next().unwrap_or_else(|error| panic!("{name}: {error}")) {
            drop(statement);
            prepared += 1;
        }
        // Files with several statements are run as a whole.
        let several = ["configure_reader.sql", "configure_writer.sql", "inbox_create.sql"].contains(&&*name);
        assert!(prepared == 1 || several, "{name}: {prepared} statements");
        assert!(rust.contains(&format!("queries/{name}\"")), "{name} is used nowhere");
        count += 1;
    }
    assert!(count > 20);
}
