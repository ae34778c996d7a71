//! From the nodes a walk found to hits: copies beside each node, distances from full vectors; and, where a walk found too little, the
//! nearest of all rows. For every graph that is walked on codes.

use half::slice::HalfFloatSliceExt;

use crate::distance::simd::{Simd, Task, dispatch, isa};
use crate::graph::links::chain;
use crate::ids::Slot;
use crate::mask::Mask;
use crate::quant::byte::ByteQuery;
use crate::query::Hit;
use crate::vectors::dense::{Line, Vectors};

use super::walk::{self, Walk};
use super::{QuantizedGraph, Run};

/// The buffers of turning what was found into hits.
#[derive(Debug, Default)]
pub(crate) struct Ranking {
    pub(crate) slots: Vec<u32>,
    distances: Vec<f32>,
    query: Vec<Line>,
    pub(crate) hits: Vec<Hit>,
    /// Rows that a scan could not rule out.
    near: Vec<(f32, u32)>,
}

impl Ranking {
    /// Makes hits of the nodes a walk found, for `k` results: accepted copies beside each node; `twins` lead from one to the next.
    #[inline(always)]
    pub(crate) fn unfold(
        &mut self,
        found: &[(f32, u32)],
        k: usize,
        twins: &[u32],
        accept: &(impl Fn(Slot) -> bool + ?Sized),
    ) {
        self.hits.clear();
        for &(distance, node) in found {
            let copies = chain(twins, node, twins.len().max(1)).filter(|&copy| twins.is_empty() || accept(Slot(copy)));
            let room = found.len().max(k) - self.hits.len();
            self.hits.extend(copies.take(room).map(|copy| Hit { slot: Slot(copy), distance }));
        }
    }

    /// Scores the hits from `full` vectors, where codes are not exact, and keeps the `k` nearest. Leaves in `slots` what was scored.
    #[inline(always)]
    pub(crate) fn rescore(&mut self, full: Option<&Vectors>, query: &[f32], k: usize) {
        let Ranking { slots, distances, query: buffer, hits, .. } = self;
        slots.clear();
        if let Some(full) = full {
            slots.extend(hits.iter().map(|hit| hit.slot.0));
            distances.resize(slots.len(), 0.0);
            match full {
                Vectors::F16(full) => {
                    let words = full.padded(buffer);
                    words[..query.len()].convert_from_f32_slice(query);
                    full.view().gather(words, slots, distances);
                }
                Vectors::F32(full) => {
                    let words = full.padded(buffer);
                    words[..query.len()].copy_from_slice(query);
                    full.view().gather(words, slots, distances);
                }
                _ => unreachable!("full vectors are floats"),
            }
            hits.iter_mut().zip(&*distances).for_each(|(hit, &distance)| hit.distance = distance);
            hits.sort_unstable_by(|a, b| a.distance.total_cmp(&b.distance).then(a.slot.cmp(&b.slot)));
        }
        hits.truncate(k);
    }

    /// Makes hits of the `k` nearest of those rows of `mask`, or of all `rows` without one, that are accepted, and of those that errors may
    /// have put behind them; returns how many were compared.
    #[cold]
    pub(crate) fn scan(
        &mut self,
        by: impl Compare,
        k: usize,
        (mask, rows): (Option<&Mask>, usize),
        accept: &dyn Fn(Slot) -> bool,
        found: &mut Vec<(f32, u32)>,
    ) -> u64 {
        let slots = &mut self.slots;
        slots.clear();
        match mask {
            Some(mask) => slots.extend(mask.iter().map(|slot| slot.0)),
            None => slots.extend((0..rows as u32).filter(|&slot| accept(Slot(slot)))),
        }
        dispatch(isa(), Scan { by, slots, k, found, near: &mut self.near });
        self.hits.clear();
        self.hits.extend(found.iter().map(|&(distance, slot)| Hit { slot: Slot(slot), distance }));
        slots.len() as u64
    }
}

/// What rows are compared by, one by one.
pub(crate) trait Compare {
    /// Whether results are scored again, so that those are kept that errors may have put behind the nearest.
    fn errs(&self) -> bool;

    /// The distance to a row.
    fn distance<S: Simd>(&self, simd: S, slot: u32) -> f32;

    /// By how much two such distances may be in the wrong order, of which that of `slot` is one.
    fn margin(&self, slot: u32) -> f32;

    /// Asks for what a row's distance reads.
    fn fetch(&self, slot: u32);
}

/// The bytes of a quantized graph.
struct Bytes<'a> {
    graph: &'a QuantizedGraph,
    query: &'a ByteQuery,
}

impl Compare for Bytes<'_> {
    #[inline(always)]
    fn errs(&self) -> bool {
        self.graph.full.is_some()
    }

    #[inline(always)]
    fn distance<S: Simd>(&self, simd: S, slot: u32) -> f32 {
        let row = self.graph.row(slot);
        self.query.distance(simd, row.vector(), row.terms())
    }

    #[inline(always)]
    fn margin(&self, slot: u32) -> f32 {
        self.query.margin(self.graph.row(slot).terms())
    }

    #[inline(always)]
    fn fetch(&self, slot: u32) {
        walk::fetch(self.graph.row(slot).front());
    }
}

impl QuantizedGraph {
    /// Turns the nodes a walk found into the `k` nearest hits: copies beside each node, distances from full vectors.
    #[inline(always)]
    pub(super) fn rank(&self, walk: &Walk, k: usize, accept: &dyn Fn(Slot) -> bool, ranking: &mut Ranking) {
        ranking.unfold(&walk.found, k, self.twins.as_slice(), accept);
        ranking.rescore(self.full.as_ref(), &walk.query, k);
    }

    /// Compares every row that is accepted: by bytes, and those that rounding may have put behind the `k` nearest by full vectors.
    #[cold]
    pub(super) fn scan(&self, walk: &mut Walk, run: &Run<'_>, ranking: &mut Ranking) {
        let k = run.limits.results;
        let Walk { query, bytes, found, counts, .. } = walk;
        bytes.set(query, self.scale, self.spec.metric());
        let by = Bytes { graph: self, query: bytes };
        counts.distances += ranking.scan(by, k, (run.mask, self.len()), run.accept, found);
        ranking.rescore(self.full.as_ref(), query, k);
    }
}

/// The nearest of many rows.
struct Scan<'a, C> {
    by: C,
    slots: &'a [u32],
    k: usize,
    found: &'a mut Vec<(f32, u32)>,
    near: &'a mut Vec<(f32, u32)>,
}

/// Rows asked for ahead of the one that is compared.
const AHEAD: usize = 4;

impl<C: Compare> Task for Scan<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Scan { by, slots, k, found, near } = self;
        found.clear();
        near.clear();
        let mut reach = f32::INFINITY;
        for (at, &slot) in slots.iter().enumerate() {
            if let Some(&ahead) = slots.get(at + AHEAD) {
                by.fetch(ahead);
            }
            let distance = by.distance(simd, slot);
            if distance > reach {
                continue;
            }
            near.push((distance, slot));
            if found.len() < k || distance < found[k - 1].0 {
                found.truncate(k - 1);
                // Rows come in order: of equal ones the first stays before.
                let place = found.partition_point(|kept| kept.0 <= distance);
                found.insert(place, (distance, slot));
                if let Some(&(farthest, slot)) = found.get(k - 1) {
                    reach = farthest + if by.errs() { by.margin(slot) } else { 0.0 };
                }
            }
        }
        if by.errs() {
            found.clear();
            found.extend(near.iter().filter(|row| row.0 <= reach));
        }
    }
}
