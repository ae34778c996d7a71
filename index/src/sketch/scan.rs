//! A scan over a sketch: every row is estimated, and those that may be among the nearest are compared.
//!
//! Two passes. The first estimates all blocks and keeps a few rows more than are wanted, the nearest by their estimates; these are
//! compared, and from then on the k-th distance is nearly what it will be. The second goes over the estimates, which are some bytes a row
//! by now, and compares whatever row's lower bound is within the k-th distance so far.
//!
//! The lower bound. `⟨x, q⟩` for a query `q` and the code `x` of a row is off by the part of `x` across the row times that of `q`. The
//! first is known of each row; its direction is random, so the product has a standard deviation of `deviation` times the length of `q`
//! across the row. That length is no more than the distance from `q` to the row: of a row within the k-th distance, which is all that
//! matters here, it is at most that distance. This is what makes near neighbours cheap, where RaBitQ's own bound takes the length of
//! `q` whole. On top come the steps of the table and what half floats round off.

use crate::compare::{Compare, Nearest};
use crate::distance::fastscan::{LANES, Table};
use crate::distance::simd::{Simd, Task, dispatch, isa};
use crate::ids::Slot;
use crate::mask::Mask;
use crate::metric::Metric;
use crate::pool::{Candidate, Pool};
use crate::quant::frame::square_of;

use super::Sketch;

/// Standard deviations by which an estimate may be too large: beyond it is one of 700 rows at the k-th distance, and none much nearer.
const SURE: f32 = 3.0;

/// Half a unit in the last place of a half float, of both factors of a row.
const ROUNDED: f32 = 1.0 / 2048.0;

/// Rows that are asked for before the first of them is compared.
const AHEAD: usize = 16;

/// The buffers of scans on one thread.
#[derive(Debug, Default)]
pub(crate) struct Sketching {
    rotated: Vec<f32>,
    table: Table,
    estimates: Vec<[f32; LANES]>,
    best: Pool,
    slots: Vec<u32>,
}

/// Which rows may be found.
#[derive(Clone, Copy)]
pub(crate) enum Eligible<'a> {
    /// Those that are let through. It is asked of few.
    If(&'a dyn Fn(Slot) -> bool),
    /// These.
    Of(&'a Mask),
}

impl Eligible<'_> {
    /// The lanes of a block that may be.
    #[inline(always)]
    fn lanes(&self, block: usize) -> u32 {
        match self {
            Eligible::If(_) => u32::MAX,
            Eligible::Of(mask) => (mask.words()[block / 2] >> (32 * (block % 2))) as u32,
        }
    }

    /// Rows of `sketch` that are estimated.
    pub(crate) fn estimated(&self, sketch: &Sketch) -> usize {
        match self {
            Eligible::If(_) => sketch.len(),
            Eligible::Of(mask) => Sketch::blocks_of(mask) * LANES,
        }
    }

    /// Puts those of `rows` rows into `slots`, in order.
    pub(crate) fn list(&self, rows: usize, slots: &mut Vec<u32>) {
        slots.clear();
        match self {
            Eligible::If(accept) => slots.extend((0..rows as u32).filter(|&slot| accept(Slot(slot)))),
            Eligible::Of(mask) => slots.extend(mask.iter().map(|slot| slot.0)),
        }
    }

    /// Whether a row of those lanes is.
    #[inline(always)]
    fn accepts(&self, slot: u32) -> bool {
        match self {
            Eligible::If(accept) => accept(Slot(slot)),
            Eligible::Of(_) => true,
        }
    }
}

/// What a scan did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Rows estimated.
    pub(crate) estimates: u64,
    /// Rows compared.
    pub(crate) distances: u64,
}

impl Sketch {
    /// Leaves those rows in `nearest` that are among the `k` nearest to `query` of the eligible ones, by distances of `by`; only rows
    /// within `within` need be there. `query` is as rows were when they were sketched: scaled to length one under cosine.
    pub(crate) fn scan(
        &self,
        by: &impl Compare,
        query: &[f32],
        (k, within): (usize, f32),
        eligible: Eligible<'_>,
        buffers: &mut Sketching,
        nearest: &mut Nearest,
    ) -> Counts {
        if let Eligible::Of(mask) = eligible {
            assert_eq!(mask.rows(), self.rows, "a mask of these rows");
        }
        nearest.reset(k, within);
        dispatch(isa(), Scan { sketch: self, by, query, k, eligible, buffers, nearest })
    }

    /// Hands the estimates of 32 rows after another to `take`, with the first of these rows.
    pub(crate) fn estimates(&self, query: &[f32], take: impl FnMut(u32, &[f32])) {
        dispatch(isa(), Estimates { sketch: self, query, take });
    }

    /// Sets the table of `query`; what all estimates have in common, and the query's distance from the centre.
    #[inline(always)]
    fn ask<S: Simd>(&self, simd: S, query: &[f32], rotated: &mut Vec<f32>, table: &mut Table) -> (f32, f32) {
        let with_centre = self.frame.enter(simd, query, rotated);
        table.set(simd, rotated);
        let square = square_of(rotated);
        let common = match self.metric {
            Metric::Dot => -with_centre,
            Metric::L2 => square,
            // Of vectors of length one, ½‖a − b‖² = 1 − ⟨a, b⟩.
            _ => 0.5 * square,
        };
        (common, square.sqrt())
    }
}

struct Estimates<'a, F> {
    sketch: &'a Sketch,
    query: &'a [f32],
    take: F,
}

impl<F: FnMut(u32, &[f32])> Task for Estimates<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Estimates { sketch, query, mut take } = self;
        let (mut table, mut out) = (Table::default(), [0.0; LANES]);
        let (common, _) = sketch.ask(simd, query, &mut Vec::new(), &mut table);
        for block in 0..sketch.factors.len() {
            let first = block * LANES;
            simd.estimates(sketch.block(block), &table, common, f32::INFINITY, &[], &mut out);
            take(first as u32, &out[..LANES.min(sketch.rows - first)]);
        }
    }
}

/// By how much the estimates of one query may be too large.
struct Slack {
    metric: Metric,
    /// Of the query from the centre.
    length: f32,
    /// [`Sketch::deviation`].
    deviation: f32,
    /// Standard deviation of a product due to the table's steps.
    steps: f32,
    /// What rounding may add to a product.
    rounded: f32,
    /// Of a product, for rows within the present reach.
    product: f32,
}

impl Slack {
    fn new(sketch: &Sketch, table: &Table, length: f32) -> Self {
        let dim = table.dim() as f32;
        Slack {
            metric: sketch.metric,
            length,
            deviation: sketch.deviation,
            // A coordinate is off by up to half a step, and counts half.
            steps: table.step * (dim / 48.0).sqrt(),
            rounded: ROUNDED * 0.5 * dim.sqrt() * length,
            product: 0.0,
        }
    }

    /// For rows no farther than `reach`.
    #[inline(always)]
    fn set(&mut self, reach: f32) {
        let across = match self.metric {
            Metric::L2 => self.length.min(reach.max(0.0).sqrt()),
            Metric::Cosine => self.length.min((2.0 * reach).max(0.0).sqrt()),
            _ => self.length,
        };
        let deviation = self.deviation * across;
        self.product = SURE * (deviation * deviation + self.steps * self.steps).sqrt() + self.rounded;
    }

    /// Of a row with such [`numbers`](Sketch::numbers).
    #[inline(always)]
    fn of(&self, [add, rescale]: [f32; 2]) -> f32 {
        rescale.abs() * self.product + add.abs() * ROUNDED
    }
}

struct Scan<'a, C> {
    sketch: &'a Sketch,
    by: &'a C,
    query: &'a [f32],
    k: usize,
    eligible: Eligible<'a>,
    buffers: &'a mut Sketching,
    nearest: &'a mut Nearest,
}

impl<C: Compare> Task for Scan<'_, C> {
    type Output = Counts;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Counts {
        let Scan { sketch, by, query, k, eligible, buffers, nearest } = self;
        let Sketching { rotated, table, estimates, best, slots } = buffers;
        let (common, length) = sketch.ask(simd, query, rotated, table);
        let mut counts = Counts::default();
        estimates.resize(sketch.factors.len(), [0.0; LANES]);
        best.reset(best_of(k).min(sketch.rows).max(1));
        for (block, out) in estimates.iter_mut().enumerate() {
            let lanes = eligible.lanes(block);
            if lanes == 0 {
                continue;
            }
            counts.estimates += LANES as u64;
            let mut below = simd.estimates(sketch.block(block), table, common, best.bound(), &[], out) & lanes;
            while below != 0 {
                let lane = below.trailing_zeros();
                let slot = (block * LANES) as u32 + lane;
                if eligible.accepts(slot) {
                    best.insert(Candidate::new(out[lane as usize], slot));
                }
                below &= below - 1;
            }
        }
        let mut slack = Slack::new(sketch, table, length);
        slack.set(nearest.reach);
        slots.clear();
        for candidate in best.candidates() {
            let slot = candidate.slot();
            if candidate.distance() - slack.of(sketch.numbers(slot)) < nearest.reach {
                slots.push(slot);
                by.fetch(slot);
            }
            // Not to be compared again.
            estimates[slot as usize / LANES][slot as usize % LANES] = f32::INFINITY;
        }
        counts.distances += slots.len() as u64;
        slots.drain(..).for_each(|slot| nearest.compare(simd, by, slot));
        slack.set(nearest.reach);
        for (block, estimates) in estimates.iter().enumerate() {
            let lanes = eligible.lanes(block);
            if lanes == 0 {
                continue;
            }
            let largest = sketch.largest.as_slice()[block];
            let mut left = simd.below(estimates, nearest.reach + slack.of(largest)) & lanes;
            while left != 0 {
                let lane = left.trailing_zeros() as usize;
                let slot = (block * LANES + lane) as u32;
                let lower = estimates[lane] - slack.of(sketch.numbers(slot));
                if lower < nearest.reach && eligible.accepts(slot) {
                    by.fetch(slot);
                    slots.push(slot);
                }
                left &= left - 1;
            }
            if slots.len() >= AHEAD {
                counts.distances += slots.len() as u64;
                slots.drain(..).for_each(|slot| nearest.compare(simd, by, slot));
                slack.set(nearest.reach);
            }
        }
        counts.distances += slots.len() as u64;
        slots.drain(..).for_each(|slot| nearest.compare(simd, by, slot));
        counts
    }
}

/// Rows that are compared before the others, so that the k-th distance among them is not far from that among all.
fn best_of(k: usize) -> usize {
    k + k.min(32) + 6
}
