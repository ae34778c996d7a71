//! What every encoder promises: a batch of texts in, one result per text out, in the same order, from a shared reference.
//!
//! Three traits, because three kinds of result are stored and compared in three ways; [`Encoder`] holds what a caller
//! needs to know about any of them. All are object-safe, so that a server picks a model by name when it starts.

use crate::dense::{DenseBatch, MultiVectorBatch};
use crate::sparse::SparseVector;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

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

/// What is done with a text of more tokens than the encoder looks at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Overlong {
    /// Its end is cut off, and it is counted in [`Counts::cut`].
    #[default]
    Cut,
    /// The batch is refused with [`EncodeError::TooLong`].
    Refuse,
}

/// How a batch is encoded, and who hears of it.
#[derive(Clone, Copy)]
pub struct EncodeOptions<'a> {
    /// What the texts are for.
    pub kind: TextKind,
    /// What is done with texts that are too long.
    pub overlong: Overlong,
    /// Called from several threads with the texts done and their number, in no order.
    pub progress: Option<&'a (dyn Fn(usize, usize) + Sync)>,
    /// Set to true by another thread, it ends the work with [`EncodeError::Cancelled`] within one batch of tokens.
    pub cancel: Option<&'a AtomicBool>,
}

impl EncodeOptions<'_> {
    /// Texts of `kind`; long ones are cut.
    pub fn new(kind: TextKind) -> Self {
        EncodeOptions { kind, overlong: Overlong::Cut, progress: None, cancel: None }
    }

    pub(crate) fn check_cancelled(&self) -> Result<(), EncodeError> {
        match self.cancel {
            Some(cancel) if cancel.load(Ordering::Relaxed) => Err(EncodeError::Cancelled),
            _ => Ok(()),
        }
    }

    pub(crate) fn report(&self, done: usize, total: usize) {
        if let Some(progress) = self.progress {
            progress(done, total);
        }
    }
}

impl fmt::Debug for EncodeOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let EncodeOptions { kind, overlong, .. } = self;
        f.debug_struct("EncodeOptions").field("kind", kind).field("overlong", overlong).finish_non_exhaustive()
    }
}

/// What was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tokens, special ones included; 0 where an encoder has none.
    pub tokens: usize,
    /// Texts whose end was cut off.
    pub cut: usize,
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

    /// [`encode`](Self::encode) under `options`. What is provided is for encoders that are quick and look at whole texts.
    fn encode_with(&self, texts: &[&str], options: &EncodeOptions<'_>) -> Result<(DenseBatch, Counts), EncodeError> {
        options.check_cancelled()?;
        let encoded = self.encode(texts, options.kind)?;
        options.report(texts.len(), texts.len());
        Ok((encoded, Counts::default()))
    }
}

/// Texts to sparse vectors, whose inner product is the score.
pub trait SparseEncoder: Encoder {
    /// One vector for each text, in the order of `texts`.
    fn encode(&self, texts: &[&str], kind: TextKind) -> Result<Vec<SparseVector>, EncodeError>;

    /// [`encode`](Self::encode) under `options`. What is provided is for encoders that are quick and look at whole texts.
    fn encode_with(
        &self,
        texts: &[&str],
        options: &EncodeOptions<'_>,
    ) -> Result<(Vec<SparseVector>, Counts), EncodeError> {
        options.check_cancelled()?;
        let encoded = self.encode(texts, options.kind)?;
        options.report(texts.len(), texts.len());
        Ok((encoded, Counts::default()))
    }
}

/// Texts to many dense vectors each, compared by the sum over a query's vectors of the best product with a document's.
pub trait MultiVectorEncoder: Encoder {
    /// Dimension of every vector.
    fn dim(&self) -> usize;

    /// Any number of vectors of [`dim`](Self::dim) numbers for each text, in the order of `texts`.
    fn encode(&self, texts: &[&str], kind: TextKind) -> Result<MultiVectorBatch, EncodeError>;

    /// [`encode`](Self::encode) under `options`. What is provided is for encoders that are quick and look at whole texts.
    fn encode_with(
        &self,
        texts: &[&str],
        options: &EncodeOptions<'_>,
    ) -> Result<(MultiVectorBatch, Counts), EncodeError> {
        options.check_cancelled()?;
        let encoded = self.encode(texts, options.kind)?;
        options.report(texts.len(), texts.len());
        Ok((encoded, Counts::default()))
    }
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
    /// A text has more tokens than the encoder looks at, and cutting was not allowed.
    #[error("text {text} of the batch: expected at most {max} tokens, found more")]
    TooLong {
        /// Position in the batch.
        text: usize,
        /// What the encoder looks at.
        max: usize,
    },
    /// The tokenizer refuses a text.
    #[error("text {text} of the batch: the tokenizer says: {message}")]
    Tokenizer {
        /// Position in the batch.
        text: usize,
        /// Its words.
        message: String,
    },
    /// The model gave a number that is none.
    #[error("text {text} of the batch: expected a finite vector, found NaN or infinity: the weights are damaged")]
    NotFinite {
        /// Position in the batch.
        text: usize,
    },
    /// The engine that computes states does not.
    #[error("the engine says: {message}")]
    Engine {
        /// Its words.
        message: String,
    },
    /// Whoever asked has changed their mind.
    #[error("cancelled")]
    Cancelled,
}
