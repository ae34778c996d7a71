//! What an instruction set must be able to do for the kernels: a few operations on registers full of floats or bytes.
//!
//! The metrics (`floats`, `bytes`) are written once over this trait, and the loops (`rows`) once over the metrics. An instruction
//! set adds one file with these operations. Sums over bytes are kept modulo 2^32, which is exact for the blocks in which `rows` sums.

use half::f16;

use super::rows::Op;
use super::view::Functions;

/// Registers of one instruction set.
///
/// # Safety
/// Each unsafe function may be called only on a CPU that has the instruction set; a load reads a full register from a
/// pointer of any alignment.
pub(super) trait Lanes: 'static {
    /// A register of `FLOATS` lanes of `f32`.
    type Floats: Copy;
    /// A register of `BYTES` bytes.
    type Bytes: Copy;
    /// Lanes of 32 bits that count something over bytes.
    type Counts: Copy;

    const FLOATS: usize;
    const BYTES: usize;

    unsafe fn zero_floats() -> Self::Floats;
    unsafe fn load_f32(from: *const f32) -> Self::Floats;
    unsafe fn load_f16(from: *const f16) -> Self::Floats;
    unsafe fn add_floats(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    unsafe fn subtract(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    unsafe fn absolute(a: Self::Floats) -> Self::Floats;
    /// `sum + a · b`, fused.
    unsafe fn multiply_add(sum: Self::Floats, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    unsafe fn sum_floats(a: Self::Floats) -> f32;

    unsafe fn load_bytes(from: *const u8) -> Self::Bytes;
    /// Signed bytes moved up by 128, so that they are unsigned and as far apart as before.
    unsafe fn raise(a: Self::Bytes) -> Self::Bytes;

    unsafe fn zero_counts() -> Self::Counts;
    unsafe fn add_counts(a: Self::Counts, b: Self::Counts) -> Self::Counts;
    /// The sum of all lanes, modulo 2^32.
    unsafe fn sum_counts(a: Self::Counts) -> u32;
    /// `sum + Σ (a − b)²` over unsigned bytes.
    unsafe fn add_squared_differences(sum: Self::Counts, a: Self::Bytes, b: Self::Bytes) -> Self::Counts;
    /// `sum + Σ |a − b|` over unsigned bytes.
    unsafe fn add_absolute_differences(sum: Self::Counts, a: Self::Bytes, b: Self::Bytes) -> Self::Counts;
    /// `sum + Σ a · b` over unsigned bytes.
    unsafe fn add_products_u8(sum: Self::Counts, a: Self::Bytes, b: Self::Bytes) -> Self::Counts;
    /// `sum + Σ a · b` over signed bytes.
    unsafe fn add_products_i8(sum: Self::Counts, a: Self::Bytes, b: Self::Bytes) -> Self::Counts;
    /// `sum +` the number of bits in which `a` and `b` differ.
    unsafe fn add_differing_bits(sum: Self::Counts, a: Self::Bytes, b: Self::Bytes) -> Self::Counts;

    /// The loops over rows for `O`, compiled with the instruction set enabled.
    fn functions<O: Op>() -> Functions<O::Word>;
}

/// Implements [`Lanes::functions`]: the loops as functions with the named CPU features, into which everything else is inlined.
macro_rules! functions_with_features {
    ($features:literal) => {
        fn functions<O: Op>() -> Functions<O::Word> {
            #[target_feature(enable = $features)]
            unsafe fn distance<O: Op>(a: &[O::Word], b: &[O::Word]) -> f32 {
                // SAFETY: as this function's.
                unsafe { rows::distance::<O>(a, b) }
            }

            #[target_feature(enable = $features)]
            unsafe fn gather<O: Op>(query: &[O::Word], rows: RowsView<'_, O::Word>, slots: &[u32], out: &mut [f32]) {
                // SAFETY: as this function's.
                unsafe { rows::gather::<O>(query, rows, slots, out) }
            }

            #[target_feature(enable = $features)]
            unsafe fn scan<O: Op>(query: &[O::Word], rows: RowsView<'_, O::Word>, first: usize, out: &mut [f32]) {
                // SAFETY: as this function's.
                unsafe { rows::scan::<O>(query, rows, first, out) }
            }

            Functions { distance: distance::<O>, gather: gather::<O>, scan: scan::<O> }
        }
    };
}

pub(super) use functions_with_features;
