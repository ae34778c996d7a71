//! A scan over a sketch: rows are estimated, and those that may be among the nearest are compared.
//!
//! Two passes. The first estimates all blocks and keeps a few rows more than are wanted, the nearest by their estimates; these are
//! compared, and from then on the k-th distance is nearly what it will be. The second goes over the estimates, which are some bytes a row
//! by now, and compares whatever row's lower bound is within the k-th distance so far. Where rows lie in cells, the two passes go over the
//! nearest cells alone, and then one over those other cells that may hold a row within the k-th distance (`cells.rs`).
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
use super::cells::Outlook;

/// Standard deviations by which an estimate may be too large: beyond it is one of 700 rows at the k-th distance, and none much nearer.
const SURE: f32 = 3.0;

/// Half a unit in the last place of a half float, of both factors of a row.
pub(super) const ROUNDED: f32 = 1.0 / 2048.0;

/// Rows that are asked for before the first of them is compared.
const AHEAD: usize = 16;

/// The buffers of scans on one thread.
#[derive(Debug, Default)]
pub(crate) struct Sketching {
    rotated: Vec<f32>,
    table: Table,
    /// Blocks that are estimated first.
    blocks: Vec<Chosen>,
    estimates: Vec<[f32; LANES]>,
    best: Pool,
    slots: Vec<u32>,
    outlook: Outlook,
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
    /// The lanes of a block that may be, where rows are in their order.
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
            Eligible::Of(mask) => sketch.blocks_of(mask) * LANES,
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

    /// Hands the estimates of 32 rows after another to `take`, with the first of these rows, of a sketch of rows in their order.
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
        assert!(sketch.cells.is_none(), "rows in their order");
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
    /// Of the query from what all rows are coded relative to; infinite where each cell has its own.
    length: f32,
    /// Standard deviation of a product due to the table's steps, and what rounding may add to a product: by the least
    /// [deviation](Sketch::least_deviation), so that no row errs by a larger part of its own.
    steps: f32,
    rounded: f32,
    /// What an error for a query at distance 1 across the row is worth within the present reach.
    scale: f32,
}

impl Slack {
    fn new(sketch: &Sketch, table: &Table, length: f32) -> Self {
        let (dim, least) = (table.dim() as f32, sketch.least_deviation);
        // A coordinate is off by up to half a step, and counts half.
        let steps = table.step * (dim / 48.0).sqrt() / least;
        let rounded = ROUNDED * 0.5 * dim.sqrt() * length / least;
        let length = if sketch.cells.is_some() { f32::INFINITY } else { length };
        Slack { metric: sketch.metric, length, steps, rounded, scale: f32::INFINITY }
    }

    /// For rows no farther than `reach`.
    #[inline(always)]
    fn set(&mut self, reach: f32) {
        let across = match self.metric {
            Metric::L2 => self.length.min(reach.max(0.0).sqrt()),
            Metric::Cosine => self.length.min((2.0 * reach).max(0.0).sqrt()),
            _ => self.length,
        };
        let scale = SURE * (across * across + self.steps * self.steps).sqrt() + self.rounded;
        // Finite, that nothing may be made of it where there is no error.
        self.scale = scale.min(f32::MAX);
    }

    /// Of rows with no larger [constant part and error](Sketch::largest), at most.
    #[inline(always)]
    fn at_most(&self, [add, error]: [f32; 2]) -> f32 {
        error * self.scale + add * ROUNDED
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
        let Sketching { rotated, table, blocks, estimates, best, slots, outlook } = buffers;
        let (common, length) = sketch.ask(simd, query, rotated, table);
        let slack = Slack::new(sketch, table, length);
        best.reset(best_of(k).min(sketch.rows).max(1));
        blocks.clear();
        slots.clear();
        let counts = Counts::default();
        let mut pass = Pass { simd, sketch, by, eligible, table, slack, slots, counts, nearest };
        // Where rows as near as are wanted are known from elsewhere, few rows are within their distance: there is no need to look for it.
        let bounded = pass.nearest.reach < f32::INFINITY;
        if bounded {
            pass.slack.set(pass.nearest.reach);
        }
        match &sketch.cells {
            None if bounded => {
                for block in 0..sketch.factors.len() {
                    pass.look_through(block, common);
                }
            }
            None => {
                for block in 0..sketch.factors.len() {
                    pass.put(block, common, blocks);
                }
                pass.narrow_down(blocks, estimates, best);
            }
            Some(cells) => {
                cells.look(&sketch.frame, sketch.metric, (query, length), outlook);
                if !bounded {
                    let (enough, mut found) = (NARROWED * best_of(k), 0);
                    while found < enough
                        && let Some(cell) = outlook.next()
                    {
                        for block in cells.blocks(cell) {
                            found += pass.put(block, outlook.distance(cell), blocks);
                        }
                    }
                    pass.narrow_down(blocks, estimates, best);
                }
                outlook.leave_within(pass.nearest.reach);
                for &(least, cell) in outlook.left() {
                    // The k-th distance has fallen since.
                    if least < pass.nearest.reach {
                        for block in cells.blocks(cell) {
                            pass.look_through(block, outlook.distance(cell));
                        }
                    }
                }
            }
        }
        pass.compare_asked();
        pass.counts
    }
}

/// Eligible rows of the nearest cells by which the others are chosen, for each that is compared first.
const NARROWED: usize = 6;

/// A block that is estimated.
#[derive(Debug, Clone, Copy)]
struct Chosen {
    block: u32,
    /// Those that may be found.
    lanes: u32,
    /// What the estimates of its rows have in common.
    common: f32,
}

/// A scan under way.
struct Pass<'a, S, C> {
    simd: S,
    sketch: &'a Sketch,
    by: &'a C,
    eligible: Eligible<'a>,
    table: &'a Table,
    slack: Slack,
    /// Asked for, to be compared.
    slots: &'a mut Vec<u32>,
    counts: Counts,
    nearest: &'a mut Nearest,
}

impl<S: Simd, C: Compare> Pass<'_, S, C> {
    /// The lanes of a block that may be found.
    #[inline(always)]
    fn lanes(&self, block: usize) -> u32 {
        match (&self.sketch.cells, self.eligible) {
            (None, eligible) => eligible.lanes(block),
            (Some(_), Eligible::If(_)) => u32::MAX,
            (Some(cells), Eligible::Of(mask)) => {
                !self.simd.unmarked(bytemuck::cast_slice(mask.words()), cells.rows(block), u32::MAX)
            }
        }
    }

    /// Puts a block to the others, if there are eligible rows in it, and says how many.
    #[inline(always)]
    fn put(&self, block: usize, common: f32, blocks: &mut Vec<Chosen>) -> usize {
        let lanes = self.lanes(block);
        if lanes != 0 {
            blocks.push(Chosen { block: block as u32, lanes, common });
        }
        lanes.count_ones() as usize
    }

    /// Estimates all rows of `blocks`; compares the nearest by their estimates, and then those that may
    /// be nearer than the k-th.
    #[inline(always)]
    fn narrow_down(&mut self, blocks: &[Chosen], estimates: &mut Vec<[f32; LANES]>, best: &mut Pool) {
        let sketch = self.sketch;
        estimates.resize(blocks.len(), [0.0; LANES]);
        self.counts.estimates += (blocks.len() * LANES) as u64;
        for (at, (&Chosen { block, lanes, common }, out)) in (0..).zip(blocks.iter().zip(estimates.iter_mut())) {
            let codes = sketch.block(block as usize);
            let mut below = self.simd.estimates(codes, self.table, common, best.bound(), &[], out) & lanes;
            while below != 0 {
                let lane = below.trailing_zeros();
                if self.eligible.accepts(sketch.slot(block as usize, lane as usize)) {
                    best.insert(Candidate::new(out[lane as usize], at * LANES as u32 + lane));
                }
                below &= below - 1;
            }
        }
        self.slack.set(self.nearest.reach);
        for candidate in best.candidates() {
            let (at, lane) = (candidate.slot() as usize / LANES, candidate.slot() as usize % LANES);
            let block = blocks[at].block as usize;
            let largest = sketch.largest.as_slice()[block];
            let part = f32::from(sketch.errors.as_slice()[block][lane]) / 255.0;
            let slack = self.slack.at_most([largest[0], part * largest[1]]);
            if candidate.distance() - slack < self.nearest.reach {
                self.ask(sketch.slot(block, lane));
            }
            // Not to be compared again.
            estimates[at][lane] = f32::INFINITY;
        }
        self.compare_asked();
        for (&Chosen { block, lanes, .. }, estimates) in blocks.iter().zip(&*estimates) {
            let largest = sketch.largest.as_slice()[block as usize];
            let below = self.simd.below(estimates, self.nearest.reach + self.slack.at_most(largest)) & lanes;
            self.ask_for_near(block as usize, below, estimates);
        }
        self.compare_asked();
    }

    /// Estimates the rows of a block, which have `common` in common, and compares those that may be nearer than the k-th so far.
    #[inline(always)]
    fn look_through(&mut self, block: usize, common: f32) {
        let lanes = self.lanes(block);
        if lanes == 0 {
            return;
        }
        self.counts.estimates += LANES as u64;
        let (sketch, mut out) = (self.sketch, [0.0; LANES]);
        let bound = self.nearest.reach + self.slack.at_most(sketch.largest.as_slice()[block]);
        let below = self.simd.estimates(sketch.block(block), self.table, common, bound, &[], &mut out) & lanes;
        self.ask_for_near(block, below, &out);
    }

    /// Asks for those rows of the lanes `left` that may be nearer than the k-th so far, and compares them once there are enough.
    #[inline(always)]
    fn ask_for_near(&mut self, block: usize, left: u32, estimates: &[f32; LANES]) {
        if left == 0 {
            return;
        }
        let [add, error] = self.sketch.largest.as_slice()[block];
        let (errors, step) = (&self.sketch.errors.as_slice()[block], error * self.slack.scale / 255.0);
        let mut lower = [0.0; LANES];
        for lane in 0..LANES {
            lower[lane] = estimates[lane] - f32::from(errors[lane]) * step;
        }
        let mut left = left & self.simd.below(&lower, self.nearest.reach + add * ROUNDED);
        while left != 0 {
            let slot = self.sketch.slot(block, left.trailing_zeros() as usize);
            if self.eligible.accepts(slot) {
                self.ask(slot);
            }
            left &= left - 1;
        }
        if self.slots.len() >= AHEAD {
            self.compare_asked();
        }
    }

    #[inline(always)]
    fn ask(&mut self, slot: u32) {
        self.by.fetch(slot);
        self.slots.push(slot);
    }

    #[inline(always)]
    fn compare_asked(&mut self) {
        if self.slots.is_empty() {
            return;
        }
        self.counts.distances += self.slots.len() as u64;
        for slot in self.slots.drain(..) {
            self.nearest.compare(self.simd, self.by, slot);
        }
        self.slack.set(self.nearest.reach);
    }
}

/// Rows that are compared before the others, so that the k-th distance among them is not far from that among all.
fn best_of(k: usize) -> usize {
    k + k.min(32) + 6
}
