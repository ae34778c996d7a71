//! [`Scanned`]: vectors without a graph. Each is compared, or estimated by its code first once there is a sketch of them.

use std::ops::Range;
use std::sync::OnceLock;

use crate::compare::{Compare, Nearest, Whole};
use crate::distance::simd::Simd;
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

impl CodedBuffers {
    /// As [`Sketching::kept`].
    pub(super) fn kept(&self) -> &[f32] {
        self.sketching.kept()
    }
}

/// Rows that are scanned by the codes of one sketch.
pub(crate) struct Coded<'a> {
    sketch: &'a Sketch,
    /// The vectors, in parts, with the first of the sketch's rows that is in each, in order.
    vectors: Vec<(u32, &'a Vectors)>,
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
        is_cheaper.then(|| Coded::new(sketch, vec![(0, &self.vectors)], eligible))
    }
}

impl<'a> Coded<'a> {
    /// Rows of `sketch`; those that are eligible are among `vectors`, in parts, with the first row of each, in order.
    pub(crate) fn new(sketch: &'a Sketch, vectors: Vec<(u32, &'a Vectors)>, eligible: Eligible<'a>) -> Self {
        Coded { sketch, vectors, eligible }
    }

    /// Scans all `shares`, which are of one spec, as if they were one, and hands what is nearest to `take`, nearest first, with the number of
    /// its share. Says what was done in each.
    pub(crate) fn scan(
        shares: &[Coded<'_>],
        query: VectorRef<'_>,
        wanted: Wanted,
        (buffers, scratch): (&mut CodedBuffers, &mut Scratch),
        mut take: impl FnMut(usize, Hit),
    ) -> Result<Vec<Counts>, SearchError> {
        let CodedBuffers { query: loaded, sketching, nearest } = buffers;
        if let Some((_, first)) = shares.iter().flat_map(|share| &share.vectors).next() {
            load(&first.spec(), query, loaded)?;
            with_rows!(first, rows => {
                let query = rows.encode(query, &mut scratch.query)?;
                let shares = shares.iter().map(|Coded { sketch, vectors, eligible }| {
                    let parts = vectors.iter().map(|&(first, vectors)| {
                        let rows = vectors.like(rows).expect("rows of one spec");
                        (first..first + rows.len() as u32, Whole { space: rows.view(), query })
                    });
                    Share { sketch, by: InParts(parts.collect()), eligible: *eligible }
                });
                sketch::scan(&shares.collect::<Vec<_>>(), loaded, wanted, sketching, nearest);
            });
            for &(distance, row) in nearest.rows() {
                let (share, slot) = sketching.locate(row);
                take(share, Hit { slot: Slot(slot), distance });
            }
        }
        Ok((0..shares.len()).map(|share| sketching.counts(share)).collect())
    }
}

/// Rows that lie in parts, in order. Those that are in none are infinitely far.
struct InParts<C>(Vec<(Range<u32>, C)>);

impl<C> InParts<C> {
    /// The part of a row, and which it is there.
    #[inline(always)]
    fn part(&self, slot: u32) -> Option<(&C, u32)> {
        let (rows, by) = &self.0[self.0.partition_point(|(rows, _)| rows.end <= slot)..].first()?;
        (rows.start <= slot).then(|| (by, slot - rows.start))
    }
}

impl<C: Compare> Compare for InParts<C> {
    #[inline(always)]
    fn errs(&self) -> bool {
        self.0.iter().any(|(_, by)| by.errs())
    }

    #[inline(always)]
    fn distance<S: Simd>(&self, simd: S, slot: u32) -> f32 {
        self.part(slot).map_or(f32::INFINITY, |(by, slot)| by.distance(simd, slot))
    }

    #[inline(always)]
    fn margin(&self, slot: u32) -> f32 {
        self.part(slot).map_or(0.0, |(by, slot)| by.margin(slot))
    }

    #[inline(always)]
    fn fetch(&self, slot: u32) {
        self.part(slot).into_iter().for_each(|(by, slot)| by.fetch(slot));
    }
}
