//! Gradient caching: a loss over a whole batch, with activations of only a chunk of it in memory.
//!
//! Gao, Zhang, Han & Callan, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup" (GradCache,
//! arXiv:2101.06983). The loss needs all vectors of a batch at once, but not what computed them: map the batch chunk by chunk
//! and forget how, take the loss and its slopes by the vectors, then map each chunk again and carry its slopes through. With
//! the [`tiled`](super::tiled) loss nothing grows with more than the batch's own vectors.

use super::head::Head;
use super::{Gradients, tiled::DEFAULT_TILE};

/// Rows mapped at once.
pub const DEFAULT_CHUNK: usize = DEFAULT_TILE;

/// One step's loss and its gradient by the parameters of the heads of both sides; `None` for documents keeps their rows as
/// they are. `queries: [q × input]`, `documents: [d × input]`; `loss` gets what the heads make of them.
pub fn gradient(
    (query_head, document_head): (&Head, Option<&Head>),
    (queries, documents): (&[f32], &[f32]),
    chunk: usize,
    loss: impl FnOnce(&[f32], &[f32]) -> Gradients,
) -> (f64, Vec<f32>, Option<Vec<f32>>) {
    assert!(chunk > 0, "chunks have rows");
    let forward = |head: &Head, rows: &[f32]| {
        rows.chunks(chunk * head.input()).flat_map(|rows| head.forward(rows)).collect::<Vec<f32>>()
    };
    let backward = |head: &Head, rows: &[f32], slopes: &[f32]| {
        let mut gradient = vec![0.0; head.parameters().len()];
        let chunks = rows.chunks(chunk * head.input()).zip(slopes.chunks(chunk * head.output()));
        chunks.for_each(|(rows, slopes)| head.backward(rows, slopes, &mut gradient));
        gradient
    };
    let mapped = document_head.map(|head| forward(head, documents));
    let found = loss(&forward(query_head, queries), mapped.as_deref().unwrap_or(documents));
    (
        found.loss,
        backward(query_head, queries, &found.queries),
        document_head.map(|head| backward(head, documents, &found.documents)),
    )
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::super::contrastive::{Batch, Contrastive};
    use super::super::negatives::Masked;
    use super::super::unit::Unit;
    use super::*;
    use crate::random::Random;

    #[test]
    fn chunks_change_nothing_and_differences_agree() {
        let seed = 91;
        let mut random = Random::new(seed);
        let dim = 4;
        let rows = Unit::new(check::normal(&mut random, 7 * dim), dim).rows;
        let documents = Unit::new(check::normal(&mut random, 9 * dim), dim).rows;
        let mut query_head = Head::low_rank(dim, 3, &mut random);
        let moved = check::normal(&mut random, query_head.parameters().len());
        query_head.parameters_mut().copy_from_slice(&moved);
        let document_head = Head::linear(check::normal(&mut random, dim * dim), dim);
        let contrastive = Contrastive { scale: 1.5, symmetric: true };
        let loss = |queries: &[f32], documents: &[f32]| {
            contrastive.tiled(Batch { queries, documents, dim, masked: &Masked::default() }, 4)
        };
        let step = |query: &Head, document: Option<&Head>, chunk| {
            gradient((query, document), (&rows, &documents), chunk, loss)
        };
        let whole = step(&query_head, Some(&document_head), 100);
        for chunk in [1, 2, 5] {
            let cached = step(&query_head, Some(&document_head), chunk);
            assert!((cached.0 - whole.0).abs() < 1e-6, "seed {seed}");
            let documents = cached.2.as_ref().unwrap().iter().zip(whole.2.as_ref().unwrap());
            for (found, expected) in cached.1.iter().zip(&whole.1).chain(documents) {
                assert!((found - expected).abs() < 1e-5, "seed {seed}, chunk {chunk}: {found} {expected}");
            }
        }
        let with = |head: &Head, parameters: &[f32]| {
            let mut head = head.clone();
            head.parameters_mut().copy_from_slice(parameters);
            head
        };
        check::gradient(query_head.parameters(), &whole.1, 2e-3, |parameters| {
            step(&with(&query_head, parameters), Some(&document_head), 3).0
        });
        check::gradient(document_head.parameters(), whole.2.as_ref().unwrap(), 2e-3, |parameters| {
            step(&query_head, Some(&with(&document_head, parameters)), 3).0
        });
        assert_eq!(step(&query_head, None, 3).2, None);
    }
}
