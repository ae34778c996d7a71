//! The first graph, made of comparisons within leaves.
//!
//! Instead of a search for each row, all rows of a leaf are compared with each other, a tile at a time, and each keeps the nearest it
//! has met in a few partitions (PiPNN, arXiv:2602.21247). Rows lie side by side and every byte loaded is used again, so a distance
//! costs a tenth of what it does in a search; and leaves do not wait for each other as the batches of an insertion do.

use parking_lot::Mutex;
use rayon::prelude::*;

use crate::distance::Isa;
use crate::params::HnswParams;
use crate::pool::Candidate;
use crate::spec::Component;
use crate::vectors::dense::DenseView;

use super::Graph;
use super::build::{TASK_ROWS, first_copies};
use super::compare::{Comparer, Nearest};
use super::level::mix;
use super::lists::Lists;
use super::partition::leaves;
use super::select::Selection;

/// How a graph is made of leaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leaves {
    /// Partitions, each with leaders of its own.
    pub(crate) partitions: usize,
    /// Candidates kept for each row.
    pub(crate) candidates: usize,
}

impl Graph {
    /// Links all rows of `space`; the graph must be empty. `progress` is told the number of rows linked now and then.
    pub(crate) fn grow<T: Component>(
        &mut self,
        isa: Isa,
        space: DenseView<'_, T>,
        params: &HnswParams,
        how: Leaves,
        progress: &(dyn Fn(usize) + Sync),
    ) {
        let rows = space.rows.len() as u32;
        let copies = first_copies(space, 0);
        self.links.push((0..rows).map(|_| 0));
        copies.iter().for_each(|(&copy, &first)| self.links.add_twin(first, copy));
        let set: Vec<u32> = (0..rows).filter(|slot| !copies.contains_key(slot)).collect();
        self.entry = set.first().copied();
        if set.is_empty() {
            return;
        }
        let mut lists = vec![Candidate::new(0.0, 0); rows as usize * how.candidates];
        let nearest: Vec<Mutex<Nearest>> = lists.chunks_exact_mut(how.candidates).map(Nearest::new).collect();
        let mut order = set.clone();
        for partition in 0..how.partitions {
            let leaves = leaves(isa, space, set.clone(), mix(params.seed ^ mix(partition as u64)));
            leaves.par_iter().for_each_init(Comparer::default, |comparer, leaf| {
                comparer.within(isa, space, leaf, |slot| &nearest[slot as usize]);
            });
            order = leaves.concat();
            progress(rows as usize * (partition + 1) / how.partitions);
        }
        let mut chosen = Lists::new(order.len(), params.m0);
        let tasks = order.par_iter().zip(chosen.par_iter_mut()).with_min_len(TASK_ROWS);
        tasks.for_each_init(Selection::default, |selection, (&slot, (out, size))| {
            let nearest = nearest[slot as usize].lock();
            *size = selection.choose_into(space, nearest.list().iter().copied(), params.m0, out);
        });
        self.settle(space, params, &order, &chosen);
    }
}
