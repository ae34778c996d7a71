//! The pool of values: rows of f32, bf16 or int8, owned or in a mapped file, that lookups sum and writes change one by one.
//!
//! Owned rows start on a page and lie on huge pages where the system has them: a gather touches rows all over the pool, and
//! with small pages the walk of the page table costs as much as the row.

use std::ops::Range;
use std::sync::Arc;

use bytemuck::Pod;
use half::bf16;
use memmap2::MmapMut;

use super::error::MemoryError;
use crate::gather::{Rows, Table};

/// How a value is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ValueType {
    /// 4 bytes a number, exact.
    F32,
    /// 2 bytes a number, 8 bits of precision.
    Bf16,
    /// 1 byte a number and a scale for each row: errors up to 1/254 of the row's largest number.
    Int8,
}

/// Values by slot. `[slots × dim]`
#[derive(Debug)]
pub struct Values {
    data: Data,
    dim: usize,
    len: usize,
}

#[derive(Debug)]
enum Data {
    F32(Numbers<f32>),
    Bf16(Numbers<bf16>),
    Int8 { codes: Numbers<i8>, scales: Numbers<f32> },
}

/// Numbers in memory of their own, or in a file's.
#[derive(Debug)]
pub(crate) enum Numbers<T> {
    Owned { map: MmapMut, len: usize, kind: std::marker::PhantomData<T> },
    Mapped { file: Arc<memmap2::Mmap>, range: Range<usize> },
}

impl<T: Pod> Numbers<T> {
    /// Zeros. Costs no memory until they are written.
    pub(crate) fn zeros(len: usize) -> std::io::Result<Self> {
        let bytes = len.checked_mul(size_of::<T>()).ok_or(std::io::ErrorKind::OutOfMemory)?;
        let map = MmapMut::map_anon(bytes)?;
        // Only a hint, and of use only where the system leaves huge pages to those who ask.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        Ok(Numbers::Owned { map, len, kind: std::marker::PhantomData })
    }

    /// The bytes `range` of a file, if they are aligned for `T`.
    pub(crate) fn mapped(file: Arc<memmap2::Mmap>, range: Range<usize>) -> Option<Self> {
        bytemuck::try_cast_slice::<u8, T>(&file[range.clone()]).ok()?;
        Some(Numbers::Mapped { file, range })
    }

    pub(crate) fn as_slice(&self) -> &[T] {
        match self {
            Numbers::Owned { map, len, .. } => bytemuck::cast_slice(&map[..len * size_of::<T>()]),
            Numbers::Mapped { file, range } => bytemuck::cast_slice(&file[range.clone()]),
        }
    }

    fn as_mut_slice(&mut self) -> Result<&mut [T], MemoryError> {
        match self {
            Numbers::Owned { map, len, .. } => Ok(bytemuck::cast_slice_mut(&mut map[..*len * size_of::<T>()])),
            Numbers::Mapped { .. } => Err(MemoryError::Values { expected: "any type", found: "a mapped file" }),
        }
    }

    fn is_mapped(&self) -> bool {
        matches!(self, Numbers::Mapped { .. })
    }
}

impl Values {
    /// `len` values of zero. Errors if there are more than ids can name or than memory holds.
    pub fn zeros(value_type: ValueType, len: usize, dim: usize) -> Result<Self, MemoryError> {
        if dim == 0 {
            return Err(MemoryError::Size { what: "value_dim", expected: "at least 1", found: dim });
        }
        let numbers = len.checked_mul(dim).filter(|_| len as u64 <= 1 << 32);
        let numbers =
            numbers.ok_or(MemoryError::Size { what: "values", expected: "at most 4294967296", found: len })?;
        let no_memory = |source| MemoryError::Io { path: "memory for values".into(), source };
        let data = match value_type {
            ValueType::F32 => Data::F32(Numbers::zeros(numbers).map_err(no_memory)?),
            ValueType::Bf16 => Data::Bf16(Numbers::zeros(numbers).map_err(no_memory)?),
            ValueType::Int8 => Data::Int8 {
                codes: Numbers::zeros(numbers).map_err(no_memory)?,
                scales: Numbers::zeros(len).map_err(no_memory)?,
            },
        };
        Ok(Values { data, dim, len })
    }

    /// Stores `rows: [len × dim]`, finite, as `value_type`.
    pub fn from_rows(value_type: ValueType, rows: &[f32], dim: usize) -> Result<Self, MemoryError> {
        let len = MemoryError::check_rows("values", dim, rows)?;
        let mut values = Values::zeros(value_type, len, dim)?;
        for (id, row) in rows.chunks_exact(dim).enumerate() {
            values.write(id as u32, row)?;
        }
        Ok(values)
    }

    pub(crate) fn from_f32(numbers: Numbers<f32>, dim: usize) -> Self {
        Values { len: numbers.as_slice().len() / dim, data: Data::F32(numbers), dim }
    }

    pub(crate) fn from_bf16(numbers: Numbers<bf16>, dim: usize) -> Self {
        Values { len: numbers.as_slice().len() / dim, data: Data::Bf16(numbers), dim }
    }

    pub(crate) fn from_int8(codes: Numbers<i8>, scales: Numbers<f32>, dim: usize) -> Self {
        Values { len: scales.as_slice().len(), data: Data::Int8 { codes, scales }, dim }
    }

    /// Values.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Numbers in a value.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// How they are stored.
    pub fn value_type(&self) -> ValueType {
        match self.data {
            Data::F32(_) => ValueType::F32,
            Data::Bf16(_) => ValueType::Bf16,
            Data::Int8 { .. } => ValueType::Int8,
        }
    }

    /// Whether they lie in a mapped file, and cannot be written.
    pub fn is_mapped(&self) -> bool {
        match &self.data {
            Data::F32(numbers) => numbers.is_mapped(),
            Data::Bf16(numbers) => numbers.is_mapped(),
            Data::Int8 { codes, .. } => codes.is_mapped(),
        }
    }

    /// The rows, to be summed.
    pub fn table(&self) -> Table<'_> {
        let rows = match &self.data {
            Data::F32(numbers) => Rows::F32(numbers.as_slice()),
            Data::Bf16(numbers) => Rows::Bf16(numbers.as_slice()),
            Data::Int8 { codes, scales } => Rows::Int8 { codes: codes.as_slice(), scales: scales.as_slice() },
        };
        Table::new(rows, self.dim).expect("values are whole rows")
    }

    /// Value `id` as it is read. `out: [dim]`. Panics if it has another length.
    pub fn read(&self, id: u32, out: &mut [f32]) -> Result<(), MemoryError> {
        if id as usize >= self.len {
            return Err(MemoryError::Id { len: self.len, found: id });
        }
        Ok(self.table().reduce(&[id], &[1.0], &[1], out)?)
    }

    /// Replaces value `id`, rounding it to the stored type. `value: [dim]`, finite; what bf16 cannot hold is refused as well.
    pub fn write(&mut self, id: u32, value: &[f32]) -> Result<(), MemoryError> {
        MemoryError::check_numbers("value", self.dim, value)?;
        if id as usize >= self.len {
            return Err(MemoryError::Id { len: self.len, found: id });
        }
        let range = id as usize * self.dim..(id as usize + 1) * self.dim;
        match &mut self.data {
            Data::F32(numbers) => numbers.as_mut_slice()?[range].copy_from_slice(value),
            Data::Bf16(numbers) => {
                if let Some(&found) = value.iter().find(|&&number| !bf16::from_f32(number).is_finite()) {
                    return Err(MemoryError::NotFinite { what: "value in bf16", row: 0, found });
                }
                let row = &mut numbers.as_mut_slice()?[range];
                row.iter_mut().zip(value).for_each(|(to, &from)| *to = bf16::from_f32(from));
            }
            Data::Int8 { codes, scales } => {
                let codes = &mut codes.as_mut_slice()?[range];
                let most = value.iter().fold(0.0_f32, |most, number| most.max(number.abs()));
                // In f64, for the largest and the smallest numbers have no f32 to divide by.
                let scale = f64::from(most) / 127.0;
                let rounded = scale as f32;
                // 127 · scale must be a number again.
                let fits = (127.0 * rounded).is_finite();
                scales.as_mut_slice()?[id as usize] = if fits { rounded } else { rounded.next_down() };
                for (code, &number) in codes.iter_mut().zip(value) {
                    *code = if most > 0.0 { (f64::from(number) / scale).round() as i8 } else { 0 };
                }
            }
        }
        Ok(())
    }

    /// The numbers of owned f32 values, to be trained. `[len × dim]`
    pub(crate) fn trainable(&mut self) -> Result<&mut [f32], MemoryError> {
        let found = match self.value_type() {
            ValueType::F32 => "f32",
            ValueType::Bf16 => "bf16",
            ValueType::Int8 => "int8",
        };
        match &mut self.data {
            Data::F32(numbers) => numbers.as_mut_slice(),
            _ => Err(MemoryError::Values { expected: "f32", found }),
        }
    }

    /// The same values in memory of their own, stored as `value_type`.
    pub fn to_owned_as(&self, value_type: ValueType) -> Result<Values, MemoryError> {
        let mut copy = Values::zeros(value_type, self.len, self.dim)?;
        let mut row = vec![0.0; self.dim];
        for id in 0..self.len as u32 {
            self.read(id, &mut row)?;
            copy.write(id, &row)?;
        }
        Ok(copy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn what_is_written_is_read_to_the_precision_of_the_type() {
        let mut random = Random::new(41);
        let row: Vec<f32> = (0..48).map(|_| random.normal() as f32).collect();
        let most = row.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
        for (value_type, step) in
            [(ValueType::F32, 0.0), (ValueType::Bf16, most / 256.0), (ValueType::Int8, most / 253.0)]
        {
            let mut values = Values::zeros(value_type, 3, 48).unwrap();
            values.write(1, &row).unwrap();
            let mut read = vec![0.0; 48];
            values.read(1, &mut read).unwrap();
            assert!(row.iter().zip(&read).all(|(a, b)| (a - b).abs() <= step), "{value_type:?}");
            for id in [0, 2] {
                values.read(id, &mut read).unwrap();
                assert!(read.iter().all(|&x| x == 0.0), "neighbours are not touched");
            }
            let copy = values.to_owned_as(value_type).unwrap();
            let mut again = vec![0.0; 48];
            values.read(1, &mut read).unwrap();
            copy.read(1, &mut again).unwrap();
            let close = |(a, b): (&f32, &f32)| (a - b).abs() <= step / 1000.0;
            assert!(read.iter().zip(&again).all(close), "storing what was read changes next to nothing");
        }
    }

    #[test]
    fn extremes_are_stored_or_refused() {
        let mut int8 = Values::zeros(ValueType::Int8, 1, 2).unwrap();
        for value in [[f32::MAX, -f32::MAX], [1e-40, 0.0], [0.0, 0.0]] {
            int8.write(0, &value).unwrap();
            let mut read = [f32::NAN; 2];
            int8.read(0, &mut read).unwrap();
            assert!(
                read.iter().zip(value).all(|(a, b)| (a - b).abs() <= b.abs() / 100.0 + 1e-42),
                "{read:?} {value:?}"
            );
        }
        let mut halves = Values::zeros(ValueType::Bf16, 1, 2).unwrap();
        let error = halves.write(0, &[f32::MAX, 0.0]).unwrap_err().to_string();
        assert!(error.contains("value in bf16: expected finite numbers"), "{error}");
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let mut values = Values::zeros(ValueType::F32, 2, 3).unwrap();
        let text = |result: Result<(), MemoryError>| result.unwrap_err().to_string();
        assert_eq!(text(values.write(0, &[1.0; 2])), "value: expected 3 numbers, found 2");
        assert_eq!(text(values.write(2, &[1.0; 3])), "expected an id below 2, found 2");
        assert!(text(values.write(0, &[1.0, f32::NAN, 0.0])).contains("found NaN"));
        assert_eq!(text(values.read(9, &mut [0.0; 3])), "expected an id below 2, found 9");
        assert_eq!(text(Values::zeros(ValueType::F32, 5, 0).map(drop)), "value_dim: expected at least 1, found 0");
        assert!(text(Values::zeros(ValueType::F32, 1 << 33, 8).map(drop)).contains("expected at most 4294967296"));
    }
}
