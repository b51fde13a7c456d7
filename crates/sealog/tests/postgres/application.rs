//! An application with a connection of its own to the log's database.

use std::sync::Arc;

use sealog::{Builder, Staged, SystemClock};
use tokio_postgres::types::ToSql;
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

/// One of its connections, which events are staged over.
pub(crate) struct Application(Client);

impl Application {
    pub(crate) async fn of(fixture: &Fixture) -> Self {
        Self(connect(fixture).await)
    }

    /// Stages them in one transaction, which commits or rolls back.
    pub(crate) async fn stage(&mut self, staged: &[Staged], commit: bool) {
        let transaction = self.0.transaction().await.unwrap();
        for staged in staged {
            let insert = staged.insert.as_ref().expect("nothing is sampled away");
            let params: Vec<&(dyn ToSql + Sync)> =
                insert.params.iter().map(|param| param as &(dyn ToSql + Sync)).collect();
            transaction.execute(insert.sql, &params).await.unwrap();
        }
        if commit {
            transaction.commit().await.unwrap();
        } else {
            transaction.rollback().await.unwrap();
        }
    }

    /// Inserts a text that need not be an event, as another driver may. Answers whether the database took it: it
    /// refuses what is no JSON.
    pub(crate) async fn insert(&mut self, text: &str) -> bool {
        let is_json = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        let inserted = self.0.execute("INSERT INTO sealog.inbox (event) VALUES ($1::text::json)", &[&text]).await;
        assert_eq!(inserted.is_ok(), is_json, "{text}: {inserted:?}");
        is_json
    }
}
