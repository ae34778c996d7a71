//! NumPy's `.npy`: a magic number, a header that is a Python dictionary, the numbers.
//!
//! Read: two-dimensional, in C or Fortran order, `<f4 <f8 <f2 |u1 |i1 |b1` as vectors (doubles become `f32`, booleans bits) and
//! `<i4 <u4 <i8` as row numbers; one-dimensional is one column. Written: `<f4 <f2 |u1 |i1 |b1` and `<i4`.
//! Format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>

use std::path::Path;

use vicino_index::ElementType;

use super::input::{Input, Kind, Shape};
use super::{FormatError, Table, write_whole};

const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// A header says one type and one shape; NumPy itself refuses longer ones than this.
const MAX_HEADER: usize = 10_000;

/// Where the numbers of a file written here begin, in multiples.
const ALIGNMENT: usize = 64;

/// Reads a file.
pub fn read(path: &Path) -> Result<Table, FormatError> {
    let mut input = Input::open(path)?;
    let magic = input.array::<6>("magic number")?;
    if &magic != MAGIC {
        return Err(input.unexpected("magic number", MAGIC.escape_ascii(), magic.escape_ascii()));
    }
    let [major, _minor] = input.array::<2>("version")?;
    let length = match major {
        1 => usize::from(u16::from_le_bytes(input.array("header length")?)),
        2 | 3 => u32::from_le_bytes(input.array("header length")?) as usize,
        _ => return Err(input.unexpected("version", "1, 2 or 3", major)),
    };
    if length > MAX_HEADER {
        return Err(input.unexpected("header length", format_args!("at most {MAX_HEADER} bytes"), length));
    }
    let mut header = vec![0; length];
    input.fill(&mut header, "header")?;
    let header = String::from_utf8_lossy(&header);
    let value = |key| {
        value_of(&header, key).ok_or_else(|| input.unexpected("header", format_args!("the key `{key}`"), header.trim()))
    };

    let by_column = value("fortran_order")?.starts_with("True");
    let descr = value("descr")?;
    let kind = kind_of(descr).ok_or_else(|| {
        input.unexpected(
            "type",
            "one of <f4 <f8 <f2 |u1 |i1 |b1 <i4 <u4 <i8",
            descr.split([',', '}']).next().unwrap_or_default(),
        )
    })?;
    let shape = value("shape")?;
    let (rows, dim) = shape_of(shape).ok_or_else(|| {
        input.unexpected("shape", "(rows, columns)", shape.split_inclusive(')').next().unwrap_or_default())
    })?;
    input.table(kind, Shape { rows, dim, by_column })
}

/// What follows a key of the dictionary.
fn value_of<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let quoted = [format!("'{key}'"), format!("\"{key}\"")];
    let after = quoted.iter().find_map(|quoted| header.split_once(quoted.as_str()))?.1;
    Some(after.trim_start().strip_prefix(':')?.trim_start())
}

fn kind_of(descr: &str) -> Option<Kind> {
    Some(match descr.get(1..4)? {
        "<f4" => Kind::F32,
        "<f8" => Kind::F64,
        "<f2" => Kind::F16,
        "|u1" => Kind::U8,
        "|i1" => Kind::I8,
        "|b1" => Kind::Bool,
        "<i4" => Kind::I32,
        "<u4" => Kind::U32,
        "<i8" => Kind::I64,
        _ => return None,
    })
}

fn shape_of(shape: &str) -> Option<(usize, usize)> {
    let inside = shape.strip_prefix('(')?.split_once(')')?.0;
    let mut sizes = inside.split(',').map(str::trim).filter(|size| !size.is_empty()).map(str::parse);
    let (rows, dim) = (sizes.next()?.ok()?, sizes.next().unwrap_or(Ok(1)).ok()?);
    sizes.next().is_none().then_some((rows, dim))
}

/// Writes a file.
pub fn write(path: &Path, table: &Table) -> Result<(), FormatError> {
    match table {
        Table::Vectors(matrix) => {
            let descr = match matrix.element() {
                ElementType::F32 => "<f4",
                ElementType::F16 => "<f2",
                ElementType::U8 => "|u1",
                ElementType::I8 => "|i1",
                ElementType::Bits => "|b1",
            };
            let header = header(descr, matrix.len(), matrix.dim());
            write_whole(path, |out| {
                out.write_all(&header)?;
                if matrix.element() == ElementType::Bits {
                    return out.write_all(&matrix.unpacked().collect::<Vec<_>>());
                }
                out.write_all(matrix.bytes())
            })
        }
        Table::Ids(ids) => {
            let header = header("<i4", ids.ids.len() / ids.k.max(1), ids.k);
            write_whole(path, |out| {
                out.write_all(&header)?;
                out.write_all(bytemuck::cast_slice(&ids.ids))
            })
        }
    }
}

fn header(descr: &str, rows: usize, dim: usize) -> Vec<u8> {
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({rows}, {dim}), }}");
    let before = MAGIC.len() + 4;
    let whole = (before + text.len() + 1).next_multiple_of(ALIGNMENT);
    let mut header = Vec::with_capacity(whole);
    header.extend(MAGIC);
    header.extend([1, 0]);
    header.extend(((whole - before) as u16).to_le_bytes());
    header.extend(text.as_bytes());
    header.resize(whole - 1, b' ');
    header.push(b'\n');
    header
}
