//! Which slack finds which part of the true neighbours, at the default number of bits.

use crate::ids::Slot;
use crate::qgraph::calibrate::{Calibration, Sample};
use crate::qgraph::rank::Ranking;
use crate::vectors::dense::Vectors;

use super::walk::Walk;
use super::{CompactGraph, CompactSearch, Run, WIDTH};

impl CompactGraph {
    /// Measures recall on `sample`. Where vectors are not kept, hits are told by those that are about to be `dropped`.
    pub(super) fn calibrate(&self, sample: &Sample, dropped: Option<&Vectors>) -> Calibration {
        Calibration::measure(sample, |k, slack, slots, take| {
            let mut walks: [Walk; WIDTH] = Default::default();
            let (mut ranking, mut vector) = (Ranking::default(), Vec::new());
            let decode = |slot, out: &mut Vec<f32>| match dropped {
                Some(vectors) => vectors.decode(slot, out),
                None => self.vector(slot, out),
            };
            let query = |index: usize, query: &mut Vec<f32>| {
                decode(Slot(slots[index]), query);
                Some(slots[index])
            };
            let run = Run::open(self.limits(CompactSearch::new(k, slack)));
            self.walk((slots.len(), query), &run, &mut walks, &mut Ranking::default(), |index, hits| {
                decode(Slot(slots[index]), &mut vector);
                ranking.hits.clear();
                ranking.hits.extend_from_slice(hits);
                ranking.rescore(dropped, &vector, k);
                take(index, &ranking.hits);
            });
        })
    }

    /// The recall that a search of `k` results with a given slack may be expected to have at the default number of bits, as measured on rows
    /// of this index when it was built; `None` where there were too few to measure.
    pub fn expected_recall(&self, k: usize, slack: f32) -> Option<f32> {
        self.calibration.recall(k, slack)
    }

    /// A search of `k` results that may be expected to have at least `recall`, or the greatest recall that was measured.
    /// An index of too few rows to measure, where a walk meets nearly all, is searched with the default slack.
    pub fn with_recall(&self, k: usize, recall: f32) -> CompactSearch {
        CompactSearch::new(k, self.calibration.slack(k, recall).unwrap_or(CompactSearch::DEFAULT_SLACK))
    }
}
