//! How a filtered search goes about it, and what came of it.
//!
//! Once the rows that match are known there are four ways to the nearest of them. A *scan* compares each: exact, and cheap where few
//! match. A *coded scan* estimates those that do not lie far by one-bit codes, and compares those that may be among the nearest
//! (`sketch/`): an order of magnitude cheaper where many match, for indexes with a sketch. A *walk* goes through the graph as if there were no filter and keeps what
//! matches: good where many match. A *guided* walk stays among the rows that match (see `qgraph/gate.rs` and `graph/search.rs`): for what
//! lies between. Which is cheapest follows from costs measured on the index itself ([`Costs`]), and from what lies near the query: a walk
//! meets hardly anything else, so where more of it matches than elsewhere a walk is shorter, and where less does it is longer. A graph's entries
//! are drawn at random, and the nearest of them show it before anything is chosen, unless a scan is cheaper anyway. Where a walk has begun
//! and what matches turns out to lie elsewhere, it gives way to a guided one or a scan. A walk that exceeds
//! what the cheaper scan would have cost, or finds fewer than `k` rows, ends in that scan: `k` rows are found wherever `k` match, and no
//! search costs more than about two scans.

mod cost;

pub(crate) use cost::{Asked, Course, Near, Probe, timed};
pub use cost::{CodedCosts, Costs};

/// A way to the nearest rows that match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Plan {
    /// No row matches.
    Nothing,
    /// Compare every row that matches.
    Scan,
    /// Estimate the rows that match by their one-bit codes, but for those that lie far, and compare those that may be among the nearest: the
    /// part of them that is found is as asked for, 99 of a hundred unless another is; with a filter no less than that.
    Coded,
    /// Walk through all rows, keep those that match.
    Walk,
    /// Walk among the rows that match.
    Guided,
}

/// What a filtered search did, and why.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Explain {
    /// The way that was chosen.
    pub plan: Plan,
    /// Rows that match.
    pub matching: usize,
    /// Rows there are.
    pub rows: usize,
    /// What a scan was expected to take, in microseconds; zero where there was no choice.
    pub scan_us: f32,
    /// What a coded scan was expected to take; infinite (`null` in JSON) where rows have no codes for it.
    pub coded_us: f32,
    /// What a walk was expected to take.
    pub walk_us: f32,
    /// What a guided walk was expected to take; infinite (`null` in JSON) where too few rows match for one, or the index has none.
    pub guided_us: f32,
    /// Distances estimated from one-bit codes, by a coded scan or on the way of a walk.
    pub estimates: u64,
    /// Distances computed from vectors, or from codes of several bits, estimates not counted.
    pub distances: u64,
    /// Nodes expanded.
    pub hops: u64,
    /// Whether the walk was given up for a scan, coded where that is cheaper.
    pub fell_back: bool,
}

impl Explain {
    /// Whether hits come of a coded scan, at once or after a walk.
    pub(crate) fn is_by_codes(&self) -> bool {
        self.plan == Plan::Coded || (self.fell_back && self.coded_us < self.scan_us)
    }

    /// Of a way that was not a matter of choice.
    pub(crate) fn of(plan: Plan, matching: usize, rows: usize, distances: u64) -> Self {
        Explain {
            plan,
            matching,
            rows,
            scan_us: 0.0,
            coded_us: 0.0,
            walk_us: 0.0,
            guided_us: 0.0,
            estimates: 0,
            distances,
            hops: 0,
            fell_back: false,
        }
    }
}
