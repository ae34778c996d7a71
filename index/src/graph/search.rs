//! The walk: from the entry down the levels, then a beam over level 0.
//!
//! Algorithms 2 and 5 of Malkov & Yashunin (arXiv:1603.09320). A hop has two phases: first the unseen neighbours are gathered, then
//! their distances are computed in one call, so that rows are fetched ahead of the arithmetic instead of one by one. The list of
//! the node that will be expanded next is asked for before the distances of this one are computed. Nothing is allocated once the
//! buffers have grown to their size.

use crate::params::SearchStats;
use crate::pool::{Candidate, Pool};
use crate::spec::Component;
use crate::vectors::dense::DenseView;
use crate::visited::Visited;

use super::links::LinksView;

/// What a walk reads: rows, links, and the query as stored words.
#[derive(Clone, Copy)]
pub(crate) struct Field<'a, T: Component> {
    pub(crate) space: DenseView<'a, T>,
    pub(crate) links: LinksView<'a>,
    pub(crate) query: &'a [T],
}

/// The buffers of one walk, reused from search to search.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    pub(crate) pool: Pool,
    visited: Visited,
    distances: Vec<f32>,
    /// Nodes whose distances are wanted next, in a walk among some of the nodes.
    pub(super) near: Vec<u32>,
    pub(crate) stats: SearchStats,
}

impl Walk {
    /// Forgets the last search.
    pub(crate) fn reset(&mut self) {
        self.stats = SearchStats::default();
    }

    /// The query's distance to one node.
    pub(crate) fn distance<T: Component>(&mut self, field: Field<'_, T>, node: u32) -> Candidate {
        self.stats.distances += 1;
        Candidate::new(field.space.kernels.distance(field.query, field.space.row(node)), node)
    }

    /// Walks greedily from `from` to a node of `level` that has no nearer neighbour there.
    pub(crate) fn descend<T: Component>(&mut self, field: Field<'_, T>, from: Candidate, level: usize) -> Candidate {
        let mut nearest = from;
        loop {
            self.stats.hops += 1;
            let list = field.links.list(nearest.slot(), level);
            let distances = gather(field, list, &mut self.distances, &mut self.stats);
            let best = list.iter().zip(distances).map(|(&slot, &distance)| Candidate::new(distance, slot)).min();
            match best {
                Some(best) if best.distance() < nearest.distance() => nearest = best,
                _ => return nearest,
            }
        }
    }

    /// Descends from `entry` to just above `level`, greedily.
    pub(crate) fn enter<T: Component>(&mut self, field: Field<'_, T>, entry: u32, level: usize) -> Candidate {
        let from = self.distance(field, entry);
        (level + 1..=field.links.level(entry)).rev().fold(from, |from, level| self.descend(field, from, level))
    }

    /// Walks `level` from `from` with a beam of `ef`; the nearest nodes found stay in the pool. `observe` sees every candidate
    /// whose distance was computed, near or not.
    pub(crate) fn beam<T: Component>(
        &mut self,
        field: Field<'_, T>,
        from: Candidate,
        ef: usize,
        level: usize,
        mut observe: impl FnMut(Candidate),
    ) {
        self.start(field, from, ef);
        observe(from);
        while let Some(node) = self.pool.expand_next() {
            self.expand(field, node, level, |pool, candidate| {
                observe(candidate);
                if candidate.distance() <= pool.bound() {
                    pool.insert(candidate);
                }
            });
        }
    }

    /// Empties pool and visited set.
    pub(super) fn begin<T: Component>(&mut self, field: Field<'_, T>, ef: usize) {
        self.pool.reset(ef);
        self.visited.reset(field.links.nodes());
    }

    /// Whether `node` was not seen before; it is now.
    pub(super) fn is_new(&mut self, node: u32) -> bool {
        !self.visited.insert(&[node]).is_empty()
    }

    /// Hands the distance of each of `nodes` to `take`.
    pub(super) fn each_distance<T: Component>(
        &mut self,
        field: Field<'_, T>,
        nodes: &[u32],
        mut take: impl FnMut(&mut Pool, Candidate),
    ) {
        let distances = gather(field, nodes, &mut self.distances, &mut self.stats);
        for (&slot, &distance) in nodes.iter().zip(distances) {
            take(&mut self.pool, Candidate::new(distance, slot));
        }
    }

    /// Empties pool and visited set and puts `from` into both.
    pub(crate) fn start<T: Component>(&mut self, field: Field<'_, T>, from: Candidate, ef: usize) {
        self.begin(field, ef);
        self.visited.insert(&[from.slot()]);
        // It may come from another beam, where it was expanded.
        self.pool.insert(from.unexpanded());
    }

    /// One hop: hands every neighbour of `node` not seen before to `take`, with its distance.
    #[inline(always)]
    pub(crate) fn expand<T: Component>(
        &mut self,
        field: Field<'_, T>,
        node: u32,
        level: usize,
        mut take: impl FnMut(&mut Pool, Candidate),
    ) {
        self.stats.hops += 1;
        let unseen = self.visited.insert(field.links.list(node, level));
        if let Some(next) = self.pool.peek() {
            field.links.prefetch(next);
        }
        let distances = gather(field, unseen, &mut self.distances, &mut self.stats);
        for (&slot, &distance) in unseen.iter().zip(distances) {
            take(&mut self.pool, Candidate::new(distance, slot));
        }
    }
}

/// Distances from the query to `slots`, in `buffer`.
#[inline(always)]
fn gather<'b, T: Component>(
    field: Field<'_, T>,
    slots: &[u32],
    buffer: &'b mut Vec<f32>,
    stats: &mut SearchStats,
) -> &'b [f32] {
    if buffer.len() < slots.len() {
        buffer.resize(slots.len(), 0.0);
    }
    let out = &mut buffer[..slots.len()];
    field.space.gather(field.query, slots, out);
    stats.distances += slots.len() as u64;
    out
}
