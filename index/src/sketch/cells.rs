//! [`Cells`]: a sketch's rows in an order in which near ones lie together, and which parts of it a query need not look at.
//!
//! The rows are carved into small sets (`carve.rs`), and each set is a *cell*: whole blocks, the last with lanes that hold no row. Of each
//! cell its centre `c` is kept, which codes are relative to, and the mean squared distance `s²` of its rows from it. A row `x` at distance `δ` from a query
//! `q` lies in a direction from `q` that has little to do with the one from `x` to the centre, so `‖q − c‖²` is about `δ² + s²`; and it lies
//! no farther on the near side of its cell than rows do, so that `‖q − c‖ − δ` is a part of `s`. How much more they may be is measured on
//! the rows themselves: hardly any of the nearest neighbours of some rows exceed the [`Limits`]. A cell may hold a row within the
//! distance `δ` only if
//!
//! ```text
//! ‖q − c‖² / square − s² < δ²    or    ‖q − c‖ − length · s < δ
//! ```
//!
//! where the first says more of queries that lie where rows do, the second of others. A scan that goes by it ends when no cell is left
//! within the distance of the k-th row found. Where queries lie elsewhere than rows, or few rows match, that distance is larger, and more
//! is looked at; where rows cannot be carved, everything is.

use std::cell::RefCell;
use std::ops::Range;

use half::f16;
use rayon::prelude::*;

use crate::bytes::Array;
use crate::compare::{Compare, Nearest};
use crate::distance::Kernels;
use crate::distance::fastscan::LANES;
use crate::distance::simd::Simd;
use crate::metric::{ElementType, Metric};
use crate::quant::frame::Frame;
use crate::rows::{Rows, VectorRef};
use crate::spec::VectorSpec;
use crate::vectors::dense::{Dense, Line};

use super::Sketch;
use super::carve::{Carver, SET_ROWS};
use super::scan::{Eligible, ROUNDED, Sketching};

/// Fewer rows are estimated before cells are chosen.
const LEAST_ROWS: usize = 8192;

/// Rows whose neighbours are looked for to find the limits, how many of each, and the part that is within them.
const PROBES: usize = 128;
const NEIGHBORS: usize = 10;
const WITHIN: f64 = 0.998;

/// Where the rows of a sketch lie.
#[derive(Debug, Clone)]
pub(super) struct Cells {
    /// The row of each lane, block by block; [`NONE`] where there is none.
    rows: Array<[u32; LANES]>,
    /// The first block of each cell, and at last the number of blocks.
    bounds: Vec<u32>,
    /// Relative to the frame's centre, in units of the greatest distance of a row from it.
    centres: Dense<f16>,
    /// Of each cell in such units: the mean squared distance of its rows from its centre.
    spreads: Vec<f32>,
    /// One by the unit.
    scale: f32,
    limits: Limits,
}

/// What neighbours are within; see above.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    square: f32,
    length: f32,
}

impl Limits {
    const NONE: Limits = Limits { square: f32::INFINITY, length: f32::INFINITY };

    /// No limit is less, however near to centres the rows are: queries may come from other sides.
    const LEAST: Limits = Limits { square: 1.0, length: 0.5 };

    /// The least squared distance at which there may be a row of a cell of such a spread whose centre is at the squared distance `square`.
    #[inline(always)]
    fn least(self, square: f32, spread: f32) -> f32 {
        let length = (square.sqrt() - self.length * spread.sqrt()).max(0.0);
        (square / self.square - spread).min(length * length)
    }
}

/// Half the least half float.
const LEAST_HALF: f32 = 1.0 / (1 << 25) as f32;

/// The number of no row: beyond all.
const NONE: u32 = u32::MAX;

/// How a query lies to cells.
#[derive(Debug, Default)]
pub(super) struct Outlook {
    vector: Vec<f32>,
    words: Vec<Line>,
    /// Of the cells' centres, of the sketch's metric: less than that by no more than rounding may have added.
    distances: Vec<f32>,
    /// The least distance, of the sketch's metric, at which a cell may hold a row; and the cell. Those before `ordered` are the nearest, in
    /// order.
    cells: Vec<(f32, u32)>,
    taken: usize,
    ordered: usize,
}

impl Cells {
    /// Whether so many rows are worth cells by `metric`: those with which products are greatest may lie anywhere.
    pub(super) fn are_worth(metric: Metric, rows: usize) -> bool {
        rows >= LEAST_ROWS && metric != Metric::Dot
    }

    /// Bytes for `rows` rows, at most; a block of codes, of which each cell may have one more than its rows fill, takes `block` bytes.
    pub(super) fn bytes_of(spec: VectorSpec, rows: usize, block: usize) -> usize {
        if !Self::are_worth(spec.metric(), rows) {
            return 0;
        }
        let lanes = size_of::<[u32; LANES]>();
        let cell = 2 * spec.dim().next_multiple_of(32) + size_of::<f32>() + size_of::<u32>() + block + lanes;
        rows.div_ceil(LANES) * lanes + Self::most(rows) * cell + size_of::<u32>()
    }

    /// Cells there may be of `rows` rows.
    fn most(rows: usize) -> usize {
        2 * rows.div_ceil(SET_ROWS)
    }

    pub(super) fn bytes(&self) -> usize {
        let (spreads, bounds) = (size_of_val(&self.spreads[..]), size_of_val(&self.bounds[..]));
        self.rows.bytes() + self.centres.array().bytes() + spreads + bounds
    }

    /// Cells of `rows` rows, which `decode` writes, none farther than `radius` from the centre of `frame`; none where rows lie so much apart
    /// that there would be too many. Until limits are [set](Cells::set_limits) everything is looked at.
    pub(super) fn new(
        frame: &Frame,
        radius: f32,
        rows: usize,
        decode: impl Fn(u32, &mut Vec<f32>) + Sync,
    ) -> Option<Self> {
        let dim = frame.centre.len();
        let sets = Carver { dim, decode: &decode }.carve((0..rows as u32).collect());
        if sets.len() > Self::most(rows) {
            return None;
        }
        let (mut lanes, mut bounds) = (Array::default(), vec![0]);
        for set in &sets {
            let first = lanes.len();
            lanes.resize(first + set.len().div_ceil(LANES));
            bounds.push(lanes.len() as u32);
            let blocks = &mut lanes.as_mut_slice()[first..];
            blocks.fill([NONE; LANES]);
            blocks.as_flattened_mut()[..set.len()].copy_from_slice(set);
        }
        let scale = 1.0 / radius.max(f32::MIN_POSITIVE);
        let cells: Vec<(Vec<f32>, f32)> = sets.par_iter().map(|set| centre_of(frame, scale, set, &decode)).collect();
        let spec = VectorSpec::new(dim, Metric::L2, ElementType::F16).expect("rows have such a dimension");
        let mut centres = Dense::new(spec);
        for (centre, _) in &cells {
            centres.extend(Rows::one(VectorRef::from(centre.as_slice()))).expect("no centre is beyond the radius");
        }
        let spreads = cells.into_iter().map(|(_, spread)| spread).collect();
        Some(Cells { rows: lanes, bounds, centres, spreads, scale, limits: Limits::NONE })
    }

    /// What the limits of `sketch`'s cells should be.
    pub(super) fn limits_of(&self, sketch: &Sketch, decode: impl Fn(u32, &mut Vec<f32>) + Sync) -> Limits {
        let mut cell_of = vec![0_u32; sketch.rows];
        for (cell, bounds) in (0..).zip(self.bounds.windows(2)) {
            let lanes = self.rows.as_slice()[bounds[0] as usize..bounds[1] as usize].as_flattened();
            lanes.iter().filter(|&&row| row != NONE).for_each(|&row| cell_of[row as usize] = cell);
        }
        let of_probe = |probe: usize| {
            let row = (probe * sketch.rows / PROBES) as u32;
            let (mut query, mut nearest, mut outlook) = (Vec::new(), Nearest::default(), Outlook::default());
            decode(row, &mut query);
            let (unit, kernels) = (unit_of(sketch.metric), Kernels::new(Metric::L2));
            let by = Decoded { decode: &decode, query: &query, kernels, unit, row: RefCell::default() };
            let others = Eligible::If(&|other| other.0 != row);
            sketch.scan(&by, &query, (NEIGHBORS, f32::INFINITY), others, &mut Sketching::default(), &mut nearest);
            let found = nearest.rows();
            let reach = found.last().map_or(0.0, |row| row.0) * self.scale * self.scale / unit;
            self.distances(&sketch.frame, &query, &mut outlook);
            let needed = |&(_, row): &(f32, u32)| {
                let cell = cell_of[row as usize] as usize;
                let (distance, spread) = (outlook.distances[cell], self.spreads[cell]);
                let length = (distance.sqrt() - reach.sqrt()) / spread.sqrt();
                Limits { square: distance / (reach + spread), length }
            };
            found.iter().map(needed).collect::<Vec<Limits>>()
        };
        let needed: Vec<Limits> = (0..PROBES).into_par_iter().flat_map_iter(of_probe).collect();
        let most = |limit: fn(&Limits) -> f32| {
            // Copies of one row, without any distance, say nothing.
            let mut limits: Vec<f32> = needed.iter().map(limit).filter(|limit| !limit.is_nan()).collect();
            limits.sort_unstable_by(f32::total_cmp);
            limits.get((limits.len() as f64 * WITHIN) as usize).copied().unwrap_or(f32::INFINITY)
        };
        let Limits { square, length } = Limits::LEAST;
        Limits { square: most(|limits| limits.square).max(square), length: most(|limits| limits.length).max(length) }
    }

    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// The squared distances of all centres from `query`, in units of the radius.
    fn distances(&self, frame: &Frame, query: &[f32], outlook: &mut Outlook) {
        let Outlook { vector, words, distances, .. } = outlook;
        vector.clear();
        vector.extend(query.iter().zip(frame.centre.as_slice()).map(|(x, centre)| (x - centre) * self.scale));
        distances.resize(self.centres.len(), 0.0);
        if let Ok(query) = self.centres.encode(VectorRef::from(vector.as_slice()), words) {
            let view = self.centres.view();
            return view.kernels.scan(query, view.rows, 0, distances);
        }
        // So far away that half floats cannot say.
        let mut centre = Vec::new();
        for (cell, distance) in distances.iter_mut().enumerate() {
            self.centres.decode(cell, &mut centre);
            *distance = centre.iter().zip(&*vector).map(|(c, x)| (x - c) * (x - c)).sum();
        }
    }

    /// How `query` lies to them, for a sketch of `metric` within `frame`, from whose centre it is `length` away.
    pub(super) fn look(&self, frame: &Frame, metric: Metric, (query, length): (&[f32], f32), outlook: &mut Outlook) {
        self.distances(frame, query, outlook);
        let Outlook { distances, cells, .. } = outlook;
        cells.clear();
        let unit = unit_of(metric) / (self.scale * self.scale);
        // How far the query may be from what half floats make of it.
        let off = ROUNDED * length * self.scale + LEAST_HALF * (query.len() as f32).sqrt();
        let known = |distance: f32| if distance.is_finite() { distance } else { f32::NEG_INFINITY };
        for (cell, (square, &spread)) in (0..).zip(distances.iter_mut().zip(&self.spreads)) {
            cells.push((known(self.limits.least(*square, spread) * unit), cell));
            *square = known((*square - 2.0 * off * square.sqrt()) * unit);
        }
        (outlook.taken, outlook.ordered) = (0, 0);
    }

    /// The centre of the cell that a block is of.
    pub(super) fn centre_of(&self, block: usize, frame: &Frame, out: &mut Vec<f32>) {
        let cell = self.bounds.partition_point(|&first| first as usize <= block) - 1;
        self.centres.decode(cell, out);
        out.iter_mut().zip(frame.centre.as_slice()).for_each(|(x, centre)| *x = *x / self.scale + centre);
    }

    /// Number of blocks.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The blocks of a cell.
    #[inline(always)]
    pub(super) fn blocks(&self, cell: u32) -> Range<usize> {
        self.bounds[cell as usize] as usize..self.bounds[cell as usize + 1] as usize
    }

    /// The rows of a block; those that there are none of are beyond all rows.
    #[inline(always)]
    pub(super) fn rows(&self, block: usize) -> &[u32; LANES] {
        &self.rows.as_slice()[block]
    }
}

/// Cells that are put in order at first.
const NEAR: usize = 32;

impl Outlook {
    /// The distance of a cell's centre.
    #[inline(always)]
    pub(super) fn distance(&self, cell: u32) -> f32 {
        self.distances[cell as usize]
    }

    /// The next cell, nearest first.
    #[inline]
    pub(super) fn next(&mut self) -> Option<u32> {
        if self.taken == self.ordered {
            self.put_in_order();
        }
        let (_, cell) = *self.cells.get(self.taken)?;
        self.taken += 1;
        Some(cell)
    }

    /// Leaves those other cells that may hold a row within `reach`, in the order in which they lie: memory is read best so.
    pub(super) fn leave_within(&mut self, reach: f32) {
        self.cells.drain(..self.taken);
        self.cells.retain(|cell| cell.0 < reach);
        self.cells.sort_unstable_by_key(|cell| cell.1);
    }

    /// Those that were left: where there may be a row of each at the least, and the cell.
    pub(super) fn left(&self) -> &[(f32, u32)] {
        &self.cells
    }

    /// Puts more cells in order: the nearest few at first, for often no other is needed, and then all.
    fn put_in_order(&mut self) {
        let left = &mut self.cells[self.taken..];
        let count = if self.taken == 0 { NEAR.min(left.len()) } else { left.len() };
        if count < left.len() {
            left.select_nth_unstable_by(count, by_distance);
        }
        left[..count].sort_unstable_by(by_distance);
        self.ordered = self.taken + count;
    }
}

fn by_distance(a: &(f32, u32), b: &(f32, u32)) -> std::cmp::Ordering {
    a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
}

/// The distance of two vectors by `metric` whose squared distance is 1.
fn unit_of(metric: Metric) -> f32 {
    // Of vectors of length one, 1 − ⟨a, b⟩ = ½‖a − b‖².
    if metric == Metric::Cosine { 0.5 } else { 1.0 }
}

/// The mean of the rows `set`, relative to the frame's centre and scaled, and their mean squared distance from it.
fn centre_of(frame: &Frame, scale: f32, set: &[u32], decode: impl Fn(u32, &mut Vec<f32>)) -> (Vec<f32>, f32) {
    let (mut sums, mut squares, mut vector) = (vec![0.0_f64; frame.centre.len()], 0.0_f64, Vec::new());
    for &row in set {
        decode(row, &mut vector);
        for ((sum, &x), &centre) in sums.iter_mut().zip(&vector).zip(frame.centre.as_slice()) {
            let x = f64::from((x - centre) * scale);
            *sum += x;
            squares += x * x;
        }
    }
    let count = set.len().max(1) as f64;
    let centre: Vec<f32> = sums.iter().map(|sum| (sum / count) as f32).collect();
    let square: f64 = centre.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    (centre, (squares / count - square).max(0.0) as f32)
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
