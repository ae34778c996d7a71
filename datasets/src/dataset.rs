//! [`Dataset`]: rows to index, queries to ask, how they compare, and the exact answers where they are known.

use sha2::{Digest, Sha256};
use vicino_index::Metric;

use crate::matrix::Matrix;

/// Rows, queries, metric, truth.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// What it is called.
    pub name: String,
    /// How its vectors are compared.
    pub metric: Metric,
    /// The rows to index.
    pub train: Matrix,
    /// The queries.
    pub test: Matrix,
    /// The exact neighbours of the queries.
    pub truth: Option<Truth>,
    /// SHA-256, in hexadecimal, over metric, shapes, element types, rows and queries: what results were measured on. Name and
    /// truth do not count, so that the same data have the same hash wherever they came from.
    pub hash: String,
}

/// The exact neighbours of every query.
#[derive(Debug, Clone, PartialEq)]
pub struct Truth {
    /// Neighbours per query.
    pub k: usize,
    /// Rows of `train`, `[queries × k]`, nearest first.
    pub neighbors: Vec<u32>,
    /// The engine's distance to each ([`Metric::score`] makes it the user's number), `[queries × k]`.
    pub distances: Option<Vec<f32>>,
}

/// Parts that do not belong to one data set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: expected {expected}, found {found}")]
pub struct Mismatch {
    what: &'static str,
    expected: String,
    found: String,
}

impl Mismatch {
    #[allow(clippy::needless_pass_by_value, reason = "callers hand over what they have just formatted")]
    fn unless(holds: bool, what: &'static str, expected: impl ToString, found: impl ToString) -> Result<(), Mismatch> {
        if holds { Ok(()) } else { Err(Mismatch { what, expected: expected.to_string(), found: found.to_string() }) }
    }
}

impl Dataset {
    /// Checks that the parts fit: one dimension, a metric for the element type, neighbours that are rows. Hashes the data.
    pub fn new(
        name: impl Into<String>,
        metric: Metric,
        train: Matrix,
        test: Matrix,
        truth: Option<Truth>,
    ) -> Result<Self, Mismatch> {
        let (dim, element) = (train.dim(), train.element());
        Mismatch::unless(test.dim() == dim, "dimension of the queries", dim, test.dim())?;
        let fits = element.supports(metric) && test.element().supports(metric);
        Mismatch::unless(fits, "metric", format_args!("one that compares {element} and {}", test.element()), metric)?;
        if let Some(truth) = &truth {
            truth.check(train.len(), test.len())?;
        }
        let hash = hash(metric, &train, &test);
        Ok(Dataset { name: name.into(), metric, train, test, truth, hash })
    }

    /// The set of its first `rows` rows and all its queries, with a hash of its own and no truth, for that is another. Errors if there
    /// are fewer rows, or none is wanted.
    pub fn first_rows(self, rows: usize) -> Result<Self, Mismatch> {
        let there = self.train.len();
        Mismatch::unless((1..=there).contains(&rows), "first rows", format_args!("1 to {there}"), rows)?;
        if rows == there {
            return Ok(self);
        }
        Dataset::new(self.name, self.metric, self.train.select(0..rows), self.test, None)
    }
}

impl Truth {
    fn check(&self, rows: usize, queries: usize) -> Result<(), Mismatch> {
        let expected = queries * self.k;
        Mismatch::unless(self.k > 0, "neighbours per query", "at least 1", 0)?;
        let found = self.neighbors.len();
        Mismatch::unless(found == expected, "neighbours", format_args!("{queries} queries × {}", self.k), found)?;
        let worst = self.neighbors.iter().max().copied().unwrap_or(0) as usize;
        let below = || format!("a row below {rows}");
        Mismatch::unless(self.neighbors.is_empty() || worst < rows, "neighbour", below(), worst)?;
        let distances = self.distances.as_ref().map_or(expected, Vec::len);
        Mismatch::unless(distances == expected, "distances", format_args!("{queries} queries × {}", self.k), distances)
    }
}

fn hash(metric: Metric, train: &Matrix, test: &Matrix) -> String {
    let mut hasher = Sha256::new();
    hasher.update(metric.name());
    for part in [train, test] {
        hasher.update(format!(";{}:{}x{};", part.element(), part.len(), part.dim()));
        hasher.update(part.bytes());
    }
    hexadecimal(&hasher.finalize())
}

/// Two digits per byte.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::Values;

    fn line(values: &[f32]) -> Matrix {
        Matrix::new(Values::F32(values.to_vec()), 1).unwrap()
    }

    fn fault(truth: Truth) -> String {
        Dataset::new("t", Metric::L2, line(&[0.0, 1.0]), line(&[0.5]), Some(truth)).unwrap_err().to_string()
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let plane = Matrix::new(Values::F32(vec![0.0, 1.0]), 2).unwrap();
        let error = Dataset::new("t", Metric::L2, line(&[0.0]), plane, None).unwrap_err().to_string();
        assert_eq!(error, "dimension of the queries: expected 1, found 2");
        let error = Dataset::new("t", Metric::Hamming, line(&[0.0]), line(&[0.0]), None).unwrap_err().to_string();
        assert_eq!(error, "metric: expected one that compares f32 and f32, found hamming");
        let error = fault(Truth { k: 1, neighbors: vec![2], distances: None });
        assert_eq!(error, "neighbour: expected a row below 2, found 2");
        let error = fault(Truth { k: 2, neighbors: vec![0], distances: None });
        assert_eq!(error, "neighbours: expected 1 queries × 2, found 1");
        let error = fault(Truth { k: 1, neighbors: vec![0], distances: Some(vec![]) });
        assert_eq!(error, "distances: expected 1 queries × 1, found 0");
    }

    #[test]
    fn the_first_rows_are_a_set_of_their_own() {
        let truth = Truth { k: 1, neighbors: vec![2], distances: None };
        let whole = Dataset::new("t", Metric::L2, line(&[0.0, 1.0, 2.0]), line(&[3.0]), Some(truth)).unwrap();
        let part = whole.clone().first_rows(2).unwrap();
        assert_eq!((part.train.to_f32(), part.test.len(), part.truth), (vec![0.0, 1.0], 1, None));
        assert_ne!(part.hash, whole.hash);
        assert_eq!(whole.clone().first_rows(3).unwrap(), whole);
        let error = whole.first_rows(4).unwrap_err().to_string();
        assert_eq!(error, "first rows: expected 1 to 3, found 4");
    }

    #[test]
    fn the_hash_is_of_the_data_alone() {
        let make =
            |name: &str, metric, test: &[f32]| Dataset::new(name, metric, line(&[0.0, 1.0]), line(test), None).unwrap();
        let base = make("a", Metric::L2, &[0.5]);
        assert_eq!(base.hash, make("b", Metric::L2, &[0.5]).hash);
        assert_ne!(base.hash, make("a", Metric::L1, &[0.5]).hash);
        assert_ne!(base.hash, make("a", Metric::L2, &[0.25]).hash);
        assert_eq!(base.hash.len(), 64);
    }
}
