//! Searches among the rows of a mask: the way is chosen by [`Costs`], measured at the first of them.

use std::sync::OnceLock;

use super::Hnsw;
use crate::exact;
use crate::graph::copies::{Copies, spread};
use crate::graph::masked::Within;
use crate::graph::search::Field;
use crate::ids::Slot;
use crate::mask::Mask;
use crate::params::{SearchParams, SearchStats};
use crate::planner::{Asked, Costs, Explain, Plan, Probe, timed};
use crate::query::{Hit, SearchError};
use crate::rows::VectorRef;
use crate::scratch::Scratch;
use crate::spec::Component;
use crate::vectors::dense::{Dense, with_rows};

/// What is found out about an index when it is first needed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// And of how many rows.
    costs: OnceLock<(usize, Costs)>,
    copies: OnceLock<Copies>,
}

impl Known {
    /// Forgets what no longer holds of an index that has grown to `rows` rows; costs hold until there are twice as many.
    pub(crate) fn grown(&mut self, rows: usize) {
        self.copies = OnceLock::new();
        if self.costs.get().is_some_and(|&(measured, _)| rows >= 2 * measured) {
            self.costs = OnceLock::new();
        }
    }
}

/// Rows that match and are taken as places to begin at.
const SEEDS: usize = 12;

impl Hnsw {
    /// As [`search`](Hnsw::search) among the rows of `mask` alone: `k` of them unless it has fewer. `plan` is the way to go; of none, the
    /// one that is expected to be the cheapest. A walk that costs more than the scan would, or finds too little, ends in the scan.
    /// Panics unless `mask` is of as many rows as the index has.
    pub fn search_masked(
        &self,
        query: VectorRef<'_>,
        params: SearchParams,
        mask: &Mask,
        plan: Option<Plan>,
        scratch: &mut Scratch,
        hits: &mut Vec<Hit>,
    ) -> Result<Explain, SearchError> {
        assert_eq!(mask.rows(), self.len(), "a mask of this index");
        hits.clear();
        if params.k == 0 {
            return Err(SearchError::ZeroK);
        }
        let k = params.k.min(mask.len());
        let effort = self.width(params) as f32 / SearchParams::DEFAULT_EF as f32;
        let (rows, matching) = (self.len(), mask.len());
        let asked = Asked { rows, matching, blocks: 0, k, effort, guides: true, entries: 0, near: None };
        let course = self.costs().course(asked, plan);
        let (stats, fell_back) = with_rows!(&self.vectors, rows => {
            let params = SearchParams { k, ..params };
            self.search_mask(rows, query, params, mask, (course.plan, course.budget), scratch)?
        });
        if !mask.is_empty() {
            hits.extend(scratch.accepted.candidates().iter().map(|&candidate| Hit::from(candidate)));
        }
        Ok(course.explain((0, stats.distances), stats.hops, fell_back))
    }

    /// Leaves the nearest in `scratch.accepted`; what it did, and whether it came to the scan after a walk.
    fn search_mask<T: Component>(
        &self,
        rows: &Dense<T>,
        query: VectorRef<'_>,
        params: SearchParams,
        mask: &Mask,
        (plan, budget): (Plan, usize),
        scratch: &mut Scratch,
    ) -> Result<(SearchStats, bool), SearchError> {
        let Scratch { query: buffer, walk, accepted, nodes, seeds, slots } = scratch;
        let field = Field { space: rows.view(), links: self.graph.links.view(), query: rows.encode(query, buffer)? };
        walk.reset();
        accepted.reset(params.k.max(1));
        let ef = self.width(params);
        let enough = match (plan, self.graph.entry) {
            (Plan::Nothing, _) => return Ok((SearchStats::default(), false)),
            (Plan::Scan | Plan::Coded, _) | (_, None) => false,
            (Plan::Walk, Some(entry)) => {
                let (from, mut met) = (walk.enter(field, entry, 0), 0);
                walk.beam(field, from, ef, 0, |candidate| {
                    for slot in field.links.with_twins(candidate.slot()).filter(|&slot| mask.contains(Slot(slot))) {
                        met += 1;
                        accepted.insert(candidate.at(slot));
                    }
                });
                met >= ef.min(mask.len())
            }
            (Plan::Guided, Some(entry)) => {
                let copies = self.known.copies.get_or_init(|| Copies::of(self.graph.links.twins.as_slice()));
                let nodes = copies.nodes(mask, nodes);
                spread(nodes, SEEDS, seeds);
                let from = walk.enter(field, entry, 0);
                let within = Within { nodes, seeds, budget: (budget * self.params.m0) as u64 };
                let ended = walk.beam_within(field, from.slot(), ef, within);
                for candidate in walk.pool.candidates() {
                    for slot in field.links.with_twins(candidate.slot()).filter(|&slot| mask.contains(Slot(slot))) {
                        accepted.insert(candidate.at(slot));
                    }
                }
                ended && accepted.candidates().len() == params.k
            }
        };
        let mut stats = walk.stats;
        if !enough {
            slots.clear();
            slots.extend(mask.iter().map(|slot| slot.0));
            exact::nearest_of(field.space, field.query, params.k.max(1), slots, accepted);
            stats.distances += slots.len() as u64;
        }
        Ok((stats, !enough && plan != Plan::Scan))
    }

    /// What searches of this index cost here. Measured once, in a few milliseconds, and again whenever the rows have
    /// doubled.
    pub fn costs(&self) -> Costs {
        self.known.costs.get_or_init(|| (self.len(), self.measure())).1
    }

    fn measure(&self) -> Costs {
        let (mut scratch, mut hits, mut vector) = (Scratch::new(), Vec::new(), Vec::new());
        let params = SearchParams::default();
        Costs::measure(self.len(), |row, sample| {
            self.vector(row, &mut vector);
            let query = VectorRef::from(vector.as_slice());
            let (stats, walk) = timed(|| self.search(query, params, &mut scratch, &mut hits));
            let (done, scan) = timed(|| {
                with_rows!(&self.vectors, rows => {
                    self.search_mask(rows, query, params, sample, (Plan::Scan, 0), &mut scratch)
                })
            });
            stats.ok().filter(|_| done.is_ok()).map(|stats| Probe { walk, hops: stats.hops, scan })
        })
    }
}
