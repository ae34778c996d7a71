//! The command line: what can be said, and which module does it.
//!
//! Results go to standard output, as tables for people or with `--json` for programs; progress and errors to standard error.

mod convert;
mod fetch;
mod info;
mod list;
mod progress;
mod synth;
mod truth;

use std::io::{self, ErrorKind, Write};

use clap::{Parser, Subcommand};

const EXAMPLES: &str = "\
Examples:
  datasets list
  datasets fetch fashion-mnist-784-euclidean
  datasets fetch hf:sentence-transformers/all-MiniLM-L6-v2
  datasets info fashion-mnist-784-euclidean
  datasets convert base.fvecs train.npy
  datasets truth my-vectors --k 100
  datasets synth clustered --rows 100000 --dim 64 --out clusters-64-euclidean

A data set is named, or is the path of a folder with train.npy and test.npy, or of an ann-benchmarks HDF5 file. Names are looked for in $VICINO_DATA and in the
user's cache folder; what is fetched goes to the first of them that can be written to.";

/// Public nearest-neighbour data sets: fetch them, look at them, find their exact answers.
#[derive(Debug, Parser)]
#[command(name = "datasets", version, about, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::Args),
    Fetch(fetch::Args),
    Info(info::Args),
    Convert(convert::Args),
    Truth(truth::Args),
    Synth(synth::Args),
}

impl Cli {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::List(args) => args.run(),
            Command::Fetch(args) => args.run(),
            Command::Info(args) => args.run(),
            Command::Convert(args) => args.run(),
            Command::Truth(args) => args.run(),
            Command::Synth(args) => args.run(),
        }
    }
}

/// Prints a result. A reader that has seen enough, as `head` has, is no error.
fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Prints a result for programs.
fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    Ok(print(&(serde_json::to_string_pretty(value)? + "\n"))?)
}
