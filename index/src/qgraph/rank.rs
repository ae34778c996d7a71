//! From the nodes a walk found to hits: copies beside each node, distances from full vectors; and, where a walk found too little, the
//! nearest of all rows. For every graph that is walked on codes.

use half::slice::HalfFloatSliceExt;

use crate::compare::{Compare, Nearest};
use crate::distance::simd::{Simd, Task, dispatch, isa};
use crate::graph::links::chain;
use crate::ids::Slot;
use crate::quant::byte::ByteQuery;
use crate::query::Hit;
use crate::sketch::{self, Counts, Eligible, Share, Sketch, Sketching, Wanted};
use crate::vectors::dense::{Line, Vectors};

use super::QuantizedGraph;
use super::search::Run;
use super::walk::{self, Walk};

/// The buffers of turning what was found into hits.
#[derive(Debug, Default)]
pub(crate) struct Ranking {
    pub(crate) slots: Vec<u32>,
    distances: Vec<f32>,
    query: Vec<Line>,
    pub(crate) hits: Vec<Hit>,
    nearest: Nearest,
    sketching: Sketching,
}

impl Ranking {
    /// Forgets what was found.
    pub(crate) fn clear(&mut self) {
        self.hits.clear();
        self.slots.clear();
    }

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

    /// Makes hits of the `k` nearest of those `rows` that are eligible, and of those that errors may have put behind them: with a sketch of the
    /// rows, and the part of the nearest that is to be found, by what it leaves, and else by comparing each.
    #[cold]
    pub(crate) fn scan(
        &mut self,
        by: impl Compare,
        (query, k): (&[f32], usize),
        (eligible, rows): (Eligible<'_>, usize),
        sketch: Option<(&Sketch, f32)>,
    ) -> Counts {
        let Ranking { slots, nearest, sketching, hits, .. } = self;
        let counts = match sketch {
            Some((sketch, recall)) => {
                let wanted = Wanted { recall, ..Wanted::all(k) };
                sketch::scan(&[Share { sketch, by, eligible }], query, wanted, sketching, nearest);
                sketching.counts(0)
            }
            None => {
                eligible.list(rows, slots);
                nearest.reset(k, f32::INFINITY);
                dispatch(isa(), Scan { by: &by, slots, nearest });
                Counts { estimates: 0, distances: slots.len() as u64 }
            }
        };
        hits.clear();
        hits.extend(nearest.rows().iter().map(|&(distance, slot)| Hit { slot: Slot(slot), distance }));
        counts
    }
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

    /// Compares the rows that are accepted: by bytes, and those that rounding may have put behind the `k` nearest by full vectors.
    #[cold]
    pub(super) fn scan(&self, walk: &mut Walk, run: &Run<'_>, ranking: &mut Ranking) {
        let k = run.limits.results;
        let Walk { query, bytes, counts, .. } = walk;
        bytes.set(query, self.scale, self.spec.metric());
        let by = Bytes { graph: self, query: bytes };
        let scanned = ranking.scan(by, (query, k), (run.eligible(), self.len()), run.sketch);
        counts.estimates += scanned.estimates;
        counts.distances += scanned.distances;
        ranking.rescore(self.full.as_ref(), query, k);
    }
}

/// The nearest of many rows.
struct Scan<'a, C> {
    by: &'a C,
    slots: &'a [u32],
    nearest: &'a mut Nearest,
}

/// Rows asked for ahead of the one that is compared.
const AHEAD: usize = 4;

impl<C: Compare> Task for Scan<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Scan { by, slots, nearest } = self;
        for (at, &slot) in slots.iter().enumerate() {
            if let Some(&ahead) = slots.get(at + AHEAD) {
                by.fetch(ahead);
            }
            nearest.take(by, slot, by.distance(simd, slot));
        }
    }
}
