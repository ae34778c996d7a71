//! A checkpoint: all points of a collection at one moment, in two files.
//!
//! `vectors-G.hnsw` is the index, `points-G.jsonl` a header line, a line for each live row and a last line with the checksum of those
//! before. Both are new files; they count once the manifest names them, and are verified against it, down to the sum of all points.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Collection;
use super::lines::{LineReader, LineWriter};
use super::manifest::{FORMAT, Hex, Manifest};
use super::points::{self, Entry, Payload, Points};
use crate::faults::{self, Point, Safeguard};
use crate::hnsw::Hnsw;
use crate::ids::{PointId, Slot};
use crate::spec::VectorSpec;
use crate::storage::format::{OpenError, SaveError};
use crate::vfs::Vfs;
use crate::wal::{LogError, WalError};

/// The version of the points file that is written, and the only one read.
const POINTS_FORMAT: u32 = 2;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    vicino_points: u32,
    generation: u64,
    rows: usize,
    points: usize,
}

#[derive(Serialize)]
struct Line<'a> {
    row: u32,
    id: PointId,
    version: u64,
    checksum: Hex,
    payload: &'a Payload,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnedLine {
    row: u32,
    id: PointId,
    version: u64,
    checksum: Hex,
    payload: Payload,
}

/// A checkpoint that was not made. The collection is as durable as before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// A file could not be written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The vectors could not be written.
    #[error(transparent)]
    Vectors(#[from] SaveError),
    /// Nothing is written any more.
    #[error("read-only until it is opened again: {why}")]
    ReadOnly {
        /// What happened.
        why: String,
    },
}

impl From<LogError> for CheckpointError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Refused { path, source } => CheckpointError::Io { path, source },
            LogError::ReadOnly(why) => CheckpointError::ReadOnly { why },
        }
    }
}

/// A folder that cannot be opened as a collection. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenCollectionError {
    /// A file could not be read, or, once all is read, not be made ready for writing.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process uses the folder.
    #[error("{path} is in use by another process", path = path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// A line is not what was written.
    #[error("{path}: line {line} is damaged: {source}", path = path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// Written by another version.
    #[error("{path}: format version {found}, this build reads {FORMAT}", path = path.display())]
    Version {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// The bytes changed since they were written.
    #[error("{path}: checksum mismatch: expected {expected:08x}, found {found:08x}", path = path.display())]
    Checksum {
        /// Which file.
        path: PathBuf,
        /// The checksum it ends with.
        expected: u32,
        /// The checksum of what it holds.
        found: u32,
    },
    /// The files do not go together.
    #[error("{path}: {what}: expected {expected}, found {found}", path = path.display())]
    Mismatch {
        /// Which file.
        path: PathBuf,
        /// What was counted.
        what: &'static str,
        /// The count by the header or the manifest.
        expected: usize,
        /// The count found.
        found: usize,
    },
    /// A file says something that cannot be.
    #[error("{path}: {what}", path = path.display())]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// What it says.
        what: String,
    },
    /// The points are not those that were stored.
    #[error("{path}: the points sum up to {found:032x}, expected {expected:032x}", path = path.display())]
    Sum {
        /// Which file.
        path: PathBuf,
        /// The sum by the manifest.
        expected: u128,
        /// The sum of what the checkpoint holds.
        found: u128,
    },
    /// The vectors cannot be opened.
    #[error(transparent)]
    Vectors(#[from] OpenError),
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] WalError),
}

/// The files of checkpoint `generation` in `dir`: vectors, points.
pub(super) fn paths(dir: &Path, generation: u64) -> (PathBuf, PathBuf) {
    (dir.join(format!("vectors-{generation}.hnsw")), dir.join(format!("points-{generation}.jsonl")))
}

/// Writes checkpoint `generation` of `collection` to `dir`. The bytes are on disk when this returns, the names are not.
pub(super) fn write(
    vfs: &dyn Vfs,
    dir: &Path,
    generation: u64,
    collection: &Collection,
) -> Result<(), CheckpointError> {
    let (vectors, points) = paths(dir, generation);
    collection.rows.save_new(vfs, &vectors)?;
    faults::reach(Point::VectorsWritten);
    write_points(vfs, &points, generation, collection)
        .map_err(|source| CheckpointError::Io { path: points, source })?;
    faults::reach(Point::PointsWritten);
    Ok(())
}

fn write_points(vfs: &dyn Vfs, path: &Path, generation: u64, collection: &Collection) -> io::Result<()> {
    let Collection { rows, points, .. } = collection;
    let mut out = LineWriter::create(vfs, path)?;
    out.line(&Header { vicino_points: POINTS_FORMAT, generation, rows: rows.len(), points: points.len() })?;
    for slot in points.live_slots() {
        let Entry { version, payload, checksum, .. } = points.entry(slot);
        let (id, version, checksum) = (points.id(slot), *version, Hex(*checksum));
        out.line(&Line { row: slot.0, id, version, checksum, payload })?;
    }
    out.finish(Safeguard::PointsSync)
}

/// The collection as the checkpoint that `manifest` names has it.
pub(super) fn read(vfs: &dyn Vfs, dir: &Path, manifest: &Manifest) -> Result<Collection, OpenCollectionError> {
    let schema = manifest.schema(dir)?;
    if manifest.generation == 0 {
        return Ok(Collection::new(schema).expect("the manifest's parameters are valid"));
    }
    let (vectors_path, points_path) = paths(dir, manifest.generation);
    let rows = Hnsw::open_in(vfs, &vectors_path)?;
    if rows.spec() != schema.vectors || rows.params() != schema.hnsw {
        return Err(OpenCollectionError::Invalid { path: vectors_path, what: "vectors of another collection".into() });
    }
    if rows.len() != manifest.rows {
        let (expected, found) = (manifest.rows, rows.len());
        return Err(OpenCollectionError::Mismatch { path: vectors_path, what: "rows", expected, found });
    }
    let points = read_points(vfs, points_path, manifest, &rows)?;
    Ok(Collection { schema, rows, points, operation: manifest.operation })
}

fn read_points(vfs: &dyn Vfs, path: PathBuf, manifest: &Manifest, rows: &Hnsw) -> Result<Points, OpenCollectionError> {
    let mut lines = LineReader::open(vfs, path)?;
    let header: Header = lines.next()?;
    if header.vicino_points != POINTS_FORMAT {
        return Err(OpenCollectionError::Version { path: lines.path().into(), found: header.vicino_points });
    }
    for (what, expected, found) in [
        ("generation", manifest.generation as usize, header.generation as usize),
        ("rows", manifest.rows, header.rows),
        ("points", manifest.points, header.points),
    ] {
        if expected != found {
            return Err(lines.mismatch(what, expected, found));
        }
    }
    let mut points = Points::default();
    let mut next_row = 0;
    let mut vector = Vec::with_capacity(rows.spec().dim());
    for _ in 0..header.points {
        let OwnedLine { row, id, version, checksum: expected, payload } = lines.next()?;
        if (row as usize) < next_row || row as usize >= header.rows {
            return Err(lines.mismatch("row of a point", next_row, row as usize));
        }
        (next_row..row as usize).for_each(|_| points.skip_row());
        next_row = row as usize + 1;
        rows.vector(Slot(row), &mut vector);
        let checksum = points::checksum(id, version, &vector, &payload);
        if checksum != expected.0 && faults::on(Safeguard::SumOfCheckpoint) {
            let what = format!("point {id} with its vector has checksum {}, expected {expected}", Hex(checksum));
            return Err(OpenCollectionError::Invalid { path: lines.path().into(), what });
        }
        points.put(id, Entry { slot: Slot(row), version, payload, checksum });
    }
    (next_row..header.rows).for_each(|_| points.skip_row());
    lines.finish(Safeguard::PointsChecksum)?;
    if points.len() != header.points {
        return Err(lines.mismatch("different ids", header.points, points.len()));
    }
    let (expected, found) = (manifest.sum.0, points.sum());
    if expected != found && faults::on(Safeguard::SumOfCheckpoint) {
        return Err(OpenCollectionError::Sum { path: lines.path().into(), expected, found });
    }
    Ok(points)
}

/// The points of the checkpoint that `manifest` names whose checksums hold, whatever else is damaged; what does not is told to `lost`.
pub(super) fn salvage(
    vfs: &dyn Vfs,
    dir: &Path,
    manifest: &Manifest,
    spec: VectorSpec,
    lost: &mut Vec<String>,
) -> Vec<super::Point> {
    if manifest.generation == 0 {
        return Vec::new();
    }
    let (vectors_path, points_path) = paths(dir, manifest.generation);
    let expected = manifest.points;
    let (rows, file) = match (Hnsw::damaged_rows(vfs, &vectors_path, spec), vfs.map(&points_path)) {
        (Ok(rows), Ok(file)) => (rows, file),
        (rows, file) => {
            lost.extend(rows.err().map(|error| error.to_string()));
            lost.extend(file.err().map(|error| format!("{}: {error}", points_path.display())));
            lost.push(format!("all {expected} points of the checkpoint"));
            return Vec::new();
        }
    };
    let mut vector = Vec::with_capacity(spec.dim());
    let lines = file.bytes().split(|&byte| byte == b'\n');
    let intact = lines.filter_map(|line| serde_json::from_slice::<OwnedLine>(line).ok()).filter_map(|line| {
        let OwnedLine { row, id, version, checksum, payload } = line;
        if row as usize >= rows.len() {
            return None;
        }
        rows.decode(Slot(row), &mut vector);
        let intact = points::checksum(id, version, &vector, &payload) == checksum.0;
        intact.then(|| super::Point { id, vector: vector.clone(), payload })
    });
    let intact: Vec<super::Point> = intact.collect();
    if intact.len() != expected {
        lost.push(format!("{} of {expected} points of the checkpoint", expected - intact.len().min(expected)));
    }
    intact
}
