//! A collection's folder: what lies in it, how it is kept, made and opened.
//!
//! ```text
//! lock               held while a process uses the folder
//! manifest.json      what the folder holds: replaced by rename
//! segment-N.points   ids, versions and payloads of segment N
//! segment-N.vectors  its vectors, and its graph if it has one
//! segment-N.vectors-V  instead, where vectors have names: those of number V, with their rows, and their graph; absent if it has none
//! segment-N.dead-G   which of its rows were dead at generation G of the manifest; absent if none was
//! wal-N.log          changes since
//! reserve            given up when the disk is full, so that deletes can be logged
//! ```
//!
//! The order of steps is what makes it safe. Sealing: log file N+1 begins (the log up to N is synced); the new segment and the bitmaps of
//! dead rows are written and synced; the new manifest is written and synced; their names are synced; the manifest is renamed; that name
//! is synced; only then are files removed that no manifest names any more. Merging is the same without the log: it replaces segments by
//! one that holds the same points as of the same operation. Cut short anywhere, the folder opens by the old manifest or by the new one,
//! and everything either names is there.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::folder::{self, Folder};
use super::journal::Journal;
use super::manifest::Manifest;
use super::record::Record;
use super::{Collection, CreateError, OpenCollectionError, Schema};
use crate::faults::{self, Point, Safeguard};
use crate::segment::Part;
use crate::vfs::{Lock, LockError, Vfs};
use crate::wal::{self, Group, Log, LogId, Position, Torn};

const LOCK: &str = "lock";

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

/// Who seals and merges segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Upkeep {
    /// Three threads of the collection's own, at low priority: one seals, one puts together what is scanned as one, one builds graphs and merges.
    #[default]
    Background,
    /// The write that makes it due, before it returns.
    Along,
    /// Whoever calls [`tend`](super::SharedCollection::tend).
    Tended,
}

/// How a collection is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// When a change counts as stored.
    pub sync: SyncMode,
    /// Who seals and merges segments.
    pub upkeep: Upkeep,
    /// What is new is sealed when the log has so many bytes: as many are read at the next start, and kept in memory.
    pub checkpoint_after: u64,
    /// What is new is sealed when it has so many rows: as many are scanned, by codes and vectors.
    pub seal_rows: usize,
    /// Segments are merged up to so many bytes of vectors: a few times as many are needed to build the graph.
    pub merge_bytes: usize,
    /// The log goes on in a new file when one has so many bytes; a file is read whole.
    pub log_file_bytes: u64,
    /// Bytes set aside on disk, so that deletes can still be logged when it is full.
    pub reserve_bytes: usize,
}

impl Options {
    /// The default [`checkpoint_after`](Options::checkpoint_after).
    pub const DEFAULT_CHECKPOINT_AFTER: u64 = 64 << 20;
    /// The default [`seal_rows`](Options::seal_rows).
    pub const DEFAULT_SEAL_ROWS: usize = 50_000;
    /// The default [`merge_bytes`](Options::merge_bytes).
    pub const DEFAULT_MERGE_BYTES: usize = 4 << 30;
    /// The default [`log_file_bytes`](Options::log_file_bytes).
    pub const DEFAULT_LOG_FILE_BYTES: u64 = 64 << 20;
    /// The default [`reserve_bytes`](Options::reserve_bytes): room for thousands of deletes.
    pub const DEFAULT_RESERVE_BYTES: usize = 128 << 10;
}

impl Default for Options {
    fn default() -> Self {
        Options {
            sync: SyncMode::Always,
            upkeep: Upkeep::Background,
            checkpoint_after: Self::DEFAULT_CHECKPOINT_AFTER,
            seal_rows: Self::DEFAULT_SEAL_ROWS,
            merge_bytes: Self::DEFAULT_MERGE_BYTES,
            log_file_bytes: Self::DEFAULT_LOG_FILE_BYTES,
            reserve_bytes: Self::DEFAULT_RESERVE_BYTES,
        }
    }
}

/// What was found when a collection was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovery {
    /// Groups of the log that were newer than the segments.
    pub groups: u64,
    /// Changes in them.
    pub changes: u64,
    /// Bytes of a group that a crash had left unfinished, and that were cut off.
    pub torn_bytes: u64,
}

/// What is needed to keep a collection in its folder.
pub(super) struct Home {
    pub(super) folder: Folder,
    pub(super) journal: Journal,
}

/// Makes folder `dir` the home of a new collection.
pub(super) fn create(vfs: Arc<dyn Vfs>, dir: &Path, schema: &Schema, options: Options) -> Result<Home, CreateError> {
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
    Ok(Home {
        journal: Journal::new(Arc::clone(&vfs), dir, log, options, 0),
        folder: Folder::new(vfs, dir, lock, manifest),
    })
}

/// Opens the collection in `dir`: maps the segments, applies the log, and makes the folder ready for more.
pub(super) fn open(vfs: Arc<dyn Vfs>, dir: &Path, options: Options) -> Result<(Home, Read), OpenCollectionError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        |source| OpenCollectionError::Io { path, source }
    };
    let lock = lock(&*vfs, dir)?;
    let read = read(&*vfs, dir)?;
    let Read { manifest, end, recovery, .. } = &read;
    let log =
        Log::resume(Arc::clone(&vfs), dir, manifest.log_id(), end).map_err(io(&wal::log_path(dir, end.number)))?;
    let log_bytes = if recovery.groups == 0 { 0 } else { end.bytes };
    let journal = Journal::new(Arc::clone(&vfs), dir, log, options, log_bytes);
    let folder = Folder::new(vfs, dir, lock, manifest.clone());
    folder.remove_left_over().map_err(io(dir))?;
    faults::reach(Point::Opened);
    Ok((Home { folder, journal }, read))
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
    pub(super) schema: Arc<Schema>,
    /// The segments that the manifest names, as of its operation.
    pub(super) parts: Vec<Part>,
    /// The same with all that the log adds.
    pub(super) collection: Collection,
    pub(super) end: wal::End,
    pub(super) recovery: Recovery,
}

/// Reads the collection in `dir`: the segments and all that the log adds to them.
pub(super) fn read(vfs: &dyn Vfs, dir: &Path) -> Result<Read, OpenCollectionError> {
    let manifest = Manifest::read(vfs, dir)?;
    let schema = Arc::new(manifest.schema(dir)?);
    let parts = folder::open_parts(vfs, dir, &manifest, &schema.vectors)?;
    let mut collection = Collection::of_parts(Arc::clone(&schema), parts.clone(), manifest.operation);
    collection.fields = Arc::new(manifest.fields.clone());
    manifest.check_points(dir, &collection)?;
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
    Ok(Read { manifest, schema, parts, collection, end, recovery })
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
        collection.apply(record)?;
    }
    Ok(())
}
