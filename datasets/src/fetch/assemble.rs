//! Making a set's folder of what a source gave.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use vicino_index::Metric;

use super::{Event, Progress};
use crate::dataset::{Dataset, Mismatch};
use crate::digits::digits;
use crate::folder::{self, Provenance};
use crate::formats::{FormatError, idx, npy};
use crate::matrix::Matrix;
use crate::random::Random;
use crate::registry::{Contents, Entry, Layout, Source};
use crate::truth::{TruthError, truth};

/// Neighbours per query where the source has none: as many as ann-benchmarks gives.
const TRUTH_K: usize = 100;

/// Files that do not make the set they should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AssembleError {
    /// One of them cannot be read.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// They do not belong together.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// They are another shape than is known.
    #[error("shape: expected {expected}, found {found}")]
    Shape {
        /// The shape known.
        expected: String,
        /// That of the files.
        found: String,
    },
    /// The exact neighbours cannot be found.
    #[error("exact neighbours")]
    Truth(#[from] TruthError),
    /// A file cannot be moved.
    #[error("{path}: cannot move a file there")]
    Move {
        /// Where to.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Makes `entry` in the empty folder `into`, of `files`, which are those of `source`.
pub(super) fn assemble(
    entry: &Entry,
    source: &Source,
    files: &[PathBuf],
    into: &Path,
    progress: Progress<'_>,
) -> Result<(), AssembleError> {
    let Contents::Vectors { rows, queries, dim, metric } = entry.contents else {
        return keep(files, into);
    };
    let mut dataset = vectors(entry.name, metric, source.layout, files)?;
    let shape = |rows, queries, dim| format!("{rows} rows and {queries} queries of {dim}");
    let found = (dataset.train.len(), dataset.test.len(), dataset.train.dim());
    if found != (rows, queries, dim) {
        return Err(AssembleError::Shape {
            expected: shape(rows, queries, dim),
            found: shape(found.0, found.1, found.2),
        });
    }
    if dataset.truth.is_none() {
        let report = |done, total| progress(Event::Truth { done, total });
        dataset.truth = Some(truth(&dataset, TRUTH_K, 0, Some(&report))?);
    }
    let provenance = Provenance { source: Some(source.origin.to_string()), licence: Some(entry.licence.into()) };
    Ok(folder::write(into, &dataset, &provenance)?)
}

fn vectors(name: &str, metric: Metric, layout: Layout, files: &[PathBuf]) -> Result<Dataset, AssembleError> {
    let read_idx = |path: &PathBuf| -> Result<Matrix, FormatError> { idx::read(path)?.into_vectors(path) };
    let dataset = match (layout, files) {
        (Layout::Digits, []) => digits(),
        (Layout::Idx, [train, test]) => Dataset::new(name, metric, read_idx(train)?, read_idx(test)?, None)?,
        (Layout::Split { queries, seed }, [all]) => {
            let all = npy::read(all)?.into_vectors(all)?;
            let order = Random::new(seed).shuffled(all.len());
            let (test, train) = order.split_at(queries.min(all.len()));
            let select = |rows: &[usize]| all.select(rows.iter().copied());
            Dataset::new(name, metric, select(train), select(test), None)?
        }
        _ => unreachable!("{layout:?} of {} files for vectors: the registry's tests rule it out", files.len()),
    };
    Ok(dataset)
}

/// Keeps the files as they are.
fn keep(files: &[PathBuf], into: &Path) -> Result<(), AssembleError> {
    for file in files {
        let to = into.join(file.file_name().unwrap_or_default());
        fs::rename(file, &to).map_err(|source| AssembleError::Move { path: to.clone(), source })?;
    }
    Ok(())
}
