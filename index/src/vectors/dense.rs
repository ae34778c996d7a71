//! Dense rows of one element type with the kernels that compare them, and the one `match` from a run-time type to a static one.

use std::any::Any;
use std::ops::Range;

use bytemuck::Zeroable;
use half::f16;
use rayon::prelude::*;

use crate::bytes::Array;
use crate::distance::{Bits8, Kernels, RowsView};
use crate::exact;
use crate::ids::Slot;
use crate::mask::Mask;
use crate::metric::ElementType;
use crate::query::{ExtendError, SearchError};
use crate::rows::{Rows, VectorRef};
use crate::scratch::Scratch;
use crate::spec::{Component, VectorError, VectorSpec};

/// Stored vectors: `[len × stride]`, row-major, each row zero-padded to whole 64-byte lines and aligned to one.
#[derive(Debug, Clone)]
pub(crate) struct Dense<T: Component> {
    spec: VectorSpec,
    rows: Array<T>,
    stride: usize,
    kernels: Kernels<T>,
}

/// A row is padded to whole cache lines: no kernel runs a tail, no line is shared by two rows.
const LINE: usize = 64;

/// From so many rows on, they are written in parallel.
const PARALLEL_ROWS: usize = 1024;

/// One cache line: room for a query of any element type, aligned as the rows are.
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
pub(crate) struct Line([u8; LINE]);

impl<T: Component> Dense<T> {
    pub(crate) fn new(spec: VectorSpec) -> Self {
        Self::over(spec, Array::default())
    }

    /// Takes over `rows` as they were stored before; their length must be a multiple of [`Dense::stride_of`].
    pub(crate) fn over(spec: VectorSpec, rows: Array<T>) -> Self {
        Dense { spec, rows, stride: Self::stride_of(&spec), kernels: Kernels::new(spec.metric()) }
    }

    /// Words from one row to the next.
    pub(crate) fn stride_of(spec: &VectorSpec) -> usize {
        spec.words().next_multiple_of(LINE / size_of::<T>())
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len() / self.stride
    }

    pub(crate) fn array(&self) -> &Array<T> {
        &self.rows
    }

    /// The rows and kernels as the search loops use them.
    pub(crate) fn view(&self) -> DenseView<'_, T> {
        DenseView { rows: RowsView::new(self.rows.as_slice(), self.stride, self.len()), kernels: self.kernels }
    }

    /// A row of zeros in `buffer`.
    pub(crate) fn padded<'b>(&self, buffer: &'b mut Vec<Line>) -> &'b mut [T] {
        buffer.clear();
        buffer.resize(self.stride * size_of::<T>() / LINE, Line::zeroed());
        bytemuck::cast_slice_mut(buffer)
    }

    /// `query` as stored words, padded as a row is, in `buffer`.
    pub(crate) fn encode<'b>(&self, query: VectorRef<'_>, buffer: &'b mut Vec<Line>) -> Result<&'b [T], VectorError> {
        let words = self.padded(buffer);
        self.spec.encode(query, words)?;
        Ok(words)
    }

    /// Appends rows; on an error nothing is appended, and the failing row's number comes with it.
    pub(crate) fn extend(&mut self, rows: Rows<'_>) -> Result<(), (usize, VectorError)> {
        let before = self.rows.len();
        self.rows.resize(before + rows.len() * self.stride);
        let (spec, new) = (self.spec, &mut self.rows.as_mut_slice()[before..]);
        let encode = |(index, out)| spec.encode(rows.row(index), out).map_err(|error| (index, error));
        let outcome = if rows.len() < PARALLEL_ROWS {
            new.chunks_exact_mut(self.stride).enumerate().try_for_each(encode)
        } else {
            let errors = new.par_chunks_exact_mut(self.stride).enumerate().map(encode).filter_map(Result::err);
            errors.min_by_key(|error| error.0).map_or(Ok(()), Err)
        };
        if outcome.is_err() {
            self.rows.resize(before);
        }
        outcome
    }

    /// Appends a row that was stored before, as [`decode`](Dense::decode) gave it.
    fn push_stored(&mut self, vector: &[f32]) {
        let at = self.rows.len();
        self.rows.resize(at + self.stride);
        for (word, &x) in self.rows.as_mut_slice()[at..].iter_mut().zip(vector) {
            *word = T::from_f32(x).expect("a word that was stored");
        }
    }

    /// Appends rows of another that is of the same spec, as they are.
    fn extend_stored(&mut self, from: &Self, slots: Range<usize>) {
        assert_eq!(self.spec, from.spec, "rows of one layout");
        self.rows.extend(&from.rows.as_slice()[slots.start * self.stride..slots.end * self.stride]);
    }

    pub(crate) fn reserve(&mut self, rows: usize) {
        self.rows.reserve(rows * self.stride);
    }

    /// Row `slot` as numbers, without the padding.
    pub(crate) fn decode(&self, slot: usize, out: &mut Vec<f32>) {
        let row = &self.rows.as_slice()[slot * self.stride..][..self.spec.words()];
        out.clear();
        T::extend_f32(row, out);
    }
}

/// What a search loop reads: rows and the kernels chosen for them.
#[derive(Clone, Copy)]
pub(crate) struct DenseView<'a, T: Component> {
    pub(crate) rows: RowsView<'a, T>,
    pub(crate) kernels: Kernels<T>,
}

impl<'a, T: Component> DenseView<'a, T> {
    /// Row `slot`, padding included.
    #[inline(always)]
    pub(crate) fn row(&self, slot: u32) -> &'a [T] {
        self.rows.row(slot as usize)
    }

    /// Distances from `query` to the rows `slots`.
    #[inline(always)]
    pub(crate) fn gather(&self, query: &[T], slots: &[u32], out: &mut [f32]) {
        self.kernels.gather(query, self.rows, slots, out);
    }
}

/// Rows of whichever element type an index was made for.
#[derive(Debug, Clone)]
pub(crate) enum Vectors {
    F32(Dense<f32>),
    F16(Dense<f16>),
    U8(Dense<u8>),
    I8(Dense<i8>),
    Bits(Dense<Bits8>),
}

/// Binds the statically typed rows of a [`Vectors`] (by value, `&` or `&mut`) and evaluates the body for their type.
macro_rules! with_rows {
    ($vectors:expr, $rows:ident => $body:expr) => {
        match $vectors {
            $crate::vectors::dense::Vectors::F32($rows) => $body,
            $crate::vectors::dense::Vectors::F16($rows) => $body,
            $crate::vectors::dense::Vectors::U8($rows) => $body,
            $crate::vectors::dense::Vectors::I8($rows) => $body,
            $crate::vectors::dense::Vectors::Bits($rows) => $body,
        }
    };
}
pub(crate) use with_rows;

impl Vectors {
    pub(crate) fn new(spec: VectorSpec) -> Self {
        match spec.element() {
            ElementType::F32 => Vectors::F32(Dense::new(spec)),
            ElementType::F16 => Vectors::F16(Dense::new(spec)),
            ElementType::U8 => Vectors::U8(Dense::new(spec)),
            ElementType::I8 => Vectors::I8(Dense::new(spec)),
            ElementType::Bits => Vectors::Bits(Dense::new(spec)),
        }
    }

    /// Its rows, if they are of the type of others.
    pub(crate) fn like<T: Component>(&self, _: &Dense<T>) -> Option<&Dense<T>> {
        with_rows!(self, rows => (rows as &dyn Any).downcast_ref())
    }

    pub(crate) fn spec(&self) -> VectorSpec {
        with_rows!(self, rows => rows.spec)
    }

    pub(crate) fn len(&self) -> usize {
        with_rows!(self, rows => rows.len())
    }

    pub(crate) fn bytes(&self) -> usize {
        with_rows!(self, rows => rows.rows.bytes())
    }
}

impl Vectors {
    /// Appends rows, on an error none, and returns their slots.
    pub(crate) fn extend(&mut self, rows: Rows<'_>) -> Result<Range<u32>, ExtendError> {
        let (first, found) = (self.len(), self.len() + rows.len());
        if found > Slot::MAX_ROWS {
            return Err(ExtendError::TooMany { found });
        }
        let outcome = with_rows!(self, dense => dense.extend(rows));
        outcome.map_err(|(row, error)| ExtendError::Vector { row, error })?;
        Ok(first as u32..found as u32)
    }

    /// Appends a row that was stored before, as [`decode`](Vectors::decode) gave it: nothing is scaled or checked again.
    pub(crate) fn push_stored(&mut self, vector: &[f32]) {
        with_rows!(self, rows => rows.push_stored(vector));
    }

    /// Appends the rows `slots` of `from`, which must be of the same spec, as they are.
    pub(crate) fn extend_stored(&mut self, from: &Vectors, slots: Range<usize>) {
        match (self, from) {
            (Vectors::F32(to), Vectors::F32(from)) => to.extend_stored(from, slots),
            (Vectors::F16(to), Vectors::F16(from)) => to.extend_stored(from, slots),
            (Vectors::U8(to), Vectors::U8(from)) => to.extend_stored(from, slots),
            (Vectors::I8(to), Vectors::I8(from)) => to.extend_stored(from, slots),
            (Vectors::Bits(to), Vectors::Bits(from)) => to.extend_stored(from, slots),
            (to, from) => panic!("rows of {:?}, expected {:?}", from.spec(), to.spec()),
        }
    }

    /// Makes room for `rows` rows in all.
    pub(crate) fn reserve(&mut self, rows: usize) {
        with_rows!(self, dense => dense.reserve(rows));
    }

    /// Leaves the `k` nearest rows for which `accept` holds in `scratch.accepted`.
    pub(crate) fn exact(
        &self,
        query: VectorRef<'_>,
        k: usize,
        accept: impl Fn(u32) -> bool,
        scratch: &mut Scratch,
    ) -> Result<(), SearchError> {
        if k == 0 {
            return Err(SearchError::ZeroK);
        }
        with_rows!(self, rows => {
            let query = rows.encode(query, &mut scratch.query)?;
            exact::nearest(rows.view(), query, k.min(rows.len()).max(1), accept, &mut scratch.accepted);
        });
        Ok(())
    }

    /// Leaves the `k` nearest rows of `mask` in `scratch.accepted`.
    pub(crate) fn exact_among(
        &self,
        query: VectorRef<'_>,
        k: usize,
        mask: &Mask,
        scratch: &mut Scratch,
    ) -> Result<(), SearchError> {
        if k == 0 {
            return Err(SearchError::ZeroK);
        }
        scratch.slots.clear();
        scratch.slots.extend(mask.iter().map(|slot| slot.0));
        with_rows!(self, rows => {
            let query = rows.encode(query, &mut scratch.query)?;
            exact::nearest_of(rows.view(), query, k, &scratch.slots, &mut scratch.accepted);
        });
        Ok(())
    }

    pub(crate) fn decode(&self, slot: Slot, out: &mut Vec<f32>) {
        with_rows!(self, rows => rows.decode(slot.index(), out));
    }
}
