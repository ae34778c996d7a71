//! Which rows of a segment pass a filter.

use super::Part;
use crate::filter::Filter;
use crate::ids::Slot;

/// Some of a segment's rows.
#[derive(Debug)]
pub(crate) struct RowSet {
    bits: Vec<u64>,
    len: usize,
}

impl RowSet {
    #[inline(always)]
    pub(crate) fn contains(&self, row: Slot) -> bool {
        self.bits[row.index() / 64] >> (row.index() % 64) & 1 == 1
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

impl Part {
    /// The live rows that pass `filter`. Every one is asked.
    pub(crate) fn matching(&self, filter: &Filter) -> RowSet {
        let mut set = RowSet { bits: vec![0; self.segment.table.len().div_ceil(64)], len: 0 };
        for row in self.dead.live_rows() {
            let point = self.view(row);
            if filter.matches(point.id(), &point.payload()) {
                set.bits[row as usize / 64] |= 1 << (row % 64);
                set.len += 1;
            }
        }
        set
    }
}
