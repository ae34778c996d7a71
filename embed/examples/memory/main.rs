//! Measures of memory layers and Hopfield retrieval: each command checks or times one claim and prints it as a report.
//!
//! ```text
//! cargo run --release -p vicino-embed --example memory -- exact    --out embed/results
//! cargo run --release -p vicino-embed --example memory -- speed    --out embed/results
//! cargo run --release -p vicino-embed --example memory -- train    --out embed/results
//! cargo run --release -p vicino-embed --example memory -- hopfield --out embed/results
//! ```

#![forbid(unsafe_code)]

mod chart;
#[path = "../conditions/mod.rs"]
mod conditions;
mod exact;
mod hopfield;
mod report;
mod speed;
mod train;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Measures memory layers and Hopfield retrieval.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
    /// Write the report and its plots to this folder, as memory-COMMAND.md and .svg, besides printing it.
    #[arg(long, global = true)]
    out: Option<PathBuf>,
    /// Of random keys, queries and facts.
    #[arg(long, global = true, default_value_t = 1)]
    seed: u64,
}

#[derive(Subcommand)]
enum Command {
    /// Top k of product keys against a scan of all n² keys.
    Exact(exact::Options),
    /// Time of a lookup by part, the gather's speed beside a sequential read, and the time to score all keys.
    Speed(speed::Options),
    /// Random associations learnt by a memory layer, and by a network of two layers with as many operations.
    Train(train::Options),
    /// Energies, errors beside the paper's bound, and what the best k leave out.
    Hopfield(hopfield::Options),
}

fn main() -> Result<()> {
    let args = Args::parse();
    let report = match &args.command {
        Command::Exact(options) => exact::run(options, args.seed)?,
        Command::Speed(options) => speed::run(options, args.seed)?,
        Command::Train(options) => train::run(options, args.seed)?,
        Command::Hopfield(options) => hopfield::run(options, args.seed)?,
    };
    report.publish(args.out.as_deref())
}
