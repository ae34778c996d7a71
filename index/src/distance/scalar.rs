//! The truth: every distance as a plain loop. Faster kernels are compared with these, and a CPU without any runs them.
//!
//! Sums are kept in `f64` and rounded once at the end. For integers that is exact: 2^53 / 255² is more than 10^11 coordinates.

use bytemuck::Pod;
use half::f16;

use crate::metric::Metric;

use super::bits::Bits8;
use super::view::{Functions, RowsView};

/// A coordinate that a sum can take in.
pub(super) trait Number: Pod {
    fn wide(self) -> f64;
}

impl Number for f32 {
    fn wide(self) -> f64 {
        self.into()
    }
}

impl Number for f16 {
    fn wide(self) -> f64 {
        self.into()
    }
}

impl Number for u8 {
    fn wide(self) -> f64 {
        self.into()
    }
}

impl Number for i8 {
    fn wide(self) -> f64 {
        self.into()
    }
}

/// One distance, as a type so that the loops over rows can be made for it.
trait Pair<T: Pod> {
    fn distance(a: &[T], b: &[T]) -> f32;
}

struct L2;
struct Dot;
struct UnitCosine;
struct Cosine;
struct L1;
struct Hamming;

fn sum<T: Number>(a: &[T], b: &[T], term: impl Fn(f64, f64) -> f64) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| term(a.wide(), b.wide())).sum()
}

impl<T: Number> Pair<T> for L2 {
    fn distance(a: &[T], b: &[T]) -> f32 {
        sum(a, b, |a, b| (a - b) * (a - b)) as f32
    }
}

impl<T: Number> Pair<T> for Dot {
    fn distance(a: &[T], b: &[T]) -> f32 {
        -sum(a, b, |a, b| a * b) as f32
    }
}

impl<T: Number> Pair<T> for UnitCosine {
    fn distance(a: &[T], b: &[T]) -> f32 {
        (1.0 - sum(a, b, |a, b| a * b)) as f32
    }
}

impl<T: Number> Pair<T> for Cosine {
    fn distance(a: &[T], b: &[T]) -> f32 {
        let dot = |a, b| sum(a, b, |a, b| a * b);
        cosine(dot(a, b), dot(a, a), dot(b, b))
    }
}

impl<T: Number> Pair<T> for L1 {
    fn distance(a: &[T], b: &[T]) -> f32 {
        sum(a, b, |a, b| (a - b).abs()) as f32
    }
}

impl Pair<Bits8> for Hamming {
    fn distance(a: &[Bits8], b: &[Bits8]) -> f32 {
        a.iter().zip(b).map(|(a, b)| u64::from((a.0 ^ b.0).count_ones())).sum::<u64>() as f32
    }
}

/// `1 − cos` from exact sums: the inner product and both squared norms. One if either vector is all zeros.
pub(super) fn cosine(dot: f64, a: f64, b: f64) -> f32 {
    if a == 0.0 || b == 0.0 { 1.0 } else { (1.0 - dot / (a * b).sqrt()).max(0.0) as f32 }
}

/// The distances over floats; cosine takes unit vectors.
pub(super) fn floats<T: Number>(metric: Metric) -> Functions<T> {
    match metric {
        Metric::L2 => functions::<T, L2>(),
        Metric::Dot => functions::<T, Dot>(),
        Metric::Cosine => functions::<T, UnitCosine>(),
        Metric::L1 => functions::<T, L1>(),
        Metric::Hamming => unreachable!("hamming is for bits"),
    }
}

/// The distances over integers; cosine computes the norms.
pub(super) fn integers<T: Number>(metric: Metric) -> Functions<T> {
    match metric {
        Metric::Cosine => functions::<T, Cosine>(),
        other => floats(other),
    }
}

/// The distance over bits.
pub(super) fn bits() -> Functions<Bits8> {
    functions::<Bits8, Hamming>()
}

fn functions<T: Pod, P: Pair<T>>() -> Functions<T> {
    Functions { distance: P::distance, gather: gather::<T, P>, scan: scan::<T, P> }
}

fn gather<T: Pod, P: Pair<T>>(query: &[T], rows: RowsView<'_, T>, slots: &[u32], out: &mut [f32]) {
    for (out, &slot) in out.iter_mut().zip(slots) {
        *out = P::distance(query, rows.row(slot as usize));
    }
}

fn scan<T: Pod, P: Pair<T>>(query: &[T], rows: RowsView<'_, T>, first: usize, out: &mut [f32]) {
    for (i, out) in out.iter_mut().enumerate() {
        *out = P::distance(query, rows.row(first + i));
    }
}
