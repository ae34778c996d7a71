//! [`Limits`]: how far from a query cells may hold what is near it.
//!
//! A row `x` at distance `δ` from a query `q` lies in a direction from `q` that has little to do with the one from `x` to the centre `c` of
//! its cell, so `‖q − c‖²` is about `δ² + s²`, where `s²` is the mean squared distance of the cell's rows from its centre; and it lies no
//! farther on the near side of its cell than rows do, so that `‖q − c‖ − δ` is a part of `s`. A cell may hold a row within the distance `δ`
//! only if
//!
//! ```text
//! ‖q − c‖² / square − s² < δ²    or    ‖q − c‖ − length · s < δ
//! ```
//!
//! where the first says more of queries that lie where rows do, the second of others. And of the cells in the order of their centres'
//! distances most of what is near lies in the first: what is nearest gives itself away by gaps that are not long. So a scan ends after as
//! many cells in a row that held nothing near as its *patience*, or when no cell is left within the distance of the k-th row. Where queries
//! lie elsewhere than rows, or few rows match, that distance is larger, and more is looked at; where rows cannot be carved, everything is.
//! Several sketches that are scanned as one take the sum of their patiences: each has its own cells at any distance.
//!
//! How much `square` and `length` are, and what patience finds which part, is measured on the rows themselves, by the nearest neighbours of
//! some. It errs on the side of patience: rows that are among the nearest for a while, until nearer ones are found, are not counted there.
//! Where few rows match, how far they lie apart was not measured, and a scan goes on to the last cell within bounds: closer ones, if one of a
//! hundred of the nearest may be missed.

use std::cell::RefCell;

use rayon::prelude::*;

use crate::compare::{Compare, Nearest};
use crate::distance::Kernels;
use crate::distance::simd::Simd;
use crate::metric::Metric;

use super::Sketch;
use super::cells::{Cells, Outlook, unit_of};
use super::eligible::Eligible;
use super::scan::{Share, Sketching, Wanted, scan};
use super::slack::NEARLY;

/// Rows whose neighbours are looked for, and how many of each.
const PROBES: usize = 512;
const NEIGHBORS: usize = 10;

/// The parts of the nearest that may be asked for with a patience; for a larger one, nothing is left out but by bounds.
const RECALLS: [f32; 6] = [0.8, 0.9, 0.95, 0.98, 0.99, 0.995];

/// What neighbours are within; see above.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// For nearly all, and for 99 of a hundred.
    sure: Bounds,
    nearly: Bounds,
    /// For each of [`RECALLS`].
    patience: [u32; RECALLS.len()],
}

/// How far from a query cells may hold what is near it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bounds {
    square: f32,
    length: f32,
}

impl Bounds {
    pub(super) const NONE: Bounds = Bounds { square: f32::INFINITY, length: f32::INFINITY };

    /// No bound is less, however near to centres the rows are: queries may come from other sides.
    const LEAST_SURE: Bounds = Bounds { square: 1.0, length: 0.5 };
    const LEAST_NEARLY: Bounds = Bounds { square: 1.0, length: 0.37 };

    /// The least squared distance at which there may be a row of a cell of such a spread whose centre is at the squared distance `square`.
    #[inline(always)]
    pub(super) fn least(&self, square: f32, spread: f32) -> f32 {
        let length = (square.sqrt() - self.length * spread.sqrt()).max(0.0);
        (square / self.square - spread).min(length * length)
    }

    /// Those within which such a part of `needed` is, but no less than `least`.
    fn within(part: f64, needed: &[Need], least: Bounds) -> Bounds {
        let bound = |bound: fn(&Need) -> f32| {
            // Copies of one row, without any distance, say nothing.
            let mut bounds: Vec<f32> = needed.iter().map(bound).filter(|bound| !bound.is_nan()).collect();
            bounds.sort_unstable_by(f32::total_cmp);
            bounds.get((bounds.len() as f64 * part) as usize).copied().unwrap_or(f32::INFINITY)
        };
        let (square, length) = (bound(|need| need.square), bound(|need| need.length));
        Bounds { square: square.max(least.square), length: length.max(least.length) }
    }
}

impl Limits {
    pub(super) const NONE: Limits =
        Limits { sure: Bounds::NONE, nearly: Bounds::NONE, patience: [u32::MAX; RECALLS.len()] };

    /// Patience is no less.
    const LEAST_PATIENCE: u32 = 8;

    /// Bounds for a scan that is to find such a part, and after how many cells that gave nothing it may end: where it may end so, what it may
    /// miss is missed there.
    pub(super) fn of(&self, recall: f32, has_patience: bool) -> (Bounds, u32) {
        match has_patience {
            true => (self.sure, self.patience(recall)),
            false if recall > NEARLY => (self.sure, u32::MAX),
            false => (self.nearly, u32::MAX),
        }
    }

    /// After how many cells that gave nothing a scan may end that is to find such a part.
    fn patience(&self, recall: f32) -> u32 {
        RECALLS.iter().position(|&enough| enough >= recall).map_or(u32::MAX, |at| self.patience[at])
    }

    /// What the limits of `cells`, which are those of `sketch`, should be.
    pub(super) fn measure(cells: &Cells, sketch: &Sketch, decode: impl Fn(u32, &mut Vec<f32>) + Sync) -> Self {
        let cell_of = cells.of_rows(sketch.rows);
        let of_probe = |probe: usize| {
            let row = (probe * sketch.rows / PROBES) as u32;
            let (mut query, mut nearest, mut outlook) = (Vec::new(), Nearest::default(), Outlook::default());
            decode(row, &mut query);
            let (unit, kernels) = (unit_of(sketch.metric), Kernels::new(Metric::L2));
            let by = Decoded { decode: &decode, query: &query, kernels, unit, row: RefCell::default() };
            let others = Eligible::If(&|other| other.0 != row);
            let wanted = Wanted::all(NEIGHBORS);
            scan(&[Share { sketch, by, eligible: others }], &query, wanted, &mut Sketching::default(), &mut nearest);
            let found = nearest.rows();
            let reach = found.last().map_or(0.0, |row| row.0) / (cells.radius() * cells.radius() * unit);
            let squares = cells.squares(&sketch.frame, &query, &mut outlook);
            let mut needed: Vec<Need> = found
                .iter()
                .map(|&(_, row)| {
                    let cell = cell_of[row as usize];
                    let (square, spread) = (squares[cell as usize], cells.spread(cell));
                    let length = (square.sqrt() - reach.sqrt()) / spread.sqrt();
                    Need { square: square / (reach + spread), length, patience: rank(squares, cell) }
                })
                .collect();
            // From ranks to the longest of the gaps before.
            needed.sort_unstable_by_key(|need| need.patience);
            let (mut last, mut longest) = (0, 0);
            for need in &mut needed {
                longest = longest.max(need.patience - last);
                last = std::mem::replace(&mut need.patience, longest);
            }
            needed
        };
        let needed: Vec<Need> = (0..PROBES).into_par_iter().flat_map_iter(of_probe).collect();
        let mut patience: Vec<u32> = needed.iter().map(|need| need.patience).collect();
        patience.sort_unstable();
        let patience = RECALLS.map(|recall| {
            // A quarter of what may be missed is left to what estimates err by.
            let found = 1.0 - 0.75 * (1.0 - recall);
            let most = patience.get((patience.len() as f32 * found) as usize).copied();
            most.unwrap_or(u32::MAX).max(Self::LEAST_PATIENCE)
        });
        Limits {
            sure: Bounds::within(0.998, &needed, Bounds::LEAST_SURE),
            nearly: Bounds::within(0.99, &needed, Bounds::LEAST_NEARLY),
            patience,
        }
    }
}

/// What finds one neighbour.
struct Need {
    square: f32,
    length: f32,
    patience: u32,
}

/// How many cells are looked at to see `cell`, whose centre and the others' are at the squared distances `squares`.
fn rank(squares: &[f32], cell: u32) -> u32 {
    let own = (squares[cell as usize], cell);
    1 + squares.iter().zip(0..).filter(|&(&square, other)| (square, other) < own).count() as u32
}

/// Rows compared as `decode` writes them.
struct Decoded<'a, D> {
    decode: &'a D,
    query: &'a [f32],
    kernels: Kernels<f32>,
    unit: f32,
    row: RefCell<Vec<f32>>,
}

impl<D: Fn(u32, &mut Vec<f32>)> Compare for Decoded<'_, D> {
    fn errs(&self) -> bool {
        false
    }

    fn distance<S: Simd>(&self, _: S, slot: u32) -> f32 {
        let mut row = self.row.borrow_mut();
        (self.decode)(slot, &mut row);
        self.kernels.distance(self.query, &row[..]) * self.unit
    }

    fn margin(&self, _: u32) -> f32 {
        0.0
    }

    fn fetch(&self, _: u32) {}
}
