//! Searches among the rows of a mask: the way is chosen by [`Costs`], measured at the first of them.

use super::gate::{Correlation, Doubt, Guided, HOPS_FAR, NearSieve};
use super::search::{Cut, Run};
use super::walk::{Limits, Look};
use super::{QuantizedGraph, QuantizedScratch, QuantizedSearch, QuantizedStats, load};
use crate::distance::simd::{dispatch, isa};
use crate::graph::copies::{Copies, spread};
use crate::ids::Slot;
use crate::mask::Mask;
use crate::params::SearchParams;
use crate::planner::{Asked, CodedCosts, Costs, Course, Explain, Near, Plan, Probe, timed};
use crate::query::{Hit, SearchError};
use crate::rows::VectorRef;
use crate::sketch::Sketch;

/// Neighbours that match, of which a guided walk wants each node to see so many.
const WANTED: usize = 24;

/// Rows that match and are drawn as places to begin at, for queries far from all entries that match.
const SEEDS: usize = 8;

impl QuantizedGraph {
    /// As [`search`](QuantizedGraph::search) among the rows of `mask` alone: `k` of them unless it has fewer. `plan` is the way to go; of
    /// none, the one that is expected to be the cheapest. A walk that costs more than the scan would, or finds too little, ends in the scan.
    /// A scan by codes finds the part that is to be expected of the walk. Panics unless `mask` is of as many rows as the index has.
    pub fn search_masked(
        &self,
        query: VectorRef<'_>,
        params: QuantizedSearch,
        mask: &Mask,
        plan: Option<Plan>,
        scratch: &mut QuantizedScratch,
        hits: &mut Vec<Hit>,
    ) -> Result<Explain, SearchError> {
        let limits = self.limits_of(params)?;
        let recall = self.expected_recall(params.k, params.slack).unwrap_or(1.0);
        self.search_within(query, (limits, recall), mask, plan, scratch, hits)
    }

    /// As [`search_masked`](QuantizedGraph::search_masked), but as far as a beam goes.
    pub(crate) fn search_beam_masked(
        &self,
        query: VectorRef<'_>,
        params: SearchParams,
        mask: &Mask,
        plan: Option<Plan>,
        scratch: &mut QuantizedScratch,
        hits: &mut Vec<Hit>,
    ) -> Result<Explain, SearchError> {
        let limits = self.limits_of_beam(params)?;
        self.search_within(query, (limits, Sketch::USUAL_RECALL), mask, plan, scratch, hits)
    }

    /// As [`search_masked`](QuantizedGraph::search_masked), within `limits`, or by a coded scan that finds such a part of the nearest.
    fn search_within(
        &self,
        query: VectorRef<'_>,
        (limits, recall): (Limits, f32),
        mask: &Mask,
        plan: Option<Plan>,
        scratch: &mut QuantizedScratch,
        hits: &mut Vec<Hit>,
    ) -> Result<Explain, SearchError> {
        assert_eq!(mask.rows(), self.len(), "a mask of this index");
        hits.clear();
        let sketch = self.sketch.get().map(|sketched| &sketched.sketch);
        let asked = Asked {
            rows: self.len(),
            matching: mask.len(),
            blocks: sketch.map_or(0, |sketch| sketch.blocks_of(mask)),
            k: limits.results,
            effort: effort(limits.k),
            guides: true,
            entries: self.entries.len(),
            near: None,
        };
        let (course, looked) = self.costs().course_looking(asked, plan, || self.near(query, mask, scratch))?;
        let few = |count| course.few(count);
        let limits = Limits { results: few(limits.results), k: few(limits.k), keep: few(limits.keep), ..limits };
        let accept = |slot| mask.contains(slot);
        let sketch = sketch.filter(|_| course.by_codes).map(|sketch| (sketch, recall));
        let comparing = Run { limits, cut: Cut::Keep, accept: &accept, mask: Some(mask), sketch, looked };
        let correlation = self.correlation(limits.k, &course);
        let stats = match course.plan {
            Plan::Nothing => self.spec.check(query).map(|()| QuantizedStats::default()).map_err(SearchError::from),
            Plan::Scan | Plan::Coded => self.compare_into(query, &comparing, scratch, hits),
            Plan::Walk => {
                // A walk that keeps what matches goes far beyond the k nearest of all; it needs no slack to find them.
                let slack = limits.slack * course.share_near;
                let (patience, most) = (course.patience(), limits.max_hops);
                let cut = if patience < most { Cut::Leave } else { Cut::Keep };
                let limits = Limits { slack, max_hops: patience.min(most), ..limits };
                let walking = Run { limits, cut, ..comparing };
                let accept = |node| self.copies(node).any(|copy| mask.contains(Slot(copy)));
                let mut stats = self.one(query, &walking, NearSieve { accept, correlation }, scratch, hits)?;
                if hits.is_empty() {
                    stats += match correlation.far {
                        Doubt::Widen => self.guided(query, &comparing, &course, correlation, scratch, hits)?,
                        Doubt::GiveUp | Doubt::None => self.compare_into(query, &comparing, scratch, hits)?,
                    };
                }
                Ok(stats)
            }
            Plan::Guided => self.guided(query, &comparing, &course, correlation, scratch, hits),
        }?;
        let fell_back = stats.scans > 0 && !matches!(course.plan, Plan::Scan | Plan::Coded);
        Ok(course.explain((stats.estimates, stats.distances + stats.rescored), stats.hops, fell_back))
    }

    /// A walk among the rows of `comparing`, which are compared where that is cheaper than to go on.
    fn guided(
        &self,
        query: VectorRef<'_>,
        comparing: &Run<'_>,
        course: &Course,
        correlation: Correlation,
        scratch: &mut QuantizedScratch,
        hits: &mut Vec<Hit>,
    ) -> Result<QuantizedStats, SearchError> {
        let Run { limits, mask, .. } = *comparing;
        let (mut buffer, mut seeds) = (std::mem::take(&mut scratch.nodes), std::mem::take(&mut scratch.seeds));
        let copies = self.copies.get_or_init(|| Copies::of(self.twins.as_slice()));
        let nodes = copies.nodes(mask.expect("rows are known"), &mut buffer);
        spread(nodes, SEEDS, &mut seeds);
        let matching = (course.share() * super::DEGREE as f32).max(1e-3);
        let gate = Guided { nodes, seeds: &seeds, wanted: WANTED, matching, correlation };
        let cut = if course.budget < limits.max_hops { Cut::Compare } else { Cut::Keep };
        let max_hops = course.budget.min(limits.max_hops);
        let walking = Run { limits: Limits { max_hops, ..limits }, cut, ..*comparing };
        let outcome = self.one(query, &walking, gate, scratch, hits);
        (scratch.nodes, scratch.seeds) = (buffer, seeds);
        outcome
    }

    /// Compares the rows of `run`, and puts the nearest into `hits`.
    fn compare_into(
        &self,
        query: VectorRef<'_>,
        run: &Run<'_>,
        scratch: &mut QuantizedScratch,
        hits: &mut Vec<Hit>,
    ) -> Result<QuantizedStats, SearchError> {
        scratch.reserve(1);
        let QuantizedScratch { walks, ranking, .. } = scratch;
        let outcome = self.compare(query, run, &mut walks[0], ranking);
        hits.extend_from_slice(&ranking.hits);
        outcome
    }

    /// How many of the entries near `query` stand for rows of `mask`.
    pub(super) fn near(
        &self,
        query: VectorRef<'_>,
        mask: &Mask,
        scratch: &mut QuantizedScratch,
    ) -> Result<Near, SearchError> {
        scratch.reserve(1);
        let walk = &mut scratch.walks[0];
        load(&self.spec, query, &mut walk.query)?;
        let matches = |node| self.copies(node).any(|copy| mask.contains(Slot(copy)));
        Ok(dispatch(isa(), Look { field: self.field(), walk, matches }))
    }

    /// By what a walk for `k` results sees that what matches lies far from the query.
    fn correlation(&self, k: usize, course: &Course) -> Correlation {
        let far = if course.budget <= HOPS_FAR { Doubt::GiveUp } else { Doubt::Widen };
        Correlation::new((self.params.entries, self.len()), course.share(), k, far)
    }

    /// What searches of this index cost here. Measured once, in some milliseconds, and of a sketch by sixteen scans.
    pub fn costs(&self) -> Costs {
        let costs = *self.costs.get_or_init(|| self.measure());
        let coded =
            self.sketch.get().map(|sketched| sketched.costs(|| self.measure_coded(&sketched.sketch, costs.row_ns)));
        Costs { coded, ..costs }
    }

    fn measure(&self) -> Costs {
        let (mut scratch, mut hits, mut vector) = (QuantizedScratch::new(), Vec::new(), Vec::new());
        let params = QuantizedSearch::default();
        Costs::measure(self.len(), |row, sample| {
            self.vector(row, &mut vector);
            let query = VectorRef::from(vector.as_slice());
            let (stats, walk) = timed(|| self.search(query, params, &mut scratch, &mut hits));
            let (done, scan) = timed(|| self.compare_among(query, sample, None, &mut scratch));
            stats.ok().filter(|_| done.is_ok()).map(|stats| Probe { walk, hops: stats.hops, scan })
        })
    }

    fn measure_coded(&self, sketch: &Sketch, row_ns: f32) -> CodedCosts {
        let (mut scratch, mut vector) = (QuantizedScratch::new(), Vec::new());
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
        scratch: &mut QuantizedScratch,
    ) -> Result<QuantizedStats, SearchError> {
        scratch.reserve(1);
        let (accept, limits) = (|slot| mask.contains(slot), self.limits(QuantizedSearch::default()));
        let sketch = sketch.map(|sketch| (sketch, Sketch::USUAL_RECALL));
        let run = Run { limits, cut: Cut::Keep, accept: &accept, mask: Some(mask), sketch, looked: false };
        self.compare(query, &run, &mut scratch.walks[0], &mut scratch.ranking)
    }
}

/// What a walk takes whose stop rule asks for the `k`-th result, in such as ask for ten: it expands some nodes to get there, and then
/// about as many as results.
pub(crate) fn effort(k: usize) -> f32 {
    0.5 + 0.05 * k as f32
}
