//! A long text as several vectors: cut into windows, each encoded by itself.
//!
//! One vector of dimension k can keep apart only so many words (Luan et al., arXiv:2005.00181, theorem 1: a document cut
//! into m parts, of which one answers, has the margin of that part). This is their multi-vector document without training,
//! for any dense encoder: the score is the best window's.

use crate::dense::{DenseBatch, MultiVectorBatch};
use crate::encoder::{DenseEncoder, EncodeError, Encoder, MultiVectorEncoder, TextKind};

/// Gives documents up to `windows` vectors and queries one.
pub struct Windows<E> {
    encoder: E,
    windows: usize,
    model_id: String,
}

impl<E: DenseEncoder> Windows<E> {
    /// Cuts documents into `windows` parts, at least 1, of about as many words.
    pub fn new(encoder: E, windows: usize) -> Self {
        assert!(windows > 0, "a document has at least one window");
        let model_id = format!("{}-windows={windows}", encoder.model_id());
        Windows { encoder, windows, model_id }
    }
}

impl<E: DenseEncoder> Encoder for Windows<E> {
    fn model_id(&self) -> &str {
        &self.model_id
    }

    /// Of a text, with all its windows full.
    fn max_tokens(&self) -> Option<usize> {
        Some(self.encoder.max_tokens()?.saturating_mul(self.windows))
    }
}

impl<E: DenseEncoder> MultiVectorEncoder for Windows<E> {
    fn dim(&self) -> usize {
        self.encoder.dim()
    }

    fn encode(&self, texts: &[&str], kind: TextKind) -> Result<MultiVectorBatch, EncodeError> {
        let windows = if kind == TextKind::Query { 1 } else { self.windows };
        let parts: Vec<Vec<&str>> = texts.iter().map(|text| cut(text, windows)).collect();
        let lengths: Vec<usize> = parts.iter().map(Vec::len).collect();
        let rows: DenseBatch = self.encoder.encode(&parts.concat(), kind)?;
        Ok(MultiVectorBatch::new(rows, &lengths).expect("the encoder returns a row for each text"))
    }
}

/// `text` in at most `parts` pieces of whole words, which differ by at most one word; one piece where it has fewer than two.
pub fn cut(text: &str, parts: usize) -> Vec<&str> {
    let starts: Vec<usize> = word_starts(text).collect();
    let parts = parts.min(starts.len());
    if parts < 2 {
        return vec![text];
    }
    // The pieces' first words; the first piece keeps what stands before the first word.
    let first = |part: usize| if part == 0 { 0 } else { starts[part * starts.len() / parts] };
    let end = |part: usize| if part + 1 == parts { text.len() } else { first(part + 1) };
    (0..parts).map(|part| text[first(part)..end(part)].trim_end()).collect()
}

/// Where the words of `text`, between white space, begin.
pub fn word_starts(text: &str) -> impl Iterator<Item = usize> + '_ {
    let mut inside = false;
    text.char_indices().filter_map(move |(at, letter)| {
        let starts = !inside && !letter.is_whitespace();
        inside = !letter.is_whitespace();
        starts.then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_hold_every_word_once_in_order() {
        for words in 0..20 {
            let text = (0..words).map(|word| format!(" wört{word}\n")).collect::<String>();
            for parts in 1..9 {
                let pieces = cut(&text, parts);
                let counts: Vec<usize> = pieces.iter().map(|piece| piece.split_whitespace().count()).collect();
                assert_eq!(pieces.len(), parts.min(words).max(1));
                assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{counts:?}");
                assert!(pieces.iter().flat_map(|piece| piece.split_whitespace()).eq(text.split_whitespace()));
            }
        }
    }
}
