//! Cutting a set of rows into leaves of rows near each other.
//!
//! Leaders are drawn from the set and every row joins the nearest; a part that is still too large is cut again (random ball carving,
//! HCNNG and PiPNN, arXiv:2602.21247). Another seed draws other leaders, so rows parted at one border meet in another partition.

use rayon::prelude::*;

use crate::distance::Isa;
use crate::distance::simd::{Simd, Task, dispatch};
use crate::distance::tile::{Panel, Tiles};
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
    let leaders = drawn(&set, (set.len() / ROWS_PER_LEADER).clamp(2, MAX_LEADERS), seed);
    let mut parts: Vec<Part> = leaders.into_iter().map(|leader| (leader, Vec::new())).collect();
    join(isa, space, &set, &mut parts);
    let is_large = |part: &Part| part.1.len() >= LEAST_ROWS;
    if parts.iter().filter(|part| is_large(part)).count() < 2 {
        // Rows too much alike to be cut by distance.
        return set.chunks(LEAF_ROWS).map(<[u32]>::to_vec).collect();
    }
    drop(set);
    // Of the leaders that are left, the others' is still the nearest.
    let given: Vec<u32> = parts.extract_if(.., |part| !is_large(part)).flat_map(|part| part.1).collect();
    join(isa, space, &given, &mut parts);
    parts.into_par_iter().flat_map_iter(|(_, rows)| leaves(isa, space, rows, seed)).collect()
}

/// A leader, and the rows that join it.
type Part = (u32, Vec<u32>);

/// Puts each slot of `set` into the part of its nearest leader.
fn join<T: Component>(isa: Isa, space: DenseView<'_, T>, set: &[u32], parts: &mut [Part]) {
    let leaders: Vec<u32> = parts.iter().map(|part| part.0).collect();
    let nearest = assign(isa, space, set, &leaders);
    set.iter().zip(nearest).for_each(|(&slot, leader)| parts[usize::from(leader)].1.push(slot));
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
        let (mut panel, mut tiles) = (Panel::default(), Tiles::default());
        fill(self.space, self.slots, &mut panel);
        let mut nearest = Vec::with_capacity(self.slots.len());
        tiles.compare(simd, &panel, self.leaders, |_, distances| nearest.push(simd.least(distances) as u16));
        nearest
    }
}
