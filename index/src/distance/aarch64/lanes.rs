//! Four floats or sixteen bytes at a time.

use std::arch::aarch64::*;
use std::marker::PhantomData;

use half::f16;

use crate::distance::lanes::Lanes;
use crate::distance::rows::Op;
use crate::distance::view::Functions;

use super::Dot;

/// 128-bit registers, and what `D` does with the bytes in them.
pub(in super::super) struct Registers<D>(PhantomData<D>);

impl<D: Dot> Lanes for Registers<D> {
    type Floats = float32x4_t;
    type Bytes = uint8x16_t;
    type Counts = uint32x4_t;

    const FLOATS: usize = 4;
    const BYTES: usize = 16;

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn zero_floats() -> float32x4_t {
        vdupq_n_f32(0.0)
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn load_f32(from: *const f32) -> float32x4_t {
        // SAFETY: four floats can be read, by the caller's promise.
        unsafe { vld1q_f32(from) }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn load_f16(from: *const f16) -> float32x4_t {
        // SAFETY: four halves can be read, by the caller's promise.
        let halves = unsafe { vld1_u16(from.cast()) };
        vcvt_f32_f16(vreinterpret_f16_u16(halves))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn add_floats(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vaddq_f32(a, b)
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn subtract(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vsubq_f32(a, b)
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn absolute(a: float32x4_t) -> float32x4_t {
        vabsq_f32(a)
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn multiply_add(sum: float32x4_t, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vfmaq_f32(sum, a, b)
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn sum_floats(a: float32x4_t) -> f32 {
        vaddvq_f32(a)
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn load_bytes(from: *const u8) -> uint8x16_t {
        // SAFETY: sixteen bytes can be read, by the caller's promise.
        unsafe { vld1q_u8(from) }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn raise(a: uint8x16_t) -> uint8x16_t {
        veorq_u8(a, vdupq_n_u8(0x80))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn zero_counts() -> uint32x4_t {
        vdupq_n_u32(0)
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn add_counts(a: uint32x4_t, b: uint32x4_t) -> uint32x4_t {
        vaddq_u32(a, b)
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn sum_counts(a: uint32x4_t) -> u32 {
        vaddvq_u32(a)
    }

    #[inline(always)]
    unsafe fn add_squared_differences(sum: uint32x4_t, a: uint8x16_t, b: uint8x16_t) -> uint32x4_t {
        // SAFETY: the caller's promise.
        unsafe {
            let distances = vabdq_u8(a, b);
            D::add_products_u8(sum, distances, distances)
        }
    }

    #[inline(always)]
    unsafe fn add_absolute_differences(sum: uint32x4_t, a: uint8x16_t, b: uint8x16_t) -> uint32x4_t {
        // SAFETY: the caller's promise.
        unsafe { D::add_u8(sum, vabdq_u8(a, b)) }
    }

    #[inline(always)]
    unsafe fn add_products_u8(sum: uint32x4_t, a: uint8x16_t, b: uint8x16_t) -> uint32x4_t {
        // SAFETY: the caller's promise.
        unsafe { D::add_products_u8(sum, a, b) }
    }

    #[inline(always)]
    unsafe fn add_products_i8(sum: uint32x4_t, a: uint8x16_t, b: uint8x16_t) -> uint32x4_t {
        // SAFETY: the caller's promise.
        unsafe {
            let (a, b) = (vreinterpretq_s8_u8(a), vreinterpretq_s8_u8(b));
            vreinterpretq_u32_s32(D::add_products_i8(vreinterpretq_s32_u32(sum), a, b))
        }
    }

    #[inline(always)]
    unsafe fn add_differing_bits(sum: uint32x4_t, a: uint8x16_t, b: uint8x16_t) -> uint32x4_t {
        // SAFETY: the caller's promise.
        unsafe { D::add_u8(sum, vcntq_u8(veorq_u8(a, b))) }
    }

    fn functions<O: Op>() -> Functions<O::Word> {
        D::functions::<O>()
    }
}
