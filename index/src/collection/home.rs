//! A collection's folder: lock, log, checkpoints, and the room set aside for deletes.
//!
//! ```text
//! lock             held while a process uses the folder
//! manifest.json    what the folder holds: replaced by rename
//! vectors-G.hnsw   the index at checkpoint G
//! points-G.jsonl   its points
//! wal-N.log        changes since
//! reserve          given up when the disk is full, so that deletes can be logged
//! ```
//!
//! The order of steps is what makes it safe. A checkpoint: log file N+1 begins (the log up to N is synced); vectors and points are
//! written and synced; the new manifest is written and synced; their names are synced; the manifest is renamed; that name is synced;
//! only then are the files of the old manifest removed. Cut short anywhere, the folder opens by the old manifest or by the new one, and
//! everything either names is there.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::checkpoint::{self, CheckpointError, OpenCollectionError};
use super::manifest::Manifest;
use super::record::Record;
use super::{Collection, Schema};
use crate::faults::{self, Point, Safeguard};
use crate::params::BuildOptions;
use crate::vfs::{Lock, LockError, Vfs};
use crate::wal::{self, Group, Log, LogError, LogId, Position, Torn};

const LOCK: &str = "lock";
const RESERVE: &str = "reserve";

/// When a change counts as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SyncMode {
    /// Once it is on disk. Changes that wait for one sync share the next.
    #[default]
    Always,
    /// At once; it is on disk after at most this long, as far as [`tend`](super::SharedCollection::tend) is called as often. A loss
    /// of power takes back the last changes, never one before them.
    Interval(Duration),
    /// At once; the system writes it when it likes. A loss of power takes back the last changes, never one before them.
    Os,
}

/// How a collection is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// When a change counts as stored.
    pub sync: SyncMode,
    /// A checkpoint is made when the log has so many bytes, and at least a quarter of the index.
    pub checkpoint_after: u64,
    /// Make checkpoints in [`tend`](super::SharedCollection::tend) only, so that no write waits for one it caused.
    pub checkpoint_apart: bool,
    /// The log goes on in a new file when one has so many bytes; a file is read whole.
    pub log_file_bytes: u64,
    /// Bytes set aside on disk, so that deletes can still be logged when it is full.
    pub reserve_bytes: usize,
}

impl Options {
    /// The default [`checkpoint_after`](Options::checkpoint_after).
    pub const DEFAULT_CHECKPOINT_AFTER: u64 = 32 << 20;
    /// The default [`log_file_bytes`](Options::log_file_bytes).
    pub const DEFAULT_LOG_FILE_BYTES: u64 = 64 << 20;
    /// The default [`reserve_bytes`](Options::reserve_bytes): room for thousands of deletes.
    pub const DEFAULT_RESERVE_BYTES: usize = 128 << 10;
}

impl Default for Options {
    fn default() -> Self {
        Options {
            sync: SyncMode::Always,
            checkpoint_after: Self::DEFAULT_CHECKPOINT_AFTER,
            checkpoint_apart: false,
            log_file_bytes: Self::DEFAULT_LOG_FILE_BYTES,
            reserve_bytes: Self::DEFAULT_RESERVE_BYTES,
        }
    }
}

/// What was found when a collection was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovery {
    /// Groups of the log that were newer than the checkpoint.
    pub groups: u64,
    /// Changes in them.
    pub changes: u64,
    /// Bytes of a group that a crash had left unfinished, and that were cut off.
    pub torn_bytes: u64,
}

/// A collection that could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// The graph's parameters are out of range.
    #[error(transparent)]
    Params(#[from] crate::params::ParamsError),
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

/// The folder of an open collection.
#[derive(Debug)]
pub(super) struct Home {
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
    _lock: Option<Box<dyn Lock>>,
    log: Log,
    /// The last manifest known to be on disk.
    manifest: Manifest,
    /// The last generation whose files may lie in the folder.
    generation: u64,
    options: Options,
    /// Bytes of log behind the manifest's checkpoint; 0 exactly if there is no group.
    log_bytes: u64,
    /// No checkpoint is due below so many: the last attempt failed.
    not_before: u64,
    checkpoint_error: Option<String>,
    /// Whether the room for deletes is set aside.
    reserve: bool,
    synced: Instant,
    recovery: Recovery,
}

impl Home {
    /// Makes folder `dir` the home of a new collection.
    pub(super) fn create(
        vfs: Arc<dyn Vfs>,
        dir: &Path,
        schema: &Schema,
        options: Options,
    ) -> Result<Self, CreateError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            |source| CreateError::Io { path, source }
        };
        vfs.create_dir(dir).map_err(io(dir))?;
        let lock = take_lock(&*vfs, dir).map_err(|error| match error {
            LockError::Held => CreateError::Locked { path: dir.into() },
            LockError::Io(source) => CreateError::Io { path: dir.join(LOCK), source },
        })?;
        if Manifest::exists(&*vfs, dir).map_err(io(dir))? {
            return Err(CreateError::Exists { path: dir.into() });
        }
        let id = LogId(vfs.unique());
        let log = Log::create(Arc::clone(&vfs), dir, id, 0, Position::default()).map_err(io(dir))?;
        let manifest = Manifest::new(id, schema);
        manifest.write(&*vfs, dir).map_err(|(path, source)| CreateError::Io { path, source })?;
        let parent = dir.parent().unwrap_or(Path::new(""));
        vfs.sync_dir(parent).map_err(io(parent))?;
        let mut home = Home {
            vfs,
            dir: dir.into(),
            _lock: lock,
            log_bytes: 0,
            not_before: 0,
            checkpoint_error: None,
            log,
            generation: 0,
            manifest,
            options,
            reserve: false,
            synced: Instant::now(),
            recovery: Recovery::default(),
        };
        // Without it upserts are refused, and try again.
        let _ = home.set_aside();
        Ok(home)
    }

    /// Opens the collection in `dir`: reads the checkpoint, applies the log, and makes the folder ready for more.
    pub(super) fn open(
        vfs: Arc<dyn Vfs>,
        dir: &Path,
        options: Options,
    ) -> Result<(Self, Collection), OpenCollectionError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            |source| OpenCollectionError::Io { path, source }
        };
        let lock = lock(&*vfs, dir)?;
        let Read { manifest, collection, end, recovery } = read(&*vfs, dir)?;
        let log =
            Log::resume(Arc::clone(&vfs), dir, manifest.log_id(), &end).map_err(io(&wal::log_path(dir, end.number)))?;
        let mut home = Home {
            vfs,
            dir: dir.into(),
            _lock: lock,
            log_bytes: if recovery.groups == 0 { 0 } else { end.bytes },
            not_before: 0,
            checkpoint_error: None,
            log,
            generation: manifest.generation,
            manifest,
            options,
            reserve: false,
            synced: Instant::now(),
            recovery,
        };
        home.remove_left_over().map_err(io(dir))?;
        let _ = home.set_aside();
        faults::reach(Point::Opened);
        Ok((home, collection))
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
        self.log_bytes += self.log.append(first, sum, records)?;
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

    /// Whether the log has grown so long that a checkpoint is due.
    pub(super) fn checkpoint_due(&self, collection: &Collection) -> bool {
        let quarter = collection.graph().index_bytes() as u64 / 4;
        self.log_bytes >= self.options.checkpoint_after.max(quarter).max(self.not_before)
    }

    /// Makes a checkpoint if one is due and none of it is left to [`tend`](super::SharedCollection::tend). Where that fails nothing is
    /// lost, for the log holds everything.
    pub(super) fn checkpoint_along(&mut self, collection: &Collection) {
        if !self.options.checkpoint_apart && self.checkpoint_due(collection) {
            // Kept, and asked for by `checkpoint_error`.
            let _ = self.checkpoint(collection);
        }
    }

    /// Makes a checkpoint of `collection`, which is what the log says, unless there is nothing new.
    pub(super) fn checkpoint(&mut self, collection: &Collection) -> Result<(), CheckpointError> {
        if self.log_bytes == 0 {
            return Ok(());
        }
        let outcome = self.try_checkpoint(collection);
        // A failure is likely to come again, and an attempt costs as much as the collection is large.
        self.not_before = if outcome.is_ok() { 0 } else { self.log_bytes.saturating_mul(2) };
        self.checkpoint_error = outcome.as_ref().err().map(ToString::to_string);
        outcome
    }

    fn try_checkpoint(&mut self, collection: &Collection) -> Result<(), CheckpointError> {
        self.log.roll()?;
        // A number of its own, whatever becomes of it: after a failure it is not known which manifest is on disk, and the files of
        // neither may be written again.
        self.generation += 1;
        let manifest = self.manifest.next(self.generation, collection, self.log.number(), self.log.at());
        if let Err(error) = checkpoint::write(&*self.vfs, &self.dir, self.generation, collection) {
            // No manifest names them; on a full disk they are in the way.
            let (vectors, points) = checkpoint::paths(&self.dir, self.generation);
            let _ = self.vfs.remove(&vectors);
            let _ = self.vfs.remove(&points);
            return Err(error);
        }
        manifest.write(&*self.vfs, &self.dir).map_err(|(path, source)| CheckpointError::Io { path, source })?;
        self.manifest = manifest;
        self.log_bytes = 0;
        self.remove_left_over().map_err(|source| CheckpointError::Io { path: self.dir.clone(), source })
    }

    /// Removes what an older manifest named, or what was never named.
    fn remove_left_over(&self) -> io::Result<()> {
        for name in self.vfs.list(&self.dir)? {
            if self.manifest.is_left_over(&name) {
                self.vfs.remove(&self.dir.join(name))?;
                faults::reach(Point::OldFilesRemoved);
            }
        }
        Ok(())
    }

    /// What was found when the folder was opened.
    pub(super) fn recovery(&self) -> Recovery {
        self.recovery
    }

    /// Why the last checkpoint could not be made, if so.
    pub(super) fn checkpoint_error(&self) -> Option<&str> {
        self.checkpoint_error.as_deref()
    }

    /// Why nothing is written any more, if so.
    pub(super) fn broken(&self) -> Option<&str> {
        self.log.broken()
    }
}

fn take_lock(vfs: &dyn Vfs, dir: &Path) -> Result<Option<Box<dyn Lock>>, LockError> {
    if faults::on(Safeguard::Lock) { vfs.lock(&dir.join(LOCK)).map(Some) } else { Ok(None) }
}

/// Takes the lock of the collection in `dir`.
pub(super) fn lock(vfs: &dyn Vfs, dir: &Path) -> Result<Option<Box<dyn Lock>>, OpenCollectionError> {
    take_lock(vfs, dir).map_err(|error| match error {
        LockError::Held => OpenCollectionError::Locked { path: dir.into() },
        LockError::Io(source) => OpenCollectionError::Io { path: dir.join(LOCK), source },
    })
}

/// A folder as it was read, with nothing changed in it.
pub(super) struct Read {
    pub(super) manifest: Manifest,
    pub(super) collection: Collection,
    pub(super) end: wal::End,
    pub(super) recovery: Recovery,
}

/// Reads the collection in `dir`: the checkpoint and all that the log adds to it.
pub(super) fn read(vfs: &dyn Vfs, dir: &Path) -> Result<Read, OpenCollectionError> {
    let manifest = Manifest::read(vfs, dir)?;
    let mut collection = checkpoint::read(vfs, dir, &manifest)?;
    let mut recovery = Recovery::default();
    let start = manifest.log;
    let end = wal::read(vfs, dir, manifest.log_id(), start.file, start.position(), |group| {
        recovery.groups += 1;
        recovery.changes += group.records.len() as u64;
        replay(&mut collection, group)
    })?;
    if let Some(Torn::Group { bytes, .. }) = end.torn {
        recovery.torn_bytes = bytes;
    }
    Ok(Read { manifest, collection, end, recovery })
}

/// Applies one group of the log.
pub(super) fn replay(collection: &mut Collection, group: &Group<'_>) -> Result<(), String> {
    if group.first != collection.operation + 1 {
        return Err(format!("operation {}, expected {}", group.first, collection.operation + 1));
    }
    let (expected, found) = (group.sum, collection.sum());
    if expected != found && faults::on(Safeguard::SumBeforeGroup) {
        return Err(format!("written upon points of sum {expected:032x}, found {found:032x}"));
    }
    for record in &group.records {
        let record = Record::decode(record, collection.schema())?;
        collection.apply(record, &BuildOptions::default())?;
    }
    Ok(())
}
