//! Sparse vectors to dense ones by random signs, which keeps inner products on average.
//!
//! Achlioptas, "Database-friendly random projections" (2003). The matrix is not stored: its 64 signs for a term and a block of
//! dimensions are one hash. So the first k dimensions of a projection are a projection to k dimensions, and one pass serves
//! every k.

use crate::random::mix;
use crate::sparse::SparseVector;

/// Random signs for every term and dimension.
#[derive(Debug, Clone, Copy)]
pub struct Projection {
    seed: u64,
    dim: usize,
}

impl Projection {
    /// To `dim` dimensions, with the signs of `seed`.
    pub fn new(seed: u64, dim: usize) -> Self {
        Projection { seed: mix(seed), dim }
    }

    /// Dimensions of a projected vector.
    pub fn dim(self) -> usize {
        self.dim
    }

    /// The sum of the vector's values times their signs. Products of two such vectors over their first k dimensions, divided
    /// by k, have the sparse vectors' product as mean.
    pub fn project(self, vector: &SparseVector) -> Vec<f32> {
        let mut dense = vec![0.0; self.dim];
        for (term, value) in vector.iter() {
            let row = mix(self.seed ^ u64::from(term));
            for (block, sums) in (0_u64..).zip(dense.chunks_mut(64)) {
                let signs = mix(row.wrapping_add(block.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
                for (bit, sum) in (0_u32..).zip(sums) {
                    *sum += f32::from_bits(value.to_bits() ^ ((signs >> bit) as u32 & 1) << 31);
                }
            }
        }
        dense
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_kept_on_average_and_prefixes_are_projections() {
        let left = SparseVector::new(vec![1, 5, 9], vec![1.0, 2.0, -1.0]).unwrap();
        let right = SparseVector::new(vec![5, 9, 1000], vec![0.5, 1.5, 3.0]).unwrap();
        let exact = f64::from(left.dot(&right));
        let (mut sum, mut squares) = (0.0, 0.0);
        for seed in 0..3000 {
            let (long, short) = (Projection::new(seed, 130), Projection::new(seed, 70));
            let (a, b) = (long.project(&left), long.project(&right));
            assert_eq!(a[..70], short.project(&left));
            let product = a.iter().zip(&b).map(|(a, b)| f64::from(a * b)).sum::<f64>() / 130.0;
            sum += product;
            squares += (product - exact).powi(2);
        }
        let norms = f64::from(left.dot(&left) * right.dot(&right));
        let error = (squares / 3000.0 / 3000.0).sqrt();
        assert!((sum / 3000.0 - exact).abs() < 4.0 * error, "{} ± {error}, not {exact}", sum / 3000.0);
        // The variance of a random-sign projection is at most (‖a‖²‖b‖² + ⟨a, b⟩²) / k.
        assert!(squares / 3000.0 < 1.1 * (norms + exact * exact) / 130.0);
    }
}
