//! The data folder under losses of power: a collection that was made is there, one that was removed is not, and one under way is whole or
//! absent.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use vicino_index::collection::{Change, Options, Payload, Point, Schema, Upkeep};
use vicino_index::vfs::{Keep, SimFs, Vfs};
use vicino_index::{ElementType, Metric, PointId, VectorSpec};
use vicino_server::store::{CollectionName, Store};

fn schema() -> Schema {
    let vectors = VectorSpec::new(2, Metric::L2, ElementType::F32).unwrap();
    Schema { full_scan_bytes: 1 << 20, ..Schema::new(vectors) }
}

fn open(fs: &SimFs) -> Store {
    Store::open_in(
        Arc::new(fs.clone()),
        Path::new("data"),
        Options { reserve_bytes: 100, upkeep: Upkeep::Tended, ..Options::default() },
    )
    .unwrap_or_else(|error| panic!("{error}"))
}

fn names(store: &Store) -> BTreeSet<String> {
    assert_eq!(store.damaged(), []);
    store.names().iter().map(ToString::to_string).collect()
}

/// What must be there, and what may.
#[derive(Default)]
struct Ledger {
    must: BTreeSet<String>,
    may: BTreeSet<String>,
}

#[test]
fn collections_are_made_and_removed_whole() {
    let fs = SimFs::new();
    fs.create_dir(Path::new("data")).unwrap();
    fs.sync_dir(Path::new("")).unwrap();
    let (ledger, images) = (Arc::new(Mutex::new(Ledger::default())), Arc::new(Mutex::new(0)));
    let (seen, counted) = (Arc::clone(&ledger), Arc::clone(&images));
    let store = open(&fs);
    fs.on_call(move |fs| {
        let ledger = seen.lock().unwrap();
        for keep in
            [Keep::Nothing, Keep::Everything].into_iter().chain((0..6).map(|seed| Keep::Some(seed ^ fs.calls() << 8)))
        {
            let found = names(&open(&fs.crash(keep)));
            let context = format!("before call {}, {keep:?}: {found:?}", fs.calls());
            assert!(ledger.must.is_subset(&found), "{context}: expected {:?}", ledger.must);
            assert!(found.iter().all(|name| ledger.must.contains(name) || ledger.may.contains(name)), "{context}");
            *counted.lock().unwrap() += 1;
        }
    });
    for name in ["one", "two", "ünö"] {
        ledger.lock().unwrap().may.insert(name.into());
        assert!(store.create(CollectionName::new(name).unwrap(), schema()).unwrap());
        *ledger.lock().unwrap() = Ledger { must: names(&store), may: BTreeSet::new() };
        let point = Point { id: PointId::Integer(1), vectors: vec![1.0, 2.0].into(), payload: Payload::new() };
        store.get(name).unwrap().write(Change::Upsert(vec![point])).unwrap();
    }
    {
        let mut ledger = ledger.lock().unwrap();
        ledger.must.remove("two");
        ledger.may.insert("two".into());
    }
    assert!(store.remove("two").unwrap());
    ledger.lock().unwrap().may.clear();
    assert!(!store.remove("two").unwrap());
    assert!(store.checkpoint().is_empty());
    drop(store);
    let again = open(&fs.crash(Keep::Nothing));
    assert_eq!(again.get("ünö").unwrap().read().len(), 1);
    assert!(*images.lock().unwrap() > 300);
}
