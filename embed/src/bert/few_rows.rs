//! Products of few rows with a weight matrix: the linear layers of a short text.
//!
//! A model's weights are more than a core's cache holds, so such a product takes at least the time in which they come from
//! memory. It takes little more if they are read once and computing keeps up. The sums of [`OUTPUTS`] outputs for some rows lie in
//! registers, each spread along the inputs, so that weights are used in the order that files have; meanwhile the weights of the
//! next outputs are asked for, at the pace at which these are used. The general product ([`super::gemm`]) copies weights into an
//! order of its own first: that pays from [`MOST_ROWS`] rows on.

use crate::cpu::prefetch;
use bytemuck::{Pod, Zeroable, cast_slice, cast_slice_mut};
use pulp::{Arch, Simd, WithSimd};

/// Rows up to which this is not slower than the general product (`embed/results/gemm.md`).
pub(crate) const MOST_ROWS: usize = 64;

/// Outputs whose sums are held at once.
const OUTPUTS: usize = 4;

/// Numbers in a cache line, and in the widest register there is.
const LINE: usize = 16;

#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

/// A matrix whose rows begin at cache lines, as a register that lies in two costs two reads. Zeros fill the last line of a row.
#[derive(Debug, Clone)]
pub(crate) struct AlignedRows {
    lines: Vec<Line>,
    rows: usize,
    columns: usize,
}

impl AlignedRows {
    /// Copies `data: [rows × columns]`, row-major, of at least one column.
    pub(crate) fn new(data: &[f32], columns: usize) -> Self {
        let (rows, width) = (data.len() / columns, columns.div_ceil(LINE));
        let mut lines = vec![Line::zeroed(); rows * width];
        for (lines, row) in lines.chunks_exact_mut(width).zip(data.chunks_exact(columns)) {
            cast_slice_mut(lines)[..columns].copy_from_slice(row);
        }
        AlignedRows { lines, rows, columns }
    }

    /// All rows, [`stride`](Self::stride) apart.
    pub(crate) fn data(&self) -> &[f32] {
        cast_slice(&self.lines)
    }

    pub(crate) fn stride(&self) -> usize {
        self.columns.next_multiple_of(LINE)
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }
}

/// `out = x · weightᵀ`, or `out += x · weightᵀ` if `add`. `x: [rows × weight.columns]`, `out: [rows × weight.rows]`, row-major.
pub(crate) fn multiply(arch: Arch, x: &[f32], weight: &AlignedRows, out: &mut [f32], add: bool) {
    let rows = x.len() / weight.columns;
    assert_eq!((x.len(), out.len()), (rows * weight.columns, rows * weight.rows), "the shapes of a product");
    arch.dispatch(Product { x, rows, weight, out, add });
}

struct Product<'a> {
    x: &'a [f32],
    rows: usize,
    weight: &'a AlignedRows,
    out: &'a mut [f32],
    add: bool,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // As many rows as leave registers for the weights.
        if S::REGISTER_COUNT >= 32 { self.run::<S, 4>(simd) } else { self.run::<S, 3>(simd) }
    }
}

impl Product<'_> {
    #[inline(always)]
    fn run<S: Simd, const ROWS: usize>(self, simd: S) {
        let Product { x, rows, weight, out, add } = self;
        let (outputs, steps) = (weight.rows, weight.stride() / S::F32_LANES);
        let packed = pack::<S, ROWS>(x, weight.columns, steps);
        let x = S::as_simd_f32s(cast_slice(&packed)).0.as_chunks::<ROWS>().0;
        let weights = S::as_simd_f32s(weight.data()).0;
        let passes = rows.div_ceil(ROWS);
        let group = OUTPUTS * weight.stride() / LINE;
        let share = group.div_ceil(passes.max(1));
        for first in (0..outputs).step_by(OUTPUTS) {
            let mut chosen: [&[S::f32s]; OUTPUTS] = [&[]; OUTPUTS];
            for (at, chosen) in chosen.iter_mut().enumerate() {
                let output = (first + at).min(outputs - 1);
                *chosen = &weights[output * steps..(output + 1) * steps];
            }
            let next = &weight.lines[((first + OUTPUTS) * weight.stride() / LINE).min(weight.lines.len())..];
            let kept = OUTPUTS.min(outputs - first);
            for pass in 0..passes {
                let x = &x[pass * steps..(pass + 1) * steps];
                let next = &next[(pass * share).min(next.len())..((pass + 1) * share).min(next.len())];
                // As many lines a step as bring all of the next weights within the passes.
                let sums = match (share * S::F32_LANES).div_ceil(weight.stride()) {
                    0..=1 => tile::<S, ROWS, 1>(simd, chosen, x, next),
                    2 => tile::<S, ROWS, 2>(simd, chosen, x, next),
                    _ => tile::<S, ROWS, 4>(simd, chosen, x, next),
                };
                for (row, sums) in (pass * ROWS..rows).zip(&sums) {
                    let out = &mut out[row * outputs + first..][..kept];
                    for (out, sum) in out.iter_mut().zip(sums) {
                        *out = if add { *out + sum } else { *sum };
                    }
                }
            }
        }
    }
}

/// Groups of `ROWS` rows, register by register: `[groups][steps][ROWS][lanes]`, zeros where there is nothing.
#[inline(always)]
fn pack<S: Simd, const ROWS: usize>(x: &[f32], columns: usize, steps: usize) -> Vec<Line> {
    let groups = (x.len() / columns).div_ceil(ROWS);
    let mut packed = vec![Line::zeroed(); (groups * steps * ROWS * S::F32_LANES).div_ceil(LINE)];
    let numbers: &mut [f32] = cast_slice_mut(&mut packed);
    for (row, x) in x.chunks_exact(columns).enumerate() {
        let start = row / ROWS * steps * ROWS + row % ROWS;
        let (whole, rest) = S::as_simd_f32s(x);
        let places = S::as_mut_simd_f32s(numbers).0[start..].chunks_mut(ROWS);
        places.zip(whole).for_each(|(place, &x)| place[0] = x);
        if !rest.is_empty() {
            numbers[(start + whole.len() * ROWS) * S::F32_LANES..][..rest.len()].copy_from_slice(rest);
        }
    }
    packed
}

/// The sums of some outputs for `ROWS` rows, asking for `ASKED` lines of `next` a step. `weights` have a register per step of `x`.
#[inline(always)]
fn tile<S: Simd, const ROWS: usize, const ASKED: usize>(
    simd: S,
    weights: [&[S::f32s]; OUTPUTS],
    x: &[[S::f32s; ROWS]],
    next: &[Line],
) -> [[f32; OUTPUTS]; ROWS] {
    let mut sums = [[simd.splat_f32s(0.0); ROWS]; OUTPUTS];
    let next = next.as_chunks::<ASKED>().0;
    for weights in weights {
        assert_eq!(weights.len(), x.len());
    }
    for (step, x) in x.iter().enumerate() {
        if let Some(lines) = next.get(step) {
            lines.iter().for_each(prefetch);
        }
        for (sums, weights) in sums.iter_mut().zip(weights) {
            for (sum, &x) in sums.iter_mut().zip(x) {
                *sum = simd.mul_add_e_f32s(weights[step], x, *sum);
            }
        }
    }
    let mut turned = [[0.0; OUTPUTS]; ROWS];
    for (output, sums) in sums.iter().enumerate() {
        for (turned, &sum) in turned.iter_mut().zip(sums) {
            turned[output] = simd.reduce_sum_f32s(sum);
        }
    }
    turned
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::Level;
    use crate::random::Random;

    #[test]
    fn equals_f64_sums_in_every_shape_at_every_level() {
        let seed = 17;
        let mut random = Random::new(seed);
        let mut normals = |count: usize| (0..count).map(|_| random.normal() as f32).collect::<Vec<f32>>();
        for level in Level::ALL.into_iter().filter(|level| level.available()) {
            for (rows, inputs) in
                (0..20).chain([33, MOST_ROWS]).zip([1, 3, 4, 15, 16, 17, 31, 32, 33, 48, 384].iter().cycle())
            {
                for outputs in [1, 2, 3, 4, 5, 7, 8, 33] {
                    let (x, data) = (normals(rows * inputs), normals(outputs * inputs));
                    let weight = AlignedRows::new(&data, *inputs);
                    for add in [false, true] {
                        let mut out = vec![if add { 5.0 } else { f32::NAN }; rows * outputs];
                        multiply(level.arch(), &x, &weight, &mut out, add);
                        for (at, &found) in out.iter().enumerate() {
                            let (x, data) = (&x[at / outputs * inputs..], &data[at % outputs * inputs..]);
                            let terms = x.iter().zip(data).take(*inputs).map(|(a, b)| f64::from(*a) * f64::from(*b));
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
    fn rows_begin_at_lines() {
        let rows = AlignedRows::new(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3);
        assert_eq!((rows.rows(), rows.columns(), rows.stride()), (2, 3, LINE));
        assert_eq!(
            (&rows.data()[..4], &rows.data()[LINE..LINE + 4]),
            (&[1.0, 2.0, 3.0, 0.0][..], &[4.0, 5.0, 6.0, 0.0][..])
        );
        assert_eq!(rows.data().as_ptr() as usize % 64, 0);
    }

    #[test]
    #[should_panic(expected = "the shapes of a product")]
    fn refuses_a_row_that_is_not_whole() {
        multiply(Arch::new(), &[0.0; 5], &AlignedRows::new(&[0.0; 8], 4), &mut [0.0; 2], false);
    }
}
