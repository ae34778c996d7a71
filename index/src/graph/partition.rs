//! Cutting a set of rows into leaves of rows near each other.
//!
//! Leaders are drawn from the set and every row joins the nearest; a part that is still too large is cut again (random ball carving,
//! HCNNG and PiPNN, arXiv:2602.21247). Another seed draws other leaders, so rows parted at one border meet in another partition.

use rayon::prelude::*;

use crate::distance::Isa;
use crate::distance::simd::{Simd, Task, dispatch};
use crate::distance::tile::{Panel, SIDE, Strip};
use crate::spec::Component;
use crate::vectors::dense::DenseView;

use super::compare::fill;
use super::level::mix;

/// A part of at most so many rows is a leaf.
pub(super) const LEAF_ROWS: usize = 512;

/// Rows per leader that a cut aims at: parts are of uneven size.
const ROWS_PER_LEADER: usize = LEAF_ROWS / 2;

/// Leaders of one cut at most.
const MAX_LEADERS: usize = 64;

/// A leader with fewer rows gives them to others.
const LEAST_ROWS: usize = LEAF_ROWS / 16;

/// Rows that a task compares with the leaders.
const TASK_ROWS: usize = 1024;

/// The leaves of `set`: each of its slots in one of them. Depends on the seed and the set alone.
pub(super) fn leaves<T: Component>(isa: Isa, space: DenseView<'_, T>, set: Vec<u32>, seed: u64) -> Vec<Vec<u32>> {
    if set.len() <= LEAF_ROWS {
        return vec![set];
    }
    let seed = mix(seed);
    let mut leaders = drawn(&set, (set.len() / ROWS_PER_LEADER).clamp(2, MAX_LEADERS), seed);
    let mut nearest = assign(isa, space, &set, &leaders);
    let mut sizes = vec![0_usize; leaders.len()];
    nearest.iter().for_each(|&leader| sizes[usize::from(leader)] += 1);
    let large = |size: &usize| *size >= LEAST_ROWS;
    if sizes.iter().filter(|size| large(size)).count() < 2 {
        // Rows too much alike to be cut by distance.
        return set.chunks(LEAF_ROWS).map(<[u32]>::to_vec).collect();
    }
    let mut kept = sizes.iter().map(large);
    leaders.retain(|_| kept.next().expect("as many sizes as leaders"));
    if leaders.len() < sizes.len() {
        nearest = assign(isa, space, &set, &leaders);
    }
    let mut parts: Vec<Vec<u32>> = vec![Vec::new(); leaders.len()];
    set.iter().zip(&nearest).for_each(|(&slot, &leader)| parts[usize::from(leader)].push(slot));
    drop((set, nearest));
    parts.into_par_iter().flat_map_iter(|part| leaves(isa, space, part, seed)).collect()
}

/// `count` of the slots, drawn from the seed.
fn drawn(set: &[u32], count: usize, seed: u64) -> Vec<u32> {
    let mut keys: Vec<(u64, u32)> = set.iter().map(|&slot| (mix(seed ^ u64::from(slot)), slot)).collect();
    keys.select_nth_unstable(count - 1);
    keys.truncate(count);
    let mut slots: Vec<u32> = keys.into_iter().map(|key| key.1).collect();
    slots.sort_unstable();
    slots
}

/// For each slot of `set`, the number of its nearest leader.
fn assign<T: Component>(isa: Isa, space: DenseView<'_, T>, set: &[u32], leaders: &[u32]) -> Vec<u16> {
    let mut panel = Panel::default();
    fill(space, leaders, &mut panel);
    let task = |slots: &[u32]| dispatch(isa, Assign { space, slots, leaders: &panel });
    set.par_chunks(TASK_ROWS).flat_map_iter(task).collect()
}

struct Assign<'a, T: Component> {
    space: DenseView<'a, T>,
    slots: &'a [u32],
    leaders: &'a Panel,
}

impl<T: Component> Task for Assign<'_, T> {
    type Output = Vec<u16>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Vec<u16> {
        let (mut panel, mut strip, mut distances) = (Panel::default(), Strip::default(), Default::default());
        fill(self.space, self.slots, &mut panel);
        let mut nearest = Vec::with_capacity(self.slots.len());
        for first in (0..panel.len()).step_by(SIDE) {
            panel.strip(first, &mut strip);
            self.leaders.distances(simd, &strip, &mut distances);
            let rows = SIDE.min(panel.len() - first);
            nearest.extend(distances[..rows].iter().map(|distances| simd.least(distances) as u16));
        }
        nearest
    }
}
