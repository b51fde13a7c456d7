//! The first key holds once it was handed over and kept, and not before.

use sealog::AuditLog;
use sealog_server::router;
use tokio::runtime::Handle;
use tokio::task::block_in_place;

#[tokio::test(flavor = "multi_thread")]
async fn a_first_key_that_fails_on_its_way_is_none_and_the_next_one_is() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("audit.db");
    let log = AuditLog::open(&path).await.expect("the log opens");
    let refused = router(log.clone()).first_key(|_| Err::<(), _>("nobody is there".to_owned())).await;
    assert_eq!(refused, Err("nobody is there".to_owned()));
    // It was handed over, and then the log could not keep it.
    let closing = log.clone();
    let server = router(log);
    let lost = server.first_key(|key| {
        block_in_place(|| Handle::current().block_on(closing.close())).expect("it closes");
        Ok(key.to_owned())
    });
    assert!(lost.await.is_err());

    let log = AuditLog::open(&path).await.expect("it opens again");
    assert!(router(log.clone()).first_key(|key| Ok(key.to_owned())).await.expect("a key").is_some());
    assert_eq!(router(log.clone()).first_key(|key| Ok(key.to_owned())).await, Ok(None));
    log.close().await.expect("it closes");
}
