//! [`Segment`]: points that no longer change, with what finds them by vector and by id; in memory, or a pair of mapped files.
//!
//! Rows are in the order of ids. A point that is replaced or removed stays in its segment as a dead row, noted beside it ([`Part`]),
//! until a merge leaves it out.
//!
//! table: ids, versions, payloads · index: vectors and the graph · indexes: of payloads · tombstones: dead rows ·
//! matching: rows that pass a filter ·
//! merge: several into one

use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use crate::ids::{IdBytes, PointId};

pub(crate) mod index;
mod indexes;
mod matching;
pub(crate) mod merge;
mod table;
mod tombstones;

pub use index::IndexKind;
pub(crate) use index::{Buffers, Index};
use indexes::Indexes;
pub(crate) use table::Table;
pub(crate) use tombstones::Tombstones;

/// A JSON object, kept as it was given: order of keys included.
pub type Payload = serde_json::Map<String, serde_json::Value>;

/// Points in the order of ids. Invariant: table and index have the same number of rows.
#[derive(Debug)]
pub(crate) struct Segment {
    /// Its number in the collection's folder; 0 of one that is in memory alone.
    pub(crate) number: u64,
    pub(crate) table: Table,
    pub(crate) index: Index,
    /// Of payloads.
    indexes: Indexes,
}

impl Segment {
    /// Of as many rows in one as in the other; number 0 is in memory alone.
    pub(crate) fn new(number: u64, table: Table, index: Index) -> Self {
        Segment { number, table, index, indexes: Indexes::default() }
    }
}

/// A segment as one view has it.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) segment: Arc<Segment>,
    pub(crate) dead: Tombstones,
}

impl Part {
    /// `segment`, with all rows live.
    pub(crate) fn new(segment: Segment) -> Self {
        let dead = Tombstones::none(segment.table.len());
        Part { segment: Arc::new(segment), dead }
    }

    /// The live row of this id.
    pub(crate) fn row_of(&self, id: &IdBytes) -> Option<u32> {
        self.segment.table.row_of(id).filter(|&row| !self.dead.contains(row))
    }

    /// The point in `row`.
    pub(crate) fn view(&self, row: u32) -> PointView<'_> {
        PointView { segment: &self.segment, row }
    }

    /// The sum of the live rows' checksums.
    pub(crate) fn sum(&self) -> u128 {
        self.dead.live_rows().map(|row| self.segment.table.checksum(row)).fold(0, u128::wrapping_add)
    }
}

/// One stored point, borrowed from its collection.
#[derive(Debug, Clone, Copy)]
pub struct PointView<'a> {
    segment: &'a Segment,
    row: u32,
}

impl<'a> PointView<'a> {
    /// The point's id.
    pub fn id(&self) -> PointId {
        self.segment.table.id(self.row)
    }

    /// Number of the operation that stored it.
    pub fn version(&self) -> u64 {
        self.segment.table.version(self.row)
    }

    /// Its payload, parsed from the text it is kept as.
    pub fn payload(&self) -> Payload {
        serde_json::from_slice(self.payload_text()).expect("the text was written from a payload, and its checksum held")
    }

    /// Its payload as the JSON text it is kept as.
    pub fn payload_text(&self) -> &'a [u8] {
        self.segment.table.payload(self.row)
    }

    /// Its vector as stored: scaled to length one under cosine, rounded to the element type.
    pub fn vector(&self) -> Vec<f32> {
        let mut vector = Vec::new();
        self.segment.index.vector(self.row, &mut vector);
        vector
    }
}

/// The checksum of one point: of its id, version, stored vector and payload's text, by XXH3. The sum of all, wrapping, is a checksum of
/// the set: two sets with one sum are the same, by a chance of 2⁻¹²⁸ against, in whatever order they were made.
pub(crate) fn checksum(id: PointId, version: u64, vector: &[f32], payload: &[u8]) -> u128 {
    let mut hash = Xxh3::new();
    hash.update(&id.to_bytes());
    hash.update(&version.to_le_bytes());
    // Zero has two signs, and a code may know one.
    vector.iter().for_each(|x| hash.update(&(x + 0.0).to_le_bytes()));
    hash.update(payload);
    hash.digest128()
}
