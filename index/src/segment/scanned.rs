//! [`Scanned`]: vectors without a graph. Each is compared, or estimated by its code first once there is a sketch of them.

use std::sync::OnceLock;

use crate::compare::{Nearest, Whole};
use crate::ids::Slot;
use crate::params::BuildOptions;
use crate::qgraph::load;
use crate::query::{Hit, SearchError};
use crate::rows::VectorRef;
use crate::scratch::Scratch;
use crate::sketch::{Counts, Eligible, Sketch, Sketching};
use crate::vectors::dense::{Vectors, with_rows};

#[derive(Debug, Clone)]
pub(crate) struct Scanned {
    pub(crate) vectors: Vectors,
    /// There once it was asked for.
    sketch: OnceLock<Sketch>,
}

/// The buffers of coded scans on one thread.
#[derive(Debug, Default)]
pub(crate) struct CodedBuffers {
    query: Vec<f32>,
    sketching: Sketching,
    nearest: Nearest,
}

/// By how many times fewer bytes a coded scan must read to be worth its two passes.
const FEWER: usize = 2;

impl Scanned {
    pub(crate) fn new(vectors: Vectors) -> Self {
        Scanned { vectors, sketch: OnceLock::new() }
    }

    /// Makes a sketch, unless there is one.
    pub(crate) fn make_sketch(&self, options: &BuildOptions<'_>) {
        let decode = |slot, out: &mut Vec<f32>| self.vectors.decode(Slot(slot), out);
        self.sketch.get_or_init(|| Sketch::new(self.vectors.spec(), self.vectors.len(), options, decode));
    }

    pub(crate) fn has_sketch(&self) -> bool {
        self.sketch.get().is_some()
    }

    /// Bytes of vectors and codes.
    pub(crate) fn bytes(&self) -> usize {
        self.vectors.bytes() + self.sketch.get().map_or(0, Sketch::bytes)
    }

    /// Puts the `k` nearest of `matching` eligible rows, as far as they are within `within`, into `hits` by a coded scan; what it did, or
    /// none, and no hits, where it would not be cheaper than to compare all.
    pub(crate) fn coded(
        &self,
        query: VectorRef<'_>,
        (k, within): (usize, f32),
        (eligible, matching): (Eligible<'_>, usize),
        (buffers, scratch): (&mut CodedBuffers, &mut Scratch),
        hits: &mut Vec<Hit>,
    ) -> Result<Option<Counts>, SearchError> {
        hits.clear();
        let Some(sketch) = self.sketch.get().filter(|sketch| self.is_cheaper(sketch, k, eligible, matching)) else {
            return Ok(None);
        };
        let CodedBuffers { query: loaded, sketching, nearest } = buffers;
        load(&self.vectors.spec(), query, loaded)?;
        let counts = with_rows!(&self.vectors, rows => {
            let by = Whole { space: rows.view(), query: rows.encode(query, &mut scratch.query)? };
            sketch.scan(&by, loaded, (k, within), eligible, sketching, nearest)
        });
        hits.extend(nearest.rows().iter().map(|&(distance, slot)| Hit { slot: Slot(slot), distance }));
        Ok(Some(counts))
    }

    fn is_cheaper(&self, sketch: &Sketch, k: usize, eligible: Eligible<'_>, matching: usize) -> bool {
        let row_bytes = self.vectors.spec().row_bytes();
        let coded = eligible.estimated(sketch) * sketch.row_bytes() + 4 * k * row_bytes;
        FEWER * coded <= matching * row_bytes
    }
}
