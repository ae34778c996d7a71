//! The transform on AVX2 and AVX-512: the first levels within a register, then two at a time between registers.

use std::arch::x86_64::*;

/// Defines `$name`, the transform of `x · signs`, by the operations of one instruction set; `$within` are the levels in a register.
macro_rules! signed {
    ($name:ident, $features:literal, $lanes:literal, $within:ident, $load:ident, $store:ident, $mul:ident, $add:ident, $sub:ident) => {
        /// # Safety
        /// The CPU has the features; both are of one length, a power of two of at least 32.
        #[inline]
        #[target_feature(enable = $features)]
        pub(in super::super) unsafe fn $name(x: &mut [f32], signs: &[f32]) {
            let len = x.len();
            let (x, signs) = (x.as_mut_ptr(), signs.as_ptr());
            for at in (0..len).step_by($lanes) {
                // SAFETY: `len` is a multiple of the lanes.
                unsafe { $store(x.add(at), $within($mul($load(x.add(at)), $load(signs.add(at))))) };
            }
            let mut apart = $lanes;
            while 4 * apart <= len {
                for first in (0..len).step_by(4 * apart) {
                    for at in (first..first + apart).step_by($lanes) {
                        // SAFETY: four quarters of `apart` coordinates begin at `first`, and end by `len`.
                        unsafe {
                            let [p, q, r, s] =
                                [x.add(at), x.add(at + apart), x.add(at + 2 * apart), x.add(at + 3 * apart)];
                            let (a, b, c, d) = ($load(p), $load(q), $load(r), $load(s));
                            let (low, high) = (($add(a, b), $sub(a, b)), ($add(c, d), $sub(c, d)));
                            $store(p, $add(low.0, high.0));
                            $store(q, $add(low.1, high.1));
                            $store(r, $sub(low.0, high.0));
                            $store(s, $sub(low.1, high.1));
                        }
                    }
                }
                apart *= 4;
            }
            if apart < len {
                for at in (0..apart).step_by($lanes) {
                    // SAFETY: `apart` is half of `len`.
                    unsafe {
                        let (a, b) = ($load(x.add(at)), $load(x.add(at + apart)));
                        $store(x.add(at), $add(a, b));
                        $store(x.add(at + apart), $sub(a, b));
                    }
                }
            }
        }
    };
}

signed!(
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
signed!(
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
