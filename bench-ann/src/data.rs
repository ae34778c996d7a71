//! A data set made ready to be measured: f32 rows and queries, normalised where the angle counts, with exact neighbours.
//!
//! Every engine gets the same f32 values. For `cosine` both sides are normalised once, here, so that each may use its cheaper
//! inner product and none pays for normalising.

use std::fs;
use std::io;
use std::path::Path;

use vicino_datasets::{Dataset, TruthError};
use vicino_index::Metric;

use crate::recall::Vectors;
use crate::results::DatasetInfo;

/// Rows, queries and the truth.
pub struct Data {
    /// What results say of it.
    pub info: DatasetInfo,
    /// Rows, `[rows × dim]`.
    train: Vec<f32>,
    /// Queries, `[queries × dim]`.
    queries: Vec<f32>,
    metric: Metric,
    /// Exact neighbours, `[queries × truth_k]`.
    truth: Vec<u32>,
    truth_k: usize,
}

/// A data set that cannot be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// No engine here compares vectors so.
    #[error("metric {0}: expected l2, dot or cosine, which every engine has")]
    Metric(Metric),
    /// Nothing to index, or nothing to ask.
    #[error("{rows} rows and {queries} queries: expected at least one of each, and {k} rows for k = {k}")]
    TooFew {
        /// Rows to index.
        rows: usize,
        /// Queries.
        queries: usize,
        /// Neighbours asked for.
        k: usize,
    },
    /// The exact neighbours could not be found.
    #[error("exact neighbours: {0}")]
    Truth(#[from] TruthError),
}

impl Data {
    /// From a data set, with at most `limit` of its queries. Exact neighbours are computed where the set lacks `k` of them;
    /// `progress` then hears queries done and queries in all.
    pub fn new(
        mut dataset: Dataset,
        k: usize,
        limit: Option<usize>,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Data, DataError> {
        let metric = dataset.metric;
        if !matches!(metric, Metric::L2 | Metric::Dot | Metric::Cosine) {
            return Err(DataError::Metric(metric));
        }
        let (rows, dim) = (dataset.train.len(), dataset.train.dim());
        let queries = dataset.test.len().min(limit.unwrap_or(usize::MAX));
        if rows < k.max(1) || queries == 0 {
            return Err(DataError::TooFew { rows, queries, k });
        }
        dataset.test = dataset.test.select(0..queries);
        let truth = match dataset.truth.take() {
            Some(truth) if truth.k >= k => truth,
            _ => vicino_datasets::truth(&dataset, k, 0, Some(progress))?,
        };
        let element = dataset.train.element();
        let (mut train, mut asked) = (dataset.train.to_f32(), dataset.test.to_f32());
        if metric == Metric::Cosine {
            normalise(&mut train, dim);
            normalise(&mut asked, dim);
        }
        let info = DatasetInfo {
            name: dataset.name,
            hash: dataset.hash,
            metric: metric.name().to_owned(),
            element: element.name().to_owned(),
            rows,
            queries,
            dim,
        };
        let mut neighbors = truth.neighbors;
        neighbors.truncate(queries * truth.k);
        Ok(Data { info, train, queries: asked, metric, truth: neighbors, truth_k: truth.k })
    }

    /// The vectors.
    pub fn vectors(&self) -> Vectors<'_> {
        Vectors { train: &self.train, queries: &self.queries, dim: self.info.dim, metric: self.metric }
    }

    /// Exact neighbours, `[queries × k]`, and that k.
    pub fn truth(&self) -> (&[u32], usize) {
        (&self.truth, self.truth_k)
    }

    /// Writes rows and queries as the workers read them.
    pub fn write(&self, train: &Path, queries: &Path) -> io::Result<()> {
        // Every platform the engines run on is little-endian, as the exchange format is.
        fs::write(train, bytemuck::cast_slice(&self.train))?;
        fs::write(queries, bytemuck::cast_slice(&self.queries))
    }
}

/// Scales rows to length one; a zero row stays.
fn normalise(rows: &mut [f32], dim: usize) {
    for row in rows.chunks_exact_mut(dim) {
        let norm = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
        if norm > 0.0 {
            row.iter_mut().for_each(|x| *x = (f64::from(*x) / norm) as f32);
        }
    }
}
