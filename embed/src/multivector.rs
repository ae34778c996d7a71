//! Several vectors for a text: how they are compared, how a long text gets them, and how one vector can stand for them.
//!
//! Late interaction (Khattab & Zaharia, ColBERT, arXiv:2004.12832) keeps a vector per token and scores by [`max_sim`].
//! ME-BERT (Luan et al., arXiv:2005.00181) keeps a few per document and one per query, whose score, the largest product, is
//! the same formula with one query vector. [`fde`] turns both sides into single vectors whose product stands for it, and
//! [`windows`] makes several vectors with any encoder that makes one.

use crate::bert::gemm::{View, multiply};
use crate::dense::MultiVectorBatch;
use crate::hybrid::{best, dot};
use crate::postings::Scored;

pub mod fde;
pub mod windows;

/// The sum over the query's vectors of the largest product with one of the document's: `query: [q × dim]`,
/// `document: [d × dim]`, row-major. `None` where the document has no vectors. q · d · dim products.
///
/// ```
/// let query = [1.0, 0.0, 0.0, 1.0];
/// let document = [0.5, 0.1, 0.3, 0.2, -1.0, 0.7];
/// assert_eq!(vicino_embed::multivector::max_sim(&query, &document, 2), Some(0.5 + 0.7));
/// ```
pub fn max_sim(query: &[f32], document: &[f32], dim: usize) -> Option<f32> {
    MaxSim::default().score(query, document, dim)
}

/// [`max_sim`] for many documents, with the room for products kept between them.
#[derive(Debug, Clone, Default)]
pub struct MaxSim {
    /// `[q × d]`
    products: Vec<f32>,
}

impl MaxSim {
    /// As [`max_sim`].
    pub fn score(&mut self, query: &[f32], document: &[f32], dim: usize) -> Option<f32> {
        assert!(
            dim > 0 && query.len().is_multiple_of(dim) && document.len().is_multiple_of(dim),
            "whole rows of {dim}"
        );
        let rows = document.len() / dim;
        if rows == 0 {
            return query.is_empty().then_some(0.0);
        }
        self.products.resize(query.len() / dim * rows, 0.0);
        multiply(View::rows(query, dim), View::rows(document, dim).transposed(), &mut self.products, rows, false);
        Some(self.products.chunks_exact(rows).map(largest).sum())
    }
}

/// In sixteen running maxima, which the compiler keeps in vector registers.
fn largest(row: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if a > b { a } else { b };
    let mut lanes = [f32::NEG_INFINITY; 16];
    let (chunks, rest) = row.as_chunks::<16>();
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, &x)| *lane = larger(*lane, x));
    }
    lanes.into_iter().chain(rest.iter().copied()).fold(f32::NEG_INFINITY, larger)
}

/// The `k` documents of the largest [`max_sim`] with `query: [q × dim]`, best first, ties by lower number. Documents
/// without vectors are no hits. Every document is scored.
pub fn search(query: &[f32], documents: &MultiVectorBatch, k: usize) -> Vec<Scored> {
    rescore(query, documents, 0..documents.len() as u32, k)
}

/// [`search`] among `candidates` alone: the second step behind any search that is not exact.
pub fn rescore(
    query: &[f32],
    documents: &MultiVectorBatch,
    candidates: impl IntoIterator<Item = u32>,
    k: usize,
) -> Vec<Scored> {
    let dim = documents.rows().dim();
    let mut max_sim = MaxSim::default();
    let score = |vector: u32| {
        let score = max_sim.score(query, documents.text(vector as usize), dim)?;
        Some(Scored { vector, score })
    };
    let mut hits: Vec<Scored> = candidates.into_iter().filter_map(score).collect();
    hits.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.vector.cmp(&b.vector)));
    hits.truncate(k);
    hits
}

/// Documents from hits among single rows: each document once, where its best row stands. `hits` are best first.
///
/// With m rows to a document, the documents of the m · k best rows include the k best documents, so an index of single
/// vectors serves documents of several.
pub fn collapse(hits: &[Scored], documents: &MultiVectorBatch) -> Vec<Scored> {
    let mut seen = std::collections::HashSet::new();
    let named = hits.iter().map(|hit| Scored { vector: documents.text_of(hit.vector as usize) as u32, ..*hit });
    named.filter(|hit| seen.insert(hit.vector)).collect()
}

/// The `k` documents whose best vector has the largest product with the one vector `query`, found over single rows.
pub fn search_rows(query: &[f32], documents: &MultiVectorBatch, k: usize) -> Vec<Scored> {
    let rows = documents.rows();
    let products: Vec<f32> = rows.as_slice().chunks_exact(rows.dim()).map(|row| dot(query, row)).collect();
    let longest = (0..documents.len()).map(|text| documents.text(text).len() / rows.dim()).max().unwrap_or(0);
    let mut found = collapse(&best(&products, k.saturating_mul(longest)), documents);
    found.truncate(k);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dense::DenseBatch;
    use crate::random::Random;

    pub(super) fn texts(random: &mut Random, lengths: &[usize], dim: usize) -> MultiVectorBatch {
        let rows = lengths.iter().sum::<usize>() * dim;
        let data = (0..rows).map(|_| random.normal() as f32).collect();
        MultiVectorBatch::new(DenseBatch::new(data, dim).unwrap(), lengths).unwrap()
    }

    /// The definition, in f64.
    fn reference(query: &[f32], document: &[f32], dim: usize) -> f64 {
        let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        let largest = |row| document.chunks(dim).map(|other| product(row, other)).fold(f64::NEG_INFINITY, f64::max);
        query.chunks(dim).map(largest).sum()
    }

    #[test]
    fn scores_and_orders_as_the_definition_does() {
        let seed = 3;
        let mut random = Random::new(seed);
        for dim in [1, 3, 8, 21, 64] {
            let lengths: Vec<usize> = (0..60).map(|_| random.below(6)).collect();
            let documents = texts(&mut random, &lengths, dim);
            let query = texts(&mut random, &[4], dim);
            let query = query.text(0);
            let hits = search(query, &documents, 60);
            assert_eq!(hits.len(), lengths.iter().filter(|&&length| length > 0).count(), "seed {seed}");
            assert!(hits.is_sorted_by(|a, b| a.score >= b.score), "seed {seed}");
            for hit in &hits {
                let expected = reference(query, documents.text(hit.vector as usize), dim);
                assert!((f64::from(hit.score) - expected).abs() < 1e-4, "seed {seed}, dim {dim}");
            }
            assert_eq!(search(query, &documents, 7), hits[..7], "seed {seed}");
        }
    }

    #[test]
    fn single_rows_find_the_same_documents() {
        let seed = 4;
        let mut random = Random::new(seed);
        let lengths: Vec<usize> = (0..300).map(|_| random.below(9)).collect();
        let documents = texts(&mut random, &lengths, 16);
        for _ in 0..20 {
            let query = texts(&mut random, &[1], 16);
            let query = query.text(0);
            for k in [1, 10, 300] {
                let (rows, texts) = (search_rows(query, &documents, k), search(query, &documents, k));
                assert_eq!(rows.len(), texts.len(), "seed {seed}");
                for (row, text) in rows.iter().zip(&texts) {
                    // Sums in another order.
                    assert!(
                        row.vector == text.vector && (row.score - text.score).abs() < 1e-4,
                        "seed {seed}: {row:?}, {text:?}"
                    );
                }
            }
        }
    }
}
