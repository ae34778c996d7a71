//! Finding a data set by name or path.

use std::path::{Path, PathBuf};

use crate::cache::Folders;
use crate::dataset::Dataset;
use crate::digits::{DIGITS, digits};
use crate::folder::{self, FolderError};
use crate::formats::hdf5;
use crate::text;

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
    /// It is there, and holds texts.
    #[error("{path}: expected vectors, found texts, which an encoder must turn into vectors first")]
    Text {
        /// Where it is.
        path: PathBuf,
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
/// `train.npy` and `test.npy`, or of an HDF5 file (`.hdf5`, `.h5`) as ann-benchmarks has them; one of those may also lie in a data
/// folder, as `NAME.hdf5`.
pub fn open(name_or_path: &str) -> Result<Dataset, DatasetError> {
    open_in(&Folders::from_environment(), name_or_path)
}

/// As [`open()`], looking for names in the given folders.
pub fn open_in(folders: &Folders, name_or_path: &str) -> Result<Dataset, DatasetError> {
    if name_or_path == DIGITS {
        return Ok(digits());
    }
    let place = locate(folders, name_or_path)?;
    if place.join(text::CORPUS).is_file() && !place.join(folder::TRAIN).is_file() {
        return Err(DatasetError::Text { path: place });
    }
    if place.is_dir() {
        return Ok(folder::read(&place)?);
    }
    let hdf5::Contents { metric, train, test, truth } = hdf5::read(&place).map_err(FolderError::from)?;
    let name = place.file_stem().unwrap_or_default().to_string_lossy();
    let made = Dataset::new(name, metric, train, test, truth);
    made.map_err(|mismatch| FolderError::Mismatch { folder: place, mismatch }.into())
}

/// Where the data set of that name or path lies: a folder of vectors or texts, or an HDF5 file.
pub fn locate(folders: &Folders, name_or_path: &str) -> Result<PathBuf, DatasetError> {
    let path = Path::new(name_or_path);
    let named = path.components().count() == 1 && path.file_name().is_some();
    let file = format!("{name_or_path}.hdf5");
    let in_folders = folders.in_order().filter(|_| named).flat_map(|folder| [folder.join(path), folder.join(&file)]);
    let looked: Vec<PathBuf> = in_folders.chain([path.to_path_buf()]).collect();
    let there = looked.iter().find(|place| is_dataset(place));
    there.cloned().ok_or_else(|| DatasetError::NotFound { name: name_or_path.into(), looked })
}

fn is_dataset(place: &Path) -> bool {
    let is_hdf5 = place.extension().is_some_and(|end| end == "hdf5" || end == "h5");
    place.join(folder::TRAIN).is_file() || place.join(text::CORPUS).is_file() || (is_hdf5 && place.is_file())
}
