//! Products of bytes by the dot product instructions.

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

/// Advanced SIMD with dot products; made only by [`run`].
#[derive(Debug, Clone, Copy)]
pub(in super::super::super) struct Dotprod(());

/// # Safety
/// The CPU has what [`Dotprod`] stands for.
#[target_feature(enable = "neon,dotprod")]
pub(in super::super::super) unsafe fn run<T: Task>(task: T) -> T::Output {
    task.run(Dotprod(()))
}

simd_by_kernels!(Dotprod);

#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn product(code: &[u8], query: &[i8]) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { tile::product::<registers::Dotprod>(code, query) }
}

#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn products(rows: &[u8], strip: &[i8]) -> [[i32; SIDE]; SIDE] {
    // SAFETY: the caller's promise.
    unsafe { tile::products::<registers::Dotprod>(rows, strip) }
}

#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn nibble_products(gather: Gather<'_>, out: &mut [i32]) {
    // SAFETY: the caller's promise.
    unsafe { nibbles::products::<registers::Dotprod>(gather, out) }
}
