//! Parquet files: rows put together from columns, one row group after another.
//!
//! The record reader of the `parquet` crate does that a thousand rows at a time, and reads the pages of only those columns that matter.
//! [`Kind`] says what the values of a column are, and refuses a column that cannot be read before any row is.

use std::fs::File;
use std::iter;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record;
use parquet::record::reader::{ReaderIter, TreeBuilder};
use parquet::schema::types::{SchemaDescPtr, SchemaDescriptor, Type};

use super::columns::ColumnArgs;
use super::source::{Row, Rows, Source};
use cell::Typed;
use kind::Kind;

mod cell;
mod kind;

/// Opens `file`.
pub(super) fn open(file: &Path, columns: ColumnArgs) -> anyhow::Result<Source> {
    let name = file.display().to_string();
    let reader = File::open(file).with_context(|| format!("{name}: cannot open"))?;
    let reader = SerializedFileReader::new(reader).with_context(|| format!("{name}: cannot read"))?;
    let metadata = reader.metadata().file_metadata();
    let read: Vec<_> = metadata.schema().get_fields().iter().filter(|field| columns.read(field.name())).collect();
    let kind = |field: &&Arc<Type>| Kind::of(field).with_context(|| format!("{name}: column `{}`", field.name()));
    let kinds = read.iter().map(kind).collect::<anyhow::Result<_>>()?;
    let root = Type::group_type_builder(metadata.schema().name());
    let root = root.with_fields(read.into_iter().cloned().collect()).build()?;
    let schema = Arc::new(SchemaDescriptor::new(Arc::new(root)));
    let total = u64::try_from(metadata.num_rows()).ok();
    let table = Table { name, columns, schema, kinds };
    Ok(Source { rows: table.rows(reader), total })
}

/// What is known of a file before its rows.
struct Table {
    name: String,
    columns: ColumnArgs,
    /// Of the columns that matter.
    schema: SchemaDescPtr,
    /// One for each of them.
    kinds: Vec<Kind>,
}

impl Table {
    fn rows(self, reader: SerializedFileReader<File>) -> Rows {
        let (mut group, mut records, mut number) = (0, None::<ReaderIter>, 0);
        Box::new(iter::from_fn(move || {
            loop {
                let record = records.as_mut().and_then(Iterator::next);
                if let Some(record) = record {
                    number += 1;
                    let place = format!("{}, row {number} (row group {})", self.name, group - 1);
                    return Some(record.with_context(|| place.clone()).and_then(|record| self.row(record, place)));
                }
                if group == reader.num_row_groups() {
                    return None;
                }
                let opened = reader.get_row_group(group);
                let opened = opened.and_then(|opened| TreeBuilder::new().as_iter(self.schema.clone(), &*opened));
                match opened.with_context(|| format!("{}, row group {group}", self.name)) {
                    Ok(opened) => records = Some(opened),
                    Err(error) => return Some(Err(error)),
                }
                group += 1;
            }
        }))
    }

    fn row(&self, record: record::Row, place: String) -> anyhow::Result<Row> {
        let fields = record.into_columns().into_iter().zip(&self.kinds);
        self.columns.row(fields.map(|((name, field), kind)| (name, Typed { field, kind })), place)
    }
}
