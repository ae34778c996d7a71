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
use super::lists::{Lists, Reversed};
use super::select::Selection;
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
        let mut chosen = Lists::new(order.len(), params.m0);
        let tasks = order.par_chunks(TASK_ROWS).zip(chosen.par_chunks_mut(TASK_ROWS));
        tasks.for_each_init(Task::<B>::default, |task, (nodes, lists)| {
            let count = done.fetch_add(nodes.len(), Ordering::Relaxed);
            if count.is_multiple_of(64 * TASK_ROWS) {
                progress(count);
            }
            task.lists.iter_mut().for_each(Vec::clear);
            candidates(nodes, &mut task.buffers, &mut task.lists[..nodes.len()]);
            for (index, (&node, (out, size))) in nodes.iter().zip(lists).enumerate() {
                if !linked(node) {
                    continue;
                }
                std::mem::swap(&mut task.slots, &mut task.lists[index]);
                task.slots.extend(links.list(node, 0));
                task.sort(space, node);
                *size = task.selection.choose_into(space, task.sorted.iter().copied(), 0, out);
            }
        });
        self.settle(space, params, &order, &chosen);
    }

    /// Writes the links `chosen` for the nodes of `order`, offered to those they lead to, with the links they had; lists are filled.
    pub(super) fn settle<T: Component>(
        &mut self,
        space: DenseView<'_, T>,
        params: &HnswParams,
        order: &[u32],
        chosen: &Lists,
    ) {
        let links = self.links.view();
        let reversed = Reversed::new(links.nodes(), order, chosen);
        let mut remade = Lists::new(order.len(), params.m0);
        let tasks = order.par_iter().zip(chosen.par_iter()).zip(remade.par_iter_mut()).with_min_len(TASK_ROWS);
        tasks.for_each_init(Task::<()>::default, |task, ((&node, own), (out, size))| {
            task.slots.clear();
            task.slots.extend(own);
            task.slots.extend(reversed.of(node));
            task.slots.extend(links.list(node, 0));
            task.sort(space, node);
            *size = task.selection.choose_into(space, task.sorted.iter().copied(), params.m0, out);
        });
        for (&node, (slots, size)) in order.iter().zip(remade.iter()) {
            if size.links > 0 {
                self.links.set(node, 0, slots, size.kept);
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
