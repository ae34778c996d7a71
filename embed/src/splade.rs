//! Learned sparse vectors: which words of the vocabulary a text is about, said in it or not.
//!
//! Formal et al., "SPLADE v2" (arXiv:2109.10086): the masked-language-model head gives every token of a text a score for
//! every word; a word's weight is `ln(1 + max(0, its best score over the tokens))`. As the logarithm is monotone, it is
//! taken once after the maximum. The head costs `2 · hidden · vocabulary` operations a token, for a small body most of the
//! work, so scores are computed for a block of tokens at a time and only the maxima are kept.

use crate::bert::batch::{self, Computed};
use crate::bert::linear::Linear;
use crate::bert::ops::{self, LayerNorm};
use crate::bert::{Bert, TokenModel, resize};
use crate::cpu::Level;
use crate::encoder::{Counts, EncodeError, EncodeOptions, Encoder, SparseEncoder, TextKind};
use crate::model::config::BertConfig;
use crate::model::{ModelError, Tokenizer, Weights};
use crate::sentence::model_id;
use crate::sparse::SparseVector;
use pulp::Arch;
use std::path::Path;

mod free;

pub use free::InferenceFree;

/// Tokens whose scores are held at once: 4 MB for BERT's vocabulary.
const BLOCK: usize = 32;

/// A SPLADE encoder; dimensions are token ids.
pub struct Splade {
    model_id: String,
    sha256: String,
    max_tokens: usize,
    tokenizer: Tokenizer,
    body: Bert,
    transform: Linear,
    norm: LayerNorm,
    decoder: Linear,
    arch: Arch,
}

impl Splade {
    /// Tokens looked at unless said otherwise: what SPLADE is trained with.
    pub const DEFAULT_MAX_TOKENS: usize = 256;

    /// Reads the model in `folder`, whose `architectures` must be `BertForMaskedLM`.
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        let config = BertConfig::open(folder)?;
        config.expect_architecture(folder, "BertForMaskedLM")?;
        let weights = Weights::open(folder)?;
        let tensors = weights.tensors()?;
        let body = Bert::open(&tensors, &config)?;
        let (hidden, vocabulary) = (config.hidden, config.vocabulary);
        let transform = Linear::open(&tensors, "cls.predictions.transform.dense", [hidden, hidden])?;
        let norm = LayerNorm::open(&tensors, "cls.predictions.transform", &config)?;
        let bias = tensors.get("cls.predictions.bias", &[vocabulary])?;
        // The decoder shares the word embeddings; files leave it out.
        let decoder = Linear::new(body.words().to_vec(), bias);
        let tokenizer = Tokenizer::open(folder, vocabulary)?;
        let sha256 = weights.sha256().to_owned();
        let max_tokens = Self::DEFAULT_MAX_TOKENS.min(config.positions);
        let model_id = model_id(folder, &sha256);
        Ok(Splade {
            model_id,
            sha256,
            max_tokens,
            tokenizer,
            body,
            transform,
            norm,
            decoder,
            arch: Level::detect().arch(),
        })
    }

    /// SHA-256 of the weights' file, in hexadecimal.
    pub fn weights_sha256(&self) -> &str {
        &self.sha256
    }

    /// The weights of a batch's texts.
    fn head(&self, Computed { batch, states }: Computed<'_>) -> Vec<SparseVector> {
        let hidden = self.body.hidden();
        let vocabulary = self.decoder.bias.len();
        let mut transformed = vec![0.0; states.len()];
        self.transform.product(self.arch, states, &mut transformed);
        ops::bias_gelu(self.arch, &mut transformed, &self.transform.bias);
        self.norm.apply(self.arch, &mut transformed);
        let (mut scores, mut best) = (Vec::new(), vec![0.0; vocabulary]);
        let texts = batch.texts().map(|text| {
            best.fill(f32::NEG_INFINITY);
            for block in transformed[text.start * hidden..text.end * hidden].chunks(BLOCK * hidden) {
                resize(&mut scores, block.len() / hidden * vocabulary);
                self.decoder.product(self.arch, block, &mut scores);
                ops::max_rows(self.arch, &scores, &mut best);
            }
            let weights = (0_u32..).zip(best.iter().zip(&self.decoder.bias));
            let kept = weights.filter_map(|(word, (best, bias))| {
                let weight = (best + bias).max(0.0).ln_1p();
                (weight > 0.0).then_some((word, weight))
            });
            let (words, weights) = kept.unzip();
            SparseVector::new(words, weights).expect("words in order, and logarithms of finite scores")
        });
        texts.collect()
    }
}

impl Encoder for Splade {
    fn model_id(&self) -> &str {
        &self.model_id
    }

    fn max_tokens(&self) -> Option<usize> {
        Some(self.max_tokens)
    }
}

impl SparseEncoder for Splade {
    fn encode(&self, texts: &[&str], kind: TextKind) -> Result<Vec<SparseVector>, EncodeError> {
        self.encode_with(texts, &EncodeOptions::new(kind)).map(|(vectors, _)| vectors)
    }

    fn encode_with(
        &self,
        texts: &[&str],
        options: &EncodeOptions<'_>,
    ) -> Result<(Vec<SparseVector>, Counts), EncodeError> {
        let tokenize = |text: usize| {
            let tokens = self.tokenizer.encode(texts[text], self.max_tokens);
            tokens.map_err(|message| EncodeError::Tokenizer { text, message })
        };
        batch::run(&self.body, texts.len(), tokenize, options, |computed| self.head(computed))
    }
}
