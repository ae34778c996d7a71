//! Snapshots: what is restored is what was, whatever happens meanwhile; what is no snapshot changes nothing; and the calls, in Qdrant's form.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use vicino_index::collection::{Change, Options, Point, Schema, Upkeep};
use vicino_index::vfs::{SimFs, Vfs};
use vicino_index::{BuildOptions, ElementType, HnswParams, Metric, PointId, VectorSpec};
use vicino_server::store::{CollectionName, MAX_SNAPSHOT_BYTES, Restore, Store};

mod archive;
mod calls;
mod restore;

const REPLACE: Restore<'static> = Restore { limit: MAX_SNAPSHOT_BYTES, sha256: None, replace: true };

fn store(vfs: Arc<dyn Vfs>, dir: &Path) -> Store {
    let options = Options { reserve_bytes: 100, upkeep: Upkeep::Tended, seal_rows: 20, ..Options::default() };
    Store::open_in(vfs, dir, options).unwrap_or_else(|error| panic!("{error}"))
}

fn simulated(fs: &SimFs) -> Store {
    store(Arc::new(fs.clone()), Path::new("data"))
}

fn file_system() -> SimFs {
    let fs = SimFs::new();
    fs.create_dir(Path::new("data")).unwrap();
    fs.sync_dir(Path::new("")).unwrap();
    fs
}

fn name(text: &str) -> CollectionName {
    CollectionName::new(text).unwrap()
}

/// Graphs from the third row on.
fn schema() -> Schema {
    let vectors = VectorSpec::new(3, Metric::L2, ElementType::F32).unwrap();
    Schema { hnsw: HnswParams::new(4, 16), full_scan_bytes: 24, ..Schema::new(vectors) }
}

fn point(id: u64, of: u64) -> Point {
    let payload = json!({"of": of, "text": "ü".repeat((id % 5) as usize)}).as_object().unwrap().clone();
    Point { id: PointId::Integer(id), vectors: vec![id as f32, of as f32, 0.5].into(), payload }
}

type State = BTreeMap<String, (u64, Vec<u32>, Value)>;

/// All points of collection `c`, bit by bit.
fn state(store: &Store, collection: &str) -> State {
    assert_eq!(store.damaged(), []);
    let view = store.get(collection).unwrap_or_else(|| panic!("no collection {collection}")).read();
    let held = view.scroll(PointId::FIRST).map(|point| {
        let bits = point.vector("").unwrap().iter().map(|x| x.to_bits()).collect();
        (point.id().to_string(), (point.version(), bits, Value::Object(point.payload())))
    });
    held.collect()
}

fn write(store: &Store, change: Change) {
    store.get("c").unwrap().write(change).unwrap();
}

/// Collection `c` with a merged segment with a graph, a sealed one, dead rows in both, and some rows that grow.
fn fill(store: &Store, of: u64) {
    assert!(store.create(name("c"), schema()).unwrap());
    write(store, Change::Upsert((0..30).map(|id| point(id, of)).collect()));
    store.get("c").unwrap().compact(&BuildOptions::default()).unwrap();
    write(store, Change::Upsert((20..40).map(|id| point(id, of + 1)).collect()));
    write(store, Change::Delete((3..6).map(PointId::Integer).collect()));
    store.get("c").unwrap().checkpoint().unwrap();
    write(store, Change::Upsert((38..45).map(|id| point(id, of + 2)).collect()));
}

/// An archive of collection `c` as it is, and what it holds.
fn archive_of(store: &Store) -> (Vec<u8>, State) {
    let expected = state(store, "c");
    let archived = store.snapshot("c", &|_, _| ()).unwrap();
    let (found, file) = store.open_snapshot("c", &archived.name).unwrap();
    assert_eq!(found, archived);
    assert_eq!(file.bytes().len() as u64, archived.bytes);
    (file.bytes().to_vec(), expected)
}
