//! The first graph, made of comparisons within leaves.
//!
//! Instead of a search for each row, all rows of a leaf are compared with each other, a tile at a time, and each keeps the nearest it
//! has met in a few partitions (PiPNN, arXiv:2602.21247). Rows lie side by side and every byte loaded is used again, so a distance
//! costs a tenth of what it does in a search; and leaves do not wait for each other as the batches of an insertion do.

use parking_lot::Mutex;
use rayon::prelude::*;

use crate::distance::Isa;
use crate::distance::simd::{Simd, Task, dispatch};
use crate::distance::tile::{Panel, SIDE, Strip};
use crate::metric::ElementType;
use crate::params::HnswParams;
use crate::pool::Candidate;
use crate::spec::Component;
use crate::vectors::dense::DenseView;

use super::Graph;
use super::build::{TASK_ROWS, first_copies};
use super::level::mix;
use super::partition::leaves;
use super::select::{Chosen, Selection};

/// Distances scanned at once.
const LANES: usize = 32;

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
            leaves.par_iter().for_each_init(Buffers::default, |buffers, leaf| {
                dispatch(isa, Compare { space, leaf, nearest: &nearest, buffers });
            });
            order = leaves.concat();
            progress(rows as usize * (partition + 1) / how.partitions);
        }
        let chosen: Vec<Chosen> = order
            .par_iter()
            .with_min_len(TASK_ROWS)
            .map_init(Selection::default, |selection, &slot| {
                let nearest = nearest[slot as usize].lock();
                selection.choose(space, nearest.list[..nearest.len].iter().copied(), params.m0, params.m0)
            })
            .collect();
        self.settle(space, params, &order, &chosen);
    }
}

/// Holds the rows `slots`.
#[inline(always)]
pub(super) fn fill<T: Component>(space: DenseView<'_, T>, slots: &[u32], panel: &mut Panel) {
    let rows = slots.iter().map(|&slot| bytemuck::cast_slice::<T, u8>(space.row(slot)));
    panel.fill(size_of_val(space.row(0)), T::TYPE == ElementType::I8, rows);
}

#[derive(Default)]
struct Buffers {
    panel: Panel,
    strip: Strip,
    distances: [Vec<f32>; SIDE],
    met: Vec<Candidate>,
}

/// Compares all rows of a leaf.
struct Compare<'a, 'n, T: Component> {
    space: DenseView<'a, T>,
    leaf: &'a [u32],
    nearest: &'a [Mutex<Nearest<'n>>],
    buffers: &'a mut Buffers,
}

impl<T: Component> Task for Compare<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Compare { space, leaf, nearest, buffers: Buffers { panel, strip, distances, met } } = self;
        fill(space, leaf, panel);
        for first in (0..leaf.len()).step_by(SIDE) {
            panel.strip(first, strip);
            panel.distances(simd, strip, distances);
            for (&slot, distances) in leaf[first..].iter().zip(&*distances) {
                let mut nearest = nearest[slot as usize].lock();
                let bound = nearest.bound();
                met.clear();
                for (block, distances) in distances.as_chunks::<LANES>().0.iter().enumerate() {
                    let mut below = simd.below(distances, bound);
                    while below != 0 {
                        let lane = below.trailing_zeros() as usize;
                        below &= below - 1;
                        let other = leaf[block * LANES + lane];
                        if other != slot {
                            met.push(Candidate::new(distances[lane], other));
                        }
                    }
                }
                nearest.merge(met);
            }
        }
    }
}

/// The nearest rows that a row has met: `list[..len]`, sorted, each once.
struct Nearest<'a> {
    list: &'a mut [Candidate],
    len: usize,
}

impl<'a> Nearest<'a> {
    fn new(list: &'a mut [Candidate]) -> Mutex<Self> {
        Mutex::new(Nearest { list, len: 0 })
    }

    /// What is not below it would not stay.
    fn bound(&self) -> f32 {
        if self.len < self.list.len() { f32::INFINITY } else { self.list[self.len - 1].distance() }
    }

    /// Takes in what was `met`, which is left in disorder.
    fn merge(&mut self, met: &mut Vec<Candidate>) {
        let room = self.list.len();
        if met.len() > room {
            met.select_nth_unstable(room - 1);
            met.truncate(room);
        }
        met.extend_from_slice(&self.list[..self.len]);
        met.sort_unstable();
        met.dedup();
        self.len = met.len().min(room);
        self.list[..self.len].copy_from_slice(&met[..self.len]);
    }
}
