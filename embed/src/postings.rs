//! Exact search over sparse vectors: for each dimension, the vectors that have it.
//!
//! The plain form, whole lists in memory and every score computed, which is what an evaluation or an oracle wants: cost
//! is the length of the query's lists, and nothing is skipped.

use crate::sparse::SparseVector;

/// An inverted index of sparse vectors, numbered from 0 in the order they were pushed.
#[derive(Debug, Clone, Default)]
pub struct Postings {
    /// `lists[dimension]`: vector and value, vectors ascending.
    lists: Vec<Vec<(u32, f32)>>,
    vectors: u32,
}

/// A vector found, and its inner product with the query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// The vector's number.
    pub vector: u32,
    /// The inner product.
    pub score: f32,
}

impl Postings {
    /// No vectors.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a vector. The lists take memory for every dimension up to the largest index: meant for indices counted from
    /// 0, as an encoder's vocabulary is, not for hashes.
    pub fn push(&mut self, vector: &SparseVector) {
        if let Some(&largest) = vector.indices().last()
            && self.lists.len() <= largest as usize
        {
            self.lists.resize(largest as usize + 1, Vec::new());
        }
        for (index, value) in vector.iter() {
            self.lists[index as usize].push((self.vectors, value));
        }
        self.vectors = self.vectors.checked_add(1).expect("fewer than 2³² vectors");
    }

    /// Vectors pushed.
    pub fn len(&self) -> usize {
        self.vectors as usize
    }

    /// Whether nothing was pushed.
    pub fn is_empty(&self) -> bool {
        self.vectors == 0
    }

    /// The `k` vectors of the largest inner product with `query`, best first, ties by lower number. Vectors that share
    /// no dimension with it are no hits, so there may be fewer than `k`.
    pub fn search(&self, query: &SparseVector, k: usize) -> Vec<Scored> {
        let mut scores = vec![None; self.len()];
        for (index, weight) in query.iter() {
            for &(vector, value) in self.lists.get(index as usize).into_iter().flatten() {
                *scores[vector as usize].get_or_insert(0.0_f64) += f64::from(weight) * f64::from(value);
            }
        }
        let found = (0_u32..).zip(scores);
        let mut hits: Vec<Scored> =
            found.filter_map(|(vector, score)| score.map(|score| Scored { vector, score: score as f32 })).collect();
        hits.sort_by(|a, b| b.score.total_cmp(&a.score)); // stable, so ties stay in the order of their numbers
        hits.truncate(k);
        hits
    }
}

impl Extend<SparseVector> for Postings {
    fn extend<I: IntoIterator<Item = SparseVector>>(&mut self, vectors: I) {
        vectors.into_iter().for_each(|vector| self.push(&vector));
    }
}
