//! Product keys: n² keys that are pairs of n left and n right halves, and the exact best k of them for a query.
//!
//! Lample et al., "Large Memory Layers with Product Keys" (arXiv:1907.05242); Berges et al., "Memory Layers at Scale"
//! (arXiv:2412.09764). A lookup scores 2n halves instead of n² keys, then chooses among pairs ([`select`](super::select)).

use super::error::MemoryError;
use super::panels::Panels;
use super::select::{Selection, Walk};
use crate::cpu::Level;

/// Half keys for each head: head `h` has the keys `[left[i], right[j]]` in slots `i · sub_keys + j`.
#[derive(Debug, Clone)]
pub struct ProductKeys {
    shape: KeyShape,
    /// `[heads × 2 × sub_keys × key_dim / 2]`, row-major.
    halves: Vec<f32>,
    /// Added to the scores of half keys. `[heads × 2 × sub_keys]`, or empty.
    bias: Vec<f32>,
    /// The halves as they are multiplied: for each head left, right.
    packed: Vec<Panels>,
    /// Lengths of queries from here on may make scores that are no numbers.
    longest_query: f64,
}

/// Sizes of product keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyShape {
    /// Independent sets of keys, each with its own query; 1 to 65,536.
    pub heads: usize,
    /// Half keys on each side, n; 1 to 65,536.
    pub sub_keys: usize,
    /// Dimension of a whole key, even.
    pub key_dim: usize,
}

/// The best slots of each head of each query, best first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TopK {
    /// `[queries × heads × k]`
    pub ids: Vec<u32>,
    /// `[queries × heads × k]`
    pub scores: Vec<f32>,
}

impl KeyShape {
    /// Slots of each head: n².
    pub fn slots(&self) -> usize {
        self.sub_keys * self.sub_keys
    }

    /// Numbers of all half keys.
    pub fn numbers(&self) -> usize {
        self.heads * self.sub_keys * self.key_dim
    }

    /// Errors if a size is out of its range.
    pub fn check(&self) -> Result<(), MemoryError> {
        let refuse = |what, expected, found| Err(MemoryError::Size { what, expected, found });
        match *self {
            KeyShape { heads, .. } if !(1..=1 << 16).contains(&heads) => refuse("heads", "1 to 65536", heads),
            KeyShape { sub_keys, .. } if !(1..=1 << 16).contains(&sub_keys) => {
                refuse("sub_keys", "1 to 65536", sub_keys)
            }
            KeyShape { key_dim, .. } if key_dim == 0 || key_dim > 1 << 20 || !key_dim.is_multiple_of(2) => {
                refuse("key_dim", "an even number of 2 to 1048576", key_dim)
            }
            _ => Ok(()),
        }
    }
}

impl ProductKeys {
    /// Takes `halves: [heads × 2 × sub_keys × key_dim / 2]`, all finite. Costs a copy.
    pub fn new(shape: KeyShape, halves: Vec<f32>) -> Result<Self, MemoryError> {
        Self::with_bias(shape, halves, Vec::new())
    }

    /// As [`new`](Self::new), with numbers added to the scores of half keys: with `−½‖half‖²` the best slots are the nearest
    /// ones. `bias: [heads × 2 × sub_keys]`, or empty.
    pub fn with_bias(shape: KeyShape, halves: Vec<f32>, bias: Vec<f32>) -> Result<Self, MemoryError> {
        shape.check()?;
        MemoryError::check_numbers("half keys", shape.numbers(), &halves)?;
        if !bias.is_empty() {
            MemoryError::check_numbers("biases of half keys", 2 * shape.heads * shape.sub_keys, &bias)?;
        }
        let mut keys = ProductKeys { shape, halves, bias, packed: Vec::new(), longest_query: 0.0 };
        keys.pack();
        Ok(keys)
    }

    /// Makes what is computed from the halves.
    fn pack(&mut self) {
        let KeyShape { sub_keys, key_dim, .. } = self.shape;
        let half = key_dim / 2;
        let sets = self.halves.chunks_exact(sub_keys * half);
        self.packed = match self.bias.is_empty() {
            true => sets.map(|set| Panels::pack(set, half)).collect(),
            false => {
                let biases = self.bias.chunks_exact(sub_keys);
                sets.zip(biases).map(|(set, bias)| Panels::pack(set, half).with_bias(bias)).collect()
            }
        };
        // |q · key| ≤ ‖q‖ ‖key‖ stays far below the largest f32.
        let longest = self.halves.chunks_exact(half).map(norm).fold(f64::MIN_POSITIVE, f64::max);
        self.longest_query = 1e37 / longest;
    }

    /// Sizes.
    pub fn shape(&self) -> KeyShape {
        self.shape
    }

    /// All half keys. `[heads × 2 × sub_keys × key_dim / 2]`
    pub fn halves(&self) -> &[f32] {
        &self.halves
    }

    /// What is added to the scores of half keys. `[heads × 2 × sub_keys]`, or empty.
    pub fn bias(&self) -> &[f32] {
        &self.bias
    }

    /// The key of a slot of a head: its two halves. `out: [key_dim]`. Panics if there is no such slot or head.
    pub fn key(&self, head: usize, slot: u32, out: &mut [f32]) {
        let KeyShape { heads, sub_keys, key_dim } = self.shape;
        assert!(head < heads && (slot as usize) < self.shape.slots(), "slot {slot} of head {head}");
        let half = key_dim / 2;
        let (left, right) = out.split_at_mut(half);
        for (side, part, out) in [(0, slot as usize / sub_keys, left), (1, slot as usize % sub_keys, right)] {
            let start = ((head * 2 + side) * sub_keys + part) * half;
            out.copy_from_slice(&self.halves[start..start + half]);
        }
    }

    /// The best `k` slots of each head, best first, ties by lower slot: exact over all n² keys, as real sums of the two half
    /// scores. `queries: [count × heads × key_dim]`, finite. Costs `n · key_dim` multiply-adds for each head and query.
    pub fn top_k(&self, queries: &[f32], k: usize) -> Result<TopK, MemoryError> {
        let mut top = TopK::default();
        self.top_k_into(queries, k, &mut KeyScratch::default(), &mut top)?;
        Ok(top)
    }

    /// As [`top_k`](Self::top_k), into buffers that are used again.
    pub fn top_k_into(
        &self,
        queries: &[f32],
        k: usize,
        scratch: &mut KeyScratch,
        top: &mut TopK,
    ) -> Result<(), MemoryError> {
        self.check_queries(queries)?;
        if k == 0 || k > self.shape.slots() {
            return Err(MemoryError::K { most: self.shape.slots(), found: k });
        }
        top.ids.clear();
        top.scores.clear();
        let sub_keys = self.shape.sub_keys;
        // As many queries together as keep their scores in the second-level cache.
        for queries in queries.chunks(BATCH * self.shape.heads * self.shape.key_dim) {
            let count = self.score_halves(queries, scratch);
            for query in 0..count {
                for head in 0..self.shape.heads {
                    let scores = |side| &scratch.scores[((head * 2 + side) * count + query) * sub_keys..][..sub_keys];
                    scratch.selection.top_k(scores(0), scores(1), k, &mut top.ids, &mut top.scores);
                }
            }
        }
        Ok(())
    }

    /// The scores of all half keys. `queries: [count × heads × key_dim]`, finite; the result is `[heads × 2 × count × sub_keys]`.
    pub fn half_scores(&self, queries: &[f32]) -> Result<Vec<f32>, MemoryError> {
        self.check_queries(queries)?;
        let mut scratch = KeyScratch::default();
        self.score_halves(queries, &mut scratch);
        Ok(scratch.scores)
    }

    /// All slots of the only head, best first, made as they are asked for. `query: [key_dim]`, finite.
    pub(crate) fn walk(&self, query: &[f32]) -> Result<Walk, MemoryError> {
        assert_eq!((self.shape.heads, query.len()), (1, self.shape.key_dim), "one query for one head");
        let scores = self.half_scores(query)?;
        let (left, right) = scores.split_at(self.shape.sub_keys);
        Ok(Walk::new(left, right))
    }

    /// Fills `scratch.scores: [heads × 2 × count × sub_keys]`; returns `count`.
    fn score_halves(&self, queries: &[f32], scratch: &mut KeyScratch) -> usize {
        let KeyShape { heads, sub_keys, key_dim } = self.shape;
        let (half, level) = (key_dim / 2, Level::detect());
        let count = queries.len() / (heads * key_dim);
        scratch.scores.resize(2 * heads * count * sub_keys, 0.0);
        for (set, (panels, out)) in
            self.packed.iter().zip(scratch.scores.chunks_exact_mut((count * sub_keys).max(1))).enumerate()
        {
            panels.multiply(level, &queries[set * half..], heads * key_dim, out);
        }
        count
    }

    fn check_queries(&self, queries: &[f32]) -> Result<(), MemoryError> {
        let row = self.shape.heads * self.shape.key_dim;
        if !queries.len().is_multiple_of(row) {
            return Err(MemoryError::Rows { what: "queries", dim: row, found: queries.len() });
        }
        for (index, query) in queries.chunks_exact(self.shape.key_dim / 2).enumerate() {
            let length = norm(query);
            if length.is_nan() || length > self.longest_query {
                let row = index * (self.shape.key_dim / 2) / row;
                return match query.iter().find(|number| !number.is_finite()) {
                    Some(&found) => Err(MemoryError::NotFinite { what: "queries", row, found }),
                    None => Err(MemoryError::TooLong { row, most: self.longest_query, found: length }),
                };
            }
        }
        Ok(())
    }
}

/// Queries scored together.
const BATCH: usize = 16;

/// Buffers that [`ProductKeys::top_k_into`] uses again.
#[derive(Debug, Default, Clone)]
pub struct KeyScratch {
    scores: Vec<f32>,
    selection: Selection,
}

/// Euclidean length.
pub(crate) fn norm(vector: &[f32]) -> f64 {
    vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt()
}
