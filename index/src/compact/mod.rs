//! [`CompactGraph`]: the graph of a [`QuantizedGraph`] walked on nested codes that lie apart from the links.
//!
//! A node takes its links, four bytes each, and one byte for each coordinate, of which a walk reads four bits (or two, or eight, as each
//! search says) and its end reads all. That is about a third of what HNSW over floats takes, and a sixth of a quantized graph over
//! half floats, for somewhat more time per hop: neighbours' codes are gathered from where they lie.
//!
//! build · walk (a search) · masked (among the rows of a mask) · calibrate (recall by slack) · params · save. The codes are in
//! `quant::codes`; entries, frontier, ranking and exact searches are those of `qgraph`.

mod build;
mod calibrate;
mod masked;
mod params;
mod save;
#[cfg(test)]
mod tests;
mod walk;

use std::sync::OnceLock;

use crate::bytes::Array;
use crate::compare::Compare;
use crate::distance::fastscan::Units;
use crate::distance::simd::{Simd, dispatch, isa};
use crate::graph::links::chain;
use crate::ids::Slot;
use crate::mask::Mask;
use crate::metric::Metric;
use crate::params::{BuildOptions, SearchParams};
use crate::planner::Costs;
use crate::qgraph::calibrate::Calibration;
use crate::qgraph::entry::Entries;
use crate::qgraph::exact::Kept;
use crate::qgraph::rank::Ranking;
use crate::qgraph::{DEGREE, Loader, QuantizedStats};
use crate::quant::byte::Scale;
use crate::quant::codes::{CodeQuery, Codes, row_bytes};
use crate::quant::nested::Bits;
use crate::query::{Hit, SearchError};
use crate::rows::{Rows, VectorRef};
use crate::sketch::{Eligible, Sketch, Sketched};
use crate::spec::VectorSpec;
use crate::storage::save::vector_bytes;
use crate::vectors::dense::Vectors;

use walk::{Batch, Field, Limits, MAX_WIDTH, Walk, margin};

pub use params::{CompactParams, CompactSearch};

/// Walks that go on side by side in a batch.
const WIDTH: usize = 5;

/// An index of rows that no longer change, in little memory. Searches take `&self` and may run on any number of threads.
///
/// Whole numbers in 0..=255 are kept exactly, and distances between them are exact. Of other vectors a byte per coordinate is kept, and
/// distances are computed from that, unless [`CompactParams::keep_vectors`] says otherwise.
///
/// ```
/// use vicino_index::{BuildOptions, CompactGraph, CompactParams, CompactScratch, CompactSearch, ElementType, Metric, Rows, VectorSpec};
/// let points: Vec<f32> = (0..2000).flat_map(|i| [(i % 40) as f32, (i / 40) as f32]).collect();
/// let spec = VectorSpec::new(2, Metric::L2, ElementType::F16)?;
/// let index = CompactGraph::build(spec, CompactParams::default(), Rows::new(&points, 2)?, &BuildOptions::default())?;
///
/// let (mut scratch, mut hits) = (CompactScratch::new(), Vec::new());
/// index.search((&[7.2, 3.1]).into(), CompactSearch::new(3, 0.2), &mut scratch, &mut hits)?;
/// assert_eq!(hits[0].slot.0, 3 * 40 + 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct CompactGraph {
    params: CompactParams,
    /// Of queries and kept vectors.
    spec: VectorSpec,
    codes: Codes,
    /// `[nodes × DEGREE]`, each list ended by its length or the first [`NONE`].
    links: Array<u32>,
    entries: Entries,
    units: Units,
    /// The standard deviation of a row's estimate at four bits, in the mean.
    deviation: f32,
    /// Next copy of each node; empty where there is none.
    twins: Array<u32>,
    /// The vectors themselves, where they are kept.
    full: Option<Vectors>,
    /// Of walks at [`CompactSearch::DEFAULT_BITS`].
    calibration: Calibration,
    /// Measured when first needed.
    costs: OnceLock<Costs>,
    /// There once it was asked for.
    sketch: OnceLock<Sketched>,
}

/// The buffers of searches on one thread.
#[derive(Debug, Default)]
pub struct CompactScratch {
    walks: Vec<Walk>,
    ranking: Ranking,
}

impl CompactScratch {
    /// Empty buffers, which grow with the first searches.
    pub fn new() -> Self {
        Self::default()
    }

    fn reserve(&mut self, walks: usize) {
        self.walks.resize_with(walks.max(self.walks.len()), Walk::default);
    }
}

/// What a search is after, besides its queries.
struct Run<'a> {
    limits: Limits,
    /// Whether a walk that is cut short by its limit of hops is given up, and rows are compared instead.
    give_up: bool,
    /// None: all rows.
    accept: Option<&'a dyn Fn(Slot) -> bool>,
    /// The rows that `accept` holds for, where they are known.
    mask: Option<&'a Mask>,
    /// By which rows are compared that are compared one by one, and the part of the nearest that is to be found so.
    sketch: Option<(&'a Sketch, f32)>,
    /// Whether entries were looked at for the query.
    looked: bool,
}

impl Run<'_> {
    /// Of all rows.
    fn open(limits: Limits) -> Self {
        Run { limits, give_up: false, accept: None, mask: None, sketch: None, looked: false }
    }

    fn accepts(&self, slot: Slot) -> bool {
        self.accept.is_none_or(|accept| accept(slot))
    }
}

impl CompactGraph {
    /// Puts the `k` nearest rows that a walk of the given slack finds into `hits`, nearest first; `k` of them unless there are fewer rows.
    /// Allocates nothing once `scratch` and `hits` have grown.
    pub fn search(
        &self,
        query: VectorRef<'_>,
        params: CompactSearch,
        scratch: &mut CompactScratch,
        hits: &mut Vec<Hit>,
    ) -> Result<QuantizedStats, SearchError> {
        self.one(query, &Run::open(self.limits_of(params)?), scratch, hits)
    }

    /// As [`search`](CompactGraph::search), but only rows for which `accept` holds are returned: `k` of them unless fewer are accepted.
    /// The walk passes through all rows; where it finds fewer than `k` accepted ones, every row is compared instead. Where the rows are
    /// known beforehand, [`search_masked`](CompactGraph::search_masked) is quicker.
    pub fn search_filtered(
        &self,
        query: VectorRef<'_>,
        params: CompactSearch,
        accept: &dyn Fn(Slot) -> bool,
        scratch: &mut CompactScratch,
        hits: &mut Vec<Hit>,
    ) -> Result<QuantizedStats, SearchError> {
        let run = Run { accept: Some(accept), ..Run::open(self.limits_of(params)?) };
        self.one(query, &run, scratch, hits)
    }

    /// As [`search_filtered`](CompactGraph::search_filtered), but the walk goes on until `ef` accepted rows are nearer than the nearest
    /// candidate: what a beam of that width does in an [`Hnsw`](crate::Hnsw).
    pub(crate) fn search_beam(
        &self,
        query: VectorRef<'_>,
        (params, bits): (SearchParams, Bits),
        accept: &dyn Fn(Slot) -> bool,
        scratch: &mut CompactScratch,
        hits: &mut Vec<Hit>,
    ) -> Result<QuantizedStats, SearchError> {
        let run = Run { accept: Some(accept), ..Run::open(self.limits_of_beam(params, bits)?) };
        self.one(query, &run, scratch, hits)
    }

    fn one(
        &self,
        query: VectorRef<'_>,
        run: &Run<'_>,
        scratch: &mut CompactScratch,
        hits: &mut Vec<Hit>,
    ) -> Result<QuantizedStats, SearchError> {
        hits.clear();
        scratch.reserve(1);
        let CompactScratch { walks, ranking } = scratch;
        self.run(Rows::one(query), run, &mut walks[..1], ranking, |_, found| hits.extend_from_slice(found))
            .map_err(|(_, error)| error)
    }

    /// Searches for every query, a few side by side, and hands the hits of each to `done`, with the query's number, in no order.
    /// Faster than one by one, and with the same hits. On an error, which comes with the number of a query that is at fault, `done` has
    /// been given some of the others.
    pub fn search_batch(
        &self,
        queries: Rows<'_>,
        params: CompactSearch,
        scratch: &mut CompactScratch,
        done: impl FnMut(usize, &[Hit]),
    ) -> Result<QuantizedStats, (usize, SearchError)> {
        scratch.reserve(WIDTH);
        let run = Run::open(self.limits_of(params).map_err(|error| (0, error))?);
        self.run(queries, &run, &mut scratch.walks[..WIDTH], &mut scratch.ranking, done)
    }

    /// How far a walk by `params` goes, if there can be one.
    fn limits_of(&self, params: CompactSearch) -> Result<Limits, SearchError> {
        if params.k == 0 {
            return Err(SearchError::ZeroK);
        }
        if params.slack.is_nan() {
            return Err(SearchError::Radius { found: params.slack });
        }
        Ok(self.limits(params))
    }

    fn limits(&self, CompactSearch { k, slack, bits, max_hops }: CompactSearch) -> Limits {
        let k = k.min(self.len()).max(1);
        Limits { results: k, k, slack, max_hops: max_hops.max(1), bits }
    }

    /// How far a beam of that width goes.
    fn limits_of_beam(&self, SearchParams { k, ef }: SearchParams, bits: Bits) -> Result<Limits, SearchError> {
        let limits = self.limits_of(CompactSearch { bits, ..CompactSearch::new(k, 0.0) })?;
        Ok(Limits { k: ef.min(self.len()).max(limits.k), ..limits })
    }

    fn run(
        &self,
        queries: Rows<'_>,
        run: &Run<'_>,
        walks: &mut [Walk],
        ranking: &mut Ranking,
        done: impl FnMut(usize, &[Hit]),
    ) -> Result<QuantizedStats, (usize, SearchError)> {
        let mut loader = Loader { spec: self.spec, queries, error: None };
        let load = |index, out: &mut Vec<f32>| loader.load(index, out);
        let stats = self.walk((queries.len(), load), run, walks, ranking, done);
        loader.outcome(stats)
    }

    /// Walks for so many queries, which the function loads, with a node to pass over each, and hands their hits to `done`.
    fn walk(
        &self,
        (queries, query): (usize, impl FnMut(usize, &mut Vec<f32>) -> Option<u32>),
        run: &Run<'_>,
        walks: &mut [Walk],
        ranking: &mut Ranking,
        mut done: impl FnMut(usize, &[Hit]),
    ) -> QuantizedStats {
        let k = run.limits.results.min(self.len());
        let mut stats = QuantizedStats::default();
        dispatch(
            isa(),
            Batch {
                field: self.field(),
                limits: run.limits,
                queries,
                query,
                looked: run.looked,
                accept: |node| run.accept.is_none() || self.copies(node).any(|copy| run.accepts(Slot(copy))),
                done: |index, walk: &mut Walk| {
                    let given_up = run.give_up && walk.counts.cut;
                    if !given_up {
                        ranking.unfold(&walk.found, k, self.twins.as_slice(), &|slot| run.accepts(slot));
                    }
                    let scanned = given_up || ranking.hits.len() < k;
                    if scanned {
                        self.scan(walk, run, ranking);
                    }
                    ranking.rescore(self.full.as_ref(), &walk.query, k);
                    stats += self.stats(walk, ranking, scanned);
                    done(index, &ranking.hits);
                },
                walks: &mut walks[..queries.clamp(1, MAX_WIDTH).min(WIDTH)],
            },
        );
        stats
    }

    /// Compares the rows that are accepted on all eight bits.
    #[cold]
    fn scan(&self, walk: &mut Walk, run: &Run<'_>, ranking: &mut Ranking) {
        let Walk { query, code, counts, .. } = walk;
        let by = Finest { codes: &self.codes, query: code, errs: self.full.is_some() };
        let accept = |slot| run.accepts(slot);
        let eligible = run.mask.map_or(Eligible::If(&accept), Eligible::Of);
        let scanned = ranking.scan(by, (query, run.limits.results), (eligible, self.len()), run.sketch);
        counts.estimates += scanned.estimates;
        counts.distances += scanned.distances;
    }

    fn stats(&self, walk: &Walk, ranking: &Ranking, scanned: bool) -> QuantizedStats {
        let walk::Counts { hops, estimates, distances, .. } = walk.counts;
        let (rescored, scans) = (ranking.slots.len() as u64, u64::from(scanned));
        QuantizedStats { hops, estimates, distances, rescored, scans }
    }

    fn field(&self) -> Field<'_> {
        Field {
            codes: &self.codes,
            links: self.links.as_slice(),
            entries: &self.entries,
            units: self.units,
            deviation: self.deviation,
            full: self.full.as_ref().map_or((&[], 0), |full| (vector_bytes(full), full.bytes() / full.len().max(1))),
        }
    }

    /// `node` and the copies that hang behind it.
    #[inline(always)]
    fn copies(&self, node: u32) -> impl Iterator<Item = u32> {
        chain(self.twins.as_slice(), node, self.len())
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.codes.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the rows are.
    pub fn spec(&self) -> VectorSpec {
        self.spec
    }

    /// How it was built.
    pub fn params(&self) -> CompactParams {
        self.params
    }

    /// Whether every row is kept exactly in its bytes.
    pub fn is_lossless(&self) -> bool {
        self.codes.scale == Scale::Whole
    }

    /// Row `slot` as kept (scaled to length one under cosine): the vector itself, or what its code stands for. Panics if it is not below
    /// [`len`](CompactGraph::len).
    pub fn vector(&self, slot: Slot, out: &mut Vec<f32>) {
        match &self.full {
            Some(full) => full.decode(slot, out),
            None => self.codes.decode(slot.0, out),
        }
    }

    /// Whether every row is kept as it was given (scaled to length one under cosine, rounded to the element type).
    pub(crate) fn keeps_vectors(&self) -> bool {
        self.is_lossless() || self.full.is_some()
    }

    /// As [`QuantizedGraph::make_sketch`](crate::QuantizedGraph::make_sketch).
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

    /// Bytes of a row of `spec`, without what is kept of its vector beside its code.
    pub(crate) fn row_bytes(spec: VectorSpec, whole_numbers: bool) -> usize {
        let whole = whole_numbers && spec.metric() == Metric::L2;
        row_bytes(spec.dim(), if whole { Scale::Whole } else { Scale::Own }) + DEGREE * size_of::<u32>()
    }

    /// Bytes of links, codes and kept vectors: what a search may touch.
    pub fn index_bytes(&self) -> usize {
        let entries = self.entries.blocks.bytes() + self.entries.slots.bytes();
        let full = self.full.as_ref().map_or(0, Vectors::bytes);
        let sketch = self.sketch.get().map_or(0, Sketched::bytes);
        self.codes.bytes() + self.links.bytes() + entries + self.twins.bytes() + full + sketch
    }
}

/// Rows compared on all their bits.
struct Finest<'a> {
    codes: &'a Codes,
    query: &'a CodeQuery,
    errs: bool,
}

/// How many times wider a scan's margin is than a walk's: what is missed by a scan would be missed for good.
const SURER: f32 = 2.0;

impl Compare for Finest<'_> {
    #[inline(always)]
    fn errs(&self) -> bool {
        self.errs
    }

    #[inline(always)]
    fn distance<S: Simd>(&self, simd: S, slot: u32) -> f32 {
        self.codes.finest(simd, self.query, slot)
    }

    #[inline(always)]
    fn margin(&self, slot: u32) -> f32 {
        SURER * margin(self.codes, self.query, slot)
    }

    #[inline(always)]
    fn fetch(&self, slot: u32) {
        self.codes.fetch(Bits::Eight, slot);
    }
}
