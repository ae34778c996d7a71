//! Restoring: a collection made from an [archive](super::archive), in place of the one of its name if there is one.
//!
//! What comes in is unpacked in `pending` and proven there: only files that its manifest names, every checksum, the invariants of every
//! graph, the sum of the points. Until then nothing that is served has changed. Then its folder moves to `restored`, and with that one
//! rename it is decided: whatever happens from there on, the old collection leaves and the new one takes its place, now or at the next
//! start. So a restore that is cut short leaves the old collection or the new one, whole.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use vicino_index::collection::{OpenCollectionError, VerifyError, strangers, verify};

use super::archive::{self, ArchiveError};
use super::snapshots::{Counted, SnapshotError, is_archive};
use super::{CollectionName, Folder, Store, StoreError, at};

/// The most bytes of an archive.
pub const MAX_SNAPSHOT_BYTES: u64 = 1 << 40;

/// Bytes copied at a time.
const CHUNK: usize = 128 << 10;

/// What is to be restored, and how.
#[derive(Debug, Clone, Copy)]
pub struct Restore<'a> {
    /// The most bytes of the archive.
    pub limit: u64,
    /// SHA-256 that the archive must have, as hexadecimal digits.
    pub sha256: Option<&'a str>,
    /// Whether a collection of the same name is replaced; if not, it is in the way.
    pub replace: bool,
}

/// A collection that was not restored. If there was one of its name it is as it was, unless [`RestoreError::Decided`] says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The archive is not there, or there is no data folder.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A collection of this name, which is not to be replaced.
    #[error("there is a collection `{0}`")]
    Exists(CollectionName),
    /// A place where no archive of this store lies.
    #[error("snapshot location `{found}`: expected {expected}")]
    Location {
        /// The place.
        found: String,
        /// What it may be.
        expected: String,
    },
    /// What was given is no archive of a snapshot.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// It is an archive, and not the one that was meant.
    #[error("the archive has SHA-256 {found}, expected {expected}")]
    Checksum {
        /// As given.
        expected: String,
        /// Of what came.
        found: String,
    },
    /// There is no manifest in the archive, or one that cannot be read.
    #[error("the archive holds no collection: {0}")]
    NoManifest(#[source] OpenCollectionError),
    /// A file that the manifest does not name.
    #[error("the archive holds `{0}`, which its manifest does not name")]
    Stranger(String),
    /// The files in the archive are no sound collection.
    #[error("the archive holds no sound collection: {0}")]
    Unsound(#[source] VerifyError),
    /// The data folder could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The new collection is on disk and decided upon, and could not be opened.
    #[error("collection `{name}` is restored and takes its place when the server starts again: {source}")]
    Decided {
        /// Its name.
        name: CollectionName,
        /// What was in the way.
        source: Box<StoreError>,
    },
}

impl Store {
    /// Makes collection `name` from `archive`. Returns its number of points.
    pub fn restore(&self, name: &CollectionName, archive: impl Read, how: Restore<'_>) -> Result<usize, RestoreError> {
        let folder = self.folder()?;
        self.check_free(name, how)?;
        // A folder of its own, for two may come at once.
        let staging = folder.pending.join(format!("restore-{:032x}", folder.vfs.unique()));
        folder.vfs.create_dir(&staging).map_err(at(&staging))?;
        let restored = folder.stage(&staging, archive, how).and_then(|points| {
            self.put_in_place(folder, &staging, name, how)?;
            Ok(points)
        });
        restored.inspect_err(|_| drop(folder.vfs.remove_dir(&staging)))
    }

    /// Makes collection `name` from the archive that `location` names: one that the store lists, as `file:///…`, as a path, or as
    /// `NAME/ARCHIVE`.
    pub fn recover(&self, name: &CollectionName, location: &str, how: Restore<'_>) -> Result<usize, RestoreError> {
        let (of, archive) = self.locate(location)?;
        let (archived, file) = self.open_snapshot(of.as_str(), &archive)?;
        if let (Some(expected), Some(found)) = (how.sha256, &archived.sha256)
            && !expected.eq_ignore_ascii_case(found)
        {
            return Err(RestoreError::Checksum { expected: expected.into(), found: found.clone() });
        }
        let sha256 = how.sha256.or(archived.sha256.as_deref());
        self.restore(name, file.bytes(), Restore { sha256, ..how })
    }

    /// The collection and the archive that a location names: a file of the store's folder of snapshots, as `file:///…`, as a path, or
    /// from that folder on, as `NAME/ARCHIVE`. No path is followed: two names are looked up in lists.
    fn locate(&self, location: &str) -> Result<(CollectionName, String), RestoreError> {
        let snapshots = &self.folder()?.snapshots;
        let wrong = || {
            let folder = std::path::absolute(snapshots).unwrap_or_else(|_| snapshots.clone());
            let expected = format!(
                "a file in {folder}, as `file://{folder}/NAME/ARCHIVE`; nothing is fetched from elsewhere, and an archive can be uploaded",
                folder = folder.display()
            );
            RestoreError::Location { found: location.into(), expected }
        };
        let path = match location.split_once("://") {
            Some(("file", path)) => Path::new(path),
            Some(_) => return Err(wrong()),
            None => Path::new(location),
        };
        let bases = [Some(snapshots.clone()), std::path::absolute(snapshots).ok(), snapshots.canonicalize().ok()];
        let inside = bases.iter().flatten().find_map(|base| path.strip_prefix(base).ok()).unwrap_or(path);
        let names = inside.iter().map(|name| name.to_str()).collect::<Option<Vec<_>>>().unwrap_or_default();
        match names[..] {
            [of, archive] if is_archive(archive) => {
                let of = CollectionName::of_folder(of).or_else(|| CollectionName::new(of).ok()).ok_or_else(wrong)?;
                Ok((of, archive.into()))
            }
            _ => Err(wrong()),
        }
    }

    fn check_free(&self, name: &CollectionName, how: Restore<'_>) -> Result<(), RestoreError> {
        let taken = self.get(name.as_str()).is_some() || self.damage(name.as_str()).is_some();
        if taken && !how.replace { Err(RestoreError::Exists(name.clone())) } else { Ok(()) }
    }

    /// Puts what is proven in `staging` in the place of collection `name`.
    fn put_in_place(
        &self,
        folder: &Folder,
        staging: &Path,
        name: &CollectionName,
        how: Restore<'_>,
    ) -> Result<(), RestoreError> {
        let mut collections = self.collections.write();
        let mut damaged = self.damaged.write();
        if !how.replace && (collections.contains_key(name) || damaged.contains_key(name)) {
            return Err(RestoreError::Exists(name.clone()));
        }
        let decided = folder.decide(staging, name)?;
        // Someone may still read the old one; it is changed no more, and its background work must not meet the folder of the new one.
        collections.remove(name).iter().for_each(|old| old.close());
        damaged.remove(name);
        match decided.and_then(|()| folder.finish_restore(&name.folder())).and_then(|()| folder.open_collection(name)) {
            Ok(collection) => {
                collections.insert(name.clone(), Arc::new(collection));
                Ok(())
            }
            Err(source) => {
                let error = RestoreError::Decided { name: name.clone(), source: source.into() };
                damaged.insert(name.clone(), error.to_string());
                Err(error)
            }
        }
    }
}

impl Folder {
    /// Unpacks `archive` in `staging` and proves that it is a collection; its number of points.
    fn stage(&self, staging: &Path, archive: impl Read, how: Restore<'_>) -> Result<usize, RestoreError> {
        let vfs = &*self.vfs;
        let mut archive = Counted::new(archive, how.limit);
        archive::unpack(&mut archive, how.limit, |name, content| {
            let unwritten = |source| ArchiveError::Write { name: name.into(), source };
            let mut file = vfs.create(&staging.join(name)).map_err(unwritten)?;
            let copied = copy(content, &mut *file, name)?;
            file.sync().map_err(unwritten)?;
            Ok(copied)
        })?;
        copy(&mut archive, &mut io::sink(), "")?;
        let found = archive.sha256();
        if let Some(expected) = how.sha256.filter(|expected| !expected.eq_ignore_ascii_case(&found)) {
            return Err(RestoreError::Checksum { expected: expected.into(), found });
        }
        vfs.sync_dir(staging).map_err(at(staging))?;
        if let Some(name) = strangers(vfs, staging).map_err(RestoreError::NoManifest)?.into_iter().next() {
            return Err(RestoreError::Stranger(name));
        }
        let (inspection, _) = verify(vfs, staging).map_err(RestoreError::Unsound)?;
        Ok(inspection.points)
    }

    /// Decides that what is in `staging` takes the place of collection `name`. On an error nothing is decided. An error inside is one
    /// after which that is not known: until the next start neither collection may be changed.
    fn decide(&self, staging: &Path, name: &CollectionName) -> Result<Result<(), StoreError>, StoreError> {
        let restored = self.restored.join(name.folder());
        self.clear(&restored)?;
        self.vfs.rename(staging, &restored).map_err(at(staging))?;
        let Err(error) = self.vfs.sync_dir(&self.restored).map_err(at(&self.restored)) else { return Ok(Ok(())) };
        match self.shift(&restored, staging) {
            Ok(()) => Err(error),
            Err(_) => Ok(Err(error)),
        }
    }

    /// Does what was decided before the process ended.
    pub(super) fn finish_restores(&self) -> Result<(), StoreError> {
        let folders = self.vfs.list(&self.restored).map_err(at(&self.restored))?;
        folders.iter().try_for_each(|folder| self.finish_restore(folder))
    }

    /// Puts what lies in `restored` under the name `folder` in its place.
    fn finish_restore(&self, folder: &str) -> Result<(), StoreError> {
        let [home, old, new]: [PathBuf; 3] =
            [&self.collections, &self.pending, &self.restored].map(|place| place.join(folder));
        self.clear(&old)?;
        match self.shift(&home, &old) {
            Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            shifted => shifted?,
        }
        self.shift(&new, &home)?;
        // It is nobody's any more, and cleared at the next start if it cannot be now.
        let _ = self.vfs.remove_dir(&old);
        Ok(())
    }
}

/// Copies all of `from` to file `name`; how many bytes.
fn copy(from: &mut dyn Read, to: &mut dyn Write, name: &str) -> Result<u64, ArchiveError> {
    let (mut chunk, mut copied) = (vec![0; CHUNK], 0);
    loop {
        match from.read(&mut chunk) {
            Ok(0) => return Ok(copied),
            Ok(read) => {
                to.write_all(&chunk[..read]).map_err(|source| ArchiveError::Write { name: name.into(), source })?;
                copied += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}
