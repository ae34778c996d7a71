//! What a run leaves behind: one JSON file that says what was measured, on what, and how. Report and comparison read only this.
//!
//! Every record in `runs` stands alone: one search setting on one index, with that index's build beside it.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::machine::{Commit, Machine};
use crate::params::Params;

/// The version of the layout below.
pub const SCHEMA: u32 = 1;

/// A whole file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// [`SCHEMA`] of the writer.
    pub schema: u32,
    /// Whether everything asked for was tried; false in a file of a run still going or interrupted.
    pub complete: bool,
    /// The command line.
    pub command: Vec<String>,
    /// When it started, RFC 3339 in UTC.
    pub started: String,
    /// The source it ran from, where known.
    pub commit: Option<Commit>,
    /// The machine.
    pub machine: Machine,
    /// The data.
    pub dataset: DatasetInfo,
    /// Neighbours per query.
    pub k: usize,
    /// Threads of the timed searches.
    pub search_threads: usize,
    /// How often each setting was to be timed.
    pub repeats: usize,
    /// The engines that answered, with their versions.
    pub engines: Vec<EngineVersion>,
    /// What was measured.
    pub runs: Vec<Run>,
    /// What could not be.
    pub failures: Vec<Failure>,
}

/// The data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetInfo {
    /// Name or path.
    pub name: String,
    /// SHA-256 over the data.
    pub hash: String,
    /// How rows are compared.
    pub metric: String,
    /// Element type as stored; engines get f32.
    pub element: String,
    /// Rows indexed.
    pub rows: usize,
    /// Queries asked.
    pub queries: usize,
    /// Coordinates per row.
    pub dim: usize,
}

/// An engine as it named itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineVersion {
    /// Engine.
    pub engine: String,
    /// Package and version.
    pub version: String,
}

/// One index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Build {
    /// Its build parameters.
    pub build_params: Params,
    /// Threads it was built with.
    pub build_threads: usize,
    /// Time of the build call.
    pub build_s: f64,
    /// Processor time of the build over all threads: what it costs whatever else runs beside it.
    #[serde(default)]
    pub build_cpu_s: Option<f64>,
    /// Size as saved or as the engine says.
    pub index_bytes: Option<u64>,
    /// Peak of the engine's process up to the end of the build, less its size just before the build with the vectors loaded.
    pub peak_rss_bytes: Option<u64>,
    /// Resident size of the engine's process with the index built and the vectors let go, less that before the vectors were loaded.
    pub resident_bytes: Option<u64>,
    /// That peak as the kernel gave it (`VmHWM`), vectors and interpreter included.
    pub process_peak_rss_bytes: Option<u64>,
    /// When another run built it, if it was only read back here; all the costs above are then of that build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub built_earlier: Option<Earlier>,
}

/// When and where an index was built that a later run read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earlier {
    /// When that run started, RFC 3339 in UTC.
    pub at: String,
    /// The processor.
    pub cpu: String,
}

/// One search setting on one index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Engine.
    pub engine: String,
    /// The index searched.
    #[serde(flatten)]
    pub build: Build,
    /// Search parameters.
    pub search_params: Params,
    /// Recall@k, ties by distance.
    pub recall: f64,
    /// Recall@k with ann-benchmarks' slack.
    pub recall_ann_benchmarks: f64,
    /// Queries per second: the median of `qps_repeats`.
    pub qps: f64,
    /// Queries per second of every repeat, in order.
    pub qps_repeats: Vec<f64>,
    /// Processor time over elapsed time of the first repeat; above `search_threads` the engine took more threads than allowed.
    pub cpu_per_elapsed: Option<f64>,
    /// Latency of single queries, one thread.
    pub latency: Option<Latency>,
    /// Distances per query, where the engine counts them.
    pub distances_per_query: Option<f64>,
    /// Expanded nodes per query, where the engine counts them.
    pub hops_per_query: Option<f64>,
}

/// Percentiles of single-query times, in microseconds; engines in Python include the call from Python.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Queries timed.
    pub queries: usize,
    /// Half are at most this.
    pub p50_us: f64,
    /// 95 of 100 are at most this.
    pub p95_us: f64,
    /// 99 of 100 are at most this.
    pub p99_us: f64,
}

/// What could not be measured, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// Engine.
    pub engine: String,
    /// The index it was about, if it came so far.
    pub build_params: Params,
    /// The search it was about, if it came so far.
    pub search_params: Option<Params>,
    /// Why.
    pub message: String,
}

/// A results file that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResultsError {
    /// The file system said no.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not JSON, or not of this layout.
    #[error("{path}: not a results file: {source}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// Of another version.
    #[error("{path}: layout version {found}; this build reads {SCHEMA}")]
    Schema {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
}

impl Results {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Results, ResultsError> {
        #[derive(Deserialize)]
        struct Version {
            schema: u32,
        }
        let parse = |source| ResultsError::Parse { path: path.to_owned(), source };
        let text = fs::read(path).map_err(|source| ResultsError::Io { path: path.to_owned(), source })?;
        let Version { schema } = serde_json::from_slice(&text).map_err(parse)?;
        if schema != SCHEMA {
            return Err(ResultsError::Schema { path: path.to_owned(), found: schema });
        }
        serde_json::from_slice(&text).map_err(parse)
    }

    /// Writes the file in one step, so that an interrupted run leaves the last whole state.
    pub fn write(&self, path: &Path) -> Result<(), ResultsError> {
        let text = serde_json::to_string_pretty(self).expect("results hold only finite numbers and string keys");
        write_atomically(path, (text + "\n").as_bytes())
    }
}

/// Writes `data` beside `path` and renames it.
pub fn write_atomically(path: &Path, data: &[u8]) -> Result<(), ResultsError> {
    let io = |source| ResultsError::Io { path: path.to_owned(), source };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    let mut file = File::create(&part).map_err(io)?;
    file.write_all(data).and_then(|()| file.sync_all()).map_err(io)?;
    fs::rename(&part, path).map_err(io)
}

/// The middle value, or the mean of the two middle ones. Panics on none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}

impl Latency {
    /// From the times of single queries; `None` for no query.
    pub fn of(micros: &[f32]) -> Option<Latency> {
        let mut sorted: Vec<f64> = micros.iter().map(|&value| f64::from(value)).collect();
        sorted.sort_by(f64::total_cmp);
        // Nearest rank: the smallest time that at least this share of the queries does not exceed.
        let at = |percent: usize| sorted[(sorted.len() * percent).div_ceil(100) - 1];
        (!sorted.is_empty()).then(|| Latency { queries: sorted.len(), p50_us: at(50), p95_us: at(95), p99_us: at(99) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn percentiles_are_measured_times() {
        let micros: Vec<f32> = (1..=200).rev().map(|i| i as f32).collect();
        assert_eq!(Latency::of(&micros), Some(Latency { queries: 200, p50_us: 100.0, p95_us: 190.0, p99_us: 198.0 }));
        assert_eq!(Latency::of(&[7.0]).unwrap().p99_us, 7.0);
        assert_eq!(Latency::of(&[]), None);
    }
}
