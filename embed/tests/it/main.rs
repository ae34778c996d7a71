//! The crate from outside: each module has its own oracle.

mod bm25;
mod collections;
mod encoders;
mod files;
mod measures;
mod memory;
mod parity;
mod postings;
mod random;
mod statics;
mod tiny;
mod transformer;
