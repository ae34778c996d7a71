//! Sets of rows compared with all of each other, and what each has met that was nearest.

use parking_lot::Mutex;
use rayon::prelude::*;

use crate::distance::Isa;
use crate::distance::prefetch::prefetch;
use crate::distance::simd::{Simd, Task, dispatch};
use crate::distance::tile::{Pairs, Panel, SIDE, Strip};
use crate::metric::ElementType;
use crate::pool::Candidate;
use crate::spec::Component;
use crate::vectors::dense::DenseView;

/// Distances scanned at once.
const LANES: usize = 32;

/// So many rows ahead one is asked for.
const AHEAD: usize = 6;

/// Bytes of a cache line.
const LINE: usize = 64;

/// Rows that [`exact`] compares its queries with in one task.
const TASK_ROWS: usize = 512;

/// Holds the rows `slots`.
#[inline(always)]
pub(super) fn fill<T: Component>(space: DenseView<'_, T>, slots: &[u32], panel: &mut Panel) {
    let row = |&slot: &u32| bytemuck::cast_slice::<T, u8>(space.row(slot));
    let rows = slots.iter().enumerate().map(|(index, slot)| {
        if let Some(next) = slots.get(index + AHEAD) {
            row(next).chunks(LINE).for_each(|line| prefetch(line.as_ptr()));
        }
        row(slot)
    });
    panel.fill(size_of_val(space.row(0)), T::TYPE == ElementType::I8, rows);
}

/// For each of `slots` its `keep` nearest rows, itself apart, nearest first. Cost: a distance per pair.
pub(crate) fn exact<T: Component>(
    isa: Isa,
    space: DenseView<'_, T>,
    slots: &[u32],
    keep: usize,
) -> Vec<Vec<Candidate>> {
    let mut lists = vec![Candidate::new(0.0, 0); slots.len() * keep];
    let nearest: Vec<Mutex<Nearest>> = lists.chunks_exact_mut(keep).map(Nearest::new).collect();
    let mut queries = Panel::default();
    fill(space, slots, &mut queries);
    let rows: Vec<u32> = (0..space.rows.len() as u32).collect();
    rows.par_chunks(TASK_ROWS).for_each_init(Comparer::default, |comparer, rows| {
        fill(space, rows, &mut comparer.panel);
        let Comparer { panel, scratch } = comparer;
        let each = |index: usize| &nearest[index];
        dispatch(isa, Compare { queries: (&queries, slots), rows: (panel, rows), each, scratch });
    });
    nearest.iter().map(|nearest| nearest.lock().list().to_vec()).collect()
}

/// The buffers of comparing leaves.
#[derive(Default)]
pub(super) struct Comparer {
    panel: Panel,
    scratch: Scratch,
}

#[derive(Default)]
struct Scratch {
    strip: Strip,
    distances: [Vec<f32>; SIDE],
    pairs: Pairs,
    met: Vec<Candidate>,
    merged: Vec<Candidate>,
}

impl Comparer {
    /// Compares all rows of a leaf with each other; `nearest` is where a slot keeps what it meets.
    pub(super) fn within<'a, 'n: 'a, T: Component>(
        &mut self,
        isa: Isa,
        space: DenseView<'_, T>,
        leaf: &[u32],
        nearest: impl Fn(u32) -> &'a Mutex<Nearest<'n>>,
    ) {
        fill(space, leaf, &mut self.panel);
        let each = |index: usize| nearest(leaf[index]);
        dispatch(isa, Within { panel: &self.panel, slots: leaf, each, scratch: &mut self.scratch });
    }
}

/// Compares rows with each other; each keeps what it meets.
struct Within<'a, E> {
    panel: &'a Panel,
    slots: &'a [u32],
    /// Where the row of a number keeps it.
    each: E,
    scratch: &'a mut Scratch,
}

impl<'a, 'n: 'a, E: Fn(usize) -> &'a Mutex<Nearest<'n>>> Task for Within<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Within { panel, slots, each, scratch } = self;
        let Scratch { strip, pairs, met, merged, .. } = scratch;
        panel.pairs(simd, strip, pairs);
        for index in 0..slots.len() {
            if index + AHEAD < slots.len() {
                prefetch(std::ptr::from_ref(each(index + AHEAD)));
            }
            each(index).lock().meet(simd, (pairs.row(index), slots), slots[index], met, merged);
        }
    }
}

/// Compares queries with rows, both with their slots; the queries keep what they meet.
struct Compare<'a, E> {
    queries: (&'a Panel, &'a [u32]),
    rows: (&'a Panel, &'a [u32]),
    /// Where the query of a number keeps it.
    each: E,
    scratch: &'a mut Scratch,
}

impl<'a, 'n: 'a, E: Fn(usize) -> &'a Mutex<Nearest<'n>>> Task for Compare<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Compare { queries, rows: (panel, slots), each, scratch } = self;
        let Scratch { strip, distances, met, merged, .. } = scratch;
        for first in (0..queries.1.len()).step_by(SIDE) {
            queries.0.strip(first, strip);
            panel.distances(simd, strip, distances);
            let count = queries.1.len();
            (first + AHEAD..count.min(first + AHEAD + SIDE)).for_each(|next| prefetch(std::ptr::from_ref(each(next))));
            for (index, distances) in (first..count).zip(&*distances) {
                each(index).lock().meet(simd, (distances, slots), queries.1[index], met, merged);
            }
        }
    }
}

/// The nearest rows that a row has met: `list[..len]`, sorted, each once.
pub(super) struct Nearest<'a> {
    list: &'a mut [Candidate],
    len: usize,
    /// What is at it or beyond would not stay; here, so that the list is read only when it changes.
    bound: f32,
}

impl<'a> Nearest<'a> {
    /// Keeps as many as `list` has room for.
    pub(super) fn new(list: &'a mut [Candidate]) -> Mutex<Self> {
        Mutex::new(Nearest { list, len: 0, bound: f32::INFINITY })
    }

    pub(super) fn list(&self) -> &[Candidate] {
        &self.list[..self.len]
    }

    /// Takes in rows with their distances to `own`, but for that one, by way of two buffers.
    #[inline(always)]
    fn meet<S: Simd>(
        &mut self,
        simd: S,
        (distances, slots): (&[f32], &[u32]),
        own: u32,
        met: &mut Vec<Candidate>,
        merged: &mut Vec<Candidate>,
    ) {
        met.clear();
        for (block, distances) in distances.as_chunks::<LANES>().0.iter().enumerate() {
            let mut below = simd.below(distances, self.bound);
            while below != 0 {
                let lane = below.trailing_zeros() as usize;
                below &= below - 1;
                let other = slots[block * LANES + lane];
                if other != own {
                    met.push(Candidate::new(distances[lane], other));
                }
            }
        }
        self.merge(met, merged);
    }

    /// Takes in what was `met`, which is left in disorder, by way of a buffer.
    fn merge(&mut self, met: &mut Vec<Candidate>, merged: &mut Vec<Candidate>) {
        let room = self.list.len();
        if met.len() > room {
            met.select_nth_unstable(room - 1);
            met.truncate(room);
        }
        met.sort_unstable();
        let Some(first) = met.first() else { return };
        // What is nearer than all that was met stays where it is.
        let start = self.list().partition_point(|kept| kept < first);
        merged.clear();
        merge_sorted(&self.list[start..self.len], met, room - start, merged);
        self.len = start + merged.len();
        self.list[start..self.len].copy_from_slice(merged);
        if self.len == room {
            self.bound = self.list[room - 1].distance();
        }
    }
}

/// The first `most` of two ascending lists, each once, in order. Without a branch on which is next: nothing foretells it.
fn merge_sorted(mut a: &[Candidate], mut b: &[Candidate], most: usize, out: &mut Vec<Candidate>) {
    while let ([first, ..], [second, ..]) = (a, b)
        && out.len() < most
    {
        out.push(*first.min(second));
        (a, b) = (&a[usize::from(first <= second)..], &b[usize::from(second <= first)..]);
    }
    let rest = if a.is_empty() { b } else { a };
    out.extend(&rest[..rest.len().min(most - out.len())]);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against all that was met, sorted.
    #[test]
    fn the_nearest_are_kept_each_once() {
        let mut state = 9_u64;
        for room in [1, 7, 40] {
            let mut list = vec![Candidate::new(0.0, 0); room];
            let (nearest, mut model, mut merged) = (Nearest::new(&mut list), Vec::new(), Vec::new());
            for count in [0, 3, 1, 60, 0, 9, 2, 25] {
                let draw = |_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let slot = (state >> 32) as u32 % 100;
                    Candidate::new((slot / 2) as f32, slot)
                };
                let mut met: Vec<Candidate> = (0..count).map(draw).collect();
                met.sort_unstable();
                met.dedup();
                model.extend_from_slice(&met);
                model.sort_unstable();
                model.dedup();
                met.reverse();
                let mut nearest = nearest.lock();
                nearest.merge(&mut met, &mut merged);
                assert_eq!(nearest.list(), &model[..model.len().min(room)]);
            }
        }
    }
}
