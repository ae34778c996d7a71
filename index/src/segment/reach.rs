//! What a search of a segment is after, and what it did there.

use serde::Serialize;

use crate::compact::CompactSearch;
use crate::params::SearchParams;
use crate::planner::Plan;
use crate::qgraph::QuantizedStats;
use crate::quant::nested::Bits;

/// How far the walk of one search goes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Depth {
    /// As far as a beam of this width.
    Beam(usize),
    /// Until the nearest candidate is farther than the last result by this part.
    Slack(f32),
}

impl Depth {
    /// As far, where no more than `rows` rows may be results.
    pub(crate) fn among(self, rows: usize) -> Self {
        match self {
            Depth::Beam(ef) => Depth::Beam(ef.min(rows)),
            slack => slack,
        }
    }

    /// As far past the `k`-th result, counted in rows that may be results or not, of which `dead` of `rows` may not.
    pub(crate) fn past(self, dead: usize, rows: usize, k: usize) -> Self {
        match self {
            Depth::Beam(ef) => Depth::Beam(ef - ef.saturating_sub(k) * dead / rows),
            slack => slack,
        }
    }
}

/// What a walk is after.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reach {
    pub(crate) k: usize,
    pub(crate) depth: Depth,
    /// Bits of each coordinate that the walk through a compact graph reads; by default [`CompactSearch::DEFAULT_BITS`].
    pub(crate) bits: Option<Bits>,
}

impl Reach {
    pub(super) fn bits(self) -> Bits {
        self.bits.unwrap_or(CompactSearch::DEFAULT_BITS)
    }

    /// Of a graph that is walked by beams alone.
    pub(super) fn beam(self) -> SearchParams {
        let ef = match self.depth {
            Depth::Beam(ef) => ef,
            Depth::Slack(_) => SearchParams::DEFAULT_EF,
        };
        SearchParams::new(self.k, ef)
    }
}

/// What a search without a filter did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    pub(crate) plan: Plan,
    pub(crate) estimates: u64,
    pub(crate) distances: u64,
    pub(crate) hops: u64,
}

impl From<QuantizedStats> for Way {
    fn from(stats: QuantizedStats) -> Self {
        let QuantizedStats { hops, estimates, distances, rescored, .. } = stats;
        Way { plan: Plan::Walk, estimates, distances: distances + rescored, hops }
    }
}
