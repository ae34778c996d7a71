//! Texts as words: [`Tokenizer`], and [`TextQuery`], which asks for words or a phrase.

use serde::{Deserialize, Serialize};

/// How a text is divided into words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tokenizer {
    /// Where words end.
    pub kind: TokenizerKind,
    /// Whether case is ignored.
    pub lowercase: bool,
    /// Characters of a word at least; shorter ones count for nothing.
    pub min_len: usize,
    /// Characters of a word at most; longer ones count for nothing, but where beginnings are asked for: there they are cut.
    pub max_len: usize,
}

/// Where words end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenizerKind {
    /// At whatever is no letter or digit.
    Word,
    /// At white space.
    Whitespace,
    /// As `Word`; a word asked for is also found where it is the beginning of one.
    Prefix,
}

impl Default for Tokenizer {
    /// Words without regard to case, of any length.
    fn default() -> Self {
        Tokenizer { kind: TokenizerKind::Word, lowercase: true, min_len: 0, max_len: usize::MAX }
    }
}

impl Tokenizer {
    /// Hands the words of a stored `text` to `take`, in order.
    pub(super) fn words(&self, text: &str, take: &mut dyn FnMut(String)) {
        let mut each = |word: &str| {
            if word.is_empty() {
                return;
            }
            let word = if self.lowercase { word.to_lowercase() } else { word.to_owned() };
            let len = word.chars().count();
            if len >= self.min_len && (len <= self.max_len || self.kind == TokenizerKind::Prefix) {
                take(word);
            }
        };
        match self.kind {
            TokenizerKind::Whitespace => text.split_whitespace().for_each(&mut each),
            TokenizerKind::Word | TokenizerKind::Prefix => {
                text.split(|letter: char| !letter.is_alphanumeric()).for_each(&mut each);
            }
        }
    }

    /// The words of a text that is asked for.
    fn asked(&self, text: &str) -> Vec<String> {
        let mut words = Vec::new();
        self.words(text, &mut |word| {
            let cut = self.kind == TokenizerKind::Prefix && self.max_len < word.len();
            words.push(if cut { word.chars().take(self.max_len).collect() } else { word });
        });
        words
    }

    /// Whether stored `word` answers to `asked`.
    fn answers(&self, word: &str, asked: &str) -> bool {
        if self.kind == TokenizerKind::Prefix { word.starts_with(asked) } else { word == asked }
    }
}

/// Which of its words a text must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextMode {
    /// All of them, anywhere.
    All,
    /// One of them.
    Any,
    /// All of them, one behind the other.
    Phrase,
}

/// What a text is asked. A query without words matches nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TextQuery {
    text: String,
    mode: TextMode,
    tokenizer: Tokenizer,
    words: Vec<String>,
}

impl TextQuery {
    /// For texts that have the words of `text`, as the default [`Tokenizer`] sees them.
    pub fn new(text: impl Into<String>, mode: TextMode) -> Self {
        Self::with(text.into(), mode, Tokenizer::default())
    }

    fn with(text: String, mode: TextMode, tokenizer: Tokenizer) -> Self {
        let words = tokenizer.asked(&text);
        TextQuery { text, mode, tokenizer, words }
    }

    /// The same query as `tokenizer` sees it.
    pub(super) fn by(&self, tokenizer: Tokenizer) -> Self {
        Self::with(self.text.clone(), self.mode, tokenizer)
    }

    pub(super) fn tokenizer(&self) -> Tokenizer {
        self.tokenizer
    }

    pub(super) fn mode(&self) -> TextMode {
        self.mode
    }

    pub(super) fn words(&self) -> &[String] {
        &self.words
    }

    /// Whether `text` has what is asked for.
    pub(super) fn matches(&self, text: &str) -> bool {
        if self.words.is_empty() {
            return false;
        }
        let mut found = Vec::new();
        self.tokenizer.words(text, &mut |word| found.push(word));
        let answers = |word: &String, asked: &String| self.tokenizer.answers(word, asked);
        let has = |asked: &String| found.iter().any(|word| answers(word, asked));
        match self.mode {
            TextMode::All => self.words.iter().all(has),
            TextMode::Any => self.words.iter().any(has),
            TextMode::Phrase => found
                .windows(self.words.len())
                .any(|window| window.iter().zip(&self.words).all(|(word, asked)| answers(word, asked))),
        }
    }
}
