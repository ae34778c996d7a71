//! How well BM25 ranks a judged collection: nDCG@10, recall@100 and MRR@10 of a folder in BEIR's layout.
//!
//! ```text
//! cargo run --release -p vicino-embed --example evaluate -- scifact --k1 0.9 --b 0.4
//! ```

use anyhow::Result;
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::path::PathBuf;
use vicino_embed::evaluate::beir::Collection;
use vicino_embed::evaluate::measure;
use vicino_embed::evaluate::rank::{SameId, rank};
use vicino_embed::{Bm25, Bm25Params, Encoder};

/// Measures BM25 on a folder with corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv.
#[derive(Parser)]
struct Args {
    /// The folder.
    folder: PathBuf,
    /// Which judgments.
    #[arg(long, default_value = "test")]
    split: String,
    /// How slowly repeats saturate.
    #[arg(long, default_value_t = Bm25Params::LUCENE.k1())]
    k1: f64,
    /// How much length matters, 0 to 1.
    #[arg(long, default_value_t = Bm25Params::LUCENE.b())]
    b: f64,
    /// Documents with a query's id are the query itself (ArguAna, Quora) and no results.
    #[arg(long)]
    drop_same_id: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let params = Bm25Params::new(args.k1, args.b)?;
    let collection = Collection::open(&args.folder, &args.split)?;
    let same_id = if args.drop_same_id { SameId::Drop } else { SameId::Keep };

    let mut bm25 = Bm25::new(params);
    bm25.extend(collection.corpus.iter().map(|document| document.text.as_str()));
    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template("{bar:40} {pos}/{len} texts, {eta} left")?);
    let run = rank(&bm25, &collection, same_id, &|done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();

    let measures = measure(&collection.judgments, &run);
    let (documents, terms) = (bm25.documents(), bm25.vocabulary_len());
    if args.json {
        let report = json!({
            "folder": args.folder, "split": args.split, "model": bm25.model_id(), "k1": args.k1, "b": args.b,
            "documents": documents, "terms": terms, "measures": measures,
        });
        println!("{report:#}");
    } else {
        println!("{}, {}: {documents} documents, {terms} terms", args.folder.display(), bm25.model_id());
        println!("nDCG@10 {:.4}  recall@100 {:.4}", measures.ndcg_at_10, measures.recall_at_100);
        println!("MRR@10  {:.4}  over {} queries of `{}`", measures.mrr_at_10, measures.queries, args.split);
    }
    Ok(())
}
