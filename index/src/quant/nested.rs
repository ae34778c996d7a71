//! One code of eight bits per coordinate that is also one of four, and of two: what is compared while a graph is walked, and again
//! at the end, from the same bytes.
//!
//! A vector is taken relative to a centre and rotated, after which its coordinates are about normally distributed, and each becomes a byte
//! of [`nibbles`](crate::distance::nibbles). Its products with a query are estimated from a reading `v` of the bytes as RaBitQ does
//! (arXiv:2409.09913, for codes of several bits): with `y` the vector, `⟨q, y⟩ ≈ ‖y‖²/⟨y, v⟩ · ⟨q, v⟩`, which is exact along `y` and, over
//! the rotation, unbiased across it. The factor is stored for each reading. What is across has mean 0 and standard deviation
//! `‖q‖ · ‖y‖ · √(1/cos² − 1) / √(D − 1)`, where `cos` is that of the angle between `y` and `v`, known when the code is
//! written: so each code comes with the error of its estimates.
//!
//! ```text
//! distance ≈ the query's constant + add − factor · ⟨q, v⟩
//! ```

use crate::distance::nibbles::{self, CHUNK, DEVIATION, FOUR, Gather, LARGEST, Levels, MIDDLE, TWO, place, value};
use crate::distance::simd::{Simd, whole};
use crate::metric::Metric;

/// How many bits of each coordinate are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bits {
    /// The two highest.
    Two,
    /// The four highest.
    Four,
    /// All eight.
    Eight,
}

/// What goes with the higher nibbles of a row.
#[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct Terms {
    /// The part of the distance that depends on the row alone.
    pub(crate) add: f32,
    /// Factors of the products at four and at two bits, as half floats, in units of [`Unit`].
    four: u16,
    two: u16,
}

/// What goes with the lower nibbles of a row.
#[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct FineTerms {
    /// The factor of the product at eight bits.
    pub(crate) eight: f32,
    /// Standard deviations of the estimates at four and two bits for a query at length one from the centre, in units of [`Unit`].
    four: u16,
    two: u16,
}

/// What the half floats of an index stand for: a power of two that puts the largest of them well within their range.
#[derive(Debug, Clone, Copy, PartialEq, bincode::Encode, bincode::Decode)]
pub(crate) struct Unit(pub(crate) f32);

impl Unit {
    /// For vectors at most `radius` from the centre.
    pub(crate) fn of(radius: f32) -> Self {
        Unit((radius.max(f32::MIN_POSITIVE * 65_536.0) / 4096.0).log2().ceil().exp2())
    }

    fn half(self, x: f64) -> u16 {
        half::f16::from_f64((x / f64::from(self.0)).min(half::f16::MAX.to_f64())).to_bits()
    }
}

/// Turns the bits of a half float that is not negative into a number, but for a factor of 2¹¹²: no test, so that it is vectorised.
#[inline(always)]
fn widened(half: u16) -> f32 {
    f32::from_bits(u32::from(half) << 13)
}
const WIDENING: f32 = f32::from_bits((127 + 112) << 23);

/// The weight of a product in a distance.
fn weight(metric: Metric) -> f64 {
    if metric == Metric::L2 { 2.0 } else { 1.0 }
}

/// Bytes of one plane of a row of `dim` coordinates, or of [`CHUNK`]s of them that hold as many.
pub(crate) const fn plane_bytes(dim: usize) -> usize {
    dim.div_ceil(CHUNK) * (CHUNK / 2)
}

/// Writes the code of `row`, rotated and relative to the centre, into two planes of [`plane_bytes`]. `offset` is `⟨centre, y⟩`, which a
/// product with the row contains besides `⟨q − centre, y⟩`.
pub(crate) fn encode(
    row: &[f32],
    metric: Metric,
    offset: f64,
    unit: Unit,
    high: &mut [u8],
    low: &mut [u8],
) -> (Terms, FineTerms) {
    let square: f64 = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    let largest = row.iter().fold(0.0_f32, |max, x| max.max(x.abs()));
    let add = if metric == Metric::L2 { square } else { -offset };
    high.fill(0);
    low.fill(0);
    // A coordinate far outside a normal distribution's range widens the steps for all, rather than be cut off.
    let deviation = (square / row.len() as f64).sqrt() as f32;
    let steps = (DEVIATION / deviation).min(MOST / largest);
    if !steps.is_finite() {
        let terms = Terms { add: add as f32, four: 0, two: 0 };
        return (terms, FineTerms { eight: 0.0, four: 0, two: 0 });
    }
    // Of each reading: its product with the row, and its square.
    let (mut products, mut squares) = ([0.0_f64; 3], [0_i64; 3]);
    for (coordinate, &x) in row.iter().enumerate() {
        let code = nibbles::nearest(x * steps);
        let (byte, shift) = place(coordinate);
        high[byte] |= code >> 4 << shift;
        low[byte] |= (code & 15) << shift;
        let level = |levels: &Levels| i64::from(levels[usize::from(code >> 4)]) - i64::from(MIDDLE);
        for (reading, value) in [i64::from(value(code)), level(&FOUR), level(&TWO)].into_iter().enumerate() {
            products[reading] += f64::from(x) * value as f64;
            squares[reading] += value * value;
        }
    }
    let factor = |reading: usize| weight(metric) * square / products[reading];
    let error = |reading: usize| {
        let cosine = products[reading] / (square * squares[reading] as f64).sqrt();
        let across = (1.0 / (cosine * cosine) - 1.0).max(0.0) / (row.len() as f64 - 1.0).max(1.0);
        weight(metric) * (square * across).sqrt()
    };
    let terms = Terms { add: add as f32, four: unit.half(factor(1)), two: unit.half(factor(2)) };
    (terms, FineTerms { eight: factor(0) as f32, four: unit.half(error(1)), two: unit.half(error(2)) })
}

/// In units of the 8-bit reading, the farthest a coordinate may lie out: half a step beyond the last value.
const MOST: f32 = 719.0;

/// The vector that the 8-bit reading stands for, still rotated: `out` has its coordinates.
pub(crate) fn decode(high: &[u8], low: &[u8], fine: FineTerms, metric: Metric, out: &mut [f32]) {
    for (coordinate, out) in out.iter_mut().enumerate() {
        let (byte, shift) = place(coordinate);
        let code = (high[byte] >> shift & 15) << 4 | low[byte] >> shift & 15;
        *out = f32::from(value(code)) * fine.eight / weight(metric) as f32;
    }
}

/// A query as signed bytes, for the higher nibbles, and as words, for both.
#[derive(Debug, Clone, Default)]
pub(crate) struct NestedQuery {
    bytes: Vec<i8>,
    /// `MIDDLE · Σ bytes`.
    bias: i32,
    step: f32,
    words: Vec<i16>,
    word_step: f32,
    /// The part of a distance that depends on the query alone.
    add: f32,
    /// Distance from the centre.
    length: f32,
    products: Vec<i32>,
}

/// Steps in the largest coordinate, in words.
const MOST_STEPS: f32 = 4095.0;

impl NestedQuery {
    /// Makes it that of `rotated`, relative to the centre; `product` is that of the query itself with the centre.
    #[inline(always)]
    pub(crate) fn set(&mut self, rotated: &[f32], metric: Metric, product: f32) {
        let (stripes, rest) = rotated.as_chunks::<16>();
        assert!(rest.is_empty(), "{} dimensions beyond a multiple of 16", rest.len());
        let (mut largest, mut absolute, mut square) = ([0.0_f32; 16], [0.0_f32; 16], [0.0_f32; 16]);
        for x in stripes {
            for i in 0..16 {
                largest[i] = largest[i].max(x[i].abs());
                absolute[i] += x[i].abs();
                square[i] += x[i] * x[i];
            }
        }
        let largest = largest.iter().fold(f32::MIN_POSITIVE * 65_536.0, |max, &x| max.max(x));
        let square = square.iter().sum::<f32>();
        // Rounding adds at most half a step to each coordinate.
        let room = i32::MAX as f32 / f32::from(LARGEST) - rotated.len() as f32;
        self.step = largest / 127.0;
        self.word_step = (largest / MOST_STEPS).max(absolute.iter().sum::<f32>() / room);
        let (inverse, word_inverse) = (1.0 / self.step, 1.0 / self.word_step);
        let padded = rotated.len().next_multiple_of(CHUNK);
        self.bytes.resize(padded, 0);
        self.words.resize(padded, 0);
        let mut sums = [0_i32; 16];
        let out = self.bytes.as_chunks_mut::<16>().0.iter_mut().zip(self.words.as_chunks_mut::<16>().0);
        for (x, (bytes, words)) in stripes.iter().zip(out) {
            for i in 0..16 {
                let byte = whole(x[i] * inverse);
                sums[i] += byte;
                bytes[i] = byte as i8;
                words[i] = whole(x[i] * word_inverse) as i16;
            }
        }
        self.bytes[rotated.len()..].fill(0);
        self.words[rotated.len()..].fill(0);
        self.bias = MIDDLE * sums.iter().sum::<i32>();
        self.add = match metric {
            Metric::L2 => square,
            Metric::Cosine => 1.0 - product,
            _ => -product,
        };
        self.length = square.sqrt();
    }

    /// The query's distance from the centre.
    #[inline(always)]
    pub(crate) fn length(&self) -> f32 {
        self.length
    }

    /// Estimates of the distances to the rows `slots` of `codes`, from their higher nibbles, into the front of `out`. Panics for
    /// [`Bits::Eight`], which needs the lower ones.
    #[inline(always)]
    pub(crate) fn estimates<S: Simd>(
        &mut self,
        simd: S,
        bits: Bits,
        (codes, terms, unit): (&[u8], &[Terms], Unit),
        slots: &[u32],
        out: &mut [f32],
    ) {
        let levels = match bits {
            Bits::Two => &TWO,
            Bits::Four => &FOUR,
            Bits::Eight => panic!("eight bits are not in the higher nibbles"),
        };
        if self.products.len() < slots.len() {
            self.products.resize(slots.len(), 0);
        }
        let products = &mut self.products[..slots.len()];
        simd.nibble_products(Gather { codes, slots, levels, query: &self.bytes }, products);
        let weight = self.step * unit.0;
        for ((&slot, &product), out) in slots.iter().zip(&*products).zip(out) {
            let terms = terms[slot as usize];
            let factor = widened(if bits == Bits::Four { terms.four } else { terms.two }) * WIDENING;
            *out = self.add + terms.add - weight * factor * (product - self.bias) as f32;
        }
    }

    /// The distance to a row from all eight bits.
    #[inline(always)]
    pub(crate) fn distance<S: Simd>(&self, simd: S, high: &[u8], low: &[u8], terms: Terms, fine: FineTerms) -> f32 {
        let product = simd.fine_product(high, low, &self.words);
        self.add + terms.add - self.word_step * fine.eight * product as f32
    }

    /// The standard deviation of the estimate of a row's distance at two or four bits; at eight it is that at four, times
    /// [`FINER`].
    #[inline(always)]
    pub(crate) fn deviation(&self, bits: Bits, fine: FineTerms, unit: Unit) -> f32 {
        let (half, part) = match bits {
            Bits::Two => (fine.two, 1.0),
            Bits::Four => (fine.four, 1.0),
            Bits::Eight => (fine.four, FINER),
        };
        widened(half) * WIDENING * unit.0 * self.length * part
    }
}

impl FineTerms {
    /// The standard deviation of the row's estimates at four bits, for a query at length one from the centre.
    pub(crate) fn deviation(self, unit: Unit) -> f32 {
        widened(self.four) * WIDENING * unit.0
    }
}

/// An upper bound of the error at eight bits as a part of that at four: each cell is divided into sixteen.
pub(crate) const FINER: f32 = 1.0 / 12.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distance::Isa;
    use crate::distance::fastscan::scalar::Scalar;
    use crate::distance::simd::{Task, dispatch};
    use crate::quant::rotation::Rotation;

    struct Uniform(u64);

    impl Uniform {
        fn next(&mut self) -> f64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((self.0 >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
        }

        fn normal(&mut self, dim: usize) -> Vec<f32> {
            let mut draw = || ((-2.0 * self.next().ln()).sqrt() * (std::f64::consts::TAU * self.next()).cos()) as f32;
            (0..dim).map(|_| draw()).collect()
        }
    }

    fn distance(a: &[f32], b: &[f32], metric: Metric) -> f64 {
        let pairs = a.iter().zip(b).map(|(&a, &b)| (f64::from(a), f64::from(b)));
        match metric {
            Metric::L2 => pairs.map(|(a, b)| (a - b) * (a - b)).sum(),
            Metric::Cosine => 1.0 - pairs.map(|(a, b)| a * b).sum::<f64>(),
            _ => -pairs.map(|(a, b)| a * b).sum::<f64>(),
        }
    }

    /// Estimates for one row at 2, 4 and 8 bits, and their deviations.
    struct Estimate<'a> {
        query: &'a [f32],
        row: &'a [f32],
        centre: &'a [f32],
        metric: Metric,
    }

    impl Task for Estimate<'_> {
        type Output = [(f32, f32); 3];
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> Self::Output {
            let Estimate { query, row, centre, metric } = self;
            let less = |a: &[f32]| a.iter().zip(centre).map(|(a, c)| a - c).collect::<Vec<_>>();
            let product = |a: &[f32]| a.iter().zip(centre).map(|(&a, &c)| f64::from(a) * f64::from(c)).sum::<f64>();
            let (unit, y) = (Unit::of(30.0), less(row));
            let plane = plane_bytes(row.len());
            let (mut high, mut low) = (vec![0; 2 * plane], vec![0; plane]);
            let (terms, fine) = encode(&y, metric, product(&y), unit, &mut high[plane..], &mut low);
            let mut nested = NestedQuery::default();
            nested.set(&less(query), metric, product(query) as f32);
            let mut out = [0.0; 2];
            let codes = (&high[..], &[terms; 2][..], unit);
            nested.estimates(simd, Bits::Two, codes, &[1], &mut out[..1]);
            nested.estimates(simd, Bits::Four, codes, &[1], &mut out[1..]);
            let eight = nested.distance(simd, &high[plane..], &low, terms, fine);
            let deviation = |bits| nested.deviation(bits, fine, unit);
            [(out[0], deviation(Bits::Two)), (out[1], deviation(Bits::Four)), (eight, deviation(Bits::Eight))]
        }
    }

    /// All instruction sets give the same, and errors are as large as the codes say: a standard deviation is exceeded about as often as a
    /// normal distribution does, five of them never.
    #[test]
    fn errors_are_as_stated() {
        let mut uniform = Uniform(12);
        for (dim, metric) in [(96, Metric::L2), (384, Metric::Cosine), (800, Metric::Dot)] {
            let rows = 1500;
            let (mut beyond, mut squares, mut sums) = ([0_usize; 3], [0.0_f64; 3], [0.0_f64; 3]);
            let rotation = Rotation::new(dim, 1);
            let (mut rotated, mut rotated_query) = (Vec::new(), Vec::new());
            for _ in 0..rows {
                // Far from normal before the rotation.
                let row = uniform.normal(dim).into_iter().map(|x| x * x * x);
                rotation.rotate(Scalar, row, &mut rotated);
                rotation.rotate(Scalar, uniform.normal(dim).into_iter(), &mut rotated_query);
                let (norm, other) = (length(&rotated), length(&rotated_query));
                rotated.iter_mut().for_each(|x| *x /= norm);
                rotated_query.iter_mut().for_each(|x| *x /= other);
                let centre: Vec<f32> = rotated.iter().map(|x| 0.2 * x).collect();
                let task = || Estimate { query: &rotated_query, row: &rotated, centre: &centre, metric };
                let found = dispatch(Isa::Scalar, task());
                for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
                    for (other, found) in dispatch(isa, task()).iter().zip(&found) {
                        assert!((other.0 - found.0).abs() <= 1e-5 * found.0.abs().max(1.0), "{isa} {dim}");
                    }
                }
                let exact = distance(&rotated_query, &rotated, metric);
                for (reading, &(estimate, deviation)) in found.iter().enumerate() {
                    let error = (f64::from(estimate) - exact) / f64::from(deviation);
                    assert!(error.abs() < 5.5, "{dim} {metric} reading {reading}: {error} deviations");
                    beyond[reading] += usize::from(error.abs() > 1.9);
                    squares[reading] += error * error;
                    sums[reading] += error;
                }
            }
            for reading in 0..3 {
                let deviation = (squares[reading] / f64::from(rows)).sqrt();
                let mean = sums[reading] / f64::from(rows);
                let least = if reading == 2 { 0.4 } else { 0.85 };
                assert!((least..1.15).contains(&deviation), "{dim} {metric} reading {reading}: deviation {deviation}");
                assert!(mean.abs() < 0.15, "{dim} {metric} reading {reading}: mean {mean}");
                let part = beyond[reading] as f64 / f64::from(rows);
                assert!(part < 0.09, "{dim} {metric} reading {reading}: {part} beyond 1.9 deviations");
            }
        }
    }

    fn length(x: &[f32]) -> f32 {
        x.iter().map(|x| x * x).sum::<f32>().sqrt()
    }

    /// By algebra an estimate is exact along the row: for a query at the row itself, but for the rounding of the query.
    #[test]
    fn a_query_at_a_row_is_at_no_distance() {
        let mut uniform = Uniform(4);
        let centre = vec![0.5; 256];
        for scale in [1e-3, 1.0] {
            let row: Vec<f32> = uniform.normal(256).iter().map(|x| scale * x).collect();
            let centre: Vec<f32> = centre.iter().map(|x| scale * x).collect();
            let found = dispatch(Isa::Scalar, Estimate { query: &row, row: &row, centre: &centre, metric: Metric::L2 });
            for (estimate, _) in found {
                let square = (scale * scale) * 256.0;
                assert!(estimate.abs() < 0.02 * square, "{estimate} of {square}");
            }
        }
    }

    #[test]
    fn a_row_at_the_centre_is_where_the_centre_is() {
        let (row, query) = (vec![0.25; 128], vec![1.0; 128]);
        let found = dispatch(Isa::Scalar, Estimate { query: &query, row: &row, centre: &row, metric: Metric::L2 });
        let exact = distance(&query, &row, Metric::L2) as f32;
        assert!(found.iter().all(|&(estimate, deviation)| (estimate / exact - 1.0).abs() < 1e-5 && deviation == 0.0));
    }

    /// Coordinates that no rotation has spread: the largest is kept, and the 8-bit reading is within its steps of the row.
    #[test]
    fn what_is_decoded_is_near() {
        let mut uniform = Uniform(7);
        let mut row = uniform.normal(200);
        row[17] = 40.0;
        let unit = Unit::of(length(&row));
        let (mut high, mut low) = (vec![0; plane_bytes(200)], vec![0; plane_bytes(200)]);
        let (_, fine) = encode(&row, Metric::L2, 0.0, unit, &mut high, &mut low);
        let mut out = vec![0.0; 200];
        decode(&high, &low, fine, Metric::L2, &mut out);
        let error = row.iter().zip(&out).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt();
        assert!(error < 0.12 * length(&row), "{error} of {}", length(&row));
        assert!((out[17] - 40.0).abs() < 5.0, "{}", out[17]);
    }
}
