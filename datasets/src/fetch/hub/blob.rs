//! Getting the contents of one file: what has come already is kept, and nothing wrong gets a blob's name.

use std::fs;
use std::path::Path;

use super::cache::{Cached, is_hexadecimal, make_parent};
use super::client::Remote;
use crate::fetch::http::{self, HttpError, Rest};
use crate::fetch::{Progress, SourceError, checksum, io_error};

/// Puts what `remote` is among the blobs, unless it is there.
pub(super) fn get(cached: &Cached, remote: &Remote, progress: Progress<'_>) -> Result<(), SourceError> {
    let blob = cached.blob(&remote.etag);
    make_parent(&blob)?;
    let _lock = cached.lock(&remote.etag)?;
    let length = |path: &Path| fs::metadata(path).map(|metadata| metadata.len()).ok();
    if length(&blob).is_some_and(|found| remote.size.is_none_or(|size| size == found)) {
        return Ok(());
    }
    let part = blob.with_file_name(format!("{}.incomplete", remote.etag));
    let remove = || fs::remove_file(&part).map_err(io_error(&part, "remove"));
    if length(&part).is_some_and(|found| remote.size.is_some_and(|size| found > size)) {
        remove()?;
    }
    // All of it may have come, and not been renamed: there is no rest to ask for.
    if remote.size.is_none() || length(&part) != remote.size {
        http::get(&remote.url, remote.token.as_deref(), &part, Rest::Same, progress)?;
    }
    if let Err(wrong) = verify(&part, remote) {
        remove()?;
        return Err(wrong);
    }
    fs::rename(&part, &blob).map_err(io_error(&blob, "rename the download to it"))
}

/// Holds a download to its size and its name. A name of another length is no checksum that the hub is known to give (some mirrors have
/// their own tags): there, the size must do.
fn verify(part: &Path, remote: &Remote) -> Result<(), SourceError> {
    let found = fs::metadata(part).map_err(io_error(part, "read"))?.len();
    if let Some(expected) = remote.size.filter(|&size| size != found) {
        return Err(HttpError::Length { expected, found }.into());
    }
    let (sum, found) = match &remote.etag {
        etag if is_hexadecimal(etag, 64) => ("SHA-256", checksum::sha256(part)),
        etag if is_hexadecimal(etag, 40) => ("git's SHA-1", checksum::git_blob(part)),
        _ => return Ok(()),
    };
    let (found, expected) = (found.map_err(io_error(part, "read"))?, remote.etag.clone());
    if found == expected {
        return Ok(());
    }
    Err(SourceError::Checksum { file: "what came".into(), sum, expected, found })
}
