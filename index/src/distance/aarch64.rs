//! Advanced SIMD: four floats or sixteen bytes at a time.
//!
//! Products of bytes fit in 16 bits and are added in pairs to 32. The dot product instructions of newer cores are not used,
//! so that one path serves all.

use std::arch::aarch64::*;

use half::f16;

use super::lanes::{Lanes, functions_with_features};
use super::rows::{self, Op};
use super::view::{Functions, RowsView};

/// 128-bit registers.
pub(super) struct Neon;

impl Lanes for Neon {
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

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn add_squared_differences(sum: uint32x4_t, a: uint8x16_t, b: uint8x16_t) -> uint32x4_t {
        let distances = vabdq_u8(a, b);
        let low = vget_low_u8(distances);
        let sum = vpadalq_u16(sum, vmull_u8(low, low));
        vpadalq_u16(sum, vmull_high_u8(distances, distances))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn add_absolute_differences(sum: uint32x4_t, a: uint8x16_t, b: uint8x16_t) -> uint32x4_t {
        vpadalq_u16(sum, vpaddlq_u8(vabdq_u8(a, b)))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn add_products_u8(sum: uint32x4_t, a: uint8x16_t, b: uint8x16_t) -> uint32x4_t {
        let sum = vpadalq_u16(sum, vmull_u8(vget_low_u8(a), vget_low_u8(b)));
        vpadalq_u16(sum, vmull_high_u8(a, b))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn add_products_i8(sum: uint32x4_t, a: uint8x16_t, b: uint8x16_t) -> uint32x4_t {
        let (a, b) = (vreinterpretq_s8_u8(a), vreinterpretq_s8_u8(b));
        let sum = vpadalq_s16(vreinterpretq_s32_u32(sum), vmull_s8(vget_low_s8(a), vget_low_s8(b)));
        vreinterpretq_u32_s32(vpadalq_s16(sum, vmull_high_s8(a, b)))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn add_differing_bits(sum: uint32x4_t, a: uint8x16_t, b: uint8x16_t) -> uint32x4_t {
        vpadalq_u16(sum, vpaddlq_u8(vcntq_u8(veorq_u8(a, b))))
    }

    functions_with_features!("neon");
}
