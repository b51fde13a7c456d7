//! The functions of the schema: events from SQL, redaction, tracked tables. They are run again whenever they have
//! changed, so that a newer program brings newer ones.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio_postgres::error::DbError;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error as PgError, Row};

use super::read::column;
use super::{Database, Link};
use crate::error::{Error, ErrorKind, Result};
use crate::policy::Policy;

const FUNCTIONS: [&str; 3] = [
    include_str!("functions/1_events.sql"),
    include_str!("functions/2_redaction.sql"),
    include_str!("functions/3_tracking.sql"),
];
/// What functions that check what they are given refuse it with.
const REFUSED: &str = "22023";

/// Makes the functions where they are not there or others, with the rules of the default policy where there are none.
pub(super) fn install(link: &Link) -> Result<()> {
    let digest = FUNCTIONS.iter().fold(Sha256::new(), Digest::chain_update).finalize();
    let mut version = String::new();
    for byte in digest {
        let _ = write!(version, "{byte:02x}");
    }
    let rows = link.query(include_str!("queries/functions_version.sql"), &[])?;
    let found: Option<&str> = rows.first().map_or(Ok(None), |row| column(row, 0))?;
    if found == Some(version.as_str()) {
        return Ok(());
    }
    for sql in FUNCTIONS {
        link.batch(sql)?;
    }
    if found.is_none() {
        let rules = Policy::default().compile([0; 32])?.database_rules();
        link.query(include_str!("queries/set_redaction.sql"), &[&rules.to_string()])?;
    }
    link.batch(&include_str!("queries/set_functions_version.sql").replace("$version", &version))
}

/// Tells the database what to hide before it writes a row of the inbox.
pub(crate) fn set_redaction(database: &Arc<Database>, rules: &Value) -> Result<()> {
    let link = database.connect(database.patience)?;
    let rules = rules.to_string();
    let rows = link.query(include_str!("queries/redaction_is.sql"), &[&rules])?;
    if !rows.first().map_or(Ok(false), |row| column(row, 0))? {
        link.query(include_str!("queries/set_redaction.sql"), &[&rules])?;
    }
    Ok(())
}

/// A table that is tracked: its name, key, and what is excluded and redacted.
pub(crate) type Tracked = (String, Vec<String>, Vec<String>, Vec<String>);

pub(crate) fn track(
    database: &Arc<Database>,
    table: &str,
    key: &[String],
    exclude: &[String],
    redact: &[String],
) -> Result<()> {
    let link = database.connect(database.patience)?;
    ask(&link, include_str!("queries/track.sql"), &[&table, &key, &exclude, &redact]).map(drop)
}

pub(crate) fn untrack(database: &Arc<Database>, table: &str) -> Result<bool> {
    let link = database.connect(database.patience)?;
    let rows = ask(&link, include_str!("queries/untrack.sql"), &[&table])?;
    rows.first().map_or(Ok(false), |row| column(row, 0))
}

pub(crate) fn tracked(database: &Arc<Database>) -> Result<Vec<Tracked>> {
    let link = database.connect(database.patience)?;
    let rows = link.query(include_str!("queries/tracked.sql"), &[])?;
    rows.iter().map(|row| Ok((column(row, 0)?, column(row, 1)?, column(row, 2)?, column(row, 3)?))).collect()
}

/// Asks a function that says by itself what is wrong with what it is given.
fn ask(link: &Link, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
    link.query(sql, params).map_err(|error| {
        let said = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<PgError>());
        match said.and_then(PgError::as_db_error).filter(|said| said.code().code() == REFUSED) {
            Some(said) => Error::new(ErrorKind::InvalidArgument, refusal(said)),
            None => error,
        }
    })
}

/// What a function of the schema refuses, with its advice.
fn refusal(said: &DbError) -> String {
    let message = said.message().strip_prefix("sealog: ").unwrap_or(said.message());
    match said.hint() {
        Some(hint) => format!("{message}: {hint}"),
        None => message.to_owned(),
    }
}
