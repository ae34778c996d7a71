//! Documents that must not count as wrong answers: false negatives, left out of the softmax.
//!
//! In a batch the positive of one query serves as negative for the others, and mined negatives are near misses, so some of
//! them are right answers. They are known by the judgments, or guessed by a guide model as those it scores above the
//! positive (GISTEmbed, Solatorio, arXiv:2402.16829).

use crate::hybrid::dot;

/// For each query the documents, by place in the batch, that do not count. Never its own positive, which has its place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Masked(Vec<Vec<u32>>);

impl Masked {
    /// Masks where `wrong(query, document)` holds, for places other than the query's own.
    pub fn new(queries: usize, documents: usize, wrong: impl Fn(usize, usize) -> bool) -> Masked {
        let row = |query: usize| {
            let masked = (0..documents).filter(|&document| document != query && wrong(query, document));
            masked.map(|document| document as u32).collect()
        };
        Masked((0..queries).map(row).collect())
    }

    /// Masks what the guide scores at least as high as the positive less `margin`. `queries: [q × dim]`,
    /// `documents: [d × dim]`, the guide's vectors; query i's positive is document i.
    pub fn by_guide(queries: &[f32], documents: &[f32], dim: usize, margin: f32) -> Masked {
        let query = |i: usize| &queries[i * dim..(i + 1) * dim];
        let score = |i: usize, j: usize| dot(query(i), &documents[j * dim..(j + 1) * dim]);
        let positives: Vec<f32> = (0..queries.len() / dim).map(|i| score(i, i)).collect();
        Masked::new(positives.len(), documents.len() / dim, |i, j| score(i, j) >= positives[i] - margin)
    }

    /// The masked documents of a query in `from..to`, ascending.
    pub(crate) fn within(&self, query: usize, from: usize, to: usize) -> &[u32] {
        let row = self.0.get(query).map_or(&[][..], Vec::as_slice);
        let at = |end: usize| row.partition_point(|&document| (document as usize) < end);
        &row[at(from)..at(to)]
    }

    /// Pairs masked.
    pub fn len(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    /// Whether every document counts for every query.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_masks_what_it_prefers_to_the_positive() {
        let queries = [1.0, 0.0, 0.0, 1.0];
        let documents = [0.5, 0.0, 0.0, 0.9, 0.8, 0.2, 0.45, 0.95];
        let masked = Masked::by_guide(&queries, &documents, 2, 0.0);
        assert_eq!(masked, Masked(vec![vec![2], vec![3]]));
        assert_eq!(Masked::by_guide(&queries, &documents, 2, 0.1).within(0, 0, 4), [2, 3]);
        assert_eq!((masked.len(), masked.within(0, 0, 2), masked.within(0, 2, 3)), (2, &[][..], &[2][..]));
        assert!(Masked::default().is_empty() && Masked::default().within(7, 0, 9).is_empty());
    }
}
