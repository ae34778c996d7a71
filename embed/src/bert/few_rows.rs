//! Products of few rows with a weight matrix: the linear layers of a short text.
//!
//! A model's weights are more than a core's cache holds, so such a product takes at least the time in which they come from
//! memory. It reads them once, in half the bytes: as 16-bit integers with a scale for each output, off by at most a 65,534th of that
//! output's largest weight. That is closer than f16 comes to weights that are all of one size, knows no range, and every CPU
//! widens it in two instructions. The general product ([`super::gemm`]) copies weights into an order of its own first: that pays from
//! [`MOST_ROWS`] rows on.
//!
//! The weights of [`WIDTH`] outputs lie together, input by input. Their sums for some rows stay in registers; each input's weights
//! are widened once and multiplied by that input of every row. Meanwhile weights that are used later are asked for.

use crate::cpu::prefetch;
use bytemuck::{Pod, Zeroable};
use pulp::{Arch, Simd, WithSimd};

/// Rows up to which this is not slower than the general product (`embed/results/gemm.md`).
pub(crate) const MOST_ROWS: usize = 64;

/// Outputs of a panel: numbers in the widest register there is.
const WIDTH: usize = 16;

/// How many inputs ahead weights are asked for, 32 KiB: far enough for memory to answer, and little beside a second-level cache.
const AHEAD: usize = 1024;

/// The weights of a panel for one input: half a cache line.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C, align(32))]
struct Step([i16; WIDTH]);

/// A weight matrix in 16 bits a weight.
#[derive(Debug, Clone)]
pub(crate) struct Panels {
    /// `[panels × inputs]`; zeros for the outputs that the last panel lacks.
    steps: Vec<Step>,
    /// What an output's integers are multiplied by.
    scales: Vec<f32>,
    inputs: usize,
}

impl Panels {
    /// Rounds `weight: [outputs × inputs]`, row-major, finite, of at least one input.
    pub(crate) fn new(weight: &[f32], inputs: usize) -> Self {
        let outputs = weight.len() / inputs;
        let mut steps = vec![Step::zeroed(); outputs.div_ceil(WIDTH) * inputs];
        let mut scales = Vec::with_capacity(outputs);
        for (output, row) in weight.chunks_exact(inputs).enumerate() {
            let largest = row.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
            let scale = largest / f32::from(i16::MAX);
            scales.push(scale);
            for (step, x) in steps[output / WIDTH * inputs..].iter_mut().zip(row) {
                let steps_of_scale = x / scale;
                // Rounded by the cast, which also makes 0 of the 0 / 0 of an output without weights.
                step.0[output % WIDTH] = (steps_of_scale + 0.5_f32.copysign(steps_of_scale)) as i16;
            }
        }
        Panels { steps, scales, inputs }
    }
}

/// `out = x · weightᵀ`, or `out += x · weightᵀ` if `add`. `x: [rows × inputs]`, `out: [rows × outputs]`, row-major.
pub(crate) fn multiply(arch: Arch, x: &[f32], weight: &Panels, out: &mut [f32], add: bool) {
    let rows = x.len() / weight.inputs;
    assert_eq!((x.len(), out.len()), (rows * weight.inputs, rows * weight.scales.len()), "the shapes of a product");
    arch.dispatch(Product { x, rows, weight, out, add });
}

struct Product<'a> {
    x: &'a [f32],
    rows: usize,
    weight: &'a Panels,
    out: &'a mut [f32],
    add: bool,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if S::F32_LANES == 1 {
            // No registers of this level's own: the compiler makes some of eight rows.
            return self.run::<S, 8>(simd);
        }
        // As many rows as leave registers for weights, evenly shared among passes. No power of two: the compiler would let weights and
        // rows share a counter, and addresses that it scales cost an operation each.
        let most = if S::REGISTER_COUNT >= 32 { 24 } else { 12 };
        let passes = self.rows.div_ceil(most).max(1);
        match self.rows.div_ceil(passes) {
            0..=6 => self.run::<S, 6>(simd),
            7..=12 => self.run::<S, 12>(simd),
            13..=18 => self.run::<S, 18>(simd),
            _ => self.run::<S, 24>(simd),
        }
    }
}

impl Product<'_> {
    #[inline(always)]
    fn run<S: Simd, const ROWS: usize>(self, simd: S) {
        let Product { x, rows, weight: Panels { steps, scales, inputs }, out, add } = self;
        let outputs = scales.len();
        let packed = pack::<ROWS>(x, *inputs);
        for (panel, scales) in scales.chunks(WIDTH).enumerate() {
            let start = panel * inputs;
            let later = &steps[(start + AHEAD).min(steps.len())..];
            let steps = &steps[start..start + inputs];
            for (pass, x) in packed.chunks_exact(*inputs).enumerate() {
                let mut sums = [[0.0; WIDTH]; ROWS];
                for part in 0..WIDTH / S::F32_LANES {
                    let later = if pass == 0 && part == 0 { later } else { &[] };
                    tile::<S, ROWS>(simd, steps, part, x, later, &mut sums);
                }
                for (row, sums) in (pass * ROWS..rows).zip(&sums) {
                    let out = &mut out[row * outputs + panel * WIDTH..][..scales.len()];
                    for ((out, sum), scale) in out.iter_mut().zip(sums).zip(scales) {
                        *out = if add { *out + sum * scale } else { sum * scale };
                    }
                }
            }
        }
    }
}

/// Groups of `ROWS` rows, input by input: `[groups × inputs]`, zeros for the rows that the last group lacks.
#[inline(always)]
fn pack<const ROWS: usize>(x: &[f32], inputs: usize) -> Vec<[f32; ROWS]> {
    let mut packed = vec![[0.0; ROWS]; (x.len() / inputs).div_ceil(ROWS) * inputs];
    for (row, x) in x.chunks_exact(inputs).enumerate() {
        for (place, x) in packed[row / ROWS * inputs..].iter_mut().zip(x) {
            place[row % ROWS] = *x;
        }
    }
    packed
}

/// Part `part` of a panel's outputs, a register of them, for `ROWS` rows, while `later` is asked for.
#[inline(always)]
fn tile<S: Simd, const ROWS: usize>(
    simd: S,
    steps: &[Step],
    part: usize,
    x: &[[f32; ROWS]],
    later: &[Step],
    out: &mut [[f32; WIDTH]; ROWS],
) {
    let mut sums = [simd.splat_f32s(0.0); ROWS];
    for (at, (step, x)) in steps.iter().zip(x).enumerate() {
        // Two steps are a line.
        if at % 2 == 0
            && let Some(later) = later.get(at)
        {
            prefetch(later);
        }
        let mut wide = [0.0; WIDTH];
        for (wide, &weight) in wide.iter_mut().zip(&step.0[part * S::F32_LANES..(part + 1) * S::F32_LANES]) {
            *wide = f32::from(weight);
        }
        let weights = S::as_simd_f32s(&wide).0[0];
        for (sum, &x) in sums.iter_mut().zip(x) {
            *sum = simd.mul_add_e_f32s(simd.splat_f32s(x), weights, *sum);
        }
    }
    for (out, sum) in out.iter_mut().zip(sums) {
        S::as_mut_simd_f32s(out).0[part] = sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::Level;
    use crate::random::Random;

    /// The weights that are multiplied with, rounded as they are. `[outputs × inputs]`
    fn rounded(Panels { steps, scales, inputs }: &Panels) -> Vec<f64> {
        let rows = scales.iter().enumerate().flat_map(|(output, scale)| {
            let steps = &steps[output / WIDTH * inputs..][..*inputs];
            steps.iter().map(move |step| f64::from(step.0[output % WIDTH]) * f64::from(*scale))
        });
        rows.collect()
    }

    #[test]
    fn equals_f64_sums_in_every_shape_at_every_level() {
        let seed = 17;
        let mut random = Random::new(seed);
        let mut normals = |count: usize| (0..count).map(|_| random.normal() as f32).collect::<Vec<f32>>();
        for level in Level::ALL.into_iter().filter(|level| level.available()) {
            for (rows, inputs) in (0..27).chain([33, MOST_ROWS]).zip([1, 2, 3, 15, 16, 17, 33, 384].iter().cycle()) {
                for outputs in [1, 2, 15, 16, 17, 32, 33] {
                    let x = normals(rows * inputs);
                    let weight = Panels::new(&normals(outputs * inputs), *inputs);
                    let rounded = rounded(&weight);
                    for add in [false, true] {
                        let mut out = vec![if add { 5.0 } else { f32::NAN }; rows * outputs];
                        multiply(level.arch(), &x, &weight, &mut out, add);
                        for (at, &found) in out.iter().enumerate() {
                            let (x, rounded) = (&x[at / outputs * inputs..], &rounded[at % outputs * inputs..]);
                            let terms = x.iter().zip(rounded).take(*inputs).map(|(a, b)| f64::from(*a) * b);
                            let expected = terms.sum::<f64>() + if add { 5.0 } else { 0.0 };
                            let error = (f64::from(found) - expected).abs();
                            assert!(
                                error < 1e-6 * (*inputs as f64 + 10.0),
                                "seed {seed}, {level:?}, {rows} × {inputs} × {outputs}, {at}: {found} {expected}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn weights_are_rounded_to_half_a_step_of_their_outputs_scale() {
        let seed = 23;
        let mut random = Random::new(seed);
        let inputs = 97;
        for size in [1e-30, 1e-3, 1.0, 1e30] {
            let mut weight: Vec<f32> = (0..19 * inputs).map(|_| random.normal() as f32 * size).collect();
            weight[..inputs].fill(0.0);
            weight[inputs] = -size * 1e3;
            let rounded = rounded(&Panels::new(&weight, inputs));
            for (output, (weight, rounded)) in weight.chunks(inputs).zip(rounded.chunks(inputs)).enumerate() {
                let largest = weight.iter().fold(0.0, |largest: f64, x| largest.max(f64::from(x.abs())));
                for (x, rounded) in weight.iter().zip(rounded) {
                    let error = (f64::from(*x) - rounded).abs();
                    assert!(error <= largest / 65_500.0, "seed {seed}, size {size}, output {output}: {x} {rounded}");
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "the shapes of a product")]
    fn refuses_a_row_that_is_not_whole() {
        multiply(Arch::new(), &[0.0; 5], &Panels::new(&[0.0; 8], 4), &mut [0.0; 2], false);
    }
}
