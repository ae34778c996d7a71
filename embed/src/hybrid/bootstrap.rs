//! Whether one ranking is better than another, or was lucky with its queries: the paired bootstrap.
//!
//! Sakai, "Evaluating evaluation metrics based on the bootstrap" (2006): queries are drawn anew, with replacement, and the
//! mean difference of the two systems over the same draw is noted; its middle 95 % are the interval.

use crate::evaluate::{Judgments, Run, measure};
use crate::random::Random;
use serde::Serialize;

/// A mean difference in nDCG@10 and the interval that holds it in 95 of 100 draws.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    /// Mean over the judged queries.
    pub mean: f64,
    /// 2.5th percentile of the draws' means.
    pub low: f64,
    /// 97.5th percentile.
    pub high: f64,
}

/// Draws of the bootstrap.
const DRAWS: usize = 2000;

/// nDCG@10 of every judged query, in the order of the judgments.
pub fn per_query(judgments: &Judgments, run: &Run) -> Vec<f64> {
    let single = |(query, judged): (&String, &_)| Judgments::from([(String::clone(query), Clone::clone(judged))]);
    judgments.iter().map(|entry| measure(&single(entry), run).ndcg_at_10).collect()
}

/// How much better `left` is than `right`, query by query. Both hold a number for the same queries in the same order.
pub fn difference(left: &[f64], right: &[f64], seed: u64) -> Difference {
    assert!(left.len() == right.len() && !left.is_empty(), "two measures of the same queries, at least one");
    let gains: Vec<f64> = left.iter().zip(right).map(|(a, b)| a - b).collect();
    let mean = |sum: f64| sum / gains.len() as f64;
    let mut random = Random::new(seed);
    let draw = |_| mean((0..gains.len()).map(|_| gains[random.below(gains.len())]).sum());
    let mut means: Vec<f64> = (0..DRAWS).map(draw).collect();
    means.sort_unstable_by(f64::total_cmp);
    Difference { mean: mean(gains.iter().sum()), low: means[DRAWS / 40], high: means[DRAWS - 1 - DRAWS / 40] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_that_of_the_normal_approximation() {
        let seed = 5;
        let mut random = Random::new(seed);
        let left: Vec<f64> = (0..400).map(|_| 0.5 + random.normal()).collect();
        let right = vec![0.25; 400];
        let found = difference(&left, &right, seed);
        // The standard error of the mean of 400 is 1/20; 1.96 of them to either side.
        assert!((found.high - found.low - 2.0 * 1.96 / 20.0).abs() < 0.03, "seed {seed}: {found:?}");
        assert!(found.low < found.mean && found.mean < found.high, "seed {seed}: {found:?}");
        let none = difference(&left, &left, seed);
        assert_eq!((none.mean, none.low, none.high), (0.0, 0.0, 0.0));
    }
}
