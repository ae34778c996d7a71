//! BM25's statistics on disk: one JSON file, readable by anything, checked as a whole before any of it is used.

use super::{Bm25, Bm25Params, ParamsError};
use indexmap::IndexMap;
use indexmap::map::Entry;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

const FORMAT: &str = "vicino-bm25";
const VERSION: u32 = 1;
/// Names what made the terms: files of another analyzer have other terms.
const ANALYZER: &str = "english";

/// The file's fields that say what it is, read before the rest.
#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
    analyzer: String,
}

#[derive(Serialize, Deserialize)]
struct Contents<Terms> {
    #[serde(flatten)]
    header: Header,
    k1: f64,
    b: f64,
    documents: u64,
    total_length: u64,
    /// `[term, document frequency]`, in the order of the ids.
    terms: Terms,
}

/// Why statistics were not saved. What was at the path before is still there.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}")]
pub struct SaveError {
    path: PathBuf,
    source: io::Error,
}

/// Why a file was not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is no JSON, or lacks a field.
    #[error("{path}: expected BM25 statistics as JSON: {source}")]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: serde_json::Error,
    },
    /// The file is of another kind, version or analyzer.
    #[error("{path}: {field}: expected {expected}, found {found}")]
    Header {
        /// The file.
        path: PathBuf,
        /// Which field.
        field: &'static str,
        /// What this build reads.
        expected: String,
        /// What the file says.
        found: String,
    },
    /// `k1` or `b` is out of range.
    #[error("{path}: {source}")]
    Params {
        /// The file.
        path: PathBuf,
        /// Which, and why.
        source: ParamsError,
    },
    /// The numbers contradict each other.
    #[error("{path}: term {id} `{term}`: expected {expected}")]
    Term {
        /// The file.
        path: PathBuf,
        /// The term's id.
        id: usize,
        /// The term.
        term: String,
        /// What does not hold.
        expected: String,
    },
    /// More terms than the documents have room for.
    #[error(
        "{path}: expected a total length of at least {expected}, the sum of all document frequencies, found {found}"
    )]
    Length {
        /// The file.
        path: PathBuf,
        /// The sum.
        expected: u64,
        /// The total length in the file.
        found: u64,
    },
}

impl Bm25 {
    /// Writes the statistics to `path`, whole or not at all: a file beside it is written, synced and renamed.
    pub fn save(&self, path: &Path) -> Result<(), SaveError> {
        let contents = Contents {
            header: Header { format: FORMAT.into(), version: VERSION, analyzer: ANALYZER.into() },
            k1: self.params.k1,
            b: self.params.b,
            documents: self.documents,
            total_length: self.total_length,
            terms: self.document_frequency.iter().collect::<Vec<_>>(),
        };
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let write = || {
            let mut file = BufWriter::new(File::create(&partial)?);
            serde_json::to_writer(&mut file, &contents)?;
            file.flush()?;
            file.get_ref().sync_all()?;
            fs::rename(&partial, path)
        };
        write().map_err(|source| SaveError { path: path.into(), source })
    }

    /// Reads statistics written by [`save`](Self::save).
    pub fn open(path: &Path) -> Result<Bm25, OpenError> {
        let bytes = fs::read(path).map_err(|source| OpenError::Io { path: path.into(), source })?;
        let json = |source| OpenError::Json { path: path.into(), source };
        check_header(path, &serde_json::from_slice(&bytes).map_err(json)?)?;
        let contents: Contents<Vec<(String, u64)>> = serde_json::from_slice(&bytes).map_err(json)?;
        let params = Bm25Params::new(contents.k1, contents.b)
            .map_err(|source| OpenError::Params { path: path.into(), source })?;
        let (documents, total_length) = (contents.documents, contents.total_length);
        let document_frequency = check_terms(path, contents.terms, documents)?;
        let expected = document_frequency.values().fold(0, |sum: u64, &frequency| sum.saturating_add(frequency));
        if total_length < expected {
            return Err(OpenError::Length { path: path.into(), expected, found: total_length });
        }
        Ok(Self::from_parts(params, document_frequency, documents, total_length))
    }
}

fn check_header(path: &Path, header: &Header) -> Result<(), OpenError> {
    let fields = [
        ("format", FORMAT.into(), header.format.clone()),
        ("version", VERSION.to_string(), header.version.to_string()),
        ("analyzer", ANALYZER.into(), header.analyzer.clone()),
    ];
    match fields.into_iter().find(|(_, expected, found)| expected != found) {
        Some((field, expected, found)) => Err(OpenError::Header { path: path.into(), field, expected, found }),
        None => Ok(()),
    }
}

/// The terms by id, each once and in at least one and at most all of `documents`.
fn check_terms(path: &Path, terms: Vec<(String, u64)>, documents: u64) -> Result<IndexMap<String, u64>, OpenError> {
    let mut checked = IndexMap::with_capacity(terms.len());
    for (id, (term, frequency)) in terms.into_iter().enumerate() {
        let fault = |term, expected| OpenError::Term { path: path.into(), id, term, expected };
        if !(1..=documents).contains(&frequency) {
            return Err(fault(term, format!("a document frequency in 1..={documents}, found {frequency}")));
        }
        match checked.entry(term) {
            Entry::Occupied(first) => {
                return Err(fault(
                    first.key().clone(),
                    format!("each term once, found it as term {} too", first.index()),
                ));
            }
            Entry::Vacant(place) => place.insert(frequency),
        };
    }
    Ok(checked)
}
