//! `datasets info`: shape, type, metric, hash, and what the numbers are like.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use serde_json::json;
use vicino_datasets::{DatasetError, Matrix, text};

/// Show what a data set holds
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The name or path of a data set
    dataset: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What the numbers of a matrix are like.
#[derive(Debug, PartialEq, serde::Serialize)]
struct Summary {
    rows: usize,
    dim: usize,
    element: &'static str,
    min: f32,
    max: f32,
    norm_min: f64,
    norm_mean: f64,
    norm_max: f64,
    /// Rows equal to an earlier one.
    duplicates: usize,
}

impl Args {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let dataset = match vicino_datasets::open(&self.dataset) {
            Err(DatasetError::Text { path }) => return self.texts(&path),
            opened => opened?,
        };
        let (train, test) = (Summary::of(&dataset.train), Summary::of(&dataset.test));
        let truth_k = dataset.truth.as_ref().map(|truth| truth.k);
        if self.json {
            return super::print_json(&json!({
                "name": dataset.name,
                "metric": dataset.metric.name(),
                "hash": dataset.hash,
                "train": train,
                "test": test,
                "truth_k": truth_k,
            }));
        }
        let truth = truth_k.map_or_else(|| "none".into(), |k| format!("{k} neighbours per query"));
        let lines = [
            format!("name    {}", dataset.name),
            format!("metric  {}", dataset.metric),
            format!("hash    {}", dataset.hash),
            format!("truth   {truth}"),
            format!("train   {}", train.line()),
            format!("test    {}\n", test.line()),
        ];
        Ok(super::print(&lines.join("\n"))?)
    }
}

impl Args {
    fn texts(&self, folder: &Path) -> anyhow::Result<()> {
        let texts = text::read(folder)?;
        let judged = texts.judgments.iter().map(|(split, judgments)| (split.as_str(), judgments.len()));
        if self.json {
            let judgments: BTreeMap<_, _> = judged.collect();
            return super::print_json(
                &json!({ "documents": texts.documents.len(), "queries": texts.queries.len(), "judgments": judgments }),
            );
        }
        let judged: Vec<_> = judged.map(|(split, count)| format!("{count} ({split})")).collect();
        let lines = [
            format!("documents  {}", texts.documents.len()),
            format!("queries    {}", texts.queries.len()),
            format!("judgments  {}\n", judged.join(", ")),
        ];
        Ok(super::print(&lines.join("\n"))?)
    }
}

impl Summary {
    fn of(matrix: &Matrix) -> Summary {
        let numbers = matrix.to_f32();
        let norms = numbers.chunks(matrix.dim().max(1)).map(|row| {
            let squares = row.iter().map(|&x| f64::from(x) * f64::from(x));
            squares.sum::<f64>().sqrt()
        });
        let norms: Vec<f64> = norms.collect();
        let mut seen = HashSet::new();
        let rows = numbers.chunks(matrix.dim().max(1));
        let duplicates = rows.filter(|row| !seen.insert(bytes(row))).count();
        Summary {
            rows: matrix.len(),
            dim: matrix.dim(),
            element: matrix.element().name(),
            min: numbers.iter().copied().fold(f32::INFINITY, f32::min),
            max: numbers.iter().copied().fold(f32::NEG_INFINITY, f32::max),
            norm_min: norms.iter().copied().fold(f64::INFINITY, f64::min),
            norm_mean: norms.iter().sum::<f64>() / norms.len() as f64,
            norm_max: norms.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            duplicates,
        }
    }

    fn line(&self) -> String {
        format!(
            "{} × {} {}, values {} to {}, norms {:.4} to {:.4}, mean {:.4}, {} duplicates",
            self.rows,
            self.dim,
            self.element,
            self.min,
            self.max,
            self.norm_min,
            self.norm_max,
            self.norm_mean,
            self.duplicates
        )
    }
}

fn bytes(row: &[f32]) -> &[u8] {
    bytemuck::cast_slice(row)
}
