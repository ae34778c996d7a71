//! [`Cells`]: a sketch's rows in an order in which near ones lie together, and which parts of it a query need not look at.
//!
//! The rows are carved into small sets (`carve.rs`), and each set is a *cell*: whole blocks, the last with lanes that hold no row. Of each
//! cell its centre is kept, which codes are relative to, and the mean squared distance of its rows from it. Cells are looked at by the
//! distance of their centres (`centres.rs`), nearest first, as far as [`Limits`] say.

use std::ops::Range;

use rayon::prelude::*;

use crate::bytes::Array;
use crate::distance::fastscan::LANES;
use crate::metric::Metric;
use crate::quant::frame::Frame;
use crate::spec::VectorSpec;

use super::carve::{Carver, SET_ROWS};
use super::centres::{Centres, Distances};
use super::limits::{Bounds, Limits};
use super::order::{Order, Place};
use super::slack::ROUNDED;

/// Fewer rows are estimated before cells are chosen.
const LEAST_ROWS: usize = 8192;

/// Where the rows of a sketch lie.
#[derive(Debug, Clone)]
pub(super) struct Cells {
    /// The row of each lane, block by block; [`NONE`] where there is none.
    rows: Array<[u32; LANES]>,
    /// The first block of each cell, and at last the number of blocks.
    bounds: Vec<u32>,
    /// In units of the greatest distance of a row from the frame's centre.
    centres: Centres,
    /// Of each cell in such units: the mean squared distance of its rows from its centre.
    spreads: Vec<f32>,
    limits: Limits,
}

/// Half the least half float.
const LEAST_HALF: f32 = 1.0 / (1 << 25) as f32;

/// The number of no row: beyond all.
const NONE: u32 = u32::MAX;

/// How a query lies to cells.
#[derive(Debug)]
pub(super) struct Outlook {
    /// Of the cells' centres, in units of the radius.
    distances: Distances,
    bounds: Bounds,
    /// A squared distance of one unit, as the rows' metric has it.
    unit: f32,
    /// How far the query may be from what half floats make of it, as a factor of a distance's square root.
    off: f32,
    /// Cells beyond those near have been put in order, by estimates.
    has_put_others: bool,
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
        let cell = Centres::bytes_of_one(spec.dim(), block) + size_of::<f32>() + size_of::<u32>() + block + lanes;
        rows.div_ceil(LANES) * lanes + Self::most(rows) * cell + size_of::<u32>() + block
    }

    /// Cells there may be of `rows` rows.
    fn most(rows: usize) -> usize {
        2 * rows.div_ceil(SET_ROWS)
    }

    pub(super) fn bytes(&self) -> usize {
        let (spreads, bounds) = (size_of_val(&self.spreads[..]), size_of_val(&self.bounds[..]));
        self.rows.bytes() + self.centres.bytes() + spreads + bounds
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
        let sets = Carver::new(frame.centre.as_slice(), rows, &decode).carve((0..rows as u32).collect());
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
        let points: Vec<&[f32]> = cells.iter().map(|(centre, _)| &centre[..]).collect();
        let centres = Centres::new(dim, scale, &points);
        let spreads = cells.into_iter().map(|(_, spread)| spread).collect();
        Some(Cells { rows: lanes, bounds, centres, spreads, limits: Limits::NONE })
    }

    /// The cell of each of `rows` rows.
    pub(super) fn of_rows(&self, rows: usize) -> Vec<u32> {
        let mut cell_of = vec![0; rows];
        for (cell, bounds) in (0..).zip(self.bounds.windows(2)) {
            let lanes = self.rows.as_slice()[bounds[0] as usize..bounds[1] as usize].as_flattened();
            lanes.iter().filter(|&&row| row != NONE).for_each(|&row| cell_of[row as usize] = cell);
        }
        cell_of
    }

    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// The squared distances of all centres from `query`, in units of the radius.
    pub(super) fn squares<'a>(&self, frame: &Frame, query: &[f32], outlook: &'a mut Outlook) -> &'a [f32] {
        self.centres.measure(frame, query, &mut outlook.distances);
        outlook.distances.squares()
    }

    /// Looks at them from `query`, which is `length` from the centre of `frame`, and puts the next share's into `order`: for a scan with
    /// patience those near, and the others when it [asks](Outlook::put_others) for them; else all. What patience it has: see [`Limits::of`].
    pub(super) fn look(
        &self,
        (frame, metric): (&Frame, Metric),
        (query, length): (&[f32], f32),
        (recall, has_patience): (f32, bool),
        outlook: &mut Outlook,
        order: &mut Order,
    ) -> u32 {
        let patience;
        let Outlook { distances, bounds, unit, off, has_put_others } = outlook;
        (*bounds, patience) = self.limits.of(recall, has_patience);
        *has_put_others = false;
        match patience {
            u32::MAX => self.centres.measure(frame, query, distances),
            _ => self.centres.measure_nearest(frame, query, distances),
        }
        let scale = self.centres.scale();
        *unit = unit_of(metric) / (scale * scale);
        *off = 2.0 * (ROUNDED * length * scale + LEAST_HALF * (query.len() as f32).sqrt()) * unit.sqrt();
        let share = order.extend(self.spreads.len());
        order.put(share, distances.measured().map(|(cell, square)| (cell, known(square * *unit))));
        patience
    }

    /// The spread of a cell, in units of the radius, squared.
    pub(super) fn spread(&self, cell: u32) -> f32 {
        self.spreads[cell as usize]
    }

    /// The unit of lengths, as rows have them.
    pub(super) fn radius(&self) -> f32 {
        1.0 / self.centres.scale()
    }

    /// The centre of the cell that a block is of.
    pub(super) fn centre_of(&self, block: usize, frame: &Frame, out: &mut Vec<f32>) {
        let cell = self.bounds.partition_point(|&first| first as usize <= block) - 1;
        self.centres.leave(cell, frame, out);
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

impl Default for Outlook {
    fn default() -> Self {
        let distances = Distances::default();
        Outlook { distances, bounds: Bounds::NONE, unit: 1.0, off: 0.0, has_put_others: false }
    }
}

impl Outlook {
    /// Puts the cells that are known by estimates alone into `order`, where they are the share of this number, unless they are there.
    pub(super) fn put_others(&mut self, share: usize, order: &mut Order) {
        if !std::mem::replace(&mut self.has_put_others, true) {
            order.put(share, self.distances.estimated().map(|(cell, estimate)| (cell, known(estimate * self.unit))));
        }
    }

    /// A place of `cells` with the distance of its centre, where the order had an estimate.
    #[inline(always)]
    pub(super) fn settle(&self, cells: &Cells, place: Place) -> Place {
        if !self.has_put_others {
            return place;
        }
        Place { distance: known(cells.centres.measure_one(place.cell, &self.distances) * self.unit), ..place }
    }

    /// Of a cell's centre: its distance, less what rounding may have added.
    #[inline(always)]
    pub(super) fn distance(&self, place: Place) -> f32 {
        if place.distance == f32::NEG_INFINITY {
            return place.distance;
        }
        place.distance - self.off * place.distance.sqrt()
    }

    /// The least distance, of the rows' metric, at which a cell of `cells` may hold a row.
    #[inline(always)]
    pub(super) fn least(&self, cells: &Cells, place: Place) -> f32 {
        if place.distance == f32::NEG_INFINITY {
            return place.distance;
        }
        self.bounds.least(place.distance / self.unit, cells.spread(place.cell)) * self.unit
    }
}

/// Where numbers cannot say how far it is, it may be near.
#[inline(always)]
fn known(distance: f32) -> f32 {
    if distance.is_finite() { distance } else { f32::NEG_INFINITY }
}

/// The distance of two vectors by `metric` whose squared distance is 1.
pub(super) fn unit_of(metric: Metric) -> f32 {
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
