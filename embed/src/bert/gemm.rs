//! Matrix products: the only place that calls the `gemm` crate, whose interface is raw pointers and strides.
//!
//! Of what was measured on AVX-512 and AVX2 (`embed/results/gemm.md`) it is the fastest in the shapes of an encoder, and
//! it chooses its kernels at run time. It packs for itself; what is prepared once is the layout that it packs from.

#![allow(unsafe_code)]

/// A read-only view of a matrix inside a slice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> View<'a> {
    /// `rows × columns` numbers, rows `row_stride` apart and columns `column_stride` apart. Panics if `data` is shorter.
    pub(crate) fn new(data: &'a [f32], [rows, columns]: [usize; 2], row_stride: usize, column_stride: usize) -> Self {
        let reach = reach([rows, columns], row_stride, column_stride);
        assert!(reach <= data.len(), "a matrix reaches to {reach} of {} numbers", data.len());
        View { data, rows, columns, row_stride, column_stride }
    }

    /// Row-major without gaps.
    pub(crate) fn rows(data: &'a [f32], columns: usize) -> Self {
        View::new(data, [data.len() / columns, columns], columns, 1)
    }

    /// Rows for columns.
    pub(crate) fn transposed(self) -> Self {
        View {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// The number of elements from the first of a matrix to its last.
fn reach([rows, columns]: [usize; 2], row_stride: usize, column_stride: usize) -> usize {
    if rows == 0 || columns == 0 {
        return 0;
    }
    let last = (rows - 1).checked_mul(row_stride).zip((columns - 1).checked_mul(column_stride));
    last.and_then(|(row, column)| row.checked_add(column)?.checked_add(1)).expect("a matrix fits into memory")
}

/// `out = left · right`, or `out += left · right` if `add`. `out: [left.rows × right.columns]`, rows `stride` apart. One
/// thread. Panics if the shapes do not fit each other or `out`.
pub(crate) fn multiply(left: View<'_>, right: View<'_>, out: &mut [f32], stride: usize, add: bool) {
    assert_eq!(left.columns, right.rows, "the inner dimensions of a product");
    assert!(right.columns <= stride, "rows of {} numbers, {stride} apart", right.columns);
    let reach = reach([left.rows, right.columns], stride, 1);
    assert!(reach <= out.len(), "a product reaches to {reach} of {} numbers", out.len());
    if left.rows == 0 || right.columns == 0 {
        return;
    }
    // SAFETY: `View::new` made `left` and `right` reach no further than their slices and `transposed` keeps that; the
    // assertion above does the same for `out`, whose rows do not overlap as they are at most `stride` wide and which, being
    // borrowed mutably, overlaps neither of the others. Strides are at most a slice's length, so they fit into an isize.
    unsafe {
        gemm::gemm(
            left.rows,
            right.columns,
            left.columns,
            out.as_mut_ptr(),
            1,
            stride as isize,
            add,
            left.data.as_ptr(),
            left.column_stride as isize,
            left.row_stride as isize,
            right.data.as_ptr(),
            right.column_stride as isize,
            right.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(left: View<'_>, right: View<'_>) -> Vec<f64> {
        let at =
            |view: View<'_>, row, column| f64::from(view.data[row * view.row_stride + column * view.column_stride]);
        let mut out = Vec::new();
        for row in 0..left.rows {
            for column in 0..right.columns {
                out.push((0..left.columns).map(|k| at(left, row, k) * at(right, k, column)).sum());
            }
        }
        out
    }

    #[test]
    fn equals_the_plain_product_in_every_layout() {
        let numbers: Vec<f32> = (0..4000_u32).map(|i| ((i * 7919) % 1000) as f32 / 500.0 - 1.0).collect();
        for (rows, inner, columns) in [(1, 1, 1), (1, 32, 5), (7, 13, 3), (16, 32, 16), (31, 40, 33), (3, 0, 2)] {
            let left = View::new(&numbers, [rows, inner], inner.max(1) + 3, 1);
            let right = View::new(&numbers[17..], [columns, inner], inner.max(1) + 5, 1).transposed();
            let expected = plain(left, right);
            let stride = columns + 2;
            let mut out = vec![5.0; rows * stride];
            multiply(left, right, &mut out, stride, false);
            for row in 0..rows {
                for column in 0..columns {
                    let (found, expected) = (out[row * stride + column], expected[row * columns + column]);
                    assert!((f64::from(found) - expected).abs() < 1e-4, "{rows}×{inner}×{columns}: {found} {expected}");
                }
                assert_eq!(&out[row * stride + columns..(row + 1) * stride], [5.0, 5.0], "gaps are left alone");
            }
            let once = out.clone();
            multiply(left, right, &mut out, stride, true);
            assert!((out[0] - 2.0 * once[0]).abs() < 1e-4);
        }
    }

    #[test]
    #[should_panic(expected = "a matrix reaches to 8 of 7 numbers")]
    fn refuses_a_view_past_the_end() {
        View::new(&[0.0; 7], [2, 3], 5, 1);
    }

    #[test]
    #[should_panic(expected = "a product reaches to 4 of 3 numbers")]
    fn refuses_a_product_past_the_end() {
        let data = [0.0; 4];
        multiply(View::rows(&data, 2), View::rows(&data, 2), &mut [0.0; 3], 2, false);
    }
}
