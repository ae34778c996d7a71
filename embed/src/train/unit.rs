//! Rows scaled to length 1, and what that does to gradients.

/// Rows of length 1 and the lengths they had. Rows of zeros stay.
#[derive(Debug, Clone, PartialEq)]
pub struct Unit {
    /// `[rows × dim]`, row-major.
    pub rows: Vec<f32>,
    norms: Vec<f32>,
}

impl Unit {
    /// Scales `rows: [rows × dim]`.
    pub fn new(mut rows: Vec<f32>, dim: usize) -> Unit {
        let scale = |row: &mut [f32]| {
            let norm = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt() as f32;
            if norm > 0.0 {
                row.iter_mut().for_each(|x| *x /= norm);
            }
            norm
        };
        let norms = rows.chunks_exact_mut(dim).map(scale).collect();
        Unit { rows, norms }
    }

    /// The gradient by what was scaled from that by the scaled rows: without its part along the row, over the length.
    pub fn backward(&self, mut gradient: Vec<f32>) -> Vec<f32> {
        let dim = self.rows.len() / self.norms.len().max(1);
        let rows = self.rows.chunks_exact(dim.max(1)).zip(&self.norms);
        for (slope, (row, &norm)) in gradient.chunks_exact_mut(dim.max(1)).zip(rows) {
            let along: f32 = slope.iter().zip(row).map(|(a, b)| a * b).sum();
            let inverse = if norm > 0.0 { 1.0 / norm } else { 0.0 };
            slope.iter_mut().zip(row).for_each(|(slope, x)| *slope = (*slope - along * x) * inverse);
        }
        gradient
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;
    use crate::random::Random;

    #[test]
    fn gradients_match_differences() {
        let mut random = Random::new(51);
        let (rows, weights) = (check::normal(&mut random, 12), check::normal(&mut random, 12));
        let loss = |rows: &[f32]| {
            rows.chunks(4)
                .zip(weights.chunks(4))
                .map(|(row, weights)| {
                    let norm = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
                    row.iter().zip(weights).map(|(&x, &w)| f64::from(x) * f64::from(w)).sum::<f64>() / norm
                })
                .sum::<f64>()
        };
        let unit = Unit::new(rows.clone(), 4);
        check::gradient(&rows, &unit.backward(weights.clone()), 1e-4, loss);
        assert_eq!(Unit::new(vec![0.0; 4], 4).backward(vec![1.0; 4]), [0.0; 4]);
        assert!(Unit::new(Vec::new(), 4).backward(Vec::new()).is_empty());
    }
}
