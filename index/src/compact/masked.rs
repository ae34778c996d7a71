//! Searches among the rows of a mask: by a scan or a walk through all rows, as [`Costs`] say, which are measured at the first of them.
//! There is no guided walk: a hop reads the codes of those neighbours alone that were not seen, so there is less to be saved.

use crate::distance::simd::{dispatch, isa};
use crate::ids::Slot;
use crate::mask::Mask;
use crate::params::SearchParams;
use crate::planner::{Asked, CodedCosts, Costs, Explain, Near, Plan, Probe, timed};
use crate::qgraph::masked::effort;
use crate::qgraph::{QuantizedStats, load};
use crate::quant::nested::Bits;
use crate::query::{Hit, SearchError};
use crate::rows::VectorRef;
use crate::sketch::Sketch;

use super::walk::{Counts, Limits, Look};
use super::{CompactGraph, CompactScratch, CompactSearch, Run};

impl CompactGraph {
    /// As [`search`](CompactGraph::search) among the rows of `mask` alone: `k` of them unless it has fewer. `plan` is the way to go; of
    /// none, the one that is expected to be the cheapest. A guided walk is a walk here. A walk that costs more than the scan would, or finds
    /// too little, ends in the scan. A scan by codes finds the part that is to be expected of the walk. Panics unless `mask` is of as many rows as
    /// the index has.
    pub fn search_masked(
        &self,
        query: VectorRef<'_>,
        params: CompactSearch,
        mask: &Mask,
        plan: Option<Plan>,
        scratch: &mut CompactScratch,
        hits: &mut Vec<Hit>,
    ) -> Result<Explain, SearchError> {
        let limits = self.limits_of(params)?;
        let recall = self.expected_recall(params.k, params.slack).unwrap_or(1.0);
        self.search_within(query, (limits, recall), mask, plan, scratch, hits)
    }

    /// As [`search_masked`](CompactGraph::search_masked), but as far as a beam goes.
    pub(crate) fn search_beam_masked(
        &self,
        query: VectorRef<'_>,
        (params, bits): (SearchParams, Bits),
        mask: &Mask,
        plan: Option<Plan>,
        scratch: &mut CompactScratch,
        hits: &mut Vec<Hit>,
    ) -> Result<Explain, SearchError> {
        let limits = self.limits_of_beam(params, bits)?;
        self.search_within(query, (limits, Sketch::USUAL_RECALL), mask, plan, scratch, hits)
    }

    /// As [`search_masked`](CompactGraph::search_masked), within `limits`, or by a coded scan that finds such a part of the nearest.
    fn search_within(
        &self,
        query: VectorRef<'_>,
        (limits, recall): (Limits, f32),
        mask: &Mask,
        plan: Option<Plan>,
        scratch: &mut CompactScratch,
        hits: &mut Vec<Hit>,
    ) -> Result<Explain, SearchError> {
        assert_eq!(mask.rows(), self.len(), "a mask of this index");
        hits.clear();
        let plan = plan.map(|plan| if plan == Plan::Guided { Plan::Walk } else { plan });
        let sketch = self.sketch.get().map(|sketched| &sketched.sketch);
        let asked = Asked {
            rows: self.len(),
            matching: mask.len(),
            blocks: sketch.map_or(0, |sketch| sketch.blocks_of(mask)),
            k: limits.results,
            effort: effort(limits.k),
            guides: false,
            entries: self.entries.len(),
            near: None,
        };
        let (course, looked) = self.costs().course_looking(asked, plan, || self.near(query, mask, scratch))?;
        let limits = Limits { results: course.few(limits.results), k: course.few(limits.k), ..limits };
        let accept = |slot| mask.contains(slot);
        let sketch = sketch.filter(|_| course.by_codes).map(|sketch| (sketch, recall));
        let scanning = Run { limits, give_up: false, accept: Some(&accept), mask: Some(mask), sketch, looked };
        let stats = match course.plan {
            Plan::Nothing => self.spec.check(query).map(|()| QuantizedStats::default())?,
            Plan::Scan | Plan::Coded => self.compare(query, &scanning, scratch, hits)?,
            Plan::Walk | Plan::Guided => {
                let give_up = course.budget < limits.max_hops;
                // A walk that keeps what matches goes far beyond the k nearest of all; it needs no slack to find them.
                let slack = limits.slack * course.share_near;
                let limits = Limits { slack, max_hops: course.budget.min(limits.max_hops), ..limits };
                self.one(query, &Run { limits, give_up, ..scanning }, scratch, hits)?
            }
        };
        let fell_back = stats.scans > 0 && !matches!(course.plan, Plan::Scan | Plan::Coded);
        Ok(course.explain((stats.estimates, stats.distances + stats.rescored), stats.hops, fell_back))
    }

    /// How many of the entries near `query` stand for rows of `mask`.
    fn near(&self, query: VectorRef<'_>, mask: &Mask, scratch: &mut CompactScratch) -> Result<Near, SearchError> {
        scratch.reserve(1);
        let walk = &mut scratch.walks[0];
        load(&self.spec, query, &mut walk.query)?;
        let matches = |node| self.copies(node).any(|copy| mask.contains(Slot(copy)));
        Ok(dispatch(isa(), Look { field: self.field(), walk, matches }))
    }

    /// Compares the rows of a search for `query`, without a walk.
    fn compare(
        &self,
        query: VectorRef<'_>,
        run: &Run<'_>,
        scratch: &mut CompactScratch,
        hits: &mut Vec<Hit>,
    ) -> Result<QuantizedStats, SearchError> {
        hits.clear();
        scratch.reserve(1);
        let CompactScratch { walks, ranking } = scratch;
        let walk = &mut walks[0];
        load(&self.spec, query, &mut walk.query)?;
        walk.counts = Counts::default();
        self.codes.prepare(&mut walk.code, &walk.query);
        self.scan(walk, run, ranking);
        ranking.rescore(self.full.as_ref(), &walk.query, run.limits.results);
        hits.extend_from_slice(&ranking.hits);
        Ok(self.stats(walk, ranking, true))
    }

    /// What searches of this index cost here. Measured once, in some milliseconds, and of a sketch by sixteen scans.
    pub fn costs(&self) -> Costs {
        let costs = *self.costs.get_or_init(|| self.measure());
        let coded =
            self.sketch.get().map(|sketched| sketched.costs(|| self.measure_coded(&sketched.sketch, costs.row_ns)));
        Costs { coded, ..costs }
    }

    fn measure(&self) -> Costs {
        let (mut scratch, mut hits, mut vector) = (CompactScratch::new(), Vec::new(), Vec::new());
        let params = CompactSearch::default();
        Costs::measure(self.len(), |row: Slot, sample| {
            self.vector(row, &mut vector);
            let query = VectorRef::from(vector.as_slice());
            let (stats, walk) = timed(|| self.search(query, params, &mut scratch, &mut hits));
            let (done, scan) = timed(|| self.compare_among(query, sample, None, &mut scratch));
            stats.ok().filter(|_| done.is_ok()).map(|stats| Probe { walk, hops: stats.hops, scan })
        })
    }

    fn measure_coded(&self, sketch: &Sketch, row_ns: f32) -> CodedCosts {
        let (mut scratch, mut vector) = (CompactScratch::new(), Vec::new());
        CodedCosts::measure(sketch, row_ns, |row, sample| {
            self.vector(row, &mut vector);
            let query = VectorRef::from(vector.as_slice());
            let (stats, time) = timed(|| self.compare_among(query, sample, Some(sketch), &mut scratch));
            stats.ok().map(|stats| (time, stats.distances))
        })
    }

    /// Compares the rows of `mask`, by the defaults of a search.
    fn compare_among(
        &self,
        query: VectorRef<'_>,
        mask: &Mask,
        sketch: Option<&Sketch>,
        scratch: &mut CompactScratch,
    ) -> Result<QuantizedStats, SearchError> {
        let (accept, limits) = (|slot| mask.contains(slot), self.limits(CompactSearch::default()));
        let sketch = sketch.map(|sketch| (sketch, Sketch::USUAL_RECALL));
        let run = Run { limits, give_up: false, accept: Some(&accept), mask: Some(mask), sketch, looked: false };
        self.compare(query, &run, scratch, &mut Vec::new())
    }
}
