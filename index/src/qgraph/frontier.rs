//! The candidates of a walk over estimates: appended as they come, the nearest taken by a scan.
//!
//! A walk expands a few dozen nodes and meets some ten candidates at each. Keeping them sorted costs a search and a move for every one;
//! here a hop appends all its lanes by one compression, and one pass over the distances, a handful of registers, finds the next.
//! Candidates beyond the bound of the walk are cleared away whenever the list has doubled or the bound has fallen; where more are left
//! than the walk will take out, the farthest of those it may sets a limit to what is added.
//!
//! A node may stand here several times, with the estimates of several neighbours: the least comes first, and a walk skips the others.

use crate::distance::fastscan::LANES;
use crate::distance::simd::Simd;

/// Length at which candidates beyond the bound are first looked for.
const FIRST_CLEARING: usize = 128;

/// A bound that has fallen to this part of what it was leaves much to clear away.
const CLEARING_PART: f32 = 0.9;

/// Candidates kept at most, after a clearing: without a bound, a walk that has no `k` results yet meets 32 per hop.
const MOST: usize = 1024;

/// Candidates with their estimated distances, in no order.
#[derive(Debug, Default)]
pub(crate) struct Frontier {
    /// Infinite from `len` on; always a multiple of 16 of them, and room for a block.
    distances: Vec<f32>,
    slots: Vec<u32>,
    len: usize,
    /// Length at which to clear away what is beyond the bound.
    clear_at: usize,
    /// Candidates kept at a clearing.
    most: usize,
    /// For the distances among which a median is sought.
    sorted: Vec<f32>,
    /// The bound of the last clearing.
    cleared: f32,
    /// As many as need be kept are nearer than this.
    limit: f32,
}

impl Frontier {
    /// Empties it, for a walk that takes out at most `pops` of its candidates: more than those nearest need not be kept.
    pub(crate) fn clear(&mut self, pops: usize) {
        let room = 2 * MOST + 2 * LANES;
        self.distances.resize(room, f32::INFINITY);
        self.slots.resize(room, 0);
        self.distances[..self.len].fill(f32::INFINITY);
        (self.len, self.clear_at, self.cleared) = (0, FIRST_CLEARING, f32::INFINITY);
        self.most = pops.min(MOST);
        self.limit = f32::INFINITY;
    }

    /// What is at it or beyond will not be taken out, and need not be added.
    #[inline(always)]
    pub(crate) fn limit(&self) -> f32 {
        self.limit
    }

    /// Adds the lanes of `mask`, all below `bound`.
    #[inline(always)]
    pub(crate) fn extend<S: Simd>(&mut self, simd: S, mask: u32, from: (&[f32; LANES], &[u32; LANES]), bound: f32) {
        if self.len >= self.clear_at || bound < CLEARING_PART * self.cleared {
            self.shorten(simd, bound);
        }
        self.append(simd, mask, from);
    }

    #[inline(always)]
    fn append<S: Simd>(&mut self, simd: S, mask: u32, from: (&[f32; LANES], &[u32; LANES])) {
        let distances = self.distances[self.len..].first_chunk_mut().expect("room for a block");
        let slots = self.slots[self.len..].first_chunk_mut().expect("room for a block");
        simd.compress(mask, from, (distances, slots));
        self.len += mask.count_ones() as usize;
    }

    /// Adds one candidate.
    pub(crate) fn push(&mut self, distance: f32, slot: u32) {
        (self.distances[self.len], self.slots[self.len]) = (distance, slot);
        self.len += 1;
    }

    /// Takes out the nearest, with its estimate.
    #[inline(always)]
    pub(crate) fn pop<S: Simd>(&mut self, simd: S) -> Option<(f32, u32)> {
        if self.len == 0 {
            return None;
        }
        let at = simd.least(&self.distances[..self.len.next_multiple_of(16)]);
        let nearest = (self.distances[at], self.slots[at]);
        self.len -= 1;
        (self.distances[at], self.slots[at]) = (self.distances[self.len], self.slots[self.len]);
        self.distances[self.len] = f32::INFINITY;
        Some(nearest)
    }

    /// Drops what is beyond `bound`, and all but the nearest where there are more than need be kept.
    #[inline(always)]
    fn shorten<S: Simd>(&mut self, simd: S, bound: f32) {
        self.retain(simd, bound);
        if self.len > self.most {
            self.sorted.clear();
            self.sorted.extend(&self.distances[..self.len]);
            let (_, &mut farthest, _) = self.sorted.select_nth_unstable_by(self.most, f32::total_cmp);
            self.retain(simd, farthest);
            self.limit = farthest;
        }
        (self.clear_at, self.cleared) = ((2 * self.len).max(FIRST_CLEARING), bound.min(self.limit));
    }

    /// Keeps what is below `bound`, in order.
    #[inline(always)]
    fn retain<S: Simd>(&mut self, simd: S, bound: f32) {
        let len = std::mem::take(&mut self.len);
        for at in (0..len).step_by(LANES) {
            let distances: [f32; LANES] = *self.distances[at..].first_chunk().expect("room for a block");
            let slots: [u32; LANES] = *self.slots[at..].first_chunk().expect("room for a block");
            // What lies behind the end is infinite, and below no bound.
            self.append(simd, simd.below(&distances, bound), (&distances, &slots));
        }
        let end = len.next_multiple_of(LANES);
        self.distances[self.len..end].fill(f32::INFINITY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distance::Isa;
    use crate::distance::simd::{Task, dispatch};

    /// Blocks of seeded candidates, popped now and then: what comes out is what a sorted list would give.
    struct Model(u64);

    impl Task for Model {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) {
            let (mut state, mut frontier, mut model) = (self.0, Frontier::default(), Vec::<f32>::new());
            let mut draw = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) as u32
            };
            frontier.clear(usize::MAX);
            for round in 0..400 {
                let bound = 1e9 / (1.0 + round as f32 / 40.0);
                let distances: [f32; LANES] = std::array::from_fn(|_| draw() as f32);
                let slots = distances.map(|distance| distance as u32);
                let mask = (0..LANES).filter(|&lane| distances[lane] < bound).fold(0, |mask, lane| mask | 1 << lane);
                frontier.extend(simd, mask, (&distances, &slots), bound);
                model.extend(distances.iter().filter(|&&distance| distance < bound));
                model.sort_by(f32::total_cmp);
                for _ in 0..draw() % 9 {
                    let expected = (!model.is_empty()).then(|| model.remove(0));
                    let found = frontier.pop(simd);
                    // Beyond the bound either may be missing: the walk would not take it.
                    if expected.is_some_and(|distance| distance < bound) {
                        assert_eq!(found.map(|found| found.0), expected, "round {round}");
                        assert!(found.is_some_and(|(distance, slot)| distance as u32 == slot));
                    } else {
                        break;
                    }
                }
            }
        }
    }

    #[test]
    fn the_nearest_comes_first() {
        for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
            (0..5).for_each(|seed| dispatch(isa, Model(seed)));
        }
    }

    /// What is left out for the limit would not have been taken out.
    #[test]
    fn the_limit_leaves_out_what_is_not_taken_out() {
        const POPS: usize = 40;
        struct Limited(u64);
        impl Task for Limited {
            type Output = ();
            #[inline(always)]
            fn run<S: Simd>(self, simd: S) {
                let (mut state, mut frontier, mut model) = (self.0, Frontier::default(), Vec::new());
                frontier.clear(POPS);
                for _ in 0..60 {
                    let distances: [f32; LANES] = std::array::from_fn(|_| {
                        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                        (state >> 33) as f32
                    });
                    model.extend(distances);
                    let bound = frontier.limit();
                    frontier.extend(simd, simd.below(&distances, bound), (&distances, &[7; LANES]), bound);
                }
                assert!(frontier.limit() < f32::INFINITY && frontier.len < model.len() / 2, "much is left out");
                model.sort_by(f32::total_cmp);
                for expected in &model[..POPS] {
                    assert_eq!(frontier.pop(simd).map(|found| found.0), Some(*expected), "seed {}", self.0);
                }
            }
        }
        for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
            (0..5).for_each(|seed| dispatch(isa, Limited(seed)));
        }
    }

    #[test]
    fn the_longest_list_keeps_the_nearest() {
        let mut frontier = Frontier::default();
        frontier.clear(40);
        struct Fill<'a>(&'a mut Frontier);
        impl Task for Fill<'_> {
            type Output = f32;
            #[inline(always)]
            fn run<S: Simd>(self, simd: S) -> f32 {
                for block in 0..200 {
                    let distances = std::array::from_fn(|lane| (block * 32 + 31 - lane) as f32);
                    self.0.extend(simd, u32::MAX, (&distances, &[7; LANES]), f32::INFINITY);
                }
                self.0.pop(simd).unwrap().0
            }
        }
        assert_eq!(dispatch(Isa::Scalar, Fill(&mut frontier)), 0.0);
    }
}
