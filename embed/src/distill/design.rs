//! The regression of a table onto the teacher's vectors: a sparse matrix of counts, and conjugate gradients on it.

use super::DistillParams;
use crate::cpu::{Level, vectorized};
use rayon::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Dimensions fitted at once: each is a problem of its own, and so many share the reading of the counts.
const WIDTH: usize = 32;

/// So many dimensions of one row.
type Lane = [f32; WIDTH];

/// For each text its tokens' numbers, scaled; compressed by rows.
pub(super) struct Design {
    starts: Vec<usize>,
    entries: Vec<(u32, f32)>,
    /// The sum of squares of each token's entries, which the conjugate gradients are scaled with.
    squares: Vec<f32>,
}

impl Design {
    /// Scales each text's counts so that its vector under `prior: [tokens × dim]` has length 1. Texts whose vector is zero
    /// stay out of it.
    pub(super) fn new(counts: &[Vec<(u32, f32)>], prior: &[f32], dim: usize) -> Self {
        let (mut starts, mut entries) = (vec![0], Vec::new());
        let mut squares = vec![0.0; prior.len() / dim];
        for text in counts {
            let mut sum = vec![0.0; dim];
            for &(token, count) in text {
                let row = &prior[token as usize * dim..(token as usize + 1) * dim];
                sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += count * x);
            }
            let length = sum.iter().map(|x| x * x).sum::<f32>().sqrt();
            if length > 0.0 {
                entries.extend(text.iter().map(|&(token, count)| (token, count / length)));
            }
            starts.push(entries.len());
        }
        entries.iter().for_each(|&(token, value)| squares[token as usize] += value * value);
        Design { starts, entries, squares }
    }

    /// The table nearest to `target: [texts × dim]`, starting from and held to `prior: [tokens × dim]`.
    pub(super) fn fit(
        &self,
        prior: &[f32],
        target: &[f32],
        params: DistillParams,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Vec<f32> {
        let dim = params.dim;
        let (groups, done) = (dim.div_ceil(WIDTH), AtomicUsize::new(0));
        let solve = |group: usize| {
            let (prior, target) = (lanes(prior, dim, group), lanes(target, dim, group));
            let change = self.solve(&prior, &target, params);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, groups);
            change
        };
        let changes: Vec<Vec<Lane>> = (0..groups).into_par_iter().map(solve).collect();
        let mut table = prior.to_vec();
        for (token, row) in table.chunks_exact_mut(dim).enumerate() {
            for (part, change) in row.chunks_mut(WIDTH).zip(&changes) {
                part.iter_mut().zip(&change[token]).for_each(|(x, change)| *x += change);
            }
        }
        table
    }

    /// Preconditioned conjugate gradients for `(AᵀA + ridge) x = Aᵀ (target − A prior)`, every dimension by itself.
    fn solve(
        &self,
        prior: &[Lane],
        target: &[Lane],
        DistillParams { ridge, iterations, .. }: DistillParams,
    ) -> Vec<Lane> {
        let arch = Level::detect().arch();
        let scale: Vec<f32> = self.squares.iter().map(|square| 1.0 / (square + ridge)).collect();
        let mut x = vec![[0.0; WIDTH]; prior.len()];
        let mut residual = vec![[0.0; WIDTH]; prior.len()];
        vectorized(
            arch,
            #[inline(always)]
            || self.sweep(prior, Some(target), &mut residual),
        );
        let mut direction: Vec<Lane> = residual.iter().zip(&scale).map(|(r, s)| r.map(|r| r * s)).collect();
        let mut before = dot(&residual, &direction);
        let mut image = vec![[0.0; WIDTH]; prior.len()];
        for _ in 0..iterations {
            vectorized(
                arch,
                #[inline(always)]
                || {
                    image.iter_mut().zip(&direction).for_each(|(image, d)| *image = d.map(|d| ridge * d));
                    self.sweep(&direction, None, &mut image);
                },
            );
            let curvature = dot(&direction, &image);
            let step: [f64; WIDTH] = std::array::from_fn(|i| ratio(before[i], curvature[i]));
            for ((x, r), (d, image)) in x.iter_mut().zip(&mut residual).zip(direction.iter().zip(&image)) {
                for i in 0..WIDTH {
                    x[i] += step[i] as f32 * d[i];
                    r[i] -= step[i] as f32 * image[i];
                }
            }
            let scaled: Vec<Lane> = residual.iter().zip(&scale).map(|(r, s)| r.map(|r| r * s)).collect();
            let after = dot(&residual, &scaled);
            for (d, scaled) in direction.iter_mut().zip(&scaled) {
                for i in 0..WIDTH {
                    d[i] = scaled[i] + ratio(after[i], before[i]) as f32 * d[i];
                }
            }
            before = after;
        }
        x
    }

    /// `out += Aᵀ (A x)`, or `out += Aᵀ (target − A x)`.
    #[inline(always)]
    fn sweep(&self, x: &[Lane], target: Option<&[Lane]>, out: &mut [Lane]) {
        for (text, ends) in self.starts.windows(2).enumerate() {
            let entries = &self.entries[ends[0]..ends[1]];
            let mut sum = [0.0; WIDTH];
            for &(token, value) in entries {
                let row = &x[token as usize];
                (0..WIDTH).for_each(|i| sum[i] = value.mul_add(row[i], sum[i]));
            }
            if let Some(target) = target {
                (0..WIDTH).for_each(|i| sum[i] = target[text][i] - sum[i]);
            }
            for &(token, value) in entries {
                let row = &mut out[token as usize];
                (0..WIDTH).for_each(|i| row[i] = value.mul_add(sum[i], row[i]));
            }
        }
    }
}

/// The dimensions of one group of each row of `dim`, filled up with zeros.
fn lanes(rows: &[f32], dim: usize, group: usize) -> Vec<Lane> {
    let part = |row: &[f32]| {
        let row = &row[group * WIDTH..dim.min((group + 1) * WIDTH)];
        let mut lane = [0.0; WIDTH];
        lane[..row.len()].copy_from_slice(row);
        lane
    };
    rows.chunks_exact(dim).map(part).collect()
}

fn dot(a: &[Lane], b: &[Lane]) -> [f64; WIDTH] {
    let mut sum = [0.0; WIDTH];
    for (a, b) in a.iter().zip(b) {
        (0..WIDTH).for_each(|i| sum[i] += f64::from(a[i]) * f64::from(b[i]));
    }
    sum
}

/// A quotient of numbers that reach 0 together.
fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The gradient of `‖A T − Y‖² + ridge · ‖T − T₀‖²` vanishes at the solution.
    #[test]
    fn the_fit_is_a_minimum() {
        let (tokens, texts, dim) = (40, 90, 35);
        let number = |i: usize| ((i * 7919 + 13) % 1009) as f32 / 500.0 - 1.0;
        let prior: Vec<f32> = (0..tokens * dim).map(number).collect();
        let target: Vec<f32> = (0..texts * dim).map(|i| number(3 * i + 1)).collect();
        let counts: Vec<Vec<(u32, f32)>> = (0..texts)
            .map(|text| {
                (0..tokens as u32 - 1)
                    .filter(|token| (text as u32 * 31 + token * 17) % 9 < 2)
                    .map(|t| (t, 1.0))
                    .collect()
            })
            .collect();
        let params = DistillParams { dim, ridge: 0.1, iterations: 100 };
        let design = Design::new(&counts, &prior, dim);
        let table = design.fit(&prior, &target, params, &|_, _| ());
        let last = (tokens - 1) * dim;
        assert_eq!(table[last..], prior[last..], "a token that no text has keeps its prior");
        let mut gradient: Vec<f64> =
            table.iter().zip(&prior).map(|(t, p)| f64::from(params.ridge) * f64::from(t - p)).collect();
        for text in 0..texts {
            let entries = &design.entries[design.starts[text]..design.starts[text + 1]];
            for d in 0..dim {
                let sum: f64 = entries.iter().map(|&(t, v)| f64::from(v * table[t as usize * dim + d])).sum();
                let off = sum - f64::from(target[text * dim + d]);
                entries.iter().for_each(|&(t, v)| gradient[t as usize * dim + d] += f64::from(v) * off);
            }
        }
        let largest = gradient.iter().fold(0.0_f64, |largest, g| largest.max(g.abs()));
        assert!(largest < 1e-3, "{largest}");
    }
}
