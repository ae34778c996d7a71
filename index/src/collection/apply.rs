//! What changes make of a collection: new rows in a new small segment, and old rows dead.

use std::sync::Arc;

use super::record::Record;
use super::{Collection, Payload, Point, UpsertError};
use crate::filter::IndexedField;
use crate::ids::{IdBytes, PointId};
use crate::rows::Rows;
use crate::segment::merge::{Merged, merge};
use crate::segment::{self, Index, Part, Segment, Table};
use crate::vectors::dense::Vectors;

/// Growing segments are merged up to so many rows, and bytes of vectors: what one change may have to copy.
const MAX_ROWS: usize = 4096;
const MAX_BYTES: usize = 2 << 20;

impl Collection {
    /// Stores `batch`, all of it or, on an error, nothing, and returns the number of this operation. Of points with the same id the
    /// last one wins. Cost: a search for each id, and a copy of each point, about a dozen times until it is sealed.
    pub fn upsert(&mut self, batch: Vec<Point>) -> Result<u64, UpsertError> {
        let batch = self.schema.checked(batch)?;
        Ok(self.store(batch))
    }

    /// Removes the points of these ids, where they exist, and returns the number of this operation.
    pub fn delete(&mut self, ids: &[PointId]) -> u64 {
        ids.iter().for_each(|id| self.kill(&id.to_bytes()));
        self.advance()
    }

    /// Stores `batch`, in which every vector is checked and no id comes twice.
    fn store(&mut self, mut batch: Vec<Point>) -> u64 {
        let version = self.advance();
        if batch.is_empty() {
            return version;
        }
        batch.sort_unstable_by_key(|point| point.id);
        let dim = self.schema.vectors.dim();
        let given: Vec<f32> = batch.iter().flat_map(|point| point.vector.iter().copied()).collect();
        let mut vectors = Vectors::new(self.schema.vectors);
        vectors.extend(Rows::new(&given, dim).expect("every vector was checked")).expect("every vector was checked");
        let index = Index::Flat(vectors);
        let (mut table, mut vector) = (Table::default(), Vec::with_capacity(dim));
        for (row, Point { id, payload, .. }) in (0..).zip(batch) {
            index.vector(row, &mut vector);
            self.put(&mut table, id, version, &vector, &payload);
        }
        self.grow(Segment::new(0, table, index));
        version
    }

    /// Gives points, which must be there, other payloads, and returns the number of this operation.
    fn set_payloads(&mut self, mut points: Vec<(PointId, Payload)>) -> Result<u64, String> {
        points.sort_by_key(|(id, _)| *id);
        // Of payloads for one point the last counts.
        points.reverse();
        points.dedup_by_key(|(id, _)| *id);
        points.reverse();
        if let Some((id, _)) = points.iter().find(|(id, _)| self.get(*id).is_none()) {
            return Err(format!("a payload for point {id}, which does not exist"));
        }
        let version = self.advance();
        if points.is_empty() {
            return Ok(version);
        }
        let (mut table, mut vectors) = (Table::default(), Vectors::new(self.schema.vectors));
        for (id, payload) in points {
            let vector = self.get(id).expect("looked up above").vector();
            vectors.push_stored(&vector);
            self.put(&mut table, id, version, &vector, &payload);
        }
        self.grow(Segment::new(0, table, Index::Flat(vectors)));
        Ok(version)
    }

    /// Appends a point to `table` in place of the one that has its id.
    fn put(&mut self, table: &mut Table, id: PointId, version: u64, vector: &[f32], payload: &Payload) {
        let text = serde_json::to_vec(payload).expect("a JSON object in memory can be written");
        let checksum = segment::checksum(id, version, vector, &text);
        self.kill(&id.to_bytes());
        table.push(id.to_bytes(), version, checksum, &text);
        self.len += 1;
        self.sum = self.sum.wrapping_add(checksum);
    }

    /// Marks the row of this id dead, if there is a live one.
    fn kill(&mut self, id: &IdBytes) {
        let parts = self.sealed.iter_mut().chain(&mut self.frozen).chain(&mut self.growing);
        for part in parts.rev() {
            if let Some(row) = part.row_of(id) {
                part.dead.insert(row);
                self.len -= 1;
                self.sum = self.sum.wrapping_sub(part.segment.table.checksum(row));
                return;
            }
        }
    }

    /// Indexes these parts of payloads, and no others.
    pub(super) fn set_fields(&mut self, fields: Vec<IndexedField>) -> u64 {
        self.fields = Arc::new(fields);
        self.advance()
    }

    fn advance(&mut self) -> u64 {
        self.operation += 1;
        self.operation
    }

    /// Adds a segment to the growing ones, and merges it with those before it that are not much larger: sizes then fall by half from
    /// one to the next, so there are few, and each row is copied as often as sizes double.
    fn grow(&mut self, segment: Segment) {
        self.growing.push(Part::new(segment));
        while let [.., before, last] = &self.growing[..] {
            let (rows, added) = (before.segment.table.len(), last.segment.table.len());
            let bytes = before.segment.index.bytes() + last.segment.index.bytes();
            if rows >= 2 * added || rows + added > MAX_ROWS || bytes > MAX_BYTES {
                break;
            }
            let pair = self.growing.split_off(self.growing.len() - 2);
            let Merged { table, vectors, .. } = merge(&pair, self.schema.vectors);
            if table.len() > 0 {
                self.growing.push(Part::new(Segment::new(0, table, Index::Flat(vectors))));
            }
        }
    }

    /// Does what `record` says and returns the number of this operation. Errors, having changed nothing, only where a record does not
    /// go with the points, which none that was made for them does.
    pub(crate) fn apply(&mut self, record: Record) -> Result<u64, String> {
        match record {
            Record::Store(points) => Ok(self.store(points)),
            Record::Delete(ids) => Ok(self.delete(&ids)),
            Record::Payload(points) => self.set_payloads(points),
            Record::Fields(fields) => Ok(self.set_fields(fields)),
        }
    }

    /// This collection, with what grows set apart to be sealed. Nothing may be set apart yet.
    pub(super) fn freeze(&self) -> Arc<Self> {
        assert!(self.frozen.is_empty(), "one at a time");
        let mut frozen = self.clone();
        frozen.frozen = std::mem::take(&mut frozen.growing);
        Arc::new(frozen)
    }
}
