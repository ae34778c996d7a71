//! The metrics over floats, each written once over the registers of any instruction set.
//!
//! Halves are widened as they are loaded; everything is summed in lanes of `f32`.

use std::marker::PhantomData;

use bytemuck::Pod;
use half::f16;

use crate::metric::Metric;

use super::lanes::Lanes;
use super::rows::Op;
use super::view::Functions;

/// The kernels over floats; cosine takes unit vectors. The caller sees to it that floats support the metric.
pub(super) fn functions<T: Float, L: Lanes>(metric: Metric) -> Functions<T> {
    match metric {
        Metric::L2 => L::functions::<Floats<L2, T, L>>(),
        Metric::Dot => L::functions::<Floats<Dot, T, L>>(),
        Metric::Cosine => L::functions::<Floats<UnitCosine, T, L>>(),
        Metric::L1 => L::functions::<Floats<L1, T, L>>(),
        Metric::Hamming => unreachable!("hamming is for bits"),
    }
}

/// A word that is loaded as lanes of `f32`.
pub(super) trait Float: Pod {
    /// # Safety
    /// As [`Lanes`]'; reads `L::FLOATS` words.
    unsafe fn load<L: Lanes>(from: *const Self) -> L::Floats;
}

impl Float for f32 {
    #[inline(always)]
    unsafe fn load<L: Lanes>(from: *const f32) -> L::Floats {
        // SAFETY: the caller's promise.
        unsafe { L::load_f32(from) }
    }
}

impl Float for f16 {
    #[inline(always)]
    unsafe fn load<L: Lanes>(from: *const f16) -> L::Floats {
        // SAFETY: the caller's promise.
        unsafe { L::load_f16(from) }
    }
}

/// A distance that is a sum over coordinates.
trait FloatMetric: 'static {
    /// `sum` and the terms of these coordinates.
    ///
    /// # Safety
    /// As [`Lanes`]'.
    unsafe fn add<L: Lanes>(sum: L::Floats, a: L::Floats, b: L::Floats) -> L::Floats;
    /// The distance for the sum of all terms.
    fn distance(sum: f32) -> f32;
}

struct L2;

impl FloatMetric for L2 {
    #[inline(always)]
    unsafe fn add<L: Lanes>(sum: L::Floats, a: L::Floats, b: L::Floats) -> L::Floats {
        // SAFETY: the caller's promise.
        unsafe {
            let difference = L::subtract(a, b);
            L::multiply_add(sum, difference, difference)
        }
    }

    #[inline(always)]
    fn distance(sum: f32) -> f32 {
        sum
    }
}

struct Dot;

impl FloatMetric for Dot {
    #[inline(always)]
    unsafe fn add<L: Lanes>(sum: L::Floats, a: L::Floats, b: L::Floats) -> L::Floats {
        // SAFETY: the caller's promise.
        unsafe { L::multiply_add(sum, a, b) }
    }

    #[inline(always)]
    fn distance(sum: f32) -> f32 {
        -sum
    }
}

struct UnitCosine;

impl FloatMetric for UnitCosine {
    #[inline(always)]
    unsafe fn add<L: Lanes>(sum: L::Floats, a: L::Floats, b: L::Floats) -> L::Floats {
        // SAFETY: the caller's promise.
        unsafe { Dot::add::<L>(sum, a, b) }
    }

    #[inline(always)]
    fn distance(sum: f32) -> f32 {
        1.0 - sum
    }
}

struct L1;

impl FloatMetric for L1 {
    #[inline(always)]
    unsafe fn add<L: Lanes>(sum: L::Floats, a: L::Floats, b: L::Floats) -> L::Floats {
        // SAFETY: the caller's promise.
        unsafe { L::add_floats(sum, L::absolute(L::subtract(a, b))) }
    }

    #[inline(always)]
    fn distance(sum: f32) -> f32 {
        sum
    }
}

/// The metric `M` over words `T` in the registers of `L`.
struct Floats<M, T, L>(PhantomData<(M, T, L)>);

impl<M: FloatMetric, T: Float, L: Lanes> Op for Floats<M, T, L> {
    type Word = T;
    type Lanes = L::Floats;
    type Sum = f32;

    const WIDTH: usize = L::FLOATS;

    #[inline(always)]
    unsafe fn zero() -> L::Floats {
        // SAFETY: the caller's promise.
        unsafe { L::zero_floats() }
    }

    #[inline(always)]
    unsafe fn step(sum: L::Floats, a: *const T, b: *const T) -> L::Floats {
        // SAFETY: the caller's promise.
        unsafe { M::add::<L>(sum, T::load::<L>(a), T::load::<L>(b)) }
    }

    #[inline(always)]
    unsafe fn add(a: L::Floats, b: L::Floats) -> L::Floats {
        // SAFETY: the caller's promise.
        unsafe { L::add_floats(a, b) }
    }

    #[inline(always)]
    unsafe fn total(sum: f32, lanes: L::Floats) -> f32 {
        // SAFETY: the caller's promise.
        sum + unsafe { L::sum_floats(lanes) }
    }

    #[inline(always)]
    fn distance(sum: f32) -> f32 {
        M::distance(sum)
    }
}
