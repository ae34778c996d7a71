//! A model's tensors, out of `model.safetensors`, as f32.
//!
//! The file is read whole, hashed, and its tensors are copied out once; what the forward pass keeps is laid out by the
//! forward pass. Names differ between exports of one model, so an optional prefix (`bert.`) and the older spelling of a
//! layer normalisation's weights (`gamma`, `beta`) are accepted.

use super::ModelError;
use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The name of the file.
const FILE: &str = "model.safetensors";

/// A file of tensors, in memory.
#[derive(Debug)]
pub struct Weights {
    path: PathBuf,
    bytes: Vec<u8>,
    sha256: String,
}

/// The tensors, to be looked up by name.
#[derive(Debug)]
pub struct Tensors<'w> {
    path: &'w Path,
    tensors: SafeTensors<'w>,
}

impl Weights {
    /// Reads and hashes `model.safetensors` in `folder`.
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        let path = folder.join(FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(source) if source.kind() == ErrorKind::NotFound => return Err(other_format(folder, path, source)),
            Err(source) => return Err(ModelError::Io { path, source }),
        };
        let sha256 = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Weights { path, bytes, sha256 })
    }

    /// SHA-256 of the file, in hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Reads the header. Errors if the file is damaged.
    pub fn tensors(&self) -> Result<Tensors<'_>, ModelError> {
        let tensors = SafeTensors::deserialize(&self.bytes).map_err(|error| ModelError::Malformed {
            path: self.path.clone(),
            expected: "a whole safetensors file",
            found: error.to_string(),
        })?;
        Ok(Tensors { path: &self.path, tensors })
    }
}

/// The error for a folder without the file: it may hold the weights in another form.
fn other_format(folder: &Path, path: PathBuf, source: std::io::Error) -> ModelError {
    let others = ["model.safetensors.index.json", "pytorch_model.bin", "onnx/model.onnx", "tf_model.h5"];
    match others.iter().find(|name| folder.join(name).exists()) {
        Some(name) => ModelError::Unsupported {
            path: folder.join(name),
            field: "format".into(),
            found: format!("`{name}`"),
            supported: "all weights in one model.safetensors",
        },
        None => ModelError::Io { path, source },
    }
}

impl Tensors<'_> {
    /// The tensor `name` of `shape`, row-major. Errors if it is missing, of another shape or type, or not all finite.
    pub fn get(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let tensor =
            self.find(name).ok_or_else(|| ModelError::MissingTensor { path: self.path.into(), tensor: name.into() })?;
        if tensor.shape() != shape {
            return Err(ModelError::Shape {
                path: self.path.into(),
                tensor: name.into(),
                expected: shape.into(),
                found: tensor.shape().into(),
            });
        }
        let data = tensor.data();
        let values: Vec<f32> = match tensor.dtype() {
            Dtype::F32 => read(data, f32::from_le_bytes),
            Dtype::F16 => read(data, |bytes| f16::from_le_bytes(bytes).to_f32()),
            Dtype::BF16 => read(data, |bytes| bf16::from_le_bytes(bytes).to_f32()),
            other => {
                return Err(ModelError::Unsupported {
                    path: self.path.into(),
                    field: format!("dtype of {name}"),
                    found: format!("{other:?}"),
                    supported: "F32, F16, BF16",
                });
            }
        };
        match values.iter().find(|value| !value.is_finite()) {
            None => Ok(values),
            Some(value) => Err(ModelError::Malformed {
                path: self.path.into(),
                expected: "finite weights",
                found: format!("{value} in `{name}`"),
            }),
        }
    }

    fn find(&self, name: &str) -> Option<TensorView<'_>> {
        let older = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
        let spelt = [name.to_owned(), format!("bert.{name}"), format!("bert.{older}"), older];
        spelt.iter().find_map(|name| self.tensors.tensor(name).ok())
    }
}

/// Little-endian values of `N` bytes each; the format's header has been checked against the length.
fn read<const N: usize>(data: &[u8], value: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    data.as_chunks::<N>().0.iter().map(|&bytes| value(bytes)).collect()
}
