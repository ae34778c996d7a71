//! Which rows of a segment pass a filter.

use super::Part;
use crate::filter::{Answer, Estimate, Filter, IndexedField, RowSource};
use crate::ids::{PointId, Slot};
use crate::mask::Mask;

impl Part {
    /// Which live rows pass `filter`, as far as indexes of `fields` know without reading payloads. The texts of the filter must be
    /// divided as those indexes say.
    pub(crate) fn answer(&self, filter: &Filter, fields: &[IndexedField]) -> Answer {
        self.with_rows(|rows| self.segment.indexes(fields).answer(filter, rows))
    }

    /// The live rows that pass `filter`: those that indexes leave open are asked.
    pub(crate) fn matching(&self, filter: &Filter, fields: &[IndexedField]) -> Mask {
        self.answer(filter, fields).settle(|row| self.passes(row.0, filter))
    }

    /// How many live rows pass `filter`, from counts alone.
    pub(crate) fn estimate(&self, filter: &Filter, fields: &[IndexedField]) -> Estimate {
        self.with_rows(|rows| self.segment.indexes(fields).estimate(filter, rows))
    }

    /// Whether the point in `row` passes `filter`.
    pub(crate) fn passes(&self, row: u32, filter: &Filter) -> bool {
        let point = self.view(row);
        filter.matches(point.id(), &point.payload())
    }

    /// The live rows.
    pub(crate) fn live(&self) -> Mask {
        Mask::from_words(self.dead.words(), self.segment.table.len()).inverted()
    }

    fn with_rows<T>(&self, work: impl FnOnce(RowSource<'_>) -> T) -> T {
        let live = self.live();
        let slot = |id: PointId| self.row_of(&id.to_bytes()).map(Slot);
        // Every point has the default vector, and no other.
        let having = |name: &str| if name.is_empty() { live.clone() } else { Mask::none(live.rows()) };
        work(RowSource { live: &live, slot: &slot, having: &having })
    }
}
