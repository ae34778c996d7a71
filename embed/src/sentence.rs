//! Sentence encoders of the BERT family: a model folder in, one vector for each text out.
//!
//! Reimers & Gurevych, "Sentence-BERT" (arXiv:1908.10084): the token states of a BERT, pooled, and scaled to length 1 if
//! the model's files say so. The same states kept apart are the vectors of late interaction ([`TokenStates`]; Khattab &
//! Zaharia, "ColBERT", arXiv:2004.12832), here without a trained projection, as such weights are in no registered package.

use crate::bert::batch::{self, Computed};
use crate::bert::{Bert, TokenModel, ops};
use crate::dense::{DenseBatch, MultiVectorBatch};
use crate::encoder::{Counts, DenseEncoder, EncodeError, EncodeOptions, Encoder, MultiVectorEncoder, TextKind};
use crate::model::{ModelConfig, ModelError, Pooling, Prompts, TokenizedText, Tokenizer, Weights};
use std::borrow::Cow;
use std::path::Path;

/// A sentence encoder.
pub struct SentenceEncoder {
    model_id: String,
    sha256: String,
    config: ModelConfig,
    tokenizer: Tokenizer,
    body: Box<dyn TokenModel>,
}

/// The same model as a multi-vector encoder: a unit vector for each token of a text, `[CLS]` and `[SEP]` left out.
pub struct TokenStates {
    model_id: String,
    encoder: SentenceEncoder,
    special: Vec<u32>,
}

impl SentenceEncoder {
    /// Reads the model in `folder`, a path or a name that [`locate`](crate::model::locate()) knows. About a tenth of a second
    /// for 90 MB of weights.
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        let config = ModelConfig::open(folder)?;
        let weights = Weights::open(folder)?;
        let body = Box::new(Bert::open(&weights.tensors()?, &config.bert)?);
        let tokenizer = Tokenizer::open(folder, config.bert.vocabulary)?;
        let sha256 = weights.sha256().to_owned();
        Ok(SentenceEncoder { model_id: model_id(folder, &sha256), sha256, config, tokenizer, body })
    }

    /// The same model computed by another engine. Panics if its states have another dimension.
    pub fn with_body(mut self, body: Box<dyn TokenModel>) -> Self {
        assert_eq!(body.hidden(), self.config.bert.hidden, "the states' dimension");
        self.body = body;
        self
    }

    /// The same model looking at `max_tokens` of a text, special tokens included. Errors unless 3 or more, and no more
    /// than the model has positions.
    pub fn with_max_tokens(mut self, max_tokens: usize) -> Result<Self, MaxTokensError> {
        let positions = self.config.bert.positions;
        if !(3..=positions).contains(&max_tokens) {
            return Err(MaxTokensError { found: max_tokens, positions });
        }
        self.config.max_tokens = max_tokens;
        Ok(self)
    }

    /// SHA-256 of the weights' file, in hexadecimal.
    pub fn weights_sha256(&self) -> &str {
        &self.sha256
    }

    /// What the model's files put before queries and documents.
    pub fn prompts(&self) -> &Prompts {
        &self.config.prompts
    }

    /// The model's settings.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    fn tokenize(&self, texts: &[&str], text: usize, kind: TextKind) -> Result<TokenizedText, EncodeError> {
        let prompt = match kind {
            TextKind::Query => &self.config.prompts.query,
            TextKind::Document => &self.config.prompts.document,
            TextKind::Raw => "",
        };
        let whole =
            if prompt.is_empty() { Cow::from(texts[text]) } else { Cow::from(format!("{prompt}{}", texts[text])) };
        let tokens = self.tokenizer.encode(&whole, self.config.max_tokens);
        tokens.map_err(|message| EncodeError::Tokenizer { text, message })
    }

    /// The tokens that texts are cut into, at the places of their ids.
    pub(crate) fn vocabulary(&self) -> Vec<String> {
        self.tokenizer.vocabulary()
    }

    /// The vector of each token of the vocabulary by itself. `[tokens × dim]`, row-major.
    pub(crate) fn encode_tokens(&self, options: &EncodeOptions<'_>) -> Result<Vec<f32>, EncodeError> {
        let tokenize = |token| {
            let alone = self.tokenizer.alone(token as u32);
            alone.map_err(|message| EncodeError::Tokenizer { text: token, message })
        };
        let count = self.vocabulary().len();
        let (vectors, _) = batch::run(&*self.body, count, tokenize, options, |computed| self.pooled(computed))?;
        Ok(vectors.concat())
    }

    /// The vector of each text of a batch.
    fn pooled(&self, Computed { batch, states }: Computed<'_>) -> Vec<Vec<f32>> {
        let dim = self.dim();
        let pooled = batch.texts().map(|text| {
            let mut vector = vec![0.0; dim];
            pool(self.config.pooling, &states[text.start * dim..text.end * dim], &mut vector);
            if self.config.normalize {
                ops::normalize(&mut vector);
            }
            vector
        });
        pooled.collect()
    }

    fn run<T: Send>(
        &self,
        texts: &[&str],
        options: &EncodeOptions<'_>,
        head: impl Fn(Computed<'_>) -> Vec<T> + Sync,
    ) -> Result<(Vec<T>, Counts), EncodeError> {
        let tokenize = |text| self.tokenize(texts, text, options.kind);
        batch::run(&*self.body, texts.len(), tokenize, options, head)
    }
}

/// A number of tokens that the model cannot look at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a maximum of 3..={positions} tokens, found {found}")]
pub struct MaxTokensError {
    found: usize,
    positions: usize,
}

/// A model's name: its folder's, and the beginning of its weights' hash.
pub(crate) fn model_id(folder: &Path, sha256: &str) -> String {
    let name = folder.file_name().map_or(Cow::from("model"), |name| name.to_string_lossy());
    format!("{name}@{}", &sha256[..12])
}

/// Adds up a text's pooled vector. `states: [tokens × out.len()]`, at least one token.
fn pool(pooling: Pooling, states: &[f32], out: &mut [f32]) {
    let rows = states.chunks_exact(out.len());
    let tokens = rows.len() as f32;
    match pooling {
        Pooling::Cls => out.copy_from_slice(&states[..out.len()]),
        Pooling::Max => {
            out.fill(f32::NEG_INFINITY);
            rows.for_each(|row| out.iter_mut().zip(row).for_each(|(out, &x)| *out = out.max(x)));
        }
        Pooling::Mean | Pooling::MeanSqrtLength => {
            out.fill(0.0);
            rows.for_each(|row| out.iter_mut().zip(row).for_each(|(out, &x)| *out += x));
            let scale = if pooling == Pooling::Mean { 1.0 / tokens } else { 1.0 / tokens.sqrt() };
            out.iter_mut().for_each(|x| *x *= scale);
        }
    }
}

impl Encoder for SentenceEncoder {
    fn model_id(&self) -> &str {
        &self.model_id
    }

    fn max_tokens(&self) -> Option<usize> {
        Some(self.config.max_tokens)
    }
}

impl DenseEncoder for SentenceEncoder {
    fn dim(&self) -> usize {
        self.config.bert.hidden
    }

    fn normalized(&self) -> bool {
        self.config.normalize
    }

    fn encode(&self, texts: &[&str], kind: TextKind) -> Result<DenseBatch, EncodeError> {
        self.encode_with(texts, &EncodeOptions::new(kind)).map(|(vectors, _)| vectors)
    }

    fn encode_with(&self, texts: &[&str], options: &EncodeOptions<'_>) -> Result<(DenseBatch, Counts), EncodeError> {
        let (vectors, counts) = self.run(texts, options, |computed| self.pooled(computed))?;
        Ok((DenseBatch::new(vectors.concat(), self.dim()).map_err(|error| not_finite(&error, |row| row))?, counts))
    }
}

/// The error for a row that is no vector; `text` says which text the row is of.
fn not_finite(error: &crate::dense::BatchError, text: impl Fn(usize) -> usize) -> EncodeError {
    match error {
        crate::dense::BatchError::NotFinite { row, .. } => EncodeError::NotFinite { text: text(*row) },
        other => unreachable!("rows of one dimension: {other}"),
    }
}

impl TokenStates {
    /// Takes a sentence encoder's token states.
    pub fn new(encoder: SentenceEncoder) -> Self {
        let special = encoder.tokenizer.special_ids().unwrap_or_default();
        TokenStates { model_id: format!("{}-tokens", encoder.model_id), encoder, special }
    }
}

impl Encoder for TokenStates {
    fn model_id(&self) -> &str {
        &self.model_id
    }

    fn max_tokens(&self) -> Option<usize> {
        self.encoder.max_tokens()
    }
}

impl MultiVectorEncoder for TokenStates {
    fn dim(&self) -> usize {
        self.encoder.dim()
    }

    fn encode(&self, texts: &[&str], kind: TextKind) -> Result<MultiVectorBatch, EncodeError> {
        self.encode_with(texts, &EncodeOptions::new(kind)).map(|(vectors, _)| vectors)
    }

    fn encode_with(
        &self,
        texts: &[&str],
        options: &EncodeOptions<'_>,
    ) -> Result<(MultiVectorBatch, Counts), EncodeError> {
        let dim = self.encoder.dim();
        let head = |Computed { batch, states }: Computed<'_>| {
            let kept = batch.texts().map(|text| {
                let mut rows = Vec::with_capacity(text.len() * dim);
                for token in text.filter(|&token| !self.special.contains(&batch.id(token))) {
                    let start = rows.len();
                    rows.extend_from_slice(&states[token * dim..(token + 1) * dim]);
                    ops::normalize(&mut rows[start..]);
                }
                rows
            });
            kept.collect()
        };
        let (rows, counts) = self.encoder.run(texts, options, head)?;
        let lengths: Vec<usize> = rows.iter().map(|rows: &Vec<f32>| rows.len() / dim).collect();
        let text_of = |row: usize| {
            let mut end = 0;
            lengths.iter().position(|length| {
                end += length;
                row < end
            })
        };
        let rows = DenseBatch::new(rows.concat(), dim);
        let rows = rows.map_err(|error| not_finite(&error, |row| text_of(row).unwrap_or_default()))?;
        Ok((MultiVectorBatch::new(rows, &lengths).expect("lengths that add up to the rows"), counts))
    }
}
