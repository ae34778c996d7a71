//! The plain loop, which is vectorised as it is.

use super::{Residual, residual_scalar};
use crate::distance::fastscan::LANES;

/// # Safety
/// The CPU has NEON.
#[inline]
#[target_feature(enable = "neon")]
pub(in super::super) unsafe fn residual_neon(
    node: &[i16],
    neighbor: &[i16],
    bits: (&mut [[u16; LANES]], usize),
) -> Residual {
    residual_scalar(node, neighbor, bits)
}
