//! What a caller chooses: how a quantized graph is built, and how far a search looks.

use crate::graph::leaves::Leaves;
use crate::metric::{ElementType, Metric};
use crate::params::{HnswParams, ParamsError, check};

/// How a [`QuantizedGraph`](super::QuantizedGraph) is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct QuantizedParams {
    /// Partitions in whose leaves rows are compared for the first graph.
    pub partitions: usize,
    /// Nearest rows kept of each row, from which the first graph's links are chosen.
    pub candidates: usize,
    /// Nodes expanded around each row when its links are chosen again.
    pub refine_hops: usize,
    /// Nodes that walks may begin at.
    pub entries: usize,
    /// Draws levels, rotation and entries; the same seed and rows give the same index.
    pub seed: u64,
}

impl QuantizedParams {
    /// The default `partitions`.
    pub const DEFAULT_PARTITIONS: usize = 10;
    /// The default `candidates`.
    pub const DEFAULT_CANDIDATES: usize = 96;
    /// The default `refine_hops`.
    pub const DEFAULT_REFINE_HOPS: usize = 64;
    /// The default `entries`.
    pub const DEFAULT_ENTRIES: usize = 256;

    pub(crate) fn validate(&self) -> Result<(), ParamsError> {
        check("partitions", self.partitions, 1, 1 << 10)?;
        check("candidates", self.candidates, 1, 1 << 10)?;
        check("refine_hops", self.refine_hops, 1, 1 << 16)?;
        check("entries", self.entries, 1, 1 << 16)
    }

    /// How nodes are linked.
    pub(super) fn graph(&self) -> HnswParams {
        HnswParams {
            m: super::DEGREE / 2,
            m0: super::DEGREE,
            ef_construction: self.candidates,
            keep_pruned: true,
            seed: self.seed,
        }
    }

    pub(super) fn leaves(&self) -> Leaves {
        Leaves { partitions: self.partitions, candidates: self.candidates }
    }
}

impl Default for QuantizedParams {
    fn default() -> Self {
        QuantizedParams {
            partitions: Self::DEFAULT_PARTITIONS,
            candidates: Self::DEFAULT_CANDIDATES,
            refine_hops: Self::DEFAULT_REFINE_HOPS,
            entries: Self::DEFAULT_ENTRIES,
            seed: HnswParams::DEFAULT_SEED,
        }
    }
}

/// How far one search looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuantizedSearch {
    /// How many neighbours to return; fewer only where the index holds fewer.
    pub k: usize,
    /// By which part of the k-th result's distance (squared, for L2) the nearest candidate may lie beyond it before the search ends:
    /// 0.1 goes on until it is ten per cent farther. More finds more of the true neighbours.
    pub slack: f32,
    /// Nodes expanded at most.
    pub max_hops: usize,
}

impl QuantizedSearch {
    /// The default `slack`.
    pub const DEFAULT_SLACK: f32 = 0.15;

    /// The `k` nearest with a given `slack`.
    pub fn new(k: usize, slack: f32) -> Self {
        QuantizedSearch { k, slack, max_hops: usize::MAX }
    }
}

impl Default for QuantizedSearch {
    fn default() -> Self {
        Self::new(10, Self::DEFAULT_SLACK)
    }
}

/// What one search did, or several together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QuantizedStats {
    /// Nodes expanded.
    pub hops: u64,
    /// Distances estimated from one-bit codes.
    pub estimates: u64,
    /// Distances computed from bytes: of every node expanded, and of the candidates scored at the end.
    pub distances: u64,
    /// Distances computed from full vectors.
    pub rescored: u64,
    /// Searches that compared rows one by one.
    pub scans: u64,
}

impl std::ops::AddAssign for QuantizedStats {
    fn add_assign(&mut self, other: Self) {
        self.hops += other.hops;
        self.estimates += other.estimates;
        self.distances += other.distances;
        self.rescored += other.rescored;
        self.scans += other.scans;
    }
}

/// Why rows cannot be put into a quantized graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a quantized graph of {element} by {metric}: expected f32 or f16 by l2 or cosine, or u8 by l2")]
pub struct Unsupported {
    pub(crate) metric: Metric,
    pub(crate) element: ElementType,
}
