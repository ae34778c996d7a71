//! Filtered search side by side: recall, results and speed by selectivity and correlation, beside the exact scan and a rival.
//!
//! cases: fields and filters · measure: the run

pub mod cases;
pub mod measure;

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::machine::{Commit, Machine};
use crate::params::Params;
use crate::results::{DatasetInfo, EngineVersion, Failure, ResultsError, write_atomically};
use cases::Case;

/// Our engine's name in results.
pub const OURS: &str = "vicino-filtered";

/// The version of the layout below.
pub const SCHEMA: u32 = 1;

/// What a run leaves behind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Filtered {
    /// [`SCHEMA`] of the writer.
    pub schema: u32,
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
    /// The recall that settings are chosen by.
    pub target: f64,
    /// How often each chosen setting was timed.
    pub repeats: usize,
    /// The engines that answered, with their versions.
    pub engines: Vec<EngineVersion>,
    /// Every setting tried, of every case.
    pub runs: Vec<Run>,
    /// What could not be measured.
    pub failures: Vec<Failure>,
}

/// One setting in one case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The filters.
    #[serde(flatten)]
    pub case: Case,
    /// Rows that match, in the mean.
    pub matching: f64,
    /// Engine.
    pub engine: String,
    /// Build parameters.
    pub build_params: Params,
    /// Search parameters.
    pub search_params: Params,
    /// Whether every row that matches was to be compared.
    pub exact: bool,
    /// Recall@k, ties by distance.
    pub recall: f64,
    /// Queries that were given `k` different rows that match, or as many as match.
    pub whole: usize,
    /// Rows returned that do not match.
    pub wrong: usize,
    /// Queries per second of the pass in which the setting was tried.
    pub tried_qps: f64,
    /// Of every repeat, in order; empty for settings that were not chosen.
    pub qps_repeats: Vec<f64>,
    /// Distances per query, where the engine counts them.
    pub distances_per_query: Option<f64>,
    /// Expanded nodes per query, where the engine counts them.
    pub hops_per_query: Option<f64>,
}

impl Filtered {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Filtered, ResultsError> {
        let text = fs::read(path).map_err(|source| ResultsError::Io { path: path.to_owned(), source })?;
        let results: Filtered =
            serde_json::from_slice(&text).map_err(|source| ResultsError::Parse { path: path.to_owned(), source })?;
        if results.schema != SCHEMA {
            return Err(ResultsError::Schema { path: path.to_owned(), found: results.schema });
        }
        Ok(results)
    }

    /// Writes the file in one step.
    pub fn write(&self, path: &Path) -> Result<(), ResultsError> {
        let text = serde_json::to_string_pretty(self).expect("results hold only finite numbers and string keys");
        write_atomically(path, (text + "\n").as_bytes())
    }
}
