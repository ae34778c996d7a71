//! Snapshots: a collection of one moment as an [archive](super::archive), made, listed, read and removed.
//!
//! ```text
//! DIR/snapshots/NAME/*.snapshot          archives, whole; of the collection in collections/NAME
//! DIR/snapshots/NAME/*.snapshot.sha256   the checksum of each; one that was put there by hand may have none
//! ```
//! An archive is written in `pending` and renamed once it is on disk, so one that is listed is whole. They stay when the collection is
//! removed: it can be restored from them.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use vicino_index::collection::{CheckpointError, SnapshotContent};
use vicino_index::vfs::MappedFile;

use super::archive::Packer;
use super::{CollectionName, Folder, Store, StoreError, at, time};

/// The end of an archive's name.
const ARCHIVE: &str = ".snapshot";
/// The end of the name of its checksum.
const CHECKSUM: &str = ".sha256";
/// How much of a collection's name is in the names of its archives.
const NAME_BYTES: usize = 100;
/// Characters of a moment in an archive's name.
const STAMP_BYTES: usize = 19;

/// An archive that a store keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archived {
    /// Its name.
    pub name: String,
    /// When it was made, in UTC, in the form of ISO 8601; unknown of one that has another's name.
    pub created: Option<String>,
    /// Its bytes.
    pub bytes: u64,
    /// SHA-256 of them, as hexadecimal digits; unknown of one that was put there by hand.
    pub sha256: Option<String>,
}

/// A snapshot that was not made or found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The store is in memory.
    #[error("snapshots need a data folder (`vicino serve --data DIR`)")]
    NoFolder,
    /// No collection of this name.
    #[error("there is no collection `{0}`")]
    NoCollection(String),
    /// The collection cannot be opened.
    #[error("{0}")]
    Damaged(String),
    /// No archive of this name.
    #[error("there is no snapshot `{0}`")]
    NoSnapshot(String),
    /// The collection could not be sealed.
    #[error("the collection cannot be written to its files: {0}")]
    Seal(#[from] CheckpointError),
    /// The data folder could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Counts and sums up what passes, up to a limit.
pub(super) struct Counted<T> {
    pub(super) inner: T,
    pub(super) bytes: u64,
    limit: u64,
    hash: Sha256,
}

impl<T> Counted<T> {
    pub(super) fn new(inner: T, limit: u64) -> Self {
        Counted { inner, bytes: 0, limit, hash: Sha256::new() }
    }

    pub(super) fn sha256(self) -> String {
        self.hash.finalize().iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a text grows");
            text
        })
    }

    fn count(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        match self.bytes > self.limit {
            true => Err(io::Error::other(format!("more than {} bytes", self.limit))),
            false => Ok(bytes.len()),
        }
    }
}

impl<T: Write> Write for Counted<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.count(&bytes[..written])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Counted<T> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.count(&bytes[..read])
    }
}

/// Whether `name` ends as an archive's does.
pub(super) fn is_archive(name: &str) -> bool {
    name.len() > ARCHIVE.len() && name.ends_with(ARCHIVE)
}

/// A name for an archive of collection `name`, made now: it needs no encoding in a URL, and sorts by time.
fn archive_name(name: &CollectionName, unique: u32) -> String {
    let plain = |byte: u8| if byte.is_ascii_alphanumeric() || byte == b'-' { char::from(byte) } else { '_' };
    let short: String = name.as_str().bytes().take(NAME_BYTES).map(plain).collect();
    format!("{short}-{}-{unique:08x}{ARCHIVE}", time::now())
}

/// When an archive of this name was made.
fn created(archive: &str) -> Option<String> {
    let (front, _) = archive.strip_suffix(ARCHIVE)?.rsplit_once('-')?;
    time::iso(front.get(front.len().checked_sub(STAMP_BYTES)?..)?)
}

impl Store {
    pub(super) fn folder(&self) -> Result<&Folder, SnapshotError> {
        self.folder.as_ref().ok_or(SnapshotError::NoFolder)
    }

    /// Archives collection `name` as it is now: all changes that were answered before, and of later ones a first part. Changes and
    /// searches go on meanwhile. `progress` is told the bytes written and the bytes in all, as far as they are known.
    pub fn snapshot(&self, name: &str, progress: &dyn Fn(u64, u64)) -> Result<Archived, SnapshotError> {
        let folder = self.folder()?;
        if let Some(why) = self.damage(name) {
            return Err(SnapshotError::Damaged(why));
        }
        let collection = self.get(name).ok_or_else(|| SnapshotError::NoCollection(name.into()))?;
        let name = CollectionName::new(name).expect("a collection has it");
        let snapshot = collection.snapshot()?.ok_or(SnapshotError::NoFolder)?;
        let archived = archive_name(&name, folder.vfs.unique() as u32);
        let pending = folder.pending.join(&archived);
        let pack = || -> io::Result<(u64, String)> {
            let mut out = Counted::new(folder.vfs.create(&pending)?, u64::MAX);
            let mut packer = Packer::new(&mut out);
            let (mut packed, all) = (0, snapshot.files.iter().map(|file| file.content.bytes()).sum());
            for file in &snapshot.files {
                match &file.content {
                    SnapshotContent::Bytes(content) => packer.add(&file.name, content.len() as u64, &content[..])?,
                    SnapshotContent::File(path, bytes) => {
                        packer.add(&file.name, *bytes, folder.vfs.map(path)?.bytes())?;
                    }
                }
                packed += file.content.bytes();
                progress(packed, all);
            }
            packer.finish()?;
            out.inner.sync()?;
            let bytes = out.bytes;
            Ok((bytes, out.sha256()))
        };
        let made = pack().map_err(at(&pending));
        let kept = made.and_then(|(bytes, sha256)| {
            folder.keep(&name, &archived, &sha256)?;
            let created = created(&archived);
            Ok(Archived { name: archived, created, bytes, sha256: Some(sha256) })
        });
        // A part of an archive is of no use, and takes room.
        Ok(kept.inspect_err(|_| drop(folder.vfs.remove(&pending)))?)
    }

    /// The archives of collection `name`, in order of names. A collection that was removed may have some.
    pub fn snapshots(&self, name: &str) -> Result<Vec<Archived>, SnapshotError> {
        let folder = self.folder()?;
        let unknown = || SnapshotError::NoCollection(name.into());
        let of = CollectionName::new(name).map_err(|_| unknown())?;
        let archives = folder.archives(&of)?;
        match archives.is_empty() && self.get(name).is_none() && self.damage(name).is_none() {
            true => Err(unknown()),
            false => Ok(archives),
        }
    }

    /// Archive `archive` of collection `name`, and its bytes, which stay as they are. What is given never becomes a path: only what is
    /// listed is found.
    pub fn open_snapshot(&self, name: &str, archive: &str) -> Result<(Archived, MappedFile), SnapshotError> {
        let (archived, path) = self.find_snapshot(name, archive)?;
        let file = self.folder()?.vfs.map(&path).map_err(at(&path))?;
        Ok((archived, file))
    }

    fn find_snapshot(&self, name: &str, archive: &str) -> Result<(Archived, PathBuf), SnapshotError> {
        let listed = self.snapshots(name)?.into_iter().find(|listed| listed.name == archive);
        let archived = listed.ok_or_else(|| SnapshotError::NoSnapshot(archive.into()))?;
        let name = CollectionName::new(name).expect("its archives were listed");
        let path = self.folder()?.snapshots_of(&name).join(&archived.name);
        Ok((archived, path))
    }

    /// Removes an archive.
    pub fn remove_snapshot(&self, name: &str, archive: &str) -> Result<(), SnapshotError> {
        let (archived, path) = self.find_snapshot(name, archive)?;
        let vfs = &self.folder()?.vfs;
        vfs.remove(&path).map_err(at(&path))?;
        if archived.sha256.is_some() {
            let checksum = path.with_file_name(format!("{}{CHECKSUM}", archived.name));
            vfs.remove(&checksum).map_err(at(&checksum))?;
        }
        Ok(())
    }
}

impl Folder {
    fn snapshots_of(&self, name: &CollectionName) -> PathBuf {
        self.snapshots.join(name.folder())
    }

    /// Gives a finished archive in `pending` its place among those of collection `name`, its checksum first.
    fn keep(&self, name: &CollectionName, archive: &str, sha256: &str) -> Result<(), StoreError> {
        let (from, kept) = (self.pending.join(archive), self.snapshots_of(name));
        self.vfs.create_dir(&kept).map_err(at(&kept))?;
        let checksum = kept.join(format!("{archive}{CHECKSUM}"));
        let write = || {
            let mut file = self.vfs.create(&checksum)?;
            file.write_all(sha256.as_bytes())?;
            file.sync()
        };
        let written = write().map_err(at(&checksum));
        let named = written.and_then(|()| self.vfs.rename(&from, &kept.join(archive)).map_err(at(&from)));
        named.inspect_err(|_| drop(self.vfs.remove(&checksum)))?;
        let above = self.snapshots.parent().unwrap_or(Path::new(""));
        [&kept, self.snapshots.as_path(), above].into_iter().try_for_each(|dir| self.vfs.sync_dir(dir).map_err(at(dir)))
    }

    fn archives(&self, name: &CollectionName) -> Result<Vec<Archived>, StoreError> {
        let kept = self.snapshots_of(name);
        let mut names = match self.vfs.list(&kept) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            names => names.map_err(at(&kept))?,
        };
        names.sort();
        let describe = |name: &String| -> Result<Archived, (PathBuf, io::Error)> {
            let (path, checksum) = (kept.join(name), format!("{name}{CHECKSUM}"));
            let sha256 = names.contains(&checksum).then(|| {
                let checksum = kept.join(checksum);
                let digits = self.vfs.read(&checksum).map_err(|error| (checksum, error))?;
                Ok(String::from_utf8_lossy(&digits).trim().to_owned())
            });
            let bytes = self.vfs.map(&path).map_err(|error| (path, error))?.bytes().len() as u64;
            Ok(Archived { name: name.clone(), created: created(name), bytes, sha256: sha256.transpose()? })
        };
        let archives =
            names.iter().filter(|name| is_archive(name)).map(describe).filter_map(|described| match described {
                // Removed since it was listed.
                Err((_, error)) if error.kind() == io::ErrorKind::NotFound => None,
                described => Some(described.map_err(|(path, error)| at(&path)(error))),
            });
        archives.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_archives_need_no_encoding_and_tell_the_time() {
        for name in ["a", "näher dran %2f", &"x".repeat(255)] {
            let archive = archive_name(&CollectionName::new(name).unwrap(), 7);
            assert!(archive.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{archive}");
            assert!(archive.len() < 160 && is_archive(&archive), "{archive}");
            assert_eq!(created(&archive).map(|created| created.len()), Some(19), "{archive}");
        }
        assert_eq!(created("a-2026-11-25-07-10-03-00000007.snapshot").as_deref(), Some("2026-11-25T07:10:03"));
        for other in ["x.snapshot", ".snapshot", "a-b.snapshot", "ü-2026-11-25-07-10-0ü-1.snapshot"] {
            assert_eq!(created(other), None, "{other}");
        }
    }
}
