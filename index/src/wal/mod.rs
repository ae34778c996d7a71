//! The write-ahead log: what was acknowledged, in order, until a checkpoint holds it.
//!
//! A log is a row of files, `wal-N.log`. Each has a header and then groups of records; a group is written at once and is whole or absent
//! after a crash. Which of two things a broken group means is the point of the format:
//!
//! - **Torn**: the crash came before the group was on disk. Nobody was told it was stored. It is cut off, and the log goes on.
//! - **Damaged**: the group was on disk once and no longer is. Cutting it off would drop acknowledged writes silently, so the log is
//!   refused, by file and offset.
//!
//! They are told apart by what follows. Each group says up to which group the log was known to be on disk when it was written
//! (`synced`); if any later group, or the header of a later file, vouches for the broken one, it is damaged. With a sync before every
//! acknowledgement every group vouches for the one before it. Left open is damage to the last group of a log that was not closed.
//!
//! Groups are chained: each holds the checksum of the one before. All checksums start from the log's random id, so that no record,
//! whatever bytes a client puts into it, can be taken for a group.
//!
//! frame: bytes of headers and groups · reader: what a log says, and how it ends · writer: adding to it

mod frame;
mod reader;
#[cfg(test)]
pub(crate) mod tests;
mod writer;

use std::io;
use std::path::{Path, PathBuf};

pub(crate) use frame::{Group, LogId, Position};
pub(crate) use reader::{End, Torn, read, salvage};
pub(crate) use writer::{Log, LogError};

const PREFIX: &str = "wal-";
const SUFFIX: &str = ".log";

/// The path of log file `number` in `dir`.
pub(crate) fn log_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{PREFIX}{number}{SUFFIX}"))
}

/// The bytes of log file `number` of log `id` that goes on at `at` and holds no group yet.
pub(crate) fn empty_log(id: LogId, number: u64, at: Position) -> Vec<u8> {
    frame::file_header(id, number, at).to_vec()
}

/// The number of the log file of this name, if it is one.
pub(crate) fn log_number(name: &str) -> Option<u64> {
    name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok()
}

/// A log that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalError {
    /// A file could not be read.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Bytes that were on disk are no longer what was written.
    #[error("{path}: damaged at byte {offset}: {what}", path = path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where the broken header or group starts.
        offset: u64,
        /// What is wrong with it.
        what: String,
    },
}
