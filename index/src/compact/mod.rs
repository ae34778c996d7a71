//! [`CompactGraph`]: the graph of a [`QuantizedGraph`] walked on nested codes that lie apart from the links.
//!
//! A node takes its links, four bytes each, and one byte for each coordinate, of which a walk reads four bits (or two, or eight, as each
//! search says) and its end reads all. That is about a third of what HNSW over floats takes, and a sixth of a quantized graph over
//! half floats, for somewhat more time per hop: neighbours' codes are gathered from where they lie.
//!
//! walk (a search) · params · save. The codes are in `quant::codes`.

mod params;
mod save;
#[cfg(test)]
mod tests;
mod walk;

use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;

use crate::bytes::Array;
use crate::distance::fastscan::Units;
use crate::distance::simd::{Simd, Task, dispatch};
use crate::graph::links::{NONE, chain};
use crate::ids::Slot;
use crate::metric::Metric;
use crate::params::BuildOptions;
use crate::qgraph::build::radius_of;
use crate::qgraph::entry::Entries;
use crate::qgraph::{DEGREE, QuantizedGraph, QuantizedStats, isa, load};
use crate::quant::byte::Scale;
use crate::quant::codes::{CodeQuery, Codes, row_bytes};
use crate::quant::frame::Frame;
use crate::query::{BuildError, Hit, SearchError};
use crate::rows::{Rows, VectorRef};
use crate::spec::VectorSpec;
use crate::storage::save::vector_bytes;
use crate::threads;
use crate::vectors::dense::{Line, Vectors};

use walk::{Batch, Field, Limits, MAX_WIDTH, Walk};

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
}

/// The buffers of searches on one thread.
#[derive(Debug, Default)]
pub struct CompactScratch {
    walks: Vec<Walk>,
    ranking: Ranking,
}

/// The buffers of turning what was found into hits.
#[derive(Debug, Default)]
struct Ranking {
    slots: Vec<u32>,
    distances: Vec<f32>,
    query: Vec<Line>,
    hits: Vec<Hit>,
}

impl CompactScratch {
    /// Empty buffers, which grow with the first searches.
    pub fn new() -> Self {
        Self::default()
    }
}

impl CompactGraph {
    /// An index of `rows`, built in parallel; the same rows, parameters and seed give the same bytes on any number of threads. While it is
    /// built it takes what a quantized graph does.
    pub fn build(
        spec: VectorSpec,
        params: CompactParams,
        rows: Rows<'_>,
        options: &BuildOptions<'_>,
    ) -> Result<Self, BuildError> {
        let graph = QuantizedGraph::build(spec, params.graph, rows, options)?;
        Ok(threads::run(options.threads, || Self::of(graph, params.keep_vectors)))
    }

    /// The compact layout of a quantized graph.
    pub fn of(graph: QuantizedGraph, keep_vectors: bool) -> Self {
        let (spec, scale, nodes) = (graph.spec(), graph.scale, graph.len());
        let params = CompactParams { graph: graph.params(), keep_vectors };
        let mut links = Array::<u32>::default();
        links.resize(nodes * DEGREE);
        links.as_mut_slice().par_chunks_mut(DEGREE).enumerate().for_each(|(node, list)| {
            list.fill(NONE);
            let neighbors = graph.neighbors(node as u32);
            list[..neighbors.len()].copy_from_slice(&neighbors);
        });
        let decode = |slot, out: &mut Vec<f32>| graph.vector(Slot(slot), out);
        let radius = radius_of(nodes, decode, graph.mean.as_slice());
        let frame = Frame::new(graph.mean.clone(), Some(graph.rotation.clone()));
        let codes = Codes::new(frame, spec.metric(), scale, (nodes, radius), decode);
        let deviation = codes.mean_deviation();
        let full = if keep_vectors { graph.full } else { None };
        CompactGraph {
            params,
            spec,
            codes,
            links,
            entries: graph.entries,
            units: graph.units,
            deviation,
            twins: graph.twins,
            full,
        }
    }

    /// Puts the `k` nearest rows that a walk of the given slack finds into `hits`, nearest first; `k` of them unless there are fewer rows.
    /// Allocates nothing once `scratch` and `hits` have grown.
    pub fn search(
        &self,
        query: VectorRef<'_>,
        params: CompactSearch,
        scratch: &mut CompactScratch,
        hits: &mut Vec<Hit>,
    ) -> Result<QuantizedStats, SearchError> {
        self.one(query, params, None, scratch, hits)
    }

    /// As [`search`](CompactGraph::search), but only rows for which `accept` holds are returned: `k` of them unless fewer are accepted.
    /// The walk passes through all rows; where it finds fewer than `k` accepted ones, every row is compared instead.
    pub fn search_filtered(
        &self,
        query: VectorRef<'_>,
        params: CompactSearch,
        accept: &dyn Fn(Slot) -> bool,
        scratch: &mut CompactScratch,
        hits: &mut Vec<Hit>,
    ) -> Result<QuantizedStats, SearchError> {
        self.one(query, params, Some(accept), scratch, hits)
    }

    fn one(
        &self,
        query: VectorRef<'_>,
        params: CompactSearch,
        accept: Option<&dyn Fn(Slot) -> bool>,
        scratch: &mut CompactScratch,
        hits: &mut Vec<Hit>,
    ) -> Result<QuantizedStats, SearchError> {
        hits.clear();
        scratch.walks.resize_with(1.max(scratch.walks.len()), Walk::default);
        let CompactScratch { walks, ranking } = scratch;
        self.run(Rows::one(query), params, accept, &mut walks[..1], ranking, |_, found| hits.extend_from_slice(found))
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
        scratch.walks.resize_with(WIDTH.max(scratch.walks.len()), Walk::default);
        self.run(queries, params, None, &mut scratch.walks[..WIDTH], &mut scratch.ranking, done)
    }

    fn run(
        &self,
        queries: Rows<'_>,
        params: CompactSearch,
        accept: Option<&dyn Fn(Slot) -> bool>,
        walks: &mut [Walk],
        ranking: &mut Ranking,
        mut done: impl FnMut(usize, &[Hit]),
    ) -> Result<QuantizedStats, (usize, SearchError)> {
        if params.k == 0 {
            return Err((0, SearchError::ZeroK));
        }
        if params.slack.is_nan() {
            return Err((0, SearchError::Radius { found: params.slack }));
        }
        let k = params.k.min(self.len());
        let (slack, max_hops, bits) = (params.slack, params.max_hops.max(1), params.bits);
        let limits = Limits { k: k.max(1), slack, max_hops, bits, filtered: accept.is_some() };
        let (mut error, mut stats) = (None, QuantizedStats::default());
        let accepts = |slot: u32| accept.is_none_or(|accept| accept(Slot(slot)));
        let walks = &mut walks[..queries.len().clamp(1, MAX_WIDTH).min(WIDTH)];
        dispatch(
            isa(),
            Batch {
                field: self.field(),
                limits,
                queries: queries.len(),
                query: |index, out: &mut Vec<f32>| {
                    if let Err(fault) = load(&self.spec, queries.row(index), out) {
                        error.get_or_insert((index, fault));
                        out.clear();
                        out.resize(self.spec.dim(), 0.0);
                    }
                },
                accept: |node| self.copies(node).any(accepts),
                done: |index, walk: &mut Walk| {
                    self.rank(&walk.found, k, accepts, ranking);
                    let scanned = ranking.hits.len() < k;
                    if scanned {
                        walk.counts.distances += self.scan(&walk.code, k, accepts, ranking);
                    }
                    let rescored = self.rescore(&walk.query, k, ranking);
                    let counts = walk.counts;
                    stats += QuantizedStats {
                        hops: counts.hops,
                        estimates: counts.estimates,
                        distances: counts.distances,
                        rescored,
                        scans: u64::from(scanned),
                    };
                    done(index, &ranking.hits);
                },
                walks,
            },
        );
        match error {
            Some((index, error)) => Err((index, error.into())),
            None => Ok(stats),
        }
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

    /// Turns the nodes a walk found into hits, copies beside each node.
    #[inline(always)]
    fn rank(&self, found: &[(f32, u32)], k: usize, accept: impl Fn(u32) -> bool, ranking: &mut Ranking) {
        ranking.hits.clear();
        for &(distance, node) in found {
            let copies = self.copies(node).filter(|&copy| self.twins.len() == 0 || accept(copy));
            let room = found.len().max(k) - ranking.hits.len();
            ranking.hits.extend(copies.take(room).map(|copy| Hit { slot: Slot(copy), distance }));
        }
    }

    /// Scores the hits from kept vectors, where there are any, and keeps the `k` nearest; returns how many were scored.
    #[inline(always)]
    fn rescore(&self, query: &[f32], k: usize, ranking: &mut Ranking) -> u64 {
        let Ranking { slots, distances, query: buffer, hits } = ranking;
        slots.clear();
        if let Some(full) = &self.full {
            slots.extend(hits.iter().map(|hit| hit.slot.0));
            distances.resize(slots.len(), 0.0);
            match full {
                Vectors::F16(full) => {
                    let words = full.padded(buffer);
                    words[..query.len()].convert_from_f32_slice(query);
                    full.view().gather(words, slots, distances);
                }
                Vectors::F32(full) => {
                    let words = full.padded(buffer);
                    words[..query.len()].copy_from_slice(query);
                    full.view().gather(words, slots, distances);
                }
                _ => unreachable!("kept vectors are floats"),
            }
            hits.iter_mut().zip(&*distances).for_each(|(hit, &distance)| hit.distance = distance);
            hits.sort_unstable_by(|a, b| a.distance.total_cmp(&b.distance).then(a.slot.cmp(&b.slot)));
        }
        hits.truncate(k);
        slots.len() as u64
    }

    /// Compares every accepted row on all eight bits: what a walk that found too little falls back on. Returns how many there were.
    #[cold]
    fn scan(&self, query: &CodeQuery, k: usize, accept: impl Fn(u32) -> bool, ranking: &mut Ranking) -> u64 {
        let slots = (0..self.len() as u32).filter(|&slot| accept(slot)).collect();
        let mut all = dispatch(isa(), Scan { codes: &self.codes, query, slots });
        let count = all.len() as u64;
        // Where vectors are kept, a few more than k, for eight bits may swap neighbours at nearly one distance.
        let keep = if self.full.is_some() { k + (k / 2).max(1) } else { k };
        let nearer = |a: &(f32, u32), b: &(f32, u32)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
        if all.len() > keep {
            all.select_nth_unstable_by(keep - 1, nearer);
            all.truncate(keep);
        }
        all.sort_unstable_by(nearer);
        ranking.hits.clear();
        ranking.hits.extend(all.iter().map(|&(distance, slot)| Hit { slot: Slot(slot), distance }));
        count
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

    /// Bytes of a row of `spec`, without what is kept of its vector beside its code.
    pub(crate) fn row_bytes(spec: VectorSpec, whole_numbers: bool) -> usize {
        let whole = whole_numbers && spec.metric() == Metric::L2;
        row_bytes(spec.dim(), if whole { Scale::Whole } else { Scale::Own }) + DEGREE * size_of::<u32>()
    }

    /// Bytes of links, codes and kept vectors: what a search may touch.
    pub fn index_bytes(&self) -> usize {
        let entries = self.entries.blocks.bytes() + self.entries.slots.bytes();
        let full = self.full.as_ref().map_or(0, Vectors::bytes);
        self.codes.bytes() + self.links.bytes() + entries + self.twins.bytes() + full
    }
}

/// Distances to many rows from all their bits.
struct Scan<'a> {
    codes: &'a Codes,
    query: &'a CodeQuery,
    slots: Vec<u32>,
}

impl Task for Scan<'_> {
    type Output = Vec<(f32, u32)>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Self::Output {
        let distance = |slot| self.codes.finest(simd, self.query, slot);
        self.slots.iter().map(|&slot| (distance(slot), slot)).collect()
    }
}
