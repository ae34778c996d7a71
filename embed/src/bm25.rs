//! BM25 as sparse vectors: the product of a query's and a document's is Lucene's score.
//!
//! Robertson & Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), in the form of Lucene 8 and
//! later. With `N` documents, of which `df` hold a term, a document's weight for the term and a query's are
//!
//! ```text
//! tf / (tf + k1 · (1 − b + b · length / average length))        ln(1 + (N − df + 0.5) / (df + 0.5)) · repeats
//! ```
//!
//! Lucene keeps a document's length in one byte; here it is exact, so scores differ from Lucene's in the third or
//! fourth digit. Everything that depends on the rarity of a term is on the query's side, so stored documents stay right
//! as `df` moves; they do keep the average length of the day they were encoded.

use crate::analyze;
use crate::encoder::{EncodeError, Encoder, SparseEncoder, TextKind};
use crate::sparse::SparseVector;
use indexmap::IndexMap;
use std::collections::BTreeMap;

mod file;

pub use file::{OpenError, SaveError};

/// How strongly BM25 counts repeats and length.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bm25Params {
    k1: f64,
    b: f64,
}

impl Bm25Params {
    /// What Lucene and Elasticsearch use: for text of any kind.
    pub const LUCENE: Bm25Params = Bm25Params { k1: 1.2, b: 0.75 };
    /// What Anserini uses, tuned on passages; published BEIR tables are made with it.
    pub const ANSERINI: Bm25Params = Bm25Params { k1: 0.9, b: 0.4 };

    /// `k1`: how slowly repeats saturate, 0 for not counting them. `b`: how much length matters, in `0..=1`.
    pub fn new(k1: f64, b: f64) -> Result<Self, ParamsError> {
        if !(k1.is_finite() && k1 >= 0.0) {
            return Err(ParamsError { name: "k1", found: k1, expected: "a finite number of at least 0" });
        }
        if !(0.0..=1.0).contains(&b) {
            return Err(ParamsError { name: "b", found: b, expected: "a number in 0..=1" });
        }
        Ok(Bm25Params { k1, b })
    }

    /// How slowly repeats saturate.
    pub fn k1(self) -> f64 {
        self.k1
    }

    /// How much length matters.
    pub fn b(self) -> f64 {
        self.b
    }
}

/// A BM25 parameter out of range.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{name}: expected {expected}, found {found}")]
pub struct ParamsError {
    name: &'static str,
    found: f64,
    expected: &'static str,
}

/// A collection's statistics, and the encoder they make.
///
/// Terms are numbered as documents bring them. An id never changes and no two terms share one, so vectors encoded early
/// and late can lie in one index.
#[derive(Debug, Clone)]
pub struct Bm25 {
    params: Bm25Params,
    model_id: String,
    /// Each term with the number of documents that hold it; its place is its id.
    document_frequency: IndexMap<String, u64>,
    documents: u64,
    /// Terms in all documents, repeats included.
    total_length: u64,
}

/// A text's terms counted, and its length.
struct Counts {
    terms: BTreeMap<String, u64>,
    length: u64,
}

impl Bm25 {
    /// The statistics of no documents.
    pub fn new(params: Bm25Params) -> Self {
        Self::from_parts(params, IndexMap::new(), 0, 0)
    }

    fn from_parts(
        params: Bm25Params,
        document_frequency: IndexMap<String, u64>,
        documents: u64,
        total_length: u64,
    ) -> Self {
        let model_id = format!("bm25-english-k1={}-b={}", params.k1, params.b);
        Bm25 { params, model_id, document_frequency, documents, total_length }
    }

    /// Counts one document in: its terms get ids, and later queries know it.
    pub fn add(&mut self, text: &str) {
        let counts = Counts::of(text);
        self.documents += 1;
        self.total_length += counts.length;
        for term in counts.terms.into_keys() {
            *self.document_frequency.entry(term).or_insert(0) += 1;
        }
        assert!(u32::try_from(self.document_frequency.len()).is_ok(), "more than 2³² terms have no u32 ids");
    }

    /// [`add`](Self::add), for each of `texts`.
    pub fn extend<'t>(&mut self, texts: impl IntoIterator<Item = &'t str>) {
        texts.into_iter().for_each(|text| self.add(text));
    }

    /// `k1` and `b`.
    pub fn params(&self) -> Bm25Params {
        self.params
    }

    /// Documents added.
    pub fn documents(&self) -> u64 {
        self.documents
    }

    /// Terms known: every id is less.
    pub fn vocabulary_len(&self) -> usize {
        self.document_frequency.len()
    }

    /// Mean number of terms in a document, repeats included; 0 without documents.
    pub fn average_length(&self) -> f64 {
        if self.documents == 0 { 0.0 } else { self.total_length as f64 / self.documents as f64 }
    }

    /// The term with this id, as the analyzer spells it.
    pub fn term(&self, id: u32) -> Option<&str> {
        self.document_frequency.get_index(id as usize).map(|(term, _)| term.as_str())
    }

    /// The id and the document frequency of a term, spelt as the analyzer spells it.
    fn lookup(&self, term: &str) -> Option<(u32, u64)> {
        self.document_frequency.get_full(term).map(|(id, _, &frequency)| (id as u32, frequency))
    }

    /// A document's weights. Errors if a term is unknown, because it would be lost: add the document first.
    fn document(&self, text: usize, counts: &Counts) -> Result<SparseVector, EncodeError> {
        // The average is 0 only while no term is known, and then no weight is computed.
        let relative_length = counts.length as f64 / self.average_length();
        let Bm25Params { k1, b } = self.params;
        let saturation = k1 * (1.0 - b + b * relative_length);
        self.weigh_known(text, counts, |repeats| repeats / (repeats + saturation))
    }

    /// A query's weights. Unknown terms are left out, as no document has them.
    fn query(&self, counts: &Counts) -> SparseVector {
        vector(counts.terms.iter().filter_map(|(term, &repeats)| {
            let (id, frequency) = self.lookup(term)?;
            Some((id, (idf(self.documents, frequency) * repeats as f64) as f32))
        }))
    }

    /// `weight(repeats)` for each term. Errors at a term that has no id.
    fn weigh_known(
        &self,
        text: usize,
        counts: &Counts,
        weight: impl Fn(f64) -> f64,
    ) -> Result<SparseVector, EncodeError> {
        let weights = counts.terms.iter().map(|(term, &repeats)| match self.lookup(term) {
            Some((id, _)) => Ok((id, weight(repeats as f64) as f32)),
            None => Err(EncodeError::UnknownTerm { text, term: term.clone() }),
        });
        Ok(vector(weights.collect::<Result<Vec<_>, _>>()?))
    }
}

impl Encoder for Bm25 {
    /// Names the analyzer, `k1` and `b`, not the collection.
    fn model_id(&self) -> &str {
        &self.model_id
    }

    fn max_tokens(&self) -> Option<usize> {
        None
    }
}

impl SparseEncoder for Bm25 {
    /// `Document`s get saturated counts, `Query`s inverse document frequencies, `Raw` texts plain counts. Documents and
    /// raw texts with a term that no added document has are refused; a query's unknown terms match nothing and drop out.
    fn encode(&self, texts: &[&str], kind: TextKind) -> Result<Vec<SparseVector>, EncodeError> {
        let encode = |(index, text): (usize, &&str)| {
            let counts = Counts::of(text);
            match kind {
                TextKind::Document => self.document(index, &counts),
                TextKind::Query => Ok(self.query(&counts)),
                TextKind::Raw => self.weigh_known(index, &counts, |repeats| repeats),
            }
        };
        texts.iter().enumerate().map(encode).collect()
    }
}

impl Counts {
    fn of(text: &str) -> Counts {
        let mut counts = Counts { terms: BTreeMap::new(), length: 0 };
        for term in analyze::english(text) {
            *counts.terms.entry(term).or_insert(0) += 1;
            counts.length += 1;
        }
        counts
    }
}

/// The vector of `weights`, whose ids are distinct and in any order.
fn vector(weights: impl IntoIterator<Item = (u32, f32)>) -> SparseVector {
    let mut weights: Vec<(u32, f32)> = weights.into_iter().collect();
    weights.sort_unstable_by_key(|&(id, _)| id);
    let (ids, values) = weights.into_iter().unzip();
    SparseVector::new(ids, values).expect("distinct ids, sorted, with finite weights")
}

/// How much a term says that `frequency` of `documents` have, in Lucene's form: above 0 for every term.
pub(crate) fn idf(documents: u64, frequency: u64) -> f64 {
    let (documents, frequency) = (documents as f64, frequency as f64);
    (1.0 + (documents - frequency + 0.5) / (frequency + 0.5)).ln()
}
