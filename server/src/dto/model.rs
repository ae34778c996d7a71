//! What is said of the models that turn texts into vectors.

use serde::Serialize;

/// `GET /v1/models`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelList {
    /// The one that comes with the program first.
    pub models: Vec<ModelDescription>,
}

/// A model that is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelDescription {
    /// What requests call it.
    pub name: String,
    /// Its own name, which they may use as well; vectors are comparable if their models' ids are equal.
    pub id: String,
    /// Dimension of its vectors.
    pub dim: usize,
    /// Tokens of a text that it looks at; the rest is cut off. None: all.
    pub max_tokens: Option<usize>,
}
