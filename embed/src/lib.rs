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
//! model/{…}                 a model's folder: settings, tokenizer, weights
//! bert/{…}                  the transformer's forward pass over packed batches
//! sentence  splade  rerank  what is made of its states: one vector, words, a score
//! static_encoder/{…}        the encoder that comes with the crate: a vector for each word piece
//! distill/{…}               how its table is made of a sentence encoder
//! analyze/porter  analyze   English text to index terms, as Lucene cuts it
//! bm25  bm25/file           the lexical encoder, and its statistics on disk
//! splade/free               learned sparse documents, queries by lookup
//! postings                  exact search over sparse vectors
//! evaluate                  nDCG, recall, reciprocal rank
//! evaluate/{beir, rank, trec}   a judged collection from its folder, a sparse encoder's answers to it, answers as files
//! frozen                    vectors computed once and read again
//! hybrid/…                  dense and sparse search together: fusion, its weight, whether it helps
//! multivector/…             several vectors per text: their comparison, windows, one vector in their place
//! evaluate/exact            the answers of dense and multi-vector encoders
//! capacity/…                how many dimensions, or vectors, keep BM25's ranking
//! train/…                   heads over frozen vectors: losses, gradients, steps
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
// Five files allow it, each with its reason: loops compiled for richer CPUs, matrix products, prefetch, the map of a file.
#![deny(unsafe_code)]

pub mod analyze;
pub mod bert;
pub mod bm25;
pub mod capacity;
pub mod cpu;
pub mod dense;
pub mod distill;
pub mod encoder;
pub mod evaluate;
pub mod frozen;
pub mod gather;
pub mod hopfield;
pub mod hybrid;
pub mod memory;
pub mod model;
pub mod multivector;
pub mod postings;
pub mod random;
pub mod rerank;
pub mod sentence;
pub mod sparse;
pub mod splade;
pub mod static_encoder;
pub mod train;

pub use bm25::{Bm25, Bm25Params};
pub use dense::{DenseBatch, MultiVectorBatch};
pub use encoder::{
    Counts, DenseEncoder, EncodeError, EncodeOptions, Encoder, MultiVectorEncoder, Overlong, SparseEncoder, TextKind,
};
pub use postings::Postings;
pub use rerank::{CrossEncoder, Reranker};
pub use sentence::{SentenceEncoder, TokenStates};
pub use sparse::SparseVector;
pub use splade::Splade;
pub use static_encoder::StaticEncoder;

/// The README's program, compiled and run with the documentation's tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
