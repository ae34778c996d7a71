//! All distances between two sets of rows of bytes, or within one: sixteen at a time, so that each byte loaded is used four times.
//!
//! Squared distances of rows next to each other in memory cost a fraction of what they cost row by row. The machine multiplies
//! unsigned by signed bytes; with `v = u − 128`, which changes no distance,
//!
//! ```text
//! ‖a − b‖² = (‖a‖² − 256 · Σa) + ‖b‖² − 2 · Σ a·(b − 128)
//! ```
//!
//! in whole numbers, exact up to [`VectorSpec::MAX_DIM`](crate::VectorSpec::MAX_DIM) dimensions.

#[cfg(target_arch = "aarch64")]
pub(super) mod aarch64;
#[cfg(target_arch = "x86_64")]
pub(super) mod x86_64;

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

/// The distances of all pairs of rows of a panel.
#[derive(Debug, Default)]
pub(crate) struct Pairs {
    /// A row of distances for each row of the panel, padding included.
    distances: Vec<f32>,
    stride: usize,
    /// Distances of a row in use: a multiple of 32.
    room: usize,
}

impl Pairs {
    /// The distances of row `index` to every row of the panel, infinite from there on, in whole blocks of 32.
    #[inline(always)]
    pub(crate) fn row(&self, index: usize) -> &[f32] {
        &self.distances[index * self.stride..][..self.room]
    }
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

    /// Computes the distances of all pairs, each once, by way of a strip.
    #[inline(always)]
    pub(crate) fn pairs<S: Simd>(&self, simd: S, strip: &mut Strip, out: &mut Pairs) {
        out.room = self.len.next_multiple_of(32);
        // A line more than needed: at a power of two the tiles below the diagonal would all fall on a few lines of the cache.
        out.stride = out.room + 16;
        out.distances.resize(self.len.next_multiple_of(SIDE) * out.stride, 0.0);
        for first in (0..self.len).step_by(SIDE) {
            self.strip(first, strip);
            for (tile, rows) in self.bytes.chunks_exact(SIDE * self.stride).enumerate().skip(first / SIDE) {
                let at = SIDE * tile;
                let distances = self.tile(simd, at, rows, strip);
                for (i, distances) in distances.iter().enumerate() {
                    out.distances[(first + i) * out.stride + at..][..SIDE].copy_from_slice(distances);
                }
                let [a, b, c, d] = &distances;
                for j in 0..SIDE {
                    let column = [a[j], b[j], c[j], d[j]];
                    out.distances[(at + j) * out.stride + first..][..SIDE].copy_from_slice(&column);
                }
            }
        }
        for row in out.distances.chunks_exact_mut(out.stride) {
            row[self.len..].fill(f32::INFINITY);
        }
    }

    /// `[i][j]` = the distance of row `at + j`, of those that `rows` are, to row `i` of the strip.
    #[inline(always)]
    fn tile<S: Simd>(&self, simd: S, at: usize, rows: &[u8], strip: &Strip) -> [[f32; SIDE]; SIDE] {
        let products = simd.products(rows, &strip.bytes);
        let terms: &[i32; SIDE] = self.terms[at..].first_chunk().expect("whole tiles");
        let mut distances = [[0.0; SIDE]; SIDE];
        for i in 0..SIDE {
            for j in 0..SIDE {
                let sum = terms[j].wrapping_add(strip.squares[i]).wrapping_sub(2 * products[i][j]);
                distances[i][j] = sum as f32;
            }
        }
        distances
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
            let distances = self.tile(simd, at, rows, strip);
            out.iter_mut().zip(&distances).for_each(|(out, distances)| out[at..][..SIDE].copy_from_slice(distances));
        }
        for out in out.iter_mut() {
            out[self.len..].fill(f32::INFINITY);
        }
    }
}

/// The buffers of comparing the rows of one panel with those of another.
#[derive(Debug, Default)]
pub(crate) struct Tiles {
    strip: Strip,
    distances: [Vec<f32>; SIDE],
}

impl Tiles {
    /// Hands the number of each of `rows` and its distances from those of `others`, infinite ones behind them, to `take`.
    #[inline(always)]
    pub(crate) fn compare<S: Simd>(
        &mut self,
        simd: S,
        rows: &Panel,
        others: &Panel,
        mut take: impl FnMut(usize, &[f32]),
    ) {
        for first in (0..rows.len()).step_by(SIDE) {
            rows.strip(first, &mut self.strip);
            others.distances(simd, &self.strip, &mut self.distances);
            let rows = first..rows.len().min(first + SIDE);
            rows.zip(&self.distances).for_each(|(row, distances)| take(row, distances));
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

#[cfg(test)]
mod tests {
    use super::super::Isa;
    use super::super::simd::{Task, dispatch};
    use super::*;

    struct Distances<'a>(&'a Panel, usize);

    struct AllPairs<'a>(&'a Panel);

    impl Task for AllPairs<'_> {
        type Output = Pairs;
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> Pairs {
            // What was there before is of no consequence.
            let mut out = Pairs { distances: vec![-1.0; 9], stride: 5, room: 4 };
            self.0.pairs(simd, &mut Strip::default(), &mut out);
            out
        }
    }

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
                let pairs = dispatch(isa, AllPairs(&panel));
                for first in (0..rows).step_by(SIDE) {
                    let out = dispatch(isa, Distances(&panel, first));
                    for (i, out) in out.iter().enumerate().take(rows - first) {
                        assert_eq!(pairs.row(first + i), out, "{isa}: row {} of {rows}", first + i);
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
