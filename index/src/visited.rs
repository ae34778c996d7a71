//! Which rows a walk has seen: one bit a row, and clearing costs no more than the walk did.

/// A set of slots below a fixed bound, in the order of their arrival.
#[derive(Debug, Default)]
pub(crate) struct Visited {
    words: Vec<u64>,
    /// The members are `seen[..len]`; what lies behind is room to write without a branch.
    seen: Vec<u32>,
    len: usize,
}

impl Visited {
    /// Empties the set and makes room for slots below `rows`.
    pub(crate) fn reset(&mut self, rows: usize) {
        if self.len < self.words.len() / 8 {
            for slot in &self.seen[..self.len] {
                self.words[*slot as usize / 64] = 0;
            }
        } else {
            self.words.fill(0);
        }
        self.len = 0;
        let words = rows.div_ceil(64);
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
            let (word, bit) = (&mut self.words[slot as usize / 64], slot % 64);
            let new = !*word >> bit & 1;
            *word |= 1 << bit;
            self.seen[self.len] = slot;
            self.len += new as usize;
        }
        &self.seen[before..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_slots_are_returned_once() {
        let mut visited = Visited::default();
        visited.reset(200);
        assert_eq!(visited.insert(&[3, 64, 3, 199]), [3, 64, 199]);
        assert_eq!(visited.insert(&[64, 5, 199]), [5]);
        assert!(visited.insert(&[]).is_empty());
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
