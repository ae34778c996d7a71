//! [`Pass`]: a scan under way, which goes over blocks of codes and compares the rows that are in doubt.

use crate::compare::{Compare, Nearest};
use crate::distance::fastscan::LANES;
use crate::distance::simd::Simd;
use crate::pool::{Candidate, Pool};

use super::cells::Cells;
use super::eligible::Eligible;
use super::order::{Order, Place};
use super::scan::{Share, View};
use super::slack::{ROUNDED, Slack};

/// Rows in doubt that are gathered before the next step is taken with all of them.
const AHEAD: usize = 16;

/// A block that is estimated.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chosen {
    share: u32,
    block: u32,
    /// Those that may be found.
    lanes: u32,
    /// What the estimates of its rows have in common.
    common: f32,
}

/// Rows in doubt, on their way to be compared: each step asks for what the next will read, of many rows before the first is read.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    /// Share and lane, counted through its blocks, of those whose numbers were asked for.
    lanes: Vec<(u32, u32)>,
    /// Share and number of those whose vectors were asked for.
    rows: Vec<(u32, u32)>,
}

impl Doubt {
    pub(super) fn clear(&mut self) {
        self.lanes.clear();
        self.rows.clear();
    }
}

/// A row that was compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Compared {
    pub(super) distance: f32,
    pub(super) share: u32,
    pub(super) slot: u32,
}

/// A scan under way. A block is named by its share and its place there.
pub(super) struct Pass<'a, S, C> {
    pub(super) simd: S,
    pub(super) shares: &'a [Share<'a, C>],
    pub(super) views: &'a mut [View],
    pub(super) doubt: &'a mut Doubt,
    /// Those that were compared, if these are to be known, whether they may be found or not.
    pub(super) compared: Option<&'a mut Vec<Compared>>,
    pub(super) nearest: &'a mut Nearest,
    /// One of those compared was among the nearest so far.
    pub(super) found: bool,
}

impl<'a, S: Simd, C: Compare> Pass<'a, S, C> {
    /// The share a cell is of, and the cells there.
    #[inline(always)]
    fn cells_of(&self, place: Place) -> (usize, &'a Cells) {
        let of = place.share as usize;
        (of, self.shares[of].sketch.cells.as_ref().expect("they gave the cell"))
    }

    /// The next cell in `order`, the share it is of, and the cells there: those near, and then the others.
    #[inline(always)]
    pub(super) fn next(&mut self, order: &mut Order) -> Option<(usize, &'a Cells, Place)> {
        let place = order.next().or_else(|| self.next_of_others(order))?;
        let (of, cells) = self.cells_of(place);
        Some((of, cells, self.views[of].outlook.settle(cells, place)))
    }

    #[cold]
    fn next_of_others(&mut self, order: &mut Order) -> Option<Place> {
        for (of, (view, share)) in self.views.iter_mut().zip(self.shares).enumerate() {
            if !share.is_unsorted() {
                view.outlook.put_others(of, order);
            }
        }
        order.next()
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
    pub(super) fn put(&self, (of, block): (usize, usize), common: f32, blocks: &mut Vec<Chosen>) -> usize {
        let lanes = self.lanes((of, block));
        if lanes != 0 {
            blocks.push(Chosen { share: of as u32, block: block as u32, lanes, common });
        }
        lanes.count_ones() as usize
    }

    /// Puts all blocks of rows in their order to the others.
    #[inline(always)]
    pub(super) fn put_unsorted(&self, blocks: &mut Vec<Chosen>) {
        for (of, Share { sketch, .. }) in self.shares.iter().enumerate().filter(|(_, share)| share.is_unsorted()) {
            for block in 0..sketch.factors.len() {
                self.put((of, block), self.views[of].common, blocks);
            }
        }
    }

    /// Looks through all blocks of rows in their order.
    #[inline(always)]
    pub(super) fn look_through_unsorted(&mut self) {
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
    pub(super) fn narrow_down(&mut self, blocks: &[Chosen], estimates: &mut Vec<[f32; LANES]>, best: &mut Pool) {
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
                self.ask((of, block), lane);
            }
            // Not to be compared again.
            estimates[at][lane] = f32::INFINITY;
        }
        self.compare_all();
        for (&Chosen { share, block, lanes, .. }, estimates) in blocks.iter().zip(&*estimates) {
            let (of, block) = (share as usize, block as usize);
            let largest = self.shares[of].sketch.largest.as_slice()[block];
            let bound = self.nearest.reach + self.slack(of).at_most(largest);
            let below = self.simd.below(estimates, bound) & lanes;
            self.ask_for_near((of, block), below, estimates);
        }
        self.compare_all();
    }

    /// Goes through the cells in `order` until `patience` of those that hold eligible rows, one after the other, gave none of the nearest.
    #[inline(always)]
    pub(super) fn look_on(&mut self, order: &mut Order, patience: u32) {
        let mut left = patience;
        while let Some((of, cells, place)) = self.next(order) {
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
                self.compare_some();
            }
            // Where the query is beyond all numbers every cell is looked at.
            left -= u32::from(eligible && place.distance > f32::NEG_INFINITY);
            if left == 0 {
                self.compare_all();
            }
            if std::mem::take(&mut self.found) {
                left = patience;
            }
            if left == 0 {
                break;
            }
        }
        self.compare_all();
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
        let sketch = self.shares[of].sketch;
        let [add, error] = sketch.largest.as_slice()[block];
        let (errors, step) = (&sketch.errors.as_slice()[block], error * self.slack(of).scale / 255.0);
        let mut lower = [0.0; LANES];
        for lane in 0..LANES {
            lower[lane] = estimates[lane] - f32::from(errors[lane]) * step;
        }
        let mut left = left & self.simd.below(&lower, self.nearest.reach + add * ROUNDED);
        while left != 0 {
            self.ask((of, block), left.trailing_zeros() as usize);
            left &= left - 1;
        }
    }

    /// What estimates of a share may err by within the present reach.
    #[inline(always)]
    fn slack(&mut self, of: usize) -> &Slack {
        let slack = &mut self.views[of].slack;
        slack.set(self.nearest.reach);
        slack
    }

    /// Puts a row to those in doubt.
    #[inline(always)]
    fn ask(&mut self, (of, block): (usize, usize), lane: usize) {
        self.shares[of].sketch.fetch_slot(block, lane);
        self.doubt.lanes.push((of as u32, (block * LANES + lane) as u32));
        if self.doubt.lanes.len() == AHEAD {
            self.compare_some();
        }
    }

    /// Compares all that are in doubt.
    #[inline(always)]
    fn compare_all(&mut self) {
        self.compare_some();
        self.compare_some();
    }

    /// Takes a step with all that are in doubt.
    #[inline(always)]
    fn compare_some(&mut self) {
        for (of, slot) in self.doubt.rows.drain(..) {
            let (Share { by, eligible, .. }, view) = (&self.shares[of as usize], &mut self.views[of as usize]);
            view.counts.distances += 1;
            let (by, row) = (&From { by, first: view.first }, view.first + slot);
            let distance = by.distance(self.simd, row);
            if let Some(compared) = &mut self.compared {
                compared.push(Compared { distance, share: of, slot });
            }
            // Whether it may be found takes as long to say as to compare it, and most lie too far.
            if distance <= self.nearest.reach && eligible.accepts(slot) {
                self.found |= self.nearest.take(by, row, distance);
            }
        }
        for (of, lane) in self.doubt.lanes.drain(..) {
            let Share { sketch, by, .. } = &self.shares[of as usize];
            let slot = sketch.slot(lane as usize / LANES, lane as usize % LANES);
            by.fetch(slot);
            self.doubt.rows.push((of, slot));
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
