//! Rivals' indexes kept on disk between runs, so that a later run times searches without building again.
//!
//! An index is found again by everything that made it: data set (by hash) and rows, engine and version, build parameters and threads. What
//! the build cost is remembered with it, and when and where it was paid. Our own engines are never kept: their code changes between runs.
//! A folder is filled under another name and renamed when whole, so an interrupted build leaves nothing that is taken for an index.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::results::{Build, DatasetInfo};

/// How much of the data set's hash goes into a folder's name; all of it is compared.
const HASH_DIGITS: usize = 12;

/// The folder of all kept indexes.
#[derive(Debug, Clone)]
pub struct Keep(pub PathBuf);

/// Everything that makes an index what it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// SHA-256 of the data set as it was indexed.
    pub dataset_hash: String,
    /// Rows indexed.
    pub rows: usize,
    /// The engine.
    pub engine: String,
    /// Its package and version.
    pub version: String,
}

/// One index's place on disk, filled or not.
pub struct Place {
    folder: PathBuf,
    origin: Origin,
}

/// What lies beside a kept index.
#[derive(Serialize, Deserialize)]
struct Record {
    origin: Origin,
    build: Build,
}

/// A kept index cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeepError {
    /// The file system said no.
    #[error("kept index {path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The record is damaged, or of another index.
    #[error("kept index {path}: {reason}; delete the folder to build it again")]
    Record {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl Keep {
    /// Where the index of `engine` in `version` on `dataset`, with the parameters and threads of `build`, lies or would lie.
    pub fn place(&self, dataset: &DatasetInfo, engine: &str, version: &str, params: &str, threads: usize) -> Place {
        let hash = &dataset.hash[..dataset.hash.len().min(HASH_DIGITS)];
        let set = plain(&format!("{}-{}-{hash}", dataset.name, dataset.rows));
        let index = plain(&format!("{engine} {version} {params} threads={threads}"));
        let origin = Origin {
            dataset_hash: dataset.hash.clone(),
            rows: dataset.rows,
            engine: engine.to_owned(),
            version: version.to_owned(),
        };
        Place { folder: self.0.join(set).join(index), origin }
    }
}

impl Place {
    /// What the index cost to build, if it is here.
    pub fn read(&self) -> Result<Option<Build>, KeepError> {
        let path = self.folder.join("built.json");
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(KeepError::Io { path, source }),
        };
        let wrong = |reason: String| KeepError::Record { path: self.folder.clone(), reason };
        let record: Record = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        if record.origin != self.origin {
            return Err(wrong(format!("expected {:?}, found {:?}", self.origin, record.origin)));
        }
        Ok(Some(record.build))
    }

    /// The index itself, once it is here.
    pub fn index(&self) -> PathBuf {
        self.folder.join("index")
    }

    /// Makes room for an index, and says where the engine shall save it.
    pub fn begin(&self) -> Result<PathBuf, KeepError> {
        let part = self.part();
        let io = |source| KeepError::Io { path: part.clone(), source };
        match fs::remove_dir_all(&part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
            _ => {}
        }
        fs::create_dir_all(&part).map_err(io)?;
        Ok(part.join("index"))
    }

    /// Puts the index saved after [`Place::begin`] in its place, with what its build cost.
    pub fn finish(&self, build: &Build) -> Result<(), KeepError> {
        let part = self.part();
        let io = |source| KeepError::Io { path: part.clone(), source };
        let record = Record { origin: self.origin.clone(), build: build.clone() };
        let text = serde_json::to_vec_pretty(&record).expect("a record holds only finite numbers and string keys");
        fs::write(part.join("built.json"), text).map_err(io)?;
        fs::rename(&part, &self.folder).map_err(io)
    }

    fn part(&self) -> PathBuf {
        let mut name = self.folder.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        self.folder.with_file_name(name)
    }
}

/// `text` as one name of a file: what could mean something to a file system or shell becomes `_`.
fn plain(text: &str) -> String {
    let usual = |c: char| c.is_ascii_alphanumeric() || "-.=".contains(c);
    text.chars().map(|c| if usual(c) { c } else { '_' }).collect()
}

impl AsRef<Path> for Place {
    fn as_ref(&self) -> &Path {
        &self.folder
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::Params;
    use crate::results::Earlier;

    fn dataset(hash: &str) -> DatasetInfo {
        DatasetInfo {
            name: "a/set".to_owned(),
            hash: hash.to_owned(),
            metric: "l2".to_owned(),
            element: "f32".to_owned(),
            rows: 10,
            queries: 2,
            dim: 3,
        }
    }

    fn build() -> Build {
        Build {
            build_params: Params::default(),
            build_threads: 2,
            build_s: 1.5,
            build_cpu_s: Some(2.5),
            index_bytes: Some(7),
            peak_rss_bytes: None,
            resident_bytes: Some(9),
            process_peak_rss_bytes: None,
            built_earlier: Some(Earlier { at: "2026-01-02T03:04:05Z".to_owned(), cpu: "a processor".to_owned() }),
        }
    }

    #[test]
    fn an_index_is_found_again_by_all_that_made_it() {
        let folder = tempfile::tempdir().unwrap();
        let keep = Keep(folder.path().join("kept"));
        let place = |hash: &str, version: &str, params: &str, threads| {
            keep.place(&dataset(hash), "engine", version, params, threads)
        };
        let here = place("0123456789abcdef", "p 1.0", "m=16", 2);
        assert_eq!(here.read().unwrap(), None);
        fs::write(here.begin().unwrap(), "an index").unwrap();
        assert_eq!(here.read().unwrap(), None, "not before it is whole");
        here.finish(&build()).unwrap();
        assert_eq!(here.read().unwrap(), Some(build()));
        assert_eq!(fs::read(here.index()).unwrap(), b"an index");
        for other in [
            place("1123456789abcdef", "p 1.0", "m=16", 2),
            place("0123456789abcdef", "p 1.1", "m=16", 2),
            place("0123456789abcdef", "p 1.0", "m=32", 2),
            place("0123456789abcdef", "p 1.0", "m=16", 1),
        ] {
            assert_eq!(other.read().unwrap(), None);
        }
        // Only the end of the hash differs: the folder is the same, and the record tells.
        let error = place("0123456789abcdee", "p 1.0", "m=16", 2).read().unwrap_err().to_string();
        assert!(error.contains("expected") && error.contains("abcdee"), "{error}");
    }

    #[test]
    fn what_was_interrupted_or_damaged_is_not_taken_for_an_index() {
        let folder = tempfile::tempdir().unwrap();
        let place = Keep(folder.path().to_owned()).place(&dataset("0"), "engine", "1", "", 2);
        fs::write(place.begin().unwrap(), "half").unwrap();
        let index = place.begin().unwrap();
        assert!(!index.exists(), "a second start finds nothing of the first");
        fs::write(&index, "whole").unwrap();
        place.finish(&build()).unwrap();
        fs::write(place.as_ref().join("built.json"), "{").unwrap();
        let error = place.read().unwrap_err().to_string();
        assert!(error.contains("delete the folder"), "{error}");
    }
}
