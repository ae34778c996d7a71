//! One collection of a running server, over HTTP.

use std::io::{self, Read, Write};

use anyhow::{Context, bail};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use ureq::http::Response;
use ureq::{Body, SendBody};
use vicino_index::vfs::{RealFs, Vfs};

use crate::dto::Compacted;

/// What stays as it is in the path of a URL.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Where a server is, unless told otherwise.
pub(super) const DEFAULT_URL: &str = "http://127.0.0.1:6333";

/// `text` as a part of a path.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// What stands in an answer, as far as it is read.
#[derive(Deserialize)]
struct Answer<T> {
    result: T,
}

/// The names of all collections of the server at `url`.
pub(super) fn collections(url: &str) -> anyhow::Result<Vec<String>> {
    #[derive(Deserialize)]
    struct List {
        collections: Vec<Named>,
    }
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    let server = url.trim_end_matches('/');
    let list: List = Remote::of(server, "", format!("{server}/collections")).get("")?;
    Ok(list.collections.into_iter().map(|collection| collection.name).collect())
}

/// One collection of a running server.
#[derive(Debug)]
pub(super) struct Remote {
    agent: ureq::Agent,
    server: String,
    name: String,
    /// Its address.
    collection: String,
}

impl Remote {
    pub(super) fn new(url: &str, collection: &str) -> Self {
        let server = url.trim_end_matches('/');
        Self::of(server, collection, format!("{server}/collections/{}", encoded(collection)))
    }

    fn of(server: &str, name: &str, collection: String) -> Self {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        Remote { agent, server: server.into(), name: name.into(), collection }
    }

    /// Gives back what room it can.
    pub(super) fn compact(&self) -> anyhow::Result<Compacted> {
        let url = format!("{}/v1/collections/{}/compact", self.server, encoded(&self.name));
        self.answer(self.agent.post(url).send_json(json!({})))
    }

    /// The collection's address.
    pub(super) fn address(&self) -> &str {
        &self.collection
    }

    /// The collection's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn exists(&self) -> anyhow::Result<bool> {
        let exists: Value = self.get("/exists")?;
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

    /// The result of a GET.
    pub(super) fn get<T: for<'de> Deserialize<'de>>(&self, path: &str) -> anyhow::Result<T> {
        self.answer(self.agent.get(format!("{}{path}", self.collection)).call())
    }

    /// The result of a DELETE.
    pub(super) fn delete<T: for<'de> Deserialize<'de>>(&self, path: &str) -> anyhow::Result<T> {
        self.answer(self.agent.delete(format!("{}{path}", self.collection)).call())
    }

    /// Copies the bytes at `path` to `out`.
    pub(super) fn download(&self, path: &str, out: &mut dyn Write) -> anyhow::Result<()> {
        let mut response = self.checked(self.agent.get(format!("{}{path}", self.collection)).call())?;
        io::copy(&mut response.body_mut().as_reader(), out)?;
        Ok(())
    }

    /// Sends all of `file` as the file `field` of a form.
    pub(super) fn upload<T: for<'de> Deserialize<'de>>(
        &self,
        path: &str,
        field: &str,
        file: &mut dyn Read,
    ) -> anyhow::Result<T> {
        // Never within a file, as far as chance can tell.
        let limit = format!("vicino-{}", uuid::Uuid::from_u128(RealFs.unique()));
        let head = format!(
            "--{limit}\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{field}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        let tail = format!("\r\n--{limit}--\r\n");
        let mut body = head.as_bytes().chain(file).chain(tail.as_bytes());
        let request = self.agent.post(format!("{}{path}", self.collection));
        let request = request.content_type(format!("multipart/form-data; boundary={limit}"));
        self.answer(request.send(SendBody::from_reader(&mut body)))
    }

    fn answer<T: for<'de> Deserialize<'de>>(&self, sent: Result<Response<Body>, ureq::Error>) -> anyhow::Result<T> {
        let mut response = self.checked(sent)?;
        let text = response.body_mut().with_config().limit(u64::MAX).read_to_string()?;
        let answer: Answer<T> =
            serde_json::from_str(&text).with_context(|| format!("an answer of {}", self.collection))?;
        Ok(answer.result)
    }

    /// What came back, if it is no error.
    fn checked(&self, sent: Result<Response<Body>, ureq::Error>) -> anyhow::Result<Response<Body>> {
        let mut response =
            sent.with_context(|| format!("{}: no answer; is `vicino serve` running?", self.collection))?;
        let status = response.status();
        if !status.is_success() {
            let text = response.body_mut().with_config().limit(u64::MAX).read_to_string()?;
            let problem: Option<Value> = serde_json::from_str(&text).ok();
            let problem = problem.as_ref().and_then(|body| body["status"]["error"].as_str()).unwrap_or(&text);
            bail!("{} answered {status}: {problem}", self.collection);
        }
        Ok(response)
    }
}
