//! What every encoder promises: a batch of texts in, one result per text out, in the same order, from a shared reference.
//!
//! Three traits, because three kinds of result are stored and compared in three ways; [`Encoder`] holds what a caller
//! needs to know about any of them. All are object-safe, so that a server picks a model by name when it starts.

use crate::dense::{DenseBatch, MultiVectorBatch};
use crate::sparse::SparseVector;

/// What a text is for. Many models, and BM25, treat the two sides of a search differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextKind {
    /// What is looked for.
    Query,
    /// What is looked through.
    Document,
    /// Neither side's prompt or weighting: the text as the model sees it.
    Raw,
}

/// What all encoders say about themselves.
pub trait Encoder: Send + Sync {
    /// Names the model; vectors of two encoders may be compared only if their ids are equal.
    fn model_id(&self) -> &str;

    /// The tokens of a text that are looked at; the rest is cut off. `None`: all of them.
    fn max_tokens(&self) -> Option<usize>;
}

/// Texts to dense vectors.
pub trait DenseEncoder: Encoder {
    /// Dimension of every vector.
    fn dim(&self) -> usize;

    /// Whether every vector has length 1, so that inner product and cosine agree.
    fn normalized(&self) -> bool;

    /// One row of [`dim`](Self::dim) numbers for each text, in the order of `texts`.
    fn encode(&self, texts: &[&str], kind: TextKind) -> Result<DenseBatch, EncodeError>;
}

/// Texts to sparse vectors, whose inner product is the score.
pub trait SparseEncoder: Encoder {
    /// One vector for each text, in the order of `texts`.
    fn encode(&self, texts: &[&str], kind: TextKind) -> Result<Vec<SparseVector>, EncodeError>;
}

/// Texts to many dense vectors each, compared by the sum over a query's vectors of the best product with a document's.
pub trait MultiVectorEncoder: Encoder {
    /// Dimension of every vector.
    fn dim(&self) -> usize;

    /// Any number of vectors of [`dim`](Self::dim) numbers for each text, in the order of `texts`.
    fn encode(&self, texts: &[&str], kind: TextKind) -> Result<MultiVectorBatch, EncodeError>;
}

/// Why texts could not be encoded. Nothing of the batch is returned then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A dictionary-based encoder was given a document before it was added to the dictionary.
    #[error("text {text} of the batch: expected a document that was added before, found the unknown term `{term}`")]
    UnknownTerm {
        /// Position in the batch.
        text: usize,
        /// The term that has no id.
        term: String,
    },
}
