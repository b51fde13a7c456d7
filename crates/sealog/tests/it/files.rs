//! The log's files and its key's, moved, mixed up and in the way of each other.

use sealog::{AuditLog, ErrorKind, Event, Key};

use crate::support::{Fixture, check, fill, receipt};

/// A file that was moved or deleted is nobody's log any more.
#[cfg(unix)]
#[tokio::test]
async fn nothing_is_acknowledged_into_a_file_that_is_gone() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    log.log(Event::new("a")).await.unwrap();
    let elsewhere = fixture.dir.path().join("elsewhere.db");
    std::fs::rename(fixture.path(), &elsewhere).unwrap();
    assert_eq!(log.log(Event::new("b")).await.unwrap_err().kind(), ErrorKind::Storage);
    std::fs::copy(&elsewhere, fixture.path()).unwrap();
    let error = log.log(Event::new("b")).await.unwrap_err();
    assert!(error.message().contains("another file"), "{error}");
    assert_eq!(log.rotate_key().await.unwrap_err().kind(), ErrorKind::Storage);
    std::fs::rename(&elsewhere, fixture.path()).unwrap();
    assert_eq!(receipt(log.log(Event::new("b")).await.unwrap()).seq, 1);
    check(&log).await;
}

/// With another secret what is sent again would be another event.
#[tokio::test]
async fn the_secret_must_be_the_logs_own() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    let (path, other) = (fixture.dir.path().join("audit.db.key"), fixture.dir.path().join("other.key"));
    let own = std::fs::read_to_string(&path).unwrap();
    Key::generate("example.com/audit", &*fixture.clock).unwrap().create_file(&other).unwrap();
    let other = std::fs::read_to_string(other).unwrap();
    let secret = |text: &str| text.lines().find(|line| line.starts_with("secret ")).unwrap().to_owned();
    let mixed = own.replace(&secret(&own), &secret(&other));
    std::fs::write(&path, &mixed).unwrap();
    assert_eq!(log.rotate_key().await.unwrap_err().kind(), ErrorKind::Key);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), mixed);
    log.close().await.unwrap();
    let error = fixture.builder().open().await.unwrap_err();
    assert!(error.kind() == ErrorKind::Key && error.message().contains("secret"), "{error}");
    std::fs::write(&path, own).unwrap();
    fixture.open().await.close().await.unwrap();
}

/// Whoever could read the key file can read the new one, and nobody else.
#[cfg(unix)]
#[tokio::test]
async fn a_rotation_keeps_what_the_key_file_is() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let fixture = Fixture::new();
    let log = fixture.open().await;
    let path = |name: &str| fixture.dir.path().join(name);
    std::fs::create_dir(path("keys")).unwrap();
    std::fs::rename(path("audit.db.key"), path("keys/real")).unwrap();
    std::fs::set_permissions(path("keys/real"), std::fs::Permissions::from_mode(0o640)).unwrap();
    symlink("keys/real", path("audit.db.key")).unwrap();
    // A draft that somebody planted is not written through.
    std::fs::write(path("victim"), "mine").unwrap();
    symlink(path("victim"), path("keys/real.new")).unwrap();
    let before = std::fs::read(path("keys/real")).unwrap();
    log.rotate_key().await.unwrap();
    assert!(path("audit.db.key").is_symlink());
    assert_ne!(std::fs::read(path("keys/real")).unwrap(), before);
    assert_eq!(std::fs::metadata(path("keys/real")).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(std::fs::read(path("victim")).unwrap(), b"mine");
    assert_eq!(std::fs::read_dir(path("keys")).unwrap().count(), 1);
    log.close().await.unwrap();
    fixture.open().await.close().await.unwrap();
}

#[tokio::test]
async fn what_is_no_log_is_refused_with_a_reason() {
    let fixture = Fixture::new();
    let refused = async |kind: ErrorKind, words: &str| {
        for read_only in [false, true] {
            let error = fixture.builder().read_only(read_only).open().await.unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.message().contains(words), "{error}");
        }
    };
    let error = fixture.builder().create(false).open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);

    std::fs::write(fixture.path(), "this is no database, and it is long enough to be sure of that").unwrap();
    refused(ErrorKind::Format, "no SQLite file").await;
    std::fs::remove_file(fixture.path()).unwrap();

    fixture.raw().execute_batch("CREATE TABLE invoice (id)").unwrap();
    refused(ErrorKind::Format, "no Sealog log").await;
    std::fs::remove_file(fixture.path()).unwrap();

    let log = fixture.open().await;
    fill(&log, 3).await;
    log.close().await.unwrap();
    fixture.raw().pragma_update(None, "user_version", 99).unwrap();
    refused(ErrorKind::Format, "newer version").await;

    let error = AuditLog::open(fixture.dir.path().join("no/such/folder/audit.db")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(error.message().contains("folder"), "{error}");
}

#[tokio::test]
async fn options_that_cannot_be_met_are_refused() {
    let fixture = Fixture::new();
    // An empty file is no log, and none is to be made of it.
    std::fs::write(fixture.path(), "").unwrap();
    for builder in [fixture.builder().create(false), fixture.builder().read_only(true)] {
        let error = builder.open().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Format);
        assert!(error.message().contains("is empty"), "{error}");
    }
    assert_eq!(std::fs::metadata(fixture.path()).unwrap().len(), 0);
    fixture.open().await.close().await.unwrap();

    // A log and a key keep their name.
    let error = fixture.builder().origin("example.com/other").open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.message().contains("example.com/audit"), "{error}");
    let key = fixture.dir.path().join("audit.db.key");
    let new = AuditLog::builder(fixture.dir.path().join("new.db")).key_file(key).origin("example.com/other");
    assert_eq!(new.open().await.unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert!(!fixture.dir.path().join("new.db").exists());

    // What cannot be looked at is not missing.
    let error = AuditLog::builder(fixture.path().join("audit.db")).create(false).open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage, "{error}");
}

/// Who has the log open while a newer program brings it forward must not go on in the old way.
#[tokio::test]
async fn a_schema_that_changes_under_an_open_handle_is_refused() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    let reader = fixture.builder().read_only(true).open().await.unwrap();
    fill(&log, 3).await;
    check(&reader).await;
    fixture.raw().pragma_update(None, "user_version", 99).unwrap();
    assert_eq!(log.log(Event::new("late")).await.unwrap_err().kind(), ErrorKind::Format);
    assert_eq!(log.rotate_key().await.unwrap_err().kind(), ErrorKind::Format);
    assert_eq!(reader.read(0, 10).await.unwrap_err().kind(), ErrorKind::Format);
    assert_eq!(log.head().await.unwrap_err().kind(), ErrorKind::Format);
    let rows: u64 = fixture.raw().query_row("SELECT count(*) FROM event_id", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 3);
}

/// A log that was closed is one file: SQLite removes the others when the last connection goes.
#[tokio::test]
async fn a_closed_log_is_closed() {
    let fixture = Fixture::new();
    for _ in 0..20 {
        let log = fixture.open().await;
        fill(&log, 1).await;
        check(&log).await;
        log.close().await.unwrap();
        for name in ["audit.db-wal", "audit.db-shm"] {
            assert!(!fixture.dir.path().join(name).exists(), "{name} is still there");
        }
    }
}
