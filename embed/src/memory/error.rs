//! Why a memory refuses what it is given.

use std::path::PathBuf;

use crate::gather::GatherError;

/// What memories, their parts and their files refuse. Nothing is changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// A size is out of its range.
    #[error("{what}: expected {expected}, found {found}")]
    Size {
        /// Which size.
        what: &'static str,
        /// Its range.
        expected: &'static str,
        /// The size.
        found: usize,
    },
    /// Not as many numbers as the sizes ask for.
    #[error("{what}: expected {expected} numbers, found {found}")]
    Numbers {
        /// Of what.
        what: &'static str,
        /// How many the sizes ask for.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// Not whole rows.
    #[error("{what}: expected rows of {dim} numbers, found {found} numbers")]
    Rows {
        /// Of what.
        what: &'static str,
        /// Numbers in a row.
        dim: usize,
        /// Numbers there are.
        found: usize,
    },
    /// A number is NaN or infinite.
    #[error("{what}: expected finite numbers, found {found} in row {row}")]
    NotFinite {
        /// Of what.
        what: &'static str,
        /// Which row.
        row: usize,
        /// The number.
        found: f32,
    },
    /// A query so long that scores would leave the range of f32.
    #[error("query {row}: expected a length of at most {most:e}, found {found:e}")]
    TooLong {
        /// Which query.
        row: usize,
        /// The longest these keys allow.
        most: f64,
        /// The length.
        found: f64,
    },
    /// More results asked for than there are.
    #[error("k: expected 1 to {most}, found {found}")]
    K {
        /// Slots or keys there are.
        most: usize,
        /// The k asked for.
        found: usize,
    },
    /// No such slot or key.
    #[error("expected an id below {len}, found {found}")]
    Id {
        /// Slots or keys there are.
        len: usize,
        /// The id.
        found: u32,
    },
    /// A setting that must be a positive number.
    #[error("{what}: expected a positive finite number, found {found}")]
    Setting {
        /// Which one.
        what: &'static str,
        /// The number.
        found: f64,
    },
    /// Values of a mapped file, or of fewer bits than training needs, cannot be written.
    #[error("expected owned values of {expected}, found {found}")]
    Values {
        /// What the operation needs.
        expected: &'static str,
        /// What there is.
        found: &'static str,
    },
    /// Memory that nothing was put into has no answer.
    #[error("expected at least one key, found an empty memory")]
    Empty,
    /// The key index failed.
    #[error("the key index failed: {0}")]
    Index(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Rows could not be summed.
    #[error(transparent)]
    Gather(#[from] GatherError),
    /// The file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not in the safetensors format, or is cut off.
    #[error("{path}: expected a whole safetensors file, found: {reason}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What the reader found.
        reason: String,
    },
    /// The file is no memory file, or is one of another version.
    #[error("{path}: expected {expected}, found {found}")]
    Contents {
        /// The file.
        path: PathBuf,
        /// What a memory file has.
        expected: String,
        /// What this one has.
        found: String,
    },
    /// A tensor's bytes are not those that were saved.
    #[error("{path}: tensor `{tensor}`: expected checksum {expected:08x}, found {found:08x}")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Which tensor.
        tensor: String,
        /// The checksum of the bytes that were saved.
        expected: u32,
        /// The checksum of the bytes in the file.
        found: u32,
    },
}

impl MemoryError {
    /// Errors unless there are `expected` numbers, all finite.
    pub(crate) fn check_numbers(what: &'static str, expected: usize, numbers: &[f32]) -> Result<(), MemoryError> {
        if numbers.len() != expected {
            return Err(MemoryError::Numbers { what, expected, found: numbers.len() });
        }
        Self::check_finite(what, numbers.len().max(1), numbers)
    }

    /// Errors unless there are whole rows of `dim` numbers, all finite; returns how many rows.
    pub(crate) fn check_rows(what: &'static str, dim: usize, numbers: &[f32]) -> Result<usize, MemoryError> {
        if dim == 0 || !numbers.len().is_multiple_of(dim) {
            return Err(MemoryError::Rows { what, dim, found: numbers.len() });
        }
        Self::check_finite(what, dim, numbers)?;
        Ok(numbers.len() / dim)
    }

    fn check_finite(what: &'static str, dim: usize, numbers: &[f32]) -> Result<(), MemoryError> {
        match numbers.iter().position(|number| !number.is_finite()) {
            Some(at) => Err(MemoryError::NotFinite { what, row: at / dim, found: numbers[at] }),
            None => Ok(()),
        }
    }

    /// Errors unless `number` is positive and finite.
    pub(crate) fn check_positive(what: &'static str, number: f64) -> Result<(), MemoryError> {
        match number.is_finite() && number > 0.0 {
            true => Ok(()),
            false => Err(MemoryError::Setting { what, found: number }),
        }
    }
}
