//! What a transformer does between two matrix products, row by row.
//!
//! Plain loops over slices; `pulp` compiles them for each instruction set and chooses at run time. The scalar functions
//! are free of branches so that they become vector instructions.

use crate::cpu::vectorized;
use pulp::Arch;

/// The lanes that sums and maxima are kept in, so that their order does not depend on the instruction set.
const LANES: usize = 16;

/// erf(x), to 3e-7: a ratio of polynomials on −4..=4, ±1 beyond. The coefficients are Eigen's (`generic_fast_erf`).
#[inline(always)]
fn erf(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let s = x * x;
    let p = (-2.726_142_3e-10_f32).mul_add(s, 2.770_681_4e-8);
    let p = p.mul_add(s, -2.101_024e-6);
    let p = p.mul_add(s, -5.692_506_4e-5);
    let p = p.mul_add(s, -7.349_906_5e-4);
    let p = p.mul_add(s, -2.954_6e-3);
    let p = p.mul_add(s, -1.609_603_3e-2);
    let q = (-1.456_607_2e-5_f32).mul_add(s, -2.133_740_6e-4);
    let q = q.mul_add(s, -1.682_827e-3);
    let q = q.mul_add(s, -7.373_329e-3);
    let q = q.mul_add(s, -1.426_473_9e-2);
    x * p / q
}

/// eˣ for x ≤ 0, to 2e-7 relative; 0 below −87.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Adding 1.5 · 2²³ rounds to a whole number and leaves it in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let clamped = x.max(-87.0);
    let shifted = clamped.mul_add(std::f32::consts::LOG2_E, ROUND);
    let whole = shifted - ROUND;
    let rest = whole.mul_add(-0.693_359_4, clamped);
    let rest = whole.mul_add(2.121_944_4e-4, rest);
    let p = 1.987_569_1e-4_f32.mul_add(rest, 1.398_199_9e-3);
    let p = p.mul_add(rest, 8.333_452e-3);
    let p = p.mul_add(rest, 4.166_579_6e-2);
    let p = p.mul_add(rest, 1.666_666_5e-1);
    let p = p.mul_add(rest, 5e-1);
    let p = p.mul_add(rest * rest, rest + 1.0);
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0_f32.to_bits()));
    if x < -87.0 { 0.0 } else { p * power }
}

/// Takes `values` into as many running results, and these together: `step` for a value, `join` for two results.
#[inline(always)]
fn fold(values: &[f32], start: f32, step: impl Fn(f32, f32) -> f32, join: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [start; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = step(*lane, value);
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(rest) {
        *lane = step(*lane, value);
    }
    lanes.into_iter().fold(start, join)
}

#[inline(always)]
fn sum(values: &[f32]) -> f32 {
    fold(values, 0.0, |a, b| a + b, |a, b| a + b)
}

/// The largest of `values`; −∞ of none.
#[inline(always)]
pub(crate) fn largest(values: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if a > b { a } else { b };
    fold(values, f32::NEG_INFINITY, larger, larger)
}

/// Puts `bias` into each of the rows of `out`.
pub(crate) fn fill(arch: Arch, out: &mut [f32], bias: &[f32]) {
    vectorized(
        arch,
        #[inline(always)]
        || out.chunks_exact_mut(bias.len()).for_each(|row| row.copy_from_slice(bias)),
    );
}

/// `x ← gelu(x + bias)` for each row, with the exact (erf) form.
pub(crate) fn bias_gelu(arch: Arch, x: &mut [f32], bias: &[f32]) {
    vectorized(
        arch,
        #[inline(always)]
        || {
            for row in x.chunks_exact_mut(bias.len()) {
                for (x, &bias) in row.iter_mut().zip(bias) {
                    let value = *x + bias;
                    *x = 0.5 * value * (1.0 + erf(value * std::f32::consts::FRAC_1_SQRT_2));
                }
            }
        },
    );
}

/// Softmax of each row of `width` numbers.
pub(crate) fn softmax(arch: Arch, x: &mut [f32], width: usize) {
    vectorized(
        arch,
        #[inline(always)]
        || {
            for row in x.chunks_exact_mut(width) {
                let largest = largest(row);
                row.iter_mut().for_each(|x| *x = exp(*x - largest));
                let scale = 1.0 / sum(row);
                row.iter_mut().for_each(|x| *x *= scale);
            }
        },
    );
}

/// `best ← max(best, row)` for each row of `x`.
pub(crate) fn max_rows(arch: Arch, x: &[f32], best: &mut [f32]) {
    vectorized(
        arch,
        #[inline(always)]
        || {
            for row in x.chunks_exact(best.len()) {
                best.iter_mut().zip(row).for_each(|(best, &x)| *best = if x > *best { x } else { *best });
            }
        },
    );
}

/// Scales `x` to length 1; a zero vector stays as it is.
pub(crate) fn normalize(x: &mut [f32]) {
    let length = x.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    if length > 0.0 {
        let scale = (1.0 / length) as f32;
        x.iter_mut().for_each(|x| *x *= scale);
    }
}

/// The learnt part of a layer normalisation.
#[derive(Debug, Clone)]
pub(crate) struct LayerNorm {
    pub(crate) weight: Vec<f32>,
    pub(crate) bias: Vec<f32>,
    pub(crate) eps: f32,
}

impl LayerNorm {
    /// `x ← normalise(x + added + bias)` for each row, where `added` is a row per row of `x`.
    pub(crate) fn add(&self, arch: Arch, x: &mut [f32], added: &[f32], bias: &[f32]) {
        vectorized(
            arch,
            #[inline(always)]
            || {
                let dim = self.weight.len();
                for (row, added) in x.chunks_exact_mut(dim).zip(added.chunks_exact(dim)) {
                    for ((x, &added), &bias) in row.iter_mut().zip(added).zip(bias) {
                        *x += added + bias;
                    }
                    self.row(row);
                }
            },
        );
    }

    /// `x ← normalise(x)` for each row.
    pub(crate) fn apply(&self, arch: Arch, x: &mut [f32]) {
        vectorized(
            arch,
            #[inline(always)]
            || x.chunks_exact_mut(self.weight.len()).for_each(|row| self.row(row)),
        );
    }

    #[inline(always)]
    fn row(&self, row: &mut [f32]) {
        let dim = row.len() as f32;
        let mean = sum(row) / dim;
        let squares = fold(row, 0.0, |sum, x| (x - mean).mul_add(x - mean, sum), |a, b| a + b);
        let variance = squares / dim;
        let scale = 1.0 / (variance + self.eps).sqrt();
        for ((x, &weight), &bias) in row.iter_mut().zip(&self.weight).zip(&self.bias) {
            *x = ((*x - mean) * scale).mul_add(weight, bias);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// erf by its Taylor series around 0, in f64: exact to 1e-15 for |x| ≤ 3, where its terms stay small.
    fn series(x: f64) -> f64 {
        let (mut term, mut sum) = (x, x);
        for n in 1..100 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        2.0 / std::f64::consts::PI.sqrt() * sum
    }

    #[test]
    fn erf_and_exp_are_close_over_their_range() {
        for step in -3000..=3000 {
            let x = step as f32 / 1000.0;
            let error = (f64::from(erf(x)) - series(f64::from(x))).abs();
            assert!(error < 4e-7, "erf({x}) is off by {error}");
        }
        assert!((erf(30.0) - 1.0).abs() < 4e-7 && (erf(-30.0) + 1.0).abs() < 4e-7);
        for step in 0..=8700 {
            let x = -(step as f32) / 100.0;
            let exact = f64::from(x).exp();
            let error = (f64::from(exp(x)) - exact).abs() / exact;
            assert!(error < 3e-7, "exp({x}) is off by {error}");
        }
        assert_eq!((exp(0.0), exp(-1000.0), exp(f32::NEG_INFINITY)), (1.0, 0.0, 0.0));
    }

    #[test]
    fn rows_equal_their_definitions() {
        let arch = Arch::new();
        for dim in [1, 2, 15, 16, 17, 33, 384] {
            let values: Vec<f32> = (0..2 * dim).map(|i| ((i * 37) % 101) as f32 / 10.0 - 5.0).collect();
            let mut soft = values.clone();
            softmax(arch, &mut soft, dim);
            let norm = LayerNorm { weight: vec![2.0; dim], bias: vec![0.5; dim], eps: 1e-12 };
            let mut normal = values.clone();
            norm.add(arch, &mut normal, &vec![0.25; 2 * dim], &vec![0.5; dim]);
            let mut gelu = values.clone();
            bias_gelu(arch, &mut gelu, &vec![0.5; dim]);
            for row in 0..2 {
                let own: Vec<f64> = values[row * dim..(row + 1) * dim].iter().map(|&x| f64::from(x)).collect();
                let total: f64 = own.iter().map(|x| x.exp()).sum();
                let mean = own.iter().sum::<f64>() / dim as f64;
                let variance = own.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / dim as f64;
                for (i, x) in own.iter().enumerate() {
                    let at = row * dim + i;
                    assert!((f64::from(soft[at]) - x.exp() / total).abs() < 1e-6);
                    let expected = 2.0 * (x - mean) / (variance + 1e-12).sqrt() + 0.5;
                    assert!((f64::from(normal[at]) - expected).abs() < 1e-5 || dim == 1, "{} {expected}", normal[at]);
                    let shifted = x + 0.5;
                    if shifted.abs() < 4.0 {
                        let expected = 0.5 * shifted * (1.0 + series(shifted / 2_f64.sqrt()));
                        assert!((f64::from(gelu[at]) - expected).abs() < 2e-6, "{} {expected}", gelu[at]);
                    }
                }
            }
        }
    }
}
