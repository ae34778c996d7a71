//! Files of numbers: one module per format, all giving a [`Table`].
//!
//! No reader believes a header: sizes are multiplied with overflow checked and compared with the file's length before anything is
//! allocated, and bytes left over are an error too. A file is written under another name and renamed when whole.

mod input;
mod output;

pub mod bin;
pub mod hdf5;
pub mod idx;
pub mod jsonl;
pub mod npy;
pub mod vecs;

use std::io;
use std::path::{Path, PathBuf};

use crate::matrix::Matrix;

pub(crate) use output::make_folder;
pub use output::write_whole;

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

/// The formats a name's end can say.
const KNOWN: &str =
    ".npy, .fvecs, .bvecs, .ivecs, .fbin, .f16bin, .u8bin, .i8bin, .ibin, .jsonl, .idx, -ubyte, .idx.gz or -ubyte.gz";

/// Reads a file of one table, in the format its name's end says. (An HDF5 file holds several: [`hdf5::read`].)
pub fn read(path: &Path) -> Result<Table, FormatError> {
    match extension(path).as_str() {
        "npy" => npy::read(path),
        "fvecs" => vecs::read_floats(path),
        "bvecs" => vecs::read_bytes(path),
        "ivecs" => vecs::read_ids(path),
        "fbin" => bin::read_floats(path),
        "f16bin" => bin::read_halves(path),
        "u8bin" => bin::read_unsigned(path),
        "i8bin" => bin::read_signed(path),
        "ibin" => bin::read_ids(path),
        "jsonl" => jsonl::read(path),
        "idx" | "idx.gz" => idx::read(path),
        found => Err(FormatError::unexpected(path, "format", KNOWN, format_args!("`{found}`"))),
    }
}

/// Writes a file, in the format its name's end says. No number is changed: a format that cannot hold them refuses.
pub fn write(path: &Path, table: &Table) -> Result<(), FormatError> {
    match (extension(path).as_str(), table) {
        ("npy", table) => npy::write(path, table),
        ("ivecs", Table::Ids(ids)) => vecs::write_ids(path, ids),
        ("ibin", Table::Ids(ids)) => bin::write_ids(path, ids),
        ("fvecs", Table::Vectors(matrix)) => vecs::write_floats(path, matrix),
        ("bvecs", Table::Vectors(matrix)) => vecs::write_bytes(path, matrix),
        ("fbin", Table::Vectors(matrix)) => bin::write_floats(path, matrix),
        ("f16bin", Table::Vectors(matrix)) => bin::write_halves(path, matrix),
        ("u8bin", Table::Vectors(matrix)) => bin::write_unsigned(path, matrix),
        ("i8bin", Table::Vectors(matrix)) => bin::write_signed(path, matrix),
        ("jsonl", Table::Vectors(matrix)) => jsonl::write(path, matrix),
        ("idx", Table::Vectors(matrix)) => idx::write(path, matrix),
        (found, Table::Ids(_)) => Err(FormatError::unexpected(
            path,
            "format",
            "one for row numbers: .npy, .ivecs or .ibin",
            format_args!("`{found}`"),
        )),
        (found, Table::Vectors(_)) => {
            let known = ".npy, .fvecs, .bvecs, .fbin, .f16bin, .u8bin, .i8bin, .jsonl or .idx";
            Err(FormatError::unexpected(
                path,
                "format",
                format_args!("one for vectors: {known}"),
                format_args!("`{found}`"),
            ))
        }
    }
}

/// The end of a file's name that says its format. MNIST's own names (`train-images-idx3-ubyte.gz`) count as `idx`.
fn extension(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let (bare, gz) = name.strip_suffix(".gz").map_or((name.as_str(), ""), |bare| (bare, ".gz"));
    let last = bare.rsplit_once('.').map_or("", |(_, last)| last);
    format!("{}{gz}", if bare.ends_with("-ubyte") { "idx" } else { last })
}
