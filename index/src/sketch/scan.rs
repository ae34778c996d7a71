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
use crate::pool::Pool;
use crate::quant::frame::square_of;

use super::Sketch;
use super::cells::Outlook;
use super::eligible::Eligible;
use super::order::Order;
use super::pass::{Chosen, Compared, Doubt, Pass};
use super::slack::Slack;

/// Rows of one sketch that are scanned, and what they are compared by.
pub(crate) struct Share<'a, C> {
    pub(crate) sketch: &'a Sketch,
    pub(crate) by: C,
    pub(crate) eligible: Eligible<'a>,
}

impl<C> Share<'_, C> {
    /// Whether its rows lie in their order.
    pub(super) fn is_unsorted(&self) -> bool {
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
    /// Whether it may end when what is looked at gives nothing for a while: where most rows may be found. Where few may, how far they lie apart
    /// was not measured.
    pub(crate) has_patience: bool,
    /// Of so many of the nearest rows that are compared, distances are kept.
    pub(crate) kept: usize,
}

impl Wanted {
    /// All of the `k` nearest, but for what estimates err by.
    pub(crate) fn all(k: usize) -> Self {
        Wanted { k, within: f32::INFINITY, recall: 1.0, has_patience: false, kept: 0 }
    }
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
    doubt: Doubt,
    compared: Vec<Compared>,
    /// The distances of the nearest rows that were compared, in order.
    kept: Vec<f32>,
}

impl Sketching {
    /// What the last scan did in the share of this number.
    pub(crate) fn counts(&self, share: usize) -> Counts {
        self.views[share].counts
    }

    /// The distances of the nearest rows that the last scan compared, in order, as many as it was to keep.
    pub(crate) fn kept(&self) -> &[f32] {
        &self.kept
    }

    /// The share of a row that the last scan found, and its number there.
    pub(crate) fn locate(&self, row: u32) -> (usize, u32) {
        let share = self.views[..self.shares].partition_point(|view| view.first <= row) - 1;
        (share, row - self.views[share].first)
    }
}

/// How a query lies to one sketch, and what was done there.
#[derive(Debug, Default)]
pub(super) struct View {
    rotated: Vec<f32>,
    pub(super) table: Table,
    pub(super) slack: Slack,
    pub(super) outlook: Outlook,
    /// What estimates of rows in their order have in common.
    pub(super) common: f32,
    /// The number of its first row among all that are scanned.
    pub(super) first: u32,
    pub(super) counts: Counts,
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
        let Sketching { views, shares: count, order, blocks, estimates, best, doubt, compared, kept } = buffers;
        *count = shares.len();
        views.resize_with(shares.len().max(views.len()), View::default);
        order.clear();
        blocks.clear();
        doubt.clear();
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
                    let (of, wanted) = ((&sketch.frame, sketch.metric), (wanted.recall, wanted.has_patience));
                    let own = cells.look(of, (query, length), wanted, outlook, order);
                    patience = own.saturating_add(patience);
                }
                None => _ = order.extend(0),
            }
        }
        best.reset(best_of(wanted.k).min(first as usize).max(1));
        let to_keep = (wanted.kept > 0).then_some(&mut *compared);
        let mut pass = Pass { simd, shares, views, doubt, compared: to_keep, nearest, found: false };
        // Where rows as near as are wanted are known from elsewhere, few rows are within their distance: there is no need to look for it.
        let mut is_bounded = wanted.within < f32::INFINITY;
        if !is_bounded {
            let (enough, mut rows) = (NARROWED * best_of(wanted.k), 0);
            while rows < enough
                && let Some((of, cells, place)) = pass.next(order)
            {
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
        compared.sort_unstable_by(|a, b| a.distance.total_cmp(&b.distance));
        let may_be_found = |row: &&Compared| shares[row.share as usize].eligible.accepts(row.slot);
        kept.clear();
        kept.extend(compared.iter().filter(may_be_found).map(|row| row.distance).take(wanted.kept));
    }
}

/// Eligible rows of the nearest cells by which the others are chosen, for each that is compared first.
const NARROWED: usize = 6;

/// Rows that are compared before the others, so that the k-th distance among them is not far from that among all.
fn best_of(k: usize) -> usize {
    k + k.min(32) + 6
}
