//! One search, hop by hop, and several at once.
//!
//! A hop expands the nearest unexpanded candidate: its exact distance from its bytes, estimates of its 32 neighbours from their codes,
//! those below the bound into the frontier (SymphonyQG, arXiv:2411.12229). A walk ends when the nearest candidate is farther than the
//! k-th result by more than a given part (distance-adaptive beam search, arXiv:2505.15636), and then scores the best candidates it did
//! not expand.
//!
//! A hop waits for some forty cache lines. In a batch a thread therefore walks for a few queries in turn, and while it scans the row of
//! one it asks for the row that another will need ([`Batch`]); every turn ends by asking for what the walk's next one will read ([`Stage`]).

use crate::distance::fastscan::{LANES, Table, Units};
use crate::distance::prefetch::prefetch;
use crate::distance::simd::{Simd, Task};
use crate::metric::Metric;
use crate::planner::Near;
use crate::quant::byte::{ByteQuery, Scale};
use crate::quant::frame::square_of;
use crate::quant::rotation::Rotation;
use crate::visited::Visited;

use super::elsewhere::Elsewhere;
use super::entry::Entries;
use super::frontier::Frontier;
use super::gate::{Doubt, Gate, WIDER};
use super::layout::{LINE, Layout, Row};

#[cfg(feature = "probe")]
pub(super) mod probe;
#[cfg(test)]
mod tests;

/// What walks read.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) rows: &'a [u8],
    pub(super) layout: Layout,
    pub(super) nodes: usize,
    pub(super) entries: &'a Entries,
    pub(super) rotation: &'a Rotation,
    pub(super) mean: &'a [f32],
    pub(super) scale: Scale,
    pub(super) metric: Metric,
    pub(super) units: Units,
    /// The bytes of full vectors, and how many there are for each; none where results are not scored again.
    pub(super) full: (&'a [u8], usize),
}

/// How far a walk goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Results that are asked for, at most `k`.
    pub(super) results: usize,
    /// Results whose k-th distance is the measure of the stop rule.
    pub(super) k: usize,
    /// Nodes of its own after which results found elsewhere count there; `None` where they do not.
    pub(super) joins_after: Option<usize>,
    /// Results kept, at least `k`.
    pub(super) keep: usize,
    /// The part by which the nearest candidate may be farther than the k-th result.
    pub(super) slack: f32,
    /// Nodes expanded at most.
    pub(super) max_hops: usize,
    /// Unexpanded candidates scored at the end.
    pub(super) rescored: usize,
}

/// What a walk did.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) hops: u64,
    pub(super) estimates: u64,
    pub(super) distances: u64,
    /// It had more to expand than it was allowed.
    pub(super) cut: bool,
}

/// The state and buffers of one walk.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// The query, scaled to length one under cosine.
    pub(super) query: Vec<f32>,
    rotated: Vec<f32>,
    pub(super) bytes: ByteQuery,
    table: Table,
    frontier: Frontier,
    visited: Visited,
    /// The nearest nodes expanded or scored, nearest first: distance by their bytes, slot.
    pub(super) found: Vec<(f32, u32)>,
    /// Beyond this no candidate is expanded.
    stop: f32,
    /// Beyond this no candidate is kept.
    bound: f32,
    /// The estimated distances of the entries, whether the walk may begin at them or not; known where they were looked at.
    entries: Vec<[f32; LANES]>,
    /// A buffer for the same.
    order: Vec<f32>,
    /// What was found in other graphs, and by scans.
    pub(super) elsewhere: Elsewhere,
    /// Where results found elsewhere count: the distances of the nearest nodes expanded or scored, whether they are results or not, nearest
    /// first. The walk has come near once there are `joins_after`; that is zero where there are no such results.
    near: Vec<f32>,
    joins_after: usize,
    /// Slack that was added on the way.
    wider: f32,
    stage: Stage,
    /// The nodes whose vectors have been asked for, to be scored in the next turn.
    pending: Vec<u32>,
    pub(super) counts: Counts,
}

/// What a walk does in its next turn. Each ends by asking for the memory that the next will read.
#[derive(Debug, Clone, Copy, Default)]
enum Stage {
    /// Scores the entries.
    #[default]
    Enter,
    /// Expands a node.
    Hop(u32),
    /// Scores the nearest candidates that were not expanded.
    Score,
    /// The full vectors of what was found are on their way.
    Read,
}

impl<'a> Field<'a> {
    #[inline(always)]
    fn row(&self, node: u32) -> Row<'a> {
        Row::new(&self.rows[node as usize * self.layout.stride..], self.layout)
    }
}

impl Walk {
    /// Begins a search of several graphs.
    pub(super) fn begin(&mut self) {
        self.elsewhere.clear();
    }

    /// Begins the search for `self.query`, as if the node `except` were not there; entries may have been [looked](Walk::look) at for it.
    #[inline(always)]
    fn start<S: Simd, G: Gate>(
        &mut self,
        simd: S,
        field: Field<'_>,
        limits: Limits,
        gate: &G,
        (looked, except): (bool, Option<u32>),
    ) {
        self.found.clear();
        self.frontier.clear(limits.max_hops.saturating_add(limits.rescored));
        self.visited.reset(field.nodes);
        self.visited.insert(except.as_slice());
        self.counts = Counts::default();
        (self.stop, self.bound) = (f32::INFINITY, f32::INFINITY);
        self.stage = Stage::Enter;
        self.pending.clear();
        self.wider = 0.0;
        let joined = limits.joins_after.filter(|_| self.elsewhere.len() >= limits.results);
        self.joins_after = joined.map_or(0, |after| after.min(limits.k));
        self.near.clear();
        if G::DOUBTS {
            if !looked {
                self.look(simd, field);
            }
            let entries = field.entries.nearest_of(simd, &self.entries, |node| gate.starts(node));
            self.enter(field, entries.chain(gate.seeds().iter().copied()));
        } else {
            self.set_query(simd, field);
            let entries = field.entries.nearest(simd, &self.table, field.units);
            self.enter(field, entries);
        }
        if G::DOUBTS && self.is_hopeless(simd, field, gate) {
            self.counts.cut = true;
            self.stage = Stage::Read;
        }
    }

    /// Makes ready to search for `self.query`, and estimates the distances of all entries.
    #[inline(always)]
    fn look<S: Simd>(&mut self, simd: S, field: Field<'_>) {
        self.set_query(simd, field);
        let from_mean = self.distance_from_mean(field.metric);
        field.entries.estimate(simd, &self.table, field.units, from_mean, &mut self.entries);
    }

    /// Asks for the nodes that the walk begins at.
    #[inline(always)]
    fn enter(&mut self, field: Field<'_>, entries: impl Iterator<Item = u32>) {
        for entry in entries {
            fetch(field.row(entry).front());
            self.pending.push(entry);
        }
    }

    /// Whether the gate gives the walk up, seeing how many entries are nearer than the first it accepts.
    #[inline(always)]
    fn is_hopeless<S: Simd>(&self, simd: S, field: Field<'_>, gate: &impl Gate) -> bool {
        let mut first = f32::INFINITY;
        for (&estimate, &slot) in self.entries.as_flattened().iter().zip(field.entries.slots.as_slice()) {
            first = if estimate < first && gate.accepts(slot) { estimate } else { first };
        }
        gate.despairs(self.entries_within(simd, first))
    }

    /// Makes of `self.query` what rows are compared with.
    #[inline(always)]
    fn set_query<S: Simd>(&mut self, simd: S, field: Field<'_>) {
        let centred = self.query.iter().zip(field.mean).map(|(x, mean)| x - mean);
        field.rotation.rotate(simd, centred, &mut self.rotated);
        self.table.set(simd, &self.rotated);
        self.bytes.set(&self.query, field.scale, field.metric);
    }

    #[inline(always)]
    fn distance_from_mean(&self, metric: Metric) -> f32 {
        let square = square_of(&self.rotated);
        if metric == Metric::L2 { square } else { 0.5 * square }
    }

    /// One turn; whether the walk is over. The lines of `ahead` are asked for on the way.
    #[inline(always)]
    fn turn<S: Simd>(&mut self, simd: S, field: Field<'_>, limits: Limits, gate: &impl Gate, ahead: &[u8]) -> bool {
        match self.stage {
            Stage::Enter => {
                for at in 0..self.pending.len() {
                    let distance = self.distance(simd, field.row(self.pending[at]));
                    self.frontier.push(distance, self.pending[at]);
                }
                self.advance(simd, field, limits, gate);
            }
            Stage::Hop(node) => {
                self.expand(simd, field, node, limits, gate, ahead);
                self.advance(simd, field, limits, gate);
            }
            Stage::Score => {
                for at in 0..self.pending.len() {
                    let distance = self.distance(simd, field.row(self.pending[at]));
                    self.take(distance, self.pending[at], limits, gate);
                }
                if limits.joins_after.is_some() {
                    self.elsewhere.add(self.found.iter().map(|found| found.0), limits.k);
                }
                let (full, bytes) = field.full;
                if bytes == 0 {
                    return true;
                }
                self.drop_surely_farther(field, limits.results);
                self.found.iter().for_each(|found| fetch(&full[found.1 as usize * bytes..][..bytes]));
                self.stage = Stage::Read;
            }
            Stage::Read => return true,
        }
        false
    }

    /// How many entries are estimated to be nearer than `distance`.
    #[inline(always)]
    fn entries_within<S: Simd>(&self, simd: S, distance: f32) -> usize {
        self.entries.iter().map(|block| simd.below(block, distance).count_ones() as usize).sum()
    }

    #[inline(always)]
    fn distance<S: Simd>(&mut self, simd: S, row: Row<'_>) -> f32 {
        self.counts.distances += 1;
        self.bytes.distance(simd, row.vector(), row.terms())
    }

    /// Chooses the node to expand next, or what to score at the end.
    #[inline(always)]
    fn advance<S: Simd, G: Gate>(&mut self, simd: S, field: Field<'_>, limits: Limits, gate: &G) {
        while let Some((estimate, node)) = self.frontier.pop(simd) {
            let spent = self.counts.hops as usize >= limits.max_hops;
            if estimate > self.stop || spent {
                self.counts.cut = spent && estimate <= self.stop;
                self.frontier.push(estimate, node);
                if G::DOUBTS && !spent && self.wider == 0.0 {
                    match gate.doubts(self.entries_within(simd, self.found[limits.k - 1].0)) {
                        Doubt::None => {}
                        Doubt::GiveUp => self.counts.cut = true,
                        Doubt::Widen => {
                            self.wider = WIDER;
                            self.set_bounds(limits);
                            continue;
                        }
                    }
                }
                break;
            }
            if self.visited.add(node) {
                self.stage = Stage::Hop(node);
                return;
            }
        }
        self.stage = Stage::Score;
        self.pending.clear();
        while self.pending.len() < limits.rescored {
            let Some((_, node)) = self.frontier.pop(simd) else { break };
            if self.visited.add(node) {
                fetch(field.row(node).front());
                self.pending.push(node);
            }
        }
    }

    #[inline(always)]
    fn expand<S: Simd>(
        &mut self,
        simd: S,
        field: Field<'_>,
        node: u32,
        limits: Limits,
        gate: &impl Gate,
        ahead: &[u8],
    ) {
        let row = field.row(node);
        let (first, ahead) = ahead.split_at(ahead.len().min(8 * 64));
        fetch(first);
        let distance = self.distance(simd, row);
        self.take(distance, node, limits, gate);
        let (mut estimates, bound) = ([0.0; LANES], self.bound.min(self.frontier.limit()));
        let below = simd.estimates(row.block(field.units), &self.table, distance, bound, ahead, &mut estimates);
        let below = self.visited.unseen(simd, row.slots(), below);
        let chosen = gate.lanes(node, row.slots(), &estimates, below);
        self.frontier.extend(simd, chosen, (&estimates, row.slots()), bound);
        self.counts.hops += 1;
        self.counts.estimates += LANES as u64;
    }

    /// A result, if it is near enough and accepted.
    #[inline(always)]
    fn take(&mut self, distance: f32, node: u32, limits: Limits, gate: &impl Gate) {
        let full = self.found.len() == limits.keep;
        let is_found = !(full && distance >= self.found[limits.keep - 1].0) && gate.accepts(node);
        if is_found {
            if full {
                self.found.pop();
            }
            let at = self.found.partition_point(|found| *found < (distance, node));
            self.found.insert(at, (distance, node));
        }
        let is_nearer = self.comes_nearer(distance);
        let enough = if self.is_joined() { self.near.len() == self.joins_after } else { self.found.len() >= limits.k };
        if enough && (is_found || is_nearer) {
            self.set_bounds(limits);
        }
    }

    /// Takes the distance of a node of its own, if results found elsewhere count. Whether it is one of the nearest so far.
    #[inline(always)]
    fn comes_nearer(&mut self, distance: f32) -> bool {
        let at = self.near.partition_point(|&near| near < distance);
        let is_nearer = at < self.joins_after;
        if is_nearer {
            self.near.truncate(self.joins_after - 1);
            self.near.insert(at, distance);
        }
        is_nearer
    }

    /// Whether it may end with fewer results than were asked for, as others were found elsewhere.
    pub(super) fn is_joined(&self) -> bool {
        self.joins_after > 0
    }

    /// Where the walk ends, with as many results as it needs.
    #[inline(always)]
    fn set_bounds(&mut self, limits: Limits) {
        let (farthest, slack) = (self.measure(limits), limits.slack + self.wider);
        self.stop = farthest + slack * farthest.abs();
        self.bound = farthest + slack.max(LEAST_ROOM) * farthest.abs();
    }

    /// The distance by which the walk ends.
    #[inline(always)]
    fn measure(&self, limits: Limits) -> f32 {
        if !self.is_joined() {
            return self.found[limits.k - 1].0;
        }
        self.elsewhere.kth_with(&self.found, limits.k).max(self.near[self.joins_after - 1])
    }

    /// Of the results beyond the k-th, keeps those that the errors of bytes may have put behind it.
    #[inline(always)]
    fn drop_surely_farther(&mut self, field: Field<'_>, k: usize) {
        if let Some(&(distance, node)) = self.found.get(k.wrapping_sub(1)) {
            let reach = distance + self.bytes.margin(field.row(node).terms());
            self.found.truncate(self.found.partition_point(|found| found.0 <= reach).max(k));
        }
    }

    /// The row that the next turn will read, if it is a hop.
    #[inline(always)]
    fn next_row<'a>(&self, field: Field<'a>) -> &'a [u8] {
        match self.stage {
            Stage::Hop(node) => field.row(node).bytes(),
            _ => &[],
        }
    }
}

/// Asks for the lines of `bytes`.
#[inline(always)]
pub(super) fn fetch(bytes: &[u8]) {
    bytes.chunks(LINE).for_each(|line| prefetch(line.as_ptr()));
}

/// Candidates are kept this part beyond the k-th result, however early the walk stops: some are scored at the end.
const LEAST_ROOM: f32 = 0.05;

/// Looks at the entries for the query of a walk: which part of those near it `matches`.
pub(super) struct Look<'a, M> {
    pub(super) field: Field<'a>,
    pub(super) walk: &'a mut Walk,
    pub(super) matches: M,
}

impl<M: Fn(u32) -> bool> Task for Look<'_, M> {
    type Output = Near;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Near {
        let Look { field, walk, matches } = self;
        walk.look(simd, field);
        field.entries.near(&walk.entries, &mut walk.order, matches)
    }
}

/// Searches a few at a time on one thread.
pub(super) struct Batch<'a, Q, G, F> {
    pub(super) field: Field<'a>,
    pub(super) limits: Limits,
    pub(super) queries: usize,
    /// Writes a query's vector, as [`Walk::query`] has it, and names a node to pass over, if there is one.
    pub(super) query: Q,
    /// Whether entries were [looked](Look) at for it, where there is but one.
    pub(super) looked: bool,
    pub(super) gate: G,
    /// Takes what a query's walk found.
    pub(super) done: F,
    /// As many walks as go on side by side.
    pub(super) walks: &'a mut [Walk],
}

impl<Q, G, F> Task for Batch<'_, Q, G, F>
where
    Q: FnMut(usize, &mut Vec<f32>) -> Option<u32>,
    G: Gate,
    F: FnMut(usize, &mut Walk),
{
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let (field, limits, width) = (self.field, self.limits, self.walks.len());
        let mut waiting = 0..self.queries;
        // The query each walk is for.
        let mut current: [Option<usize>; MAX_WIDTH] = [None; MAX_WIDTH];
        let mut index = 0;
        loop {
            let before = (index + width - 1) % width;
            let ahead = if current[before].is_some() && width > 1 { self.walks[before].next_row(field) } else { &[] };
            let walk = &mut self.walks[index];
            if let Some(query) = current[index] {
                if walk.turn(simd, field, limits, &self.gate, ahead) {
                    (self.done)(query, walk);
                    current[index] = None;
                } else if width == 1 {
                    fetch(walk.next_row(field));
                }
            }
            if current[index].is_none()
                && let Some(query) = waiting.next()
            {
                let except = (self.query)(query, &mut walk.query);
                walk.start(simd, field, limits, &self.gate, (self.looked, except));
                current[index] = Some(query);
            }
            if current[..width].iter().all(Option::is_none) {
                return;
            }
            index = (index + 1) % width;
        }
    }
}

/// Walks side by side at most.
pub(super) const MAX_WIDTH: usize = 8;
