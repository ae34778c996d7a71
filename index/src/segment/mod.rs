//! [`Segment`]: points that no longer change, with what finds them by vector and by id; in memory, or mapped files.
//!
//! Rows are in the order of ids. A point that is replaced or removed stays in its segment as a dead row, noted beside it ([`Part`]),
//! until a merge leaves it out. Points may have several vectors, each by a name: a column for each of these, of the rows that have one.
//! A column whose name is gone stays, unseen, until the segment is [rid](Part::rid) of it.
//!
//! table: ids, versions, payloads · index: vectors and the graph · scanned: without one · joint: codes of several · column: an index, of the rows that have the vector ·
//! indexes: of payloads · tombstones: dead rows · matching: rows that pass a filter · builder: rows put into a segment ·
//! merge: several into one

use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use crate::filter::Filter;
use crate::ids::{IdBytes, PointId};
use crate::named::{PointVectors, UNNAMED, VectorSet};
use crate::params::BuildOptions;

pub(crate) mod builder;
mod column;
pub(crate) mod index;
mod indexes;
mod joint;
mod matching;
pub(crate) mod merge;
mod reach;
mod scanned;
mod table;
mod tombstones;

pub(crate) use column::{Column, DamagedColumn};
pub use index::IndexKind;
pub(crate) use index::{Buffers, Index};
use indexes::Indexes;
pub(crate) use joint::{Entrant, Joint};
pub use reach::Depth;
pub(crate) use reach::{Reach, Way};
pub(crate) use scanned::Coded;
pub(crate) use table::Table;
pub(crate) use tombstones::Tombstones;

/// A JSON object, kept as it was given: order of keys included.
pub type Payload = serde_json::Map<String, serde_json::Value>;

/// Points in the order of ids. Invariant: the rows of columns are rows of the table, and no two columns have one number.
#[derive(Debug)]
pub(crate) struct Segment {
    /// Its number in the collection's folder; 0 of one that is in memory alone.
    pub(crate) number: u64,
    pub(crate) table: Arc<Table>,
    /// Of the vectors that rows have.
    columns: Vec<Arc<Column>>,
    /// Of payloads.
    indexes: Arc<Indexes>,
}

impl Segment {
    /// Of these rows and their vectors; number 0 is in memory alone.
    pub(crate) fn new(number: u64, table: Table, columns: Vec<Column>) -> Self {
        let columns = columns.into_iter().map(Arc::new).collect();
        Segment { number, table: Arc::new(table), columns, indexes: Arc::default() }
    }

    /// Whether this and `other` are the same rows, whatever columns each is rid of.
    pub(crate) fn is(&self, other: &Segment) -> bool {
        Arc::ptr_eq(&self.table, &other.table)
    }

    /// Whether it has columns that are not of `vectors`.
    pub(crate) fn has_more_than(&self, vectors: &VectorSet) -> bool {
        self.columns.iter().any(|column| !vectors.has_number(column.number))
    }

    /// This segment without the columns that are not of `vectors`.
    fn without_more_than(&self, vectors: &VectorSet) -> Segment {
        let kept = |column: &&Arc<Column>| vectors.has_number(column.number);
        Segment {
            number: self.number,
            table: Arc::clone(&self.table),
            columns: self.columns.iter().filter(kept).cloned().collect(),
            indexes: Arc::clone(&self.indexes),
        }
    }

    /// The vectors of this number, if any row has one.
    pub(crate) fn column(&self, number: u32) -> Option<&Column> {
        self.shared_column(number).map(|column| &**column)
    }

    /// As [`column`](Segment::column), to be known again when the segment is gone.
    pub(crate) fn shared_column(&self, number: u32) -> Option<&Arc<Column>> {
        self.columns.iter().find(|column| column.number == number)
    }

    /// Makes sketches of the vectors that are worth one and have none; where so many rows' vectors may take `memory`, if that is bounded.
    pub(crate) fn make_sketches(&self, memory: impl Fn(usize) -> Option<usize>, options: &BuildOptions<'_>) {
        let rows = self.table.len();
        self.columns().for_each(|column| column.make_sketch(memory(column.len(rows)), options));
    }

    pub(crate) fn columns(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().map(|column| &**column)
    }

    pub(crate) fn shared_columns(&self) -> impl Iterator<Item = &Arc<Column>> {
        self.columns.iter()
    }

    /// The checksums of a row and of those of its vectors that are of `vectors`, summed up.
    pub(crate) fn checksum(&self, row: u32, vectors: &VectorSet) -> u128 {
        let of_vectors = self.columns().filter(|column| vectors.has_number(column.number));
        let sums = of_vectors.filter_map(|column| column.checksum(row));
        sums.fold(self.table.checksum(row), u128::wrapping_add)
    }

    /// Bytes of vectors, codes, links, ids and payloads.
    pub(crate) fn bytes(&self) -> usize {
        self.table.bytes() + self.vector_bytes()
    }

    /// Bytes of vectors, codes and links.
    pub(crate) fn vector_bytes(&self) -> usize {
        self.columns().map(Column::bytes).sum()
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

    /// The point in `row`, with those of its vectors that are of `vectors`.
    pub(crate) fn view<'a>(&'a self, row: u32, vectors: &'a VectorSet) -> PointView<'a> {
        PointView { segment: &self.segment, row, vectors }
    }

    /// The sum of the live rows' checksums, with those of their vectors that are of `vectors`.
    pub(crate) fn sum(&self, vectors: &VectorSet) -> u128 {
        let rows = self.dead.live_rows().map(|row| self.segment.table.checksum(row));
        let numbers = self.segment.columns().map(|column| column.number).filter(|&number| vectors.has_number(number));
        rows.chain(numbers.map(|number| self.sum_of_column(number))).fold(0, u128::wrapping_add)
    }

    /// The sum of the checksums of live rows' vectors of this number. Cost: a pass over them.
    pub(crate) fn sum_of_column(&self, number: u32) -> u128 {
        let column = self.segment.column(number);
        let sums = column.into_iter().flat_map(Column::checksums);
        sums.filter(|(row, _)| !self.dead.contains(*row)).map(|(_, sum)| sum).fold(0, u128::wrapping_add)
    }

    /// Takes away the columns that are not of `vectors`.
    pub(crate) fn rid(&mut self, vectors: &VectorSet) {
        if self.segment.has_more_than(vectors) {
            self.segment = Arc::new(self.segment.without_more_than(vectors));
        }
    }
}

/// One stored point, borrowed from its collection.
#[derive(Debug, Clone, Copy)]
pub struct PointView<'a> {
    segment: &'a Segment,
    row: u32,
    vectors: &'a VectorSet,
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

    fn column(&self, name: &str) -> Option<&'a Column> {
        self.vectors.get(name).and_then(|vector| self.segment.column(vector.number()))
    }

    /// Whether it has a vector of this name; "" is the one without a name.
    pub fn has_vector(&self, name: &str) -> bool {
        self.column(name).is_some_and(|column| column.contains(self.row))
    }

    /// Its vector of this name as stored, scaled to length one under cosine, rounded to the element type; "" is the one without a name.
    pub fn vector(&self, name: &str) -> Option<Vec<f32>> {
        let mut vector = Vec::new();
        self.column(name)?.vector(self.row, &mut vector).then_some(vector)
    }

    /// All its vectors, as stored.
    pub fn vectors(&self) -> PointVectors {
        let vectors = self.vectors.iter().filter_map(|vector| Some((vector.name(), self.vector(vector.name())?)));
        vectors.collect()
    }

    /// Whether it passes `filter`.
    pub(crate) fn passes(&self, filter: &Filter) -> bool {
        filter.matches_with(self.id(), &self.payload(), &|name| self.has_vector(name))
    }

    /// Its checksum, with those of its vectors, computed from what is stored.
    pub(crate) fn checksum(&self) -> u128 {
        let (id, version, vectors) = (self.id(), self.version(), self.vectors());
        let own = checksum(id, version, vectors.get(UNNAMED).unwrap_or_default(), self.payload_text());
        let named = vectors.iter().filter(|(name, _)| *name != UNNAMED);
        let sums = named.map(|(name, vector)| {
            let number = self.vectors.get(name).expect("it has it").number();
            vector_checksum(id, version, number, vector)
        });
        sums.fold(own, u128::wrapping_add)
    }
}

/// The checksum of one point: of its id, version, stored vector if that has no name, and payload's text, by XXH3. The sum of all, and of
/// all [named vectors'](vector_checksum), wrapping, is a checksum of the set: two sets with one sum are the same, by a chance of 2⁻¹²⁸
/// against, in whatever order they were made.
pub(crate) fn checksum(id: PointId, version: u64, vector: &[f32], payload: &[u8]) -> u128 {
    let mut hash = Xxh3::new();
    hash.update(&id.to_bytes());
    hash.update(&version.to_le_bytes());
    hash_vector(&mut hash, vector);
    hash.update(payload);
    hash.digest128()
}

/// The checksum of one named vector of a point: of the point's id and version, and the vector's number and what is stored.
pub(crate) fn vector_checksum(id: PointId, version: u64, number: u32, vector: &[f32]) -> u128 {
    // A seed of its own: no vector may stand for a point.
    let mut hash = Xxh3::with_seed(1);
    hash.update(&id.to_bytes());
    hash.update(&version.to_le_bytes());
    hash.update(&number.to_le_bytes());
    hash_vector(&mut hash, vector);
    hash.digest128()
}

fn hash_vector(hash: &mut Xxh3, vector: &[f32]) {
    // As many at once as the hash takes in one stride: of single numbers it would keep a buffer, at several times the cost.
    let mut block = [[0; 4]; 64];
    for part in vector.chunks(block.len()) {
        // Zero has two signs, and a code may know one.
        block.iter_mut().zip(part).for_each(|(bytes, x)| *bytes = (x + 0.0).to_le_bytes());
        hash.update(block[..part.len()].as_flattened());
    }
}
