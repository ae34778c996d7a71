//! [`Slack`]: by how much estimates may be too large, so that a scan can leave out what is surely far.
//!
//! The lower bound. `⟨x, q⟩` for a query `q` and the code `x` of a row is off by the part of `x` across the row times that of `q`. The
//! first is known of each row; its direction is random, so the product has a standard deviation of `deviation` times the length of `q`
//! across the row. That length is no more than the distance from `q` to the row: of a row within the k-th distance, which is all that
//! matters here, it is at most that distance. This is what makes near neighbours cheap, where RaBitQ's own bound takes the length of
//! `q` whole. On top come the steps of the table and what half floats round off.

use crate::distance::fastscan::Table;
use crate::metric::Metric;

use super::Sketch;

/// Standard deviations by which an estimate may be too large: beyond it is one of 700 rows at the k-th distance, and none much nearer; and
/// one of a hundred, where one of a hundred of the nearest may be missed.
const SURE: f32 = 3.0;
const NEARLY_SURE: f32 = 2.33;
pub(super) const NEARLY: f32 = 0.99;

/// Half a unit in the last place of a half float, of both factors of a row.
pub(super) const ROUNDED: f32 = 1.0 / 2048.0;

/// By how much the estimates of one query may be too large.
#[derive(Debug, Default)]
pub(super) struct Slack {
    /// The squared length of what lies at distance 1; infinite where distances are none of the kind.
    square: f32,
    /// Of the query from what all rows are coded relative to; infinite where each cell has its own.
    length: f32,
    /// Standard deviation of a product due to the table's steps, and what rounding may add to a product: by the least
    /// [deviation](Sketch::least_deviation), so that no row errs by a larger part of its own.
    steps: f32,
    rounded: f32,
    /// Standard deviations by which an estimate may be too large.
    deviations: f32,
    /// What an error for a query at distance 1 across the row is worth within the present reach.
    pub(super) scale: f32,
    /// That reach.
    reach: f32,
}

impl Slack {
    pub(super) fn new(sketch: &Sketch, table: &Table, length: f32, recall: f32) -> Self {
        let deviations = if recall > NEARLY { SURE } else { NEARLY_SURE };
        let (dim, least) = (table.dim() as f32, sketch.least_deviation);
        // A coordinate is off by up to half a step, and counts half.
        let steps = table.step * (dim / 48.0).sqrt() / least;
        let rounded = ROUNDED * 0.5 * dim.sqrt() * length / least;
        let length = if sketch.cells.is_some() { f32::INFINITY } else { length };
        let square = match sketch.metric {
            Metric::L2 => 1.0,
            Metric::Cosine => 2.0,
            _ => f32::INFINITY,
        };
        Slack { square, length, steps, rounded, deviations, scale: f32::INFINITY, reach: f32::NAN }
    }

    /// For rows no farther than `reach`.
    #[inline(always)]
    pub(super) fn set(&mut self, reach: f32) {
        if self.reach == reach {
            return;
        }
        let across = self.length.min((self.square * reach.max(0.0)).sqrt());
        let scale = self.deviations * (across * across + self.steps * self.steps).sqrt() + self.rounded;
        // Finite, that nothing may be made of it where there is no error.
        (self.scale, self.reach) = (scale.min(f32::MAX), reach);
    }

    /// Of rows with no larger [constant part and error](Sketch::largest), at most.
    #[inline(always)]
    pub(super) fn at_most(&self, [add, error]: [f32; 2]) -> f32 {
        error * self.scale + add * ROUNDED
    }
}
