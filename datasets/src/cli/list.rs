//! `datasets list`: what there is to fetch, and what is here already.

use std::path::PathBuf;

use serde_json::json;
use vicino_datasets::cache::Folders;
use vicino_datasets::registry::{Contents, ENTRIES, Entry, Origin};

/// Show the public data sets known by name
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print JSON, with the sources
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let folders = Folders::from_environment();
        if self.json {
            return super::print_json(&ENTRIES.iter().map(|entry| described(entry, &folders)).collect::<Vec<_>>());
        }
        let rows = ENTRIES.iter().map(|entry| {
            let here = match place(entry, &folders) {
                _ if built_in(entry) => "built in",
                Some(_) => "here",
                None => "",
            };
            [entry.name, &shape(entry.contents), metric(entry.contents), entry.licence, here].map(str::to_owned)
        });
        let heading = ["NAME", "SHAPE", "METRIC", "LICENCE", ""].map(str::to_owned);
        let table: Vec<_> = std::iter::once(heading).chain(rows).collect();
        Ok(super::print(&aligned(&table))?)
    }
}

fn built_in(entry: &Entry) -> bool {
    entry.sources.iter().any(|source| source.origin == Origin::BuiltIn)
}

fn place(entry: &Entry, folders: &Folders) -> Option<PathBuf> {
    folders.in_order().map(|folder| folder.join(entry.name)).find(|folder| folder.is_dir())
}

fn shape(contents: Contents) -> String {
    match contents {
        Contents::Vectors { rows, queries, dim, .. } => format!("{rows} × {dim}, {queries} queries"),
        Contents::Text { documents } => format!("{documents} documents"),
        Contents::Model => "model".into(),
    }
}

fn metric(contents: Contents) -> &'static str {
    match contents {
        Contents::Vectors { metric, .. } => metric.name(),
        Contents::Text { .. } | Contents::Model => "",
    }
}

fn described(entry: &Entry, folders: &Folders) -> serde_json::Value {
    let contents = match entry.contents {
        Contents::Vectors { rows, queries, dim, metric } => {
            json!({ "rows": rows, "queries": queries, "dim": dim, "metric": metric.name() })
        }
        Contents::Text { documents } => json!({ "documents": documents }),
        Contents::Model => json!({ "model": true }),
    };
    json!({
        "name": entry.name,
        "about": entry.about,
        "licence": entry.licence,
        "contents": contents,
        "sources": entry.sources.iter().map(|source| source.origin.to_string()).collect::<Vec<_>>(),
        "path": place(entry, folders),
    })
}

/// Columns as wide as their widest cell.
fn aligned<const N: usize>(table: &[[String; N]]) -> String {
    let width = |column: usize| table.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells: String = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}  ")).collect();
        format!("{}\n", cells.trim_end())
    };
    table.iter().map(line).collect()
}
