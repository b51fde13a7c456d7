//! The schema: making it, bringing it forward, and whether it is as it was made.

use std::collections::BTreeMap;

use super::read::column;
use super::{Link, MIGRATIONS, OLDEST_VERSION, functions, quoted};
use crate::error::{Error, ErrorKind, Result};

/// That the server is one that works.
pub(super) fn check_server(link: &Link) -> Result<()> {
    let rows = link.query(include_str!("queries/server.sql"), &[])?;
    let row = rows.first().ok_or_else(|| Error::new(ErrorKind::Storage, "the database did not say what it is"))?;
    let (version, encoding): (i32, &str) = (column(row, 0)?, column(row, 1)?);
    if version < OLDEST_VERSION {
        let message = format!(
            "the server is PostgreSQL {}, and the oldest that works is {}",
            version / 10_000,
            OLDEST_VERSION / 10_000
        );
        return Err(Error::new(ErrorKind::Format, message));
    }
    if encoding != "UTF8" {
        let message = format!("the database's encoding is {encoding}; a log needs one in UTF8");
        return Err(Error::new(ErrorKind::Format, message));
    }
    Ok(())
}

/// Whether there are tables of a log.
pub(super) fn exists(link: &Link) -> Result<bool> {
    let rows = link.query(include_str!("queries/schema_exists.sql"), &[])?;
    rows.first().map_or(Ok(false), |row| column(row, 0))
}

/// How many migrations have run.
pub(super) fn version(link: &Link) -> Result<usize> {
    let rows = link.query(include_str!("queries/schema_version.sql"), &[])?;
    rows.first().map_or(Ok(0), |row| Ok(column::<i32>(row, 0)? as usize))
}

/// That the database role may write the log, which no transaction before the first event would tell.
pub(super) fn check_writable(link: &Link) -> Result<()> {
    let rows = link.query(include_str!("queries/may_write.sql"), &[])?;
    if rows.first().map_or(Ok(false), |row| column(row, 0))? {
        return Ok(());
    }
    let message = "the database role may not write the log; `sealog database setup` makes roles, and docs/POSTGRES.md \
                   tells which";
    Err(Error::new(ErrorKind::Storage, message))
}

/// That the schema is the one that this program knows.
pub(super) fn check_version(version: usize) -> Result<()> {
    let known = MIGRATIONS.len();
    let what = match version.cmp(&known) {
        std::cmp::Ordering::Equal => return Ok(()),
        std::cmp::Ordering::Less => "open it once for writing, or run `sealog database setup`, to bring it forward",
        std::cmp::Ordering::Greater => "use a newer program",
    };
    Err(Error::new(ErrorKind::Format, format!("the log has schema {version} and this program knows {known}: {what}")))
}

/// Makes the tables, or brings them forward, in one transaction with what `then` does.
pub(super) fn bring_forward(link: &Link, then: impl FnOnce(&Link) -> Result<()>) -> Result<()> {
    link.batch(concat!("BEGIN;", include_str!("queries/lock.sql")))?;
    let result = migrate(link).and_then(|()| then(link));
    match result {
        Ok(()) => link.batch("COMMIT"),
        Err(error) => {
            let _ = link.batch("ROLLBACK");
            Err(error)
        }
    }
}

fn migrate(link: &Link) -> Result<()> {
    if !exists(link)? {
        let name = quoted(&link.database.address.schema);
        link.batch(&include_str!("queries/schema_create.sql").replace("$schema", &name))?;
    }
    let found = version(link)?;
    if found > MIGRATIONS.len() {
        return check_version(found);
    }
    for (number, migration) in (1_i32..).zip(MIGRATIONS).skip(found) {
        link.batch(migration)?;
        link.query(include_str!("queries/insert_migration.sql"), &[&number])?;
    }
    functions::install(link)
}

/// What each table of the journal is made of, and what is attached to it.
type Schema = BTreeMap<String, String>;

/// What of the schema is not as it should be: what it is called, what was expected, and what was found.
pub(super) fn differences(link: &Link) -> Result<Vec<(String, String, String)>> {
    let expected: Schema = include_str!("schema.txt")
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, made)| (name.to_owned(), made.to_owned()))
        .collect();
    let found = read(link)?;
    let names: std::collections::BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    let text = |schema: &Schema, name| schema.get(name).cloned().unwrap_or_else(|| "none".to_owned());
    let differing = names.into_iter().filter(|name| expected.get(*name) != found.get(*name));
    Ok(differing.map(|name| (name.clone(), text(&expected, name), text(&found, name))).collect())
}

/// That the log may be written to.
pub(super) fn check(link: &Link) -> Result<()> {
    let Some((name, expected, found)) = differences(link)?.into_iter().next() else { return Ok(()) };
    Err(Error::new(
        ErrorKind::Integrity,
        format!("the log's schema is another than Sealog makes, in the {name}: expected {expected}, found {found}"),
    ))
}

fn read(link: &Link) -> Result<Schema> {
    let rows = link.query(include_str!("queries/schema.sql"), &[])?;
    rows.iter().map(|row| Ok((column(row, 0)?, column(row, 1)?))).collect()
}
