//! FastScan on AArch64: a table's entries in a register, sixteen nibbles looked up by one `tbl`.
//!
//! `lookup` scores and `select` says which lanes go on, the same for both instruction sets, which differ in products of bytes.

mod dotprod;
mod lookup;
mod neon;
mod select;

pub(in super::super) use dotprod::run as run_dotprod;
pub(in super::super) use neon::run as run_neon;
