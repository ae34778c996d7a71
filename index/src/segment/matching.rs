//! Which rows of a segment pass a filter.

use super::Part;
use crate::filter::{Answer, Estimate, Filter, IndexedField, RowSource};
use crate::ids::{PointId, Slot};
use crate::mask::Mask;
use crate::named::VectorSet;

impl Part {
    /// Which live rows pass `filter`, as far as indexes of `fields` know without reading payloads. The texts of the filter must be
    /// divided as those indexes say.
    pub(crate) fn answer(&self, filter: &Filter, fields: &[IndexedField], vectors: &VectorSet) -> Answer {
        self.with_rows(vectors, |rows| self.segment.indexes(fields).answer(filter, rows))
    }

    /// The live rows that pass `filter`: those that indexes leave open are asked.
    pub(crate) fn matching(&self, filter: &Filter, fields: &[IndexedField], vectors: &VectorSet) -> Mask {
        self.answer(filter, fields, vectors).settle(|row| self.view(row.0, vectors).passes(filter))
    }

    /// How many live rows pass `filter`, from counts alone.
    pub(crate) fn estimate(&self, filter: &Filter, fields: &[IndexedField], vectors: &VectorSet) -> Estimate {
        self.with_rows(vectors, |rows| self.segment.indexes(fields).estimate(filter, rows))
    }

    /// The live rows.
    pub(crate) fn live(&self) -> Mask {
        Mask::from_words(self.dead.words(), self.segment.table.len()).inverted()
    }

    fn with_rows<T>(&self, vectors: &VectorSet, work: impl FnOnce(RowSource<'_>) -> T) -> T {
        let live = self.live();
        let slot = |id: PointId| self.row_of(&id.to_bytes()).map(Slot);
        let having = |name: &str| {
            let column = vectors.get(name).and_then(|vector| self.segment.column(vector.number()));
            let mut mask = column.map_or_else(|| Mask::none(live.rows()), |column| column.mask(live.rows()));
            mask.and(&live);
            mask
        };
        work(RowSource { live: &live, slot: &slot, having: &having })
    }
}
