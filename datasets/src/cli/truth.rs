//! `datasets truth`: finding and writing exact neighbours.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use vicino_datasets::cache::Folders;
use vicino_datasets::{folder, locate, truth};

use super::progress::Bar;

/// Find the exact neighbours of every query, and write them beside the vectors
///
/// Writes neighbors.npy (32-bit row numbers) and distances.npy (the engine's: squared, 1 − cosine, negative inner product),
/// [queries × k], nearest first; prints their folder.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The name or path of a data set
    dataset: String,
    /// Neighbours per query
    #[arg(long, default_value_t = 100)]
    k: usize,
    /// Threads; 0 is one per core
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Write into this folder, and leave the data set as it is
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let dataset = vicino_datasets::open(&self.dataset)?;
        let out = match &self.out {
            Some(out) => out.clone(),
            None => {
                locate(&Folders::from_environment(), &self.dataset).context("no folder to write to; --out names one")?
            }
        };
        let writes_beside = self.out.is_some() || out.is_dir();
        ensure!(writes_beside, "{} is a file: --out names the folder to write to", out.display());
        let bar = Bar::new();
        let found = truth(&dataset, self.k, self.threads, Some(&|done, total| bar.queries(done, total)))?;
        drop(bar);
        folder::write_truth(&out, &found)?;
        Ok(super::print(&format!("{}\n", out.display()))?)
    }
}
