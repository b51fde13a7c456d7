//! Whether the file's tables are those that the program makes, and nothing beside them: a trigger could undo
//! what is written, and a view stand in the place of a table.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::{MIGRATIONS, storage};
use crate::error::{Error, ErrorKind, Result};

/// What each table, index, trigger and view was made by.
type Schema = BTreeMap<String, String>;

/// What of the schema is not as it should be: what it is called, what was expected, and what was found.
pub(super) fn differences(connection: &Connection) -> Result<Vec<(String, String, String)>> {
    let made = Connection::open_in_memory().map_err(storage)?;
    for migration in MIGRATIONS {
        made.execute_batch(migration).map_err(storage)?;
    }
    let (expected, found) = (read(&made)?, read(connection)?);
    let names: std::collections::BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    let text = |schema: &Schema, name| schema.get(name).cloned().unwrap_or_else(|| "none".to_owned());
    let differing = names.into_iter().filter(|name| expected.get(*name) != found.get(*name));
    Ok(differing.map(|name| (name.clone(), text(&expected, name), text(&found, name))).collect())
}

/// That the log may be written to.
pub(super) fn check(connection: &Connection) -> Result<()> {
    let Some((name, expected, found)) = differences(connection)?.into_iter().next() else { return Ok(()) };
    Err(Error::new(
        ErrorKind::Integrity,
        format!(
            "the log's file has another schema than Sealog makes, in the {name}: expected {expected}, found {found}"
        ),
    ))
}

fn read(connection: &Connection) -> Result<Schema> {
    let mut statement = connection.prepare(include_str!("queries/schema.sql")).map_err(storage)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(storage)?;
    rows.collect::<rusqlite::Result<_>>().map_err(storage)
}
