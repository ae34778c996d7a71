//! Vectors that are computed once and read again: encoding a collection takes minutes, everything trained or measured on
//! top of its vectors seconds.
//!
//! A file is in the safetensors format: one tensor `vectors`, f32, `[texts × dim]`, and metadata that names the model, the
//! kind of text and a digest of the texts in their order. A file made from anything else is refused, never silently used.

use crate::dense::{BatchError, DenseBatch};
use crate::encoder::{DenseEncoder, EncodeError, TextKind};
use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorView};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Texts encoded between two reports of progress.
const BATCH: usize = 256;
const TENSOR: &str = "vectors";

/// Why vectors are neither read nor made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrozenError {
    /// The file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is no safetensors file with the tensor wanted.
    #[error("{path}: expected safetensors with an f32 matrix `{TENSOR}`: {found}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        found: String,
    },
    /// The file holds the vectors of another model, kind or list of texts.
    #[error("{path}: {field}: expected {expected}, found {found}; delete the file to have it made anew")]
    Other {
        /// The file.
        path: PathBuf,
        /// What differs.
        field: &'static str,
        /// What was asked for.
        expected: String,
        /// What the file says.
        found: String,
    },
    /// The encoder failed.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The numbers are no batch.
    #[error(transparent)]
    Batch(#[from] BatchError),
}

/// The vectors of `texts`, in their order: from `file` if it is there, else from `encoder`, and then kept in `file`.
/// `progress` hears of texts done and their number. Errors if the file holds anything but these vectors.
pub fn vectors(
    encoder: &dyn DenseEncoder,
    texts: &[&str],
    kind: TextKind,
    file: Option<&Path>,
    progress: &dyn Fn(usize, usize),
) -> Result<DenseBatch, FrozenError> {
    let expected = Label::new(encoder, texts, kind);
    if let Some(path) = file.filter(|path| path.exists()) {
        return read(path, &expected);
    }
    let mut data = Vec::with_capacity(texts.len() * encoder.dim());
    for batch in texts.chunks(BATCH) {
        data.extend_from_slice(encoder.encode(batch, kind)?.as_slice());
        progress(data.len() / encoder.dim(), texts.len());
    }
    let vectors = DenseBatch::new(data, encoder.dim())?;
    if let Some(path) = file {
        write(path, &expected, &vectors)?;
    }
    Ok(vectors)
}

/// A name for the file of these vectors, different for every model, kind and list of texts.
pub fn file_name(encoder: &dyn DenseEncoder, texts: &[&str], kind: TextKind) -> String {
    let Label([(_, model), (_, kind), (_, texts), _, (_, digest)]) = Label::new(encoder, texts, kind);
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || "-_.@".contains(letter) { letter } else { '_' };
    format!("{}-{kind}-{texts}-{digest}.safetensors", model.chars().map(plain).collect::<String>())
}

/// What a file's vectors are of: names and values.
struct Label([(&'static str, String); 5]);

impl Label {
    fn new(encoder: &dyn DenseEncoder, texts: &[&str], kind: TextKind) -> Label {
        Label([
            ("model", encoder.model_id().into()),
            ("kind", format!("{kind:?}").to_lowercase()),
            ("texts", texts.len().to_string()),
            ("dim", encoder.dim().to_string()),
            ("digest", format!("{:016x}", digest(texts))),
        ])
    }
}

/// FNV-1a over the texts, each followed by a byte that no UTF-8 text holds. It tells lists apart, not enemies.
fn digest(texts: &[&str]) -> u64 {
    let bytes = texts.iter().flat_map(|text| text.bytes().chain([0xff]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn read(path: &Path, expected: &Label) -> Result<DenseBatch, FrozenError> {
    let bytes = fs::read(path).map_err(|source| FrozenError::Io { path: path.into(), source })?;
    let format = |found: String| FrozenError::Format { path: path.into(), found };
    let unreadable = |error: SafeTensorError| format(error.to_string());
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(unreadable)?;
    let labels = header.metadata().clone().unwrap_or_default();
    for (field, expected) in &expected.0 {
        let found = labels.get(*field).map_or("nothing", String::as_str);
        if found != expected {
            let (expected, found) = (expected.clone(), found.to_owned());
            return Err(FrozenError::Other { path: path.into(), field, expected, found });
        }
    }
    let file = SafeTensors::deserialize(&bytes).map_err(unreadable)?;
    let tensor = file.tensor(TENSOR).map_err(unreadable)?;
    let [rows, dim] = tensor.shape()[..] else { return Err(format(format!("the shape {:?}", tensor.shape()))) };
    if tensor.dtype() != Dtype::F32 {
        return Err(format(format!("{:?}", tensor.dtype())));
    }
    let numbers = tensor.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
    let vectors = DenseBatch::new(numbers.collect(), dim)?;
    let label = |name| labels.get(name).and_then(|label| label.parse().ok());
    if (label("texts"), label("dim")) != (Some(rows), Some(dim)) {
        return Err(format(format!("the shape [{rows}, {dim}], which its own labels contradict")));
    }
    Ok(vectors)
}

/// Writes whole or not at all: a file beside it is written and renamed.
fn write(path: &Path, label: &Label, vectors: &DenseBatch) -> Result<(), FrozenError> {
    let io = |source| FrozenError::Io { path: path.into(), source };
    let bytes: Vec<u8> = vectors.as_slice().iter().flat_map(|value| value.to_le_bytes()).collect();
    let view = TensorView::new(Dtype::F32, vec![vectors.len(), vectors.dim()], &bytes).expect("whole rows of f32");
    let labels: HashMap<String, String> = label.0.iter().map(|(name, value)| ((*name).into(), value.clone())).collect();
    let file = safetensors::serialize([(TENSOR, view)], Some(labels)).expect("one tensor with its shape");
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(io)?;
    }
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    fs::write(&partial, file).and_then(|()| fs::rename(&partial, path)).map_err(io)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::Encoder;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A text's length and first byte; counts how many texts it was given.
    struct Letters {
        id: &'static str,
        asked: AtomicUsize,
    }

    impl Encoder for Letters {
        fn model_id(&self) -> &str {
            self.id
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
            self.asked.fetch_add(texts.len(), Ordering::Relaxed);
            let rows = texts.iter().flat_map(|text| [text.len() as f32, f32::from(text.as_bytes()[0])]);
            Ok(DenseBatch::new(rows.collect(), 2).unwrap())
        }
    }

    #[test]
    fn made_once_and_refused_for_anything_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("made/vectors.safetensors");
        let letters = Letters { id: "letters", asked: AtomicUsize::new(0) };
        let texts: Vec<String> = (0..150).map(|i| format!("text {i}")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let get = |encoder: &Letters, texts: &[&str], kind| vectors(encoder, texts, kind, Some(&file), &|_, _| {});
        let made = get(&letters, &texts, TextKind::Document).unwrap();
        assert_eq!(made, letters.encode(&texts, TextKind::Document).unwrap());
        let asked = letters.asked.load(Ordering::Relaxed);
        assert_eq!(get(&letters, &texts, TextKind::Document).unwrap(), made);
        assert_eq!(letters.asked.load(Ordering::Relaxed), asked, "the second time it was read");

        assert_eq!(
            file_name(&Letters { id: "a/b c", asked: AtomicUsize::new(0) }, &["x"], TextKind::Query),
            format!("a_b_c-query-1-{:016x}.safetensors", digest(&["x"]))
        );
        let other = Letters { id: "others", asked: AtomicUsize::new(0) };
        let mut swapped = texts.clone();
        swapped.swap(0, 1);
        for (result, message) in [
            (get(&other, &texts, TextKind::Document), "model: expected others, found letters"),
            (get(&letters, &texts, TextKind::Query), "kind: expected query, found document"),
            (get(&letters, &texts[1..], TextKind::Document), "texts: expected 149, found 150"),
            (get(&letters, &swapped, TextKind::Document), "digest: expected"),
        ] {
            let error = result.unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
        let bytes = fs::read(&file).unwrap();
        fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
        let error = get(&letters, &texts, TextKind::Document).unwrap_err().to_string();
        assert!(error.contains("expected safetensors"), "{error}");
    }
}
