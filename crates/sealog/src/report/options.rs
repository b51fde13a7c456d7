//! What a report is asked for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

#[cfg(feature = "parquet")]
use super::field::TYPED;
use super::field::{ALL, Field, READABLE};
use crate::error::{Error, ErrorKind, Result};
use crate::object::object;
use crate::query::{Filter, Rule, TimeRange};

/// The most fields of a report.
pub const MAX_REPORT_FIELDS: usize = 100;
/// The most fields that a report is grouped by.
pub const MAX_REPORT_GROUP_FIELDS: usize = 8;

/// How a report is written. Each is described in `docs/REPORTS.md`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ReportFormat {
    /// One document, the rows in the middle.
    #[default]
    Json,
    /// A line for each row, one before them and one after.
    Ndjson,
    /// A table of RFC 4180, and nothing else: what seals it is in the [`ReportSummary`](crate::ReportSummary).
    Csv,
    /// One page for a person, with charts, that needs nothing else and can be printed.
    Html,
    /// A table whose columns have types, for data tools.
    #[cfg(feature = "parquet")]
    Parquet,
}

impl ReportFormat {
    /// All formats.
    pub const ALL: &'static [ReportFormat] = &[
        ReportFormat::Json,
        ReportFormat::Ndjson,
        ReportFormat::Csv,
        ReportFormat::Html,
        #[cfg(feature = "parquet")]
        ReportFormat::Parquet,
    ];

    /// The word in JSON, which is also what such a file's name ends with: `json`, `ndjson`, `csv`, `html`,
    /// `parquet`.
    pub fn as_str(self) -> &'static str {
        match self {
            ReportFormat::Json => "json",
            ReportFormat::Ndjson => "ndjson",
            ReportFormat::Csv => "csv",
            ReportFormat::Html => "html",
            #[cfg(feature = "parquet")]
            ReportFormat::Parquet => "parquet",
        }
    }
}

impl fmt::Display for ReportFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for ReportFormat {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.iter().copied().find(|format| format.as_str() == text).ok_or_else(|| {
            let all: Vec<_> = Self::ALL.iter().map(|format| format.as_str()).collect();
            let message = format!("unknown format {text:?}; it is one of {}", all.join(", "));
            Error::field(ErrorKind::InvalidArgument, "/format", message)
        })
    }
}

/// Which report.
///
/// ```
/// use sealog::{Filter, ReportFormat, ReportOptions};
///
/// let denied = ReportOptions::new(ReportFormat::Csv)
///     .range(1_767_225_600_000..1_769_904_000_000)
///     .filter(Filter::new().action("user.*"))
///     .fields(["time", "actorId", "metadata.method"])
///     .group_by(["actorId"]);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ReportOptions {
    /// How it is written; [`ReportFormat::Json`] unless given.
    pub format: ReportFormat,
    /// From when to when; all of time unless given. What the filter says of the time holds as well.
    pub range: TimeRange,
    /// Which events; all of them unless given.
    #[serde(deserialize_with = "object")]
    pub filter: Filter,
    /// What of each event, in this order: its fields by their JSON names, what is inside one with dots
    /// (`metadata.method`) or as a JSON Pointer (`/metadata/a.b`), and the timestamp as `time` (RFC 3339)
    /// or `date` (its day), both in UTC. At most [`MAX_REPORT_FIELDS`].
    ///
    /// Unless given, JSON and NDJSON have the events whole, in the very bytes that were sealed, CSV and
    /// Parquet have every field, and HTML those that a person reads.
    pub fields: Vec<String>,
    /// Puts the rows with equal values in these fields together, each group with its count. At most
    /// [`MAX_REPORT_GROUP_FIELDS`], and [`MAX_REPORT_GROUPS`](crate::MAX_REPORT_GROUPS) groups.
    pub group_by: Vec<String>,
    /// What these rules find among the events of the report is told in it, as
    /// [`AuditLog::backtest`](crate::AuditLog::backtest) finds it; nothing unless given.
    pub rules: Vec<Rule>,
    /// Who asks, as the `actorId` of the event that the report is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<String>,
}

impl Default for ReportOptions {
    fn default() -> Self {
        Self::new(ReportFormat::default())
    }
}

impl ReportOptions {
    /// All events, in this format.
    pub fn new(format: ReportFormat) -> Self {
        Self {
            format,
            range: (..).into(),
            filter: Filter::new(),
            fields: Vec::new(),
            group_by: Vec::new(),
            rules: Vec::new(),
            requested_by: None,
        }
    }

    /// Sets from when to when, in milliseconds since the Unix epoch.
    pub fn range(mut self, range: impl Into<TimeRange>) -> Self {
        self.range = range.into();
        self
    }

    /// Sets which events.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Sets what of each event.
    pub fn fields<S: Into<String>>(mut self, fields: impl IntoIterator<Item = S>) -> Self {
        self.fields = fields.into_iter().map(Into::into).collect();
        self
    }

    /// Sets by what the rows are put together.
    pub fn group_by<S: Into<String>>(mut self, fields: impl IntoIterator<Item = S>) -> Self {
        self.group_by = fields.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the rules whose findings are told.
    pub fn rules(mut self, rules: impl IntoIterator<Item = Rule>) -> Self {
        self.rules = rules.into_iter().collect();
        self
    }

    /// Sets who asks.
    pub fn requested_by(mut self, actor: impl Into<String>) -> Self {
        self.requested_by = Some(actor.into());
        self
    }

    /// What is written, of each event and of each group.
    pub(super) fn columns(&self) -> Result<Columns> {
        let groups = parsed("/groupBy", &self.group_by, MAX_REPORT_GROUP_FIELDS)?;
        let named = parsed("/fields", &self.fields, MAX_REPORT_FIELDS)?;
        let usual = |names: &[&str]| names.iter().copied().map(Field::parse).collect::<Result<Vec<_>>>();
        let rows = match self.format {
            _ if !named.is_empty() => Some(named),
            ReportFormat::Json | ReportFormat::Ndjson => None,
            ReportFormat::Csv => Some(usual(&ALL)?),
            ReportFormat::Html => Some(usual(&READABLE)?),
            #[cfg(feature = "parquet")]
            ReportFormat::Parquet => Some(usual(&TYPED)?),
        };
        Ok(Columns { groups, rows })
    }
}

/// What is written.
#[derive(Debug, Clone, Default)]
pub(super) struct Columns {
    /// What the rows are grouped by.
    pub(super) groups: Vec<Field>,
    /// What of each event; `None` for all of it.
    pub(super) rows: Option<Vec<Field>>,
}

impl Columns {
    /// The fields of the group, and those behind them: in a table a field has one column.
    pub(super) fn in_a_table(self) -> (Vec<Field>, Vec<Field>) {
        let Self { groups, rows } = self;
        let mut fields = rows.unwrap_or_default();
        fields.retain(|field| !groups.iter().any(|group| group.name == field.name));
        (groups, fields)
    }
}

fn parsed(place: &str, names: &[String], most: usize) -> Result<Vec<Field>> {
    if names.len() > most {
        let message = format!("these are {} fields; the limit is {most}", names.len());
        return Err(Error::field(ErrorKind::InvalidArgument, place, message));
    }
    let at = |index: usize| format!("{place}/{index}");
    let fields: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(index, name)| Field::parse(name).map_err(|error| error.inside(&at(index))))
        .collect::<Result<_>>()?;
    // A row is an object, in which a name stands once.
    for (index, name) in names.iter().enumerate() {
        if names[..index].contains(name) {
            return Err(Error::field(ErrorKind::InvalidArgument, at(index), format!("{name:?} is named twice")));
        }
    }
    Ok(fields)
}
