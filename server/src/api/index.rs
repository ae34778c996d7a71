//! Payload indexes.

use std::sync::Arc;

use axum::extract::{Path, State};
use vicino_index::collection::Change;
use vicino_index::filter::{IndexedField, PayloadPath};

use super::body::Body;
use super::envelope::ApiResult;
use super::error::ApiError;
use super::points::completed;
use super::{blocking, change, find};
use crate::dto::{CreateIndex, UpdateResult};
use crate::store::Store;

/// Answers once the index is made.
pub(super) async fn create(
    State(store): State<Arc<Store>>,
    Path(name): Path<String>,
    Body(request): Body<CreateIndex>,
) -> ApiResult<UpdateResult> {
    let invalid = |problem: String| ApiError::Validation { field: "field_schema", problem };
    let of = request.field_schema.of().map_err(|problem| invalid(problem.into()))?;
    let field = IndexedField::new(&request.field_name, of)
        .map_err(|error| ApiError::Validation { field: "field_name", problem: error.to_string() })?;
    let collection = find(&store, name)?;
    blocking(move || {
        let number = collection.write(Change::AddField(field))?;
        collection.read().make_indexes();
        Ok(completed(number))
    })
    .await
}

pub(super) async fn remove(
    State(store): State<Arc<Store>>,
    Path((name, field)): Path<(String, String)>,
) -> ApiResult<UpdateResult> {
    let path = PayloadPath::parse(&field).map_err(|error| ApiError::WrongInput(error.to_string()))?;
    change(store, name, Change::DropField(path)).await.map(completed)
}
