//! Changing payloads.

use std::sync::Arc;

use axum::extract::{Path, State};
use vicino_index::PointId;
use vicino_index::collection::{Change, PayloadEdit};

use super::body::Body;
use super::change;
use super::envelope::ApiResult;
use super::error::ApiError;
use super::points::completed;
use super::select::paths;
use crate::dto::{ClearPayload, DeletePayload, Id, SetPayload, UpdateResult};
use crate::store::Store;

pub(super) async fn set(
    State(store): State<Arc<Store>>,
    Path(name): Path<String>,
    Body(request): Body<SetPayload>,
) -> ApiResult<UpdateResult> {
    edit(store, name, request.points, PayloadEdit::Merge(request.payload)).await
}

pub(super) async fn overwrite(
    State(store): State<Arc<Store>>,
    Path(name): Path<String>,
    Body(request): Body<SetPayload>,
) -> ApiResult<UpdateResult> {
    edit(store, name, request.points, PayloadEdit::Replace(request.payload)).await
}

pub(super) async fn delete(
    State(store): State<Arc<Store>>,
    Path(name): Path<String>,
    Body(request): Body<DeletePayload>,
) -> ApiResult<UpdateResult> {
    edit(store, name, request.points, PayloadEdit::Remove(paths(&request.keys)?)).await
}

pub(super) async fn clear(
    State(store): State<Arc<Store>>,
    Path(name): Path<String>,
    Body(request): Body<ClearPayload>,
) -> ApiResult<UpdateResult> {
    edit(store, name, request.points, PayloadEdit::Clear).await
}

async fn edit(store: Arc<Store>, name: String, points: Option<Vec<Id>>, edit: PayloadEdit) -> ApiResult<UpdateResult> {
    let points = points.ok_or_else(|| ApiError::Format("expected `points`, a list of ids".into()))?;
    let ids: Vec<PointId> = points.into_iter().map(|Id(id)| id).collect();
    change(store, name, Change::Payload(ids, edit)).await.map(completed)
}
