//! Training what lies on top of frozen vectors: losses, heads, and steps, with gradients of our own.
//!
//! A text's vector is computed once ([`frozen`](crate::frozen)); a [`head`] maps it to another, and only the head learns. That
//! takes seconds on one core where training the encoder takes hours. Losses are [`contrastive`] (in-batch and hard
//! negatives, in tiles whose memory is linear in the batch), its [`prefix`]es, and [`distill`]ation from a teacher's scores.
//! Every gradient is compared with finite differences in the tests.

pub mod adapted;
pub mod cached;
pub mod contrastive;
pub mod distill;
pub mod fit;
pub mod head;
pub mod negatives;
pub mod optimizer;
pub mod prefix;
pub mod tiled;
pub mod unit;

/// A loss and its gradients by both sides' rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Gradients {
    /// The loss.
    pub loss: f64,
    /// By the queries. `[queries × dim]`, row-major.
    pub queries: Vec<f32>,
    /// By the documents. `[documents × dim]`, row-major.
    pub documents: Vec<f32>,
}

#[cfg(test)]
pub(crate) mod check {
    use crate::random::Random;

    /// `count` normal numbers.
    pub(crate) fn normal(random: &mut Random, count: usize) -> Vec<f32> {
        (0..count).map(|_| random.normal() as f32).collect()
    }

    /// Compares `gradient` with central differences of `loss` around `at`, number by number.
    pub(crate) fn gradient(at: &[f32], gradient: &[f32], tolerance: f64, mut loss: impl FnMut(&[f32]) -> f64) {
        assert_eq!(at.len(), gradient.len());
        let step = 1e-2_f32;
        let mut moved = at.to_vec();
        for (i, &found) in gradient.iter().enumerate() {
            let mut around = |by: f32| {
                moved[i] = at[i] + by;
                let found = loss(&moved);
                moved[i] = at[i];
                found
            };
            // Fourth order, so that a step large beside f32's noise still has a small error.
            let (near, far) = (around(step) - around(-step), around(2.0 * step) - around(-2.0 * step));
            let expected = (8.0 * near - far) / (12.0 * f64::from(step));
            let error = (expected - f64::from(found)).abs();
            assert!(error <= tolerance * (1.0 + expected.abs()), "number {i}: {found}, by differences {expected}");
        }
    }
}
