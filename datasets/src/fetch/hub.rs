//! Fetching a model from the Hugging Face hub into the cache that Python's tools and `vicino-embed` read.
//!
//! The cache comes first: a revision of which it has all is not asked for again, whether that is a commit, which never changes, or
//! a branch, which stays where it was until [`Hub::update`]. Only the files that encoders read are fetched, and of those only what is
//! not there; each is held to the size and the checksum that the hub gives.

mod blob;
mod cache;
mod client;
mod error;
mod files;
mod spec;

use std::env;
use std::path::PathBuf;

use super::{Event, Progress};
use cache::Cached;
use client::Client;

pub use error::{HubError, Refusal};
pub use spec::{Model, NameError, PREFIX};

/// The hub meant where the environment names none.
const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

/// A hub, and the cache beside it.
#[derive(Clone)]
pub struct Hub {
    /// Its URL, without a slash at the end.
    pub endpoint: String,
    /// The cache's folder.
    pub cache: PathBuf,
    /// What the endpoint is shown, and no other host.
    pub token: Option<String>,
    /// Whether no connection may be opened.
    pub offline: bool,
}

impl Hub {
    /// As Python's tools have it from the environment: `HF_ENDPOINT`; `HF_HUB_CACHE`, else `HF_HOME`, else the user's cache;
    /// `HF_TOKEN`; `HF_HUB_OFFLINE`. Errors if there is no place for the cache.
    pub fn from_environment() -> Result<Self, HubError> {
        let variable =
            |name| env::var(name).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let endpoint = variable("HF_ENDPOINT").unwrap_or_else(|| DEFAULT_ENDPOINT.into());
        let offline = variable("HF_HUB_OFFLINE")
            .is_some_and(|value| ["1", "true", "yes", "on"].contains(&value.to_ascii_lowercase().as_str()));
        Ok(Hub {
            endpoint: endpoint.trim_end_matches('/').into(),
            cache: cache::from_environment().ok_or(HubError::NoCache)?,
            token: variable("HF_TOKEN"),
            offline,
        })
    }

    /// Gets what the cache lacks of a model, and gives the snapshot's folder. Opens no connection if nothing is lacking, or if the hub
    /// is [`offline`](Hub::offline) and what is there suffices for an encoder.
    pub fn fetch(&self, model: &Model, progress: Progress<'_>) -> Result<PathBuf, HubError> {
        let cached = Cached::new(&self.cache, model);
        let Some(commit) = cached.commit(model.revision()) else {
            return self.update(model, progress);
        };
        let suffices = if self.offline { cached.missing(&commit).is_none() } else { cached.is_whole(&commit) };
        if suffices { Ok(cached.snapshot(&commit)) } else { self.update(model, progress) }
    }

    /// Asks the hub where the revision is now, then does as [`Hub::fetch`]. Errors if the hub is [`offline`](Hub::offline).
    pub fn update(&self, model: &Model, progress: Progress<'_>) -> Result<PathBuf, HubError> {
        let cached = Cached::new(&self.cache, model);
        if self.offline {
            let found = match cached.commit(model.revision()) {
                None => "no such revision".into(),
                Some(commit) => match cached.missing(&commit) {
                    Some(file) => format!("no `{file}` at commit {commit}"),
                    None => format!("commit {commit}, and no way to see a newer one"),
                },
            };
            return Err(HubError::Offline { model: model.clone(), cache: self.cache.clone(), found });
        }
        progress(Event::Source(&self.endpoint));
        let client = Client::new(self, model);
        let listing = client.listing()?;
        let get = |path: &str| -> Result<(), HubError> {
            if cached.has(&listing.commit, path) {
                return Ok(());
            }
            if !listing.has(path) {
                return Ok(cached.mark_absent(&listing.commit, path)?);
            }
            progress(Event::Source(path));
            let remote = client.describe(&listing.commit, path)?;
            blob::get(&cached, &remote, progress).map_err(|source| HubError::Download {
                model: model.clone(),
                path: path.into(),
                source: Box::new(source),
            })?;
            cached.link(&listing.commit, path, &remote.etag)
        };
        get(files::MODULES)?;
        let folders = cached.folders(&listing.commit)?;
        if let Some(file) = files::missing(&folders, |path| listing.has(path)) {
            return Err(HubError::Missing { model: model.clone(), file, weights: files::weights(&listing.files) });
        }
        files::wanted(&folders).iter().try_for_each(|path| get(path))?;
        cached.refer(model.revision(), &listing.commit)?;
        Ok(cached.snapshot(&listing.commit))
    }
}
