//! [`Usage`]: what a collection takes, on disk and of rows that are points no more.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{CheckpointError, SharedCollection};
use crate::vfs::Vfs;

/// What a collection takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Points.
    pub points: usize,
    /// Rows, dead ones included.
    pub rows: usize,
    /// Rows of points that were replaced or removed.
    pub dead: usize,
    /// Segments, those in memory included.
    pub segments: usize,
    /// Files in its folder; none of a collection in memory.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// The files in folder `dir` and their bytes, in order of names. One that is removed meanwhile is left out.
pub(super) fn files(vfs: &dyn Vfs, dir: &Path) -> Result<Vec<(String, u64)>, (PathBuf, io::Error)> {
    let mut names = vfs.list(dir).map_err(|error| (dir.to_owned(), error))?;
    names.sort();
    let sizes = names.into_iter().filter_map(|name| {
        let path = dir.join(&name);
        match vfs.map(&path) {
            Ok(file) => Some(Ok((name, file.bytes().len() as u64))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => Some(Err((path, error))),
        }
    });
    sizes.collect()
}

impl SharedCollection {
    /// What it takes now.
    pub fn usage(&self) -> Result<Usage, CheckpointError> {
        let files = match self.shared().store.lock().folder.as_ref() {
            Some(folder) => folder.files().map_err(|(path, source)| CheckpointError::Io { path, source })?,
            None => Vec::new(),
        };
        let view = self.read();
        Ok(Usage {
            points: view.len(),
            rows: view.rows(),
            dead: view.rows() - view.len(),
            segments: view.segments().count(),
            files: files.len(),
            bytes: files.iter().map(|(_, bytes)| bytes).sum(),
        })
    }
}
