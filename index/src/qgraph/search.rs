//! Searches: for one query or a batch, of one graph or several that share a beam.
//!
//! All are one walk with other limits and another gate; what differs is how far it goes, which rows count, and what becomes of it where it
//! finds too few: that is a [`Run`].

use crate::distance::simd::{dispatch, isa};
use crate::ids::Slot;
use crate::mask::Mask;
use crate::params::SearchParams;
use crate::query::{Hit, SearchError};
use crate::rows::{Rows, VectorRef};
use crate::sketch::{Eligible, Sketch};

use super::gate::{Gate, Open, Sieve};
use super::load::{Loader, load};
use super::rank::Ranking;
use super::walk::{Batch, Counts, Limits, MAX_WIDTH, Walk};
use super::{QuantizedGraph, QuantizedSearch, QuantizedStats, WIDTH};

/// Candidates scored at the end of a walk: late in it, a node is worth little more than its own distance, and that costs few lines.
const RESCORED: usize = 8;

/// Of the results by which a walk ends, such a part of nodes must be its own before those found elsewhere count, and so many at least.
const NEAR_PART: usize = 4;
const LEAST_NEAR: usize = 6;

/// The buffers of searches on one thread.
#[derive(Debug, Default)]
pub struct QuantizedScratch {
    pub(super) walks: Vec<Walk>,
    pub(super) ranking: Ranking,
    /// Nodes of a filter, where rows that match hang behind nodes that do not.
    pub(super) nodes: Mask,
    pub(super) seeds: Vec<u32>,
}

impl QuantizedScratch {
    /// Empty buffers, which grow with the first searches.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a search of several graphs that share a beam.
    pub(crate) fn begin(&mut self) {
        self.walks.iter_mut().for_each(Walk::begin);
    }

    /// Rows at such distances, nearest first, were found by a scan: in searches that share a beam they count as if a graph had given them.
    pub(crate) fn meet(&mut self, distances: &[f32]) {
        self.reserve(1);
        self.walks[0].elsewhere.add(distances.iter().copied(), distances.len());
    }

    pub(super) fn reserve(&mut self, walks: usize) {
        self.walks.resize_with(walks.max(self.walks.len()), Walk::default);
    }
}

/// What becomes of a walk that is cut short by its limit of hops, or that its gate gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// What it found is kept.
    Keep,
    /// Rows are compared instead.
    Compare,
    /// Nothing is found; so too of a walk that finds too few.
    Leave,
}

/// What a search is after, besides its queries.
pub(super) struct Run<'a> {
    pub(super) limits: Limits,
    pub(super) cut: Cut,
    pub(super) accept: &'a dyn Fn(Slot) -> bool,
    /// The rows that `accept` holds for, where they are known.
    pub(super) mask: Option<&'a Mask>,
    /// By which rows are compared that are compared one by one, and the part of the nearest that is to be found so.
    pub(super) sketch: Option<(&'a Sketch, f32)>,
    /// Whether entries were looked at for the query.
    pub(super) looked: bool,
}

impl Run<'_> {
    /// Of all rows.
    pub(super) fn open(limits: Limits) -> Self {
        Run { limits, cut: Cut::Keep, accept: &|_| true, mask: None, sketch: None, looked: false }
    }

    pub(super) fn eligible(&self) -> Eligible<'_> {
        self.mask.map_or(Eligible::If(self.accept), Eligible::Of)
    }
}

impl QuantizedGraph {
    /// Puts the `k` nearest rows that a walk of the given slack finds into `hits`, nearest first; `k` of them unless there are fewer rows.
    /// Allocates nothing once `scratch` and `hits` have grown.
    pub fn search(
        &self,
        query: VectorRef<'_>,
        params: QuantizedSearch,
        scratch: &mut QuantizedScratch,
        hits: &mut Vec<Hit>,
    ) -> Result<QuantizedStats, SearchError> {
        hits.clear();
        self.one(query, &Run::open(self.limits_of(params)?), Open, scratch, hits)
    }

    /// As [`search`](QuantizedGraph::search), but only rows for which `accept` holds are returned: `k` of them unless fewer are accepted.
    /// The walk passes through all rows; where it finds fewer than `k` accepted ones, every row is compared instead. Where the rows are
    /// known beforehand, [`search_masked`](QuantizedGraph::search_masked) is quicker.
    pub fn search_filtered(
        &self,
        query: VectorRef<'_>,
        params: QuantizedSearch,
        accept: &dyn Fn(Slot) -> bool,
        scratch: &mut QuantizedScratch,
        hits: &mut Vec<Hit>,
    ) -> Result<QuantizedStats, SearchError> {
        hits.clear();
        let run =
            Run { limits: self.limits_of(params)?, cut: Cut::Keep, accept, mask: None, sketch: None, looked: false };
        self.one(query, &run, Sieve(|node| self.copies(node).any(|copy| accept(Slot(copy)))), scratch, hits)
    }

    /// As [`search_filtered`](QuantizedGraph::search_filtered), but what was found in other graphs since the search [began](QuantizedScratch::begin)
    /// counts among the results: the walk need not go on when as many are near in all, and there may be fewer than `k` here.
    pub(crate) fn search_joined(
        &self,
        query: VectorRef<'_>,
        params: QuantizedSearch,
        accept: &dyn Fn(Slot) -> bool,
        scratch: &mut QuantizedScratch,
        hits: &mut Vec<Hit>,
    ) -> Result<QuantizedStats, SearchError> {
        self.joined(query, self.limits_of(params)?, accept, scratch, hits)
    }

    /// As [`search_joined`](QuantizedGraph::search_joined), but the walk goes on until `ef` accepted rows, in all graphs, are nearer than the
    /// nearest candidate: what a beam of that width does in an [`Hnsw`](crate::Hnsw).
    pub(crate) fn search_beam(
        &self,
        query: VectorRef<'_>,
        params: SearchParams,
        accept: &dyn Fn(Slot) -> bool,
        scratch: &mut QuantizedScratch,
        hits: &mut Vec<Hit>,
    ) -> Result<QuantizedStats, SearchError> {
        self.joined(query, self.limits_of_beam(params)?, accept, scratch, hits)
    }

    fn joined(
        &self,
        query: VectorRef<'_>,
        limits: Limits,
        accept: &dyn Fn(Slot) -> bool,
        scratch: &mut QuantizedScratch,
        hits: &mut Vec<Hit>,
    ) -> Result<QuantizedStats, SearchError> {
        hits.clear();
        let limits = Limits { joins_after: Some((limits.k / NEAR_PART).max(LEAST_NEAR)), ..limits };
        let run = Run { limits, cut: Cut::Keep, accept, mask: None, sketch: None, looked: false };
        self.one(query, &run, Sieve(|node| self.copies(node).any(|copy| accept(Slot(copy)))), scratch, hits)
    }

    /// How far a beam of that width goes.
    pub(super) fn limits_of_beam(&self, SearchParams { k, ef }: SearchParams) -> Result<Limits, SearchError> {
        let limits = self.limits_of(QuantizedSearch::new(k, 0.0))?;
        let ef = ef.min(self.len()).max(limits.k);
        Ok(Limits { k: ef, keep: limits.keep.max(ef), ..limits })
    }

    pub(super) fn one(
        &self,
        query: VectorRef<'_>,
        run: &Run<'_>,
        gate: impl Gate,
        scratch: &mut QuantizedScratch,
        hits: &mut Vec<Hit>,
    ) -> Result<QuantizedStats, SearchError> {
        scratch.reserve(1);
        let take = |_: usize, found: &[Hit]| hits.extend_from_slice(found);
        let outcome = self.run(Rows::one(query), run, gate, &mut scratch.walks[..1], &mut scratch.ranking, take);
        outcome.map_err(|(_, error)| error)
    }

    /// Searches for every query, a few side by side, and hands the hits of each to `done`, with the query's number, in no order.
    /// Faster than one by one, and with the same hits. On an error, which comes with the number of a query that is at fault, `done` has
    /// been given some of the others.
    pub fn search_batch(
        &self,
        queries: Rows<'_>,
        params: QuantizedSearch,
        scratch: &mut QuantizedScratch,
        done: impl FnMut(usize, &[Hit]),
    ) -> Result<QuantizedStats, (usize, SearchError)> {
        scratch.reserve(WIDTH);
        let run = Run::open(self.limits_of(params).map_err(|error| (0, error))?);
        self.run(queries, &run, Open, &mut scratch.walks[..WIDTH], &mut scratch.ranking, done)
    }

    /// How far a walk by `params` goes, if there can be one.
    pub(super) fn limits_of(&self, params: QuantizedSearch) -> Result<Limits, SearchError> {
        if params.k == 0 {
            return Err(SearchError::ZeroK);
        }
        if params.slack.is_nan() {
            return Err(SearchError::Radius { found: params.slack });
        }
        Ok(self.limits(params))
    }

    pub(super) fn limits(&self, params: QuantizedSearch) -> Limits {
        let k = params.k.min(self.len());
        // Bytes may swap neighbours at nearly one distance; a few more than k make sure that those meant are among them.
        let keep = if self.full.is_some() { k + (k / 2).max(1) } else { k };
        Limits {
            results: k,
            k,
            joins_after: None,
            keep,
            slack: params.slack,
            max_hops: params.max_hops.max(1),
            rescored: RESCORED,
        }
    }

    fn run(
        &self,
        queries: Rows<'_>,
        run: &Run<'_>,
        gate: impl Gate,
        walks: &mut [Walk],
        ranking: &mut Ranking,
        done: impl FnMut(usize, &[Hit]),
    ) -> Result<QuantizedStats, (usize, SearchError)> {
        let mut loader = Loader { spec: self.spec, queries, error: None };
        let load = |index, out: &mut Vec<f32>| loader.load(index, out);
        let stats = self.walk((queries.len(), load), run, gate, walks, ranking, done);
        loader.outcome(stats)
    }

    /// Walks for so many queries, which the function loads, with a node to pass over each, and hands their hits to `done`.
    pub(super) fn walk(
        &self,
        (queries, query): (usize, impl FnMut(usize, &mut Vec<f32>) -> Option<u32>),
        run: &Run<'_>,
        gate: impl Gate,
        walks: &mut [Walk],
        ranking: &mut Ranking,
        mut done: impl FnMut(usize, &[Hit]),
    ) -> QuantizedStats {
        let (limits, k) = (run.limits, run.limits.results);
        let mut stats = QuantizedStats::default();
        dispatch(
            isa(),
            Batch {
                field: self.field(),
                limits,
                queries,
                query,
                looked: run.looked,
                gate,
                done: |index, walk: &mut Walk| {
                    let given_up = walk.counts.cut && run.cut != Cut::Keep;
                    if !given_up {
                        self.rank(walk, k, run.accept, ranking);
                    }
                    let missed = given_up || (ranking.hits.len() < k && !walk.is_joined());
                    let scanned = missed && run.cut != Cut::Leave;
                    if scanned {
                        self.scan(walk, run, ranking);
                    } else if missed {
                        ranking.clear();
                    }
                    stats += self.stats(walk, ranking, scanned);
                    done(index, &ranking.hits);
                },
                walks: &mut walks[..queries.clamp(1, MAX_WIDTH).min(WIDTH)],
            },
        );
        stats
    }

    /// Compares the rows of a search for `query`, without a walk.
    pub(super) fn compare(
        &self,
        query: VectorRef<'_>,
        run: &Run<'_>,
        walk: &mut Walk,
        ranking: &mut Ranking,
    ) -> Result<QuantizedStats, SearchError> {
        load(&self.spec, query, &mut walk.query)?;
        walk.counts = Counts::default();
        self.scan(walk, run, ranking);
        Ok(self.stats(walk, ranking, true))
    }

    pub(super) fn stats(&self, walk: &Walk, ranking: &Ranking, scanned: bool) -> QuantizedStats {
        QuantizedStats {
            hops: walk.counts.hops,
            estimates: walk.counts.estimates,
            distances: walk.counts.distances,
            rescored: ranking.slots.len() as u64,
            scans: u64::from(scanned),
        }
    }
}
