//! `datasets convert`: from one format to another.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::ValueEnum;
use vicino_datasets::folder::{self, Provenance};
use vicino_datasets::formats::{self, Ids, Table};
use vicino_datasets::{Dataset, Matrix, Values};

/// Write vectors or neighbours in another format
///
/// Formats are known by the ends of names: .npy, .fvecs, .bvecs, .ivecs, .fbin, .f16bin, .u8bin, .i8bin, .ibin, .jsonl, .idx; read only:
/// .idx.gz and .hdf5. An OUT without any of them is a folder, and the whole data set is written there.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  datasets convert base.fvecs train.npy
  datasets convert sift-128-euclidean.hdf5 sift-128-euclidean
  datasets convert fashion-mnist-784-euclidean queries.fbin --what test")]
pub(super) struct Args {
    /// A file of vectors or row numbers; with --what, or a folder as OUT, the name or path of a data set
    #[arg(value_name = "IN")]
    input: String,
    /// The file or folder to write
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// Which part of a data set
    #[arg(long)]
    what: Option<What>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    Train,
    Test,
    Neighbors,
    Distances,
}

impl Args {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        match (self.what, self.output.extension()) {
            (Some(what), _) => {
                let dataset = vicino_datasets::open(&self.input)?;
                formats::write(&self.output, &part(dataset, what)?)?;
            }
            (None, Some(_)) => formats::write(&self.output, &formats::read(Path::new(&self.input))?)?,
            (None, None) => {
                let mut dataset = vicino_datasets::open(&self.input)?;
                if let Some(name) = self.output.file_name() {
                    dataset.name = name.to_string_lossy().into_owned();
                }
                folder::write(&self.output, &dataset, &Provenance { source: Some(self.input.clone()), licence: None })?;
            }
        }
        Ok(super::print(&format!("{}\n", self.output.display()))?)
    }
}

fn part(dataset: Dataset, what: What) -> anyhow::Result<Table> {
    let truth = || dataset.truth.context("the data set has no neighbours; `datasets truth` finds them");
    Ok(match what {
        What::Train => Table::Vectors(dataset.train),
        What::Test => Table::Vectors(dataset.test),
        What::Neighbors => truth().map(|truth| Table::Ids(Ids { k: truth.k, ids: truth.neighbors }))?,
        What::Distances => {
            let truth = truth()?;
            let Some(distances) = truth.distances else { bail!("the data set has neighbours, but no distances") };
            Table::Vectors(Matrix::new(Values::F32(distances), truth.k)?)
        }
    })
}
