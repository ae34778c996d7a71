//! Softmax over the best scores, and what the scores left out could have added.

/// Weights over kept scores, and what they say about those dropped.
#[derive(Debug, Clone, PartialEq)]
pub struct Softmax {
    /// `exp(β·score)` over their sum; they add up to 1. In the order of the scores.
    pub weights: Vec<f32>,
    /// `ln Σ exp(β·score)` over the kept scores.
    pub log_sum_exp: f64,
    /// Entropy of the weights in nats: 0 for one winner, `ln k` for k equal ones.
    pub entropy: f64,
    /// At most this part of the softmax over everything lies on what was dropped, δ; 0 if nothing was. A blend over everything
    /// differs from the blend over what was kept by at most 2δ times the length of the longest value.
    pub dropped: f64,
}

impl Softmax {
    /// The softmax of the best `scores`, falling, of `total` in all, with inverse temperature `beta`. Each dropped score is at
    /// most the last kept one, which bounds their mass. Scores are finite, and there is at least one.
    pub fn of_best(scores: &[f32], beta: f64, total: usize) -> Softmax {
        let scaled = |score: f32| beta * f64::from(score);
        let best = scores.iter().copied().map(scaled).fold(f64::NEG_INFINITY, f64::max);
        let masses: Vec<f64> = scores.iter().map(|&score| (scaled(score) - best).exp()).collect();
        let sum: f64 = masses.iter().sum();
        let last = masses.iter().copied().fold(f64::INFINITY, f64::min);
        let rest = total.saturating_sub(scores.len()) as f64 * last;
        // −Σ p ln p with ln p = scaled − best − ln sum.
        let mean: f64 = scores.iter().zip(&masses).map(|(&score, mass)| mass / sum * (scaled(score) - best)).sum();
        Softmax {
            weights: masses.iter().map(|mass| (mass / sum) as f32).collect(),
            log_sum_exp: best + sum.ln(),
            entropy: (sum.ln() - mean).max(0.0),
            dropped: rest / (sum + rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn equals_the_definition_and_bounds_what_is_dropped() {
        let mut random = Random::new(31);
        for beta in [0.1, 1.0, 30.0] {
            let mut scores: Vec<f32> = (0..100).map(|_| random.normal() as f32).collect();
            scores.sort_by(|a, b| b.total_cmp(a));
            let all = Softmax::of_best(&scores, beta, 100);
            let sum: f64 = scores.iter().map(|&score| (beta * f64::from(score)).exp()).sum();
            assert!((all.log_sum_exp - sum.ln()).abs() < 1e-9 && all.dropped == 0.0);
            let entropy: f64 = scores.iter().map(|&s| (beta * f64::from(s)).exp() / sum).map(|p| -p * p.ln()).sum();
            assert!((all.entropy - entropy).abs() < 1e-9);
            for kept in [1, 7, 50] {
                let some = Softmax::of_best(&scores[..kept], beta, 100);
                let dropped = 1.0 - (some.log_sum_exp - all.log_sum_exp).exp();
                assert!(dropped <= some.dropped + 1e-12, "{dropped} over the bound {}", some.dropped);
                assert!((some.weights.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn large_scores_do_not_overflow() {
        let softmax = Softmax::of_best(&[3e30, 3e30, -3e30], 50.0, 3);
        assert_eq!(softmax.weights, [0.5, 0.5, 0.0]);
        assert!((softmax.entropy - 2.0_f64.ln()).abs() < 1e-12);
    }
}
