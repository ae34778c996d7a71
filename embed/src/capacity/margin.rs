//! Margins, and the dimensions that theory asks for them.
//!
//! With `ε = ⟨q, d1 − d2⟩ / (‖q‖ ‖d1 − d2‖) > 0`, a projection to `k` dimensions by random signs inverts the order of `d1`
//! and `d2` with probability at most `4 exp(−(k/2)(ε²/2 − ε³/3))` (Luan et al., lemma 1). The bound is loose: the projected
//! product is nearly normal with mean ε and variance `(1 + ε²) / k`, which asks for a seventh of the dimensions.

/// The normalized margin of a pair from inner products: `ahead = ⟨q, d1 − d2⟩`. 0 if any vector is.
pub fn normalized(ahead: f64, query_norm: f64, difference_norm: f64) -> f64 {
    let norms = query_norm * difference_norm;
    if norms > 0.0 { ahead / norms } else { 0.0 }
}

/// `1 / (ε²/2 − ε³/3)`: the dimensions that margin `ε` in `0..=1` costs, up to a factor. Infinite for 0.
pub fn cost(margin: f64) -> f64 {
    1.0 / (margin.powi(2) / 2.0 - margin.powi(3) / 3.0)
}

/// Dimensions that keep the order of a pair of this margin with probability at least `1 − error` (lemma 1).
pub fn sufficient(margin: f64, error: f64) -> f64 {
    2.0 * cost(margin) * (4.0 / error).ln()
}

/// Dimensions that keep a document among the best `rank` of `documents` with probability at least `1 − error`, where `margin`
/// is the `rank`-th smallest of its margins to the others (lemma 2).
pub fn sufficient_for_recall(margin: f64, error: f64, documents: usize, rank: usize) -> f64 {
    assert!((1..=documents).contains(&rank), "rank {rank} of {documents} documents");
    2.0 * cost(margin) * (4.0 * (documents - rank + 1) as f64 / error).ln()
}

/// The 95th percentile of the normal distribution.
const NORMAL_95: f64 = 1.644_853_626_951;

/// Dimensions at which 95 of 100 projections keep the order of a pair of this margin, by the normal approximation.
pub fn typical_95(margin: f64) -> f64 {
    NORMAL_95.powi(2) * (1.0 + margin.powi(2)) / margin.powi(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::project::Projection;
    use crate::sparse::SparseVector;

    #[test]
    fn the_bounds_are_the_papers() {
        // β = .05: 2 ln 80 = 8.764 times the cost.
        assert!((sufficient(0.1, 0.05) / cost(0.1) - 8.764).abs() < 1e-3);
        assert!((cost(0.1) - 1.0 / (0.005 - 0.001 / 3.0)).abs() < 1e-9);
        assert!(sufficient(0.1, 0.05) < 12.0 * 100.0 * 80.0_f64.ln(), "the looser form of the lemma");
        assert_eq!(sufficient_for_recall(0.1, 0.05, 10, 10), sufficient(0.1, 0.05));
        assert_eq!((normalized(3.0, 0.0, 1.0), normalized(3.0, 6.0, 2.0)), (0.0, 0.25));
    }

    #[test]
    fn projections_keep_the_order_as_often_as_predicted() {
        // q = e0; d1 − d2 has the margin .25: (1, √15) over two dimensions.
        let vector = |ids: &[u32], values: &[f32]| SparseVector::new(ids.to_vec(), values.to_vec()).unwrap();
        let (query, ahead) = (vector(&[0], &[1.0]), vector(&[0, 1], &[1.0, 15_f32.sqrt()]));
        let dim = typical_95(0.25).round() as usize; // 46
        let kept = |seed| {
            let projection = Projection::new(seed, dim);
            let (q, d) = (projection.project(&query), projection.project(&ahead));
            usize::from(q.iter().zip(&d).map(|(a, b)| a * b).sum::<f32>() > 0.0)
        };
        let share = (0..4000).map(kept).sum::<usize>() as f64 / 4000.0;
        assert!((share - 0.95).abs() < 0.02, "{share}"); // five standard errors and the step of whole dimensions
        assert!(share > 1.0 - 4.0 * (-(dim as f64) / 2.0 / cost(0.25)).exp(), "lemma 1");
    }
}
