//! A judged collection's candidates, found once, so that rules of fusion are compared and tuned in milliseconds.

use super::{Candidate, Fusion, HybridError, HybridIndex};
use crate::dense::DenseBatch;
use crate::evaluate::beir::Collection;
use crate::evaluate::{Judgments, Measures, Run, measure};
use crate::sparse::SparseVector;

/// The candidates of each judged query.
#[derive(Debug, Clone)]
pub struct Judged<'c> {
    collection: &'c Collection,
    /// For each query of the collection.
    candidates: Vec<Vec<Candidate>>,
}

/// A weight, and how well each weight tried did.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Tuned {
    /// The best weight.
    pub lambda: f32,
    /// Each weight tried with its mean nDCG@10, in the order of the grid.
    pub curve: Vec<(f32, f64)>,
}

/// Weights of BM25 beside a cosine, from a hundredth of the dense side to nearly BM25 alone.
pub const LAMBDA_GRID: [f32; 16] =
    [0.0, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.035, 0.04, 0.05, 0.06, 0.08, 0.1, 0.15, 0.2, 0.4];

impl<'c> Judged<'c> {
    /// Finds the candidates of all queries; `dense` and `sparse` are the queries' vectors, in the collection's order.
    pub fn new(
        collection: &'c Collection,
        index: &HybridIndex,
        dense: &DenseBatch,
        sparse: &[SparseVector],
        depth: usize,
    ) -> Result<Self, HybridError> {
        if dense.len() != sparse.len() {
            return Err(HybridError::Documents { dense: dense.len(), sparse: sparse.len() });
        }
        let queries = dense.as_slice().chunks_exact(dense.dim()).zip(sparse);
        let candidates = queries.map(|(dense, sparse)| index.candidates(dense, sparse, depth));
        Ok(Judged { collection, candidates: candidates.collect::<Result<_, _>>()? })
    }

    /// What `fusion` finds for every query.
    pub fn run(&self, fusion: Fusion) -> Run {
        let queries = self.collection.queries.iter().zip(&self.candidates);
        let named = |candidates: &[Candidate]| {
            let ranked = fusion.rank(candidates).into_iter();
            ranked.map(|hit| (self.collection.corpus[hit.vector as usize].id.clone(), hit.score)).collect()
        };
        queries.map(|(query, candidates)| (query.id.clone(), named(candidates))).collect()
    }

    /// How well `fusion` does over all queries.
    pub fn measure(&self, fusion: Fusion) -> Measures {
        measure(&self.collection.judgments, &self.run(fusion))
    }

    /// The weight of the sparse side with the largest nDCG@10 over these queries; the first of equals.
    pub fn tune(&self, grid: &[f32]) -> Tuned {
        assert!(!grid.is_empty(), "a grid has at least one weight");
        let tried = grid.iter().map(|&lambda| (lambda, self.measure(Fusion::Weighted { lambda }).ndcg_at_10));
        let curve: Vec<(f32, f64)> = tried.collect();
        let best = curve.iter().rev().max_by(|a, b| a.1.total_cmp(&b.1)).expect("the grid is not empty");
        Tuned { lambda: best.0, curve }
    }
}

/// The judgments of those queries that `keep` names.
pub fn restrict(judgments: &Judgments, keep: impl Fn(&str) -> bool) -> Judgments {
    let kept = judgments.iter().filter(|(query, _)| keep(query));
    kept.map(|(query, judged)| (query.clone(), judged.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::beir::Text;
    use std::collections::HashMap;

    /// Two documents, of which each side prefers another, and a query for which the second is right.
    #[test]
    fn tuning_finds_the_weight_that_pays() {
        let text = |id: &str| Text { id: id.into(), text: String::new() };
        let collection = Collection {
            corpus: vec![text("near"), text("right")],
            queries: vec![text("q")],
            judgments: Judgments::from([("q".into(), HashMap::from([("right".into(), 1)]))]),
        };
        let dense = DenseBatch::new(vec![1.0, 0.5], 1).unwrap();
        let term = |value| SparseVector::new(vec![3], vec![value]).unwrap();
        let index = HybridIndex::new(dense, vec![term(1.0), term(6.0)]).unwrap();
        let queries = DenseBatch::new(vec![1.0], 1).unwrap();
        let judged = Judged::new(&collection, &index, &queries, &[term(1.0)], 10).unwrap();
        assert_eq!(judged.measure(Fusion::Dense).mrr_at_10, 0.5);
        assert_eq!(judged.measure(Fusion::Sparse).mrr_at_10, 1.0);
        // 1 + λ < .5 + 6 λ from λ = .1 on
        let tuned = judged.tune(&[0.0, 0.09, 0.11, 0.5]);
        assert_eq!(tuned.lambda, 0.11);
        assert!(tuned.curve[1].1 < 1.0 && tuned.curve[2].1 == 1.0);
        assert!(restrict(&collection.judgments, |query| query != "q").is_empty());
    }
}
