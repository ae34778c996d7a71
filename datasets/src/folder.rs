//! A data set as a folder: `train.npy`, `test.npy`, and where known `neighbors.npy`, `distances.npy`, `meta.json`.
//!
//! Distances are the engine's. The metric is said by `meta.json`, or else by the end of the folder's name, as in
//! `glove-25-angular`; it is never guessed.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use vicino_index::Metric;

use crate::dataset::{Dataset, Mismatch, Truth};
use crate::formats::{FormatError, Ids, Table, npy, write_whole};
use crate::matrix::{Matrix, Values};

/// The file that makes a folder a data set.
pub(crate) const TRAIN: &str = "train.npy";
const TEST: &str = "test.npy";
const NEIGHBORS: &str = "neighbors.npy";
const DISTANCES: &str = "distances.npy";
/// What is known of the data.
const META: &str = "meta.json";

/// What `meta.json` says. Other keys are ignored.
#[derive(Serialize, Deserialize)]
struct Meta {
    name: String,
    metric: String,
    #[serde(flatten)]
    provenance: Provenance,
}

/// Where data are from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The place they were got from, or the command that made them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The terms under which they are published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
}

/// A folder that is no data set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// One of its files cannot be read or written.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The metric is not said, or not known.
    #[error(
        "{folder}: metric: expected `metric` in {META}, or a folder name ending in one (-euclidean, -angular, -dot, …), found {found}"
    )]
    Metric {
        /// Which folder.
        folder: PathBuf,
        /// What is there.
        found: String,
    },
    /// Its files do not belong together.
    #[error("{folder}: {mismatch}")]
    Mismatch {
        /// Which folder.
        folder: PathBuf,
        /// What does not fit.
        mismatch: Mismatch,
    },
}

/// Reads a folder.
pub fn read(folder: &Path) -> Result<Dataset, FolderError> {
    let meta = read_meta(folder)?;
    let last =
        folder.file_name().map_or_else(|| folder.display().to_string(), |name| name.to_string_lossy().into_owned());
    let said = meta.as_ref().map_or_else(|| last.rsplit('-').next().unwrap_or_default(), |meta| &meta.metric);
    let metric: Metric =
        said.parse().map_err(|_| FolderError::Metric { folder: folder.into(), found: format!("`{said}`") })?;
    let vectors = |name| {
        let path = folder.join(name);
        npy::read(&path)?.into_vectors(&path)
    };
    let (train, test) = (vectors(TRAIN)?, vectors(TEST)?);
    let truth = read_truth(folder, test.len())?;
    let name = meta.map_or(last, |meta| meta.name);
    Dataset::new(name, metric, train, test, truth)
        .map_err(|mismatch| FolderError::Mismatch { folder: folder.into(), mismatch })
}

fn read_meta(folder: &Path) -> Result<Option<Meta>, FormatError> {
    let path = folder.join(META);
    if !path.exists() {
        return Ok(None);
    }
    let text = fs::read(&path).map_err(|error| FormatError::io(&path, "read", error))?;
    let meta = serde_json::from_slice(&text);
    meta.map(Some)
        .map_err(|error| FormatError::unexpected(&path, "contents", "a JSON object with `name` and `metric`", error))
}

fn read_truth(folder: &Path, queries: usize) -> Result<Option<Truth>, FormatError> {
    let path = folder.join(NEIGHBORS);
    if !path.exists() {
        return Ok(None);
    }
    let Ids { k, ids } = npy::read(&path)?.into_ids(&path)?;
    let path = folder.join(DISTANCES);
    let distances = if path.exists() {
        let matrix = npy::read(&path)?.into_vectors(&path)?;
        if (matrix.len(), matrix.dim()) != (queries, k) {
            let found = format!("{} × {}", matrix.len(), matrix.dim());
            return Err(FormatError::unexpected(&path, "shape", format_args!("{queries} × {k}"), found));
        }
        Some(matrix.to_f32())
    } else {
        None
    };
    Ok(Some(Truth { k, neighbors: ids, distances }))
}

/// Writes `dataset` into `folder`, `meta.json` last. The folder is made if need be; other files in it stay.
pub fn write(folder: &Path, dataset: &Dataset, provenance: &Provenance) -> Result<(), FormatError> {
    npy::write(&folder.join(TRAIN), &Table::Vectors(dataset.train.clone()))?;
    npy::write(&folder.join(TEST), &Table::Vectors(dataset.test.clone()))?;
    if let Some(truth) = &dataset.truth {
        write_truth(folder, truth)?;
    }
    let metric = dataset.metric.name().into();
    let meta = Meta { name: dataset.name.clone(), metric, provenance: provenance.clone() };
    write_whole(&folder.join(META), |out| Ok(serde_json::to_writer_pretty(out, &meta)?))
}

/// Writes the neighbours into a data set's folder, in place of those there.
pub fn write_truth(folder: &Path, truth: &Truth) -> Result<(), FormatError> {
    let path = folder.join(DISTANCES);
    match &truth.distances {
        Some(distances) => {
            let matrix = Matrix::new(Values::F32(distances.clone()), truth.k).expect("k distances for every query");
            npy::write(&path, &Table::Vectors(matrix))?;
        }
        None if path.exists() => fs::remove_file(&path).map_err(|error| FormatError::io(&path, "remove", error))?,
        None => {}
    }
    npy::write(&folder.join(NEIGHBORS), &Table::Ids(Ids { k: truth.k, ids: truth.neighbors.clone() }))
}
