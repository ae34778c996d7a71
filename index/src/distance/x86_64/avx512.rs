//! AVX-512 with VNNI and VPOPCNTDQ: sixteen floats or 64 bytes at a time.
//!
//! VNNI multiplies unsigned by signed bytes, four to a lane. For two vectors of one kind, one of them is moved by 128, and the
//! error, 128 times the sum of the other, is counted in lanes of its own.

use std::arch::x86_64::*;

use half::f16;

use super::super::lanes::{Lanes, functions_with_features};
use super::super::rows::{self, Op};
use super::super::view::{Functions, RowsView};

/// 512-bit registers.
pub(in super::super) struct Avx512;

/// Lanes of 32 bits, modulo 2^32: each stands for `ones + 128 · large`.
#[derive(Clone, Copy)]
pub(in super::super) struct Counts {
    ones: __m512i,
    large: __m512i,
}

/// `|a − b|` over unsigned bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn distances_u8(a: __m512i, b: __m512i) -> __m512i {
    _mm512_or_si512(_mm512_subs_epu8(a, b), _mm512_subs_epu8(b, a))
}

/// Signed bytes moved up by 128 into unsigned ones, or unsigned ones down by 128 into signed ones.
#[inline]
#[target_feature(enable = "avx512f")]
fn shifted_by_128(a: __m512i) -> __m512i {
    _mm512_xor_si512(a, _mm512_set1_epi8(i8::MIN))
}

impl Lanes for Avx512 {
    type Floats = __m512;
    type Bytes = __m512i;
    type Counts = Counts;

    const FLOATS: usize = 16;
    const BYTES: usize = 64;

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn zero_floats() -> __m512 {
        _mm512_setzero_ps()
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn load_f32(from: *const f32) -> __m512 {
        // SAFETY: sixteen floats can be read, by the caller's promise.
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn load_f16(from: *const f16) -> __m512 {
        // SAFETY: sixteen halves can be read, by the caller's promise.
        _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(from.cast()) })
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn add_floats(a: __m512, b: __m512) -> __m512 {
        _mm512_add_ps(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn subtract(a: __m512, b: __m512) -> __m512 {
        _mm512_sub_ps(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn absolute(a: __m512) -> __m512 {
        _mm512_abs_ps(a)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn multiply_add(sum: __m512, a: __m512, b: __m512) -> __m512 {
        _mm512_fmadd_ps(a, b, sum)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn sum_floats(a: __m512) -> f32 {
        _mm512_reduce_add_ps(a)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn load_bytes(from: *const u8) -> __m512i {
        // SAFETY: 64 bytes can be read, by the caller's promise.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn raise(a: __m512i) -> __m512i {
        shifted_by_128(a)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn zero_counts() -> Counts {
        Counts { ones: _mm512_setzero_si512(), large: _mm512_setzero_si512() }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn add_counts(a: Counts, b: Counts) -> Counts {
        Counts { ones: _mm512_add_epi32(a.ones, b.ones), large: _mm512_add_epi32(a.large, b.large) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn sum_counts(a: Counts) -> u32 {
        let lanes = _mm512_add_epi32(a.ones, _mm512_slli_epi32::<7>(a.large));
        _mm512_reduce_add_epi32(lanes).cast_unsigned()
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn add_squared_differences(sum: Counts, a: __m512i, b: __m512i) -> Counts {
        let distances = distances_u8(a, b);
        let even = _mm512_and_si512(distances, _mm512_set1_epi16(0x00ff));
        let odd = _mm512_srli_epi16::<8>(distances);
        let ones = _mm512_dpwssd_epi32(_mm512_dpwssd_epi32(sum.ones, even, even), odd, odd);
        Counts { ones, ..sum }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn add_absolute_differences(sum: Counts, a: __m512i, b: __m512i) -> Counts {
        Counts { ones: _mm512_add_epi32(sum.ones, _mm512_sad_epu8(a, b)), ..sum }
    }

    /// `a · b = a · (b − 128) + 128 · a`
    #[inline]
    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn add_products_u8(sum: Counts, a: __m512i, b: __m512i) -> Counts {
        Counts {
            ones: _mm512_dpbusd_epi32(sum.ones, a, shifted_by_128(b)),
            large: _mm512_dpbusd_epi32(sum.large, a, _mm512_set1_epi8(1)),
        }
    }

    /// `a · b = (a + 128) · b − 128 · b`
    #[inline]
    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn add_products_i8(sum: Counts, a: __m512i, b: __m512i) -> Counts {
        let sum_of_b = _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_set1_epi8(1), b);
        Counts {
            ones: _mm512_dpbusd_epi32(sum.ones, shifted_by_128(a), b),
            large: _mm512_sub_epi32(sum.large, sum_of_b),
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512vpopcntdq")]
    unsafe fn add_differing_bits(sum: Counts, a: __m512i, b: __m512i) -> Counts {
        Counts { ones: _mm512_add_epi32(sum.ones, _mm512_popcnt_epi32(_mm512_xor_si512(a, b))), ..sum }
    }

    functions_with_features!("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vpopcntdq");
}
