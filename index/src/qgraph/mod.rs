//! [`QuantizedGraph`]: a graph that is walked on one-bit codes lying beside the links.
//!
//! Each node's row holds its vector in bytes, 32 neighbours, and a one-bit code of each neighbour relative to the node (SymphonyQG,
//! Gou et al., SIGMOD 2025, arXiv:2411.12229, on RaBitQ's codes). One hop scores all 32 from one sequential read, and computes a
//! single exact distance. It is built whole and not changed after.
//!
//! layout (bytes of a row) · entry (where walks begin) · frontier gate walk (one walk) · rank (hits of it) · search (what walks are for) ·
//! elsewhere (of several graphs) · masked (among the rows of a mask) · exact (every row) · params · rotated build calibrate (recall by
//! slack) · save. What is not of one layout serves `compact`, too.

pub(crate) mod build;
pub(crate) mod calibrate;
mod elsewhere;
pub(crate) mod entry;
pub(crate) mod exact;
pub(crate) mod frontier;
mod gate;
mod layout;
mod load;
pub(crate) mod masked;
mod params;
pub(crate) mod rank;
mod rotated;
mod save;
mod search;
#[cfg(test)]
mod tests;
mod walk;

use std::sync::OnceLock;

use crate::bytes::Array;
use crate::distance::fastscan::Units;
use crate::graph::copies::Copies;
use crate::graph::links::chain;
use crate::ids::Slot;
use crate::params::BuildOptions;
use crate::planner::Costs;
use crate::quant::byte::Scale;
use crate::quant::rotation::Rotation;
use crate::sketch::Sketched;
use crate::spec::VectorSpec;
use crate::storage::save::vector_bytes;
use crate::vectors::dense::Vectors;

use calibrate::Calibration;
use entry::Entries;
use exact::Kept;
use layout::{Layout, Row};
use walk::Field;

pub(crate) use load::{Loader, load};

pub use params::{QuantizedParams, QuantizedSearch, QuantizedStats, Unsupported};
pub use search::QuantizedScratch;
#[cfg(feature = "probe")]
pub use walk::probe::Parts;

/// Neighbours of a node: as many as are scored together.
pub(crate) const DEGREE: usize = crate::distance::fastscan::LANES;

/// Walks that go on side by side in a batch.
const WIDTH: usize = 3;

/// An index of rows that no longer change. Searches take `&self` and may run on any number of threads.
///
/// Whole numbers in 0..=255 are kept exactly, and distances between them are exact. Other vectors are walked on bytes and the
/// results scored on vectors kept in the element type of the spec; `f16` halves what that takes.
///
/// ```
/// use vicino_index::{BuildOptions, ElementType, Metric, QuantizedGraph, QuantizedParams, QuantizedScratch, QuantizedSearch, Rows, VectorSpec};
/// let points: Vec<f32> = (0..2000).flat_map(|i| [(i % 40) as f32, (i / 40) as f32]).collect();
/// let spec = VectorSpec::new(2, Metric::L2, ElementType::F16)?;
/// let index = QuantizedGraph::build(spec, QuantizedParams::default(), Rows::new(&points, 2)?, &BuildOptions::default())?;
///
/// let (mut scratch, mut hits) = (QuantizedScratch::new(), Vec::new());
/// index.search((&[7.2, 3.1]).into(), QuantizedSearch::new(3, 0.2), &mut scratch, &mut hits)?;
/// assert_eq!(hits[0].slot.0, 3 * 40 + 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct QuantizedGraph {
    params: QuantizedParams,
    /// Of queries and kept vectors.
    spec: VectorSpec,
    pub(crate) scale: Scale,
    layout: Layout,
    pub(crate) rotation: Rotation,
    pub(crate) units: Units,
    /// `[dim]`: codes are relative to it, so that tables spend their steps on what differs.
    pub(crate) mean: Array<f32>,
    /// `[nodes × layout.stride]`.
    rows: Array<u8>,
    pub(crate) entries: Entries,
    /// Next copy of each node; empty where there is none.
    pub(crate) twins: Array<u32>,
    /// The vectors themselves; none where bytes are exact.
    pub(crate) full: Option<Vectors>,
    calibration: Calibration,
    /// Measured when first needed.
    costs: OnceLock<Costs>,
    /// There once it was asked for.
    sketch: OnceLock<Sketched>,
    /// Rows that hang behind nodes, found when first needed.
    copies: OnceLock<Copies>,
}

impl QuantizedGraph {
    fn field(&self) -> Field<'_> {
        Field {
            rows: self.rows.as_slice(),
            layout: self.layout,
            nodes: self.len(),
            entries: &self.entries,
            rotation: &self.rotation,
            mean: self.mean.as_slice(),
            scale: self.scale,
            metric: self.spec.metric(),
            units: self.units,
            full: self.full.as_ref().map_or((&[], 0), |full| (vector_bytes(full), full.bytes() / full.len().max(1))),
        }
    }

    /// `node` and the copies that hang behind it.
    #[inline(always)]
    fn copies(&self, node: u32) -> impl Iterator<Item = u32> {
        chain(self.twins.as_slice(), node, self.len())
    }

    fn row(&self, slot: u32) -> Row<'_> {
        Row::new(&self.rows.as_slice()[slot as usize * self.layout.stride..], self.layout)
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len() / self.layout.stride
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the rows are, and how full vectors are kept.
    pub fn spec(&self) -> VectorSpec {
        self.spec
    }

    /// How it was built.
    pub fn params(&self) -> QuantizedParams {
        self.params
    }

    /// Whether every row is kept exactly in its bytes.
    pub fn is_lossless(&self) -> bool {
        self.scale == Scale::Whole
    }

    /// Row `slot` as kept (scaled to length one under cosine). Panics if it is not below [`len`](QuantizedGraph::len).
    pub fn vector(&self, slot: Slot, out: &mut Vec<f32>) {
        match &self.full {
            Some(full) => full.decode(slot, out),
            None => {
                let row = self.row(slot.0);
                self.scale.decode(row.vector(), row.terms(), self.spec.dim(), out);
            }
        }
    }

    /// Makes a sketch of the rows, unless there is one: codes of a bit per coordinate, by which searches among the rows of a mask compare few
    /// of them where a walk would take longer ([`Plan::Coded`](crate::planner::Plan::Coded)). It is not saved with the index. Cost: a
    /// rotation of each row, as parallel as `options` say, and a bit per coordinate.
    pub fn make_sketch(&self, options: &BuildOptions<'_>) {
        let decode = |slot, out: &mut Vec<f32>| self.vector(Slot(slot), out);
        self.sketch.get_or_init(|| Sketched::new(self.spec, self.len(), options, decode));
    }

    pub(crate) fn has_sketch(&self) -> bool {
        self.sketch.get().is_some()
    }

    /// The rows, for exact searches.
    pub(crate) fn kept(&self) -> Kept<'_, impl Fn(Slot, &mut Vec<f32>)> {
        let decode = |slot, out: &mut Vec<f32>| self.vector(slot, out);
        Kept { spec: self.spec, rows: self.len(), full: self.full.as_ref(), decode }
    }

    /// Bytes of a row of `spec`, without its full vector.
    pub(crate) fn row_bytes(spec: VectorSpec) -> usize {
        Layout::new(spec.dim(), Rotation::padded(spec.dim())).stride
    }

    /// Bytes of rows, codes and full vectors: what a search may touch.
    pub fn index_bytes(&self) -> usize {
        let full = self.full.as_ref().map_or(0, Vectors::bytes);
        let sketch = self.sketch.get().map_or(0, Sketched::bytes);
        self.rows.bytes()
            + self.entries.blocks.bytes()
            + self.entries.slots.bytes()
            + self.twins.bytes()
            + full
            + sketch
    }
}
