//! A vector that is zero almost everywhere: the dimensions that are not, in ascending order, and their values.
//!
//! The order is what makes a product of two vectors one merge, and equal vectors equal; it is checked where a vector is
//! made, so nothing behind [`SparseVector::new`] checks again.

use std::cmp::Ordering;

/// A sparse vector: `indices` strictly ascending, `values` finite, one for each index.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SparseVector {
    indices: Vec<u32>,
    values: Vec<f32>,
}

/// Why two lists are no sparse vector.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SparseError {
    /// The lists differ in length.
    #[error("expected one value for each index, found {indices} indices and {values} values")]
    Length {
        /// Length of the index list.
        indices: usize,
        /// Length of the value list.
        values: usize,
    },
    /// An index is not larger than the one before it.
    #[error("expected indices in ascending order without repeats, found {found} after {before} at position {position}")]
    Order {
        /// Where in the list.
        position: usize,
        /// The index before.
        before: u32,
        /// The index at `position`.
        found: u32,
    },
    /// A value is NaN or infinite.
    #[error("expected finite values, found {found} for index {index}")]
    NotFinite {
        /// The dimension.
        index: u32,
        /// Its value.
        found: f32,
    },
}

impl SparseVector {
    /// Takes the two lists as they are. Errors if they are not a sparse vector.
    pub fn new(indices: Vec<u32>, values: Vec<f32>) -> Result<Self, SparseError> {
        if indices.len() != values.len() {
            return Err(SparseError::Length { indices: indices.len(), values: values.len() });
        }
        if let Some(at) = indices.windows(2).position(|pair| pair[0] >= pair[1]) {
            return Err(SparseError::Order { position: at + 1, before: indices[at], found: indices[at + 1] });
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return Err(SparseError::NotFinite { index: indices[at], found: values[at] });
        }
        Ok(SparseVector { indices, values })
    }

    /// The dimensions that are stored, ascending.
    pub fn indices(&self) -> &[u32] {
        &self.indices
    }

    /// The values, in the order of [`indices`](Self::indices).
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Stored dimensions.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Whether no dimension is stored: the zero vector.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// Index and value of each stored dimension, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u32, f32)> + '_ {
        self.indices.iter().copied().zip(self.values.iter().copied())
    }

    /// The inner product, added up in f64. One merge of the two lists.
    pub fn dot(&self, other: &SparseVector) -> f32 {
        let (mut left, mut right, mut sum) = (0, 0, 0.0_f64);
        while left < self.len() && right < other.len() {
            match self.indices[left].cmp(&other.indices[right]) {
                Ordering::Less => left += 1,
                Ordering::Greater => right += 1,
                Ordering::Equal => {
                    sum += f64::from(self.values[left]) * f64::from(other.values[right]);
                    left += 1;
                    right += 1;
                }
            }
        }
        sum as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_no_sparse_vector() {
        let length = SparseVector::new(vec![1, 2], vec![1.0]).unwrap_err();
        assert_eq!(length, SparseError::Length { indices: 2, values: 1 });
        for found in [2, 5] {
            let order = SparseVector::new(vec![1, 5, found], vec![1.0; 3]).unwrap_err();
            assert_eq!(order, SparseError::Order { position: 2, before: 5, found });
        }
        let infinite = SparseVector::new(vec![3, 9], vec![1.0, f32::INFINITY]).unwrap_err();
        assert_eq!(infinite.to_string(), "expected finite values, found inf for index 9");
    }

    #[test]
    fn dot_is_the_dense_product() {
        let left = SparseVector::new(vec![0, 3, 4, 900], vec![1.0, -2.0, 0.5, 4.0]).unwrap();
        let right = SparseVector::new(vec![1, 3, 900, u32::MAX], vec![7.0, 3.0, 0.25, 8.0]).unwrap();
        assert_eq!(left.dot(&right), -2.0 * 3.0 + 4.0 * 0.25);
        assert_eq!(right.dot(&left), left.dot(&right));
        assert_eq!(left.dot(&SparseVector::default()), 0.0);
    }
}
