//! Buffers that a thread keeps from search to search, so that a search allocates nothing.

use crate::graph::search::Walk;
use crate::mask::Mask;
use crate::pool::Pool;
use crate::vectors::dense::Line;

/// The buffers of one search. Any index may use it, one search at a time; results do not depend on what it was used for before.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(crate) query: Vec<Line>,
    pub(crate) walk: Walk,
    /// The nearest rows that a filter lets through.
    pub(crate) accepted: Pool,
    /// Nodes of a filter, where rows that match hang behind nodes that do not.
    pub(crate) nodes: Mask,
    /// Where a walk among some of the rows begins.
    pub(crate) seeds: Vec<u32>,
    /// The rows of a filter, for a scan.
    pub(crate) slots: Vec<u32>,
}

impl Scratch {
    /// Empty buffers, which grow with the first searches.
    pub fn new() -> Self {
        Self::default()
    }
}
