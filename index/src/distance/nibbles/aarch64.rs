//! Nibbles looked up sixteen at a time, their levels multiplied as signed bytes, which they fit.

use std::arch::aarch64::*;

use crate::distance::aarch64::Dot;

use super::bytes::{BYTE_STEPS, HIGH_BASES, LOW_BASES};
use super::{CHUNK, Gather};

/// Bytes that hold a chunk's nibbles.
const LINE: usize = CHUNK / 2;

/// Bytes of a register.
const WIDTH: usize = 16;

/// # Safety
/// The CPU has what `D` stands for; at least as many `out` as slots, and the query is whole chunks.
#[inline(always)]
pub(in super::super) unsafe fn products<D: Dot>(gather: Gather<'_>, out: &mut [i32]) {
    let query = gather.query;
    // SAFETY: an array of 16 bytes is read.
    let levels = unsafe { vld1q_u8(gather.levels.as_ptr()) };
    for (at, out) in out.iter_mut().enumerate().take(gather.slots.len()) {
        let row = gather.row(at);
        // SAFETY: a row has 64 bytes and the query 128 for each chunk.
        unsafe {
            let mut sums = [vdupq_n_s32(0); LINE / WIDTH];
            for chunk in 0..row.len() / LINE {
                let (codes, query) = (row.as_ptr().add(chunk * LINE), query.as_ptr().add(chunk * CHUNK));
                for (quarter, sum) in sums.iter_mut().enumerate() {
                    let at = quarter * WIDTH;
                    let codes = vld1q_u8(codes.add(at));
                    let low = vreinterpretq_s8_u8(vqtbl1q_u8(levels, lower(codes)));
                    let high = vreinterpretq_s8_u8(vqtbl1q_u8(levels, vshrq_n_u8::<4>(codes)));
                    *sum = D::add_products_i8(*sum, low, vld1q_s8(query.add(at)));
                    *sum = D::add_products_i8(*sum, high, vld1q_s8(query.add(LINE + at)));
                }
            }
            let [a, b, c, d] = sums;
            *out = vaddvq_s32(vaddq_s32(vaddq_s32(a, b), vaddq_s32(c, d)));
        }
    }
}

/// # Safety
/// The CPU has Advanced SIMD; `high` and `low` are half as long as `query`, whose length is a multiple of [`CHUNK`].
#[inline]
#[target_feature(enable = "neon")]
pub(in super::super) unsafe fn fine_product(high: &[u8], low: &[u8], query: &[i16]) -> i32 {
    // SAFETY: sixteen bytes are read from each table; 16 bytes of each code and 16 words of the query at either place lie within them
    // (the caller's promise).
    unsafe {
        let tables = Tables {
            low_bases: vld1q_u8(LOW_BASES.as_ptr()),
            high_bases: vld1q_u8(HIGH_BASES.as_ptr()),
            steps: vld1q_u8(BYTE_STEPS.as_ptr()),
        };
        let mut sums = [vdupq_n_s32(0); 4];
        for at in (0..query.len() / 2).step_by(WIDTH) {
            let (high, low) = (vld1q_u8(high.as_ptr().add(at)), vld1q_u8(low.as_ptr().add(at)));
            let query = query.as_ptr().add(at / LINE * CHUNK + at % LINE);
            let first = tables.values(lower(high), lower(low));
            let second = tables.values(vshrq_n_u8::<4>(high), vshrq_n_u8::<4>(low));
            for (values, query) in [(first, query), (second, query.add(LINE))] {
                for (half, values) in values.into_iter().enumerate() {
                    let query = vld1q_s16(query.add(8 * half));
                    sums[2 * half] = vmlal_s16(sums[2 * half], vget_low_s16(values), vget_low_s16(query));
                    sums[2 * half + 1] = vmlal_high_s16(sums[2 * half + 1], values, query);
                }
            }
        }
        vaddvq_s32(vaddq_s32(vaddq_s32(sums[0], sums[1]), vaddq_s32(sums[2], sums[3])))
    }
}

/// The 8-bit reading in registers.
#[derive(Clone, Copy)]
struct Tables {
    low_bases: uint8x16_t,
    high_bases: uint8x16_t,
    steps: uint8x16_t,
}

impl Tables {
    /// The values of sixteen bytes given as nibbles: a step is at most 17, so fifteen of them fit a byte.
    #[inline]
    #[target_feature(enable = "neon")]
    fn values(self, high: uint8x16_t, low: uint8x16_t) -> [int16x8_t; 2] {
        let (lower, upper) = (vqtbl1q_u8(self.low_bases, high), vqtbl1q_u8(self.high_bases, high));
        let added = vmulq_u8(vqtbl1q_u8(self.steps, high), low);
        let first = vaddw_u8(vreinterpretq_u16_u8(vzip1q_u8(lower, upper)), vget_low_u8(added));
        let second = vaddw_high_u8(vreinterpretq_u16_u8(vzip2q_u8(lower, upper)), added);
        [vreinterpretq_s16_u16(first), vreinterpretq_s16_u16(second)]
    }
}

/// The lower nibble of each byte.
#[inline]
#[target_feature(enable = "neon")]
fn lower(codes: uint8x16_t) -> uint8x16_t {
    vandq_u8(codes, vdupq_n_u8(15))
}
