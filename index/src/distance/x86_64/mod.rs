//! The registers of x86-64: 256 bits with [`Avx2`], 512 with [`Avx512`].

mod avx2;
mod avx512;

pub(super) use avx2::Avx2;
pub(super) use avx512::Avx512;
