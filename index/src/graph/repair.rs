//! Making every node reachable again.
//!
//! A node's links back can all be pushed out by nearer ones, and then no walk ends at it: hnswlib's and usearch's trackers both hold
//! such reports. After a build, and each time a graph has grown by a part, a walk over all level-0 links finds those nodes and links
//! each from a reachable one near it. Cost: O(nodes · m0) for the walk, without distances, and one search for each node found.

use crate::params::HnswParams;
use crate::spec::Component;
use crate::vectors::dense::DenseView;

use super::Graph;
use super::build::{Worker, Workers};
use super::links::LinksView;
use super::search::Field;

/// Each round reaches all that was found unreachable, but for what its own replacements cut off.
const MAX_ROUNDS: usize = 16;

impl Graph {
    /// Links unreachable nodes from reachable ones until there is none.
    pub(super) fn repair<T: Component>(&mut self, space: DenseView<'_, T>, params: &HnswParams, workers: &Workers) {
        let Some(entry) = self.entry else { return };
        for _ in 0..MAX_ROUNDS {
            let mut reached = Reached::from(self.links.view(), entry);
            let lost: Vec<u32> = reached.missing(self.links.view()).collect();
            if lost.is_empty() {
                self.unproven = 0;
                return;
            }
            for node in lost {
                if !reached.contains(node) {
                    workers.with(|worker| self.reattach(space, params, node, entry, worker));
                    reached.spread(self.links.view(), node);
                }
            }
        }
    }

    /// Links `node` from the nearest reachable node with room in its list, or in the place of another's last link.
    fn reattach<T: Component>(
        &mut self,
        space: DenseView<'_, T>,
        params: &HnswParams,
        node: u32,
        entry: u32,
        worker: &mut Worker,
    ) {
        let links = self.links.view();
        let field = Field { space, links, query: space.row(node) };
        // From the entry on level 0, not by way of the upper levels, where the node itself may stand: all that is met is reachable.
        let from = worker.walk.distance(field, entry);
        worker.walk.beam(field, from, params.ef_construction, 0, |_| ());
        let near = worker.walk.pool.candidates();
        let has_room = |&slot: &u32| links.list(slot, 0).len() < params.m0;
        let has_filling = |&slot: &u32| links.kept(slot, 0) < links.list(slot, 0).len();
        let slots = || near.iter().map(|candidate| candidate.slot());
        let host = slots().find(has_room).or_else(|| slots().find(has_filling)).unwrap_or(near[0].slot());
        let mut list = links.list(host, 0).to_vec();
        let kept = links.kept(host, 0).min(params.m0 - 1);
        list.truncate(params.m0 - 1);
        list.push(node);
        self.links.set(host, 0, &list, kept);
    }
}

/// The nodes that a walk over level 0 reaches.
pub(super) struct Reached {
    bits: Vec<bool>,
    stack: Vec<u32>,
}

impl Reached {
    pub(super) fn from(links: LinksView<'_>, entry: u32) -> Self {
        let mut reached = Reached { bits: vec![false; links.nodes()], stack: Vec::new() };
        reached.spread(links, entry);
        reached
    }

    /// Adds `node` and all that can be reached from it.
    fn spread(&mut self, links: LinksView<'_>, node: u32) {
        self.bits[node as usize] = true;
        self.stack.push(node);
        while let Some(node) = self.stack.pop() {
            for &next in links.list(node, 0) {
                if !self.bits[next as usize] {
                    self.bits[next as usize] = true;
                    self.stack.push(next);
                }
            }
        }
    }

    fn contains(&self, node: u32) -> bool {
        self.bits[node as usize]
    }

    /// Nodes that were not reached, but for twins, which hang behind a node and are not linked.
    pub(super) fn missing<'a>(&'a self, links: LinksView<'a>) -> impl Iterator<Item = u32> + 'a {
        let mut twin = vec![false; links.nodes()];
        for node in 0..links.nodes() as u32 {
            if let Some(next) = links.with_twins(node).nth(1) {
                twin[next as usize] = true;
            }
        }
        (0..links.nodes() as u32).filter(move |&node| !self.bits[node as usize] && !twin[node as usize])
    }
}
