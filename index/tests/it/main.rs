//! The index from outside: what a caller can see of it, compared with brute force, with itself on other threads, and with files
//! that were damaged on purpose.
//!
//! All data are drawn from fixed seeds, so that a bound on recall holds on every machine; the seed is in the message of each
//! assertion it matters to.

#![forbid(unsafe_code)]

mod compact;
mod damage;
mod data;
mod determinism;
mod files;
mod filtered;
mod quantized;
mod recall;
mod refusals;
