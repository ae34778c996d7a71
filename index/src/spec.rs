//! What one vector must be: dimension, metric, element type. A vector is checked against it once, when it comes in.
//!
//! Nothing behind that looks again: every stored word is finite, of the right type, and small enough that
//! no distance overflows to infinity or becomes NaN.

use half::f16;
use half::slice::HalfFloatSliceExt;

use crate::distance::{Bits8, Element};
use crate::metric::{ElementType, Metric};
use crate::rows::VectorRef;

/// Dimension, metric and element type of an index's vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VectorSpec {
    dim: usize,
    metric: Metric,
    element: ElementType,
}

/// A combination that no index can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// Zero, or above [`VectorSpec::MAX_DIM`].
    #[error("dimension {found}: expected 1..={max}", max = VectorSpec::MAX_DIM)]
    Dimension {
        /// The dimension asked for.
        found: usize,
    },
    /// Hamming is for bits, and bits for Hamming alone.
    #[error(
        "metric {metric} does not compare {element} vectors; hamming goes with bits, every other metric with f32, f16, u8, i8"
    )]
    Metric {
        /// The metric asked for.
        metric: Metric,
        /// The element type asked for.
        element: ElementType,
    },
}

/// A vector that cannot be stored or asked for.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum VectorError {
    /// Another number of coordinates than the index has (bytes, for bits).
    #[error("vector dimension: expected {expected}, found {found}")]
    Dimension {
        /// Stored words per vector of this index.
        expected: usize,
        /// Words of the vector given.
        found: usize,
    },
    /// NaN or infinite, as given or once converted to the stored type.
    #[error("vector coordinate {index} is not finite as {element}: {value}")]
    NotFinite {
        /// Which coordinate.
        index: usize,
        /// Its value as given.
        value: f32,
        /// The stored type.
        element: ElementType,
    },
    /// An integer index was given a fraction or a value out of range.
    #[error("vector coordinate {index} is {value}: not a whole number that fits {element}")]
    NotRepresentable {
        /// Which coordinate.
        index: usize,
        /// Its value as given.
        value: f32,
        /// The stored type.
        element: ElementType,
    },
    /// So long that a distance to it could overflow.
    #[error("vector norm {norm:e} is too large: expected at most {max:e}, so that no distance overflows", max = VectorSpec::MAX_NORM)]
    TooLong {
        /// Its Euclidean norm.
        norm: f64,
    },
    /// Bits given to an index of numbers, or numbers to one of bits.
    #[error("vector of {found} given to an index of {expected}")]
    Element {
        /// The stored type.
        expected: ElementType,
        /// The type given.
        found: ElementType,
    },
}

impl VectorSpec {
    /// The largest dimension: integer kernels sum squares of this many bytes in 32 bits.
    pub const MAX_DIM: usize = 32_768;
    /// The largest norm: for any two rows below it, `(‖a‖ + ‖b‖)²` is finite in f32.
    pub const MAX_NORM: f64 = 9.0e18;

    /// Checks that the three go together.
    pub fn new(dim: usize, metric: Metric, element: ElementType) -> Result<Self, SpecError> {
        if dim == 0 || dim > Self::MAX_DIM {
            return Err(SpecError::Dimension { found: dim });
        }
        if !element.supports(metric) {
            return Err(SpecError::Metric { metric, element });
        }
        Ok(VectorSpec { dim, metric, element })
    }

    /// Coordinates per vector.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// How vectors are compared.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// How a coordinate is stored.
    pub fn element(&self) -> ElementType {
        self.element
    }

    /// Stored words per vector: `dim`, or bytes for bits.
    pub fn words(&self) -> usize {
        self.element.words(self.dim)
    }

    /// Bytes of a stored vector, without padding.
    pub(crate) fn row_bytes(&self) -> usize {
        self.words() * self.element.word_bytes()
    }

    /// Whether rows and queries are scaled to length one: float vectors under cosine.
    pub fn normalises(&self) -> bool {
        self.metric == Metric::Cosine && matches!(self.element, ElementType::F32 | ElementType::F16)
    }

    /// Checks `vector` as storing it would, and keeps nothing.
    pub fn check(&self, vector: VectorRef<'_>) -> Result<(), VectorError> {
        match self.element {
            ElementType::F32 => self.encode(vector, &mut vec![0.0_f32; self.words()]),
            ElementType::F16 => self.encode(vector, &mut vec![f16::ZERO; self.words()]),
            ElementType::U8 => self.encode(vector, &mut vec![0_u8; self.words()]),
            ElementType::I8 => self.encode(vector, &mut vec![0_i8; self.words()]),
            ElementType::Bits => self.encode(vector, &mut vec![Bits8(0); self.words()]),
        }
    }

    /// Converts `vector` to stored words in `out[..words]` and leaves the rest of `out`, the padding, as it is. Float vectors
    /// under cosine are scaled to length one (a zero vector stays zero: at distance 1 from everything).
    ///
    /// Errors leave `out` in an unspecified state. Cost: O(dim).
    pub(crate) fn encode<T: Component>(&self, vector: VectorRef<'_>, out: &mut [T]) -> Result<(), VectorError> {
        let (expected, found) = (self.words(), vector.words());
        if expected != found {
            return Err(VectorError::Dimension { expected, found });
        }
        if (vector.element() == ElementType::Bits) != (self.element == ElementType::Bits) {
            return Err(VectorError::Element { expected: self.element, found: vector.element() });
        }
        let out = &mut out[..expected];
        match vector {
            VectorRef::F32(data) => self.encode_from(data.iter().copied(), out)?,
            VectorRef::F16(data) => self.encode_from(data.iter().map(|x| x.to_f32()), out)?,
            VectorRef::U8(data) => self.encode_from(data.iter().map(|&x| f32::from(x)), out)?,
            VectorRef::I8(data) => self.encode_from(data.iter().map(|&x| f32::from(x)), out)?,
            VectorRef::Bits(data) => {
                self.encode_from(data.iter().map(|&x| f32::from(x)), out)?;
                // Bits beyond the dimension would count as differences.
                if let (Some(last), rest @ 1..) = (out.last_mut(), self.dim % 8) {
                    let kept = last.to_f32() as u8 & ((1 << rest) - 1);
                    *last = T::from_f32(f32::from(kept)).expect("a byte fits a byte");
                }
            }
        }
        Ok(())
    }

    fn encode_from<T: Component>(
        &self,
        values: impl Iterator<Item = f32> + Clone,
        out: &mut [T],
    ) -> Result<(), VectorError> {
        let norm = values.clone().map(|x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
        let scaled = self.normalises() && norm > 0.0 && norm.is_finite();
        if !scaled && norm > Self::MAX_NORM && norm.is_finite() {
            return Err(VectorError::TooLong { norm });
        }
        for (index, (value, word)) in values.zip(out).enumerate() {
            let element = self.element;
            let stored = if scaled { (f64::from(value) / norm) as f32 } else { value };
            *word = T::from_f32(stored).ok_or(if value.is_finite() && T::INTEGER {
                VectorError::NotRepresentable { index, value, element }
            } else {
                VectorError::NotFinite { index, value, element }
            })?;
        }
        Ok(())
    }
}

/// A stored word: conversion from and to the number it stands for.
pub(crate) trait Component: Element {
    /// Whether only whole numbers are stored.
    const INTEGER: bool;

    /// The stored word, or `None` if `value` is not finite (floats) or not exactly representable (integers).
    fn from_f32(value: f32) -> Option<Self>;

    /// The number the word stands for.
    fn to_f32(self) -> f32;

    /// The numbers that `words` stand for, put at the end of `out`.
    fn extend_f32(words: &[Self], out: &mut Vec<f32>) {
        out.extend(words.iter().map(|&word| word.to_f32()));
    }
}

impl Component for f32 {
    const INTEGER: bool = false;
    fn from_f32(value: f32) -> Option<Self> {
        value.is_finite().then_some(value)
    }
    fn to_f32(self) -> f32 {
        self
    }
}

impl Component for f16 {
    const INTEGER: bool = false;
    fn from_f32(value: f32) -> Option<Self> {
        let half = f16::from_f32(value);
        half.is_finite().then_some(half)
    }
    fn to_f32(self) -> f32 {
        f16::to_f32(self)
    }

    /// Converts several at a time: one by one, each asks anew what the CPU can do.
    fn extend_f32(words: &[Self], out: &mut Vec<f32>) {
        let at = out.len();
        out.resize(at + words.len(), 0.0);
        words.convert_to_f32_slice(&mut out[at..]);
    }
}

impl Component for u8 {
    const INTEGER: bool = true;
    fn from_f32(value: f32) -> Option<Self> {
        let byte = value as u8;
        (f32::from(byte) == value).then_some(byte)
    }
    fn to_f32(self) -> f32 {
        f32::from(self)
    }
}

impl Component for i8 {
    const INTEGER: bool = true;
    fn from_f32(value: f32) -> Option<Self> {
        let byte = value as i8;
        (f32::from(byte) == value).then_some(byte)
    }
    fn to_f32(self) -> f32 {
        f32::from(self)
    }
}

impl Component for Bits8 {
    const INTEGER: bool = true;
    fn from_f32(value: f32) -> Option<Self> {
        u8::from_f32(value).map(Bits8)
    }
    fn to_f32(self) -> f32 {
        f32::from(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(dim: usize, metric: Metric, element: ElementType) -> VectorSpec {
        VectorSpec::new(dim, metric, element).unwrap()
    }

    #[test]
    fn impossible_specs_are_refused() {
        assert!(matches!(VectorSpec::new(0, Metric::L2, ElementType::F32), Err(SpecError::Dimension { found: 0 })));
        assert!(VectorSpec::new(VectorSpec::MAX_DIM + 1, Metric::L2, ElementType::F32).is_err());
        let error = VectorSpec::new(8, Metric::Hamming, ElementType::F32).unwrap_err().to_string();
        assert!(error.contains("hamming") && error.contains("bits"), "{error}");
    }

    #[test]
    fn bad_vectors_are_named() {
        let f32s = spec(2, Metric::L2, ElementType::F32);
        let error = |vector: &[f32]| f32s.check(vector.into()).unwrap_err().to_string();
        assert_eq!(error(&[1.0]), "vector dimension: expected 2, found 1");
        assert!(error(&[0.0, f32::NAN]).contains("coordinate 1 is not finite"));
        assert!(error(&[1e39_f64 as f32, 0.0]).contains("coordinate 0 is not finite"));
        assert!(error(&[1e30, 0.0]).contains("too large"));
        let f16s = spec(2, Metric::L2, ElementType::F16);
        assert!(matches!(f16s.check((&[1.0, 70_000.0]).into()), Err(VectorError::NotFinite { index: 1, .. })));
        let u8s = spec(2, Metric::L2, ElementType::U8);
        for bad in [256.0, -1.0, 0.5, f32::NAN] {
            assert!(u8s.check((&[bad, 0.0]).into()).is_err(), "{bad}");
        }
        assert!(matches!(f32s.check(VectorRef::Bits(&[1, 2])), Err(VectorError::Element { .. })));
    }

    #[test]
    fn cosine_rows_have_length_one_and_zero_stays_zero() {
        let cosine = spec(3, Metric::Cosine, ElementType::F32);
        let mut row = [9.0_f32; 4];
        cosine.encode((&[1e30, 0.0, 1e30]).into(), &mut row).unwrap();
        assert!((row[0] - 0.5_f32.sqrt()).abs() < 1e-7 && row[3] == 9.0, "{row:?}");
        cosine.encode((&[0.0, 0.0, 0.0]).into(), &mut row).unwrap();
        assert_eq!(row[..3], [0.0; 3]);
    }

    #[test]
    fn bits_beyond_the_dimension_are_cleared() {
        let bits = spec(11, Metric::Hamming, ElementType::Bits);
        let mut row = [Bits8(0); 2];
        bits.encode(VectorRef::Bits(&[0xff, 0xff]), &mut row).unwrap();
        assert_eq!([row[0].0, row[1].0], [0xff, 0b111]);
    }
}
