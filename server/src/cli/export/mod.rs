//! `vicino export`: all points of a collection into a file.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use vicino_datasets::formats::Table;
use vicino_datasets::formats::{npy, write_whole};
use vicino_datasets::{Matrix, Values};
use vicino_index::PointId;

use super::place::{Place, PlaceArgs, PointRow};
use crate::dto::VectorsOut;

#[derive(Debug, Args)]
#[command(after_help = "\
Formats, by the end of the file's name:
  .jsonl     an object a line: id, vector and payload
  .npy       the vectors, in the order of ids; ids and payloads go to a .jsonl file of the same name

`vicino import` reads them back: the same ids, vectors bit by bit, and payloads. Of a collection that is being
changed each point is written as it is when its page is read; a snapshot is all of one moment.

Examples:
  vicino export points.npy -c points
  vicino export points.jsonl -c points --data ./data")]
pub(super) struct Export {
    /// The file to write; it appears once it is whole
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    place: PlaceArgs,
    /// Points read at a time
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    batch: u32,
}

impl Export {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let end = self.file.extension().map(|end| end.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        ensure!(
            matches!(end.as_str(), "jsonl" | "npy"),
            "{}: expected a name that ends in .jsonl or .npy",
            self.file.display()
        );
        let place = Place::open(&self.place, false)?;
        if !place.exists()? {
            bail!("{place} does not exist");
        }
        let count = place.count()?;
        let style = ProgressStyle::with_template("exporting {bar:40} {pos}/{len} {per_sec} {eta}").expect("valid");
        let bar = ProgressBar::new(count as u64).with_style(style);
        let mut points = Points {
            place: &place,
            next: Some(PointId::FIRST),
            page: Vec::new().into_iter(),
            limit: self.batch as usize,
        };
        let mut counted = points.by_ref().inspect(|_| bar.inc(1));
        let written = match end.as_str() {
            "jsonl" => jsonl(&self.file, &mut counted)?,
            _ => npy(&self.file, &mut counted)?,
        };
        bar.finish_and_clear();
        println!("{written} points of {place} in {}", self.file.display());
        Ok(())
    }
}

/// All points of a place, read page by page.
struct Points<'a> {
    place: &'a Place,
    next: Option<PointId>,
    page: std::vec::IntoIter<PointRow>,
    limit: usize,
}

impl Iterator for Points<'_> {
    type Item = anyhow::Result<PointRow>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(point) = self.page.next() {
                return Some(Ok(point));
            }
            match self.place.page(self.next.take()?, self.limit) {
                Ok(page) => (self.page, self.next) = (page.points.into_iter(), page.next_page_offset),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// What formats are written from.
type Rows<'a> = dyn Iterator<Item = anyhow::Result<PointRow>> + 'a;

/// Writes lines of JSON; how many.
fn jsonl(file: &Path, rows: &mut Rows<'_>) -> anyhow::Result<usize> {
    let mut written = 0;
    write_whole(file, |out| {
        for row in rows {
            line(out, &row.map_err(io::Error::other)?)?;
            written += 1;
        }
        Ok(())
    })?;
    Ok(written)
}

fn line(out: &mut dyn Write, row: &PointRow) -> io::Result<()> {
    serde_json::to_writer(&mut *out, row)?;
    out.write_all(b"\n")
}

/// Writes the vectors as one array, and lines of JSON with all else.
fn npy(file: &Path, rows: &mut Rows<'_>) -> anyhow::Result<usize> {
    let (mut values, mut dim, mut written) = (Vec::new(), 1, 0);
    write_whole(&file.with_extension("jsonl"), |out| {
        for row in rows {
            let row = row.map_err(io::Error::other)?;
            let Some(VectorsOut::One(vector)) = &row.vector else {
                let message = "its vectors have names, and an array has none: export it as .jsonl";
                return Err(io::Error::other(message));
            };
            dim = vector.len();
            values.extend_from_slice(vector);
            line(out, &PointRow { vector: None, ..row })?;
            written += 1;
        }
        Ok(())
    })?;
    npy::write(file, &Table::Vectors(Matrix::new(Values::F32(values), dim)?))?;
    Ok(written)
}
