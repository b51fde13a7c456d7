//! The log's files and its key's, moved, mixed up and in the way of each other.

use sealog::{ErrorKind, Event, Key};

use crate::support::{Fixture, check, receipt};

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
