//! Going through points in the order of ids: the rows of all segments, merged.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Collection;
use crate::filter::Filter;
use crate::ids::{IdBytes, PointId};
use crate::segment::{Part, PointView};

/// The next live row of each part, the one with the lowest id first.
struct Scroll<'a> {
    parts: Vec<&'a Part>,
    next: BinaryHeap<Reverse<(IdBytes, usize, u32)>>,
}

impl Scroll<'_> {
    /// Queues the first live row of part `number` from `row` on.
    fn queue(&mut self, number: usize, row: u32) {
        let Part { segment, dead } = self.parts[number];
        if let Some(row) = (row..segment.table.len() as u32).find(|&row| !dead.contains(row)) {
            self.next.push(Reverse((segment.table.id_bytes(row), number, row)));
        }
    }
}

impl<'a> Iterator for Scroll<'a> {
    type Item = PointView<'a>;

    fn next(&mut self) -> Option<PointView<'a>> {
        let Reverse((_, number, row)) = self.next.pop()?;
        self.queue(number, row + 1);
        Some(self.parts[number].view(row))
    }
}

impl Collection {
    /// Every point from id `from` on, in the order of ids.
    pub fn scroll(&self, from: PointId) -> impl Iterator<Item = PointView<'_>> {
        let from = from.to_bytes();
        let mut scroll = Scroll { parts: self.parts().collect(), next: BinaryHeap::new() };
        for number in 0..scroll.parts.len() {
            scroll.queue(number, scroll.parts[number].segment.table.lower_bound(&from));
        }
        scroll
    }

    /// Every point from id `from` on that matches, in the order of ids.
    pub fn matching<'a>(&'a self, from: PointId, filter: &'a Filter) -> impl Iterator<Item = PointView<'a>> {
        self.scroll(from).filter(|point| filter.matches(point.id(), &point.payload()))
    }
}
