//! Scans by sketches: which segments have one, what is found beside all being compared, and that no file knows of them.

use std::collections::HashSet;
use std::sync::Arc;

use super::Random;
use super::workload::{dir, file_system};
use crate::collection::*;
use crate::filter::{Condition, Filter, PayloadPath, Scalar, Test};
use crate::planner::Plan;
use crate::vfs::Keep;
use crate::{BuildOptions, ElementType, LayoutPolicy, Metric, PointId, VectorSpec};

/// 256 bytes a vector: 1,024 of them are worth a sketch.
pub(super) const DIM: usize = 64;
const WORTH: usize = 1024;
pub(super) const K: usize = 10;

pub(super) fn schema() -> Schema {
    Schema::new(VectorSpec::new(DIM, Metric::L2, ElementType::F32).unwrap())
}

/// Around one of a few dozen places.
fn vector(random: &mut Random) -> Vec<f32> {
    let place = random.below(40);
    let mut of_place = Random(place);
    (0..DIM).map(|_| of_place.below(1000) as f32 / 100.0 + random.below(1000) as f32 / 400.0).collect()
}

pub(super) fn points(random: &mut Random, ids: std::ops::Range<u64>) -> Vec<Point> {
    let payload = |id: u64| Payload::from_iter([("a".into(), (id % 2).into())]);
    ids.map(|id| Point { id: PointId::Integer(id), vectors: vector(random).into(), payload: payload(id) }).collect()
}

pub(super) fn odd() -> Filter {
    let path = PayloadPath::parse("a").unwrap();
    Filter { must: vec![Condition::Field(path, Test::Any(HashSet::from([Scalar::Integer(1)])))], ..Filter::default() }
}

/// The part of the exact answers that a search finds, over a few queries.
pub(super) fn recall(collection: &Collection, filter: Option<&Filter>, seed: u64) -> f64 {
    let (mut random, mut good, queries) = (Random(seed), 0, 20);
    for _ in 0..queries {
        let query = vector(&mut random);
        let ids = |exact| {
            let search = Search { exact, filter, ..Search::new(K) };
            let found = collection.search(&query, search).unwrap();
            assert!(found.is_sorted_by(|a, b| a.score <= b.score));
            found.iter().map(|found| found.point.id()).collect::<Vec<_>>()
        };
        let (exact, found) = (ids(true), ids(false));
        assert_eq!(found.len(), K, "seed {seed}");
        good += found.iter().filter(|id| exact.contains(id)).count();
    }
    good as f64 / (K * queries) as f64
}

pub(super) fn plans(collection: &Collection, filter: Option<&Filter>) -> Vec<(usize, SegmentExplain)> {
    let query = vector(&mut Random(1));
    let (_, explained) = collection.search_explained(&query, Search { filter, ..Search::new(K) }).unwrap();
    explained.into_iter().map(|explain| (explain.search.rows, explain)).collect()
}

/// Whoever reads never meets many rows without a sketch, however they came; points that were replaced or removed are not found.
#[test]
fn growing_segments_are_scanned_by_codes() {
    let seed = 4;
    let (mut random, mut collection) = (Random(seed), Collection::new(schema()).unwrap());
    let mut next = 0;
    while next < 9000 {
        let count = 1 + random.below(700);
        collection.upsert(points(&mut random, next..next + count)).unwrap();
        next += count;
        for (rows, explain) in plans(&collection, None) {
            let expected = if rows >= WORTH { Plan::Coded } else { Plan::Scan };
            assert_eq!(explain.search.plan, expected, "seed {seed}, {rows} rows");
        }
    }
    collection.upsert(points(&mut random, 100..400)).unwrap();
    let gone: Vec<PointId> = (1000..9000).step_by(7).map(PointId::Integer).collect();
    collection.delete(&gone);
    for filter in [None, Some(odd())] {
        let explained = plans(&collection, filter.as_ref());
        let coded = explained.iter().filter(|(_, explain)| explain.search.plan == Plan::Coded);
        let coded: Vec<_> = coded.map(|(_, explain)| (explain.search, explain.expected_recall)).collect();
        assert!(!coded.is_empty(), "{explained:?}");
        for (search, expected_recall) in coded {
            let matching = search.matching as u64;
            assert!(search.estimates >= matching && search.distances < matching / 4, "{search:?}");
            assert_eq!((expected_recall, search.hops), (Some(0.99), 0));
        }
        let recall = recall(&collection, filter.as_ref(), seed + 1);
        assert!(recall >= 0.99, "seed {seed}: {recall}");
    }
}

/// What is compared is compared whole where that was asked for: by a search, or by the collection's threshold.
#[test]
fn what_is_to_be_exact_is() {
    let mut random = Random(6);
    let batch = points(&mut random, 0..3000);
    for (full_scan_bytes, exact, plan) in [
        (Schema::DEFAULT_FULL_SCAN_BYTES, false, Plan::Coded),
        (Schema::DEFAULT_FULL_SCAN_BYTES, true, Plan::Scan),
        (3000 * 4 * DIM, false, Plan::Scan),
        (3000 * 4 * DIM - 1, false, Plan::Coded),
    ] {
        let mut collection = Collection::new(Schema { full_scan_bytes, ..schema() }).unwrap();
        collection.upsert(batch.clone()).unwrap();
        let query = vector(&mut random);
        let (_, explained) = collection.search_explained(&query, Search { exact, ..Search::new(K) }).unwrap();
        assert_eq!((explained[0].search.plan, explained[0].search.rows), (plan, 3000), "{full_scan_bytes} {exact}");
    }
}

/// Where few are left of many, these alone are compared, be they so few that they always are or not.
#[test]
fn dead_rows_are_not_compared() {
    let mut random = Random(8);
    let batch = points(&mut random, 0..3000);
    let gone: Vec<PointId> = (0..3000).filter(|id| id % 30 > 0).map(PointId::from).collect();
    for full_scan_bytes in [Schema::DEFAULT_FULL_SCAN_BYTES, 0] {
        let mut collection = Collection::new(Schema { full_scan_bytes, ..schema() }).unwrap();
        collection.upsert(batch.clone()).unwrap();
        collection.delete(&gone);
        let query = vector(&mut random);
        for (except, compared) in [(None, 100), (Some(PointId::from(30)), 99)] {
            let (found, explained) =
                collection.search_explained(&query, Search { except, ..Search::new(compared) }).unwrap();
            assert_eq!((explained[0].search.plan, explained[0].search.distances), (Plan::Scan, compared as u64));
            let mut ids: Vec<PointId> = found.iter().map(|found| found.point.id()).collect();
            ids.sort_unstable();
            let left = (0..3000).step_by(30).map(PointId::from);
            assert!(ids.into_iter().eq(left.filter(|&id| Some(id) != except)));
        }
    }
}

/// Not where vectors may take so few bytes.
#[test]
fn a_sketch_takes_no_more_than_there_is_room_for() {
    let row = 4 * DIM;
    let of_row = 16 + 4 + 1;
    for (bytes_per_vector, plan) in [(row + of_row - 1, Plan::Scan), (row + of_row + 1, Plan::Coded)] {
        let layout = LayoutPolicy::Auto { bytes_per_vector: Some(bytes_per_vector) };
        let mut collection = Collection::new(Schema { layout, ..schema() }).unwrap();
        collection.upsert(points(&mut Random(3), 0..3200)).unwrap();
        assert_eq!(plans(&collection, None)[0].1.search.plan, plan, "{bytes_per_vector} bytes");
        let info = collection.segments().next().unwrap();
        assert!(info.bytes >= 3200 * row, "{info:?}");
    }
}

/// Sealed and merged segments have theirs before anybody sees them; at the start there is none until it is made.
#[test]
fn sketches_are_made_again_after_a_start() {
    let fs = file_system();
    let options = Options { upkeep: Upkeep::Tended, seal_rows: 2000, ..Options::default() };
    let collection = SharedCollection::create(Arc::new(fs.clone()), dir(), schema(), options).unwrap();
    let mut random = Random(8);
    for batch in 0..5 {
        collection.write(Change::Upsert(points(&mut random, batch * 900..(batch + 1) * 900))).unwrap();
        collection.tend().unwrap();
        for (rows, explain) in plans(&collection.read(), None) {
            assert!(rows < WORTH || explain.search.plan == Plan::Coded, "{rows} rows: {explain:?}");
        }
    }
    collection.compact(&BuildOptions::default()).unwrap();
    let (rows, explain) = plans(&collection.read(), None).remove(0);
    assert_eq!((rows, explain.kind, explain.search.plan), (4500, IndexKind::Flat, Plan::Coded));
    drop(collection);
    let opened = SharedCollection::open(Arc::new(fs.crash(Keep::Nothing)), dir(), options).unwrap();
    assert_eq!(plans(&opened.read(), None)[0].1.search.plan, Plan::Scan);
    let (view, before) = (opened.read(), opened.read().bytes());
    opened.tend().unwrap();
    // Views that were taken before have them too.
    assert_eq!(plans(&view, None)[0].1.search.plan, Plan::Coded);
    let taken = view.bytes() - before;
    assert!((4500 * 20..4500 * 22).contains(&taken), "{taken} bytes");
    assert!(recall(&view, None, 12) >= 0.99);
}
