//! WordNet's entries as texts: free, clean English about everything, in Debian's `wordnet-base`.
//!
//! Princeton's WordNet 3.0 under its own permissive licence. The files are described in wndb(5WN): in hexadecimal the
//! number of words, each followed by a number, then pointers, then `|` and the gloss.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Why a folder is no WordNet.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WordNetError {
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A line is no entry.
    #[error("{path}, line {line}: expected an entry of WordNet, found `{found}`")]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// How it begins.
        found: String,
    },
}

/// Bytes at which a passage takes no further entry.
const PASSAGE_BYTES: usize = 900;

/// An entry: a set of words of one meaning.
struct Entry<'a> {
    text: String,
    /// Where it stands in its file, by which others point to it.
    offset: &'a str,
    /// What it is a kind or an instance of.
    above: Option<Place<'a>>,
    /// Its kinds, instances, parts and members, and adjectives like it.
    near: Vec<Place<'a>>,
}

/// The offset of an entry, and the first letter of its part of speech.
type Place<'a> = (&'a str, char);

/// The entries of `data.noun`, `data.verb`, `data.adj` and `data.adv` in `folder`, each as `words: gloss`; and once more, as
/// passages, those with at least three others near them: the entry, what it is a kind of, and what is near.
pub fn texts(folder: &Path) -> Result<Vec<String>, WordNetError> {
    let mut files = Vec::new();
    for part in ["noun", "verb", "adj", "adv"] {
        let path = folder.join(format!("data.{part}"));
        let text = fs::read_to_string(&path).map_err(|source| WordNetError::Io { path: path.clone(), source })?;
        files.push((path, part.chars().next().unwrap_or_default(), text));
    }
    let (mut entries, mut places) = (Vec::new(), HashMap::new());
    for (path, part, text) in &files {
        // The licence stands at the top, indented.
        for (line, text) in text.lines().enumerate().filter(|(_, text)| !text.starts_with("  ")) {
            let Some(entry) = Entry::parse(text) else {
                let found = text.chars().take(40).collect();
                return Err(WordNetError::Line { path: path.clone(), line: line + 1, found });
            };
            places.insert((entry.offset, *part), entries.len());
            entries.push(entry);
        }
    }
    let passage = |entry: &Entry<'_>| {
        let mut text = entry.text.clone();
        for place in entry.above.iter().chain(&entry.near) {
            match places.get(place) {
                Some(&other) if text.len() < PASSAGE_BYTES => {
                    let other: &Entry<'_> = &entries[other];
                    text = format!("{text}. {}", other.text);
                }
                _ => {}
            }
        }
        text
    };
    let passages: Vec<String> = entries.iter().filter(|entry| entry.near.len() >= 3).map(passage).collect();
    Ok(entries.into_iter().map(|entry| entry.text).chain(passages).collect())
}

impl<'a> Entry<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (head, gloss) = line.split_once(" | ")?;
        let mut fields = head.split(' ');
        let offset = fields.next()?;
        let count = usize::from_str_radix(fields.nth(2)?, 16).ok()?;
        let mut words = Vec::with_capacity(count);
        for _ in 0..count {
            // Adjectives may carry where they stand: `galore(ip)`.
            let word = fields.next()?;
            words.push(word.split('(').next().unwrap_or(word).replace('_', " "));
            fields.next()?;
        }
        let pointers: usize = fields.next()?.parse().ok()?;
        let (mut above, mut near) = (None, Vec::new());
        for _ in 0..pointers {
            let (symbol, offset, part) = (fields.next()?, fields.next()?, fields.next()?.chars().next()?);
            fields.next()?;
            let place = (offset, if part == 's' { 'a' } else { part });
            match symbol {
                "@" | "@i" => above = above.or(Some(place)),
                "~" | "~i" | "%m" | "%p" | "%s" | "&" => near.push(place),
                _ => {}
            }
        }
        Some(Entry { text: format!("{}: {}", words.join(", "), gloss.trim()), offset, above, near })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_entries_and_makes_passages() {
        let folder = tempfile::tempdir().unwrap();
        let nouns = "  1 This is the licence | not an entry\n\
            00000001 03 n 02 animal 0 living_being 0 003 ~ 00000002 n 0000 ~ 00000003 n 0000 ~ 00000004 n 0000 | lives  \n\
            00000002 05 n 01 cat 0 001 @ 00000001 n 0000 | purrs\n\
            00000003 05 n 01 dog 0 001 @ 00000001 n 0000 | barks\n\
            00000004 05 n 01 hen 0 001 @ 00000001 n 0000 | clucks\n";
        fs::write(folder.path().join("data.noun"), nouns).unwrap();
        fs::write(folder.path().join("data.verb"), "00000001 29 v 01 purr 0 000 01 + 02 00 | sound like a cat\n")
            .unwrap();
        fs::write(folder.path().join("data.adj"), "00000001 00 a 01 galore(ip) 0 000 | in plenty\n").unwrap();
        let missing = texts(folder.path()).unwrap_err().to_string();
        assert!(missing.contains("data.adv"), "{missing}");
        fs::write(folder.path().join("data.adv"), "").unwrap();
        let found = texts(folder.path()).unwrap();
        let animal = "animal, living being: lives. cat: purrs. dog: barks. hen: clucks";
        assert_eq!(found[0], "animal, living being: lives");
        assert_eq!(found[4..], ["purr: sound like a cat", "galore: in plenty", animal]);
        fs::write(folder.path().join("data.adv"), "00000001 29 r zz").unwrap();
        let error = texts(folder.path()).unwrap_err().to_string();
        assert!(error.contains("data.adv, line 1: expected an entry of WordNet, found `00000001 29"), "{error}");
    }
}
