//! Finding a data set by name or path.

use std::path::{Path, PathBuf};

use crate::cache::Folders;
use crate::dataset::Dataset;
use crate::digits::{DIGITS, digits};
use crate::folder::{self, FolderError};

/// A data set that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// It is not there.
    #[error("no data set `{name}`: looked for {}; `datasets list` shows those that `datasets fetch` can get", list(.looked))]
    NotFound {
        /// What was asked for.
        name: String,
        /// The places looked at.
        looked: Vec<PathBuf>,
    },
    /// It is there, and cannot be read.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// Opens a data set by name, from `$VICINO_DATA` or the cache, or by path. Fetches nothing.
///
/// A name is looked up first, and may be `digits-64-euclidean`, which is always there. A path is that of a folder with
/// `train.npy` and `test.npy`.
pub fn open(name_or_path: &str) -> Result<Dataset, DatasetError> {
    open_in(&Folders::from_environment(), name_or_path)
}

/// As [`open()`], looking for names in the given folders.
pub fn open_in(folders: &Folders, name_or_path: &str) -> Result<Dataset, DatasetError> {
    if name_or_path == DIGITS {
        return Ok(digits());
    }
    Ok(folder::read(&locate(folders, name_or_path)?)?)
}

/// Where the data set of that name or path lies.
pub fn locate(folders: &Folders, name_or_path: &str) -> Result<PathBuf, DatasetError> {
    let path = Path::new(name_or_path);
    let named = path.components().count() == 1 && path.file_name().is_some();
    let roots = folders.in_order().filter(|_| named).map(|folder| folder.join(path));
    let looked: Vec<PathBuf> = roots.chain([path.to_path_buf()]).collect();
    let there = looked.iter().find(|place| place.join(folder::TRAIN).is_file());
    there.cloned().ok_or_else(|| DatasetError::NotFound { name: name_or_path.into(), looked })
}
