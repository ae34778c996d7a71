//! The files of segments: written, named by a manifest, opened, and removed when no manifest names them any more.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use super::manifest::{ColumnEntry, DeadRows, Manifest, SegmentEntry};
use super::snapshot::{Snapshot, SnapshotContent, SnapshotFile};
use super::{CheckpointError, OpenCollectionError, usage};
use crate::faults::{self, Point};
use crate::ids::PointId;
use crate::named::{NamedVector, PointVectors, UNNAMED, VectorSet};
use crate::segment::{Column, DamagedColumn, Part, Segment, Table, Tombstones};
use crate::storage::format::{self, FileId, IndexFile, OpenError, SaveError, Section};
use crate::vfs::{Lock, Vfs};
use crate::wal;

const PREFIX: &str = "segment-";

pub(super) fn points_name(number: u64) -> String {
    format!("{PREFIX}{number}.points")
}

pub(super) fn vectors_name(number: u64, column: ColumnEntry) -> String {
    match column.named {
        true => format!("{PREFIX}{number}.vectors-{}", column.vector),
        false => format!("{PREFIX}{number}.vectors"),
    }
}

pub(super) fn dead_name(number: u64, generation: u64) -> String {
    format!("{PREFIX}{number}.dead-{generation}")
}

/// The number of the segment that a file of this name belongs to, if it is one's.
fn segment_of(name: &str) -> Option<u64> {
    let (number, kind) = name.strip_prefix(PREFIX)?.split_once('.')?;
    let numbered = |prefix| kind.strip_prefix(prefix).is_some_and(|rest| rest.parse::<u64>().is_ok());
    let known = kind == "points" || kind == "vectors" || numbered("vectors-") || numbered("dead-");
    number.parse().ok().filter(|_| known)
}

/// The files of the segments that `manifest` names, and their bytes.
pub(super) fn segment_files(manifest: &Manifest) -> Vec<(String, u64)> {
    let of = |entry: &SegmentEntry| {
        let SegmentEntry { number, points, dead, .. } = entry;
        let dead = dead.as_ref().map(|dead| (dead_name(*number, dead.generation), dead.file.bytes));
        let vectors = entry.columns().map(|column| (vectors_name(*number, column), column.file.bytes));
        std::iter::once((points_name(*number), points.bytes)).chain(vectors).chain(dead).collect::<Vec<_>>()
    };
    manifest.segments.iter().flat_map(of).collect()
}

/// The folder of an open collection.
#[derive(Debug)]
pub(super) struct Folder {
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
    _lock: Option<Box<dyn Lock>>,
    /// The last one known to be on disk.
    pub(super) manifest: Manifest,
    /// The last generation and segment whose files may lie in the folder. Each attempt has numbers of its own, whatever becomes of it:
    /// after a failure it is not known which manifest is on disk, and the files of neither may be written again.
    generation: u64,
    number: u64,
    /// Segments that are being written.
    unnamed: BTreeSet<u64>,
    /// Names of files that snapshots hold.
    pinned: Vec<Weak<BTreeSet<String>>>,
}

impl Folder {
    pub(super) fn new(vfs: Arc<dyn Vfs>, dir: &Path, lock: Option<Box<dyn Lock>>, manifest: Manifest) -> Self {
        let number = manifest.segments.iter().map(|entry| entry.number).max().unwrap_or(0);
        let generation = manifest.generation;
        Folder {
            vfs,
            dir: dir.into(),
            _lock: lock,
            manifest,
            generation,
            number,
            unnamed: BTreeSet::new(),
            pinned: Vec::new(),
        }
    }

    /// A place for a new segment; its files stay until it is [given up](Folder::give_up) or a manifest names them.
    pub(super) fn place(&mut self) -> Place {
        self.number += 1;
        self.unnamed.insert(self.number);
        Place { vfs: Arc::clone(&self.vfs), dir: self.dir.clone(), number: self.number }
    }

    /// Removes what was written of segment `number`, unless a manifest on disk may name it; on a full disk it is in the way.
    pub(super) fn give_up(&mut self, number: u64) {
        if self.unnamed.remove(&number) {
            let names = self.vfs.list(&self.dir).unwrap_or_default();
            for name in names.iter().filter(|name| segment_of(name) == Some(number)) {
                let _ = self.vfs.remove(&self.dir.join(name));
            }
        }
    }

    /// Replaces the manifest by one that names `segments`, with the dead rows of each, and is otherwise as `change` makes it. Bitmaps of
    /// dead rows are written first, where they are not those of the manifest. The caller has written all other files.
    pub(super) fn commit(
        &mut self,
        mut segments: Vec<(SegmentEntry, &Tombstones)>,
        change: impl FnOnce(&mut Manifest),
    ) -> Result<(), CheckpointError> {
        self.generation += 1;
        let written = self.write_dead(&mut segments);
        if let Err(error) = written {
            for (entry, _) in &segments {
                let _ = self.vfs.remove(&self.dir.join(dead_name(entry.number, self.generation)));
            }
            return Err(error.into());
        }
        let mut manifest = self.manifest.clone();
        manifest.generation = self.generation;
        manifest.segments = segments.into_iter().map(|(entry, _)| entry).collect();
        change(&mut manifest);
        // From here on they may be named, even if the attempt fails; what the next manifest does not name is removed after it.
        self.unnamed.retain(|number| manifest.segments.iter().all(|entry| entry.number != *number));
        manifest.write(&*self.vfs, &self.dir).map_err(|(path, source)| CheckpointError::Io { path, source })?;
        self.manifest = manifest;
        Ok(())
    }

    fn write_dead(&self, segments: &mut [(SegmentEntry, &Tombstones)]) -> Result<(), SaveError> {
        for (entry, dead) in segments {
            if entry.dead.as_ref().map_or(0, |dead| dead.rows) == dead.len() {
                continue;
            }
            let path = self.dir.join(dead_name(entry.number, self.generation));
            let file = format::write(&*self.vfs, &path, &[(Section::Dead, bytemuck::cast_slice(&dead.words()))])?;
            entry.dead = Some(DeadRows { generation: self.generation, rows: dead.len(), file });
            faults::reach(Point::DeadRowsWritten);
        }
        Ok(())
    }

    /// Removes what an older manifest named, or what was never named.
    pub(super) fn remove_left_over(&self) -> io::Result<()> {
        for name in self.vfs.list(&self.dir)? {
            let being_written = segment_of(&name).is_some_and(|number| self.unnamed.contains(&number));
            let pinned = self.pinned.iter().filter_map(Weak::upgrade).any(|names| names.contains(&name));
            if !being_written && !pinned && self.manifest.is_left_over(&name, segment_of(&name)) {
                self.vfs.remove(&self.dir.join(name))?;
                faults::reach(Point::OldFilesRemoved);
            }
        }
        Ok(())
    }

    /// What the manifest names, as files that stay until the snapshot is dropped.
    pub(super) fn snapshot(&mut self) -> Result<Snapshot, CheckpointError> {
        let manifest = &self.manifest;
        let segments = segment_files(manifest).into_iter().map(|(name, bytes)| {
            let content = SnapshotContent::File(self.dir.join(&name), bytes);
            SnapshotFile { name, content }
        });
        let mut files: Vec<SnapshotFile> = segments.collect();
        let names: Arc<BTreeSet<String>> = Arc::new(files.iter().map(|file| file.name.clone()).collect());
        let (log, path) = (manifest.log, Manifest::path(&self.dir));
        let text = self.vfs.read(&path).map_err(|source| CheckpointError::Io { path: path.clone(), source })?;
        let empty = wal::empty_log(manifest.log_id(), log.file, log.position());
        for (path, bytes) in [(wal::log_path(&self.dir, log.file), empty), (path, text)] {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            files.push(SnapshotFile { name, content: SnapshotContent::Bytes(bytes) });
        }
        self.pinned.retain(|names| names.strong_count() > 0);
        self.pinned.push(Arc::downgrade(&names));
        let (operation, points, sum) = (manifest.operation, manifest.points, manifest.sum.0);
        Ok(Snapshot { operation, points, sum, files, _pin: names })
    }

    /// What lies in it; see [`usage::files`].
    pub(super) fn files(&self) -> Result<Vec<(String, u64)>, (PathBuf, io::Error)> {
        usage::files(&*self.vfs, &self.dir)
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }
}

/// Where a new segment is written: needs the folder no more, so that this may take long.
#[derive(Debug)]
pub(super) struct Place {
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
    pub(super) number: u64,
}

impl Place {
    /// Writes a segment and opens it from its files. They are on disk when this returns, their names are not.
    pub(super) fn write(
        &self,
        table: &Table,
        columns: &[Column],
        vectors: &VectorSet,
    ) -> Result<(SegmentEntry, Part), CheckpointError> {
        let (number, rows, named) = (self.number, table.len(), vectors.is_named());
        let mut entries = Vec::with_capacity(columns.len());
        for column in columns {
            let (vector, kind, rows) = (column.number, column.kind(), column.len(rows));
            let entry = ColumnEntry { vector, named, rows, kind, file: FileId { bytes: 0, checksum: 0 } };
            let file = column.save(&*self.vfs, &self.dir.join(vectors_name(number, entry)))?;
            entries.push(ColumnEntry { file, ..entry });
            faults::reach(Point::VectorsWritten);
        }
        let points = table.save(&*self.vfs, &self.dir.join(points_name(number)))?;
        faults::reach(Point::PointsWritten);
        let entry = SegmentEntry::new(number, rows, points, &entries);
        let part = open_part(&*self.vfs, &self.dir, &entry, vectors)?;
        Ok((entry, part))
    }
}

/// The segments that `manifest` names.
pub(super) fn open_parts(
    vfs: &dyn Vfs,
    dir: &Path,
    manifest: &Manifest,
    vectors: &VectorSet,
) -> Result<Vec<Part>, OpenCollectionError> {
    manifest.segments.iter().map(|entry| Ok(open_part(vfs, dir, entry, vectors)?)).collect()
}

fn open_part(vfs: &dyn Vfs, dir: &Path, entry: &SegmentEntry, vectors: &VectorSet) -> Result<Part, OpenError> {
    let SegmentEntry { number, rows, points, dead, .. } = entry;
    let file = IndexFile::open_as(vfs, &dir.join(points_name(*number)), *points)?;
    let table = Table::from_file(&file, *rows)?;
    let mut columns = Vec::new();
    for (column, vector) in of_set(entry, vectors) {
        let file = IndexFile::open_as(vfs, &dir.join(vectors_name(*number, column)), column.file)?;
        let lengths = (column.rows, *rows);
        columns.push(Column::from_file(&file, column.vector, column.kind, vector.spec(), lengths, column.named)?);
    }
    let dead = match dead {
        Some(dead) => open_dead(vfs, dir, *number, *rows, dead)?,
        None => Tombstones::none(*rows),
    };
    Ok(Part { segment: Arc::new(Segment::new(*number, table, columns)), dead })
}

/// The files of vectors that `entry` names, each with what `vectors` says of it.
fn of_set<'a>(entry: &'a SegmentEntry, vectors: &'a VectorSet) -> impl Iterator<Item = (ColumnEntry, &'a NamedVector)> {
    let of = |number| vectors.iter().find(move |vector| vector.number() == number);
    entry.columns().filter_map(move |column| Some((column, of(column.vector)?)))
}

fn open_dead(vfs: &dyn Vfs, dir: &Path, number: u64, rows: usize, dead: &DeadRows) -> Result<Tombstones, OpenError> {
    let file = IndexFile::open_as(vfs, &dir.join(dead_name(number, dead.generation)), dead.file)?;
    let words = file.array::<u64>(Section::Dead)?;
    let found = Tombstones::of_words(words.as_slice(), rows).filter(|found| found.len() == dead.rows);
    found.ok_or_else(|| file.invalid(Section::Dead, format!("no bitmap of {} dead of {rows} rows", dead.rows)))
}

/// One point of a segment that may be damaged, proven to be as it was stored.
pub(super) struct Intact {
    pub(super) version: u64,
    pub(super) point: super::Point,
}

/// The points of segment `entry` whose checksums hold, whatever else is damaged, with those of their named vectors whose checksums hold; what
/// does not is told to `lost`.
pub(super) fn salvage_part(
    vfs: &dyn Vfs,
    dir: &Path,
    entry: &SegmentEntry,
    vectors: &VectorSet,
    lost: &mut Vec<String>,
) -> Vec<Intact> {
    let number = entry.number;
    let dead = match &entry.dead {
        None => Tombstones::none(entry.rows),
        Some(dead) => open_dead(vfs, dir, number, entry.rows, dead).unwrap_or_else(|error| {
            lost.push(format!("{error}: which {} of its points were replaced or removed", dead.rows));
            Tombstones::none(entry.rows)
        }),
    };
    let expected = dead.live();
    let table = IndexFile::open_damaged(vfs, &dir.join(points_name(number))).and_then(|file| Table::damaged(&file));
    let mut columns: Vec<Salvage<'_>> = Vec::new();
    let mut errors: Vec<OpenError> = Vec::new();
    for (column, vector) in of_set(entry, vectors) {
        let file = IndexFile::open_damaged(vfs, &dir.join(vectors_name(number, column)));
        let lengths = (column.rows, entry.rows);
        let opened =
            file.and_then(|file| DamagedColumn::open(&file, column.kind, vector.spec(), lengths, column.named));
        match opened {
            Ok(opened) => columns.push(Salvage { vector, column: opened, expected: column.rows, intact: 0 }),
            Err(error) if column.named => lost.push(format!("{error}: vector `{}` of its points", vector.name())),
            Err(error) => errors.push(error),
        }
    }
    let table = table.map_err(|error| errors.insert(0, error));
    let Some(table) = table.ok().filter(|_| errors.is_empty()) else {
        lost.extend(errors.iter().map(ToString::to_string));
        lost.push(format!("all {expected} points of segment {number}"));
        return Vec::new();
    };
    let mut intact = Vec::new();
    for (row, id, version, checksum, payload) in table {
        if row as usize >= entry.rows || dead.contains(row) {
            // What is dead is not missed.
            columns.iter_mut().for_each(|salvage| drop(salvage.vector(row, id, version)));
            continue;
        }
        let vectors = columns.iter_mut().filter_map(|salvage| salvage.vector(row, id, version));
        let vectors: PointVectors = vectors.collect();
        let Ok(parsed) = serde_json::from_slice(&payload) else { continue };
        let unnamed = vectors.get(UNNAMED).unwrap_or_default();
        if crate::segment::checksum(id, version, unnamed, &payload) == checksum {
            intact.push(Intact { version, point: super::Point { id, vectors, payload: parsed } });
        }
    }
    if intact.len() != expected {
        lost.push(format!("{} of {expected} points of segment {number}", expected - intact.len().min(expected)));
    }
    for Salvage { vector, expected, intact, .. } in columns.iter().filter(|salvage| salvage.intact < salvage.expected) {
        if vector.name() != UNNAMED {
            lost.push(format!("{} of {expected} vectors `{}` of segment {number}", expected - intact, vector.name()));
        }
    }
    intact
}

/// Vectors of one name in a segment that may be damaged.
struct Salvage<'a> {
    vector: &'a NamedVector,
    column: DamagedColumn,
    expected: usize,
    intact: usize,
}

impl Salvage<'_> {
    /// The vector of point `id` in `row`, if it has one that is as it was stored; one without a name is proven with its point.
    fn vector(&mut self, row: u32, id: PointId, version: u64) -> Option<(String, Vec<f32>)> {
        let mut vector = Vec::new();
        let checksum = self.column.vector(row, &mut vector)?;
        let number = self.vector.number();
        if checksum.is_some_and(|sum| sum != crate::segment::vector_checksum(id, version, number, &vector)) {
            return None;
        }
        self.intact += 1;
        Some((self.vector.name().into(), vector))
    }
}
