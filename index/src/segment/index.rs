//! The vectors of a segment, and what finds the near ones: a scan, or a graph.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::choose::Layout;
use crate::compact::{CompactGraph, CompactParams, CompactScratch, CompactSearch};
use crate::graph::check::{GraphFault, GraphReport};
use crate::hnsw::Hnsw;
use crate::ids::Slot;
use crate::mask::Mask;
use crate::metric::Metric;
use crate::params::{BuildOptions, Effort, HnswParams, SearchParams};
use crate::planner::{Explain, Plan};
use crate::qgraph::build::scale_of;
use crate::qgraph::{QuantizedGraph, QuantizedParams, QuantizedScratch, QuantizedSearch};
use crate::quant::byte::Scale;
use crate::query::{Hit, SearchError};
use crate::rows::VectorRef;
use crate::scratch::Scratch;
use crate::sketch::Sketch;
use crate::spec::VectorSpec;
use crate::storage::format::{self, FileId, IndexFile, OpenError, SaveError, Section};
use crate::storage::save::{vector_bytes, vectors};
use crate::vectors::dense::Vectors;
use crate::vfs::Vfs;

use super::reach::{Depth, Reach, Way};
use super::scanned::{CodedBuffers, Scanned};

/// How the vectors of a segment are searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum IndexKind {
    /// All are compared, or estimated by codes: no graph is built yet, or none is worth it.
    Flat,
    /// By a graph over the vectors.
    Hnsw,
    /// By a graph over codes of the vectors, which lie beside its links.
    Quantized,
    /// By a graph over codes of the vectors, which lie apart from its links.
    Compact,
}

impl IndexKind {
    /// Whether this is a graph.
    pub fn is_graph(self) -> bool {
        self != IndexKind::Flat
    }
}

impl fmt::Display for IndexKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            IndexKind::Flat => "scanned",
            IndexKind::Hnsw => "a graph",
            IndexKind::Quantized => "a graph on codes",
            IndexKind::Compact => "a compact graph on codes",
        })
    }
}

/// Vectors, and a graph over them if there is one.
#[derive(Debug, Clone)]
pub(crate) enum Index {
    Flat(Scanned),
    Hnsw(Hnsw),
    Quantized(QuantizedGraph),
    /// Invariant: it keeps vectors as they were given.
    Compact(CompactGraph),
}

/// The buffers of searches on one thread.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    pub(crate) scratch: Scratch,
    pub(crate) quantized: QuantizedScratch,
    pub(crate) compact: CompactScratch,
    pub(crate) coded: CodedBuffers,
}

impl Buffers {
    /// Begins a search of several indexes: what is found in each of its [searches](Index::search) counts in those that follow.
    pub(crate) fn begin(&mut self) {
        self.quantized.begin();
    }

    /// Lets the rows whose distances the last scan over codes kept count in the searches that follow.
    pub(crate) fn share_scanned(&mut self) {
        self.quantized.meet(self.coded.kept());
    }
}

impl Index {
    /// `vectors` without a graph.
    pub(crate) fn flat(vectors: Vectors) -> Self {
        Index::Flat(Scanned::new(vectors))
    }

    /// `vectors` in a layout that there can be of them. Its build is as parallel as `options` say.
    pub(crate) fn build(vectors: Vectors, layout: Layout, params: HnswParams, options: &BuildOptions<'_>) -> Self {
        let graph = QuantizedParams { seed: params.seed, ..QuantizedParams::default() };
        match layout {
            Layout::Flat => Index::flat(vectors),
            Layout::Hnsw => Index::Hnsw(Hnsw::over(vectors, params, options).expect("a schema's parameters are valid")),
            Layout::Rows => {
                Index::Quantized(QuantizedGraph::over(vectors, graph, options).expect("supported, and within bounds"))
            }
            Layout::Compact { .. } => {
                // Where codes are exact there are none to keep.
                let params = CompactParams { graph, keep_vectors: true };
                Index::Compact(CompactGraph::over(vectors, params, options).expect("supported, and within bounds"))
            }
        }
    }

    /// Whether codes of `vectors` would be exact: of whole numbers in a byte's range by L2. Cost: a pass that ends at the first that are not.
    pub(crate) fn are_whole(vectors: &Vectors) -> bool {
        vectors.spec().metric() == Metric::L2 && scale_of(vectors) == Scale::Whole
    }

    /// Whether its codes are, or would be, exact; see [`are_whole`](Index::are_whole).
    pub(crate) fn is_whole(&self) -> bool {
        match self {
            Index::Flat(rows) => Self::are_whole(&rows.vectors),
            Index::Hnsw(index) => Self::are_whole(&index.vectors),
            Index::Quantized(index) => index.is_lossless(),
            Index::Compact(index) => index.is_lossless(),
        }
    }

    /// How far a walk for `k` results is to go. Where no recall was measured it is a beam of [`SearchParams::DEFAULT_EF`].
    pub(crate) fn depth(&self, k: usize, effort: Effort) -> Depth {
        match (self, effort) {
            (_, Effort::Beam(ef)) => Depth::Beam(ef),
            (Index::Quantized(index), Effort::Recall(recall)) => Depth::Slack(index.with_recall(k, recall.get()).slack),
            (Index::Compact(index), Effort::Recall(recall)) => Depth::Slack(index.with_recall(k, recall.get()).slack),
            (Index::Flat(_) | Index::Hnsw(_), Effort::Recall(_)) => Depth::Beam(SearchParams::DEFAULT_EF),
        }
    }

    /// The recall to be expected of a walk without a filter, where it was measured.
    pub(crate) fn expected_recall(&self, reach: Reach) -> Option<f32> {
        match (self, reach.depth) {
            (Index::Quantized(index), Depth::Slack(slack)) => index.expected_recall(reach.k, slack),
            (Index::Compact(index), Depth::Slack(slack)) if reach.bits() == CompactSearch::DEFAULT_BITS => {
                index.expected_recall(reach.k, slack)
            }
            _ => None,
        }
    }

    pub(crate) fn kind(&self) -> IndexKind {
        match self {
            Index::Flat(_) => IndexKind::Flat,
            Index::Hnsw(_) => IndexKind::Hnsw,
            Index::Quantized(_) => IndexKind::Quantized,
            Index::Compact(_) => IndexKind::Compact,
        }
    }

    /// Bytes of vectors, codes and links.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Index::Flat(rows) => rows.bytes(),
            Index::Hnsw(index) => index.index_bytes(),
            Index::Quantized(index) => index.index_bytes(),
            Index::Compact(index) => index.index_bytes(),
        }
    }

    /// Row `row` as stored, as numbers.
    pub(crate) fn vector(&self, row: u32, out: &mut Vec<f32>) {
        match self {
            Index::Flat(rows) => rows.vectors.decode(Slot(row), out),
            Index::Hnsw(index) => index.vector(Slot(row), out),
            Index::Quantized(index) => index.vector(Slot(row), out),
            Index::Compact(index) => index.vector(Slot(row), out),
        }
    }

    /// Appends `rows` to `to` as they are stored: copied where they lie in memory as they do there, decoded and written again where a code
    /// stands for them.
    pub(crate) fn append_to(&self, rows: Range<u32>, to: &mut Vectors) {
        let stored = match self {
            Index::Flat(rows) => Some(&rows.vectors),
            Index::Hnsw(index) => Some(&index.vectors),
            Index::Quantized(index) => index.kept().full,
            Index::Compact(index) => index.kept().full,
        };
        if let Some(stored) = stored.filter(|stored| stored.spec() == to.spec()) {
            return to.extend_stored(stored, rows.start as usize..rows.end as usize);
        }
        let mut buffer = Vec::new();
        for row in rows {
            self.vector(row, &mut buffer);
            to.push_stored(&buffer);
        }
    }

    /// Puts the `k` nearest rows for which `accept` holds into `hits`, nearest first, ties by lower row; fewer only where fewer are
    /// accepted. One distance per row.
    pub(crate) fn exact(
        &self,
        query: VectorRef<'_>,
        k: usize,
        accept: &dyn Fn(Slot) -> bool,
        buffers: &mut Buffers,
        hits: &mut Vec<Hit>,
    ) -> Result<(), SearchError> {
        match self {
            Index::Flat(rows) => {
                hits.clear();
                rows.vectors.exact(query, k, |slot| accept(Slot(slot)), &mut buffers.scratch)?;
                hits.extend(buffers.scratch.accepted.candidates().iter().map(|&candidate| Hit::from(candidate)));
                Ok(())
            }
            Index::Hnsw(index) => index.exact(query, k, accept, &mut buffers.scratch, hits).map(drop),
            Index::Quantized(index) => index.kept().exact(query, k, accept, &mut buffers.scratch, hits),
            Index::Compact(index) => index.kept().exact(query, k, accept, &mut buffers.scratch, hits),
        }
    }

    /// Makes a sketch of the rows, unless there is one or cannot be; where they are no more than `memory` bytes with it, if that is bounded.
    pub(crate) fn make_sketch(&self, memory: Option<usize>, options: &BuildOptions<'_>) {
        let (spec, rows, has) = match self {
            Index::Flat(rows) => (rows.vectors.spec(), rows.vectors.len(), rows.has_sketch()),
            // Its walks and scans know of none.
            Index::Hnsw(_) => return,
            Index::Quantized(index) => (index.spec(), index.len(), index.has_sketch()),
            Index::Compact(index) => (index.spec(), index.len(), index.has_sketch()),
        };
        let fits = || memory.is_none_or(|memory| self.bytes() + Sketch::bytes_of(spec, rows) <= memory);
        if has || !Sketch::is_worth(spec, rows) || !fits() {
            return;
        }
        match self {
            Index::Flat(rows) => rows.make_sketch(options),
            Index::Hnsw(_) => {}
            Index::Quantized(index) => index.make_sketch(options),
            Index::Compact(index) => index.make_sketch(options),
        }
    }

    /// The vectors, where there is no graph.
    pub(crate) fn scanned(&self) -> Option<&Scanned> {
        match self {
            Index::Flat(rows) => Some(rows),
            _ => None,
        }
    }

    /// The nearest rows for which `accept` holds, by the graph if there is one, as far as `reach` says; else all are compared.
    pub(crate) fn search(
        &self,
        query: VectorRef<'_>,
        reach: Reach,
        accept: &dyn Fn(Slot) -> bool,
        buffers: &mut Buffers,
        hits: &mut Vec<Hit>,
    ) -> Result<Way, SearchError> {
        match self {
            Index::Flat(rows) => {
                self.exact(query, reach.k, accept, buffers, hits)?;
                Ok(Way { plan: Plan::Scan, estimates: 0, distances: rows.vectors.len() as u64, hops: 0 })
            }
            Index::Hnsw(index) => {
                let stats = index.search_filtered(query, reach.beam(), accept, &mut buffers.scratch, hits)?;
                Ok(Way { plan: Plan::Walk, estimates: 0, distances: stats.distances, hops: stats.hops })
            }
            Index::Quantized(index) => {
                let scratch = &mut buffers.quantized;
                let stats = match reach.depth {
                    Depth::Beam(_) => index.search_beam(query, reach.beam(), accept, scratch, hits),
                    Depth::Slack(slack) => {
                        index.search_joined(query, QuantizedSearch::new(reach.k, slack), accept, scratch, hits)
                    }
                };
                stats.map(Way::from)
            }
            Index::Compact(index) => {
                let (scratch, bits) = (&mut buffers.compact, reach.bits());
                let stats = match reach.depth {
                    Depth::Beam(_) => index.search_beam(query, (reach.beam(), bits), accept, scratch, hits),
                    Depth::Slack(slack) => {
                        let params = CompactSearch { bits, ..CompactSearch::new(reach.k, slack) };
                        index.search_filtered(query, params, accept, scratch, hits)
                    }
                };
                stats.map(Way::from)
            }
        }
    }

    /// As [`exact`](Index::exact) among the rows of `mask`: one distance for each of them.
    pub(crate) fn exact_among(
        &self,
        query: VectorRef<'_>,
        k: usize,
        mask: &Mask,
        buffers: &mut Buffers,
        hits: &mut Vec<Hit>,
    ) -> Result<(), SearchError> {
        match self {
            Index::Flat(rows) => {
                hits.clear();
                rows.vectors.exact_among(query, k, mask, &mut buffers.scratch)?;
                hits.extend(buffers.scratch.accepted.candidates().iter().map(|&candidate| Hit::from(candidate)));
                Ok(())
            }
            Index::Hnsw(index) => {
                let params = SearchParams::new(k, k);
                index.search_masked(query, params, mask, Some(Plan::Scan), &mut buffers.scratch, hits).map(drop)
            }
            Index::Quantized(index) => index.kept().exact_among(query, k, mask, &mut buffers.scratch, hits),
            Index::Compact(index) => index.kept().exact_among(query, k, mask, &mut buffers.scratch, hits),
        }
    }

    /// The nearest rows of `mask` by the way that is expected to be the cheapest, and which it was.
    pub(crate) fn search_masked(
        &self,
        query: VectorRef<'_>,
        reach: Reach,
        mask: &Mask,
        buffers: &mut Buffers,
        hits: &mut Vec<Hit>,
    ) -> Result<Explain, SearchError> {
        match self {
            Index::Flat(_) => {
                let (matching, all) = (mask.len(), mask.rows());
                self.exact_among(query, reach.k, mask, buffers, hits)?;
                Ok(Explain::of(Plan::Scan, matching, all, matching as u64))
            }
            Index::Hnsw(index) => index.search_masked(query, reach.beam(), mask, None, &mut buffers.scratch, hits),
            Index::Quantized(index) => {
                let scratch = &mut buffers.quantized;
                match reach.depth {
                    Depth::Beam(_) => index.search_beam_masked(query, reach.beam(), mask, None, scratch, hits),
                    Depth::Slack(slack) => {
                        index.search_masked(query, QuantizedSearch::new(reach.k, slack), mask, None, scratch, hits)
                    }
                }
            }
            Index::Compact(index) => {
                let (scratch, bits) = (&mut buffers.compact, reach.bits());
                match reach.depth {
                    Depth::Beam(_) => index.search_beam_masked(query, (reach.beam(), bits), mask, None, scratch, hits),
                    Depth::Slack(slack) => {
                        let params = CompactSearch { bits, ..CompactSearch::new(reach.k, slack) };
                        index.search_masked(query, params, mask, None, scratch, hits)
                    }
                }
            }
        }
    }

    /// Measures what the ways through a graph cost here, unless that is known.
    pub(crate) fn measure_costs(&self) {
        match self {
            Index::Flat(_) => {}
            Index::Hnsw(index) => _ = index.costs(),
            Index::Quantized(index) => _ = index.costs(),
            Index::Compact(index) => _ = index.costs(),
        }
    }

    /// Proves the invariants of the graph, if there is one.
    pub(crate) fn check(&self) -> Result<Option<GraphReport>, GraphFault> {
        match self {
            Index::Flat(_) => Ok(None),
            Index::Hnsw(index) => index.check().map(Some),
            Index::Quantized(index) => index.check().map(Some),
            Index::Compact(index) => index.check().map(Some),
        }
    }

    /// Writes it to a new file at `path`, with `more` sections behind its own; the name is on disk once the folder is synced.
    pub(crate) fn save(&self, vfs: &dyn Vfs, path: &Path, more: &[(Section, &[u8])]) -> Result<FileId, SaveError> {
        let write = |own: &[(Section, &[u8])]| format::write(vfs, path, &[own, more].concat());
        match self {
            Index::Flat(rows) => write(&[(Section::Rows, vector_bytes(&rows.vectors))]),
            Index::Hnsw(index) => index.with_sections(write),
            Index::Quantized(index) => index.with_sections(write),
            Index::Compact(index) => index.with_sections(write),
        }
    }

    /// The index of `rows` rows of `spec` in `file`, whose checksums hold.
    pub(crate) fn from_file(
        file: &IndexFile,
        kind: IndexKind,
        spec: VectorSpec,
        rows: usize,
    ) -> Result<Self, OpenError> {
        let index = match kind {
            IndexKind::Flat => Index::flat(vectors(file, spec, Some(rows))?),
            IndexKind::Hnsw => Index::Hnsw(Hnsw::from_file(file)?),
            IndexKind::Quantized => Index::Quantized(QuantizedGraph::from_file(file)?),
            IndexKind::Compact => Index::Compact(CompactGraph::from_file(file)?),
        };
        let (found, of) = match &index {
            Index::Flat(_) => (rows, spec),
            Index::Hnsw(index) => (index.len(), index.spec()),
            Index::Quantized(index) => (index.len(), index.spec()),
            Index::Compact(index) => (index.len(), index.spec()),
        };
        if of != spec {
            return Err(file.invalid(Section::Metadata, format!("{of:?}, expected {spec:?}")));
        }
        if found != rows {
            return Err(file.invalid(Section::Metadata, format!("{found} rows, expected {rows}")));
        }
        if let Index::Compact(index) = &index
            && !index.keeps_vectors()
        {
            return Err(file.invalid(Section::Metadata, "vectors were not kept beside their codes".into()));
        }
        Ok(index)
    }

    /// What can be read of the vectors in a damaged `file`: fit for [`vector`](Index::vector) below the length that comes with it.
    pub(crate) fn damaged(file: &IndexFile, kind: IndexKind, spec: VectorSpec) -> Result<(Self, usize), OpenError> {
        let of_codes = |index, (found, len)| Ok((index, if found == spec { len } else { 0 }));
        match kind {
            IndexKind::Quantized => {
                let index = QuantizedGraph::unchecked(file)?;
                let found = (index.spec(), index.len());
                of_codes(Index::Quantized(index), found)
            }
            IndexKind::Compact => {
                let index = CompactGraph::unchecked(file)?;
                let found = (index.spec(), index.len());
                of_codes(Index::Compact(index), found)
            }
            IndexKind::Flat | IndexKind::Hnsw => {
                let vectors = vectors(file, spec, None)?;
                let len = vectors.len();
                Ok((Index::flat(vectors), len))
            }
        }
    }
}
