//! A random rotation in O(d log d): after it, a vector's mass is spread evenly over its coordinates, so that one bit of each tells
//! about as much as it can.
//!
//! The fast Hadamard transform with random signs (HD rounds, as in RaBitQ, arXiv:2405.12497) needs a power of two. Other dimensions are
//! padded to a multiple of 32 only: rounds transform the first and the last 2^p coordinates in turn, with a butterfly between the halves
//! of the whole (Kac's walk) after each. Every step is orthogonal, so norms and products stay what they are.

use std::ops::Range;

use crate::distance::hadamard::{LEAST as LEAST_WINDOW, butterfly, transform};
use crate::distance::simd::Simd;

/// A rotation of vectors of a given dimension, drawn from a seed.
#[derive(Debug, Clone)]
pub(crate) struct Rotation {
    dim: usize,
    padded: usize,
    /// Signs of each round, `[ROUNDS × padded]`: 1 or −1; the first round's carry the scale of all.
    signs: Vec<f32>,
}

const ROUNDS: usize = 4;

/// Shorter vectors are rotated into so many dimensions: a code of few bits errs by 0.755/√bits of the distance, and the longer one
/// saves more hops than its bytes cost.
const LEAST: usize = 128;
const _: () = assert!(LEAST >= LEAST_WINDOW, "every window is long enough to be transformed");

impl Rotation {
    /// Dimension after rotation: a multiple of 32, so that codes fill whole registers, and at least [`LEAST`].
    pub(crate) const fn padded(dim: usize) -> usize {
        if dim < LEAST { LEAST } else { dim.next_multiple_of(32) }
    }

    pub(crate) fn new(dim: usize, seed: u64) -> Self {
        let padded = Self::padded(dim);
        let window = window(padded);
        // Each transform lengthens a vector by √window, each butterfly by √2.
        let butterflies = if window == padded { 1.0 } else { 2.0_f64 };
        let scale = (window as f64 * butterflies).sqrt().powi(-(ROUNDS as i32));
        let mut state = seed;
        let signs = (0..ROUNDS * padded)
            .map(|i| {
                let sign = if splitmix(&mut state) >> 63 == 0 { 1.0 } else { -1.0 };
                // Coordinates outside the window of a round are not lengthened by its transform; see `rotate`.
                if i < padded { (sign * scale) as f32 } else { sign as f32 }
            })
            .collect();
        Rotation { dim, padded, signs }
    }

    /// Dimension of what comes out.
    pub(crate) fn out_dim(&self) -> usize {
        self.padded
    }

    /// `out` = the rotation of `vector`. Panics unless it is as long as the dimension.
    #[inline(always)]
    pub(crate) fn rotate<S: Simd>(&self, simd: S, vector: impl ExactSizeIterator<Item = f32>, out: &mut Vec<f32>) {
        assert_eq!(vector.len(), self.dim, "coordinates");
        out.clear();
        out.extend(vector);
        out.resize(self.padded, 0.0);
        rotate(simd, out, &self.signs);
    }

    /// Undoes [`rotate`](Rotation::rotate), in place. Panics unless `vector` is as long as what comes out of that.
    pub(crate) fn back(&self, vector: &mut Vec<f32>) {
        assert_eq!(vector.len(), self.padded, "coordinates");
        let window = window(self.padded);
        // Every step is symmetric and the whole is orthogonal: the steps in reverse order are its inverse.
        for (round, signs) in self.signs.chunks_exact(self.padded).enumerate().rev() {
            if window == self.padded {
                transform(vector);
            } else {
                butterfly(vector);
                let (outside, inside) = parts(round, self.padded, window);
                transform(&mut vector[inside]);
                vector[outside].iter_mut().for_each(|x| *x *= (window as f32).sqrt());
            }
            vector.iter_mut().zip(signs).for_each(|(x, sign)| *x *= sign);
        }
        vector.truncate(self.dim);
    }
}

/// The largest power of two that fits.
#[inline(always)]
fn window(padded: usize) -> usize {
    1 << padded.ilog2()
}

#[inline(always)]
fn rotate<S: Simd>(simd: S, x: &mut [f32], signs: &[f32]) {
    let (len, window) = (x.len(), window(x.len()));
    for (round, signs) in signs.chunks_exact(len).enumerate() {
        if window == len {
            simd.hadamard(x, signs);
            continue;
        }
        // What lies outside the window keeps its length, so it is lengthened as the transform lengthens the rest.
        let stretch = (window as f32).sqrt();
        let (outside, inside) = parts(round, len, window);
        x[outside.clone()].iter_mut().zip(&signs[outside]).for_each(|(x, sign)| *x = *x * sign * stretch);
        simd.hadamard(&mut x[inside.clone()], &signs[inside]);
        butterfly(x);
    }
}

/// What lies outside and inside the window of a round.
#[inline(always)]
fn parts(round: usize, len: usize, window: usize) -> (Range<usize>, Range<usize>) {
    if round.is_multiple_of(2) { (window..len, 0..window) } else { (0..len - window, len - window..len) }
}

/// Sebastiano Vigna's SplitMix64: the next of a sequence of well-mixed numbers.
fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distance::fastscan::scalar::Scalar;

    #[test]
    fn norms_and_products_stay() {
        for dim in [1, 7, 32, 50, 64, 96, 100, 128, 384, 784, 1000, 1536] {
            let rotation = Rotation::new(dim, 7);
            let mut state = dim as u64;
            let mut draw = || (0..dim).map(|_| splitmix(&mut state) as f32 / u64::MAX as f32 - 0.3).collect::<Vec<_>>();
            let (a, b) = (draw(), draw());
            let (mut ra, mut rb) = (Vec::new(), Vec::new());
            rotation.rotate(Scalar, a.iter().copied(), &mut ra);
            rotation.rotate(Scalar, b.iter().copied(), &mut rb);
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
            for (x, y, rx, ry) in [(&a, &a, &ra, &ra), (&a, &b, &ra, &rb)] {
                let (before, after) = (dot(x, y), dot(rx, ry));
                assert!(
                    (before - after).abs() <= 1e-4 * dot(&a, &a).max(dot(&b, &b)),
                    "{dim}: {before} became {after}"
                );
            }
        }
    }

    #[test]
    fn the_way_back_leads_where_it_began() {
        for dim in [1, 32, 50, 128, 200, 384, 784] {
            let (rotation, mut state) = (Rotation::new(dim, 5), 3);
            let vector: Vec<f32> = (0..dim).map(|_| splitmix(&mut state) as f32 / u64::MAX as f32 - 0.4).collect();
            let mut out = Vec::new();
            rotation.rotate(Scalar, vector.iter().copied(), &mut out);
            rotation.back(&mut out);
            assert!(out.len() == dim && vector.iter().zip(&out).all(|(a, b)| (a - b).abs() < 1e-5), "{dim}");
        }
    }

    /// A single coordinate is spread over all: the largest after rotation is within what a random direction would have.
    #[test]
    fn mass_is_spread() {
        for dim in [64, 96, 384, 784, 1536] {
            let (rotation, mut out) = (Rotation::new(dim, 3), Vec::new());
            for axis in [0, dim / 3, dim - 1] {
                rotation.rotate(Scalar, (0..dim).map(|i| if i == axis { 1.0 } else { 0.0 }), &mut out);
                let largest = out.iter().fold(0.0_f32, |max, x| max.max(x.abs()));
                assert!(largest < 6.0 / (out.len() as f32).sqrt(), "{dim} axis {axis}: {largest}");
            }
        }
    }
}
