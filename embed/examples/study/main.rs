//! Studies over judged collections: capacity of projections, dense and sparse search together, heads trained over frozen
//! vectors. Each prints a report with the machine, the commit and the command.
//!
//! ```text
//! cargo run --release -p vicino-embed --example study -- capacity --data scifact
//! cargo run --release -p vicino-embed --example study -- hybrid --data scifact --dense all-minilm-l6-v2
//! cargo run --release -p vicino-embed --example study -- train --data scifact --encoder all-minilm-l6-v2
//! ```

use anyhow::{Context, bail};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use std::path::PathBuf;
use vicino_embed::{DenseEncoder, SentenceEncoder, SparseEncoder, Splade};

mod capacity;
mod conditions;
mod hybrid;
mod train;

/// Studies over judged collections in BEIR's layout.
#[derive(Parser)]
enum Study {
    /// How many dimensions, or vectors, keep BM25's ranking
    Capacity(capacity::Capacity),
    /// Dense and sparse search apart and together
    Hybrid(hybrid::Hybrid),
    /// Train a head over frozen vectors
    Train(train::Train),
}

fn main() -> anyhow::Result<()> {
    match Study::parse() {
        Study::Capacity(study) => study.run(),
        Study::Hybrid(study) => study.run(),
        Study::Train(study) => study.run(),
    }
}

/// An encoder, by the kind of its vectors.
enum Model {
    Dense(Box<dyn DenseEncoder>),
    Sparse(Box<dyn SparseEncoder>),
}

impl Model {
    /// A sentence encoder by its folder or its name in the Hugging Face cache; a SPLADE after `splade:`.
    fn open(name: &str) -> anyhow::Result<Model> {
        let folder = |name| vicino_embed::model::locate(name).with_context(|| format!("model `{name}`"));
        match name.strip_prefix("splade:") {
            Some(name) => Ok(Model::Sparse(Box::new(Splade::open(&folder(name)?)?))),
            None => Ok(Model::Dense(Box::new(SentenceEncoder::open(&folder(name)?)?))),
        }
    }
}

/// Where a collection lies: a path, or a name in `$VICINO_DATA`.
fn folder(name: &str) -> anyhow::Result<PathBuf> {
    let path = PathBuf::from(name);
    let named = std::env::var_os("VICINO_DATA").map(|data| PathBuf::from(data).join(name));
    match named.filter(|named| named.is_dir()) {
        _ if path.is_dir() => Ok(path),
        Some(named) => Ok(named),
        None => bail!("{name}: expected a folder, or a name in VICINO_DATA, found neither"),
    }
}

/// A bar of texts on stderr; nothing where that is no terminal.
fn progress(doing: &'static str) -> anyhow::Result<ProgressBar> {
    let style = ProgressStyle::with_template("{prefix} {bar:40} {pos}/{len}, {eta} left")?;
    Ok(ProgressBar::new(0).with_style(style).with_prefix(doing))
}

/// Moves `bar` to `done` of `total`.
fn advance(bar: &ProgressBar, done: usize, total: usize) {
    bar.set_length(total as u64);
    bar.set_position(done as u64);
}
