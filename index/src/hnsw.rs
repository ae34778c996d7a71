//! [`Hnsw`]: rows and the graph over them, as callers hold them.
//!
//! Malkov & Yashunin, "Efficient and robust approximate nearest neighbor search using Hierarchical Navigable Small World graphs"
//! (arXiv:1603.09320). Each entry point turns the run-time element type into a static one, once, and runs the loops of `graph`.

mod masked;

use crate::graph::Graph;
use crate::graph::check::{GraphFault, GraphReport};
use crate::graph::links::Links;
use crate::graph::search::Field;
use crate::ids::Slot;
use crate::neighbors::Neighbors;
use crate::params::{BuildOptions, HnswParams, ParamsError, SearchParams, SearchStats};
use crate::query::{BuildError, ExtendError, Hit, SearchError};
use crate::rows::{Rows, VectorRef};
use crate::scratch::Scratch;
use crate::spec::{Component, VectorError, VectorSpec};
use crate::threads;
use crate::vectors::dense::{Dense, Vectors, with_rows};

pub(crate) use masked::Known;

/// An HNSW index. Searches take `&self` and may run on any number of threads; changes take `&mut self`.
///
/// ```
/// use vicino_index::{BuildOptions, ElementType, Hnsw, HnswParams, Metric, Rows, Scratch, SearchParams, VectorSpec};
/// let points: Vec<f32> = (0..1000).flat_map(|i| [(i % 40) as f32, (i / 40) as f32]).collect();
/// let spec = VectorSpec::new(2, Metric::L2, ElementType::F32)?;
/// let index = Hnsw::build(spec, HnswParams::default(), Rows::new(&points, 2)?, &BuildOptions::default())?;
///
/// let (mut scratch, mut hits) = (Scratch::new(), Vec::new());
/// let stats = index.search((&[7.2, 3.1]).into(), SearchParams::new(3, 64), &mut scratch, &mut hits)?;
/// assert_eq!(hits[0].slot.0, 3 * 40 + 7);
/// assert!(stats.distances < 1000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Hnsw {
    pub(crate) params: HnswParams,
    pub(crate) vectors: Vectors,
    pub(crate) graph: Graph,
    pub(crate) known: Known,
}

impl Hnsw {
    /// An index without rows.
    pub fn new(spec: VectorSpec, params: HnswParams) -> Result<Self, ParamsError> {
        params.validate()?;
        let graph = Graph { links: Links::new(params.m, params.m0), entry: None, unproven: 0 };
        Ok(Hnsw { params, vectors: Vectors::new(spec), graph, known: Known::default() })
    }

    /// An index of `rows`, built in parallel. The same rows, parameters and seed give the same graph on any number of threads.
    /// About `ef_construction · m` distances per row.
    pub fn build(
        spec: VectorSpec,
        params: HnswParams,
        rows: Rows<'_>,
        options: &BuildOptions<'_>,
    ) -> Result<Self, BuildError> {
        let mut index = Self::new(spec, params)?;
        index.reserve(rows.len());
        index.extend(rows, options)?;
        Ok(index)
    }

    /// An index over rows that are stored already.
    pub(crate) fn over(vectors: Vectors, params: HnswParams, options: &BuildOptions<'_>) -> Result<Self, ParamsError> {
        params.validate()?;
        let mut graph = Graph { links: Links::new(params.m, params.m0), entry: None, unproven: 0 };
        graph.links.reserve(vectors.len());
        let report = |done: usize| {
            if let Some(progress) = options.progress {
                progress(done, vectors.len());
            }
        };
        with_rows!(&vectors, dense => threads::run(options.threads, || graph.extend(dense.view(), &params, &report)));
        Ok(Hnsw { params, vectors, graph, known: Known::default() })
    }

    /// Makes room for `rows` rows in all.
    fn reserve(&mut self, rows: usize) {
        self.vectors.reserve(rows);
        self.graph.links.reserve(rows);
    }

    /// Adds one row and returns its slot.
    pub fn insert(&mut self, vector: VectorRef<'_>) -> Result<Slot, ExtendError> {
        let rows = Rows::one(vector);
        let slots = self.extend(rows, &BuildOptions { threads: 1, progress: None })?;
        Ok(Slot(slots.start))
    }

    /// Adds `rows`, in parallel, and returns their slots; on an error none is added. The graph depends on the rows and on how they
    /// were divided into calls, not on threads.
    pub fn extend(&mut self, rows: Rows<'_>, options: &BuildOptions<'_>) -> Result<std::ops::Range<u32>, ExtendError> {
        let slots = self.vectors.extend(rows)?;
        self.known.grown(self.vectors.len());
        let report = |done: usize| {
            if let Some(progress) = options.progress {
                progress(done, rows.len());
            }
        };
        let (graph, params) = (&mut self.graph, &self.params);
        with_rows!(&self.vectors, dense => threads::run(options.threads, || graph.extend(dense.view(), params, &report)));
        Ok(slots)
    }

    /// Puts the `k` nearest rows that a beam of `ef` finds into `hits`, nearest first; `k` of them unless there are fewer rows.
    /// About `ef · m` distances. Allocates nothing once `scratch` and `hits` have grown.
    pub fn search(
        &self,
        query: VectorRef<'_>,
        params: SearchParams,
        scratch: &mut Scratch,
        hits: &mut Vec<Hit>,
    ) -> Result<SearchStats, SearchError> {
        hits.clear();
        if params.k == 0 {
            return Err(SearchError::ZeroK);
        }
        let mut stats = with_rows!(&self.vectors, rows => self.search_rows(rows, query, params, scratch, hits))?;
        if hits.len() < params.k.min(self.len()) {
            // Rows that no walk reaches, added one by one since the last repair, count when all are asked for.
            self.exact(query, params.k, &|_| true, scratch, hits)?;
            stats.distances += self.len() as u64;
        }
        Ok(stats)
    }

    fn search_rows<T: Component>(
        &self,
        rows: &Dense<T>,
        query: VectorRef<'_>,
        params: SearchParams,
        scratch: &mut Scratch,
        hits: &mut Vec<Hit>,
    ) -> Result<SearchStats, VectorError> {
        let field = Field {
            space: rows.view(),
            links: self.graph.links.view(),
            query: rows.encode(query, &mut scratch.query)?,
        };
        let walk = &mut scratch.walk;
        walk.reset();
        let Some(entry) = self.graph.entry else { return Ok(SearchStats::default()) };
        let from = walk.enter(field, entry, 0);
        walk.beam(field, from, self.width(params), 0, |_| ());
        for candidate in walk.pool.candidates() {
            let copies = field.links.with_twins(candidate.slot());
            let room = params.k - hits.len();
            hits.extend(copies.take(room).map(|slot| Hit { slot: Slot(slot), distance: candidate.distance() }));
            if hits.len() == params.k {
                break;
            }
        }
        Ok(walk.stats)
    }

    /// As [`search`](Hnsw::search), but only rows for which `accept` holds are returned: `k` of them unless fewer are accepted.
    /// The walk passes through all rows; where it meets fewer accepted ones than its beam is wide, every row is compared instead.
    pub fn search_filtered(
        &self,
        query: VectorRef<'_>,
        params: SearchParams,
        accept: &dyn Fn(Slot) -> bool,
        scratch: &mut Scratch,
        hits: &mut Vec<Hit>,
    ) -> Result<SearchStats, SearchError> {
        hits.clear();
        if params.k == 0 {
            return Err(SearchError::ZeroK);
        }
        let (mut stats, mut met) = (SearchStats::default(), 0);
        with_rows!(&self.vectors, rows => {
            let query = rows.encode(query, &mut scratch.query)?;
            let field = Field { space: rows.view(), links: self.graph.links.view(), query };
            let (walk, accepted) = (&mut scratch.walk, &mut scratch.accepted);
            walk.reset();
            accepted.reset(params.k.min(self.len()).max(1));
            if let Some(entry) = self.graph.entry {
                let from = walk.enter(field, entry, 0);
                walk.beam(field, from, self.width(params), 0, |candidate| {
                    for slot in field.links.with_twins(candidate.slot()).filter(|&slot| accept(Slot(slot))) {
                        met += 1;
                        accepted.insert(candidate.at(slot));
                    }
                });
                stats = walk.stats;
            }
        });
        if met < self.width(params) {
            self.vectors.exact(query, params.k, |slot| accept(Slot(slot)), scratch)?;
            stats.distances += self.len() as u64;
        }
        hits.extend(scratch.accepted.candidates().iter().map(|&candidate| Hit::from(candidate)));
        Ok(stats)
    }

    /// Puts the true `k` nearest rows for which `accept` holds into `hits`, by comparing every row.
    pub fn exact(
        &self,
        query: VectorRef<'_>,
        k: usize,
        accept: &dyn Fn(Slot) -> bool,
        scratch: &mut Scratch,
        hits: &mut Vec<Hit>,
    ) -> Result<(), SearchError> {
        hits.clear();
        self.vectors.exact(query, k, |slot| accept(Slot(slot)), scratch)?;
        hits.extend(scratch.accepted.candidates().iter().map(|&candidate| Hit::from(candidate)));
        Ok(())
    }

    /// The rows in order of distance, as far as a beam of `ef` that moves outward finds them: for paging, and for callers who do
    /// not know how many they need. Each row comes once; a row met late may come out of order.
    pub fn neighbors(&self, query: VectorRef<'_>, ef: usize) -> Result<Neighbors<'_>, SearchError> {
        Neighbors::new(self, query, ef)
    }

    /// Puts the rows within `radius` (an engine distance, inclusive) into `hits`, nearest first, as far as a beam of `ef` finds them.
    pub fn range(&self, query: VectorRef<'_>, radius: f32, ef: usize, hits: &mut Vec<Hit>) -> Result<(), SearchError> {
        hits.clear();
        if radius.is_nan() {
            return Err(SearchError::Radius { found: radius });
        }
        hits.extend(self.neighbors(query, ef)?.take_while(|hit| hit.distance <= radius));
        hits.sort_by(|a, b| a.distance.total_cmp(&b.distance).then(a.slot.cmp(&b.slot)));
        Ok(())
    }

    /// The beam width of a search: as asked, but at least `k`, and no wider than the index.
    fn width(&self, params: SearchParams) -> usize {
        params.ef.max(params.k).min(self.len()).max(1)
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.vectors.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the rows are.
    pub fn spec(&self) -> VectorSpec {
        self.vectors.spec()
    }

    /// How the graph is built.
    pub fn params(&self) -> HnswParams {
        self.params
    }

    /// Row `slot` as stored (scaled to length one under cosine), as numbers. Panics if it is not below [`len`](Hnsw::len).
    pub fn vector(&self, slot: Slot, out: &mut Vec<f32>) {
        self.vectors.decode(slot, out);
    }

    /// Bytes of rows and links, padding included: what a search may touch.
    pub fn index_bytes(&self) -> usize {
        self.vectors.bytes() + self.graph.links.bytes()
    }

    /// Proves the graph's invariants, or names the first that is broken. Cost: O(links).
    pub fn check(&self) -> Result<GraphReport, GraphFault> {
        let (nodes, rows) = (self.graph.links.nodes(), self.vectors.len());
        if nodes != rows {
            return Err(GraphFault::Shape { what: "graph", expected: rows, found: nodes });
        }
        self.graph.check()
    }
}
