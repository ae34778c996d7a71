//! What the server says of itself.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use vicino_embed::DenseEncoder;

use super::blocking;
use super::encoders::Encoders;
use super::envelope::{Answer, ApiResult};
use crate::dto::{ModelDescription, ModelList, QDRANT_VERSION};
use crate::store::Store;

/// `GET /`: clients read `version` to learn which API is spoken; ours stands beside it.
#[derive(Serialize)]
pub(super) struct Version {
    title: &'static str,
    version: &'static str,
    vicino: &'static str,
}

pub(super) async fn version() -> Json<Version> {
    let title = "vicino - vector search engine";
    Json(Version { title, version: QDRANT_VERSION, vicino: env!("CARGO_PKG_VERSION") })
}

pub(super) async fn healthy() -> &'static str {
    "healthz check passed"
}

/// 200 if every collection can be read and changed; else 503, with those that cannot and why, a line each.
pub(super) async fn ready(State(store): State<Arc<Store>>) -> (StatusCode, String) {
    let unready = blocking(move || Ok(store.unready())).await.unwrap_or_else(|error| vec![error.to_string()]);
    match unready.is_empty() {
        true => (StatusCode::OK, "all shards are ready".into()),
        false => (StatusCode::SERVICE_UNAVAILABLE, unready.join("\n")),
    }
}

/// The models that turn texts into vectors.
pub(super) async fn models(State(encoders): State<Arc<Encoders>>) -> ApiResult<ModelList> {
    let describe = |(name, encoder): (&str, &dyn DenseEncoder)| ModelDescription {
        name: name.into(),
        id: encoder.model_id().into(),
        dim: encoder.dim(),
        max_tokens: encoder.max_tokens(),
    };
    // The first call may have to make the built-in encoder ready.
    blocking(move || Ok(Answer(ModelList { models: encoders.iter().map(describe).collect() }))).await
}
