//! One collection of a running server, over HTTP.

use anyhow::{Context, bail};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What stays as it is in the path of a URL.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Where a server is, unless told otherwise.
pub(super) const DEFAULT_URL: &str = "http://127.0.0.1:6333";

/// What stands in an answer, as far as it is read.
#[derive(Deserialize)]
struct Answer<T> {
    result: T,
}

/// One collection of a running server.
#[derive(Debug)]
pub(super) struct Remote {
    agent: ureq::Agent,
    collection: String,
}

impl Remote {
    pub(super) fn new(url: &str, collection: &str) -> Self {
        let name = utf8_percent_encode(collection, ENCODED);
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        Remote { agent, collection: format!("{}/collections/{name}", url.trim_end_matches('/')) }
    }

    /// The collection's address.
    pub(super) fn address(&self) -> &str {
        &self.collection
    }

    pub(super) fn exists(&self) -> anyhow::Result<bool> {
        let exists: Value = self.answer(self.agent.get(format!("{}/exists", self.collection)).call())?;
        Ok(exists["exists"] == true)
    }

    /// Makes the collection for vectors as `vectors` says.
    pub(super) fn create(&self, vectors: &Value) -> anyhow::Result<()> {
        let _: bool = self.send("PUT", "", &json!({ "vectors": vectors }))?;
        Ok(())
    }

    pub(super) fn send<T: for<'de> Deserialize<'de>>(
        &self,
        method: &str,
        path: &str,
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        let url = format!("{}{path}", self.collection);
        let request = if method == "PUT" { self.agent.put(url) } else { self.agent.post(url) };
        self.answer(request.send_json(body))
    }

    fn answer<T: for<'de> Deserialize<'de>>(
        &self,
        sent: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> anyhow::Result<T> {
        let mut response =
            sent.with_context(|| format!("{}: no answer; is `vicino serve` running?", self.collection))?;
        let status = response.status();
        let text = response.body_mut().with_config().limit(u64::MAX).read_to_string()?;
        if !status.is_success() {
            let problem: Option<Value> = serde_json::from_str(&text).ok();
            let problem = problem.as_ref().and_then(|body| body["status"]["error"].as_str()).unwrap_or(&text);
            bail!("{} answered {status}: {problem}", self.collection);
        }
        let answer: Answer<T> =
            serde_json::from_str(&text).with_context(|| format!("an answer of {}", self.collection))?;
        Ok(answer.result)
    }
}
