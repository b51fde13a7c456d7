//! A database of one test.

use std::process::Command;

use crate::server::{MAINTENANCE, Server, exclusive};

/// A database of its own on a [`Server`], dropped with this value.
#[derive(Debug)]
pub struct Database<'s> {
    server: &'s Server,
    name: String,
}

impl<'s> Database<'s> {
    pub(crate) fn create(server: &'s Server, name: String, template: &str) -> Self {
        server.psql(MAINTENANCE, &format!("CREATE DATABASE {name} TEMPLATE {template}")).expect("a database is made");
        Self { server, name }
    }

    /// The server that it is on.
    pub fn server(&self) -> &'s Server {
        self.server
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is, for the superuser.
    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }

    /// Where it is, for this role, which needs no password.
    pub fn url_as(&self, role: &str) -> String {
        self.server.url_as(role, &self.name)
    }

    /// What `psql` prints: rows as lines, fields separated by `|`.
    ///
    /// # Panics
    ///
    /// When a statement fails.
    pub fn sql(&self, sql: &str) -> String {
        self.try_sql(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// As [`Database::sql`], of statements that may fail.
    ///
    /// # Errors
    ///
    /// What `psql` says of it.
    pub fn try_sql(&self, sql: &str) -> Result<String, String> {
        self.server.psql(&self.name, sql)
    }

    /// All rows of all its tables, as `pg_dump` writes them: the text of each value.
    ///
    /// # Panics
    ///
    /// When it cannot be read.
    pub fn dump(&self) -> String {
        let mut pg_dump = Command::new(self.server.program("pg_dump"));
        let output = pg_dump.args(["--data-only", "-d", &self.url()]).output().expect("pg_dump runs");
        assert!(output.status.success(), "pg_dump: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Makes it the one that others are copied from, so it is not dropped.
    pub(crate) fn keep(mut self) -> String {
        // What was connected may still be on its way out, and nobody may be when a database is copied.
        self.server
            .psql(MAINTENANCE, &format!("ALTER DATABASE {} WITH ALLOW_CONNECTIONS false", self.name))
            .and_then(|_| self.server.psql(MAINTENANCE, &exclusive(&self.name)))
            .expect("a template is closed");
        std::mem::take(&mut self.name)
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        if !self.name.is_empty() {
            // Best effort: the server may have been stopped, and goes with all that is on it.
            let _ = self.server.psql(MAINTENANCE, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        }
    }
}
