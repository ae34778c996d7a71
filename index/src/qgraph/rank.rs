//! From the nodes a walk found to hits: copies beside each node, distances from full vectors; and, where a walk found too little, the
//! nearest of all rows.

use half::slice::HalfFloatSliceExt;

use crate::distance::simd::{Simd, Task, dispatch};
use crate::ids::Slot;
use crate::quant::byte::ByteQuery;
use crate::query::Hit;
use crate::vectors::dense::{Line, Vectors};

use super::layout::Row;
use super::walk::{self, Walk};
use super::{QuantizedGraph, Run, isa};

/// The buffers of turning what was found into hits.
#[derive(Debug, Default)]
pub(super) struct Ranking {
    pub(super) slots: Vec<u32>,
    pub(super) distances: Vec<f32>,
    pub(super) query: Vec<Line>,
    pub(super) hits: Vec<Hit>,
    /// Rows that a scan could not rule out.
    pub(super) near: Vec<(f32, u32)>,
}

impl QuantizedGraph {
    /// Turns the nodes a walk found into the `k` nearest hits: copies beside each node, distances from full vectors.
    #[inline(always)]
    pub(super) fn rank(&self, walk: &Walk, k: usize, accept: &dyn Fn(Slot) -> bool, ranking: &mut Ranking) {
        ranking.hits.clear();
        for &(distance, node) in &walk.found {
            let copies = self.copies(node).filter(|&copy| self.twins.len() == 0 || accept(Slot(copy)));
            let room = walk.found.len().max(k) - ranking.hits.len();
            ranking.hits.extend(copies.take(room).map(|copy| Hit { slot: Slot(copy), distance }));
        }
        self.rescore(&walk.query, k, ranking);
    }

    /// Scores the hits from full vectors, where bytes are not exact, and keeps the `k` nearest.
    #[inline(always)]
    pub(super) fn rescore(&self, query: &[f32], k: usize, ranking: &mut Ranking) {
        let Ranking { slots, distances, query: buffer, hits, .. } = ranking;
        slots.clear();
        slots.extend(hits.iter().map(|hit| hit.slot.0));
        distances.resize(slots.len(), 0.0);
        match &self.full {
            None => {}
            Some(Vectors::F16(full)) => {
                let words = full.padded(buffer);
                words[..query.len()].convert_from_f32_slice(query);
                full.view().gather(words, slots, distances);
            }
            Some(Vectors::F32(full)) => {
                let words = full.padded(buffer);
                words[..query.len()].copy_from_slice(query);
                full.view().gather(words, slots, distances);
            }
            Some(_) => unreachable!("full vectors are floats"),
        }
        if self.full.is_some() {
            hits.iter_mut().zip(&*distances).for_each(|(hit, &distance)| hit.distance = distance);
            hits.sort_unstable_by(|a, b| a.distance.total_cmp(&b.distance).then(a.slot.cmp(&b.slot)));
        }
        hits.truncate(k);
    }

    /// Compares every row that is accepted: by bytes, and those that rounding may have put behind the `k` nearest by full vectors.
    #[cold]
    pub(super) fn scan(&self, walk: &mut Walk, run: &Run<'_>, ranking: &mut Ranking) {
        let k = run.limits.results;
        ranking.slots.clear();
        match run.mask {
            Some(mask) => ranking.slots.extend(mask.iter().map(|slot| slot.0)),
            None => ranking.slots.extend((0..self.len() as u32).filter(|&slot| (run.accept)(Slot(slot)))),
        }
        walk.counts.distances += ranking.slots.len() as u64;
        let Walk { query, bytes, found, .. } = walk;
        bytes.set(query, self.scale, self.spec.metric());
        dispatch(isa(), Scan { graph: self, bytes, slots: &ranking.slots, k, found, near: &mut ranking.near });
        ranking.hits.clear();
        ranking.hits.extend(found.iter().map(|&(distance, slot)| Hit { slot: Slot(slot), distance }));
        self.rescore(&walk.query, k, ranking);
    }
}

/// The nearest of many rows by their bytes.
struct Scan<'a> {
    graph: &'a QuantizedGraph,
    bytes: &'a ByteQuery,
    slots: &'a [u32],
    k: usize,
    found: &'a mut Vec<(f32, u32)>,
    near: &'a mut Vec<(f32, u32)>,
}

/// Rows asked for ahead of the one that is compared.
const AHEAD: usize = 4;

impl Task for Scan<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Scan { graph, bytes, slots, k, found, near } = self;
        found.clear();
        near.clear();
        let margin = |row: Row<'_>| if graph.full.is_some() { bytes.margin(row.terms()) } else { 0.0 };
        let mut reach = f32::INFINITY;
        for (at, &slot) in slots.iter().enumerate() {
            if let Some(&ahead) = slots.get(at + AHEAD) {
                walk::fetch(graph.row(ahead).front());
            }
            let row = graph.row(slot);
            let distance = bytes.distance(simd, row.vector(), row.terms());
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
                    reach = farthest + margin(graph.row(slot));
                }
            }
        }
        if graph.full.is_some() {
            found.clear();
            found.extend(near.iter().filter(|row| row.0 <= reach));
        }
    }
}
