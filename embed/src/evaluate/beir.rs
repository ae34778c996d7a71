//! A judged collection in the layout of the BEIR benchmark: `corpus.jsonl`, `queries.jsonl`, `qrels/SPLIT.tsv`.

use super::Judgments;
use serde::Deserialize;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

/// A text and its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// As the judgments name it.
    pub id: String,
    /// Title and text, joined by a space.
    pub text: String,
}

/// Documents, queries and judgments. Every judgment names a query and a document that are there.
#[derive(Debug, Clone)]
pub struct Collection {
    /// The documents, in the file's order.
    pub corpus: Vec<Text>,
    /// The queries that have judgments, in the file's order.
    pub queries: Vec<Text>,
    /// The judgments of one split.
    pub judgments: Judgments,
}

/// Why a folder is no collection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BeirError {
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A line is not what the layout says.
    #[error("{path}, line {line}: expected {expected}, found {found}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What should be there.
        expected: &'static str,
        /// What is.
        found: String,
    },
}

#[derive(Deserialize)]
struct Record {
    #[serde(rename = "_id")]
    id: String,
    #[serde(default)]
    title: String,
    text: String,
}

/// A file read line by line, that can say where it is.
struct Lines {
    path: PathBuf,
    number: usize,
    reader: BufReader<File>,
}

impl Collection {
    /// Reads `folder` with the judgments of `split`, such as `test`. Errors at the first line that is wrong.
    pub fn open(folder: &Path, split: &str) -> Result<Collection, BeirError> {
        let (corpus, documents) = read_texts(folder.join("corpus.jsonl"))?;
        let (mut queries, asked) = read_texts(folder.join("queries.jsonl"))?;
        let judgments = read_judgments(folder.join("qrels").join(format!("{split}.tsv")), &documents, &asked)?;
        queries.retain(|query| judgments.contains_key(&query.id));
        Ok(Collection { corpus, queries, judgments })
    }
}

/// The texts of a file, and their ids.
fn read_texts(path: PathBuf) -> Result<(Vec<Text>, HashSet<String>), BeirError> {
    let mut lines = Lines::open(path)?;
    let (mut texts, mut ids) = (Vec::new(), HashSet::new());
    while let Some(line) = lines.next()? {
        let Record { id, title, text } = serde_json::from_str(&line)
            .map_err(|error| lines.fault("an object with `_id` and `text`", error.to_string()))?;
        if !ids.insert(id.clone()) {
            return Err(lines.fault("each id once", format!("`{id}` again")));
        }
        let text = if title.is_empty() { text } else { format!("{title} {text}") };
        texts.push(Text { id, text });
    }
    Ok((texts, ids))
}

fn read_judgments(
    path: PathBuf,
    documents: &HashSet<String>,
    queries: &HashSet<String>,
) -> Result<Judgments, BeirError> {
    let mut lines = Lines::open(path)?;
    let mut judgments = Judgments::new();
    while let Some(line) = lines.next()? {
        if lines.number == 1 && line.starts_with("query-id\t") {
            continue;
        }
        let fields: Vec<&str> = line.split('\t').collect();
        let [query, document, grade] = fields[..] else {
            return Err(lines.fault("query, document and grade between tabs", line));
        };
        let Ok(grade) = grade.trim_end().parse() else {
            return Err(lines.fault("a whole number as grade", format!("`{grade}`")));
        };
        if !queries.contains(query) {
            return Err(lines.fault("a query of queries.jsonl", format!("`{query}`")));
        }
        if !documents.contains(document) {
            return Err(lines.fault("a document of corpus.jsonl", format!("`{document}`")));
        }
        judgments.entry(query.into()).or_default().insert(document.into(), grade);
    }
    Ok(judgments)
}

impl Lines {
    fn open(path: PathBuf) -> Result<Self, BeirError> {
        match File::open(&path) {
            Ok(file) => Ok(Lines { path, number: 0, reader: BufReader::new(file) }),
            Err(source) => Err(BeirError::Io { path, source }),
        }
    }

    /// The next line that is not blank, without its end.
    fn next(&mut self) -> Result<Option<String>, BeirError> {
        let mut line = String::new();
        loop {
            line.clear();
            let read = self.reader.read_line(&mut line);
            if read.map_err(|source| BeirError::Io { path: self.path.clone(), source })? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if !line.trim().is_empty() {
                line.truncate(line.trim_end_matches(['\r', '\n']).len());
                return Ok(Some(line));
            }
        }
    }

    fn fault(&self, expected: &'static str, found: String) -> BeirError {
        BeirError::Line { path: self.path.clone(), line: self.number, expected, found }
    }
}
