//! [`Scanned`]: vectors without a graph. Each is compared, or estimated by its code first once there is a sketch of them.

use std::sync::OnceLock;

use crate::compare::{Nearest, Whole};
use crate::ids::Slot;
use crate::params::BuildOptions;
use crate::qgraph::load;
use crate::query::{Hit, SearchError};
use crate::rows::VectorRef;
use crate::scratch::Scratch;
use crate::sketch::{self, Counts, Eligible, Share, Sketch, Sketching, Wanted};
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

/// Rows that are scanned by their codes.
pub(crate) struct Coded<'a> {
    vectors: &'a Vectors,
    sketch: &'a Sketch,
    eligible: Eligible<'a>,
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

    /// The `matching` rows that are eligible, for a coded scan for `k` results; none where that would not be cheaper than to compare
    /// them.
    pub(crate) fn coded<'a>(&'a self, k: usize, eligible: Eligible<'a>, matching: usize) -> Option<Coded<'a>> {
        let row_bytes = self.vectors.spec().row_bytes();
        let sketch = self.sketch.get()?;
        let coded = eligible.estimated(sketch) * sketch.row_bytes() + 4 * k * row_bytes;
        let is_cheaper = FEWER * coded <= matching * row_bytes;
        is_cheaper.then_some(Coded { vectors: &self.vectors, sketch, eligible })
    }
}

impl Coded<'_> {
    /// Scans all `parts`, which are of one spec, as if they were one, and hands what is nearest to `take`, nearest first, with the number of
    /// its part. Says what was done in each.
    pub(crate) fn scan(
        parts: &[Coded<'_>],
        query: VectorRef<'_>,
        wanted: Wanted,
        (buffers, scratch): (&mut CodedBuffers, &mut Scratch),
        mut take: impl FnMut(usize, Hit),
    ) -> Result<Vec<Counts>, SearchError> {
        let CodedBuffers { query: loaded, sketching, nearest } = buffers;
        if let [first, ..] = parts {
            load(&first.vectors.spec(), query, loaded)?;
            with_rows!(first.vectors, rows => {
                let query = rows.encode(query, &mut scratch.query)?;
                let shares = parts.iter().map(|part| {
                    let rows = part.vectors.like(rows).expect("rows of one spec");
                    Share { sketch: part.sketch, by: Whole { space: rows.view(), query }, eligible: part.eligible }
                });
                sketch::scan(&shares.collect::<Vec<_>>(), loaded, wanted, sketching, nearest);
            });
            for &(distance, row) in nearest.rows() {
                let (part, slot) = sketching.locate(row);
                take(part, Hit { slot: Slot(slot), distance });
            }
        }
        Ok((0..parts.len()).map(|part| sketching.counts(part)).collect())
    }
}
