//! [`Matrix`]: owned rows of one element type.

use half::f16;
use vicino_index::{ElementType, RaggedRows, Rows, VectorRef};

/// Rows of one dimension and element type, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    dim: usize,
    values: Values,
}

/// The numbers of a matrix, `[rows × dim]`.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// Half floats.
    F16(Vec<f16>),
    /// Unsigned bytes.
    U8(Vec<u8>),
    /// Signed bytes.
    I8(Vec<i8>),
    /// Bits, eight to a byte, the lowest first; a row begins with a byte.
    Bits(Vec<u8>),
}

impl Values {
    fn view(&self) -> VectorRef<'_> {
        match self {
            Values::F32(data) => VectorRef::F32(data),
            Values::F16(data) => VectorRef::F16(data),
            Values::U8(data) => VectorRef::U8(data),
            Values::I8(data) => VectorRef::I8(data),
            Values::Bits(data) => VectorRef::Bits(data),
        }
    }
}

impl Matrix {
    /// `values` as rows of `dim` coordinates each. Errors if a partial row is left.
    pub fn new(values: Values, dim: usize) -> Result<Self, RaggedRows> {
        Rows::new(values.view(), dim)?;
        Ok(Matrix { dim, values })
    }

    /// The rows, borrowed.
    pub fn rows(&self) -> Rows<'_> {
        Rows::new(self.values.view(), self.dim).expect("whole rows, checked by `new`")
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows().len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Coordinates per row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// How a coordinate is stored.
    pub fn element(&self) -> ElementType {
        self.values.view().element()
    }

    /// Row `index`. Panics if it is not below [`len`](Matrix::len).
    pub fn row(&self, index: usize) -> VectorRef<'_> {
        self.rows().row(index)
    }

    /// The numbers as stored.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// The numbers, `[rows × dim]`, as 32-bit floats; a bit is 0 or 1. Every element type converts without loss.
    pub fn to_f32(&self) -> Vec<f32> {
        match &self.values {
            Values::F32(data) => data.clone(),
            Values::F16(data) => data.iter().map(|x| x.to_f32()).collect(),
            Values::U8(data) => data.iter().map(|&x| f32::from(x)).collect(),
            Values::I8(data) => data.iter().map(|&x| f32::from(x)).collect(),
            Values::Bits(_) => self.unpacked().map(f32::from).collect(),
        }
    }

    /// A new matrix of the given rows, in the given order. Panics if one is not below [`len`](Matrix::len).
    pub fn select(&self, rows: impl IntoIterator<Item = usize>) -> Matrix {
        let words = self.element().words(self.dim);
        fn pick<T: Copy>(data: &[T], words: usize, rows: impl IntoIterator<Item = usize>) -> Vec<T> {
            rows.into_iter().flat_map(|row| &data[row * words..(row + 1) * words]).copied().collect()
        }
        let values = match &self.values {
            Values::F32(data) => Values::F32(pick(data, words, rows)),
            Values::F16(data) => Values::F16(pick(data, words, rows)),
            Values::U8(data) => Values::U8(pick(data, words, rows)),
            Values::I8(data) => Values::I8(pick(data, words, rows)),
            Values::Bits(data) => Values::Bits(pick(data, words, rows)),
        };
        Matrix { dim: self.dim, values }
    }

    /// The numbers as they lie in memory (little-endian on every machine this crate builds for).
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.values {
            Values::F32(data) => bytemuck::cast_slice(data),
            Values::F16(data) => bytemuck::cast_slice(data),
            Values::U8(data) | Values::Bits(data) => data,
            Values::I8(data) => bytemuck::cast_slice(data),
        }
    }

    /// A matrix of bits from one byte per bit: zero or not. Whole rows, checked by the caller.
    pub(crate) fn pack(bytes: &[u8], dim: usize) -> Matrix {
        let byte = |bits: &[u8]| bits.iter().enumerate().fold(0, |byte, (at, &bit)| byte | (u8::from(bit != 0) << at));
        let packed = bytes.chunks_exact(dim).flat_map(|row| row.chunks(8).map(byte)).collect();
        Matrix { dim, values: Values::Bits(packed) }
    }

    /// The bits of a matrix of bits, one to a byte, without the padding at the rows' ends.
    pub(crate) fn unpacked(&self) -> impl Iterator<Item = u8> + '_ {
        let bytes = self.bytes().chunks(self.dim.div_ceil(8).max(1));
        bytes.flat_map(|row| (0..self.dim).map(|bit| (row[bit / 8] >> (bit % 8)) & 1))
    }
}

#[cfg(target_endian = "big")]
compile_error!("the formats here hold little-endian numbers, and are read without swapping bytes");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_rows_are_refused() {
        assert!(Matrix::new(Values::U8(vec![1, 2, 3]), 2).is_err());
        assert!(Matrix::new(Values::Bits(vec![1, 2, 3]), 12).is_err());
        assert_eq!(Matrix::new(Values::I8(vec![1, 2, 3, 4]), 2).unwrap().len(), 2);
    }

    #[test]
    fn selected_rows_are_those_rows() {
        let matrix = Matrix::new(Values::F32(vec![0.0, 1.0, 10.0, 11.0, 20.0, 21.0]), 2).unwrap();
        assert_eq!(matrix.select([2, 0]).values(), &Values::F32(vec![20.0, 21.0, 0.0, 1.0]));
    }

    #[test]
    fn bits_round_trip_without_their_padding() {
        let bits: Vec<u8> = (0..30).map(|at| u8::from(at % 3 == 0)).collect();
        let matrix = Matrix::pack(&bits, 10);
        assert_eq!((matrix.len(), matrix.dim(), matrix.element()), (3, 10, ElementType::Bits));
        assert_eq!(matrix.unpacked().collect::<Vec<_>>(), bits);
        assert_eq!(matrix.to_f32()[9], 1.0);
    }
}
