//! The vectors of a segment, and what finds the near ones: a scan, or a graph.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::graph::check::{GraphFault, GraphReport};
use crate::hnsw::Hnsw;
use crate::ids::Slot;
use crate::mask::Mask;
use crate::params::{BuildOptions, HnswParams, SearchParams, SearchStats};
use crate::planner::{Explain, Plan};
use crate::qgraph::{QuantizedGraph, QuantizedParams, QuantizedScratch};
use crate::query::{Hit, SearchError};
use crate::rows::VectorRef;
use crate::scratch::Scratch;
use crate::spec::VectorSpec;
use crate::storage::format::{self, FileId, IndexFile, OpenError, SaveError, Section};
use crate::storage::save::{vector_bytes, vectors};
use crate::vectors::dense::Vectors;
use crate::vfs::Vfs;

/// How the vectors of a segment are searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum IndexKind {
    /// All are compared: no graph is built yet, or none is worth it.
    Flat,
    /// By a graph over the vectors.
    Hnsw,
    /// By a graph over codes of the vectors.
    Quantized,
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
        })
    }
}

/// Vectors, and a graph over them if there is one.
#[derive(Debug, Clone)]
pub(crate) enum Index {
    Flat(Vectors),
    Hnsw(Hnsw),
    Quantized(QuantizedGraph),
}

/// The buffers of searches on one thread.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    pub(crate) scratch: Scratch,
    pub(crate) quantized: QuantizedScratch,
}

impl Index {
    /// A graph over `vectors`: on codes where there are some for such vectors. Its build is as parallel as `options` say.
    pub(crate) fn build(vectors: Vectors, params: HnswParams, options: &BuildOptions<'_>) -> Self {
        if vectors.len() > 0 && QuantizedGraph::supports(vectors.spec()) {
            let params = QuantizedParams { seed: params.seed, ..QuantizedParams::default() };
            Index::Quantized(QuantizedGraph::over(vectors, params, options).expect("supported, and within bounds"))
        } else {
            Index::Hnsw(Hnsw::over(vectors, params, options).expect("a schema's parameters are valid"))
        }
    }

    pub(crate) fn kind(&self) -> IndexKind {
        match self {
            Index::Flat(_) => IndexKind::Flat,
            Index::Hnsw(_) => IndexKind::Hnsw,
            Index::Quantized(_) => IndexKind::Quantized,
        }
    }

    /// Bytes of vectors, codes and links.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Index::Flat(vectors) => vectors.bytes(),
            Index::Hnsw(index) => index.index_bytes(),
            Index::Quantized(index) => index.index_bytes(),
        }
    }

    /// Row `row` as stored, as numbers.
    pub(crate) fn vector(&self, row: u32, out: &mut Vec<f32>) {
        match self {
            Index::Flat(vectors) => vectors.decode(Slot(row), out),
            Index::Hnsw(index) => index.vector(Slot(row), out),
            Index::Quantized(index) => index.vector(Slot(row), out),
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
            Index::Flat(vectors) => {
                hits.clear();
                vectors.exact(query, k, |slot| accept(Slot(slot)), &mut buffers.scratch)?;
                hits.extend(buffers.scratch.accepted.candidates().iter().map(|&candidate| Hit::from(candidate)));
                Ok(())
            }
            Index::Hnsw(index) => index.exact(query, k, accept, &mut buffers.scratch, hits).map(drop),
            Index::Quantized(index) => index.exact(query, k, accept, &mut buffers.scratch, hits),
        }
    }

    /// As [`exact`](Index::exact), but by the graph if there is one: a beam of `params.ef`.
    pub(crate) fn search(
        &self,
        query: VectorRef<'_>,
        params: SearchParams,
        accept: &dyn Fn(Slot) -> bool,
        buffers: &mut Buffers,
        hits: &mut Vec<Hit>,
    ) -> Result<SearchStats, SearchError> {
        match self {
            Index::Flat(vectors) => {
                self.exact(query, params.k, accept, buffers, hits)?;
                Ok(SearchStats { distances: vectors.len() as u64, hops: 0 })
            }
            Index::Hnsw(index) => index.search_filtered(query, params, accept, &mut buffers.scratch, hits),
            Index::Quantized(index) => {
                let stats = index.search_beam(query, params, accept, &mut buffers.quantized, hits)?;
                Ok(SearchStats { distances: stats.distances + stats.rescored, hops: stats.hops })
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
            Index::Flat(vectors) => {
                hits.clear();
                vectors.exact_among(query, k, mask, &mut buffers.scratch)?;
                hits.extend(buffers.scratch.accepted.candidates().iter().map(|&candidate| Hit::from(candidate)));
                Ok(())
            }
            Index::Hnsw(index) => {
                let params = SearchParams::new(k, k);
                index.search_masked(query, params, mask, Some(Plan::Scan), &mut buffers.scratch, hits).map(drop)
            }
            Index::Quantized(index) => index.exact_among(query, k, mask, &mut buffers.scratch, hits),
        }
    }

    /// The nearest rows of `mask` by the way that is expected to be the cheapest, and which it was; none where there is no graph.
    pub(crate) fn search_masked(
        &self,
        query: VectorRef<'_>,
        params: SearchParams,
        mask: &Mask,
        buffers: &mut Buffers,
        hits: &mut Vec<Hit>,
    ) -> Result<Option<Explain>, SearchError> {
        match self {
            Index::Flat(_) => self.exact_among(query, params.k, mask, buffers, hits).map(|()| None),
            Index::Hnsw(index) => index.search_masked(query, params, mask, None, &mut buffers.scratch, hits).map(Some),
            Index::Quantized(index) => {
                index.search_beam_masked(query, params, mask, None, &mut buffers.quantized, hits).map(Some)
            }
        }
    }

    /// Proves the invariants of the graph, if there is one.
    pub(crate) fn check(&self) -> Result<Option<GraphReport>, GraphFault> {
        match self {
            Index::Flat(_) => Ok(None),
            Index::Hnsw(index) => index.check().map(Some),
            Index::Quantized(index) => index.check().map(Some),
        }
    }

    /// Writes it to a new file at `path`, with `more` sections behind its own; the name is on disk once the folder is synced.
    pub(crate) fn save(&self, vfs: &dyn Vfs, path: &Path, more: &[(Section, &[u8])]) -> Result<FileId, SaveError> {
        let write = |own: &[(Section, &[u8])]| format::write(vfs, path, &[own, more].concat());
        match self {
            Index::Flat(vectors) => write(&[(Section::Rows, vector_bytes(vectors))]),
            Index::Hnsw(index) => index.with_sections(write),
            Index::Quantized(index) => index.with_sections(write),
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
            IndexKind::Flat => Index::Flat(vectors(file, spec, Some(rows))?),
            IndexKind::Hnsw => Index::Hnsw(Hnsw::from_file(file)?),
            IndexKind::Quantized => Index::Quantized(QuantizedGraph::from_file(file)?),
        };
        let (found, of) = match &index {
            Index::Flat(_) => (rows, spec),
            Index::Hnsw(index) => (index.len(), index.spec()),
            Index::Quantized(index) => (index.len(), index.spec()),
        };
        if of != spec {
            return Err(file.invalid(Section::Metadata, format!("{of:?}, expected {spec:?}")));
        }
        if found != rows {
            return Err(file.invalid(Section::Metadata, format!("{found} rows, expected {rows}")));
        }
        Ok(index)
    }

    /// What can be read of the vectors in a damaged `file`: fit for [`vector`](Index::vector) below the length that comes with it.
    pub(crate) fn damaged(file: &IndexFile, kind: IndexKind, spec: VectorSpec) -> Result<(Self, usize), OpenError> {
        if kind == IndexKind::Quantized {
            let index = QuantizedGraph::unchecked(file)?;
            let len = if index.spec() == spec { index.len() } else { 0 };
            return Ok((Index::Quantized(index), len));
        }
        let vectors = vectors(file, spec, None)?;
        let len = vectors.len();
        Ok((Index::Flat(vectors), len))
    }
}
