//! A walk among the rows of a mask: ACORN-1 of Patel et al. (arXiv:2403.04871), with seeds.
//!
//! Only nodes that match enter the beam, and the mask is asked before any distance is computed. Where a node has fewer matching neighbours
//! than wanted, the neighbours of those that do not match are looked at, nearest first, until there are enough. Nodes spread over what
//! matches are put in at the start: where it lies far from the query, none may be near the way down.

use crate::ids::Slot;
use crate::mask::Mask;
use crate::pool::Candidate;
use crate::spec::Component;

use super::search::{Field, Walk};

/// Neighbours that match, of which each hop looks for so many.
const WANTED: usize = 16;

/// The nodes a walk keeps to.
#[derive(Clone, Copy)]
pub(crate) struct Within<'a> {
    pub(crate) nodes: &'a Mask,
    /// Nodes to begin at.
    pub(crate) seeds: &'a [u32],
    /// Distances at most.
    pub(crate) budget: u64,
}

impl Walk {
    /// Walks level 0 among the nodes of `within` with a beam of `ef`, from the neighbours of `from` and the seeds; the nearest stay in the
    /// pool. Whether it ended before its budget did.
    pub(crate) fn beam_within<T: Component>(
        &mut self,
        field: Field<'_, T>,
        from: u32,
        ef: usize,
        within: Within<'_>,
    ) -> bool {
        self.begin(field, ef);
        self.near.clear();
        self.gather_unseen(within.seeds, within.nodes);
        self.gather_unseen(&[from], within.nodes);
        self.gather_matching(field, from, within.nodes);
        self.take_near(field);
        while let Some(node) = self.pool.expand_next() {
            if self.stats.distances > within.budget {
                return false;
            }
            self.near.clear();
            self.gather_matching(field, node, within.nodes);
            self.stats.hops += 1;
            self.take_near(field);
        }
        true
    }

    /// Collects those of `slots` that match and were not seen.
    fn gather_unseen(&mut self, slots: &[u32], nodes: &Mask) {
        for &slot in slots {
            if nodes.contains(Slot(slot)) && self.is_new(slot) {
                self.near.push(slot);
            }
        }
    }

    /// Collects unseen neighbours of `node` that match, and, where they are few, neighbours of those that do not.
    fn gather_matching<T: Component>(&mut self, field: Field<'_, T>, node: u32, nodes: &Mask) {
        let list = field.links.list(node, 0);
        self.gather_unseen(list, nodes);
        let matching = list.iter().filter(|&&slot| nodes.contains(Slot(slot))).count();
        if matching >= WANTED {
            return;
        }
        let mut missing = (WANTED - matching) as isize;
        for &bridge in list.iter().filter(|&&slot| !nodes.contains(Slot(slot))) {
            if missing <= 0 {
                return;
            }
            if self.is_new(bridge) {
                let before = self.near.len();
                self.gather_unseen(field.links.list(bridge, 0), nodes);
                missing -= (self.near.len() - before) as isize;
            }
        }
    }

    /// Puts what was collected into the beam, as far as it is near enough.
    fn take_near<T: Component>(&mut self, field: Field<'_, T>) {
        let near = std::mem::take(&mut self.near);
        self.each_distance(field, &near, |pool, candidate: Candidate| {
            if candidate.distance() <= pool.bound() {
                pool.insert(candidate);
            }
        });
        self.near = near;
    }
}
