//! What is too large or nests too deep.

use sealog::{ErrorKind, Event};
use serde_json::{Value, json};

use crate::support::{Backend, Fixture};

/// Whatever an event is refused for, it is taken apart without overflowing the stack.
#[tokio::test]
async fn a_document_of_any_depth_is_refused_and_nothing_more() {
    let deep = || {
        let value = (0..2_000_000).fold(json!(0), |inner, _| Value::Array(vec![inner]));
        Event::new("deep").metadata(Value::Object([("x".to_owned(), value)].into_iter().collect()))
    };
    let fixture = Fixture::new();
    let log = fixture.open().await;
    assert_eq!(log.log(deep()).await.unwrap_err().kind(), ErrorKind::LimitExceeded);
    assert_eq!(log.log_bulk(vec![Event::new(""), deep()]).await.unwrap_err().pointer(), Some("/0/action"));
    let mut many = vec![Event::new("a"); sealog::MAX_BULK_EVENTS];
    many.push(deep());
    assert_eq!(log.log_bulk(many).await.unwrap_err().kind(), ErrorKind::LimitExceeded);
    // Beside a journal in PostgreSQL there is always an inbox; a file has none unless it is named.
    let refused = if crate::BACKEND == Backend::File { ErrorKind::InvalidArgument } else { ErrorKind::LimitExceeded };
    assert_eq!(log.stage(deep()).unwrap_err().kind(), refused);
    let reader = fixture.builder().read_only(true).open().await.unwrap();
    assert_eq!(reader.log(deep()).await.unwrap_err().kind(), ErrorKind::ReadOnly);
    assert_eq!(reader.log_bulk(vec![deep()]).await.unwrap_err().kind(), ErrorKind::ReadOnly);
}
