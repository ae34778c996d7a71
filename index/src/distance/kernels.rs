//! The kernels of one metric and element type, as function pointers chosen once.
//!
//! A graph hop asks for the distances of one query to a handful of scattered rows. [`Kernels::gather`] answers that with a
//! single indirect call: bounds are checked here, and the loop over rows, the prefetching and the arithmetic lie together in one
//! function compiled for the instruction set.

use crate::metric::Metric;

use super::element::Element;
use super::isa::Isa;
use super::view::{Functions, RowsView};

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
        assert!(query.len() == rows.stride(), "a query of {} words for rows of {}", query.len(), rows.stride());
        assert!(slots.len() == out.len(), "{} slots for {} distances", slots.len(), out.len());
        // No early exit, so that the comparisons are vectorised.
        let inside = slots.iter().fold(true, |inside, &slot| inside & ((slot as usize) < rows.len()));
        assert!(inside, "a slot of {slots:?} is not below {}", rows.len());
        // SAFETY: `with_isa` saw that the CPU has the instruction set; lengths and slots are checked above.
        unsafe { (self.functions.gather)(query, rows, slots, out) }
    }

    /// `out[i]` = distance of the query to row `first + i`.
    /// Panics if the query is not as wide as the rows, or if the rows end before `out`.
    #[inline]
    pub fn scan(&self, query: &[T], rows: RowsView<'_, T>, first: usize, out: &mut [f32]) {
        assert!(query.len() == rows.stride(), "a query of {} words for rows of {}", query.len(), rows.stride());
        let enough = first <= rows.len() && out.len() <= rows.len() - first;
        assert!(enough, "{} rows from {first} on, of {}", out.len(), rows.len());
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
