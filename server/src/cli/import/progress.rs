//! [`Progress`]: how many rows of a file are stored, kept beside the file until all are.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::cli::place::Place;

/// What an import that was cut short leaves behind: good only for the same file and place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    bytes: u64,
    modified_ns: u128,
    place: String,
    rows: u64,
}

/// How far an import is.
pub(super) struct Progress {
    /// `None` once it could not be written.
    path: Option<PathBuf>,
    state: State,
}

impl Progress {
    /// Where an import of `file` into `place` begins: behind the rows an earlier run stored, unless `from_start` or file or place are
    /// others.
    pub(super) fn open(file: &Path, place: &Place, from_start: bool) -> anyhow::Result<Self> {
        let context = || format!("{}: cannot read", file.display());
        let metadata = fs::metadata(file).with_context(context)?;
        let modified = metadata.modified().with_context(context)?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let place = place.to_string();
        let new = State { bytes: metadata.len(), modified_ns: modified.as_nanos(), place, rows: 0 };
        let mut path = file.as_os_str().to_owned();
        path.push(".importing");
        let path = PathBuf::from(path);
        let earlier = fs::read(&path).ok().and_then(|text| serde_json::from_slice::<State>(&text).ok());
        let earlier = earlier.filter(|earlier| !from_start && State { rows: 0, ..earlier.clone() } == new);
        Ok(Progress { path: Some(path), state: earlier.unwrap_or(new) })
    }

    pub(super) fn rows(&self) -> u64 {
        self.state.rows
    }

    /// Counts `rows` more, and keeps it. Should the file be lost or old, rows are stored again, which changes nothing.
    pub(super) fn advance(&mut self, rows: u64) {
        self.state.rows += rows;
        let Some(path) = &self.path else { return };
        let text = serde_json::to_vec(&self.state).expect("numbers and a text");
        if let Err(error) = fs::write(path, text) {
            tracing::warn!("{}: {error}; if this import is cut short it will begin anew", path.display());
            self.path = None;
        }
    }

    /// All rows are stored.
    pub(super) fn done(self) -> anyhow::Result<()> {
        let Some(path) = self.path else { return Ok(()) };
        fs::remove_file(&path).with_context(|| format!("{}: cannot remove", path.display()))
    }
}
