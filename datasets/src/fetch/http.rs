//! Downloading one file: over HTTP, going on where an interrupted download stopped; over FTP by `curl`, which does the same.
//!
//! A file beside the one wanted holds what has come; [`Rest`] says how the rest of another version is kept from being added to it.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ureq::config::RedirectAuthHeaders;

use super::{Event, Progress, SourceError, io_error, package};

/// A server that says nothing for so long is given up; what has come is kept.
const SILENCE: Duration = Duration::from_secs(60);

/// Bytes between two reports.
const CHUNK: usize = 1 << 18;

/// A download that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The request failed.
    #[error("request")]
    Request(#[source] Box<ureq::Error>),
    /// The connection broke.
    #[error("connection lost after {done} bytes, which are kept")]
    Lost {
        /// Bytes that have come.
        done: u64,
        /// Why it broke.
        source: io::Error,
    },
    /// The server closed too early, or too late.
    #[error("{found} bytes came: expected {expected}")]
    Length {
        /// Bytes announced.
        expected: u64,
        /// Bytes that have come.
        found: u64,
    },
    /// The disk is full.
    #[error("the disk is full: expected room for {} bytes, found it for {done}, which are kept", total.map_or("more".into(), |total| total.to_string()))]
    Full {
        /// Bytes that have come.
        done: u64,
        /// Bytes announced.
        total: Option<u64>,
        /// What the system says.
        source: io::Error,
    },
}

/// How it is known that what a server still has is the rest of what has come.
#[derive(Clone, Copy)]
pub(super) enum Rest<'a> {
    /// By the server's tag, kept in this file: the URL's contents may change.
    Tagged(&'a Path),
    /// By the URL, which names its contents.
    Same,
}

/// Downloads `url` to `to`, by way of `TO.part`, with the server's tag of it in `TO.version`.
pub(super) fn download(url: &str, to: &Path, progress: Progress<'_>) -> Result<(), SourceError> {
    let part = beside(to, "part");
    if url.starts_with("ftp://") {
        let mut curl = Command::new("curl");
        curl.args(["--fail", "--silent", "--show-error", "--connect-timeout", "30", "--continue-at", "-", "--output"]);
        package::run(curl.arg(&part).arg(url))?;
    } else {
        get(url, None, &part, Rest::Tagged(&beside(to, "version")), progress)?;
    }
    fs::rename(&part, to).map_err(io_error(to, "rename the download to it"))
}

fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.file_name().map(OsStr::to_owned).unwrap_or_default();
    name.push(".");
    name.push(extension);
    path.with_file_name(name)
}

/// A client that gives up on a silent server. It takes the authorization of a request no further than that request's host.
pub(super) fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .timeout_connect(Some(SILENCE))
        .timeout_recv_response(Some(SILENCE))
        .timeout_per_read(Some(SILENCE))
        // Compressed on the way, a file would have neither the length announced nor the ranges asked for.
        .accept_encoding("identity");
    config.redirect_auth_headers(RedirectAuthHeaders::Never).build().into()
}

/// Gets what `part` lacks of `url`, whose server is shown `token`.
pub(super) fn get(
    url: &str,
    token: Option<&str>,
    part: &Path,
    rest: Rest<'_>,
    progress: Progress<'_>,
) -> Result<(), SourceError> {
    let mut request = agent().get(url);
    if let Some(token) = token {
        request = request.header("Authorization", format!("Bearer {token}"));
    }
    let have = fs::metadata(part).map_or(0, |metadata| metadata.len());
    let range = format!("bytes={have}-");
    match rest {
        _ if have == 0 => {}
        Rest::Same => request = request.header("Range", range),
        // Without a tag there is no telling whether the rest belongs to what has come.
        Rest::Tagged(version) => {
            if let Ok(tag) = fs::read_to_string(version) {
                request = request.header("Range", range).header("If-Range", tag);
            }
        }
    }
    let response = request.call().map_err(|error| HttpError::Request(Box::new(error)))?;
    let goes_on = response.status() == ureq::http::StatusCode::PARTIAL_CONTENT;
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let mut done = if goes_on { have } else { 0 };
    let total = header("content-length").and_then(|length| length.parse().ok()).map(|rest: u64| done + rest);
    let mut file = open_part(part, goes_on).map_err(io_error(part, "open"))?;
    if let Rest::Tagged(version) = rest {
        match header("etag").filter(|tag| !tag.starts_with("W/")).or(header("last-modified")) {
            Some(tag) => fs::write(version, tag).map_err(io_error(version, "write"))?,
            None if version.exists() => fs::remove_file(version).map_err(io_error(version, "remove"))?,
            None => {}
        }
    }

    let mut body = response.into_body().into_reader();
    let mut buffer = vec![0; CHUNK];
    loop {
        progress(Event::Bytes { done, total });
        let count = body.read(&mut buffer).map_err(|source| HttpError::Lost { done, source })?;
        if count == 0 {
            break;
        }
        file.write_all(&buffer[..count]).map_err(|error| match error.kind() {
            ErrorKind::StorageFull => HttpError::Full { done, total, source: error }.into(),
            _ => io_error(part, "write")(error),
        })?;
        done += count as u64;
    }
    file.sync_all().map_err(io_error(part, "write to disk"))?;
    match total {
        Some(expected) if expected != done => Err(HttpError::Length { expected, found: done }.into()),
        _ => Ok(()),
    }
}

fn open_part(part: &Path, goes_on: bool) -> io::Result<File> {
    OpenOptions::new().create(true).write(true).append(goes_on).truncate(!goes_on).open(part)
}
