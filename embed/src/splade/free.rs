//! Learned sparse documents whose queries cost a lookup: no model runs while a user waits.
//!
//! Geng et al., "Towards Competitive Search Relevance for Inference-Free Learned Sparse Retrievers" (arXiv:2411.04403): a
//! query is its word pieces, each once, weighted by a table; only documents go through the model. Models trained for it bring
//! the table as `idf.json`. For any other SPLADE the table is made of a corpus' word pieces: how rare each is, in Lucene's form.

use super::Splade;
use crate::bm25::idf;
use crate::encoder::{Counts, EncodeError, EncodeOptions, Encoder, SparseEncoder, TextKind};
use crate::model::{ModelError, config};
use crate::sparse::SparseVector;
use rayon::prelude::*;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// The file of a model's query weights: an object of word pieces and numbers.
const FILE: &str = "idf.json";

/// A SPLADE for documents, a table for queries.
pub struct InferenceFree {
    splade: Splade,
    /// By token id; 0 for tokens that no query is searched by.
    weights: Vec<f32>,
    model_id: String,
}

impl InferenceFree {
    /// Reads the model in `folder` and its `idf.json`.
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        let splade = Splade::open(folder)?;
        let path = folder.join(FILE);
        let table: HashMap<String, f32> = config::read(&path)?;
        let malformed = |found| ModelError::Malformed {
            path: path.clone(),
            expected: "word pieces of the tokenizer with weights of 0 or more",
            found,
        };
        let places: HashMap<String, usize> = splade.tokenizer.vocabulary().into_iter().zip(0..).collect();
        let mut weights = vec![0.0; places.len()];
        for (token, weight) in table {
            match places.get(&token) {
                Some(&place) if weight >= 0.0 && weight.is_finite() => weights[place] = weight,
                Some(_) => return Err(malformed(format!("{weight} for `{token}`"))),
                None => return Err(malformed(format!("`{token}`"))),
            }
        }
        let model_id = format!("{}-free", splade.model_id());
        Ok(InferenceFree { splade, weights, model_id })
    }

    /// Weighs word pieces by how few of `documents` hold them; pieces that none holds weigh most, and match what the model
    /// adds to documents. Errors if the tokenizer refuses a text.
    pub fn of_corpus(splade: Splade, documents: &[&str]) -> Result<Self, EncodeError> {
        let pieces = |(text, document): (usize, &&str)| {
            let mut pieces = pieces(&splade, document, text)?;
            pieces.sort_unstable();
            pieces.dedup();
            Ok::<_, EncodeError>(pieces)
        };
        let found: Vec<Vec<u32>> = documents.par_iter().enumerate().map(pieces).collect::<Result<_, _>>()?;
        let mut counts = vec![0; splade.decoder.bias.len()];
        found.iter().flatten().for_each(|&piece| counts[piece as usize] += 1);
        let mut weights: Vec<f32> = counts.into_iter().map(|count| idf(documents.len() as u64, count) as f32).collect();
        for special in splade.tokenizer.special_ids().unwrap_or_default() {
            weights[special as usize] = 0.0;
        }
        let model_id = format!("{}-free-{}", splade.model_id(), documents.len());
        Ok(InferenceFree { splade, weights, model_id })
    }

    /// The query's word pieces, each once, with their weights.
    fn look_up(&self, query: &str, text: usize) -> Result<SparseVector, EncodeError> {
        let pieces = pieces(&self.splade, query, text)?.into_iter();
        let weighted = pieces.map(|piece| (piece, self.weights.get(piece as usize).copied().unwrap_or(0.0)));
        let kept: BTreeMap<u32, f32> = weighted.filter(|(_, weight)| *weight > 0.0).collect();
        let (pieces, weights) = kept.into_iter().unzip();
        Ok(SparseVector::new(pieces, weights).expect("pieces in order, weights above 0"))
    }
}

/// The word pieces of `text`, which is at place `at` of its batch, special ones included.
fn pieces(splade: &Splade, text: &str, at: usize) -> Result<Vec<u32>, EncodeError> {
    let tokens = splade.tokenizer.encode(text, splade.max_tokens);
    Ok(tokens.map_err(|message| EncodeError::Tokenizer { text: at, message })?.ids)
}

impl Encoder for InferenceFree {
    fn model_id(&self) -> &str {
        &self.model_id
    }

    fn max_tokens(&self) -> Option<usize> {
        self.splade.max_tokens()
    }
}

impl SparseEncoder for InferenceFree {
    fn encode(&self, texts: &[&str], kind: TextKind) -> Result<Vec<SparseVector>, EncodeError> {
        self.encode_with(texts, &EncodeOptions::new(kind)).map(|(vectors, _)| vectors)
    }

    fn encode_with(
        &self,
        texts: &[&str],
        options: &EncodeOptions<'_>,
    ) -> Result<(Vec<SparseVector>, Counts), EncodeError> {
        if options.kind != TextKind::Query {
            return self.splade.encode_with(texts, options);
        }
        options.check_cancelled()?;
        let vectors = texts.iter().enumerate().map(|(at, text)| self.look_up(text, at)).collect::<Result<_, _>>()?;
        options.report(texts.len(), texts.len());
        Ok((vectors, Counts::default()))
    }
}
