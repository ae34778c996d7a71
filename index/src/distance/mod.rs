//! Distances between stored vectors, as fast as the CPU allows.
//!
//! isa bits · view (what kernels read and are) prefetch · scalar (the truth) · rows (the loops) · lanes (what an instruction set must
//! do) x86_64 aarch64 · floats bytes (the metrics) · element (the way to each type's kernels) · kernels (what callers hold)
//!
//! A store makes one [`Kernels`] when it is opened; searches then call through it without asking again what the CPU can do.
//! Metrics and loops are written once, over the few operations that each instruction set has a file for.

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod bits;
mod bytes;
mod element;
pub(crate) mod fastscan;
mod floats;
pub(crate) mod hadamard;
mod isa;
mod kernels;
mod lanes;
pub(crate) mod nibbles;
pub(crate) mod prefetch;
pub(crate) mod residual;
mod rows;
mod scalar;
pub(crate) mod simd;
#[cfg(test)]
mod simsimd;
#[cfg(test)]
mod tests;
pub(crate) mod tile;
mod view;
#[cfg(target_arch = "x86_64")]
mod x86_64;

pub use bits::Bits8;
pub use element::Element;
pub use isa::{Isa, IsaError};
pub use kernels::Kernels;
pub use view::RowsView;
