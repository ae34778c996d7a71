//! Text to embeddings: what every encoder promises, BM25 as the first of them, and the measures that judge a ranking.
//!
//! The module map, top to bottom; a module uses only those before it:
//!
//! ```text
//! cpu  random               which build of a hot loop runs; numbers that a seed brings back
//! gather                    weighted sums of table rows: embedding bags
//! memory/…  hopfield        key-value memory: product keys, a layer and its training; retrieval by a Hopfield network
//! sparse  dense             what an encoder returns: checked vectors
//! encoder                   the traits: texts in, one result per text out
//! analyze/porter  analyze   English text to index terms, as Lucene cuts it
//! bm25  bm25/file           the lexical encoder, and its statistics on disk
//! postings                  exact search over sparse vectors
//! evaluate                  nDCG, recall, reciprocal rank
//! evaluate/{beir, rank}     a judged collection from its folder, and an encoder's answers to it
//! ```
//!
//! ```
//! use vicino_embed::{Bm25, Bm25Params, SparseEncoder, TextKind};
//!
//! let texts = ["the lift of a wing", "heat transfer in a slipstream"];
//! let mut bm25 = Bm25::new(Bm25Params::LUCENE);
//! bm25.extend(texts);
//! let documents = bm25.encode(&texts, TextKind::Document)?;
//! let query = &bm25.encode(&["wings"], TextKind::Query)?[0];
//! assert!(query.dot(&documents[0]) > 0.0 && query.dot(&documents[1]) == 0.0);
//! # Ok::<(), vicino_embed::EncodeError>(())
//! ```
// Three places allow it, each with its reason: the calls of loops compiled for richer CPUs, prefetch, the map of a file.
#![deny(unsafe_code)]

pub mod analyze;
pub mod bm25;
pub mod cpu;
pub mod dense;
pub mod encoder;
pub mod evaluate;
pub mod gather;
pub mod hopfield;
pub mod memory;
pub mod postings;
pub mod random;
pub mod sparse;

pub use bm25::{Bm25, Bm25Params};
pub use dense::{DenseBatch, MultiVectorBatch};
pub use encoder::{DenseEncoder, EncodeError, Encoder, MultiVectorEncoder, SparseEncoder, TextKind};
pub use postings::Postings;
pub use sparse::SparseVector;

/// The README's program, compiled and run with the documentation's tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
