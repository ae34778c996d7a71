//! JSON lines: a vector per line, bare as `[0.1, 0.2]` or in an object as `{"id": 7, "vector": [0.1, 0.2]}`.
//!
//! The vector's key is `vector` or `embedding`; other keys are ignored. Empty lines are skipped.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{FormatError, Table, write_whole};
use crate::matrix::{Matrix, Values};

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Bare(Vec<f32>),
    Object {
        #[serde(alias = "embedding")]
        vector: Vec<f32>,
    },
}

#[derive(Serialize)]
struct Written<'a> {
    id: usize,
    vector: &'a [f32],
}

/// Reads a file, as 32-bit floats.
pub fn read(path: &Path) -> Result<Table, FormatError> {
    let file = File::open(path).map_err(|error| FormatError::io(path, "open", error))?;
    let (mut values, mut dim) = (Vec::new(), None);
    for (index, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|error| FormatError::io(path, "read", error))?;
        if line.trim().is_empty() {
            continue;
        }
        let fault = |expected: String, found: String| {
            FormatError::unexpected(path, "vector", expected, format_args!("in line {}: {found}", index + 1))
        };
        let vector = match serde_json::from_str(&line) {
            Ok(Line::Bare(vector) | Line::Object { vector }) => vector,
            Err(error) if error.is_syntax() || error.is_eof() => return Err(fault("JSON".into(), error.to_string())),
            Err(_) => {
                return Err(fault(
                    "an array of numbers, or one under `vector` or `embedding`".into(),
                    "neither".into(),
                ));
            }
        };
        let dim = *dim.get_or_insert(vector.len());
        if vector.len() != dim || dim == 0 {
            let expected =
                if dim == 0 { "at least one number".into() } else { format!("{dim} numbers, as in the first line") };
            return Err(fault(expected, vector.len().to_string()));
        }
        if let Some(value) = vector.iter().find(|value| !value.is_finite()) {
            return Err(fault("numbers that fit 32-bit floats".into(), value.to_string()));
        }
        values.extend(vector);
    }
    let dim = dim.ok_or_else(|| FormatError::unexpected(path, "vectors", "at least one", "none"))?;
    Ok(Table::Vectors(Matrix::new(Values::F32(values), dim).expect("every line has as many numbers")))
}

/// Writes a file of objects with the row's number as `id`.
pub fn write(path: &Path, matrix: &Matrix) -> Result<(), FormatError> {
    write_whole(path, |out| {
        matrix.to_f32().chunks(matrix.dim().max(1)).enumerate().try_for_each(|(id, vector)| {
            serde_json::to_writer(&mut *out, &Written { id, vector })?;
            out.write_all(b"\n")
        })
    })
}
