//! The commands of `vicino`.

use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use serde_json::json;
use tracing::level_filters::LevelFilter;
use vicino_datasets::{Dataset, Matrix};

use crate::dto::Distance;

mod compact;
mod demo;
mod embed;
mod export;
mod import;
mod inspect;
mod load;
mod picture;
mod place;
mod recall;
mod remote;
mod serve;
mod snapshot;

/// The environment variable that says how much is logged.
const LOG_VARIABLE: &str = "VICINO_LOG";

#[derive(Debug, Parser)]
#[command(name = "vicino", version, about = "Vector search over HTTP, in the form of Qdrant's REST API", after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  vicino demo                                  from texts to answers, then serve them
  vicino serve --data ./data                   serve, and keep every change before it is answered
  vicino load fashion-mnist-784-euclidean      upload a data set to a running server
  vicino import points.jsonl -c points         store a file's points: .jsonl, .npy, .fvecs, .hdf5, …
  vicino export points.jsonl -c points         and write them to one
  echo 'a cat on a mat' | vicino embed encode  text to a vector, with the encoder that comes with the program

Environment:
  VICINO_LOG   off, error, warn, info (default), debug or trace; log lines go to stderr";

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve collections over HTTP
    Serve(serve::Serve),
    /// Embed and index texts, ask them questions, and serve them; or a data set, with its recall
    Demo(demo::Demo),
    /// Upload a data set to a running server
    Load(load::Load),
    /// Store the points of a file in a collection
    Import(import::Import),
    /// Write the points of a collection to a file
    Export(export::Export),
    /// Make, list, restore and remove snapshots of a collection
    Snapshot(snapshot::Snapshot),
    /// Give back the room of points that were replaced or removed
    Compact(compact::Compact),
    /// Say what a data folder holds
    Info(inspect::Info),
    /// Prove that a data folder is sound
    Verify(inspect::Verify),
    /// Write what can still be had of a damaged data folder to a new one
    Salvage(inspect::Salvage),
    /// Texts to vectors: encode, evaluate, capacity, train, distill
    Embed(embed::Embed),
}

/// Runs the command line; errors go to stderr.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    // Whoever reads what is printed has seen enough, as `head` has: no error. A server goes on.
    if !matches!(cli.command, Command::Serve(_) | Command::Demo(_)) {
        sigpipe::reset();
    }
    let outcome = start_log().and_then(|()| match cli.command {
        Command::Serve(command) => command.run(),
        Command::Demo(command) => command.run(),
        Command::Load(command) => command.run(),
        Command::Import(command) => command.run(),
        Command::Export(command) => command.run(),
        Command::Snapshot(command) => command.run(),
        Command::Compact(command) => command.run(),
        Command::Info(command) => command.run(),
        Command::Verify(command) => command.run(),
        Command::Salvage(command) => command.run(),
        Command::Embed(command) => command.run(),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", told(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error and its causes, but for those that an error has said at the end of its own words.
fn told(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for words in error.chain().map(ToString::to_string).filter(|words| !words.is_empty()) {
        if !told.ends_with(&words) {
            told = if told.is_empty() { words } else { format!("{told}: {words}") };
        }
    }
    told
}

fn start_log() -> anyhow::Result<()> {
    let level = match std::env::var(LOG_VARIABLE) {
        Ok(level) => level
            .parse()
            .with_context(|| format!("{LOG_VARIABLE}={level}: expected off, error, warn, info, debug or trace"))?,
        Err(_) => LevelFilter::INFO,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(false)
        .init();
    Ok(())
}

fn open_dataset(name_or_path: &str) -> anyhow::Result<Dataset> {
    vicino_datasets::open(name_or_path).with_context(|| format!("data set {name_or_path}"))
}

/// The vectors of `matrix`, each by itself, as requests carry them.
fn rows(matrix: &Matrix) -> Vec<Vec<f32>> {
    matrix.to_f32().chunks(matrix.dim()).map(Vec::from).collect()
}

/// The body that makes a collection for vectors like those of `dataset`: its `vectors`.
fn vector_params(dataset: &Dataset) -> anyhow::Result<serde_json::Value> {
    let distance =
        Distance::of(dataset.metric).with_context(|| format!("the server does not compare by {}", dataset.metric))?;
    Ok(json!({ "size": dataset.train.dim(), "distance": distance }))
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::told;

    #[test]
    fn a_cause_is_told_once() {
        let error = anyhow!("no such file").context("/a: no such file").context("model `a`");
        assert_eq!(told(&error), "model `a`: /a: no such file");
        assert_eq!(told(&anyhow!("alone")), "alone");
    }
}
