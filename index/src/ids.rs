//! The two id spaces, kept apart by type: what the caller calls a point, and where it lies.

use serde::{Deserialize, Serialize};

/// A point's id as its owner knows it; stable over updates and files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PointId(pub u64);

/// A row of one index: `0..len`, in insertion order. Never shown to a caller who did not ask for rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Slot(pub u32);

impl Slot {
    /// Rows an index can hold: the top bit and the all-ones word are taken by flags inside the graph.
    pub const MAX_ROWS: usize = (1 << 31) - 1;

    /// The row number, for indexing.
    #[inline(always)]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl std::fmt::Display for PointId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
