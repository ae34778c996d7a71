//! What the parent and a worker say to each other: one JSON object a line, request on stdin, reply on stdout.
//!
//! A worker is a process of its own, so that peak memory is one engine's alone, a crash ends one engine and not the run, and
//! repeats of several engines can be interleaved while all their indexes stay in memory. Vectors and neighbours go through raw
//! little-endian files: f32 `[rows × dim]` in, i32 `[queries × k]` and f32 `[queries]` out. `rivals/worker.py` is the same in Python.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::params::Params;

/// A request; a worker answers each with one [`Reply`], and ends when no more come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Request {
    /// Read the vectors. Answered by [`Reply::Loaded`].
    Load {
        /// Rows to index, f32.
        train: PathBuf,
        /// Queries, f32.
        queries: PathBuf,
        /// Coordinates of each.
        dim: usize,
        /// `l2`, `dot` or `cosine`; for `cosine` rows and queries are normalised already.
        metric: String,
    },
    /// Build the index, then let the rows go. Answered by [`Reply::Built`].
    Build {
        /// The engine's own build parameters.
        params: Params,
        /// Threads to build with.
        threads: usize,
        /// A folder, for engines whose size is that of a saved file.
        scratch: PathBuf,
        /// Where to save the index for good; nothing is here yet.
        keep: Option<PathBuf>,
    },
    /// Let the rows go and read back an index that was saved, instead of building. Answered by [`Reply::Restored`].
    Restore {
        /// The build parameters.
        params: Params,
        /// Where it was kept.
        path: PathBuf,
    },
    /// Answer all queries in one batch. Answered by [`Reply::Searched`].
    Search {
        /// The engine's own search parameters.
        params: Params,
        /// Neighbours per query.
        k: usize,
        /// Threads to search with.
        threads: usize,
        /// Where to leave the neighbours: i32 `[queries × k]`, -1 where there is none.
        neighbors: PathBuf,
    },
    /// Answer the first `queries` one by one on one thread. Answered by [`Reply::Timed`].
    Latency {
        /// The engine's own search parameters.
        params: Params,
        /// Neighbours per query.
        k: usize,
        /// How many queries.
        queries: usize,
        /// Where to leave the times: f32 `[queries]`, microseconds.
        micros: PathBuf,
    },
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// The vectors are in memory.
    Loaded {
        /// Package and version of the engine.
        version: String,
    },
    /// The index is built.
    Built {
        /// Time of the build call.
        seconds: f64,
        /// Processor time it took over all threads, where known.
        cpu_seconds: Option<f64>,
        /// Size of the index, as saved or as the engine says.
        index_bytes: Option<u64>,
        /// Resident size just before the build, vectors included.
        rss_before_bytes: Option<u64>,
        /// Largest resident size up to the end of the build.
        peak_rss_bytes: Option<u64>,
        /// Resident size with the index built and the vectors let go, less that before the vectors were loaded: what keeping the index
        /// ready costs.
        resident_bytes: Option<u64>,
    },
    /// The index is ready.
    Restored,
    /// All queries are answered and the neighbours written.
    Searched {
        /// Time of the search call.
        seconds: f64,
        /// Processor time it took over all threads, where known: more than `seconds × threads` is an engine that took more threads.
        cpu_seconds: Option<f64>,
        /// Distances computed over all queries, where the engine counts them.
        distances: Option<u64>,
        /// Nodes expanded over all queries, where the engine counts them.
        hops: Option<u64>,
    },
    /// The times are written.
    Timed,
    /// The request could not be done; the worker goes on.
    Failed {
        /// Why.
        message: String,
    },
}
