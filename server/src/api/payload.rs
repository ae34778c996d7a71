//! Changing payloads.

use std::sync::Arc;

use axum::extract::{Path, State};
use vicino_index::collection::{Change, PayloadEdit};

use super::body::Body;
use super::change;
use super::envelope::ApiResult;
use super::points::{Which, completed, which};
use super::select::paths;
use crate::dto::{ClearPayload, DeletePayload, SetPayload, UpdateResult};
use crate::store::Store;

pub(super) async fn set(
    State(store): State<Arc<Store>>,
    Path(name): Path<String>,
    Body(request): Body<SetPayload>,
) -> ApiResult<UpdateResult> {
    edit(store, name, which(request.points, request.filter)?, PayloadEdit::Merge(request.payload)).await
}

pub(super) async fn overwrite(
    State(store): State<Arc<Store>>,
    Path(name): Path<String>,
    Body(request): Body<SetPayload>,
) -> ApiResult<UpdateResult> {
    edit(store, name, which(request.points, request.filter)?, PayloadEdit::Replace(request.payload)).await
}

pub(super) async fn delete(
    State(store): State<Arc<Store>>,
    Path(name): Path<String>,
    Body(request): Body<DeletePayload>,
) -> ApiResult<UpdateResult> {
    edit(store, name, which(request.points, request.filter)?, PayloadEdit::Remove(paths(&request.keys)?)).await
}

pub(super) async fn clear(
    State(store): State<Arc<Store>>,
    Path(name): Path<String>,
    Body(request): Body<ClearPayload>,
) -> ApiResult<UpdateResult> {
    edit(store, name, which(request.points, request.filter)?, PayloadEdit::Clear).await
}

async fn edit(store: Arc<Store>, name: String, which: Which, edit: PayloadEdit) -> ApiResult<UpdateResult> {
    let wanted = match which {
        Which::Ids(ids) => Change::Payload(ids, edit),
        Which::Matching(filter) => Change::PayloadMatching(filter, edit),
    };
    change(store, name, wanted).await.map(completed)
}
