//! The contrastive loss: a query's positive against every other document of the batch.
//!
//! van den Oord, Li & Vinyals, InfoNCE (arXiv:1807.03748), as `MultipleNegativesRankingLoss` of sentence-transformers:
//! cross-entropy of the row softmax of `scale · ⟨q_i, d_j⟩`, where document i answers query i and documents past the queries
//! are hard negatives. The symmetric form adds the same over the columns of the answers and halves. This module computes it
//! from the whole score matrix, which is the reference; [`tiled`](super::tiled) computes the same in little memory.

use super::Gradients;
use super::negatives::Masked;
use crate::bert::gemm::{View, multiply};

/// What the loss is of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contrastive {
    /// What products are multiplied with; 20 is usual for cosines.
    pub scale: f32,
    /// Whether documents choose among queries too.
    pub symmetric: bool,
}

/// A batch. Query i's positive is document i; `documents` holds at least as many rows as `queries`.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// `[queries × dim]`, row-major.
    pub queries: &'a [f32],
    /// `[documents × dim]`, row-major.
    pub documents: &'a [f32],
    /// Numbers in a row.
    pub dim: usize,
    /// What does not count.
    pub masked: &'a Masked,
}

impl Batch<'_> {
    /// Rows of queries and of documents. Panics if they are no batch.
    pub(crate) fn shape(&self) -> (usize, usize) {
        let (queries, documents) = (self.queries.len() / self.dim, self.documents.len() / self.dim);
        assert!(self.queries.len() == queries * self.dim && self.documents.len() == documents * self.dim, "whole rows");
        assert!((1..=documents).contains(&queries), "{queries} queries and {documents} documents");
        (queries, documents)
    }
}

impl Contrastive {
    /// With the usual scale for cosines, rows only.
    pub const DEFAULT: Contrastive = Contrastive { scale: 20.0, symmetric: false };

    /// The loss and its gradients from the whole matrix: `queries · documents` scores, four bytes each.
    pub fn plain(self, batch: Batch<'_>) -> Gradients {
        let (queries, documents) = batch.shape();
        let mut scores = vec![0.0; queries * documents];
        let columns = View::rows(batch.documents, batch.dim).transposed();
        multiply(View::rows(batch.queries, batch.dim), columns, &mut scores, documents, false);
        scores.iter_mut().for_each(|score| *score *= self.scale);
        for query in 0..queries {
            for &document in batch.masked.within(query, 0, documents) {
                scores[query * documents + document as usize] = f32::NEG_INFINITY;
            }
        }

        let share = if self.symmetric { 0.5 } else { 1.0 } / queries as f64;
        let mut loss = 0.0;
        let rows: Vec<f64> = scores.chunks_exact(documents).map(|row| log_sum_exp(row.iter())).collect();
        let column = |document: usize| scores[document..].iter().step_by(documents);
        let columns: Vec<f64> = if self.symmetric {
            (0..queries).map(|document| log_sum_exp(column(document))).collect()
        } else {
            Vec::new()
        };
        for query in 0..queries {
            let positive = f64::from(scores[query * documents + query]);
            loss += share * (rows[query] - positive);
            loss += columns.get(query).map_or(0.0, |column| share * (column - positive));
        }
        for (query, row) in scores.chunks_exact_mut(documents).enumerate() {
            for (document, score) in row.iter_mut().enumerate() {
                let value = f64::from(*score);
                let mut slope = (value - rows[query]).exp();
                if let Some(column) = columns.get(document) {
                    slope += (value - column).exp();
                }
                if document == query {
                    slope -= if self.symmetric { 2.0 } else { 1.0 };
                }
                *score = (slope * share) as f32 * self.scale;
            }
        }

        let mut gradients =
            Gradients { loss, queries: vec![0.0; batch.queries.len()], documents: vec![0.0; batch.documents.len()] };
        let slopes = View::rows(&scores, documents);
        multiply(slopes, View::rows(batch.documents, batch.dim), &mut gradients.queries, batch.dim, false);
        multiply(slopes.transposed(), View::rows(batch.queries, batch.dim), &mut gradients.documents, batch.dim, false);
        gradients
    }
}

fn log_sum_exp<'a>(scores: impl Iterator<Item = &'a f32> + Clone) -> f64 {
    let most = f64::from(scores.clone().copied().fold(f32::NEG_INFINITY, f32::max));
    most + scores.map(|&score| (f64::from(score) - most).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;
    use crate::random::Random;

    /// The definition, in f64.
    fn reference(loss: Contrastive, batch: Batch<'_>) -> f64 {
        let (queries, documents) = batch.shape();
        let score = |i: usize, j: usize| {
            let rows = batch.queries[i * batch.dim..].iter().zip(&batch.documents[j * batch.dim..]).take(batch.dim);
            f64::from(loss.scale) * rows.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>()
        };
        let counts = |i: usize, j: usize| batch.masked.within(i, j, j + 1).is_empty();
        let mut sum = 0.0;
        for i in 0..queries {
            let row = (0..documents).filter(|&j| counts(i, j)).map(|j| score(i, j).exp()).sum::<f64>().ln();
            let column = (0..queries).filter(|&j| counts(j, i)).map(|j| score(j, i).exp()).sum::<f64>().ln();
            sum += row - score(i, i) + if loss.symmetric { column - score(i, i) } else { 0.0 };
        }
        sum / queries as f64 / if loss.symmetric { 2.0 } else { 1.0 }
    }

    #[test]
    fn loss_and_gradients_are_those_of_the_definition() {
        let seed = 31;
        let mut random = Random::new(seed);
        let dim = 5;
        let (queries, documents) = (check::normal(&mut random, 6 * dim), check::normal(&mut random, 9 * dim));
        let masked = Masked::new(6, 9, |i, j| (i + 2 * j) % 5 == 0);
        assert!(masked.len() > 5);
        for masked in [Masked::default(), masked] {
            for symmetric in [false, true] {
                let loss = Contrastive { scale: 0.7, symmetric };
                let batch = Batch { queries: &queries, documents: &documents, dim, masked: &masked };
                let found = loss.plain(batch);
                assert!((found.loss - reference(loss, batch)).abs() < 1e-6, "seed {seed}");
                let by_queries = |queries: &[f32]| reference(loss, Batch { queries, ..batch });
                check::gradient(&queries, &found.queries, 1e-5, by_queries);
                let by_documents = |documents: &[f32]| reference(loss, Batch { documents, ..batch });
                check::gradient(&documents, &found.documents, 1e-5, by_documents);
            }
        }
    }
}
