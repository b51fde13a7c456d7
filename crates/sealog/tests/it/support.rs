//! A log in a folder of its own, on a clock that stands still, which is verified after every step.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealog::rusqlite::Connection;
use sealog::{AuditLog, Builder, Event, Logged, ManualClock, Receipt, VerifyOptions, VerifyReport};
use tempfile::TempDir;

/// 2026-01-01T00:00:00Z.
pub(crate) const NOW_MS: i64 = 1_767_225_600_000;

/// What the logs of a test binary are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    File,
    #[cfg(feature = "postgres")]
    Postgres,
}

pub(crate) struct Fixture {
    pub(crate) dir: TempDir,
    pub(crate) clock: Arc<ManualClock>,
    #[cfg(feature = "postgres")]
    database: Option<throwaway_postgres::Database<'static>>,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().expect("a folder"),
            clock: Arc::new(ManualClock::new(NOW_MS, 7)),
            #[cfg(feature = "postgres")]
            database: (crate::BACKEND == Backend::Postgres).then(postgres::database),
        }
    }

    /// The log's file, or the URL of its database.
    pub(crate) fn path(&self) -> PathBuf {
        #[cfg(feature = "postgres")]
        if let Some(database) = &self.database {
            return database.url().into();
        }
        self.dir.path().join("audit.db")
    }

    /// Options for opening another handle, with the key and the index where the fixture has them.
    pub(crate) fn builder_at(&self, path: impl Into<PathBuf>) -> Builder {
        let beside = |suffix: &str| self.dir.path().join(format!("audit.db{suffix}"));
        AuditLog::builder(path).clock(self.clock.clone()).key_file(beside(".key")).index(beside(".index"))
    }

    pub(crate) fn builder(&self) -> Builder {
        self.builder_at(self.path()).origin("example.com/audit")
    }

    /// The database of a log in PostgreSQL.
    #[cfg(feature = "postgres")]
    #[allow(dead_code, reason = "a log in a file has none")]
    pub(crate) fn database(&self) -> &throwaway_postgres::Database<'static> {
        self.database.as_ref().expect("the log is in a database")
    }

    pub(crate) async fn open(&self) -> AuditLog {
        self.builder().open().await.expect("the log opens")
    }

    /// A connection to the log's file for whoever wants to damage it.
    pub(crate) fn raw(&self) -> Connection {
        assert_eq!(crate::BACKEND, Backend::File, "a test of files");
        Connection::open(self.path()).expect("the file opens")
    }

    /// How many rows a table of the journal has.
    pub(crate) fn count(&self, table: &str) -> u64 {
        let sql = format!("SELECT count(*) FROM {table}");
        #[cfg(feature = "postgres")]
        if let Some(database) = &self.database {
            return database.sql(&sql.replace("FROM ", "FROM sealog.")).parse().expect("a number");
        }
        self.raw().query_row(&sql, [], |row| row.get(0)).expect("the table is there")
    }

    /// The folder of the index.
    pub(crate) fn index(&self) -> PathBuf {
        self.dir.path().join("audit.db.index")
    }

    /// Whether a word is in any file of the folder, or in a row of the journal, which may be packed.
    pub(crate) fn holds(&self, word: &str) -> bool {
        #[cfg(feature = "postgres")]
        if let Some(database) = &self.database {
            return database.dump().contains(word) || contains(&self.all_bytes(), word);
        }
        let mut packed = Vec::new();
        let connection = self.raw();
        let mut statement = connection.prepare("SELECT bodies FROM frame").expect("frames are read");
        for bodies in statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).expect("frames are read") {
            packed.extend(zstd::decode_all(&bodies.expect("a frame")[..]).expect("a frame unpacks"));
        }
        contains(&self.all_bytes(), word) || contains(&packed, word)
    }

    /// All bytes of all files in the folder and below, one after the other.
    pub(crate) fn all_bytes(&self) -> Vec<u8> {
        fn read(folder: &Path, all: &mut Vec<u8>) {
            for entry in std::fs::read_dir(folder).expect("the folder lists") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    read(&path, all);
                } else if let Ok(bytes) = std::fs::read(path) {
                    // The index drops files behind a reader's back.
                    all.extend(bytes);
                }
            }
        }

        let mut all = Vec::new();
        read(self.dir.path(), &mut all);
        all
    }
}

fn contains(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}

#[cfg(feature = "postgres")]
mod postgres {
    use throwaway_postgres::{Database, shared};

    /// A database with the tables of a log, and no log yet.
    pub(super) fn database() -> Database<'static> {
        shared().database_from("sealog", |database| {
            let url = database.url();
            // On a thread of its own, since a test may be in a runtime already.
            let made = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(sealog::AuditLog::set_up_database(url))
            });
            made.join().expect("no panic").expect("the database is set up");
        })
    }
}

/// How many random cases a test tries: `SEALOG_CASES`, or as many.
pub(crate) fn cases(usual: u32) -> u32 {
    std::env::var("SEALOG_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(usual)
}

/// Verifies the whole log and answers its size.
pub(crate) async fn check(log: &AuditLog) -> u64 {
    let report = report(log).await;
    assert!(report.is_ok(), "{:#?}", report.problems);
    report.size
}

pub(crate) async fn report(log: &AuditLog) -> VerifyReport {
    log.verify(VerifyOptions::default(), |_| {}).await.expect("the log can be read")
}

#[cfg_attr(feature = "postgres", allow(dead_code, reason = "tests of files damage logs that nobody has open"))]
/// What `verify` finds in a log that nobody has open for writing.
pub(crate) async fn report_at(path: &Path, options: VerifyOptions) -> VerifyReport {
    let log = AuditLog::builder(path).read_only(true).open().await.expect("the log opens");
    log.verify(options, |_| {}).await.expect("the log can be read")
}

pub(crate) fn receipt(logged: Logged) -> Receipt {
    match logged {
        Logged::Recorded(receipt) => receipt,
        Logged::Sampled { id } => panic!("{id} was sampled away"),
    }
}

/// The receipt of an event that was sent again, but for what says so: the first one's equal.
pub(crate) fn again(logged: Logged) -> Receipt {
    let receipt = receipt(logged);
    assert!(receipt.existed, "{receipt:?}");
    first(receipt)
}

/// The receipt as the one who sent it first got it.
pub(crate) fn first(mut receipt: Receipt) -> Receipt {
    receipt.existed = false;
    receipt
}

/// Logs `count` small events in one batch.
pub(crate) async fn fill(log: &AuditLog, count: usize) {
    let events = (0..count).map(|i| Event::new("record.viewed").actor(format!("u-{}", i % 7))).collect();
    log.log_bulk(events).await.expect("the batch is logged");
}
