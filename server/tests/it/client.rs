//! Calls to a router in this process.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;
use vicino_server::api::{DEFAULT_TIMEOUT, Encoders, router};
use vicino_server::store::Store;

/// A server without a network.
pub(crate) struct Client {
    router: Router,
    runtime: tokio::runtime::Runtime,
}

#[allow(clippy::needless_pass_by_value, reason = "bodies are written where they are sent")]
impl Client {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self::over(Arc::new(Store::in_memory()))
    }

    /// One over `store`.
    pub(crate) fn over(store: Arc<Store>) -> Self {
        Self::with_encoders(store, Encoders::default())
    }

    /// One over `store` that embeds texts by `encoders`.
    pub(crate) fn with_encoders(store: Arc<Store>, encoders: Encoders) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Client { router: router(store, encoders, DEFAULT_TIMEOUT), runtime }
    }

    /// With a collection `c` of `size` dimensions.
    pub(crate) fn with_collection(size: usize, distance: &str) -> Self {
        let client = Self::new();
        assert_eq!(client.ok("PUT", "/collections/c", json!({"vectors": {"size": size, "distance": distance}})), true);
        client
    }

    /// Sends raw bytes; returns the status and the body.
    pub(crate) fn raw(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: impl Into<Body>,
    ) -> (StatusCode, String) {
        let (status, body) = self.bytes(method, path, content_type, body);
        (status, String::from_utf8(body).unwrap())
    }

    /// As [`raw`](Client::raw), where the answer may be no text.
    pub(crate) fn bytes(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: impl Into<Body>,
    ) -> (StatusCode, Vec<u8>) {
        let request =
            Request::builder().method(method).uri(path).header("content-type", content_type).body(body.into());
        self.runtime.block_on(async {
            let response = self.router.clone().oneshot(request.unwrap()).await.unwrap();
            let status = response.status();
            let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
            (status, body.to_vec())
        })
    }

    /// Sends `body`; returns the status and the whole answer.
    pub(crate) fn call(&self, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, body) = self.raw(method, path, "application/json", body);
        (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}")))
    }

    /// The result of a call that must succeed.
    pub(crate) fn ok(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, mut answer) = self.call(method, path, body);
        assert_eq!((status, &answer["status"]), (StatusCode::OK, &json!("ok")), "{method} {path}: {answer}");
        assert!(answer["time"].is_f64(), "{answer}");
        answer["result"].take()
    }

    /// The error of a call that must fail with `status`, in Qdrant's form.
    pub(crate) fn error(&self, status: u16, method: &str, path: &str, body: Value) -> String {
        let (found, answer) = self.call(method, path, body);
        error_text(status, found, &answer)
    }
}

/// Checks the form of an error and returns its text.
pub(crate) fn error_text(status: u16, found: StatusCode, answer: &Value) -> String {
    assert_eq!(found.as_u16(), status, "{answer}");
    assert!(answer["time"].is_f64() && answer.get("result").is_none(), "{answer}");
    answer["status"]["error"].as_str().unwrap_or_else(|| panic!("no error text: {answer}")).to_owned()
}
