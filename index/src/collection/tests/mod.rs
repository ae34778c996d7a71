//! A collection compared with a map and brute force under random updates; and one in a folder under every fault there is.
//!
//! workload: changes, and what a collection holds after each · crash: loss of power at every call · damage: every byte · failures: every
//! call fails · model: long runs with restarts · named: vectors that come, go and come back · concurrent: readers beside merges ·
//! churn: points replaced again and again · layouts: graphs of each layout, chosen and searched · sketches: scans by codes · snapshots: files of one moment, and those of other versions ·
//! golden: folders of earlier builds · mutants: each safeguard off, and the tests above fail

use std::collections::BTreeMap;

use serde_json::json;

use self::workload::id;
use super::*;
use crate::{ElementType, Metric, VectorSpec};

mod churn;
mod concurrent;
mod crash;
mod damage;
mod failures;
mod golden;
mod joints;
mod layouts;
mod model;
mod mutants;
mod named;
mod sketches;
mod snapshots;
mod workload;

const DIM: usize = 4;

/// SplitMix64: small, seeded, good enough to choose test cases.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    /// Small integers, so that distances tie often and every element type holds them.
    fn vector(&mut self) -> Vec<f32> {
        (0..DIM).map(|_| self.below(12) as f32).collect()
    }
}

fn schema(metric: Metric, element: ElementType, full_scan_bytes: usize) -> Schema {
    let vectors = VectorSpec::new(DIM, metric, element).unwrap();
    Schema { hnsw: HnswParams::new(8, 64), full_scan_bytes, ..Schema::new(vectors) }
}

fn point(id: impl Into<PointId>, vector: Vec<f32>) -> Point {
    let id = id.into();
    let payload = json!({ "id": id, "text": format!("point {id}") });
    Point { id, vectors: vector.into(), payload: payload.as_object().unwrap().clone() }
}

fn upsert(collection: &mut Collection, batch: Vec<Point>) -> Result<u64, UpsertError> {
    collection.upsert(batch)
}

/// What a collection should hold.
#[derive(Default)]
struct Model {
    points: BTreeMap<PointId, (Vec<f32>, u64)>,
}

impl Model {
    /// The user's scores of all points but `except`, nearest first.
    fn scores(&self, metric: Metric, query: &[f32], except: Option<PointId>) -> Vec<f32> {
        let others = self.points.iter().filter(|(id, _)| Some(**id) != except);
        let mut scores: Vec<f32> = others.map(|(_, (vector, _))| score(metric, query, vector)).collect();
        scores.sort_by(f32::total_cmp);
        if metric.larger_is_nearer() {
            scores.reverse();
        }
        scores
    }
}

fn score(metric: Metric, a: &[f32], b: &[f32]) -> f32 {
    let sum = |f: fn(f32, f32) -> f32| a.iter().zip(b).map(|(&x, &y)| f(x, y)).sum::<f32>();
    let norm = |v: &[f32]| v.iter().map(|x| x * x).sum::<f32>().sqrt();
    match metric {
        Metric::L2 => sum(|x, y| (x - y) * (x - y)).sqrt(),
        Metric::L1 => sum(|x, y| (x - y).abs()),
        Metric::Dot => sum(|x, y| x * y),
        Metric::Cosine if norm(a) == 0.0 || norm(b) == 0.0 => 0.0,
        Metric::Cosine => sum(|x, y| x * y) / (norm(a) * norm(b)),
        Metric::Hamming => unreachable!("not tested here"),
    }
}

/// Equal up to the rounding of a few sums; half floats hold cosine's scaled vectors to 11 bits.
fn near(vectors: VectorSpec, a: f32, b: f32) -> bool {
    let rounding = if vectors.element() == ElementType::F16 && vectors.normalises() { 2e-3 } else { 1e-5 };
    (a - b).abs() <= rounding * (1.0 + a.abs())
}

/// Random upserts, deletes and searches; every answer is checked, and exact ones are compared with brute force.
fn run_model(seed: u64, schema: Schema, operations: usize) -> f64 {
    let context = format!("seed {seed}, {schema:?}");
    let (vectors, exact) = (schema.vectors.unnamed().unwrap(), schema.full_scan_bytes > 0);
    let metric = vectors.metric();
    let mut random = Random(seed);
    let mut collection = Collection::new(schema).unwrap();
    let mut model = Model::default();
    let (mut right, mut asked) = (0, 0);
    for operation in 1..=operations as u64 {
        if random.below(3) > 0 {
            let ids: Vec<PointId> = (0..=random.below(8)).map(|_| id(random.below(200))).collect();
            let batch: Vec<Point> = ids.iter().map(|&id| point(id, random.vector())).collect();
            let stored = batch.iter().map(|point| (point.id, (point.vectors.get("").unwrap().to_vec(), operation)));
            model.points.extend(stored.collect::<Vec<_>>());
            assert_eq!(upsert(&mut collection, batch), Ok(operation), "{context}");
        } else {
            let ids: Vec<PointId> = (0..random.below(12)).map(|_| id(random.below(200))).collect();
            ids.iter().for_each(|id| drop(model.points.remove(id)));
            assert_eq!(collection.delete(&ids), operation, "{context}");
        }
        let (query, k) = (random.vector(), 1 + random.below(20) as usize);
        let except = Some(id(random.below(200))).filter(|_| random.below(2) == 0);
        let found =
            collection.search(&query, Search { effort: Some(Effort::Beam(64)), except, ..Search::new(k) }).unwrap();
        let scores = model.scores(metric, &query, except);
        assert_eq!(found.len(), k.min(scores.len()), "{context}, operation {operation}");
        for (found, &best) in found.iter().zip(&scores) {
            let (vector, version) = &model.points[&found.point.id()];
            assert_eq!(found.point.version(), *version, "{context}, operation {operation}");
            assert!(Some(found.point.id()) != except, "{context}, operation {operation}");
            let true_score = score(metric, &query, vector);
            assert!(
                near(vectors, found.score, true_score),
                "{context}, operation {operation}: {} is {true_score}",
                found.score
            );
            assert!(
                !exact || near(vectors, found.score, best),
                "{context}, operation {operation}: {} not {best}",
                found.score
            );
            right += usize::from(near(vectors, found.score, best));
            asked += 1;
        }
        assert_eq!(collection.sum_of_stored(), collection.sum(), "{context}, operation {operation}");
        assert!(collection.segments().count() <= 12, "{context}: {:?}", collection.segments().collect::<Vec<_>>());
        if random.below(20) == 0 {
            collection.compact(&BuildOptions::default());
            collection.check().unwrap_or_else(|fault| panic!("{context}, operation {operation}: {fault}"));
            assert_eq!((collection.rows(), collection.segments().count()), (collection.len(), 1), "{context}");
        }
    }
    assert_equal(&collection, &model, &context);
    right as f64 / asked as f64
}

/// Everything stored, in order of ids.
fn assert_equal(collection: &Collection, model: &Model, context: &str) {
    let vectors = collection.schema().vectors.unnamed().unwrap();
    assert_eq!(collection.len(), model.points.len(), "{context}");
    for (found, (&id, (vector, version))) in collection.scroll(PointId::FIRST).zip(&model.points) {
        assert_eq!((found.id(), found.version(), &found.payload()["id"]), (id, *version, &json!(id)), "{context}");
        let scale = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        let scale = if vectors.normalises() && scale > 0.0 { scale } else { 1.0 };
        assert!(
            found.vector("").unwrap().iter().zip(vector).all(|(&x, &y)| near(vectors, x, y / scale)),
            "{context}, point {id}"
        );
    }
    for middle in [id(100), id(101)] {
        let rest = collection.scroll(middle).map(|point| point.id());
        assert!(rest.eq(model.points.range(middle..).map(|(&id, _)| id)), "{context}");
    }
}

#[test]
fn exact_answers_are_those_of_brute_force() {
    for metric in [Metric::L2, Metric::Dot, Metric::Cosine, Metric::L1] {
        for (seed, element) in [(1, ElementType::F32), (2, ElementType::F16), (3, ElementType::U8)] {
            run_model(seed, schema(metric, element, usize::MAX), 150);
        }
    }
}

#[test]
fn the_graph_answers_nearly_as_well() {
    for metric in [Metric::L2, Metric::Dot, Metric::Cosine, Metric::L1] {
        for layout in [LayoutPolicy::default(), LayoutPolicy::Hnsw, LayoutPolicy::Compact] {
            let recall = run_model(4, Schema { layout, ..schema(metric, ElementType::F32, 0) }, 150);
            // A beam of 64 over at most 200 live points of few dimensions misses next to nothing. Inner products obey no triangle
            // inequality, so what hides a neighbour there may be no way to it.
            let bound = if metric == Metric::Dot { 0.95 } else { 0.97 };
            assert!(recall >= bound, "{metric}, {layout:?}, seed 4: {recall}");
        }
    }
}

#[test]
fn a_bad_batch_changes_nothing() {
    let mut collection = Collection::new(schema(Metric::L2, ElementType::F32, 0)).unwrap();
    upsert(&mut collection, vec![point(1, vec![1.0; DIM])]).unwrap();
    for bad in [vec![1.0; DIM + 1], vec![], vec![f32::NAN; DIM], vec![f32::INFINITY; DIM]] {
        let batch =
            vec![point(2, vec![2.0; DIM]), point(1, vec![3.0; DIM]), point(9, bad.clone()), point(9, vec![0.0; DIM])];
        let error = upsert(&mut collection, batch).unwrap_err();
        assert!(matches!(error, UpsertError::Vectors { id: PointId::Integer(9), .. }), "{bad:?}: {error}");
        let held: Vec<_> = collection
            .scroll(PointId::FIRST)
            .map(|point| (point.id(), point.vector("").unwrap(), point.version()))
            .collect();
        assert_eq!(held, [(PointId::Integer(1), vec![1.0; DIM], 1)]);
    }
    let nested = |levels| (1..levels).fold(json!({}), |inner, _| json!({ "in": inner })).as_object().unwrap().clone();
    let with_payload = |levels| vec![Point { payload: nested(levels), ..point(3, vec![0.0; DIM]) }];
    assert_eq!(upsert(&mut collection, with_payload(101)), Err(UpsertError::Depth { id: PointId::Integer(3) }));
    assert_eq!(upsert(&mut collection, with_payload(100)), Ok(2));
    assert_eq!(upsert(&mut collection, vec![]), Ok(3));
}

#[test]
fn an_empty_collection_checks_the_query_and_finds_nothing() {
    let mut collection = Collection::new(schema(Metric::Cosine, ElementType::F32, 0)).unwrap();
    assert!(collection.search(&[0.5; DIM], Search::new(10)).unwrap().is_empty());
    assert!(collection.search(&[0.5; 2], Search::new(10)).is_err());
    upsert(&mut collection, vec![point(1, vec![0.0; DIM])]).unwrap();
    let found = collection.search(&[0.5; DIM], Search::new(usize::MAX)).unwrap();
    assert_eq!((found.len(), found[0].score, found[0].point.vector("").unwrap()), (1, 0.0, vec![0.0; DIM]));
    collection.delete(&[PointId::Integer(1), PointId::Integer(1), PointId::Integer(5)]);
    assert!(collection.is_empty() && collection.get(PointId::Integer(1)).is_none());
    assert!(collection.search(&[0.5; DIM], Search { exact: true, ..Search::new(3) }).unwrap().is_empty());
}

/// A replay whose points are not those the log was written upon stops at once. Its sums hold for any log that was written, so this
/// one is made up.
fn replay_checks_its_sum() -> Result<(), String> {
    let mut collection = Collection::new(schema(Metric::L2, ElementType::F32, 0)).unwrap();
    let record = record::Record::Delete(vec![PointId::Integer(1)]).encode();
    let mut group = |first, sum| {
        let end = crate::wal::Position::default();
        home::replay(&mut collection, &crate::wal::Group { end, first, sum, records: vec![&record], bytes: 0 })
    };
    group(1, 0)?;
    for (first, sum) in [(1, 0), (3, 0), (2, 5)] {
        if group(first, sum).is_ok() {
            return Err(format!("operation {first} upon sum {sum} was replayed after operation 1 upon sum 0"));
        }
    }
    Ok(())
}

#[test]
fn a_log_upon_other_points_is_not_replayed() {
    replay_checks_its_sum().unwrap();
}
