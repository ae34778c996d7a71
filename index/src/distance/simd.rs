//! One instruction set as a value: whoever holds it may use it, for it can be had only where the CPU has it.
//!
//! A search is written once over [`Simd`] and run by [`dispatch`] inside a function compiled for the instruction set, into which
//! everything is inlined: plain loops are vectorised as far as the CPU goes, and the few operations that need more than that
//! are this trait's.

use super::fastscan::{Block, LANES, Table};
use super::isa::Isa;
use super::nibbles::Gather;
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
}

/// Something to be done with an instruction set.
pub(crate) trait Task {
    type Output;
    /// `#[inline(always)]`, so that it is compiled for the instruction set.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
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
        _ => task.run(super::fastscan::scalar::Scalar),
    }
}

/// The nearest whole number of one well within 23 bits, ties to even: adding 1.5 · 2²³ leaves no room for a fraction.
#[inline(always)]
pub(crate) fn whole(x: f32) -> i32 {
    const MAGIC: f32 = 12_582_912.0;
    (x + MAGIC).to_bits().cast_signed().wrapping_sub(MAGIC.to_bits().cast_signed())
}
