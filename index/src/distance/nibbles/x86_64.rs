//! Nibbles looked up by byte shuffles, their levels multiplied in pairs.
//!
//! Levels are below 128 and queries are signed bytes, so two products fit 16 bits and `maddubs` never saturates.

use std::arch::x86_64::*;

use super::bytes::{BYTE_STEPS, HIGH_BASES, LOW_BASES};
use super::{BASES, CHUNK, Gather, STEPS};

/// Bytes that hold a chunk's nibbles.
const LINE: usize = CHUNK / 2;

/// # Safety
/// The CPU has the features; as many `out` as slots.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2")]
pub(in super::super) unsafe fn products_avx512(gather: Gather<'_>, out: &mut [i32]) {
    // SAFETY: an array of 16 bytes is read.
    let levels = unsafe { _mm512_broadcast_i32x4(_mm_loadu_si128(gather.levels.as_ptr().cast())) };
    let (nibbles, query) = (_mm512_set1_epi8(15), gather.query);
    let mut at = 0;
    while at + 4 <= gather.slots.len() {
        let rows = [gather.row(at), gather.row(at + 1), gather.row(at + 2), gather.row(at + 3)];
        let mut sums = [_mm512_setzero_si512(); 4];
        for chunk in 0..query.len() / CHUNK {
            // SAFETY: a row has 64 bytes and the query 128 for each chunk.
            unsafe {
                let first = _mm512_loadu_si512(query.as_ptr().add(chunk * CHUNK).cast());
                let second = _mm512_loadu_si512(query.as_ptr().add(chunk * CHUNK + LINE).cast());
                for row in 0..4 {
                    let codes = _mm512_loadu_si512(rows[row].as_ptr().add(chunk * LINE).cast());
                    let low = _mm512_shuffle_epi8(levels, _mm512_and_si512(codes, nibbles));
                    let high = _mm512_and_si512(_mm512_srli_epi16::<4>(codes), nibbles);
                    let high = _mm512_shuffle_epi8(levels, high);
                    sums[row] = _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(sums[row], low, first), high, second);
                }
            }
        }
        let mut halves = [_mm256_setzero_si256(); 4];
        for row in 0..4 {
            halves[row] =
                _mm256_add_epi32(_mm512_castsi512_si256(sums[row]), _mm512_extracti64x4_epi64::<1>(sums[row]));
        }
        // SAFETY: four sums from `at` on fit in `out` (the caller's promise).
        unsafe { _mm_storeu_si128(out[at..][..4].as_mut_ptr().cast(), total(halves)) };
        at += 4;
    }
    for (at, out) in out.iter_mut().enumerate().skip(at) {
        let row = gather.row(at);
        let mut sums = [_mm512_setzero_si512(); 2];
        for chunk in 0..query.len() / CHUNK {
            // SAFETY: as above.
            unsafe {
                let first = _mm512_loadu_si512(query.as_ptr().add(chunk * CHUNK).cast());
                let second = _mm512_loadu_si512(query.as_ptr().add(chunk * CHUNK + LINE).cast());
                let codes = _mm512_loadu_si512(row.as_ptr().add(chunk * LINE).cast());
                let low = _mm512_shuffle_epi8(levels, _mm512_and_si512(codes, nibbles));
                let high = _mm512_shuffle_epi8(levels, _mm512_and_si512(_mm512_srli_epi16::<4>(codes), nibbles));
                sums = [_mm512_dpbusd_epi32(sums[0], low, first), _mm512_dpbusd_epi32(sums[1], high, second)];
            }
        }
        *out = _mm512_reduce_add_epi32(_mm512_add_epi32(sums[0], sums[1]));
    }
}

/// # Safety
/// The CPU has the features; as many `out` as slots.
#[inline]
#[target_feature(enable = "avx2")]
pub(in super::super) unsafe fn products_avx2(gather: Gather<'_>, out: &mut [i32]) {
    // SAFETY: an array of 16 bytes is read.
    let levels = unsafe { _mm256_broadcastsi128_si256(_mm_loadu_si128(gather.levels.as_ptr().cast())) };
    let (nibbles, ones, query) = (_mm256_set1_epi8(15), _mm256_set1_epi16(1), gather.query);
    for (at, out) in out.iter_mut().enumerate() {
        let row = gather.row(at);
        let mut sums = [_mm256_setzero_si256(); 2];
        for chunk in 0..query.len() / CHUNK {
            for half in 0..2 {
                // SAFETY: a row has 64 bytes and the query 128 for each chunk.
                unsafe {
                    let at = query.as_ptr().add(chunk * CHUNK + 32 * half);
                    let (first, second) = (_mm256_loadu_si256(at.cast()), _mm256_loadu_si256(at.add(LINE).cast()));
                    let codes = _mm256_loadu_si256(row.as_ptr().add(chunk * LINE + 32 * half).cast());
                    let low = _mm256_shuffle_epi8(levels, _mm256_and_si256(codes, nibbles));
                    let high = _mm256_and_si256(_mm256_srli_epi16::<4>(codes), nibbles);
                    let high = _mm256_shuffle_epi8(levels, high);
                    let low = _mm256_madd_epi16(_mm256_maddubs_epi16(low, first), ones);
                    let high = _mm256_madd_epi16(_mm256_maddubs_epi16(high, second), ones);
                    sums = [_mm256_add_epi32(sums[0], low), _mm256_add_epi32(sums[1], high)];
                }
            }
        }
        let zero = _mm256_setzero_si256();
        *out = _mm_cvtsi128_si32(total([_mm256_add_epi32(sums[0], sums[1]), zero, zero, zero]));
    }
}

/// The sums over each of four registers.
#[inline]
#[target_feature(enable = "avx2")]
fn total(rows: [__m256i; 4]) -> __m128i {
    let pairs = _mm256_hadd_epi32(_mm256_hadd_epi32(rows[0], rows[1]), _mm256_hadd_epi32(rows[2], rows[3]));
    _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256::<1>(pairs))
}

/// # Safety
/// The CPU has the features; `high` and `low` are half as long as `query`, whose length is a multiple of [`CHUNK`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2")]
pub(in super::super) unsafe fn fine_product_avx512(high: &[u8], low: &[u8], query: &[i16]) -> i32 {
    // SAFETY: sixteen words are read from each table.
    let (bases, steps) = unsafe {
        let table = |words: &[i16; 16]| _mm512_broadcast_i64x4(_mm256_loadu_si256(words.as_ptr().cast()));
        (table(&BASES), table(&STEPS))
    };
    let nibbles = _mm512_set1_epi16(15);
    let mut sums = [_mm512_setzero_si512(); 2];
    for chunk in 0..query.len() / CHUNK {
        for half in 0..2 {
            // SAFETY: 32 bytes of each code and 32 words of the query at either place lie within them (the caller's promise).
            unsafe {
                let at = chunk * LINE + 32 * half;
                let high = _mm512_cvtepu8_epi16(_mm256_loadu_si256(high.as_ptr().add(at).cast()));
                let low = _mm512_cvtepu8_epi16(_mm256_loadu_si256(low.as_ptr().add(at).cast()));
                let query = query.as_ptr().add(chunk * CHUNK + 32 * half);
                let value = |high, low| {
                    let (high, low) = (_mm512_and_si512(high, nibbles), _mm512_and_si512(low, nibbles));
                    let product = _mm512_mullo_epi16(_mm512_permutexvar_epi16(high, steps), low);
                    _mm512_add_epi16(_mm512_permutexvar_epi16(high, bases), product)
                };
                let first = _mm512_madd_epi16(value(high, low), _mm512_loadu_si512(query.cast()));
                let (high, low) = (_mm512_srli_epi16::<4>(high), _mm512_srli_epi16::<4>(low));
                let second = _mm512_madd_epi16(value(high, low), _mm512_loadu_si512(query.add(LINE).cast()));
                sums = [_mm512_add_epi32(sums[0], first), _mm512_add_epi32(sums[1], second)];
            }
        }
    }
    _mm512_reduce_add_epi32(_mm512_add_epi32(sums[0], sums[1]))
}

/// # Safety
/// The CPU has the features; `high` and `low` are half as long as `query`, whose length is a multiple of [`CHUNK`].
#[inline]
#[target_feature(enable = "avx2")]
pub(in super::super) unsafe fn fine_product_avx2(high: &[u8], low: &[u8], query: &[i16]) -> i32 {
    // SAFETY: sixteen bytes are read from each table.
    let [low_bases, high_bases, steps] = unsafe {
        let table = |bytes: &[u8; 16]| _mm256_broadcastsi128_si256(_mm_loadu_si128(bytes.as_ptr().cast()));
        [table(&LOW_BASES), table(&HIGH_BASES), table(&BYTE_STEPS)]
    };
    // A set top bit in the upper byte of a word makes a shuffle write zero there.
    let (nibbles, lower) = (_mm256_set1_epi16(15), _mm256_set1_epi16(0x8000_u16.cast_signed()));
    let mut sums = [_mm256_setzero_si256(); 2];
    for at in (0..query.len() / 2).step_by(16) {
        // SAFETY: 16 bytes of each code and 16 words of the query at either place lie within them (the caller's promise).
        unsafe {
            let high = _mm256_cvtepu8_epi16(_mm_loadu_si128(high.as_ptr().add(at).cast()));
            let low = _mm256_cvtepu8_epi16(_mm_loadu_si128(low.as_ptr().add(at).cast()));
            let query = query.as_ptr().add(at / LINE * CHUNK + at % LINE);
            let value = |high, low| {
                let (high, low) = (_mm256_and_si256(high, nibbles), _mm256_and_si256(low, nibbles));
                let index = _mm256_or_si256(high, lower);
                let base = _mm256_slli_epi16::<8>(_mm256_shuffle_epi8(high_bases, high));
                let base = _mm256_or_si256(base, _mm256_shuffle_epi8(low_bases, index));
                _mm256_add_epi16(base, _mm256_mullo_epi16(_mm256_shuffle_epi8(steps, index), low))
            };
            let first = _mm256_madd_epi16(value(high, low), _mm256_loadu_si256(query.cast()));
            let (high, low) = (_mm256_srli_epi16::<4>(high), _mm256_srli_epi16::<4>(low));
            let second = _mm256_madd_epi16(value(high, low), _mm256_loadu_si256(query.add(LINE).cast()));
            sums = [_mm256_add_epi32(sums[0], first), _mm256_add_epi32(sums[1], second)];
        }
    }
    let zero = _mm256_setzero_si256();
    _mm_cvtsi128_si32(total([_mm256_add_epi32(sums[0], sums[1]), zero, zero, zero]))
}
