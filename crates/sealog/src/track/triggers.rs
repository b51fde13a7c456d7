//! The triggers of a tracked table in SQLite, as text: the language has no functions to share.

use std::fmt::Write as _;

use crate::policy::{Compiled, Mode, pointer};

/// How many columns one call of `json_object` takes: SQLite allows 127 arguments.
const COLUMNS_AT_ONCE: usize = 60;
/// What a row's values may take of JSON together, each its share: an event's state takes
/// [`MAX_STATE_BYTES`](crate::MAX_STATE_BYTES), the names included.
const ROW_BYTES: usize = 900 * 1024;
/// How many bytes of JSON one byte of a text may take.
const ESCAPED_BYTES: usize = 6;
/// The longest id of a record; [`MAX_FIELD_BYTES`](crate::MAX_FIELD_BYTES) is what an event takes.
const ID_CHARS: usize = 200;

/// The columns of a unique index with their collations; `None` for an expression.
pub(super) type Index = Vec<(Option<String>, String)>;

/// A table as its triggers see it.
pub(super) struct Table {
    pub(super) name: String,
    /// Those that are kept.
    pub(super) columns: Vec<String>,
    pub(super) primary: Vec<String>,
    pub(super) key: Vec<String>,
    pub(super) redacted: Vec<String>,
    /// What the rowid is called where there is one.
    pub(super) rowid: Option<&'static str>,
    pub(super) unique: Vec<Index>,
}

/// The statements that make the triggers of a table.
pub(super) fn triggers(table: &Table, policy: &Compiled) -> String {
    let template = include_str!("../journal/sqlite/tracking/triggers.sql");
    filled(template, |name| Maker { table, policy }.part(name))
}

/// Puts `part` in the place of each `$name`. What it puts there is not looked at again.
fn filled(template: &str, part: impl Fn(&str) -> String) -> String {
    let mut parts = template.split('$');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for rest in parts {
        let end = rest.find(|char: char| !(char.is_ascii_lowercase() || char == '_')).unwrap_or(rest.len());
        if end == 0 {
            // A path of JSON.
            out.push('$');
        } else {
            out.push_str(&part(&rest[..end]));
        }
        out.push_str(&rest[end..]);
    }
    out
}

struct Maker<'a> {
    table: &'a Table,
    policy: &'a Compiled,
}

impl Maker<'_> {
    fn part(&self, name: &str) -> String {
        let rowid = |of: &str| self.table.rowid.map_or("NULL".to_owned(), |rowid| format!("{of}.{rowid}"));
        match name {
            "table" => quoted(&self.table.name),
            "name" => literal(&self.table.name),
            "row_r" => rowid("r"),
            "row_t" => rowid("t"),
            "row_new" => rowid("NEW"),
            "id_r" => self.id("r"),
            "id_new" => self.id("NEW"),
            "id_old" => self.id("OLD"),
            "state_r" => self.state("r"),
            "changed_r_new" => self.changed("r"),
            "differs_r_new" => self.differs("r"),
            "differs_old_new" => self.differs("OLD"),
            "conflicts_new" => self.conflicts(),
            "is_old" => self.is_old(),
            "event_created" => self.event("record.created", &self.id("NEW"), &[("after", self.state("NEW"))]),
            "event_deleted" => self.event("record.deleted", &self.id("OLD"), &[("before", self.state("OLD"))]),
            "event_updated" => self.event(
                "record.updated",
                &self.id("NEW"),
                &[("before", self.state("OLD")), ("after", self.state("NEW")), ("changed", self.changed("OLD"))],
            ),
            "event_replaced" => self.event(
                "record.updated",
                &self.id("NEW"),
                &[
                    ("before", "json(replaced.before)".to_owned()),
                    ("after", self.state("NEW")),
                    ("changed", "json(replaced.changed)".to_owned()),
                ],
            ),
            "event_deleted_replaced" => {
                self.event("record.deleted", "replaced.id", &[("before", "json(replaced.before)".to_owned())])
            }
            // The names of the triggers.
            _ => quoted(&format!("sealog_{name}_{}", self.table.name)),
        }
    }

    fn event(&self, action: &str, id: &str, states: &[(&str, String)]) -> String {
        let states: Vec<_> = states.iter().map(|(name, state)| format!("'{name}', {state}")).collect();
        filled(include_str!("../journal/sqlite/tracking/event.sql").trim_ascii_end(), |name| match name {
            "action" => literal(action),
            "name" => literal(&self.table.name),
            "id" => id.to_owned(),
            _ => states.join(", "),
        })
    }

    /// How a column is hidden, if it is.
    fn mode(&self, column: &str) -> Option<Mode> {
        let by_policy = self.policy.column_mode(column);
        // Of two ways the one that leaves less.
        let redacts = self.table.redacted.iter().any(|redacted| redacted == column) && by_policy != Some(Mode::Remove);
        if redacts { Some(Mode::Redact) } else { by_policy }
    }

    /// A row as JSON.
    fn state(&self, of: &str) -> String {
        let members: Vec<_> = (self.table.columns.iter())
            .filter(|column| self.mode(column) != Some(Mode::Remove))
            .map(|column| {
                let value = format!("{of}.{}", quoted(column));
                let shown = match self.mode(column) {
                    Some(mode) => hidden(mode, &value),
                    None => format!(
                        "CASE WHEN {} AND length(CAST(json_quote({plain}) AS BLOB)) > {} \
                         THEN printf('[OMITTED %d bytes]', length(CAST({value} AS BLOB))) ELSE {plain} END",
                        self.may_be_large(&value),
                        self.share(),
                        plain = plain(&value)
                    ),
                };
                format!("{}, {shown}", literal(column))
            })
            .collect();
        let mut objects = members.chunks(COLUMNS_AT_ONCE).map(|some| format!("json_object({})", some.join(", ")));
        match (objects.next(), members.len() > COLUMNS_AT_ONCE) {
            (None, _) => "json_object()".to_owned(),
            (Some(first), false) => first,
            (Some(first), true) => {
                let inside = |object: String| format!("substr({object}, 2, length({object}) - 2)");
                let rest = objects.map(inside).fold(inside(first), |all, next| format!("{all} || ',' || {next}"));
                format!("json('{{' || {rest} || '}}')")
            }
        }
    }

    /// How many bytes of JSON each value may take.
    fn share(&self) -> usize {
        ROW_BYTES / self.table.columns.len().max(1)
    }

    /// Whether a value may take more than its share.
    fn may_be_large(&self, value: &str) -> String {
        format!("length(CAST({value} AS BLOB)) > {}", self.share() / ESCAPED_BYTES)
    }

    /// Pointers to what differs from the new row where the states would not show it.
    fn changed(&self, of: &str) -> String {
        let mut rows = String::new();
        for column in &self.table.columns {
            let mut path = String::new();
            pointer::push(&mut path, column);
            let differs = differs(of, column);
            let differs = if self.mode(column).is_some() {
                differs
            } else {
                let large = [of, "NEW"].map(|of| self.may_be_large(&format!("{of}.{}", quoted(column))));
                format!("({} OR {}) AND {differs}", large[0], large[1])
            };
            let comma = if rows.is_empty() { "" } else { ", " };
            let _ = write!(rows, "{comma}({}, {differs})", literal(&path));
        }
        format!("json((SELECT json_group_array(column1) FROM (VALUES {rows}) WHERE column2))")
    }

    fn differs(&self, of: &str) -> String {
        let each: Vec<_> = self.table.columns.iter().map(|column| differs(of, column)).collect();
        format!("({})", each.join(" OR "))
    }

    /// What a record is known by, as it is shown.
    fn id(&self, of: &str) -> String {
        let shown = |column: &String| {
            let value = format!("{of}.{}", quoted(column));
            match self.mode(column) {
                Some(mode) => hidden(mode, &value),
                None => plain(&value),
            }
        };
        let id = match &self.table.key[..] {
            [column] => format!("CAST({} AS TEXT)", shown(column)),
            // As a text, which JSON by itself would not be.
            columns => format!("json_array({}) || ''", columns.iter().map(shown).collect::<Vec<_>>().join(", ")),
        };
        format!("CASE WHEN length({id}) > {ID_CHARS} THEN substr({id}, 1, {ID_CHARS}) || '…' ELSE {id} END")
    }

    /// Which rows `r` the new row takes the place of, should it replace.
    fn conflicts(&self) -> String {
        let primary = self.table.primary.iter().map(|column| (Some(column.clone()), "BINARY".to_owned())).collect();
        let of_index = |index: &Index| {
            let same = index.iter().map(|(column, collation)| {
                // What is unique by an expression is not seen.
                let column = quoted(column.as_ref()?);
                Some(format!("r.{column} = NEW.{column} COLLATE {}", quoted(collation)))
            });
            let same = same.collect::<Option<Vec<_>>>()?;
            (!same.is_empty()).then(|| format!("({})", same.join(" AND ")))
        };
        // The primary key has an index too, with its collations, unless it is the rowid.
        let all: Vec<_> = std::iter::once(&primary).chain(&self.table.unique).filter_map(of_index).collect();
        if all.is_empty() { "false".to_owned() } else { all.join(" OR ") }
    }

    fn is_old(&self) -> String {
        if let Some(rowid) = self.table.rowid {
            return format!("r.{rowid} = OLD.{rowid}");
        }
        let same = self.table.primary.iter().map(|column| format!("r.{0} IS OLD.{0}", quoted(column)));
        same.collect::<Vec<_>>().join(" AND ")
    }
}

/// Whether a column differs from the new row's: to the byte, whatever its collation.
fn differs(of: &str, column: &str) -> String {
    let column = quoted(column);
    format!("{of}.{column} COLLATE BINARY IS NOT NEW.{column} COLLATE BINARY")
}

/// A value as JSON can hold it: exact numbers, and bytes in hexadecimal digits.
fn plain(value: &str) -> String {
    format!(
        "CASE typeof({value}) \
         WHEN 'real' THEN CASE WHEN abs({value}) <= 1.7976931348623157e308 THEN json(printf('%!.17g', {value})) \
         ELSE CAST({value} AS TEXT) END \
         WHEN 'blob' THEN '\\x' || lower(hex({value})) \
         WHEN 'text' THEN CASE WHEN instr({value}, char(0)) THEN '\\x' || lower(hex({value})) ELSE {value} END \
         ELSE {value} END"
    )
}

/// What stands for a value. A hash takes the log's key, which is not in this file: nothing of the value stays.
fn hidden(mode: Mode, value: &str) -> String {
    match mode {
        Mode::Mask => format!(
            "CASE WHEN typeof({value}) NOT IN ('text', 'integer', 'real') THEN '[REDACTED]' \
             WHEN length({value}) > 4 THEN '****' || substr({value}, -4) ELSE '****' END"
        ),
        Mode::Redact | Mode::Hash | Mode::Remove => "'[REDACTED]'".to_owned(),
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::filled;

    #[test]
    fn what_is_filled_in_is_not_looked_at_again() {
        let sql = filled("SELECT '$.a', $one FROM $two_x;", |name| format!("\"$one {name}\""));
        assert_eq!(sql, "SELECT '$.a', \"$one one\" FROM \"$one two_x\";");
    }
}
