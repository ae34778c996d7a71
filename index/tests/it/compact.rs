//! The compact graph from outside: recall beside brute force at each number of bits, files and damage, threads, filters, copies, refusals.

use std::panic::{AssertUnwindSafe, catch_unwind};

use vicino_index::{
    BuildOptions, Code, CodeBits, Coded, CompactGraph, CompactParams, CompactScratch, CompactSearch, ElementType, Flat,
    Hit, Metric, OpenError, QuantizedGraph, QuantizedParams, Rows, Scratch, Slot, VectorSpec,
};

use crate::data::{Random, bits, clustered, gaussian};

fn spec(dim: usize, metric: Metric, element: ElementType) -> VectorSpec {
    VectorSpec::new(dim, metric, element).unwrap()
}

fn build(points: &[f32], spec: VectorSpec, threads: usize) -> CompactGraph {
    let options = BuildOptions { threads, progress: None };
    CompactGraph::build(spec, CompactParams::default(), Rows::new(points, spec.dim()).unwrap(), &options).unwrap()
}

fn search(index: &CompactGraph, query: &[f32], params: CompactSearch) -> Vec<Hit> {
    let mut hits = Vec::new();
    index.search(query.into(), params, &mut CompactScratch::new(), &mut hits).unwrap();
    hits
}

fn saved(index: &CompactGraph) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    index.save(folder.path().join("index")).unwrap();
    std::fs::read(folder.path().join("index")).unwrap()
}

/// The exact 10 nearest of each query.
fn exact(points: &[f32], queries: &[f32], dim: usize, metric: Metric) -> Vec<Vec<Hit>> {
    let flat = Flat::build(spec(dim, metric, ElementType::F32), Rows::new(points, dim).unwrap()).unwrap();
    let mut scratch = Scratch::new();
    let answer = |query: &[f32]| {
        let mut hits = Vec::new();
        flat.search(query.into(), 10, &mut scratch, &mut hits).unwrap();
        hits
    };
    queries.chunks(dim).map(answer).collect()
}

/// Recall@10 of what `answer` finds.
fn recall(exact: &[Vec<Hit>], queries: &[f32], mut answer: impl FnMut(&[f32]) -> Vec<Hit>) -> f64 {
    let dim = queries.len() / exact.len();
    let found = exact.iter().zip(queries.chunks(dim)).map(|(exact, query)| {
        let hits = answer(query);
        assert!(hits.is_sorted_by(|a, b| a.distance <= b.distance) && hits.len() == 10);
        exact.iter().filter(|hit| hits.iter().any(|found| found.slot == hit.slot)).count()
    });
    found.sum::<usize>() as f64 / (10 * exact.len()) as f64
}

/// Clustered points, far from their common centre and near one another, which is hard on codes. Nearly all neighbours are found however few
/// bits are walked on; where vectors are kept a few more are, at the distances of brute force.
#[test]
fn recall_beside_brute_force() {
    let seed = 7;
    for (dim, metric, element) in [
        (24, Metric::L2, ElementType::F32),
        (100, Metric::L2, ElementType::F16),
        (96, Metric::Cosine, ElementType::F32),
        (160, Metric::Cosine, ElementType::F16),
    ] {
        let (points, queries) = (clustered(seed, 4000, dim), clustered(seed + 1, 60, dim));
        let (spec, rows) = (spec(dim, metric, element), Rows::new(&points, dim).unwrap());
        let graph = QuantizedGraph::build(spec, QuantizedParams::default(), rows, &BuildOptions::default()).unwrap();
        let exact = exact(&points, &queries, dim, metric);
        let kept = CompactGraph::of(graph.clone(), true);
        let index = CompactGraph::of(graph, false);
        index.check().unwrap();
        assert!(index.index_bytes() < kept.index_bytes());
        for (bits, least) in [(CodeBits::Two, 0.92), (CodeBits::Four, 0.94), (CodeBits::Eight, 0.94)] {
            let params = CompactSearch { bits, ..CompactSearch::new(10, 0.2) };
            let found = recall(&exact, &queries, |query| search(&index, query, params));
            assert!(found >= least, "seed {seed}, {dim} {metric} {element} {bits:?}: {found}");
            let found = recall(&exact, &queries, |query| search(&kept, query, params));
            assert!(found >= 0.96, "seed {seed}, {dim} {metric} {element} {bits:?}, kept: {found}");
        }
        for (exact, query) in exact.iter().zip(queries.chunks(dim)) {
            let hits = search(&kept, query, CompactSearch::new(10, 0.2));
            for hit in hits.iter().filter(|hit| element == ElementType::F32 && exact.iter().any(|e| e.slot == hit.slot))
            {
                let same = exact.iter().find(|exact| exact.slot == hit.slot).unwrap();
                assert!((same.distance - hit.distance).abs() <= 1e-5 * same.distance.abs().max(1.0));
            }
        }
    }
}

/// What codes find without a graph: nearly all within twice as many at four bits, and at eight within one more.
#[test]
fn codes_find_neighbours_one_by_one() {
    let (dim, seed) = (96, 3);
    let (points, queries) = (gaussian(seed, 3000, dim), gaussian(seed + 1, 40, dim));
    for metric in [Metric::L2, Metric::Cosine, Metric::Dot] {
        let exact = exact(&points, &queries, dim, metric);
        for (code, k, least) in [
            (Code::Full, 10, 1.0),
            (Code::Byte, 11, 0.99),
            (Code::Nested(CodeBits::Eight), 11, 0.99),
            (Code::Nested(CodeBits::Four), 20, 0.99),
            (Code::Nested(CodeBits::Two), 40, 0.9),
            (Code::Bit, 160, 0.5),
        ] {
            for rotated in [false, true] {
                let rows = Rows::new(&points, dim).unwrap();
                let coded = Coded::new(spec(dim, metric, ElementType::F32), code, rotated, rows).unwrap();
                let found = exact.iter().zip(queries.chunks(dim)).map(|(exact, query)| {
                    let mut hits = Vec::new();
                    coded.search(query.into(), k, &mut hits).unwrap();
                    assert_eq!(hits.len(), k);
                    exact.iter().filter(|hit| hits.iter().any(|found| found.slot == hit.slot)).count()
                });
                let found = found.sum::<usize>() as f64 / (10 * exact.len()) as f64;
                assert!(found >= least, "seed {seed}, {metric} {code:?} rotated {rotated}: {found} within {k}");
            }
        }
    }
}

/// Whole numbers in a byte's range: distances are exact however few bits are walked on, and a query at a row is at distance 0 of it.
#[test]
fn whole_numbers_are_exact() {
    let mut random = Random::new(5);
    let points: Vec<f32> = (0..2000 * 20).map(|_| random.below(256) as f32).collect();
    let index = build(&points, spec(20, Metric::L2, ElementType::F32), 0);
    assert!(index.is_lossless());
    let mut vector = Vec::new();
    for (slot, row) in points.chunks(20).enumerate().step_by(97) {
        index.vector(Slot(slot as u32), &mut vector);
        assert_eq!(vector, row);
        for bits in [CodeBits::Two, CodeBits::Four, CodeBits::Eight] {
            let hits = search(&index, row, CompactSearch { bits, ..CompactSearch::new(5, 0.3) });
            assert_eq!((hits[0].slot.index(), hits[0].distance), (slot, 0.0));
            for hit in hits {
                let other = &points[hit.slot.index() * 20..][..20];
                assert_eq!(hit.distance, row.iter().zip(other).map(|(a, b)| (a - b) * (a - b)).sum::<f32>());
            }
        }
    }
}

/// What is kept of a row is near it, however few dimensions there are.
#[test]
fn a_row_is_kept_nearly() {
    for (dim, metric) in [(3, Metric::L2), (100, Metric::L2), (200, Metric::Cosine)] {
        let points = gaussian(4, 300, dim);
        let index = build(&points, spec(dim, metric, ElementType::F32), 0);
        let mut kept = Vec::new();
        for (slot, row) in points.chunks(dim).enumerate() {
            index.vector(Slot(slot as u32), &mut kept);
            let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
            let scale = if metric == Metric::Cosine { norm } else { 1.0 };
            let error = row.iter().zip(&kept).map(|(a, b)| (a - scale * b).powi(2)).sum::<f32>().sqrt();
            assert!(kept.len() == dim && error < 0.02 * norm.max(1.0), "{dim} {metric} row {slot}: {error} of {norm}");
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
    for (metric, element, keep_vectors, whole) in [
        (Metric::L2, ElementType::F32, false, false),
        (Metric::Cosine, ElementType::F16, true, false),
        (Metric::L2, ElementType::U8, true, true),
    ] {
        let mut points = clustered(2, 1200, 36);
        points.extend_from_within(..30 * 36);
        if whole {
            points.iter_mut().for_each(|x| *x = (8.0 * *x + 128.0).round().clamp(0.0, 255.0));
        }
        let params = CompactParams { keep_vectors, ..CompactParams::default() };
        let rows = Rows::new(&points, 36).unwrap();
        let index = CompactGraph::build(spec(36, metric, element), params, rows, &BuildOptions::default()).unwrap();
        let path = folder.path().join(metric.name());
        index.save(&path).unwrap();
        let opened = CompactGraph::open(&path).unwrap();
        let describe = |index: &CompactGraph| {
            (index.len(), index.spec(), index.params(), index.check().unwrap(), index.index_bytes())
        };
        assert_eq!(describe(&opened), describe(&index));
        for query in clustered(3, 20, 36).chunks(36) {
            let query: Vec<f32> = query.iter().map(|x| if whole { (8.0 * x + 128.0).round() } else { *x }).collect();
            let params = CompactSearch::new(10, 0.1);
            assert_eq!(bits(&search(&opened, &query, params)), bits(&search(&index, &query, params)));
        }
        assert_eq!(saved(&opened), std::fs::read(&path).unwrap());
    }
}

/// Walks side by side find what each finds alone.
#[test]
fn a_batch_answers_as_single_searches_do() {
    let (points, queries) = (clustered(2, 2000, 40), clustered(3, 50, 40));
    let index = build(&points, spec(40, Metric::Cosine, ElementType::F32), 0);
    let rows = Rows::new(&queries, 40).unwrap();
    let mut scratch = CompactScratch::new();
    for bits_read in [CodeBits::Two, CodeBits::Four, CodeBits::Eight] {
        let params = CompactSearch { bits: bits_read, ..CompactSearch::new(7, 0.1) };
        let mut answers = vec![Vec::new(); 50];
        index.search_batch(rows, params, &mut scratch, |query, hits| answers[query] = bits(hits)).unwrap();
        for (query, answer) in queries.chunks(40).zip(&answers) {
            assert_eq!(*answer, bits(&search(&index, query, params)));
        }
    }
    let mut spoilt = queries.clone();
    spoilt[17 * 40 + 3] = f32::NAN;
    let rows = Rows::new(&spoilt, 40).unwrap();
    let (at, error) = index.search_batch(rows, CompactSearch::default(), &mut scratch, |_, _| ()).unwrap_err();
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
    let hits = search(&index, &points[5 * 16..6 * 16], CompactSearch::new(41, 0.1));
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
            let (mut hits, mut scratch) = (Vec::new(), CompactScratch::new());
            let params = CompactSearch::new(10, 0.3);
            index.search_filtered(query.into(), params, &accept, &mut scratch, &mut hits).unwrap();
            assert_eq!(hits.len(), 10.min(3000_usize.div_ceil(part)));
            assert!(hits.iter().all(|hit| accept(hit.slot)));
        }
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let build = |dim, metric, element, graph| {
        let points = vec![1.0; 4 * dim];
        let params = CompactParams { graph, keep_vectors: false };
        let rows = Rows::new(&points, dim).unwrap();
        CompactGraph::build(spec(dim, metric, element), params, rows, &BuildOptions::default())
    };
    let default = QuantizedParams::default();
    assert!(build(4, Metric::L1, ElementType::F32, default).unwrap_err().to_string().contains("expected"));
    assert!(build(4, Metric::L2, ElementType::I8, default).is_err());
    assert!(build(4, Metric::Cosine, ElementType::U8, default).unwrap_err().to_string().contains("u8 by l2"));
    let params = QuantizedParams { partitions: 0, ..default };
    assert!(build(4, Metric::L2, ElementType::F32, params).unwrap_err().to_string().contains("partitions is 0"));
    let index = build(4, Metric::L2, ElementType::F32, default).unwrap();
    let refused = |query: &[f32], k, slack| {
        let (mut scratch, mut hits) = (CompactScratch::new(), Vec::new());
        index.search(query.into(), CompactSearch::new(k, slack), &mut scratch, &mut hits).unwrap_err().to_string()
    };
    assert!(refused(&[1.0; 3], 1, 0.1).contains("expected 4, found 3"));
    assert!(refused(&[f32::INFINITY; 4], 1, 0.1).contains("not finite"));
    assert!(refused(&[f32::NAN; 4], 1, 0.1).contains("not finite"));
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
    let params = CompactSearch::new(10, 0.5);
    let expected = bits(&search(&index, &query, params));
    let refused = |damaged: &[u8], what: &str| {
        std::fs::write(&path, damaged).unwrap();
        let outcome = catch_unwind(AssertUnwindSafe(|| match CompactGraph::open(&path) {
            Ok(index) => Ok(bits(&search(&index, &query, params))),
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
