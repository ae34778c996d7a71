//! A model's folder, read and checked: configuration, tokenizer, weights.
//!
//! The files are those of sentence-transformers and Hugging Face, read in this order: `modules.json`, each module's
//! `config.json`, `sentence_bert_config.json`, `config_sentence_transformers.json`, `config.json`, `tokenizer.json`,
//! `model.safetensors`. What this crate does not compute is refused by the name the file gives it: a vector that is
//! nearly right is worse than an error. Nothing here, or anywhere in this crate, opens a network connection.

use std::io;
use std::path::PathBuf;

pub mod config;
pub mod locate;
pub mod tokens;
pub mod weights;

pub use config::{ModelConfig, Pooling, Prompts};
pub use locate::locate;
pub use tokens::{TokenizedText, Tokenizer};
pub use weights::Weights;

/// Why a model cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// No folder of that name.
    #[error(
        "model `{name}`: expected a folder, looked for {}; nothing is downloaded here: {}",
        looked.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", "),
        locate::remedy(name)
    )]
    NotFound {
        /// What was asked for.
        name: String,
        /// Where it was looked for.
        looked: Vec<PathBuf>,
    },
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file is damaged, or no file of its kind.
    #[error("{path}: expected {expected}, found {found}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What should be there.
        expected: &'static str,
        /// What is.
        found: String,
    },
    /// The model is sound, and of a kind that this crate does not compute.
    #[error("{path}: `{field}` is {found}; supported: {supported}")]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// Which of its settings.
        field: String,
        /// Its value.
        found: String,
        /// The values that are computed.
        supported: &'static str,
    },
    /// The weights lack a tensor.
    #[error("{path}: expected a tensor `{tensor}`, found none of that name")]
    MissingTensor {
        /// The file.
        path: PathBuf,
        /// The name looked for.
        tensor: String,
    },
    /// A tensor has another shape than the configuration says.
    #[error("{path}: tensor `{tensor}`: expected shape {expected:?}, found {found:?}")]
    Shape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// What the configuration says.
        expected: Vec<usize>,
        /// What the file says.
        found: Vec<usize>,
    },
}
