//! Which point lies in which row, what it carries, and which rows are dead.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::Xxh3;

use crate::filter::Filter;
use crate::hnsw::Hnsw;
use crate::ids::{PointId, Slot};

/// A JSON object, kept as it was given: order of keys included.
pub type Payload = serde_json::Map<String, serde_json::Value>;

/// One stored point, borrowed from its collection.
#[derive(Debug, Clone, Copy)]
pub struct PointView<'a> {
    id: PointId,
    entry: &'a Entry,
    rows: &'a Hnsw,
}

impl<'a> PointView<'a> {
    /// The point's id.
    pub fn id(&self) -> PointId {
        self.id
    }

    /// Number of the operation that stored it.
    pub fn version(&self) -> u64 {
        self.entry.version
    }

    /// Its payload.
    pub fn payload(&self) -> &'a Payload {
        &self.entry.payload
    }

    /// Its vector as stored: scaled to length one under cosine, rounded to the element type.
    pub fn vector(&self) -> Vec<f32> {
        let mut vector = Vec::with_capacity(self.rows.spec().dim());
        self.rows.vector(self.entry.slot, &mut vector);
        vector
    }
}

/// What is known of one point besides its vector.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) slot: Slot,
    pub(super) version: u64,
    pub(super) payload: Payload,
    /// Checksum of all that the point is; see [`checksum`].
    pub(super) checksum: u128,
}

/// The checksum of one point: of its id, version, stored vector and payload, by XXH3. The sum of all, wrapping, is a checksum of the
/// set: two sets with one sum are the same, by a chance of 2⁻¹²⁸ against, in whatever order they were made.
pub(super) fn checksum(id: PointId, version: u64, vector: &[f32], payload: &Payload) -> u128 {
    let mut hash = Xxh3::new();
    hash.update(&id.to_bytes());
    hash.update(&version.to_le_bytes());
    hash.update(bytemuck::cast_slice(vector));
    hash.update(&serde_json::to_vec(payload).expect("a JSON object in memory can be written"));
    hash.digest128()
}

/// Some of the rows.
#[derive(Debug)]
pub(super) struct SlotSet {
    bits: Vec<u64>,
    len: usize,
}

impl SlotSet {
    pub(super) fn contains(&self, slot: Slot) -> bool {
        self.bits[slot.index() / 64] >> (slot.index() % 64) & 1 == 1
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }
}

/// The points of a collection. Invariant: row `slot` is live exactly if `by_id[ids[slot]].slot == slot`.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Points {
    by_id: BTreeMap<PointId, Entry>,
    /// `[rows]`: the point each row belongs, or once belonged, to.
    ids: Vec<PointId>,
    /// `[rows / 64]`: bit `slot` is set while the row is live.
    live: Vec<u64>,
    /// The sum of all points' checksums.
    sum: u128,
}

impl Points {
    /// Gives the next row to point `id`, known so far by another row or not at all; a row it had before dies.
    pub(super) fn put(&mut self, id: PointId, entry: Entry) {
        let slot = entry.slot;
        assert_eq!(slot.index(), self.ids.len(), "rows come in order");
        self.remove(id);
        self.ids.push(id);
        self.live.resize(self.ids.len().div_ceil(64), 0);
        self.live[slot.index() / 64] |= 1 << (slot.index() % 64);
        self.sum = self.sum.wrapping_add(entry.checksum);
        self.by_id.insert(id, entry);
    }

    /// A row that belongs to no point: the next one, dead from the start.
    pub(super) fn skip_row(&mut self) {
        self.ids.push(PointId::FIRST);
        self.live.resize(self.ids.len().div_ceil(64), 0);
    }

    /// Forgets point `id`, if there is one; its row dies.
    pub(super) fn remove(&mut self, id: PointId) {
        if let Some(entry) = self.by_id.remove(&id) {
            self.sum = self.sum.wrapping_sub(entry.checksum);
            self.live[entry.slot.index() / 64] &= !(1 << (entry.slot.index() % 64));
        }
    }

    /// Changes payload and version of point `id`, which must be there.
    pub(super) fn set_payload(&mut self, id: PointId, payload: Payload, version: u64, checksum: u128) {
        let entry = self.by_id.get_mut(&id).expect("the caller looked");
        self.sum = self.sum.wrapping_sub(entry.checksum).wrapping_add(checksum);
        *entry = Entry { slot: entry.slot, version, payload, checksum };
    }

    /// The sum of all points' checksums.
    pub(super) fn sum(&self) -> u128 {
        self.sum
    }

    /// Follows a rebuild that kept the live rows alone, in their order.
    pub(super) fn renumber(&mut self) {
        let ids: Vec<PointId> = self.live_slots().map(|slot| self.id(slot)).collect();
        for (slot, id) in (0..).zip(&ids) {
            self.by_id.get_mut(id).expect("a live row has a point").slot = Slot(slot);
        }
        self.live = vec![u64::MAX; ids.len().div_ceil(64)];
        if let (Some(last), rest @ 1..) = (self.live.last_mut(), ids.len() % 64) {
            *last = (1 << rest) - 1;
        }
        self.ids = ids;
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn is_live(&self, slot: Slot) -> bool {
        self.live[slot.index() / 64] >> (slot.index() % 64) & 1 == 1
    }

    pub(super) fn live_slots(&self) -> impl Iterator<Item = Slot> {
        (0..self.ids.len() as u32).map(Slot).filter(|&slot| self.is_live(slot))
    }

    /// The point that row `slot` belongs, or belonged, to.
    pub(super) fn id(&self, slot: Slot) -> PointId {
        self.ids[slot.index()]
    }

    pub(super) fn slot(&self, id: PointId) -> Option<Slot> {
        self.by_id.get(&id).map(|entry| entry.slot)
    }

    /// What is known of the point in live row `slot`.
    pub(super) fn entry(&self, slot: Slot) -> &Entry {
        &self.by_id[&self.id(slot)]
    }

    /// The live rows of points that match.
    pub(super) fn matching(&self, filter: &Filter) -> SlotSet {
        let mut set = SlotSet { bits: vec![0; self.live.len()], len: 0 };
        for (&id, entry) in self.by_id.iter().filter(|(id, entry)| filter.matches(**id, &entry.payload)) {
            debug_assert_eq!(self.id(entry.slot), id);
            set.bits[entry.slot.index() / 64] |= 1 << (entry.slot.index() % 64);
            set.len += 1;
        }
        set
    }

    pub(super) fn view<'a>(&'a self, id: PointId, rows: &'a Hnsw) -> Option<PointView<'a>> {
        self.by_id.get(&id).map(|entry| PointView { id, entry, rows })
    }

    pub(super) fn scroll<'a>(&'a self, from: PointId, rows: &'a Hnsw) -> impl Iterator<Item = PointView<'a>> {
        self.by_id.range(from..).map(move |(&id, entry)| PointView { id, entry, rows })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renumbering_keeps_points_and_their_order() {
        for rows in [1_u32, 63, 64, 65, 130, 200] {
            let mut points = Points::default();
            for slot in 0..rows {
                let entry = Entry { slot: Slot(slot), version: 1, payload: Payload::new(), checksum: 1 };
                points.put(PointId::Integer(u64::from(slot) * 7 % 97), entry);
            }
            let before: Vec<PointId> = points.live_slots().map(|slot| points.id(slot)).collect();
            points.renumber();
            let after: Vec<PointId> = points.live_slots().map(|slot| points.id(slot)).collect();
            assert_eq!(before, after, "{rows} rows");
            assert_eq!((after.len(), points.sum()), (points.len(), points.len() as u128));
            assert!(after.iter().enumerate().all(|(slot, &id)| points.slot(id) == Some(Slot(slot as u32))));
        }
    }
}
