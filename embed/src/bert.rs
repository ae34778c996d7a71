//! The forward pass of a BERT: token ids of a batch in, a state for every token out.
//!
//! Devlin et al., "BERT" (arXiv:1810.04805): post-normalised layers, learnt positions, the exact GELU. The tokens of all
//! texts of a batch are one matrix, so every linear layer runs once over all of them and nothing is padded; only attention
//! knows where a text ends. Query, key and value weights are stacked into one product, with 1/√d taken into the query's.
//! Cost per token: `2 · layers · (4 · hidden² + 2 · hidden · intermediate)` operations, and `4 · layers · hidden · length`
//! for attention.

use crate::cpu::Level;
use crate::encoder::EncodeError;
use crate::model::config::BertConfig;
use crate::model::weights::Tensors;
use crate::model::{ModelError, TokenizedText};
use gemm::{View, multiply};
use linear::Linear;
use ops::LayerNorm;
use pulp::Arch;

pub(crate) mod batch;
mod few_rows;
pub(crate) mod gemm;
pub(crate) mod linear;
#[cfg(feature = "onnx")]
pub mod onnx;
pub(crate) mod ops;

/// The tokens of some texts, one after the other.
#[derive(Debug, Clone, Default)]
pub struct TokenBatch {
    ids: Vec<u32>,
    types: Vec<u32>,
    /// Text `i` has the tokens `starts[i]..starts[i + 1]`.
    starts: Vec<usize>,
}

impl TokenBatch {
    /// The tokens of `texts`, in their order.
    pub fn new<'t>(texts: impl IntoIterator<Item = &'t TokenizedText>) -> Self {
        let mut batch = TokenBatch { starts: vec![0], ..Self::default() };
        for text in texts {
            batch.ids.extend_from_slice(&text.ids);
            batch.types.extend_from_slice(&text.types);
            batch.starts.push(batch.ids.len());
        }
        batch
    }

    /// Tokens in all.
    pub fn tokens(&self) -> usize {
        self.ids.len()
    }

    /// The id of a token.
    pub(crate) fn id(&self, token: usize) -> u32 {
        self.ids[token]
    }

    /// The tokens of each text.
    pub fn texts(&self) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
        self.starts.windows(2).map(|ends| ends[0]..ends[1])
    }
}

/// What turns tokens into states: the seam for another engine.
pub trait TokenModel: Send + Sync {
    /// Dimension of a state.
    fn hidden(&self) -> usize;

    /// One state for each token: `out: [tokens × hidden]`, row-major. `scratch` is kept between calls of one thread.
    fn forward(&self, batch: &TokenBatch, scratch: &mut Scratch, out: &mut Vec<f32>) -> Result<(), EncodeError>;
}

/// Room for what is computed on the way.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    /// Queries, keys and values: `[tokens × 3 · hidden]`.
    qkv: Vec<f32>,
    /// `[tokens × hidden]`
    context: Vec<f32>,
    /// `[tokens × hidden]`
    added: Vec<f32>,
    /// `[tokens × intermediate]`
    inner: Vec<f32>,
    /// Attention of one block of queries: `[≤ QUERY_BLOCK × length]`.
    scores: Vec<f32>,
}

/// Queries whose attention is computed at once, so that a head's scores stay in a core's cache.
const QUERY_BLOCK: usize = 128;

/// A BERT body.
#[derive(Debug, Clone)]
pub struct Bert {
    hidden: usize,
    heads: usize,
    words: Vec<f32>,
    /// `[positions × hidden]`
    positions: Vec<f32>,
    /// `[token types × hidden]`
    types: Vec<f32>,
    norm: LayerNorm,
    layers: Vec<Layer>,
    arch: Arch,
}

#[derive(Debug, Clone)]
struct Layer {
    qkv: Linear,
    attended: Linear,
    attended_norm: LayerNorm,
    inner: Linear,
    outer: Linear,
    outer_norm: LayerNorm,
}

impl LayerNorm {
    pub(crate) fn open(tensors: &Tensors<'_>, name: &str, config: &BertConfig) -> Result<Self, ModelError> {
        let get = |part: &str| tensors.get(&format!("{name}.LayerNorm.{part}"), &[config.hidden]);
        Ok(LayerNorm { weight: get("weight")?, bias: get("bias")?, eps: config.layer_norm_eps })
    }
}

impl Layer {
    fn open(tensors: &Tensors<'_>, layer: usize, config: &BertConfig) -> Result<Self, ModelError> {
        let (hidden, inner) = (config.hidden, config.intermediate);
        let name = |part: &str| format!("encoder.layer.{layer}.{part}");
        let linear = |part: &str, shape| Linear::open(tensors, &name(part), shape);
        let norm = |part: &str| LayerNorm::open(tensors, &name(part), config);
        let read = |part: &str| linear::read(tensors, &name(part), [hidden, hidden]);
        let (mut weight, mut bias) = read("attention.self.query")?;
        let scale = 1.0 / ((hidden / config.heads) as f32).sqrt();
        weight.iter_mut().chain(&mut bias).for_each(|x| *x *= scale);
        for part in ["attention.self.key", "attention.self.value"] {
            let part = read(part)?;
            weight.extend(part.0);
            bias.extend(part.1);
        }
        Ok(Layer {
            qkv: Linear::new(weight, bias),
            attended: linear("attention.output.dense", [hidden, hidden])?,
            attended_norm: norm("attention.output")?,
            inner: linear("intermediate.dense", [inner, hidden])?,
            outer: linear("output.dense", [hidden, inner])?,
            outer_norm: norm("output")?,
        })
    }
}

impl Bert {
    /// Takes the body's tensors.
    pub fn open(tensors: &Tensors<'_>, config: &BertConfig) -> Result<Self, ModelError> {
        let table = |name: &str, rows| tensors.get(&format!("embeddings.{name}.weight"), &[rows, config.hidden]);
        Ok(Bert {
            hidden: config.hidden,
            heads: config.heads,
            words: table("word_embeddings", config.vocabulary)?,
            positions: table("position_embeddings", config.positions)?,
            types: table("token_type_embeddings", config.token_types)?,
            norm: LayerNorm::open(tensors, "embeddings", config)?,
            layers: (0..config.layers).map(|layer| Layer::open(tensors, layer, config)).collect::<Result<_, _>>()?,
            arch: Level::detect().arch(),
        })
    }

    /// The word embeddings, which a masked-language-model head shares. `[vocabulary × hidden]`.
    pub(crate) fn words(&self) -> &[f32] {
        &self.words
    }

    /// The sum of word, position and type embeddings, normalised.
    fn embed(&self, batch: &TokenBatch, out: &mut Vec<f32>) {
        let row = |table: &'_ [f32], at: usize| -> std::ops::Range<usize> {
            debug_assert!((at + 1) * self.hidden <= table.len());
            at * self.hidden..(at + 1) * self.hidden
        };
        out.clear();
        for text in batch.texts() {
            for (position, token) in text.enumerate() {
                let word = &self.words[row(&self.words, batch.ids[token] as usize)];
                let kind = &self.types[row(&self.types, batch.types[token] as usize)];
                let place = &self.positions[row(&self.positions, position)];
                out.extend(word.iter().zip(kind).zip(place).map(|((word, kind), place)| word + kind + place));
            }
        }
        self.norm.apply(self.arch, out);
    }

    /// Each token's mixture of its text's values: `context: [tokens × hidden]` from `qkv`.
    fn attend(&self, batch: &TokenBatch, Scratch { qkv, context, scores, .. }: &mut Scratch) {
        let (hidden, width, dim) = (self.hidden, 3 * self.hidden, self.hidden / self.heads);
        for text in batch.texts() {
            let length = text.len();
            for head in 0..self.heads {
                let column = head * dim;
                let part = |start: usize, rows: usize, offset: usize| {
                    View::new(&qkv[start * width + offset + column..], [rows, dim], width, 1)
                };
                for first in text.clone().step_by(QUERY_BLOCK) {
                    let rows = QUERY_BLOCK.min(text.end - first);
                    resize(scores, rows * length);
                    let keys = part(text.start, length, hidden).transposed();
                    multiply(part(first, rows, 0), keys, scores, length, false);
                    ops::softmax(self.arch, scores, length);
                    let values = part(text.start, length, 2 * hidden);
                    let out = &mut context[first * hidden + column..];
                    multiply(View::rows(scores, length), values, out, hidden, false);
                }
            }
        }
    }
}

impl TokenModel for Bert {
    fn hidden(&self) -> usize {
        self.hidden
    }

    fn forward(&self, batch: &TokenBatch, scratch: &mut Scratch, out: &mut Vec<f32>) -> Result<(), EncodeError> {
        let tokens = batch.tokens();
        if tokens == 0 {
            out.clear();
            return Ok(());
        }
        self.embed(batch, out);
        for layer in &self.layers {
            resize(&mut scratch.qkv, tokens * 3 * self.hidden);
            resize(&mut scratch.context, tokens * self.hidden);
            layer.qkv.apply(self.arch, out, &mut scratch.qkv);
            self.attend(batch, scratch);
            let Scratch { context, added, inner, .. } = scratch;
            resize(added, tokens * self.hidden);
            layer.attended.product(self.arch, context, added);
            layer.attended_norm.add(self.arch, out, added, &layer.attended.bias);
            resize(inner, tokens * layer.inner.bias.len());
            layer.inner.product(self.arch, out, inner);
            ops::bias_gelu(self.arch, inner, &layer.inner.bias);
            layer.outer.product(self.arch, inner, added);
            layer.outer_norm.add(self.arch, out, added, &layer.outer.bias);
        }
        Ok(())
    }
}

/// Makes `room` exactly so long; what is in it does not matter.
pub(crate) fn resize(room: &mut Vec<f32>, length: usize) {
    room.resize(length, 0.0);
}
