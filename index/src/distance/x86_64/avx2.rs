//! AVX2 with FMA and F16C: eight floats or 32 bytes at a time.
//!
//! Bytes are widened to 16 bits as even and odd ones, by a mask and a shift rather than a shuffle: the order in which they are
//! summed does not matter, and shuffles have fewer ports. `maddubs` would take bytes as they are but saturates.

use std::arch::x86_64::*;

use half::f16;

use super::super::lanes::{Lanes, functions_with_features};
use super::super::rows::{self, Op};
use super::super::view::{Functions, RowsView};

/// 256-bit registers.
pub(in super::super) struct Avx2;

/// The even bytes of each pair, as 16-bit numbers.
#[inline]
#[target_feature(enable = "avx2")]
fn even_u8(a: __m256i) -> __m256i {
    _mm256_and_si256(a, _mm256_set1_epi16(0x00ff))
}

/// The odd bytes of each pair, as 16-bit numbers.
#[inline]
#[target_feature(enable = "avx2")]
fn odd_u8(a: __m256i) -> __m256i {
    _mm256_srli_epi16::<8>(a)
}

#[inline]
#[target_feature(enable = "avx2")]
fn even_i8(a: __m256i) -> __m256i {
    _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(a))
}

#[inline]
#[target_feature(enable = "avx2")]
fn odd_i8(a: __m256i) -> __m256i {
    _mm256_srai_epi16::<8>(a)
}

/// `|a − b|` over unsigned bytes.
#[inline]
#[target_feature(enable = "avx2")]
fn distances_u8(a: __m256i, b: __m256i) -> __m256i {
    _mm256_or_si256(_mm256_subs_epu8(a, b), _mm256_subs_epu8(b, a))
}

/// `sum + Σ a · b` over 16-bit numbers.
#[inline]
#[target_feature(enable = "avx2")]
fn add_products_i16(sum: __m256i, a: __m256i, b: __m256i) -> __m256i {
    _mm256_add_epi32(sum, _mm256_madd_epi16(a, b))
}

impl Lanes for Avx2 {
    type Floats = __m256;
    type Bytes = __m256i;
    type Counts = __m256i;

    const FLOATS: usize = 8;
    const BYTES: usize = 32;

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn zero_floats() -> __m256 {
        _mm256_setzero_ps()
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn load_f32(from: *const f32) -> __m256 {
        // SAFETY: eight floats can be read, by the caller's promise.
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    unsafe fn load_f16(from: *const f16) -> __m256 {
        // SAFETY: eight halves can be read, by the caller's promise.
        _mm256_cvtph_ps(unsafe { _mm_loadu_si128(from.cast()) })
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn add_floats(a: __m256, b: __m256) -> __m256 {
        _mm256_add_ps(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn subtract(a: __m256, b: __m256) -> __m256 {
        _mm256_sub_ps(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn absolute(a: __m256) -> __m256 {
        _mm256_andnot_ps(_mm256_set1_ps(-0.0), a)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn multiply_add(sum: __m256, a: __m256, b: __m256) -> __m256 {
        _mm256_fmadd_ps(a, b, sum)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn sum_floats(a: __m256) -> f32 {
        let four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn load_bytes(from: *const u8) -> __m256i {
        // SAFETY: 32 bytes can be read, by the caller's promise.
        unsafe { _mm256_loadu_si256(from.cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn raise(a: __m256i) -> __m256i {
        _mm256_xor_si256(a, _mm256_set1_epi8(i8::MIN))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn zero_counts() -> __m256i {
        _mm256_setzero_si256()
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn add_counts(a: __m256i, b: __m256i) -> __m256i {
        _mm256_add_epi32(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn sum_counts(a: __m256i) -> u32 {
        let four = _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256::<1>(a));
        let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b11_10>(four));
        _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<0b01>(two))).cast_unsigned()
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn add_squared_differences(sum: __m256i, a: __m256i, b: __m256i) -> __m256i {
        let distances = distances_u8(a, b);
        let (even, odd) = (even_u8(distances), odd_u8(distances));
        add_products_i16(add_products_i16(sum, even, even), odd, odd)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn add_absolute_differences(sum: __m256i, a: __m256i, b: __m256i) -> __m256i {
        _mm256_add_epi32(sum, _mm256_sad_epu8(a, b))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn add_products_u8(sum: __m256i, a: __m256i, b: __m256i) -> __m256i {
        add_products_i16(add_products_i16(sum, even_u8(a), even_u8(b)), odd_u8(a), odd_u8(b))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn add_products_i8(sum: __m256i, a: __m256i, b: __m256i) -> __m256i {
        add_products_i16(add_products_i16(sum, even_i8(a), even_i8(b)), odd_i8(a), odd_i8(b))
    }

    /// Counts the bits of each half byte by a table of sixteen.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn add_differing_bits(sum: __m256i, a: __m256i, b: __m256i) -> __m256i {
        let ones = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
        let (half, differing) = (_mm256_set1_epi8(0x0f), _mm256_xor_si256(a, b));
        let low = _mm256_shuffle_epi8(ones, _mm256_and_si256(differing, half));
        let high = _mm256_shuffle_epi8(ones, _mm256_and_si256(_mm256_srli_epi16::<4>(differing), half));
        _mm256_add_epi32(sum, _mm256_sad_epu8(_mm256_add_epi8(low, high), _mm256_setzero_si256()))
    }

    functions_with_features!("avx2,fma,f16c");
}
