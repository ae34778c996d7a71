//! [`Place`]: a collection that commands read or fill, of a running server or in a data folder that none uses.

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vicino_index::PointId;
use vicino_index::collection::{Change, Options, Payload, Point, PointVectors, PointView};

use super::remote::{DEFAULT_URL, Remote};
use crate::api;
use crate::dto::{Distance, VectorsOut};
use crate::store::{CollectionName, Shared, Store};

/// Which collection, on the command line.
#[derive(Debug, Args)]
pub(super) struct PlaceArgs {
    /// The collection
    #[arg(long, short, value_name = "NAME")]
    collection: String,
    /// A running server
    #[arg(long, default_value = DEFAULT_URL, conflicts_with = "data")]
    url: String,
    /// A data folder that no server uses, instead of a server
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// A point as files and requests have it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct PointRow {
    pub(super) id: PointId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) vector: Option<VectorsOut>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) payload: Payload,
}

fn null_is_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Payload, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl PointRow {
    fn of(point: PointView<'_>) -> Self {
        PointRow { id: point.id(), vector: VectorsOut::of(point, |_| true), payload: point.payload() }
    }
}

/// Some points in the order of ids, and where the next ones begin.
#[derive(Deserialize)]
pub(super) struct Page {
    pub(super) points: Vec<PointRow>,
    pub(super) next_page_offset: Option<PointId>,
}

/// A collection that may not exist yet.
pub(super) enum Place {
    Server(Remote),
    Folder { store: Box<Store>, folder: PathBuf, name: CollectionName },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Server(server) => f.write_str(server.address()),
            Place::Folder { folder, name, .. } => write!(f, "collection `{name}` in {}", folder.display()),
        }
    }
}

impl Place {
    /// Opens what `args` name; a data folder is made if it is missing and `make` is true.
    pub(super) fn open(args: &PlaceArgs, make: bool) -> anyhow::Result<Self> {
        let Some(data) = &args.data else { return Ok(Place::Server(Remote::new(&args.url, &args.collection))) };
        if !make && !data.join("collections").is_dir() {
            bail!("{}: expected a data folder", data.display());
        }
        let store = Store::open(data, Options::default())?;
        let folder = data.canonicalize().with_context(|| data.display().to_string())?;
        Ok(Place::Folder { store: Box::new(store), folder, name: CollectionName::new(&args.collection)? })
    }

    fn folder_collection(store: &Store, name: &CollectionName) -> anyhow::Result<Shared> {
        if let Some(why) = store.damage(name.as_str()) {
            bail!("{why}");
        }
        store.get(name.as_str()).with_context(|| {
            let names: Vec<String> = store.names().iter().map(|name| format!("`{name}`")).collect();
            let there = if names.is_empty() { "none".into() } else { names.join(", ") };
            format!("there is no collection `{name}`; there are: {there}")
        })
    }

    pub(super) fn exists(&self) -> anyhow::Result<bool> {
        match self {
            Place::Server(server) => server.exists(),
            Place::Folder { store, name, .. } => {
                Ok(store.get(name.as_str()).is_some() || store.damage(name.as_str()).is_some())
            }
        }
    }

    pub(super) fn create(&self, dim: usize, distance: Distance) -> anyhow::Result<()> {
        let vectors = json!({"size": dim, "distance": distance});
        match self {
            Place::Server(server) => server.create(&vectors),
            Place::Folder { store, name, .. } => {
                let request = serde_json::from_value(json!({ "vectors": vectors }))?;
                store.create(name.clone(), api::schema(request)?)?;
                Ok(())
            }
        }
    }

    /// Stores `points`; they are durable when this returns, as far as the server's `--sync` has it.
    pub(super) fn upsert(&self, points: Vec<PointRow>) -> anyhow::Result<()> {
        match self {
            Place::Server(server) => {
                let _: Value = server.send("PUT", "/points?wait=true", &json!({ "points": points }))?;
            }
            Place::Folder { store, name, .. } => {
                let points = points.into_iter().map(|PointRow { id, vector, payload }| {
                    let vectors = vector.map_or_else(PointVectors::default, PointVectors::from);
                    Point { id, vectors, payload }
                });
                Self::folder_collection(store, name)?.write(Change::Upsert(points.collect()))?;
            }
        }
        Ok(())
    }

    /// Those of `ids` that exist, without vectors.
    pub(super) fn payloads(&self, ids: &[PointId]) -> anyhow::Result<Vec<PointRow>> {
        match self {
            Place::Server(server) => {
                server.send("POST", "/points", &json!({"ids": ids, "with_payload": true, "with_vector": false}))
            }
            Place::Folder { store, name, .. } => {
                let collection = Self::folder_collection(store, name)?;
                let collection = collection.read();
                let found = ids.iter().filter_map(|&id| collection.get(id));
                Ok(found.map(|point| PointRow { vector: None, ..PointRow::of(point) }).collect())
            }
        }
    }

    /// At most `limit` points from id `from` on.
    pub(super) fn page(&self, from: PointId, limit: usize) -> anyhow::Result<Page> {
        match self {
            Place::Server(server) => {
                let wanted = json!({"offset": from, "limit": limit, "with_payload": true, "with_vector": true});
                server.send("POST", "/points/scroll", &wanted)
            }
            Place::Folder { store, name, .. } => {
                let collection = Self::folder_collection(store, name)?;
                let collection = collection.read();
                let mut points = collection.scroll(from);
                let page = points.by_ref().take(limit).map(PointRow::of).collect();
                Ok(Page { points: page, next_page_offset: points.next().map(|point| point.id()) })
            }
        }
    }

    /// How many points there are.
    pub(super) fn count(&self) -> anyhow::Result<usize> {
        match self {
            Place::Server(server) => {
                let answer: Value = server.send("POST", "/points/count", &json!({"exact": true}))?;
                Ok(answer["count"].as_u64().context("expected a count")? as usize)
            }
            Place::Folder { store, name, .. } => Ok(Self::folder_collection(store, name)?.read().len()),
        }
    }

    /// Leaves a data folder so that opening it is quick.
    pub(super) fn finish(&self) -> anyhow::Result<()> {
        match self {
            Place::Server(_) => Ok(()),
            Place::Folder { store, name, .. } => Ok(Self::folder_collection(store, name)?.checkpoint()?),
        }
    }
}
