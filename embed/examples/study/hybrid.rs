//! `study hybrid`: dense and sparse search apart and together, over one judged collection.

use std::collections::HashSet;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;
use vicino_embed::evaluate::beir::{Collection, Text};
use vicino_embed::evaluate::{Measures, Run, measure};
use vicino_embed::hybrid::bootstrap::{Difference, difference, per_query};
use vicino_embed::hybrid::judged::{LAMBDA_GRID, Tuned, restrict};
use vicino_embed::hybrid::{Fusion, HybridIndex, Judged};
use vicino_embed::{Bm25, Bm25Params, DenseBatch, DenseEncoder, SparseEncoder, SparseVector, TextKind, frozen};

use super::conditions::conditions;
use super::{Model, advance, folder, progress};

/// Documents of either side that are fused.
pub(crate) const DEPTH: usize = 1000;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  study hybrid --data scifact --dense all-minilm-l6-v2
  study hybrid --data scifact --sparse splade:./splade
  study hybrid --data cranfield --dense all-minilm-l6-v2 --lambda 0.04

The weight of the sparse side is tuned on the judgments of `--tune`, never on those that are measured; where there are none,
give it with `--lambda`.")]
pub(crate) struct Hybrid {
    /// The collection: a folder in BEIR's layout, or a name
    #[arg(long, value_name = "NAME|PATH")]
    data: String,
    /// The dense encoder: a model's folder, or its name in the Hugging Face cache
    #[arg(long, default_value = "all-minilm-l6-v2")]
    dense: String,
    /// The sparse encoder: bm25, or splade:FOLDER
    #[arg(long, default_value = "bm25")]
    sparse: String,
    /// Whose judgments are measured
    #[arg(long, default_value = "test")]
    split: String,
    /// Whose judgments the weight is tuned on
    #[arg(long, default_value = "train")]
    tune: String,
    /// The weight of the sparse score, instead of tuning
    #[arg(long)]
    lambda: Option<f32>,
    /// A file of query ids, one a line, that are measured by themselves too
    #[arg(long, value_name = "FILE")]
    subset: Option<PathBuf>,
    /// BM25: how slowly repeats saturate
    #[arg(long, default_value_t = Bm25Params::ANSERINI.k1())]
    k1: f64,
    /// BM25: how much length matters, 0 to 1
    #[arg(long, default_value_t = Bm25Params::ANSERINI.b())]
    b: f64,
    /// Keep dense vectors in this folder, and read them again next time
    #[arg(long, value_name = "FOLDER")]
    vectors: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// A rule and how well it does.
#[derive(serde::Serialize)]
struct Row {
    rule: String,
    measures: Measures,
    subset: Option<Measures>,
    /// How much better the tuned rule is.
    tuned_is_better_by: Option<Difference>,
}

impl Hybrid {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let data = folder(&self.data)?;
        let collection = Collection::open(&data, &self.split)?;
        let sides = Sides::open(
            &self.dense,
            &self.sparse,
            Bm25Params::new(self.k1, self.b)?,
            self.vectors.clone(),
            &collection,
        )?;
        let index = sides.index(&collection)?;
        let tuned = match self.lambda {
            Some(_) => None,
            None => {
                let known = Collection::open(&data, &self.tune).context("judgments to tune on; or give `--lambda`")?;
                if let Some(query) = known.queries.iter().find(|query| collection.judgments.contains_key(&query.id)) {
                    bail!(
                        "expected other queries in `{}` than in `{}`, found `{}` in both",
                        self.tune,
                        self.split,
                        query.id
                    );
                }
                Some(sides.judged(&known, &index)?.tune(&LAMBDA_GRID))
            }
        };
        let lambda = self.lambda.or(tuned.as_ref().map(|tuned| tuned.lambda)).expect("given or tuned");
        let judged = sides.judged(&collection, &index)?;
        let subset = self.subset.as_ref().map(|path| {
            let ids = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            let ids: HashSet<&str> = ids.lines().map(str::trim).filter(|id| !id.is_empty()).collect();
            anyhow::Ok(restrict(&collection.judgments, |query| ids.contains(query)))
        });
        let subset = subset.transpose()?;
        let weighted = Fusion::Weighted { lambda };
        let best = per_query(&collection.judgments, &judged.run(weighted));
        let rules = [Fusion::Sparse, Fusion::Dense, Fusion::RECIPROCAL_RANK, Fusion::MIN_MAX, weighted];
        let rows: Vec<Row> = rules
            .into_iter()
            .map(|rule| {
                let run: Run = judged.run(rule);
                let gain = || difference(&best, &per_query(&collection.judgments, &run), 1);
                Row {
                    rule: rule.to_string(),
                    measures: measure(&collection.judgments, &run),
                    subset: subset.as_ref().map(|subset| measure(subset, &run)),
                    tuned_is_better_by: (rule != weighted).then(gain),
                }
            })
            .collect();
        self.report(&sides, tuned.as_ref(), &rows);
        Ok(())
    }

    fn report(&self, sides: &Sides, tuned: Option<&Tuned>, rows: &[Row]) {
        let (dense, sparse) = (sides.dense.model_id(), sides.sparse.model_id());
        if self.json {
            let report = json!({
                "conditions": conditions(), "data": self.data, "split": self.split, "dense": dense, "sparse": sparse,
                "depth": DEPTH, "tuned_on": self.tune, "tuned": tuned, "rules": rows,
            });
            println!("{report:#}");
            return;
        }
        println!("{}\n", conditions());
        println!(
            "{}, queries of `{}`: dense {dense}, sparse {sparse}, the {DEPTH} best of both\n",
            self.data, self.split
        );
        if let Some(tuned) = tuned {
            let curve: Vec<String> = tuned.curve.iter().map(|(weight, ndcg)| format!("{weight}: {ndcg:.4}")).collect();
            println!("λ = {} by nDCG@10 on `{}`; {}\n", tuned.lambda, self.tune, curve.join(", "));
        }
        println!("| rule | nDCG@10 | recall@100 | MRR@10 | nDCG@10, subset | tuned is better by (95 %) |");
        println!("|---|---|---|---|---|---|");
        for row in rows {
            let Measures { ndcg_at_10, recall_at_100, mrr_at_10, .. } = row.measures;
            let subset =
                row.subset.map_or("–".into(), |found| format!("{:.4} ({} queries)", found.ndcg_at_10, found.queries));
            let gain = row
                .tuned_is_better_by
                .map_or("–".into(), |gain| format!("{:+.3} [{:+.3}, {:+.3}]", gain.mean, gain.low, gain.high));
            println!("| {} | {ndcg_at_10:.4} | {recall_at_100:.4} | {mrr_at_10:.4} | {subset} | {gain} |", row.rule);
        }
    }
}

/// Both encoders.
pub(crate) struct Sides {
    dense: Box<dyn DenseEncoder>,
    sparse: Box<dyn SparseEncoder>,
    vectors: Option<PathBuf>,
}

impl Sides {
    /// Opens the encoders by name; BM25 sees the documents of `collection` first.
    pub(crate) fn open(
        dense: &str,
        sparse: &str,
        params: Bm25Params,
        vectors: Option<PathBuf>,
        collection: &Collection,
    ) -> anyhow::Result<Sides> {
        let Model::Dense(encoder) = Model::open(dense)? else { bail!("`{dense}`: expected a dense encoder") };
        let sparse: Box<dyn SparseEncoder> = if sparse == "bm25" {
            let mut bm25 = Bm25::new(params);
            bm25.extend(collection.corpus.iter().map(|document| document.text.as_str()));
            Box::new(bm25)
        } else {
            let Model::Sparse(encoder) = Model::open(sparse)? else { bail!("`{sparse}`: expected a sparse encoder") };
            encoder
        };
        Ok(Sides { dense: encoder, sparse, vectors })
    }

    /// The documents under both.
    pub(crate) fn index(&self, collection: &Collection) -> anyhow::Result<HybridIndex> {
        Ok(HybridIndex::new(
            self.dense_vectors(&collection.corpus, TextKind::Document)?,
            self.sparse_vectors(&collection.corpus, TextKind::Document)?,
        )?)
    }

    /// The candidates of every query.
    pub(crate) fn judged<'c>(&self, collection: &'c Collection, index: &HybridIndex) -> anyhow::Result<Judged<'c>> {
        let dense = self.dense_vectors(&collection.queries, TextKind::Query)?;
        let sparse = self.sparse_vectors(&collection.queries, TextKind::Query)?;
        Ok(Judged::new(collection, index, &dense, &sparse, DEPTH)?)
    }

    fn sparse_vectors(&self, texts: &[Text], kind: TextKind) -> anyhow::Result<Vec<SparseVector>> {
        let texts: Vec<&str> = texts.iter().map(|text| text.text.as_str()).collect();
        Ok(self.sparse.encode(&texts, kind)?)
    }

    fn dense_vectors(&self, texts: &[Text], kind: TextKind) -> anyhow::Result<DenseBatch> {
        dense_vectors(&*self.dense, texts, kind, self.vectors.as_deref())
    }
}

/// The vectors of `texts`, kept in `folder` if there is one.
pub(crate) fn dense_vectors(
    encoder: &dyn DenseEncoder,
    texts: &[Text],
    kind: TextKind,
    folder: Option<&std::path::Path>,
) -> anyhow::Result<DenseBatch> {
    let texts: Vec<&str> = texts.iter().map(|text| text.text.as_str()).collect();
    let file = folder.map(|folder| folder.join(frozen::file_name(encoder, &texts, kind)));
    let bar = progress("encoding")?;
    let vectors = frozen::vectors(encoder, &texts, kind, file.as_deref(), &|done, total| advance(&bar, done, total))?;
    bar.finish_and_clear();
    Ok(vectors)
}
