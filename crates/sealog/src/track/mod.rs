//! Tracked tables: each change of a row is an event, whoever makes it, in the transaction that makes it.

mod sqlite;
mod triggers;

use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::journal::Place;
#[cfg(feature = "postgres")]
use crate::journal::postgres;
use crate::log::{AuditLog, blocking};

pub use sqlite::acting_in;
pub(crate) use sqlite::refresh;

/// How a table is tracked. By default a record is known by the table's primary key, and all columns are kept but for
/// what the policy hides.
///
/// ```
/// let options = sealog::TrackOptions::default().exclude("updated_at").redact("iban");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct TrackOptions {
    /// The columns that a record is known by; the primary key where there are none here.
    pub key: Vec<String>,
    /// Columns that are left out. An update that changes no other column is no event.
    pub exclude: Vec<String>,
    /// Columns that are hidden whatever the policy says: `[REDACTED]`. That one changed still shows.
    pub redact: Vec<String>,
    /// In which of the handle's inboxes the table is, where it has several.
    pub inbox: Option<PathBuf>,
}

impl TrackOptions {
    /// Adds a column that a record is known by.
    pub fn key(mut self, column: impl Into<String>) -> Self {
        self.key.push(column.into());
        self
    }

    /// Leaves a column out.
    pub fn exclude(mut self, column: impl Into<String>) -> Self {
        self.exclude.push(column.into());
        self
    }

    /// Hides a column.
    pub fn redact(mut self, column: impl Into<String>) -> Self {
        self.redact.push(column.into());
        self
    }

    /// Says in which inbox's file the table is.
    pub fn inbox(mut self, path: impl Into<PathBuf>) -> Self {
        self.inbox = Some(path.into());
        self
    }
}

/// A table that is tracked: what [`AuditLog::tracked`] answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TrackedTable {
    /// The application's file; `None` where the table is in the log's own database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inbox: Option<PathBuf>,
    /// Its name.
    pub table: String,
    /// The columns that a record is known by.
    pub key: Vec<String>,
    /// Columns that are left out.
    pub exclude: Vec<String>,
    /// Columns that are hidden whatever the policy says.
    pub redact: Vec<String>,
}

impl AuditLog {
    /// Captures each change of a table from now on, as `record.created`, `record.updated` or `record.deleted` with the
    /// row before and after: by triggers, in the transaction that makes it, whoever makes it and by whatever program.
    /// `docs/TRACKING.md` says what is seen and what is not. On a table that is tracked already it changes how.
    ///
    /// ```
    /// use sealog::{AuditLog, TrackOptions};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let (audit, app) = (dir.path().join("audit.db"), dir.path().join("app.db"));
    /// let db = sealog::rusqlite::Connection::open(&app)?;
    /// db.execute_batch("PRAGMA journal_mode = wal; CREATE TABLE invoice (id TEXT PRIMARY KEY, paid INTEGER)")?;
    /// let log = AuditLog::builder(audit).inbox(&app).open().await?;
    /// log.track("invoice", TrackOptions::default()).await?;
    ///
    /// let mut changes = log.watch(&sealog::Filter::default(), sealog::WatchFrom::Seq(0)).await?;
    /// db.execute("INSERT INTO invoice VALUES ('i-4', 0)", [])?;
    /// db.execute("UPDATE invoice SET paid = 1", [])?;
    /// assert_eq!(changes.next().await.unwrap()?.action, "record.created");
    /// let change = changes.next().await.unwrap()?;
    /// assert_eq!((change.action.as_str(), change.resource_id.as_deref()), ("record.updated", Some("i-4")));
    /// assert_eq!(change.diff().unwrap()[0].path, "/paid");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when there is no such table or column, the table has no key, or the handle has no inbox or
    /// several; `Busy` when the application holds its lock for long.
    pub async fn track(&self, table: &str, options: TrackOptions) -> Result<()> {
        let table = table.to_owned();
        match self.table_place(options.inbox.as_deref())? {
            Place::File(inbox) => {
                let policy = self.writer()?.current.policy();
                blocking(move || sqlite::track(&inbox, &table, &options, &policy)).await
            }
            #[cfg(feature = "postgres")]
            Place::Database(database) => {
                let TrackOptions { key, exclude, redact, .. } = options;
                blocking(move || postgres::track(&database, &table, &key, &exclude, &redact)).await
            }
        }
    }

    /// Captures no change of a table any more. Answers whether it was tracked.
    ///
    /// # Errors
    ///
    /// As [`AuditLog::track`].
    pub async fn untrack(&self, table: &str, inbox: Option<&Path>) -> Result<bool> {
        let table = table.to_owned();
        match self.table_place(inbox)? {
            Place::File(inbox) => blocking(move || sqlite::untrack(&inbox, &table)).await,
            #[cfg(feature = "postgres")]
            Place::Database(database) => blocking(move || postgres::untrack(&database, &table)).await,
        }
    }

    /// The tables that are tracked: in the log's own database, and in all inboxes of this handle.
    ///
    /// # Errors
    ///
    /// `Storage` when an inbox cannot be read.
    pub async fn tracked(&self) -> Result<Vec<TrackedTable>> {
        let mut all = Vec::new();
        for place in self.table_places()? {
            all.extend(match place {
                Place::File(inbox) => blocking(move || sqlite::tracked(&inbox)).await?,
                #[cfg(feature = "postgres")]
                Place::Database(database) => {
                    let found = blocking(move || postgres::tracked(&database)).await?.into_iter();
                    let table =
                        |(table, key, exclude, redact)| TrackedTable { inbox: None, table, key, exclude, redact };
                    found.map(table).collect()
                }
            });
        }
        Ok(all)
    }

    /// Where tables can be tracked.
    fn table_places(&self) -> Result<Vec<Place>> {
        let inboxes = self.writer()?.inboxes.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(inboxes.iter().map(|inbox| inbox.place().clone()).collect())
    }

    /// The place of this inbox, or the only one.
    fn table_place(&self, inbox: Option<&Path>) -> Result<Place> {
        let mut places = self.table_places()?;
        if let Some(path) = inbox {
            places.retain(|place| matches!(place, Place::File(known) if known == path));
        }
        match <[Place; 1]>::try_from(places) {
            Ok([place]) => Ok(place),
            Err(places) => Err(Error::new(
                ErrorKind::InvalidArgument,
                match (places.len(), inbox) {
                    (0, None) => "this handle has no inbox: name the application's file in Builder::inbox".to_owned(),
                    (0, Some(path)) => format!("this handle has no inbox in {}", path.display()),
                    (count, _) => format!("this handle has {count} inboxes: name the one that the table is in"),
                },
            )),
        }
    }
}
