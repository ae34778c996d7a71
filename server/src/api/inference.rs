//! Texts to vectors, where a request gives texts.
//!
//! All texts of a request that name one model are one batch of it, on a thread that may block. Nothing is computed where a model is
//! not served or its vectors have another dimension than the collection's. What a model does not look at, for a text has more
//! tokens than it takes, is cut off.

use std::collections::BTreeMap;

use vicino_embed::{EncodeError, TextKind};
use vicino_index::collection::{PointVectors, VectorSet};

use super::encoders::Encoders;
use super::error::ApiError;
use super::{App, blocking, find};
use crate::dto::{Document, VectorIn, VectorsIn};

/// A text, and the name of the vector it stands for.
pub(super) struct Text {
    pub(super) document: Document,
    pub(super) vector: String,
}

/// The vectors of points of `collection`, those of texts computed.
pub(super) async fn vectors(app: &App, collection: &str, given: Vec<VectorsIn>) -> Result<Vec<PointVectors>, ApiError> {
    let mut points = vec![PointVectors::default(); given.len()];
    let (mut texts, mut places) = (Vec::new(), Vec::new());
    for (at, VectorsIn(vectors)) in given.into_iter().enumerate() {
        for (name, vector) in vectors {
            match vector {
                VectorIn::Numbers(numbers) => points[at].insert(name, numbers),
                VectorIn::Document(document) => {
                    texts.push(Text { document, vector: name.clone() });
                    places.push((at, name));
                }
            }
        }
    }
    for ((at, name), vector) in places.into_iter().zip(embed(app, collection, texts, TextKind::Document).await?) {
        points[at].insert(name, vector);
    }
    Ok(points)
}

/// The vectors of `texts`, in their order.
pub(super) async fn embed(
    app: &App,
    collection: &str,
    texts: Vec<Text>,
    kind: TextKind,
) -> Result<Vec<Vec<f32>>, ApiError> {
    if texts.is_empty() {
        return Ok(Vec::new());
    }
    let (collection, encoders) = (find(&app.store, collection.into())?, app.encoders.clone());
    blocking(move || run(&encoders, &collection.read().schema().vectors, &texts, kind)).await
}

fn run(encoders: &Encoders, wanted: &VectorSet, texts: &[Text], kind: TextKind) -> Result<Vec<Vec<f32>>, ApiError> {
    let mut batches: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, Text { document, vector }) in texts.iter().enumerate() {
        let found = encoders.get(&document.model)?.dim();
        let expected = wanted.get(vector).ok_or_else(|| ApiError::NoVector(vector.clone()))?.spec().dim();
        if found != expected {
            return Err(wrong_dimension(expected, found, &document.model, vector));
        }
        batches.entry(&document.model).or_default().push(at);
    }
    let mut vectors = vec![Vec::new(); texts.len()];
    for (model, places) in batches {
        let batch: Vec<&str> = places.iter().map(|&at| texts[at].document.text.as_str()).collect();
        let encoded = encoders.get(model)?.encode(&batch, kind).map_err(|error| failure(model, &error))?;
        for (row, at) in places.into_iter().enumerate() {
            vectors[at] = encoded.row(row).to_vec();
        }
    }
    Ok(vectors)
}

fn wrong_dimension(expected: usize, found: usize, model: &str, vector: &str) -> ApiError {
    let vector = if vector.is_empty() { String::new() } else { format!(", vector `{vector}`") };
    ApiError::WrongInput(format!(
        "Vector dimension error: expected dim: {expected}, got {found} (a text by model `{model}`{vector})"
    ))
}

fn failure(model: &str, error: &EncodeError) -> ApiError {
    let message = format!("model `{model}`: {error}");
    match error {
        EncodeError::NotFinite { .. } | EncodeError::Engine { .. } => ApiError::Internal(message),
        _ => ApiError::WrongInput(message),
    }
}
