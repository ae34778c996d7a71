//! What can go wrong with a collection's folder.

use std::io;
use std::path::PathBuf;

use super::manifest::{FORMAT, OLDEST_FORMAT};
use crate::params::ParamsError;
use crate::storage::format::{OpenError, SaveError};
use crate::wal::{LogError, WalError};

/// A collection that could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// The graph's parameters are out of range.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// There is a collection in the folder.
    #[error("{path} holds a collection already", path = path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// Another process uses the folder.
    #[error("{path} is in use by another process", path = path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// A file could not be written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Segments that were not sealed or merged. The collection is as durable as before, and the next attempt may succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// A file could not be written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A segment could not be written.
    #[error(transparent)]
    Segment(#[from] SaveError),
    /// A segment could not be read back.
    #[error(transparent)]
    Written(#[from] OpenError),
    /// Nothing is written any more.
    #[error("read-only until it is opened again: {why}")]
    ReadOnly {
        /// What happened.
        why: String,
    },
}

impl From<LogError> for CheckpointError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Refused { path, source } => CheckpointError::Io { path, source },
            LogError::ReadOnly(why) => CheckpointError::ReadOnly { why },
        }
    }
}

/// A folder that cannot be opened as a collection. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenCollectionError {
    /// A file could not be read, or, once all is read, not be made ready for writing.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process uses the folder.
    #[error("{path} is in use by another process", path = path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// A line is not what was written.
    #[error("{path}: line {line} is damaged: {source}", path = path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// Written by another version.
    #[error("{path}: format version {found}, this build reads {OLDEST_FORMAT}..={FORMAT}", path = path.display())]
    Version {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// The bytes changed since they were written.
    #[error("{path}: checksum mismatch: expected {expected:08x}, found {found:08x}", path = path.display())]
    Checksum {
        /// Which file.
        path: PathBuf,
        /// The checksum it ends with.
        expected: u32,
        /// The checksum of what it holds.
        found: u32,
    },
    /// The files do not go together.
    #[error("{path}: {what}: expected {expected}, found {found}", path = path.display())]
    Mismatch {
        /// Which file.
        path: PathBuf,
        /// What was counted.
        what: &'static str,
        /// The count by the header or the manifest.
        expected: usize,
        /// The count found.
        found: usize,
    },
    /// A file says something that cannot be.
    #[error("{path}: {what}", path = path.display())]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// What it says.
        what: String,
    },
    /// The points are not those that were stored.
    #[error("{path}: the points sum up to {found:032x}, expected {expected:032x}", path = path.display())]
    Sum {
        /// Which file.
        path: PathBuf,
        /// The sum by the manifest.
        expected: u128,
        /// The sum of what the segments hold.
        found: u128,
    },
    /// A segment cannot be opened.
    #[error(transparent)]
    Segment(#[from] OpenError),
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] WalError),
}
