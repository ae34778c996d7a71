//! Segments that are scanned as one: which are, what is found there, and what is left once some of them are gone.

use std::sync::Arc;

use super::Random;
use super::sketches::{DIM, K, odd, plans, points, recall, schema};
use super::workload::{dir, file_system};
use crate::collection::*;
use crate::filter::Filter;
use crate::planner::Plan;
use crate::segment::Joint;
use crate::vfs::Keep;
use crate::{BuildOptions, ElementType, LayoutPolicy, Metric, PointId, VectorSpec};

const ROWS: u64 = 2400;

/// Adds points as a segment of their own.
fn add(collection: &mut Collection, random: &mut Random, batch: u64) {
    collection.upsert(points(random, batch * ROWS..(batch + 1) * ROWS)).unwrap();
    collection.sealed.append(&mut collection.growing);
}

/// Puts together what is due, and says how many segments that were.
fn join(collection: &mut Collection) -> usize {
    let due = collection.joint_due();
    let joined = due.as_ref().map_or(0, |(_, entrants)| entrants.len());
    collection.join(due.map(|(spec, entrants)| Joint::new(spec, &entrants, &BuildOptions::default())));
    joined
}

/// Rows that a search estimates.
fn estimated(collection: &Collection) -> u64 {
    plans(collection, None).iter().map(|(_, explain)| explain.search.estimates).sum()
}

/// How many others each segment is scanned with.
fn others(collection: &Collection) -> Vec<usize> {
    let with = |reason: &String| reason.strip_prefix("scanned as one with ")?.split(' ').next()?.parse().ok();
    let of = |(_, explain): &(usize, SegmentExplain)| explain.reasons.iter().find_map(with).unwrap_or(0);
    plans(collection, None).iter().map(of).collect()
}

#[test]
fn segments_are_put_together_as_they_grow_by_an_eighth() {
    let seed = 5;
    let (mut random, mut collection) = (Random(seed), Collection::new(schema()).unwrap());
    let mut joined = Vec::new();
    for batch in 0..39 {
        add(&mut collection, &mut random, batch);
        if !(11..33).contains(&batch) {
            joined.push(join(&mut collection));
        }
    }
    // Four, the fewest that have cells; with each one more, until that is less than an eighth; many at once; then four apart, for the others
    // are more than eight times as many, and all with one more.
    assert_eq!(joined, [0, 0, 0, 4, 5, 6, 7, 8, 9, 0, 11, 34, 0, 0, 0, 4, 39]);
    assert_eq!(others(&collection), [38; 39]);
    let all = collection.rows() as u64;
    assert!(estimated(&collection) < all / 3, "seed {seed}: {} of {all}", estimated(&collection));
}

/// Points that were replaced or removed are not found, nor those of segments that are gone, and hardly any other is missed.
#[test]
fn what_is_scanned_as_one_is_found() {
    let seed = 6;
    let (mut random, mut collection) = (Random(seed), Collection::new(schema()).unwrap());
    (0..6).for_each(|batch| add(&mut collection, &mut random, batch));
    let apart = estimated(&collection);
    assert_eq!((join(&mut collection), join(&mut collection)), (6, 0));
    assert!(2 * estimated(&collection) < apart, "seed {seed}: {} of {apart}", estimated(&collection));
    let removed: Vec<PointId> = (0..6 * ROWS).step_by(3).map(PointId::Integer).collect();
    collection.delete(&removed);
    collection.upsert(points(&mut random, 4000..4500)).unwrap();
    for filter in [None, Some(odd())] {
        let recall = recall(&collection, filter.as_ref(), seed + 1);
        assert!(recall >= 0.98, "seed {seed}: {recall}");
    }
    let before = collection.bytes();
    for (left, of_joint) in [(5, 4), (3, 2), (2, 0)] {
        collection.sealed.truncate(left);
        collection.join(None);
        let mut expected = vec![of_joint; left];
        expected.resize(left + collection.growing.len(), 0);
        assert_eq!(others(&collection), expected, "{left} left");
        let recall = recall(&collection, None, seed + 2);
        assert!(recall >= 0.98, "seed {seed}: {recall} with {left} left");
    }
    assert!(collection.joints.is_empty() && collection.bytes() < before);
}

/// What a scan finds in the most rows counts in the graphs, which are walked after it: the more rows are scanned, the fewer hops.
#[test]
fn graphs_are_walked_as_far_as_scans_leave_to_be_found() {
    let seed = 8;
    let mut random = Random(seed);
    let (layout, full_scan_bytes) = (LayoutPolicy::Quantized, 100 * 4 * DIM);
    let mut collection = Collection::new(Schema { layout, full_scan_bytes, ..schema() }).unwrap();
    collection.upsert(points(&mut random, 0..3000)).unwrap();
    collection.compact(&BuildOptions::default());
    let removed: Vec<PointId> = (0..3000).filter(|id| id % 4 > 0).map(PointId::Integer).collect();
    collection.delete(&removed);
    let hops = |collection: &Collection| -> u64 {
        let of_graphs = |(_, explain): &(usize, SegmentExplain)| explain.kind.is_graph().then_some(explain.search.hops);
        plans(collection, None).iter().filter_map(of_graphs).sum()
    };
    let alone = hops(&collection);
    for batch in 2..6 {
        add(&mut collection, &mut random, batch);
        let recall = recall(&collection, None, seed);
        assert!(recall >= 0.98, "seed {seed}: {recall} beside {} batches", batch - 1);
    }
    assert!(0 < hops(&collection) && 2 * hops(&collection) < alone, "seed {seed}: {} of {alone}", hops(&collection));
    // As many as are asked for, though the graph has few that live.
    let query = collection.sealed[1].view(0, &collection.schema.vectors).vector("").unwrap();
    for k in [800, 10_350, 10_400] {
        assert_eq!(collection.search(&query, Search::new(k)).unwrap().len(), k.min(750 + 4 * ROWS as usize));
    }
}

/// A collection with a graph of 8,000 points, of which so many of so many live, beside four batches that are scanned.
fn with_graph(layout: LayoutPolicy, (live, of): (u64, u64), random: &mut Random) -> Collection {
    let full_scan_bytes = 100 * 4 * DIM;
    let mut collection = Collection::new(Schema { layout, full_scan_bytes, ..schema() }).unwrap();
    collection.upsert(points(random, 0..8000)).unwrap();
    collection.compact(&BuildOptions::default());
    let removed: Vec<PointId> = (0..8000).filter(|id| id % of >= live).map(PointId::Integer).collect();
    collection.delete(&removed);
    (4..8).for_each(|batch| add(&mut collection, random, batch));
    collection
}

/// How many vectors of graphs are scanned, and how many hops were made in graphs.
fn of_graphs(collection: &Collection, filter: Option<&Filter>) -> (usize, u64) {
    let of_graphs = plans(collection, filter).into_iter().filter(|(_, explain)| explain.kind.is_graph());
    of_graphs.fold((0, 0), |(scanned, hops), (_, explain)| {
        let coded = if explain.search.plan == Plan::Coded { explain.search.matching } else { 0 };
        (scanned + coded, hops + explain.search.hops)
    })
}

/// What lives in a graph most of whose rows are dead is scanned with the rest, and none of its dead are found; with a filter it is walked.
#[test]
fn a_sparse_graph_is_scanned_with_the_rest() {
    for (seed, layout) in [(11, LayoutPolicy::Quantized), (12, LayoutPolicy::Hnsw)] {
        let mut random = Random(seed);
        let mut collection = with_graph(layout, (1, 4), &mut random);
        assert!(of_graphs(&collection, None).1 > 0, "seed {seed}");
        assert_eq!((join(&mut collection), join(&mut collection)), (5, 0));
        assert_eq!((of_graphs(&collection, None), others(&collection)), ((2000, 0), vec![4; 5]), "seed {seed}");
        let reasons = &plans(&collection, None)[0].1.reasons;
        assert!(reasons.iter().any(|reason| reason.contains("dead")), "seed {seed}: {reasons:?}");
        // The nearest to a living vector of the graph is itself, and to a dead one it is not.
        let graph = collection.sealed[0].clone();
        for row in (0..8000).step_by(50).chain((1..8000).step_by(50)) {
            let vector = graph.view(row, &collection.schema.vectors).vector("").unwrap();
            let found = collection.search(&vector, Search::new(K)).unwrap();
            let exact = collection.search(&vector, Search { exact: true, ..Search::new(K) }).unwrap();
            assert_eq!(found[0].point.id(), exact[0].point.id(), "seed {seed}: row {row}");
        }
        for k in [800, 12_000] {
            let found = collection.search(&[0.5; DIM], Search::new(k)).unwrap().len();
            assert_eq!(found, k.min(2000 + 4 * ROWS as usize), "seed {seed}");
        }
        // More of them die, some by being replaced.
        let removed: Vec<PointId> = (0..8000).step_by(12).map(PointId::Integer).collect();
        collection.delete(&removed);
        collection.upsert(points(&mut random, 4000..4100)).unwrap();
        for filter in [None, Some(odd())] {
            let recall = recall(&collection, filter.as_ref(), seed);
            assert!(recall >= 0.98, "seed {seed}: {recall}");
        }
        assert_eq!(of_graphs(&collection, Some(&odd())).0, 0, "seed {seed}");
        // The rest is gone: the joint is too large for what is left, and then of the graph alone.
        collection.sealed.truncate(1);
        let before = collection.bytes();
        collection.join(None);
        assert!(collection.joints.is_empty() && collection.bytes() < before, "seed {seed}");
        assert!(of_graphs(&collection, None).1 > 0 && join(&mut collection) == 0, "seed {seed}");
        assert!(recall(&collection, None, seed) >= 0.98, "seed {seed}");
    }
}

/// Where only some rows have the vector, rows and slots differ.
#[test]
fn a_sparse_graph_of_some_rows_is_scanned_with_the_rest() {
    let (seed, spec) = (14, VectorSpec::new(DIM, Metric::L2, ElementType::F32).unwrap());
    let small = VectorSpec::new(2, Metric::L2, ElementType::F32).unwrap();
    let set = VectorSet::named([("a", spec, Payload::new()), ("b", small, Payload::new())]).unwrap();
    let (layout, full_scan_bytes) = (LayoutPolicy::Quantized, 100 * 4 * DIM);
    let mut collection = Collection::new(Schema { layout, full_scan_bytes, ..Schema::new(set) }).unwrap();
    let mut random = Random(seed);
    // One of three has the small one alone.
    let mut points = |ids: std::ops::Range<u64>| -> Vec<Point> {
        let named = |point: Point| {
            let PointId::Integer(id) = point.id else { unreachable!("ids are numbers") };
            let vector = point.vectors.get("").unwrap().to_vec();
            let of_a = (id % 3 > 0).then_some(("a", vector));
            Point { vectors: of_a.into_iter().chain([("b", vec![id as f32, 0.0])]).collect(), ..point }
        };
        points(&mut random, ids).into_iter().map(named).collect()
    };
    collection.upsert(points(0..12_000)).unwrap();
    collection.compact(&BuildOptions::default());
    let removed: Vec<PointId> = (0..12_000).filter(|id| id % 4 > 0).map(PointId::Integer).collect();
    collection.delete(&removed);
    for batch in 4..8 {
        collection.upsert(points(batch * 3600..(batch + 1) * 3600)).unwrap();
        collection.sealed.append(&mut collection.growing);
    }
    assert_eq!(join(&mut collection), 5, "seed {seed}");
    let graph = collection.sealed[0].clone();
    for row in (0..12_000).step_by(40).filter(|row| row % 3 > 0) {
        let vector = graph.view(row, &collection.schema.vectors).vector("a").unwrap();
        let search = Search { using: "a", ..Search::new(K) };
        let (found, explained) = collection.search_explained(&vector, search).unwrap();
        let exact = collection.search(&vector, Search { exact: true, ..search }).unwrap();
        assert_eq!(found[0].point.id(), exact[0].point.id(), "seed {seed}: row {row}");
        assert_eq!((explained[0].search.plan, explained[0].search.matching), (Plan::Coded, 2000), "seed {seed}");
    }
}

/// One most of whose rows live, one whose vectors are to stay on disk, and one beside which there is no memory for copies.
#[test]
fn other_graphs_are_walked() {
    let bounded = LayoutPolicy::Auto { bytes_per_vector: Some(4 * DIM + 200) };
    for (layout, live) in [(LayoutPolicy::Quantized, (3, 5)), (LayoutPolicy::Compact, (1, 4)), (bounded, (1, 4))] {
        let mut collection = with_graph(layout, live, &mut Random(13));
        assert_eq!(join(&mut collection), 4, "{layout:?}");
        let (scanned, hops) = of_graphs(&collection, None);
        assert!(scanned == 0 && hops > 0, "{layout:?}: {scanned} rows of graphs scanned, {hops} hops");
    }
}

/// Growing segments that are full are put together too, apart from sealed ones, until they are sealed.
#[test]
fn growing_segments_are_put_together_apart() {
    let seed = 10;
    let (mut random, mut collection) = (Random(seed), Collection::new(schema()).unwrap());
    (0..4).for_each(|batch| add(&mut collection, &mut random, batch));
    for first in (0..5).map(|batch| 4 * ROWS + 4000 * batch) {
        collection.upsert(points(&mut random, first..first + 4000)).unwrap();
    }
    collection.upsert(points(&mut random, 0..300)).unwrap();
    let apart = estimated(&collection);
    assert_eq!([(); 3].map(|()| join(&mut collection)), [4, 5, 0]);
    assert_eq!(others(&collection), [3, 3, 3, 3, 4, 4, 4, 4, 4, 0]);
    assert!(2 * estimated(&collection) < apart, "seed {seed}: {} of {apart}", estimated(&collection));
    let recall = recall(&collection, None, seed);
    assert!(recall >= 0.98, "seed {seed}: {recall}");
    assert!(collection.search(&[0.5; DIM], Search::new(0)).unwrap().is_empty());
    collection.compact(&BuildOptions::default());
    collection.join(None);
    assert!(collection.joints.is_empty());
}

/// A row of one whose segment has the nearest vectors of all.
#[test]
fn a_segment_that_is_gone_hides_nothing() {
    let (mut random, mut collection) = (Random(7), Collection::new(schema()).unwrap());
    (0..4).for_each(|batch| add(&mut collection, &mut random, batch));
    assert_eq!(join(&mut collection), 4);
    let gone = collection.sealed.remove(1);
    collection.join(None);
    for row in (0..gone.segment.table.len() as u32).step_by(100) {
        let vector = gone.view(row, &collection.schema.vectors).vector("").unwrap();
        let found = collection.search(&vector, Search::new(K)).unwrap();
        let exact = collection.search(&vector, Search { exact: true, ..Search::new(K) }).unwrap();
        assert_eq!((found.len(), found[0].point.id()), (K, exact[0].point.id()), "row {row}");
        assert!(found.iter().all(|found| found.score > 0.0), "row {row}");
    }
}

/// Not where vectors may take so few bytes.
#[test]
fn a_joint_takes_no_more_than_there_is_room_for() {
    let own = 4 * DIM + 16 + 4 + 1;
    for (bytes_per_vector, joined) in [(own + 10, 0), (own + 100, 4)] {
        let layout = LayoutPolicy::Auto { bytes_per_vector: Some(bytes_per_vector) };
        let mut collection = Collection::new(Schema { layout, ..schema() }).unwrap();
        (0..4).for_each(|batch| add(&mut collection, &mut Random(batch), batch));
        assert_eq!(join(&mut collection), joined, "{bytes_per_vector} bytes");
    }
}

/// Sealed segments are put together beside all else, and again after a start; whoever has an older view goes on with that.
#[test]
fn segments_are_put_together_again_after_a_start() {
    let (fs, mut random) = (file_system(), Random(9));
    let merge_bytes = ROWS as usize * 4 * DIM;
    let options = Options { upkeep: Upkeep::Tended, seal_rows: ROWS as usize, merge_bytes, ..Options::default() };
    let collection = SharedCollection::create(Arc::new(fs.clone()), dir(), schema(), options).unwrap();
    let mut before = collection.read();
    for batch in 0..4 {
        before = collection.read();
        collection.write(Change::Upsert(points(&mut random, batch * ROWS..(batch + 1) * ROWS))).unwrap();
        collection.tend().unwrap();
    }
    assert_eq!((others(&collection.read()), others(&before)), (vec![3; 4], vec![0; 3]));
    assert!(plans(&collection.read(), None).iter().all(|(_, explain)| explain.search.plan == Plan::Coded));
    drop((collection, before));
    let opened = SharedCollection::open(Arc::new(fs.crash(Keep::Nothing)), dir(), options).unwrap();
    assert_eq!(others(&opened.read()), [0; 4]);
    opened.tend().unwrap();
    assert_eq!(others(&opened.read()), [3; 4]);
    assert!(recall(&opened.read(), None, 10) >= 0.98);
}
