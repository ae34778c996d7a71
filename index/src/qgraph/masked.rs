//! Searches among the rows of a mask: the way is chosen by [`Costs`], measured at the first of them.

use std::time::Instant;

use super::gate::{Doubt, Guided, HOPS_FAR, Sieve};
use super::walk::Limits;
use super::{QuantizedGraph, QuantizedScratch, QuantizedSearch, QuantizedStats, Run};
use crate::graph::copies::{Copies, spread};
use crate::ids::Slot;
use crate::mask::Mask;
use crate::params::SearchParams;
use crate::planner::{Costs, Explain, Plan};
use crate::query::{Hit, SearchError};
use crate::rows::VectorRef;

/// Neighbours that match, of which a guided walk wants each node to see so many.
const WANTED: usize = 24;

/// Rows that match and are drawn as places to begin at, for queries far from all entries that match.
const SEEDS: usize = 8;

/// Rows that costs are measured with as queries.
const PROBES: usize = 8;

/// Rows that each probe compares.
const PROBE_ROWS: usize = 256;

impl QuantizedGraph {
    /// As [`search`](QuantizedGraph::search) among the rows of `mask` alone: `k` of them unless it has fewer. `plan` is the way to go; of
    /// none, the one that is expected to be the cheapest. A walk that costs more than the scan would, or finds too little, ends in the scan.
    /// Panics unless `mask` is of as many rows as the index has.
    pub fn search_masked(
        &self,
        query: VectorRef<'_>,
        params: QuantizedSearch,
        mask: &Mask,
        plan: Option<Plan>,
        scratch: &mut QuantizedScratch,
        hits: &mut Vec<Hit>,
    ) -> Result<Explain, SearchError> {
        self.search_within(query, self.limits_of(params)?, mask, plan, scratch, hits)
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
        self.search_within(query, self.limits_of_beam(params)?, mask, plan, scratch, hits)
    }

    /// As [`search_masked`](QuantizedGraph::search_masked), within `limits`.
    fn search_within(
        &self,
        query: VectorRef<'_>,
        limits: Limits,
        mask: &Mask,
        plan: Option<Plan>,
        scratch: &mut QuantizedScratch,
        hits: &mut Vec<Hit>,
    ) -> Result<Explain, SearchError> {
        assert_eq!(mask.rows(), self.len(), "a mask of this index");
        hits.clear();
        let (costs, matching) = (self.costs(), mask.len());
        let few = |count: usize| count.min(matching).max(1);
        // A walk for k results expands some nodes to get there, and then about as many as results.
        let effort = 0.5 + 0.05 * limits.k as f32;
        let plan = plan.unwrap_or_else(|| costs.plan(self.len(), matching, limits.results, effort));
        let limits = Limits { results: few(limits.results), k: few(limits.k), keep: few(limits.keep), ..limits };
        let accept = |slot| mask.contains(slot);
        let exactly = Run { limits, give_up: false, accept: &accept, mask: Some(mask) };
        let budget = costs.hops_of_scan(matching);
        let give_up = budget < limits.max_hops;
        let max_hops = budget.min(limits.max_hops);
        let walking = Run { limits: Limits { max_hops, ..limits }, give_up, ..exactly };
        // A walk that keeps what matches goes far beyond the k nearest of all; it needs no slack to find them.
        let sieving = Limits { slack: limits.slack * matching as f32 / self.len() as f32, ..walking.limits };
        let stats = match plan {
            Plan::Nothing => self.spec.check(query).map(|()| QuantizedStats::default()).map_err(SearchError::from),
            Plan::Scan => {
                scratch.reserve(1);
                let QuantizedScratch { walks, ranking, .. } = scratch;
                let outcome = self.compare(query, &exactly, &mut walks[0], ranking);
                hits.extend_from_slice(&ranking.hits);
                outcome
            }
            Plan::Walk => {
                let accepts = |node| self.copies(node).any(|copy| accept(Slot(copy)));
                self.one(query, &Run { limits: sieving, ..walking }, Sieve(accepts), scratch, hits)
            }
            Plan::Guided => {
                let (mut buffer, mut seeds) = (std::mem::take(&mut scratch.nodes), std::mem::take(&mut scratch.seeds));
                let copies = self.copies.get_or_init(|| Copies::of(self.twins.as_slice()));
                let nodes = copies.nodes(mask, &mut buffer);
                spread(nodes, SEEDS, &mut seeds);
                let share = matching as f32 / self.len() as f32;
                let gate = Guided {
                    nodes,
                    seeds: &seeds,
                    wanted: WANTED,
                    matching: (share * super::DEGREE as f32).max(1e-3),
                    far: self.doubt(limits.k, share, budget),
                };
                let outcome = self.one(query, &walking, gate, scratch, hits);
                (scratch.nodes, scratch.seeds) = (buffer, seeds);
                outcome
            }
        }?;
        let expected = costs.expected(self.len(), matching, effort);
        Ok(Explain {
            plan,
            matching,
            rows: self.len(),
            scan_us: expected.scan / 1e3,
            walk_us: expected.walk / 1e3,
            guided_us: expected.guided / 1e3,
            distances: stats.distances + stats.rescored,
            hops: stats.hops,
            fell_back: stats.scans > 0 && plan != Plan::Scan,
        })
    }

    /// What to do where `k` results lie farther than the nearest entry. As many rows as entries stand for lie nearer than that; without
    /// correlation `k` of them match unless they are fewer than `k` of this `share` need.
    fn doubt(&self, k: usize, share: f32, hops_of_scan: usize) -> Doubt {
        let nearer = self.len() as f32 / self.params.entries as f32;
        if k as f32 / share > nearer {
            Doubt::None
        } else if hops_of_scan <= HOPS_FAR {
            Doubt::GiveUp
        } else {
            Doubt::Widen
        }
    }

    /// What searches of this index cost here. Measured once, in about a millisecond.
    pub fn costs(&self) -> Costs {
        *self.costs.get_or_init(|| self.measure())
    }

    fn measure(&self) -> Costs {
        let (mut scratch, mut hits, mut vector) = (QuantizedScratch::new(), Vec::new(), Vec::new());
        let rows = self.len();
        let mut sample = Mask::none(rows);
        (0..PROBE_ROWS.min(rows)).for_each(|at| sample.insert(Slot((at * rows / PROBE_ROWS.min(rows)) as u32)));
        let (accept, compared) = (|slot| sample.contains(slot), sample.len());
        let params = QuantizedSearch::default();
        // The least of several: what disturbs a measurement only adds to it.
        let (mut row_ns, mut hop_ns, mut hops) = (f32::INFINITY, f32::INFINITY, 0);
        for probe in 0..PROBES.min(rows) {
            self.vector(Slot((probe * rows / PROBES.min(rows)) as u32), &mut vector);
            let query = VectorRef::from(vector.as_slice());
            let start = Instant::now();
            let Ok(stats) = self.search(query, params, &mut scratch, &mut hits) else { continue };
            hop_ns = hop_ns.min(start.elapsed().as_nanos() as f32 / stats.hops.max(1) as f32);
            hops += stats.hops;
            let run = Run { limits: self.limits(params), give_up: false, accept: &accept, mask: Some(&sample) };
            let start = Instant::now();
            if self.compare(query, &run, &mut scratch.walks[0], &mut scratch.ranking).is_ok() {
                row_ns = row_ns.min(start.elapsed().as_nanos() as f32 / compared as f32);
            }
        }
        Costs {
            row_ns: row_ns.min(1e6),
            hop_ns: hop_ns.min(1e6),
            hops: (hops as f32 / PROBES.min(rows).max(1) as f32).max(1.0),
        }
    }
}
