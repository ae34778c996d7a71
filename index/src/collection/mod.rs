//! [`Collection`]: points with ids and payloads over one [`Hnsw`], kept in memory; [`SharedCollection`]: one that is kept on disk too.
//!
//! The graph knows rows only. A collection adds what callers ask for: ids that survive an update, payloads, deletes, and the choice
//! between the graph and a scan. An update never changes a row: the new vector becomes a new row and the old row dies; dead rows are
//! walked through but never returned, and once they are more than [`Collection::MAX_DEAD_PERCENT`] the graph is built anew without
//! them.
//!
//! points: ids, payloads, which rows live · record: a change as the log keeps it · checkpoint, manifest: the files of a collection ·
//! change: what callers ask for · home: a collection's folder · shared: one writer, many readers ·
//! inspect: a folder looked at · salvage: a damaged one read as far as it goes

use std::cell::RefCell;

use crate::filter::Filter;
use crate::hnsw::Hnsw;
use crate::ids::{PointId, Slot};
use crate::metric::ElementType;
use crate::params::{BuildOptions, HnswParams, ParamsError, SearchParams};
use crate::query::{ExtendError, Hit, SearchError};
use crate::rows::{Rows, VectorRef};
use crate::scratch::Scratch;
use crate::spec::{VectorError, VectorSpec};

mod change;
mod checkpoint;
mod home;
mod inspect;
mod lines;
mod manifest;
mod points;
mod record;
mod salvage;
mod shared;
#[cfg(test)]
mod tests;

pub use change::{Change, PayloadEdit, WriteError};
pub use checkpoint::{CheckpointError, OpenCollectionError};
pub use home::{CreateError, Options, Recovery, SyncMode};
pub use inspect::{Inspection, VerifyError, inspect, verify};
use points::{Entry, Points, SlotSet};
pub use points::{Payload, PointView};
pub use salvage::{Salvaged, salvage};
pub use shared::SharedCollection;

/// What a collection holds and how it is searched; fixed when it is made.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    /// What every vector must be.
    pub vectors: VectorSpec,
    /// How the graph is built.
    pub hnsw: HnswParams,
    /// Up to this many bytes of live vectors a search compares all of them and is exact; above, it walks the graph.
    pub full_scan_bytes: usize,
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
    /// The deepest nesting of a payload; the payload itself is the first level.
    pub const MAX_PAYLOAD_DEPTH: usize = 100;

    /// `batch` if every vector in it fits, without the points that a later one replaces.
    fn checked(&self, batch: Vec<Point>) -> Result<Vec<Point>, UpsertError> {
        let mut seen = std::collections::HashSet::with_capacity(batch.len());
        let mut last = Vec::with_capacity(batch.len());
        for point in batch.into_iter().rev() {
            let vector = VectorRef::from(&point.vector);
            self.vectors.check(vector).map_err(|error| UpsertError::Vector { id: point.id, error })?;
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
    /// Its vector, not yet checked.
    pub vector: Vec<f32>,
    /// Its payload, stored as it is.
    pub payload: Payload,
}

/// How far one search of a collection looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Search<'a> {
    /// How many points to return; fewer only where fewer are left.
    pub k: usize,
    /// Beam width of a walk through the graph.
    pub ef: usize,
    /// Compare every live vector, whatever their number.
    pub exact: bool,
    /// A point that is no answer: the one whose vector is asked with.
    pub except: Option<PointId>,
    /// Points that do not match are no answers.
    pub filter: Option<&'a Filter>,
}

impl Search<'_> {
    /// The `k` nearest points at the default `ef`.
    pub fn new(k: usize) -> Self {
        Search { k, ef: SearchParams::DEFAULT_EF, exact: false, except: None, filter: None }
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
    /// One vector does not fit the schema.
    #[error("point {id}: {error}")]
    Vector {
        /// The point it came with.
        id: PointId,
        /// What is wrong with it.
        error: VectorError,
    },
    /// A payload nested so deeply that it could not be read back.
    #[error("point {id}: a payload nested more than {max} deep", max = Schema::MAX_PAYLOAD_DEPTH)]
    Depth {
        /// The point it came with.
        id: PointId,
    },
    /// More rows than one collection can number.
    #[error("{found} rows in one collection: expected at most {max}", max = Slot::MAX_ROWS)]
    TooMany {
        /// Rows there would be.
        found: usize,
    },
}

/// Points with ids and payloads, searchable by vector. Reads take `&self` and may run on any number of threads.
///
/// ```
/// use vicino_index::collection::{Collection, Payload, Point, Schema, Search};
/// use vicino_index::{BuildOptions, ElementType, HnswParams, Metric, PointId, VectorSpec};
/// let vectors = VectorSpec::new(2, Metric::L2, ElementType::F32)?;
/// let schema = Schema { vectors, hnsw: HnswParams::default(), full_scan_bytes: 10_240_000, note: Payload::new() };
/// let mut cities = Collection::new(schema)?;
/// let point = |id, vector: [f32; 2]| Point { id: PointId::Integer(id), vector: vector.into(), payload: Payload::new() };
/// cities.upsert(vec![point(7, [9.19, 45.46]), point(8, [12.49, 41.89])], &BuildOptions::default())?;
///
/// let found = cities.search(&[11.0, 42.0], Search::new(1))?;
/// assert_eq!(found[0].point.id(), PointId::Integer(8));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Collection {
    schema: Schema,
    rows: Hnsw,
    points: Points,
    operation: u64,
}

thread_local! {
    /// A search's buffers stay with the thread, so that a search allocates only its answer.
    static BUFFERS: RefCell<(Scratch, Vec<Hit>)> = RefCell::default();
}

impl Collection {
    /// With more dead rows than this, of a hundred, the graph is built anew without them.
    pub const MAX_DEAD_PERCENT: usize = 30;

    /// A collection without points.
    pub fn new(schema: Schema) -> Result<Self, ParamsError> {
        let rows = Hnsw::new(schema.vectors, schema.hnsw)?;
        Ok(Collection { schema, rows, points: Points::default(), operation: 0 })
    }

    /// Stores `batch`, all of it or, on an error, nothing, and returns the number of this operation. Of points with the same id the
    /// last one wins. Builds the graph in parallel, as `options` say; about `ef_construction · m` distances per point.
    pub fn upsert(&mut self, batch: Vec<Point>, options: &BuildOptions<'_>) -> Result<u64, UpsertError> {
        let batch = self.schema.checked(batch)?;
        self.store(batch, options)
    }

    /// Stores `batch`, in which every vector is checked and no id comes twice. Errors only if there are too many rows.
    fn store(&mut self, batch: Vec<Point>, options: &BuildOptions<'_>) -> Result<u64, UpsertError> {
        let dim = self.schema.vectors.dim();
        let vectors: Vec<f32> = batch.iter().flat_map(|point| point.vector.iter().copied()).collect();
        let rows = Rows::new(&vectors, dim).expect("every vector was checked");
        let slots = self.rows.extend(rows, options).map_err(|error| match error {
            ExtendError::Vector { row, error } => UpsertError::Vector { id: batch[row].id, error },
            ExtendError::TooMany { found } => UpsertError::TooMany { found },
        })?;
        let version = self.advance();
        let mut stored = Vec::with_capacity(dim);
        for (slot, Point { id, payload, .. }) in slots.map(Slot).zip(batch) {
            self.rows.vector(slot, &mut stored);
            let checksum = points::checksum(id, version, &stored, &payload);
            self.points.put(id, Entry { slot, version, payload, checksum });
        }
        self.drop_dead_rows();
        Ok(version)
    }

    /// Removes the points of these ids, where they exist, and returns the number of this operation.
    pub fn delete(&mut self, ids: &[PointId]) -> u64 {
        let version = self.advance();
        for &id in ids {
            self.points.remove(id);
        }
        self.drop_dead_rows();
        version
    }

    /// Gives points, which must be there, other payloads, and returns the number of this operation.
    fn set_payloads(&mut self, points: Vec<(PointId, Payload)>) -> Result<u64, String> {
        if let Some((id, _)) = points.iter().find(|(id, _)| self.points.slot(*id).is_none()) {
            return Err(format!("a payload for point {id}, which does not exist"));
        }
        let version = self.advance();
        let mut stored = Vec::with_capacity(self.schema.vectors.dim());
        for (id, payload) in points {
            self.rows.vector(self.points.slot(id).expect("looked up above"), &mut stored);
            let checksum = points::checksum(id, version, &stored, &payload);
            self.points.set_payload(id, payload, version, checksum);
        }
        Ok(version)
    }

    fn advance(&mut self) -> u64 {
        self.operation += 1;
        self.operation
    }

    /// Builds the graph anew from the live rows, in their order, if too many are dead.
    fn drop_dead_rows(&mut self) {
        let dead = self.rows.len() - self.points.len();
        if dead * 100 <= self.rows.len() * Self::MAX_DEAD_PERCENT {
            return;
        }
        let dim = self.schema.vectors.dim();
        let mut vectors = Vec::with_capacity(self.points.len() * dim);
        let mut row = Vec::with_capacity(dim);
        for slot in self.points.live_slots() {
            self.rows.vector(slot, &mut row);
            vectors.extend_from_slice(&row);
        }
        let rows = Rows::new(&vectors, dim).expect("whole rows");
        let options = BuildOptions::default();
        self.rows = Hnsw::build(self.schema.vectors, self.schema.hnsw, rows, &options).expect("stored rows are valid");
        self.points.renumber();
    }

    /// The nearest points, nearest first, ties by the order in which they were stored. Exact if asked for, or if the vectors to be
    /// compared are at most [`Schema::full_scan_bytes`]; else found by the graph. With a filter every point is asked whether it
    /// matches, and those that do are searched: `k` of them unless there are fewer. Errors if the vector does not fit the schema.
    pub fn search(&self, vector: &[f32], search: Search<'_>) -> Result<Vec<Found<'_>>, SearchError> {
        let query = VectorRef::from(vector);
        let except = search.except.and_then(|id| self.points.slot(id));
        let matching = search.filter.map(|filter| self.points.matching(filter));
        let candidates = matching.as_ref().map_or(self.points.len(), SlotSet::len);
        let is_candidate = |slot: Slot| {
            matching.as_ref().map_or_else(|| self.points.is_live(slot), |matching| matching.contains(slot))
        };
        let k = search.k.min(candidates - usize::from(except.is_some_and(is_candidate)));
        if k == 0 {
            self.schema.vectors.check(query)?;
            return Ok(Vec::new());
        }
        let accept = |slot: Slot| is_candidate(slot) && Some(slot) != except;
        let params = SearchParams::new(k, search.ef);
        BUFFERS.with_borrow_mut(|(scratch, hits)| {
            if search.exact || candidates * self.row_bytes() <= self.schema.full_scan_bytes {
                self.rows.exact(query, k, &accept, scratch, hits)?;
            } else if except.is_none() && candidates == self.rows.len() {
                self.rows.search(query, params, scratch, hits)?;
            } else {
                self.rows.search_filtered(query, params, &accept, scratch, hits)?;
            }
            let metric = self.schema.vectors.metric();
            Ok(hits.iter().map(|hit| Found { point: self.view(hit.slot), score: metric.score(hit.distance) }).collect())
        })
    }

    /// Every point from id `from` on that matches, in the order of ids.
    pub fn matching<'a>(&'a self, from: PointId, filter: &'a Filter) -> impl Iterator<Item = PointView<'a>> {
        self.scroll(from).filter(|point| filter.matches(point.id(), point.payload()))
    }

    /// Bytes of one stored vector.
    fn row_bytes(&self) -> usize {
        let word = match self.schema.vectors.element() {
            ElementType::F32 => 4,
            ElementType::F16 => 2,
            ElementType::U8 | ElementType::I8 | ElementType::Bits => 1,
        };
        self.schema.vectors.words() * word
    }

    fn view(&self, slot: Slot) -> PointView<'_> {
        self.points.view(self.points.id(slot), &self.rows).expect("a live row has a point")
    }

    /// The point of this id.
    pub fn get(&self, id: PointId) -> Option<PointView<'_>> {
        self.points.view(id, &self.rows)
    }

    /// Every point from id `from` on, in the order of ids.
    pub fn scroll(&self, from: PointId) -> impl Iterator<Item = PointView<'_>> {
        self.points.scroll(from, &self.rows)
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether there is no point.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of the last operation.
    pub fn operation(&self) -> u64 {
        self.operation
    }

    /// A checksum of all points, ids, versions, stored vectors and payloads: equal exactly if the points are.
    pub fn sum(&self) -> u128 {
        self.points.sum()
    }

    /// What the collection was made with.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The rows and the graph over them, dead ones included.
    pub fn graph(&self) -> &Hnsw {
        &self.rows
    }
}
