//! The Hugging Face cache: where a model's files lie, in the layout that Python's `huggingface_hub` and `vicino-embed` read.
//!
//! ```text
//! models--OWNER--NAME/
//!   blobs/ETAG                     contents, by the hub's name of them: SHA-256 of large files, git's of small ones
//!   blobs/ETAG.incomplete          what has come of them
//!   refs/REVISION                  the commit that a branch or tag is at
//!   snapshots/COMMIT/PATH          links to the blobs; copies where the system has no links
//!   .no_exist/COMMIT/PATH          empty: a file that the commit is known not to have
//! .locks/models--OWNER--NAME/ETAG.lock
//! ```
//!
//! The reference is written last, so whoever follows it finds a whole snapshot.

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::spec::Model;
use super::{HubError, files};
use crate::fetch::{SourceError, io_error};
use crate::formats::{FormatError, write_whole};

/// The cache's folder, from the environment: `$HF_HUB_CACHE`, else `hub` in `$HF_HOME`, else in `huggingface` in the user's cache.
pub(super) fn from_environment() -> Option<PathBuf> {
    let folder = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let user = || folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")));
    let home = || folder("HF_HOME").or_else(|| user().map(|cache| cache.join("huggingface")));
    folder("HF_HUB_CACHE").or_else(|| home().map(|home| home.join("hub")))
}

/// What the cache has of one model.
pub(super) struct Cached {
    folder: PathBuf,
    locks: PathBuf,
}

impl Cached {
    pub(super) fn new(cache: &Path, model: &Model) -> Self {
        let name = format!("models--{}", model.id().replace('/', "--"));
        Cached { folder: cache.join(&name), locks: cache.join(".locks").join(name) }
    }

    /// The commit that a revision is at, as far as is known here.
    pub(super) fn commit(&self, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.into());
        }
        let commit = fs::read_to_string(self.folder.join("refs").join(revision)).ok()?;
        Some(commit.trim().to_owned()).filter(|commit| is_commit(commit))
    }

    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    pub(super) fn blob(&self, etag: &str) -> PathBuf {
        self.folder.join("blobs").join(etag)
    }

    /// Whether the snapshot has the file, whole.
    pub(super) fn has(&self, commit: &str, path: &str) -> bool {
        self.snapshot(commit).join(path).is_file()
    }

    /// The first file that encoders need and the snapshot lacks, or `None` if it can be used.
    pub(super) fn missing(&self, commit: &str) -> Option<&'static str> {
        match self.folders(commit) {
            Ok(folders) => files::missing(&folders, |path| self.has(commit, path)),
            Err(_) => Some(files::MODULES),
        }
    }

    /// Whether all that would be fetched is there, or known not to exist.
    pub(super) fn is_whole(&self, commit: &str) -> bool {
        let known = |path: &String| self.has(commit, path) || self.absence(commit, path).is_file();
        self.missing(commit).is_none()
            && self.folders(commit).is_ok_and(|folders| files::wanted(&folders).iter().all(known))
    }

    /// The folders of its modules, without the root: none where there is no list of them.
    pub(super) fn folders(&self, commit: &str) -> Result<Vec<String>, FormatError> {
        let path = self.snapshot(commit).join(files::MODULES);
        match fs::read_to_string(&path) {
            Ok(modules) => files::folders(&modules).map_err(|found| {
                FormatError::unexpected(
                    &path,
                    "modules",
                    "a list of them, each with the `path` of a folder inside",
                    found,
                )
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(FormatError::io(&path, "read", error)),
        }
    }

    fn absence(&self, commit: &str, path: &str) -> PathBuf {
        self.folder.join(".no_exist").join(commit).join(path)
    }

    /// Notes that the commit has no such file.
    pub(super) fn mark_absent(&self, commit: &str, path: &str) -> Result<(), SourceError> {
        let mark = self.absence(commit, path);
        make_parent(&mark)?;
        File::create(&mark).map_err(io_error(&mark, "create"))?;
        Ok(())
    }

    /// Keeps other processes, Python's among them, from fetching the same blob until the lock is dropped.
    pub(super) fn lock(&self, etag: &str) -> Result<File, SourceError> {
        let path = self.locks.join(format!("{etag}.lock"));
        make_parent(&path)?;
        let file = File::create(&path).map_err(io_error(&path, "create"))?;
        file.lock().map_err(io_error(&path, "lock"))?;
        Ok(file)
    }

    /// Makes the snapshot's file of a blob.
    pub(super) fn link(&self, commit: &str, path: &str, etag: &str) -> Result<(), HubError> {
        let place = self.snapshot(commit).join(path);
        make_parent(&place)?;
        if fs::symlink_metadata(&place).is_ok() {
            fs::remove_file(&place).map_err(io_error(&place, "replace"))?;
        }
        // Relative, so that the cache can be moved: out of the folders of `path`, the commit's, and `snapshots`.
        let up = "../".repeat(path.matches('/').count() + 2);
        if symlink(&format!("{up}blobs/{etag}"), &place).is_ok() {
            return Ok(());
        }
        let mut blob = File::open(self.blob(etag)).map_err(io_error(&place, "copy to it"))?;
        Ok(write_whole(&place, |out| io::copy(&mut blob, out).map(drop))?)
    }

    /// Notes the commit that a revision is at.
    pub(super) fn refer(&self, revision: &str, commit: &str) -> Result<(), HubError> {
        if revision == commit {
            return Ok(());
        }
        Ok(write_whole(&self.folder.join("refs").join(revision), |out| out.write_all(commit.as_bytes()))?)
    }
}

/// Whether it is a commit's name, in full.
pub(super) fn is_commit(revision: &str) -> bool {
    is_hexadecimal(revision, 40)
}

/// Whether it is a number of so many digits, as the hub writes them.
pub(super) fn is_hexadecimal(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

pub(super) fn make_parent(path: &Path) -> Result<(), SourceError> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(io_error(folder, "create"))
}

#[cfg(unix)]
fn symlink(to: &str, at: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(to, at)
}

#[cfg(windows)]
fn symlink(to: &str, at: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(to.replace('/', "\\"), at)
}
