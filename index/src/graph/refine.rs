//! Choosing every node's links again, from better candidates than it was linked with.
//!
//! A node links when it comes in, and knows only what was there before. Here the graph is complete: candidates for each node are what a
//! wide walk towards it meets, in the graph as it was, together with its present links; links are chosen from them, then offered back,
//! and each list is filled to its full length (the second pass of Vamana, NeurIPS 2019; the filling of SymphonyQG, arXiv:2411.12229).
//! All lists are remade from the old graph, so the result does not depend on threads.

use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use crate::params::HnswParams;
use crate::pool::Candidate;
use crate::spec::Component;
use crate::vectors::dense::DenseView;

use super::Graph;
use super::build::{TASK_ROWS, Workers};
use super::select::{Chosen, Selection};
use super::tour::tour;

/// Names candidates for each of a few nodes, with the buffers of a task; the lists come empty.
pub(crate) trait Candidates<B>: Fn(&[u32], &mut B, &mut [Vec<u32>]) + Sync {}
impl<B, F: Fn(&[u32], &mut B, &mut [Vec<u32>]) + Sync> Candidates<B> for F {}

#[derive(Default)]
struct Task<B> {
    buffers: B,
    lists: [Vec<u32>; TASK_ROWS],
    slots: Vec<u32>,
    distances: Vec<f32>,
    sorted: Vec<Candidate>,
    selection: Selection,
}

impl Graph {
    /// Chooses the level-0 links of every node again. `progress` is told the number of nodes done now and then.
    pub(crate) fn refine<T: Component, B: Default + Send>(
        &mut self,
        space: DenseView<'_, T>,
        params: &HnswParams,
        candidates: &impl Candidates<B>,
        progress: &(dyn Fn(usize) + Sync),
    ) {
        let links = self.links.view();
        let linked = |node: u32| !links.list(node, 0).is_empty();
        let done = AtomicUsize::new(0);
        let order = tour(links);
        let chosen: Vec<Chosen> = order
            .par_chunks(TASK_ROWS)
            .map_init(Task::<B>::default, |task, nodes| {
                let count = done.fetch_add(nodes.len(), Ordering::Relaxed);
                if count.is_multiple_of(64 * TASK_ROWS) {
                    progress(count);
                }
                task.lists.iter_mut().for_each(Vec::clear);
                candidates(nodes, &mut task.buffers, &mut task.lists[..nodes.len()]);
                let choose = |(index, &node): (usize, &u32)| {
                    if !linked(node) {
                        return Chosen::default();
                    }
                    std::mem::swap(&mut task.slots, &mut task.lists[index]);
                    task.slots.extend(links.list(node, 0));
                    task.sort(space, node);
                    task.selection.choose(space, task.sorted.iter().copied(), params.m0, 0)
                };
                nodes.iter().enumerate().map(choose).collect::<Vec<_>>()
            })
            .flatten_iter()
            .collect();
        self.settle(space, params, &order, &chosen);
    }

    /// Writes the links `chosen` for the nodes of `order`, offered to those they lead to, with the links they had; lists are filled.
    pub(super) fn settle<T: Component>(
        &mut self,
        space: DenseView<'_, T>,
        params: &HnswParams,
        order: &[u32],
        chosen: &[Chosen],
    ) {
        let links = self.links.view();
        let mut reverse: Vec<(u32, Candidate)> = order
            .iter()
            .zip(chosen)
            .flat_map(|(&node, chosen)| {
                chosen.links.iter().map(move |link| (link.slot(), Candidate::new(link.distance(), node)))
            })
            .collect();
        reverse.par_sort_unstable();
        let remade: Vec<Chosen> = order
            .par_iter()
            .zip(chosen)
            .with_min_len(TASK_ROWS)
            .map_init(Task::<()>::default, |task, (&node, own)| {
                task.slots.clear();
                task.slots.extend(own.links.iter().map(|link| link.slot()));
                let back = reverse.partition_point(|link| link.0 < node);
                task.slots.extend(reverse[back..].iter().take_while(|link| link.0 == node).map(|link| link.1.slot()));
                task.slots.extend(links.list(node, 0));
                task.sort(space, node);
                task.selection.choose(space, task.sorted.iter().copied(), params.m0, params.m0)
            })
            .collect();
        for (&node, chosen) in order.iter().zip(&remade) {
            if !chosen.links.is_empty() {
                self.write(node, 0, chosen);
            }
        }
        self.repair(space, params, &Workers::default());
    }
}

impl<B> Task<B> {
    /// Sorts the candidates of `node` by distance, each once.
    fn sort<T: Component>(&mut self, space: DenseView<'_, T>, node: u32) {
        self.slots.sort_unstable();
        self.slots.dedup();
        self.slots.retain(|&slot| slot != node);
        self.distances.resize(self.slots.len(), 0.0);
        space.gather(space.row(node), &self.slots, &mut self.distances);
        self.sorted.clear();
        self.sorted
            .extend(self.slots.iter().zip(&self.distances).map(|(&slot, &distance)| Candidate::new(distance, slot)));
        self.sorted.sort_unstable();
    }
}
