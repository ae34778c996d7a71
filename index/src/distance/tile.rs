//! All distances between two sets of rows of bytes: sixteen at a time, so that each byte loaded is used four times.
//!
//! Squared distances of rows next to each other in memory cost a fraction of what they cost row by row. The machine multiplies
//! unsigned by signed bytes; with `v = u − 128`, which changes no distance,
//!
//! ```text
//! ‖a − b‖² = (‖a‖² − 256 · Σa) + ‖b‖² − 2 · Σ a·(b − 128)
//! ```
//!
//! in whole numbers, exact up to [`VectorSpec::MAX_DIM`](crate::VectorSpec::MAX_DIM) dimensions.

use super::simd::Simd;

/// Rows of a tile, and columns.
pub(crate) const SIDE: usize = 4;

/// Rows of unsigned bytes side by side, with what their distances need.
#[derive(Debug, Default)]
pub(crate) struct Panel {
    bytes: Vec<u8>,
    stride: usize,
    len: usize,
    /// Per row: `‖a‖² − 256 · Σa`.
    terms: Vec<i32>,
    /// Per row: `‖a‖²`.
    squares: Vec<i32>,
}

/// [`SIDE`] rows to be compared with a panel, as signed bytes.
#[derive(Debug, Default)]
pub(crate) struct Strip {
    bytes: Vec<i8>,
    squares: [i32; SIDE],
}

impl Panel {
    /// Holds `rows`, all of `stride` bytes, a multiple of 64; with `flip`, they are signed ones.
    #[inline(always)]
    pub(crate) fn fill<'a>(&mut self, stride: usize, flip: bool, rows: impl ExactSizeIterator<Item = &'a [u8]>) {
        (self.stride, self.len) = (stride, rows.len());
        let padded = self.len.next_multiple_of(SIDE);
        self.bytes.clear();
        self.bytes.resize(padded * stride, 0);
        self.terms.clear();
        self.squares.clear();
        let mask = if flip { 0x80 } else { 0 };
        for (row, out) in rows.zip(self.bytes.chunks_exact_mut(stride)) {
            let (mut square, mut sum) = (0_i32, 0_i32);
            for (out, byte) in out.iter_mut().zip(row) {
                *out = byte ^ mask;
                square += i32::from(*out) * i32::from(*out);
                sum += i32::from(*out);
            }
            self.terms.push(square.wrapping_sub(256 * sum));
            self.squares.push(square);
        }
        self.terms.resize(padded, 0);
        self.squares.resize(padded, 0);
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Rows `first..first + SIDE` as a strip.
    #[inline(always)]
    pub(crate) fn strip(&self, first: usize, strip: &mut Strip) {
        let bytes = &self.bytes[first * self.stride..][..SIDE * self.stride];
        strip.bytes.clear();
        strip.bytes.extend(bytes.iter().map(|byte| (byte ^ 0x80).cast_signed()));
        strip.squares.copy_from_slice(&self.squares[first..][..SIDE]);
    }

    /// `out[i]` = the distances of row `i` of the strip to every row of the panel, infinite from `len` on.
    #[inline(always)]
    pub(crate) fn distances<S: Simd>(&self, simd: S, strip: &Strip, out: &mut [Vec<f32>; SIDE]) {
        let room = self.len.next_multiple_of(32);
        for out in out.iter_mut() {
            out.resize(room, 0.0);
        }
        for (tile, rows) in self.bytes.chunks_exact(SIDE * self.stride).enumerate() {
            let at = SIDE * tile;
            let products = simd.products(rows, &strip.bytes);
            for (i, out) in out.iter_mut().enumerate() {
                for j in 0..SIDE {
                    let sum = self.terms[at + j].wrapping_add(strip.squares[i]).wrapping_sub(2 * products[i][j]);
                    out[at + j] = sum as f32;
                }
            }
        }
        for out in out.iter_mut() {
            out[self.len..].fill(f32::INFINITY);
        }
    }
}

/// `[i][j]` = the product of row `j` of `rows` with row `i` of `strip`, four of each.
#[inline(always)]
pub(super) fn products_scalar(rows: &[u8], strip: &[i8]) -> [[i32; SIDE]; SIDE] {
    let stride = rows.len() / SIDE;
    let mut products = [[0; SIDE]; SIDE];
    for (products, strip) in products.iter_mut().zip(strip.chunks_exact(stride)) {
        for (product, row) in products.iter_mut().zip(rows.chunks_exact(stride)) {
            *product = row.iter().zip(strip).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum();
        }
    }
    products
}

/// # Safety
/// The CPU has AVX-512 VNNI; both are four rows of one length, a multiple of 64.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
pub(super) unsafe fn products_avx512(rows: &[u8], strip: &[i8]) -> [[i32; SIDE]; SIDE] {
    use std::arch::x86_64::*;
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
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn products_avx2(rows: &[u8], strip: &[i8]) -> [[i32; SIDE]; SIDE] {
    use std::arch::x86_64::*;
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

#[cfg(test)]
mod tests {
    use super::super::Isa;
    use super::super::simd::{Task, dispatch};
    use super::*;

    struct Distances<'a>(&'a Panel, usize);

    impl Task for Distances<'_> {
        type Output = [Vec<f32>; SIDE];
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> Self::Output {
            let (mut strip, mut out) = Default::default();
            self.0.strip(self.1, &mut strip);
            self.0.distances(simd, &strip, &mut out);
            out
        }
    }

    /// Against sums of squared differences, with extreme bytes, on every instruction set.
    #[test]
    fn tiles_hold_the_distances_of_all_pairs() {
        let mut state = 5_u64;
        for (rows, stride, flip) in [(7, 64, false), (33, 192, true), (4, 128, false)] {
            let bytes: Vec<Vec<u8>> = (0..rows)
                .map(|row| {
                    let byte = |_| {
                        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                        if row < 2 { [0, 255][row] } else { (state >> 56) as u8 }
                    };
                    (0..stride).map(byte).collect()
                })
                .collect();
            let mut panel = Panel::default();
            panel.fill(stride, flip, bytes.iter().map(Vec::as_slice));
            let value = |byte: u8| if flip { i32::from(byte.cast_signed()) } else { i32::from(byte) };
            for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
                for first in (0..rows).step_by(SIDE) {
                    let out = dispatch(isa, Distances(&panel, first));
                    for (i, out) in out.iter().enumerate().take(rows - first) {
                        for (j, &distance) in out.iter().enumerate() {
                            let pair = bytes.get(j).map(|row| row.iter().zip(&bytes[first + i]));
                            let square = |(&a, &b): (&u8, &u8)| (value(a) - value(b)).pow(2);
                            let expected = pair.map_or(f32::INFINITY, |pair| pair.map(square).sum::<i32>() as f32);
                            assert_eq!(distance, expected, "{isa}: rows {} and {j} of {stride} bytes", first + i);
                        }
                    }
                }
            }
        }
    }
}
