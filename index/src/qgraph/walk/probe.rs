//! What the parts of a search cost: each is run again and again, alone, on what real searches read.
//!
//! Repeated on one query, everything it reads lies in the caches of the core, so these are the times of the work itself. What a search in a
//! batch of many queries takes beyond them it spends waiting for memory. The parts are the walk's own functions, compiled for the same
//! instruction set; only the loops around them are this file's.

use std::hint::black_box;
use std::time::Instant;

use crate::distance::fastscan::LANES;
use crate::distance::simd::{Simd, Task, dispatch, isa};
use crate::query::SearchError;
use crate::rows::Rows;

use super::super::frontier::Frontier;
use super::super::gate::Open;
use super::super::layout::LINE;
use super::super::{QuantizedGraph, QuantizedSearch, load};
use super::{Field, Limits, Stage, Walk};

/// Nanoseconds per query, of everything in the caches.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Parts {
    /// Rotating the query, and making its table and its bytes.
    pub query_ns: f64,
    /// Scoring the entries.
    pub entries_ns: f64,
    /// Estimates of the neighbours of every node expanded.
    pub scan_ns: f64,
    /// Distances from bytes: of entries, of nodes expanded, of candidates scored at the end.
    pub bytes_ns: f64,
    /// Keeping candidates, taking out the nearest, skipping those seen.
    pub candidates_ns: f64,
    /// The whole walk, all of the above and keeping its results.
    pub walk_ns: f64,
}

/// What a walk read and did, enough to do parts of it again.
struct Trace {
    query: Vec<f32>,
    /// Nodes expanded, with the exact distance and the bound at their turn.
    hops: Vec<(u32, f32, f32)>,
    /// Entries, and candidates scored at the end.
    scored: Vec<u32>,
}

/// Times the parts of walks for `queries`.
struct Probe<'a> {
    field: Field<'a>,
    limits: Limits,
    /// As a walk has them.
    queries: &'a [Vec<f32>],
    /// How often each part is repeated on one query; the first time, which brings everything into the caches, does not count.
    repeats: usize,
}

impl QuantizedGraph {
    /// Times the parts of searches for `queries`, each part `repeats` times on one query, so with all it reads in the caches: means over the
    /// queries. Errors as [`search`](QuantizedGraph::search) does.
    pub fn probe(&self, queries: Rows<'_>, params: QuantizedSearch, repeats: usize) -> Result<Parts, SearchError> {
        let load = |index| {
            let mut query = Vec::new();
            load(&self.spec, queries.row(index), &mut query).map(|()| query)
        };
        let queries = (0..queries.len()).map(load).collect::<Result<Vec<_>, _>>()?;
        let (field, limits) = (self.field(), self.limits(params));
        Ok(dispatch(isa(), Probe { field, limits, queries: &queries, repeats }))
    }

    /// Bytes that are read of memory: for a node that is expanded, for one whose distance alone is computed, for a full vector; and of
    /// the entries, by every search.
    pub fn read_bytes(&self) -> [usize; 4] {
        let full = self.full.as_ref().map_or(0, |full| (full.bytes() / full.len().max(1)).next_multiple_of(LINE));
        let entries = self.entries.blocks.bytes();
        [self.layout.stride, self.layout.front().next_multiple_of(LINE), full, entries]
    }
}

impl Task for Probe<'_> {
    type Output = Parts;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Parts {
        let Probe { field, limits, queries, repeats } = self;
        let mut parts = Parts::default();
        let (mut walk, mut frontier) = (Walk::default(), Frontier::default());
        for query in queries {
            let trace = record(simd, field, limits, query, &mut walk);
            parts.walk_ns += timed(repeats, || whole(simd, field, limits, &trace.query, &mut walk));
            parts.query_ns += timed(repeats, || walk.set_query(simd, field));
            parts.entries_ns += timed(repeats, || {
                let entries = field.entries.nearest(simd, &walk.table, field.units);
                entries.for_each(|entry| _ = black_box(entry));
            });
            parts.bytes_ns += timed(repeats, || {
                let nodes = trace.hops.iter().map(|hop| hop.0).chain(trace.scored.iter().copied());
                nodes.for_each(|node| _ = black_box(walk.distance(simd, field.row(node))));
            });
            let scans = timed(repeats, || {
                for &(node, distance, bound) in &trace.hops {
                    let mut estimates = [0.0; LANES];
                    let block = field.row(node).block(field.units);
                    black_box(simd.estimates(block, &walk.table, distance, bound, &[], &mut estimates));
                    black_box(&estimates);
                }
            });
            parts.scan_ns += scans;
            let with_candidates = timed(repeats, || {
                frontier.clear(limits.max_hops.saturating_add(limits.rescored));
                walk.visited.reset(field.nodes);
                for (at, &(node, distance, bound)) in trace.hops.iter().enumerate() {
                    walk.visited.add(node);
                    let mut estimates = [0.0; LANES];
                    let row = field.row(node);
                    let below =
                        simd.estimates(row.block(field.units), &walk.table, distance, bound, &[], &mut estimates);
                    let unseen = walk.visited.unseen(simd, row.slots(), below);
                    frontier.extend(simd, unseen, (&estimates, row.slots()), bound);
                    // As many candidates are taken out as stood before the next node: those seen already, and it.
                    let next = trace.hops.get(at + 1).map(|hop| hop.0);
                    while let Some((_, candidate)) = frontier.pop(simd) {
                        if Some(candidate) == next || walk.visited.add(candidate) {
                            break;
                        }
                    }
                }
            });
            parts.candidates_ns += (with_candidates - scans).max(0.0);
        }
        let mean = |total: f64| total / queries.len().max(1) as f64;
        Parts {
            query_ns: mean(parts.query_ns),
            entries_ns: mean(parts.entries_ns),
            scan_ns: mean(parts.scan_ns),
            bytes_ns: mean(parts.bytes_ns),
            candidates_ns: mean(parts.candidates_ns),
            walk_ns: mean(parts.walk_ns),
        }
    }
}

/// Mean nanoseconds of `work` after a first run.
#[inline(always)]
fn timed(repeats: usize, mut work: impl FnMut()) -> f64 {
    work();
    let start = Instant::now();
    (0..repeats.max(1)).for_each(|_| work());
    start.elapsed().as_nanos() as f64 / repeats.max(1) as f64
}

/// A whole walk.
#[inline(always)]
fn whole<S: Simd>(simd: S, field: Field<'_>, limits: Limits, query: &[f32], walk: &mut Walk) {
    walk.query.clear();
    walk.query.extend_from_slice(query);
    walk.start(simd, field, limits, &Open, (false, None));
    while !walk.turn(simd, field, limits, &Open, &[]) {}
}

/// A whole walk, written down.
#[inline(always)]
fn record<S: Simd>(simd: S, field: Field<'_>, limits: Limits, query: &[f32], walk: &mut Walk) -> Trace {
    let mut trace = Trace { query: query.to_vec(), hops: Vec::new(), scored: Vec::new() };
    walk.query.clear();
    walk.query.extend_from_slice(query);
    walk.start(simd, field, limits, &Open, (false, None));
    loop {
        let hop = if let Stage::Hop(node) = walk.stage { Some(node) } else { None };
        if let Stage::Enter | Stage::Score = walk.stage {
            trace.scored.extend_from_slice(&walk.pending);
        }
        let over = walk.turn(simd, field, limits, &Open, &[]);
        if let Some(node) = hop {
            let row = field.row(node);
            trace.hops.push((node, walk.bytes.distance(simd, row.vector(), row.terms()), walk.bound));
        }
        if over {
            return trace;
        }
    }
}
