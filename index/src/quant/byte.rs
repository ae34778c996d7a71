//! Eight bits per coordinate: a row's own vector as an exact-enough, or exact, code.
//!
//! Whole numbers in 0..=255 are kept as they are ([`Scale::Whole`]). Other vectors are divided by a step of their own, 1/127 of their
//! largest coordinate, and moved up by 128 so that they are unsigned ([`Scale::Own`]). A query is rounded to signed bytes in either case.
//! With `x ≈ s · (u − z)` and `q ≈ t · w + b`, where `u` and `w` are what is stored, distances follow from one integer product:
//!
//! ```text
//! ⟨q, x⟩ = s · t · (Σ u·w − z · Σ w) + b · s · (Σ u − z · dim)
//! ```
//!
//! whose last term depends on the row alone and is stored in it.

use crate::distance::simd::{Simd, whole};
use crate::metric::Metric;

/// How rows are written as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// As they are: `s` = 1, `z` = 0.
    Whole,
    /// In steps of their own: `z` = 128.
    Own,
}

/// What goes with a row's bytes: distance = the query's constant + `add` − the query's weight · `step` · product.
#[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct Terms {
    pub(crate) add: f32,
    pub(crate) step: f32,
}

/// Bytes are compared in blocks of this many.
pub(crate) const BLOCK: usize = 64;

/// The middle of the byte range: where signed bytes are moved to, and what is taken off queries for whole numbers.
const MIDDLE: f32 = 128.0;

impl Scale {
    /// The exact scale if every one of `values` allows it.
    pub(crate) fn of(mut values: impl Iterator<Item = f32>) -> Self {
        if values.all(|value| f32::from(value as u8) == value) { Scale::Whole } else { Scale::Own }
    }

    fn zero(self) -> f32 {
        match self {
            Scale::Whole => 0.0,
            Scale::Own => MIDDLE,
        }
    }

    fn offset(self) -> f32 {
        MIDDLE - self.zero()
    }

    /// Writes `row` as bytes, `out` beyond its dimension as what counts for nothing.
    #[inline(always)]
    pub(crate) fn encode(self, row: &[f32], metric: Metric, out: &mut [u8]) -> Terms {
        let step = match self {
            Scale::Whole => 1.0,
            Scale::Own => (extent(row, 0.0).0 / 127.0).max(f32::MIN_POSITIVE),
        };
        let (inverse, zero) = (1.0 / step, self.zero() as i32);
        out.fill(zero as u8);
        // Of as many dimensions as there may be, the sum of the squares of bytes is below 2^31.
        let (mut square, mut sum) = (0_i32, 0_i32);
        for (&x, out) in row.iter().zip(out) {
            let steps = whole(x * inverse);
            *out = (steps + zero) as u8;
            square += steps * steps;
            sum += steps;
        }
        let step64 = f64::from(step);
        let (square, sum) = (step64 * step64 * f64::from(square), step64 * f64::from(sum));
        let shift = f64::from(self.offset()) * sum;
        let add = match metric {
            Metric::L2 => square - 2.0 * shift,
            // Rows of norm one; a row of zeros is at distance one from everything, as it should be.
            _ => 1.0 - shift,
        };
        Terms { add: add as f32, step }
    }

    /// The vector that bytes stand for.
    pub(crate) fn decode(self, bytes: &[u8], terms: Terms, dim: usize, out: &mut Vec<f32>) {
        out.clear();
        out.extend(bytes[..dim].iter().map(|&byte| (f32::from(byte) - self.zero()) * terms.step));
    }
}

/// The greatest distance of a coordinate from `offset`, and the sum of the coordinates' squares.
#[inline(always)]
fn extent(vector: &[f32], offset: f32) -> (f32, f32) {
    let (mut largest, mut square) = ([0.0_f32; 16], [0.0_f32; 16]);
    let (blocks, rest) = vector.as_chunks::<16>();
    for block in blocks {
        for i in 0..16 {
            largest[i] = largest[i].max((block[i] - offset).abs());
            square[i] += block[i] * block[i];
        }
    }
    let furthest = rest.iter().map(|x| (x - offset).abs());
    let largest = largest.into_iter().chain(furthest).fold(f32::MIN_POSITIVE, f32::max);
    (largest, square.iter().sum::<f32>() + rest.iter().map(|x| x * x).sum::<f32>())
}

/// A query as signed bytes.
#[derive(Debug, Clone, Default)]
pub(crate) struct ByteQuery {
    bytes: Vec<i8>,
    /// `z · Σ w`.
    bias: i32,
    add: f32,
    weight: f32,
    step: f32,
    /// What a product counts in a distance: 2 in a squared one, else 1.
    unit: f32,
    /// `‖q‖²`.
    square: f32,
}

/// Standard deviations that two distances may err by, for the farther to be taken for the nearer.
const DEVIATIONS: f32 = 4.0;

impl ByteQuery {
    /// Makes it that of `query`.
    #[inline(always)]
    pub(crate) fn set(&mut self, query: &[f32], scale: Scale, metric: Metric) {
        let offset = scale.offset();
        let (largest, square) = extent(query, offset);
        // Whole numbers stay as they are, so that distances are exact.
        // No early exit, so that the comparisons are vectorised.
        let is_byte = |&x: &f32| (0.0..=255.0).contains(&x) & (whole(x) as f32 == x);
        let exact = scale == Scale::Whole && query.iter().fold(true, |all, x| all & is_byte(x));
        let step = if exact { 1.0 } else { largest / 127.0 };
        let inverse = 1.0 / step;
        self.bytes.clear();
        self.bytes.extend(query.iter().map(|x| whole((x - offset) * inverse) as i8));
        self.bytes.resize(query.len().next_multiple_of(BLOCK), 0);
        self.bias = scale.zero() as i32 * self.bytes.iter().map(|&byte| i32::from(byte)).sum::<i32>();
        let unit = if metric == Metric::L2 { 2.0 } else { 1.0 };
        self.add = if metric == Metric::L2 { square } else { 0.0 };
        (self.weight, self.step, self.unit, self.square) = (unit * step, step, unit, square);
    }

    /// By how much more than that of a row of such terms, in steps of its own, the distance of another, computed from bytes, must be to
    /// be surely more: rounding errs by step/√12 in each coordinate of row and query, and counts by the length of the other.
    pub(crate) fn margin(&self, terms: Terms) -> f32 {
        // The constant of a row is its squared length in a squared distance; otherwise its length is one.
        let row = if self.unit == 2.0 { terms.add.max(0.0) } else { 1.0 };
        let variance = (terms.step * terms.step * self.square + self.step * self.step * row) / 12.0;
        DEVIATIONS * self.unit * variance.sqrt()
    }

    /// The distance to a row.
    #[inline(always)]
    pub(crate) fn distance<S: Simd>(&self, simd: S, bytes: &[u8], terms: Terms) -> f32 {
        let product = simd.product(&bytes[..self.bytes.len()], &self.bytes) - self.bias;
        self.add + terms.add - self.weight * terms.step * product as f32
    }
}
