//! The collections by name, and the data folder that outlives the process.
//!
//! ```text
//! DIR/lock                   held while a server uses the folder
//! DIR/collections/NAME/      one collection (percent-encoded name), as `Collection::save` writes it
//! DIR/pending/NAME/          half written or half removed; cleared at start
//! ```
//! Collections are kept in memory; what changed is written by [`Store::save`] when the server stops.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use vicino_index::collection::{Collection, OpenCollectionError, SaveCollectionError};

mod name;

pub use name::{CollectionName, NameError};

/// A collection that many threads read and one at a time changes.
pub type Shared = Arc<RwLock<Collection>>;

/// All collections of one server.
#[derive(Debug, Default)]
pub struct Store {
    collections: RwLock<BTreeMap<CollectionName, Shared>>,
    folder: Option<Folder>,
}

/// A store that cannot be opened, changed or saved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file or folder could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process uses the folder.
    #[error("{path} is in use by another server: stop it, or choose another folder")]
    Locked {
        /// The data folder.
        path: PathBuf,
    },
    /// Something in the data folder is no collection.
    #[error("{path} is not a collection's folder: remove it, or choose another data folder")]
    Stray {
        /// Which file or folder.
        path: PathBuf,
    },
    /// A collection's files cannot be read.
    #[error("collection `{name}` cannot be opened; to start without it, move its folder away: {source}")]
    Open {
        /// Its name.
        name: CollectionName,
        /// What is wrong.
        source: OpenCollectionError,
    },
    /// A collection's files cannot be written.
    #[error("collection `{name}` could not be saved: {source}")]
    Save {
        /// Its name.
        name: CollectionName,
        /// What is wrong.
        source: SaveCollectionError,
    },
}

impl Store {
    /// A store that ends with the process.
    pub fn in_memory() -> Self {
        Self::default()
    }

    /// The store in folder `dir`, which is made if missing, with every collection in it. One that is damaged is an error.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let folder = Folder::open(dir)?;
        let mut collections = BTreeMap::new();
        for name in folder.names()? {
            match Collection::open(&folder.home(&name)) {
                Ok(collection) => collections.insert(name, Arc::new(RwLock::new(collection))),
                Err(source) => return Err(StoreError::Open { name, source }),
            };
        }
        Ok(Store { collections: RwLock::new(collections), folder: Some(folder) })
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

    /// Adds `collection`, unless there is one of this name: then false.
    pub fn add(&self, name: CollectionName, collection: Collection) -> bool {
        use std::collections::btree_map::Entry;
        match self.collections.write().entry(name) {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                place.insert(Arc::new(RwLock::new(collection)));
                true
            }
        }
    }

    /// Removes the collection of this name, files included; false if there is none.
    pub fn remove(&self, name: &str) -> Result<bool, StoreError> {
        let Ok(name) = CollectionName::new(name) else { return Ok(false) };
        let mut collections = self.collections.write();
        if !collections.contains_key(&name) {
            return Ok(false);
        }
        if let Some(folder) = &self.folder {
            folder.remove(&name)?;
        }
        collections.remove(&name);
        Ok(true)
    }

    /// Writes every collection that changed to the data folder, if there is one. Goes on past an error and returns the first.
    pub fn save(&self) -> Result<(), StoreError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let collections = self.collections.write();
        let mut outcome = Ok(());
        for (name, collection) in collections.iter() {
            outcome = outcome.and(folder.save(name, &mut collection.write()));
        }
        outcome
    }
}

/// The data folder.
#[derive(Debug)]
struct Folder {
    collections: PathBuf,
    pending: PathBuf,
    _lock: File,
}

/// Turns the system's error into ours, for `path`.
fn at(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    |source| StoreError::Io { path, source }
}

impl Folder {
    fn open(dir: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(dir).map_err(at(dir))?;
        let lock_path = dir.join("lock");
        let lock = File::options().create(true).append(true).open(&lock_path).map_err(at(&lock_path))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => StoreError::Locked { path: dir.into() },
            TryLockError::Error(source) => StoreError::Io { path: lock_path, source },
        })?;
        let folder = Folder { collections: dir.join("collections"), pending: dir.join("pending"), _lock: lock };
        match fs::remove_dir_all(&folder.pending) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(&folder.pending)(error)),
            _ => {}
        }
        for path in [&folder.collections, &folder.pending] {
            fs::create_dir_all(path).map_err(at(path))?;
        }
        Ok(folder)
    }

    fn names(&self) -> Result<Vec<CollectionName>, StoreError> {
        let entries = fs::read_dir(&self.collections).map_err(at(&self.collections))?;
        let name_of = |entry: io::Result<fs::DirEntry>| {
            let path = entry.map_err(at(&self.collections))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).and_then(CollectionName::of_folder);
            name.ok_or(StoreError::Stray { path })
        };
        entries.map(name_of).collect()
    }

    fn home(&self, name: &CollectionName) -> PathBuf {
        self.collections.join(name.folder())
    }

    /// The first save goes to `pending` and moves as a whole, so that a folder among the collections is always complete.
    fn save(&self, name: &CollectionName, collection: &mut Collection) -> Result<(), StoreError> {
        let (home, pending) = (self.home(name), self.pending.join(name.folder()));
        let first = !home.exists();
        let target = if first { &pending } else { &home };
        collection.save(target).map_err(|source| StoreError::Save { name: name.clone(), source })?;
        if first {
            self.shift(&pending, &home)?;
        }
        Ok(())
    }

    /// A removed collection is gone at once: its folder leaves the collections before its files are deleted.
    fn remove(&self, name: &CollectionName) -> Result<(), StoreError> {
        let (home, pending) = (self.home(name), self.pending.join(name.folder()));
        if home.exists() {
            self.shift(&home, &pending)?;
            fs::remove_dir_all(&pending).map_err(at(&pending))?;
        }
        Ok(())
    }

    fn shift(&self, from: &Path, to: &Path) -> Result<(), StoreError> {
        fs::rename(from, to).map_err(at(from))?;
        File::open(&self.collections).and_then(|dir| dir.sync_all()).map_err(at(&self.collections))
    }
}
