//! HDF5 as ann-benchmarks writes it: two-dimensional `train`, `test`, `neighbors`, `distances`, and the attribute `distance`.
//!
//! Read only, by `hdf5-pure`, which needs no C library: contiguous and chunked data, deflated or not. Numbers may be `f32`, `f64`
//! (which become `f32`), 8-bit integers and booleans (which become bits); neighbours 32 or 64-bit integers.

use std::fmt::Display;
use std::fs;
use std::path::Path;

use hdf5_pure::{DType, File};
use vicino_index::Metric;

use super::input::ids;
use super::{FormatError, Ids, Table};
use crate::dataset::Truth;
use crate::matrix::{Matrix, Values};

/// No deflated byte stands for more.
const MAX_DEFLATION: u64 = 1032;

/// What one file holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Contents {
    /// How the vectors are compared.
    pub metric: Metric,
    /// The rows.
    pub train: Matrix,
    /// The queries.
    pub test: Matrix,
    /// The exact neighbours.
    pub truth: Option<Truth>,
}

/// Reads a file whole. Distances are given as the engine's where those of the file can be turned into them.
pub fn read(path: &Path) -> Result<Contents, FormatError> {
    let file = open(path)?;
    let said = file.root().attrs().map_err(|error| unreadable(path, "attributes", error))?;
    let said = said.get("distance").and_then(|value| value.as_str());
    let said = said.ok_or_else(|| FormatError::unexpected(path, "attribute `distance`", "a metric's name", "none"))?;
    let metric =
        said.parse().map_err(|error| FormatError::unexpected(path, "attribute `distance`", "a metric", error))?;
    let part = |name| table(path, &file, name);
    let names = file.root().datasets().map_err(|error| unreadable(path, "list of data sets", error))?;
    let has = |name: &str| names.iter().any(|there| there == name);
    let truth = if has("neighbors") {
        let Ids { k, ids } = part("neighbors")?.into_ids(path)?;
        let distances = match metric {
            Metric::L2 | Metric::Cosine if has("distances") => {
                Some(engine_distances(metric, &part("distances")?.into_vectors(path)?))
            }
            _ => None,
        };
        Some(Truth { k, neighbors: ids, distances })
    } else {
        None
    };
    Ok(Contents { metric, train: part("train")?.into_vectors(path)?, test: part("test")?.into_vectors(path)?, truth })
}

/// Reads the data set `name` alone, of any file.
pub fn read_one(path: &Path, name: &str) -> Result<Table, FormatError> {
    table(path, &open(path)?, name)
}

fn open(path: &Path) -> Result<File, FormatError> {
    fs::metadata(path).map_err(|error| FormatError::io(path, "open", error))?;
    File::open_streaming(path).map_err(|error| unreadable(path, "file", error))
}

fn unreadable(path: &Path, what: &'static str, error: impl Display) -> FormatError {
    FormatError::unexpected(path, what, "readable HDF5", error)
}

/// ann-benchmarks writes roots for `euclidean`, and `1 − cos` for `angular`.
fn engine_distances(metric: Metric, distances: &Matrix) -> Vec<f32> {
    let distances = distances.to_f32();
    if metric == Metric::L2 { distances.into_iter().map(|root| root * root).collect() } else { distances }
}

fn table(path: &Path, file: &File, name: &str) -> Result<Table, FormatError> {
    let unreadable =
        |error: hdf5_pure::Error| FormatError::unexpected(path, "data", format_args!("readable `{name}`"), error);
    let data = file.dataset(name).map_err(unreadable)?;
    let shape = data.shape().map_err(unreadable)?;
    let &[rows, dim @ 1..=u64::MAX] = shape.as_slice() else {
        let found = format!("{shape:?}");
        return Err(FormatError::unexpected(path, "shape", format_args!("rows × columns of `{name}`"), found));
    };
    let bytes = rows.checked_mul(dim).and_then(|count| count.checked_mul(data.element_size().ok()?));
    let length = fs::metadata(path).map_err(|error| FormatError::io(path, "read its length", error))?.len();
    let most = if data.filters().is_empty() { length } else { length.saturating_mul(MAX_DEFLATION) };
    if bytes.is_none_or(|bytes| bytes > most) {
        let found = format!("{rows} × {dim} in `{name}`");
        return Err(FormatError::unexpected(path, "shape", format_args!("what fits a file of {length} bytes"), found));
    }
    let dim = dim as usize;
    let vectors = |values| {
        let matrix = Matrix::new(values, dim);
        matrix.map(Table::Vectors).map_err(|error| FormatError::unexpected(path, "rows", "whole ones", error))
    };
    match data.dtype().map_err(unreadable)? {
        DType::F32 | DType::F64 => vectors(Values::F32(data.read_f32().map_err(unreadable)?)),
        DType::U8 => vectors(Values::U8(data.read_u8().map_err(unreadable)?)),
        DType::I8 => vectors(Values::I8(data.read_i8().map_err(unreadable)?)),
        DType::Enum(names) if names == ["FALSE", "TRUE"] => {
            let bytes = data.read_u8().map_err(unreadable)?;
            Ok(Table::Vectors(Matrix::pack(&bytes, dim)))
        }
        DType::I32 | DType::I64 | DType::U32 | DType::U64 => ids(path, &data.read_i64().map_err(unreadable)?, dim),
        other => Err(FormatError::unexpected(path, "type", "f32, f64, u8, i8, bool, or 32 or 64-bit integers", other)),
    }
}
