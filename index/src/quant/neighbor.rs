//! One bit per dimension for a neighbour, relative to the node it is a neighbour of, and what turns a product with it into a distance.
//!
//! RaBitQ (Gao & Long, arXiv:2405.12497) relative to the node, as SymphonyQG (arXiv:2411.12229) has it. With `r = o − c` rotated, a bit
//! is set where `r` is positive, and `x` is the code as ±½. For a query, `⟨r, q − c⟩ ≈ A/P · ⟨x, q − c⟩` with `A = ‖r‖²` and
//! `P = ⟨r, x⟩ = ½‖r‖₁`: exact along `r`, unbiased over the rotation across it. So
//!
//! ```text
//! ‖q − o‖² = ‖q − c‖² + A − 2⟨r, q − c⟩ ≈ ‖q − c‖² + (A + 2A/P · ⟨x, c⟩) − 2A/P · ⟨x, q⟩
//! ```
//!
//! where the bracket and the factor of `⟨x, q⟩` are stored. A neighbour is near its node, so the error, which grows with `‖r‖`, is a
//! part of what a code relative to the mean would have. The estimate of `o` itself is exact, and so is that of `c`.

use half::f16;

use crate::distance::fastscan::{LANES, Units};
use crate::distance::simd::Simd;
use crate::metric::Metric;

/// The two numbers that go with a code: estimate = `add` + distance to the node + `rescale` · ⟨x, q⟩, in given units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Factors {
    pub(crate) add: f16,
    pub(crate) rescale: f16,
}

impl Factors {
    /// Of `A` = ‖r‖², `P` = ⟨r, x⟩ and ⟨x, c⟩.
    #[inline(always)]
    fn of(square: f64, product: f64, cross: f64, metric: Metric, units: Units) -> Self {
        if square == 0.0 {
            return Factors { add: f16::ZERO, rescale: f16::ZERO };
        }
        // Of vectors of length one, ½‖a − b‖² = 1 − ⟨a, b⟩.
        let unit = if metric == Metric::L2 { 1.0 } else { 0.5 };
        let (add, rescale) = (square + 2.0 * square * cross / product, -2.0 * square / product);
        Factors { add: half(unit * add, units.add), rescale: half(unit * rescale, units.rescale) }
    }
}

impl Units {
    /// For vectors at most `radius` from the centre: powers of two of which `radius` squared and `radius` are some 1,000, in the
    /// middle of a half float's range.
    pub(crate) fn of(radius: f32) -> Self {
        let unit = |largest: f32| (largest.max(f32::MIN_POSITIVE * 2048.0) / 1024.0).log2().ceil().exp2();
        Units { add: unit(radius * radius), rescale: unit(radius) }
    }
}

/// `value` as a half float of `unit`; finite if it is.
pub(crate) fn half(value: f64, unit: f32) -> f16 {
    f16::from_f64((value / f64::from(unit)).clamp(f16::MIN.to_f64(), f16::MAX.to_f64()))
}

/// Coordinates summed side by side.
const STRIPE: usize = 32;

/// Room for the codes of a block of `dim` dimensions, a multiple of 32, before they are packed.
pub(crate) fn bits(dim: usize) -> Vec<[u16; LANES]> {
    vec![[0; LANES]; dim / 16]
}

/// Writes the code of `neighbor` relative to `node` into a lane of bits to be packed, and returns its factors for `metric`.
/// Both vectors are rotated, in multiples of `step`, and no longer than [`LONGEST`](crate::distance::residual::LONGEST) of them; `node`
/// and the query are taken relative to one centre, whichever it is.
#[inline(always)]
pub(crate) fn encode_words<S: Simd>(
    simd: S,
    bits: (&mut [[u16; LANES]], usize),
    node: &[i16],
    neighbor: &[i16],
    step: f32,
    metric: Metric,
    units: Units,
) -> Factors {
    let (sums, step) = (simd.residual(node, neighbor, bits), f64::from(step));
    let (square, absolute, cross) = (f64::from(sums.square), f64::from(sums.absolute), f64::from(sums.cross));
    Factors::of(step * step * square, 0.5 * step * absolute, 0.5 * step * cross, metric, units)
}

/// As [`encode_words`], of floats.
#[inline(always)]
pub(crate) fn encode<S: Simd>(
    simd: S,
    (bits, lane): (&mut [[u16; LANES]], usize),
    node: &[f32],
    neighbor: &[f32],
    metric: Metric,
    units: Units,
) -> Factors {
    let (mut squares, mut absolutes, mut crosses) = ([0.0_f32; STRIPE], [0.0_f32; STRIPE], [0.0_f32; STRIPE]);
    let stripes = node.as_chunks::<STRIPE>().0.iter().zip(neighbor.as_chunks::<STRIPE>().0);
    for ((c, o), bits) in stripes.zip(bits.as_chunks_mut::<2>().0) {
        let mut back = [0.0; STRIPE];
        for i in 0..STRIPE {
            let (o, c) = (o[i], c[i]);
            let r = o - c;
            squares[i] += r * r;
            absolutes[i] += r.abs();
            crosses[i] += if r > 0.0 { c } else { -c };
            back[i] = -r;
        }
        let positive = simd.below(&back, 0.0);
        (bits[0][lane], bits[1][lane]) = (positive as u16, (positive >> 16) as u16);
    }
    let sum = |stripe: [f32; STRIPE]| stripe.iter().map(|&x| f64::from(x)).sum::<f64>();
    Factors::of(sum(squares), 0.5 * sum(absolutes), 0.5 * sum(crosses), metric, units)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distance::Isa;
    use crate::distance::fastscan::scalar::Scalar;
    use crate::distance::fastscan::{Block, Table, code_bytes, pack};
    use crate::distance::simd::{Task, dispatch};
    use crate::quant::rotation::Rotation;

    /// The estimate for query `q` of neighbour `o` of node `c`, all rotated, with an exact distance to the node.
    struct Estimate<'a>(&'a [f32], &'a [f32], &'a [f32], Metric);

    impl Task for Estimate<'_> {
        type Output = f32;
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> f32 {
            let Estimate(q, c, o, metric) = self;
            let (mut bits, mut codes) = (bits(q.len()), vec![0; code_bytes(q.len())]);
            let units = Units::of(10.0);
            let factors = encode(simd, (&mut bits, 3), c, o, metric, units);
            pack(&bits, &mut codes);
            let (mut table, mut out) = (Table::default(), [0.0; LANES]);
            table.set(simd, q);
            let block = Block { codes: &codes, add: &[factors.add; LANES], rescale: &[factors.rescale; LANES], units };
            simd.estimates(block, &table, distance(q, c, metric), f32::INFINITY, &[], &mut out);
            out[3]
        }
    }

    fn distance(a: &[f32], b: &[f32], metric: Metric) -> f32 {
        let square: f32 = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum();
        if metric == Metric::L2 { square } else { 0.5 * square }
    }

    fn gaussian(dim: usize, state: &mut u64) -> Vec<f32> {
        let mut uniform = || {
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((*state >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
        };
        (0..dim).map(|_| ((-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos()) as f32).collect()
    }

    /// By algebra the code is exact along `o − c`: a query at `o` is at distance 0, one at `c` at that of the two, but for the
    /// rounding of the table.
    #[test]
    fn estimates_at_both_ends_are_exact() {
        let mut state = 9;
        for (dim, metric) in [(64, Metric::L2), (384, Metric::Cosine), (800, Metric::L2)] {
            for _ in 0..20 {
                let (c, o) = (gaussian(dim, &mut state), gaussian(dim, &mut state));
                let apart = distance(&c, &o, metric);
                for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
                    let at_o = dispatch(isa, Estimate(&o, &c, &o, metric));
                    let at_c = dispatch(isa, Estimate(&c, &c, &o, metric));
                    assert!(at_o.abs() < 0.02 * apart, "{isa} {dim}: {at_o} of {apart}");
                    assert!((at_c / apart - 1.0).abs() < 0.02, "{isa} {dim}: {at_c}, expected {apart}");
                }
            }
        }
    }

    /// Over queries at right angles to `o − c`, the estimated cosine has mean 0 and standard deviation 0.755/√(D − 1) (RaBitQ, theorem
    /// 3.2, with the expected quality of a code); over rotations it is unbiased.
    #[test]
    fn the_error_is_as_small_as_the_theory_has_it() {
        let (dim, mut state) = (128, 31);
        let (mut sum, mut squares, mut count) = (0.0_f64, 0.0_f64, 0.0_f64);
        for seed in 0..200 {
            let rotation = Rotation::new(dim, seed);
            let (mut c, mut o, mut q) = (Vec::new(), Vec::new(), Vec::new());
            let (r, s) = (gaussian(dim, &mut state), gaussian(dim, &mut state));
            rotation.rotate(Scalar, gaussian(dim, &mut state).into_iter(), &mut c);
            let offset = |r: &[f32], out: &mut Vec<f32>| {
                rotation.rotate(Scalar, r.iter().copied(), out);
                out.iter_mut().zip(&c).for_each(|(x, c)| *x += c);
            };
            offset(&r, &mut o);
            offset(&s, &mut q);
            let exact = distance(&q, &o, Metric::L2);
            let found = dispatch(Isa::Scalar, Estimate(&q, &c, &o, Metric::L2));
            let length = |v: &[f32]| v.iter().map(|x| f64::from(x * x)).sum::<f64>().sqrt();
            let error = f64::from(exact - found) / (2.0 * length(&r) * length(&s));
            (sum, squares, count) = (sum + error, squares + error * error, count + 1.0);
        }
        let (mean, deviation, expected) = (sum / count, (squares / count).sqrt(), 0.755 / 127.0_f64.sqrt());
        assert!(mean.abs() < 4.0 * expected / count.sqrt(), "mean {mean}");
        assert!((deviation / expected - 1.0).abs() < 0.2, "deviation {deviation}, expected {expected}");
    }

    #[test]
    fn a_neighbour_at_the_same_place_is_at_the_same_distance() {
        let c = vec![0.25; 64];
        let factors = encode(Scalar, (&mut bits(64), 0), &c, &c, Metric::L2, Units::of(1.0));
        assert_eq!(factors, Factors { add: f16::ZERO, rescale: f16::ZERO });
    }
}
