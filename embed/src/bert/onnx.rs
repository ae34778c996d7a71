//! Token states by ONNX Runtime: the same model computed by another engine, for accelerators and for comparison.
//!
//! The library is not linked. It is loaded when a model is opened, from a path, from `ORT_DYLIB_PATH`, or by the system's name
//! for it; nothing is downloaded. A process has one: who opens a second model gets the library of the first. The graph takes
//! what it asks for of `input_ids`, `attention_mask` and `token_type_ids`, and its first output is the states,
//! `[texts × longest × hidden]`: texts are padded here, as its shapes are rectangles. Give the result to
//! [`SentenceEncoder::with_body`](crate::SentenceEncoder::with_body).

use super::{Scratch, TokenBatch, TokenModel};
use crate::encoder::EncodeError;
use ort::environment::Environment;
use ort::session::{Session, SessionInputValue};
use ort::value::Tensor;
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// What a graph may ask for.
const INPUTS: [&str; 3] = ["input_ids", "attention_mask", "token_type_ids"];

/// The library once it is loaded, and where from. Kept, as it allows no second environment in a process, not even after the first.
static LOADED: Mutex<Option<(Option<PathBuf>, Environment)>> = Mutex::new(None);

/// A BERT body as an ONNX file.
pub struct OnnxModel {
    hidden: usize,
    inputs: Vec<String>,
    /// A run needs it alone; it computes on threads of its own.
    session: Mutex<Session>,
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// No library of ONNX Runtime where it was looked for.
    #[error("ONNX Runtime: expected its library at {looked}: {message}")]
    Library {
        /// Where.
        looked: String,
        /// What the loader says.
        message: String,
    },
    /// The file is no graph that the library runs.
    #[error("{path}: expected a graph for ONNX Runtime: {message}")]
    Graph {
        /// The file.
        path: PathBuf,
        /// What the library says.
        message: String,
    },
    /// The graph wants something else than tokens.
    #[error("{path}: input `{found}`: expected only input_ids, attention_mask, token_type_ids")]
    Input {
        /// The file.
        path: PathBuf,
        /// What it wants.
        found: String,
    },
}

impl OnnxModel {
    /// Opens the graph in `file`, whose states have `hidden` numbers, on `threads` threads (0: as many as the library likes), with
    /// the library at `library`, or where the system finds it. Errors if this process has already loaded another library.
    pub fn open(library: Option<&Path>, file: &Path, hidden: usize, threads: usize) -> Result<Self, OnnxError> {
        let environment = environment(library)?;
        let refused = |message: String| OnnxError::Graph { path: file.into(), message };
        let mut builder = Session::builder(&environment).map_err(|error| refused(error.to_string()))?;
        if threads > 0 {
            builder = builder.with_intra_threads(threads).map_err(|error| refused(error.to_string()))?;
        }
        let session = builder.commit_from_file(file).map_err(|error| refused(error.to_string()))?;
        let inputs: Vec<String> = session.inputs().iter().map(|input| input.name().to_owned()).collect();
        match inputs.iter().find(|name| !INPUTS.contains(&name.as_str())) {
            Some(found) => Err(OnnxError::Input { path: file.into(), found: found.clone() }),
            None => Ok(OnnxModel { hidden, inputs, session: Mutex::new(session) }),
        }
    }

    /// The states of a padded batch, `[texts × longest × hidden]`, row by row of the texts' own tokens into `out`.
    fn run(&self, batch: &TokenBatch, out: &mut Vec<f32>) -> Result<(), String> {
        let (texts, longest) = (batch.texts().count(), batch.texts().map(|text| text.len()).max().unwrap_or(0));
        let padded = |of: &dyn Fn(usize) -> i64| {
            let rows = batch.texts().flat_map(|text| {
                let padding = longest - text.len();
                text.map(of).chain(std::iter::repeat_n(0, padding))
            });
            Tensor::from_array(([texts, longest], rows.collect::<Vec<i64>>())).map_err(|error| error.to_string())
        };
        let mut given: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = Vec::new();
        for name in &self.inputs {
            let tensor = match name.as_str() {
                "input_ids" => padded(&|token| batch.ids[token].into())?,
                "token_type_ids" => padded(&|token| batch.types[token].into())?,
                _ => padded(&|_| 1)?,
            };
            given.push((name.as_str().into(), tensor.into()));
        }
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let outputs = session.run(given).map_err(|error| error.to_string())?;
        let (shape, states) = outputs[0].try_extract_tensor::<f32>().map_err(|error| error.to_string())?;
        let expected = [texts, longest, self.hidden].map(|length| length as i64);
        if shape[..] != expected {
            return Err(format!("expected states of shape {expected:?}, found {:?}", &shape[..]));
        }
        out.clear();
        for (text, states) in batch.texts().zip(states.chunks_exact((longest * self.hidden).max(1))) {
            out.extend_from_slice(&states[..text.len() * self.hidden]);
        }
        Ok(())
    }
}

/// The environment of the library at `library`, or of the one that is loaded, or where the system finds it.
fn environment(library: Option<&Path>) -> Result<Environment, OnnxError> {
    let place = |path: Option<&Path>| {
        path.map_or("the system's place or ORT_DYLIB_PATH".to_owned(), |path| path.display().to_string())
    };
    let missing = |message: String| OnnxError::Library { looked: place(library), message };
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    match &*loaded {
        Some((from, _)) if library.is_some() && library != from.as_deref() => {
            Err(missing(format!("this process has loaded the one at {}", place(from.as_deref()))))
        }
        Some((_, environment)) => Ok(environment.clone()),
        None => {
            let builder = match library {
                Some(path) => ort::init_from(path).map_err(|error| missing(error.to_string()))?,
                None => ort::init(),
            };
            let environment = builder.build().map_err(|error| missing(error.to_string()))?;
            *loaded = Some((library.map(Path::to_owned), environment.clone()));
            Ok(environment)
        }
    }
}

impl TokenModel for OnnxModel {
    fn hidden(&self) -> usize {
        self.hidden
    }

    fn forward(&self, batch: &TokenBatch, _: &mut Scratch, out: &mut Vec<f32>) -> Result<(), EncodeError> {
        if batch.tokens() == 0 {
            out.clear();
            return Ok(());
        }
        self.run(batch, out).map_err(|message| EncodeError::Engine { message })
    }
}
