//! [`Source`]: the rows of a file, one after another, in any format.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde_json::{Map, Value};
use vicino_datasets::Matrix;
use vicino_datasets::formats::{self, hdf5};
use vicino_index::collection::Payload;

use super::columns::{Cell, ColumnArgs};
use super::parquet;
use crate::dto::VectorsOut;

/// One row.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: Option<Value>,
    pub(super) vectors: VectorsOut,
    pub(super) payload: Payload,
    /// File and number, for errors.
    pub(super) place: String,
}

/// Rows as they are read.
pub(super) type Rows = Box<dyn Iterator<Item = anyhow::Result<Row>>>;

/// A file of rows.
pub(super) struct Source {
    pub(super) rows: Rows,
    /// How many there are, where that is known before.
    pub(super) total: Option<u64>,
}

impl Source {
    /// Opens `file`, whose format the end of its name says; `beside` has ids and payloads of a file of vectors alone.
    pub(super) fn open(file: &Path, columns: &ColumnArgs, beside: Option<&Path>) -> anyhow::Result<Self> {
        let end = file.extension().map(|end| end.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        let has_columns = matches!(end.as_str(), "jsonl" | "parquet");
        ensure!(
            !has_columns || beside.is_none(),
            "{}: holds ids and payloads itself; --beside has no use",
            file.display()
        );
        match end.as_str() {
            "jsonl" => Ok(Source { rows: lines(file, columns.clone(), true)?, total: None }),
            "parquet" => parquet::open(file, columns.clone()),
            "hdf5" | "h5" => {
                let table = hdf5::read_one(file, columns.data_set()?)?;
                matrix(file, table.into_vectors(file)?, columns, beside)
            }
            _ => matrix(file, formats::read(file)?.into_vectors(file)?, columns, beside),
        }
    }
}

/// The lines of a file of JSON: objects, with vectors if `vectors`; or bare vectors.
fn lines(file: &Path, columns: ColumnArgs, vectors: bool) -> anyhow::Result<Rows> {
    let name = file.display().to_string();
    let reader = BufReader::new(File::open(file).with_context(|| format!("{name}: cannot open"))?);
    let numbered = reader.lines().zip(1..).filter(|(line, _)| !line.as_ref().is_ok_and(|line| line.trim().is_empty()));
    Ok(Box::new(numbered.map(move |(line, number): (_, u64)| {
        let place = format!("{name}, line {number}");
        let value = serde_json::from_str(&line?).with_context(|| place.clone())?;
        match value {
            Value::Object(fields) if vectors => columns.row(fields, place),
            Value::Object(fields) => columns.beside(fields, VectorsOut::One(Vec::new()), place),
            bare @ Value::Array(_) if vectors => {
                let vectors = bare.vectors().with_context(|| place.clone())?;
                Ok(Row { id: None, vectors, payload: Map::new(), place })
            }
            _ => bail!("{place}: expected an object{}", if vectors { " or a list of numbers" } else { "" }),
        }
    })))
}

/// The rows of `matrix`, with ids and payloads from `beside`.
fn matrix(file: &Path, matrix: Matrix, columns: &ColumnArgs, beside: Option<&Path>) -> anyhow::Result<Source> {
    let (name, dim, total) = (file.display().to_string(), matrix.dim(), matrix.len());
    let mut described = beside.map(|beside| lines(beside, columns.clone(), false)).transpose()?;
    let beside = beside.map(|beside| beside.display().to_string()).unwrap_or_default();
    let values = matrix.to_f32();
    drop(matrix);
    let rows = (0..=total).filter_map(move |at| {
        let described = match described.as_mut().map(Iterator::next) {
            None => None,
            Some(Some(row)) if at < total => Some(row),
            Some(Some(_)) => {
                return Some(Err(anyhow::anyhow!("{beside}: expected {total} rows as in {name}, found more")));
            }
            Some(None) if at < total => {
                return Some(Err(anyhow::anyhow!("{beside}: expected {total} rows as in {name}, found {at}")));
            }
            Some(None) => return None,
        };
        let vectors = VectorsOut::One(values.get(at * dim..(at + 1) * dim)?.to_vec());
        let place = format!("{name}, row {}", at + 1);
        Some(match described {
            None => Ok(Row { id: None, vectors, payload: Map::new(), place }),
            Some(row) => row.map(|row| Row { vectors, ..row }),
        })
    });
    Ok(Source { rows: Box::new(rows), total: Some(total as u64) })
}
