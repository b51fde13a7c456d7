//! CSV: a table of RFC 4180, which programs and spreadsheets read alike.

use super::field::{Body, Field, plain};
use super::layout::{COUNT, TextLayout};
use super::options::Columns;
use super::source::Group;

/// The head of a report would be no rows of its table, so there is none.
pub(super) struct Csv {
    groups: Vec<Field>,
    /// The columns behind those of the group.
    fields: Vec<Field>,
    /// What each row of the group begins with.
    group: String,
}

impl Csv {
    pub(super) fn new(columns: Columns) -> Self {
        let (groups, fields) = columns.in_a_table();
        Self { groups, fields, group: String::new() }
    }
}

impl TextLayout for Csv {
    fn begin(&mut self, text: &mut String) {
        let mut names: Vec<_> = self.groups.iter().map(|field| &*field.name).collect();
        if !names.is_empty() {
            names.push(COUNT);
        }
        names.extend(self.fields.iter().map(|field| &*field.name));
        for (index, name) in names.into_iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            push_cell(text, name);
        }
        text.push_str("\r\n");
    }

    fn group(&mut self, _: &mut String, group: &Group) {
        self.group.clear();
        for value in group.values() {
            push_value(&mut self.group, value);
            self.group.push(',');
        }
        self.group.push_str(&group.count.to_string());
        if !self.fields.is_empty() {
            self.group.push(',');
        }
    }

    fn row(&mut self, text: &mut String, body: &Body<'_>) {
        text.push_str(&self.group);
        for (index, field) in self.fields.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            push_value(text, body.get(field).as_deref());
        }
        text.push_str("\r\n");
    }

    fn end(&mut self, _: &mut String, _: u64) {}
}

/// Appends a value: a string as it is, all else as JSON, and nothing where there is none.
fn push_value(text: &mut String, json: Option<&str>) {
    let Some(json) = json else { return };
    // A number may begin with a minus and is no formula; nothing else of JSON begins like one.
    if json.starts_with('"') {
        let value = plain(json);
        if runs(&value) {
            return push_cell(text, &format!("'{value}"));
        }
        return push_cell(text, &value);
    }
    push_cell(text, json);
}

/// Whether a spreadsheet would run the text as a formula, or might after it has stripped what it begins
/// with. A text that begins with the apostrophe itself counts, so that reading back is to take one away.
///
/// The list is that of OWASP, "CSV Injection", with the full-width forms that some programs fold.
fn runs(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\'', '＝', '＋', '－', '＠'])
}

fn push_cell(text: &mut String, value: &str) {
    // Spaces at the ends belong to a field, and some readers keep them in quotes only.
    let special = value.bytes().any(|byte| matches!(byte, b'"' | b',' | b'\r' | b'\n'));
    if !special && !value.starts_with(' ') && !value.ends_with(' ') {
        text.push_str(value);
        return;
    }
    // In a document quotes are so near to each other that looking for each costs more than it saves.
    text.push('"');
    let mut start = 0;
    for (at, _) in value.bytes().enumerate().filter(|(_, byte)| *byte == b'"') {
        // The quote again begins the next part, so that it stands twice.
        text.push_str(&value[start..=at]);
        start = at;
    }
    text.push_str(&value[start..]);
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_never_run() {
        for (json, cell) in [
            (r#""plain""#, "plain"),
            (r#""a,b""#, "\"a,b\""),
            (r#""say \"hi\"""#, "\"say \"\"hi\"\"\""),
            (r#""two\nlines""#, "\"two\nlines\""),
            (r#"" led""#, "\" led\""),
            (r#""=1+1""#, "'=1+1"),
            (r#""+49 30""#, "'+49 30"),
            (r#""@SUM(A1)""#, "'@SUM(A1)"),
            (r#""-2+3,\"x\"""#, "\"'-2+3,\"\"x\"\"\""),
            (r#""\tx""#, "'\tx"),
            (r#""\r=x""#, "\"'\r=x\""),
            (r#""'=x""#, "''=x"),
            ("-5", "-5"),
            (r#"{"a":"=x"}"#, "\"{\"\"a\"\":\"\"=x\"\"}\""),
            ("null", "null"),
            (r#""""#, ""),
        ] {
            let mut text = String::new();
            push_value(&mut text, Some(json));
            assert_eq!(text, cell, "{json}");
        }
    }
}
