//! Differences of words, 32 at a time with AVX-512, 16 with AVX2; pairs of products are added as they are made.

use std::arch::x86_64::*;

use super::{Residual, STRIPE};
use crate::distance::fastscan::LANES;

/// # Safety
/// The CPU has the features; both rows are of one length, a multiple of [`STRIPE`], and there are bits for each sixteen of it.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(in super::super) unsafe fn residual_avx512(
    node: &[i16],
    neighbor: &[i16],
    (bits, lane): (&mut [[u16; LANES]], usize),
) -> Residual {
    let (zero, plus, minus) = (_mm512_setzero_si512(), _mm512_set1_epi16(1), _mm512_set1_epi16(-1));
    let mut sums = [zero; 3];
    for (stripe, bits) in bits.as_chunks_mut::<2>().0.iter_mut().enumerate() {
        // SAFETY: rows are whole stripes, as many as there are pairs of words of bits (the caller's promise).
        let (c, o) = unsafe {
            let at = stripe * STRIPE;
            (_mm512_loadu_si512(node.as_ptr().add(at).cast()), _mm512_loadu_si512(neighbor.as_ptr().add(at).cast()))
        };
        let r = _mm512_subs_epi16(o, c);
        let positive = _mm512_cmpgt_epi16_mask(r, zero);
        let signs = _mm512_mask_mov_epi16(minus, positive, plus);
        sums[0] = _mm512_dpwssd_epi32(sums[0], r, r);
        sums[1] = _mm512_dpwssd_epi32(sums[1], r, signs);
        sums[2] = _mm512_dpwssd_epi32(sums[2], c, signs);
        (bits[0][lane], bits[1][lane]) = (positive as u16, (positive >> 16) as u16);
    }
    let [square, absolute, cross] = sums.map(|sum| _mm512_reduce_add_epi32(sum));
    Residual { square: square.cast_unsigned(), absolute: absolute.cast_unsigned(), cross }
}

/// # Safety
/// As [`residual_avx512`].
#[inline]
#[target_feature(enable = "avx2")]
pub(in super::super) unsafe fn residual_avx2(
    node: &[i16],
    neighbor: &[i16],
    (bits, lane): (&mut [[u16; LANES]], usize),
) -> Residual {
    let (zero, one, ones) = (_mm256_setzero_si256(), _mm256_set1_epi16(1), _mm256_set1_epi16(-1));
    let mut sums = [zero; 3];
    for (stripe, bits) in bits.as_chunks_mut::<2>().0.iter_mut().enumerate() {
        let mut positive = [zero; 2];
        for (half, positive) in positive.iter_mut().enumerate() {
            // SAFETY: rows are whole stripes, as many as there are pairs of words of bits (the caller's promise).
            let (c, o) = unsafe {
                let at = stripe * STRIPE + half * (STRIPE / 2);
                (_mm256_loadu_si256(node.as_ptr().add(at).cast()), _mm256_loadu_si256(neighbor.as_ptr().add(at).cast()))
            };
            let r = _mm256_subs_epi16(o, c);
            *positive = _mm256_cmpgt_epi16(r, zero);
            // 1 where `r` is positive, elsewhere −1.
            let signs = _mm256_or_si256(_mm256_andnot_si256(*positive, ones), one);
            sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(r, r));
            sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(r, signs));
            sums[2] = _mm256_add_epi32(sums[2], _mm256_madd_epi16(c, signs));
        }
        // Packing goes by halves of registers: the middle quarters change places.
        let packed = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi16(positive[0], positive[1]));
        let positive = _mm256_movemask_epi8(packed).cast_unsigned();
        (bits[0][lane], bits[1][lane]) = (positive as u16, (positive >> 16) as u16);
    }
    let [square, absolute, cross] = sums.map(|sum| {
        let sum = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
        let sum = _mm_add_epi32(sum, _mm_shuffle_epi32::<0b01_00_11_10>(sum));
        _mm_cvtsi128_si32(_mm_add_epi32(sum, _mm_shuffle_epi32::<0b10_11_00_01>(sum)))
    });
    Residual { square: square.cast_unsigned(), absolute: absolute.cast_unsigned(), cross }
}
