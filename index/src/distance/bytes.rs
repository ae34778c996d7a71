//! The metrics over bytes and bits, each written once over the registers of any instruction set.
//!
//! All sums are exact. Differences of signed bytes are taken after both are moved up by 128, as differences of unsigned ones.

use std::marker::PhantomData;

use bytemuck::Pod;

use crate::metric::Metric;

use super::bits::Bits8;
use super::lanes::Lanes;
use super::rows::Op;
use super::scalar;
use super::view::Functions;

/// The kernels over integers; cosine computes the norms. The caller sees to it that integers support the metric.
pub(super) fn functions<T: Byte, L: Lanes>(metric: Metric) -> Functions<T> {
    match metric {
        Metric::L2 => L::functions::<Bytes<L2, T, L>>(),
        Metric::Dot => L::functions::<Bytes<Dot, T, L>>(),
        Metric::Cosine => L::functions::<Cosine<T, L>>(),
        Metric::L1 => L::functions::<Bytes<L1, T, L>>(),
        Metric::Hamming => unreachable!("hamming is for bits"),
    }
}

/// The kernels over bits.
pub(super) fn bit_functions<L: Lanes>() -> Functions<Bits8> {
    L::functions::<Bytes<Hamming, Bits8, L>>()
}

/// A coordinate of one byte.
pub(super) trait Byte: Pod {
    /// As unsigned bytes, signed ones moved up by 128.
    ///
    /// # Safety
    /// As [`Lanes`]'; reads `L::BYTES` words.
    unsafe fn load_unsigned<L: Lanes>(from: *const Self) -> L::Bytes;

    /// `sum + Σ a · b`.
    ///
    /// # Safety
    /// As [`Lanes`]'; reads `L::BYTES` words.
    unsafe fn add_products<L: Lanes>(sum: L::Counts, a: *const Self, b: *const Self) -> L::Counts;

    /// A sum of products from its lowest 32 bits.
    fn products(sum: u32) -> i64;
}

impl Byte for u8 {
    #[inline(always)]
    unsafe fn load_unsigned<L: Lanes>(from: *const u8) -> L::Bytes {
        // SAFETY: the caller's promise.
        unsafe { L::load_bytes(from) }
    }

    #[inline(always)]
    unsafe fn add_products<L: Lanes>(sum: L::Counts, a: *const u8, b: *const u8) -> L::Counts {
        // SAFETY: the caller's promise.
        unsafe { L::add_products_u8(sum, L::load_bytes(a), L::load_bytes(b)) }
    }

    #[inline(always)]
    fn products(sum: u32) -> i64 {
        sum.into()
    }
}

impl Byte for i8 {
    #[inline(always)]
    unsafe fn load_unsigned<L: Lanes>(from: *const i8) -> L::Bytes {
        // SAFETY: the caller's promise.
        unsafe { L::raise(L::load_bytes(from.cast())) }
    }

    #[inline(always)]
    unsafe fn add_products<L: Lanes>(sum: L::Counts, a: *const i8, b: *const i8) -> L::Counts {
        // SAFETY: the caller's promise.
        unsafe { L::add_products_i8(sum, L::load_bytes(a.cast()), L::load_bytes(b.cast())) }
    }

    #[inline(always)]
    fn products(sum: u32) -> i64 {
        sum.cast_signed().into()
    }
}

/// A distance that is a sum over words of type `T`.
trait ByteMetric<T>: 'static {
    /// `sum` and the terms of these words.
    ///
    /// # Safety
    /// As [`Lanes`]'; reads `L::BYTES` words.
    unsafe fn add<L: Lanes>(sum: L::Counts, a: *const T, b: *const T) -> L::Counts;
    /// The sum over a block from its lowest 32 bits.
    fn block(sum: u32) -> i64;
    /// The distance for the sum of all terms.
    fn distance(sum: i64) -> f32;
}

struct L2;

impl<T: Byte> ByteMetric<T> for L2 {
    #[inline(always)]
    unsafe fn add<L: Lanes>(sum: L::Counts, a: *const T, b: *const T) -> L::Counts {
        // SAFETY: the caller's promise.
        unsafe { L::add_squared_differences(sum, T::load_unsigned::<L>(a), T::load_unsigned::<L>(b)) }
    }

    #[inline(always)]
    fn block(sum: u32) -> i64 {
        sum.into()
    }

    #[inline(always)]
    fn distance(sum: i64) -> f32 {
        sum as f32
    }
}

struct Dot;

impl<T: Byte> ByteMetric<T> for Dot {
    #[inline(always)]
    unsafe fn add<L: Lanes>(sum: L::Counts, a: *const T, b: *const T) -> L::Counts {
        // SAFETY: the caller's promise.
        unsafe { T::add_products::<L>(sum, a, b) }
    }

    #[inline(always)]
    fn block(sum: u32) -> i64 {
        T::products(sum)
    }

    #[inline(always)]
    fn distance(sum: i64) -> f32 {
        -(sum as f32)
    }
}

struct L1;

impl<T: Byte> ByteMetric<T> for L1 {
    #[inline(always)]
    unsafe fn add<L: Lanes>(sum: L::Counts, a: *const T, b: *const T) -> L::Counts {
        // SAFETY: the caller's promise.
        unsafe { L::add_absolute_differences(sum, T::load_unsigned::<L>(a), T::load_unsigned::<L>(b)) }
    }

    #[inline(always)]
    fn block(sum: u32) -> i64 {
        sum.into()
    }

    #[inline(always)]
    fn distance(sum: i64) -> f32 {
        sum as f32
    }
}

struct Hamming;

impl ByteMetric<Bits8> for Hamming {
    #[inline(always)]
    unsafe fn add<L: Lanes>(sum: L::Counts, a: *const Bits8, b: *const Bits8) -> L::Counts {
        // SAFETY: the caller's promise.
        unsafe { L::add_differing_bits(sum, L::load_bytes(a.cast()), L::load_bytes(b.cast())) }
    }

    #[inline(always)]
    fn block(sum: u32) -> i64 {
        sum.into()
    }

    #[inline(always)]
    fn distance(sum: i64) -> f32 {
        sum as f32
    }
}

/// The metric `M` over words `T` in the registers of `L`.
struct Bytes<M, T, L>(PhantomData<(M, T, L)>);

impl<M: ByteMetric<T>, T: Pod, L: Lanes> Op for Bytes<M, T, L> {
    type Word = T;
    type Lanes = L::Counts;
    type Sum = i64;

    const WIDTH: usize = L::BYTES;

    #[inline(always)]
    unsafe fn zero() -> L::Counts {
        // SAFETY: the caller's promise.
        unsafe { L::zero_counts() }
    }

    #[inline(always)]
    unsafe fn step(sum: L::Counts, a: *const T, b: *const T) -> L::Counts {
        // SAFETY: the caller's promise.
        unsafe { M::add::<L>(sum, a, b) }
    }

    #[inline(always)]
    unsafe fn add(a: L::Counts, b: L::Counts) -> L::Counts {
        // SAFETY: the caller's promise.
        unsafe { L::add_counts(a, b) }
    }

    #[inline(always)]
    unsafe fn total(sum: i64, lanes: L::Counts) -> i64 {
        // SAFETY: the caller's promise.
        sum + M::block(unsafe { L::sum_counts(lanes) })
    }

    #[inline(always)]
    fn distance(sum: i64) -> f32 {
        M::distance(sum)
    }
}

/// Cosine over words `T`: the inner product and both squared norms in one pass.
struct Cosine<T, L>(PhantomData<(T, L)>);

impl<T: Byte, L: Lanes> Op for Cosine<T, L> {
    type Word = T;
    type Lanes = [L::Counts; 3];
    type Sum = [i64; 3];

    const WIDTH: usize = L::BYTES;

    #[inline(always)]
    unsafe fn zero() -> [L::Counts; 3] {
        // SAFETY: the caller's promise.
        unsafe { [L::zero_counts(); 3] }
    }

    #[inline(always)]
    unsafe fn step([ab, aa, bb]: [L::Counts; 3], a: *const T, b: *const T) -> [L::Counts; 3] {
        // SAFETY: the caller's promise.
        unsafe { [T::add_products::<L>(ab, a, b), T::add_products::<L>(aa, a, a), T::add_products::<L>(bb, b, b)] }
    }

    #[inline(always)]
    unsafe fn add(a: [L::Counts; 3], b: [L::Counts; 3]) -> [L::Counts; 3] {
        // SAFETY: the caller's promise.
        unsafe { [L::add_counts(a[0], b[0]), L::add_counts(a[1], b[1]), L::add_counts(a[2], b[2])] }
    }

    #[inline(always)]
    unsafe fn total(sum: [i64; 3], [ab, aa, bb]: [L::Counts; 3]) -> [i64; 3] {
        // SAFETY: the caller's promise.
        let sums = unsafe { [L::sum_counts(ab), L::sum_counts(aa), L::sum_counts(bb)] };
        std::array::from_fn(|i| sum[i] + T::products(sums[i]))
    }

    #[inline(always)]
    fn distance([ab, aa, bb]: [i64; 3]) -> f32 {
        scalar::cosine(ab as f64, aa as f64, bb as f64)
    }
}
