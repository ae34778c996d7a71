//! The beam of a graph walk: the nearest candidates seen so far, sorted, each marked once it has been expanded.
//!
//! One sorted array stands for both queues of Algorithm 2 (Malkov & Yashunin, arXiv:1603.09320): a candidate beyond the `ef`
//! nearest is never expanded there, so dropping it changes nothing. An entry is one word, distance above slot above mark, so an
//! insertion is a binary search and one `memmove`, and equal distances fall to the lower slot whatever the order of arrival.

/// A candidate: distance in the high half (as an integer that sorts like it), slot, and the *expanded* mark in the lowest bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Candidate(u64);

impl Candidate {
    const EXPANDED: u64 = 1;

    #[inline(always)]
    pub(crate) fn new(distance: f32, slot: u32) -> Self {
        debug_assert!(!distance.is_nan() && slot < 1 << 31);
        // Adding zero turns −0 into 0: equal distances must have equal keys.
        let bits = (distance + 0.0).to_bits();
        // Flip all bits of a negative number and the sign of a positive one: unsigned order is then numeric order.
        let key = bits ^ (((bits as i32 >> 31) as u32) | 0x8000_0000);
        Candidate(u64::from(key) << 32 | u64::from(slot) << 1)
    }

    #[inline(always)]
    pub(crate) fn slot(self) -> u32 {
        (self.0 as u32) >> 1
    }

    #[inline(always)]
    pub(crate) fn distance(self) -> f32 {
        let key = (self.0 >> 32) as u32;
        f32::from_bits(if key >> 31 == 1 { key ^ 0x8000_0000 } else { !key })
    }

    /// The same distance, of another slot.
    pub(crate) fn at(self, slot: u32) -> Self {
        Candidate(self.0 >> 32 << 32 | u64::from(slot) << 1)
    }

    /// The same candidate, not yet expanded.
    pub(crate) fn unexpanded(self) -> Self {
        Candidate(self.0 & !Self::EXPANDED)
    }

    #[inline(always)]
    fn is_expanded(self) -> bool {
        self.0 & Self::EXPANDED != 0
    }
}

/// The `capacity` nearest candidates, nearest first.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    entries: Vec<Candidate>,
    capacity: usize,
    /// The first entry that is not expanded.
    cursor: usize,
}

impl Pool {
    /// Empties the pool for a walk of beam width `capacity`, at least 1.
    pub(crate) fn reset(&mut self, capacity: usize) {
        assert!(capacity > 0, "a beam of width 0 finds nothing");
        self.entries.clear();
        self.capacity = capacity;
        self.cursor = 0;
    }

    /// What a candidate must be below to enter.
    #[inline(always)]
    pub(crate) fn bound(&self) -> f32 {
        if self.entries.len() < self.capacity { f32::INFINITY } else { self.entries[self.entries.len() - 1].distance() }
    }

    /// Takes `candidate` in if it is among the nearest; returns what has no place: the one pushed out, or `candidate` itself.
    #[inline]
    pub(crate) fn insert(&mut self, candidate: Candidate) -> Option<Candidate> {
        let full = self.entries.len() == self.capacity;
        if full && candidate > self.entries[self.capacity - 1] {
            return Some(candidate);
        }
        let evicted = if full { self.entries.pop() } else { None };
        self.cursor = self.cursor.min(self.entries.len());
        let at = self.entries.partition_point(|&entry| entry < candidate);
        self.entries.insert(at, candidate);
        if at <= self.cursor {
            self.cursor = if candidate.is_expanded() { self.cursor + 1 } else { at };
        }
        evicted
    }

    /// The nearest unexpanded candidate, marked expanded; `None` when the walk is over.
    #[inline(always)]
    pub(crate) fn expand_next(&mut self) -> Option<u32> {
        let entry = self.entries.get_mut(self.cursor)?;
        entry.0 |= Candidate::EXPANDED;
        let slot = entry.slot();
        while self.entries.get(self.cursor).is_some_and(|entry| entry.is_expanded()) {
            self.cursor += 1;
        }
        Some(slot)
    }

    /// The candidate that [`expand_next`](Pool::expand_next) would return now.
    #[inline(always)]
    pub(crate) fn peek(&self) -> Option<u32> {
        self.entries.get(self.cursor).map(|entry| entry.slot())
    }

    /// Removes and returns the nearest entry, which must be expanded.
    pub(crate) fn take_nearest(&mut self) -> Option<Candidate> {
        if self.entries.is_empty() {
            return None;
        }
        debug_assert!(self.cursor > 0);
        self.cursor -= 1;
        Some(self.entries.remove(0))
    }

    /// The candidates, nearest first.
    pub(crate) fn candidates(&self) -> &[Candidate] {
        &self.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_sort_by_distance_then_slot() {
        let distances = [f32::NEG_INFINITY, -3.5, 0.0, 1e-38, 2.0, f32::INFINITY];
        for pair in distances.windows(2) {
            assert!(Candidate::new(pair[0], 9) < Candidate::new(pair[1], 3), "{pair:?}");
        }
        assert!(Candidate::new(1.0, 3) < Candidate::new(1.0, 4));
        assert_eq!(Candidate::new(-0.0, 3), Candidate::new(0.0, 3));
        for distance in distances {
            let candidate = Candidate::new(distance, 77);
            assert_eq!((candidate.distance().to_bits(), candidate.slot()), (distance.to_bits(), 77));
        }
    }

    /// Against a plain sorted vector, over a seeded stream with many equal distances.
    #[test]
    fn keeps_the_nearest_of_a_stream() {
        let (mut state, mut pool, mut all) = (7_u64, Pool::default(), Vec::new());
        pool.reset(10);
        for slot in 0..500 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let distance = ((state >> 33) % 50) as f32 - 25.0;
            all.push((distance, slot));
            pool.insert(Candidate::new(distance, slot));
            if slot % 3 == 0 {
                let next = pool.peek();
                assert_eq!(pool.expand_next(), next);
            }
            all.sort_by(|a, b| a.partial_cmp(b).unwrap());
            let kept: Vec<_> = pool.candidates().iter().map(|kept| (kept.distance(), kept.slot())).collect();
            assert_eq!(kept, all[..all.len().min(10)]);
        }
    }

    #[test]
    fn every_entry_is_expanded_once() {
        let mut pool = Pool::default();
        pool.reset(4);
        for (slot, distance) in [(1, 4.0), (2, 2.0)] {
            assert_eq!(pool.insert(Candidate::new(distance, slot)), None);
        }
        assert_eq!(pool.expand_next(), Some(2));
        pool.insert(Candidate::new(1.0, 3));
        assert_eq!(pool.expand_next(), Some(3));
        assert_eq!(pool.expand_next(), Some(1));
        assert_eq!(pool.expand_next(), None);
    }
}
