//! `vicino embed evaluate`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use clap::Args;
use serde_json::json;
use vicino_embed::evaluate::beir::Collection;
use vicino_embed::evaluate::exact::{rank_dense, rank_multi_vector};
use vicino_embed::evaluate::rank::{SameId, rank};
use vicino_embed::evaluate::{Run, measure, trec};
use vicino_embed::{Bm25, Bm25Params, Counts, Encoder};

use super::{ENCODERS, Model, advance, folder, progress};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vicino embed evaluate --data scifact --encoder bm25
  vicino embed evaluate --data scifact --encoder bm25 --k1 0.9 --b 0.4
  vicino embed evaluate --data ./my-collection --encoder minilm --json
  vicino embed evaluate --data scifact --encoder static --run static.trec

Search is exact: what is measured is the encoder. The collection is a folder with corpus.jsonl, queries.jsonl and
qrels/SPLIT.tsv, or the name of one that `datasets fetch` got.")]
pub(super) struct Evaluate {
    /// The collection: a folder, or a name
    #[arg(long, value_name = "NAME|PATH")]
    data: String,
    #[arg(long, help = format!("The encoder: bm25, {ENCODERS}"))]
    encoder: String,
    /// Which judgments
    #[arg(long, default_value = "test")]
    split: String,
    /// BM25: how slowly repeats saturate
    #[arg(long, default_value_t = Bm25Params::LUCENE.k1())]
    k1: f64,
    /// BM25: how much length matters, 0 to 1
    #[arg(long, default_value_t = Bm25Params::LUCENE.b())]
    b: f64,
    /// Tokens of a text that are looked at; by default what the model says
    #[arg(long, value_name = "TOKENS")]
    max_tokens: Option<usize>,
    /// Documents with a query's id are the query itself (ArguAna, Quora) and no results
    #[arg(long)]
    drop_same_id: bool,
    /// Write the ranking in TREC's format
    #[arg(long, value_name = "FILE")]
    run: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Evaluate {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let data = folder(&self.data).or_else(|_| anyhow::Ok(PathBuf::from(&self.data)))?;
        let collection = Collection::open(&data, &self.split)?;
        let started = Instant::now();
        let (run, counts, model) = self.rank(&collection)?;
        let seconds = started.elapsed().as_secs_f64();
        let measures = measure(&collection.judgments, &run);
        if let Some(path) = &self.run {
            let place = || path.display().to_string();
            let mut out = BufWriter::new(File::create(path).with_context(place)?);
            trec::write(&mut out, &run, &model).and_then(|()| out.flush()).with_context(place)?;
        }
        let Counts { tokens, cut } = counts;
        if self.json {
            let report = json!({
                "data": self.data, "split": self.split, "encoder": self.encoder, "model": model,
                "documents": collection.corpus.len(), "tokens": tokens, "cut": cut, "seconds": seconds, "measures": measures,
            });
            println!("{report:#}");
        } else {
            println!("{}, {model}: {} documents in {seconds:.1} s", self.data, collection.corpus.len());
            if tokens > 0 {
                println!("{tokens} tokens, {cut} texts cut off");
            }
            println!("nDCG@10 {:.4}  recall@100 {:.4}", measures.ndcg_at_10, measures.recall_at_100);
            println!("MRR@10  {:.4}  over {} queries of `{}`", measures.mrr_at_10, measures.queries, self.split);
        }
        Ok(())
    }

    /// The ranking, what was looked at, and the model's id.
    fn rank(&self, collection: &Collection) -> anyhow::Result<(Run, Counts, String)> {
        let same_id = if self.drop_same_id { SameId::Drop } else { SameId::Keep };
        let bar = progress("encoding")?;
        let report = |done, total| advance(&bar, done, total);
        let ranked = if self.encoder == "bm25" {
            let mut bm25 = Bm25::new(Bm25Params::new(self.k1, self.b)?);
            bm25.extend(collection.corpus.iter().map(|document| document.text.as_str()));
            (rank(&bm25, collection, same_id, &report)?, Counts::default(), bm25.model_id().to_owned())
        } else {
            match Model::open(&self.encoder, self.max_tokens)? {
                Model::Dense(encoder) => {
                    let (run, counts) = rank_dense(&*encoder, collection, same_id, &report)?;
                    (run, counts, encoder.model_id().to_owned())
                }
                Model::Sparse(encoder) => {
                    let run = rank(&*encoder, collection, same_id, &report)?;
                    (run, Counts::default(), encoder.model_id().to_owned())
                }
                Model::MultiVector(encoder) => {
                    let (run, counts) = rank_multi_vector(&*encoder, collection, same_id, &report)?;
                    (run, counts, encoder.model_id().to_owned())
                }
            }
        };
        bar.finish_and_clear();
        Ok(ranked)
    }
}
