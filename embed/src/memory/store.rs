//! Key-value memory for callers: put a key and a value, look a query up, get ids, weights and a blended value.
//!
//! Two kinds. [`KeyValueMemory`] keeps every key that is put, behind any [`KeyIndex`]. [`SlotMemory`] has a fixed number of
//! slots at product keys learnt from given vectors: a put writes the slot nearest its key, so that memory and time are bounded
//! however much is put.

use super::error::MemoryError;
use super::index::{KeyIndex, KeyIndexMut, search};
use super::keys::ProductKeys;
use super::select::{Hit, Selection};
use super::softmax::Softmax;
use super::values::{ValueType, Values};

/// What a query found.
#[derive(Debug, Clone, PartialEq)]
pub struct Lookup {
    /// Ids, best first.
    pub ids: Vec<u32>,
    /// Their scores.
    pub scores: Vec<f32>,
    /// Their weights, and how much of the softmax over everything they can lack.
    pub softmax: Softmax,
    /// `Σ weight · value`
    pub value: Vec<f32>,
}

/// Keys as they were put, and a value for each.
///
/// ```
/// use vicino_embed::memory::{FlatKeys, KeyValueMemory, ValueType};
///
/// let mut memory = KeyValueMemory::new(FlatKeys::new(2)?, ValueType::F32, 3, 1000)?;
/// memory.put(&[1.0, 0.0], &[1.0, 0.0, 0.0])?;
/// memory.put(&[0.0, 1.0], &[0.0, 0.0, 5.0])?;
/// let found = memory.lookup(&[0.1, 0.9], 2)?;
/// assert_eq!(found.ids, [1, 0]);
/// assert!(found.softmax.weights[0] > 0.99 && found.value[2] > 4.9);
/// # Ok::<(), vicino_embed::memory::MemoryError>(())
/// ```
#[derive(Debug)]
pub struct KeyValueMemory<I> {
    keys: I,
    values: Values,
    beta: f64,
}

/// What a put does with a slot that was written before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// The new value replaces the old.
    Replace,
    /// The slot holds the mean of all values put there.
    Average,
}

/// Values at fixed product keys. The best slots are the nearest, for scores are `query · key − ½‖key‖²`: the softmax over them
/// with inverse temperature β weighs a slot at distance d by `exp(−β d² / 2)`.
#[derive(Debug)]
pub struct SlotMemory {
    keys: ProductKeys,
    values: Values,
    /// Puts into each slot since it was last replaced.
    puts: Vec<u32>,
    /// The slots with a value.
    written: Vec<u32>,
    beta: f64,
}

/// Inverse temperature unless set: for unit vectors, about where the best few keys hold nearly all weight.
pub const DEFAULT_BETA: f64 = 50.0;

impl<I: KeyIndex> KeyValueMemory<I> {
    /// A memory of at most `capacity` values of `value_dim` numbers, for the keys in `keys` now (their values are zero until
    /// they are set) and those to come. Room that is not used costs no memory.
    pub fn new(keys: I, value_type: ValueType, value_dim: usize, capacity: usize) -> Result<Self, MemoryError> {
        if keys.len() > capacity {
            return Err(MemoryError::Size { what: "capacity", expected: "room for every key", found: capacity });
        }
        let values = Values::zeros(value_type, capacity, value_dim)?;
        Ok(KeyValueMemory { keys, values, beta: DEFAULT_BETA })
    }

    /// Sets the inverse temperature of the softmax, positive.
    pub fn with_beta(mut self, beta: f64) -> Result<Self, MemoryError> {
        MemoryError::check_positive("beta", beta)?;
        self.beta = beta;
        Ok(self)
    }

    /// The keys.
    pub fn keys(&self) -> &I {
        &self.keys
    }

    /// The keys, given away.
    pub fn into_keys(self) -> I {
        self.keys
    }

    /// Adds a key and its value; returns its id, the number of keys before it.
    pub fn put(&mut self, key: &[f32], value: &[f32]) -> Result<u32, MemoryError>
    where
        I: KeyIndexMut,
    {
        MemoryError::check_numbers("key", self.keys.dim(), key)?;
        MemoryError::check_numbers("value", self.values.dim(), value)?;
        let id = self.keys.len();
        if id == self.values.len() {
            return Err(MemoryError::Size { what: "keys", expected: "no more than the capacity", found: id + 1 });
        }
        self.values.write(id as u32, value)?;
        self.keys.push(key).map_err(MemoryError::Index)?;
        Ok(id as u32)
    }

    /// Replaces the value of key `id`.
    pub fn set(&mut self, id: u32, value: &[f32]) -> Result<(), MemoryError> {
        match id as usize >= self.keys.len() {
            true => Err(MemoryError::Id { len: self.keys.len(), found: id }),
            false => self.values.write(id, value),
        }
    }

    /// The `min(k, keys)` best keys for `query: [key dim]` and the blend of their values. Errors if there is no key.
    pub fn lookup(&self, query: &[f32], k: usize) -> Result<Lookup, MemoryError> {
        let hits = search(&self.keys, query, k)?;
        Lookup::of(&hits, self.beta, self.keys.len(), &self.values)
    }
}

impl SlotMemory {
    /// An empty memory at `keys`, which have one head, with a value of `value_dim` numbers for each of their slots.
    pub fn new(keys: ProductKeys, value_type: ValueType, value_dim: usize) -> Result<Self, MemoryError> {
        let shape = keys.shape();
        if shape.heads != 1 {
            return Err(MemoryError::Size { what: "heads", expected: "1", found: shape.heads });
        }
        let values = Values::zeros(value_type, shape.slots(), value_dim)?;
        Ok(SlotMemory { keys, values, puts: vec![0; shape.slots()], written: Vec::new(), beta: DEFAULT_BETA })
    }

    /// Sets the inverse temperature of the softmax, positive.
    pub fn with_beta(mut self, beta: f64) -> Result<Self, MemoryError> {
        MemoryError::check_positive("beta", beta)?;
        self.beta = beta;
        Ok(self)
    }

    /// The keys.
    pub fn keys(&self) -> &ProductKeys {
        &self.keys
    }

    /// Slots with a value.
    pub fn written(&self) -> usize {
        self.written.len()
    }

    /// Values put into a slot since it was last replaced. Panics if there is no such slot.
    pub fn puts(&self, slot: u32) -> u32 {
        self.puts[slot as usize]
    }

    /// Writes `value` to the slot nearest `key`; returns the slot. `key: [key_dim]`, `value: [value_dim]`, finite.
    pub fn put(&mut self, key: &[f32], value: &[f32], write: Write) -> Result<u32, MemoryError> {
        MemoryError::check_numbers("key", self.keys.shape().key_dim, key)?;
        MemoryError::check_numbers("value", self.values.dim(), value)?;
        let slot = self.keys.top_k(key, 1)?.ids[0];
        let puts = self.puts[slot as usize];
        if write == Write::Average && puts > 0 {
            let mut mean = vec![0.0; value.len()];
            self.values.read(slot, &mut mean)?;
            let count = f64::from(puts) + 1.0;
            for (mean, &value) in mean.iter_mut().zip(value) {
                *mean = (f64::from(*mean) + (f64::from(value) - f64::from(*mean)) / count) as f32;
            }
            self.values.write(slot, &mean)?;
            self.puts[slot as usize] = puts.saturating_add(1);
        } else {
            self.values.write(slot, value)?;
            self.puts[slot as usize] = 1;
        }
        if puts == 0 {
            self.written.push(slot);
        }
        Ok(slot)
    }

    /// The `min(k, written)` nearest written slots for `query: [key_dim]` and the blend of their values: exact, ties by lower
    /// slot. Errors if nothing was put yet.
    pub fn lookup(&self, query: &[f32], k: usize) -> Result<Lookup, MemoryError> {
        MemoryError::check_numbers("query", self.keys.shape().key_dim, query)?;
        if self.written.is_empty() {
            return Err(MemoryError::Empty);
        }
        if k == 0 {
            return Err(MemoryError::K { most: self.written.len(), found: k });
        }
        let k = k.min(self.written.len());
        // A walk over the best slots passes about slots / written for each it keeps, each at the price of many additions.
        let walk = k * self.puts.len() / self.written.len() * WALK_COST;
        let hits = if walk < self.written.len() { self.walk(query, k)? } else { self.scan(query, k)? };
        Lookup::of(&hits, self.beta, self.written.len(), &self.values)
    }

    /// The best written slots, by going through all slots from the best.
    fn walk(&self, query: &[f32], k: usize) -> Result<Vec<Hit>, MemoryError> {
        let written = |hit: &Hit| self.puts[hit.id as usize] > 0;
        Ok(self.keys.walk(query)?.filter(written).take(k).collect())
    }

    /// The best written slots, by scoring all of them.
    fn scan(&self, query: &[f32], k: usize) -> Result<Vec<Hit>, MemoryError> {
        let scores = self.keys.half_scores(query)?;
        let (left, right) = scores.split_at(self.keys.shape().sub_keys);
        Ok(Selection::default().best_of(left, right, &self.written, k))
    }
}

/// Slots scored in a scan for the time of one step of a walk.
const WALK_COST: usize = 40;

impl Lookup {
    /// Blends the values of `hits`, the best of `total` keys.
    fn of(hits: &[Hit], beta: f64, total: usize, values: &Values) -> Result<Lookup, MemoryError> {
        let ids: Vec<u32> = hits.iter().map(|hit| hit.id).collect();
        let scores: Vec<f32> = hits.iter().map(|hit| hit.score).collect();
        let softmax = Softmax::of_best(&scores, beta, total);
        let mut value = vec![0.0; values.dim()];
        values.table().reduce(&ids, &softmax.weights, &[ids.len()], &mut value)?;
        Ok(Lookup { ids, scores, softmax, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::FlatKeys;
    use crate::random::Random;

    fn normals(random: &mut Random, count: usize) -> Vec<f32> {
        (0..count).map(|_| random.normal() as f32).collect()
    }

    #[test]
    fn lookups_equal_a_plain_computation() {
        let seed = 91;
        let mut random = Random::new(seed);
        let (count, dim, value_dim) = (200, 12, 5);
        let (keys, values) = (normals(&mut random, count * dim), normals(&mut random, count * value_dim));
        let mut memory = KeyValueMemory::new(FlatKeys::new(dim).unwrap(), ValueType::F32, value_dim, count).unwrap();
        for (id, (key, value)) in keys.chunks_exact(dim).zip(values.chunks_exact(value_dim)).enumerate() {
            assert_eq!(memory.put(key, value).unwrap(), id as u32);
        }
        let memory = memory.with_beta(0.7).unwrap();
        for query in normals(&mut random, 50 * dim).chunks_exact(dim) {
            let score = |id: usize| -> f64 {
                keys[id * dim..][..dim].iter().zip(query).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
            };
            let mut order: Vec<usize> = (0..count).collect();
            order.sort_by(|&a, &b| score(b).total_cmp(&score(a)));
            let sum: f64 = order[..9].iter().map(|&id| (0.7 * score(id)).exp()).sum();
            let found = memory.lookup(query, 9).unwrap();
            assert!(found.ids.iter().map(|&id| id as usize).eq(order[..9].iter().copied()), "seed {seed}");
            for (column, &blend) in found.value.iter().enumerate() {
                let terms = order[..9]
                    .iter()
                    .map(|&id| (0.7 * score(id)).exp() / sum * f64::from(values[id * value_dim + column]));
                assert!((f64::from(blend) - terms.sum::<f64>()).abs() < 1e-4);
            }
        }
        memory.lookup(&keys[..dim], 1000).unwrap();
    }

    #[test]
    fn slots_answer_with_what_was_put_whether_walked_or_scanned() {
        let seed = 92;
        let mut random = Random::new(seed);
        let vectors = normals(&mut random, 2000 * 8);
        let keys = ProductKeys::learn(&vectors, 8, 24, 5, seed).unwrap();
        let mut memory = SlotMemory::new(keys, ValueType::F32, 2).unwrap();
        for (index, key) in vectors.chunks_exact(8).enumerate() {
            let slot = memory.put(key, &[index as f32, 1.0], Write::Replace).unwrap();
            let found = memory.lookup(key, 1).unwrap();
            assert_eq!((found.ids, found.value), (vec![slot], vec![index as f32, 1.0]));
        }
        for query in vectors.chunks_exact(8).take(200) {
            let (walked, scanned) = (memory.walk(query, 20).unwrap(), memory.scan(query, 20).unwrap());
            assert_eq!(walked, scanned, "seed {seed}");
            assert_eq!(walked.len(), 20);
        }
    }

    #[test]
    fn averages_are_means_of_what_was_put() {
        let keys = ProductKeys::learn(&[0.0, 0.0, 1.0, 1.0], 2, 2, 3, 1).unwrap();
        let mut memory = SlotMemory::new(keys, ValueType::F32, 1).unwrap();
        let slots: Vec<u32> =
            [1.0, 2.0, 6.0].iter().map(|&value| memory.put(&[0.1, 0.9], &[value], Write::Average).unwrap()).collect();
        assert_eq!((memory.written(), memory.puts(slots[0])), (1, 3));
        assert_eq!(memory.lookup(&[5.0, 5.0], 4).unwrap().value, [3.0]);
        memory.put(&[0.1, 0.9], &[8.0], Write::Replace).unwrap();
        assert_eq!((memory.puts(slots[0]), memory.lookup(&[5.0, 5.0], 4).unwrap().value), (1, vec![8.0]));
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let text = |result: Result<Lookup, MemoryError>| result.unwrap_err().to_string();
        let mut memory = KeyValueMemory::new(FlatKeys::new(2).unwrap(), ValueType::F32, 1, 1).unwrap();
        assert_eq!(text(memory.lookup(&[0.0; 2], 1)), "expected at least one key, found an empty memory");
        assert_eq!(memory.put(&[1.0], &[1.0]).unwrap_err().to_string(), "key: expected 2 numbers, found 1");
        let error = memory.put(&[1.0, f32::NAN], &[1.0]).unwrap_err().to_string();
        assert_eq!(error, "key: expected finite numbers, found NaN in row 0");
        assert_eq!(memory.put(&[1.0, 0.0], &[]).unwrap_err().to_string(), "value: expected 1 numbers, found 0");
        memory.put(&[1.0, 0.0], &[1.0]).unwrap();
        let error = memory.put(&[1.0, 0.0], &[1.0]).unwrap_err().to_string();
        assert_eq!(error, "keys: expected no more than the capacity, found 2");
        assert_eq!(memory.keys().len(), 1);
        assert_eq!(text(memory.lookup(&[1.0, 0.0], 0)), "k: expected 1 to 1, found 0");
        assert_eq!(text(memory.lookup(&[1.0], 1)), "query: expected 2 numbers, found 1");
        assert_eq!(memory.set(1, &[0.0]).unwrap_err().to_string(), "expected an id below 1, found 1");
        let far = memory.lookup(&[f32::MAX, f32::MAX], 1).unwrap();
        assert_eq!(far.value, [1.0]);
        assert_eq!(
            memory.with_beta(-1.0).unwrap_err().to_string(),
            "beta: expected a positive finite number, found -1"
        );
    }
}
