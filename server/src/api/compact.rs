//! Giving room back at once, which the background does in its own time.

use std::sync::Arc;
use std::thread::available_parallelism;

use axum::extract::{Path, State};
use vicino_index::BuildOptions;
use vicino_index::collection::SharedCollection;

use super::envelope::{Answer, ApiResult};
use super::error::ApiError;
use super::{blocking, find};
use crate::dto::Compacted;
use crate::store::Store;

pub(super) async fn compact(State(store): State<Arc<Store>>, Path(name): Path<String>) -> ApiResult<Compacted> {
    let collection = find(&store, name)?;
    blocking(move || {
        // Half the cores, so that searches go on.
        let threads = available_parallelism().map_or(1, |cores| cores.get().div_ceil(2));
        Ok(Answer(compacted(&collection, &BuildOptions { threads, progress: None })?))
    })
    .await
}

/// Compacts `collection`, and says what it took before and takes now.
pub(crate) fn compacted(collection: &SharedCollection, options: &BuildOptions<'_>) -> Result<Compacted, ApiError> {
    let before = collection.usage()?;
    collection.compact(options)?;
    Ok(Compacted { before, after: collection.usage()? })
}
