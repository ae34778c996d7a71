//! What a memory asks of an index of keys: the keys with the largest inner products. Exact over a packed matrix here; an ANN
//! index joins through the same trait.

use super::error::MemoryError;
use super::panels::Panels;
use super::select::{Hit, Selection};
use crate::cpu::Level;

/// Why an index of keys failed.
pub type IndexError = Box<dyn std::error::Error + Send + Sync>;

/// Keys with ids from 0, to be found by inner product.
pub trait KeyIndex {
    /// Dimension of a key.
    fn dim(&self) -> usize;

    /// Keys.
    fn len(&self) -> usize;

    /// Whether there are no keys.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Key `id`, which is below [`len`](Self::len). `out: [dim]`.
    fn key(&self, id: u32, out: &mut [f32]);

    /// The `min(k, len)` keys with the largest inner products with `query`, best first, or most of them if the index is
    /// approximate. `query: [dim]`, finite; `k` is at least 1.
    fn nearest(&self, query: &[f32], k: usize) -> Result<Vec<Hit>, IndexError>;
}

/// An index that keys can be added to.
pub trait KeyIndexMut: KeyIndex {
    /// Adds a key, whose id is the number of keys before it. `key: [dim]`, finite.
    fn push(&mut self, key: &[f32]) -> Result<(), IndexError>;
}

/// All keys scored for each query: exact, ties by lower id.
#[derive(Debug, Clone)]
pub struct FlatKeys {
    keys: Panels,
}

impl FlatKeys {
    /// No keys yet. Errors if `dim` is 0.
    pub fn new(dim: usize) -> Result<Self, MemoryError> {
        Self::from_rows(&[], dim)
    }

    /// `keys: [count × dim]`, row-major, finite. Errors if they are not.
    pub fn from_rows(keys: &[f32], dim: usize) -> Result<Self, MemoryError> {
        MemoryError::check_rows("keys", dim, keys)?;
        Ok(FlatKeys { keys: Panels::pack(keys, dim) })
    }

    /// [`KeyIndex::nearest`] for many queries, which share each read of the keys: a list for each. `queries: [count × dim]`,
    /// finite. Holds all scores at once, `count × len` numbers.
    pub fn nearest_of_each(&self, queries: &[f32], k: usize) -> Result<Vec<Vec<Hit>>, MemoryError> {
        MemoryError::check_rows("queries", self.dim(), queries)?;
        let mut scores = vec![0.0; queries.len() / self.dim() * self.len()];
        self.keys.multiply(Level::detect(), queries, self.dim(), &mut scores);
        let mut selection = Selection::default();
        Ok(scores.chunks_exact(self.len().max(1)).map(|scores| selection.best(scores, k)).collect())
    }
}

impl KeyIndex for FlatKeys {
    fn dim(&self) -> usize {
        self.keys.cols()
    }

    fn len(&self) -> usize {
        self.keys.rows()
    }

    fn key(&self, id: u32, out: &mut [f32]) {
        self.keys.row(id as usize, out);
    }

    fn nearest(&self, query: &[f32], k: usize) -> Result<Vec<Hit>, IndexError> {
        Ok(self.nearest_of_each(query, k)?.pop().unwrap_or_default())
    }
}

impl KeyIndexMut for FlatKeys {
    fn push(&mut self, key: &[f32]) -> Result<(), IndexError> {
        self.keys.push(key);
        Ok(())
    }
}

/// Runs a search, and checks what the index made of it.
pub(crate) fn search<I: KeyIndex + ?Sized>(keys: &I, query: &[f32], k: usize) -> Result<Vec<Hit>, MemoryError> {
    MemoryError::check_numbers("query", keys.dim(), query)?;
    if keys.is_empty() {
        return Err(MemoryError::Empty);
    }
    if k == 0 {
        return Err(MemoryError::K { most: keys.len(), found: k });
    }
    let hits = keys.nearest(query, k).map_err(MemoryError::Index)?;
    if hits.is_empty() {
        return Err(MemoryError::Index("it found no key though it has some".into()));
    }
    if let Some(hit) = hits.iter().find(|hit| hit.id as usize >= keys.len()) {
        return Err(MemoryError::Id { len: keys.len(), found: hit.id });
    }
    match hits.iter().find(|hit| !hit.score.is_finite()) {
        Some(hit) => Err(MemoryError::NotFinite { what: "scores", row: hit.id as usize, found: hit.score }),
        None => Ok(hits),
    }
}
