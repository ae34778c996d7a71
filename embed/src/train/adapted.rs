//! A trained head in use: an encoder whose vectors go through it, and the file it is kept in.
//!
//! The file is in the safetensors format: one tensor `parameters`, f32, and metadata that names the encoder whose vectors the
//! head was trained on. A head put on another encoder's vectors would give nonsense, so that is refused.

use super::fit::prefixes;
use super::head::{Form, Head};
use crate::dense::DenseBatch;
use crate::encoder::{DenseEncoder, EncodeError, Encoder, TextKind};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// A head and what it belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct Adapter {
    /// The trained map.
    pub head: Head,
    /// The [`Encoder::model_id`] whose vectors it maps.
    pub model_id: String,
    /// Whether documents go through it too.
    pub both_sides: bool,
}

/// An encoder with a head on top. Its vectors have length 1.
pub struct Adapted<E> {
    encoder: E,
    adapter: Adapter,
    model_id: String,
    length: usize,
}

/// Why a head cannot be read, written or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdapterError {
    /// The file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file holds no head.
    #[error("{path}: expected a head's safetensors file: {found}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        found: String,
    },
    /// The head was trained on another encoder.
    #[error("expected the encoder `{expected}`, on which the head was trained, found `{found}`")]
    Model {
        /// The head's.
        expected: String,
        /// The one given.
        found: String,
    },
    /// The prefix asked for is longer than the vectors, or empty.
    #[error("expected 1 to {expected} dimensions, found {found}")]
    Length {
        /// Numbers that come out of the head.
        expected: usize,
        /// What was asked for.
        found: usize,
    },
}

impl Adapter {
    /// Writes to `path`, whole or not at all.
    pub fn save(&self, path: &Path) -> Result<(), AdapterError> {
        let bytes: Vec<u8> = self.head.parameters().iter().flat_map(|value| value.to_le_bytes()).collect();
        let view = TensorView::new(Dtype::F32, vec![self.head.parameters().len()], &bytes).expect("f32 numbers");
        let (form, size) = match self.head.form() {
            Form::Linear { output } => ("linear", output),
            Form::LowRank { rank } => ("low-rank", rank),
        };
        let labels = [
            ("model", self.model_id.clone()),
            ("form", form.into()),
            ("size", size.to_string()),
            ("input", self.head.input().to_string()),
            ("both_sides", self.both_sides.to_string()),
        ];
        let labels: HashMap<String, String> = labels.into_iter().map(|(name, value)| (name.into(), value)).collect();
        let file = safetensors::serialize([("parameters", view)], Some(labels)).expect("one tensor with its shape");
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let written = fs::write(&partial, file).and_then(|()| fs::rename(&partial, path));
        written.map_err(|source| AdapterError::Io { path: path.into(), source })
    }

    /// Reads what [`save`](Self::save) wrote.
    pub fn open(path: &Path) -> Result<Adapter, AdapterError> {
        let bytes = fs::read(path).map_err(|source| AdapterError::Io { path: path.into(), source })?;
        let format = |found: String| AdapterError::Format { path: path.into(), found };
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|error| format(error.to_string()))?;
        let labels = header.metadata().clone().unwrap_or_default();
        let label =
            |name: &str| labels.get(name).cloned().ok_or_else(|| format(format!("no `{name}` in its metadata")));
        let number = |name: &str| match label(name)?.parse() {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(format(format!("{name}: expected a number of at least 1, found `{}`", label(name)?))),
        };
        let (input, size) = (number("input")?, number("size")?);
        let form = match label("form")?.as_str() {
            "linear" => Form::Linear { output: size },
            "low-rank" => Form::LowRank { rank: size },
            other => return Err(format(format!("form: expected linear or low-rank, found `{other}`"))),
        };
        let file = SafeTensors::deserialize(&bytes).map_err(|error| format(error.to_string()))?;
        let tensor = file.tensor("parameters").map_err(|error| format(error.to_string()))?;
        if tensor.dtype() != Dtype::F32 {
            return Err(format(format!("parameters: expected f32, found {:?}", tensor.dtype())));
        }
        let numbers = tensor.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        let parameters: Vec<f32> = numbers.collect();
        let found = parameters.len();
        let head = Head::from_parameters(form, input, parameters)
            .filter(|head| head.parameters().iter().all(|value| value.is_finite()))
            .ok_or_else(|| format(format!("{found} parameters that do not fit the form, or are not finite")))?;
        Ok(Adapter { head, model_id: label("model")?, both_sides: label("both_sides")? == "true" })
    }
}

impl<E: DenseEncoder> Adapted<E> {
    /// Puts `adapter` on `encoder`, keeping the first `length` dimensions. Errors if it was trained on another, or if the
    /// vectors are not so long.
    pub fn new(encoder: E, adapter: Adapter, length: usize) -> Result<Self, AdapterError> {
        if encoder.model_id() != adapter.model_id || encoder.dim() != adapter.head.input() {
            return Err(AdapterError::Model { expected: adapter.model_id, found: encoder.model_id().into() });
        }
        let output = adapter.head.output();
        if !(1..=output).contains(&length) {
            return Err(AdapterError::Length { expected: output, found: length });
        }
        let model_id = format!("{}-adapted-{length}", adapter.model_id);
        Ok(Adapted { encoder, adapter, model_id, length })
    }
}

impl<E: DenseEncoder> Encoder for Adapted<E> {
    fn model_id(&self) -> &str {
        &self.model_id
    }

    fn max_tokens(&self) -> Option<usize> {
        self.encoder.max_tokens()
    }
}

impl<E: DenseEncoder> DenseEncoder for Adapted<E> {
    fn dim(&self) -> usize {
        self.length
    }

    fn normalized(&self) -> bool {
        true
    }

    fn encode(&self, texts: &[&str], kind: TextKind) -> Result<DenseBatch, EncodeError> {
        let frozen = self.encoder.encode(texts, kind)?;
        let mapped = kind == TextKind::Query || self.adapter.both_sides;
        let rows = prefixes(&self.adapter.head, &frozen, mapped, self.length);
        Ok(DenseBatch::new(rows, self.length).expect("finite parameters and finite vectors"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Two numbers of a text.
    struct Letters;

    impl Encoder for Letters {
        fn model_id(&self) -> &str {
            "letters"
        }
        fn max_tokens(&self) -> Option<usize> {
            None
        }
    }

    impl DenseEncoder for Letters {
        fn dim(&self) -> usize {
            2
        }
        fn normalized(&self) -> bool {
            false
        }
        fn encode(&self, texts: &[&str], _: TextKind) -> Result<DenseBatch, EncodeError> {
            let rows = texts.iter().flat_map(|text| [text.len() as f32, 1.0]);
            Ok(DenseBatch::new(rows.collect(), 2).unwrap())
        }
    }

    #[test]
    fn comes_back_as_it_was_and_maps_what_it_should() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("head.safetensors");
        let swap = Head::linear(vec![0.0, 1.0, 1.0, 0.0], 2);
        let adapter = Adapter { head: swap, model_id: "letters".into(), both_sides: false };
        for head in [adapter.head.clone(), Head::low_rank(2, 3, &mut Random::new(1))] {
            let adapter = Adapter { head, ..adapter.clone() };
            adapter.save(&path).unwrap();
            assert_eq!(Adapter::open(&path).unwrap(), adapter);
        }
        let adapted = Adapted::new(Letters, adapter.clone(), 2).unwrap();
        let query = adapted.encode(&["abc"], TextKind::Query).unwrap();
        let document = adapted.encode(&["abc"], TextKind::Document).unwrap();
        let length = 10_f32.sqrt();
        assert_eq!(
            (query.row(0), document.row(0)),
            (&[1.0 / length, 3.0 / length][..], &[3.0 / length, 1.0 / length][..])
        );

        let other = Adapter { model_id: "other".into(), ..adapter.clone() };
        let error = Adapted::new(Letters, other, 2).err().unwrap().to_string();
        assert!(error.contains("expected the encoder `other`") && error.contains("found `letters`"), "{error}");
        let error = Adapted::new(Letters, adapter, 3).err().unwrap().to_string();
        assert_eq!(error, "expected 1 to 2 dimensions, found 3");
        fs::write(&path, b"no head").unwrap();
        assert!(Adapter::open(&path).unwrap_err().to_string().contains("expected a head's safetensors file"));
    }
}
