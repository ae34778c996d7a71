//! [`Collection`]: points with ids and payloads, as they are at one moment; [`SharedCollection`]: one that changes and is kept on disk.
//!
//! A point has an id, a payload, and one vector or, in a collection of named ones, some of these ([`VectorSet`]). Points lie in segments, which do not change. New points grow in small ones in memory; many of these become a sealed one, a pair of
//! files; sealed ones get a graph, and are merged with others of their size, while searches go on. An update never changes a row: the
//! new point is a new row of the newest segment, and the old row is marked dead in a bitmap beside its segment, until a merge leaves it
//! out. So a collection is a list of shared, immutable parts, a copy of it costs next to nothing, and whoever has one sees one moment.
//!
//! apply: what changes make of it · search, scroll: reading · candidates, together: one segment searched, and several as one ·
//! record: a change as the log keeps it · change: what callers ask for · manifest, folder: what lies on disk ·
//! journal: the log of an open collection · plan: what is due · upkeep: sealing and merging · joints: which segments are scanned as one ·
//! worker: doing so in the background · shared: one writer, many readers · home: options, making and opening ·
//! snapshot: files of one moment · inspect: a folder looked at · usage: what it takes · salvage: a damaged one read as far as it goes

use std::sync::Arc;

use crate::choose::{Choice, LayoutPolicy, TooLarge, Wanted};
use crate::filter::{Filter, IndexedField};
use crate::graph::check::{GraphFault, GraphReport};
use crate::ids::PointId;
use crate::named::UNNAMED;
use crate::params::{BuildOptions, Effort, HnswParams, ParamsError, Recall};
use crate::quant::nested::Bits;
use crate::segment::merge::merge;
use crate::segment::{Column, Index, Joint, Part, Segment};
use crate::spec::VectorSpec;
use crate::vectors::dense::Vectors;

mod apply;
mod candidates;
mod change;
mod error;
mod folder;
mod home;
mod inspect;
mod joints;
mod journal;
mod lines;
mod manifest;
mod plan;
mod record;
mod salvage;
mod scroll;
mod search;
mod shared;
mod snapshot;
#[cfg(test)]
mod tests;
mod together;
mod upkeep;
mod usage;
mod worker;

pub use crate::named::{NamedVector, PointVectors, PointVectorsError, VectorNameError, VectorSet};
pub use crate::segment::{Depth, IndexKind, Payload, PointView};
pub use change::{Change, PayloadEdit, WriteError};
pub use error::{CheckpointError, CreateError, OpenCollectionError};
pub use home::{Options, Recovery, SyncMode, Upkeep};
pub use inspect::{Inspection, SegmentInfo, VerifyError, inspect, verify};
pub use salvage::{Salvaged, salvage};
pub use search::SegmentExplain;
pub use shared::SharedCollection;
pub use snapshot::{Snapshot, SnapshotContent, SnapshotFile, strangers};
pub use usage::Usage;

/// What a collection holds and how it is searched; fixed when it is made, but for named vectors that come and go.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    /// Which vectors points may have, and what each must be.
    pub vectors: VectorSet,
    /// How graphs are built. Where a graph is walked on codes, as it is for floats by L2 or cosine and for bytes by L2, only `seed` counts.
    pub hnsw: HnswParams,
    /// A segment with no more bytes of vectors, of one name, gets no graph. Any other value than the default says besides that a search
    /// that has no more to compare in a segment compares all of them and is exact; by default that is so up to
    /// [`EXACT_BYTES`](Schema::EXACT_BYTES), and above them the way is chosen by what it costs.
    pub full_scan_bytes: usize,
    /// Which layout graphs get. In every one vectors are kept as they came, beside their codes unless these are exact: they are given
    /// back, and covered by checksums.
    pub layout: LayoutPolicy,
    /// The recall of searches that do not say how far they look; none: those go as far as a beam of
    /// [`SearchParams::DEFAULT_EF`](crate::SearchParams::DEFAULT_EF).
    pub recall: Option<Recall>,
    /// Kept, saved and given back untouched, for the caller's own settings.
    pub note: Payload,
}

/// Checks that `payload` of point `id` can be read back: parsers stop at 128 levels.
fn check_depth(id: PointId, payload: &Payload) -> Result<(), UpsertError> {
    fn fits(value: &serde_json::Value, levels: usize) -> bool {
        match value {
            serde_json::Value::Array(values) => levels > 0 && values.iter().all(|value| fits(value, levels - 1)),
            serde_json::Value::Object(object) => levels > 0 && object.values().all(|value| fits(value, levels - 1)),
            _ => true,
        }
    }
    let levels = Schema::MAX_PAYLOAD_DEPTH - 1;
    if payload.values().all(|value| fits(value, levels)) { Ok(()) } else { Err(UpsertError::Depth { id }) }
}

impl Schema {
    /// One vector without a name, or named ones, with the rest by default: graphs by [`HnswParams::default`], of more than
    /// [`DEFAULT_FULL_SCAN_BYTES`](Schema::DEFAULT_FULL_SCAN_BYTES), of the fastest layout.
    pub fn new(vectors: impl Into<VectorSet>) -> Self {
        Schema {
            vectors: vectors.into(),
            hnsw: HnswParams::default(),
            full_scan_bytes: Self::DEFAULT_FULL_SCAN_BYTES,
            layout: LayoutPolicy::default(),
            recall: None,
            note: Payload::new(),
        }
    }

    /// The default `full_scan_bytes`: 10,000 KiB, as Qdrant has it.
    pub const DEFAULT_FULL_SCAN_BYTES: usize = 10_000 << 10;

    /// Bytes of vectors that take no longer to compare than any other way to the nearest: a walk, or a scan over codes.
    pub const EXACT_BYTES: usize = 256 << 10;

    /// Bytes of vectors that a search of a segment compares whatever else there is.
    fn compared_bytes(&self) -> usize {
        if self.full_scan_bytes == Self::DEFAULT_FULL_SCAN_BYTES { Self::EXACT_BYTES } else { self.full_scan_bytes }
    }

    /// An index of `vectors`, in the layout that is chosen for them.
    fn index(&self, vectors: Vectors, options: &BuildOptions<'_>) -> Index {
        let choice = self.choose(vectors.spec(), vectors.len(), || Index::are_whole(&vectors));
        Index::build(vectors, choice.layout, self.hnsw, options)
    }

    /// Makes the sketches that `segment` lacks, as far as vectors may take so much.
    fn make_sketches(&self, segment: &Segment, options: &BuildOptions<'_>) {
        segment.make_sketches(|rows| self.layout.memory(rows), options);
    }

    /// The layout of an index of so many rows, and why; whether they are whole numbers is asked where a graph is needed.
    fn choose(&self, spec: VectorSpec, rows: usize, are_whole: impl FnOnce() -> bool) -> Choice {
        let scanned_rows = self.full_scan_bytes / spec.row_bytes();
        let wanted = Wanted {
            spec,
            rows,
            scanned_rows,
            whole_numbers: rows > scanned_rows && are_whole(),
            as_stored: true,
            asked: self.layout.asked(),
            memory: self.layout.memory(rows),
            recall: self.recall.map_or(1.0, Recall::get),
        };
        wanted.choose().unwrap_or_else(TooLarge::smallest)
    }

    /// The deepest nesting of a payload; the payload itself is the first level.
    pub const MAX_PAYLOAD_DEPTH: usize = 100;

    /// `batch` if every vector in it fits, without the points that a later one replaces.
    fn checked(&self, batch: Vec<Point>) -> Result<Vec<Point>, UpsertError> {
        let mut seen = std::collections::HashSet::with_capacity(batch.len());
        let mut last = Vec::with_capacity(batch.len());
        for point in batch.into_iter().rev() {
            self.vectors.check(&point.vectors).map_err(|error| UpsertError::Vectors { id: point.id, error })?;
            check_depth(point.id, &point.payload)?;
            if seen.insert(point.id) {
                last.push(point);
            }
        }
        last.reverse();
        Ok(last)
    }
}

/// A point as it comes in.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Its id; an existing point of that id is replaced.
    pub id: PointId,
    /// Its vectors, not yet checked.
    pub vectors: PointVectors,
    /// Its payload, stored as it is.
    pub payload: Payload,
}

/// How far one search of a collection looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Search<'a> {
    /// How many points to return; fewer only where fewer are left.
    pub k: usize,
    /// How far a walk through a graph goes; none: as [`Schema::recall`] says.
    pub effort: Option<Effort>,
    /// Bits of each coordinate that a walk through a compact graph reads, by default four: fewer are faster and err more. Results are
    /// scored on all that is kept in any case.
    pub bits: Option<Bits>,
    /// Compare every live vector, whatever their number.
    pub exact: bool,
    /// A point that is no answer: the one whose vector is asked with.
    pub except: Option<PointId>,
    /// Points that do not match are no answers.
    pub filter: Option<&'a Filter>,
    /// The name of the vector that is compared; points without it are no answers. "" is the vector without a name.
    pub using: &'a str,
}

impl Search<'_> {
    /// The `k` nearest points, looking as far as the collection's searches do.
    pub fn new(k: usize) -> Self {
        Search { k, effort: None, bits: None, exact: false, except: None, filter: None, using: UNNAMED }
    }
}

/// A point found.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// The point.
    pub point: PointView<'a>,
    /// Its nearness as users know it, by [`Metric::score`](crate::Metric::score).
    pub score: f32,
}

/// A batch that cannot be stored. Nothing of it was.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UpsertError {
    /// The vectors of a point do not fit the schema.
    #[error("point {id}: {error}")]
    Vectors {
        /// The point they came with.
        id: PointId,
        /// What is wrong with them.
        error: PointVectorsError,
    },
    /// A payload nested so deeply that it could not be read back.
    #[error("point {id}: a payload nested more than {max} deep", max = Schema::MAX_PAYLOAD_DEPTH)]
    Depth {
        /// The point it came with.
        id: PointId,
    },
}

/// `fields` with `field` in the place of one of its path.
fn fields_with(fields: &[IndexedField], field: IndexedField) -> Vec<IndexedField> {
    let mut with: Vec<IndexedField> = fields.iter().filter(|other| other.path() != field.path()).cloned().collect();
    with.push(field);
    with
}

/// Points with ids and payloads, searchable by vector, as they are at one moment. A clone shares all of them, and costs about as much as
/// there are segments; a change of one is not seen by the other. Reads take `&self` and may run on any number of threads.
///
/// ```
/// use vicino_index::collection::{Collection, Payload, Point, Schema, Search};
/// use vicino_index::{ElementType, Metric, PointId, VectorSpec};
/// let vectors = VectorSpec::new(2, Metric::L2, ElementType::F32)?;
/// let mut cities = Collection::new(Schema::new(vectors))?;
/// let point = |id, vector: [f32; 2]| {
///     Point { id: PointId::Integer(id), vectors: vector.to_vec().into(), payload: Payload::new() }
/// };
/// cities.upsert(vec![point(7, [9.19, 45.46]), point(8, [12.49, 41.89])])?;
/// let before = cities.clone();
/// cities.delete(&[PointId::Integer(8)]);
///
/// assert_eq!(cities.search(&[11.0, 42.0], Search::new(1))?[0].point.id(), PointId::Integer(7));
/// assert_eq!(before.search(&[11.0, 42.0], Search::new(1))?[0].point.id(), PointId::Integer(8));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Collection {
    schema: Arc<Schema>,
    /// Parts of payloads that are indexed.
    fields: Arc<Vec<IndexedField>>,
    /// The large ones, which stay until they are merged.
    sealed: Vec<Part>,
    /// Of those that are scanned as one.
    joints: Vec<Arc<Joint>>,
    /// What is being sealed.
    frozen: Vec<Part>,
    /// Where points are added, the newest last.
    growing: Vec<Part>,
    operation: u64,
    /// Points.
    len: usize,
    /// The sum of their checksums.
    sum: u128,
}

impl Collection {
    /// A segment with more dead rows than this, of a hundred, is written anew without them.
    pub const MAX_DEAD_PERCENT: usize = plan::MAX_DEAD_PERCENT;

    /// A collection without points.
    pub fn new(schema: Schema) -> Result<Self, ParamsError> {
        schema.hnsw.validate()?;
        Ok(Self::of_parts(Arc::new(schema), Vec::new(), 0))
    }

    /// The points in `sealed`, no id of which is live in two, after operation `operation`.
    fn of_parts(schema: Arc<Schema>, sealed: Vec<Part>, operation: u64) -> Self {
        let vectors = &schema.vectors;
        let (len, sum) = sealed.iter().fold((0, 0), |(len, sum): (usize, u128), part| {
            (len + part.dead.live(), sum.wrapping_add(part.sum(vectors)))
        });
        Collection {
            schema,
            fields: Arc::default(),
            sealed,
            joints: Vec::new(),
            frozen: Vec::new(),
            growing: Vec::new(),
            operation,
            len,
            sum,
        }
    }

    /// All parts, the oldest first.
    fn parts(&self) -> impl DoubleEndedIterator<Item = &Part> {
        self.sealed.iter().chain(&self.frozen).chain(&self.growing)
    }

    /// Puts all points into one segment, with a graph for each vector of which there are enough for one. The build is as parallel as
    /// `options` say.
    pub fn compact(&mut self, options: &BuildOptions<'_>) {
        let parts: Vec<Part> = self.parts().cloned().collect();
        let merged = merge(&parts, &self.schema.vectors);
        let (table, columns) = merged.rows.finish(|vectors| self.schema.index(vectors, options));
        (self.frozen, self.growing) = (Vec::new(), Vec::new());
        let segment = Segment::new(0, table, columns);
        self.schema.make_sketches(&segment, options);
        (self.sealed, self.joints) = (vec![Part::new(segment)], Vec::new());
    }

    /// The point of this id.
    pub fn get(&self, id: PointId) -> Option<PointView<'_>> {
        let id = id.to_bytes();
        self.parts().rev().find_map(|part| part.row_of(&id).map(|row| part.view(row, &self.schema.vectors)))
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no point.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of the last operation.
    pub fn operation(&self) -> u64 {
        self.operation
    }

    /// A checksum of all points: ids, versions, stored vectors and payloads. Equal if the points are, and else by a chance of 2⁻¹²⁸.
    pub fn sum(&self) -> u128 {
        self.sum
    }

    /// The parts of payloads that are indexed.
    pub fn fields(&self) -> &[IndexedField] {
        &self.fields
    }

    /// Indexes the part of payloads that `field` names, in place of an index of it that there is, and returns the number of this
    /// operation. The index is made when it is first needed, or by [`make_indexes`](Collection::make_indexes).
    pub fn add_field(&mut self, field: IndexedField) -> u64 {
        self.set_fields(fields_with(&self.fields, field))
    }

    /// Makes the indexes that are missing. Cost: a pass over the payloads of the segments that lack one.
    pub fn make_indexes(&self) {
        self.parts().for_each(|part| drop(part.segment.indexes(&self.fields)));
    }

    /// How many points have a value in each of the [`fields`](Collection::fields).
    pub fn indexed_points(&self) -> Vec<usize> {
        let mut points = vec![0; self.fields.len()];
        for part in self.parts() {
            let (indexes, live) = (part.segment.indexes(&self.fields), part.live());
            for (points, (_, index)) in points.iter_mut().zip(indexes.fields()) {
                let mut filled = index.filled(live.rows());
                filled.and(&live);
                *points += filled.len();
            }
        }
        points
    }

    /// What the collection was made with, and which vectors its points may have now.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Rows, those of points that were replaced or removed included.
    pub fn rows(&self) -> usize {
        self.parts().map(|part| part.segment.table.len()).sum()
    }

    /// Bytes of vectors, codes, links, ids and payloads, dead rows included.
    pub fn bytes(&self) -> usize {
        let joints = self.joints.iter().map(|joint| joint.bytes());
        self.parts().map(|part| part.segment.bytes()).chain(joints).sum()
    }

    /// Its segments, the oldest first.
    pub fn segments(&self) -> impl Iterator<Item = SegmentInfo> {
        self.parts().map(|part| SegmentInfo::of(part, &self.schema.vectors))
    }

    /// Proves the invariants of all graphs, and that every row is found by its id in one segment at most; returns what each graph
    /// looks like, or names the first invariant that is broken.
    pub fn check(&self) -> Result<Vec<GraphReport>, GraphFault> {
        let reports = self.parts().flat_map(|part| part.segment.columns()).map(Column::check);
        reports.filter_map(Result::transpose).collect()
    }

    /// The sum of all points, computed anew from what is stored.
    fn sum_of_stored(&self) -> u128 {
        self.scroll(PointId::FIRST).map(|point| point.checksum()).fold(0, u128::wrapping_add)
    }
}
