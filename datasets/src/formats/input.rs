//! Reading a file whose header may lie.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use bytemuck::Pod;

use super::{FormatError, Ids, Table};
use crate::matrix::{Matrix, Values};

/// A file, and how much of it is left.
pub(crate) struct Input {
    path: PathBuf,
    reader: BufReader<File>,
    left: u64,
}

impl Input {
    pub(crate) fn open(path: &Path) -> Result<Input, FormatError> {
        let file = File::open(path).map_err(|error| FormatError::io(path, "open", error))?;
        let left = file.metadata().map_err(|error| FormatError::io(path, "read its length", error))?.len();
        Ok(Input { path: path.into(), reader: BufReader::new(file), left })
    }

    /// Bytes not yet read.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    #[allow(clippy::needless_pass_by_value, reason = "callers hand over what they have just formatted")]
    pub(crate) fn unexpected(&self, what: &'static str, expected: impl ToString, found: impl ToString) -> FormatError {
        FormatError::unexpected(&self.path, what, expected, found)
    }

    /// The next `N` bytes, a part of the header.
    pub(crate) fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], FormatError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes, what)?;
        Ok(bytes)
    }

    /// The next `count` numbers. Checked against the length of the file before memory is taken.
    pub(crate) fn values<T: Pod>(&mut self, count: usize, what: &'static str) -> Result<Vec<T>, FormatError> {
        let mut values = Vec::new();
        self.extend(&mut values, count, what)?;
        Ok(values)
    }

    /// Fills `bytes`, or says how many there were.
    pub(crate) fn fill(&mut self, bytes: &mut [u8], what: &'static str) -> Result<(), FormatError> {
        if bytes.len() as u64 > self.left {
            return Err(self.unexpected(
                what,
                format_args!("{} bytes", bytes.len()),
                format_args!("{} bytes", self.left),
            ));
        }
        self.reader.read_exact(bytes).map_err(|error| FormatError::io(&self.path, "read", error))?;
        self.left -= bytes.len() as u64;
        Ok(())
    }

    /// Appends the next `count` numbers to `values`.
    pub(crate) fn extend<T: Pod>(
        &mut self,
        values: &mut Vec<T>,
        count: usize,
        what: &'static str,
    ) -> Result<(), FormatError> {
        self.check(count, size_of::<T>(), what)?;
        let start = values.len();
        values.resize(start + count, T::zeroed());
        self.fill(bytemuck::cast_slice_mut(&mut values[start..]), what)
    }

    /// Errors unless `count` numbers of `size` bytes are left.
    fn check(&self, count: usize, size: usize, what: &'static str) -> Result<(), FormatError> {
        if count.checked_mul(size).is_none_or(|bytes| bytes as u64 > self.left) {
            let expected = format!("{count} numbers of {size} bytes");
            return Err(self.unexpected(what, expected, format_args!("{} bytes", self.left)));
        }
        Ok(())
    }

    /// Reads numbers of `kind`, which end the file.
    pub(crate) fn table(&mut self, kind: Kind, shape: Shape) -> Result<Table, FormatError> {
        let dim = shape.dim;
        let vectors = |values| Table::Vectors(Matrix::new(values, dim).expect("rows × dim numbers were read"));
        let table = match kind {
            Kind::F32 => vectors(Values::F32(self.rows(shape)?)),
            Kind::F16 => vectors(Values::F16(self.rows(shape)?)),
            Kind::U8 => vectors(Values::U8(self.rows(shape)?)),
            Kind::I8 => vectors(Values::I8(self.rows(shape)?)),
            Kind::F64 => vectors(Values::F32(self.rows::<f64>(shape)?.into_iter().map(|x| x as f32).collect())),
            Kind::Bool => Table::Vectors(Matrix::pack(&self.rows::<u8>(shape)?, dim)),
            Kind::U32 => Table::Ids(Ids { k: dim, ids: self.rows(shape)? }),
            Kind::I32 => ids(&self.path.clone(), &self.rows::<i32>(shape)?, dim)?,
            Kind::I64 => ids(&self.path.clone(), &self.rows::<i64>(shape)?, dim)?,
        };
        if self.left > 0 {
            return Err(self.unexpected("end", "no byte after the last row", format_args!("{} bytes", self.left)));
        }
        Ok(table)
    }

    /// The next numbers, in rows whichever way they lie.
    fn rows<T: Pod>(&mut self, Shape { rows, dim, by_column }: Shape) -> Result<Vec<T>, FormatError> {
        let count = rows.checked_mul(dim).filter(|_| dim > 0);
        let found = format_args!("{rows} × {dim}").to_string();
        let count = count.ok_or_else(|| self.unexpected("shape", "at least one column, and addressable", found))?;
        let values: Vec<T> = self.values(count, "rows")?;
        if by_column {
            return Ok((0..rows)
                .flat_map(|row| (0..dim).map(move |column| (row, column)))
                .map(|(row, column)| values[column * rows + row])
                .collect());
        }
        Ok(values)
    }
}

/// How the numbers of a file lie.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) rows: usize,
    pub(crate) dim: usize,
    /// Column after column instead of row after row.
    pub(crate) by_column: bool,
}

/// Row numbers from signed integers.
pub(crate) fn ids<T: Copy + TryInto<u32> + ToString>(
    path: &Path,
    numbers: &[T],
    k: usize,
) -> Result<Table, FormatError> {
    let checked = numbers.iter().map(|&number| {
        let id = number.try_into();
        id.map_err(|_| FormatError::unexpected(path, "row number", "0..=4294967295", number))
    });
    Ok(Table::Ids(Ids { k, ids: checked.collect::<Result<_, _>>()? }))
}

/// How a file stores a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    F64,
    F32,
    F16,
    U8,
    I8,
    /// A byte per bit.
    Bool,
    U32,
    I32,
    I64,
}
