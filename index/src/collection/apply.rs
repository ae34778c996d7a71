//! What changes make of a collection: new rows in a new small segment, and old rows dead.

use std::sync::Arc;

use super::record::Record;
use super::{Collection, Payload, Point, Schema, UpsertError};
use crate::filter::IndexedField;
use crate::ids::{IdBytes, PointId};
use crate::named::{NamedVector, StoredVector, VectorEdit, VectorSet};
use crate::params::BuildOptions;
use crate::segment::builder::Builder;
use crate::segment::merge::merge;
use crate::segment::{Index, Part, Segment};

/// Growing segments are merged up to so many rows, and bytes of vectors: what one change may have to copy.
const MAX_ROWS: usize = 4096;
const MAX_BYTES: usize = 2 << 20;

/// Whether a growing segment takes in no other of its size any more.
pub(super) fn is_full(segment: &Segment) -> bool {
    2 * segment.table.len() > MAX_ROWS || 2 * segment.vector_bytes() > MAX_BYTES
}

/// A payload as it is kept.
fn text(payload: &Payload) -> Vec<u8> {
    serde_json::to_vec(payload).expect("a JSON object in memory can be written")
}

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
        batch.sort_unstable_by_key(|point| point.id);
        self.rewrite(batch.len(), |rows, version, _| {
            for Point { id, vectors, payload } in &batch {
                rows.put(*id, version, vectors, &text(payload));
            }
        })
    }

    /// Gives points, which must be there, other payloads, and returns the number of this operation.
    fn set_payloads(&mut self, points: Vec<(PointId, Payload)>) -> Result<u64, String> {
        let points = self.last_of_each(points, "a payload")?;
        Ok(self.rewrite(points.len(), |rows, version, held| {
            for (id, payload) in &points {
                rows.put_again(held.get(*id).expect("looked up"), version, &text(payload), &[]);
            }
        }))
    }

    /// Gives points, which must be there, other vectors or none of a name, and returns the number of this operation.
    fn set_vectors(&mut self, points: Vec<(PointId, Vec<VectorEdit>)>) -> Result<u64, String> {
        let points = self.last_of_each(points, "vectors")?;
        Ok(self.rewrite(points.len(), |rows, version, held| {
            for (id, edits) in &points {
                let point = held.get(*id).expect("looked up");
                rows.put_again(point, version, point.payload_text(), edits);
            }
        }))
    }

    /// `points` in the order of ids, the last of those for one; an error if one does not exist.
    fn last_of_each<T>(&self, mut points: Vec<(PointId, T)>, what: &str) -> Result<Vec<(PointId, T)>, String> {
        points.sort_by_key(|(id, _)| *id);
        points.reverse();
        points.dedup_by_key(|(id, _)| *id);
        points.reverse();
        match points.iter().find(|(id, _)| self.get(*id).is_none()) {
            Some((id, _)) => Err(format!("{what} for point {id}, which does not exist")),
            None => Ok(points),
        }
    }

    /// Adds a segment of up to `count` points that `put` writes, in the order of ids, in place of those that have their ids; returns the
    /// number of this operation. `put` is given the version, and the collection as it was.
    fn rewrite(&mut self, count: usize, put: impl FnOnce(&mut Builder<'_>, u64, &Collection)) -> u64 {
        let version = self.advance();
        if count == 0 {
            return version;
        }
        let schema = Arc::clone(&self.schema);
        let mut rows = Builder::new(&schema.vectors, count, 0);
        put(&mut rows, version, self);
        let (table, columns) = rows.finish(Index::flat);
        let segment = Segment::new(0, table, columns);
        for row in 0..segment.table.len() as u32 {
            self.kill(&segment.table.id_bytes(row));
            self.len += 1;
            self.sum = self.sum.wrapping_add(segment.checksum(row, &schema.vectors));
        }
        self.grow(segment);
        version
    }

    /// Marks the row of this id dead, if there is a live one.
    fn kill(&mut self, id: &IdBytes) {
        let parts = self.sealed.iter_mut().chain(&mut self.frozen).chain(&mut self.growing);
        for part in parts.rev() {
            if let Some(row) = part.row_of(id) {
                part.dead.insert(row);
                self.len -= 1;
                self.sum = self.sum.wrapping_sub(part.segment.checksum(row, &self.schema.vectors));
                return;
            }
        }
    }

    /// Lets points have one more vector, `added`, and returns the number of this operation.
    fn add_vector(&mut self, added: StoredVector) -> Result<u64, String> {
        let expected = self.schema.vectors.next();
        if added.number != expected {
            return Err(format!("vector `{}` has number {}, expected {expected}", added.name, added.number));
        }
        let added = NamedVector::try_from(added)?;
        let vectors = self.schema.vectors.clone().with(added.name(), added.spec(), added.note().clone());
        self.set_vector_set(vectors.map_err(|error| error.to_string())?);
        Ok(self.advance())
    }

    /// Takes the vector of this name from all points, and returns the number of this operation. Cost: a pass over checksums.
    fn drop_vector(&mut self, name: &str) -> Result<u64, String> {
        let vectors = self.schema.vectors.clone().without(name).map_err(|error| error.to_string())?;
        let number = self.schema.vectors.get(name).expect("it was taken away").number();
        let gone = self.parts().map(|part| part.sum_of_column(number)).fold(0, u128::wrapping_add);
        self.sum = self.sum.wrapping_sub(gone);
        self.set_vector_set(vectors);
        Ok(self.advance())
    }

    fn set_vector_set(&mut self, vectors: VectorSet) {
        self.schema = Arc::new(Schema { vectors, ..Schema::clone(&self.schema) });
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
            let bytes = before.segment.vector_bytes() + last.segment.vector_bytes();
            if rows >= 2 * added || rows + added > MAX_ROWS || bytes > MAX_BYTES {
                break;
            }
            let pair = self.growing.split_off(self.growing.len() - 2);
            let merged = merge(&pair, &self.schema.vectors).rows;
            if merged.len() > 0 {
                let (table, columns) = merged.finish(Index::flat);
                self.growing.push(Part::new(Segment::new(0, table, columns)));
            }
        }
        // So that no search meets many rows without one.
        self.growing.iter().for_each(|part| self.schema.make_sketches(&part.segment, &BuildOptions::default()));
    }

    /// Does what `record` says and returns the number of this operation. Errors, having changed nothing, only where a record does not
    /// go with the points, which none that was made for them does.
    pub(crate) fn apply(&mut self, record: Record) -> Result<u64, String> {
        match record {
            Record::Store(points) => Ok(self.store(points)),
            Record::Delete(ids) => Ok(self.delete(&ids)),
            Record::Payload(points) => self.set_payloads(points),
            Record::Vectors(points) => self.set_vectors(points),
            Record::AddVector(vector) => self.add_vector(vector),
            Record::DropVector(name) => self.drop_vector(&name),
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
