//! HNSW vector index: SIMD distance kernels, graph build and search, one checksummed file that is mapped back.
//!
//! The module map, top to bottom; a module uses only those before it:
//!
//! ```text
//! ids metric rows params                       what callers say
//! distance/{scalar, x86_64, aarch64, …}        kernels, chosen once per store by CPU feature
//! distance/{simd, fastscan/, hadamard/, residual/}   what walks over codes need, one value per instruction set
//! faults  storage/mmap  vfs/{real, sim}        safeguards by name; a mapped file; all file access
//! bytes                                        flat arrays: grown in memory, or a mapped file's
//! spec named pool visited mask query           a vector checked; vectors by name; a beam; a visited set; a set of rows; an answer
//! vectors/dense  exact  compare  scratch  threads   stored rows, and exact search over them
//! planner/cost                                 how a filtered search goes about it
//! graph/{level, links, lists, select, search, build, repair, refine, check}
//! flat  neighbors  hnsw                        the indexes
//! storage/{codec, format, save}                the file
//! quant/{rotation, frame, byte, neighbor, nested, codes}   vectors in fewer bits
//! sketch/{scan}                                a bit per coordinate of every row, and what a scan over these compares
//! qgraph/{load, layout, entry, frontier, walk, …}    a graph walked on one-bit codes: built whole, then only read
//! compact/{params, walk, masked, save}                 the same graph walked on nested codes, in a sixth of the memory
//! coded                                        codes compared one by one: what they can find
//! choose                                       which of these layouts, and why
//! filter/{path, time, geo, text, index/}        which points match, by id and payload; indexes over payloads
//! segment/{tombstones, table, reach, scanned, index, column, builder, merge}    points that no longer change, in memory or in mapped files
//! wal/{frame, reader, writer}                  what was acknowledged, in order, until segments hold it
//! collection/{record, change, manifest, folder, journal, plan, upkeep, shared, …}   points that change, made to last
//! ```

pub mod collection;
pub mod distance;
pub mod filter;
pub mod ids;
pub mod metric;
pub mod params;
pub mod planner;
pub mod query;
pub mod rows;
pub mod spec;
pub mod vfs;

mod bytes;
mod choose;
mod coded;
mod compact;
mod compare;
mod exact;
#[cfg(any(test, feature = "faults"))]
pub mod faults;
#[cfg(not(any(test, feature = "faults")))]
#[allow(dead_code, unreachable_pub, reason = "without the feature nothing can be switched off")]
mod faults;
mod flat;
mod graph;
mod hnsw;
mod mask;
mod named;
mod neighbors;
mod pool;
mod qgraph;
mod quant;
mod scratch;
mod segment;
mod sketch;
mod storage;
mod threads;
mod vectors;
mod visited;
mod wal;

pub use choose::{Choice, Layout, LayoutPolicy, TooLarge, Wanted};
pub use coded::{Code, Coded};
pub use compact::{CompactGraph, CompactParams, CompactScratch, CompactSearch};
pub use flat::Flat;
pub use graph::check::{GraphFault, GraphReport};
pub use hnsw::Hnsw;
pub use ids::{PointId, PointIdError, Slot};
pub use mask::Mask;
pub use metric::{ElementType, Metric};
pub use neighbors::Neighbors;
pub use params::{BuildOptions, Effort, HnswParams, ParamsError, Recall, RecallError, SearchParams, SearchStats};
#[cfg(feature = "probe")]
pub use qgraph::Parts as QuantizedParts;
pub use qgraph::{QuantizedGraph, QuantizedParams, QuantizedScratch, QuantizedSearch, QuantizedStats, Unsupported};
pub use quant::nested::Bits as CodeBits;
pub use query::{BuildError, ExtendError, Hit, SearchError};
pub use rows::{RaggedRows, Rows, VectorRef};
pub use scratch::Scratch;
pub use spec::{SpecError, VectorError, VectorSpec};
pub use storage::format::{OpenError, SaveError};
pub use uuid::Uuid;
pub use wal::WalError;

/// The README's program, compiled and run with the documentation's tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
