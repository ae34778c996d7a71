//! Sums over products of bytes, the one thing in which AArch64's instruction sets differ.
//!
//! Which lane holds which part of a sum differs too: only the sum of all lanes is meant. The intrinsics of the dot product
//! instructions are not stable (`stdarch_neon_dotprod`), so they are written as assembly.

use std::arch::aarch64::*;
use std::arch::asm;

use crate::distance::lanes::functions_with_features;
use crate::distance::rows::{self, Op};
use crate::distance::view::{Functions, RowsView};

/// What an instruction set does with bytes.
///
/// # Safety
/// The functions may be called only on a CPU that has the instruction set.
pub(in super::super) trait Dot: Copy + 'static {
    /// `sum + Σ a · b`, modulo 2^32.
    unsafe fn add_products_u8(sum: uint32x4_t, a: uint8x16_t, b: uint8x16_t) -> uint32x4_t;
    /// `sum + Σ a · b`, modulo 2^32.
    unsafe fn add_products_i8(sum: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t;
    /// `sum + Σ a`.
    unsafe fn add_u8(sum: uint32x4_t, a: uint8x16_t) -> uint32x4_t;
    /// `sum + Σ a`.
    unsafe fn add_i8(sum: int32x4_t, a: int8x16_t) -> int32x4_t;

    /// The loops over rows for `O`, compiled with the instruction set enabled.
    fn functions<O: Op>() -> Functions<O::Word>;
}

/// Advanced SIMD: products of bytes fit in 16 bits and are added in pairs to 32.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Neon;

/// Advanced SIMD with the dot products of Armv8.2 and later.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Dotprod;

impl Dot for Neon {
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn add_products_u8(sum: uint32x4_t, a: uint8x16_t, b: uint8x16_t) -> uint32x4_t {
        let sum = vpadalq_u16(sum, vmull_u8(vget_low_u8(a), vget_low_u8(b)));
        vpadalq_u16(sum, vmull_high_u8(a, b))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn add_products_i8(sum: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
        let sum = vpadalq_s16(sum, vmull_s8(vget_low_s8(a), vget_low_s8(b)));
        vpadalq_s16(sum, vmull_high_s8(a, b))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn add_u8(sum: uint32x4_t, a: uint8x16_t) -> uint32x4_t {
        vpadalq_u16(sum, vpaddlq_u8(a))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn add_i8(sum: int32x4_t, a: int8x16_t) -> int32x4_t {
        vpadalq_s16(sum, vpaddlq_s8(a))
    }

    functions_with_features!("neon");
}

impl Dot for Dotprod {
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn add_products_u8(mut sum: uint32x4_t, a: uint8x16_t, b: uint8x16_t) -> uint32x4_t {
        // SAFETY: the CPU has the instruction (the caller's promise), which changes `sum` and nothing else.
        unsafe {
            asm!(
                "udot {sum:v}.4s, {a:v}.16b, {b:v}.16b",
                sum = inout(vreg) sum, a = in(vreg) a, b = in(vreg) b,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
        sum
    }

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn add_products_i8(mut sum: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
        // SAFETY: as above.
        unsafe {
            asm!(
                "sdot {sum:v}.4s, {a:v}.16b, {b:v}.16b",
                sum = inout(vreg) sum, a = in(vreg) a, b = in(vreg) b,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
        sum
    }

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn add_u8(sum: uint32x4_t, a: uint8x16_t) -> uint32x4_t {
        // SAFETY: the caller's promise.
        unsafe { Self::add_products_u8(sum, a, vdupq_n_u8(1)) }
    }

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn add_i8(sum: int32x4_t, a: int8x16_t) -> int32x4_t {
        // SAFETY: the caller's promise.
        unsafe { Self::add_products_i8(sum, a, vdupq_n_s8(1)) }
    }

    functions_with_features!("neon,dotprod");
}
