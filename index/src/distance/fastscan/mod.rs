//! FastScan: one-bit codes of 32 neighbours scored together, by table look-up in registers.
//!
//! André, Kermarrec & Le Scouarnec (VLDB 2015) for the look-ups; the codes and the estimate are those of RaBitQ (arXiv:2405.12497) as
//! SymphonyQG (arXiv:2411.12229) lays them out along a graph. A query becomes a table: for every group of four dimensions the
//! sixteen possible sums of the query's coordinates there, one byte each. A code's product with the query is then one look-up
//! and one addition per group, for 32 codes at a time.
//!
//! Table bytes are small enough that no sum over all groups passes 65,535 ([`Table`] scales them so), whatever the dimension: sums
//! are kept in 16 bits and are the same in every instruction set, bit for bit.

#[cfg(target_arch = "aarch64")]
pub(super) mod aarch64;
mod pack;
pub(crate) mod scalar;
mod table;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
pub(super) mod x86_64;

use half::f16;

pub(crate) use pack::{code_bytes, pack};
pub(crate) use table::Table;

/// Codes scored together.
pub(crate) const LANES: usize = 32;

/// What a half float of a block stands for: codes err by some per cent, so eleven bits are plenty, but their range is not.
#[derive(Debug, Clone, Copy, PartialEq, bincode::Encode, bincode::Decode)]
pub(crate) struct Units {
    pub(crate) add: f32,
    pub(crate) rescale: f32,
}

/// 32 packed codes and what turns their products into distances.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block<'a> {
    /// As [`pack`] lays them out: [`code_bytes`] of them.
    pub(crate) codes: &'a [u8],
    /// The constant part of each estimate, in [`Units::add`]; infinite where there is no neighbour.
    pub(crate) add: &'a [f16; LANES],
    /// What one unit of the product is worth, in [`Units::rescale`].
    pub(crate) rescale: &'a [f16; LANES],
    pub(crate) units: Units,
}
