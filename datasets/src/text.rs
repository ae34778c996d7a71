//! Sets of texts in BEIR's layout: `corpus.jsonl`, `queries.jsonl`, and judgments in `qrels/SPLIT.tsv`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::formats::FormatError;

/// The file that makes a folder a set of texts.
pub(crate) const CORPUS: &str = "corpus.jsonl";
const QUERIES: &str = "queries.jsonl";
const JUDGMENTS: &str = "qrels";

/// Documents, questions, and which answer which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextDataset {
    /// What can be found.
    pub documents: Vec<Document>,
    /// What is asked.
    pub queries: Vec<Question>,
    /// What answers what, by split (`train`, `dev`, `test`).
    pub judgments: BTreeMap<String, Vec<Judgment>>,
}

/// One text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Document {
    /// Its name in judgments.
    #[serde(rename = "_id")]
    pub id: String,
    /// Its title; empty where it has none.
    #[serde(default)]
    pub title: String,
    /// Its body.
    pub text: String,
}

/// One question.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Question {
    /// Its name in judgments.
    #[serde(rename = "_id")]
    pub id: String,
    /// Its words.
    pub text: String,
}

/// How well a document answers a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgment {
    /// The question's id.
    pub query: String,
    /// The document's id.
    pub document: String,
    /// 0 is not at all; larger is better.
    pub grade: i32,
}

/// Reads a folder.
pub fn read(folder: &Path) -> Result<TextDataset, FormatError> {
    let (documents, queries) = (read_lines(&folder.join(CORPUS))?, read_lines(&folder.join(QUERIES))?);
    let mut judgments = BTreeMap::new();
    let splits = folder.join(JUDGMENTS);
    for entry in fs::read_dir(&splits).map_err(|error| FormatError::io(&splits, "list", error))? {
        let path = entry.map_err(|error| FormatError::io(&splits, "list", error))?.path();
        if let (Some(split), true) = (path.file_stem(), path.extension().is_some_and(|end| end == "tsv")) {
            judgments.insert(split.to_string_lossy().into_owned(), read_judgments(&path)?);
        }
    }
    Ok(TextDataset { documents, queries, judgments })
}

/// Calls `take` with every line of a file that is not empty, and its number.
fn each_line(path: &Path, mut take: impl FnMut(usize, &str) -> Result<(), FormatError>) -> Result<(), FormatError> {
    let file = File::open(path).map_err(|error| FormatError::io(path, "open", error))?;
    for (index, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|error| FormatError::io(path, "read", error))?;
        if !line.trim().is_empty() {
            take(index + 1, &line)?;
        }
    }
    Ok(())
}

fn read_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, FormatError> {
    let mut all = Vec::new();
    each_line(path, |number, line| {
        let read = serde_json::from_str(line);
        all.push(read.map_err(|error| {
            FormatError::unexpected(
                path,
                "line",
                "a JSON object with `_id` and `text`",
                format_args!("in line {number}: {error}"),
            )
        })?);
        Ok(())
    })?;
    Ok(all)
}

fn read_judgments(path: &Path) -> Result<Vec<Judgment>, FormatError> {
    let mut all = Vec::new();
    each_line(path, |number, line| {
        let fields: Vec<&str> = line.split('\t').map(str::trim).collect();
        match fields[..] {
            // The heading: query-id, corpus-id, score.
            [_, _, grade] if number == 1 && grade.parse::<i32>().is_err() => {}
            [query, document, grade] if grade.parse::<i32>().is_ok() => {
                let grade = grade.parse().expect("just tried");
                all.push(Judgment { query: query.into(), document: document.into(), grade });
            }
            _ => {
                let found = format_args!("in line {number}: `{line}`").to_string();
                return Err(FormatError::unexpected(
                    path,
                    "judgment",
                    "query, document and a whole grade between tabs",
                    found,
                ));
            }
        }
        Ok(())
    })?;
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn folder(judgments: &str) -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().to_path_buf();
        fs::create_dir(folder.join(JUDGMENTS)).unwrap();
        let corpus = "{\"_id\": \"d1\", \"title\": \"T\", \"text\": \"a b\"}\n\n{\"_id\": \"d2\", \"text\": \"c\", \"metadata\": {}}\n";
        fs::write(folder.join(CORPUS), corpus).unwrap();
        fs::write(folder.join(QUERIES), "{\"_id\": \"q1\", \"text\": \"b?\", \"metadata\": {}}\n").unwrap();
        fs::write(folder.join(JUDGMENTS).join("test.tsv"), judgments).unwrap();
        (root, folder)
    }

    #[test]
    fn a_folder_is_read_whole() {
        let (_root, folder) = folder("query-id\tcorpus-id\tscore\nq1\td1\t2\n");
        let texts = read(&folder).unwrap();
        assert_eq!(texts.documents.iter().map(|d| (&*d.id, &*d.title)).collect::<Vec<_>>(), [("d1", "T"), ("d2", "")]);
        assert_eq!(texts.queries, [Question { id: "q1".into(), text: "b?".into() }]);
        assert_eq!(texts.judgments["test"], [Judgment { query: "q1".into(), document: "d1".into(), grade: 2 }]);
    }

    #[test]
    fn a_bad_judgment_is_named() {
        let (_root, folder) = folder("query-id\tcorpus-id\tscore\nq1\td1\tgood\n");
        let error = read(&folder).unwrap_err().to_string();
        assert!(error.contains("test.tsv") && error.contains("in line 2: `q1\td1\tgood`"), "{error}");
    }
}
