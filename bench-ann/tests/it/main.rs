//! The harness from outside: worker processes, whole runs, reports and comparisons.

#![forbid(unsafe_code)]

mod cli;
mod process;
mod python;
mod report;

use std::path::{Path, PathBuf};

use bench_ann::results::Results;

/// The binary under test.
const BENCH_ANN: &str = env!("CARGO_BIN_EXE_bench-ann");

/// A results file with round numbers.
fn small() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/small.json")
}

fn read_small() -> Results {
    Results::read(&small()).unwrap()
}
