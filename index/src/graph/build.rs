//! Growing the graph: rows are linked in batches, in parallel, with the same result for any number of threads.
//!
//! Algorithm 1 of Malkov & Yashunin (arXiv:1603.09320), one batch at a time: every row of a batch searches the graph as it was before
//! the batch and chooses its links; then all links are written; then the links back are sorted by target and each target's list is
//! remade once. No list is written while another row reads it, so there are no locks and no order of arrival. (Batches that grow with
//! the graph are "prefix doubling": Shun et al., SODA 2015; for graph indexes ParlayANN, PPoPP 2024.)
//!
//! Rows of one batch do not see each other, so a batch is a small part of what is linked already ([`BATCH_PART`]).

use std::collections::BTreeMap;

use parking_lot::Mutex;
use rayon::prelude::*;

use crate::params::HnswParams;
use crate::pool::Candidate;
use crate::spec::Component;
use crate::vectors::dense::DenseView;

use super::Graph;
use super::level::level;
use super::search::{Field, Walk};
use super::select::{Chosen, Selection, fill};

/// A batch is at most this part of the rows linked before it.
const BATCH_PART: usize = 64;

/// Every node is proven reachable again after the graph has grown by this part.
const PROOF_PART: usize = 16;

/// Rows that one task takes at a time.
pub(super) const TASK_ROWS: usize = 16;

/// The buffers of one build task.
#[derive(Debug, Default)]
pub(super) struct Worker {
    pub(super) walk: Walk,
    selection: Selection,
}

/// Idle workers' buffers, so that each is allocated once per thread and not once per batch.
#[derive(Debug, Default)]
pub(super) struct Workers(Mutex<Vec<Worker>>);

impl Workers {
    pub(super) fn with<R>(&self, work: impl FnOnce(&mut Worker) -> R) -> R {
        let mut worker = self.0.lock().pop().unwrap_or_default();
        let result = work(&mut worker);
        self.0.lock().push(worker);
        result
    }
}

/// What a new row will be.
enum Plan {
    /// Linked: one list for each level from 0 up.
    Node(Vec<Chosen>),
    /// A copy of a row that is linked.
    Twin(u32),
}

/// A link back, sorted by where it goes, then by distance: the order in which it is considered.
type Reverse = (u32, u8, Candidate);

impl Graph {
    /// Links the rows that `space` holds beyond the graph's nodes. `progress` is told the number of rows linked now and then.
    pub(crate) fn extend<T: Component>(
        &mut self,
        space: DenseView<'_, T>,
        params: &HnswParams,
        progress: &(dyn Fn(usize) + Sync),
    ) {
        let (first, total) = (self.links.nodes() as u32, space.rows.len() as u32);
        let firsts = first_copies(space, first);
        let workers = Workers::default();
        self.links.push((first..total).map(|slot| level(params.seed, slot, params.m)));
        let mut start = first;
        while start < total {
            let end = self.batch_end(start, total);
            self.link_batch(space, params, start..end, &firsts, &workers);
            self.unproven += (end - start) as usize;
            start = end;
            progress((start - first) as usize);
        }
        if self.unproven * PROOF_PART >= self.links.nodes() {
            self.repair(space, params, &workers);
        }
    }

    /// Where the batch that begins at `start` ends. A row above the top level makes a batch of its own, or two such rows of one
    /// batch would not be linked on the levels that both of them open.
    fn batch_end(&self, start: u32, total: u32) -> u32 {
        let top = self.entry.map(|entry| self.links.view().level(entry));
        let rises = |slot: &u32| top.is_none_or(|top| self.links.view().level(*slot) > top);
        let end = total.min(start + (start / BATCH_PART as u32).max(1));
        (start..end).find(rises).map_or(end, |rising| rising.max(start + 1))
    }

    fn link_batch<T: Component>(
        &mut self,
        space: DenseView<'_, T>,
        params: &HnswParams,
        batch: std::ops::Range<u32>,
        firsts: &BTreeMap<u32, u32>,
        workers: &Workers,
    ) {
        let slots: Vec<u32> = batch.collect();
        let plans: Vec<Plan> = (slots.par_chunks(TASK_ROWS))
            .flat_map_iter(|slots| {
                let plan = |&slot| match firsts.get(&slot) {
                    Some(&first) => Plan::Twin(first),
                    None => workers.with(|worker| self.plan(space, params, slot, worker)),
                };
                slots.iter().map(plan).collect::<Vec<_>>()
            })
            .collect();
        let mut reverse: Vec<Reverse> = Vec::new();
        for (&slot, plan) in slots.iter().zip(&plans) {
            match plan {
                Plan::Twin(copy) => self.links.add_twin(*copy, slot),
                Plan::Node(lists) => {
                    for (level, chosen) in lists.iter().enumerate() {
                        self.write(slot, level, chosen);
                        let back = |link: &Candidate| (link.slot(), level as u8, Candidate::new(link.distance(), slot));
                        reverse.extend(chosen.links.iter().map(back));
                    }
                    let top = self.entry.map(|entry| self.links.view().level(entry));
                    if top.is_none_or(|top| self.links.view().level(slot) > top) {
                        self.entry = Some(slot);
                    }
                }
            }
        }
        self.link_back(space, params, reverse, workers);
    }

    /// Chooses the links of `slot` on each of its levels, in the graph as it is.
    fn plan<T: Component>(&self, space: DenseView<'_, T>, params: &HnswParams, slot: u32, worker: &mut Worker) -> Plan {
        let links = self.links.view();
        let mut lists = vec![Chosen::default(); links.level(slot) + 1];
        let Some(entry) = self.entry else { return Plan::Node(lists) };
        let field = Field { space, links, query: space.row(slot) };
        let highest = links.level(slot).min(links.level(entry));
        let mut from = worker.walk.enter(field, entry, highest);
        for level in (0..=highest).rev() {
            worker.walk.beam(field, from, params.ef_construction, level, |_| ());
            let candidates = worker.walk.pool.candidates();
            from = candidates[0];
            if level == 0
                && let Some(copy) = find_copy(space, slot, candidates)
            {
                return Plan::Twin(copy);
            }
            lists[level] = worker.selection.choose(space, candidates.iter().copied(), params.m, fill(params));
        }
        Plan::Node(lists)
    }

    /// Offers every new node to the nodes it links to; each of them takes it in if it fits better than what it has.
    fn link_back<T: Component>(
        &mut self,
        space: DenseView<'_, T>,
        params: &HnswParams,
        mut reverse: Vec<Reverse>,
        workers: &Workers,
    ) {
        reverse.sort_unstable();
        let groups: Vec<&[Reverse]> = reverse.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)).collect();
        let links = self.links.view();
        let remake = |group: &&[Reverse]| {
            let (target, level) = (group[0].0, group[0].1 as usize);
            let new = group.iter().map(|&(_, _, candidate)| candidate);
            let (list, kept, capacity) = (links.list(target, level), links.kept(target, level), links.capacity(level));
            workers.with(|worker| worker.selection.add(space, target, list, kept, new, capacity, fill(params)))
        };
        let remade: Vec<Chosen> = groups.par_iter().with_min_len(TASK_ROWS).map(remake).collect();
        for (group, chosen) in groups.iter().zip(&remade) {
            self.write(group[0].0, group[0].1 as usize, chosen);
        }
    }

    fn write(&mut self, node: u32, level: usize, chosen: &Chosen) {
        let slots: Vec<u32> = chosen.links.iter().map(|link| link.slot()).collect();
        self.links.set(node, level, &slots, chosen.kept);
    }
}

/// Among candidates sorted by distance, the first whose row equals that of `slot`, word for word.
fn find_copy<T: Component>(space: DenseView<'_, T>, slot: u32, candidates: &[Candidate]) -> Option<u32> {
    let row = space.row(slot);
    let own = space.kernels.distance(row, row);
    let at = candidates.partition_point(|candidate| candidate.distance() < own);
    let equal = candidates[at..].iter().take_while(|candidate| candidate.distance() == own);
    equal.map(|candidate| candidate.slot()).find(|&other| space.row(other) == row)
}

/// For each row from `first` on that is a copy of an earlier one of them: that earlier one.
pub(super) fn first_copies<T: Component>(space: DenseView<'_, T>, first: u32) -> BTreeMap<u32, u32> {
    let mut hashes: Vec<(u32, u32)> = (first..space.rows.len() as u32)
        .into_par_iter()
        .map(|slot| (crc32c::crc32c(bytemuck::cast_slice(space.row(slot))), slot))
        .collect();
    hashes.par_sort_unstable();
    let mut copies = BTreeMap::new();
    for run in hashes.chunk_by(|a, b| a.0 == b.0).filter(|run| run.len() > 1) {
        let mut originals: Vec<u32> = Vec::new();
        for &(_, slot) in run {
            match originals.iter().find(|&&original| space.row(original) == space.row(slot)) {
                Some(&original) => _ = copies.insert(slot, original),
                None => originals.push(slot),
            }
        }
    }
    copies
}
