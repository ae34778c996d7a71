//! Which rows of a segment are dead: a bitmap whose pages are shared until one changes, so that every view keeps its own at no cost.

use std::sync::Arc;

use crate::mask::Mask;

/// Words of a page: 32,768 rows.
const PAGE: usize = 512;

/// The dead rows of a segment of so many.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tombstones {
    /// Empty while nothing is dead.
    pages: Vec<Option<Arc<[u64]>>>,
    rows: usize,
    dead: usize,
}

impl Tombstones {
    /// All of `rows` rows live.
    pub(crate) fn none(rows: usize) -> Self {
        Tombstones { pages: Vec::new(), rows, dead: 0 }
    }

    /// Number of dead rows.
    pub(crate) fn len(&self) -> usize {
        self.dead
    }

    /// Number of rows that are not dead.
    pub(crate) fn live(&self) -> usize {
        self.rows - self.dead
    }

    #[inline(always)]
    pub(crate) fn contains(&self, row: u32) -> bool {
        let (word, bit) = (row as usize / 64, row % 64);
        match self.pages.get(word / PAGE) {
            Some(Some(page)) => page[word % PAGE] >> bit & 1 == 1,
            _ => false,
        }
    }

    /// Marks `row` dead; false if it was. Copies the row's page if another view has it too.
    pub(crate) fn insert(&mut self, row: u32) -> bool {
        assert!((row as usize) < self.rows, "row {row} of {}", self.rows);
        if self.contains(row) {
            return false;
        }
        let (words, word) = (self.rows.div_ceil(64), row as usize / 64);
        self.pages.resize(words.div_ceil(PAGE), None);
        let page = word / PAGE;
        let shared = self.pages[page].get_or_insert_with(|| vec![0; PAGE.min(words - page * PAGE)].into());
        Arc::make_mut(shared)[word % PAGE] |= 1 << (row % 64);
        self.dead += 1;
        true
    }

    /// The rows that are not dead, in order.
    pub(crate) fn live_rows(&self) -> impl Iterator<Item = u32> {
        (0..self.rows as u32).filter(|&row| !self.contains(row))
    }

    /// The rows that have died since this was `before`, in order.
    pub(crate) fn since<'a>(&'a self, before: &'a Tombstones) -> impl Iterator<Item = u32> + 'a {
        let pages = self.pages.iter().enumerate().filter_map(|(number, page)| Some((number, page.as_ref()?)));
        let old = |number: usize| before.pages.get(number).and_then(Option::as_ref);
        let changed = pages.filter(move |(number, page)| old(*number).is_none_or(|old| !Arc::ptr_eq(old, page)));
        changed.flat_map(move |(number, page)| {
            let words = page.iter().enumerate().map(move |(at, word)| {
                let was = old(number).map_or(0, |old| old[at]);
                (number * PAGE + at, word & !was)
            });
            words.flat_map(|(at, word)| {
                (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| at as u32 * 64 + bit)
            })
        })
    }

    /// How many rows of `mask` are dead.
    pub(crate) fn count_in(&self, mask: &Mask) -> usize {
        let pages = self.pages.iter().zip(mask.words().chunks(PAGE));
        let both = |(page, mask): (&Option<Arc<[u64]>>, &[u64])| {
            let page = page.iter().flat_map(|page| page.iter());
            page.zip(mask).map(|(dead, mask)| (dead & mask).count_ones() as usize).sum::<usize>()
        };
        pages.map(both).sum()
    }

    /// The bitmap, a word for 64 rows.
    pub(crate) fn words(&self) -> Vec<u64> {
        let mut words = vec![0; self.rows.div_ceil(64)];
        for (page, words) in self.pages.iter().zip(words.chunks_mut(PAGE)) {
            if let Some(page) = page {
                words.copy_from_slice(page);
            }
        }
        words
    }

    /// The bitmap of `rows` rows that `words` are, if they are one.
    pub(crate) fn of_words(words: &[u64], rows: usize) -> Option<Self> {
        let beyond = words.last().map_or(0, |last| if rows.is_multiple_of(64) { 0 } else { last >> (rows % 64) });
        if words.len() != rows.div_ceil(64) || beyond != 0 {
            return None;
        }
        let dead = words.iter().map(|word| word.count_ones() as usize).sum();
        let pages = words.chunks(PAGE).map(|page| page.iter().any(|&word| word != 0).then(|| page.into()));
        Some(Tombstones { pages: pages.collect(), rows, dead })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn behaves_as_a_set_and_keeps_older_views() {
        for rows in [1_usize, 63, 64, 65, 32_768, 32_769, 100_000] {
            let (mut state, mut set, mut dead) = (rows as u64, BTreeSet::new(), Tombstones::none(rows));
            let mut before = (set.clone(), dead.clone());
            for step in 0..200 {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let row = ((state >> 33) % rows as u64) as u32;
                assert_eq!(dead.insert(row), set.insert(row), "{rows} rows, row {row}");
                if step == 100 {
                    before = (set.clone(), dead.clone());
                }
            }
            assert_eq!((dead.len(), dead.live()), (set.len(), rows - set.len()));
            assert!(dead.since(&Tombstones::none(rows)).eq(set.iter().copied()), "{rows} rows");
            assert!(before.1.since(&Tombstones::none(rows)).eq(before.0.iter().copied()), "{rows} rows");
            assert!(dead.since(&before.1).eq(set.difference(&before.0).copied()), "{rows} rows");
            let mut odd = Mask::none(rows);
            (1..rows as u32).step_by(2).for_each(|row| odd.insert(crate::ids::Slot(row)));
            assert_eq!(dead.count_in(&odd), set.iter().filter(|&row| row % 2 == 1).count(), "{rows} rows");
            assert!(dead.live_rows().eq((0..rows as u32).filter(|row| !set.contains(row))));
            let again = Tombstones::of_words(&dead.words(), rows).unwrap();
            assert_eq!((again.words(), again.len()), (dead.words(), dead.len()));
            assert!(Tombstones::of_words(&dead.words(), rows + 64).is_none());
        }
        assert!(Tombstones::of_words(&[1 << 7], 7).is_none(), "a row beyond the last");
    }
}
