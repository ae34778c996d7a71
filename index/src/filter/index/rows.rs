//! The rows under one value.
//!
//! While rows come and go they stand in a compressed set. Once an index is sealed, those of frequent values are kept as the words of a
//! mask: a filter by a handful of classes is then joined word by word, where setting bits one by one took longer than the search.

use roaring::RoaringBitmap;

use crate::ids::Slot;
use crate::mask::{Mask, rows_of};

/// Rows are kept as words where there is one in each word in the mean: these then take at most four times as many bytes.
const WORD: usize = u64::BITS as usize;

#[derive(Debug, Clone)]
pub(super) enum Rows {
    /// A single one, which is most often so where values are unique.
    One(u32),
    Many(RoaringBitmap),
    /// Frequent ones of a sealed index, and how many.
    Dense(Box<[u64]>, usize),
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        match self {
            Rows::One(_) => 1,
            Rows::Many(rows) => rows.len() as usize,
            Rows::Dense(_, count) => *count,
        }
    }

    pub(super) fn insert(&mut self, row: u32) {
        match self {
            Rows::One(one) if *one == row => {}
            Rows::One(one) => *self = Rows::Many([*one, row].into_iter().collect()),
            Rows::Many(rows) => drop(rows.insert(row)),
            Rows::Dense(words, _) => *self = Rows::Many(rows_of(words).chain([row]).collect()),
        }
    }

    /// Whether none is left.
    pub(super) fn remove(&mut self, row: u32) -> bool {
        match self {
            Rows::One(one) => *one == row,
            Rows::Many(rows) => {
                rows.remove(row);
                rows.is_empty()
            }
            Rows::Dense(words, _) => {
                let left: RoaringBitmap = rows_of(words).filter(|&kept| kept != row).collect();
                let none = left.is_empty();
                *self = Rows::Many(left);
                none
            }
        }
    }

    pub(super) fn iter(&self) -> Box<dyn Iterator<Item = u32> + '_> {
        match self {
            Rows::One(one) => Box::new(std::iter::once(*one)),
            Rows::Many(rows) => Box::new(rows.iter()),
            Rows::Dense(words, _) => Box::new(rows_of(words)),
        }
    }

    pub(super) fn add_to(&self, mask: &mut Mask) {
        match self {
            Rows::One(one) => mask.insert(Slot(*one)),
            Rows::Many(rows) => add(rows, mask),
            Rows::Dense(words, _) => mask.or_words(words),
        }
    }

    /// Makes it quick to add them to a mask, until the next change.
    pub(super) fn seal(&mut self) {
        let Rows::Many(rows) = self else { return };
        let words = rows.max().map_or(0, |last| last as usize / WORD + 1);
        if rows.len() as usize >= words {
            let mut mask = Mask::none(words * WORD);
            add(rows, &mut mask);
            *self = Rows::Dense(mask.words().into(), rows.len() as usize);
        }
    }
}

/// Adds `rows` to `mask`.
fn add(rows: &RoaringBitmap, mask: &mut Mask) {
    rows.iter().for_each(|row| mask.insert(Slot(row)));
}

/// `rows` as a mask of `bound` rows.
pub(super) fn mask_of(rows: &RoaringBitmap, bound: usize) -> Mask {
    let mut mask = Mask::none(bound);
    add(rows, &mut mask);
    mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_rows_are_the_same_rows_and_change_as_others_do() {
        for step in [1, 2, 63, 64, 65, 1000] {
            let expected: Vec<u32> = (0..20_000).step_by(step).collect();
            let mut rows = Rows::One(expected[0]);
            expected.iter().for_each(|&row| rows.insert(row));
            rows.seal();
            assert_eq!(matches!(rows, Rows::Dense(..)), step <= 64, "every {step}");
            let check = |rows: &Rows, expected: &[u32]| {
                assert!(rows.iter().eq(expected.iter().copied()) && rows.len() == expected.len(), "every {step}");
                let mut mask = Mask::none(30_000);
                mask.insert(Slot(29_999));
                rows.add_to(&mut mask);
                assert!(mask.iter().map(|slot| slot.0).eq(expected.iter().copied().chain([29_999])), "every {step}");
            };
            check(&rows, &expected);
            let (mut grown, mut shrunk) = (rows.clone(), rows);
            grown.insert(20_500);
            check(&grown, &[&expected[..], &[20_500]].concat());
            assert!(!shrunk.remove(expected[1]));
            check(&shrunk, &[&expected[..1], &expected[2..]].concat());
        }
        let mut last = Rows::Many([3].into_iter().collect());
        last.seal();
        assert!(last.remove(3));
    }
}
