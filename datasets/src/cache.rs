//! Where data sets lie: the folder `$VICINO_DATA` names, and the user's cache.

use std::env;
use std::io;
use std::path::{Path, PathBuf};

use crate::formats::make_folder;

/// The variable that names a folder of data sets.
pub const DATA_VARIABLE: &str = "VICINO_DATA";

/// The folders data sets are looked for in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    data: Option<PathBuf>,
    cache: Option<PathBuf>,
}

/// Nowhere to write to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoFolder {
    /// The environment names no folder.
    #[error("no folder for data sets: expected {DATA_VARIABLE}, XDG_CACHE_HOME, HOME or LOCALAPPDATA to be set")]
    Unset,
    /// None of the folders takes a file.
    #[error("{folder}: cannot write there")]
    ReadOnly {
        /// The folder tried last.
        folder: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl Folders {
    /// From the environment: `$VICINO_DATA`, and `$XDG_CACHE_HOME/vicino`, else `~/.cache/vicino` (`%LOCALAPPDATA%\vicino` on Windows).
    pub fn from_environment() -> Self {
        let folder = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")));
        let cache = cache.or_else(|| folder("LOCALAPPDATA"));
        Folders { data: folder(DATA_VARIABLE), cache: cache.map(|cache| cache.join("vicino")) }
    }

    /// `data` before `cache`.
    pub fn new(data: Option<PathBuf>, cache: Option<PathBuf>) -> Self {
        Folders { data, cache }
    }

    /// The folders, in the order in which they are looked through.
    pub fn in_order(&self) -> impl Iterator<Item = &Path> {
        self.data.iter().chain(&self.cache).map(PathBuf::as_path)
    }

    /// The first folder that takes files: a read-only `$VICINO_DATA` gives way to the cache.
    pub fn writable(&self) -> Result<&Path, NoFolder> {
        let mut refused = NoFolder::Unset;
        for folder in self.in_order() {
            match make_folder(folder).and_then(|()| tempfile::tempfile_in(folder)) {
                Ok(_) => return Ok(folder),
                Err(source) => refused = NoFolder::ReadOnly { folder: folder.into(), source },
            }
        }
        Err(refused)
    }
}
