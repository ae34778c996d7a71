//! Which lanes go on: comparisons as bit masks, and the chosen lanes moved to the front.

use std::arch::aarch64::*;

use crate::distance::fastscan::LANES;
use crate::distance::fastscan::scalar::Scalar;
use crate::distance::simd::Simd;

/// One bit for each of 32 comparisons, the lowest for the first.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn mask_of(compared: [uint32x4_t; LANES / 4]) -> u32 {
    const BITS: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];
    let [a, b, c, d, e, f, g, h] = compared;
    // SAFETY: an array of 16 bytes is read.
    let bits = unsafe { vld1q_u8(BITS.as_ptr()) };
    let (first, second) = (vandq_u8(bytes([a, b, c, d]), bits), vandq_u8(bytes([e, f, g, h]), bits));
    // Eight bytes, of one bit each, become one.
    let sums = vpaddq_u8(first, second);
    let sums = vpaddq_u8(sums, sums);
    vgetq_lane_u32::<0>(vreinterpretq_u32_u8(vpaddq_u8(sums, sums)))
}

/// Sixteen comparisons, a byte each.
#[inline]
#[target_feature(enable = "neon")]
fn bytes([a, b, c, d]: [uint32x4_t; 4]) -> uint8x16_t {
    let words = |a, b| vuzp1q_u16(vreinterpretq_u16_u32(a), vreinterpretq_u16_u32(b));
    vuzp1q_u8(vreinterpretq_u8_u16(words(a, b)), vreinterpretq_u8_u16(words(c, d)))
}

#[inline]
#[target_feature(enable = "neon")]
pub(super) fn below(values: &[f32; LANES], bound: f32) -> u32 {
    let bound = vdupq_n_f32(bound);
    let mut below = [vdupq_n_u32(0); LANES / 4];
    for (below, values) in below.iter_mut().zip(values.as_chunks::<4>().0) {
        // SAFETY: four floats.
        *below = vcltq_f32(unsafe { vld1q_f32(values.as_ptr()) }, bound);
    }
    mask_of(below)
}

/// For every set of four lanes, the bytes that bring them to the front; behind them numbers beyond all bytes.
const SHUFFLES: [[u8; 16]; 16] = {
    let mut shuffles = [[0xff; 16]; 16];
    let mut set = 0;
    while set < 16 {
        let (mut lane, mut at) = (0, 0);
        while lane < 4 {
            if set >> lane & 1 == 1 {
                let mut byte = 0;
                while byte < 4 {
                    shuffles[set][4 * at + byte] = (4 * lane + byte) as u8;
                    byte += 1;
                }
                at += 1;
            }
            lane += 1;
        }
        set += 1;
    }
    shuffles
};

/// How many lanes a set has. Looked up, for counting bits goes through a register of the other kind and back.
const SIZES: [u8; 16] = [0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4];

#[inline]
#[target_feature(enable = "neon")]
pub(super) fn compress(
    mask: u32,
    from: (&[f32; LANES], &[u32; LANES]),
    (to_distances, to_slots): (&mut [f32; LANES], &mut [u32; LANES]),
) {
    to_distances.fill(f32::INFINITY);
    let infinite = vreinterpretq_u8_f32(vdupq_n_f32(f32::INFINITY));
    let mut at = 0;
    for group in 0..LANES / 4 {
        let set = (mask >> (4 * group) & 15) as usize;
        // SAFETY: four lanes from `4 · group` on lie within the 32, and so do four from `at` on, which is no more than that.
        unsafe {
            let shuffle = vld1q_u8(SHUFFLES[set].as_ptr());
            let distances = vreinterpretq_u8_f32(vld1q_f32(from.0.as_ptr().add(4 * group)));
            let slots = vreinterpretq_u8_u32(vld1q_u32(from.1.as_ptr().add(4 * group)));
            let distances = vqtbx1q_u8(infinite, distances, shuffle);
            vst1q_f32(to_distances.as_mut_ptr().add(at), vreinterpretq_f32_u8(distances));
            vst1q_u32(to_slots.as_mut_ptr().add(at), vreinterpretq_u32_u8(vqtbl1q_u8(slots, shuffle)));
        }
        at += usize::from(SIZES[set]);
    }
}

/// Without registers: there are no gathers, and few lanes are asked for.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn unmarked(marks: &[u32], slots: &[u32; LANES], mask: u32) -> u32 {
    Scalar.unmarked(marks, slots, mask)
}

#[inline]
#[target_feature(enable = "neon")]
pub(super) fn least(values: &[f32]) -> usize {
    let chunks = values.as_chunks::<16>().0;
    // SAFETY: four floats from each multiple of four on lie within sixteen.
    let load = |chunk: &[f32; 16], quarter: usize| unsafe { vld1q_f32(chunk.as_ptr().add(4 * quarter)) };
    let mut least = [vdupq_n_f32(f32::INFINITY); 4];
    for chunk in chunks {
        for (quarter, least) in least.iter_mut().enumerate() {
            *least = vminnmq_f32(*least, load(chunk, quarter));
        }
    }
    let least = vminnmq_f32(vminnmq_f32(least[0], least[1]), vminnmq_f32(least[2], least[3]));
    let least = vdupq_n_f32(vminnmvq_f32(least));
    for (at, chunk) in chunks.iter().enumerate() {
        let equal = |quarter| vceqq_f32(load(chunk, quarter), least);
        let equal = bytes([equal(0), equal(1), equal(2), equal(3)]);
        // Four bits of each comparison.
        let equal = vshrn_n_u16::<4>(vreinterpretq_u16_u8(equal));
        let equal = vget_lane_u64::<0>(vreinterpret_u64_u8(equal));
        if equal != 0 {
            return 16 * at + equal.trailing_zeros() as usize / 4;
        }
    }
    0
}
