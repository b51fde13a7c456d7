//! What a format is: text made of the head, the groups, the rows and the end, in this order.

use std::borrow::Cow;
use std::sync::Arc;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use super::field::{Body, Field};
use super::options::{Columns, ReportFormat};
use super::source::Group;
use super::{ReportSummary, csv, html, json};
use crate::query::{Filter, Stats, TimeRange};
use crate::tree::Checkpoint;

/// Writes one format. What it makes is appended to a text, which goes out as it grows.
pub(super) trait Layout: Send {
    /// What stands before all rows.
    fn begin(&mut self, text: &mut String);
    /// What stands before the rows of a group.
    fn group(&mut self, text: &mut String, group: &Group);
    /// An event.
    fn row(&mut self, text: &mut String, body: &Body<'_>);
    /// What stands behind all rows.
    fn end(&mut self, text: &mut String, rows: u64);
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
pub(super) fn of(head: Head, groups: Arc<Vec<Group>>) -> Box<dyn Layout> {
    match head.summary.format {
        ReportFormat::Json => Box::new(json::Json::new(head)),
        ReportFormat::Ndjson => Box::new(json::Ndjson::new(head)),
        ReportFormat::Csv => Box::new(csv::Csv::new(head.columns)),
        ReportFormat::Html => Box::new(html::Html::new(head, groups)),
    }
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
