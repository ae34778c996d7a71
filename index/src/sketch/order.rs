//! [`Order`]: the cells of one or more sketches, nearest first, put in order as far as they are taken.

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
    /// The first cell of each share.
    firsts: Vec<u32>,
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
        (self.taken, self.ordered) = (0, 0);
    }

    /// Adds the cells of the next share, before any is taken.
    pub(super) fn extend(&mut self, distances: impl Iterator<Item = f32>) {
        let first = self.places.len() as u32;
        self.firsts.push(first);
        self.places.extend((first..).zip(distances).map(|(at, distance)| key(distance) << 32 | u64::from(at)));
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
            let (mut order, mut places) = (Order::default(), Vec::new());
            for share in 0..3 {
                let from = share * count;
                order.extend((from..from + count).map(distance));
                let place = |at| Place { distance: distance(from + at), share: share as u32, cell: at as u32 };
                places.extend((0..count).map(place));
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
