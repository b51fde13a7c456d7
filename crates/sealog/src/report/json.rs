//! JSON and NDJSON.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::field::Body;
use super::layout::{Head, TextLayout, push_object};
use super::source::Group;

/// One document. Each row stands on a line of its own.
pub(super) struct Json {
    head: Head,
    /// Whether something stands in the array that is open.
    has_rows: bool,
    has_groups: bool,
}

impl Json {
    pub(super) fn new(head: Head) -> Self {
        Self { head, has_rows: false, has_groups: false }
    }

    fn is_grouped(&self) -> bool {
        !self.head.columns.groups.is_empty()
    }
}

impl TextLayout for Json {
    fn begin(&mut self, text: &mut String) {
        let head = self.head.to_json();
        text.push_str(head.strip_suffix('}').unwrap_or(&head));
        text.push_str(if self.is_grouped() { ",\"groups\":[" } else { ",\"rows\":[" });
    }

    fn group(&mut self, text: &mut String, group: &Group) {
        if self.has_groups {
            text.push_str("\n]},");
        }
        text.push('\n');
        let object = group_object(&self.head, group);
        text.push_str(object.strip_suffix('}').unwrap_or(&object));
        text.push_str(",\"rows\":[");
        (self.has_groups, self.has_rows) = (true, false);
    }

    fn row(&mut self, text: &mut String, body: &Body<'_>) {
        text.push_str(if self.has_rows { ",\n" } else { "\n" });
        push_row(&self.head, text, body);
        self.has_rows = true;
    }

    fn end(&mut self, text: &mut String, rows: u64) {
        if self.has_groups {
            text.push_str("\n]}");
        }
        let _ = writeln!(text, "\n],\"recordCount\":{rows}}}");
    }
}

/// A line for the head, each row, and the end; in a grouped report one before the rows of each group, too.
pub(super) struct Ndjson {
    head: Head,
}

impl Ndjson {
    pub(super) fn new(head: Head) -> Self {
        Self { head }
    }
}

impl TextLayout for Ndjson {
    fn begin(&mut self, text: &mut String) {
        let _ = writeln!(text, "{{\"report\":{}}}", self.head.to_json());
    }

    fn group(&mut self, text: &mut String, group: &Group) {
        text.push_str(&group_object(&self.head, group));
        text.push('\n');
    }

    fn row(&mut self, text: &mut String, body: &Body<'_>) {
        push_row(&self.head, text, body);
        text.push('\n');
    }

    fn end(&mut self, text: &mut String, rows: u64) {
        let _ = writeln!(text, "{{\"end\":{{\"recordCount\":{rows}}}}}");
    }
}

fn group_object(head: &Head, group: &Group) -> String {
    let mut text = "{\"group\":".to_owned();
    push_object(&mut text, &head.columns.groups, group.values().map(|value| value.map(Cow::Borrowed)));
    let Group { count, first, last, .. } = group;
    let _ = write!(text, ",\"count\":{count},\"firstTimestamp\":{first},\"lastTimestamp\":{last}}}");
    text
}

/// The event whole, in the bytes that were sealed, or the fields that were asked for.
fn push_row(head: &Head, text: &mut String, body: &Body<'_>) {
    match &head.columns.rows {
        None => text.push_str(body.whole),
        Some(fields) => push_object(text, fields, fields.iter().map(|field| body.get(field))),
    }
}
