//! `vicino load`: a data set into a running server, over HTTP.

use anyhow::ensure;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use vicino_datasets::Dataset;

use super::recall::{self, K, Recall};
use super::remote::{DEFAULT_URL, Remote};
use super::{open_dataset, rows, vector_params};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vicino load digits-64-euclidean
  vicino load fashion-mnist-784-euclidean --check-recall
  vicino load ./my-vectors --collection mine --url http://127.0.0.1:7000")]
pub(super) struct Load {
    /// A data set's name, or a path
    #[arg(value_name = "NAME|PATH")]
    dataset: String,
    /// The server
    #[arg(long, default_value = DEFAULT_URL)]
    url: String,
    /// The collection, made if missing; by default it has the data set's name
    #[arg(long, value_name = "NAME")]
    collection: Option<String>,
    /// Points sent at a time
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    /// Afterwards ask for the neighbours of every test vector and print the recall
    #[arg(long)]
    check_recall: bool,
}

#[derive(Deserialize)]
struct Points {
    points: Vec<FoundId>,
}

#[derive(Deserialize)]
struct FoundId {
    id: u64,
}

#[derive(Serialize)]
struct Upsert<'a> {
    points: Vec<PointOut<'a>>,
}

#[derive(Serialize)]
struct PointOut<'a> {
    id: u64,
    vector: &'a [f32],
}

#[derive(Serialize)]
struct QueryBatch<'a> {
    searches: Vec<Query<'a>>,
}

#[derive(Serialize)]
struct Query<'a> {
    query: &'a [f32],
    limit: usize,
}

impl Load {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut dataset = open_dataset(&self.dataset)?;
        let name = self.collection.clone().unwrap_or_else(|| dataset.name.clone());
        let server = Remote::new(&self.url, &name);
        if !server.exists()? {
            server.create(&vector_params(&dataset)?)?;
        }
        self.upload(&server, &dataset)?;
        if self.check_recall {
            self.check_recall(&server, &mut dataset)?;
        }
        Ok(())
    }

    fn upload(&self, server: &Remote, dataset: &Dataset) -> anyhow::Result<()> {
        let vectors = rows(&dataset.train);
        let bar = progress("uploading", vectors.len());
        let ids: Vec<u64> = (0..vectors.len() as u64).collect();
        let size = self.batch as usize;
        for (ids, vectors) in ids.chunks(size).zip(vectors.chunks(size)) {
            let points = ids.iter().zip(vectors).map(|(&id, vector)| PointOut { id, vector }).collect();
            let _: Value = server.send("PUT", "/points?wait=true", &Upsert { points })?;
            bar.inc(vectors.len() as u64);
        }
        bar.finish_and_clear();
        println!("{} points in {}", vectors.len(), server.address());
        Ok(())
    }

    fn check_recall(&self, server: &Remote, dataset: &mut Dataset) -> anyhow::Result<()> {
        let truth = recall::truth(dataset)?;
        let queries = rows(&dataset.test);
        let bar = progress("asking", queries.len());
        let mut recall = Recall::default();
        let mut query = 0;
        for batch in queries.chunks(self.batch as usize) {
            let searches = batch.iter().map(|query| Query { query, limit: K }).collect();
            let answers: Vec<Points> = server.send("POST", "/points/query/batch", &QueryBatch { searches })?;
            ensure!(answers.len() == batch.len(), "{} answers to {} queries", answers.len(), batch.len());
            for answer in answers {
                recall.add(&truth, query, answer.points.iter().map(|point| point.id));
                query += 1;
            }
            bar.inc(batch.len() as u64);
        }
        bar.finish_and_clear();
        println!("recall@{K} {:.4} over {query} queries, at the server's default settings", recall.value());
        Ok(())
    }
}

fn progress(what: &'static str, of: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {bar:40} {pos}/{len} {per_sec} {eta}").expect("a valid template");
    ProgressBar::new(of as u64).with_style(style).with_message(what)
}
