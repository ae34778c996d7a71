//! Recall@k with ties by distance: what share of the k nearest was found.
//!
//! A returned neighbour counts when its true distance, computed here in f64 and never taken from the engine, is at most that of
//! the true k-th neighbour: of several rows at the same distance any will do. An id returned twice counts once.
//!
//! Two thresholds are kept. [`Recall::ties`] allows only for rounding ([`TIE_SLACK`], relative) and is the one reported.
//! [`Recall::ann_benchmarks`] adds what ann-benchmarks adds, [`ANN_BENCHMARKS_SLACK`] in absolute terms on its own distances
//! (Euclidean rooted, angular `1 − cos`), to compare with its published numbers; on angular sets that is noticeably kinder.

use vicino_index::Metric;

/// Relative slack for rounding: a few f32 units.
pub const TIE_SLACK: f64 = 1e-6;
/// The absolute slack of ann-benchmarks' `metrics.py`.
pub const ANN_BENCHMARKS_SLACK: f64 = 1e-3;

/// Rows and queries of a data set as f32, with what decides nearness.
#[derive(Debug, Clone, Copy)]
pub struct Vectors<'a> {
    /// `[rows × dim]`
    pub train: &'a [f32],
    /// `[queries × dim]`
    pub queries: &'a [f32],
    /// Coordinates per row.
    pub dim: usize,
    /// How rows are compared.
    pub metric: Metric,
}

/// Mean recall over the queries, by two thresholds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recall {
    /// Ties at the true k-th distance count, nothing farther does.
    pub ties: f64,
    /// As ann-benchmarks counts.
    pub ann_benchmarks: f64,
}

impl Vectors<'_> {
    /// The distance between query and row on the scale of ann-benchmarks.
    pub fn distance(&self, query: usize, row: usize) -> f64 {
        let pairs = self.queries[query * self.dim..][..self.dim].iter().zip(&self.train[row * self.dim..][..self.dim]);
        let pairs = pairs.map(|(&a, &b)| (f64::from(a), f64::from(b)));
        match self.metric {
            Metric::L2 => pairs.map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt(),
            Metric::Dot => -pairs.map(|(a, b)| a * b).sum::<f64>(),
            Metric::Cosine => {
                let (dot, aa, bb) =
                    pairs.fold((0.0, 0.0, 0.0), |(dot, aa, bb), (a, b)| (dot + a * b, aa + a * a, bb + b * b));
                let norms = f64::sqrt(aa * bb);
                if norms > 0.0 { 1.0 - dot / norms } else { 1.0 }
            }
            Metric::L1 => pairs.map(|(a, b)| (a - b).abs()).sum(),
            Metric::Hamming => pairs.filter(|(a, b)| a != b).count() as f64,
        }
    }
}

/// The true k-th distance of every query: what recall is measured against.
///
/// It is the largest of the distances to the k rows that the truth names, not that to the last of them: a truth found on other
/// roundings of the vectors may name near ties in another order, and exact search must still score one.
#[derive(Debug, Clone)]
pub struct Thresholds {
    k: usize,
    kth: Vec<f64>,
}

impl Thresholds {
    /// From the exact neighbours, `[queries × truth_k]`, nearest first. `k` must be `1..=truth_k`.
    pub fn new(vectors: &Vectors<'_>, truth: &[u32], truth_k: usize, k: usize) -> Thresholds {
        assert!((1..=truth_k).contains(&k), "k {k} of {truth_k} known neighbours");
        let farthest = |(query, ids): (usize, &[u32])| {
            let distances = ids[..k].iter().map(|&row| vectors.distance(query, row as usize));
            distances.fold(f64::NEG_INFINITY, f64::max)
        };
        Thresholds { k, kth: truth.chunks_exact(truth_k).enumerate().map(farthest).collect() }
    }

    /// The true k-th distance of a query.
    pub fn kth(&self, query: usize) -> f64 {
        self.kth[query]
    }

    /// Recall of `found`, i32 `[queries × k]`; negative ids and ids past the last row count as nothing.
    pub fn recall(&self, vectors: &Vectors<'_>, found: &[i32]) -> Recall {
        let rows = vectors.train.len() / vectors.dim;
        let (mut ties, mut kinder) = (0_usize, 0_usize);
        for (query, (ids, &kth)) in found.chunks_exact(self.k).zip(&self.kth).enumerate() {
            let mut ids: Vec<usize> = ids.iter().filter_map(|&id| usize::try_from(id).ok()).collect();
            ids.sort_unstable();
            ids.dedup();
            for row in ids.into_iter().take_while(|&row| row < rows) {
                let distance = vectors.distance(query, row);
                ties += usize::from(distance <= kth + TIE_SLACK * kth.abs());
                kinder += usize::from(distance <= kth + ANN_BENCHMARKS_SLACK);
            }
        }
        let wanted = (self.kth.len() * self.k) as f64;
        // Beyond a distance of a thousand the relative slack is the larger one.
        Recall { ties: ties as f64 / wanted, ann_benchmarks: kinder.max(ties) as f64 / wanted }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows on a line at 0, 1, 1, 2, 3, seen from 0.
    fn line() -> Vectors<'static> {
        Vectors { train: &[0.0, 1.0, -1.0, 2.0, 3.0], queries: &[0.0], dim: 1, metric: Metric::L2 }
    }

    #[test]
    fn either_of_two_tied_rows_counts() {
        let thresholds = Thresholds::new(&line(), &[0, 1, 2, 3, 4], 5, 2);
        for found in [[0, 1], [0, 2], [2, 1]] {
            assert_eq!(thresholds.recall(&line(), &found).ties, 1.0, "{found:?}");
        }
        assert_eq!(thresholds.recall(&line(), &[0, 3]).ties, 0.5);
    }

    #[test]
    fn repeated_missing_and_impossible_ids_count_once_or_not_at_all() {
        let thresholds = Thresholds::new(&line(), &[0, 1, 2, 3, 4], 5, 4);
        assert_eq!(thresholds.recall(&line(), &[0, 0, 0, 0]).ties, 0.25);
        assert_eq!(thresholds.recall(&line(), &[0, -1, 1, 99]).ties, 0.5);
    }

    #[test]
    fn only_ann_benchmarks_slack_lets_a_slightly_farther_row_in() {
        let vectors = Vectors { train: &[1.0, 1.0005], queries: &[0.0], dim: 1, metric: Metric::L2 };
        let recall = Thresholds::new(&vectors, &[0, 1], 2, 1).recall(&vectors, &[1]);
        assert_eq!(recall, Recall { ties: 0.0, ann_benchmarks: 1.0 });
    }

    #[test]
    fn a_truth_in_another_order_still_lets_exact_search_score_one() {
        let thresholds = Thresholds::new(&line(), &[3, 1, 0, 2, 4], 5, 3);
        assert_eq!(thresholds.recall(&line(), &[0, 1, 3]).ties, 1.0);
    }

    #[test]
    fn a_larger_inner_product_is_nearer() {
        let vectors = Vectors { train: &[1.0, 5.0, 3.0], queries: &[2.0], dim: 1, metric: Metric::Dot };
        let thresholds = Thresholds::new(&vectors, &[1, 2, 0], 3, 2);
        assert_eq!(thresholds.recall(&vectors, &[1, 2]).ties, 1.0);
        assert_eq!(thresholds.recall(&vectors, &[1, 0]).ties, 0.5);
    }
}
