//! Routes. A handler turns a body into a call of the store and its outcome into a body; what a call means is decided below it.
//!
//! Work on collections runs on blocking threads, so that a long search holds up no connection.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRef, OriginalUri};
use axum::http::Method;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{delete, get, post, put};
use vicino_index::collection::{Change, Collection};

use crate::store::{Shared, Store};

mod body;
mod collections;
mod compact;
mod encoders;
mod envelope;
mod error;
mod index;
mod inference;
mod payload;
mod points;
mod query;
mod select;
mod service;
mod snapshots;

pub use body::MAX_BODY_BYTES;
pub(crate) use collections::schema;
pub(crate) use compact::compacted;
pub use encoders::{Encoders, MODEL, ModelNameError};
pub use error::ApiError;

/// How long a call may take if nothing else is said.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// What handlers share; most need the store alone.
#[derive(Clone)]
struct App {
    store: Arc<Store>,
    encoders: Arc<Encoders>,
}

impl FromRef<App> for Arc<Store> {
    fn from_ref(app: &App) -> Self {
        Arc::clone(&app.store)
    }
}

impl FromRef<App> for Arc<Encoders> {
    fn from_ref(app: &App) -> Self {
        Arc::clone(&app.encoders)
    }
}

/// All routes over `store`, with texts embedded by `encoders`; a call that takes longer than `timeout` is answered with an error.
pub fn router(store: Arc<Store>, encoders: Encoders, timeout: Duration) -> Router {
    let collections = Router::new()
        .route("/collections", get(collections::list))
        .route("/collections/{name}", get(collections::info).put(collections::create).delete(collections::remove))
        .route("/collections/{name}/exists", get(collections::exists))
        .route("/collections/{name}/index", put(index::create))
        .route("/collections/{name}/index/{field}", delete(index::remove))
        .route("/collections/{name}/vectors/{vector}", put(collections::add_vector).delete(collections::drop_vector))
        .route("/collections/{name}/points", put(points::upsert).post(points::retrieve))
        .route("/collections/{name}/points/{id}", get(points::one))
        .route("/collections/{name}/points/delete", post(points::delete))
        .route("/collections/{name}/points/vectors", put(points::update_vectors))
        .route("/collections/{name}/points/vectors/delete", post(points::delete_vectors))
        .route("/collections/{name}/points/payload", post(payload::set).put(payload::overwrite))
        .route("/collections/{name}/points/payload/delete", post(payload::delete))
        .route("/collections/{name}/points/payload/clear", post(payload::clear))
        .route("/collections/{name}/points/count", post(points::count))
        .route("/collections/{name}/points/scroll", post(points::scroll))
        .route("/collections/{name}/points/query", post(query::query))
        .route("/collections/{name}/points/query/batch", post(query::batch))
        .route("/collections/{name}/points/search", post(query::search))
        .route("/v1/collections/{name}/explain", post(query::explain))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES));
    // These take as long as there are data, unless the caller says how long.
    let long = Router::new()
        .route("/v1/collections/{name}/compact", post(compact::compact))
        .route("/collections/{name}/snapshots", get(snapshots::list).post(snapshots::create))
        .route("/collections/{name}/snapshots/{archive}", get(snapshots::download).delete(snapshots::remove))
        .route("/collections/{name}/snapshots/recover", put(snapshots::recover))
        .layer(from_fn_with_state(Duration::MAX, envelope::call));
    let upload = Router::new()
        .route("/collections/{name}/snapshots/upload", post(snapshots::upload))
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn(envelope::upload));
    Router::new()
        .route("/", get(service::version))
        .route("/healthz", get(service::healthy))
        .route("/livez", get(service::healthy))
        .route("/readyz", get(service::ready))
        .route("/v1/models", get(service::models))
        .merge(collections)
        .fallback(no_route)
        .layer(from_fn_with_state(timeout, envelope::call))
        .merge(long.merge(upload))
        .method_not_allowed_fallback(no_route)
        .with_state(App { store, encoders: Arc::new(encoders) })
}

async fn no_route(method: Method, OriginalUri(uri): OriginalUri) -> ApiError {
    ApiError::NoRoute { method, path: uri.path().into() }
}

/// Runs `work` on a thread that may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let outcome = tokio::task::spawn_blocking(work).await;
    outcome.unwrap_or_else(|error| Err(ApiError::Internal(error.to_string())))
}

/// The collection `name`.
fn find(store: &Store, name: String) -> Result<Shared, ApiError> {
    match (store.get(&name), store.damage(&name)) {
        (Some(collection), _) => Ok(collection),
        (None, Some(why)) => Err(ApiError::Damaged(why)),
        (None, None) => Err(ApiError::NoCollection(name)),
    }
}

/// Reads the collection `name`.
async fn read<T: Send + 'static>(
    store: Arc<Store>,
    name: String,
    work: impl FnOnce(&Collection) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let collection = find(&store, name)?;
    blocking(move || work(&collection.read())).await
}

/// Changes the collection `name` and returns the number of the change.
async fn change(store: Arc<Store>, name: String, change: Change) -> Result<u64, ApiError> {
    let collection = find(&store, name)?;
    blocking(move || Ok(collection.write(change)?)).await
}
