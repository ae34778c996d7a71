//! A collection's folder looked at, with nothing in it changed: what it holds, and whether all of it is sound.

use std::path::Path;

use super::home::{self, Recovery};
use super::manifest::Manifest;
use super::{Collection, IndexKind, OpenCollectionError, Schema, usage};
use crate::graph::check::{GraphFault, GraphReport};
use crate::named::VectorSet;
use crate::segment::{Column, Part};
use crate::vfs::Vfs;

/// One segment of a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its number in the folder; 0 of one that is in memory alone, as the log's changes are.
    pub number: u64,
    /// Its rows, dead ones included.
    pub rows: usize,
    /// Rows of points that were replaced or removed since it was written.
    pub dead: usize,
    /// How it is searched; with several vectors, how those are that have no graph, if any has none.
    pub kind: IndexKind,
    /// Vectors of live points, of all names.
    pub vectors: usize,
    /// Those of them that a graph finds.
    pub indexed: usize,
    /// Bytes of ids, payloads, vectors, codes and links.
    pub bytes: usize,
}

impl SegmentInfo {
    /// Rows of points as they are.
    pub fn live(&self) -> usize {
        self.rows - self.dead
    }

    pub(super) fn of(Part { segment, dead }: &Part, vectors: &VectorSet) -> Self {
        let columns = || segment.columns().filter(|column| vectors.has_number(column.number));
        let all = columns().map(|column| (column.kind(), column.live(dead)));
        let (vectors, indexed) = all.fold((0, 0), |(all, indexed), (kind, live)| {
            (all + live, indexed + if kind.is_graph() { live } else { 0 })
        });
        let kinds = || columns().map(Column::kind);
        let kind = if kinds().all(IndexKind::is_graph) { kinds().next() } else { None };
        SegmentInfo {
            vectors,
            indexed,
            number: segment.number,
            rows: segment.table.len(),
            dead: dead.len(),
            kind: kind.unwrap_or(IndexKind::Flat),
            bytes: segment.bytes(),
        }
    }
}

/// What a collection's folder holds.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// What the collection was made with.
    pub schema: Schema,
    /// Points, the log's changes included.
    pub points: usize,
    /// Rows, those of points that were replaced or removed included.
    pub rows: usize,
    /// The last operation.
    pub operation: u64,
    /// The sum of the points; see [`Collection::sum`].
    pub sum: u128,
    /// The manifest's number; 0 before anything is sealed.
    pub checkpoint: u64,
    /// The segments, the oldest first; those in memory alone are what the log adds.
    pub segments: Vec<SegmentInfo>,
    /// What the log adds to the segments on disk.
    pub log: Recovery,
    /// The folder's files and their bytes, in order of names.
    pub files: Vec<(String, u64)>,
}

/// A collection that is not sound.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// It cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenCollectionError),
    /// Its graph breaks an invariant.
    #[error("the graph: {0}")]
    Graph(#[from] GraphFault),
    /// What is stored of a point is not what the log or its segment says.
    #[error("the points sum up to {found:032x}, expected {expected:032x}")]
    Sum {
        /// The sum kept along.
        expected: u128,
        /// The sum of what is stored.
        found: u128,
    },
}

/// Reads the collection in `dir`, its whole log included, and says what is there. Errors as opening it would; a group that a crash left
/// unfinished is counted and stays.
pub fn inspect(vfs: &dyn Vfs, dir: &Path) -> Result<Inspection, OpenCollectionError> {
    read(vfs, dir).map(|(inspection, _)| inspection)
}

/// As [`inspect`], and proves what opening does not: the invariants of every graph, and that every point's stored vector and payload are
/// those of its checksum.
pub fn verify(vfs: &dyn Vfs, dir: &Path) -> Result<(Inspection, Vec<GraphReport>), VerifyError> {
    let (inspection, collection) = read(vfs, dir)?;
    let reports = collection.check()?;
    let found = collection.sum_of_stored();
    if found != inspection.sum {
        return Err(VerifyError::Sum { expected: inspection.sum, found });
    }
    Ok((inspection, reports))
}

fn read(vfs: &dyn Vfs, dir: &Path) -> Result<(Inspection, Collection), OpenCollectionError> {
    let _lock = home::lock(vfs, dir)?;
    let home::Read { manifest: Manifest { generation, .. }, collection, recovery, .. } = home::read(vfs, dir)?;
    let inspection = Inspection {
        schema: collection.schema().clone(),
        points: collection.len(),
        rows: collection.rows(),
        operation: collection.operation(),
        sum: collection.sum(),
        checkpoint: generation,
        segments: collection.segments().collect(),
        log: recovery,
        files: usage::files(vfs, dir).map_err(|(path, source)| OpenCollectionError::Io { path, source })?,
    };
    Ok((inspection, collection))
}
