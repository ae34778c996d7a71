//! Which rows a walk has seen: one bit a row, and clearing costs no more than the walk did.

use crate::distance::fastscan::LANES;
use crate::distance::simd::Simd;

/// A set of slots below a fixed bound, in the order of their arrival.
#[derive(Debug, Default)]
pub(crate) struct Visited {
    words: Vec<u32>,
    /// The members are `seen[..len]`; what lies behind is room to write without a branch.
    seen: Vec<u32>,
    len: usize,
}

impl Visited {
    /// Empties the set and makes room for slots below `rows`.
    pub(crate) fn reset(&mut self, rows: usize) {
        if self.len < self.words.len() / 16 {
            for slot in &self.seen[..self.len] {
                self.words[*slot as usize / 32] = 0;
            }
        } else {
            self.words.fill(0);
        }
        self.len = 0;
        let words = rows.div_ceil(32);
        if self.words.len() < words {
            self.words.resize(words, 0);
        }
    }

    /// Adds `slots` and returns those that are new, in order. Panics on a slot beyond the bound of the last
    /// [`reset`](Visited::reset).
    ///
    /// Whether a neighbour was seen is a coin toss to the branch predictor, so each is written and only the length depends on it.
    #[inline]
    pub(crate) fn insert(&mut self, slots: &[u32]) -> &[u32] {
        let before = self.len;
        if self.seen.len() < before + slots.len() {
            self.seen.resize((before + slots.len()).next_power_of_two(), 0);
        }
        for &slot in slots {
            let (word, bit) = (&mut self.words[slot as usize / 32], slot % 32);
            let new = !*word >> bit & 1;
            *word |= 1 << bit;
            self.seen[self.len] = slot;
            self.len += new as usize;
        }
        &self.seen[before..self.len]
    }

    /// Adds one slot; whether it is new. Panics as [`insert`](Visited::insert) does.
    #[inline(always)]
    pub(crate) fn add(&mut self, slot: u32) -> bool {
        let (word, bit) = (&mut self.words[slot as usize / 32], 1 << (slot % 32));
        if *word & bit != 0 {
            return false;
        }
        *word |= bit;
        if self.seen.len() == self.len {
            self.seen.resize((self.len + 1).next_power_of_two(), 0);
        }
        self.seen[self.len] = slot;
        self.len += 1;
        true
    }

    /// Of the lanes of `mask`, those whose slots are not in the set.
    #[inline(always)]
    pub(crate) fn unseen<S: Simd>(&self, simd: S, slots: &[u32; LANES], mask: u32) -> u32 {
        simd.unmarked(&self.words, slots, mask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distance::fastscan::scalar::Scalar;

    #[test]
    fn new_slots_are_returned_once() {
        let mut visited = Visited::default();
        visited.reset(200);
        assert_eq!(visited.insert(&[3, 64, 3, 199]), [3, 64, 199]);
        assert_eq!(visited.insert(&[64, 5, 199]), [5]);
        assert!(visited.insert(&[]).is_empty());
    }

    #[test]
    fn a_slot_is_added_once() {
        let mut visited = Visited::default();
        visited.reset(200);
        assert_eq!([5, 64, 5, 199, 64].map(|slot| visited.add(slot)), [true, true, false, true, false]);
        let slots = std::array::from_fn(|lane| lane as u32);
        assert_eq!(visited.unseen(Scalar, &slots, 0b110_0001), 0b100_0001);
        visited.reset(200);
        assert!(visited.add(5));
    }

    #[test]
    fn a_reset_set_is_empty_whichever_way_it_was_cleared() {
        let mut visited = Visited::default();
        for (rows, stride) in [(10_000, 1), (10_000, 700), (20_000, 3)] {
            visited.reset(rows);
            for slot in (0..rows as u32).step_by(stride) {
                assert_eq!(visited.insert(&[slot, slot]), [slot]);
            }
        }
        visited.reset(20_000);
        assert!((0..20_000).all(|slot| !visited.insert(&[slot]).is_empty()));
    }
}
