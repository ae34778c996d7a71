//! A scan over sketches: rows are estimated, and those that may be among the nearest are compared.
//!
//! Rows in their order take two passes. The first estimates all blocks and keeps a few rows more than are wanted, the nearest by their
//! estimates; these are compared, and from then on the k-th distance is nearly what it will be. The second goes over the estimates, which
//! are some bytes a row by now, and compares whatever row's lower bound is within the k-th distance so far. Where rows lie in cells, the
//! two passes go over the nearest cells alone, and then one goes on to the next nearest until enough of them, one after the other, gave
//! nothing, leaving out those that can hold no row within the k-th distance (`limits.rs`). Several sketches are scanned as if they were one:
//! of all their cells the nearest come first, and rows in their order then take one pass. By how much an estimate may be too large is in
//! `slack.rs`.

use crate::compare::{Compare, Nearest};
use crate::distance::fastscan::{LANES, Table};
use crate::distance::simd::{Simd, Task, dispatch, isa};
use crate::metric::Metric;
use crate::pool::{Candidate, Pool};
use crate::quant::frame::square_of;

use super::Sketch;
use super::cells::{Cells, Outlook};
use super::eligible::Eligible;
use super::order::{Order, Place};
use super::slack::{ROUNDED, Slack};

/// Rows that are asked for before the first of them is compared.
const AHEAD: usize = 16;

/// Rows of one sketch that are scanned, and what they are compared by.
pub(crate) struct Share<'a, C> {
    pub(crate) sketch: &'a Sketch,
    pub(crate) by: C,
    pub(crate) eligible: Eligible<'a>,
}

impl<C> Share<'_, C> {
    /// Whether its rows lie in their order.
    fn is_unsorted(&self) -> bool {
        self.sketch.cells.is_none()
    }
}

/// What a scan is after.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) k: usize,
    /// Rows farther than this need not be found.
    pub(crate) within: f32,
    /// The part of the nearest that is to lie in cells that are looked at.
    pub(crate) recall: f32,
}

/// The buffers of scans on one thread.
#[derive(Debug, Default)]
pub(crate) struct Sketching {
    /// One for each share, and of earlier scans.
    views: Vec<View>,
    shares: usize,
    order: Order,
    /// Blocks that are estimated first.
    blocks: Vec<Chosen>,
    estimates: Vec<[f32; LANES]>,
    best: Pool,
    asked: Vec<(u32, u32)>,
    /// The distances of all rows that were compared.
    compared: Vec<f32>,
}

impl Sketching {
    /// What the last scan did in the share of this number.
    pub(crate) fn counts(&self, share: usize) -> Counts {
        self.views[share].counts
    }

    /// The distances of the nearest `most` rows that the last scan compared, in order.
    pub(crate) fn nearest_compared(&mut self, most: usize) -> &[f32] {
        let compared = &mut self.compared;
        if most < compared.len() {
            compared.select_nth_unstable_by(most, f32::total_cmp);
            compared.truncate(most);
        }
        compared.sort_unstable_by(f32::total_cmp);
        compared
    }

    /// The share of a row that the last scan found, and its number there.
    pub(crate) fn locate(&self, row: u32) -> (usize, u32) {
        let share = self.views[..self.shares].partition_point(|view| view.first <= row) - 1;
        (share, row - self.views[share].first)
    }
}

/// How a query lies to one sketch, and what was done there.
#[derive(Debug, Default)]
struct View {
    rotated: Vec<f32>,
    table: Table,
    slack: Slack,
    outlook: Outlook,
    /// What estimates of rows in their order have in common.
    common: f32,
    /// The number of its first row among all that are scanned.
    first: u32,
    counts: Counts,
}

/// What a scan did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Rows estimated.
    pub(crate) estimates: u64,
    /// Rows compared.
    pub(crate) distances: u64,
}

/// Leaves those rows in `nearest` that are among the `k` nearest to `query` of the eligible ones of all `shares`, which are of one spec. Rows
/// are numbered share by share; see [`Sketching::locate`]. `query` is as rows were when they were sketched: scaled to length one under cosine.
pub(crate) fn scan<C: Compare>(
    shares: &[Share<'_, C>],
    query: &[f32],
    wanted: Wanted,
    buffers: &mut Sketching,
    nearest: &mut Nearest,
) {
    nearest.reset(wanted.k, wanted.within);
    dispatch(isa(), Scan { shares, query, wanted, buffers, nearest });
}

impl Sketch {
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

struct Scan<'a, C> {
    shares: &'a [Share<'a, C>],
    query: &'a [f32],
    wanted: Wanted,
    buffers: &'a mut Sketching,
    nearest: &'a mut Nearest,
}

impl<C: Compare> Task for Scan<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Scan { shares, query, wanted, buffers, nearest } = self;
        let Sketching { views, shares: count, order, blocks, estimates, best, asked, compared } = buffers;
        *count = shares.len();
        views.resize_with(shares.len().max(views.len()), View::default);
        order.clear();
        blocks.clear();
        asked.clear();
        compared.clear();
        let (mut first, mut patience) = (0, 0);
        for (of, Share { sketch, .. }) in shares.iter().enumerate() {
            let View { rotated, table, slack, outlook, common, first: from, counts } = &mut views[of];
            let (in_common, length) = sketch.ask(simd, query, rotated, table);
            (*slack, *common, *counts, *from) =
                (Slack::new(sketch, table, length, wanted.recall), in_common, Counts::default(), first);
            first += sketch.rows as u32;
            match &sketch.cells {
                Some(cells) => {
                    cells.look((&sketch.frame, sketch.metric), (query, length), outlook, order);
                    patience = cells.patience(wanted.recall).saturating_add(patience);
                }
                None => order.extend(std::iter::empty()),
            }
        }
        best.reset(best_of(wanted.k).min(first as usize).max(1));
        let mut pass = Pass { simd, shares, views, asked, compared, nearest, found: false };
        // Where rows as near as are wanted are known from elsewhere, few rows are within their distance: there is no need to look for it.
        let mut is_bounded = wanted.within < f32::INFINITY;
        if !is_bounded {
            let (enough, mut rows) = (NARROWED * best_of(wanted.k), 0);
            while rows < enough
                && let Some(place) = order.next()
            {
                let (of, cells) = pass.cells_of(place);
                let common = pass.views[of].outlook.distance(place);
                for block in cells.blocks(place.cell) {
                    rows += pass.put((of, block), common, blocks);
                }
            }
            is_bounded = rows >= enough;
            if !is_bounded {
                pass.put_unsorted(blocks);
            }
            pass.narrow_down(blocks, estimates, best);
        }
        if is_bounded {
            pass.look_through_unsorted();
        }
        pass.look_on(order, patience);
    }
}

/// Eligible rows of the nearest cells by which the others are chosen, for each that is compared first.
const NARROWED: usize = 6;

/// A block that is estimated.
#[derive(Debug, Clone, Copy)]
struct Chosen {
    share: u32,
    block: u32,
    /// Those that may be found.
    lanes: u32,
    /// What the estimates of its rows have in common.
    common: f32,
}

/// A scan under way. A block is named by its share and its place there.
struct Pass<'a, S, C> {
    simd: S,
    shares: &'a [Share<'a, C>],
    views: &'a mut [View],
    /// Share and row of those that were asked for, to be compared.
    asked: &'a mut Vec<(u32, u32)>,
    /// The distances of those that were compared.
    compared: &'a mut Vec<f32>,
    nearest: &'a mut Nearest,
    /// One of those compared was among the nearest so far.
    found: bool,
}

impl<'a, S: Simd, C: Compare> Pass<'a, S, C> {
    /// The share a cell is of, and the cells there.
    #[inline(always)]
    fn cells_of(&self, place: Place) -> (usize, &'a Cells) {
        let of = place.share as usize;
        (of, self.shares[of].sketch.cells.as_ref().expect("they gave the cell"))
    }

    /// The lanes of a block that may be found.
    #[inline(always)]
    fn lanes(&self, (of, block): (usize, usize)) -> u32 {
        let Share { sketch, eligible, .. } = &self.shares[of];
        match (&sketch.cells, eligible) {
            (None, eligible) => eligible.lanes(block),
            (Some(_), Eligible::If(_)) => u32::MAX,
            (Some(cells), Eligible::Of(mask)) => {
                !self.simd.unmarked(bytemuck::cast_slice(mask.words()), cells.rows(block), u32::MAX)
            }
        }
    }

    /// Puts a block to the others, if there are eligible rows in it, and says how many.
    #[inline(always)]
    fn put(&self, (of, block): (usize, usize), common: f32, blocks: &mut Vec<Chosen>) -> usize {
        let lanes = self.lanes((of, block));
        if lanes != 0 {
            blocks.push(Chosen { share: of as u32, block: block as u32, lanes, common });
        }
        lanes.count_ones() as usize
    }

    /// Puts all blocks of rows in their order to the others.
    #[inline(always)]
    fn put_unsorted(&self, blocks: &mut Vec<Chosen>) {
        for (of, Share { sketch, .. }) in self.shares.iter().enumerate().filter(|(_, share)| share.is_unsorted()) {
            for block in 0..sketch.factors.len() {
                self.put((of, block), self.views[of].common, blocks);
            }
        }
    }

    /// Looks through all blocks of rows in their order.
    #[inline(always)]
    fn look_through_unsorted(&mut self) {
        let shares = self.shares;
        for (of, Share { sketch, .. }) in shares.iter().enumerate().filter(|(_, share)| share.is_unsorted()) {
            for block in 0..sketch.factors.len() {
                self.look_through((of, block), self.views[of].common);
            }
        }
    }

    /// Estimates all rows of `blocks`; compares the nearest by their estimates, and then those that may
    /// be nearer than the k-th.
    #[inline(always)]
    fn narrow_down(&mut self, blocks: &[Chosen], estimates: &mut Vec<[f32; LANES]>, best: &mut Pool) {
        estimates.resize(blocks.len(), [0.0; LANES]);
        for (at, (&Chosen { share, block, lanes, common }, out)) in (0..).zip(blocks.iter().zip(estimates.iter_mut())) {
            let (Share { sketch, eligible, .. }, view) =
                (&self.shares[share as usize], &mut self.views[share as usize]);
            view.counts.estimates += LANES as u64;
            let codes = sketch.block(block as usize);
            let mut below = self.simd.estimates(codes, &view.table, common, best.bound(), &[], out) & lanes;
            while below != 0 {
                let lane = below.trailing_zeros();
                if eligible.accepts(sketch.slot(block as usize, lane as usize)) {
                    best.insert(Candidate::new(out[lane as usize], at * LANES as u32 + lane));
                }
                below &= below - 1;
            }
        }
        for candidate in best.candidates() {
            let (at, lane) = (candidate.slot() as usize / LANES, candidate.slot() as usize % LANES);
            let (of, block) = (blocks[at].share as usize, blocks[at].block as usize);
            let sketch = self.shares[of].sketch;
            let largest = sketch.largest.as_slice()[block];
            let part = f32::from(sketch.errors.as_slice()[block][lane]) / 255.0;
            let slack = self.slack(of).at_most([largest[0], part * largest[1]]);
            if candidate.distance() - slack < self.nearest.reach {
                self.ask(of, sketch.slot(block, lane));
            }
            // Not to be compared again.
            estimates[at][lane] = f32::INFINITY;
        }
        self.compare_asked();
        for (&Chosen { share, block, lanes, .. }, estimates) in blocks.iter().zip(&*estimates) {
            let (of, block) = (share as usize, block as usize);
            let largest = self.shares[of].sketch.largest.as_slice()[block];
            let bound = self.nearest.reach + self.slack(of).at_most(largest);
            let below = self.simd.below(estimates, bound) & lanes;
            self.ask_for_near((of, block), below, estimates);
        }
        self.compare_asked();
    }

    /// Goes through the cells in `order` until `patience` of those that hold eligible rows, one after the other, gave none of the nearest.
    #[inline(always)]
    fn look_on(&mut self, order: &mut Order, patience: u32) {
        let mut left = patience;
        while let Some(place) = order.next() {
            let (of, cells) = self.cells_of(place);
            let outlook = &self.views[of].outlook;
            let (least, common) = (outlook.least(cells, place), outlook.distance(place));
            if let Some(next) = order.peek(1) {
                let (of, cells) = self.cells_of(next);
                if self.views[of].outlook.least(cells, next) < self.nearest.reach {
                    cells.blocks(next.cell).for_each(|block| self.shares[of].sketch.fetch(block));
                }
            }
            let mut eligible = least >= self.nearest.reach;
            if !eligible {
                for block in cells.blocks(place.cell) {
                    eligible |= self.look_through((of, block), common);
                }
            }
            // Where the query is beyond all numbers every cell is looked at.
            left -= u32::from(eligible && place.distance > f32::NEG_INFINITY);
            if left == 0 {
                self.compare_asked();
            }
            if std::mem::take(&mut self.found) {
                left = patience;
            }
            if left == 0 {
                break;
            }
        }
        self.compare_asked();
    }

    /// Estimates the rows of a block, which have `common` in common, and compares those that may be nearer than the k-th so far. Whether
    /// there are eligible ones.
    #[inline(always)]
    fn look_through(&mut self, (of, block): (usize, usize), common: f32) -> bool {
        let lanes = self.lanes((of, block));
        if lanes == 0 {
            return false;
        }
        let (sketch, mut out) = (self.shares[of].sketch, [0.0; LANES]);
        let bound = self.nearest.reach + self.slack(of).at_most(sketch.largest.as_slice()[block]);
        let view = &mut self.views[of];
        view.counts.estimates += LANES as u64;
        let below = self.simd.estimates(sketch.block(block), &view.table, common, bound, &[], &mut out) & lanes;
        self.ask_for_near((of, block), below, &out);
        true
    }

    /// Asks for those rows of the lanes `left` that may be nearer than the k-th so far, and compares them once there are enough.
    #[inline(always)]
    fn ask_for_near(&mut self, (of, block): (usize, usize), left: u32, estimates: &[f32; LANES]) {
        if left == 0 {
            return;
        }
        let Share { sketch, eligible, .. } = &self.shares[of];
        let [add, error] = sketch.largest.as_slice()[block];
        let (errors, step) = (&sketch.errors.as_slice()[block], error * self.slack(of).scale / 255.0);
        let mut lower = [0.0; LANES];
        for lane in 0..LANES {
            lower[lane] = estimates[lane] - f32::from(errors[lane]) * step;
        }
        let mut left = left & self.simd.below(&lower, self.nearest.reach + add * ROUNDED);
        while left != 0 {
            let slot = sketch.slot(block, left.trailing_zeros() as usize);
            if eligible.accepts(slot) {
                self.ask(of, slot);
            }
            left &= left - 1;
        }
        if self.asked.len() >= AHEAD {
            self.compare_asked();
        }
    }

    /// What estimates of a share may err by within the present reach.
    #[inline(always)]
    fn slack(&mut self, of: usize) -> &Slack {
        let slack = &mut self.views[of].slack;
        slack.set(self.nearest.reach);
        slack
    }

    #[inline(always)]
    fn ask(&mut self, of: usize, slot: u32) {
        self.shares[of].by.fetch(slot);
        self.asked.push((of as u32, slot));
    }

    #[inline(always)]
    fn compare_asked(&mut self) {
        for (of, slot) in self.asked.drain(..) {
            let (Share { by, .. }, view) = (&self.shares[of as usize], &mut self.views[of as usize]);
            view.counts.distances += 1;
            let (by, row) = (&From { by, first: view.first }, view.first + slot);
            let distance = by.distance(self.simd, row);
            self.compared.push(distance);
            self.found |= self.nearest.take(by, row, distance);
        }
    }
}

/// Rows that are numbered from `first` on.
struct From<'a, C> {
    by: &'a C,
    first: u32,
}

impl<C: Compare> Compare for From<'_, C> {
    #[inline(always)]
    fn errs(&self) -> bool {
        self.by.errs()
    }

    #[inline(always)]
    fn distance<S: Simd>(&self, simd: S, slot: u32) -> f32 {
        self.by.distance(simd, slot - self.first)
    }

    #[inline(always)]
    fn margin(&self, slot: u32) -> f32 {
        self.by.margin(slot - self.first)
    }

    #[inline(always)]
    fn fetch(&self, slot: u32) {
        self.by.fetch(slot - self.first);
    }
}

/// Rows that are compared before the others, so that the k-th distance among them is not far from that among all.
fn best_of(k: usize) -> usize {
    k + k.min(32) + 6
}
