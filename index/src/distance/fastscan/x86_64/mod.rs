//! FastScan on x86-64: a table's entries in a register, 32 nibbles looked up by one shuffle with AVX2, 64 with AVX-512.
//!
//! Bytes are added in lanes of 16 bits: one sum takes the whole lane, of which the higher byte is noise, another the higher byte
//! alone; at the end that noise, 256 times the second sum, is taken off the first.

mod avx2;
mod avx512;

use std::arch::x86_64::__m128i;

pub(in super::super) use avx2::run as run_avx2;
pub(in super::super) use avx512::run as run_avx512;

/// The sums of lanes 0–7, 8–15, 16–23 and 24–31.
type Quarters = [__m128i; 4];
