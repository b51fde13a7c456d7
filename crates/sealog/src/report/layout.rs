//! What a format is: bytes made of the head, the groups, the rows and the end, in this order.

use std::borrow::Cow;
use std::sync::Arc;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use super::field::{Body, Field};
use super::options::{Columns, ReportFormat};
use super::source::Group;
use super::{ReportSummary, WRITE_BYTES, csv, html, json};
use crate::error::Result;
use crate::query::{Filter, Findings, Rule, Stats, TimeRange};
use crate::tree::Checkpoint;

/// What stands over the counts of the groups in a table.
pub(super) const COUNT: &str = "groupCount";

/// Writes one format. What it makes is gathered, and goes out as it grows.
pub(super) trait Layout: Send {
    /// What stands before all rows.
    fn begin(&mut self) -> Result<()>;
    /// What stands before the rows of a group.
    fn group(&mut self, group: &Group) -> Result<()>;
    /// An event.
    fn row(&mut self, body: &Body<'_>) -> Result<()>;
    /// What stands behind all rows.
    fn end(&mut self, rows: u64) -> Result<()>;
    /// What was made since it was cleared.
    fn made(&self) -> &[u8];
    /// Forgets what was made: it went out.
    fn clear(&mut self);
}

/// A format that is text.
pub(super) trait TextLayout: Send {
    /// What stands before all rows.
    fn begin(&mut self, text: &mut String);
    /// What stands before the rows of a group.
    fn group(&mut self, text: &mut String, group: &Group);
    /// An event.
    fn row(&mut self, text: &mut String, body: &Body<'_>);
    /// What stands behind all rows.
    fn end(&mut self, text: &mut String, rows: u64);
}

/// A format that is text, and what was made of it.
struct Text<L> {
    layout: L,
    text: String,
}

impl<L: TextLayout> Layout for Text<L> {
    fn begin(&mut self) -> Result<()> {
        self.layout.begin(&mut self.text);
        Ok(())
    }

    fn group(&mut self, group: &Group) -> Result<()> {
        self.layout.group(&mut self.text, group);
        Ok(())
    }

    fn row(&mut self, body: &Body<'_>) -> Result<()> {
        self.layout.row(&mut self.text, body);
        Ok(())
    }

    fn end(&mut self, rows: u64) -> Result<()> {
        self.layout.end(&mut self.text, rows);
        Ok(())
    }

    fn made(&self) -> &[u8] {
        self.text.as_bytes()
    }

    fn clear(&mut self) {
        self.text.clear();
    }
}

/// All that is known before the first row.
pub(super) struct Head {
    pub(super) columns: Columns,
    /// What was asked for and what seals it; nothing is counted yet.
    pub(super) summary: ReportSummary,
    /// For the page with charts alone.
    pub(super) stats: Option<Stats>,
}

/// The layout of a report's format.
pub(super) fn of(head: Head, groups: Arc<Vec<Group>>) -> Result<Box<dyn Layout>> {
    fn text(layout: impl TextLayout + 'static) -> Box<dyn Layout> {
        Box::new(Text { layout, text: String::with_capacity(2 * WRITE_BYTES) })
    }

    Ok(match head.summary.format {
        ReportFormat::Json => text(json::Json::new(head)),
        ReportFormat::Ndjson => text(json::Ndjson::new(head)),
        ReportFormat::Csv => text(csv::Csv::new(head.columns)),
        ReportFormat::Html => text(html::Html::new(head, groups)),
        #[cfg(feature = "parquet")]
        ReportFormat::Parquet => Box::new(super::parquet::Parquet::new(head)?),
    })
}

impl Head {
    /// The head as an object of JSON.
    pub(super) fn to_json(&self) -> String {
        /// The part of the summary that is known before the rows.
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Members<'a> {
            generated_at: i64,
            range: TimeRange,
            filter: &'a Filter,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            fields: &'a [String],
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            group_by: &'a [String],
            #[serde(serialize_with = "checkpoint")]
            checkpoint: &'a Checkpoint,
            vkey: &'a str,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            rules: &'a [Rule],
            #[serde(skip_serializing_if = "Option::is_none")]
            findings: Option<&'a Findings>,
        }

        let summary = &self.summary;
        let members = Members {
            generated_at: summary.generated_at,
            range: summary.range,
            filter: &summary.filter,
            fields: &summary.fields,
            group_by: &summary.group_by,
            checkpoint: &summary.checkpoint,
            vkey: &summary.vkey,
            rules: &summary.rules,
            findings: summary.findings.as_ref(),
        };
        serde_json::to_string(&members).expect("a head is plain data")
    }
}

/// A checkpoint as `sealog checkpoint --json` prints it.
pub(super) fn checkpoint<S: Serializer>(checkpoint: &Checkpoint, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(4))?;
    map.serialize_entry("origin", checkpoint.origin())?;
    map.serialize_entry("size", &checkpoint.size())?;
    map.serialize_entry("root", &checkpoint.root_base64())?;
    map.serialize_entry("note", checkpoint.note())?;
    map.end()
}

/// Appends a text as a string of JSON.
pub(super) fn push_json(text: &mut String, value: &str) {
    text.push_str(&serde_json::to_string(value).expect("a text is plain data"));
}

/// Appends the fields that the event has as an object of JSON.
pub(super) fn push_object<'v>(text: &mut String, fields: &[Field], values: impl Iterator<Item = Option<Cow<'v, str>>>) {
    text.push('{');
    let start = text.len();
    for (field, value) in fields.iter().zip(values) {
        let Some(value) = value else { continue };
        if text.len() > start {
            text.push(',');
        }
        push_json(text, &field.name);
        text.push(':');
        text.push_str(&value);
    }
    text.push('}');
}
