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

    pub(crate) fn path(&self) -> &Path {
        &self.path
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
        let bytes = (count as u64).checked_mul(size_of::<T>() as u64).filter(|&bytes| bytes <= self.left);
        if bytes.is_none() {
            let expected = format!("{count} numbers of {} bytes", size_of::<T>());
            return Err(self.unexpected(what, expected, format_args!("{} bytes", self.left)));
        }
        let mut values = vec![T::zeroed(); count];
        self.fill(bytemuck::cast_slice_mut(&mut values), what)?;
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

    /// The number of values in `rows × dim`, both at least 1, or an error.
    pub(crate) fn count(&self, rows: usize, dim: usize) -> Result<usize, FormatError> {
        if dim == 0 {
            return Err(self.unexpected("shape", "at least one column", format_args!("{rows} × {dim}")));
        }
        let count = rows.checked_mul(dim);
        count.ok_or_else(|| {
            self.unexpected("shape", "fewer numbers than there are addresses", format_args!("{rows} × {dim}"))
        })
    }

    /// Reads `rows × dim` numbers of `kind`, which end the file.
    pub(crate) fn table(&mut self, kind: Kind, rows: usize, dim: usize) -> Result<Table, FormatError> {
        const WHAT: &str = "rows";
        let count = self.count(rows, dim)?;
        let table = match kind {
            Kind::F32 => self.vectors(Values::F32, count, dim)?,
            Kind::F16 => self.vectors(Values::F16, count, dim)?,
            Kind::U8 => self.vectors(Values::U8, count, dim)?,
            Kind::I8 => self.vectors(Values::I8, count, dim)?,
            Kind::F64 => {
                let wide = self.values::<f64>(count, WHAT)?;
                vectors(Values::F32(wide.into_iter().map(|x| x as f32).collect()), dim)
            }
            Kind::Bool => Table::Vectors(Matrix::pack(&self.values::<u8>(count, WHAT)?, dim)),
            Kind::U32 => Table::Ids(Ids { k: dim, ids: self.values(count, WHAT)? }),
            Kind::I32 => self.ids::<i32>(count, dim)?,
            Kind::I64 => self.ids::<i64>(count, dim)?,
        };
        if self.left > 0 {
            return Err(self.unexpected("end", "no byte after the last row", format_args!("{} bytes", self.left)));
        }
        Ok(table)
    }

    fn vectors<T: Pod>(
        &mut self,
        make: impl Fn(Vec<T>) -> Values,
        count: usize,
        dim: usize,
    ) -> Result<Table, FormatError> {
        Ok(vectors(make(self.values(count, "rows")?), dim))
    }

    fn ids<T: Pod + TryInto<u32> + ToString>(&mut self, count: usize, k: usize) -> Result<Table, FormatError> {
        ids(&self.path.clone(), &self.values::<T>(count, "rows")?, k)
    }
}

fn vectors(values: Values, dim: usize) -> Table {
    Table::Vectors(Matrix::new(values, dim).expect("rows × dim numbers were read"))
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
