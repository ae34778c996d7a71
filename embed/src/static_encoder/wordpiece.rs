//! BERT's lower-cased WordPiece, fast: what a static encoder's speed hangs on.
//!
//! Words of plain ASCII, nearly all of English, are lower-cased and looked up here without allocating. Whatever else
//! stands between white space goes through the `tokenizers` crate with the same vocabulary, so accents, other scripts
//! and control characters are cut as they are for the teacher. Tests hold the two to be equal.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Longer words are unknown, as in BERT.
const MAX_WORD_CHARS: usize = 100;

/// Put before pieces that go on with a word.
const CONTINUATION: &str = "##";

/// Pieces and their ids.
type Pieces = HashMap<Box<[u8]>, u32, BuildHasherDefault<Fold>>;

/// A vocabulary and the tokenizer it makes.
#[derive(Debug, Clone)]
pub(crate) struct WordPiece {
    /// Pieces that begin a word.
    first: Pieces,
    /// Pieces that go on, without their mark.
    further: Pieces,
    unknown: u32,
    longest: usize,
    full: tokenizers::Tokenizer,
}

/// Why tokens are no vocabulary.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VocabularyError {
    #[error("expected each token once, found `{0}` again")]
    Repeated(String),
    #[error("expected a token `[UNK]`, found none")]
    NoUnknown,
    #[error("{0}")]
    Tokenizer(String),
}

/// A multiplicative hash of eight bytes at a time: keys are short, trusted and looked up for every word.
#[derive(Debug, Clone, Copy, Default)]
struct Fold(u64);

impl Hasher for Fold {
    fn write(&mut self, bytes: &[u8]) {
        let (chunks, rest) = bytes.as_chunks::<8>();
        chunks.iter().for_each(|&chunk| self.mix(u64::from_le_bytes(chunk)));
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.mix(u64::from_le_bytes(last) ^ ((bytes.len() as u64) << 56));
    }

    fn write_usize(&mut self, _: usize) {} // the length, which `write` takes in already

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Fold {
    fn mix(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word ^ 0x9e37_79b9_7f4a_7c15) * 0xa076_1d64_78bd_642f;
        self.0 = product as u64 ^ (product >> 64) as u64;
    }
}

impl WordPiece {
    /// The tokenizer of a vocabulary; a token's place is its id.
    pub(crate) fn new<'t>(tokens: impl IntoIterator<Item = &'t str>) -> Result<Self, VocabularyError> {
        let (mut first, mut further) = (Pieces::default(), Pieces::default());
        let mut all = serde_json::Map::new();
        for (id, token) in (0_u32..).zip(tokens) {
            if all.insert(token.into(), id.into()).is_some() {
                return Err(VocabularyError::Repeated(token.into()));
            }
            match token.strip_prefix(CONTINUATION) {
                Some(piece) if !piece.is_empty() => further.insert(piece.as_bytes().into(), id),
                _ => first.insert(token.as_bytes().into(), id),
            };
        }
        let unknown = *first.get("[UNK]".as_bytes()).ok_or(VocabularyError::NoUnknown)?;
        let longest = first.keys().chain(further.keys()).map(|piece| piece.len()).max().unwrap_or(0);
        let settings = serde_json::json!({
            "version": "1.0",
            "added_tokens": [],
            "normalizer": {
                "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                "strip_accents": null, "lowercase": true,
            },
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "model": {
                "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": CONTINUATION,
                "max_input_chars_per_word": MAX_WORD_CHARS, "vocab": all,
            },
        });
        let full = tokenizers::Tokenizer::from_bytes(settings.to_string());
        let full = full.map_err(|error| VocabularyError::Tokenizer(error.to_string()))?;
        Ok(WordPiece { first, further, unknown, longest, full })
    }

    /// Calls `take` with the ids of `text`'s tokens, in order, no special ones among them.
    pub(crate) fn for_each(&self, text: &str, mut take: impl FnMut(u32)) {
        for chunk in text.split([' ', '\n', '\t', '\r']) {
            if chunk.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
                self.ascii(chunk.as_bytes(), &mut take);
            } else {
                // It refuses no text: WordPiece has an unknown token.
                let tokens = self.full.encode_fast(chunk, false).expect("a WordPiece tokenizer that takes any text");
                tokens.get_ids().iter().for_each(|&id| take(id));
            }
        }
    }

    /// The tokens of `text` by the `tokenizers` crate alone.
    #[cfg(test)]
    pub(super) fn reference(&self, text: &str) -> Vec<u32> {
        self.full.encode(text, false).unwrap().get_ids().to_vec()
    }

    /// The tokens of printable ASCII without spaces: punctuation stands alone, the rest are words.
    fn ascii(&self, mut chunk: &[u8], take: &mut impl FnMut(u32)) {
        while let Some(&byte) = chunk.first() {
            let length = if byte.is_ascii_punctuation() {
                1
            } else {
                chunk.iter().position(u8::is_ascii_punctuation).unwrap_or(chunk.len())
            };
            let (word, rest) = chunk.split_at(length);
            self.word(word, take);
            chunk = rest;
        }
    }

    /// The longest pieces that make up `word`, first to last, or the unknown token if there are none.
    fn word(&self, word: &[u8], take: &mut impl FnMut(u32)) {
        let mut room = [0; MAX_WORD_CHARS];
        let Some(lower) = room.get_mut(..word.len()) else { return take(self.unknown) };
        lower.copy_from_slice(word);
        lower.make_ascii_lowercase();
        let mut found = [0; MAX_WORD_CHARS];
        let (mut start, mut pieces) = (0, 0);
        while start < lower.len() {
            let known = if start == 0 { &self.first } else { &self.further };
            let ends = (start + 1..=lower.len().min(start + self.longest)).rev();
            let Some((end, id)) = ends.into_iter().find_map(|end| Some((end, *known.get(&lower[start..end])?))) else {
                return take(self.unknown);
            };
            found[pieces] = id;
            pieces += 1;
            start = end;
        }
        found[..pieces].iter().for_each(|&id| take(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_tokenizers_crate() {
        let vocabulary =
            ["[PAD]", "[UNK]", "[CLS]", "un", "##aff", "##able", "a", "##a", "naive", "##1", "2", ".", "-", "中", "'"];
        let own = WordPiece::new(vocabulary).unwrap();
        for text in [
            "",
            "  ",
            "Unaffable unaffably",
            "a.a-aa'A",
            "na\u{ef}ve NAI\u{308}VE naive",
            "un\u{1}affable",
            "a\u{a0}a\tun\r\na",
            "[CLS] [UNK]",
            "21",
            "中a中",
            "zzz",
            "\u{0}",
            "a\u{7f}a",
            "##a",
            "##aff un##able",
            "\u{200b}a",
            "😀 un",
        ] {
            let mut ids = Vec::new();
            own.for_each(text, |id| ids.push(id));
            assert_eq!(ids, own.reference(text), "{text:?}");
        }
        for length in [MAX_WORD_CHARS, MAX_WORD_CHARS + 1] {
            let (text, mut ids) = ("a".repeat(length), Vec::new());
            own.for_each(&text, |id| ids.push(id));
            assert_eq!(ids, own.reference(&text));
        }
    }

    #[test]
    fn refuses_what_is_no_vocabulary() {
        assert_eq!(
            WordPiece::new(["[UNK]", "a", "a"]).unwrap_err().to_string(),
            "expected each token once, found `a` again"
        );
        assert_eq!(WordPiece::new(["a"]).unwrap_err().to_string(), "expected a token `[UNK]`, found none");
    }
}
