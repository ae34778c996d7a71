//! [`Place`]: a collection that commands read or fill, of a running server or in a data folder that none uses.

use std::fmt;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vicino_index::collection::{Change, Options, Payload, Point, PointVectors, PointView};
use vicino_index::{BuildOptions, PointId};

use super::remote::{DEFAULT_URL, Remote, encoded};
use crate::api;
use crate::dto::{Compacted, SnapshotDescription, VectorsOut};
use crate::store::{CollectionName, Restore, Shared, Store};

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

impl PlaceArgs {
    /// Collection `collection`, in folder `data` if that is given.
    pub(super) fn new(collection: &str, url: &str, data: Option<&Path>) -> Self {
        PlaceArgs { collection: collection.into(), url: url.into(), data: data.map(Path::to_owned) }
    }
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

    /// Makes the collection for vectors as `vectors` says.
    pub(super) fn create(&self, vectors: &Value) -> anyhow::Result<()> {
        match self {
            Place::Server(server) => server.create(vectors),
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

    /// Makes a snapshot; `progress` is told the bytes written and the bytes in all, as far as they are known.
    pub(super) fn snapshot(&self, progress: &dyn Fn(u64, u64)) -> anyhow::Result<SnapshotDescription> {
        match self {
            Place::Server(server) => server.send("POST", "/snapshots?wait=true", &json!({})),
            Place::Folder { store, name, .. } => Ok(store.snapshot(name.as_str(), progress)?.into()),
        }
    }

    /// The snapshots there are.
    pub(super) fn snapshots(&self) -> anyhow::Result<Vec<SnapshotDescription>> {
        match self {
            Place::Server(server) => server.get("/snapshots"),
            Place::Folder { store, name, .. } => {
                Ok(store.snapshots(name.as_str())?.into_iter().map(SnapshotDescription::from).collect())
            }
        }
    }

    /// Copies a snapshot to `out`.
    pub(super) fn read_snapshot(&self, archive: &str, out: &mut dyn Write) -> anyhow::Result<()> {
        match self {
            Place::Server(server) => server.download(&format!("/snapshots/{}", encoded(archive)), out),
            Place::Folder { store, name, .. } => {
                let (_, file) = store.open_snapshot(name.as_str(), archive)?;
                Ok(file.bytes().chunks(1 << 20).try_for_each(|chunk| out.write_all(chunk))?)
            }
        }
    }

    pub(super) fn remove_snapshot(&self, archive: &str) -> anyhow::Result<()> {
        match self {
            Place::Server(server) => server.delete(&format!("/snapshots/{}", encoded(archive))).map(|_: bool| ()),
            Place::Folder { store, name, .. } => Ok(store.remove_snapshot(name.as_str(), archive)?),
        }
    }

    /// Makes the collection from `archive`. A server replaces one that there is in any case.
    pub(super) fn restore(&self, archive: &mut dyn Read, how: Restore<'_>) -> anyhow::Result<()> {
        match self {
            Place::Server(server) => {
                let checksum = how.sha256.map(|digits| format!("&checksum={digits}")).unwrap_or_default();
                let path = format!("/snapshots/upload?wait=true&priority=snapshot{checksum}");
                server.upload(&path, "snapshot", archive).map(|_: bool| ())
            }
            Place::Folder { store, name, .. } => Ok(store.restore(name, archive, how).map(drop)?),
        }
    }

    /// Makes the collection from one of its snapshots. A server replaces one that there is in any case.
    pub(super) fn recover(&self, archive: &str, how: Restore<'_>) -> anyhow::Result<()> {
        match self {
            Place::Server(server) => {
                let location = format!("{}/{archive}", server.name());
                let body = json!({"location": location, "priority": "snapshot", "checksum": how.sha256});
                server.send("PUT", "/snapshots/recover?wait=true", &body).map(|_: bool| ())
            }
            Place::Folder { store, name, .. } => {
                Ok(store.recover(name, &format!("{}/{archive}", name.folder()), how).map(drop)?)
            }
        }
    }

    /// Gives back what room it can. `progress` is told the rows done and the rows in all of each graph, as far as they are known.
    pub(super) fn compact(&self, progress: &(dyn Fn(usize, usize) + Sync)) -> anyhow::Result<Compacted> {
        match self {
            Place::Server(server) => server.compact(),
            Place::Folder { store, name, .. } => {
                let options = BuildOptions { threads: 0, progress: Some(progress) };
                Ok(api::compacted(&*Self::folder_collection(store, name)?, &options)?)
            }
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
