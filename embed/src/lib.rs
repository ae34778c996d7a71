//! Text to embeddings: what every encoder promises, BM25 as the first of them, and the measures that judge a ranking.
//!
//! The module map, top to bottom; a module uses only those before it:
//!
//! ```text
//! sparse  dense             what an encoder returns: checked vectors
//! encoder                   the traits: texts in, one result per text out
//! analyze/porter  analyze   English text to index terms, as Lucene cuts it
//! ```
#![forbid(unsafe_code)]

pub mod analyze;
pub mod dense;
pub mod encoder;
pub mod sparse;

pub use dense::{DenseBatch, MultiVectorBatch};
pub use encoder::{DenseEncoder, EncodeError, Encoder, MultiVectorEncoder, SparseEncoder, TextKind};
pub use sparse::SparseVector;
