//! Cross-encoders: query and document read together, one score for the pair.
//!
//! Nogueira & Cho, "Passage Re-ranking with BERT" (arXiv:1901.04085): the state of `[CLS]` through the pooler (a linear
//! layer and tanh) and a classifier of one output. Slower than comparing vectors by the whole model per document, so it
//! orders the few best of a first search.

use crate::bert::batch::{self, Computed};
use crate::bert::linear::Linear;
use crate::bert::{Bert, TokenModel};
use crate::cpu::Level;
use crate::encoder::{Counts, EncodeError, EncodeOptions, Encoder, TextKind};
use crate::model::config::BertConfig;
use crate::model::{ModelError, Tokenizer, Weights};
use crate::sentence::model_id;
use std::path::Path;

/// What scores documents for a query by reading both.
pub trait Reranker: Encoder {
    /// A score for each of `documents`, larger for better ones; their scale is the model's.
    fn scores(
        &self,
        query: &str,
        documents: &[&str],
        options: &EncodeOptions<'_>,
    ) -> Result<(Vec<f32>, Counts), EncodeError>;

    /// The documents' places in `documents` and their scores, best first, ties by lower place.
    fn rank(&self, query: &str, documents: &[&str]) -> Result<Vec<(usize, f32)>, EncodeError> {
        let (scores, _) = self.scores(query, documents, &EncodeOptions::new(TextKind::Document))?;
        let mut ranked: Vec<(usize, f32)> = scores.into_iter().enumerate().collect();
        ranked.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        Ok(ranked)
    }
}

/// A BERT cross-encoder with one output.
pub struct CrossEncoder {
    model_id: String,
    max_tokens: usize,
    tokenizer: Tokenizer,
    body: Bert,
    pooler: Linear,
    classifier: Linear,
}

impl CrossEncoder {
    /// Reads the model in `folder`, whose `architectures` must be `BertForSequenceClassification`, of one label.
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        let config = BertConfig::open(folder)?;
        config.expect_architecture(folder, "BertForSequenceClassification")?;
        if config.labels != 1 {
            return Err(ModelError::Unsupported {
                path: folder.join("config.json"),
                field: "id2label".into(),
                found: format!("{} labels", config.labels),
                supported: "1 label, whose output is the score",
            });
        }
        let weights = Weights::open(folder)?;
        let tensors = weights.tensors()?;
        Ok(CrossEncoder {
            model_id: model_id(folder, weights.sha256()),
            max_tokens: config.positions,
            tokenizer: Tokenizer::open(folder, config.vocabulary)?,
            body: Bert::open(&tensors, &config)?,
            pooler: Linear::open(&tensors, "pooler.dense", [config.hidden, config.hidden])?,
            classifier: Linear::open(&tensors, "classifier", [1, config.hidden])?,
        })
    }

    fn head(&self, Computed { batch, states }: Computed<'_>) -> Vec<f32> {
        let (arch, hidden) = (Level::detect().arch(), self.body.hidden());
        let first = batch.texts().flat_map(|text| &states[text.start * hidden..(text.start + 1) * hidden]);
        let first: Vec<f32> = first.copied().collect();
        let mut pooled = vec![0.0; first.len()];
        self.pooler.apply(arch, &first, &mut pooled);
        pooled.iter_mut().for_each(|x| *x = x.tanh());
        let mut scores = vec![0.0; first.len() / hidden];
        self.classifier.apply(arch, &pooled, &mut scores);
        scores
    }
}

impl Encoder for CrossEncoder {
    fn model_id(&self) -> &str {
        &self.model_id
    }

    fn max_tokens(&self) -> Option<usize> {
        Some(self.max_tokens)
    }
}

impl Reranker for CrossEncoder {
    fn scores(
        &self,
        query: &str,
        documents: &[&str],
        options: &EncodeOptions<'_>,
    ) -> Result<(Vec<f32>, Counts), EncodeError> {
        let tokenize = |text: usize| {
            let tokens = self.tokenizer.encode_pair(query, documents[text], self.max_tokens);
            tokens.map_err(|message| EncodeError::Tokenizer { text, message })
        };
        let (scores, counts) =
            batch::run(&self.body, documents.len(), tokenize, options, |computed| self.head(computed))?;
        match scores.iter().position(|score| !score.is_finite()) {
            Some(text) => Err(EncodeError::NotFinite { text }),
            None => Ok((scores, counts)),
        }
    }
}
