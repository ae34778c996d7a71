//! From measurements to statements: each index's Pareto front read at fixed recall targets, and set against a baseline.
//!
//! A line is one index, engine and build parameters together: reading between points of two indexes would promise a speed that
//! no index has.

use serde::Serialize;
use serde_json::Value;

use crate::front::{at_recall, pareto};
use crate::params::Params;
use crate::results::{Build, DatasetInfo, Results, Run};

/// The recalls at which speed is compared.
pub const TARGETS: [f64; 4] = [0.90, 0.95, 0.99, 0.995];
/// The engine whose speed is one.
pub const BASELINE: &str = "hnswlib";

/// All that was measured on one data set under one question, from one or more files.
pub struct Section<'a> {
    /// The data.
    pub dataset: &'a DatasetInfo,
    /// Neighbours per query.
    pub k: usize,
    /// Threads of the searches.
    pub search_threads: usize,
    /// The files, for their conditions.
    pub files: Vec<&'a Results>,
    /// The indexes, those fastest at .95 first.
    pub lines: Vec<Line<'a>>,
}

/// One index.
pub struct Line<'a> {
    /// Engine.
    pub engine: &'a str,
    /// How it was built, and what that cost.
    pub build: &'a Build,
    /// The settings nothing else of this index beats, by rising recall.
    pub front: Vec<&'a Run>,
    /// The front read at each of [`TARGETS`]; `None` where it does not reach.
    pub at: [Option<At<'a>>; TARGETS.len()],
}

/// An index at a recall target.
#[derive(Clone, Copy)]
pub struct At<'a> {
    /// Queries per second.
    pub qps: f64,
    /// Whether the index exceeds the target even at its cheapest setting, whose speed `qps` then is.
    pub bound: bool,
    /// The settings read, that of lower recall first; the same twice where one setting says it all.
    pub between: (&'a Run, &'a Run),
    /// Distances per query, where counted.
    pub distances: Option<f64>,
}

/// One row of `report --json`.
#[derive(Debug, Serialize)]
pub struct Row<'a> {
    dataset: &'a str,
    engine: &'a str,
    params: &'a Params,
    recall_target: f64,
    /// Null where the index does not reach the target.
    qps: Option<f64>,
    /// Whether `qps` is of a setting above the target, there being none below.
    at_least: bool,
    /// The search settings between which `qps` was read.
    search_params: Vec<&'a Params>,
    distances_per_query: Option<f64>,
    build_s: f64,
    build_cpu_s: Option<f64>,
    /// Whether an earlier run built it.
    built_earlier: bool,
    build_threads: usize,
    index_bytes: Option<u64>,
    peak_rss_bytes: Option<u64>,
    resident_bytes: Option<u64>,
}

/// Files of the same data, k and threads together, in the order in which they first appear.
pub fn sections(files: &[Results]) -> Vec<Section<'_>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    for file in files {
        let same = |section: &&mut Section<'_>| {
            section.dataset.hash == file.dataset.hash
                && section.dataset.queries == file.dataset.queries
                && (section.k, section.search_threads) == (file.k, file.search_threads)
        };
        match sections.iter_mut().find(same) {
            Some(section) => section.files.push(file),
            None => sections.push(Section {
                dataset: &file.dataset,
                k: file.k,
                search_threads: file.search_threads,
                files: vec![file],
                lines: Vec::new(),
            }),
        }
    }
    for section in &mut sections {
        // One file at a time: an index that several runs read back was measured anew in each.
        section.lines = section.files.iter().flat_map(|file| lines(file.runs.iter())).collect();
        let key = |line: &Line<'_>| line.at.iter().skip(1).chain(&line.at[..1]).find_map(|at| at.map(|at| at.qps));
        section.lines.sort_by(|a, b| key(b).unwrap_or(0.0).total_cmp(&key(a).unwrap_or(0.0)));
    }
    sections
}

fn lines<'a>(runs: impl Iterator<Item = &'a Run>) -> Vec<Line<'a>> {
    // Equal builds are one index: `build` holds the measured time.
    let mut groups: Vec<Vec<&Run>> = Vec::new();
    for run in runs {
        match groups.iter_mut().find(|group| group[0].engine == run.engine && group[0].build == run.build) {
            Some(group) => group.push(run),
            None => groups.push(vec![run]),
        }
    }
    groups.iter().map(|group| Line::new(group)).collect()
}

impl<'a> Line<'a> {
    fn new(runs: &[&'a Run]) -> Line<'a> {
        let points: Vec<(f64, f64)> = runs.iter().map(|run| (run.recall, run.qps)).collect();
        let front: Vec<&Run> = pareto(&points).into_iter().map(|i| runs[i]).collect();
        let at = TARGETS.map(|target| At::read(&front, target));
        Line { engine: &runs[0].engine, build: &runs[0].build, front, at }
    }
}

impl<'a> At<'a> {
    fn read(front: &[&'a Run], target: f64) -> Option<At<'a>> {
        let along = |value: fn(&Run) -> Option<f64>| {
            let points = front.iter().map(|run| value(run).map(|value| (run.recall, value)));
            at_recall(&points.collect::<Option<Vec<_>>>()?, target)
        };
        let reading = along(|run| Some(run.qps))?;
        let distances = along(|run| run.distances_per_query).map(|reading| reading.value);
        let between = (front[reading.between.0], front[reading.between.1]);
        Some(At { qps: reading.value, bound: reading.bound, between, distances })
    }
}

impl At<'_> {
    /// This speed over another; `None` where either is a bound, for then the two are not at one recall.
    pub fn over(&self, other: &At<'_>) -> Option<f64> {
        (!self.bound && !other.bound).then(|| self.qps / other.qps)
    }
}

impl Section<'_> {
    /// Speed of `line` over the baseline's at target number `target`: against its index of the same build parameters where there
    /// is one, else against its best.
    pub fn ratio(&self, line: &Line<'_>, target: usize) -> Option<f64> {
        let at = line.at[target]?;
        let baseline = || self.lines.iter().filter(|line| line.engine == BASELINE);
        let same = baseline().find(|other| other.build.build_params == line.build.build_params);
        match same {
            Some(same) => at.over(&same.at[target]?),
            None => {
                let reached = baseline().filter_map(|other| other.at[target]);
                at.over(&reached.max_by(|a, b| a.qps.total_cmp(&b.qps))?)
            }
        }
    }

    /// The rows of `report --json`: every index at every target.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.lines.iter().flat_map(|line| (0..TARGETS.len()).map(|target| self.row(line, target)))
    }

    fn row<'b>(&'b self, line: &'b Line<'_>, target: usize) -> Row<'b> {
        let at = line.at[target];
        let search_params = at.map(|at| {
            let (lower, upper) = (&at.between.0.search_params, &at.between.1.search_params);
            if lower == upper { vec![lower] } else { vec![lower, upper] }
        });
        Row {
            dataset: &self.dataset.name,
            engine: line.engine,
            params: &line.build.build_params,
            recall_target: TARGETS[target],
            qps: at.map(|at| at.qps),
            at_least: at.is_some_and(|at| at.bound),
            search_params: search_params.unwrap_or_default(),
            distances_per_query: at.and_then(|at| at.distances),
            build_s: line.build.build_s,
            build_cpu_s: line.build.build_cpu_s,
            built_earlier: line.build.built_earlier.is_some(),
            build_threads: line.build.build_threads,
            index_bytes: line.build.index_bytes,
            peak_rss_bytes: line.build.peak_rss_bytes,
            resident_bytes: line.build.resident_bytes,
        }
    }

    /// What the section is about, in a line.
    pub fn title(&self) -> String {
        let DatasetInfo { name, rows, dim, metric, queries, .. } = self.dataset;
        let (k, threads) = (self.k, self.search_threads);
        let plural = if threads == 1 { "" } else { "s" };
        format!("{name}: {rows} × {dim}, {metric}, {queries} queries, k = {k}, {threads} search thread{plural}")
    }
}

/// `report --json` for all sections.
pub fn json(sections: &[Section<'_>]) -> Value {
    let rows = sections.iter().flat_map(Section::rows);
    rows.map(|row| serde_json::to_value(row).expect("a row is plain data")).collect()
}
