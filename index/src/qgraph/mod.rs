//! [`QuantizedGraph`]: a graph that is walked on one-bit codes lying beside the links.
//!
//! Each node's row holds its vector in bytes, 32 neighbours, and a one-bit code of each neighbour relative to the node (SymphonyQG,
//! Gou et al., SIGMOD 2025, arXiv:2411.12229, on RaBitQ's codes). One hop scores all 32 from one sequential read, and computes a
//! single exact distance. It is built whole and not changed after.
//!
//! layout (bytes of a row) · entry (where walks begin) · frontier gate walk (a search) · elsewhere (of several graphs) · rank (hits of it) ·
//! masked (among the rows of a mask) · exact (every row) · params · rotated build calibrate (recall by slack) · save. What is not of one
//! layout serves `compact`, too.

pub(crate) mod build;
pub(crate) mod calibrate;
mod elsewhere;
pub(crate) mod entry;
pub(crate) mod exact;
pub(crate) mod frontier;
mod gate;
mod layout;
mod load;
pub(crate) mod masked;
mod params;
pub(crate) mod rank;
mod rotated;
mod save;
#[cfg(test)]
mod tests;
mod walk;

use std::sync::OnceLock;

use crate::bytes::Array;
use crate::distance::fastscan::Units;
use crate::distance::simd::{dispatch, isa};
use crate::graph::copies::Copies;
use crate::graph::links::chain;
use crate::ids::Slot;
use crate::mask::Mask;
use crate::params::{BuildOptions, SearchParams};
use crate::planner::Costs;
use crate::quant::byte::Scale;
use crate::quant::rotation::Rotation;
use crate::query::{Hit, SearchError};
use crate::rows::{Rows, VectorRef};
use crate::sketch::{Eligible, Sketch, Sketched};
use crate::spec::VectorSpec;
use crate::storage::save::vector_bytes;
use crate::vectors::dense::Vectors;

use calibrate::Calibration;
use entry::Entries;
use exact::Kept;
use gate::{Gate, Open, Sieve};
use layout::{Layout, Row};
use rank::Ranking;
use walk::{Batch, Field, Limits, MAX_WIDTH, Walk};

pub(crate) use load::{Loader, load};

pub use params::{QuantizedParams, QuantizedSearch, QuantizedStats, Unsupported};
#[cfg(feature = "probe")]
pub use walk::probe::Parts;

/// Neighbours of a node: as many as are scored together.
pub(crate) const DEGREE: usize = crate::distance::fastscan::LANES;

/// Candidates scored at the end of a walk: late in it, a node is worth little more than its own distance, and that costs few lines.
const RESCORED: usize = 8;

/// Of the results by which a walk ends, such a part of nodes must be its own before those found elsewhere count, and so many at least.
const NEAR_PART: usize = 4;
const LEAST_NEAR: usize = 6;

/// Walks that go on side by side in a batch.
const WIDTH: usize = 3;

/// An index of rows that no longer change. Searches take `&self` and may run on any number of threads.
///
/// Whole numbers in 0..=255 are kept exactly, and distances between them are exact. Other vectors are walked on bytes and the
/// results scored on vectors kept in the element type of the spec; `f16` halves what that takes.
///
/// ```
/// use vicino_index::{BuildOptions, ElementType, Metric, QuantizedGraph, QuantizedParams, QuantizedScratch, QuantizedSearch, Rows, VectorSpec};
/// let points: Vec<f32> = (0..2000).flat_map(|i| [(i % 40) as f32, (i / 40) as f32]).collect();
/// let spec = VectorSpec::new(2, Metric::L2, ElementType::F16)?;
/// let index = QuantizedGraph::build(spec, QuantizedParams::default(), Rows::new(&points, 2)?, &BuildOptions::default())?;
///
/// let (mut scratch, mut hits) = (QuantizedScratch::new(), Vec::new());
/// index.search((&[7.2, 3.1]).into(), QuantizedSearch::new(3, 0.2), &mut scratch, &mut hits)?;
/// assert_eq!(hits[0].slot.0, 3 * 40 + 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct QuantizedGraph {
    params: QuantizedParams,
    /// Of queries and kept vectors.
    spec: VectorSpec,
    pub(crate) scale: Scale,
    layout: Layout,
    pub(crate) rotation: Rotation,
    pub(crate) units: Units,
    /// `[dim]`: codes are relative to it, so that tables spend their steps on what differs.
    pub(crate) mean: Array<f32>,
    /// `[nodes × layout.stride]`.
    rows: Array<u8>,
    pub(crate) entries: Entries,
    /// Next copy of each node; empty where there is none.
    pub(crate) twins: Array<u32>,
    /// The vectors themselves; none where bytes are exact.
    pub(crate) full: Option<Vectors>,
    calibration: Calibration,
    /// Measured when first needed.
    costs: OnceLock<Costs>,
    /// There once it was asked for.
    sketch: OnceLock<Sketched>,
    /// Rows that hang behind nodes, found when first needed.
    copies: OnceLock<Copies>,
}

/// The buffers of searches on one thread.
#[derive(Debug, Default)]
pub struct QuantizedScratch {
    walks: Vec<Walk>,
    ranking: Ranking,
    /// Nodes of a filter, where rows that match hang behind nodes that do not.
    nodes: Mask,
    seeds: Vec<u32>,
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

    fn reserve(&mut self, walks: usize) {
        self.walks.resize_with(walks.max(self.walks.len()), Walk::default);
    }
}

/// What becomes of a walk that is cut short by its limit of hops, or that its gate gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// What it found is kept.
    Keep,
    /// Rows are compared instead.
    Compare,
    /// Nothing is found; so too of a walk that finds too few.
    Leave,
}

/// What a search is after, besides its queries.
struct Run<'a> {
    limits: Limits,
    cut: Cut,
    accept: &'a dyn Fn(Slot) -> bool,
    /// The rows that `accept` holds for, where they are known.
    mask: Option<&'a Mask>,
    /// By which rows are compared that are compared one by one.
    sketch: Option<&'a Sketch>,
    /// Whether entries were looked at for the query.
    looked: bool,
}

impl Run<'_> {
    /// Of all rows.
    fn open(limits: Limits) -> Self {
        Run { limits, cut: Cut::Keep, accept: &|_| true, mask: None, sketch: None, looked: false }
    }

    fn eligible(&self) -> Eligible<'_> {
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
    fn limits_of_beam(&self, SearchParams { k, ef }: SearchParams) -> Result<Limits, SearchError> {
        let limits = self.limits_of(QuantizedSearch::new(k, 0.0))?;
        let ef = ef.min(self.len()).max(limits.k);
        Ok(Limits { k: ef, keep: limits.keep.max(ef), ..limits })
    }

    fn one(
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
    fn limits_of(&self, params: QuantizedSearch) -> Result<Limits, SearchError> {
        if params.k == 0 {
            return Err(SearchError::ZeroK);
        }
        if params.slack.is_nan() {
            return Err(SearchError::Radius { found: params.slack });
        }
        Ok(self.limits(params))
    }

    fn limits(&self, params: QuantizedSearch) -> Limits {
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
    fn walk(
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
    fn compare(
        &self,
        query: VectorRef<'_>,
        run: &Run<'_>,
        walk: &mut Walk,
        ranking: &mut Ranking,
    ) -> Result<QuantizedStats, SearchError> {
        load(&self.spec, query, &mut walk.query)?;
        walk.counts = walk::Counts::default();
        self.scan(walk, run, ranking);
        Ok(self.stats(walk, ranking, true))
    }

    fn stats(&self, walk: &Walk, ranking: &Ranking, scanned: bool) -> QuantizedStats {
        QuantizedStats {
            hops: walk.counts.hops,
            estimates: walk.counts.estimates,
            distances: walk.counts.distances,
            rescored: ranking.slots.len() as u64,
            scans: u64::from(scanned),
        }
    }

    /// Times the parts of searches for `queries`, each part `repeats` times on one query, so with all it reads in the caches: means over the
    /// queries. Errors as [`search`](QuantizedGraph::search) does.
    #[cfg(feature = "probe")]
    pub fn probe(&self, queries: Rows<'_>, params: QuantizedSearch, repeats: usize) -> Result<Parts, SearchError> {
        let load = |index| {
            let mut query = Vec::new();
            load(&self.spec, queries.row(index), &mut query).map(|()| query)
        };
        let queries = (0..queries.len()).map(load).collect::<Result<Vec<_>, _>>()?;
        let (field, limits) = (self.field(), self.limits(params));
        Ok(dispatch(isa(), walk::probe::Probe { field, limits, queries: &queries, repeats }))
    }

    /// Bytes that are read of memory: for a node that is expanded, for one whose distance alone is computed, for a full vector; and of
    /// the entries, by every search.
    #[cfg(feature = "probe")]
    pub fn read_bytes(&self) -> [usize; 4] {
        let full =
            self.full.as_ref().map_or(0, |full| (full.bytes() / full.len().max(1)).next_multiple_of(layout::LINE));
        let entries = self.entries.blocks.bytes();
        [self.layout.stride, self.layout.front().next_multiple_of(layout::LINE), full, entries]
    }

    fn field(&self) -> Field<'_> {
        Field {
            rows: self.rows.as_slice(),
            layout: self.layout,
            nodes: self.len(),
            entries: &self.entries,
            rotation: &self.rotation,
            mean: self.mean.as_slice(),
            scale: self.scale,
            metric: self.spec.metric(),
            units: self.units,
            full: self.full.as_ref().map_or((&[], 0), |full| (vector_bytes(full), full.bytes() / full.len().max(1))),
        }
    }

    /// `node` and the copies that hang behind it.
    #[inline(always)]
    fn copies(&self, node: u32) -> impl Iterator<Item = u32> {
        chain(self.twins.as_slice(), node, self.len())
    }

    fn row(&self, slot: u32) -> Row<'_> {
        Row::new(&self.rows.as_slice()[slot as usize * self.layout.stride..], self.layout)
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len() / self.layout.stride
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the rows are, and how full vectors are kept.
    pub fn spec(&self) -> VectorSpec {
        self.spec
    }

    /// How it was built.
    pub fn params(&self) -> QuantizedParams {
        self.params
    }

    /// Whether every row is kept exactly in its bytes.
    pub fn is_lossless(&self) -> bool {
        self.scale == Scale::Whole
    }

    /// Row `slot` as kept (scaled to length one under cosine). Panics if it is not below [`len`](QuantizedGraph::len).
    pub fn vector(&self, slot: Slot, out: &mut Vec<f32>) {
        match &self.full {
            Some(full) => full.decode(slot, out),
            None => {
                let row = self.row(slot.0);
                self.scale.decode(row.vector(), row.terms(), self.spec.dim(), out);
            }
        }
    }

    /// Makes a sketch of the rows, unless there is one: codes of a bit per coordinate, by which searches among the rows of a mask compare few
    /// of them where a walk would take longer ([`Plan::Coded`](crate::planner::Plan::Coded)). It is not saved with the index. Cost: a
    /// rotation of each row, as parallel as `options` say, and a bit per coordinate.
    pub fn make_sketch(&self, options: &BuildOptions<'_>) {
        let decode = |slot, out: &mut Vec<f32>| self.vector(Slot(slot), out);
        self.sketch.get_or_init(|| Sketched::new(self.spec, self.len(), options, decode));
    }

    pub(crate) fn has_sketch(&self) -> bool {
        self.sketch.get().is_some()
    }

    /// The rows, for exact searches.
    pub(crate) fn kept(&self) -> Kept<'_, impl Fn(Slot, &mut Vec<f32>)> {
        let decode = |slot, out: &mut Vec<f32>| self.vector(slot, out);
        Kept { spec: self.spec, rows: self.len(), full: self.full.as_ref(), decode }
    }

    /// Bytes of a row of `spec`, without its full vector.
    pub(crate) fn row_bytes(spec: VectorSpec) -> usize {
        Layout::new(spec.dim(), Rotation::padded(spec.dim())).stride
    }

    /// Bytes of rows, codes and full vectors: what a search may touch.
    pub fn index_bytes(&self) -> usize {
        let full = self.full.as_ref().map_or(0, Vectors::bytes);
        let sketch = self.sketch.get().map_or(0, Sketched::bytes);
        self.rows.bytes()
            + self.entries.blocks.bytes()
            + self.entries.slots.bytes()
            + self.twins.bytes()
            + full
            + sketch
    }
}
