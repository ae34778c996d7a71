//! Distances between stored vectors, as fast as the CPU allows.
//!
//! isa · kernels (what callers hold) element (dispatch) · scalar (the truth)
//!
//! A store makes one [`Kernels`] when it is opened; searches then call through it without asking again what the CPU can do.

mod element;
mod isa;
mod kernels;
mod scalar;

pub use element::{Bits8, Element};
pub use isa::{Isa, IsaError};
pub use kernels::{Kernels, RowsView};
