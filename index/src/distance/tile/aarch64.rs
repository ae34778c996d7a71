//! Four rows of bytes by four, with `D`'s sums of products.
//!
//! Rows become signed: `a·b = (a − 128)·b + 128 · Σb`, of which the second part is the same for a whole row of the strip.

use std::arch::aarch64::*;

use crate::distance::aarch64::Dot;

use super::SIDE;

/// Bytes of a register.
const WIDTH: usize = 16;

/// # Safety
/// The CPU has what `D` stands for; both are four rows of one length, a multiple of 16.
#[inline(always)]
pub(in super::super) unsafe fn products<D: Dot>(rows: &[u8], strip: &[i8]) -> [[i32; SIDE]; SIDE] {
    let stride = rows.len() / SIDE;
    // SAFETY: 16 bytes from each multiple of 16 on lie within each row (the caller's promise).
    unsafe {
        let mut sums = [[vdupq_n_s32(0); SIDE + 1]; SIDE];
        for at in (0..stride).step_by(WIDTH) {
            let a = |j: usize| signed(vld1q_u8(rows.as_ptr().add(j * stride + at)));
            let b = |i: usize| vld1q_s8(strip.as_ptr().add(i * stride + at));
            let a = [a(0), a(1), a(2), a(3)];
            // Not a loop: one that is not unrolled keeps its sums in memory.
            let [first, second, third, fourth] = sums;
            sums = [
                add_row::<D>(first, a, b(0)),
                add_row::<D>(second, a, b(1)),
                add_row::<D>(third, a, b(2)),
                add_row::<D>(fourth, a, b(3)),
            ];
        }
        let mut products = [[0; SIDE]; SIDE];
        for i in 0..SIDE {
            let [a, b, c, d, total] = sums[i];
            let sums = vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d));
            let total = vdupq_n_s32(vaddvq_s32(total));
            vst1q_s32(products[i].as_mut_ptr(), vaddq_s32(sums, vshlq_n_s32::<7>(total)));
        }
        products
    }
}

/// The sums of products of `b` with each row of `a`, and of `b` alone.
///
/// # Safety
/// The CPU has what `D` stands for.
#[inline(always)]
unsafe fn add_row<D: Dot>(sums: [int32x4_t; SIDE + 1], a: [int8x16_t; SIDE], b: int8x16_t) -> [int32x4_t; SIDE + 1] {
    // SAFETY: the caller's promise.
    unsafe {
        [
            D::add_products_i8(sums[0], a[0], b),
            D::add_products_i8(sums[1], a[1], b),
            D::add_products_i8(sums[2], a[2], b),
            D::add_products_i8(sums[3], a[3], b),
            D::add_i8(sums[4], b),
        ]
    }
}

/// # Safety
/// The CPU has what `D` stands for; both are of one length, a multiple of 64.
#[inline(always)]
pub(in super::super) unsafe fn product<D: Dot>(code: &[u8], query: &[i8]) -> i32 {
    // SAFETY: 16 bytes from each multiple of 16 on lie within both (the caller's promise).
    unsafe {
        let (mut sums, mut totals) = ([vdupq_n_s32(0); 2], [vdupq_n_s32(0); 2]);
        for at in (0..code.len()).step_by(2 * WIDTH) {
            for half in 0..2 {
                let at = at + WIDTH * half;
                let (code, query) = (vld1q_u8(code.as_ptr().add(at)), vld1q_s8(query.as_ptr().add(at)));
                sums[half] = D::add_products_i8(sums[half], signed(code), query);
                totals[half] = D::add_i8(totals[half], query);
            }
        }
        let (sum, total) = (vaddq_s32(sums[0], sums[1]), vaddq_s32(totals[0], totals[1]));
        vaddvq_s32(vaddq_s32(sum, vshlq_n_s32::<7>(total)))
    }
}

/// Unsigned bytes less 128.
#[inline]
#[target_feature(enable = "neon")]
fn signed(a: uint8x16_t) -> int8x16_t {
    vreinterpretq_s8_u8(veorq_u8(a, vdupq_n_u8(0x80)))
}
