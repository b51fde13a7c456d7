//! Events in the application's own transactions: staged there, and waited for here.

use std::sync::PoisonError;

use super::{AuditLog, closed, find, read_records};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Logged, Receipt};
use crate::inbox::Inbox;
use crate::journal::{Place, sqlite};
use crate::policy::{Applied, dismantle};

/// The statement that puts a staged event into the inbox: for any driver, in the application's own
/// transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InboxSql {
    /// One `INSERT` with the parameters `?1`, `?2`, …; in PostgreSQL's way, `$1`, `$2`, …, where the log is there.
    pub sql: &'static str,
    /// The parameters, in order, all to be bound as text.
    pub params: Vec<String>,
}

/// An event on its way through an inbox: what [`AuditLog::stage`] and [`AuditLog::log_in`] answer.
/// [`AuditLog::settled`] waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Staged {
    /// The event's id.
    pub id: String,
    /// What to run; `None` when the event was sampled away.
    pub insert: Option<InboxSql>,
    /// What tells it from another event under its id.
    digests: Option<Digests>,
}

/// The digests of a staged event.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Digests {
    /// As it stands with the id, once the event is in the log.
    event: [u8; 16],
    /// As it stands with the row, should it be set aside.
    row: String,
}

impl AuditLog {
    /// Logs an event in the application's own transaction: it is there if the transaction commits,
    /// and never was if it rolls back. The twin of [`AuditLog::log`] for rusqlite.
    ///
    /// The transaction's file must have an inbox ([`Builder::inbox`](crate::Builder::inbox)). The event is
    /// durable with the application's commit, and sealed and visible shortly after it:
    /// [`AuditLog::settled`] waits for that.
    ///
    /// ```
    /// use sealog::{AuditLog, Event};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let (audit, app) = (dir.path().join("audit.db"), dir.path().join("app.db"));
    /// let mut db = sealog::rusqlite::Connection::open(&app)?;
    /// db.pragma_update(None, "journal_mode", "wal")?;
    /// db.execute("CREATE TABLE invoice (id TEXT PRIMARY KEY, paid INTEGER)", [])?;
    /// let log = AuditLog::builder(audit).inbox(&app).open().await?;
    ///
    /// let mut tx = db.transaction()?;
    /// tx.execute("INSERT INTO invoice VALUES ('i-4', 1)", [])?;
    /// let staged = log.log_in(&mut tx, Event::new("invoice.paid").resource("invoice", "i-4"))?;
    /// tx.commit()?;
    ///
    /// let logged = log.settled(&staged).await?;
    /// assert_eq!(logged.receipt().map(|receipt| receipt.seq), Some(0));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`AuditLog::stage`], before anything is written; `InvalidArgument` when the transaction's file has
    /// no inbox; `Storage` when the insert fails.
    pub fn log_in(&self, transaction: &mut rusqlite::Transaction<'_>, event: Event) -> Result<Staged> {
        let staged = self.stage(event)?;
        if let Some(insert) = &staged.insert {
            transaction
                .prepare_cached(insert.sql)
                .and_then(|mut statement| statement.execute(rusqlite::params_from_iter(&insert.params)))
                .map_err(|error| {
                    if error.to_string().contains("no such table: sealog_inbox") {
                        let message = "the transaction's file has no inbox: name it in Builder::inbox";
                        return Error::new(ErrorKind::InvalidArgument, message).with_source(error);
                    }
                    let error = sqlite::application(error);
                    let message = format!("cannot insert into sealog_inbox: {}", error.message());
                    Error::new(error.kind(), message).with_source(error)
                })?;
        }
        Ok(staged)
    }

    /// Logs an event in the application's own transaction in the log's PostgreSQL database: the twin of
    /// [`AuditLog::log`] for tokio-postgres. It is there if the transaction commits, and never was if it rolls back.
    ///
    /// ```no_run
    /// # async fn pay(log: &sealog::AuditLog, db: &mut sealog::tokio_postgres::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use sealog::Event;
    ///
    /// let mut tx = db.transaction().await?;
    /// tx.execute("UPDATE invoice SET paid = true WHERE id = 'i-4'", &[]).await?;
    /// let staged = log.log_in_postgres(&mut tx, Event::new("invoice.paid").resource("invoice", "i-4")).await?;
    /// tx.commit().await?;
    /// log.settled(&staged).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`AuditLog::stage`], before anything is written; `InvalidArgument` when the log is in no database; `Storage`
    /// when the insert fails, and with it the transaction.
    #[cfg(feature = "postgres")]
    pub async fn log_in_postgres(
        &self,
        transaction: &mut tokio_postgres::Transaction<'_>,
        event: Event,
    ) -> Result<Staged> {
        use tokio_postgres::types::{ToSql, Type};
        let staged = self.stage_in_database(event)?;
        if let Some(insert) = &staged.insert {
            let params: Vec<_> = insert.params.iter().map(|text| (text as &(dyn ToSql + Sync), Type::TEXT)).collect();
            transaction.query_typed(insert.sql, &params).await.map_err(not_inserted)?;
        }
        Ok(staged)
    }

    /// Logs an event in the application's own transaction in the log's PostgreSQL database: the twin of
    /// [`AuditLog::log`] for sqlx. See [`AuditLog::log_in_postgres`].
    ///
    /// # Errors
    ///
    /// As [`AuditLog::log_in_postgres`].
    #[cfg(feature = "sqlx")]
    pub async fn log_in_sqlx(
        &self,
        transaction: &mut sqlx::Transaction<'_, sqlx::Postgres>,
        event: Event,
    ) -> Result<Staged> {
        let staged = self.stage_in_database(event)?;
        if let Some(insert) = &staged.insert {
            let query = sqlx::query(insert.sql);
            let query = insert.params.iter().fold(query, |query, param| query.bind(param.clone()));
            query.execute(&mut **transaction).await.map_err(not_inserted)?;
        }
        Ok(staged)
    }

    #[cfg(feature = "postgres")]
    fn stage_in_database(&self, event: Event) -> Result<Staged> {
        if let Place::File(_) = self.shared.place {
            dismantle(event);
            let message = "the log is in a file, and the transaction in a database; open the log by the database's URL";
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        self.stage(event)
    }

    /// The statement that logs an event in the application's own transaction, for any driver. The
    /// policy has been applied: what it redacts is not in the parameters.
    ///
    /// # Errors
    ///
    /// As [`AuditLog::log`]; `InvalidArgument` when this handle has no inbox, since nobody would drain it.
    pub fn stage(&self, event: Event) -> Result<Staged> {
        let (writer, event) = self.writer_for(event)?;
        if writer.inboxes.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
            dismantle(event);
            if writer.queue.is_closed() {
                return Err(closed());
            }
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "this handle has no inbox to stage an event for: name the application's file in Builder::inbox",
            ));
        }
        match writer.apply(&self.shared, event)? {
            Applied::Keep(prepared) => {
                let json = String::from_utf8_lossy(prepared.sealable.unsealed()).into_owned();
                let (mark, event) = writer.current.policy().mark_staged(&prepared);
                let digests = Some(Digests { event, row: writer.current.policy().keyed_digest(json.as_bytes()) });
                // Which of several inboxes this goes into is not known here.
                let (drained, inbox) = match &**writer.inboxes.lock().unwrap_or_else(PoisonError::into_inner) {
                    [inbox] => {
                        let (position, number) = inbox.drained();
                        (position.to_string(), number.to_owned())
                    }
                    _ => Default::default(),
                };
                let id = prepared.id;
                let insert = match &self.shared.place {
                    Place::File(_) => InboxSql {
                        sql: include_str!("../journal/sqlite/queries/inbox_insert.sql").trim_ascii_end(),
                        params: vec![id.clone(), json, mark, drained, inbox],
                    },
                    #[cfg(feature = "postgres")]
                    Place::Database(database) => {
                        InboxSql { sql: database.inbox_insert(), params: vec![id.clone(), json, mark] }
                    }
                };
                Ok(Staged { id, insert: Some(insert), digests })
            }
            Applied::Sampled { id } => {
                writer.count_sampled();
                Ok(Staged { id, insert: None, digests: None })
            }
        }
    }

    /// Waits until some event with this id is in the log, whoever puts it there. For one that was staged
    /// here [`AuditLog::settled`] knows more.
    ///
    /// It waits for as long as it takes; put a time-out around it where the transaction may not have
    /// committed. To a scoped handle, what its scope does not select never comes.
    ///
    /// # Errors
    ///
    /// When there is none, and a row of the inbox with this id was set aside, now or earlier: why.
    pub async fn sequenced(&self, id: &str) -> Result<Receipt> {
        self.awaited(id, None).await
    }

    /// Waits until this very event is in the log: another one with its id does not pass for it, nor does a
    /// row that was set aside under its id. One that was sampled away is not waited for.
    ///
    /// It waits for as long as it takes; put a time-out around it where the transaction may not have
    /// committed.
    ///
    /// # Errors
    ///
    /// When it was set aside: why. `IdConflict` when its id belongs to another event.
    pub async fn settled(&self, staged: &Staged) -> Result<Logged> {
        match &staged.digests {
            Some(digests) => self.awaited(&staged.id, Some(digests)).await.map(Logged::Recorded),
            None => Ok(Logged::Sampled { id: staged.id.clone() }),
        }
    }

    async fn awaited(&self, id: &str, digests: Option<&Digests>) -> Result<Receipt> {
        let mut size = self.shared.size.clone();
        let mut is_first = true;
        loop {
            size.mark_unchanged();
            let (wanted, digests, scope) = (id.to_owned(), digests.cloned(), self.scope.clone());
            let removed_id = self.removed_id(id);
            let found = self
                .snapshot(move |snapshot| {
                    let entry = find(snapshot, &wanted, removed_id.as_deref())?;
                    let event = digests.as_ref().map(|digests| digests.event);
                    let entry = entry.filter(|entry| event.is_none() || entry.removed || entry.digest == event);
                    if let Some(entry) = &entry
                        && !scope.is_whole()
                    {
                        let records = read_records(snapshot, entry.seq, entry.seq + 1)?;
                        if !records.first().map_or(Ok(false), |record| scope.record(record))? {
                            return Ok((None, None));
                        }
                    }
                    let rejected = match &entry {
                        Some(_) => None,
                        // Nobody can tell whose a rejected row was.
                        None if !scope.is_whole() => None,
                        None => snapshot.find_rejected(&wanted, digests.as_ref().map(|digests| &*digests.row))?,
                    };
                    Ok((entry, rejected))
                })
                .await?;
            match found {
                (Some(entry), _) => {
                    return Ok(Receipt {
                        id: id.to_owned(),
                        seq: entry.seq,
                        timestamp: entry.timestamp,
                        tree_size: entry.tree_size,
                        existed: false,
                        removed: entry.removed,
                    });
                }
                (None, Some(rejected)) => {
                    let kind = ErrorKind::all().find(|kind| kind.code() == rejected.code);
                    return Err(Error::new(
                        kind.unwrap_or(ErrorKind::InvalidEvent),
                        format!("the event was set aside: {}", rejected.reason),
                    ));
                }
                (None, None) => {
                    if std::mem::take(&mut is_first) {
                        self.hurry_inboxes();
                    }
                    self.news(&mut size).await?;
                }
            }
        }
    }

    /// Somebody waits for what is in an inbox.
    fn hurry_inboxes(&self) {
        if let Some(writer) = &self.shared.writer {
            writer.inboxes.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(Inbox::hurry);
        }
    }
}

#[cfg(feature = "postgres")]
fn not_inserted(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
    Error::new(ErrorKind::Storage, format!("cannot insert into the inbox: {cause}")).with_source(error)
}
