//! The payload indexes of a segment: made from its payloads when they are first asked for, and kept beside it.

use std::sync::Arc;

use parking_lot::Mutex;

use super::{Column, Payload, Segment};
use crate::filter::{FieldIndex, IndexedField, PayloadIndex};
use crate::ids::Slot;

/// The indexes made so far.
#[derive(Debug, Default)]
pub(crate) struct Indexes(Mutex<Vec<(IndexedField, Arc<FieldIndex>)>>);

impl Segment {
    /// Makes the indexes of `fields` and measures what ways to an answer cost, which the first search with a filter would otherwise do.
    pub(crate) fn prepare(&self, fields: &[IndexedField]) {
        self.indexes(fields);
        self.columns().for_each(Column::measure_costs);
    }

    /// The indexes of `fields`, over all rows, dead ones too. What is not there yet is made, in one pass over the payloads; who else asks
    /// waits.
    pub(crate) fn indexes(&self, fields: &[IndexedField]) -> PayloadIndex {
        if fields.is_empty() {
            return PayloadIndex::default();
        }
        let mut known = self.indexes.0.lock();
        let is_missing = |field: &&IndexedField| !known.iter().any(|(there, _)| there == *field);
        let missing: Vec<&IndexedField> = fields.iter().filter(is_missing).collect();
        if !missing.is_empty() {
            let mut made: Vec<FieldIndex> = missing.iter().map(|field| FieldIndex::new(field.of())).collect();
            for row in 0..self.table.len() as u32 {
                let payload: Payload = serde_json::from_slice(self.table.payload(row)).expect("checked when stored");
                for (field, index) in missing.iter().zip(&mut made) {
                    index.insert(Slot(row), field.path(), &payload);
                }
            }
            made.iter_mut().for_each(FieldIndex::seal);
            let missing: Vec<IndexedField> = missing.into_iter().cloned().collect();
            known.extend(missing.into_iter().zip(made.into_iter().map(Arc::new)));
        }
        let of = |field: &IndexedField| {
            let (_, index) = known.iter().find(|(there, _)| there == field).expect("made above");
            (field.path().clone(), Arc::clone(index))
        };
        PayloadIndex::of(fields.iter().map(of).collect())
    }
}
