//! A collection's folder looked at, with nothing in it changed: what it holds, and whether all of it is sound.

use std::path::Path;

use super::home::{self, Recovery};
use super::manifest::Manifest;
use super::points;
use super::{Collection, OpenCollectionError, Schema};
use crate::graph::check::{GraphFault, GraphReport};
use crate::ids::PointId;
use crate::vfs::Vfs;

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
    /// The checkpoint's number; 0 before the first.
    pub checkpoint: u64,
    /// What the log adds to the checkpoint.
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
    /// What is stored of a point is not what the log or the checkpoint says.
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

/// As [`inspect`], and proves what opening does not: the invariants of the graph, with the log applied, and that every point's stored
/// vector and payload are those of its checksum.
pub fn verify(vfs: &dyn Vfs, dir: &Path) -> Result<(Inspection, GraphReport), VerifyError> {
    let (inspection, collection) = read(vfs, dir)?;
    let report = collection.graph().check()?;
    let found = sum_of_stored(&collection);
    if found != inspection.sum {
        return Err(VerifyError::Sum { expected: inspection.sum, found });
    }
    Ok((inspection, report))
}

fn read(vfs: &dyn Vfs, dir: &Path) -> Result<(Inspection, Collection), OpenCollectionError> {
    let _lock = home::lock(vfs, dir)?;
    let home::Read { manifest: Manifest { generation, .. }, collection, recovery, .. } = home::read(vfs, dir)?;
    let io = |source| OpenCollectionError::Io { path: dir.into(), source };
    let mut names = vfs.list(dir).map_err(io)?;
    names.sort();
    let bytes = |name: String| {
        let path = dir.join(&name);
        match vfs.map(&path) {
            Ok(file) => Ok((name, file.bytes().len() as u64)),
            Err(source) => Err(OpenCollectionError::Io { path, source }),
        }
    };
    let inspection = Inspection {
        schema: collection.schema().clone(),
        points: collection.len(),
        rows: collection.graph().len(),
        operation: collection.operation(),
        sum: collection.sum(),
        checkpoint: generation,
        log: recovery,
        files: names.into_iter().map(bytes).collect::<Result<_, _>>()?,
    };
    Ok((inspection, collection))
}

/// The sum of all points, computed from what is stored.
fn sum_of_stored(collection: &Collection) -> u128 {
    let checksum =
        |point: super::PointView<'_>| points::checksum(point.id(), point.version(), &point.vector(), point.payload());
    collection.scroll(PointId::FIRST).map(checksum).fold(0, u128::wrapping_add)
}
