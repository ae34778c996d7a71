//! Which slack finds which part of the true neighbours, for every graph that is walked on codes.
//!
//! Measured once a graph is built, on some of its own rows, each as if it were not there: a walk passes over the row it is for, which
//! leaves a gap in its neighbours' lists and so, if anything, errs on the low side. For queries unlike the rows it promises nothing.

use bincode::{Decode, Encode};
use rayon::prelude::*;

use crate::distance::simd::isa;
use crate::graph::compare::exact;
use crate::graph::level::mix;
use crate::graph::links::NONE;
use crate::ids::Slot;
use crate::quant::byte::Scale;
use crate::query::Hit;
use crate::spec::Component;
use crate::vectors::dense::Dense;

use super::build::{rounded, whole};
use super::gate::Open;
use super::rank::Ranking;
use super::search::Run;
use super::walk::Walk;
use super::{QuantizedGraph, QuantizedSearch, WIDTH};

/// Rows that are searched for: their mean recall is known to about a hundredth.
const SAMPLE: usize = 256;

/// Numbers of results at which recall is measured.
const KS: [usize; 3] = [1, 10, 100];

/// The slacks tried, as long as recall is below [`ENOUGH`].
const SLACKS: [f32; 14] = [-0.3, -0.2, -0.1, -0.05, 0.0, 0.03, 0.06, 0.1, 0.14, 0.18, 0.22, 0.26, 0.32, 0.4];

/// More is not asked for.
const ENOUGH: f32 = 0.9995;

/// What a walk on bytes finds near the k-th place is compared again: so many times k are looked up to know the true k.
const MARGIN: usize = 2;

/// Recall by slack, for a few k.
#[derive(Debug, Clone, Default, PartialEq, Encode, Decode)]
pub(crate) struct Calibration {
    curves: Vec<Curve>,
}

#[derive(Debug, Clone, PartialEq, Encode, Decode)]
struct Curve {
    k: u32,
    /// Slack and recall, both ascending.
    points: Vec<(f32, f32)>,
}

impl Calibration {
    /// The curve for `k` results: the one measured at the least k that is not below it, or at the greatest.
    fn curve(&self, k: usize) -> Option<&Curve> {
        self.curves
            .iter()
            .find(|curve| curve.k as usize >= k)
            .or(self.curves.last())
            .filter(|curve| !curve.points.is_empty())
    }

    /// The recall to be expected of a walk.
    pub(crate) fn recall(&self, k: usize, slack: f32) -> Option<f32> {
        let points = &self.curve(k)?.points;
        let at = points.partition_point(|point| point.0 <= slack);
        let Some(&(below, least)) = points.get(at.wrapping_sub(1)) else { return Some(points[0].1) };
        let Some(&(above, most)) = points.get(at) else { return Some(least) };
        Some(least + (most - least) * (slack - below) / (above - below))
    }

    /// The slack at which a walk may be expected to find so much; the greatest tried where none did.
    pub(crate) fn slack(&self, k: usize, recall: f32) -> Option<f32> {
        let points = &self.curve(k)?.points;
        let at = points.partition_point(|point| point.1 < recall);
        let Some(&(above, most)) = points.get(at) else { return points.last().map(|point| point.0) };
        let Some(&(below, least)) = points.get(at.wrapping_sub(1)) else { return Some(above) };
        Some(below + (above - below) * (recall - least) / (most - least))
    }

    /// Whether it can have been measured.
    pub(crate) fn is_sound(&self) -> bool {
        let ascends = |curve: &Curve| {
            let inside = curve.points.iter().all(|point| point.0.is_finite() && (0.0..=1.0).contains(&point.1));
            inside && curve.points.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1)
        };
        self.curves.iter().all(ascends)
    }
}

/// Rows that are searched for, and what should be found.
pub(crate) struct Sample {
    slots: Vec<u32>,
    /// Of each row its nearest others, as many as the greatest k that is measured.
    truth: Vec<Vec<Hit>>,
    /// Rows of the index.
    rows: usize,
}

impl Calibration {
    /// Measures the recall of `walk`, which searches for rows as if they were not there: given a number of results, a slack and rows, it
    /// hands the hits of each, with its place among those, on to its last argument. Cost: a few thousand searches.
    pub(crate) fn measure(
        sample: &Sample,
        walk: impl Fn(usize, f32, &[u32], &mut dyn FnMut(usize, &[Hit])) + Sync,
    ) -> Self {
        let ks = KS.into_iter().filter(|&k| MARGIN * k < sample.rows && !sample.truth.is_empty());
        Calibration { curves: ks.map(|k| Curve::measure(k, |slack| sample.recall(k, slack, &walk))).collect() }
    }
}

impl Curve {
    fn measure(k: usize, recall: impl Fn(f32) -> f32) -> Self {
        let mut points: Vec<(f32, f32)> = Vec::new();
        for slack in SLACKS {
            let recall = recall(slack);
            // Noise apart, a greater slack finds no less.
            let recall = points.last().map_or(recall, |point| recall.max(point.1));
            points.push((slack, recall));
            if recall >= ENOUGH {
                break;
            }
        }
        Curve { k: k as u32, points }
    }
}

impl Sample {
    /// The part of the true `k` nearest that walks find.
    fn recall(
        &self,
        k: usize,
        slack: f32,
        walk: &(impl Fn(usize, f32, &[u32], &mut dyn FnMut(usize, &[Hit])) + Sync),
    ) -> f32 {
        const TASK: usize = 16;
        let found = |(slots, truth): (&[u32], &[Vec<Hit>])| {
            let mut found = 0;
            walk(k, slack, slots, &mut |index, hits| {
                // By distance, so that of rows equally far any counts; the two are computed in different orders.
                let farthest = truth[index][k - 1].distance * (1.0 + 1e-5);
                found += hits.iter().filter(|hit| hit.distance <= farthest).count().min(k);
            });
            found
        };
        let found: usize = self.slots.par_chunks(TASK).zip(self.truth.par_chunks(TASK)).map(found).sum();
        found as f32 / (self.slots.len() * k) as f32
    }
}

impl QuantizedGraph {
    /// Rows to search for, and their true neighbours: by comparing all rows on bytes, and on full vectors where bytes are not exact.
    pub(crate) fn sample(&self) -> Sample {
        let (dim, decode) = (self.spec.dim(), |slot: Slot, out: &mut Vec<f32>| self.vector(slot, out));
        match self.scale {
            Scale::Whole => self.sample_by(&whole(dim, self.len(), &decode)),
            Scale::Own => self.sample_by(&rounded(dim, self.len(), &decode)),
        }
    }

    /// As [`sample`](QuantizedGraph::sample), of `dense`, the rows as the graph was built on them.
    pub(super) fn sample_by<T: Component>(&self, dense: &Dense<T>) -> Sample {
        let rows = self.len();
        let alone = |slot: &u32| self.twins.as_slice().get(*slot as usize).is_none_or(|&twin| twin == NONE);
        let linked = |slot: &u32| !self.neighbors(*slot).is_empty();
        let mut slots: Vec<u32> = (0..rows as u32).filter(alone).filter(linked).collect();
        slots.sort_unstable_by_key(|&slot| mix(self.params.seed ^ mix(u64::from(!slot))));
        slots.truncate(SAMPLE);
        let Some(most) = KS.into_iter().rfind(|&k| MARGIN * k < rows && !slots.is_empty()) else {
            return Sample { slots: Vec::new(), truth: Vec::new(), rows };
        };
        let keep = if self.is_lossless() { most } else { MARGIN * most };
        let mut ranking = Ranking::default();
        let mut query = Vec::new();
        let truth = (exact(isa(), dense.view(), &slots, keep).iter().zip(&slots))
            .map(|(nearest, &slot)| {
                self.vector(Slot(slot), &mut query);
                ranking.hits.clear();
                ranking.hits.extend(nearest.iter().map(|&candidate| Hit::from(candidate)));
                ranking.rescore(self.full.as_ref(), &query, most);
                ranking.hits.clone()
            })
            .collect();
        Sample { slots, truth, rows }
    }

    /// Measures recall on `sample`.
    pub(super) fn calibrate(&self, sample: &Sample) -> Calibration {
        Calibration::measure(sample, |k, slack, slots, take| {
            let mut walks: [Walk; WIDTH] = Default::default();
            let query = |index: usize, query: &mut Vec<f32>| {
                self.vector(Slot(slots[index]), query);
                Some(slots[index])
            };
            let run = Run::open(self.limits(QuantizedSearch::new(k, slack)));
            self.walk((slots.len(), query), &run, Open, &mut walks, &mut Ranking::default(), take);
        })
    }

    /// The recall that a search of `k` results with a given slack may be expected to have, as measured on rows of this index when it was
    /// built; `None` where there were too few to measure.
    pub fn expected_recall(&self, k: usize, slack: f32) -> Option<f32> {
        self.calibration.recall(k, slack)
    }

    /// A search of `k` results that may be expected to have at least `recall`, or the greatest recall that was measured.
    /// An index of too few rows to measure, where a walk meets nearly all, is searched with the default slack.
    pub fn with_recall(&self, k: usize, recall: f32) -> QuantizedSearch {
        QuantizedSearch::new(k, self.calibration.slack(k, recall).unwrap_or(QuantizedSearch::DEFAULT_SLACK))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slack_and_recall_are_read_off_the_curve_both_ways() {
        let curve = |k, points: &[(f32, f32)]| Curve { k, points: points.to_vec() };
        let calibration =
            Calibration { curves: vec![curve(1, &[(0.0, 0.5), (0.25, 1.0)]), curve(10, &[(-0.5, 0.25), (0.5, 0.75)])] };
        assert!(calibration.is_sound());
        assert_eq!(calibration.recall(1, -5.0), Some(0.5));
        assert_eq!(calibration.recall(1, 0.125), Some(0.75));
        assert_eq!(calibration.recall(7, 0.0), Some(0.5));
        assert_eq!(calibration.recall(500, 3.0), Some(0.75));
        assert_eq!((calibration.slack(1, 0.25), calibration.slack(1, 0.75)), (Some(0.0), Some(0.125)));
        assert_eq!((calibration.slack(10, 0.5), calibration.slack(10, 0.99)), (Some(0.0), Some(0.5)));
        assert_eq!(Calibration::default().slack(1, 0.9), None);
        assert!(!Calibration { curves: vec![curve(1, &[(0.0, 0.9), (0.2, 0.8)])] }.is_sound());
    }
}
