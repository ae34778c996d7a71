//! Principal components: the directions in which vectors differ most.

use crate::bert::gemm::{View, multiply};

/// Orthonormal directions, `[hidden × dim]`, the one of the largest variance first.
pub(crate) struct Components {
    columns: Vec<f32>,
    hidden: usize,
    dim: usize,
}

impl Components {
    /// `rows: [n × hidden]` to `[n × dim]`.
    pub(crate) fn project(&self, rows: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; rows.len() / self.hidden * self.dim];
        multiply(View::rows(rows, self.hidden), View::rows(&self.columns, self.dim), &mut out, self.dim, false);
        out
    }
}

/// The first `dim` components of `rows: [n × hidden]`, which are centred.
pub(crate) fn components(rows: &[f32], hidden: usize, dim: usize) -> Components {
    let mut products = vec![0.0; hidden * hidden];
    multiply(View::rows(rows, hidden).transposed(), View::rows(rows, hidden), &mut products, hidden, false);
    let mut matrix: Vec<f64> = products.iter().map(|&x| f64::from(x)).collect();
    let vectors = eigenvectors(&mut matrix, hidden);
    let mut order: Vec<usize> = (0..hidden).collect();
    order.sort_by(|&a, &b| matrix[b * hidden + b].total_cmp(&matrix[a * hidden + a]));
    let mut columns = Vec::with_capacity(hidden * dim);
    for row in 0..hidden {
        columns.extend(order[..dim].iter().map(|&component| vectors[component * hidden + row] as f32));
    }
    Components { columns, hidden, dim }
}

/// Jacobi's method for a symmetric `n × n` matrix: leaves the eigenvalues on its diagonal, and gives the eigenvectors as rows.
fn eigenvectors(matrix: &mut [f64], n: usize) -> Vec<f64> {
    let mut vectors = vec![0.0; n * n];
    (0..n).for_each(|i| vectors[i * n + i] = 1.0);
    for _sweep in 0..30 {
        let diagonal: f64 = (0..n).map(|i| matrix[i * n + i].powi(2)).sum();
        let all: f64 = matrix.iter().map(|x| x * x).sum();
        if all - diagonal <= 1e-18 * all {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                let off = matrix[p * n + q];
                if off == 0.0 {
                    continue;
                }
                let theta = (matrix[q * n + q] - matrix[p * n + p]) / (2.0 * off);
                let tangent = theta.signum() / (theta.abs() + theta.hypot(1.0));
                let cosine = 1.0 / tangent.hypot(1.0);
                let turn = (cosine, tangent * cosine);
                rotate_rows(matrix, n, p, q, turn);
                for row in matrix.chunks_exact_mut(n) {
                    (row[p], row[q]) = rotated(row[p], row[q], turn);
                }
                rotate_rows(&mut vectors, n, p, q, turn);
            }
        }
    }
    vectors
}

fn rotate_rows(matrix: &mut [f64], n: usize, p: usize, q: usize, turn: (f64, f64)) {
    let (above, below) = matrix.split_at_mut(q * n);
    for (x, y) in above[p * n..(p + 1) * n].iter_mut().zip(&mut below[..n]) {
        (*x, *y) = rotated(*x, *y, turn);
    }
}

fn rotated(x: f64, y: f64, (cosine, sine): (f64, f64)) -> (f64, f64) {
    (cosine * x - sine * y, sine * x + cosine * y)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_orthonormal_and_hold_the_variance() {
        // Two strong directions and a weak one, turned.
        let turned: Vec<f32> = (0..300_u32)
            .flat_map(|i| {
                let at = |step: u32| ((i * step) % 101) as f32 / 50.0 - 1.0;
                let (a, b, c) = (9.0 * at(37), 3.0 * at(53), 0.1 * at(71));
                [0.6 * a - 0.8 * b, 0.8 * a + 0.6 * b, c]
            })
            .collect();
        let mut centred = turned;
        super::super::subtract_mean(&mut centred, 3);
        let basis = components(&centred, 3, 3);
        for i in 0..3 {
            for j in 0..3 {
                let dot: f32 = (0..3).map(|row| basis.columns[row * 3 + i] * basis.columns[row * 3 + j]).sum();
                assert!((dot - f32::from(u8::from(i == j))).abs() < 1e-5, "{i} {j}: {dot}");
            }
        }
        let projected = basis.project(&centred);
        let variance = |column: usize| projected.chunks_exact(3).map(|row| row[column].powi(2)).sum::<f32>();
        assert!(variance(0) > 5.0 * variance(1) && variance(1) > 100.0 * variance(2));
        let products: f32 = projected.chunks_exact(3).map(|row| row[0] * row[1]).sum();
        assert!(products.abs() < 1e-3 * variance(1), "components are uncorrelated: {products}");
    }
}
