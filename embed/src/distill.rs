//! A sentence encoder's knowledge put into a table of one vector for each word piece.
//!
//! In three steps, none of which needs labels or the collections the table is judged on:
//!
//! 1. *Prior*: every token alone through the teacher, centred, times its inverse document frequency in the texts given
//!    (Tulkens & van Dongen, "Model2Vec", 2024, with idf for their Zipf weights).
//! 2. *Space*: the teacher's vectors of the texts are centred and turned onto their principal components, of which `dim`
//!    are kept.
//! 3. *Ridge regression*: the table whose sums over a text's tokens are nearest to the teacher's vectors of the texts, held to
//!    the prior by `ridge`: `min ‖A T − Y‖² + ridge · ‖T − T₀‖²`, by conjugate gradients on `T − T₀`. A row of `A` holds a
//!    text's token counts over the length of their sum under the prior, so that lengths match from the start. A token that
//!    no text has keeps its prior.

use crate::encoder::{DenseEncoder, EncodeError, EncodeOptions, Encoder, TextKind};
use crate::sentence::SentenceEncoder;
use crate::static_encoder::StaticEncoder;
use crate::static_encoder::wordpiece::WordPiece;
use components::components;
use design::Design;

pub(crate) mod components;
mod design;
pub mod wordnet;

/// How a table is distilled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DistillParams {
    /// Numbers in a row.
    pub dim: usize,
    /// How strongly rows are held to the prior; the sum of squares of a common token's counts is some hundreds.
    pub ridge: f32,
    /// Steps of conjugate gradients.
    pub iterations: usize,
}

impl Default for DistillParams {
    fn default() -> Self {
        DistillParams { dim: 256, ridge: 0.01, iterations: 20 }
    }
}

/// What a distillation is at, with the part done and the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The teacher encodes tokens and texts.
    Teacher {
        /// Texts done.
        done: usize,
        /// Texts there are.
        total: usize,
    },
    /// Conjugate gradients, several dimensions at a time.
    Fit {
        /// Groups of dimensions done.
        done: usize,
        /// Groups there are.
        total: usize,
    },
}

/// Why nothing could be distilled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DistillError {
    /// A parameter out of range.
    #[error("{name}: expected {expected}, found {found}")]
    Params {
        /// Its name.
        name: &'static str,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// The teacher's tokens cannot be cut by this crate's WordPiece.
    #[error("the teacher's vocabulary: {0}")]
    Vocabulary(String),
    /// The teacher failed.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// Distils `teacher` over `texts` into a table, as [`StaticEncoder::read`] reads it. Most of the time is the teacher's.
pub fn distill(
    teacher: &SentenceEncoder,
    texts: &[&str],
    params: DistillParams,
    progress: &(dyn Fn(Stage) + Sync),
) -> Result<Vec<u8>, DistillError> {
    let hidden = teacher.dim();
    check(params, texts.len(), hidden)?;
    let tokens = teacher.vocabulary();
    let words = WordPiece::new(tokens.iter().map(String::as_str));
    let words = words.map_err(|error| DistillError::Vocabulary(error.to_string()))?;
    let total = texts.len() + tokens.len();
    let report = |done, _| progress(Stage::Teacher { done, total });
    let mut alone =
        teacher.encode_tokens(&EncodeOptions { progress: Some(&report), ..EncodeOptions::new(TextKind::Raw) })?;
    let report = |done, _| progress(Stage::Teacher { done: done + tokens.len(), total });
    let options = EncodeOptions { progress: Some(&report), ..EncodeOptions::new(TextKind::Raw) };
    let mut taught = teacher.encode_with(texts, &options)?.0.into_data();

    let empty = teacher.encode(&[""], TextKind::Raw)?.into_data();
    let mean = subtract_mean(&mut taught, hidden);
    let basis = components(&taught, hidden, params.dim);
    let mut target = basis.project(&taught);
    target.chunks_exact_mut(params.dim).for_each(crate::bert::ops::normalize);

    subtract_mean(&mut alone, hidden);
    let mut prior = basis.project(&alone);
    let counts: Vec<Vec<(u32, f32)>> = texts.iter().map(|text| count(&words, text)).collect();
    weigh(&mut prior, params.dim, &counts, texts.len());
    let design = Design::new(&counts, &prior, params.dim);
    let report = |done, total| progress(Stage::Fit { done, total });
    let mut table = design.fit(&prior, &target, params, &report);

    // The first token stands for no tokens.
    let nothing: Vec<f32> = empty.iter().zip(&mean).map(|(x, mean)| x - mean).collect();
    table[..params.dim].copy_from_slice(&basis.project(&nothing));
    let about = [
        ("teacher", teacher.model_id().to_owned()),
        ("teacher_sha256", teacher.weights_sha256().to_owned()),
        ("texts", texts.len().to_string()),
        ("ridge", params.ridge.to_string()),
        ("iterations", params.iterations.to_string()),
    ];
    let name = format!("static-{}d-{}", params.dim, teacher.model_id());
    Ok(StaticEncoder::write(&name, &tokens, &table, params.dim, &about))
}

fn check(params: DistillParams, texts: usize, hidden: usize) -> Result<(), DistillError> {
    let fault = |name, expected: String, found: String| Err(DistillError::Params { name, expected, found });
    if !(1..=hidden).contains(&params.dim) {
        return fault("dim", format!("1..={hidden}, as the teacher has {hidden}"), params.dim.to_string());
    }
    if !(params.ridge.is_finite() && params.ridge > 0.0) {
        return fault("ridge", "a finite number above 0".into(), params.ridge.to_string());
    }
    if texts <= params.dim {
        return fault("texts", format!("more than {}, to span so many dimensions", params.dim), texts.to_string());
    }
    Ok(())
}

/// Subtracts the mean of the rows of `dim` numbers from each, and gives it.
fn subtract_mean(rows: &mut [f32], dim: usize) -> Vec<f32> {
    let mut sum = vec![0.0_f64; dim];
    rows.chunks_exact(dim).for_each(|row| sum.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x)));
    let mean: Vec<f32> = sum.iter().map(|sum| (sum / (rows.len() / dim) as f64) as f32).collect();
    rows.chunks_exact_mut(dim).for_each(|row| row.iter_mut().zip(&mean).for_each(|(x, mean)| *x -= mean));
    mean
}

/// The tokens of a text, each once, with their number.
fn count(words: &WordPiece, text: &str) -> Vec<(u32, f32)> {
    let mut ids = Vec::new();
    words.for_each(text, |id| ids.push(id));
    ids.sort_unstable();
    ids.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as f32)).collect()
}

/// Multiplies each token's row by its inverse document frequency, in the form of BM25.
fn weigh(rows: &mut [f32], dim: usize, counts: &[Vec<(u32, f32)>], texts: usize) {
    let mut frequency = vec![0.0; rows.len() / dim];
    counts.iter().flatten().for_each(|&(token, _)| frequency[token as usize] += 1.0);
    for (row, frequency) in rows.chunks_exact_mut(dim).zip(frequency) {
        let idf = (1.0 + (texts as f32 - frequency + 0.5) / (frequency + 0.5)).ln();
        row.iter_mut().for_each(|x| *x *= idf);
    }
}
