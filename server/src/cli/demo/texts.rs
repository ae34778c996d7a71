//! Texts to answers: nouns and their meanings, embedded and indexed, and asked in other words than they are written in.

use std::time::Instant;

use anyhow::Context;
use serde_json::json;
use vicino_embed::{DenseEncoder, Encoder, StaticEncoder, TextKind};
use vicino_index::collection::{Collection, Payload, Point, Schema, Search};
use vicino_index::{BuildOptions, ElementType, HnswParams, Metric, PointId, VectorSpec};

use crate::api::{Encoders, MODEL};
use crate::cli::serve::Address;
use crate::dto::{Distance, HnswConfig};
use crate::store::{CollectionName, Store};

/// A line for each entry: its words, a tab, what they mean. `server/data/README.md` says where they are from.
const ENTRIES: &str = include_str!("../../../data/words.tsv");

/// Asked where the caller asks nothing.
const QUESTIONS: [&str; 4] = [
    "where are ships built?",
    "somebody who repairs leaking pipes",
    "what do bees make?",
    "a flash of light in a storm",
];

/// Answers to a question.
const SHOWN: usize = 3;

/// The collection that is served.
const NAME: &str = "words";

pub(super) fn run(questions: &[String], no_serve: bool, address: &Address) -> anyhow::Result<()> {
    let collection = collection()?;
    let asked: Vec<&str> =
        if questions.is_empty() { QUESTIONS.to_vec() } else { questions.iter().map(String::as_str).collect() };
    let vectors = DenseEncoder::encode(StaticEncoder::builtin(), &asked, TextKind::Query)?;
    for (question, row) in asked.iter().zip(0..) {
        println!("\n{question}");
        for found in collection.search(vectors.row(row), Search::new(SHOWN))? {
            let payload = found.point.payload();
            let field = |name| payload.get(name).and_then(|text| text.as_str()).unwrap_or_default();
            println!("  {:.3}  {}: {}", found.score, field("words"), field("meaning"));
        }
    }
    if no_serve {
        return Ok(());
    }
    let name = CollectionName::new(NAME)?;
    let store = Store::in_memory();
    store.show(name, collection);
    address.serve(store, Encoders::default(), |address| {
        let body = json!({ "query": { "text": asked[0], "model": MODEL }, "limit": SHOWN, "with_payload": true });
        println!("\nask it something else:");
        println!(
            "curl -s http://{address}/collections/{NAME}/points/query -H 'Content-Type: application/json' \\\n  -d '{}'",
            body.to_string().replace('\'', "'\\''")
        );
    })
}

/// The entries, embedded and indexed.
fn collection() -> anyhow::Result<Collection> {
    let encoder = StaticEncoder::builtin();
    let entries: Vec<(&str, &str)> = ENTRIES
        .lines()
        .map(|line| line.split_once('\t').context("a tab in each line"))
        .collect::<anyhow::Result<_>>()?;
    let texts: Vec<String> = entries.iter().map(|(words, meaning)| format!("{words}: {meaning}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let started = Instant::now();
    let vectors = DenseEncoder::encode(encoder, &texts, TextKind::Document)?;
    let embedded = started.elapsed().as_secs_f64();
    let params = json!({ "size": encoder.dim(), "distance": Distance::of(Metric::Cosine) });
    let mut collection = Collection::new(Schema {
        hnsw: HnswParams::new(HnswConfig::DEFAULT_M, HnswConfig::DEFAULT_EF_CONSTRUCT),
        full_scan_bytes: 0,
        note: Payload::from_iter([("vectors".into(), params)]),
        ..Schema::new(VectorSpec::new(encoder.dim(), Metric::Cosine, ElementType::F32)?)
    })?;
    let points = entries.iter().enumerate().map(|(row, (words, meaning))| Point {
        id: PointId::Integer(row as u64),
        vectors: vectors.row(row).to_vec().into(),
        payload: Payload::from_iter([("words".into(), json!(words)), ("meaning".into(), json!(meaning))]),
    });
    let started = Instant::now();
    collection.upsert(points.collect())?;
    collection.compact(&BuildOptions::default());
    println!(
        "{} texts embedded in {embedded:.2} s by {} into {} dimensions, indexed in {:.2} s",
        texts.len(),
        encoder.model_id(),
        encoder.dim(),
        started.elapsed().as_secs_f64()
    );
    Ok(collection)
}
