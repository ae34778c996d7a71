//! The formats of the big-ann benchmarks: `.fbin`, `.f16bin`, `.u8bin`, `.i8bin`, `.ibin`. Two 32-bit counts, rows and
//! columns, then the numbers.
//!
//! Format: <https://big-ann-benchmarks.com/neurips21.html>, "dataset formats"; `.f16bin` as in NVIDIA's cuVS.

use std::path::Path;

use bytemuck::Pod;
use half::f16;

use super::input::{Input, Kind, Shape};
use super::{FormatError, Ids, Table, write_whole};
use crate::matrix::{Matrix, Values};

/// Reads `.fbin`: 32-bit floats.
pub fn read_floats(path: &Path) -> Result<Table, FormatError> {
    read(path, Kind::F32)
}

/// Reads `.f16bin`: half floats.
pub fn read_halves(path: &Path) -> Result<Table, FormatError> {
    read(path, Kind::F16)
}

/// Reads `.u8bin`: unsigned bytes.
pub fn read_unsigned(path: &Path) -> Result<Table, FormatError> {
    read(path, Kind::U8)
}

/// Reads `.i8bin`: signed bytes.
pub fn read_signed(path: &Path) -> Result<Table, FormatError> {
    read(path, Kind::I8)
}

/// Reads `.ibin`: 32-bit integers, row numbers.
pub fn read_ids(path: &Path) -> Result<Table, FormatError> {
    read(path, Kind::I32)
}

fn read(path: &Path, kind: Kind) -> Result<Table, FormatError> {
    let mut input = Input::open(path)?;
    let rows = u32::from_le_bytes(input.array("number of rows")?) as usize;
    let dim = u32::from_le_bytes(input.array("number of columns")?) as usize;
    input.table(kind, Shape { rows, dim, by_column: false })
}

/// Writes `.fbin`. Any element type becomes a 32-bit float.
pub fn write_floats(path: &Path, matrix: &Matrix) -> Result<(), FormatError> {
    write(path, &matrix.to_f32(), matrix.dim())
}

/// Writes `.f16bin`. Half floats only.
pub fn write_halves(path: &Path, matrix: &Matrix) -> Result<(), FormatError> {
    match matrix.values() {
        Values::F16(halves) => write::<f16>(path, halves, matrix.dim()),
        _ => Err(FormatError::unexpected(path, "numbers for f16bin", "f16", matrix.element())),
    }
}

/// Writes `.u8bin`. Unsigned bytes only.
pub fn write_unsigned(path: &Path, matrix: &Matrix) -> Result<(), FormatError> {
    match matrix.values() {
        Values::U8(bytes) => write(path, bytes, matrix.dim()),
        _ => Err(FormatError::unexpected(path, "numbers for u8bin", "u8", matrix.element())),
    }
}

/// Writes `.i8bin`. Signed bytes only.
pub fn write_signed(path: &Path, matrix: &Matrix) -> Result<(), FormatError> {
    match matrix.values() {
        Values::I8(bytes) => write(path, bytes, matrix.dim()),
        _ => Err(FormatError::unexpected(path, "numbers for i8bin", "i8", matrix.element())),
    }
}

/// Writes `.ibin`.
pub fn write_ids(path: &Path, ids: &Ids) -> Result<(), FormatError> {
    write(path, &ids.ids, ids.k)
}

fn write<T: Pod>(path: &Path, values: &[T], dim: usize) -> Result<(), FormatError> {
    let count = |what, count: usize| {
        u32::try_from(count).map_err(|_| FormatError::unexpected(path, what, "at most 4294967295", count))
    };
    let (rows, columns) = (count("number of rows", values.len() / dim.max(1))?, count("number of columns", dim)?);
    write_whole(path, |out| {
        out.write_all(&rows.to_le_bytes())?;
        out.write_all(&columns.to_le_bytes())?;
        out.write_all(bytemuck::cast_slice(values))
    })
}
