//! What a caller chooses: how a compact graph is built, and how far a search looks.

use crate::params::ParamsError;
use crate::qgraph::QuantizedParams;
use crate::quant::nested::Bits;

/// How a [`CompactGraph`](super::CompactGraph) is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, bincode::Encode, bincode::Decode)]
pub struct CompactParams {
    /// How the graph is grown: as that of a [`QuantizedGraph`](crate::QuantizedGraph).
    pub graph: QuantizedParams,
    /// Whether vectors are kept in the element type of the spec beside their codes, and results scored on them. Whole numbers are exact
    /// without.
    pub keep_vectors: bool,
}

impl CompactParams {
    pub(super) fn validate(&self) -> Result<(), ParamsError> {
        self.graph.validate()
    }
}

/// How far one search looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CompactSearch {
    /// How many neighbours to return; fewer only where the index holds fewer.
    pub k: usize,
    /// By which part of the k-th result's distance (squared, for L2) the nearest candidate may lie beyond it before the search ends:
    /// 0.1 goes on until it is ten per cent farther. More finds more of the true neighbours.
    pub slack: f32,
    /// Bits of each coordinate that the walk reads. Fewer are faster and err more; results are scored on all eight in any case.
    pub bits: Bits,
    /// Nodes expanded at most.
    pub max_hops: usize,
}

impl CompactSearch {
    /// The default `slack`.
    pub const DEFAULT_SLACK: f32 = 0.15;
    /// The default `bits`.
    pub const DEFAULT_BITS: Bits = Bits::Four;

    /// The `k` nearest with a given `slack`.
    pub fn new(k: usize, slack: f32) -> Self {
        CompactSearch { k, slack, bits: Self::DEFAULT_BITS, max_hops: usize::MAX }
    }
}

impl Default for CompactSearch {
    fn default() -> Self {
        Self::new(10, Self::DEFAULT_SLACK)
    }
}
