//! Rows as nested codes, the part that is walked apart from the part that is read at the end.
//!
//! ```text
//! high    the higher nibbles of each row, in whole cache lines
//! terms   8 bytes a row: what turns a product with them into a distance
//! fine    lower nibbles and their terms; or, of whole numbers in 0..=255, the numbers themselves
//! ```
//!
//! Whole numbers are exact in a byte, and nibbles of a rotated copy beside them cost half as much again. So their finest reading is the
//! row itself, and distances from it are exact.

use rayon::prelude::*;

use crate::bytes::Array;
use crate::distance::prefetch::prefetch;
use crate::distance::simd::{Simd, Task, dispatch, isa};
use crate::metric::Metric;

use super::byte::{self, BLOCK, ByteQuery, Scale};
use super::frame::Frame;
use super::nested::{self, Bits, FineTerms, NestedQuery, Terms, Unit, plane_bytes};
use super::rotation::Rotation;

/// Bytes of a cache line.
const LINE: usize = 64;

/// Coded rows.
#[derive(Debug, Clone)]
pub(crate) struct Codes {
    pub(crate) frame: Frame,
    pub(crate) metric: Metric,
    pub(crate) scale: Scale,
    pub(crate) unit: Unit,
    /// `[rows × plane_bytes]`.
    pub(crate) high: Array<u8>,
    /// `[rows]`.
    pub(crate) terms: Array<Terms>,
    /// `[rows × fine_stride]`, and a [`BLOCK`] of zeros behind whole numbers, so that the last may be read in whole blocks.
    pub(crate) fine: Array<u8>,
}

/// Writes the two planes of one row.
struct Encode<'a> {
    codes: &'a Codes,
    /// Length of the centre, squared.
    square: f64,
    row: &'a [f32],
    rotated: &'a mut Vec<f32>,
    high: &'a mut [u8],
    low: &'a mut [u8],
}

impl Task for Encode<'_> {
    type Output = (Terms, FineTerms);

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Self::Output {
        let Encode { codes, square, row, rotated, high, low } = self;
        let offset = f64::from(codes.frame.enter(simd, row, rotated)) - square;
        nested::encode(rotated, codes.metric, offset, codes.unit, high, low)
    }
}

/// Makes a query that of a vector.
struct Prepare<'a> {
    codes: &'a Codes,
    query: &'a mut CodeQuery,
    vector: &'a [f32],
}

impl Task for Prepare<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        self.codes.set(simd, self.query, self.vector);
    }
}

/// A query made ready for codes.
#[derive(Debug, Clone, Default)]
pub(crate) struct CodeQuery {
    /// As the codes' frame has it.
    pub(crate) rotated: Vec<f32>,
    nested: NestedQuery,
    bytes: ByteQuery,
}

impl CodeQuery {
    /// The query's distance from the centre.
    #[inline(always)]
    pub(crate) fn length(&self) -> f32 {
        self.nested.length()
    }
}

impl Codes {
    /// Codes of as many rows as `rows`, at most `radius` from the centre; `vector` writes them.
    pub(crate) fn new(
        frame: Frame,
        metric: Metric,
        scale: Scale,
        (rows, radius): (usize, f32),
        vector: impl Fn(u32, &mut Vec<f32>) + Sync,
    ) -> Self {
        let unit = Unit::of(radius);
        let (high, terms, fine) = Default::default();
        let mut codes = Codes { frame, metric, scale, unit, high, terms, fine };
        let (plane, stride, dim) = (codes.plane(), codes.fine_stride(), codes.dim());
        let (mut high, mut terms, mut fine) = (Array::default(), Array::default(), Array::default());
        high.resize(rows * plane);
        terms.resize(rows);
        fine.resize(rows * stride + codes.fine_slack());
        let (fine_rows, _) = fine.as_mut_slice().split_at_mut(rows * stride);
        let tasks = high.as_mut_slice().par_chunks_mut(plane).zip(fine_rows.par_chunks_mut(stride));
        let tasks = tasks.zip(terms.as_mut_slice()).enumerate();
        let square = codes.frame.square();
        tasks.for_each_init(Default::default, |buffers: &mut (Vec<f32>, Vec<f32>, Vec<u8>), (slot, task)| {
            let (((high, fine), terms), (row, rotated, low)) = (task, buffers);
            vector(slot as u32, row);
            low.resize(plane, 0);
            let encode = Encode { codes: &codes, square, row, rotated, high, low };
            let (near, last) = dispatch(isa(), encode);
            *terms = near;
            let (body, tail) = fine.split_at_mut(stride - size_of::<FineTerms>());
            tail.copy_from_slice(bytemuck::bytes_of(&last));
            match scale {
                Scale::Own => body.copy_from_slice(low),
                Scale::Whole => {
                    let (numbers, terms) = body.split_at_mut(body.len() - size_of::<byte::Terms>());
                    terms.copy_from_slice(bytemuck::bytes_of(&scale.encode(row, metric, &mut numbers[..dim])));
                }
            }
        });
        (codes.high, codes.terms, codes.fine) = (high, terms, fine);
        codes
    }

    /// Coordinates of a row.
    pub(crate) fn dim(&self) -> usize {
        self.frame.centre.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.terms.len()
    }

    /// Bytes of a row's higher nibbles.
    pub(crate) fn plane(&self) -> usize {
        plane_bytes(self.frame.out_dim())
    }

    /// Bytes from one fine row to the next.
    #[inline(always)]
    pub(crate) fn fine_stride(&self) -> usize {
        fine_stride(self.dim(), self.plane(), self.scale)
    }

    /// Bytes behind the last fine row.
    pub(crate) fn fine_slack(&self) -> usize {
        if self.scale == Scale::Whole { BLOCK } else { 0 }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.high.bytes() + self.terms.bytes() + self.fine.bytes()
    }

    /// Makes `query` that of `vector`.
    #[inline(always)]
    pub(crate) fn set<S: Simd>(&self, simd: S, query: &mut CodeQuery, vector: &[f32]) {
        let product = self.frame.enter(simd, vector, &mut query.rotated);
        query.nested.set(&query.rotated, self.metric, product);
        if self.scale == Scale::Whole {
            query.bytes.set(vector, self.scale, self.metric);
        }
    }

    /// As [`set`](Codes::set), where there is no task yet.
    pub(crate) fn prepare(&self, query: &mut CodeQuery, vector: &[f32]) {
        dispatch(isa(), Prepare { codes: self, query, vector });
    }

    /// Estimates of the distances to the rows `slots`, read at `bits`, into the front of `out`.
    #[inline(always)]
    pub(crate) fn estimates<S: Simd>(
        &self,
        simd: S,
        query: &mut CodeQuery,
        bits: Bits,
        slots: &[u32],
        out: &mut [f32],
    ) {
        if bits == Bits::Eight {
            slots.iter().zip(out).for_each(|(&slot, out)| *out = self.finest(simd, query, slot));
            return;
        }
        let codes = (self.high.as_slice(), self.terms.as_slice(), self.unit);
        query.nested.estimates(simd, bits, codes, slots, out);
    }

    /// The distance to a row from all that is kept of it; exact for whole numbers.
    #[inline(always)]
    pub(crate) fn finest<S: Simd>(&self, simd: S, query: &CodeQuery, slot: u32) -> f32 {
        let (row, fine) = self.fine_row(slot);
        match self.scale {
            Scale::Own => {
                let high = &self.high.as_slice()[slot as usize * self.plane()..][..self.plane()];
                query.nested.distance(simd, high, row, self.terms.as_slice()[slot as usize], fine)
            }
            Scale::Whole => {
                let (numbers, terms) = row.split_at(row.len() - size_of::<byte::Terms>());
                let start = slot as usize * self.fine_stride();
                debug_assert_eq!(numbers.len(), self.dim().next_multiple_of(8));
                // Read in whole blocks: the query is zero beyond its dimension.
                let numbers = &self.fine.as_slice()[start..][..self.dim().next_multiple_of(BLOCK)];
                query.bytes.distance(simd, numbers, bytemuck::cast_slice(terms)[0])
            }
        }
    }

    /// A fine row without its terms, and those.
    #[inline(always)]
    fn fine_row(&self, slot: u32) -> (&[u8], FineTerms) {
        let stride = self.fine_stride();
        let (row, terms) =
            self.fine.as_slice()[slot as usize * stride..][..stride].split_at(stride - size_of::<FineTerms>());
        (row, bytemuck::cast_slice(terms)[0])
    }

    /// The standard deviation of a row's estimate; zero where it is exact.
    #[inline(always)]
    pub(crate) fn deviation(&self, query: &CodeQuery, bits: Bits, slot: u32) -> f32 {
        match (self.scale, bits) {
            (Scale::Whole, Bits::Eight) => 0.0,
            _ => query.nested.deviation(bits, self.fine_row(slot).1, self.unit),
        }
    }

    /// The mean over all rows of the standard deviation of estimates at four bits, for a query at length one from the centre.
    pub(crate) fn mean_deviation(&self) -> f32 {
        let of = |slot| f64::from(self.fine_row(slot).1.deviation(self.unit));
        // In order, so that it is the same on any number of threads.
        ((0..self.len() as u32).map(of).sum::<f64>() / self.len().max(1) as f64) as f32
    }

    /// Asks for what an estimate at `bits` reads.
    #[inline(always)]
    pub(crate) fn fetch(&self, bits: Bits, slot: u32) {
        let slot = slot as usize;
        if bits != Bits::Eight || self.scale == Scale::Own {
            lines(&self.high.as_slice()[slot * self.plane()..][..self.plane()]);
            prefetch(&self.terms.as_slice()[slot]);
        }
        if bits == Bits::Eight {
            self.fetch_fine(slot as u32);
        }
    }

    /// Asks for a fine row.
    #[inline(always)]
    pub(crate) fn fetch_fine(&self, slot: u32) {
        let stride = self.fine_stride();
        let row = &self.fine.as_slice()[slot as usize * stride..][..stride];
        lines(row);
        prefetch(&row[stride - 1]);
    }

    /// The row as its finest reading has it.
    pub(crate) fn decode(&self, slot: u32, out: &mut Vec<f32>) {
        let (row, fine) = self.fine_row(slot);
        match self.scale {
            Scale::Own => {
                let high = &self.high.as_slice()[slot as usize * self.plane()..][..self.plane()];
                out.clear();
                out.resize(self.frame.out_dim(), 0.0);
                nested::decode(high, row, fine, self.metric, out);
                self.frame.leave(out);
            }
            Scale::Whole => {
                let terms = byte::Terms { add: 0.0, step: 1.0 };
                self.scale.decode(row, terms, self.dim(), out);
            }
        }
    }
}

/// Bytes from one fine row to the next, of rows of `dim` coordinates and planes of `plane` bytes.
#[inline(always)]
const fn fine_stride(dim: usize, plane: usize, scale: Scale) -> usize {
    let body = match scale {
        Scale::Own => plane,
        Scale::Whole => dim.next_multiple_of(8) + size_of::<byte::Terms>(),
    };
    body + size_of::<FineTerms>()
}

/// Bytes of the codes of a row of `dim` coordinates, rotated.
pub(crate) const fn row_bytes(dim: usize, scale: Scale) -> usize {
    let plane = plane_bytes(Rotation::padded(dim));
    plane + size_of::<Terms>() + fine_stride(dim, plane, scale)
}

/// Asks for the lines of `bytes`.
#[inline(always)]
fn lines(bytes: &[u8]) {
    bytes.chunks(LINE).for_each(|line| prefetch(line.as_ptr()));
}
