//! Where the time of a query goes in the quantized graph, and how far it is from what the machine allows.
//!
//! No processor counters are needed: the parts of searches are run alone and repeated, with all they read in the caches of the core
//! ([`QuantizedGraph::probe`]); what a query of a large batch takes beyond that is waiting for memory. Bytes are counted from hops and
//! the layout of rows, and set against the speeds that [`crate::memory`] measures with a block of the index's size.

use std::time::Instant;

use vicino_index::{
    BuildOptions, ElementType, QuantizedGraph, QuantizedParts, QuantizedScratch, QuantizedSearch, QuantizedStats, Rows,
    VectorSpec,
};

use crate::data::Data;
use crate::memory::{self, Limits};
use crate::recall::Thresholds;
use crate::report::table::Table;
use crate::results::median;

/// Queries whose parts are timed.
const PROBED: usize = 200;
/// How often each part is repeated on one query.
const REPEATS: usize = 10;
/// Measurements of everything; the median counts.
const ROUNDS: usize = 7;
/// Halvings in the search for the slack of a recall.
const HALVINGS: usize = 8;
/// Where that search begins: below it walks end at once.
const LEAST_SLACK: f32 = -0.4;
/// The steps in which it first looks upwards, and where it gives up: there a walk sees much of the set.
const SLACK_STEP: f32 = 0.1;
const MOST_SLACK: f32 = 1.0;

/// What the lines of [`Bench::table`] mean.
pub const LEGEND: &str = "One thread. `alone, repeated`: that part of 200 searches, run ten times in a row on one query, its first run not counted, so with all \
it reads in the core's caches. `with and without`: estimates with candidates kept, less estimates alone. Remainders are differences of what \
was measured and hold all errors. Waiting for memory is an estimate: a batch takes what it does while three walks share a thread and their reads \
overlap, and branches are better predicted in repeated searches. The floors are what the same kernels, and the same bytes at the machine's \
speed for rows at random places, would take with nothing else, and could overlap.";

/// An index and the machine it is searched on.
pub struct Bench<'a> {
    data: &'a Data,
    thresholds: &'a Thresholds,
    index: QuantizedGraph,
    limits: Limits,
    k: usize,
}

/// One recall's budget; times are of one query.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// The recall reached.
    pub recall: f64,
    /// The slack it took.
    pub slack: f32,
    /// In a batch, as benchmarks measure it.
    pub batch_ns: f64,
    /// Queries one by one.
    pub single_ns: f64,
    /// The same queries again and again, which leaves out waiting for memory.
    pub cached_ns: f64,
    /// The parts of that.
    pub parts: QuantizedParts,
    /// Means over the queries.
    pub counts: Counts,
}

/// What a query did, in means.
#[derive(Debug, Clone, Copy)]
pub struct Counts {
    /// Nodes expanded.
    pub hops: f64,
    /// Distances estimated.
    pub estimates: f64,
    /// Distances from bytes.
    pub distances: f64,
    /// Distances from full vectors.
    pub rescored: f64,
}

/// A budget that cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BudgetError {
    /// Building or searching was refused.
    #[error("{0}")]
    Index(Box<dyn std::error::Error + Send + Sync>),
    /// The block of memory could not be had.
    #[error("a block of memory to measure with: {0}")]
    Memory(#[from] std::io::Error),
    /// No walk reaches it.
    #[error("recall {wanted}: no slack up to {MOST_SLACK} reaches it; the most is {found:.4}")]
    Recall {
        /// What was asked for.
        wanted: f64,
        /// What the widest walk has.
        found: f64,
    },
}

fn index_error(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> BudgetError {
    BudgetError::Index(error.into())
}

impl<'a> Bench<'a> {
    /// Builds the index with `threads` and its default parameters, and measures the machine's memory.
    pub fn new(data: &'a Data, thresholds: &'a Thresholds, k: usize, threads: usize) -> Result<Self, BudgetError> {
        let vectors = data.vectors();
        let spec = VectorSpec::new(vectors.dim, vectors.metric, ElementType::F16).map_err(index_error)?;
        let rows = Rows::new(vectors.train, vectors.dim).map_err(index_error)?;
        let options = BuildOptions { threads, progress: None };
        let index = QuantizedGraph::build(spec, Default::default(), rows, &options).map_err(index_error)?;
        let limits = memory::limits(index.index_bytes(), index.read_bytes()[0])?;
        Ok(Bench { data, thresholds, index, limits, k })
    }

    fn queries(&self) -> Rows<'_> {
        let vectors = self.data.vectors();
        Rows::new(vectors.queries, vectors.dim).expect("queries are whole rows")
    }

    /// Searches the whole batch: neighbours, what was done, and nanoseconds per query.
    fn batch(
        &self,
        slack: f32,
        scratch: &mut QuantizedScratch,
    ) -> Result<(Vec<i32>, QuantizedStats, f64), BudgetError> {
        let queries = self.queries();
        let mut found = vec![-1; queries.len() * self.k];
        let start = Instant::now();
        let stats = self.index.search_batch(queries, QuantizedSearch::new(self.k, slack), scratch, |query, hits| {
            let row = &mut found[query * self.k..][..self.k];
            row.iter_mut().zip(hits).for_each(|(id, hit)| *id = hit.slot.0 as i32);
        });
        let ns = start.elapsed().as_nanos() as f64 / queries.len() as f64;
        Ok((found, stats.map_err(|(_, error)| index_error(error))?, ns))
    }

    fn recall(&self, slack: f32, scratch: &mut QuantizedScratch) -> Result<f64, BudgetError> {
        let (found, ..) = self.batch(slack, scratch)?;
        Ok(self.thresholds.recall(&self.data.vectors(), &found).ties)
    }

    /// The budget of searches with the least slack whose recall is at least `wanted`.
    pub fn at_recall(&self, wanted: f64) -> Result<Budget, BudgetError> {
        let mut scratch = QuantizedScratch::new();
        let (mut low, mut high) = (LEAST_SLACK, LEAST_SLACK + SLACK_STEP);
        loop {
            let found = self.recall(high, &mut scratch)?;
            if found >= wanted {
                break;
            }
            (low, high) = (high, high + SLACK_STEP);
            if high > MOST_SLACK {
                return Err(BudgetError::Recall { wanted, found });
            }
        }
        for _ in 0..HALVINGS {
            let middle = f32::midpoint(low, high);
            if self.recall(middle, &mut scratch)? < wanted { low = middle } else { high = middle }
        }
        self.at_slack(high, &mut scratch)
    }

    fn at_slack(&self, slack: f32, scratch: &mut QuantizedScratch) -> Result<Budget, BudgetError> {
        let params = QuantizedSearch::new(self.k, slack);
        let queries = self.queries();
        let probed = queries.slice(0, queries.len().min(PROBED));
        let (found, stats, _) = self.batch(slack, scratch)?;
        let (mut batch, mut single, mut cached, mut parts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut hits = Vec::new();
        for _ in 0..ROUNDS {
            batch.push(self.batch(slack, scratch)?.2);
            let start = Instant::now();
            for query in 0..queries.len() {
                self.index.search(queries.row(query), params, scratch, &mut hits).map_err(index_error)?;
            }
            single.push(start.elapsed().as_nanos() as f64 / queries.len() as f64);
            let mut again = 0.0;
            for query in 0..probed.len() {
                self.index.search(probed.row(query), params, scratch, &mut hits).map_err(index_error)?;
                let start = Instant::now();
                for _ in 0..REPEATS {
                    self.index.search(probed.row(query), params, scratch, &mut hits).map_err(index_error)?;
                }
                again += start.elapsed().as_nanos() as f64 / REPEATS as f64;
            }
            cached.push(again / probed.len() as f64);
            parts.push(self.index.probe(probed, params, REPEATS).map_err(index_error)?);
        }
        let part = |pick: fn(&QuantizedParts) -> f64| median(&parts.iter().map(pick).collect::<Vec<_>>());
        let mean = |count: u64| count as f64 / queries.len() as f64;
        Ok(Budget {
            recall: self.thresholds.recall(&self.data.vectors(), &found).ties,
            slack,
            batch_ns: median(&batch),
            single_ns: median(&single),
            cached_ns: median(&cached),
            parts: QuantizedParts {
                query_ns: part(|parts| parts.query_ns),
                entries_ns: part(|parts| parts.entries_ns),
                scan_ns: part(|parts| parts.scan_ns),
                bytes_ns: part(|parts| parts.bytes_ns),
                candidates_ns: part(|parts| parts.candidates_ns),
                walk_ns: part(|parts| parts.walk_ns),
            },
            counts: Counts {
                hops: mean(stats.hops),
                estimates: mean(stats.estimates),
                distances: mean(stats.distances),
                rescored: mean(stats.rescored),
            },
        })
    }

    /// What the machine gives.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Bytes of memory a query touches besides the entries, which every query reads and caches hold: whole rows of the nodes expanded, the
    /// fronts of those only scored, and full vectors.
    fn bytes(&self, counts: &Counts) -> f64 {
        let [row, front, full, _] = self.index.read_bytes().map(|bytes| bytes as f64);
        counts.hops * row + (counts.distances - counts.hops).max(0.0) * front + counts.rescored * full
    }

    /// What the index is.
    pub fn title(&self) -> String {
        let info = &self.data.info;
        let [row, front, full, entries] = self.index.read_bytes();
        format!(
            "{}: {} × {}, {}, {} queries, k = {}. A row is {row} bytes, {} lines; its front {front}; a full vector {}; the entries {entries}.",
            info.name,
            info.rows,
            info.dim,
            info.metric,
            info.queries,
            self.k,
            row / memory::LINE,
            if full == 0 { "is none, bytes are exact".to_owned() } else { format!("{full}") }
        )
    }

    /// Budgets side by side, a column each.
    pub fn table(&self, budgets: &[Budget]) -> Table {
        let mut rows: Vec<Vec<String>> = Vec::new();
        let mut row = |what: &str, how: &str, value: &dyn Fn(&Budget) -> String| {
            rows.push([what.to_owned(), how.to_owned()].into_iter().chain(budgets.iter().map(value)).collect());
        };
        let ns = |value: f64| format!("{value:.0}");
        let share = |part: f64, whole: f64| format!("{part:.0} ({:.0} %)", 100.0 * part / whole);
        row("slack", "chosen", &|budget| format!("{:.4}", budget.slack));
        row("nodes expanded", "counted", &|budget| format!("{:.1}", budget.counts.hops));
        row("estimates from codes", "counted", &|budget| format!("{:.0}", budget.counts.estimates));
        row("distances from bytes", "counted", &|budget| format!("{:.1}", budget.counts.distances));
        row("distances from full vectors", "counted", &|budget| format!("{:.1}", budget.counts.rescored));
        row("KB of memory read", "counts × layout", &|budget| format!("{:.1}", self.bytes(&budget.counts) / 1e3));
        row("ns a query, in a batch", "measured", &|budget| ns(budget.batch_ns));
        row("ns a query, one by one", "measured", &|budget| ns(budget.single_ns));
        row("ns, all in caches", "measured, repeated", &|budget| ns(budget.cached_ns));
        row("· query: rotation, table, bytes", "alone, repeated", &|b| share(b.parts.query_ns, b.batch_ns));
        row("· entries", "alone, repeated", &|b| share(b.parts.entries_ns, b.batch_ns));
        row("· estimates from codes", "alone, repeated", &|b| share(b.parts.scan_ns, b.batch_ns));
        row("· distances from bytes", "alone, repeated", &|b| share(b.parts.bytes_ns, b.batch_ns));
        row("· candidates and visited", "with and without", &|b| share(b.parts.candidates_ns, b.batch_ns));
        row("· results kept, rest of the walk", "remainder", &|b| share(b.rest_of_walk(), b.batch_ns));
        row("· full vectors, hits, the call", "remainder", &|b| share(b.cached_ns - b.parts.walk_ns, b.batch_ns));
        row("· waiting for memory", "batch less cached", &|b| share(b.batch_ns - b.cached_ns, b.batch_ns));
        let kernels = |b: &Budget| b.parts.query_ns + b.parts.entries_ns + b.parts.scan_ns + b.parts.bytes_ns;
        let bringing = |b: &Budget| self.bytes(&b.counts) / self.limits.rows_gb_s;
        row("floor of the kernels, ns", "sum of four", &|b| ns(kernels(b)));
        row("floor of memory, ns", "bytes ÷ GB/s of rows", &|b| ns(bringing(b)));
        row("batch ÷ the higher floor", "", &|b| format!("{:.2}", b.batch_ns / kernels(b).max(bringing(b))));
        let header = ["what", "how known"].map(str::to_owned).into_iter();
        let header = header.chain(budgets.iter().map(|budget| format!("recall {:.4}", budget.recall))).collect();
        Table { header, rows }
    }
}

impl Budget {
    fn rest_of_walk(&self) -> f64 {
        let QuantizedParts { query_ns, entries_ns, scan_ns, bytes_ns, candidates_ns, walk_ns } = self.parts;
        walk_ns - query_ns - entries_ns - scan_ns - bytes_ns - candidates_ns
    }
}
