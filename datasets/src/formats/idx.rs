//! IDX, the format of MNIST and its kin: big-endian counts, then the numbers. Plain, or gzipped as `.gz`.
//!
//! Read: unsigned and signed bytes and 32-bit floats; dimensions after the first are one row (28 × 28 pixels are 784).
//! Format: the page of Yann LeCun's MNIST, "The IDX file format".

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use flate2::read::GzDecoder;

use super::{FormatError, Table, write_whole};
use crate::matrix::{Matrix, Values};

const U8: u8 = 0x08;
const I8: u8 = 0x09;
const F32: u8 = 0x0D;

/// Reads a file. It grows in memory as it is read, so that no header can ask for more than the file holds.
pub fn read(path: &Path) -> Result<Table, FormatError> {
    let file = File::open(path).map_err(|error| FormatError::io(path, "open", error))?;
    let mut bytes = Vec::new();
    let read = if path.extension().is_some_and(|extension| extension == "gz") {
        GzDecoder::new(BufReader::new(file)).read_to_end(&mut bytes)
    } else {
        BufReader::new(file).read_to_end(&mut bytes)
    };
    read.map_err(|error| FormatError::io(path, "read", error))?;
    parse(path, &bytes)
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Table, FormatError> {
    let fault = |what, expected: String, found: String| FormatError::unexpected(path, what, expected, found);
    let Some((&[zero, also_zero, kind, dims], rest)) = bytes.split_first_chunk::<4>() else {
        return Err(fault("magic number", "4 bytes".into(), format!("{} bytes", bytes.len())));
    };
    if (zero, also_zero) != (0, 0) || dims == 0 {
        let found = format!("{zero:02x} {also_zero:02x} {kind:02x} {dims:02x}");
        return Err(fault("magic number", "two zeros, a type, and at least one dimension".into(), found));
    }
    let Some((sizes, data)) = rest.split_at_checked(4 * usize::from(dims)) else {
        return Err(fault("sizes", format!("{dims} of 4 bytes"), format!("{} bytes", rest.len())));
    };
    let sizes: Vec<usize> = sizes
        .chunks_exact(4)
        .map(|size| u32::from_be_bytes(size.try_into().expect("four bytes at a time")) as usize)
        .collect();
    let width = match kind {
        U8 | I8 => 1,
        F32 => 4,
        _ => return Err(fault("type", "08 (u8), 09 (i8) or 0d (f32)".into(), format!("{kind:02x}"))),
    };
    let dim = sizes[1..].iter().try_fold(1_usize, |dim, &size| dim.checked_mul(size)).filter(|&dim| dim > 0);
    let Some(dim) = dim else {
        return Err(fault("sizes", "at least 1 after the first, and addressable".into(), format!("{sizes:?}")));
    };
    if sizes[0].checked_mul(dim).and_then(|count| count.checked_mul(width)) != Some(data.len()) {
        return Err(fault("rows", format!("{} of {dim} × {width} bytes", sizes[0]), format!("{} bytes", data.len())));
    }
    let values = match kind {
        U8 => Values::U8(data.to_vec()),
        I8 => Values::I8(bytemuck::cast_slice(data).to_vec()),
        _ => {
            let floats = data.chunks_exact(4).map(|float| float.try_into().expect("four bytes at a time"));
            Values::F32(floats.map(f32::from_be_bytes).collect())
        }
    };
    Ok(Table::Vectors(Matrix::new(values, dim).expect("rows × dim numbers, checked above")))
}

/// Writes a plain file of two dimensions. Bytes and 32-bit floats only.
pub fn write(path: &Path, matrix: &Matrix) -> Result<(), FormatError> {
    let kind = match matrix.values() {
        Values::U8(_) => U8,
        Values::I8(_) => I8,
        Values::F32(_) => F32,
        Values::F16(_) | Values::Bits(_) => {
            return Err(FormatError::unexpected(path, "numbers for IDX", "u8, i8 or f32", matrix.element()));
        }
    };
    let mut header = vec![0, 0, kind, 2];
    for size in [matrix.len(), matrix.dim()] {
        let Ok(size) = u32::try_from(size) else {
            return Err(FormatError::unexpected(path, "size for IDX", "at most 4294967295", size));
        };
        header.extend(size.to_be_bytes());
    }
    write_whole(path, |out| {
        out.write_all(&header)?;
        match matrix.values() {
            Values::F32(data) => data.iter().try_for_each(|x| out.write_all(&x.to_be_bytes())),
            _ => out.write_all(matrix.bytes()),
        }
    })
}
