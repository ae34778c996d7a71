//! Points replaced for many rounds: the collection stays as good, and as small, as one that is built of what is left.
//!
//! `VICINO_CHURN_ROUNDS=100 cargo test --release -p vicino-index churn -- --nocapture` for more than the default.

use std::path::Path;
use std::sync::Arc;

use super::workload::file_system;
use super::{Random, Search};
use crate::collection::{Change, Collection, Options, Payload, Point, Schema, SharedCollection, Upkeep};
use crate::vfs::SimFs;
use crate::{BuildOptions, Effort, ElementType, Metric, PointId, VectorSpec};

const POINTS: u64 = 3000;
const DIM: usize = 12;

fn point(random: &mut Random, id: u64) -> Point {
    // Around one of forty centres, as real data are, so that a graph has something to get wrong.
    let center = random.below(40);
    let near = |dim: usize, random: &mut Random| {
        let spread = (random.below(1000) as f32 + random.below(1000) as f32) / 1000.0;
        ((center * 37 + dim as u64 * 11) % 17) as f32 + spread
    };
    Point {
        id: PointId::Integer(id),
        vectors: (0..DIM).map(|dim| near(dim, random)).collect::<Vec<f32>>().into(),
        payload: Payload::new(),
    }
}

/// Of the ten nearest points of each query the part that is found.
fn recall(collection: &Collection, queries: &[Vec<f32>], ef: usize) -> f64 {
    let mut right = 0;
    for query in queries {
        let exact = collection.search(query, Search { exact: true, ..Search::new(10) }).unwrap();
        let found = collection.search(query, Search { effort: Some(Effort::Beam(ef)), ..Search::new(10) }).unwrap();
        let farthest = exact.last().unwrap().score;
        right += found.iter().filter(|found| found.score <= farthest).count();
    }
    right as f64 / (10 * queries.len()) as f64
}

fn bytes_of_files(fs: &SimFs, dir: &Path) -> u64 {
    use crate::vfs::Vfs;
    let files = fs.files().into_iter().filter(|path| path.starts_with(dir));
    files.map(|path| fs.read(&path).unwrap().len() as u64).sum()
}

#[test]
fn churn_wears_nothing_down() {
    let rounds = std::env::var("VICINO_CHURN_ROUNDS").map_or(20, |count| count.parse().expect("a number"));
    let vectors = VectorSpec::new(DIM, Metric::L2, ElementType::F32).unwrap();
    let schema = Schema { full_scan_bytes: 0, ..Schema::new(vectors) };
    let options = Options { upkeep: Upkeep::Along, seal_rows: 300, reserve_bytes: 100, ..Options::default() };
    let fs = file_system();
    let make = |name: &str| {
        let dir = Path::new("data").join(name);
        (SharedCollection::create(Arc::new(fs.clone()), &dir, schema.clone(), options).unwrap(), dir)
    };
    let (worn, worn_dir) = make("worn");
    let mut random = Random(3);
    for first in (0..POINTS).step_by(100) {
        let batch = (first..first + 100).map(|id| point(&mut random, id)).collect();
        worn.write(Change::Upsert(batch)).unwrap();
    }
    for _ in 0..rounds {
        let batch = (0..POINTS / 20).map(|_| random.below(POINTS)).collect::<Vec<u64>>();
        worn.write(Change::Upsert(batch.into_iter().map(|id| point(&mut random, id)).collect())).unwrap();
    }
    let (fresh, fresh_dir) = make("fresh");
    let view = worn.read();
    let all = view.scroll(PointId::FIRST).map(|p| Point { id: p.id(), vectors: p.vectors(), payload: Payload::new() });
    fresh.write(Change::Upsert(all.collect())).unwrap();
    fresh.compact(&BuildOptions::default()).unwrap();
    worn.checkpoint().unwrap();
    let queries: Vec<Vec<f32>> = (0..100).map(|_| point(&mut random, 0).vectors.get("").unwrap().to_vec()).collect();
    let (worn_view, fresh_view) = (worn.read(), fresh.read());
    assert_eq!(worn_view.len(), fresh_view.len());
    for ef in [10, 20, 40] {
        let (worn, fresh) = (recall(&worn_view, &queries, ef), recall(&fresh_view, &queries, ef));
        println!("after {rounds} rounds, ef {ef}: recall@10 {worn:.4}, of a fresh build {fresh:.4}");
        assert!(worn >= fresh - 0.01, "seed 3, ef {ef}: {worn} {fresh}");
    }
    let (files, fresh_files) = (bytes_of_files(&fs, &worn_dir), bytes_of_files(&fs, &fresh_dir));
    let (memory, fresh_memory) = (worn_view.bytes(), fresh_view.bytes());
    let segments = worn_view.segments().count();
    println!(
        "{segments} segments; files {files} bytes, fresh {fresh_files}; memory {memory} bytes, fresh {fresh_memory}"
    );
    assert!(files * 2 <= fresh_files * 3 && memory * 2 <= fresh_memory * 3);
}
