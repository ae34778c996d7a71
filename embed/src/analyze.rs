//! English text to index terms, in the steps of Lucene's `EnglishAnalyzer`, so that scores can be compared with its.
//!
//! Words by Unicode's segmentation (UAX #29, Lucene's `StandardTokenizer`), the possessive `'s` taken off, lower case,
//! words of more than 255 characters cut up, stop words dropped, the original Porter stemmer ([`porter`]).

use unicode_segmentation::UnicodeSegmentation;

pub mod porter;

/// The stop words of Lucene's English analyzer, sorted.
pub const STOP_WORDS: [&str; 33] = [
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it", "no", "not", "of",
    "on", "or", "such", "that", "the", "their", "then", "there", "these", "they", "this", "to", "was", "will", "with",
];

/// Longer words are cut into pieces of so many characters, which bounds what one term can cost.
pub const MAX_WORD_CHARS: usize = 255;

/// The index terms of `text`, in its order, repeats included.
///
/// ```
/// let terms: Vec<_> = vicino_embed::analyze::english("The wing's lift, and Wings in 3.5 slipstreams").collect();
/// assert_eq!(terms, ["wing", "lift", "wing", "3.5", "slipstream"]);
/// ```
pub fn english(text: &str) -> impl Iterator<Item = String> + '_ {
    text.unicode_words()
        .flat_map(pieces)
        .map(|word| strip_possessive(word).to_lowercase())
        .filter(|word| STOP_WORDS.binary_search(&word.as_str()).is_err())
        .map(|word| porter::stem(&word))
}

/// `word` in pieces of [`MAX_WORD_CHARS`] characters; the last may be shorter.
fn pieces(mut word: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let end = word.char_indices().nth(MAX_WORD_CHARS).map_or(word.len(), |(end, _)| end);
        let (piece, rest) = word.split_at(end);
        word = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

/// `word` without a possessive `'s`, whose apostrophe may be U+0027, U+2019 or U+FF07.
fn strip_possessive(word: &str) -> &str {
    word.strip_suffix(['s', 'S']).and_then(|rest| rest.strip_suffix(['\'', '\u{2019}', '\u{ff07}'])).unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(text: &str) -> Vec<String> {
        english(text).collect()
    }

    #[test]
    fn stop_words_are_sorted() {
        assert!(STOP_WORDS.is_sorted());
    }

    #[test]
    fn possessives_fall_in_each_spelling() {
        assert_eq!(terms("Bernoulli's bernoulli\u{2019}s BERNOULLI\u{ff07}S bernoulli"), ["bernoulli"; 4]);
        assert_eq!(terms("o'neil"), ["o'neil"]);
    }

    #[test]
    fn stop_words_fall_before_stemming_and_in_any_case() {
        assert_eq!(terms("THE There ons being"), ["on", "be"]);
    }

    #[test]
    fn long_words_are_cut_up() {
        let word = "ß".repeat(2 * MAX_WORD_CHARS + 1);
        let lengths: Vec<usize> = english(&word).map(|term| term.chars().count()).collect();
        assert_eq!(lengths, [MAX_WORD_CHARS, MAX_WORD_CHARS, 1]);
    }

    #[test]
    fn words_end_where_unicode_says() {
        assert_eq!(
            terms("mach-2.5 (IL-2, α_1) U.S. 1,000 naïve—Σίσυφος"),
            ["mach", "2.5", "il", "2", "α_1", "u.", "1,000", "naïv", "σίσυφος"]
        );
        assert_eq!(terms(" \t… --- ''"), Vec::<String>::new());
    }
}
