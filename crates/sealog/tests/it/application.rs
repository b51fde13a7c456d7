//! An application with a database of its own, which events are staged in.

#![allow(clippy::unused_async, reason = "the twin of this, for PostgreSQL, waits")]

use std::time::Duration;

use sealog::rusqlite::{Connection, params_from_iter};
use sealog::{Builder, Staged};

use crate::support::Fixture;

/// Options for opening a handle that takes up what the application stages.
pub(crate) fn builder(fixture: &Fixture) -> Builder {
    fixture.builder().inbox(fixture.dir.path().join("app.db"))
}

/// One of its connections.
pub(crate) struct Application(Connection);

impl Application {
    pub(crate) async fn of(fixture: &Fixture) -> Self {
        let connection = Connection::open(fixture.dir.path().join("app.db")).unwrap();
        connection.pragma_update(None, "journal_mode", "wal").unwrap();
        connection.busy_timeout(Duration::from_secs(10)).unwrap();
        Self(connection)
    }

    /// Stages them in one transaction, which commits or rolls back.
    pub(crate) async fn stage(&mut self, staged: &[Staged], commit: bool) {
        let transaction = self.0.transaction().unwrap();
        for staged in staged {
            let insert = staged.insert.as_ref().expect("nothing is sampled away");
            transaction.execute(insert.sql, params_from_iter(&insert.params)).unwrap();
        }
        if commit {
            transaction.commit().unwrap();
        }
    }

    /// Inserts a text that need not be an event, as another driver may. Answers whether the database took it.
    pub(crate) async fn insert(&mut self, text: &str) -> bool {
        self.0.execute("INSERT INTO sealog_inbox(event) VALUES (?1)", [text]).unwrap();
        true
    }
}
