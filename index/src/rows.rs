//! Vectors as a caller hands them in: borrowed, of any element type, not yet checked.

use half::f16;

use crate::metric::ElementType;

/// One vector, or several behind one another, of one element type.
#[derive(Debug, Clone, Copy)]
pub enum VectorRef<'a> {
    /// 32-bit floats.
    F32(&'a [f32]),
    /// Half floats.
    F16(&'a [f16]),
    /// Unsigned bytes.
    U8(&'a [u8]),
    /// Signed bytes.
    I8(&'a [i8]),
    /// Bits, eight to a byte, the lowest first.
    Bits(&'a [u8]),
}

impl<'a> VectorRef<'a> {
    /// The element type.
    pub fn element(&self) -> ElementType {
        match self {
            VectorRef::F32(_) => ElementType::F32,
            VectorRef::F16(_) => ElementType::F16,
            VectorRef::U8(_) => ElementType::U8,
            VectorRef::I8(_) => ElementType::I8,
            VectorRef::Bits(_) => ElementType::Bits,
        }
    }

    /// Number of stored words: coordinates, or bytes for bits.
    pub fn words(&self) -> usize {
        match self {
            VectorRef::F32(data) => data.len(),
            VectorRef::F16(data) => data.len(),
            VectorRef::U8(data) | VectorRef::Bits(data) => data.len(),
            VectorRef::I8(data) => data.len(),
        }
    }

    /// The words `start..end`.
    pub fn slice(&self, start: usize, end: usize) -> VectorRef<'a> {
        match *self {
            VectorRef::F32(data) => VectorRef::F32(&data[start..end]),
            VectorRef::F16(data) => VectorRef::F16(&data[start..end]),
            VectorRef::U8(data) => VectorRef::U8(&data[start..end]),
            VectorRef::I8(data) => VectorRef::I8(&data[start..end]),
            VectorRef::Bits(data) => VectorRef::Bits(&data[start..end]),
        }
    }
}

impl<'a> From<&'a [f32]> for VectorRef<'a> {
    fn from(data: &'a [f32]) -> Self {
        VectorRef::F32(data)
    }
}

impl<'a> From<&'a Vec<f32>> for VectorRef<'a> {
    fn from(data: &'a Vec<f32>) -> Self {
        VectorRef::F32(data)
    }
}

impl<'a, const N: usize> From<&'a [f32; N]> for VectorRef<'a> {
    fn from(data: &'a [f32; N]) -> Self {
        VectorRef::F32(data)
    }
}

/// Rows of one matrix: `data` is `[rows × dim]`, row-major.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    data: VectorRef<'a>,
    words: usize,
    len: usize,
}

/// The data do not divide into rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found} words do not divide into rows of {per_row} (dimension {dim}, {element})")]
pub struct RaggedRows {
    dim: usize,
    element: ElementType,
    per_row: usize,
    found: usize,
}

impl<'a> Rows<'a> {
    /// `data` as rows of `dim` coordinates each. Errors if a partial row is left, or if `dim` is zero and `data` is not empty.
    pub fn new(data: impl Into<VectorRef<'a>>, dim: usize) -> Result<Self, RaggedRows> {
        let data = data.into();
        let (per_row, found) = (data.element().words(dim), data.words());
        if (per_row == 0 && found > 0) || (per_row > 0 && !found.is_multiple_of(per_row)) {
            return Err(RaggedRows { dim, element: data.element(), per_row, found });
        }
        Ok(Rows { data, words: per_row, len: found.checked_div(per_row).unwrap_or(0) })
    }

    /// `vector` as the only row.
    pub fn one(vector: VectorRef<'a>) -> Self {
        Rows { data: vector, words: vector.words(), len: 1 }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The element type.
    pub fn element(&self) -> ElementType {
        self.data.element()
    }

    /// Row `index`. Panics if it is not below [`len`](Rows::len).
    pub fn row(&self, index: usize) -> VectorRef<'a> {
        assert!(index < self.len, "row {index} of {}", self.len);
        self.data.slice(index * self.words, (index + 1) * self.words)
    }

    /// The rows `start..end`.
    pub fn slice(&self, start: usize, end: usize) -> Rows<'a> {
        Rows { data: self.data.slice(start * self.words, end * self.words), words: self.words, len: end - start }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_by_dimension() {
        let data = [1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0];
        let rows = Rows::new(&data, 3).unwrap();
        assert_eq!(rows.len(), 2);
        assert!(matches!(rows.row(1), VectorRef::F32([4.0, 5.0, 6.0])));
        let error = Rows::new(&data, 4).unwrap_err().to_string();
        assert!(error.contains("6 words") && error.contains("rows of 4"), "{error}");
    }

    #[test]
    fn bits_are_counted_in_bytes() {
        let rows = Rows::new(VectorRef::Bits(&[1, 2, 3, 4]), 12).unwrap();
        assert_eq!(rows.len(), 2);
    }
}
