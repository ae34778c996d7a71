//! How many dimensions a collection needs: the capacity of fixed-length vectors, measured against BM25's ranking.
//!
//! Luan, Eisenstein, Toutanova & Collins, "Sparse, Dense, and Attentional Representations for Text Retrieval"
//! (arXiv:2005.00181). BM25 is an inner product of sparse vectors, so a random projection of both sides is a dense encoder
//! whose errors have a theory: the order of two documents survives projection to `k` dimensions if `k` is large beside the
//! inverse square of their [`margin`]. Long documents have small margins, so they need more dimensions; several vectors for a
//! document win margin back. [`survival`] measures this on a judged collection, [`passages`] on passages of growing length.

pub mod margin;
pub mod passages;
pub mod plot;
pub mod project;
pub mod survival;
