//! Exact search: every row is compared. The oracle of all tests, and the right plan for few rows.

use crate::pool::{Candidate, Pool};
use crate::spec::Component;
use crate::vectors::dense::DenseView;

/// Rows whose distances are computed before any is looked at.
const BLOCK: usize = 256;

/// Leaves the `k` nearest rows for which `accept` holds in `pool`. Cost: one distance per row.
pub(crate) fn nearest<T: Component>(
    space: DenseView<'_, T>,
    query: &[T],
    k: usize,
    accept: impl Fn(u32) -> bool,
    pool: &mut Pool,
) {
    pool.reset(k);
    each(space, query, |candidate| {
        if candidate.distance() <= pool.bound() && accept(candidate.slot()) {
            pool.insert(candidate);
        }
    });
}

/// Leaves the `k` nearest of the rows `slots` in `pool`. Cost: one distance per row.
pub(crate) fn nearest_of<T: Component>(space: DenseView<'_, T>, query: &[T], k: usize, slots: &[u32], pool: &mut Pool) {
    pool.reset(k);
    let mut distances = [0.0; BLOCK];
    for block in slots.chunks(BLOCK) {
        let out = &mut distances[..block.len()];
        space.gather(query, block, out);
        for (&slot, &distance) in block.iter().zip(&*out) {
            if distance <= pool.bound() {
                pool.insert(Candidate::new(distance, slot));
            }
        }
    }
}

/// Hands every row with its distance to `take`, in row order.
pub(crate) fn each<T: Component>(space: DenseView<'_, T>, query: &[T], mut take: impl FnMut(Candidate)) {
    let mut distances = [0.0; BLOCK];
    for first in (0..space.rows.len()).step_by(BLOCK) {
        let out = &mut distances[..BLOCK.min(space.rows.len() - first)];
        space.kernels.scan(query, space.rows, first, out);
        for (offset, &distance) in out.iter().enumerate() {
            take(Candidate::new(distance, (first + offset) as u32));
        }
    }
}
