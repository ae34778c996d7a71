//! Going through points in the order of ids: the rows of all segments, merged.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Collection;
use crate::filter::{Answer, Filter};
use crate::ids::{IdBytes, PointId, Slot};
use crate::named::VectorSet;
use crate::segment::{Part, PointView};

/// The next row of each part, the one with the lowest id first.
struct Scroll<'a> {
    parts: Vec<&'a Part>,
    vectors: &'a VectorSet,
    /// What is wanted of each part, unless it is all.
    wanted: Option<(Filter, Vec<Answer>)>,
    next: BinaryHeap<Reverse<(IdBytes, usize, u32)>>,
}

impl Scroll<'_> {
    /// Queues the first row of part `number` from `row` on that is wanted.
    fn queue(&mut self, number: usize, row: u32) {
        let part = self.parts[number];
        let is_wanted = |row: u32| match &self.wanted {
            None => !part.dead.contains(row),
            Some((filter, answers)) => {
                let answer = &answers[number];
                answer.sure().contains(Slot(row))
                    || answer.possible().contains(Slot(row)) && part.view(row, self.vectors).passes(filter)
            }
        };
        let table = &part.segment.table;
        if let Some(row) = (row..table.len() as u32).find(|&row| is_wanted(row)) {
            self.next.push(Reverse((table.id_bytes(row), number, row)));
        }
    }
}

impl<'a> Iterator for Scroll<'a> {
    type Item = PointView<'a>;

    fn next(&mut self) -> Option<PointView<'a>> {
        let Reverse((_, number, row)) = self.next.pop()?;
        self.queue(number, row + 1);
        Some(self.parts[number].view(row, self.vectors))
    }
}

impl Collection {
    /// Every point from id `from` on, in the order of ids.
    pub fn scroll(&self, from: PointId) -> impl Iterator<Item = PointView<'_>> {
        self.scroll_wanted(from, None)
    }

    fn scroll_wanted<'a>(&'a self, from: PointId, wanted: Option<(Filter, Vec<Answer>)>) -> Scroll<'a> {
        let from = from.to_bytes();
        let (parts, vectors) = (self.parts().collect(), &self.schema.vectors);
        let mut scroll = Scroll { parts, vectors, wanted, next: BinaryHeap::new() };
        for number in 0..scroll.parts.len() {
            scroll.queue(number, scroll.parts[number].segment.table.lower_bound(&from));
        }
        scroll
    }

    /// Every point from id `from` on that matches, in the order of ids. What indexes leave open is asked as it comes.
    pub fn matching(&self, from: PointId, filter: &Filter) -> impl Iterator<Item = PointView<'_>> {
        let filter = filter.bound_to(&self.fields);
        let answers = self.parts().map(|part| part.answer(&filter, &self.fields, &self.schema.vectors)).collect();
        self.scroll_wanted(from, Some((filter, answers)))
    }

    /// How many points match.
    pub fn count(&self, filter: &Filter) -> usize {
        let filter = filter.bound_to(&self.fields);
        self.parts().map(|part| part.matching(&filter, &self.fields, &self.schema.vectors).len()).sum()
    }
}
