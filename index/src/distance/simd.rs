//! One instruction set as a value: whoever holds it may use it, for it can be had only where the CPU has it.
//!
//! A search is written once over [`Simd`] and run by [`dispatch`] inside a function compiled for the instruction set, into which
//! everything is inlined: plain loops are vectorised as far as the CPU goes, and the few operations that need more than that
//! are this trait's.

use super::fastscan::{Block, LANES, Table};
use super::isa::Isa;
use super::nibbles::Gather;
use super::residual::Residual;
use super::tile::SIDE;

/// What a walk over coded rows needs of an instruction set.
pub(crate) trait Simd: Copy {
    /// `out[j]` = `add[j] + distance + rescale[j] · product`, in the block's units, for the 32 neighbours of a block, where `distance` is that of the node whose
    /// neighbours they are; returns the mask of those below `bound`, the lowest bit for the first. The lines of `ahead` are asked for
    /// on the way.
    fn estimates(
        self,
        block: Block<'_>,
        table: &Table,
        distance: f32,
        bound: f32,
        ahead: &[u8],
        out: &mut [f32; LANES],
    ) -> u32;
    /// Moves the lanes of `mask` to the front of `to`, in order, with infinite distances behind them.
    fn compress(self, mask: u32, from: (&[f32; LANES], &[u32; LANES]), to: (&mut [f32; LANES], &mut [u32; LANES]));
    /// The mask of the lanes below `bound`.
    fn below(self, values: &[f32; LANES], bound: f32) -> u32;
    /// Of the lanes of `mask`, those whose bit in `marks`, 32 a word, is not set. A slot beyond all words is not.
    fn unmarked(self, marks: &[u32], slots: &[u32; LANES], mask: u32) -> u32;
    /// The first of the least of `values`, whose number is a multiple of 16; 0 if there is none.
    fn least(self, values: &[f32]) -> usize;
    /// `Σ code · query`, exactly. Both are of one length, a multiple of 64.
    fn product(self, code: &[u8], query: &[i8]) -> i32;
    /// `[i][j]` = the product of row `j` of `rows` with row `i` of `strip`. Both are four rows of one length, a multiple of 64.
    fn products(self, rows: &[u8], strip: &[i8]) -> [[i32; SIDE]; SIDE];
    /// `out[i]` = `Σ levels[code] · query` over the higher nibbles of each slot's row, exactly. Panics unless `out` has room for all.
    fn nibble_products(self, gather: Gather<'_>, out: &mut [i32]);
    /// `Σ value · query` over the bytes whose nibbles are in `high` and `low`, exactly as long as it fits 32 bits.
    fn fine_product(self, high: &[u8], low: &[u8], query: &[i16]) -> i32;
    /// Look-up entries of four groups: see [`Table`].
    fn entries(self, steps: &[i8; 16], out: &mut [u8; 64]);
    /// The sums over `neighbor − node`, whose signs are written into a lane of the bits: one for each coordinate. Both rows are of one
    /// length, a multiple of 32, and no longer than [`LONGEST`](super::residual::LONGEST).
    fn residual(self, node: &[i16], neighbor: &[i16], bits: (&mut [[u16; LANES]], usize)) -> Residual;
    /// `x` · `signs`, coordinate by coordinate, as its Hadamard transform. Both are of one length, a power of two of at least 32.
    fn hadamard(self, x: &mut [f32], signs: &[f32]);
}

/// Bytes of a cache line.
pub(super) const LINE: usize = 64;

/// Implements [`Simd`] for a value that exists only where the CPU has its features, by the kernels of the same names in scope. What
/// these rely on is checked here, once for all instruction sets.
macro_rules! simd_by_kernels {
    ($value:ty) => {
        const _: () = {
            use $crate::distance::fastscan::{Block, LANES, Table};
            use $crate::distance::hadamard;
            use $crate::distance::nibbles::{CHUNK, Gather};
            use $crate::distance::residual::{Residual, STRIPE};
            use $crate::distance::simd::Simd;
            use $crate::distance::tile::SIDE;

            impl Simd for $value {
                #[inline(always)]
                fn estimates(
                    self,
                    block: Block<'_>,
                    table: &Table,
                    distance: f32,
                    bound: f32,
                    ahead: &[u8],
                    out: &mut [f32; LANES],
                ) -> u32 {
                    assert_eq!(block.codes.len(), table.bytes().len(), "bytes of codes");
                    // SAFETY: the CPU has the features, or there were no such value; the lengths are equal, and a table is whole blocks of 64.
                    unsafe { estimates(block, table, distance, bound, ahead, out) }
                }

                #[inline(always)]
                fn compress(
                    self,
                    mask: u32,
                    from: (&[f32; LANES], &[u32; LANES]),
                    to: (&mut [f32; LANES], &mut [u32; LANES]),
                ) {
                    // SAFETY: as above.
                    unsafe { compress(mask, from, to) }
                }

                #[inline(always)]
                fn below(self, values: &[f32; LANES], bound: f32) -> u32 {
                    // SAFETY: as above.
                    unsafe { below(values, bound) }
                }

                #[inline(always)]
                fn unmarked(self, marks: &[u32], slots: &[u32; LANES], mask: u32) -> u32 {
                    assert!(marks.len() <= i32::MAX as usize, "{} words", marks.len());
                    // SAFETY: as above; the number of words is checked.
                    unsafe { unmarked(marks, slots, mask) }
                }

                #[inline(always)]
                fn least(self, values: &[f32]) -> usize {
                    // SAFETY: as above.
                    unsafe { least(values) }
                }

                #[inline(always)]
                fn product(self, code: &[u8], query: &[i8]) -> i32 {
                    let whole = code.len() == query.len() && code.len().is_multiple_of(64);
                    assert!(whole, "{} and {} bytes", code.len(), query.len());
                    // SAFETY: as above; the lengths are checked.
                    unsafe { product(code, query) }
                }

                #[inline(always)]
                fn products(self, rows: &[u8], strip: &[i8]) -> [[i32; SIDE]; SIDE] {
                    let whole = rows.len() == strip.len() && rows.len().is_multiple_of(64 * SIDE);
                    assert!(whole, "{} and {} bytes", rows.len(), strip.len());
                    // SAFETY: as above; the lengths are checked.
                    unsafe { products(rows, strip) }
                }

                #[inline(always)]
                fn nibble_products(self, gather: Gather<'_>, out: &mut [i32]) {
                    let whole = out.len() >= gather.slots.len() && gather.query.len().is_multiple_of(CHUNK);
                    assert!(whole, "room and chunks");
                    // SAFETY: as above; the lengths are checked.
                    unsafe { nibble_products(gather, out) }
                }

                #[inline(always)]
                fn fine_product(self, high: &[u8], low: &[u8], query: &[i16]) -> i32 {
                    let bytes = query.len() / 2;
                    let whole = query.len().is_multiple_of(CHUNK) && high.len() >= bytes && low.len() >= bytes;
                    assert!(whole, "chunks");
                    // SAFETY: as above; the lengths are checked.
                    unsafe { fine_product(high, low, query) }
                }

                #[inline(always)]
                fn entries(self, steps: &[i8; 16], out: &mut [u8; 64]) {
                    // SAFETY: as above.
                    unsafe { entries(steps, out) }
                }

                #[inline(always)]
                fn residual(
                    self,
                    node: &[i16],
                    neighbor: &[i16],
                    (bits, lane): (&mut [[u16; LANES]], usize),
                ) -> Residual {
                    let whole = node.len() == neighbor.len() && node.len().is_multiple_of(STRIPE);
                    assert!(whole && bits.len() == node.len() / 16, "whole stripes of one length, and their bits");
                    // SAFETY: as above; the lengths are checked.
                    unsafe { residual(node, neighbor, (bits, lane)) }
                }

                #[inline(always)]
                fn hadamard(self, x: &mut [f32], signs: &[f32]) {
                    let fits = x.len() == signs.len() && x.len().is_power_of_two() && x.len() >= hadamard::LEAST;
                    assert!(fits, "{} coordinates and {} signs", x.len(), signs.len());
                    // SAFETY: as above; the length is checked.
                    unsafe { hadamard(x, signs) }
                }
            }
        };
    };
}

pub(super) use simd_by_kernels;

/// Something to be done with an instruction set.
pub(crate) trait Task {
    type Output;
    /// `#[inline(always)]`, so that it is compiled for the instruction set.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// The instruction set of this CPU; panics with the text of the error, as [`Kernels::new`](super::Kernels::new) does.
pub(crate) fn isa() -> Isa {
    Isa::detect().unwrap_or_else(|error| panic!("{error}"))
}

/// Runs `task` with `isa`. Panics if this CPU lacks it.
#[inline]
pub(crate) fn dispatch<T: Task>(isa: Isa, task: T) -> T::Output {
    assert!(isa.available(), "this CPU cannot run {isa}");
    match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the CPU has it.
        Isa::Avx512 => unsafe { super::fastscan::x86_64::run_avx512(task) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the CPU has it.
        Isa::Avx2 => unsafe { super::fastscan::x86_64::run_avx2(task) },
        #[cfg(target_arch = "aarch64")]
        // SAFETY: the CPU has it.
        Isa::Neon => unsafe { super::fastscan::aarch64::run_neon(task) },
        #[cfg(target_arch = "aarch64")]
        // SAFETY: the CPU has it.
        Isa::Dotprod => unsafe { super::fastscan::aarch64::run_dotprod(task) },
        _ => task.run(super::fastscan::scalar::Scalar),
    }
}

/// The nearest whole number of one well within 23 bits, ties to even: adding 1.5 · 2²³ leaves no room for a fraction.
#[inline(always)]
pub(crate) fn whole(x: f32) -> i32 {
    const MAGIC: f32 = 12_582_912.0;
    (x + MAGIC).to_bits().cast_signed().wrapping_sub(MAGIC.to_bits().cast_signed())
}
