//! Look-up tables of a query, and 32 codes scored by them.

use std::arch::aarch64::*;

use half::f16;

use crate::distance::fastscan::table::CHOSEN;
use crate::distance::fastscan::{Block, LANES, Table};
use crate::distance::prefetch::prefetch;
use crate::distance::simd::LINE;

use super::select::mask_of;

/// The sums of lanes 0–7, 8–15, 16–23 and 24–31.
///
/// Bytes are widened as they are added. The order in which a code's bytes lie, 0, 8, 1, 9, …, comes apart in the end.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn quarters(codes: &[u8], table: &[u8], ahead: &[u8]) -> [uint16x8_t; 4] {
    let mut lines = ahead.chunks(LINE);
    let mut sums = [vdupq_n_u16(0); 4];
    let nibbles = vdupq_n_u8(15);
    for at in (0..table.len()).step_by(LINE) {
        lines.next().inspect(|line| prefetch(line.as_ptr()));
        for at in (at..at + LINE).step_by(16) {
            // SAFETY: codes and table are of one length, a multiple of 64 (the caller's promise).
            let (codes, table) = unsafe { (vld1q_u8(codes.as_ptr().add(at)), vld1q_u8(table.as_ptr().add(at))) };
            let low = vqtbl1q_u8(table, vandq_u8(codes, nibbles));
            let high = vqtbl1q_u8(table, vshrq_n_u8::<4>(codes));
            sums[0] = vaddw_u8(sums[0], vget_low_u8(low));
            sums[1] = vaddw_high_u8(sums[1], low);
            sums[2] = vaddw_u8(sums[2], vget_low_u8(high));
            sums[3] = vaddw_high_u8(sums[3], high);
        }
    }
    lines.for_each(|line| prefetch(line.as_ptr()));
    let [a, b, c, d] = sums;
    [vuzp1q_u16(a, b), vuzp2q_u16(a, b), vuzp1q_u16(c, d), vuzp2q_u16(c, d)]
}

/// # Safety
/// Four halves can be read.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn load_f16(from: *const f16) -> float32x4_t {
    // SAFETY: the caller's promise.
    vcvt_f32_f16(vreinterpret_f16_u16(unsafe { vld1_u16(from.cast()) }))
}

/// # Safety
/// As many bytes of codes as the table has.
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn estimates(
    block: Block<'_>,
    table: &Table,
    distance: f32,
    bound: f32,
    ahead: &[u8],
    out: &mut [f32; LANES],
) -> u32 {
    // SAFETY: the caller's promise.
    let quarters = unsafe { quarters(block.codes, table.bytes(), ahead) };
    let unit = block.units.rescale;
    let (step, base) = (vdupq_n_f32(table.step * unit), vdupq_n_f32(table.base * unit));
    let (distance, bound) = (vdupq_n_f32(distance), vdupq_n_f32(bound));
    let add_unit = vdupq_n_f32(block.units.add);
    let mut below = [vdupq_n_u32(0); LANES / 4];
    for (quarter, &sums) in quarters.iter().enumerate() {
        let halves = [vmovl_u16(vget_low_u16(sums)), vmovl_high_u16(sums)];
        for (half, sums) in halves.into_iter().enumerate() {
            let product = vfmaq_f32(base, vcvtq_f32_u32(sums), step);
            let group = 2 * quarter + half;
            // SAFETY: four lanes from `4 · group` on lie within the 32 of each array.
            unsafe {
                let add = load_f16(block.add.as_ptr().add(4 * group));
                let rescale = load_f16(block.rescale.as_ptr().add(4 * group));
                let estimate = vfmaq_f32(vfmaq_f32(distance, add, add_unit), rescale, product);
                vst1q_f32(out.as_mut_ptr().add(4 * group), estimate);
                below[group] = vcltq_f32(estimate, bound);
            }
        }
    }
    mask_of(below)
}

#[inline]
#[target_feature(enable = "neon")]
pub(super) fn entries(steps: &[i8; 16], out: &mut [u8; 64]) {
    for (steps, out) in steps.as_chunks::<4>().0.iter().zip(out.as_chunks_mut::<16>().0) {
        let mut sum = vdupq_n_s8(0);
        for (&step, chosen) in steps.iter().zip(&CHOSEN) {
            let mine = vdupq_n_s8(step);
            // SAFETY: an array of 16 bytes is read.
            let chosen = vreinterpretq_s8_u8(unsafe { vld1q_u8(chosen.as_ptr()) });
            let lowest = vdupq_n_s8(step.min(0));
            sum = vaddq_s8(sum, vsubq_s8(vandq_s8(mine, chosen), lowest));
        }
        // SAFETY: an array of 16 bytes is written.
        unsafe { vst1q_u8(out.as_mut_ptr(), vreinterpretq_u8_s8(sum)) };
    }
}
