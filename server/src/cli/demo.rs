//! `vicino demo`: from texts to answers, or the nearest neighbours of a data set with the recall they have; then a server to
//! ask for more.

use std::time::Instant;

use clap::Args;
use indicatif::ProgressBar;
use serde_json::Map;
use vicino_datasets::Dataset;
use vicino_index::collection::{Collection, Found, Payload, Point, Schema, Search};
use vicino_index::{BuildOptions, ElementType, HnswParams, PointId, SearchParams, VectorSpec};

use super::recall::{self, K, Recall};
use super::serve::Address;
use super::{open_dataset, picture, rows, vector_params};
use crate::api::Encoders;
use crate::dto::HnswConfig;
use crate::store::{CollectionName, Store};

mod texts;

/// Neighbours shown of the first query.
const SHOWN: usize = 5;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vicino demo                                            3,478 nouns with their meanings, asked in plain words
  vicino demo \"a place to keep money\" \"who bakes bread?\"  your own questions
  vicino demo --dataset digits-64-euclidean              1,797 handwritten digits, which come with the program too
  vicino demo --dataset fashion-mnist-784-euclidean      a data set fetched before (`datasets fetch NAME`), or a path
  vicino demo --no-serve                                 the figures alone")]
pub(super) struct Demo {
    /// What to ask; without it, some questions are asked for you
    #[arg(value_name = "QUESTION", conflicts_with = "dataset")]
    questions: Vec<String>,
    /// Vectors in place of texts: a data set's name, or a path
    #[arg(long, value_name = "NAME|PATH")]
    dataset: Option<String>,
    /// Stop after the answers, or the figures
    #[arg(long)]
    no_serve: bool,
    #[command(flatten)]
    address: Address,
}

impl Demo {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Some(name) = &self.dataset else { return texts::run(&self.questions, self.no_serve, &self.address) };
        let mut dataset = open_dataset(name)?;
        let (rows, dim, queries) = (dataset.train.len(), dataset.train.dim(), dataset.test.len());
        println!(
            "{}: {rows} vectors of {dim} dimensions, {} distance, {queries} queries",
            dataset.name, dataset.metric
        );
        let (collection, vectors) = build(&dataset)?;
        measure(&collection, &mut dataset, &vectors)?;
        show(&collection, &dataset, &vectors)?;
        if self.no_serve {
            return Ok(());
        }
        let name = CollectionName::new("demo")?;
        let store = Store::in_memory();
        store.show(name.clone(), collection);
        self.address.serve(store, Encoders::default(), |address| {
            println!("\nask it for the neighbours of point 0:");
            println!(
                "curl -s http://{address}/collections/{name}/points/query -H 'Content-Type: application/json' \\\n  \
                 -d '{{\"query\": 0, \"limit\": {SHOWN}}}'"
            );
        })
    }
}

/// The collection, and the queries as numbers.
fn build(dataset: &Dataset) -> anyhow::Result<(Collection, Vec<Vec<f32>>)> {
    let dim = dataset.train.dim();
    let schema = Schema {
        hnsw: HnswParams::new(HnswConfig::DEFAULT_M, HnswConfig::DEFAULT_EF_CONSTRUCT),
        // What is measured is the graph, even where comparing every vector would be as fast.
        full_scan_bytes: 0,
        note: Map::from_iter([("vectors".into(), vector_params(dataset)?)]),
        ..Schema::new(VectorSpec::new(dim, dataset.metric, ElementType::F32)?)
    };
    let mut collection = Collection::new(schema)?;
    let batch = rows(&dataset.train).into_iter().zip(0..);
    let batch = batch
        .map(|(vector, id)| Point { id: PointId::Integer(id), vectors: vector.into(), payload: Payload::new() })
        .collect();
    let bar = ProgressBar::new(dataset.train.len() as u64);
    let progress = |done: usize, _: usize| bar.set_position(done as u64);
    let started = Instant::now();
    collection.upsert(batch)?;
    collection.compact(&BuildOptions { threads: 0, progress: Some(&progress) });
    bar.finish_and_clear();
    let seconds = started.elapsed().as_secs_f64();
    let HnswParams { m, ef_construction, .. } = collection.schema().hnsw;
    println!("built in {seconds:.2} s (m {m}, ef_construction {ef_construction})");
    for report in collection.check()? {
        let (nodes, twins, unreachable) = (report.nodes, report.twins, report.unreachable);
        let degree = report.mean_degree();
        println!("graph sound: {nodes} nodes, {twins} copies, {degree:.1} links each, {unreachable} unreachable");
    }
    Ok((collection, rows(&dataset.test)))
}

fn measure(collection: &Collection, dataset: &mut Dataset, queries: &[Vec<f32>]) -> anyhow::Result<()> {
    let truth = recall::truth(dataset)?;
    let mut recall = Recall::default();
    let started = Instant::now();
    let mut answers = Vec::with_capacity(queries.len());
    let row = |found: &Found<'_>| match found.point.id() {
        PointId::Integer(row) => row,
        PointId::Uuid(_) => unreachable!("points are numbered by row"),
    };
    for query in queries {
        let found = collection.search(query, Search::new(K))?;
        answers.push(found.iter().map(row).collect::<Vec<u64>>());
    }
    let seconds = started.elapsed().as_secs_f64();
    for (query, found) in answers.into_iter().enumerate() {
        recall.add(&truth, query, found);
    }
    println!(
        "recall@{K} {:.4} over {} queries against exact search, at ef {} (the default); {:.0} queries/s on one thread",
        recall.value(),
        queries.len(),
        SearchParams::DEFAULT_EF,
        queries.len() as f64 / seconds
    );
    Ok(())
}

/// Prints the nearest neighbours of the first query, as pictures if they are some.
fn show(collection: &Collection, dataset: &Dataset, queries: &[Vec<f32>]) -> anyhow::Result<()> {
    let Some(query) = queries.first() else { return Ok(()) };
    let found = collection.search(query, Search::new(SHOWN))?;
    println!("\nnearest to the first query, by {}:", dataset.metric);
    for found in &found {
        println!("  point {:<8} {:.4}", found.point.id(), found.score);
    }
    let pictures = std::iter::once(query.clone()).chain(found.iter().filter_map(|found| found.point.vector("")));
    if let Some(pictures) = picture::row(&pictures.collect::<Vec<Vec<f32>>>()) {
        println!("\nthe query, then these points:\n{pictures}");
    }
    Ok(())
}
