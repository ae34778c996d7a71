//! What can go wrong with a model of the hub.

use std::fmt;
use std::path::PathBuf;

use super::spec::Model;
use crate::fetch::SourceError;
use crate::formats::FormatError;

/// A model that cannot be fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// There is nowhere to put it.
    #[error("no Hugging Face cache: expected HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME or HOME to be set")]
    NoCache,
    /// No connection may be opened, and the cache does not do.
    #[error("HF_HUB_OFFLINE is set, so no connection is opened: expected model `{model}` in {cache}, found {found}")]
    Offline {
        /// The model.
        model: Model,
        /// The cache.
        cache: PathBuf,
        /// What of it is there.
        found: String,
    },
    /// Nobody answers.
    #[error("{endpoint}: expected an answer from the Hugging Face hub, found no connection")]
    Unreachable {
        /// Who should have.
        endpoint: String,
        /// What happened.
        source: Box<ureq::Error>,
    },
    /// The hub says no.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// The hub says what it should not.
    #[error("{url}: expected {expected}, found {found}")]
    Answer {
        /// What was asked.
        url: String,
        /// What should be said.
        expected: &'static str,
        /// What is.
        found: String,
    },
    /// The model is of another kind than is read here.
    #[error("model `{model}`: expected a file `{file}`, found none; it has {weights}")]
    Missing {
        /// The model.
        model: Model,
        /// The file.
        file: &'static str,
        /// In which forms it has weights.
        weights: String,
    },
    /// A file does not come, or is another.
    #[error("`{path}` of model `{model}`")]
    Download {
        /// The model.
        model: Model,
        /// The file.
        path: String,
        /// What happened.
        source: Box<SourceError>,
    },
    /// The cache does not take it.
    #[error(transparent)]
    Folder(#[from] SourceError),
    /// A file of the cache cannot be written, or is not what it should be.
    #[error(transparent)]
    File(#[from] FormatError),
}

/// An answer of the hub that is no success.
#[derive(Debug)]
pub struct Refusal {
    /// The model.
    pub model: Model,
    /// What was asked.
    pub url: String,
    /// The status of the answer.
    pub status: u16,
    /// The hub's own word for the reason; empty where it gives none.
    pub code: String,
    /// Whether it was shown a token.
    pub has_token: bool,
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Refusal { model, url, status, code, has_token } = self;
        let code = if code.is_empty() { String::new() } else { format!(" ({code})") };
        write!(f, "{url}: model `{model}`: expected success, found status {status}{code}: ")?;
        match (self.code.as_str(), status) {
            ("RevisionNotFound", _) => write!(f, "the model has no such branch, tag or commit"),
            ("EntryNotFound", _) => write!(f, "the model has no such file"),
            ("GatedRepo", _) | ("", 403) => write!(f, "the model is gated"),
            // The hub does not tell strangers which models exist.
            ("RepoNotFound", _) | ("", 401 | 404) => write!(f, "there is no such model, or it is private or gated"),
            (_, 429 | 500..) => return write!(f, "the hub is busy; later it may answer"),
            _ => return write!(f, "the hub does not say why"),
        }?;
        match (status, has_token) {
            (401 | 403, true) => write!(f, ", and the account of HF_TOKEN has no access to it"),
            (401 | 403, false) => write!(f, "; HF_TOKEN, which opens those you have access to, is not set"),
            _ => Ok(()),
        }
    }
}
