//! Distances between stored vectors, as fast as the CPU allows.
//!
//! isa · kernels (what callers hold) element (the way to each type's) · scalar (the truth)
//! lanes (what an instruction set must do) x86_64 aarch64 · rows (the loops) · floats bytes (the metrics)
//!
//! A store makes one [`Kernels`] when it is opened; searches then call through it without asking again what the CPU can do.
//! Metrics and loops are written once, over the few operations that each instruction set has a file for.

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod bytes;
mod element;
mod floats;
mod isa;
mod kernels;
mod lanes;
mod prefetch;
mod rows;
mod scalar;
#[cfg(test)]
mod simsimd;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86_64;

pub use element::{Bits8, Element};
pub use isa::{Isa, IsaError};
pub use kernels::{Kernels, RowsView};
