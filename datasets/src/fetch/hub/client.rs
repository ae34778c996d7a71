//! Asking the hub: which files a model has at a revision, and where one of them is.
//!
//! The hub answers for a large file with a redirect to another host, and for some small ones with one to its own cache. What is
//! known of a file (`x-linked-etag`, `x-linked-size`) is in the hub's own answers, the other host's tags mean something else. So
//! redirects are followed by hand, and only as far as they stay at the endpoint: the token goes no further.

use serde::Deserialize;
use ureq::http::{HeaderMap, Response, Uri, header};

use super::cache::is_commit;
use super::error::Refusal;
use super::spec::Model;
use super::{Hub, HubError, files};
use crate::fetch::http;

/// Redirects followed before an answer is given up.
const MOST_REDIRECTS: usize = 10;

/// What a model is made of.
pub(super) struct Listing {
    /// The commit.
    pub(super) commit: String,
    /// Its files.
    pub(super) files: Vec<String>,
}

impl Listing {
    pub(super) fn has(&self, path: &str) -> bool {
        self.files.iter().any(|file| file == path)
    }
}

/// What the hub says of a file.
pub(super) struct Remote {
    /// Its name among the blobs: SHA-256 or git's.
    pub(super) etag: String,
    /// Bytes, where that is said.
    pub(super) size: Option<u64>,
    /// Where it is.
    pub(super) url: String,
    /// What to show there.
    pub(super) token: Option<String>,
}

pub(super) struct Client<'a> {
    hub: &'a Hub,
    model: &'a Model,
    agent: ureq::Agent,
}

#[derive(Clone, Copy)]
enum Method {
    Get,
    Head,
}

#[derive(Deserialize)]
struct ModelInfo {
    sha: String,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
}

impl<'a> Client<'a> {
    pub(super) fn new(hub: &'a Hub, model: &'a Model) -> Self {
        Client { hub, model, agent: http::agent() }
    }

    /// The commit that the model's revision is at, and its files.
    pub(super) fn listing(&self) -> Result<Listing, HubError> {
        let (id, revision) = (self.model.id(), escaped(self.model.revision(), ""));
        let url = format!("{}/api/models/{id}/revision/{revision}", self.hub.endpoint);
        let (mut response, _) = self.ask(Method::Get, &url, |_| {})?;
        self.expect_success(&response, &url)?;
        let odd = |found: String| HubError::Answer { url: url.clone(), expected: "a commit and its files", found };
        let text = response.body_mut().read_to_string().map_err(|error| odd(error.to_string()))?;
        let info: ModelInfo = serde_json::from_str(&text).map_err(|error| odd(error.to_string()))?;
        if !is_commit(&info.sha) {
            return Err(odd(format!("the commit `{}`", info.sha)));
        }
        let files: Vec<String> = info.siblings.into_iter().map(|sibling| sibling.rfilename).collect();
        match files.iter().find(|path| !files::is_inside(path)) {
            Some(path) => Err(odd(format!("a file that lies elsewhere: `{path}`"))),
            None => Ok(Listing { commit: info.sha, files }),
        }
    }

    /// What and where the file is at a commit.
    pub(super) fn describe(&self, commit: &str, path: &str) -> Result<Remote, HubError> {
        let url = format!("{}/{}/resolve/{commit}/{}", self.hub.endpoint, self.model.id(), escaped(path, "/"));
        let (mut etag, mut size) = (None, None);
        let (response, last) = self.ask(Method::Head, &url, |headers| {
            etag = etag.take().or_else(|| text(headers, "x-linked-etag"));
            size = size.or_else(|| number(headers, "x-linked-size"));
        })?;
        let elsewhere = redirect(&response, &last);
        if elsewhere.is_none() {
            self.expect_success(&response, &url)?;
            size = size.or_else(|| number(response.headers(), "content-length"));
        }
        let etag = etag.or_else(|| text(response.headers(), "etag")).unwrap_or_default();
        let name = etag.trim_start_matches("W/").trim_matches('"');
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            let expected = "an etag that can be a file's name";
            return Err(HubError::Answer { url, expected, found: format!("`{etag}`") });
        }
        let token = if elsewhere.is_none() { self.hub.token.clone() } else { None };
        Ok(Remote { etag: name.into(), size, url: elsewhere.unwrap_or(last), token })
    }

    /// Asks for `url`, following redirects that stay at the endpoint. Shows `see` the headers of every answer; gives the last and
    /// its URL, whatever its status.
    fn ask(
        &self,
        method: Method,
        url: &str,
        mut see: impl FnMut(&HeaderMap),
    ) -> Result<(Response<ureq::Body>, String), HubError> {
        let mut url = url.to_owned();
        for _ in 0..=MOST_REDIRECTS {
            let request = match method {
                Method::Get => self.agent.get(&url),
                Method::Head => self.agent.head(&url),
            };
            let mut request = request.config().http_status_as_error(false).max_redirects(0).build();
            if let Some(token) = &self.hub.token {
                request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
            }
            let response = request.call().map_err(|error| HubError::Unreachable {
                endpoint: self.hub.endpoint.clone(),
                source: Box::new(error),
            })?;
            see(response.headers());
            match redirect(&response, &url) {
                Some(next) if origin(&next).is_some() && origin(&next) == origin(&self.hub.endpoint) => url = next,
                _ => return Ok((response, url)),
            }
        }
        let found = format!("more than {MOST_REDIRECTS} redirects");
        Err(HubError::Answer { url, expected: "an answer", found })
    }

    fn expect_success(&self, response: &Response<ureq::Body>, url: &str) -> Result<(), HubError> {
        if response.status().is_success() {
            return Ok(());
        }
        Err(HubError::Refused(Box::new(Refusal {
            model: self.model.clone(),
            url: url.into(),
            status: response.status().as_u16(),
            code: text(response.headers(), "x-error-code").unwrap_or_default(),
            has_token: self.hub.token.is_some(),
        })))
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    text(headers, name).and_then(|text| text.parse().ok())
}

/// Where an answer to a request for `url` sends on to.
fn redirect(response: &Response<ureq::Body>, url: &str) -> Option<String> {
    let to = text(response.headers(), "location").filter(|_| response.status().is_redirection())?;
    let uri: Uri = url.parse().ok()?;
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
    Some(match to {
        to if to.contains("://") => to,
        to if to.starts_with("//") => format!("{scheme}:{to}"),
        to if to.starts_with('/') => format!("{scheme}://{authority}{to}"),
        to => {
            let folder = uri.path().rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("{scheme}://{authority}{folder}/{to}")
        }
    })
}

/// Scheme, host and port: what a token is for.
fn origin(url: &str) -> Option<(String, String, u16)> {
    let uri: Uri = url.parse().ok()?;
    let scheme = uri.scheme_str()?.to_ascii_lowercase();
    let port = uri.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
    Some((scheme, uri.host()?.to_ascii_lowercase(), port))
}

/// As a part of a URL: all but letters, digits, `-_.~` and what is in `kept` by number.
fn escaped(text: &str, kept: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        byte if kept.as_bytes().contains(&byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_for_one_scheme_host_and_port() {
        let hub = origin("https://huggingface.co");
        assert!(hub.is_some());
        assert_eq!(origin("https://HuggingFace.co:443/api/models"), hub);
        for other in ["http://huggingface.co", "https://huggingface.co:8443", "https://huggingface.co.example.org"] {
            assert_ne!(origin(other), hub, "{other}");
        }
        assert_ne!(origin("https://huggingface.co@example.org/x"), hub, "what is before the @ is a user");
    }

    #[test]
    fn parts_of_urls_are_escaped() {
        assert_eq!(escaped("refs/pr/1", ""), "refs%2Fpr%2F1");
        assert_eq!(escaped("0 Türme/config.json", "/"), "0%20T%C3%BCrme/config.json");
    }

    #[test]
    fn redirects_are_resolved() {
        let answer = |to: &str| {
            Response::builder().status(307).header("location", to).body(ureq::Body::builder().data("")).unwrap()
        };
        let url = "https://h:1/a/b?c";
        for (to, expected) in [
            ("http://cdn/x?y=://", "http://cdn/x?y=://"),
            ("//cdn/x", "https://cdn/x"),
            ("/api/x", "https://h:1/api/x"),
            ("x", "https://h:1/a/x"),
        ] {
            assert_eq!(redirect(&answer(to), url).as_deref(), Some(expected));
        }
    }
}
