//! The crate from outside: each module has its own oracle.

mod bm25;
mod encoders;
mod files;
mod postings;
mod random;
