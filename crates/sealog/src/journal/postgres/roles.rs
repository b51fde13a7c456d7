//! The roles that share the work: who writes to the inbox, who reads, who sequences.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::{Database, quoted, schema};
use crate::error::Result;

/// The roles that [`AuditLog::set_up_database`](crate::AuditLog::set_up_database) makes. Nobody can log in by them:
/// they are granted to the roles of programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DatabaseRoles {
    /// May insert into the inbox, and neither read nor change anything.
    pub inbox: String,
    /// May read the log.
    pub reader: String,
    /// May write the log: what `sealog serve` needs.
    pub sequencer: String,
}

/// Makes the schema where it is not there, brings it forward, and gives each role what it may do. What is there
/// already stays.
pub(crate) fn set_up(database: &Arc<Database>) -> Result<DatabaseRoles> {
    let link = database.connect(Duration::ZERO)?;
    schema::check_server(&link)?;
    let name = |of: &str| format!("{}_{of}", database.address.schema);
    let names = DatabaseRoles { inbox: name("inbox"), reader: name("reader"), sequencer: name("sequencer") };
    schema::bring_forward(&link, |link| {
        let roles = include_str!("queries/roles.sql")
            .replace("$schema", &quoted(&database.address.schema))
            .replace("$inbox", &quoted(&names.inbox))
            .replace("$reader", &quoted(&names.reader))
            .replace("$sequencer", &quoted(&names.sequencer));
        for role in [&names.inbox, &names.reader, &names.sequencer] {
            if link.query(include_str!("queries/role_exists.sql"), &[role])?.is_empty() {
                link.batch(&format!("CREATE ROLE {} NOLOGIN", quoted(role)))?;
            }
        }
        link.batch(&roles)
    })?;
    schema::check(&link)?;
    Ok(names)
}
