//! Exact neighbours, by comparing every query with every row.

use vicino_index::{ElementType, ExtendError, Flat, SearchError, SpecError, VectorSpec};

use crate::dataset::{Dataset, Truth};

/// Exact neighbours that cannot be found.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TruthError {
    /// No index can hold such rows.
    #[error("rows: {0}")]
    Spec(#[from] SpecError),
    /// A row is not finite.
    #[error("rows: {0}")]
    Rows(#[from] ExtendError),
    /// A query is not finite, or no neighbour was asked for.
    #[error("queries: {0}")]
    Queries(#[from] SearchError),
}

/// The `k` exact neighbours of every query (all rows where there are fewer), on `threads` threads, 0 for one per core.
///
/// `progress` hears queries done and queries in all. Integer rows are compared as integers, floats as `f32`: half floats too,
/// so that cosine is that of the rows as given and not of rows normalised to half precision. About queries · rows · dim steps.
pub fn truth(
    dataset: &Dataset,
    k: usize,
    threads: usize,
    progress: Option<&(dyn Fn(usize, usize) + Sync)>,
) -> Result<Truth, TruthError> {
    let (train, test) = (&dataset.train, &dataset.test);
    let element = match (train.element(), test.element()) {
        (ElementType::F16, _) => ElementType::F32,
        (rows, queries) if rows == queries => rows,
        _ => ElementType::F32,
    };
    let flat = Flat::build(VectorSpec::new(train.dim(), dataset.metric, element)?, train.rows())?;
    let answers = flat.search_many(test.rows(), k, threads, progress)?;
    let hits = || answers.iter().flatten();
    Ok(Truth {
        k: k.min(train.len()),
        neighbors: hits().map(|hit| hit.slot.0).collect(),
        distances: Some(hits().map(|hit| hit.distance).collect()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::{Matrix, Values};
    use vicino_index::Metric;

    #[test]
    fn neighbours_are_nearest_first_and_no_more_than_there_are() {
        let rows = Matrix::new(Values::U8(vec![0, 10, 3]), 1).unwrap();
        let queries = Matrix::new(Values::F32(vec![2.5]), 1).unwrap();
        let dataset = Dataset::new("t", Metric::L2, rows, queries, None).unwrap();
        let truth = truth(&dataset, 5, 1, None).unwrap();
        assert_eq!(truth, Truth { k: 3, neighbors: vec![2, 0, 1], distances: Some(vec![0.25, 6.25, 56.25]) });
    }

    #[test]
    fn zero_neighbours_are_refused() {
        let line = || Matrix::new(Values::U8(vec![1]), 1).unwrap();
        let dataset = Dataset::new("t", Metric::L2, line(), line(), None).unwrap();
        assert!(matches!(truth(&dataset, 0, 1, None), Err(TruthError::Queries(SearchError::ZeroK))));
    }
}
