//! The kernels of one metric and element type, as function pointers chosen once.
//!
//! A graph hop asks for the distances of one query to a handful of scattered rows. [`Kernels::gather`] answers that with a
//! single indirect call: bounds are checked here, and the loop over rows, the prefetching and the arithmetic lie together in one
//! function compiled for the instruction set.

use crate::metric::Metric;

use super::element::Element;
use super::isa::Isa;

/// Rows of one width in one block of memory: row `i` is `data[i · stride..][..stride]`.
///
/// All `stride` words of a row are compared; where rows are padded, rows and query both hold zeros there, which no metric sees.
#[derive(Debug, Clone, Copy)]
pub struct RowsView<'a, T> {
    data: &'a [T],
    stride: usize,
    rows: usize,
}

impl<'a, T> RowsView<'a, T> {
    /// `data` as `rows` rows of `stride` words. Panics if it does not hold exactly those.
    #[inline]
    pub fn new(data: &'a [T], stride: usize, rows: usize) -> Self {
        assert!(rows.checked_mul(stride) == Some(data.len()), "{rows} rows of {stride} words in {} words", data.len());
        RowsView { data, stride, rows }
    }

    /// Number of rows.
    #[inline]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is no row.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Words from one row to the next.
    #[inline]
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Row `index`. Panics if it is not below [`len`](RowsView::len).
    #[inline]
    pub fn row(&self, index: usize) -> &'a [T] {
        &self.data[index * self.stride..][..self.stride]
    }

    /// Where row `index` begins.
    ///
    /// # Safety
    /// `index` is below [`len`](RowsView::len).
    #[inline(always)]
    pub(super) unsafe fn row_ptr(&self, index: usize) -> *const T {
        // SAFETY: `new` saw that `data` holds `rows` rows of `stride` words, and `index` is one of them.
        unsafe { self.data.as_ptr().add(index * self.stride) }
    }
}

pub(super) type Distance<T> = unsafe fn(&[T], &[T]) -> f32;
pub(super) type Gather<T> = unsafe fn(&[T], RowsView<'_, T>, &[u32], &mut [f32]);
pub(super) type Scan<T> = unsafe fn(&[T], RowsView<'_, T>, usize, &mut [f32]);

/// One metric over one element type in one instruction set.
///
/// Each function may be called only on a CPU that has the instruction set, and with the lengths that [`Kernels`] checks:
/// `distance` with slices of one length; `gather` and `scan` with a query of `stride` words, and rows that exist.
pub struct Functions<T: 'static> {
    pub(super) distance: Distance<T>,
    pub(super) gather: Gather<T>,
    pub(super) scan: Scan<T>,
}

impl<T> Clone for Functions<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Functions<T> {}

/// Distances by one metric between vectors of `T`; smaller is nearer.
///
/// `d(a, b) == d(b, a)` bit for bit, and the three ways to ask agree bit for bit. Integers and bits are summed exactly and rounded
/// once; floats are summed in `f32` lanes, so results differ between instruction sets in the last digits.
///
/// Cosine over floats takes vectors of norm one (the store makes them so) and is `1 − a·b`. Over integers the norms are computed
/// along with the product; a vector of zeros is at distance one from everything.
#[derive(Clone, Copy)]
pub struct Kernels<T: Element> {
    functions: Functions<T>,
    isa: Isa,
    metric: Metric,
}

impl<T: Element> Kernels<T> {
    /// The kernels for [`Isa::detect`]. Panics if `T` does not support the metric, or with the text of the error if `VICINO_ISA`
    /// cannot be followed: a program that wants to report that itself calls [`Isa::detect`] when it starts.
    pub fn new(metric: Metric) -> Self {
        let isa = Isa::detect().unwrap_or_else(|error| panic!("{error}"));
        Self::with_isa(isa, metric).expect("a detected instruction set is available")
    }

    /// The kernels for `isa`; `None` where this CPU lacks it. Panics if `T` does not support the metric.
    pub fn with_isa(isa: Isa, metric: Metric) -> Option<Self> {
        assert!(T::TYPE.supports(metric), "{metric} does not compare {}", T::TYPE);
        isa.available().then(|| Kernels { functions: T::functions(isa, metric), isa, metric })
    }

    /// The instruction set.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// The metric.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// The distance between `a` and `b`, of any one length and alignment. Panics if the lengths differ.
    #[inline]
    pub fn distance(&self, a: &[T], b: &[T]) -> f32 {
        assert!(a.len() == b.len(), "distance of {} and {} words", a.len(), b.len());
        // SAFETY: `with_isa` saw that the CPU has the instruction set; the lengths are equal.
        unsafe { (self.functions.distance)(a, b) }
    }

    /// `out[i]` = distance of the query to row `slots[i]`; rows further on are prefetched meanwhile.
    /// Panics if the query is not as wide as the rows, `out` not as long as `slots`, or a slot is not below `rows.len()`.
    #[inline]
    pub fn gather(&self, query: &[T], rows: RowsView<'_, T>, slots: &[u32], out: &mut [f32]) {
        assert!(query.len() == rows.stride, "a query of {} words for rows of {}", query.len(), rows.stride);
        assert!(slots.len() == out.len(), "{} slots for {} distances", slots.len(), out.len());
        // No early exit, so that the comparisons are vectorised.
        let inside = slots.iter().fold(true, |inside, &slot| inside & ((slot as usize) < rows.rows));
        assert!(inside, "a slot of {slots:?} is not below {}", rows.rows);
        // SAFETY: `with_isa` saw that the CPU has the instruction set; lengths and slots are checked above.
        unsafe { (self.functions.gather)(query, rows, slots, out) }
    }

    /// `out[i]` = distance of the query to row `first + i`.
    /// Panics if the query is not as wide as the rows, or if the rows end before `out`.
    #[inline]
    pub fn scan(&self, query: &[T], rows: RowsView<'_, T>, first: usize, out: &mut [f32]) {
        assert!(query.len() == rows.stride, "a query of {} words for rows of {}", query.len(), rows.stride);
        let enough = first <= rows.rows && out.len() <= rows.rows - first;
        assert!(enough, "{} rows from {first} on, of {}", out.len(), rows.rows);
        // SAFETY: `with_isa` saw that the CPU has the instruction set; lengths and rows are checked above.
        unsafe { (self.functions.scan)(query, rows, first, out) }
    }
}

impl<T: Element> std::fmt::Debug for Kernels<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kernels")
            .field("metric", &self.metric)
            .field("element", &T::TYPE)
            .field("isa", &self.isa)
            .finish()
    }
}
