//! Invariant 4: a log whose file was put back to an older copy, beside the index of what came after it.

use sealog::{Event, Filter};

use crate::index_damage::{healed, open, put, template};
use crate::support::{Fixture, check, fill};

/// It then goes another way, past what the index knows.
#[tokio::test]
async fn invariant_4_an_older_copy_of_the_log_has_its_own_answers() {
    let (fixture, expected, whole) = template().await;
    put(&fixture.index(), &whole);
    let copy = journal(&fixture);
    for more in [5, 500] {
        let log = open(&fixture).await;
        fill(&log, 200).await;
        log.count(&Filter::new()).await.unwrap();
        log.close().await.unwrap();
        put_back(&fixture, &copy);
        let log = open(&fixture).await;
        assert_eq!(healed(&log, "put back").await, expected);
        log.log_bulk((0..more).map(|_| Event::new("went.another.way")).collect()).await.unwrap();
        let another = Filter::new().action("went.another.way");
        assert_eq!(log.count(&another).await.unwrap(), more);
        assert_eq!(log.count(&Filter::new().action("record.viewed")).await.unwrap(), 0);
        assert_eq!(log.count(&Filter::new()).await.unwrap(), expected.stats.total + more);
        check(&log).await;
        log.close().await.unwrap();
        put_back(&fixture, &copy);
    }
}

/// The files of the log itself: those that it has when it is closed may include the write-ahead log.
fn journal(fixture: &Fixture) -> [Option<Vec<u8>>; 2] {
    ["audit.db", "audit.db-wal"].map(|name| std::fs::read(fixture.dir.path().join(name)).ok())
}

fn put_back(fixture: &Fixture, [file, wal]: &[Option<Vec<u8>>; 2]) {
    for (name, bytes) in [("audit.db", file), ("audit.db-wal", wal), ("audit.db-shm", &None)] {
        let path = fixture.dir.path().join(name);
        let _ = std::fs::remove_file(&path);
        if let Some(bytes) = bytes {
            std::fs::write(path, bytes).unwrap();
        }
    }
}
