//! The crate from outside: formats, data sets by name and path, fetching, the command line.

mod cli;
mod fetch;
mod formats;
mod hub;
mod open;

use std::path::{Path, PathBuf};

/// A file written by NumPy or h5py; `tests/data/make.py` says how.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// The rows in the fixtures: 12 × 4, counting up by halves.
fn fixture_rows() -> Vec<f32> {
    (0_u8..48).map(|number| f32::from(number) * 0.5).collect()
}
