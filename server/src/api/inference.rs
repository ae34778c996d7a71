//! Texts to vectors, where a request gives texts.
//!
//! The encoder that comes with the program answers to [`MODEL`] and to its full name, which says what it was made of.

use vicino_embed::{DenseEncoder, Encoder, StaticEncoder, TextKind};
use vicino_index::collection::PointVectors;

use super::blocking;
use super::error::ApiError;
use crate::dto::{Document, QueryIn, VectorIn, VectorsIn};

/// What requests call the encoder.
pub const MODEL: &str = "static";

/// The vectors of points, those of texts computed.
pub(super) async fn vectors(given: Vec<VectorsIn>) -> Result<Vec<PointVectors>, ApiError> {
    let mut points = vec![PointVectors::default(); given.len()];
    let (mut documents, mut places) = (Vec::new(), Vec::new());
    for (at, VectorsIn(vectors)) in given.into_iter().enumerate() {
        for (name, vector) in vectors {
            match vector {
                VectorIn::Numbers(numbers) => points[at].insert(name, numbers),
                VectorIn::Document(document) => {
                    documents.push(document);
                    places.push((at, name));
                }
            }
        }
    }
    for ((at, name), vector) in places.into_iter().zip(embed(documents, TextKind::Document).await?) {
        points[at].insert(name, vector);
    }
    Ok(points)
}

/// `query`, with a text replaced by its vector.
pub(super) async fn query(query: Option<QueryIn>) -> Result<Option<QueryIn>, ApiError> {
    let Some(QueryIn::Document(document)) = query else { return Ok(query) };
    Ok(embed(vec![document], TextKind::Query).await?.pop().map(QueryIn::Vector))
}

async fn embed(documents: Vec<Document>, kind: TextKind) -> Result<Vec<Vec<f32>>, ApiError> {
    if documents.is_empty() {
        return Ok(Vec::new());
    }
    blocking(move || {
        let encoder = StaticEncoder::builtin();
        let unknown = |document: &&Document| document.model != MODEL && document.model != encoder.model_id();
        if let Some(Document { model, .. }) = documents.iter().find(unknown) {
            let full = encoder.model_id();
            return Err(ApiError::WrongInput(format!(
                "model `{model}`: expected `{MODEL}` or its full name, `{full}`"
            )));
        }
        let texts: Vec<&str> = documents.iter().map(|document| document.text.as_str()).collect();
        let vectors =
            DenseEncoder::encode(encoder, &texts, kind).map_err(|error| ApiError::WrongInput(error.to_string()))?;
        Ok((0..vectors.len()).map(|row| vectors.row(row).to_vec()).collect())
    })
    .await
}
