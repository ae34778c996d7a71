//! The manifest: the one file that says what a collection's folder holds.
//!
//! It names segments, with the rows of each that were dead at one operation, and the place in the log from which changes are newer. It is
//! replaced whole, by a rename, and only once all it names is on disk; what no manifest names is left over and is removed. Generation 0
//! names no segment.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::folder::{dead_name, points_name, vectors_name};
use super::lines::{LineReader, LineWriter};
use super::{Collection, IndexKind, OpenCollectionError, Payload, Schema};
use crate::choose::LayoutPolicy;
use crate::faults::{self, Point, Safeguard};
use crate::filter::IndexedField;
use crate::named::{NamedVector, StoredVector, VectorSet, stored_spec};
use crate::params::{HnswParams, Recall};
use crate::storage::format::FileId;
use crate::vfs::Vfs;
use crate::wal::{LogId, Position};

/// The format that is written.
pub(super) const FORMAT: u32 = 5;
/// The oldest format that is read. Format 4 is 5 without named vectors, in the manifest and in records of the log. What a manifest says only
/// where it was asked for, as `layout`, is no other format: an older build refuses it by name.
pub(super) const OLDEST_FORMAT: u32 = 4;
const NAME: &str = "manifest.json";
const UNFINISHED: &str = "manifest.json.unfinished";

/// A number of 128 bits, in files as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hex(pub(super) u128);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = digits.then(|| u128::from_str_radix(&text, 16).ok()).flatten();
        number.map(Hex).ok_or_else(|| serde::de::Error::custom(format!("{text:?}: expected 32 hexadecimal digits")))
    }
}

/// Where the log goes on from the segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogStart {
    /// The file that begins there.
    pub(super) file: u64,
    /// The last group the segments hold, and its checksum.
    pub(super) group: u64,
    pub(super) chain: u32,
}

impl LogStart {
    pub(super) fn position(self) -> Position {
        Position { group: self.group, chain: self.chain }
    }
}

/// One segment: which files it has, and what must be in them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SegmentEntry {
    pub(super) number: u64,
    /// Its rows, dead ones included.
    pub(super) rows: usize,
    /// Of the vector that has no name, of which each row has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<IndexKind>,
    pub(super) points: FileId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vectors: Option<FileId>,
    /// Of named vectors, those that any row has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    named: Vec<NamedColumn>,
    /// None if no row is dead.
    pub(super) dead: Option<DeadRows>,
}

/// The vectors of one name in a segment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedColumn {
    /// The vector's number.
    vector: u32,
    /// How many rows have one.
    rows: usize,
    kind: IndexKind,
    file: FileId,
}

/// A file of vectors, and what must be in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ColumnEntry {
    /// The vector's number.
    pub(super) vector: u32,
    /// Whether it has a name.
    pub(super) named: bool,
    /// How many rows have one.
    pub(super) rows: usize,
    pub(super) kind: IndexKind,
    pub(super) file: FileId,
}

impl SegmentEntry {
    /// That of a segment without dead rows.
    pub(super) fn new(number: u64, rows: usize, points: FileId, columns: &[ColumnEntry]) -> Self {
        let unnamed = columns.iter().find(|column| !column.named);
        let named = columns.iter().filter(|column| column.named);
        let named = named.map(|&ColumnEntry { vector, rows, kind, file, .. }| NamedColumn { vector, rows, kind, file });
        let (kind, vectors) = (unnamed.map(|column| column.kind), unnamed.map(|column| column.file));
        SegmentEntry { number, rows, kind, points, vectors, named: named.collect(), dead: None }
    }

    /// Its files of vectors.
    pub(super) fn columns(&self) -> impl Iterator<Item = ColumnEntry> {
        let unnamed = self.kind.zip(self.vectors);
        let unnamed = unnamed.map(|(kind, file)| ColumnEntry { vector: 0, named: false, rows: self.rows, kind, file });
        let named = self.named.iter().map(|&NamedColumn { vector, rows, kind, file }| ColumnEntry {
            vector,
            named: true,
            rows,
            kind,
            file,
        });
        unnamed.into_iter().chain(named)
    }

    /// Names no vectors but those of `vectors` any more.
    pub(super) fn rid(&mut self, vectors: &VectorSet) {
        self.named.retain(|column| vectors.has_number(column.vector));
    }

    /// Whether its vectors are of `vectors`, and all are there that each row must have.
    fn is_of(&self, vectors: &VectorSet) -> bool {
        let unnamed = !vectors.is_named();
        let numbers: BTreeSet<u32> = self.named.iter().map(|column| column.vector).collect();
        self.kind.is_some() == unnamed
            && self.vectors.is_some() == unnamed
            && (self.named.is_empty() || vectors.is_named())
            && numbers.len() == self.named.len()
            && numbers.into_iter().all(|number| vectors.has_number(number))
            && self.named.iter().all(|column| (1..=self.rows).contains(&column.rows))
    }
}

/// The bitmap of a segment's dead rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeadRows {
    /// The generation that wrote it, by which it is named.
    pub(super) generation: u64,
    /// How many are dead.
    pub(super) rows: usize,
    pub(super) file: FileId,
}

/// What a collection's folder holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    vicino_collection: u32,
    pub(super) id: Hex,
    /// The manifest's number.
    pub(super) generation: u64,
    /// Of the vector that has no name, if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dim: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metric: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    element: Option<String>,
    /// Named vectors, if they have names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vectors: Option<StoredSet>,
    hnsw: HnswParams,
    full_scan_bytes: usize,
    /// Absent, as it was before there was a choice: the fastest.
    #[serde(default, skip_serializing_if = "is_default")]
    layout: LayoutPolicy,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recall: Option<Recall>,
    note: Payload,
    /// Points: live rows of the segments.
    pub(super) points: usize,
    /// The last operation that is in them.
    pub(super) operation: u64,
    /// The sum of the points.
    pub(super) sum: Hex,
    pub(super) log: LogStart,
    /// Parts of payloads that are indexed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) fields: Vec<IndexedField>,
    /// The segments, the oldest first.
    pub(super) segments: Vec<SegmentEntry>,
}

/// Named vectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredSet {
    /// The number of the next one to be added.
    next: u32,
    /// In the order of names.
    of: Vec<StoredVector>,
}

impl StoredSet {
    fn new(vectors: &VectorSet) -> Option<Self> {
        let of = vectors.iter().map(StoredVector::from).collect();
        vectors.is_named().then(|| StoredSet { next: vectors.next(), of })
    }
}

fn is_default(layout: &LayoutPolicy) -> bool {
    *layout == LayoutPolicy::default()
}

/// The version alone, of a manifest of any version.
#[derive(Deserialize)]
struct Version {
    vicino_collection: u32,
}

impl Manifest {
    /// That of an empty collection, whose log `id` begins with file 0.
    pub(super) fn new(id: LogId, schema: &Schema) -> Self {
        let unnamed = schema.vectors.unnamed();
        Manifest {
            vicino_collection: FORMAT,
            id: Hex(id.0),
            generation: 0,
            dim: unnamed.map(|spec| spec.dim()),
            metric: unnamed.map(|spec| spec.metric().name().into()),
            element: unnamed.map(|spec| spec.element().name().into()),
            vectors: StoredSet::new(&schema.vectors),
            hnsw: schema.hnsw,
            full_scan_bytes: schema.full_scan_bytes,
            layout: schema.layout,
            recall: schema.recall,
            note: schema.note.clone(),
            points: 0,
            operation: 0,
            sum: Hex(0),
            log: LogStart { file: 0, group: 0, chain: 0 },
            fields: Vec::new(),
            segments: Vec::new(),
        }
    }

    /// Makes it that of `collection`, behind which the log goes on at `log`.
    pub(super) fn advance(&mut self, collection: &Collection, log: LogStart) {
        self.points = collection.len();
        self.operation = collection.operation();
        self.sum = Hex(collection.sum());
        self.log = log;
        self.fields = collection.fields().to_vec();
        self.vectors = StoredSet::new(&collection.schema.vectors);
    }

    /// Checks that `collection`, made of the segments, holds the points it should.
    pub(super) fn check_points(&self, dir: &Path, collection: &Collection) -> Result<(), OpenCollectionError> {
        let path = || dir.join(NAME);
        let (expected, found) = (self.points, collection.len());
        if expected != found {
            return Err(OpenCollectionError::Mismatch {
                path: path(),
                what: "points of the segments",
                expected,
                found,
            });
        }
        let (expected, found) = (self.sum.0, collection.sum());
        if expected != found && faults::on(Safeguard::SumOfSegments) {
            return Err(OpenCollectionError::Sum { path: path(), expected, found });
        }
        Ok(())
    }

    /// The log's id.
    pub(super) fn log_id(&self) -> LogId {
        LogId(self.id.0)
    }

    /// What the collection was made with.
    pub(super) fn schema(&self, dir: &Path) -> Result<Schema, OpenCollectionError> {
        let invalid = |what: String| OpenCollectionError::Invalid { path: dir.join(NAME), what };
        let vectors = self.vector_set().map_err(invalid)?;
        if let Some(entry) = self.segments.iter().find(|entry| !entry.is_of(&vectors)) {
            return Err(invalid(format!("segment {} has other vectors than the collection", entry.number)));
        }
        self.hnsw.validate().map_err(|error| invalid(error.to_string()))?;
        let Manifest { hnsw, full_scan_bytes, layout, recall, .. } = *self;
        Ok(Schema { vectors, hnsw, full_scan_bytes, layout, recall, note: self.note.clone() })
    }

    fn vector_set(&self) -> Result<VectorSet, String> {
        match (self.dim, &self.metric, &self.element, &self.vectors) {
            (Some(dim), Some(metric), Some(element), None) => Ok(stored_spec(dim, metric, element)?.into()),
            (None, None, None, Some(StoredSet { next, of })) => {
                let of = of.iter().cloned().map(NamedVector::try_from).collect::<Result<_, _>>()?;
                VectorSet::stored(of, *next)
            }
            _ => Err("expected either one vector without a name or named ones".into()),
        }
    }

    /// Where the manifest in `dir` lies.
    pub(super) fn path(dir: &Path) -> PathBuf {
        dir.join(NAME)
    }

    /// Whether there is a manifest in `dir`.
    pub(super) fn exists(vfs: &dyn Vfs, dir: &Path) -> io::Result<bool> {
        Ok(vfs.list(dir)?.iter().any(|name| name == NAME))
    }

    /// The manifest in `dir`.
    pub(super) fn read(vfs: &dyn Vfs, dir: &Path) -> Result<Self, OpenCollectionError> {
        let path = dir.join(NAME);
        let Version { vicino_collection: found } = LineReader::open(vfs, path.clone())?.next()?;
        let mut lines = LineReader::open(vfs, path.clone())?;
        if !(OLDEST_FORMAT..=FORMAT).contains(&found) && faults::on(Safeguard::ManifestChecksum) {
            // A version that a flipped bit made is damage, and not another version.
            let _: serde_json::Value = lines.next()?;
            lines.finish(Safeguard::ManifestChecksum)?;
            return Err(OpenCollectionError::Version { path, found });
        }
        let manifest = Manifest { vicino_collection: FORMAT, ..lines.next()? };
        lines.finish(Safeguard::ManifestChecksum)?;
        Ok(manifest)
    }

    /// Replaces the manifest in `dir` by this one. On an error before the rename nothing has changed; on one after it, after a crash
    /// either may be found.
    pub(super) fn write(&self, vfs: &dyn Vfs, dir: &Path) -> Result<(), (PathBuf, io::Error)> {
        let (path, unfinished) = (dir.join(NAME), dir.join(UNFINISHED));
        let write = || {
            let mut lines = LineWriter::create(vfs, &unfinished)?;
            lines.line(self)?;
            lines.finish(Safeguard::ManifestSync)
        };
        write().map_err(|error| (unfinished.clone(), error))?;
        faults::reach(Point::ManifestWritten);
        // One sync for the names of all files the manifest is about to name.
        if faults::on(Safeguard::SegmentNamesSync) {
            vfs.sync_dir(dir).map_err(|error| (dir.to_owned(), error))?;
        }
        vfs.rename(&unfinished, &path).map_err(|error| (path, error))?;
        faults::reach(Point::ManifestSwapped);
        if faults::on(Safeguard::ManifestNameSync) {
            vfs.sync_dir(dir).map_err(|error| (dir.to_owned(), error))?;
        }
        Ok(())
    }

    /// Whether the file of this name, which is of `segment` if there is one, belongs to a collection and is not one that this needs.
    pub(super) fn is_left_over(&self, name: &str, segment: Option<u64>) -> bool {
        match segment {
            Some(number) => {
                let entry = self.segments.iter().find(|entry| entry.number == number);
                !entry.is_some_and(|entry| {
                    let dead = entry.dead.as_ref().map(|dead| dead_name(number, dead.generation));
                    name == points_name(number)
                        || entry.columns().any(|column| name == vectors_name(number, column))
                        || Some(name) == dead.as_deref()
                })
            }
            None => name == UNFINISHED || crate::wal::log_number(name).is_some_and(|number| number < self.log.file),
        }
    }
}
