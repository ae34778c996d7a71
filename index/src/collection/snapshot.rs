//! [`Snapshot`]: a collection at one operation, as files that can be copied while changes, merges and searches go on.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::folder::segment_files;
use super::manifest::Manifest;
use super::{CheckpointError, OpenCollectionError, SharedCollection};
use crate::vfs::Vfs;
use crate::wal;

/// The files of a collection as of one operation. Those on disk stay as they are until this is dropped; copied into an empty folder,
/// under their names, they are a collection that [opens](SharedCollection::open).
#[derive(Debug)]
pub struct Snapshot {
    /// The last operation that is in it.
    pub operation: u64,
    /// Its points.
    pub points: usize,
    /// The sum of its points; see [`Collection::sum`](super::Collection::sum).
    pub sum: u128,
    /// The files, the manifest last: a copy that is cut short does not open.
    pub files: Vec<SnapshotFile>,
    /// Keeps the files from being removed.
    pub(super) _pin: Arc<BTreeSet<String>>,
}

/// One file of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotFile {
    /// Its name in the folder, without any path.
    pub name: String,
    /// What is in it.
    pub content: SnapshotContent,
}

/// Where the bytes of a file are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotContent {
    /// In a file that does not change, at this path, of so many bytes.
    File(PathBuf, u64),
    /// Here.
    Bytes(Vec<u8>),
}

impl SnapshotContent {
    /// How many there are.
    pub fn bytes(&self) -> u64 {
        match self {
            SnapshotContent::File(_, bytes) => *bytes,
            SnapshotContent::Bytes(content) => content.len() as u64,
        }
    }
}

/// The names in folder `dir`, which is to be a copy of a [`Snapshot`], that are none of its files: a copy has none.
pub fn strangers(vfs: &dyn Vfs, dir: &Path) -> Result<Vec<String>, OpenCollectionError> {
    let manifest = Manifest::read(vfs, dir)?;
    let mut names = vfs.list(dir).map_err(|source| OpenCollectionError::Io { path: dir.into(), source })?;
    let log = [wal::log_path(dir, manifest.log.file), Manifest::path(dir)];
    let named = segment_files(&manifest).into_iter().map(|(name, _)| dir.join(name)).chain(log);
    let named: BTreeSet<PathBuf> = named.collect();
    names.retain(|name| !named.contains(&dir.join(name)));
    names.sort();
    Ok(names)
}

impl SharedCollection {
    /// Seals what is new and returns the files that hold it: all changes that were made before the call, and perhaps some made during
    /// it. `None` of a collection in memory. Nothing is copied.
    pub fn snapshot(&self) -> Result<Option<Snapshot>, CheckpointError> {
        self.checkpoint()?;
        let mut store = self.shared().store.lock();
        store.folder.as_mut().map(super::folder::Folder::snapshot).transpose()
    }
}
