//! The collections by name, and the data folder that outlives the process.
//!
//! ```text
//! DIR/lock                   held while a server uses the folder
//! DIR/collections/NAME/      one collection (percent-encoded name): its log and segments, see `SharedCollection`
//! DIR/pending/NAME/          half made or half removed; cleared at start
//! DIR/restored/NAME/         takes the place of a collection, see `restore`; if it is here at start, then
//! DIR/snapshots/NAME/        archives of a collection, see `snapshots`
//! ```
//! Every change is in a collection's log before it is answered. [`Store::checkpoint`] at the end only makes the next start quicker.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use vicino_index::collection::{
    CheckpointError, Collection, CreateError, OpenCollectionError, Options, Schema, SharedCollection,
};
use vicino_index::vfs::{Lock, LockError, RealFs, Vfs};

mod archive;
mod name;
mod restore;
mod snapshots;
mod time;

pub use archive::ArchiveError;
pub use name::{CollectionName, NameError};
pub use restore::{MAX_SNAPSHOT_BYTES, Restore, RestoreError};
pub use snapshots::{Archived, SnapshotError};

/// A collection that many threads read and change.
pub type Shared = Arc<SharedCollection>;

/// All collections of one server.
#[derive(Debug, Default)]
pub struct Store {
    collections: RwLock<BTreeMap<CollectionName, Shared>>,
    /// Those that are in the folder and cannot be opened, and why; no collection above has their name.
    damaged: RwLock<BTreeMap<CollectionName, String>>,
    folder: Option<Folder>,
}

/// A store that cannot be opened or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file or folder could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process uses the folder.
    #[error("{path} is in use by another server: stop it, or choose another folder", path = path.display())]
    Locked {
        /// The data folder.
        path: PathBuf,
    },
    /// Something in the data folder is no collection.
    #[error("{path} is not a collection's folder: remove it, or choose another data folder", path = path.display())]
    Stray {
        /// Which file or folder.
        path: PathBuf,
    },
    /// A collection's files cannot be read.
    #[error("collection `{name}` cannot be opened: {source}")]
    Open {
        /// Its name.
        name: CollectionName,
        /// What is wrong.
        source: OpenCollectionError,
    },
    /// A collection cannot be made.
    #[error("collection `{name}` cannot be made: {source}")]
    Create {
        /// Its name.
        name: CollectionName,
        /// What is wrong.
        source: CreateError,
    },
    /// A checkpoint cannot be made.
    #[error("no checkpoint of collection `{name}`; nothing is lost, its log holds everything: {source}")]
    Checkpoint {
        /// Its name.
        name: CollectionName,
        /// What is wrong.
        source: CheckpointError,
    },
}

impl Store {
    /// A store that ends with the process.
    pub fn in_memory() -> Self {
        Self::default()
    }

    /// The store in folder `dir`, which is made if missing, with every collection in it. One that cannot be opened does not keep the
    /// others from it: it is among the [`damaged`](Store::damaged).
    pub fn open(dir: &Path, options: Options) -> Result<Self, StoreError> {
        Self::open_in(Arc::new(RealFs), dir, options)
    }

    /// As [`open`](Store::open), in any file system.
    pub fn open_in(vfs: Arc<dyn Vfs>, dir: &Path, options: Options) -> Result<Self, StoreError> {
        let folder = Folder::open(vfs, dir, options)?;
        let (mut collections, mut damaged) = (BTreeMap::new(), BTreeMap::new());
        for name in folder.names()? {
            match folder.open_collection(&name) {
                Ok(collection) => drop(collections.insert(name, Arc::new(collection))),
                Err(error) => drop(damaged.insert(name, error.to_string())),
            }
        }
        Ok(Store { collections: RwLock::new(collections), damaged: RwLock::new(damaged), folder: Some(folder) })
    }

    /// The collections that cannot be opened, in order of names, and why.
    pub fn damaged(&self) -> Vec<(CollectionName, String)> {
        self.damaged.read().iter().map(|(name, why)| (name.clone(), why.clone())).collect()
    }

    /// Why the collection of this name cannot be opened, if there is one that cannot.
    pub fn damage(&self, name: &str) -> Option<String> {
        let name = CollectionName::new(name).ok()?;
        self.damaged.read().get(&name).cloned()
    }

    /// What keeps collections from being read and changed, in words; empty if nothing does.
    pub fn unready(&self) -> Vec<String> {
        let collections = self.collections.read().clone();
        let read_only = collections.iter().filter_map(|(name, collection)| {
            collection
                .read_only()
                .map(|why| format!("collection `{name}` is read-only until it is opened again: {why}"))
        });
        self.damaged.read().values().cloned().chain(read_only).collect()
    }

    /// The names of all collections, in order.
    pub fn names(&self) -> Vec<CollectionName> {
        self.collections.read().keys().cloned().collect()
    }

    /// The collection of this name.
    pub fn get(&self, name: &str) -> Option<Shared> {
        let name = CollectionName::new(name).ok()?;
        self.collections.read().get(&name).cloned()
    }

    /// Makes a collection, unless there is one of this name: then false. It outlives a crash once this returns, if the store has a
    /// folder.
    pub fn create(&self, name: CollectionName, schema: Schema) -> Result<bool, StoreError> {
        let mut collections = self.collections.write();
        if collections.contains_key(&name) || self.damaged.read().contains_key(&name) {
            return Ok(false);
        }
        let collection = match &self.folder {
            Some(folder) => folder.create(&name, schema)?,
            None => match Collection::new(schema) {
                Ok(collection) => SharedCollection::in_memory(collection, Options::default()),
                Err(error) => return Err(StoreError::Create { name, source: error.into() }),
            },
        };
        collections.insert(name, Arc::new(collection));
        Ok(true)
    }

    /// Adds `collection`, to be kept in memory only, in place of one of this name.
    pub fn show(&self, name: CollectionName, collection: Collection) {
        self.collections.write().insert(name, Arc::new(SharedCollection::in_memory(collection, Options::default())));
    }

    /// Removes the collection of this name, files included and damaged or not; false if there is none.
    pub fn remove(&self, name: &str) -> Result<bool, StoreError> {
        let Ok(name) = CollectionName::new(name) else { return Ok(false) };
        let mut collections = self.collections.write();
        let mut damaged = self.damaged.write();
        if !collections.contains_key(&name) && !damaged.contains_key(&name) {
            return Ok(false);
        }
        if let Some(folder) = &self.folder {
            // Someone may still hold it, and its background work must not meet the folder of a later collection of this name.
            collections.get(&name).into_iter().for_each(|collection| collection.close());
            folder.remove(&name)?;
        }
        collections.remove(&name);
        damaged.remove(&name);
        Ok(true)
    }

    /// Does what collections have to do besides changes, such as syncs at an interval, and says what failed of what they do by themselves.
    /// To be called now and then.
    pub fn tend(&self) -> Vec<StoreError> {
        self.each(SharedCollection::tend)
    }

    /// Seals what is new in every collection, so that the next start has no log to read.
    pub fn checkpoint(&self) -> Vec<StoreError> {
        self.each(SharedCollection::checkpoint)
    }

    /// Does `work` to every collection; goes on past errors.
    fn each(&self, work: impl Fn(&SharedCollection) -> Result<(), CheckpointError>) -> Vec<StoreError> {
        let collections = self.collections.read().clone();
        let attempt = |(name, collection): (CollectionName, Shared)| {
            work(&collection).err().map(|source| StoreError::Checkpoint { name, source })
        };
        collections.into_iter().filter_map(attempt).collect()
    }
}

/// The collections in data folder `dir`, by name, each with its own folder. Nothing is opened or locked.
pub fn homes(dir: &Path) -> Result<Vec<(CollectionName, PathBuf)>, StoreError> {
    let collections = dir.join("collections");
    let mut folders = RealFs.list(&collections).map_err(at(&collections))?;
    folders.sort();
    folders.into_iter().map(|folder| Ok((name_of(&collections, &folder)?, collections.join(folder)))).collect()
}

/// The name of the collection in `folder`, which lies in `collections`.
fn name_of(collections: &Path, folder: &str) -> Result<CollectionName, StoreError> {
    CollectionName::of_folder(folder).ok_or_else(|| StoreError::Stray { path: collections.join(folder) })
}

/// The data folder.
#[derive(Debug)]
struct Folder {
    vfs: Arc<dyn Vfs>,
    collections: PathBuf,
    pending: PathBuf,
    restored: PathBuf,
    snapshots: PathBuf,
    options: Options,
    _lock: Box<dyn Lock>,
}

/// Turns the system's error into ours, for `path`.
fn at(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    |source| StoreError::Io { path, source }
}

impl Folder {
    fn open(vfs: Arc<dyn Vfs>, dir: &Path, options: Options) -> Result<Self, StoreError> {
        vfs.create_dir(dir).map_err(at(dir))?;
        let lock_path = dir.join("lock");
        let lock = vfs.lock(&lock_path).map_err(|error| match error {
            LockError::Io(source) => StoreError::Io { path: lock_path, source },
            _ => StoreError::Locked { path: dir.into() },
        })?;
        let folder = Folder {
            vfs,
            collections: dir.join("collections"),
            pending: dir.join("pending"),
            restored: dir.join("restored"),
            snapshots: dir.join("snapshots"),
            options,
            _lock: lock,
        };
        let Folder { vfs, collections, pending, restored, .. } = &folder;
        folder.clear(pending)?;
        for path in [collections, pending, restored] {
            vfs.create_dir(path).map_err(at(path))?;
        }
        vfs.sync_dir(dir).map_err(at(dir))?;
        let parent = dir.parent().unwrap_or(Path::new(""));
        vfs.sync_dir(parent).map_err(at(parent))?;
        folder.finish_restores()?;
        Ok(folder)
    }

    /// Removes folder `path`, if there is one.
    fn clear(&self, path: &Path) -> Result<(), StoreError> {
        match self.vfs.remove_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(path)(error)),
            _ => Ok(()),
        }
    }

    fn names(&self) -> Result<Vec<CollectionName>, StoreError> {
        let folders = self.vfs.list(&self.collections).map_err(at(&self.collections))?;
        folders.iter().map(|folder| name_of(&self.collections, folder)).collect()
    }

    fn home(&self, name: &CollectionName) -> PathBuf {
        self.collections.join(name.folder())
    }

    fn open_collection(&self, name: &CollectionName) -> Result<SharedCollection, StoreError> {
        SharedCollection::open(Arc::clone(&self.vfs), &self.home(name), self.options)
            .map_err(|source| StoreError::Open { name: name.clone(), source })
    }

    /// A new collection is made in `pending` and moves as a whole, so that a folder among the collections is always complete.
    fn create(&self, name: &CollectionName, schema: Schema) -> Result<SharedCollection, StoreError> {
        let (home, pending) = (self.home(name), self.pending.join(name.folder()));
        self.clear(&pending)?;
        SharedCollection::create(Arc::clone(&self.vfs), &pending, schema, self.options)
            .map_err(|source| StoreError::Create { name: name.clone(), source })?;
        self.shift(&pending, &home)?;
        self.open_collection(name)
    }

    /// A removed collection is gone at once: its folder leaves the collections before its files are deleted. So does one that was to
    /// take its place.
    fn remove(&self, name: &CollectionName) -> Result<(), StoreError> {
        let pending = self.pending.join(name.folder());
        for from in [self.restored.join(name.folder()), self.home(name)] {
            self.clear(&pending)?;
            match self.shift(&from, &pending) {
                Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                shifted => shifted?,
            }
        }
        self.clear(&pending)
    }

    /// Moves a folder; it stays moved once this returns.
    fn shift(&self, from: &Path, to: &Path) -> Result<(), StoreError> {
        self.vfs.rename(from, to).map_err(at(from))?;
        // What is in `pending` is nobody's: its names may be lost.
        let parents = [from, to].into_iter().filter_map(Path::parent).filter(|dir| *dir != self.pending);
        parents.into_iter().try_for_each(|dir| self.vfs.sync_dir(dir).map_err(at(dir)))
    }
}
