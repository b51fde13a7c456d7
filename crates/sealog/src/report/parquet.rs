//! Parquet: the table of a report with its types, in row groups that are written as they fill.

use std::mem;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{ColumnPath, Type, TypePtr};

use super::field::{Body, Field, Kind, day_number, items, milliseconds, plain};
use super::layout::{COUNT, Head, Layout};
use super::source::Group;
use crate::error::{Error, ErrorKind, Result};

/// How much of the columns is held before they are written as a row group, in bytes before compression.
const ROW_GROUP_BYTES: usize = 16 * 1024 * 1024;
/// The most rows of a row group: where rows are small, as many as readers like to take at once.
const ROW_GROUP_ROWS: u64 = 128 * 1024;
/// Under which key the file tells what the report carries.
const ABOUT: &str = "sealog.report";

/// A file of Parquet. It can be read once its end is there, and not before.
pub(super) struct Parquet {
    head: Head,
    file: SerializedFileWriter<Vec<u8>>,
    /// Those of the group, its count where there is one, and the rest.
    columns: Vec<Column>,
    fields: Vec<Field>,
    /// The values of the group that is being written.
    group: Vec<Option<String>>,
    /// In the row group that is being gathered.
    rows: u64,
}

impl Parquet {
    pub(super) fn new(mut head: Head) -> Result<Self> {
        let (groups, fields) = mem::take(&mut head.columns).in_a_table();
        let count = (!groups.is_empty()).then_some((COUNT, Kind::Number));
        let of = |field: &Field| (field.name.clone(), field.kind());
        let named: Vec<_> = groups
            .iter()
            .map(of)
            .chain(count.map(|(name, kind)| (name.to_owned(), kind)))
            .chain(fields.iter().map(of))
            .collect();
        let types =
            named.iter().map(|(name, kind)| kind.schema(name).map(Arc::new)).collect::<Result<Vec<TypePtr>>>()?;
        let schema = Type::group_type_builder("report").with_fields(types).build().map_err(failed)?;
        let mut properties = WriterProperties::builder()
            .set_created_by(concat!("sealog version ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(Compression::ZSTD(ZstdLevel::default()));
        // Of values that hardly repeat, a dictionary is work for nothing.
        for (name, kind) in &named {
            if *kind == Kind::Json || name == "id" {
                let path = ColumnPath::new(vec![name.clone()]);
                properties = properties.set_column_dictionary_enabled(path, false);
            }
        }
        let file = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties.build()));
        Ok(Self {
            file: file.map_err(failed)?,
            columns: named.into_iter().map(|(_, kind)| Column::new(kind)).collect(),
            group: Vec::new(),
            rows: 0,
            head,
            fields,
        })
    }

    /// Writes what was gathered as a row group.
    fn write(&mut self) -> Result<()> {
        if mem::take(&mut self.rows) > 0 {
            let mut group = self.file.next_row_group().map_err(failed)?;
            for column in &mut self.columns {
                let mut writer = group.next_column().map_err(failed)?.ok_or_else(|| {
                    Error::new(ErrorKind::Storage, "the report cannot be written: its schema lacks a column")
                })?;
                column.write(&mut writer).map_err(failed)?;
                writer.close().map_err(failed)?;
            }
            group.close().map_err(failed)?;
        }
        // Out of its own buffer.
        self.file.flush().map_err(super::failed)
    }
}

impl Layout for Parquet {
    fn begin(&mut self) -> Result<()> {
        Ok(())
    }

    fn group(&mut self, group: &Group) -> Result<()> {
        self.group = group.values().map(|value| value.map(str::to_owned)).collect();
        self.group.push(Some(group.count.to_string()));
        Ok(())
    }

    fn row(&mut self, body: &Body<'_>) -> Result<()> {
        let (of_group, of_row) = self.columns.split_at_mut(self.group.len());
        for (column, value) in of_group.iter_mut().zip(&self.group) {
            column.push(value.as_deref())?;
        }
        for (column, field) in of_row.iter_mut().zip(&self.fields) {
            column.push(body.get(field).as_deref())?;
        }
        self.rows += 1;
        let bytes: usize = self.columns.iter().map(Column::bytes).sum();
        if bytes >= ROW_GROUP_BYTES || self.rows >= ROW_GROUP_ROWS { self.write() } else { Ok(()) }
    }

    fn end(&mut self, rows: u64) -> Result<()> {
        self.write()?;
        let head = self.head.to_json();
        let about = format!("{},\"recordCount\":{rows}}}", head.strip_suffix('}').unwrap_or(&head));
        self.file.append_key_value_metadata(KeyValue::new(ABOUT.to_owned(), about));
        self.file.finish().map_err(failed)?;
        self.file.flush().map_err(super::failed)
    }

    fn made(&self) -> &[u8] {
        self.file.inner()
    }

    fn clear(&mut self) {
        // The writer counts what went through it, so that places in the file stay right.
        self.file.inner_mut().clear();
    }
}

impl Kind {
    /// A column of this kind. None is required: an event may lack any field but a few, and a filter may keep
    /// it from a group.
    fn schema(self, name: &str) -> Result<Type> {
        let (physical, logical) = match self {
            Kind::Number => (Physical::INT64, None),
            Kind::Millis | Kind::Time => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MILLIS))),
            Kind::Date => (Physical::INT32, Some(LogicalType::Date)),
            Kind::Json => (Physical::BYTE_ARRAY, Some(LogicalType::Json)),
            Kind::Text | Kind::Severity | Kind::Inner => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Kind::Texts => {
                let element = Type::primitive_type_builder("element", Physical::BYTE_ARRAY)
                    .with_repetition(Repetition::REQUIRED)
                    .with_logical_type(Some(LogicalType::String));
                let list = Type::group_type_builder("list")
                    .with_repetition(Repetition::REPEATED)
                    .with_fields(vec![Arc::new(element.build().map_err(failed)?)]);
                let column = Type::group_type_builder(name)
                    .with_repetition(Repetition::OPTIONAL)
                    .with_logical_type(Some(LogicalType::List))
                    .with_fields(vec![Arc::new(list.build().map_err(failed)?)]);
                return column.build().map_err(failed);
            }
        };
        let column = Type::primitive_type_builder(name, physical).with_repetition(Repetition::OPTIONAL);
        column.with_logical_type(logical).build().map_err(failed)
    }
}

/// The values of a column, of the row group that is being gathered.
struct Column {
    kind: Kind,
    values: Values,
    /// Of each value or gap, how much of its path is there: see "Nested Encoding" of the format.
    definitions: Vec<i16>,
    /// Of each item of a list, whether it goes on with the row before. Empty where there are no lists.
    repetitions: Vec<i16>,
}

enum Values {
    Longs(Vec<i64>),
    Days(Vec<i32>),
    /// One after the other, with where each ends.
    Bytes {
        bytes: Vec<u8>,
        ends: Vec<usize>,
    },
}

impl Column {
    fn new(kind: Kind) -> Self {
        let values = match kind {
            Kind::Number | Kind::Millis | Kind::Time => Values::Longs(Vec::new()),
            Kind::Date => Values::Days(Vec::new()),
            Kind::Text | Kind::Severity | Kind::Inner | Kind::Json | Kind::Texts => {
                Values::Bytes { bytes: Vec::new(), ends: Vec::new() }
            }
        };
        Self { kind, values, definitions: Vec::new(), repetitions: Vec::new() }
    }

    /// About how many bytes it takes.
    fn bytes(&self) -> usize {
        let values = match &self.values {
            Values::Longs(longs) => longs.len() * size_of::<i64>(),
            Values::Days(days) => days.len() * size_of::<i32>(),
            // Each becomes a slice of its own when it is written.
            Values::Bytes { bytes, ends } => bytes.len() + ends.len() * (size_of::<usize>() + size_of::<ByteArray>()),
        };
        values + (self.definitions.len() + self.repetitions.len()) * size_of::<i16>()
    }

    /// Adds the value of a row, as JSON.
    fn push(&mut self, json: Option<&str>) -> Result<()> {
        if self.kind == Kind::Texts {
            return self.push_list(json);
        }
        let Some(json) = json else {
            self.definitions.push(0);
            return Ok(());
        };
        let is_there = match &mut self.values {
            Values::Longs(longs) => {
                let value = if self.kind == Kind::Number { json.parse().ok() } else { milliseconds(json) };
                longs.push(value.ok_or_else(|| misfit(json))?);
                true
            }
            // A year that no calendar has is no date.
            Values::Days(days) => day_number(json).map(|day| days.push(day)).is_some(),
            Values::Bytes { bytes, ends } => {
                match self.kind {
                    Kind::Json => bytes.extend_from_slice(json.as_bytes()),
                    _ => bytes.extend_from_slice(plain(json).as_bytes()),
                }
                ends.push(bytes.len());
                true
            }
        };
        self.definitions.push(i16::from(is_there));
        Ok(())
    }

    fn push_list(&mut self, json: Option<&str>) -> Result<()> {
        let first = self.definitions.len();
        if let (Some(json), Values::Bytes { bytes, ends }) = (json, &mut self.values) {
            for item in items(json).ok_or_else(|| misfit(json))? {
                bytes.extend_from_slice(plain(item).as_bytes());
                ends.push(bytes.len());
                self.repetitions.push(i16::from(self.definitions.len() > first));
                self.definitions.push(2);
            }
        }
        if self.definitions.len() == first {
            self.repetitions.push(0);
            // No list, or one without items.
            self.definitions.push(i16::from(json.is_some()));
        }
        Ok(())
    }

    /// Writes the values, and begins anew.
    fn write(&mut self, writer: &mut SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        let definitions = mem::take(&mut self.definitions);
        let repetitions = Some(mem::take(&mut self.repetitions)).filter(|_| self.kind == Kind::Texts);
        let mut levels = Levels { writer, definitions: &definitions, repetitions: repetitions.as_deref() };
        match &mut self.values {
            Values::Longs(longs) => levels.write::<Int64Type>(&mem::take(longs)),
            Values::Days(days) => levels.write::<Int32Type>(&mem::take(days)),
            Values::Bytes { bytes, ends } => {
                let (all, mut start) = (ByteArray::from(mem::take(bytes)), 0);
                let slices = mem::take(ends).into_iter().map(|end| {
                    let slice = all.slice(start, end - start);
                    start = end;
                    slice
                });
                levels.write::<ByteArrayType>(&slices.collect::<Vec<_>>())
            }
        }
    }
}

struct Levels<'l, 'w> {
    writer: &'l mut SerializedColumnWriter<'w>,
    definitions: &'l [i16],
    repetitions: Option<&'l [i16]>,
}

impl Levels<'_, '_> {
    fn write<T: DataType>(&mut self, values: &[T::T]) -> Result<(), ParquetError> {
        self.writer.typed::<T>().write_batch(values, Some(self.definitions), self.repetitions).map(drop)
    }
}

fn misfit(json: &str) -> Error {
    let shown: String = json.chars().take(100).collect();
    Error::new(ErrorKind::Integrity, format!("an event's field has a value of another type than the field: {shown}"))
}

fn failed(error: ParquetError) -> Error {
    Error::new(ErrorKind::Storage, format!("the report cannot be written: {error}")).with_source(error)
}
