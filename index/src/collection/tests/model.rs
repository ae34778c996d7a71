//! Random changes and searches on a collection in a folder, with checkpoints, kills and losses of power between, against a map and
//! brute force.
//!
//! `VICINO_MODEL_OPERATIONS=200000 cargo test --release -p vicino-index long_model -- --nocapture` for more than the default.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::workload::{State, apply, below, change, dir, file_system, id, is_below, named_vectors};
use super::{Random, Search, schema};
use crate::collection::{
    Change, NamedVector, Options, Payload, PointVectors, Schema, SharedCollection, SyncMode, Upkeep,
};
use crate::filter::{Condition, FieldType, Filter, IndexedField, PayloadPath};
use crate::vfs::{Keep, SimFs};
use crate::{Effort, ElementType, LayoutPolicy, Metric, PointId};

/// Ids points have: so few that most upserts replace one.
const IDS: u64 = 1000;

/// Graphs from the first point on.
fn graphs() -> Schema {
    schema(Metric::L2, ElementType::F32, 0)
}

/// Something is sealed or merged after every few changes.
fn run(seed: u64, operations: usize, schema: Schema) {
    let (mut random, named, layout) = (Random(seed), schema.vectors.is_named(), schema.layout);
    let mut state = State::empty(&schema);
    let options = Options {
        upkeep: Upkeep::Along,
        checkpoint_after: 40_000,
        seal_rows: 60,
        reserve_bytes: 700,
        ..Options::default()
    };
    assert_eq!(options.sync, SyncMode::Always);
    let mut fs = file_system();
    let mut collection = SharedCollection::create(Arc::new(fs.clone()), dir(), schema, options).unwrap();
    // What `a`, by which searches are filtered, is indexed as; filters mean the same with an index and without.
    let mut indexed: Option<FieldType> = None;
    let (mut restarts, mut right, mut asked) = (BTreeMap::new(), 0, 0);
    for operation in 0..operations {
        let context = format!("seed {seed}, operation {operation}");
        if random.below(200) == 0 {
            let (how, next): (_, SimFs) = match random.below(3) {
                0 => {
                    collection.checkpoint().unwrap();
                    ("closed", fs.kill())
                }
                1 => ("killed", fs.kill()),
                _ => ("power lost", fs.crash(Keep::Some(random.below(u64::MAX)))),
            };
            *restarts.entry(how).or_insert(0) += 1;
            fs = next;
            collection = SharedCollection::open(Arc::new(fs.clone()), dir(), options)
                .unwrap_or_else(|error| panic!("{context}, {how}: {error}"));
            assert!(how != "closed" || collection.recovery().unwrap().groups == 0, "{context}");
            assert_same(&collection, &state, &context);
            let fields: Vec<FieldType> = collection.read().fields().iter().map(IndexedField::of).collect();
            assert_eq!(fields, Vec::from_iter(indexed), "{context}");
        }
        if operation % 101 == 0 {
            indexed =
                [None, Some(FieldType::Integer), Some(FieldType::Float), Some(FieldType::Keyword)][operation / 101 % 4];
            let change = match indexed {
                Some(of) => Change::AddField(IndexedField::new("a", of).unwrap()),
                None => Change::DropField(PayloadPath::parse("a").unwrap()),
            };
            collection.write(change).unwrap_or_else(|error| panic!("{context}: {error}"));
        }
        match random.below(4) {
            0 => {
                let (query, k) = (random.vector(), 1 + random.below(10) as usize);
                let collection = collection.read();
                let filter = (random.below(2) == 0).then(|| below(random.below(110)));
                let names: Vec<&str> = collection.schema().vectors.iter().map(NamedVector::name).collect();
                let using = names[random.below(names.len() as u64) as usize];
                // And, of those that have one vector, those that have another.
                let having = Some(names[random.below(names.len() as u64) as usize]).filter(|_| random.below(3) == 0);
                let also = |filter: Option<Filter>| {
                    let mut filter = filter.unwrap_or_default();
                    filter.must.extend(having.map(|name| Condition::HasVector(name.into())));
                    filter
                };
                let whole = (filter.is_some() || having.is_some()).then(|| also(filter.clone()));
                let search = Search { effort: Some(Effort::Beam(96)), filter: whole.as_ref(), using, ..Search::new(k) };
                let found = collection.search(&query, search).unwrap();
                let metric = collection.schema().vectors.metric(using).unwrap();
                let distance = |vector: &[f32]| super::score(metric, &query, vector);
                let matches = |vectors: &PointVectors, payload: &Payload| {
                    filter.as_ref().is_none_or(|filter| is_below(filter, payload))
                        && having.is_none_or(|name| vectors.get(name).is_some())
                };
                let candidates = state.values().filter(|(_, vectors, payload)| matches(vectors, payload));
                let counted = whole.as_ref().map_or(collection.len(), |filter| collection.count(filter));
                assert_eq!(counted, candidates.clone().count(), "{context}");
                let candidates = candidates.filter_map(|(_, vectors, _)| vectors.get(using));
                let mut nearest: Vec<f32> = candidates.map(distance).collect();
                assert_eq!(found.len(), k.min(nearest.len()), "{context}");
                nearest.sort_by(f32::total_cmp);
                for (found, best) in found.iter().zip(nearest) {
                    let (_, vectors, payload) = &state[&found.point.id()];
                    assert_eq!(found.score, distance(vectors.get(using).unwrap()), "{context}");
                    assert_eq!(&found.point.payload(), payload, "{context}");
                    assert!(matches(vectors, payload), "{context}");
                    right += usize::from(found.score <= best);
                    asked += 1;
                }
            }
            1 => {
                let id = id(random.below(IDS));
                let collection = collection.read();
                let held = collection.get(id).map(|point| (point.version(), point.vectors(), point.payload()));
                assert_eq!(held.as_ref(), state.get(&id), "{context}");
                assert_eq!(collection.len(), state.len(), "{context}");
            }
            _ => {
                let change = change(&mut random, &state, IDS);
                let number = collection.write(change.clone()).unwrap_or_else(|error| panic!("{context}: {error}"));
                apply(&mut state, &change, number);
            }
        }
    }
    assert_same(&collection, &state, &format!("seed {seed}, at the end"));
    assert_eq!(collection.checkpoint_error(), None);
    let recall = f64::from(right as u32) / f64::from(asked.max(1) as u32);
    println!(
        "seed {seed}, named {named}, {layout:?}: {operations} operations, {} points, restarts {restarts:?}, recall {recall:.4}",
        state.len()
    );
    assert!(recall >= 0.95, "seed {seed}: {recall}");
}

fn assert_same(collection: &SharedCollection, state: &State, context: &str) {
    let collection = collection.read();
    collection.check().unwrap_or_else(|fault| panic!("{context}: {fault}"));
    let held = collection
        .scroll(PointId::FIRST)
        .map(|point| (point.id(), (point.version(), point.vectors(), point.payload())));
    assert!(held.eq(state.iter().map(|(id, held)| (*id, held.clone()))), "{context}");
}

#[test]
fn long_model() {
    let operations = std::env::var("VICINO_MODEL_OPERATIONS").map_or(6_000, |count| count.parse().expect("a number"));
    run(17, operations, graphs());
    run(18, operations, Schema { vectors: named_vectors(), ..graphs() });
    run(19, operations / 4, Schema { layout: LayoutPolicy::Compact, ..graphs() });
}
