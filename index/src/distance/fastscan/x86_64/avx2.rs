//! AVX2 with FMA and F16C: 32 nibbles looked up at once.

use std::arch::x86_64::*;

use crate::distance::fastscan::scalar::Scalar;
use crate::distance::fastscan::table::CHOSEN;
use crate::distance::fastscan::{Block, LANES, Table};
use crate::distance::hadamard::x86_64::signed_avx2 as hadamard;
use crate::distance::nibbles::x86_64::{fine_product_avx2 as fine_product, products_avx2 as nibble_products};
use crate::distance::prefetch::prefetch;
use crate::distance::residual::x86_64::residual_avx2 as residual;
use crate::distance::simd::{LINE, Simd, Task, simd_by_kernels};
use crate::distance::tile::x86_64::products_avx2 as products;

use super::Quarters;

/// AVX2, FMA and F16C; made only by [`run`].
#[derive(Debug, Clone, Copy)]
pub(in super::super::super) struct Avx2(());

/// # Safety
/// The CPU has what [`Avx2`] stands for.
#[target_feature(enable = "avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt")]
pub(in super::super::super) unsafe fn run<T: Task>(task: T) -> T::Output {
    task.run(Avx2(()))
}

simd_by_kernels!(Avx2);

#[inline]
#[target_feature(enable = "avx2")]
unsafe fn quarters(codes: &[u8], table: &[u8], ahead: &[u8]) -> Quarters {
    let mut lines = ahead.chunks(LINE);
    let (codes, table, len) = (codes.as_ptr(), table.as_ptr(), table.len());
    let mut sums = [_mm256_setzero_si256(); 4];
    let nibbles = _mm256_set1_epi8(15);
    for at in (0..len).step_by(32) {
        lines.next().inspect(|line| prefetch(line.as_ptr()));
        // SAFETY: codes and table are of one length, a multiple of 32 (the caller's promise).
        let (codes, table) =
            unsafe { (_mm256_loadu_si256(codes.add(at).cast()), _mm256_loadu_si256(table.add(at).cast())) };
        let low = _mm256_shuffle_epi8(table, _mm256_and_si256(codes, nibbles));
        let high = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16::<4>(codes), nibbles));
        sums[0] = _mm256_add_epi16(sums[0], low);
        sums[1] = _mm256_add_epi16(sums[1], _mm256_srli_epi16::<8>(low));
        sums[2] = _mm256_add_epi16(sums[2], high);
        sums[3] = _mm256_add_epi16(sums[3], _mm256_srli_epi16::<8>(high));
    }
    sums[0] = _mm256_sub_epi16(sums[0], _mm256_slli_epi16::<8>(sums[1]));
    sums[2] = _mm256_sub_epi16(sums[2], _mm256_slli_epi16::<8>(sums[3]));
    sums.map(|sum| _mm_add_epi16(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum)))
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn estimates(
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
    let (step, base) = (_mm256_set1_ps(table.step * unit), _mm256_set1_ps(table.base * unit));
    let (distance, bound) = (_mm256_set1_ps(distance), _mm256_set1_ps(bound));
    let add_unit = _mm256_set1_ps(block.units.add);
    let mut below = 0;
    for (quarter, &sums) in quarters.iter().enumerate() {
        let product = _mm256_fmadd_ps(_mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(sums)), step, base);
        let at = 8 * quarter;
        // SAFETY: eight lanes from `at` on lie within the 32 of each array.
        unsafe {
            let add = _mm256_cvtph_ps(_mm_loadu_si128(block.add.as_ptr().add(at).cast()));
            let rescale = _mm256_cvtph_ps(_mm_loadu_si128(block.rescale.as_ptr().add(at).cast()));
            let estimate = _mm256_fmadd_ps(rescale, product, _mm256_fmadd_ps(add, add_unit, distance));
            _mm256_storeu_ps(out.as_mut_ptr().add(at), estimate);
            below |= _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_LT_OQ>(estimate, bound)).cast_unsigned() << at;
        }
    }
    below
}

/// Widened to 16 bits, for products of whole bytes do not fit the sums of `maddubs`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn product(code: &[u8], query: &[i8]) -> i32 {
    let mut sums = [_mm256_setzero_si256(); 2];
    for at in (0..code.len()).step_by(32) {
        for (half, sum) in sums.iter_mut().enumerate() {
            // SAFETY: both are of one length, a multiple of 32 (the caller's promise).
            let (code, query) = unsafe {
                let at = at + 16 * half;
                (_mm_loadu_si128(code.as_ptr().add(at).cast()), _mm_loadu_si128(query.as_ptr().add(at).cast()))
            };
            let products = _mm256_madd_epi16(_mm256_cvtepu8_epi16(code), _mm256_cvtepi8_epi16(query));
            *sum = _mm256_add_epi32(*sum, products);
        }
    }
    let sum = _mm256_add_epi32(sums[0], sums[1]);
    let sum = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
    let sum = _mm_add_epi32(sum, _mm_shuffle_epi32::<0b01_00_11_10>(sum));
    _mm_cvtsi128_si32(_mm_add_epi32(sum, _mm_shuffle_epi32::<0b10_11_00_01>(sum)))
}

#[inline]
#[target_feature(enable = "avx2")]
unsafe fn least(values: &[f32]) -> usize {
    let values = values.as_chunks::<16>().0;
    let mut least = [_mm256_set1_ps(f32::INFINITY); 2];
    for values in values {
        // SAFETY: eight floats from 0 and from 8 on lie within sixteen.
        unsafe {
            least[0] = _mm256_min_ps(least[0], _mm256_loadu_ps(values.as_ptr()));
            least[1] = _mm256_min_ps(least[1], _mm256_loadu_ps(values.as_ptr().add(8)));
        }
    }
    let least = _mm256_min_ps(least[0], least[1]);
    let least = _mm256_min_ps(least, _mm256_permute2f128_ps::<1>(least, least));
    let least = _mm256_min_ps(least, _mm256_permute_ps::<0b01_00_11_10>(least));
    let least = _mm256_min_ps(least, _mm256_permute_ps::<0b10_11_00_01>(least));
    for (chunk, values) in values.iter().enumerate() {
        // SAFETY: as above.
        let equal = unsafe {
            let low = _mm256_cmp_ps::<_CMP_EQ_OQ>(_mm256_loadu_ps(values.as_ptr()), least);
            let high = _mm256_cmp_ps::<_CMP_EQ_OQ>(_mm256_loadu_ps(values.as_ptr().add(8)), least);
            _mm256_movemask_ps(low) | _mm256_movemask_ps(high) << 8
        };
        if equal != 0 {
            return 16 * chunk + equal.trailing_zeros() as usize;
        }
    }
    0
}

#[inline]
#[target_feature(enable = "avx2")]
unsafe fn below(values: &[f32; LANES], bound: f32) -> u32 {
    let bound = _mm256_set1_ps(bound);
    values.as_chunks::<8>().0.iter().enumerate().fold(0, |mask, (quarter, values)| {
        // SAFETY: eight floats.
        let values = unsafe { _mm256_loadu_ps(values.as_ptr()) };
        mask | _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_LT_OQ>(values, bound)).cast_unsigned() << (8 * quarter)
    })
}

#[inline]
#[target_feature(enable = "avx2")]
unsafe fn entries(steps: &[i8; 16], out: &mut [u8; 64]) {
    for (half, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        // SAFETY: loads of 16 bytes from arrays of 16, and a store of 32 to one of 32.
        unsafe {
            let steps = _mm256_broadcastsi128_si256(_mm_loadu_si128(steps.as_ptr().cast()));
            let mut sum = _mm256_setzero_si256();
            for (i, chosen) in CHOSEN.iter().enumerate() {
                let (low, high) = ((8 * half + i) as i8, (8 * half + 4 + i) as i8);
                let mine = _mm256_shuffle_epi8(steps, _mm256_set_m128i(_mm_set1_epi8(high), _mm_set1_epi8(low)));
                let chosen = _mm256_broadcastsi128_si256(_mm_loadu_si128(chosen.as_ptr().cast()));
                let lowest = _mm256_min_epi8(mine, _mm256_setzero_si256());
                sum = _mm256_add_epi8(sum, _mm256_sub_epi8(_mm256_and_si256(mine, chosen), lowest));
            }
            _mm256_storeu_si256(out.as_mut_ptr().cast(), sum);
        }
    }
}

/// Without registers: AVX2 has no such shuffle, and few lanes are chosen.
#[inline]
#[target_feature(enable = "avx2")]
fn compress(mask: u32, from: (&[f32; LANES], &[u32; LANES]), to: (&mut [f32; LANES], &mut [u32; LANES])) {
    Scalar.compress(mask, from, to);
}

/// Without registers: AVX2 gathers no faster than it loads, and few lanes are asked for.
#[inline]
#[target_feature(enable = "avx2")]
fn unmarked(marks: &[u32], slots: &[u32; LANES], mask: u32) -> u32 {
    Scalar.unmarked(marks, slots, mask)
}
