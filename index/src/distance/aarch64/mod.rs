//! The registers of AArch64, of 128 bits: with [`Neon`] products of bytes are widened, with [`Dotprod`] one instruction adds up four.

mod dot;
mod lanes;

pub(super) use dot::{Dot, Dotprod, Neon};
pub(super) use lanes::Registers;
