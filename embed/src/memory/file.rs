//! Memory layers and their values on disk: one safetensors file that other programs can read.
//!
//! Tensors: `values` `[slots, value_dim]` in F32, BF16 or I8 (then `values.scale` `[slots]` too), and for layer `i`
//! `layers.i.query.weight`, `.query.bias`, `.keys`, `.gain`, `.gate.weight`, `.output.weight`, those that it has, in F32. The
//! format's own metadata holds, under `vicino.memory`, the version, the layers' configs and a CRC-32C of each tensor.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use half::bf16;
use memmap2::Mmap;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize_to_file};
use serde::{Deserialize, Serialize};

use super::error::MemoryError;
use super::layer::{LayerConfig, LayerWeights, MemoryLayer};
use super::map::map;
use super::values::{Numbers, Values};
use crate::gather::Rows;

/// The key of this format's part of the metadata.
const METADATA: &str = "vicino.memory";

/// The version that is written, and the only one that is read.
const VERSION: u32 = 1;

/// What the metadata says.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    version: u32,
    layers: Vec<LayerConfig>,
    crc32c: BTreeMap<String, u32>,
}

/// Where a loaded memory's values lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// In memory of their own: checked, and free to be written.
    Owned,
    /// In the file, read as they are needed: the file opens at once however large it is. Their checksum is left to
    /// [`MemoryFile::check_values`], and they cannot be written.
    Mapped,
}

/// Layers and the values they share.
#[derive(Debug)]
pub struct MemoryFile {
    /// The layers, in order.
    pub layers: Vec<MemoryLayer>,
    /// Their values.
    pub values: Values,
    mapped: Option<(Arc<Mmap>, Header)>,
}

/// Saves layers and their values to `path`, by rename: a file that is there stays whole until the new one is.
/// Errors if a layer does not fit the values, or on what the file system says.
pub fn save(path: &Path, layers: &[&MemoryLayer], values: &Values) -> Result<(), MemoryError> {
    layers.iter().try_for_each(|layer| layer.check_values(values))?;
    let (len, dim) = (values.len(), values.dim());
    let mut tensors: Vec<(String, Dtype, Vec<usize>, &[u8])> = Vec::new();
    match values.table().rows() {
        Rows::F32(rows) => tensors.push(("values".into(), Dtype::F32, vec![len, dim], bytemuck::cast_slice(rows))),
        Rows::Bf16(rows) => tensors.push(("values".into(), Dtype::BF16, vec![len, dim], bytemuck::cast_slice(rows))),
        Rows::Int8 { codes, scales } => {
            tensors.push(("values".into(), Dtype::I8, vec![len, dim], bytemuck::cast_slice(codes)));
            tensors.push(("values.scale".into(), Dtype::F32, vec![len], bytemuck::cast_slice(scales)));
        }
    }
    for (index, layer) in layers.iter().enumerate() {
        let parts = layer.config().parts().into_iter().zip(layer.weights().parts());
        for ((name, shape), numbers) in parts.filter(|(_, numbers)| !numbers.is_empty()) {
            let bytes = bytemuck::cast_slice(numbers);
            tensors.push((format!("layers.{index}.{name}"), Dtype::F32, shape, bytes));
        }
    }
    let header = Header {
        version: VERSION,
        layers: layers.iter().map(|layer| *layer.config()).collect(),
        crc32c: tensors.iter().map(|(name, .., bytes)| (name.clone(), crc32c::crc32c(bytes))).collect(),
    };
    let header = serde_json::to_string(&header).expect("a header is plain data");
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        (name, TensorView::new(*dtype, shape.clone(), bytes).expect("bytes are as many as the shape says"))
    });

    let io = |source| MemoryError::Io { path: path.into(), source };
    let name = path.file_name().ok_or_else(|| io(std::io::ErrorKind::InvalidInput.into()))?;
    let mut temporary = name.to_owned();
    temporary.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(temporary);
    let metadata = HashMap::from([(METADATA.to_owned(), header)]);
    let written = serialize_to_file(views, Some(metadata), &temporary)
        .map_err(|error| match error {
            safetensors::SafeTensorError::IoError(source) => io(source),
            other => MemoryError::Format { path: path.into(), reason: other.to_string() },
        })
        .and_then(|()| {
            fs::File::open(&temporary).and_then(|file| file.sync_all()).map_err(io)?;
            fs::rename(&temporary, path).map_err(io)
        });
    if written.is_err() {
        // What is left of it; that it cannot be removed is not what went wrong.
        let _ = fs::remove_file(&temporary);
    }
    written
}

impl MemoryFile {
    /// Opens a file that [`save`] wrote. Errors, by name, on a file that is cut off, has other contents, or whose layers' tensors
    /// (and values, unless mapped) are not the bytes that were saved.
    pub fn open(path: &Path, load: Load) -> Result<Self, MemoryError> {
        let file = Arc::new(map(path).map_err(|source| MemoryError::Io { path: path.into(), source })?);
        let reader = Reader::new(path, &file)?;
        let mut layers = Vec::new();
        for (index, config) in reader.header.layers.iter().enumerate() {
            config.check()?;
            let mut weights = LayerWeights::default();
            let parts = config.parts().into_iter().zip(weights.parts_mut());
            for ((name, shape), numbers) in parts.filter(|((_, shape), _)| shape.iter().product::<usize>() > 0) {
                let name = format!("layers.{index}.{name}");
                let bytes = reader.tensor(&name, Dtype::F32, &shape)?;
                reader.check(&name, bytes)?;
                *numbers = bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
            }
            layers.push(MemoryLayer::new(*config, weights)?);
        }
        let values = reader.values(&file)?;
        layers.iter().try_for_each(|layer| layer.check_values(&values))?;
        let header = reader.header;
        let memory = MemoryFile { layers, values, mapped: Some((file, header)) };
        match load {
            Load::Mapped => Ok(memory),
            Load::Owned => {
                memory.check_values(path)?;
                let values = memory.values.to_owned_as(memory.values.value_type())?;
                Ok(MemoryFile { layers: memory.layers, values, mapped: None })
            }
        }
    }

    /// Reads mapped values once and compares their checksums; `path` is for the message. Owned ones were compared when they
    /// were read.
    pub fn check_values(&self, path: &Path) -> Result<(), MemoryError> {
        match &self.mapped {
            None => Ok(()),
            Some((file, header)) => {
                let reader = Reader { path, tensors: deserialize(path, file)?, header };
                let names = ["values", "values.scale"].into_iter().filter(|name| reader.tensors.tensor(name).is_ok());
                names.into_iter().try_for_each(|name| reader.check(name, reader.any(name)?.data()))
            }
        }
    }
}

struct Reader<'a, H> {
    path: &'a Path,
    tensors: SafeTensors<'a>,
    header: H,
}

fn deserialize<'a>(path: &Path, bytes: &'a [u8]) -> Result<SafeTensors<'a>, MemoryError> {
    let format =
        |error: safetensors::SafeTensorError| MemoryError::Format { path: path.into(), reason: error.to_string() };
    SafeTensors::deserialize(bytes).map_err(format)
}

impl<'a> Reader<'a, Header> {
    fn new(path: &'a Path, bytes: &'a [u8]) -> Result<Self, MemoryError> {
        let tensors = deserialize(path, bytes)?;
        let contents = |expected: &str, found: String| MemoryError::Contents {
            path: path.into(),
            expected: expected.into(),
            found,
        };
        let (_, metadata) = SafeTensors::read_metadata(bytes).expect("it was read a moment ago");
        let text = metadata.metadata().as_ref().and_then(|all| all.get(METADATA));
        let text = text.ok_or_else(|| contents("metadata `vicino.memory`", "none".into()))?;
        // The version first: another version may say the rest in other words.
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let readable = |error: serde_json::Error| contents("readable metadata `vicino.memory`", error.to_string());
        let Version { version } = serde_json::from_str(text).map_err(readable)?;
        if version != VERSION {
            return Err(contents(&format!("version {VERSION}"), format!("version {version}")));
        }
        let header = serde_json::from_str(text).map_err(readable)?;
        Ok(Reader { path, tensors, header })
    }

    fn values(&self, file: &Arc<Mmap>) -> Result<Values, MemoryError> {
        let found = self.any("values")?;
        let &[len, dim] = found.shape() else {
            return Err(self.contents("`values` of two dimensions", format!("{:?}", found.shape())));
        };
        if dim == 0 || len as u64 > 1 << 32 {
            return Err(self.contents("`values` of at most 2³² rows, of at least 1 number", format!("{len} × {dim}")));
        }
        let range = |bytes: &[u8]| {
            let start = bytes.as_ptr().addr() - file.as_ptr().addr();
            start..start + bytes.len()
        };
        let unaligned = || self.contents("tensors aligned to their numbers", "others".into());
        match found.dtype() {
            Dtype::F32 => {
                let numbers = Numbers::mapped(file.clone(), range(found.data())).ok_or_else(unaligned)?;
                Ok(Values::from_f32(numbers, dim))
            }
            Dtype::BF16 => {
                let numbers = Numbers::<bf16>::mapped(file.clone(), range(found.data())).ok_or_else(unaligned)?;
                Ok(Values::from_bf16(numbers, dim))
            }
            Dtype::I8 => {
                let scales = range(self.tensor("values.scale", Dtype::F32, &[len])?);
                let scales = Numbers::mapped(file.clone(), scales).ok_or_else(unaligned)?;
                let codes = Numbers::mapped(file.clone(), range(found.data())).ok_or_else(unaligned)?;
                Ok(Values::from_int8(codes, scales, dim))
            }
            other => Err(self.contents("`values` in F32, BF16 or I8", format!("{other:?}"))),
        }
    }
}

impl<'a, H: std::borrow::Borrow<Header>> Reader<'a, H> {
    fn any(&self, name: &str) -> Result<TensorView<'a>, MemoryError> {
        self.tensors.tensor(name).map_err(|_| self.contents(&format!("tensor `{name}`"), "none".into()))
    }

    fn tensor(&self, name: &str, dtype: Dtype, shape: &[usize]) -> Result<&'a [u8], MemoryError> {
        let view = self.any(name)?;
        if view.dtype() != dtype || view.shape() != shape {
            let expected = format!("tensor `{name}` of {dtype:?} {shape:?}");
            return Err(self.contents(&expected, format!("{:?} {:?}", view.dtype(), view.shape())));
        }
        Ok(view.data())
    }

    fn check(&self, name: &str, bytes: &[u8]) -> Result<(), MemoryError> {
        let sums = &self.header.borrow().crc32c;
        let &expected =
            sums.get(name).ok_or_else(|| self.contents(&format!("a checksum of `{name}`"), "none".into()))?;
        match crc32c::crc32c(bytes) {
            found if found != expected => {
                Err(MemoryError::Corrupt { path: self.path.into(), tensor: name.into(), expected, found })
            }
            _ => Ok(()),
        }
    }

    fn contents(&self, expected: &str, found: String) -> MemoryError {
        MemoryError::Contents { path: self.path.into(), expected: expected.into(), found }
    }
}

#[cfg(test)]
mod tests;
