//! `vicino embed`: texts to vectors, how good they are, and how the encoder that comes with the program was made.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use vicino_datasets::cache::Folders;
use vicino_embed::{
    DenseEncoder, MultiVectorEncoder, SentenceEncoder, SparseEncoder, Splade, StaticEncoder, TokenStates,
};

mod capacity;
mod conditions;
mod distill;
mod encode;
mod evaluate;
mod rank;
mod train;

#[derive(Debug, Args)]
pub(super) struct Embed {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Texts to vectors
    Encode(encode::Encode),
    /// How well encoders rank judged collections in BEIR's layout, alone and together
    Evaluate(evaluate::Evaluate),
    /// How many dimensions, or vectors, keep BM25's ranking of a collection
    Capacity(capacity::Capacity),
    /// Train a head over an encoder's vectors
    Train(train::Train),
    /// Make a static encoder of a sentence encoder
    Distill(distill::Distill),
}

impl Embed {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Encode(command) => command.run(),
            Command::Evaluate(command) => command.run(),
            Command::Capacity(command) => command.run(),
            Command::Train(command) => command.run(),
            Command::Distill(command) => command.run(),
        }
    }
}

/// What `--encoder` may be; BM25, which must see a corpus first, is the evaluation's own.
const ENCODERS: &str = "static, minilm, splade, tokens:MODEL, a static table (.safetensors), or a model's folder or name in the Hugging Face cache";

/// An encoder, by the kind of its vectors.
pub(super) enum Model {
    Dense(Box<dyn DenseEncoder>),
    Sparse(Box<dyn SparseEncoder>),
    MultiVector(Box<dyn MultiVectorEncoder>),
}

impl Model {
    /// What `--encoder` names, looking at `max_tokens` of a text or as many as the model says.
    pub(super) fn open(name: &str, max_tokens: Option<usize>) -> anyhow::Result<Model> {
        if name == "static" {
            return Ok(Model::Dense(Box::new(StaticEncoder::builtin().clone())));
        }
        if name == "splade" {
            return Ok(Model::Sparse(Box::new(Splade::open(&folder("splade-tiny")?)?)));
        }
        if name.ends_with(".safetensors") {
            let table = std::fs::read(name).with_context(|| name.to_owned())?;
            return Ok(Model::Dense(Box::new(StaticEncoder::read(&table).with_context(|| name.to_owned())?)));
        }
        match name.strip_prefix("tokens:") {
            Some(model) => Ok(Model::MultiVector(Box::new(TokenStates::new(sentence_encoder(model, max_tokens)?)))),
            None => Ok(Model::Dense(Box::new(sentence_encoder(name, max_tokens)?))),
        }
    }
}

/// The sentence encoder `name`: `minilm`, a registered model, a folder, or a name in the Hugging Face cache.
fn sentence_encoder(name: &str, max_tokens: Option<usize>) -> anyhow::Result<SentenceEncoder> {
    let registered = if name == "minilm" { "all-minilm-l6-v2" } else { name };
    let encoder = SentenceEncoder::open(&folder(registered)?)?;
    Ok(match max_tokens {
        Some(max) => encoder.with_max_tokens(max)?,
        None => encoder,
    })
}

/// Where `name` lies: among the data sets, which registered models are fetched to, else where the library looks.
fn folder(name: &str) -> anyhow::Result<PathBuf> {
    let fetched = Folders::from_environment().in_order().map(|folder| folder.join(name)).find(|folder| folder.is_dir());
    match fetched {
        Some(folder) if !name.contains(['/', '\\']) => Ok(folder),
        _ => Ok(vicino_embed::model::locate(name)?),
    }
}

/// Where the judged collection `name` lies: a path, or a name among the data sets.
fn collection_folder(name: &str) -> anyhow::Result<PathBuf> {
    if std::path::Path::new(name).is_dir() {
        return Ok(name.into());
    }
    let folders = Folders::from_environment();
    let found = folders.in_order().map(|folder| folder.join(name)).find(|folder| folder.is_dir());
    found.with_context(|| format!("collection `{name}`: expected a folder or a data set's name"))
}

/// A bar of texts on stderr; nothing where that is no terminal.
fn progress(doing: &'static str) -> anyhow::Result<ProgressBar> {
    let style = ProgressStyle::with_template("{prefix} {bar:40} {pos}/{len}, {eta} left")?;
    Ok(ProgressBar::new(0).with_style(style).with_prefix(doing))
}

/// Moves `bar` to `done` of `total`, for use from several threads, which may report out of order.
fn advance(bar: &ProgressBar, done: usize, total: usize) {
    bar.set_length(total as u64);
    if done as u64 > bar.position() {
        bar.set_position(done as u64);
    }
}
