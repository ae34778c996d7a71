//! TEXMEX's `.fvecs`, `.ivecs`, `.bvecs`: every row has its dimension, 32 bits, in front of it.
//!
//! Format: <http://corpus-texmex.irisa.fr/>, "vectors' file formats".

use std::path::Path;

use bytemuck::Pod;

use super::input::{Input, ids};
use super::{FormatError, Table, write_whole};
use crate::matrix::{Matrix, Values};

/// Reads `.fvecs`: 32-bit floats.
pub fn read_floats(path: &Path) -> Result<Table, FormatError> {
    let (values, dim) = rows(path)?;
    Ok(vectors(Values::F32(values), dim))
}

/// Reads `.bvecs`: unsigned bytes.
pub fn read_bytes(path: &Path) -> Result<Table, FormatError> {
    let (values, dim) = rows(path)?;
    Ok(vectors(Values::U8(values), dim))
}

/// Reads `.ivecs`: 32-bit integers, row numbers.
pub fn read_ids(path: &Path) -> Result<Table, FormatError> {
    let (values, k) = rows::<i32>(path)?;
    ids(path, &values, k)
}

fn vectors(values: Values, dim: usize) -> Table {
    Table::Vectors(Matrix::new(values, dim).expect("whole rows were read"))
}

fn rows<T: Pod>(path: &Path) -> Result<(Vec<T>, usize), FormatError> {
    let mut input = Input::open(path)?;
    let mut expected = None;
    let mut values = Vec::new();
    while input.left() > 0 {
        let found = i32::from_le_bytes(input.array("dimension of a row")?);
        let dim = *expected.get_or_insert(found);
        if found != dim || dim < 1 {
            let expected = if dim < 1 { "at least 1".into() } else { format!("{dim}, as in the first row") };
            return Err(input.unexpected("dimension of a row", expected, found));
        }
        if values.is_empty() {
            // Checked against the file before memory is taken: one row is in it, and the rest are as long.
            let row = dim as u64 * size_of::<T>() as u64;
            let count = (input.left() + 4) / (row + 4);
            values.reserve_exact((count * dim as u64) as usize);
        }
        input.extend(&mut values, dim as usize, "row")?;
    }
    let dim = expected.ok_or_else(|| input.unexpected("rows", "at least one", "an empty file"))?;
    Ok((values, dim as usize))
}

/// Writes `.fvecs`. Any element type becomes a 32-bit float.
pub fn write_floats(path: &Path, matrix: &Matrix) -> Result<(), FormatError> {
    write(path, &matrix.to_f32(), matrix.dim())
}

/// Writes `.bvecs`. Unsigned bytes only.
pub fn write_bytes(path: &Path, matrix: &Matrix) -> Result<(), FormatError> {
    match matrix.values() {
        Values::U8(bytes) => write(path, bytes, matrix.dim()),
        _ => Err(FormatError::unexpected(path, "numbers for bvecs", "u8", matrix.element())),
    }
}

/// Writes `.ivecs`.
pub fn write_ids(path: &Path, ids: &super::Ids) -> Result<(), FormatError> {
    write(path, &ids.ids, ids.k)
}

fn write<T: Pod>(path: &Path, values: &[T], dim: usize) -> Result<(), FormatError> {
    let count =
        i32::try_from(dim).map_err(|_| FormatError::unexpected(path, "dimension", "at most 2147483647", dim))?;
    write_whole(path, |out| {
        values.chunks(dim.max(1)).try_for_each(|row| {
            out.write_all(&count.to_le_bytes())?;
            out.write_all(bytemuck::cast_slice(row))
        })
    })
}
