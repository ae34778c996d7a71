//! The frame around every call: when it began, how long it may take, and the envelope of its answer.
//!
//! Qdrant's envelope is `{"result": …, "status": "ok", "time": seconds}`, or `{"status": {"error": "…"}, "time": seconds}`. The time
//! covers reading and parsing the body, so the start is noted before anything else and kept with the task.

use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{Query, Request, State};
use axum::http::Uri;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::ApiError;
use crate::dto::{CallParams, UploadParams};

tokio::task_local! {
    static STARTED: Instant;
}

fn seconds_since_start() -> f64 {
    STARTED.try_with(|started| started.elapsed().as_secs_f64()).unwrap_or_default()
}

/// A result, to be put into the envelope.
#[derive(Debug)]
pub(super) struct Answer<T>(pub(super) T);

/// What handlers return.
pub(super) type ApiResult<T> = Result<Answer<T>, ApiError>;

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Envelope<T> {
            result: T,
            status: &'static str,
            time: f64,
        }
        Json(Envelope { result: self.0, status: "ok", time: seconds_since_start() }).into_response()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Status {
            error: String,
        }
        #[derive(Serialize)]
        struct Envelope {
            status: Status,
            time: f64,
        }
        if self.status().is_server_error() {
            tracing::error!("{self}");
        }
        let envelope = Envelope { status: Status { error: self.to_string() }, time: seconds_since_start() };
        (self.status(), Json(envelope)).into_response()
    }
}

/// Runs a call: notes its start, checks what stands behind the `?`, and gives up after `longest` or the caller's `timeout`.
pub(super) async fn call(State(longest): State<Duration>, request: Request, next: Next) -> Response {
    let timeout = params::<CallParams>(request.uri()).map(|params| params.timeout);
    run(timeout, longest, request, next).await
}

/// As [`call`], an upload, which may take as long as the caller likes.
pub(super) async fn upload(request: Request, next: Next) -> Response {
    let timeout = params::<UploadParams>(request.uri()).map(|params| params.timeout);
    run(timeout, Duration::MAX, request, next).await
}

async fn run(timeout: Result<Option<u64>, ApiError>, longest: Duration, request: Request, next: Next) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let started = Instant::now();
    let answer = STARTED.scope(started, async {
        let limit = match timeout.and_then(|timeout| time_limit(timeout, longest)) {
            Ok(limit) => limit,
            Err(error) => return error.into_response(),
        };
        match tokio::time::timeout(limit, next.run(request)).await {
            Ok(response) => response,
            Err(_) => ApiError::Timeout { seconds: limit.as_secs() }.into_response(),
        }
    });
    let response = answer.await;
    tracing::debug!("{method} {uri} {} {:.3} ms", response.status().as_u16(), started.elapsed().as_secs_f64() * 1e3);
    response
}

fn params<P: DeserializeOwned>(uri: &Uri) -> Result<P, ApiError> {
    match Query::<P>::try_from_uri(uri) {
        Ok(Query(params)) => Ok(params),
        Err(error) => Err(ApiError::Params(error.body_text())),
    }
}

fn time_limit(timeout: Option<u64>, longest: Duration) -> Result<Duration, ApiError> {
    match timeout {
        Some(0) => {
            Err(ApiError::Validation { field: "timeout", problem: "value 0 invalid, must be 1 or larger".into() })
        }
        Some(seconds) => Ok(longest.min(Duration::from_secs(seconds))),
        None => Ok(longest),
    }
}
