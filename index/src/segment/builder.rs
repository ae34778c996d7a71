//! [`Builder`]: rows put into a segment one by one, in the order of ids.

use std::ops::Range;

use super::{Column, Index, PointView, Segment, Table, checksum, vector_checksum};
use crate::bytes::Array;
use crate::ids::PointId;
use crate::named::{NamedVector, PointVectors, UNNAMED, VectorEdit, VectorSet};
use crate::rows::{Rows, VectorRef};
use crate::vectors::dense::Vectors;

/// Rows of a segment to be, and their vectors.
#[derive(Debug)]
pub(crate) struct Builder<'a> {
    table: Table,
    columns: Vec<Growing<'a>>,
    buffer: Vec<f32>,
}

/// The vectors of one name.
#[derive(Debug)]
struct Growing<'a> {
    of: &'a NamedVector,
    vectors: Vectors,
    rows: Vec<u32>,
    checksums: Array<u128>,
}

impl Growing<'_> {
    fn is_named(&self) -> bool {
        self.of.name() != UNNAMED
    }

    /// Appends a vector that was checked.
    fn append(&mut self, vector: &[f32]) {
        self.vectors.extend(Rows::one(VectorRef::from(vector))).expect("every vector was checked");
    }
}

impl<'a> Builder<'a> {
    /// Of points that may have `vectors`, with room for so many rows and bytes of payloads.
    pub(crate) fn new(vectors: &'a VectorSet, rows: usize, payload_bytes: usize) -> Self {
        let mut table = Table::default();
        table.reserve(rows, payload_bytes);
        let growing = |of: &'a NamedVector| {
            let mut vectors = Vectors::new(of.spec());
            // How many rows have a named one is not known.
            if of.name() == UNNAMED {
                vectors.reserve(rows);
            }
            Growing { of, vectors, rows: Vec::new(), checksums: Array::default() }
        };
        Builder { table, columns: vectors.iter().map(growing).collect(), buffer: Vec::new() }
    }

    /// Rows so far.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// Appends a point whose vectors were checked.
    pub(crate) fn put(&mut self, id: PointId, version: u64, vectors: &PointVectors, payload: &[u8]) {
        self.push(id, version, payload, |column| {
            let Some(vector) = vectors.get(column.of.name()) else { return false };
            column.append(vector);
            true
        });
    }

    /// Appends a point that is stored, with another version and payload, and with those of its vectors changed that `edits` name.
    pub(crate) fn put_again(&mut self, point: PointView<'_>, version: u64, payload: &[u8], edits: &[VectorEdit]) {
        self.push(point.id(), version, payload, |column| {
            let name = column.of.name();
            if let Some((_, edit)) = edits.iter().find(|(edited, _)| edited == name) {
                edit.iter().for_each(|vector| column.append(vector));
                return edit.is_some();
            }
            let Some(vector) = point.vector(name) else { return false };
            // Nothing is scaled or rounded again.
            column.vectors.push_stored(&vector);
            true
        });
    }

    /// Appends a point whose vectors `vector` appends, telling whether there is one.
    fn push(&mut self, id: PointId, version: u64, payload: &[u8], mut vector: impl FnMut(&mut Growing<'a>) -> bool) {
        let row = self.table.len() as u32;
        let mut unnamed = Vec::new();
        for column in &mut self.columns {
            if !vector(column) {
                continue;
            }
            column.rows.push(row);
            column.vectors.decode(crate::ids::Slot(column.vectors.len() as u32 - 1), &mut self.buffer);
            if column.is_named() {
                let checksum = vector_checksum(id, version, column.of.number(), &self.buffer);
                column.checksums.extend(&[checksum]);
            } else {
                std::mem::swap(&mut unnamed, &mut self.buffer);
            }
        }
        let own = checksum(id, version, &unnamed, payload);
        std::mem::swap(&mut unnamed, &mut self.buffer);
        self.table.push(id.to_bytes(), version, own, payload);
    }

    /// Appends rows of a segment as they are, checksums included.
    pub(crate) fn copy(&mut self, segment: &Segment, rows: Range<u32>) {
        let to = self.table.len() as u32;
        self.table.extend(&segment.table, rows.clone());
        for column in &mut self.columns {
            let Some(from) = segment.column(column.of.number()) else { continue };
            let slots = from.slots_of(rows.clone());
            from.append_to(slots.clone(), &mut column.vectors);
            column.checksums.extend(from.checksums_of(slots.clone()));
            column.rows.extend(from.rows_of(slots).map(|row| row - rows.start + to));
        }
    }

    /// The segment, of these vectors indexed as `index` says.
    pub(crate) fn finish(self, mut index: impl FnMut(Vectors) -> Index) -> (Table, Vec<Column>) {
        let rows = self.table.len();
        let there = self.columns.into_iter().filter(|column| !column.rows.is_empty());
        let column = |column: Growing<'_>| {
            Column::new(column.of.number(), index(column.vectors), &column.rows, column.checksums, rows)
        };
        let columns = there.map(column).collect();
        (self.table, columns)
    }
}
