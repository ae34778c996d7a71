//! Four rows of bytes by four on AVX2 and AVX-512.

use std::arch::x86_64::*;

use super::SIDE;

/// # Safety
/// The CPU has AVX-512 VNNI; both are four rows of one length, a multiple of 64.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
pub(in super::super) unsafe fn products_avx512(rows: &[u8], strip: &[i8]) -> [[i32; SIDE]; SIDE] {
    let stride = rows.len() / SIDE;
    let mut sums = [[_mm512_setzero_si512(); SIDE]; SIDE];
    for at in (0..stride).step_by(64) {
        // SAFETY: 64 bytes from `at` on lie within each row.
        let (a, b) = unsafe {
            let a = |j: usize| _mm512_loadu_si512(rows.as_ptr().add(j * stride + at).cast());
            let b = |i: usize| _mm512_loadu_si512(strip.as_ptr().add(i * stride + at).cast());
            ([a(0), a(1), a(2), a(3)], [b(0), b(1), b(2), b(3)])
        };
        for i in 0..SIDE {
            for j in 0..SIDE {
                sums[i][j] = _mm512_dpbusd_epi32(sums[i][j], a[j], b[i]);
            }
        }
    }
    // Each lane of 128 bits of `quads[i]` holds partial sums of the four products of row i.
    let mut quads = [_mm512_setzero_si512(); SIDE];
    for i in 0..SIDE {
        let [a, b, c, d] = sums[i];
        let ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
        let cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
        quads[i] = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    }
    let [a, b, c, d] = quads;
    let ab = _mm512_add_epi32(_mm512_shuffle_i32x4::<0x88>(a, b), _mm512_shuffle_i32x4::<0xdd>(a, b));
    let cd = _mm512_add_epi32(_mm512_shuffle_i32x4::<0x88>(c, d), _mm512_shuffle_i32x4::<0xdd>(c, d));
    let all = _mm512_add_epi32(_mm512_shuffle_i32x4::<0x88>(ab, cd), _mm512_shuffle_i32x4::<0xdd>(ab, cd));
    let mut products = [[0; SIDE]; SIDE];
    // SAFETY: sixteen words.
    unsafe { _mm512_storeu_si512(products.as_mut_ptr().cast(), all) };
    products
}

/// # Safety
/// The CPU has AVX2; both are four rows of one length, a multiple of 16.
#[inline]
#[target_feature(enable = "avx2")]
pub(in super::super) unsafe fn products_avx2(rows: &[u8], strip: &[i8]) -> [[i32; SIDE]; SIDE] {
    let stride = rows.len() / SIDE;
    let mut products = [[0; SIDE]; SIDE];
    // Two rows of the strip at once: eight sums and what they are made of fit sixteen registers.
    for half in 0..2 {
        let mut sums = [[_mm256_setzero_si256(); 2]; SIDE];
        for at in (0..stride).step_by(16) {
            // SAFETY: 16 bytes from `at` on lie within each row.
            let b = |i: usize| unsafe {
                let row = strip.as_ptr().add((2 * half + i) * stride + at);
                _mm256_cvtepi8_epi16(_mm_loadu_si128(row.cast()))
            };
            let b = [b(0), b(1)];
            for (j, sums) in sums.iter_mut().enumerate() {
                // SAFETY: as above.
                let a = unsafe { _mm256_cvtepu8_epi16(_mm_loadu_si128(rows.as_ptr().add(j * stride + at).cast())) };
                for i in 0..2 {
                    sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(a, b[i]));
                }
            }
        }
        for i in 0..2 {
            let [a, b, c, d] = [sums[0][i], sums[1][i], sums[2][i], sums[3][i]];
            let sum = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
            let sum = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
            // SAFETY: four words.
            unsafe { _mm_storeu_si128(products[2 * half + i].as_mut_ptr().cast(), sum) };
        }
    }
    products
}
