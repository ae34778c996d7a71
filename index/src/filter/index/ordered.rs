//! Rows under values that have an order: equality, sets, ranges.
//!
//! Values stand in a tree while rows come and go. Once an index is sealed, a [`Ladder`] answers ranges in time that does not depend on
//! how many rows lie in them: the values of all rows in order, and at every 64th of them a mask of the rows up to there. A range is the
//! difference of two such masks, and at most two rungs' rows one by one.

use std::collections::BTreeMap;
use std::ops::Bound;

use roaring::RoaringBitmap;

use super::rows::Rows;
use crate::ids::Slot;
use crate::mask::Mask;

/// Rows by value.
#[derive(Debug, Clone)]
pub(super) struct Ordered<K> {
    rows: BTreeMap<K, Rows>,
    ladder: Option<Ladder<K>>,
}

impl<K> Default for Ordered<K> {
    fn default() -> Self {
        Ordered { rows: BTreeMap::new(), ladder: None }
    }
}

impl<K: Ord + Clone> Ordered<K> {
    pub(super) fn insert(&mut self, key: K, row: u32) {
        self.ladder = None;
        self.rows.entry(key).and_modify(|rows| rows.insert(row)).or_insert(Rows::One(row));
    }

    pub(super) fn remove(&mut self, key: &K, row: u32) {
        self.ladder = None;
        if self.rows.get_mut(key).is_some_and(|rows| rows.remove(row)) {
            self.rows.remove(key);
        }
    }

    /// Makes values quick to ask for until they change. Cost: a pass over the rows.
    pub(super) fn seal(&mut self) {
        self.rows.values_mut().for_each(Rows::seal);
    }

    /// Makes ranges quick too, until the next change. Cost: about a sort of the rows.
    pub(super) fn seal_ranges(&mut self) {
        self.seal();
        self.ladder.get_or_insert_with(|| Ladder::new(&self.rows));
    }

    pub(super) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&Rows>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.rows.get(key)
    }

    /// All values, each with its rows.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &Rows)> {
        self.rows.iter()
    }

    /// The values from `from` on.
    pub(super) fn from<Q: Ord + ?Sized>(&self, from: &Q) -> impl Iterator<Item = (&K, &Rows)>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.rows.range((Bound::Included(from), Bound::Unbounded))
    }

    /// Adds the rows that have a value within `bounds` to `mask`.
    pub(super) fn range(&self, bounds: (Bound<&K>, Bound<&K>), mask: &mut Mask) {
        match &self.ladder {
            _ if is_empty(bounds) => {}
            Some(ladder) => ladder.range(bounds, mask),
            None => self.rows.range(bounds).for_each(|(_, rows)| rows.add_to(mask)),
        }
    }

    /// How many rows have a value within `bounds`, at least and at most.
    pub(super) fn count(&self, bounds: (Bound<&K>, Bound<&K>)) -> (usize, usize) {
        match &self.ladder {
            _ if is_empty(bounds) => (0, 0),
            Some(ladder) => ladder.count(bounds),
            None => self
                .rows
                .range(bounds)
                .fold((0, 0), |(least, most), (_, rows)| (least.max(rows.len()), most + rows.len())),
        }
    }
}

/// Whether nothing can lie within: a tree would panic.
fn is_empty<K: Ord>((from, to): (Bound<&K>, Bound<&K>)) -> bool {
    match (from, to) {
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to)) => from >= to,
        _ => false,
    }
}

/// Rows between two masks.
const RUNG: usize = 1 << 10;

/// Masks for ranges.
#[derive(Debug, Clone)]
struct Ladder<K> {
    /// Rows that have one value, by value.
    single: Vec<(K, u32)>,
    /// `rungs[i]`: the rows of `single[..(i + 1) · RUNG]`, in words as long as they need be.
    rungs: Vec<Vec<u64>>,
    /// Rows that have several, once for each, by value.
    several: Vec<(K, u32)>,
}

impl<K: Ord + Clone> Ladder<K> {
    fn new(rows: &BTreeMap<K, Rows>) -> Self {
        let (mut seen, mut repeated) = (RoaringBitmap::new(), RoaringBitmap::new());
        for row in rows.values().flat_map(Rows::iter) {
            if !seen.insert(row) {
                repeated.insert(row);
            }
        }
        let pairs = rows.iter().flat_map(|(key, rows)| rows.iter().map(move |row| (key.clone(), row)));
        let (several, single): (Vec<_>, Vec<_>) = pairs.partition(|(_, row)| repeated.contains(*row));
        let words = seen.max().map_or(0, |row| row as usize / 64 + 1);
        let mut so_far = vec![0_u64; words];
        let rungs = single.chunks_exact(RUNG).map(|rung| {
            rung.iter().for_each(|(_, row)| so_far[*row as usize / 64] |= 1 << (row % 64));
            so_far.clone()
        });
        let rungs = rungs.collect();
        Ladder { single, rungs, several }
    }

    fn range(&self, bounds: (Bound<&K>, Bound<&K>), mask: &mut Mask) {
        let (from, to) = span(&self.single, bounds);
        let (first, last) = (from.div_ceil(RUNG), to / RUNG);
        let mut each = |pairs: &[(K, u32)]| pairs.iter().for_each(|(_, row)| mask.insert(Slot(*row)));
        let (from_several, to_several) = span(&self.several, bounds);
        each(&self.several[from_several..to_several]);
        if first >= last {
            return each(&self.single[from..to]);
        }
        each(&self.single[from..first * RUNG]);
        each(&self.single[last * RUNG..to]);
        mask.or_difference(&self.rungs[last - 1], if first == 0 { &[] } else { &self.rungs[first - 1] });
    }

    fn count(&self, bounds: (Bound<&K>, Bound<&K>)) -> (usize, usize) {
        let (from, to) = span(&self.single, bounds);
        let (from_several, to_several) = span(&self.several, bounds);
        let several = to_several - from_several;
        (to - from + usize::from(several > 0), to - from + several)
    }
}

/// Which of `pairs`, in order of their keys, lie within `bounds`.
fn span<K: Ord>(pairs: &[(K, u32)], (from, to): (Bound<&K>, Bound<&K>)) -> (usize, usize) {
    let from = match from {
        Bound::Included(from) => pairs.partition_point(|(key, _)| key < from),
        Bound::Excluded(from) => pairs.partition_point(|(key, _)| key <= from),
        Bound::Unbounded => 0,
    };
    let to = match to {
        Bound::Included(to) => pairs.partition_point(|(key, _)| key <= to),
        Bound::Excluded(to) => pairs.partition_point(|(key, _)| key < to),
        Bound::Unbounded => pairs.len(),
    };
    (from, to.max(from))
}
