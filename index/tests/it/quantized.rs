//! The quantized graph from outside: recall beside brute force, files and damage, threads, filters, copies, refusals.

use std::panic::{AssertUnwindSafe, catch_unwind};

use vicino_index::{
    BuildOptions, ElementType, Flat, Hit, Metric, OpenError, QuantizedGraph, QuantizedParams, QuantizedScratch,
    QuantizedSearch, Rows, Scratch, Slot, VectorSpec,
};

use crate::data::{Random, bits, clustered, gaussian};

fn spec(dim: usize, metric: Metric, element: ElementType) -> VectorSpec {
    VectorSpec::new(dim, metric, element).unwrap()
}

fn build(points: &[f32], spec: VectorSpec, threads: usize) -> QuantizedGraph {
    let options = BuildOptions { threads, progress: None };
    let rows = Rows::new(points, spec.dim()).unwrap();
    QuantizedGraph::build(spec, QuantizedParams::default(), rows, &options).unwrap()
}

fn search(index: &QuantizedGraph, query: &[f32], k: usize, slack: f32) -> Vec<Hit> {
    let mut hits = Vec::new();
    index.search(query.into(), QuantizedSearch::new(k, slack), &mut QuantizedScratch::new(), &mut hits).unwrap();
    hits
}

fn saved(index: &QuantizedGraph) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    index.save(folder.path().join("index")).unwrap();
    std::fs::read(folder.path().join("index")).unwrap()
}

/// Recall@10 over `queries`, by slots of the exact neighbours.
fn recall(points: &[f32], queries: &[f32], spec: VectorSpec, slack: f32) -> f64 {
    let index = build(points, spec, 0);
    index.check().unwrap();
    recall_of(&index, points, queries, slack)
}

fn recall_of(index: &QuantizedGraph, points: &[f32], queries: &[f32], slack: f32) -> f64 {
    let spec = index.spec();
    let floats = self::spec(spec.dim(), spec.metric(), ElementType::F32);
    let flat = Flat::build(floats, Rows::new(points, spec.dim()).unwrap()).unwrap();
    let (mut scratch, mut exact, mut found) = (Scratch::new(), Vec::new(), 0);
    for query in queries.chunks(spec.dim()) {
        flat.search(query.into(), 10, &mut scratch, &mut exact).unwrap();
        let hits = search(index, query, 10, slack);
        assert!(hits.is_sorted_by(|a, b| a.distance <= b.distance) && hits.len() == 10);
        found += exact.iter().filter(|hit| hits.iter().any(|found| found.slot == hit.slot)).count();
    }
    found as f64 / (queries.len() / spec.dim() * 10) as f64
}

/// Clustered points, as embeddings lie, are found all but surely; of points without structure a walk finds most.
#[test]
fn recall_beside_brute_force() {
    let seed = 7;
    for (dim, metric, element, least) in [
        (24, Metric::L2, ElementType::F32, 0.97),
        (100, Metric::L2, ElementType::F16, 0.97),
        (48, Metric::Cosine, ElementType::F32, 0.97),
        (96, Metric::Cosine, ElementType::F16, 0.97),
    ] {
        let (points, queries) = (clustered(seed, 4000, dim), clustered(seed + 1, 100, dim));
        let found = recall(&points, &queries, spec(dim, metric, element), 0.2);
        assert!(found >= least, "seed {seed}, {dim} {metric} {element}: {found}");
    }
    let found =
        recall(&gaussian(seed, 3000, 32), &gaussian(seed + 1, 100, 32), spec(32, Metric::L2, ElementType::F32), 0.3);
    assert!(found >= 0.95, "seed {seed}, no structure: {found}");
}

/// What the index expects of itself holds for queries that it does not know, and comes back from a file.
#[test]
fn expected_recall_is_met_by_unseen_queries() {
    let seed = 11;
    for (dim, metric) in [(32, Metric::L2), (64, Metric::Cosine)] {
        let all = gaussian(seed, 6500, dim);
        let (points, queries) = all.split_at(6000 * dim);
        let built = build(points, spec(dim, metric, ElementType::F32), 0);
        let folder = tempfile::tempdir().unwrap();
        built.save(folder.path().join("index")).unwrap();
        let index = QuantizedGraph::open(folder.path().join("index")).unwrap();
        for wanted in [0.8, 0.9, 0.97] {
            let params = index.with_recall(10, wanted);
            assert_eq!(params, built.with_recall(10, wanted));
            let expected = index.expected_recall(10, params.slack).unwrap();
            assert!(expected >= wanted - 1e-3, "seed {seed}, {dim} {metric}: {expected} expected, {wanted} wanted");
            let found = recall_of(&index, points, queries, params.slack);
            // Two samples, of 256 and 500 queries; a row that is passed over leaves gaps where a new one meets none.
            let gain = found - f64::from(expected);
            assert!(
                (-0.03..0.08).contains(&gain),
                "seed {seed}, {dim} {metric} at {}: {found}, expected {expected}",
                params.slack
            );
        }
    }
    let few = build(&gaussian(seed, 2, 8), spec(8, Metric::L2, ElementType::F32), 1);
    assert_eq!((few.expected_recall(1, 0.1), few.with_recall(1, 0.9)), (None, QuantizedSearch::new(1, 0.15)));
}

/// Whole numbers in a byte's range: distances are exact, and a query at a row is at distance 0 of it.
#[test]
fn whole_numbers_are_exact() {
    let mut random = Random::new(5);
    let points: Vec<f32> = (0..2000 * 20).map(|_| random.below(256) as f32).collect();
    let index = build(&points, spec(20, Metric::L2, ElementType::F32), 0);
    assert!(index.is_lossless());
    for (slot, row) in points.chunks(20).enumerate().step_by(97) {
        let hits = search(&index, row, 5, 0.3);
        assert_eq!((hits[0].slot.index(), hits[0].distance), (slot, 0.0));
        for hit in hits {
            let other = &points[hit.slot.index() * 20..][..20];
            assert_eq!(hit.distance, row.iter().zip(other).map(|(a, b)| (a - b) * (a - b)).sum::<f32>());
        }
    }
}

#[test]
fn threads_leave_no_trace() {
    let mut points = clustered(1, 1500, 20);
    points.extend_from_within(..100 * 20);
    let spec = spec(20, Metric::L2, ElementType::F32);
    let one = saved(&build(&points, spec, 1));
    for threads in [2, 3, 0] {
        assert!(saved(&build(&points, spec, threads)) == one, "{threads} threads make another file than 1");
    }
}

#[test]
fn an_opened_index_answers_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    for (metric, element) in [(Metric::L2, ElementType::F32), (Metric::Cosine, ElementType::F16)] {
        let mut points = clustered(2, 1200, 36);
        points.extend_from_within(..30 * 36);
        let index = build(&points, spec(36, metric, element), 0);
        let path = folder.path().join(metric.name());
        index.save(&path).unwrap();
        let opened = QuantizedGraph::open(&path).unwrap();
        let describe = |index: &QuantizedGraph| (index.len(), index.spec(), index.params(), index.check().unwrap());
        assert_eq!(describe(&opened), describe(&index));
        for query in clustered(3, 20, 36).chunks(36) {
            assert_eq!(bits(&search(&opened, query, 10, 0.1)), bits(&search(&index, query, 10, 0.1)));
        }
        assert_eq!(saved(&opened), std::fs::read(&path).unwrap());
    }
}

/// Walks side by side find what each finds alone.
#[test]
fn a_batch_answers_as_single_searches_do() {
    let (points, queries) = (clustered(2, 2000, 40), clustered(3, 50, 40));
    let index = build(&points, spec(40, Metric::Cosine, ElementType::F32), 0);
    let mut answers = vec![Vec::new(); 50];
    let rows = Rows::new(&queries, 40).unwrap();
    let params = QuantizedSearch::new(7, 0.1);
    let mut scratch = QuantizedScratch::new();
    index.search_batch(rows, params, &mut scratch, |query, hits| answers[query] = bits(hits)).unwrap();
    for (query, answer) in queries.chunks(40).zip(&answers) {
        assert_eq!(*answer, bits(&search(&index, query, 7, 0.1)));
    }
    let mut spoilt = queries.clone();
    spoilt[17 * 40 + 3] = f32::NAN;
    let rows = Rows::new(&spoilt, 40).unwrap();
    let (at, error) = index.search_batch(rows, params, &mut scratch, |_, _| ()).unwrap_err();
    assert!(at == 17 && error.to_string().contains("not finite"), "query {at}: {error}");
}

#[test]
fn copies_come_beside_one_another() {
    let mut points = clustered(4, 600, 16);
    for _ in 0..40 {
        points.extend_from_within(5 * 16..6 * 16);
    }
    let index = build(&points, spec(16, Metric::L2, ElementType::F32), 0);
    let report = index.check().unwrap();
    assert_eq!((report.nodes, report.twins), (600, 40));
    let hits = search(&index, &points[5 * 16..6 * 16], 41, 0.1);
    let mut slots: Vec<u32> = hits.iter().map(|hit| hit.slot.0).collect();
    slots.sort_unstable();
    assert_eq!(slots, [5].into_iter().chain(600..640).collect::<Vec<_>>());
}

#[test]
fn a_filter_lets_through_what_it_accepts_and_k_of_it() {
    let points = clustered(6, 3000, 24);
    let index = build(&points, spec(24, Metric::L2, ElementType::F32), 0);
    for part in [2, 10, 100, 1000] {
        let accept = |slot: Slot| slot.index().is_multiple_of(part);
        for query in clustered(8, 10, 24).chunks(24) {
            let mut hits = Vec::new();
            let mut scratch = QuantizedScratch::new();
            let params = QuantizedSearch::new(10, 0.3);
            index.search_filtered(query.into(), params, &accept, &mut scratch, &mut hits).unwrap();
            assert_eq!(hits.len(), 10.min(3000_usize.div_ceil(part)));
            assert!(hits.iter().all(|hit| accept(hit.slot)));
        }
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let build = |dim, metric, element, params| {
        let points = vec![1.0; 4 * dim];
        let rows = Rows::new(&points, dim).unwrap();
        QuantizedGraph::build(spec(dim, metric, element), params, rows, &BuildOptions::default())
    };
    let error = build(4, Metric::Dot, ElementType::F32, QuantizedParams::default()).unwrap_err().to_string();
    assert!(error.contains("dot") && error.contains("expected"), "{error}");
    assert!(build(4, Metric::L1, ElementType::F32, QuantizedParams::default()).is_err());
    assert!(build(4, Metric::L2, ElementType::I8, QuantizedParams::default()).is_err());
    let params = QuantizedParams { partitions: 0, ..QuantizedParams::default() };
    assert!(build(4, Metric::L2, ElementType::F32, params).unwrap_err().to_string().contains("partitions is 0"));
    let index = build(4, Metric::L2, ElementType::F32, QuantizedParams::default()).unwrap();
    let refused = |query: &[f32], k, slack| {
        let params = QuantizedSearch::new(k, slack);
        index.search(query.into(), params, &mut QuantizedScratch::new(), &mut Vec::new()).unwrap_err().to_string()
    };
    assert!(refused(&[1.0; 3], 1, 0.1).contains("expected 4, found 3"));
    assert!(refused(&[f32::INFINITY; 4], 1, 0.1).contains("not finite"));
    assert!(refused(&[1.0; 4], 0, 0.1).contains("k is 0"));
    assert!(refused(&[1.0; 4], 1, f32::NAN).contains("NaN"));
}

/// A bit of each byte of a small file flipped (of every fifth one behind the table), and the file cut at every length: refused, or read as it was.
#[test]
fn damage_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    let mut points = gaussian(8, 20, 8);
    points.extend_from_within(..5 * 8);
    let index = build(&points, spec(8, Metric::L2, ElementType::F32), 1);
    index.save(&path).unwrap();
    let file = std::fs::read(&path).unwrap();
    let query = gaussian(9, 1, 8);
    let expected = bits(&search(&index, &query, 10, 0.5));
    let refused = |damaged: &[u8], what: &str| {
        std::fs::write(&path, damaged).unwrap();
        let outcome = catch_unwind(AssertUnwindSafe(|| match QuantizedGraph::open(&path) {
            Ok(index) => Ok(bits(&search(&index, &query, 10, 0.5))),
            Err(error) => Err(error),
        }));
        match outcome.unwrap_or_else(|_| panic!("{what}: panicked")) {
            Ok(answer) => assert_eq!(answer, expected, "{what}"),
            Err(OpenError::Io { error, .. }) => panic!("{what}: {error}"),
            Err(_) => {}
        }
    };
    let mut random = Random::new(3);
    for at in (0..512).chain((512..file.len()).step_by(5)) {
        let mut damaged = file.clone();
        damaged[at] ^= 1 << random.below(8);
        refused(&damaged, &format!("bit flipped in byte {at}"));
    }
    for len in (0..file.len()).step_by(64) {
        refused(&file[..len], &format!("cut to {len} bytes"));
    }
}
