//! The transform on AVX2 and AVX-512.

use std::arch::x86_64::*;

use super::signed_by_registers;

signed_by_registers!(
    signed_avx512,
    "avx512f,avx512dq",
    16,
    within_avx512,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_mul_ps,
    _mm512_add_ps,
    _mm512_sub_ps
);
signed_by_registers!(
    signed_avx2,
    "avx2",
    8,
    within_avx2,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_mul_ps,
    _mm256_add_ps,
    _mm256_sub_ps
);

/// The levels 1, 2, 4 and 8: what is so far away, plus itself, negated where it is the latter of the two.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn within_avx512(x: __m512) -> __m512 {
    let latter = |mask: u16| _mm512_castsi512_ps(_mm512_maskz_set1_epi32(mask, i32::MIN));
    let x = _mm512_add_ps(_mm512_permute_ps::<0b10_11_00_01>(x), _mm512_xor_ps(x, latter(0xaaaa)));
    let x = _mm512_add_ps(_mm512_permute_ps::<0b01_00_11_10>(x), _mm512_xor_ps(x, latter(0xcccc)));
    let x = _mm512_add_ps(_mm512_shuffle_f32x4::<0b10_11_00_01>(x, x), _mm512_xor_ps(x, latter(0xf0f0)));
    _mm512_add_ps(_mm512_shuffle_f32x4::<0b01_00_11_10>(x, x), _mm512_xor_ps(x, latter(0xff00)))
}

/// The levels 1, 2 and 4, as above.
#[inline]
#[target_feature(enable = "avx2")]
fn within_avx2(x: __m256) -> __m256 {
    let (odd, second, upper) = (
        _mm256_setr_ps(0.0, -0.0, 0.0, -0.0, 0.0, -0.0, 0.0, -0.0),
        _mm256_setr_ps(0.0, 0.0, -0.0, -0.0, 0.0, 0.0, -0.0, -0.0),
        _mm256_setr_ps(0.0, 0.0, 0.0, 0.0, -0.0, -0.0, -0.0, -0.0),
    );
    let x = _mm256_add_ps(_mm256_permute_ps::<0b10_11_00_01>(x), _mm256_xor_ps(x, odd));
    let x = _mm256_add_ps(_mm256_permute_ps::<0b01_00_11_10>(x), _mm256_xor_ps(x, second));
    _mm256_add_ps(_mm256_permute2f128_ps::<1>(x, x), _mm256_xor_ps(x, upper))
}
