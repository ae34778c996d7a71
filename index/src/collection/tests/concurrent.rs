//! Readers beside a writer, on real files, while threads seal and merge: every view is one whole moment, and nothing is lost when
//! the collection is dropped in the middle of a merge.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::{DIM, Random, Search, schema};
use crate::collection::{Change, Collection, Options, Payload, Point, SharedCollection, SyncMode, verify};
use crate::vfs::RealFs;
use crate::{Effort, ElementType, Metric, PointId};

/// Points are changed by families: a view that has two versions of one has half a change.
const FAMILIES: u64 = 60;
const MEMBERS: u64 = 8;

/// For the background to seal and merge.
const PATIENCE: Duration = Duration::from_secs(60);

fn ids(family: u64) -> impl Iterator<Item = PointId> {
    (0..MEMBERS).map(move |member| PointId::Integer(member * FAMILIES + family))
}

/// The version of a family in `view`, if it is there.
fn version(view: &Collection, family: u64) -> Option<u64> {
    let versions: BTreeSet<Option<u64>> = ids(family).map(|id| view.get(id).map(|point| point.version())).collect();
    assert_eq!(versions.len(), 1, "family {family} by halves: {versions:?}");
    versions.into_iter().next().flatten()
}

fn read(collection: &SharedCollection, done: &AtomicBool, seed: u64) -> u64 {
    let (mut random, mut last, mut reads) = (Random(seed), 0, 0);
    while !done.load(Ordering::Relaxed) {
        let view = collection.read();
        assert!(view.operation() >= last, "{} after {last}", view.operation());
        last = view.operation();
        let seen = version(&view, random.below(FAMILIES));
        assert!(seen.is_none_or(|seen| seen <= last));
        let found =
            view.search(&random.vector(), Search { effort: Some(Effort::Beam(32)), ..Search::new(30) }).unwrap();
        assert_eq!(found.len(), view.len().min(30));
        let distinct: BTreeSet<PointId> = found.iter().map(|found| found.point.id()).collect();
        assert_eq!(distinct.len(), found.len(), "a point found twice");
        for found in found {
            let point = view.get(found.point.id()).expect("what is found is there");
            assert_eq!(point.version(), found.point.version(), "an old row was found");
        }
        if reads % 50 == 0 {
            assert_eq!(view.sum_of_stored(), view.sum());
            assert_eq!(view.scroll(PointId::FIRST).count(), view.len());
        }
        reads += 1;
    }
    reads
}

#[test]
fn every_view_is_one_moment_while_segments_come_and_go() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("c");
    let options = Options { sync: SyncMode::Os, seal_rows: 150, reserve_bytes: 100, ..Options::default() };
    let schema = schema(Metric::L2, ElementType::F32, 0);
    let mut collection = SharedCollection::create(Arc::new(RealFs), &home, schema, options).unwrap();
    let (mut random, mut state, mut segments) = (Random(5), BTreeMap::new(), BTreeSet::new());
    for round in 0..3 {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (collection, done) = (&collection, &done);
            let readers: Vec<_> =
                (0..2).map(|reader| scope.spawn(move || read(collection, done, reader + 10 * round))).collect();
            // Until something was sealed and merged, which happens at low priority: on a busy machine, late.
            let started = Instant::now();
            for change in 0.. {
                if change >= 400 {
                    if segments.len() > 2 * (round as usize + 1) || started.elapsed() > PATIENCE {
                        break;
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
                let family = random.below(FAMILIES);
                if random.below(5) == 0 {
                    collection.write(Change::Delete(ids(family).collect())).unwrap();
                    state.remove(&family);
                } else {
                    let point = |id| Point { id, vectors: random.vector().into(), payload: Payload::new() };
                    let version = collection.write(Change::Upsert(ids(family).map(point).collect())).unwrap();
                    state.insert(family, version);
                }
                segments.extend(collection.read().segments().map(|segment| segment.number));
            }
            done.store(true, Ordering::Relaxed);
            let reads: Vec<u64> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
            println!("round {round}: {reads:?} reads, segments so far {segments:?}");
        });
        assert_eq!(collection.checkpoint_error(), None);
        // Whatever is being sealed or merged is given up.
        drop(collection);
        let (inspection, _) = verify(&RealFs, &home).unwrap();
        assert_eq!(inspection.points as u64, state.len() as u64 * MEMBERS);
        collection = SharedCollection::open(Arc::new(RealFs), &home, options).unwrap();
        let view = collection.read();
        assert!((0..FAMILIES).all(|family| version(&view, family) == state.get(&family).copied()));
    }
    assert!(segments.len() > 6, "little was sealed and merged: {segments:?}");
    assert_eq!(collection.read().get(PointId::Integer(0)).map_or(DIM, |point| point.vector("").unwrap().len()), DIM);
}
