//! [`Mask`]: some of the rows of one index, a bit each.
//!
//! What filters evaluate to and walks test. A segment's rows are few enough that whole words beat any compression here: at a million
//! rows a mask is 125 kB, and joining two is a few microseconds. What is kept for long is compressed (`filter/index`).

use crate::ids::Slot;

/// A set of rows below a fixed bound.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mask {
    /// Bits at `rows` and beyond are clear.
    words: Vec<u64>,
    rows: usize,
}

impl Mask {
    /// No row of `rows`.
    pub fn none(rows: usize) -> Self {
        Mask { words: vec![0; rows.div_ceil(64)], rows }
    }

    /// All rows of `rows`.
    pub fn all(rows: usize) -> Self {
        Mask { words: vec![u64::MAX; rows.div_ceil(64)], rows }.trimmed()
    }

    /// The rows of `words`, a bit each, the lowest first. Panics unless there are words for just `rows` rows.
    pub fn from_words(words: Vec<u64>, rows: usize) -> Self {
        assert_eq!(words.len(), rows.div_ceil(64), "a bit for each of {rows} rows");
        Mask { words, rows }.trimmed()
    }

    fn trimmed(mut self) -> Self {
        if let (Some(last), rest @ 1..) = (self.words.last_mut(), self.rows % 64) {
            *last &= (1 << rest) - 1;
        }
        self
    }

    /// How many rows there could be.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Whether row `slot` is in it; a row beyond the bound is not.
    #[inline(always)]
    pub fn contains(&self, slot: Slot) -> bool {
        self.words.get(slot.index() / 64).is_some_and(|word| word >> (slot.index() % 64) & 1 == 1)
    }

    /// Adds row `slot`. Panics if it is beyond the bound.
    #[inline(always)]
    pub fn insert(&mut self, slot: Slot) {
        assert!(slot.index() < self.rows, "row {slot:?} of {}", self.rows);
        self.words[slot.index() / 64] |= 1 << (slot.index() % 64);
    }

    /// Takes row `slot` out.
    pub fn remove(&mut self, slot: Slot) {
        if let Some(word) = self.words.get_mut(slot.index() / 64) {
            *word &= !(1 << (slot.index() % 64));
        }
    }

    /// Number of rows in it. Cost: a pass over the words.
    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether there is no row in it.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|&word| word == 0)
    }

    /// Its rows, in order.
    pub fn iter(&self) -> impl Iterator<Item = Slot> {
        rows_of(&self.words).map(Slot)
    }

    /// Keeps what `other` has too. Panics, as all of these, unless both have one bound.
    pub fn and(&mut self, other: &Mask) {
        self.join(other, |a, b| a & b);
    }

    /// Adds what `other` has.
    pub fn or(&mut self, other: &Mask) {
        self.join(other, |a, b| a | b);
    }

    /// Takes out what `other` has.
    pub fn and_not(&mut self, other: &Mask) {
        self.join(other, |a, b| a & !b);
    }

    /// Keeps what just one of both has.
    pub fn xor(&mut self, other: &Mask) {
        self.join(other, |a, b| a ^ b);
    }

    fn join(&mut self, other: &Mask, of: impl Fn(u64, u64) -> u64) {
        assert_eq!(self.rows, other.rows, "masks of one index");
        self.words.iter_mut().zip(&other.words).for_each(|(a, &b)| *a = of(*a, b));
    }

    /// Adds the rows of `more`, as words. Panics if they are longer than this mask.
    pub(crate) fn or_words(&mut self, more: &[u64]) {
        self.words[..more.len()].iter_mut().zip(more).for_each(|(word, more)| *word |= more);
    }

    /// Adds the rows of `more` that are not in `less`, both as words; of missing words all rows are missing. Panics if they are longer
    /// than this mask.
    pub(crate) fn or_difference(&mut self, more: &[u64], less: &[u64]) {
        let less = less.iter().chain(std::iter::repeat(&0));
        self.words[..more.len()].iter_mut().zip(more).zip(less).for_each(|((word, more), less)| *word |= more & !less);
    }

    /// The other rows.
    pub fn inverted(mut self) -> Self {
        self.words.iter_mut().for_each(|word| *word = !*word);
        self.trimmed()
    }

    /// The words, the lowest row in the lowest bit of the first.
    pub fn words(&self) -> &[u64] {
        &self.words
    }
}

/// The rows whose bits are set in `words`, in order.
pub(crate) fn rows_of(words: &[u64]) -> impl Iterator<Item = u32> {
    words.iter().enumerate().flat_map(|(at, &word)| {
        let next = |left: &u64| Some(left & (left - 1)).filter(|&left| left != 0);
        let rest = std::iter::successors(Some(word).filter(|&word| word != 0), next);
        rest.map(move |left| (at * 64) as u32 + left.trailing_zeros())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_what_their_rows_are() {
        for rows in [0, 1, 63, 64, 65, 200] {
            let every = |step: usize| (0..rows as u32).step_by(step).map(Slot);
            let of = |step| {
                let mut mask = Mask::none(rows);
                every(step).for_each(|slot| mask.insert(slot));
                mask
            };
            let (twos, threes) = (of(2), of(3));
            assert!(twos.iter().eq(every(2)) && twos.len() == every(2).count() && of(1) == Mask::all(rows));
            let check = |mask: Mask, expected: fn(u32) -> bool| {
                assert!(mask.iter().eq((0..rows as u32).filter(|&row| expected(row)).map(Slot)), "{rows}");
                assert_eq!(mask.is_empty(), mask.iter().next().is_none());
            };
            let joined = |join: fn(&mut Mask, &Mask)| {
                let mut mask = twos.clone();
                join(&mut mask, &threes);
                mask
            };
            check(joined(Mask::and), |row| row % 6 == 0);
            check(joined(Mask::or), |row| row % 2 == 0 || row % 3 == 0);
            check(joined(Mask::and_not), |row| row % 2 == 0 && row % 3 != 0);
            check(joined(Mask::xor), |row| (row % 2 == 0) != (row % 3 == 0));
            check(twos.clone().inverted(), |row| row % 2 == 1);
            assert!(!twos.contains(Slot(rows as u32 + 100)));
        }
    }
}
