//! Adding to a log.
//!
//! Invariant: the file ends with a whole group whenever no call is under way. A write that fails is cut off again; where that fails
//! too, or a sync fails, nobody knows what is on disk, and nothing is written until the log has been read again.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::frame::{self, FILE_HEADER, LogId, Position};
use super::log_path;
use super::reader::{End, Torn};
use crate::faults::{self, Point, Safeguard};
use crate::vfs::{Vfs, VfsFile};

/// A log that is open for writing.
#[derive(Debug)]
pub(crate) struct Log {
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
    id: LogId,
    file: Box<dyn VfsFile>,
    number: u64,
    /// Bytes of the file.
    len: u64,
    /// The last group written.
    at: Position,
    /// The last group known to be on disk.
    synced: u64,
    /// Why nothing is written any more.
    broken: Option<String>,
}

/// A group that was not added, or is not known to be on disk.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    /// Nothing was added; another attempt may succeed.
    #[error("{path}: {source}", path = path.display())]
    Refused { path: PathBuf, source: io::Error },
    /// What is on disk is not known: no more writes.
    #[error("{0}")]
    ReadOnly(String),
}

impl Log {
    /// Makes file `number` of log `id` in `dir`, which goes on at `at`. On disk when this returns.
    pub(crate) fn create(vfs: Arc<dyn Vfs>, dir: &Path, id: LogId, number: u64, at: Position) -> io::Result<Self> {
        let path = log_path(dir, number);
        let mut file = vfs.create(&path)?;
        file.write_all(&frame::file_header(id, number, at))?;
        if faults::on(Safeguard::LogHeaderSync) {
            file.sync()?;
        }
        if faults::on(Safeguard::LogNameSync) {
            vfs.sync_dir(dir)?;
        }
        faults::reach(Point::LogMade);
        let len = FILE_HEADER as u64;
        Ok(Log { vfs, dir: dir.into(), id, file, number, len, at, synced: at.group, broken: None })
    }

    /// Goes on at the `end` of a log that was read, after cutting off what is behind it. All that was read is on disk when this
    /// returns, as is every name in `dir`: a group that a killed process had not synced was found, and whoever reads its points must not
    /// lose them again.
    pub(crate) fn resume(vfs: Arc<dyn Vfs>, dir: &Path, id: LogId, end: &End) -> io::Result<Self> {
        let mut file = vfs.append(&log_path(dir, end.number))?;
        match &end.torn {
            Some(Torn::Group { .. }) => file.set_len(end.len)?,
            Some(Torn::File { path }) => vfs.remove(path)?,
            None => {}
        }
        faults::reach(Point::Replayed);
        if faults::on(Safeguard::ReplaySync) {
            file.sync()?;
        }
        // The name of the manifest that was read, and of a log file that was only begun, may not be on disk either.
        if faults::on(Safeguard::ReplayNameSync) {
            vfs.sync_dir(dir)?;
        }
        let (number, len, at) = (end.number, end.len, end.at);
        Ok(Log { vfs, dir: dir.into(), id, file, number, len, at, synced: at.group, broken: None })
    }

    /// Adds one group: `records`, the first of which has number `first`, upon points whose sum is `sum`. Returns its bytes; they are
    /// on disk after the next [`sync`](Log::sync).
    pub(crate) fn append(&mut self, first: u64, sum: u128, records: &[Vec<u8>]) -> Result<u64, LogError> {
        self.check()?;
        let (bytes, at) = frame::group(self.id, self.at, first, self.synced, sum, records);
        if let Err(source) = self.file.write_all(&bytes) {
            let path = log_path(&self.dir, self.number);
            if faults::on(Safeguard::CutAfterFailure)
                && let Err(error) = self.file.set_len(self.len)
            {
                return Err(self.break_off(format!(
                    "{}: {source}, and what was written could not be cut off: {error}",
                    path.display()
                )));
            }
            return Err(LogError::Refused { path, source });
        }
        self.at = at;
        self.len += bytes.len() as u64;
        faults::reach(Point::GroupWritten);
        Ok(bytes.len() as u64)
    }

    /// Returns once every group is on disk.
    pub(crate) fn sync(&mut self) -> Result<(), LogError> {
        self.check()?;
        if self.synced == self.at.group {
            return Ok(());
        }
        if faults::on(Safeguard::GroupSync)
            && let Err(error) = self.file.sync()
        {
            let path = log_path(&self.dir, self.number);
            return Err(self.break_off(format!("{} could not be synced: {error}", path.display())));
        }
        self.synced = self.at.group;
        faults::reach(Point::GroupSynced);
        Ok(())
    }

    /// Goes on in a new file. On an error the log goes on in the old one.
    pub(crate) fn roll(&mut self) -> Result<(), LogError> {
        if faults::on(Safeguard::LogEndSync) {
            self.sync()?;
        }
        let next = self.number + 1;
        match Log::create(Arc::clone(&self.vfs), &self.dir, self.id, next, self.at) {
            Ok(log) => {
                *self = log;
                Ok(())
            }
            Err(source) => {
                let path = log_path(&self.dir, next);
                // If it stays, a reader sees that it was given up: it holds no group.
                let _ = self.vfs.remove(&path);
                Err(LogError::Refused { path, source })
            }
        }
    }

    /// Number of the file that is written to.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Bytes of the file that is written to.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The last group written.
    pub(crate) fn at(&self) -> Position {
        self.at
    }

    /// Whether a group waits for a sync.
    pub(crate) fn is_dirty(&self) -> bool {
        self.synced != self.at.group && self.broken.is_none()
    }

    /// Why nothing is written any more, if so.
    pub(crate) fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    fn check(&self) -> Result<(), LogError> {
        self.broken.clone().map_or(Ok(()), |why| Err(LogError::ReadOnly(why)))
    }

    fn break_off(&mut self, why: String) -> LogError {
        if faults::on(Safeguard::ReadOnlyAfterFailedSync) {
            self.broken = Some(why.clone());
        }
        LogError::ReadOnly(why)
    }
}
