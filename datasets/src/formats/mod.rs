//! Files of numbers: one module per format, all giving a [`Table`].
//!
//! No reader believes a header: sizes are multiplied with overflow checked and compared with the file's length before anything is
//! allocated, and bytes left over are an error too. A file is written under another name and renamed when whole.

mod input;
mod output;

pub mod idx;
pub mod npy;

use std::io;
use std::path::{Path, PathBuf};

use crate::matrix::Matrix;

pub(crate) use output::write_whole;

/// What a file holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Table {
    /// Vectors, or distances.
    Vectors(Matrix),
    /// Row numbers: neighbours.
    Ids(Ids),
}

/// Row numbers, the same count for each query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ids {
    /// How many per query.
    pub k: usize,
    /// The numbers, `[queries × k]`.
    pub ids: Vec<u32>,
}

/// A file that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The system's refusal.
    #[error("{path}: cannot {action}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The contents are not what they should be.
    #[error("{path}: {what}: expected {expected}, found {found}")]
    Unexpected {
        /// Which file.
        path: PathBuf,
        /// Which part of it.
        what: &'static str,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
}

impl FormatError {
    pub(crate) fn io(path: &Path, action: &'static str, source: io::Error) -> Self {
        FormatError::Io { path: path.into(), action, source }
    }

    #[allow(clippy::needless_pass_by_value, reason = "callers hand over what they have just formatted")]
    pub(crate) fn unexpected(path: &Path, what: &'static str, expected: impl ToString, found: impl ToString) -> Self {
        FormatError::Unexpected { path: path.into(), what, expected: expected.to_string(), found: found.to_string() }
    }
}

impl Table {
    /// The vectors, or an error that names `path`.
    pub fn into_vectors(self, path: &Path) -> Result<Matrix, FormatError> {
        match self {
            Table::Vectors(matrix) => Ok(matrix),
            Table::Ids(_) => {
                Err(FormatError::unexpected(path, "numbers", "vectors", "whole numbers of more than 8 bits"))
            }
        }
    }

    /// The row numbers, or an error that names `path`.
    pub fn into_ids(self, path: &Path) -> Result<Ids, FormatError> {
        match self {
            Table::Ids(ids) => Ok(ids),
            Table::Vectors(matrix) => {
                Err(FormatError::unexpected(path, "numbers", "row numbers, as 32 or 64-bit integers", matrix.element()))
            }
        }
    }
}
