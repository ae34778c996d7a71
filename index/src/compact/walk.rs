//! One search, hop by hop, and several at once.
//!
//! A hop takes two turns, each of which ends by asking for the memory that the next one reads: the first gathers the neighbours not seen
//! before, the second estimates their distances from a few bits of each coordinate, puts those below the bound into the frontier, and
//! takes the nearest out of it. A walk ends when that is farther than the k-th nearest met by more than a given part
//! (distance-adaptive beam search, arXiv:2505.15636). Of all nodes met, those that the errors of estimates may have kept from being among
//! the k nearest are then scored on all eight bits: with the deviations that codes state, a few more than k.
//!
//! In a batch a thread walks for several queries in turn ([`Batch`]), so that none waits for its memory.

use crate::distance::fastscan::{LANES, Table, Units};
use crate::distance::prefetch::prefetch;
use crate::distance::simd::{Simd, Task};
use crate::graph::links::NONE;
use crate::planner::Near;
use crate::qgraph::DEGREE;
use crate::qgraph::entry::Entries;
use crate::qgraph::frontier::Frontier;
use crate::quant::codes::{CodeQuery, Codes};
use crate::quant::nested::Bits;
use crate::visited::Visited;

/// What walks read.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) codes: &'a Codes,
    /// `[nodes × DEGREE]`.
    pub(super) links: &'a [u32],
    pub(super) entries: &'a Entries,
    /// Of the entries' codes.
    pub(super) units: Units,
    /// The standard deviation of a row's estimate at four bits, in the mean, for a query at length one from the centre.
    pub(super) deviation: f32,
    /// The bytes of kept vectors, and how many there are for each; none where results are not scored again.
    pub(super) full: (&'a [u8], usize),
}

/// How far a walk goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Results that are asked for, at most `k`.
    pub(super) results: usize,
    /// Results whose k-th distance is the measure of the stop rule.
    pub(super) k: usize,
    /// The part by which the nearest candidate may be farther than the k-th result.
    pub(super) slack: f32,
    /// Nodes expanded at most.
    pub(super) max_hops: usize,
    /// Bits of a coordinate that the walk reads.
    pub(super) bits: Bits,
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
    pub(super) code: CodeQuery,
    table: Table,
    /// The estimates of entries that were looked at, and a buffer for the same.
    entries: Vec<[f32; LANES]>,
    order: Vec<f32>,
    frontier: Frontier,
    visited: Visited,
    /// The k least estimates of nodes that may be results, the least first.
    nearest: Vec<f32>,
    /// The nodes met that may be results and were below the bound then.
    met: Vec<(f32, u32)>,
    /// The nearest of them, scored on eight bits, nearest first: at least as many as are asked for, if there are.
    pub(super) found: Vec<(f32, u32)>,
    /// Beyond this no candidate is expanded.
    stop: f32,
    /// Beyond this no candidate is kept.
    bound: f32,
    /// By how much estimates may err, two against each other.
    margin: f32,
    stage: Stage,
    /// The nodes whose codes have been asked for.
    pending: [u32; LANES],
    count: usize,
    pub(super) counts: Counts,
}

/// What a walk does in its next turn.
#[derive(Debug, Clone, Copy, Default)]
enum Stage {
    /// Gathers the neighbours of a node.
    Gather(u32),
    /// Scores what was gathered.
    #[default]
    Score,
    /// Scores the nearest on all bits.
    Finish,
    /// The kept vectors of what was found are on their way.
    Read,
}

/// Standard deviations that the difference of two estimates may err by, for the farther to be taken for the nearer.
const DEVIATIONS: f32 = 3.0;

/// Candidates are kept this part beyond the k-th result, however early the walk stops.
const LEAST_ROOM: f32 = 0.05;

/// How much larger than at four bits the deviation is at two.
const TWO_BITS: f32 = 3.7;

impl Walk {
    /// Makes of `self.query` what rows are compared with.
    #[inline(always)]
    fn set_query<S: Simd>(&mut self, simd: S, field: Field<'_>) {
        field.codes.set(simd, &mut self.code, &self.query);
        self.table.set(simd, &self.code.rotated);
    }

    /// Begins the search for `self.query`, as if the node `except` were not there; it may have been [looked](Look) at the entries for it.
    #[inline(always)]
    fn start<S: Simd>(&mut self, simd: S, field: Field<'_>, limits: Limits, (looked, except): (bool, Option<u32>)) {
        if !looked {
            self.set_query(simd, field);
        }
        self.nearest.clear();
        self.met.clear();
        self.found.clear();
        self.frontier.clear(limits.max_hops);
        self.visited.reset(field.codes.len());
        self.visited.insert(except.as_slice());
        self.counts = Counts::default();
        (self.stop, self.bound) = (f32::INFINITY, f32::INFINITY);
        let deviation = field.deviation * self.code.length() * std::f32::consts::SQRT_2 * DEVIATIONS;
        self.margin = match limits.bits {
            Bits::Two => TWO_BITS * deviation,
            Bits::Four => deviation,
            Bits::Eight => 0.0,
        };
        self.count = 0;
        for entry in field.entries.nearest(simd, &self.table, field.units) {
            if self.visited.add(entry) {
                field.codes.fetch(limits.bits, entry);
                self.pending[self.count] = entry;
                self.count += 1;
            }
        }
        self.stage = Stage::Score;
    }

    /// One turn; whether the walk is over.
    #[inline(always)]
    fn turn<S: Simd>(&mut self, simd: S, field: Field<'_>, limits: Limits, accept: &impl Fn(u32) -> bool) -> bool {
        match self.stage {
            Stage::Gather(node) => {
                self.gather(field, limits, node);
                self.stage = Stage::Score;
            }
            Stage::Score => {
                self.score(simd, field, limits, accept);
                self.advance(simd, field, limits);
            }
            Stage::Finish => {
                self.finish(simd, field, limits);
                let (full, bytes) = field.full;
                if bytes == 0 {
                    return true;
                }
                self.found.iter().for_each(|found| fetch(&full[found.1 as usize * bytes..][..bytes]));
                self.stage = Stage::Read;
            }
            Stage::Read => return true,
        }
        false
    }

    /// Asks for the codes of the neighbours not seen before.
    #[inline(always)]
    fn gather(&mut self, field: Field<'_>, limits: Limits, node: u32) {
        let list: &[u32; DEGREE] = field.links[node as usize * DEGREE..].first_chunk().expect("a row of links");
        let mut len = 0;
        for &slot in list {
            len += usize::from(slot != NONE);
        }
        let unseen = self.visited.insert(&list[..len]);
        self.count = unseen.len();
        for (pending, &slot) in self.pending.iter_mut().zip(unseen) {
            *pending = slot;
            field.codes.fetch(limits.bits, slot);
        }
        self.counts.hops += 1;
    }

    #[inline(always)]
    fn score<S: Simd>(&mut self, simd: S, field: Field<'_>, limits: Limits, accept: &impl Fn(u32) -> bool) {
        let (mut estimates, count) = ([f32::INFINITY; LANES], self.count);
        field.codes.estimates(simd, &mut self.code, limits.bits, &self.pending[..count], &mut estimates[..count]);
        self.counts.estimates += count as u64;
        let bound = self.bound;
        let below = simd.below(&estimates, bound);
        self.frontier.extend(simd, below, (&estimates, &self.pending), bound);
        let mut lanes = below;
        while lanes != 0 {
            let lane = lanes.trailing_zeros() as usize;
            lanes &= lanes - 1;
            let (estimate, slot) = (estimates[lane], self.pending[lane]);
            if !accept(slot) {
                continue;
            }
            self.met.push((estimate, slot));
            self.rank(estimate, limits);
        }
    }

    /// Puts an estimate among the nearest, if it belongs there.
    #[inline(always)]
    fn rank(&mut self, estimate: f32, limits: Limits) {
        if self.nearest.len() < limits.k {
            self.nearest.push(estimate);
        } else if estimate >= self.nearest[limits.k - 1] {
            return;
        }
        let mut at = self.nearest.len() - 1;
        while at > 0 && self.nearest[at - 1] > estimate {
            self.nearest[at] = self.nearest[at - 1];
            at -= 1;
        }
        self.nearest[at] = estimate;
        if self.nearest.len() == limits.k {
            let farthest = self.nearest[limits.k - 1];
            self.stop = farthest + limits.slack * farthest.abs();
            let room = (limits.slack.max(LEAST_ROOM) * farthest.abs()).max(self.margin);
            self.bound = farthest + room;
        }
    }

    /// Chooses the node to expand next, or what to score at the end.
    #[inline(always)]
    fn advance<S: Simd>(&mut self, simd: S, field: Field<'_>, limits: Limits) {
        if let Some((estimate, node)) = self.frontier.pop(simd)
            && estimate <= self.stop
        {
            if (self.counts.hops as usize) < limits.max_hops {
                let list = &field.links[node as usize * DEGREE..][..DEGREE];
                fetch(bytemuck::cast_slice(list));
                self.stage = Stage::Gather(node);
                return;
            }
            self.counts.cut = true;
        }
        let farthest = self.nearest.get(limits.results - 1).or(self.nearest.last());
        let reach = farthest.map_or(f32::INFINITY, |farthest| farthest + self.margin);
        self.met.retain(|met| met.0 <= reach);
        for &(_, slot) in &self.met {
            field.codes.fetch_fine(slot);
        }
        self.stage = Stage::Finish;
    }

    /// Scores what was met on all bits, and sorts it.
    #[inline(always)]
    fn finish<S: Simd>(&mut self, simd: S, field: Field<'_>, limits: Limits) {
        for &(estimate, slot) in &self.met {
            let distance = match limits.bits {
                Bits::Eight => estimate,
                _ => field.codes.finest(simd, &self.code, slot),
            };
            self.found.push((distance, slot));
        }
        if limits.bits != Bits::Eight {
            self.counts.distances += self.met.len() as u64;
        }
        self.found.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let results = limits.results;
        if let Some(&(distance, node)) = self.found.get(results - 1) {
            let reach = match field.full.1 {
                0 => distance,
                _ => distance + margin(field.codes, &self.code, node),
            };
            self.found.truncate(self.found.partition_point(|found| found.0 <= reach).max(results));
        }
    }
}

/// By how much the distance to `node` from all its bits may be in the wrong order with another.
#[inline(always)]
pub(super) fn margin(codes: &Codes, query: &CodeQuery, node: u32) -> f32 {
    DEVIATIONS * std::f32::consts::SQRT_2 * codes.deviation(query, Bits::Eight, node)
}

/// Asks for the lines of `bytes`.
#[inline(always)]
fn fetch(bytes: &[u8]) {
    bytes.chunks(64).for_each(|line| prefetch(line.as_ptr()));
}

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
        walk.set_query(simd, field);
        let Walk { table, entries, order, .. } = walk;
        // What all estimates have in common does not matter here.
        field.entries.estimate(simd, table, field.units, 0.0, entries);
        field.entries.near(entries, order, matches)
    }
}

/// Searches a few at a time on one thread.
pub(super) struct Batch<'a, Q, A, F> {
    pub(super) field: Field<'a>,
    pub(super) limits: Limits,
    pub(super) queries: usize,
    /// Writes a query's vector, as [`Walk::query`] has it, and names a node to pass over, if there is one.
    pub(super) query: Q,
    /// Whether entries were [looked](Look) at for it, where there is but one.
    pub(super) looked: bool,
    pub(super) accept: A,
    /// Takes what a query's walk found.
    pub(super) done: F,
    /// As many walks as go on side by side.
    pub(super) walks: &'a mut [Walk],
}

impl<Q, A, F> Task for Batch<'_, Q, A, F>
where
    Q: FnMut(usize, &mut Vec<f32>) -> Option<u32>,
    A: Fn(u32) -> bool,
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
            let walk = &mut self.walks[index];
            if let Some(query) = current[index]
                && walk.turn(simd, field, limits, &self.accept)
            {
                (self.done)(query, walk);
                current[index] = None;
            }
            if current[index].is_none()
                && let Some(query) = waiting.next()
            {
                let except = (self.query)(query, &mut walk.query);
                walk.start(simd, field, limits, (self.looked, except));
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
