//! [`Body`]: a request's body as JSON, with errors that name the place.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;

use super::error::ApiError;

/// The longest body that is read, as Qdrant has it.
pub const MAX_BODY_BYTES: usize = 32 << 20;

/// From this size on a body is parsed away from the threads that serve connections.
const LARGE_BODY_BYTES: usize = 64 << 10;

/// Extracts a JSON body.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned + Send + 'static, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let content_type = request.headers().get(CONTENT_TYPE);
        if !content_type.is_some_and(|value| value.as_bytes().to_ascii_lowercase().starts_with(b"application/json")) {
            let found = content_type
                .map_or("not given".into(), |value| format!("`{}`", String::from_utf8_lossy(value.as_bytes())));
            return Err(ApiError::ContentType { found });
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|error| match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => ApiError::TooLarge { max: MAX_BODY_BYTES },
            _ => ApiError::Body(error.body_text()),
        })?;
        if bytes.len() < LARGE_BODY_BYTES {
            return parse(&bytes).map(Body);
        }
        super::blocking(move || parse(&bytes)).await.map(Body)
    }
}

/// Parses `text`; only where that fails it is parsed again, slowly, to learn where.
fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(text).map_err(|plain| {
        let mut reader = serde_json::Deserializer::from_slice(text);
        ApiError::Format(match serde_path_to_error::deserialize::<_, T>(&mut reader) {
            Err(error) if error.path().iter().next().is_some() => format!("{}: {}", error.path(), error.inner()),
            _ => plain.to_string(),
        })
    })
}
