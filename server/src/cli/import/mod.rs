//! `vicino import`: a file of points into a collection.
//!
//! args → source: rows of any format, each with its number · ids: what a row's id is · lengths: of vectors · progress: where a run that
//! was cut short goes on

use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::place::{Place, PlaceArgs, PointRow};
use crate::dto::{Distance, VectorsOut};
use columns::ColumnArgs;
use ids::Ids;
use lengths::Lengths;
use progress::Progress;
use source::{Row, Source};

mod columns;
mod ids;
mod lengths;
mod parquet;
mod progress;
mod source;

#[derive(Debug, Args)]
#[command(after_help = "\
Formats, by the end of the file's name:
  .jsonl                 an object a line: id, vector (or vectors by name) and payload; or a vector a line
  .parquet               a column of ids, one of vectors (lists of numbers), and the payload in all others: nulls and NaN are left
                         out, dates and timestamps become text by RFC 3339 (in UTC), decimals numbers, JSON what it says
  .npy .fvecs .bvecs .fbin .f16bin .u8bin .i8bin .idx    vectors alone: row N, from 0, becomes point N
  .hdf5 .h5              vectors alone, those of the data set that --vector names, `train` by default

Examples:
  vicino import articles.jsonl -c articles --distance Cosine --id article_id --vector embedding
  vicino import articles.parquet -c articles --distance Cosine --vector embedding --payload title,tags
  vicino import articles.jsonl -c articles --distance Cosine --vector title,body
  vicino import points.jsonl -c points --data ./data
  vicino import vectors.npy -c points --beside points.jsonl --distance Euclid

A run that is cut short goes on where it was when the same command is given again.")]
pub(super) struct Import {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    place: PlaceArgs,
    /// How vectors are compared, if the collection does not exist yet and is made
    #[arg(long, value_name = "DISTANCE", value_parser = distance)]
    distance: Option<Distance>,
    #[command(flatten)]
    columns: ColumnArgs,
    /// For files of vectors alone: a .jsonl file with the id and payload of each row
    #[arg(long, value_name = "FILE")]
    beside: Option<PathBuf>,
    /// Ids are texts: a point gets the UUID of its text (version 5, in the namespace for URLs), and keeps the text in its payload
    /// under this key. Two texts of one UUID are refused
    #[arg(long, value_name = "KEY")]
    string_ids: Option<String>,
    /// Points stored at a time
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    batch: u32,
    /// Begin with the first row, even where an earlier run was cut short
    #[arg(long)]
    from_start: bool,
}

fn distance(text: &str) -> Result<Distance, String> {
    serde_json::from_value(text.into()).map_err(|_| "expected Cosine, Euclid, Dot or Manhattan".into())
}

impl Import {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Source { mut rows, total } = self.source()?;
        let place = Place::open(&self.place, true)?;
        let mut progress = Progress::open(&self.file, &place, self.from_start)?;
        let bar = bar(total);
        let mut lengths = Lengths::default();
        if progress.rows() > 0 {
            println!("{} rows of an earlier run are stored; going on (--from-start begins anew)", progress.rows());
            for row in rows.by_ref().take(progress.rows() as usize) {
                lengths.add(&row?)?;
            }
        }
        bar.set_position(progress.rows());
        let mut ids = Ids::new(self.string_ids.clone());
        let mut exists = place.exists()?;
        loop {
            let mut batch = Vec::with_capacity(self.batch as usize);
            for row in rows.by_ref().take(self.batch as usize) {
                let number = progress.rows() + batch.len() as u64;
                let row = row?;
                lengths.add(&row)?;
                let Row { id, vectors, mut payload, place } = row;
                let id = ids.id(id, number, &mut payload).with_context(|| place)?;
                batch.push(PointRow { id, vector: Some(vectors), payload });
            }
            if batch.is_empty() {
                break;
            }
            if !exists {
                let Some(distance) = self.distance else {
                    bail!("{place} does not exist: --distance Cosine, Euclid, Dot or Manhattan makes it");
                };
                if let Some(VectorsOut::Named(_)) = batch[0].vector {
                    // The first rows may not have vectors of all names.
                    self.source()?.rows.try_for_each(|row| lengths.add(&row?))?;
                }
                place.create(&lengths.schema(distance)?)?;
                exists = true;
            }
            ids.check(&place, &batch)?;
            let stored = batch.len() as u64;
            place.upsert(batch).with_context(|| {
                let (first, last) = (progress.rows() + 1, progress.rows() + stored);
                format!("rows {first} to {last} were not stored; those before are")
            })?;
            progress.advance(stored);
            bar.set_position(progress.rows());
        }
        bar.finish_and_clear();
        ensure!(progress.rows() > 0, "{}: no rows", self.file.display());
        place.finish()?;
        println!("{} rows stored in {place}, which has {} points", progress.rows(), place.count()?);
        progress.done()
    }

    fn source(&self) -> anyhow::Result<Source> {
        Source::open(&self.file, &self.columns, self.beside.as_deref())
    }
}

fn bar(total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (ProgressBar::new(total), "importing {bar:40} {pos}/{len} {per_sec} {eta}"),
        None => (ProgressBar::new_spinner(), "importing {spinner} {pos} rows {per_sec}"),
    };
    bar.with_style(ProgressStyle::with_template(template).expect("a valid template"))
}
