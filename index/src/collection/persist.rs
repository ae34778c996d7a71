//! A collection as a folder: `points.jsonl` (settings, ids, payloads) and the `vectors-N.hnsw` it names.
//!
//! The two must be of one save. So each save writes a new vectors file beside the old one, then replaces `points.jsonl` by a rename,
//! which is the moment the save counts; only then are other vectors files removed. Whenever a save is cut short, the folder opens as it
//! was before. `points.jsonl` is a header line, a line for each live row, and a last line with the checksum of all before it.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::points::{Payload, Points};
use super::{Collection, Schema};
use crate::hnsw::Hnsw;
use crate::ids::{PointId, Slot};
use crate::storage::format::{OpenError, SaveError};

/// The version of `points.jsonl` that is written, and the only one read.
const FORMAT: u32 = 1;
const POINTS: &str = "points.jsonl";
const POINTS_UNFINISHED: &str = "points.jsonl.unfinished";

#[derive(Serialize, Deserialize)]
struct Header {
    vicino_collection: u32,
    generation: u64,
    rows: usize,
    points: usize,
    operation: u64,
    full_scan_bytes: usize,
    note: Payload,
}

#[derive(Serialize)]
struct Line<'a> {
    row: u32,
    id: PointId,
    version: u64,
    payload: &'a Payload,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnedLine {
    row: u32,
    id: PointId,
    version: u64,
    payload: Payload,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Footer {
    crc32c: u32,
}

/// A collection that could not be saved. The folder holds what it held before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaveCollectionError {
    /// A file could not be written.
    #[error("{path}: {source}")]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The vectors could not be written.
    #[error(transparent)]
    Vectors(#[from] SaveError),
}

/// A folder that cannot be opened as a collection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenCollectionError {
    /// A file could not be read.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line is not what was written.
    #[error("{path}: line {line} is damaged: {source}")]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// Written by another version.
    #[error("{path}: format version {found}, this build reads {FORMAT}")]
    Version {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// The bytes changed since they were written.
    #[error("{path}: checksum mismatch: expected {expected:08x}, found {found:08x}")]
    Checksum {
        /// Which file.
        path: PathBuf,
        /// The checksum it ends with.
        expected: u32,
        /// The checksum of what it holds.
        found: u32,
    },
    /// The points do not fit the vectors, or each other.
    #[error("{path}: {what}: expected {expected}, found {found}")]
    Mismatch {
        /// Which file.
        path: PathBuf,
        /// What was counted.
        what: &'static str,
        /// The count by the header.
        expected: usize,
        /// The count found.
        found: usize,
    },
    /// The vectors cannot be opened.
    #[error(transparent)]
    Vectors(#[from] OpenError),
}

impl Collection {
    /// Writes the collection to folder `dir`, which is made if missing; does nothing if it holds the last change already, so give
    /// one collection one folder. The old state is replaced at once or, on an error, not at all.
    pub fn save(&mut self, dir: &Path) -> Result<(), SaveCollectionError> {
        if self.saved {
            return Ok(());
        }
        let at = |path: &Path| {
            let path = path.to_owned();
            |source| SaveCollectionError::Io { path, source }
        };
        fs::create_dir_all(dir).map_err(at(dir))?;
        let generation = self.operation + 1;
        let vectors = vectors_file(dir, generation);
        self.rows.save(&vectors)?;
        let unfinished = dir.join(POINTS_UNFINISHED);
        self.write_points(&unfinished, generation).map_err(at(&unfinished))?;
        fs::rename(&unfinished, dir.join(POINTS)).map_err(at(&unfinished))?;
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(at(dir))?;
        self.saved = true;
        remove_other_vectors(dir, &vectors).map_err(at(dir))
    }

    fn write_points(&self, path: &Path, generation: u64) -> io::Result<()> {
        let mut out = Checksummed { inner: BufWriter::new(File::create(path)?), crc32c: 0 };
        let header = Header {
            vicino_collection: FORMAT,
            generation,
            rows: self.rows.len(),
            points: self.points.len(),
            operation: self.operation,
            full_scan_bytes: self.schema.full_scan_bytes,
            note: self.schema.note.clone(),
        };
        out.line(&header)?;
        for slot in self.points.live_slots() {
            let entry = self.points.entry(slot);
            out.line(&Line { row: slot.0, id: self.points.id(slot), version: entry.version, payload: &entry.payload })?;
        }
        let crc32c = out.crc32c;
        out.line(&Footer { crc32c })?;
        out.inner.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }

    /// Opens the collection in folder `dir`, as the last finished [`save`](Collection::save) left it. Damage is an error that names
    /// the file; nothing is repaired or left out.
    pub fn open(dir: &Path) -> Result<Self, OpenCollectionError> {
        let mut lines = Lines::open(dir.join(POINTS))?;
        let header: Header = lines.parse_next()?;
        if header.vicino_collection != FORMAT {
            return Err(OpenCollectionError::Version { path: lines.path, found: header.vicino_collection });
        }
        let rows = Hnsw::open(vectors_file(dir, header.generation))?;
        if rows.len() != header.rows {
            return Err(lines.mismatch("rows in the vectors file", header.rows, rows.len()));
        }
        let mut points = Points::default();
        let mut next_row = 0;
        for _ in 0..header.points {
            let line: OwnedLine = lines.parse_next()?;
            if (line.row as usize) < next_row || line.row as usize >= header.rows {
                return Err(lines.mismatch("row of a point", next_row, line.row as usize));
            }
            for _ in next_row..line.row as usize {
                points.skip_row();
            }
            next_row = line.row as usize + 1;
            points.put(Slot(line.row), line.id, line.payload, line.version);
        }
        for _ in next_row..header.rows {
            points.skip_row();
        }
        lines.finish()?;
        if points.len() != header.points {
            return Err(lines.mismatch("different ids", header.points, points.len()));
        }
        let Header { full_scan_bytes, note, operation, .. } = header;
        let schema = Schema { vectors: rows.spec(), hnsw: rows.params(), full_scan_bytes, note };
        Ok(Collection { schema, rows, points, operation, saved: true })
    }
}

fn vectors_file(dir: &Path, generation: u64) -> PathBuf {
    dir.join(format!("vectors-{generation}.hnsw"))
}

fn remove_other_vectors(dir: &Path, kept: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path != kept && name.starts_with("vectors-") {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Writes lines and sums them up.
struct Checksummed<W> {
    inner: W,
    crc32c: u32,
}

impl<W: Write> Checksummed<W> {
    fn line(&mut self, value: &impl Serialize) -> io::Result<()> {
        let mut text = serde_json::to_vec(value)?;
        text.push(b'\n');
        self.crc32c = crc32c::crc32c_append(self.crc32c, &text);
        self.inner.write_all(&text)
    }
}

/// Reads lines and sums them up.
struct Lines {
    path: PathBuf,
    reader: BufReader<File>,
    text: Vec<u8>,
    number: usize,
    crc32c: u32,
}

impl Lines {
    fn open(path: PathBuf) -> Result<Self, OpenCollectionError> {
        match File::open(&path) {
            Ok(file) => Ok(Lines { path, reader: BufReader::new(file), text: Vec::new(), number: 0, crc32c: 0 }),
            Err(source) => Err(OpenCollectionError::Io { path, source }),
        }
    }

    fn parse_next<T: for<'de> Deserialize<'de>>(&mut self) -> Result<T, OpenCollectionError> {
        self.crc32c = crc32c::crc32c_append(self.crc32c, &self.text);
        self.text.clear();
        self.number += 1;
        let read = self.reader.read_until(b'\n', &mut self.text);
        read.map_err(|source| OpenCollectionError::Io { path: self.path.clone(), source })?;
        serde_json::from_slice(&self.text).map_err(|source| {
            let (path, line) = (self.path.clone(), self.number);
            OpenCollectionError::Line { path, line, source }
        })
    }

    /// Reads the footer and compares the checksum; nothing may follow.
    fn finish(&mut self) -> Result<(), OpenCollectionError> {
        let Footer { crc32c: expected } = self.parse_next()?;
        if expected != self.crc32c {
            return Err(OpenCollectionError::Checksum { path: self.path.clone(), expected, found: self.crc32c });
        }
        let rest =
            self.reader.fill_buf().map_err(|source| OpenCollectionError::Io { path: self.path.clone(), source })?;
        let found = rest.len();
        if found > 0 { Err(self.mismatch("bytes after the last line", 0, found)) } else { Ok(()) }
    }

    fn mismatch(&self, what: &'static str, expected: usize, found: usize) -> OpenCollectionError {
        OpenCollectionError::Mismatch { path: self.path.clone(), what, expected, found }
    }
}
