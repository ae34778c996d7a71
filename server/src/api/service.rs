//! What the server says of itself.

use axum::Json;
use serde::Serialize;

use crate::dto::QDRANT_VERSION;

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

pub(super) async fn ready() -> &'static str {
    "all shards are ready"
}
