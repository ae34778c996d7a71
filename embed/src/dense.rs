//! What dense and multi-vector encoders return: one contiguous row-major matrix, so that a batch goes to an index, a
//! file or the wire without being copied row by row.

/// A dense vector for each text. `data: [texts × dim]`, row-major, all finite.
#[derive(Debug, Clone, PartialEq)]
pub struct DenseBatch {
    data: Vec<f32>,
    dim: usize,
}

/// Any number of dense vectors for each text. `rows: [sum of lengths × dim]`, row-major, text after text.
#[derive(Debug, Clone, PartialEq)]
pub struct MultiVectorBatch {
    rows: DenseBatch,
    /// Text `i` has the rows `starts[i]..starts[i + 1]`.
    starts: Vec<usize>,
}

/// Why numbers are no batch of vectors.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// Not whole rows.
    #[error("expected rows of dimension {dim}, which is at least 1, found {found} numbers")]
    Shape {
        /// The dimension asked for.
        dim: usize,
        /// Numbers there are.
        found: usize,
    },
    /// A number is NaN or infinite.
    #[error("expected finite numbers, found {found} in row {row}")]
    NotFinite {
        /// The row.
        row: usize,
        /// The number.
        found: f32,
    },
    /// The texts' lengths do not add up to the rows.
    #[error("expected lengths that add up to {rows} rows, found {found}")]
    Lengths {
        /// Rows there are.
        rows: usize,
        /// Sum of the lengths.
        found: usize,
    },
}

impl DenseBatch {
    /// Takes `data: [rows × dim]`. Errors if it is not whole rows, or not all finite.
    pub fn new(data: Vec<f32>, dim: usize) -> Result<Self, BatchError> {
        if dim == 0 || !data.len().is_multiple_of(dim) {
            return Err(BatchError::Shape { dim, found: data.len() });
        }
        match data.iter().position(|value| !value.is_finite()) {
            Some(at) => Err(BatchError::NotFinite { row: at / dim, found: data[at] }),
            None => Ok(DenseBatch { data, dim }),
        }
    }

    /// Numbers in a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.data.len() / self.dim
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Row `row`. Panics if there is no such row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.data[row * self.dim..(row + 1) * self.dim]
    }

    /// All rows. `[rows × dim]`, row-major.
    pub fn as_slice(&self) -> &[f32] {
        &self.data
    }

    /// All rows, given away. `[rows × dim]`, row-major.
    pub fn into_data(self) -> Vec<f32> {
        self.data
    }
}

impl MultiVectorBatch {
    /// Cuts `rows` into texts: `lengths[i]` rows belong to text `i`. Errors if the lengths do not add up.
    pub fn new(rows: DenseBatch, lengths: &[usize]) -> Result<Self, BatchError> {
        let mut starts = vec![0];
        starts.extend(lengths.iter().scan(0_usize, |end, &length| {
            *end = end.saturating_add(length);
            Some(*end)
        }));
        match starts[lengths.len()] {
            end if end == rows.len() => Ok(MultiVectorBatch { rows, starts }),
            found => Err(BatchError::Lengths { rows: rows.len(), found }),
        }
    }

    /// Texts.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Whether there are no texts.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The vectors of all texts, one after the other.
    pub fn rows(&self) -> &DenseBatch {
        &self.rows
    }

    /// The vectors of text `text`. `[its length × dim]`, row-major. Panics if there is no such text.
    pub fn text(&self, text: usize) -> &[f32] {
        let dim = self.rows.dim;
        &self.rows.data[self.starts[text] * dim..self.starts[text + 1] * dim]
    }

    /// The text that row `row` belongs to. Panics if there is no such row.
    pub fn text_of(&self, row: usize) -> usize {
        assert!(row < self.rows.len(), "row {row} of {}", self.rows.len());
        self.starts.partition_point(|&start| start <= row) - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_from_one_slice() {
        let batch = DenseBatch::new(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2).unwrap();
        assert_eq!((batch.len(), batch.row(1)), (3, &[3.0, 4.0][..]));
        let texts = MultiVectorBatch::new(batch, &[2, 0, 1]).unwrap();
        assert_eq!(texts.len(), 3);
        assert_eq!((texts.text(0).len(), texts.text(1), texts.text(2)), (4, &[][..], &[5.0, 6.0][..]));
        assert_eq!((0..3).map(|row| texts.text_of(row)).collect::<Vec<_>>(), [0, 0, 2]);
    }

    #[test]
    fn refuses_what_is_no_matrix() {
        for (found, dim) in [(0, 0), (3, 0), (3, 2)] {
            assert_eq!(DenseBatch::new(vec![0.0; found], dim), Err(BatchError::Shape { dim, found }));
        }
        let error = DenseBatch::new(vec![0.0, 0.0, 0.0, f32::NAN], 2).unwrap_err().to_string();
        assert_eq!(error, "expected finite numbers, found NaN in row 1");
        let rows = DenseBatch::new(vec![0.0; 4], 2).unwrap();
        assert_eq!(MultiVectorBatch::new(rows, &[1, 2]), Err(BatchError::Lengths { rows: 2, found: 3 }));
    }
}
