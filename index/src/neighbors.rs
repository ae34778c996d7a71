//! A search that goes on: ever farther neighbours, one at a time.
//!
//! The beam is that of an ordinary search, but what it drops is kept in a heap, and what it yields leaves room: the nearest row is
//! handed out once the `ef` nearest unyielded rows are all expanded, then the nearest dropped one takes the place. So the n-th row
//! is as good as that of a search with a beam of n + ef, and nothing is computed twice.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::graph::search::{Field, Walk};
use crate::hnsw::Hnsw;
use crate::ids::Slot;
use crate::params::SearchStats;
use crate::pool::Candidate;
use crate::query::{Hit, SearchError};
use crate::rows::VectorRef;
use crate::spec::Component;
use crate::vectors::dense::{Dense, Line, with_rows};

/// The rows of an index in order of distance to one query; made by [`Hnsw::neighbors`].
#[derive(Debug)]
pub struct Neighbors<'a> {
    index: &'a Hnsw,
    query: Vec<Line>,
    walk: Walk,
    /// What the beam had no place for.
    rest: BinaryHeap<Reverse<Candidate>>,
    /// Copies of the row yielded last, still to come.
    copies: Vec<Hit>,
}

impl<'a> Neighbors<'a> {
    pub(crate) fn new(index: &'a Hnsw, query: VectorRef<'_>, ef: usize) -> Result<Self, SearchError> {
        let mut walk = Walk::default();
        let mut encoded = Vec::new();
        with_rows!(&index.vectors, rows => {
            let query = rows.encode(query, &mut encoded)?;
            let field = Field { space: rows.view(), links: index.graph.links.view(), query };
            if let Some(entry) = index.graph.entry {
                let from = walk.enter(field, entry, 0);
                walk.start(field, from, ef.clamp(1, index.len()));
            }
        });
        Ok(Neighbors { index, query: encoded, walk, rest: BinaryHeap::new(), copies: Vec::new() })
    }

    /// What the search has done so far.
    pub fn stats(&self) -> SearchStats {
        self.walk.stats
    }

    fn advance<T: Component>(&mut self, rows: &Dense<T>) -> Option<Candidate> {
        let query = bytemuck::cast_slice(&self.query);
        let field = Field { space: rows.view(), links: self.index.graph.links.view(), query };
        let rest = &mut self.rest;
        while let Some(node) = self.walk.pool.expand_next() {
            self.walk.expand(field, node, 0, |pool, candidate| rest.extend(pool.insert(candidate).map(Reverse)));
        }
        let nearest = self.walk.pool.take_nearest()?;
        if let Some(Reverse(next)) = self.rest.pop() {
            self.walk.pool.insert(next);
        }
        Some(nearest)
    }
}

impl Iterator for Neighbors<'_> {
    type Item = Hit;

    fn next(&mut self) -> Option<Hit> {
        if let Some(copy) = self.copies.pop() {
            return Some(copy);
        }
        let index = self.index;
        let nearest = with_rows!(&index.vectors, rows => self.advance(rows))?;
        let hit = |slot| Hit { slot: Slot(slot), distance: nearest.distance() };
        self.copies.extend(index.graph.links.view().with_twins(nearest.slot()).skip(1).map(hit));
        Some(hit(nearest.slot()))
    }
}
