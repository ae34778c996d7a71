//! `vicino embed evaluate`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;
use vicino_embed::evaluate::beir::Collection;
use vicino_embed::evaluate::rank::SameId;
use vicino_embed::evaluate::{Measures, measure, trec};
use vicino_embed::{Bm25Params, Counts};

use super::conditions::conditions;
use super::rank::{Ranked, Ranking, Weight, subset};
use super::{ENCODERS, collection_folder};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vicino embed evaluate --data scifact --encoder bm25 --k1 0.9 --b 0.4
  vicino embed evaluate --data ./my-collection --encoder minilm --json
  vicino embed evaluate --data scifact --encoder static --run static.trec
  vicino embed evaluate --data scifact,cranfield --encoder bm25,minilm,hybrid:bm25+minilm --vectors ./vectors

Search is exact: what is measured is the encoder. A collection is a folder with corpus.jsonl, queries.jsonl and
qrels/SPLIT.tsv, or the name of one among the data sets. A hybrid is ranked by reciprocal ranks, by scores brought to one
scale, and by dense + λ · sparse; λ is tuned on the queries of `--tune` if the collection has them, and they are not those of
`--split`.")]
pub(super) struct Evaluate {
    /// The collections: folders, or names
    #[arg(long, value_name = "NAME|PATH", value_delimiter = ',', required = true)]
    data: Vec<String>,
    #[arg(
        long,
        value_delimiter = ',',
        required = true,
        help = format!("The encoders: bm25, {ENCODERS}; splade-free (queries by lookup), muvera:MODEL, hybrid:SPARSE+DENSE")
    )]
    encoder: Vec<String>,
    /// Which judgments
    #[arg(long, default_value = "test")]
    split: String,
    /// Whose judgments tune the weight of a hybrid's sparse side
    #[arg(long, default_value = "train")]
    tune: String,
    /// That weight, instead of tuning
    #[arg(long)]
    lambda: Option<f32>,
    /// Tune BM25's k1 and b in hybrids too, on the same queries
    #[arg(long)]
    tune_bm25: bool,
    /// A file of query ids, one a line, that are measured by themselves too; sought in each collection's folder first
    #[arg(long, value_name = "FILE")]
    subset: Option<PathBuf>,
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
    /// Keep dense vectors in this folder, and read them again next time
    #[arg(long, value_name = "FOLDER")]
    vectors: Option<PathBuf>,
    /// Write the ranking in TREC's format; of one collection and one encoder
    #[arg(long, value_name = "FILE")]
    run: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// One collection's figures.
#[derive(serde::Serialize)]
struct Figures {
    data: String,
    split: String,
    documents: usize,
    rows: Vec<Row>,
}

/// One ranking's.
#[derive(serde::Serialize)]
struct Row {
    encoder: String,
    model: String,
    measures: Measures,
    /// On the queries of `--subset`.
    subset: Option<Measures>,
    tokens: usize,
    cut: usize,
    /// Of the encoder, for all its rankings.
    seconds: f64,
    note: Option<String>,
}

impl Evaluate {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let figures: Vec<Figures> =
            self.data.iter().map(|data| self.collection(data)).collect::<anyhow::Result<_>>()?;
        if let Some(file) = &self.subset
            && figures.iter().all(|found| found.rows.iter().all(|row| row.subset.is_none()))
        {
            bail!("{}: expected such a file here or in a collection's folder, found none", file.display());
        }
        if self.json {
            println!("{:#}", json!({ "conditions": conditions(), "collections": figures }));
        } else {
            self.print(&figures);
        }
        Ok(())
    }

    fn collection(&self, name: &str) -> anyhow::Result<Figures> {
        let data = collection_folder(name)?;
        let collection = Collection::open(&data, &self.split)?;
        let tuning = self.lambda.is_none()
            && self.tune != self.split
            && self.encoder.iter().any(|encoder| encoder.starts_with("hybrid:"))
            && data.join("qrels").join(format!("{}.tsv", self.tune)).is_file();
        let known = tuning.then(|| Collection::open(&data, &self.tune)).transpose()?;
        if let Some(known) = &known
            && let Some(query) = known.queries.iter().find(|query| collection.judgments.contains_key(&query.id))
        {
            bail!("expected other queries in `{}` than in `{}`, found `{}` in both", self.tune, self.split, query.id);
        }
        let part = self.subset.as_ref().filter(|file| file.is_file() || data.join(file).is_file());
        let part = part.map(|file| subset(&data, file, &collection)).transpose()?;
        let ranking = Ranking {
            collection: &collection,
            params: Bm25Params::new(self.k1, self.b)?,
            max_tokens: self.max_tokens,
            same_id: if self.drop_same_id { SameId::Drop } else { SameId::Keep },
            vectors: self.vectors.as_deref(),
            weight: match (self.lambda, &known) {
                (Some(lambda), _) => Weight::Given(lambda),
                (None, Some(on)) => Weight::Tuned { on, split: &self.tune },
                (None, None) => Weight::Default,
            },
            tune_bm25: self.tune_bm25,
        };
        let mut rows = Vec::new();
        for encoder in &self.encoder {
            let started = Instant::now();
            let ranked = ranking.rank(encoder)?;
            let seconds = started.elapsed().as_secs_f64();
            self.write_run(&ranked)?;
            rows.extend(ranked.into_iter().map(|Ranked { name, model, run, counts: Counts { tokens, cut }, note }| {
                Row {
                    encoder: name,
                    model,
                    measures: measure(&collection.judgments, &run),
                    subset: part.as_ref().map(|part| measure(part, &run)),
                    tokens,
                    cut,
                    seconds,
                    note,
                }
            }));
        }
        Ok(Figures { data: name.into(), split: self.split.clone(), documents: collection.corpus.len(), rows })
    }

    fn write_run(&self, ranked: &[Ranked]) -> anyhow::Result<()> {
        let Some(path) = &self.run else { return Ok(()) };
        let ([only], [_], [_]) = (ranked, &self.encoder[..], &self.data[..]) else {
            bail!("--run takes one ranking: expected one collection and one encoder that is ranked in one way");
        };
        let place = || path.display().to_string();
        let mut out = BufWriter::new(File::create(path).with_context(place)?);
        trec::write(&mut out, &only.run, &only.model).and_then(|()| out.flush()).with_context(place)
    }

    /// One table: a line for each ranking, its columns once for each collection.
    fn print(&self, figures: &[Figures]) {
        println!("{}\n", conditions());
        for Figures { data, split, documents, rows } in figures {
            let queries = rows.first().map_or(0, |row| row.measures.queries);
            println!("- {data}: {documents} documents, {queries} queries of `{split}`");
        }
        let parts: Vec<bool> = figures.iter().map(|found| found.rows.iter().any(|row| row.subset.is_some())).collect();
        let mut header = String::from("| encoder |");
        for (Figures { data, rows, .. }, part) in figures.iter().zip(&parts) {
            header.push_str(&format!(" {data}: nDCG@10 | recall@100 | MRR@10 |"));
            if let (true, Some(Row { subset: Some(part), .. })) = (*part, rows.first()) {
                let file = self.subset.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
                header.push_str(&format!(" nDCG@10, {} queries of {file} |", part.queries));
            }
        }
        let columns = header.matches('|').count() - 1;
        println!("\n{header}\n|{}", "---|".repeat(columns));
        for (at, row) in figures.first().map_or(&[][..], |first| &first.rows).iter().enumerate() {
            let mut line = format!("| {} |", row.encoder);
            for (found, part) in figures.iter().zip(&parts) {
                let Row { measures: Measures { ndcg_at_10, recall_at_100, mrr_at_10, .. }, subset, .. } =
                    &found.rows[at];
                line.push_str(&format!(" {ndcg_at_10:.4} | {recall_at_100:.4} | {mrr_at_10:.4} |"));
                if *part {
                    line.push_str(&subset.map_or(" – |".into(), |part| format!(" {:.4} |", part.ndcg_at_10)));
                }
            }
            println!("{line}");
        }
        println!();
        for Figures { data, rows, .. } in figures {
            for Row { encoder, model, tokens, cut, note, .. } in rows {
                let seen = if *tokens > 0 { format!("; {tokens} tokens, {cut} texts cut off") } else { String::new() };
                let note = note.as_ref().map(|note| format!("; {note}")).unwrap_or_default();
                println!("- {data}, {encoder}: {model}{seen}{note}");
            }
        }
    }
}
