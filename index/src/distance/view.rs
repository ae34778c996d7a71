//! What a kernel is given and what it is: rows of one width, and a table of functions over them.

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
/// Each function may be called only on a CPU that has the instruction set, and with the lengths that `Kernels` checks:
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
