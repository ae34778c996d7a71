//! Recall: the share of true neighbours that a search found.

use vicino_datasets::{Dataset, Truth};

/// The `k` of recall@k.
pub(super) const K: usize = 10;

/// Adds up recall@10 over queries. Counted by id: of several rows at the same distance only those in the truth count.
#[derive(Debug, Default)]
pub(super) struct Recall {
    found: usize,
    of: usize,
}

impl Recall {
    /// Counts one answer, `found` by row number, against the truth for `query`.
    pub(super) fn add(&mut self, truth: &Truth, query: usize, found: impl IntoIterator<Item = u64>) {
        let true_rows = &truth.neighbors[query * truth.k..][..K.min(truth.k)];
        self.found += found.into_iter().filter(|&row| true_rows.iter().any(|&near| u64::from(near) == row)).count();
        self.of += true_rows.len();
    }

    /// Between 0 and 1.
    pub(super) fn value(&self) -> f64 {
        self.found as f64 / self.of.max(1) as f64
    }
}

/// The exact neighbours of a data set's queries: those that come with it, or else compared now, all of them.
pub(super) fn truth(dataset: &mut Dataset) -> anyhow::Result<Truth> {
    match dataset.truth.take() {
        Some(truth) if truth.k >= K => Ok(truth),
        _ => Ok(vicino_datasets::truth(dataset, K, 0, None)?),
    }
}
