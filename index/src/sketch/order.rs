//! [`Order`]: cells of one or more sketches, nearest first, put in order as far as they are taken.

/// A piece of no more cells than this is sorted; a larger one is parted, and its nearest piece has one of so many.
const SORTED: usize = 64;
const PARTS: usize = 8;

/// Where a cell lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Place {
    /// From the query to the cell's centre, of the rows' metric; negative infinity where numbers cannot say.
    pub(super) distance: f32,
    /// The sketch it is of, among those that are scanned.
    pub(super) share: u32,
    pub(super) cell: u32,
}

/// Cells, those before `ordered` in order. Of equally near ones the first comes first.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// A distance, as a number that sorts as it does, above the number of the cell among all.
    places: Vec<u64>,
    /// The first cell of each share, and how many cells all have.
    firsts: Vec<u32>,
    cells: u32,
    taken: usize,
    ordered: usize,
    /// Where the pieces end that are not in order, the nearest last: all of a piece is nearer than what comes after it.
    ends: Vec<usize>,
}

impl Order {
    pub(super) fn clear(&mut self) {
        self.places.clear();
        self.firsts.clear();
        self.ends.clear();
        (self.cells, self.taken, self.ordered) = (0, 0, 0);
    }

    /// Adds the next share, of so many cells, and says its number.
    pub(super) fn extend(&mut self, cells: usize) -> usize {
        self.firsts.push(self.cells);
        self.cells += cells as u32;
        self.firsts.len() - 1
    }

    /// Adds cells of a share with their distances: before any is taken, or behind all that were added before.
    pub(super) fn put(&mut self, share: usize, cells: impl Iterator<Item = (u32, f32)>) {
        let first = self.firsts[share];
        self.places.extend(cells.map(|(cell, distance)| key(distance) << 32 | u64::from(first + cell)));
    }

    /// The next cell.
    #[inline]
    pub(super) fn next(&mut self) -> Option<Place> {
        let place = self.peek(0)?;
        self.taken += 1;
        Some(place)
    }

    /// The cell that comes after so many others.
    #[inline]
    pub(super) fn peek(&mut self, after: usize) -> Option<Place> {
        let at = self.taken + after;
        while self.ordered <= at {
            if self.ordered == self.places.len() {
                return None;
            }
            self.put_in_order();
        }
        let (distance, at) = (distance_of(self.places[at] >> 32), self.places[at] as u32);
        let share = self.firsts.partition_point(|&first| first <= at) - 1;
        Some(Place { distance, share: share as u32, cell: at - self.firsts[share] })
    }

    /// Puts the nearest piece in order. It is made from the whole by parting, and what was parted off on the way is left in pieces: each
    /// time after, a small one is parted, not all that is left.
    #[cold]
    fn put_in_order(&mut self) {
        let mut end = self.ends.pop().unwrap_or(self.places.len());
        while end - self.ordered > SORTED {
            let count = ((end - self.ordered) / PARTS).max(SORTED / 2);
            self.places[self.ordered..end].select_nth_unstable(count);
            self.ends.push(end);
            end = self.ordered + count;
        }
        self.places[self.ordered..end].sort_unstable();
        self.ordered = end;
    }
}

/// A number for a distance, such that numbers are in the order of distances.
#[inline(always)]
fn key(distance: f32) -> u64 {
    let bits = distance.to_bits();
    let flip = if bits >> 31 == 1 { u32::MAX } else { 1 << 31 };
    u64::from(bits ^ flip)
}

#[inline(always)]
fn distance_of(key: u64) -> f32 {
    let bits = key as u32;
    f32::from_bits(bits ^ if bits >> 31 == 1 { 1 << 31 } else { u32::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_comes_first_whatever_it_is_of() {
        for count in [0, 1, SORTED / 3, SORTED, 1000] {
            let distance = |at: usize| if at == 40 { f32::NEG_INFINITY } else { (at * 7919 % 211) as f32 - 7.0 };
            let (mut order, mut now, mut later) = (Order::default(), Vec::new(), Vec::new());
            for share in 0..3 {
                assert_eq!(order.extend(count), share);
                let place =
                    |cell| Place { distance: distance(share * count + cell), share: share as u32, cell: cell as u32 };
                let (of_now, of_later): (Vec<Place>, _) = (0..count).map(place).partition(|place| place.cell % 3 > 0);
                order.put(share, of_now.iter().map(|place| (place.cell, place.distance)));
                now.extend(of_now);
                later.extend(of_later);
            }
            for (at, mut places) in [now, later].into_iter().enumerate() {
                for place in places.iter().filter(|_| at == 1) {
                    order.put(place.share as usize, std::iter::once((place.cell, place.distance)));
                }
                places.sort_by(|a, b| a.distance.total_cmp(&b.distance));
                for (at, &expected) in places.iter().enumerate() {
                    assert_eq!(order.peek(3), places.get(at + 3).copied());
                    assert_eq!(order.next(), Some(expected));
                }
                assert_eq!((order.peek(0), order.next()), (None, None));
            }
        }
    }
}
