//! The encoder that is always there: a vector for each word piece, added up.
//!
//! A text's vector is the sum of its tokens' rows, scaled to length 1. A row's length is the token's weight, so the table
//! holds everything: no positions, no layers, no special tokens. It is some hundred times faster than the transformer it
//! was distilled from ([`distill`](crate::distill)) and knows nothing of word order. Tulkens & van Dongen's Model2Vec
//! (2024) made such tables known; how this one is made is in `embed/data/README.md`, with what it measures.
//!
//! The table is a safetensors file: `rows` I8 `[tokens × dim]`, `scales` F32 `[tokens]`, `vocabulary` U8, the tokens'
//! UTF-8 ended by line feeds, and `name` among its metadata. Its first token is what a text without tokens is given.

use crate::dense::DenseBatch;
use crate::encoder::{Counts, DenseEncoder, EncodeError, EncodeOptions, Encoder, TextKind};
use crate::gather::{Rows, Table};
use rayon::prelude::*;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use std::collections::HashMap;
use std::sync::OnceLock;
use wordpiece::WordPiece;

pub(crate) mod wordpiece;

/// The table that comes with this crate.
static BUILTIN: &[u8] = include_bytes!("../data/static.safetensors");

/// Texts encoded between two looks at whether to go on.
const BLOCK: usize = 64;

/// A static encoder.
#[derive(Debug, Clone)]
pub struct StaticEncoder {
    name: String,
    dim: usize,
    /// `[tokens × dim]`, row-major.
    rows: Vec<i8>,
    /// What a row is multiplied by.
    scales: Vec<f32>,
    words: WordPiece,
}

/// Why bytes are no static encoder.
#[derive(Debug, thiserror::Error)]
#[error("static encoder: expected {expected}, found {found}")]
pub struct TableError {
    expected: &'static str,
    found: String,
}

impl StaticEncoder {
    /// The encoder that comes with this crate; made ready on first use, in some hundredths of a second.
    pub fn builtin() -> &'static StaticEncoder {
        static ENCODER: OnceLock<StaticEncoder> = OnceLock::new();
        ENCODER.get_or_init(|| StaticEncoder::read(BUILTIN).expect("the table that comes with the crate is sound"))
    }

    /// Reads a table in the form above.
    pub fn read(bytes: &[u8]) -> Result<Self, TableError> {
        let fault = |expected, found: String| TableError { expected, found };
        let whole = |error: safetensors::SafeTensorError| fault("a safetensors file", error.to_string());
        let file = SafeTensors::deserialize(bytes).map_err(whole)?;
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(whole)?;
        let name = header.metadata().as_ref().and_then(|metadata| metadata.get("name")).cloned();
        let name = name.ok_or_else(|| fault("a name among the metadata", "none".into()))?;
        let tensor = |name: &str, dtype| match file.tensor(name) {
            Ok(tensor) if tensor.dtype() == dtype => Ok(tensor),
            Ok(tensor) => Err(fault("tensors of I8, F32 and U8", format!("{name} of {:?}", tensor.dtype()))),
            Err(error) => Err(fault("rows, scales and vocabulary", error.to_string())),
        };
        let (rows, scales) = (tensor("rows", Dtype::I8)?, tensor("scales", Dtype::F32)?);
        let vocabulary = tensor("vocabulary", Dtype::U8)?;
        let vocabulary = std::str::from_utf8(vocabulary.data())
            .map_err(|error| fault("a vocabulary in UTF-8", error.to_string()))?;
        let tokens = vocabulary.lines().count();
        let &[found, dim] = rows.shape() else {
            return Err(fault("rows of two dimensions", format!("{:?}", rows.shape())));
        };
        if found != tokens || scales.shape() != [tokens] || tokens == 0 || dim == 0 {
            let shapes = format!("{tokens} tokens, rows {:?}, scales {:?}", rows.shape(), scales.shape());
            return Err(fault("as many rows and scales as tokens, and at least one of each", shapes));
        }
        let words = WordPiece::new(vocabulary.lines()).map_err(|error| fault("a vocabulary", error.to_string()))?;
        let scales: Vec<f32> = scales.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        if let Some(scale) = scales.iter().find(|scale| !scale.is_finite()) {
            return Err(fault("finite scales", scale.to_string()));
        }
        let rows = bytemuck::cast_slice(rows.data()).to_vec();
        Ok(StaticEncoder { name, dim, rows, scales, words })
    }

    /// The table of `vectors: [tokens.len() × dim]`, each row rounded to steps of its largest number over 127, as a file.
    pub fn write(name: &str, tokens: &[String], vectors: &[f32], dim: usize, about: &[(&str, String)]) -> Vec<u8> {
        assert_eq!(vectors.len(), tokens.len() * dim, "a row for each token");
        let (mut rows, mut scales) = (Vec::with_capacity(vectors.len()), Vec::with_capacity(4 * tokens.len()));
        for row in vectors.chunks_exact(dim) {
            let largest = row.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
            let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
            rows.extend(row.iter().map(|x| (x / scale).round() as i8 as u8));
            scales.extend(scale.to_le_bytes());
        }
        let vocabulary: String = tokens.iter().flat_map(|token| [token, "\n"]).collect();
        let view = |dtype, shape: &[usize], data| {
            TensorView::new(dtype, shape.to_vec(), data).expect("data of the shape they were made for")
        };
        let tensors = [
            ("rows", view(Dtype::I8, &[tokens.len(), dim], &rows)),
            ("scales", view(Dtype::F32, &[tokens.len()], &scales)),
            ("vocabulary", view(Dtype::U8, &[vocabulary.len()], vocabulary.as_bytes())),
        ];
        let mut metadata: HashMap<String, String> =
            about.iter().map(|(key, value)| ((*key).into(), value.clone())).collect();
        metadata.insert("name".into(), name.into());
        safetensors::serialize(tensors, Some(metadata)).expect("three tensors of distinct names")
    }

    /// Tokens in the table.
    pub fn tokens(&self) -> usize {
        self.scales.len()
    }

    /// The tokens of `text`.
    pub fn count_tokens(&self, text: &str) -> usize {
        let mut tokens = 0;
        self.words.for_each(text, |_| tokens += 1);
        tokens
    }

    /// Puts the vectors of `texts` into `out: [texts × dim]`, and gives the number of their tokens.
    fn encode_block(&self, texts: &[&str], out: &mut [f32]) -> usize {
        let (mut ids, mut ends, mut tokens) = (Vec::new(), Vec::with_capacity(texts.len()), 0);
        for text in texts {
            let start = ids.len();
            self.words.for_each(text, |id| ids.push(id));
            tokens += ids.len() - start;
            if ids.len() == start {
                ids.push(0);
            }
            ends.push(ids.len());
        }
        let rows = Rows::Int8 { codes: &self.rows, scales: &self.scales };
        let table = Table::new(rows, self.dim).expect("a scale for each row");
        table.reduce(&ids, &vec![1.0; ids.len()], &ends, out).expect("tokens of the table");
        out.chunks_exact_mut(self.dim).for_each(crate::bert::ops::normalize);
        tokens
    }
}

impl Encoder for StaticEncoder {
    fn model_id(&self) -> &str {
        &self.name
    }

    fn max_tokens(&self) -> Option<usize> {
        None
    }
}

impl DenseEncoder for StaticEncoder {
    fn dim(&self) -> usize {
        self.dim
    }

    fn normalized(&self) -> bool {
        true
    }

    fn encode(&self, texts: &[&str], kind: TextKind) -> Result<DenseBatch, EncodeError> {
        self.encode_with(texts, &EncodeOptions::new(kind)).map(|(vectors, _)| vectors)
    }

    fn encode_with(&self, texts: &[&str], options: &EncodeOptions<'_>) -> Result<(DenseBatch, Counts), EncodeError> {
        let mut data = vec![0.0; texts.len() * self.dim];
        let done = std::sync::atomic::AtomicUsize::new(0);
        let blocks = data.par_chunks_mut(BLOCK * self.dim).zip(texts.par_chunks(BLOCK));
        let tokens = blocks.map(|(rows, block)| {
            options.check_cancelled()?;
            let tokens = self.encode_block(block, rows);
            let finished = done.fetch_add(block.len(), std::sync::atomic::Ordering::Relaxed) + block.len();
            options.report(finished, texts.len());
            Ok::<usize, EncodeError>(tokens)
        });
        let tokens = tokens.try_reduce(|| 0, |a, b| Ok(a + b))?;
        let vectors = DenseBatch::new(data, self.dim).expect("whole rows of sums of finite numbers");
        Ok((vectors, Counts { tokens, cut: 0 }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::Encoder;

    /// Real text and random characters: the fast way and the `tokenizers` crate give the same tokens.
    #[test]
    fn the_builtin_vocabulary_is_cut_as_the_tokenizers_crate_cuts_it() {
        let words = &StaticEncoder::builtin().words;
        let mut texts: Vec<String> = include_str!("../README.md").lines().map(String::from).collect();
        let characters: Vec<char> =
            "aAbBzZ019 \t\n.,-_'\"#@[]()/\u{e9}e\u{301}ßİıﬁ中語ñ–—\u{a0}\u{200b}\u{1}\u{7f}😀µ№".chars().collect();
        let mut state = 20_261_124_u64;
        for _ in 0..2000 {
            let mut text = String::new();
            for _ in 0..24 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                text.push(characters[(state >> 33) as usize % characters.len()]);
            }
            texts.push(text);
        }
        for text in texts {
            let mut ids = Vec::new();
            words.for_each(&text, |id| ids.push(id));
            assert_eq!(ids, words.reference(&text), "{text:?}");
        }
        assert!(StaticEncoder::builtin().model_id().starts_with("static-256d-"));
    }
}
