//! `vicino embed train`: a head over an encoder's frozen vectors, and what it gains.

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, ValueEnum};
use serde_json::json;
use vicino_embed::evaluate::beir::Collection;
use vicino_embed::evaluate::{Measures, Run, measure};
use vicino_embed::hybrid::best;
use vicino_embed::random::Random;
use vicino_embed::train::adapted::Adapter;
use vicino_embed::train::contrastive::Contrastive;
use vicino_embed::train::distill::scores;
use vicino_embed::train::fit::{FitParams, Fitted, Objective, Task, fit, prefixes};
use vicino_embed::train::head::Head;
use vicino_embed::train::optimizer::AdamParams;
use vicino_embed::train::prefix::Prefixes;
use vicino_embed::train::unit::Unit;
use vicino_embed::{DenseBatch, DenseEncoder, TextKind};

use super::conditions::conditions;
use super::rank::{DEPTH, dense_vectors, subset};
use super::{Model, collection_folder};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vicino embed train --data scifact --encoder minilm --head linear
  vicino embed train --data scifact --encoder minilm --head low-rank --rank 16 --hard 4
  vicino embed train --data scifact --encoder minilm --head prefix --loss kl --dims 64,128,256 --save head.safetensors

`linear` and `low-rank` adapt queries, so stored documents stay as they are. `prefix` maps both sides so that their first
dimensions serve alone. `kl` and `margin-mse` learn from the encoder's own scores and need no judgments; `contrastive` learns
from them. A gain on queries whose relevant documents were trained on says little: give the others with `--subset`.")]
pub(super) struct Train {
    /// The collection: a folder in BEIR's layout, or a name
    #[arg(long, value_name = "NAME|PATH")]
    data: String,
    /// The dense encoder: static, minilm, a static table (.safetensors), or a model's folder or name in the Hugging Face cache
    #[arg(long, default_value = "minilm")]
    encoder: String,
    /// What is trained
    #[arg(long, value_enum, default_value = "linear")]
    head: HeadKind,
    /// Of a low-rank head
    #[arg(long, default_value_t = 16)]
    rank: usize,
    /// What is made smaller
    #[arg(long, value_enum, default_value = "contrastive")]
    loss: Loss,
    /// Prefixes that are measured, and trained unless `--nested`; by default all dimensions
    #[arg(long, value_delimiter = ',')]
    dims: Vec<usize>,
    /// Draw one prefix for each step, at least this long, instead of training `--dims` (nested dropout)
    #[arg(long, value_name = "LEAST")]
    nested: Option<usize>,
    /// Queries to train on
    #[arg(long, default_value = "train")]
    tune: String,
    /// Queries that are measured
    #[arg(long, default_value = "test")]
    split: String,
    /// A file of query ids, one a line, that are measured by themselves too; sought in the collection's folder first
    #[arg(long, value_name = "FILE")]
    subset: Option<PathBuf>,
    /// Training queries held out to choose the best step
    #[arg(long, default_value_t = 160)]
    held_out: usize,
    /// Queries in a batch
    #[arg(long, default_value_t = 128)]
    batch: usize,
    /// Hard negatives for each query
    #[arg(long, default_value_t = 4)]
    hard: usize,
    /// Batches at most
    #[arg(long, default_value_t = 400)]
    steps: usize,
    /// Learning rate
    #[arg(long, default_value_t = 3e-4)]
    rate: f32,
    /// What cosines are multiplied with
    #[arg(long, default_value_t = Contrastive::DEFAULT.scale)]
    scale: f32,
    /// Of batches, negatives and the queries held out
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write the head to this file
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Keep the encoder's vectors in this folder, and read them again next time
    #[arg(long, value_name = "FOLDER")]
    vectors: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum HeadKind {
    /// A matrix for queries
    Linear,
    /// A small correction for queries
    LowRank,
    /// A matrix for both sides
    Prefix,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Loss {
    /// Relevant documents before others
    Contrastive,
    /// The encoder's distribution over a batch
    Kl,
    /// The encoder's score differences
    MarginMse,
}

/// One prefix before and after.
#[derive(serde::Serialize)]
struct Row {
    dim: usize,
    before: Measures,
    after: Measures,
    subset_before: Option<Measures>,
    subset_after: Option<Measures>,
}

impl Train {
    pub(super) fn run(self) -> anyhow::Result<()> {
        if self.batch == 0 || self.held_out == 0 || self.rank == 0 {
            bail!("expected a batch, a rank and queries held out, each at least 1");
        }
        let Model::Dense(encoder) = Model::open(&self.encoder, None)? else {
            bail!("`{}`: expected a dense encoder", self.encoder)
        };
        let data = collection_folder(&self.data)?;
        let known = Collection::open(&data, &self.tune)?;
        let test = Collection::open(&data, &self.split)?;
        let dim = encoder.dim();
        let vectors = |texts: &[_], kind| {
            let rows = dense_vectors(&*encoder, texts, kind, self.vectors.as_deref())?;
            anyhow::Ok(DenseBatch::new(Unit::new(rows.into_data(), dim).rows, dim)?)
        };
        let documents = vectors(&test.corpus, TextKind::Document)?;
        let (asked, judged) = (vectors(&known.queries, TextKind::Query)?, vectors(&test.queries, TextKind::Query)?);
        let dims = if self.dims.is_empty() { vec![dim] } else { self.dims.clone() };
        if let Some(&found) = dims.iter().chain(&self.nested).find(|&&length| !(1..=dim).contains(&length)) {
            bail!("expected prefixes of 1 to {dim} dimensions, found {found}");
        }

        let head = match self.head {
            HeadKind::LowRank => Head::low_rank(dim, self.rank, &mut Random::new(self.seed)),
            HeadKind::Linear | HeadKind::Prefix => Head::identity(dim),
        };
        let both_sides = self.head == HeadKind::Prefix;
        let fitted = self.fit(head.clone(), &known, &asked, &documents, &dims)?;
        let subset = self.subset.as_ref().map(|file| subset(&data, file, &test)).transpose()?;
        let rows: Vec<Row> = dims
            .iter()
            .map(|&dim| {
                let run = |head: &Head| run(head, &test, &judged, &documents, both_sides, dim);
                let (before, after) = (run(&head), run(&fitted.head));
                let of_subset = |run: &Run| subset.as_ref().map(|subset| measure(subset, run));
                Row {
                    dim,
                    before: measure(&test.judgments, &before),
                    after: measure(&test.judgments, &after),
                    subset_before: of_subset(&before),
                    subset_after: of_subset(&after),
                }
            })
            .collect();
        if let Some(path) = &self.save {
            Adapter { head: fitted.head.clone(), model_id: encoder.model_id().into(), both_sides }.save(path)?;
        }
        self.report(&*encoder, &fitted, &rows);
        Ok(())
    }

    fn fit(
        &self,
        head: Head,
        known: &Collection,
        asked: &DenseBatch,
        documents: &DenseBatch,
        dims: &[usize],
    ) -> anyhow::Result<Fitted> {
        let numbers: HashMap<&str, u32> = known.corpus.iter().map(|text| text.id.as_str()).zip(0..).collect();
        let relevant = |query: &str| {
            let judged = known.judgments[query].iter().filter(|(_, grade)| **grade > 0);
            judged.map(|(document, _)| numbers[document.as_str()]).collect::<Vec<u32>>()
        };
        let mut order: Vec<usize> =
            (0..known.queries.len()).filter(|&at| !relevant(&known.queries[at].id).is_empty()).collect();
        if order.len() <= self.held_out {
            bail!(
                "expected more than the {} queries held out in `{}`, found {}",
                self.held_out,
                self.tune,
                order.len()
            );
        }
        Random::new(self.seed).shuffle(&mut order);
        let (held_out, taught) = order.split_at(self.held_out);
        let gather = |places: &[usize]| {
            let rows = places.iter().flat_map(|&at| asked.row(at)).copied().collect();
            let answers: Vec<Vec<u32>> = places.iter().map(|&at| relevant(&known.queries[at].id)).collect();
            (DenseBatch::new(rows, asked.dim()).expect("rows of a batch"), answers)
        };
        let (mut taught, mut answers) = gather(taught);
        let (held_out, expected) = gather(held_out);
        let objective = match self.loss {
            Loss::Contrastive => Objective::Contrastive(Contrastive { scale: self.scale, symmetric: false }),
            Loss::Kl => Objective::Kl(1.0 / self.scale),
            Loss::MarginMse => Objective::MarginMse,
        };
        if self.loss != Loss::Contrastive {
            // No judgments are needed, so every document is a query as well; its answer is the encoder's first.
            let mut rows = taught.into_data();
            rows.extend_from_slice(documents.as_slice());
            taught = DenseBatch::new(rows, asked.dim())?;
            let first = |row: &[f32]| vec![best(&scores(row, documents.as_slice(), row.len()), 1)[0].vector];
            answers = taught.as_slice().chunks_exact(asked.dim()).map(first).collect();
        }
        let params = FitParams {
            // The student sees cosines on the scale of the teacher's softmax, 1 / temperature.
            objective,
            prefixes: self.nested.map_or_else(|| Prefixes::Fixed(dims.to_vec()), |least| Prefixes::Drawn { least }),
            both_sides: self.head == HeadKind::Prefix,
            batch: self.batch,
            hard: self.hard,
            steps: self.steps,
            look_every: 20,
            patience: 6,
            adam: AdamParams { rate: self.rate, warm_up: 20, decay: 0.0, clip: 1.0 },
            seed: self.seed,
        };
        let train = Task { queries: &taught, documents, relevant: &answers };
        let held_out = Task { queries: &held_out, documents, relevant: &expected };
        Ok(fit(head, train, held_out, &params, &|look| {
            eprintln!("step {:4}: loss {:.4}, nDCG@10 held out {:.4}", look.step, look.loss, look.ndcg_at_10);
        }))
    }

    fn report(&self, encoder: &dyn DenseEncoder, fitted: &Fitted, rows: &[Row]) {
        if self.json {
            let report = json!({
                "conditions": conditions(), "data": self.data, "model": encoder.model_id(), "looks": fitted.looks,
                "parameters": fitted.head.parameters().len(), "dims": rows,
            });
            println!("{report:#}");
            return;
        }
        println!("{}\n", conditions());
        let taken = fitted.looks.iter().max_by(|a, b| a.ndcg_at_10.total_cmp(&b.ndcg_at_10).then(b.step.cmp(&a.step)));
        let step = taken.map_or(0, |look| look.step);
        println!(
            "{}, {}: {} parameters, step {step} of {}\n",
            self.data,
            encoder.model_id(),
            fitted.head.parameters().len(),
            fitted.looks.last().map_or(0, |look| look.step)
        );
        println!("| dimensions | nDCG@10 before | after | subset before | after | other queries before | after |");
        println!("|---|---|---|---|---|---|---|");
        for row in rows {
            let number =
                |found: Option<Measures>| found.map_or("–".into(), |found| format!("{:.4}", found.ndcg_at_10));
            let rest = |all: Measures, subset: Option<Measures>| {
                let subset = subset.filter(|subset| subset.queries < all.queries)?;
                let (all_sum, subset_sum) =
                    (all.ndcg_at_10 * all.queries as f64, subset.ndcg_at_10 * subset.queries as f64);
                Some(Measures {
                    queries: all.queries - subset.queries,
                    ndcg_at_10: (all_sum - subset_sum) / (all.queries - subset.queries) as f64,
                    ..all
                })
            };
            println!(
                "| {} | {:.4} | {:.4} | {} | {} | {} | {} |",
                row.dim,
                row.before.ndcg_at_10,
                row.after.ndcg_at_10,
                number(row.subset_before),
                number(row.subset_after),
                number(rest(row.before, row.subset_before)),
                number(rest(row.after, row.subset_after))
            );
        }
    }
}

/// The answers to every test query through the head, by the first `dim` dimensions.
fn run(
    head: &Head,
    test: &Collection,
    queries: &DenseBatch,
    documents: &DenseBatch,
    both_sides: bool,
    dim: usize,
) -> Run {
    let (queries, documents) = (prefixes(head, queries, true, dim), prefixes(head, documents, both_sides, dim));
    let named = |row: &[f32]| {
        let hits = best(&scores(row, &documents, dim), DEPTH).into_iter();
        hits.map(|hit| (test.corpus[hit.vector as usize].id.clone(), hit.score)).collect()
    };
    test.queries.iter().zip(queries.chunks_exact(dim)).map(|(query, row)| (query.id.clone(), named(row))).collect()
}
