//! Named vectors: what was stored under a name that is gone is gone, with its files, and does not come back with the name.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::workload::{Kind, create_as, dir, file_system, held, open};
use super::{DIM, Random};
use crate::BuildOptions;
use crate::collection::*;
use crate::filter::{Condition, Filter};
use crate::planner::Plan;
use crate::vfs::{Keep, SimFs, Vfs};
use crate::{Effort, ElementType, Metric, PointId, SearchError, VectorSpec};

fn point(id: u64, vectors: &[(&str, f32)]) -> Point {
    let vectors = vectors.iter().map(|&(name, x)| (name, vec![x; DIM])).collect();
    Point { id: PointId::Integer(id), vectors, payload: Payload::new() }
}

fn spec() -> VectorSpec {
    VectorSpec::new(DIM, Metric::L2, ElementType::F32).unwrap()
}

fn files_of(fs: &SimFs, number: u32) -> usize {
    let end = format!(".vectors-{number}");
    fs.list(dir()).unwrap().iter().filter(|name| name.ends_with(&end)).count()
}

fn found(collection: &Collection, using: &str) -> Vec<u64> {
    let found = collection.search(&[0.0; DIM], Search { using, ..Search::new(100) }).unwrap();
    found.iter().map(|found| found.point.id()).map(|id| if let PointId::Integer(id) = id { id } else { 0 }).collect()
}

#[test]
fn what_was_stored_under_a_name_does_not_come_back_with_it() {
    let fs = file_system();
    let collection = create_as(&fs, SyncMode::Always, Kind::Named).unwrap();
    let points = |ids: std::ops::Range<u64>| ids.map(|id| point(id, &[("a", id as f32), ("b", 1.0)])).collect();
    collection.write(Change::Upsert(points(0..20))).unwrap();
    collection.checkpoint().unwrap();
    collection.write(Change::Upsert(points(20..24))).unwrap();
    assert_eq!((files_of(&fs, 0), found(&collection.read(), "a").len()), (1, 24));
    let before = collection.read();
    let sum = before.sum();
    collection.write(Change::DropVector("a".into())).unwrap();
    let error = collection.read().search(&[0.0; DIM], Search { using: "a", ..Search::new(1) }).unwrap_err();
    assert_eq!(error, SearchError::UnknownVector { name: "a".into() });
    assert_eq!(error.to_string(), "the collection has no vector `a`");
    // Whoever looked before sees it still.
    assert_eq!((found(&before, "a").len(), before.sum(), before.sum_of_stored()), (24, sum, sum));
    collection.write(Change::AddVector("a".into(), spec(), Payload::new())).unwrap();
    let check = |collection: &SharedCollection, expected: &[u64]| {
        let view = collection.read();
        assert_eq!(found(&view, "a"), expected);
        assert_eq!((found(&view, "b").len(), view.len(), view.sum()), (24, 24, view.sum_of_stored()));
        let having = Filter { must: vec![Condition::HasVector("a".into())], ..Filter::default() };
        assert_eq!(view.count(&having), expected.len());
    };
    check(&collection, &[]);
    check(&open(&fs.crash(Keep::Nothing), SyncMode::Always).unwrap(), &[]);
    collection
        .write(Change::UpdateVectors(vec![(PointId::Integer(3), [("a", vec![2.0; DIM])].into_iter().collect())], None))
        .unwrap();
    check(&collection, &[3]);
    // Its files go with the next manifest, without anything being written anew but what is new.
    assert_eq!(files_of(&fs, 0), 1);
    collection.tend().unwrap();
    assert_eq!((files_of(&fs, 0), files_of(&fs, 2)), (0, 1), "{:?}", fs.list(dir()));
    check(&collection, &[3]);
    let image = fs.crash(Keep::Nothing);
    check(&open(&image, SyncMode::Always).unwrap(), &[3]);
    verify(&image, dir()).unwrap();
    collection.compact(&BuildOptions::default()).unwrap();
    check(&collection, &[3]);
    drop(collection);
    check(&open(&fs.crash(Keep::Nothing), SyncMode::Always).unwrap(), &[3]);
}

#[test]
fn some_of_many_points_have_a_vector_and_a_graph_finds_them() {
    let mut schema = Kind::Named.schema();
    schema.full_scan_bytes = 1000;
    let mut collection = Collection::new(schema).unwrap();
    let mut random = Random(3);
    let vectors: Vec<(u64, Vec<f32>)> =
        (0..900).map(|id| (id, (0..DIM).map(|_| random.below(1000) as f32).collect())).collect();
    let of = |id: u64, vector: &Vec<f32>| -> PointVectors {
        ["a", "b"]
            .into_iter()
            .filter(|&name| (name == "b") == id.is_multiple_of(3) || id.is_multiple_of(10))
            .map(|name| (name, vector.clone()))
            .collect()
    };
    let points = vectors.iter().map(|(id, vector)| Point {
        id: PointId::Integer(*id),
        vectors: of(*id, vector),
        payload: Payload::new(),
    });
    collection.upsert(points.collect()).unwrap();
    collection.compact(&BuildOptions::default());
    collection.delete(&(0..900).step_by(7).map(PointId::Integer).collect::<Vec<_>>());
    let reports = collection.check().unwrap();
    assert_eq!(reports.len(), 2, "a graph for each");
    let (mut right, mut asked) = (0, 0);
    for (query, _) in (0..60).map(|_| ((0..DIM).map(|_| random.below(1000) as f32).collect::<Vec<f32>>(), ())) {
        for using in ["a", "b"] {
            let other = if using == "a" { "b" } else { "a" };
            let both = Filter { must: vec![Condition::HasVector(other.into())], ..Filter::default() };
            let except = Some(PointId::Integer(10));
            for filter in [None, Some(&both)] {
                let search = Search { effort: Some(Effort::Beam(80)), filter, using, except, ..Search::new(10) };
                let (found, explained) = collection.search_explained(&query, search).unwrap();
                assert!(filter.is_some() || explained[0].search.plan == Plan::Walk, "{explained:?}");
                let metric = collection.schema().vectors.metric(using).unwrap();
                let is_wanted = |id: u64, of: &PointVectors| {
                    !id.is_multiple_of(7)
                        && id != 10
                        && of.get(using).is_some()
                        && (filter.is_none() || of.get(other).is_some())
                };
                let wanted = vectors.iter().filter(|(id, vector)| is_wanted(*id, &of(*id, vector)));
                let mut scores: Vec<f32> = wanted.map(|(_, vector)| super::score(metric, &query, vector)).collect();
                scores.sort_by(f32::total_cmp);
                assert_eq!(found.len(), 10.min(scores.len()));
                right += found.iter().zip(&scores).filter(|(found, best)| found.score <= **best).count();
                asked += found.len();
                assert!(found.iter().all(|found| found.point.has_vector(using)));
            }
        }
    }
    let recall = right as f64 / asked as f64;
    assert!(recall > 0.97, "seed 3: {recall}");
}

#[test]
fn bad_changes_of_vectors_change_nothing_and_say_why() {
    let fs = file_system();
    let collection = create_as(&fs, SyncMode::Always, Kind::Named).unwrap();
    collection.write(Change::Upsert(vec![point(1, &[("a", 1.0)]), point(2, &[])])).unwrap();
    let before = held(&collection);
    let one = PointId::Integer(1);
    let vectors = |name: &str, dim: usize| -> PointVectors { [(name, vec![0.0; dim])].into_iter().collect() };
    let bad = [
        (Change::Upsert(vec![point(3, &[("x", 1.0)])]), "point 3: the collection has no vector `x`"),
        (
            Change::Upsert(vec![Point { vectors: vec![1.0; DIM].into(), ..point(3, &[]) }]),
            "point 3: the collection has no vector without a name",
        ),
        (
            Change::UpdateVectors(vec![(one, vectors("a", 3))], None),
            "point 1: vector `a`: vector dimension: expected 4, found 3",
        ),
        (Change::UpdateVectors(vec![(PointId::Integer(9), vectors("a", DIM))], None), "point 9 does not exist"),
        (Change::DeleteVectors(vec![one], vec!["x".into()]), "vector `x` does not exist"),
        (Change::DeleteVectors(vec![one, PointId::Integer(9)], vec!["a".into()]), "point 9 does not exist"),
        (Change::AddVector("b".into(), spec(), Payload::new()), "vector `b` exists already, and is another"),
        (Change::AddVector(String::new(), spec(), Payload::new()), "a vector's name of 0 bytes: expected 1..=255"),
    ];
    for (change, why) in bad {
        assert_eq!(collection.write(change).unwrap_err().to_string(), why);
        assert_eq!(held(&collection), before);
    }
    for nothing in [Change::AddVector("a".into(), spec(), Payload::new()), Change::DropVector("x".into())] {
        collection.write(nothing).unwrap();
        assert_eq!(held(&collection), before);
    }
    let unnamed = create_as(&file_system(), SyncMode::Always, Kind::Whole).unwrap();
    unnamed.write(Change::Upsert(vec![Point { vectors: vec![1.0; DIM].into(), ..point(1, &[]) }])).unwrap();
    for (change, why) in [
        (Change::Upsert(vec![point(1, &[])]), "point 1: no vector given: every point has one where it has no name"),
        (
            Change::AddVector("a".into(), spec(), Payload::new()),
            "the collection's vector has no name: vectors are added to and taken from collections of named ones only",
        ),
        (
            Change::DeleteVectors(vec![one], vec![String::new()]),
            "the collection's vector has no name: vectors are added to and taken from collections of named ones only",
        ),
    ] {
        assert_eq!(unnamed.write(change).unwrap_err().to_string(), why);
    }
}

/// Updates of one vector scale and round nothing of another.
#[test]
fn vectors_that_are_not_changed_stay_to_the_bit() {
    let spec = VectorSpec::new(DIM, Metric::Cosine, ElementType::F16).unwrap();
    let set = VectorSet::named([("a", spec, Payload::new()), ("b", spec, Payload::new())]).unwrap();
    let mut collection = Collection::new(Schema { vectors: set, ..Kind::Named.schema() }).unwrap();
    let mut random = Random(8);
    let vector =
        |random: &mut Random| -> Vec<f32> { (0..DIM).map(|_| 0.1 + random.below(1000) as f32 / 7.0).collect() };
    let id = PointId::Integer(1);
    let vectors = [("a", vector(&mut random)), ("b", vector(&mut random))].into_iter().collect();
    collection.upsert(vec![Point { id, vectors, payload: Payload::new() }]).unwrap();
    let kept = collection.get(id).unwrap().vector("a");
    for _ in 0..50 {
        let change = Change::UpdateVectors(vec![(id, [("b", vector(&mut random))].into_iter().collect())], None);
        let record = change.resolve(&collection).unwrap();
        collection.apply(record).unwrap();
        assert_eq!(collection.get(id).unwrap().vector("a"), kept);
        assert_eq!(collection.sum(), collection.sum_of_stored());
    }
}

/// A vector that is dropped while others store it: each change is right by what it was checked with, and the log replays.
#[test]
fn names_come_and_go_while_points_are_stored() {
    let fs = file_system();
    let collection = create_as(&fs, SyncMode::Always, Kind::Named).unwrap();
    let done = AtomicBool::new(false);
    let (stored, refused) = std::thread::scope(|scope| {
        let writers = [0_u64, 1].map(|writer| {
            let (collection, done) = (&collection, &done);
            scope.spawn(move || {
                let (mut stored, mut refused) = (0, 0);
                for number in 0.. {
                    if done.load(Ordering::Relaxed) && number > 50 {
                        break;
                    }
                    match collection
                        .write(Change::Upsert(vec![point(writer * 40 + number % 40, &[("a", 1.0), ("b", 1.0)])]))
                    {
                        Ok(_) => stored += 1,
                        Err(WriteError::Upsert(UpsertError::Vectors { .. })) => refused += 1,
                        Err(error) => panic!("{error}"),
                    }
                }
                (stored, refused)
            })
        });
        for _ in 0..60 {
            collection.write(Change::DropVector("a".into())).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(1));
            collection.write(Change::AddVector("a".into(), spec(), Payload::new())).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        writers.map(|writer| writer.join().unwrap()).into_iter().fold((0, 0), |(a, b), (c, d)| (a + c, b + d))
    });
    println!("{stored} stored, {refused} refused");
    let state = held(&collection);
    assert_eq!(held(&open(&fs.crash(Keep::Nothing), SyncMode::Always).unwrap()), state);
    assert_eq!(collection.read().sum(), collection.read().sum_of_stored());
}

#[test]
fn a_full_disk_takes_a_drop_of_a_vector() {
    let fs = file_system();
    let collection = create_as(&fs, SyncMode::Always, Kind::Named).unwrap();
    collection.write(Change::Upsert((0..9).map(|id| point(id, &[("a", 1.0), ("b", 1.0)])).collect())).unwrap();
    fs.set_capacity(Some(fs.used()));
    let update =
        Change::UpdateVectors(vec![(PointId::Integer(1), [("a", vec![2.0; DIM])].into_iter().collect())], None);
    assert!(matches!(collection.write(update), Err(WriteError::Full { .. })));
    collection.write(Change::DropVector("a".into())).unwrap();
    let state = held(&collection);
    assert!(state.values().all(|(_, vectors, _)| vectors.len() == 1));
    assert_eq!(held(&open(&fs.crash(Keep::Nothing), SyncMode::Always).unwrap()), state);
}

#[test]
fn a_collection_of_named_vectors_may_have_none_at_first() {
    let fs = file_system();
    let none: [(&str, VectorSpec, Payload); 0] = [];
    let schema = Schema { vectors: VectorSet::named(none).unwrap(), ..Kind::Named.schema() };
    let options = super::workload::options(SyncMode::Always);
    let collection = SharedCollection::create(Arc::new(fs.clone()), dir(), schema, options).unwrap();
    collection.write(Change::Upsert(vec![point(1, &[]), point(2, &[])])).unwrap();
    collection.compact(&BuildOptions::default()).unwrap();
    collection.write(Change::AddVector("a".into(), spec(), Payload::new())).unwrap();
    collection.write(Change::Upsert(vec![point(2, &[("a", 1.0)])])).unwrap();
    assert_eq!(found(&collection.read(), "a"), [2]);
    collection.compact(&BuildOptions::default()).unwrap();
    let opened = open(&fs.crash(Keep::Nothing), SyncMode::Always).unwrap();
    assert_eq!((found(&opened.read(), "a"), opened.read().len()), (vec![2], 2));
}
