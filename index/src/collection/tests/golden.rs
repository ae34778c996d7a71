//! Folders that an earlier build wrote, committed: they open, are sound and answer as they did, for as long as their format is read.
//!
//! `tests/data/collection-F/KIND` is a folder of format F, one for each kind of index, each with a merged segment with a graph, a sealed
//! one without, dead rows in both, indexed fields, and changes in the log; `KIND.json` is what was in it and what it answered. They were
//! written by
//!
//! ```text
//! cargo test -p vicino-index write_the_golden_folders -- --ignored
//! ```
//!
//! which is run again only for a new format, under its number, or a new kind: it writes those that are missing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::workload::{Kind, below, id, options};
use super::{DIM, Random, near, score};
use crate::collection::manifest::FORMAT;
use crate::collection::{
    Change, Collection, NamedVector, Options, Payload, PayloadEdit, Point, PointVectors, Search, SharedCollection,
    SyncMode, VectorSet, verify,
};
use crate::filter::{FieldType, IndexedField};
use crate::vfs::RealFs;
use crate::{BuildOptions, Effort, PointId};

/// What a folder holds and answers.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Golden {
    operation: u64,
    sum: String,
    note: Payload,
    fields: Vec<String>,
    points: Vec<Held>,
    answers: Vec<Answer>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Held {
    id: PointId,
    version: u64,
    vector: Vectors,
    payload: Payload,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Vectors {
    One(Vec<f32>),
    Named(BTreeMap<String, Vec<f32>>),
}

/// The vector that is searched for.
fn using(vectors: &VectorSet) -> &NamedVector {
    vectors.iter().next().expect("a vector")
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Answer {
    query: Vec<f32>,
    /// Only points whose `a` is below.
    below: Option<u64>,
    scores: Vec<f32>,
    /// Of the graph's walk, as far as it may go.
    ids: Vec<PointId>,
}

impl Golden {
    fn of(collection: &Collection) -> Self {
        let mut random = Random(5);
        let points = collection.scroll(PointId::FIRST).map(|point| Held {
            id: point.id(),
            version: point.version(),
            vector: match point.vector("") {
                Some(vector) => Vectors::One(vector),
                None => Vectors::Named(point.vectors().into_iter().collect()),
            },
            payload: point.payload(),
        });
        let answers = (0..12).map(|number| {
            let (query, below) = (random.vector(), (number % 3 == 2).then(|| 30 + number));
            Answer { below, ..answer(collection, query, below) }
        });
        Golden {
            operation: collection.operation(),
            sum: format!("{:032x}", collection.sum()),
            note: collection.schema().note.clone(),
            fields: collection.fields().iter().map(|field| field.name().to_owned()).collect(),
            answers: answers.collect(),
            points: points.collect(),
        }
    }
}

fn answer(collection: &Collection, query: Vec<f32>, below_a: Option<u64>) -> Answer {
    let filter = below_a.map(below);
    let using = using(&collection.schema().vectors).name();
    let search = Search { effort: Some(Effort::Beam(200)), filter: filter.as_ref(), using, ..Search::new(10) };
    let found = collection.search(&query, search).unwrap();
    let (scores, ids) = found.iter().map(|found| (found.score, found.point.id())).unzip();
    Answer { query, below: below_a, scores, ids }
}

fn folder(format: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/collection-{format}"))
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Whole => "whole",
        Kind::Fractions => "fractions",
        Kind::Compact => "compact",
        Kind::Plain => "plain",
        Kind::Named => "named",
    }
}

/// The kinds that are committed of each format; format 4 had neither named vectors nor a choice of layouts.
const COMMITTED: [(u32, &[Kind]); 2] = [(4, &[Kind::Whole, Kind::Fractions, Kind::Plain]), (FORMAT, &Kind::ALL)];

fn golden_options() -> Options {
    Options { reserve_bytes: 0, log_file_bytes: 2000, ..options(SyncMode::Always) }
}

/// Opens a copy, for opening changes what is there.
fn reopened(format: u32, kind: Kind) {
    let scratch = tempfile::tempdir().unwrap();
    let (from, home) = (folder(format).join(name(kind)), scratch.path().join("c"));
    fs::create_dir(&home).unwrap();
    for entry in fs::read_dir(&from).unwrap_or_else(|error| panic!("{}: {error}", from.display())) {
        let entry = entry.unwrap();
        fs::copy(entry.path(), home.join(entry.file_name())).unwrap();
    }
    let text = fs::read(folder(format).join(format!("{}.json", name(kind)))).unwrap();
    let expected: Golden = serde_json::from_slice(&text).unwrap();

    let (inspection, graphs) = verify(&RealFs, &home).unwrap();
    let context = format!("format {format}, {kind:?}: {inspection:?}");
    let sealed = || inspection.segments.iter().filter(|segment| segment.number > 0);
    assert!(!graphs.is_empty() && inspection.log.changes > 3 && inspection.log.torn_bytes == 0, "{context}");
    assert!(sealed().any(|segment| segment.kind.is_graph() && segment.dead > 0), "{context}");
    assert!(sealed().any(|segment| !segment.kind.is_graph() && segment.dead > 0), "{context}");

    let shared = SharedCollection::open(Arc::new(RealFs), &home, golden_options()).unwrap();
    let found = Golden::of(&shared.read());
    assert_eq!((found.operation, &found.sum, &found.note), (expected.operation, &expected.sum, &expected.note));
    assert_eq!((&found.fields, &found.points), (&expected.fields, &expected.points), "{context}");
    let (view, vectors) = (shared.read(), kind.schema().vectors);
    let (using, spec) = (using(&vectors).name(), using(&vectors).spec());
    assert_eq!(view.schema(), &kind.schema());
    for (expected, found) in expected.answers.iter().zip(&found.answers) {
        assert_eq!((&found.query, found.ids.len()), (&expected.query, expected.ids.len()));
        // Kernels may round differently, and points that are as near may change places.
        for ((id, &best), &is) in found.ids.iter().zip(&expected.scores).zip(&found.scores) {
            let truth = score(spec.metric(), &found.query, &view.get(*id).unwrap().vector(using).unwrap());
            assert!(near(spec, is, best) && near(spec, is, truth), "{context}: {found:?} is not {expected:?}");
        }
    }
    // It goes on, in the format of this build, with the same points.
    shared.compact(&BuildOptions::default()).unwrap();
    assert_eq!(shared.read().sum(), view.sum());
    drop((shared, view));
    assert_eq!(verify(&RealFs, &home).unwrap().0.points, expected.points.len());
}

#[test]
fn folders_of_every_format_open_for_ever() {
    for (format, kinds) in COMMITTED {
        kinds.iter().for_each(|&kind| reopened(format, kind));
    }
}

#[test]
#[ignore = "writes committed files: run it by name for a new format or kind"]
fn write_the_golden_folders() {
    let missing = |kind: &Kind| !folder(FORMAT).join(name(*kind)).exists();
    for kind in Kind::ALL.into_iter().filter(missing) {
        let home = folder(FORMAT).join(name(kind));
        let vfs = Arc::new(RealFs);
        let shared = SharedCollection::create(vfs, &home, kind.schema(), golden_options()).unwrap();
        let mut random = Random(FORMAT.into());
        let mut points = |numbers: std::ops::Range<u64>| {
            let point = |number: u64| {
                let scale = if matches!(kind, Kind::Fractions | Kind::Compact) { 0.37 } else { 1.0 };
                let mut vector = || random.vector().into_iter().map(|x| x * scale).collect::<Vec<f32>>();
                // Two of three have one, and two of three the other.
                let vectors: PointVectors = match kind {
                    Kind::Named => {
                        let names = ["a", "b"].into_iter().zip([0, 1]).filter(|(_, missing)| number % 3 != *missing);
                        names.map(|(name, _)| (name, vector())).collect()
                    }
                    _ => vector().into(),
                };
                let payload = serde_json::json!({"a": number, "b": ["x", number % 3], "c": {"d": 0.1 * number as f64}});
                Point { id: id(number), vectors, payload: payload.as_object().unwrap().clone() }
            };
            Change::Upsert(numbers.map(point).collect())
        };
        let ids = |numbers: std::ops::Range<u64>| numbers.map(id).collect::<Vec<_>>();
        let set = |key: &str, value: u64| Payload::from_iter([(key.to_owned(), value.into())]);
        shared.write(Change::AddField(IndexedField::new("a", FieldType::Integer).unwrap())).unwrap();
        shared.write(points(0..60)).unwrap();
        shared.compact(&BuildOptions::default()).unwrap();
        shared.write(points(50..70)).unwrap();
        shared.checkpoint().unwrap();
        shared.write(Change::Delete(ids(3..7))).unwrap();
        shared.write(points(66..72)).unwrap();
        shared.checkpoint().unwrap();
        shared.write(points(71..90)).unwrap();
        shared.write(Change::AddField(IndexedField::new("b", FieldType::Keyword).unwrap())).unwrap();
        shared.write(Change::Payload(ids(10..14), PayloadEdit::Merge(set("new", 1)))).unwrap();
        shared.write(Change::Delete(ids(80..84))).unwrap();
        shared
            .write(Change::PayloadMatching(below(3), PayloadEdit::Remove(vec![vec!["c".into(), "d".into()]])))
            .unwrap();
        let golden = Golden::of(&shared.read());
        drop(shared);
        let _ = ["lock", "reserve"].map(|name| fs::remove_file(home.join(name)));
        let text = serde_json::to_vec(&golden).unwrap();
        fs::write(folder(FORMAT).join(format!("{}.json", name(kind))), text).unwrap();
    }
}

const _: () = assert!(DIM == 4, "what is committed has so many dimensions");
