//! Tracking tables of an application's SQLite file.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use serde_json::Value;

use super::triggers::{Index, Table, triggers};
use super::{TrackOptions, TrackedTable};
use crate::error::{Error, ErrorKind, Result};
use crate::inbox::{connect, failed};
use crate::journal::sqlite::application;
use crate::policy::Compiled;

pub(super) fn track(file: &Path, table: &str, options: &TrackOptions, policy: &Compiled) -> Result<()> {
    let mut connection = connect(file)?;
    let transaction = begin(&mut connection, file)?;
    transaction
        .execute_batch(include_str!("../journal/sqlite/tracking/create.sql"))
        .map_err(|error| failed(file, error))?;
    let table = read_table(&transaction, table, options)?;
    drop_triggers(&transaction, &table.name).map_err(application)?;
    transaction.execute_batch(&triggers(&table, policy)).map_err(|error| failed(file, error))?;
    let json = |names: &[String]| serde_json::to_string(names).unwrap_or_default();
    transaction
        .execute(
            include_str!("../journal/sqlite/tracking/remember.sql"),
            params![table.name, json(&table.key), json(&options.exclude), json(&options.redact)],
        )
        .map_err(application)?;
    transaction.commit().map_err(|error| failed(file, error))
}

pub(super) fn untrack(file: &Path, table: &str) -> Result<bool> {
    let mut connection = connect(file)?;
    let transaction = begin(&mut connection, file)?;
    if !is_made(&transaction).map_err(application)? {
        return Ok(false);
    }
    let dropped = drop_triggers(&transaction, table).map_err(application)?;
    transaction.execute(include_str!("../journal/sqlite/tracking/forget.sql"), [table]).map_err(application)?;
    transaction.commit().map_err(|error| failed(file, error))?;
    Ok(dropped > 0)
}

pub(super) fn tracked(file: &Path) -> Result<Vec<TrackedTable>> {
    let connection = connect(file)?;
    if !is_made(&connection).map_err(application)? {
        return Ok(Vec::new());
    }
    read_tracked(&connection, file).map_err(application)
}

/// Makes the triggers anew whose table or policy is another one since they were made.
pub(crate) fn refresh(connection: &mut Connection, file: &Path, policy: &Compiled) -> Result<()> {
    if !is_made(connection).map_err(application)? {
        return Ok(());
    }
    let mut stale = Vec::new();
    for tracked in read_tracked(connection, file).map_err(application)? {
        let TrackedTable { table, key, exclude, redact, .. } = tracked;
        let options = TrackOptions { key, exclude, redact, inbox: None };
        // A table whose column is gone is tracked as it was: who renamed it says how it goes on.
        let Ok(table) = read_table(connection, &table, &options) else { continue };
        let made = triggers(&table, policy);
        let squeeze = |sql: &str| sql.split_whitespace().collect::<Vec<_>>().join(" ").replace(';', "");
        let found = trigger_names(connection, &table.name).map_err(application)?;
        if !found.iter().all(|(_, sql)| squeeze(&made).contains(&squeeze(sql))) {
            stale.push((table.name, made));
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    let transaction = begin(connection, file)?;
    for (name, made) in stale {
        drop_triggers(&transaction, &name).map_err(application)?;
        transaction.execute_batch(&made).map_err(|error| failed(file, error))?;
    }
    transaction.commit().map_err(|error| failed(file, error))
}

fn begin<'c>(connection: &'c mut Connection, file: &Path) -> Result<Transaction<'c>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|error| failed(file, error))
}

fn is_made(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row(include_str!("../journal/sqlite/tracking/made.sql"), [], |row| Ok(row.get::<_, i64>(0)? == 3))
}

fn read_tracked(connection: &Connection, file: &Path) -> rusqlite::Result<Vec<TrackedTable>> {
    let mut statement = connection.prepare(include_str!("../journal/sqlite/tracking/tracked.sql"))?;
    let rows = statement.query_map([], |row| {
        let names = |index| -> rusqlite::Result<Vec<String>> {
            Ok(serde_json::from_str(&row.get::<_, String>(index)?).unwrap_or_default())
        };
        Ok(TrackedTable {
            inbox: Some(file.to_owned()),
            table: row.get(0)?,
            key: names(1)?,
            exclude: names(2)?,
            redact: names(3)?,
        })
    })?;
    rows.collect()
}

fn trigger_names(connection: &Connection, table: &str) -> rusqlite::Result<Vec<(String, String)>> {
    let mut statement = connection.prepare(include_str!("../journal/sqlite/tracking/trigger_names.sql"))?;
    statement.query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

fn drop_triggers(connection: &Connection, table: &str) -> rusqlite::Result<usize> {
    let names = trigger_names(connection, table)?;
    for (name, _) in &names {
        connection.execute_batch(&format!("DROP TRIGGER \"{}\"", name.replace('"', "\"\"")))?;
    }
    Ok(names.len())
}

fn read_table(connection: &Connection, name: &str, options: &TrackOptions) -> Result<Table> {
    let wrong = |message: String| Error::new(ErrorKind::InvalidArgument, message);
    let found: Option<(String, String, bool)> = connection
        .query_row(include_str!("../journal/sqlite/tracking/kind.sql"), [name], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()
        .map_err(application)?;
    let Some((kind, name, without_rowid)) = found else {
        return Err(wrong(format!("there is no table {name:?} to track")));
    };
    if kind != "table" {
        return Err(wrong(format!("{name:?} is a {kind}, which has no triggers for rows; track the tables behind it")));
    }
    if name.to_ascii_lowercase().starts_with("sealog_") {
        return Err(wrong(format!("{name:?} is a table of the log's own")));
    }
    let read = || -> rusqlite::Result<_> {
        let mut statement = connection.prepare(include_str!("../journal/sqlite/tracking/columns.sql"))?;
        let columns = statement.query_map([&name], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let columns = columns.collect::<rusqlite::Result<Vec<(String, i64)>>>()?;
        let mut statement = connection.prepare(include_str!("../journal/sqlite/tracking/unique_columns.sql"))?;
        let unique = statement.query_map([&name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        Ok((columns, unique.collect::<rusqlite::Result<Vec<(i64, Option<String>, String)>>>()?))
    };
    let (columns, unique) = read().map_err(application)?;

    let known = |wanted: &String| {
        let found = columns.iter().find(|(column, _)| column.eq_ignore_ascii_case(wanted));
        found.map(|(column, _)| column.clone()).ok_or_else(|| wrong(format!("{name:?} has no column {wanted:?}")))
    };
    let mut primary: Vec<_> = columns.iter().filter(|(_, place)| *place > 0).collect();
    primary.sort_by_key(|(_, place)| *place);
    let primary: Vec<_> = primary.into_iter().map(|(column, _)| column.clone()).collect();
    let key = options.key.iter().map(known).collect::<Result<Vec<_>>>()?;
    let excluded = options.exclude.iter().map(known).collect::<Result<Vec<_>>>()?;
    let redacted = options.redact.iter().map(known).collect::<Result<Vec<_>>>()?;
    let key = if key.is_empty() { primary.clone() } else { key };
    if key.is_empty() {
        return Err(wrong(format!(
            "{name:?} has no primary key: name the column that a record is known by as its key"
        )));
    }
    if let Some(column) = key.iter().find(|column| excluded.contains(column)) {
        return Err(wrong(format!("{column:?} is the key, which cannot be left out; hide it instead")));
    }
    let columns: Vec<_> = columns.into_iter().map(|(column, _)| column).collect();
    let rowid = ["rowid", "_rowid_", "oid"].into_iter();
    let rowid = rowid.filter(|_| !without_rowid).find(|name| !columns.iter().any(|c| c.eq_ignore_ascii_case(name)));

    let mut indexes = BTreeMap::<i64, Index>::new();
    for (number, column, collation) in unique {
        indexes.entry(number).or_default().push((column, collation));
    }
    let kept = columns.into_iter().filter(|column| !excluded.contains(column)).collect();
    Ok(Table { name, columns: kept, primary, key, redacted, rowid, unique: indexes.into_values().collect() })
}

/// What a context may hold.
const CONTEXT: [&str; 10] = [
    "actorId",
    "actorType",
    "actorName",
    "onBehalfOf",
    "ipAddress",
    "userAgent",
    "sessionId",
    "requestId",
    "tenant",
    "metadata",
];

/// Says who acts, for all changes of tracked tables that `work` makes in a transaction of a SQLite file: `context` is an
/// object with some of `actorId`, `actorType`, `actorName`, `onBehalfOf`, `ipAddress`, `userAgent`, `sessionId`,
/// `requestId`, `tenant` and `metadata`. In PostgreSQL `sealog.set_context` does.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut db = sealog::rusqlite::Connection::open("app.db")?;
/// let tx = db.transaction()?;
/// sealog::acting_in(&tx, &serde_json::json!({"actorId": "u-17"}), |tx| {
///     tx.execute("UPDATE invoice SET paid = 1 WHERE id = 'i-4'", [])
/// })?;
/// tx.commit()?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// `InvalidArgument` when the context holds anything else, or no table of the file is tracked; what `work` fails with.
pub fn acting_in<T>(
    transaction: &Connection,
    context: &Value,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> Result<T> {
    let wrong = |message: String| Error::new(ErrorKind::InvalidArgument, message);
    let Value::Object(members) = context else { return Err(wrong("a context is a JSON object".to_owned())) };
    for (name, value) in members {
        let fits = if name == "metadata" { value.is_object() } else { value.is_string() };
        if !CONTEXT.contains(&name.as_str()) || !fits {
            return Err(wrong(format!("{name:?} is no part of a context, or not of its type")));
        }
    }
    transaction
        .prepare_cached(include_str!("../journal/sqlite/tracking/set_context.sql"))
        .and_then(|mut set| set.execute([context.to_string()]))
        .map_err(|error| match error.to_string() {
            text if text.contains("no such table") => wrong("no table of this file is tracked".to_owned()),
            _ => application(error),
        })?;
    let result = work(transaction);
    // Also where the work failed: what was done before it may still be committed.
    transaction
        .prepare_cached(include_str!("../journal/sqlite/tracking/clear_context.sql"))
        .and_then(|mut clear| clear.execute([]))
        .map_err(application)?;
    result.map_err(application)
}
