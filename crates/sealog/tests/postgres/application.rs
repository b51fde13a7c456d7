//! An application with a connection of its own to the log's database.

use std::sync::Arc;

use sealog::{Builder, SystemClock};
use tokio_postgres::{Client, NoTls};

use crate::support::Fixture;

/// The database's clock tells when an event was accepted, and the log's must agree.
pub(crate) fn builder(fixture: &Fixture) -> Builder {
    fixture.builder().clock(Arc::new(SystemClock::new()))
}

pub(crate) async fn connect(fixture: &Fixture) -> Client {
    let (client, connection) = tokio_postgres::connect(&fixture.database().url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}
