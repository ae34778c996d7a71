//! Products of bytes widened to 16 bits.

use crate::distance::aarch64 as registers;
use crate::distance::hadamard::aarch64::signed_neon as hadamard;
use crate::distance::nibbles::Gather;
use crate::distance::nibbles::aarch64::{self as nibbles, fine_product};
use crate::distance::residual::aarch64::residual_neon as residual;
use crate::distance::simd::{Task, simd_by_kernels};
use crate::distance::tile::SIDE;
use crate::distance::tile::aarch64 as tile;

use super::lookup::{entries, estimates};
use super::select::{below, compress, least, unmarked};

/// Advanced SIMD; made only by [`run`].
#[derive(Debug, Clone, Copy)]
pub(in super::super::super) struct Neon(());

/// # Safety
/// The CPU has what [`Neon`] stands for.
#[target_feature(enable = "neon")]
pub(in super::super::super) unsafe fn run<T: Task>(task: T) -> T::Output {
    task.run(Neon(()))
}

simd_by_kernels!(Neon);

#[inline]
#[target_feature(enable = "neon")]
unsafe fn product(code: &[u8], query: &[i8]) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { tile::product::<registers::Neon>(code, query) }
}

#[inline]
#[target_feature(enable = "neon")]
unsafe fn products(rows: &[u8], strip: &[i8]) -> [[i32; SIDE]; SIDE] {
    // SAFETY: the caller's promise.
    unsafe { tile::products::<registers::Neon>(rows, strip) }
}

#[inline]
#[target_feature(enable = "neon")]
unsafe fn nibble_products(gather: Gather<'_>, out: &mut [i32]) {
    // SAFETY: the caller's promise.
    unsafe { nibbles::products::<registers::Neon>(gather, out) }
}
