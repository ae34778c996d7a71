//! Text to token ids, by the model's own `tokenizer.json`.
//!
//! That file may ask for truncation and padding (all-MiniLM-L6-v2's pads everything to 128); both are taken out, as
//! length is decided here and nothing is ever padded. A long text is not tokenized to its end: BERT splits at white
//! space first, so a prefix that ends there has the tokens that the whole text begins with.

use super::ModelError;
use serde_json::Value;
use std::fs;
use std::path::Path;
use tokenizers::{Encoding, PostProcessor, Token};

/// Bytes looked at first for each token wanted; an English word piece has about four.
const BYTES_PER_TOKEN: usize = 8;

/// A model's tokenizer.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// Whether tokens never cross white space.
    splits_at_space: bool,
    /// Special tokens put around one text, and around two.
    added: [usize; 2],
}

/// A text's tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenizedText {
    /// Their ids, special tokens included.
    pub ids: Vec<u32>,
    /// The segment each belongs to.
    pub types: Vec<u32>,
    /// Whether something of the text was cut off.
    pub cut: bool,
}

impl Tokenizer {
    /// Reads `tokenizer.json` in `folder`. Errors if it knows other tokens than the `vocabulary` the weights have.
    pub fn open(folder: &Path, vocabulary: usize) -> Result<Self, ModelError> {
        let path = folder.join("tokenizer.json");
        let text = fs::read(&path).map_err(|source| ModelError::Io { path: path.clone(), source })?;
        let malformed = |found| ModelError::Malformed { path: path.clone(), expected: "a tokenizer", found };
        let settings: Value = serde_json::from_slice(&text).map_err(|error| malformed(error.to_string()))?;
        let mut inner = tokenizers::Tokenizer::from_bytes(&text).map_err(|error| malformed(error.to_string()))?;
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|error| malformed(error.to_string()))?;
        let largest = inner.get_vocab(true).into_values().max().map_or(0, |id| id as usize);
        if largest >= vocabulary {
            return Err(malformed(format!("token id {largest} where the model has {vocabulary} tokens")));
        }
        let splits_at_space = settings["pre_tokenizer"]["type"] == "BertPreTokenizer";
        let added = [false, true].map(|pair| inner.get_post_processor().map_or(0, |post| post.added_tokens(pair)));
        Ok(Tokenizer { inner, splits_at_space, added })
    }

    /// The tokens of `text`, at most `max`, the end cut off if need be. Errors are the tokenizer's own words.
    pub fn encode(&self, text: &str, max: usize) -> Result<TokenizedText, String> {
        let room = max.saturating_sub(self.added[0]);
        let (mut encoding, mut cut) = self.start(text, room)?;
        cut |= encoding.len() > room;
        encoding.truncate(room, 0, tokenizers::TruncationDirection::Right);
        self.finish(encoding, None, cut)
    }

    /// The tokens of `text` and `other` as a pair, at most `max` together; the longer of them is cut.
    pub fn encode_pair(&self, text: &str, other: &str, max: usize) -> Result<TokenizedText, String> {
        let room = max.saturating_sub(self.added[1]);
        let (mut first, first_cut) = self.start(text, room)?;
        let (mut second, second_cut) = self.start(other, room)?;
        let total = first.len() + second.len();
        if total > room {
            // What taking tokens off the longer of the two, one by one, comes to.
            let keep = |own: usize, other: usize| own.min(room.saturating_sub(other).max(room / 2));
            let (own, rest) = (first.len(), second.len());
            first.truncate(keep(own, rest), 0, tokenizers::TruncationDirection::Right);
            let rest = room - first.len();
            second.truncate(rest, 0, tokenizers::TruncationDirection::Right);
        }
        self.finish(first, Some(second), first_cut || second_cut || total > room)
    }

    /// Every token, at the place of its id; empty where an id is not used.
    pub(crate) fn vocabulary(&self) -> Vec<String> {
        let ids = self.inner.get_vocab(true);
        let mut tokens = vec![String::new(); ids.values().max().map_or(0, |&id| id as usize + 1)];
        ids.into_iter().for_each(|(token, id)| tokens[id as usize] = token);
        tokens
    }

    /// The token `id` by itself, with special tokens around it.
    pub(crate) fn alone(&self, id: u32) -> Result<TokenizedText, String> {
        let token = self.inner.id_to_token(id).unwrap_or_default();
        self.finish(Encoding::from_tokens(vec![Token::new(id, token, (0, 0))], 0), None, false)
    }

    /// The ids of the special tokens around an empty text.
    pub fn special_ids(&self) -> Result<Vec<u32>, String> {
        self.encode("", usize::MAX).map(|tokens| tokens.ids)
    }

    /// At least the first `room` tokens of `text`, without special ones, and whether there is more text.
    fn start(&self, text: &str, room: usize) -> Result<(Encoding, bool), String> {
        let mut bytes = room.saturating_mul(BYTES_PER_TOKEN);
        loop {
            let prefix = if self.splits_at_space { prefix(text, bytes) } else { text };
            let encoding = self.inner.encode_fast(prefix, false).map_err(|error| error.to_string())?;
            if encoding.len() >= room || prefix.len() == text.len() {
                let more = !text[prefix.len()..].trim().is_empty();
                return Ok((encoding, more));
            }
            bytes = bytes.saturating_mul(4);
        }
    }

    fn finish(&self, first: Encoding, second: Option<Encoding>, cut: bool) -> Result<TokenizedText, String> {
        let whole = self.inner.post_process(first, second, true).map_err(|error| error.to_string())?;
        Ok(TokenizedText { ids: whole.get_ids().to_vec(), types: whole.get_type_ids().to_vec(), cut })
    }
}

/// `text` up to the first white space after `bytes`, or all of it.
fn prefix(text: &str, bytes: usize) -> &str {
    if bytes >= text.len() {
        return text;
    }
    let from = text.ceil_char_boundary(bytes);
    match text[from..].find(char::is_whitespace) {
        Some(at) => &text[..from + at],
        None => text,
    }
}
