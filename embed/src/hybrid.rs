//! Dense and sparse search together: what one misses the other often finds.
//!
//! Luan, Eisenstein, Toutanova & Collins, "Sparse, Dense, and Attentional Representations for Text Retrieval"
//! (arXiv:2005.00181): a document's score is `dense + λ · sparse`, the candidates are the union of both lists of `depth`
//! best, and **both** scores are computed for every candidate, so that a document missing from one list is not taken for
//! a document that scored 0 there. [`fuse`] holds this rule and two others, [`judged`] measures and tunes them.

use crate::dense::DenseBatch;
use crate::postings::{Postings, Scored};
use crate::sparse::SparseVector;
use std::collections::BTreeMap;

pub mod bootstrap;
pub mod fuse;
pub mod judged;

pub use fuse::Fusion;
pub use judged::Judged;

/// Documents under both their vectors, searched exactly; document `i` has row `i` and sparse vector `i`.
#[derive(Debug, Clone)]
pub struct HybridIndex {
    dense: DenseBatch,
    sparse: Vec<SparseVector>,
    postings: Postings,
}

/// A document that at least one side found, and what both sides say of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// The document's number.
    pub document: u32,
    /// Inner product of the dense vectors.
    pub dense: f32,
    /// Inner product of the sparse vectors.
    pub sparse: f32,
    /// Place in the dense list, from 0; `None` if it is not in there.
    pub dense_rank: Option<u32>,
    /// Place in the sparse list, from 0; `None` if it is not in there.
    pub sparse_rank: Option<u32>,
}

/// Why vectors cannot be searched together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HybridError {
    /// The two sides hold different numbers of documents.
    #[error("expected one sparse vector for each of the {dense} dense ones, found {sparse}")]
    Documents {
        /// Dense vectors.
        dense: usize,
        /// Sparse vectors.
        sparse: usize,
    },
    /// A query's dense vector does not fit the documents'.
    #[error("expected a query of dimension {expected}, found {found}")]
    Dimension {
        /// The documents' dimension.
        expected: usize,
        /// The query's.
        found: usize,
    },
}

impl HybridIndex {
    /// Takes both vectors of every document. Errors if there are not equally many.
    pub fn new(dense: DenseBatch, sparse: Vec<SparseVector>) -> Result<Self, HybridError> {
        if dense.len() != sparse.len() {
            return Err(HybridError::Documents { dense: dense.len(), sparse: sparse.len() });
        }
        let mut postings = Postings::new();
        sparse.iter().for_each(|vector| postings.push(vector));
        Ok(HybridIndex { dense, sparse, postings })
    }

    /// Documents.
    pub fn len(&self) -> usize {
        self.sparse.len()
    }

    /// Whether there are no documents.
    pub fn is_empty(&self) -> bool {
        self.sparse.is_empty()
    }

    /// The union of the `depth` best by either side, by document. Every document is scored: cost is that of two exact
    /// searches. Errors if the dense query has another dimension than the documents.
    pub fn candidates(
        &self,
        dense: &[f32],
        sparse: &SparseVector,
        depth: usize,
    ) -> Result<Vec<Candidate>, HybridError> {
        if dense.len() != self.dense.dim() {
            return Err(HybridError::Dimension { expected: self.dense.dim(), found: dense.len() });
        }
        let products: Vec<f32> = self.dense.as_slice().chunks_exact(dense.len()).map(|row| dot(dense, row)).collect();
        let product = |document: u32| products[document as usize];
        let shared = |document: u32| sparse.dot(&self.sparse[document as usize]);
        Ok(union(&best(&products, depth), &self.postings.search(sparse, depth), product, shared))
    }
}

/// The documents of two lists, by number, each with both scores: `dense_score` and `sparse_score` are asked for those
/// that only the other list has. This is the step to take behind any two searches, approximate ones too.
pub fn union(
    dense: &[Scored],
    sparse: &[Scored],
    dense_score: impl Fn(u32) -> f32,
    sparse_score: impl Fn(u32) -> f32,
) -> Vec<Candidate> {
    let mut found = BTreeMap::new();
    for (rank, hit) in (0_u32..).zip(dense) {
        found.entry(hit.vector).or_insert([None, None])[0] = Some((rank, hit.score));
    }
    for (rank, hit) in (0_u32..).zip(sparse) {
        found.entry(hit.vector).or_insert([None, None])[1] = Some((rank, hit.score));
    }
    let both = |(document, [dense, sparse]): (u32, [Option<(u32, f32)>; 2])| Candidate {
        document,
        dense: dense.map_or_else(|| dense_score(document), |(_, score)| score),
        sparse: sparse.map_or_else(|| sparse_score(document), |(_, score)| score),
        dense_rank: dense.map(|(rank, _)| rank),
        sparse_rank: sparse.map(|(rank, _)| rank),
    };
    found.into_iter().map(both).collect()
}

/// The `k` largest of `scores`, whose places are the vectors' numbers: best first, ties by lower number.
pub fn best(scores: &[f32], k: usize) -> Vec<Scored> {
    let mut hits: Vec<Scored> = (0_u32..).zip(scores).map(|(vector, &score)| Scored { vector, score }).collect();
    let order = |a: &Scored, b: &Scored| b.score.total_cmp(&a.score).then(a.vector.cmp(&b.vector));
    if k < hits.len() {
        hits.select_nth_unstable_by(k, order);
        hits.truncate(k);
    }
    hits.sort_unstable_by(order);
    hits
}

/// The inner product of two rows of one length, in eight running sums, which the compiler keeps in vector registers.
pub(crate) fn dot(left: &[f32], right: &[f32]) -> f32 {
    debug_assert_eq!(left.len(), right.len());
    let mut sums = [0.0_f32; 8];
    let (left, left_rest) = left.as_chunks::<8>();
    let (right, right_rest) = right.as_chunks::<8>();
    for (a, b) in left.iter().zip(right) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f32 = left_rest.iter().zip(right_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn every_candidate_has_both_scores() {
        let seed = 11;
        let mut random = Random::new(seed);
        let (documents, dim, terms) = (200, 19, 30);
        let rows: Vec<f32> = (0..documents * dim).map(|_| random.normal() as f32).collect();
        let mut sparse_vector = || {
            let ids: Vec<u32> = (0..terms).filter(|_| random.unit() < 0.1).collect();
            let values = ids.iter().map(|_| random.unit() as f32 + 0.1).collect();
            SparseVector::new(ids, values).unwrap()
        };
        let sparse: Vec<SparseVector> = (0..documents).map(|_| sparse_vector()).collect();
        let query = sparse_vector();
        let dense = DenseBatch::new(rows, dim).unwrap();
        let asked: Vec<f32> = (0..dim).map(|i| (i as f32).sin()).collect();
        let index = HybridIndex::new(dense.clone(), sparse.clone()).unwrap();

        let exact =
            |row: usize| -> f64 { dense.row(row).iter().zip(&asked).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum() };
        for depth in [0, 1, 10, documents] {
            let candidates = index.candidates(&asked, &query, depth).unwrap();
            assert!(candidates.is_sorted_by_key(|candidate| candidate.document), "seed {seed}");
            for candidate in &candidates {
                let document = candidate.document as usize;
                assert!((f64::from(candidate.dense) - exact(document)).abs() < 1e-5, "seed {seed}");
                assert!((candidate.sparse - query.dot(&sparse[document])).abs() < 1e-6, "seed {seed}");
                let better = (0..documents).filter(|&other| exact(other) > exact(document)).count();
                let expected = (better < depth).then_some(better as u32);
                assert_eq!(candidate.dense_rank, expected, "seed {seed}");
                assert!(candidate.dense_rank.is_some() || candidate.sparse_rank.is_some(), "seed {seed}");
            }
            assert_eq!(candidates.iter().filter(|c| c.dense_rank.is_some()).count(), depth, "seed {seed}");
        }
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let dense = DenseBatch::new(vec![0.0; 4], 2).unwrap();
        let error = HybridIndex::new(dense.clone(), vec![SparseVector::default()]).unwrap_err();
        assert_eq!(error.to_string(), "expected one sparse vector for each of the 2 dense ones, found 1");
        let index = HybridIndex::new(dense, vec![SparseVector::default(); 2]).unwrap();
        let error = index.candidates(&[1.0; 3], &SparseVector::default(), 5).unwrap_err();
        assert_eq!(error.to_string(), "expected a query of dimension 2, found 3");
    }

    #[test]
    fn best_breaks_ties_by_number() {
        let numbers = |k| best(&[1.0, 2.0, 1.0, 2.0], k).iter().map(|hit| hit.vector).collect::<Vec<_>>();
        assert_eq!(numbers(9), [1, 3, 0, 2]);
        assert_eq!(numbers(3), [1, 3, 0]);
        assert!(numbers(0).is_empty());
    }
}
