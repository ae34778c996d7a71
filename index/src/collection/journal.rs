//! The log of an open collection, and the room set aside for deletes on a full disk.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::home::{Options, SyncMode};
use super::manifest::LogStart;
use crate::faults::{self, Safeguard};
use crate::vfs::Vfs;
use crate::wal::{Log, LogError};

const RESERVE: &str = "reserve";

/// Where changes are logged.
#[derive(Debug)]
pub(super) struct Journal {
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
    log: Log,
    options: Options,
    /// Bytes of log behind the manifest's segments; 0 exactly if there is no group.
    bytes: u64,
    /// Nothing is sealed below so many: the last attempt failed.
    not_before: u64,
    /// Whether the room for deletes is set aside.
    reserve: bool,
    synced: Instant,
}

impl Journal {
    /// Goes on with `log`, of which `bytes` are newer than the segments.
    pub(super) fn new(vfs: Arc<dyn Vfs>, dir: &Path, log: Log, options: Options, bytes: u64) -> Self {
        let synced = Instant::now();
        let mut journal = Journal { vfs, dir: dir.into(), log, options, bytes, not_before: 0, reserve: false, synced };
        // Without it upserts are refused, and try again.
        let _ = journal.set_aside();
        journal
    }

    /// Logs `records`, the first of which is operation `first` upon points of sum `sum`, so that they count as stored.
    pub(super) fn commit(&mut self, first: u64, sum: u128, records: &[Vec<u8>]) -> Result<(), LogError> {
        if self.log.len() >= self.options.log_file_bytes {
            match self.log.roll() {
                // A longer file does no harm.
                Ok(()) | Err(LogError::Refused { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.bytes += self.log.append(first, sum, records)?;
        match self.options.sync {
            SyncMode::Always => self.log.sync(),
            SyncMode::Interval(_) => self.sync_if_due(),
            SyncMode::Os => Ok(()),
        }
    }

    /// Syncs the log if the interval has passed.
    pub(super) fn sync_if_due(&mut self) -> Result<(), LogError> {
        match self.options.sync {
            SyncMode::Interval(interval) if self.log.is_dirty() && self.synced.elapsed() >= interval => {
                self.log.sync()?;
                self.synced = Instant::now();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Begins a new file, so that what is logged up to now can be given up once it is sealed. Returns where the new one starts and the
    /// bytes before it.
    pub(super) fn divide(&mut self) -> Result<(LogStart, u64), LogError> {
        self.log.roll()?;
        let at = self.log.at();
        Ok((LogStart { file: self.log.number(), group: at.group, chain: at.chain }, self.bytes))
    }

    /// Bytes that are newer than the segments.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether sealing may be tried: it did not fail lately.
    pub(super) fn may_seal(&self) -> bool {
        self.bytes >= self.not_before && self.log.broken().is_none()
    }

    /// The first `bytes` are in segments now.
    pub(super) fn sealed(&mut self, bytes: u64) {
        self.bytes -= bytes;
        self.not_before = 0;
    }

    /// Sealing failed. That is likely to come again, and an attempt costs as much as there is to seal.
    pub(super) fn seal_failed(&mut self) {
        self.not_before = self.bytes.saturating_mul(2);
    }

    /// Makes sure of the room for deletes, before anything else is written: sets aside anew what was given up.
    pub(super) fn ensure_reserve(&mut self) -> Result<(), LogError> {
        if self.reserve || !faults::on(Safeguard::Reserve) {
            return Ok(());
        }
        self.set_aside().map_err(|source| LogError::Refused { path: self.dir.join(RESERVE), source })
    }

    /// Sets room aside for deletes, if the disk has it.
    fn set_aside(&mut self) -> io::Result<()> {
        let path = self.dir.join(RESERVE);
        let bytes = self.options.reserve_bytes;
        let set_aside = || {
            if self.vfs.map(&path).is_ok_and(|file| file.bytes().len() == bytes) {
                return Ok(());
            }
            let mut file = self.vfs.create(&path)?;
            file.write_all(&vec![0; bytes])?;
            file.sync()
        };
        let outcome = set_aside();
        self.reserve = outcome.is_ok();
        if !self.reserve {
            // A part of it is of no use, and takes room.
            let _ = self.vfs.remove(&path);
        }
        outcome
    }

    /// Gives up the room for deletes; false if there is none.
    pub(super) fn release_reserve(&mut self) -> bool {
        let had = self.reserve && faults::on(Safeguard::Reserve);
        self.reserve = false;
        had && self.vfs.remove(&self.dir.join(RESERVE)).is_ok()
    }

    /// Why nothing is written any more, if so.
    pub(super) fn broken(&self) -> Option<&str> {
        self.log.broken()
    }
}
