//! AVX-512: 64 nibbles looked up at once, marks gathered, lanes compressed.

use std::arch::x86_64::*;

use crate::distance::fastscan::table::CHOSEN;
use crate::distance::fastscan::{Block, LANES, Table};
use crate::distance::hadamard::x86_64::signed_avx512 as hadamard;
use crate::distance::nibbles::x86_64::{fine_product_avx512 as fine_product, products_avx512 as nibble_products};
use crate::distance::prefetch::prefetch;
use crate::distance::residual::x86_64::residual_avx512 as residual;
use crate::distance::simd::{LINE, Task, simd_by_kernels};
use crate::distance::tile::x86_64::products_avx512 as products;

use super::Quarters;

/// AVX-512 as [`Isa::Avx512`](crate::distance::isa::Isa) names it; made only by [`run`].
#[derive(Debug, Clone, Copy)]
pub(in super::super::super) struct Avx512(());

/// # Safety
/// The CPU has what [`Avx512`] stands for.
#[target_feature(
    enable = "avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vpopcntdq"
)]
pub(in super::super::super) unsafe fn run<T: Task>(task: T) -> T::Output {
    task.run(Avx512(()))
}

simd_by_kernels!(Avx512);

#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl")]
unsafe fn quarters(codes: &[u8], table: &[u8], ahead: &[u8]) -> Quarters {
    let mut lines = ahead.chunks(LINE);
    let (codes, table, len) = (codes.as_ptr(), table.as_ptr(), table.len());
    let mut sums = [_mm512_setzero_si512(); 4];
    let nibbles = _mm512_set1_epi8(15);
    for at in (0..len).step_by(64) {
        lines.next().inspect(|line| prefetch(line.as_ptr()));
        // SAFETY: codes and table are of one length, a multiple of 64 (the caller's promise).
        let (codes, table) =
            unsafe { (_mm512_loadu_si512(codes.add(at).cast()), _mm512_loadu_si512(table.add(at).cast())) };
        let low = _mm512_shuffle_epi8(table, _mm512_and_si512(codes, nibbles));
        let high = _mm512_shuffle_epi8(table, _mm512_and_si512(_mm512_srli_epi16::<4>(codes), nibbles));
        sums[0] = _mm512_add_epi16(sums[0], low);
        sums[1] = _mm512_add_epi16(sums[1], _mm512_srli_epi16::<8>(low));
        sums[2] = _mm512_add_epi16(sums[2], high);
        sums[3] = _mm512_add_epi16(sums[3], _mm512_srli_epi16::<8>(high));
    }
    lines.for_each(|line| prefetch(line.as_ptr()));
    sums[0] = _mm512_sub_epi16(sums[0], _mm512_slli_epi16::<8>(sums[1]));
    sums[2] = _mm512_sub_epi16(sums[2], _mm512_slli_epi16::<8>(sums[3]));
    sums.map(|sum| {
        let half = _mm256_add_epi16(_mm512_castsi512_si256(sum), _mm512_extracti64x4_epi64::<1>(sum));
        _mm_add_epi16(_mm256_castsi256_si128(half), _mm256_extracti128_si256::<1>(half))
    })
}

#[inline]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512vl")]
unsafe fn estimates(
    block: Block<'_>,
    table: &Table,
    distance: f32,
    bound: f32,
    ahead: &[u8],
    out: &mut [f32; LANES],
) -> u32 {
    // SAFETY: the caller's promise.
    let [a, b, c, d] = unsafe { quarters(block.codes, table.bytes(), ahead) };
    let unit = block.units.rescale;
    let (step, base) = (_mm512_set1_ps(table.step * unit), _mm512_set1_ps(table.base * unit));
    let (distance, bound) = (_mm512_set1_ps(distance), _mm512_set1_ps(bound));
    let add_unit = _mm512_set1_ps(block.units.add);
    let mut below = 0;
    for (half, sums) in [_mm256_set_m128i(b, a), _mm256_set_m128i(d, c)].into_iter().enumerate() {
        let product = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_cvtepu16_epi32(sums)), step, base);
        let at = 16 * half;
        // SAFETY: sixteen lanes from `at` on lie within the 32 of each array.
        unsafe {
            let add = _mm512_cvtph_ps(_mm256_loadu_si256(block.add.as_ptr().add(at).cast()));
            let rescale = _mm512_cvtph_ps(_mm256_loadu_si256(block.rescale.as_ptr().add(at).cast()));
            let estimate = _mm512_fmadd_ps(rescale, product, _mm512_fmadd_ps(add, add_unit, distance));
            _mm512_storeu_ps(out.as_mut_ptr().add(at), estimate);
            below |= u32::from(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(estimate, bound)) << at;
        }
    }
    below
}

#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn product(code: &[u8], query: &[i8]) -> i32 {
    let mut sums = [_mm512_setzero_si512(); 2];
    let mut at = 0;
    // SAFETY: both are of one length, a multiple of 64 (the caller's promise).
    let load = |at: usize| unsafe {
        (_mm512_loadu_si512(code.as_ptr().add(at).cast()), _mm512_loadu_si512(query.as_ptr().add(at).cast()))
    };
    while at + 128 <= code.len() {
        let ((code0, query0), (code1, query1)) = (load(at), load(at + 64));
        sums = [_mm512_dpbusd_epi32(sums[0], code0, query0), _mm512_dpbusd_epi32(sums[1], code1, query1)];
        at += 128;
    }
    if at < code.len() {
        let (code, query) = load(at);
        sums[0] = _mm512_dpbusd_epi32(sums[0], code, query);
    }
    _mm512_reduce_add_epi32(_mm512_add_epi32(sums[0], sums[1]))
}

#[inline]
#[target_feature(enable = "avx512f,popcnt")]
unsafe fn compress(
    mask: u32,
    from: (&[f32; LANES], &[u32; LANES]),
    (to_distances, to_slots): (&mut [f32; LANES], &mut [u32; LANES]),
) {
    let infinite = _mm512_set1_ps(f32::INFINITY);
    let (first, second) = (mask as u16, (mask >> 16) as u16);
    let at = first.count_ones() as usize;
    // SAFETY: sixteen lanes from 0 and from 16 on lie within 32, and so do sixteen from `at` ≤ 16 on.
    unsafe {
        let load = |half: usize| {
            (_mm512_loadu_ps(from.0.as_ptr().add(half)), _mm512_loadu_si512(from.1.as_ptr().add(half).cast()))
        };
        let ((distances0, slots0), (distances1, slots1)) = (load(0), load(16));
        _mm512_storeu_ps(to_distances.as_mut_ptr().add(16), infinite);
        _mm512_storeu_ps(to_distances.as_mut_ptr(), _mm512_mask_compress_ps(infinite, first, distances0));
        _mm512_storeu_si512(to_slots.as_mut_ptr().cast(), _mm512_maskz_compress_epi32(first, slots0));
        _mm512_storeu_ps(to_distances.as_mut_ptr().add(at), _mm512_mask_compress_ps(infinite, second, distances1));
        _mm512_storeu_si512(to_slots.as_mut_ptr().add(at).cast(), _mm512_maskz_compress_epi32(second, slots1));
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn unmarked(marks: &[u32], slots: &[u32; LANES], mask: u32) -> u32 {
    let words = _mm512_set1_epi32(marks.len() as i32);
    let half = |at: usize, mask: u32| {
        // SAFETY: sixteen slots from `at` on lie within the 32; only words within `marks` are read, whose number fits the index's sign.
        unsafe {
            let slots = _mm512_loadu_si512(slots.as_ptr().add(at).cast());
            let word = _mm512_srli_epi32::<5>(slots);
            let known = _mm512_mask_cmplt_epu32_mask(mask as u16, word, words);
            let held = _mm512_mask_i32gather_epi32::<4>(_mm512_setzero_si512(), known, word, marks.as_ptr().cast());
            let bit = _mm512_sllv_epi32(_mm512_set1_epi32(1), _mm512_and_si512(slots, _mm512_set1_epi32(31)));
            u32::from(_mm512_mask_testn_epi32_mask(mask as u16, held, bit))
        }
    };
    half(0, mask) | half(16, mask >> 16) << 16
}

#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn least(values: &[f32]) -> usize {
    let values = values.as_chunks::<16>().0;
    // SAFETY: sixteen floats.
    let load = |values: &[f32; 16]| unsafe { _mm512_loadu_ps(values.as_ptr()) };
    // The least value of each lane, and the chunk it is from: of even and of odd chunks, so that neither waits for the other.
    let (mut least, mut chunks) = ([_mm512_set1_ps(f32::INFINITY); 2], [_mm512_setzero_si512(); 2]);
    let (pairs, rest) = values.as_chunks::<2>();
    let (mut even, two) = (_mm512_setzero_si512(), _mm512_set1_epi32(2));
    for [a, b] in pairs {
        let (a, b) = (load(a), load(b));
        let nearer = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, least[0]);
        chunks[0] = _mm512_mask_mov_epi32(chunks[0], nearer, even);
        least[0] = _mm512_min_ps(a, least[0]);
        let nearer = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(b, least[1]);
        chunks[1] = _mm512_mask_mov_epi32(chunks[1], nearer, even);
        least[1] = _mm512_min_ps(b, least[1]);
        even = _mm512_add_epi32(even, two);
    }
    chunks[1] = _mm512_add_epi32(chunks[1], _mm512_set1_epi32(1));
    for a in rest {
        let a = load(a);
        let nearer = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, least[0]);
        chunks[0] = _mm512_mask_mov_epi32(chunks[0], nearer, even);
        least[0] = _mm512_min_ps(a, least[0]);
    }
    let all = _mm512_set1_ps(_mm512_reduce_min_ps(_mm512_min_ps(least[0], least[1])));
    let equal = [_mm512_cmp_ps_mask::<_CMP_EQ_OQ>(least[0], all), _mm512_cmp_ps_mask::<_CMP_EQ_OQ>(least[1], all)];
    if equal[0].count_ones() + equal[1].count_ones() == 1 {
        let (lane, chunk) = (equal[0] | equal[1], _mm512_mask_mov_epi32(chunks[1], equal[0], chunks[0]));
        let chunk = _mm512_cvtsi512_si32(_mm512_maskz_compress_epi32(lane, chunk));
        return 16 * chunk as usize + lane.trailing_zeros() as usize;
    }
    let lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    let place = |side: usize| {
        let places = _mm512_add_epi32(_mm512_slli_epi32::<4>(chunks[side]), lanes);
        _mm512_mask_mov_epi32(_mm512_set1_epi32(-1), equal[side], places)
    };
    _mm512_reduce_min_epu32(_mm512_min_epu32(place(0), place(1))) as usize
}

#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn below(values: &[f32; LANES], bound: f32) -> u32 {
    let bound = _mm512_set1_ps(bound);
    values.as_chunks::<16>().0.iter().enumerate().fold(0, |mask, (half, values)| {
        // SAFETY: sixteen floats.
        let values = unsafe { _mm512_loadu_ps(values.as_ptr()) };
        mask | u32::from(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(values, bound)) << (16 * half)
    })
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn entries(steps: &[i8; 16], out: &mut [u8; 64]) {
    // SAFETY: loads of 16 bytes from arrays of 16, and a store of 64 to one of 64.
    unsafe {
        let steps = _mm512_broadcast_i32x4(_mm_loadu_si128(steps.as_ptr().cast()));
        // The first coordinate of each of the four groups, for all entries of the group.
        let first = _mm512_set_epi64(
            0x0c0c_0c0c_0c0c_0c0c,
            0x0c0c_0c0c_0c0c_0c0c,
            0x0808_0808_0808_0808,
            0x0808_0808_0808_0808,
            0x0404_0404_0404_0404,
            0x0404_0404_0404_0404,
            0,
            0,
        );
        let mut sum = _mm512_setzero_si512();
        for (i, chosen) in CHOSEN.iter().enumerate() {
            let mine = _mm512_shuffle_epi8(steps, _mm512_add_epi8(first, _mm512_set1_epi8(i as i8)));
            let chosen = _mm512_broadcast_i32x4(_mm_loadu_si128(chosen.as_ptr().cast()));
            let lowest = _mm512_min_epi8(mine, _mm512_setzero_si512());
            sum = _mm512_add_epi8(sum, _mm512_sub_epi8(_mm512_and_si512(mine, chosen), lowest));
        }
        _mm512_storeu_si512(out.as_mut_ptr().cast(), sum);
    }
}
