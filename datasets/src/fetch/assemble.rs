//! Making a set's folder of what a source gave.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use vicino_index::Metric;

use super::{Event, Progress, unpack};
use crate::dataset::{Dataset, Mismatch, Truth};
use crate::digits::digits;
use crate::folder::{self, Provenance};
use crate::formats::{FormatError, Ids, hdf5, idx, npy, vecs};
use crate::matrix::Matrix;
use crate::random::Random;
use crate::registry::{Contents, Entry, Layout, Source};
use crate::text;
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
    /// An archive cannot be read.
    #[error("{path}: cannot unpack")]
    Archive {
        /// Which archive.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An archive lacks a file.
    #[error("{path}: expected a file `{file}`, found none")]
    Missing {
        /// Which archive.
        path: PathBuf,
        /// The end of the file's name.
        file: String,
    },
    /// A file cannot be put in its place.
    #[error("{path}: cannot put a file there")]
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
    match entry.contents {
        Contents::Vectors { rows, queries, dim, metric } => {
            let dataset = vectors(entry.name, metric, source.layout, files)?;
            let found = (dataset.train.len(), dataset.test.len(), dataset.train.dim(), dataset.metric);
            expect((rows, queries, dim, metric), found, |(rows, queries, dim, metric)| {
                format!("{rows} rows and {queries} queries of {dim}, {metric}")
            })?;
            let provenance =
                Provenance { source: Some(source.origin.to_string()), licence: Some(entry.licence.into()) };
            Ok(folder::write(into, &with_truth(dataset, progress)?, &provenance)?)
        }
        Contents::Text { documents } => {
            files.iter().try_for_each(|archive| unpack::zip(archive, into))?;
            expect(documents, text::read(into)?.documents.len(), |documents| format!("{documents} documents"))
        }
        Contents::Model => keep(source, files, into),
    }
}

/// Errors unless the shape found is the one known.
fn expect<T: PartialEq>(expected: T, found: T, describe: impl Fn(T) -> String) -> Result<(), AssembleError> {
    if expected == found {
        return Ok(());
    }
    Err(AssembleError::Shape { expected: describe(expected), found: describe(found) })
}

fn with_truth(mut dataset: Dataset, progress: Progress<'_>) -> Result<Dataset, AssembleError> {
    if dataset.truth.is_none() {
        let report = |done, total| progress(Event::Truth { done, total });
        dataset.truth = Some(truth(&dataset, TRUTH_K, 0, Some(&report))?);
    }
    Ok(dataset)
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
        (Layout::Hdf5, [file]) => {
            let hdf5::Contents { metric, train, test, truth } = hdf5::read(file)?;
            Dataset::new(name, metric, train, test, truth)?
        }
        (Layout::Texmex, [archive]) => texmex(name, metric, archive)?,
        _ => unreachable!("{layout:?} of {} files for vectors: the registry's tests rule it out", files.len()),
    };
    Ok(dataset)
}

fn texmex(name: &str, metric: Metric, archive: &Path) -> Result<Dataset, AssembleError> {
    let [train, test, truth] = unpack::tar_gz(archive, ["base.fvecs", "query.fvecs", "groundtruth.ivecs"])?;
    let floats = |path: &PathBuf| -> Result<Matrix, FormatError> { vecs::read_floats(path)?.into_vectors(path) };
    let Ids { k, ids } = vecs::read_ids(&truth)?.into_ids(&truth)?;
    let truth = Truth { k, neighbors: ids, distances: None };
    Ok(Dataset::new(name, metric, floats(&train)?, floats(&test)?, Some(truth))?)
}

/// Keeps the files as they are, in the folders that the package has below its layout's root.
fn keep(source: &Source, files: &[PathBuf], into: &Path) -> Result<(), AssembleError> {
    let Layout::Tree(root) = source.layout else {
        unreachable!("{:?} for a model: the registry's tests rule it out", source.layout)
    };
    for (file, path) in source.files.iter().zip(files) {
        let to = into.join(Path::new(file.path).strip_prefix(root).expect("files below the root, as the tests check"));
        let moved = to.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::rename(path, &to));
        moved.map_err(|source| AssembleError::Move { path: to.clone(), source })?;
    }
    Ok(())
}
