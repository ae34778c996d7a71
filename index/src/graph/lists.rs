//! The links of all nodes while they are chosen anew, in one piece of memory: as many small ones, freed, would stay with the allocator,
//! hundreds of bytes a row.

use rayon::prelude::*;

use crate::bytes::Array;

/// A list for each node of an order: at most `room` slots, those kept for their own sake first.
#[derive(Debug)]
pub(super) struct Lists {
    slots: Array<u32>,
    sizes: Vec<Size>,
    room: usize,
}

/// How many links a list has, and how many of them are kept for their own sake.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) links: usize,
    pub(super) kept: usize,
}

impl Lists {
    /// So many empty lists.
    pub(super) fn new(lists: usize, room: usize) -> Self {
        let mut slots = Array::default();
        slots.resize(lists * room);
        Lists { slots, sizes: vec![Size::default(); lists], room }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u32], Size)> {
        let lists = self.slots.as_slice().chunks_exact(self.room).zip(&self.sizes);
        lists.map(|(slots, &size)| (&slots[..size.links], size))
    }

    pub(super) fn par_iter(&self) -> impl IndexedParallelIterator<Item = &[u32]> {
        let lists = self.slots.as_slice().par_chunks_exact(self.room).zip(&self.sizes);
        lists.map(|(slots, size)| &slots[..size.links])
    }

    /// The room of each list and its size, to be filled.
    pub(super) fn par_iter_mut(&mut self) -> impl IndexedParallelIterator<Item = (&mut [u32], &mut Size)> {
        self.slots.as_mut_slice().par_chunks_exact_mut(self.room).zip(&mut self.sizes)
    }

    /// As [`par_iter_mut`](Lists::par_iter_mut), `count` lists at a time.
    pub(super) fn par_chunks_mut(
        &mut self,
        count: usize,
    ) -> impl IndexedParallelIterator<Item = impl Iterator<Item = (&mut [u32], &mut Size)>> {
        let room = self.room;
        let chunks = self.slots.as_mut_slice().par_chunks_mut(count * room).zip(self.sizes.par_chunks_mut(count));
        chunks.map(move |(slots, sizes)| slots.chunks_exact_mut(room).zip(sizes))
    }
}

/// Which nodes link to each node.
#[derive(Debug)]
pub(super) struct Reversed {
    /// Where the sources of each node begin, and behind the last where they end.
    starts: Array<u32>,
    sources: Array<u32>,
}

impl Reversed {
    /// Of `nodes` nodes, of which those of `order` have the links `lists`.
    pub(super) fn new(nodes: usize, order: &[u32], lists: &Lists) -> Self {
        let mut starts = Array::<u32>::default();
        starts.resize(nodes + 1);
        let ends = starts.as_mut_slice();
        lists.iter().flat_map(|(slots, _)| slots).for_each(|&slot| ends[slot as usize] += 1);
        let mut sum = 0;
        for end in &mut *ends {
            sum += *end;
            *end = sum;
        }
        let mut sources = Array::default();
        sources.resize(sum as usize);
        // From behind, each end moves to where its node's sources begin.
        for (&node, (slots, _)) in order.iter().zip(lists.iter()) {
            for &slot in slots {
                let end = &mut ends[slot as usize];
                *end -= 1;
                sources.as_mut_slice()[*end as usize] = node;
            }
        }
        Reversed { starts, sources }
    }

    /// The nodes that link to `node`.
    pub(super) fn of(&self, node: u32) -> &[u32] {
        let [start, end] = [0, 1].map(|at| self.starts.as_slice()[node as usize + at] as usize);
        &self.sources.as_slice()[start..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_turned_round() {
        let (order, targets) = ([3, 0, 4], [vec![0, 1], vec![4], vec![1, 3, 0]]);
        let mut lists = Lists::new(order.len(), 3);
        lists.par_iter_mut().zip(&targets).for_each(|((slots, size), targets)| {
            slots[..targets.len()].copy_from_slice(targets);
            *size = Size { links: targets.len(), kept: 1 };
        });
        assert!(lists.iter().map(|(slots, _)| slots).eq(&targets));
        let reversed = Reversed::new(5, &order, &lists);
        let sorted = |node| {
            let mut sources = reversed.of(node).to_vec();
            sources.sort_unstable();
            sources
        };
        assert_eq!([0, 1, 2, 3, 4].map(sorted), [vec![3, 4], vec![3, 4], vec![], vec![4], vec![0]]);
    }
}
