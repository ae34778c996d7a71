//! `datasets synth`: writing made-up sets.

use std::path::PathBuf;

use anyhow::ensure;
use clap::Subcommand;
use vicino_datasets::folder::{self, Provenance};
use vicino_datasets::synthetic;
use vicino_index::Metric;

/// Make a data set of random vectors with a known structure
///
/// The same arguments give the same numbers on every machine. Prints the folder.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, Subcommand)]
enum Kind {
    /// Independent normal coordinates
    Gaussian {
        #[command(flatten)]
        shape: Shape,
    },
    /// Points around random centres
    Clustered {
        /// How many centres
        #[arg(long, default_value_t = 100)]
        clusters: usize,
        /// Distance from the centre, as a share of that between centres
        #[arg(long, default_value_t = 0.1)]
        spread: f64,
        #[command(flatten)]
        shape: Shape,
    },
    /// Points of a random subspace
    LowIntrinsic {
        /// Dimension of the subspace
        #[arg(long, default_value_t = 8)]
        intrinsic: usize,
        #[command(flatten)]
        shape: Shape,
    },
    /// Rows that occur many times
    Duplicates {
        /// How many different rows
        #[arg(long, default_value_t = 1000)]
        distinct: usize,
        #[command(flatten)]
        shape: Shape,
    },
}

#[derive(Debug, clap::Args)]
struct Shape {
    /// Rows to index
    #[arg(long, default_value_t = 10_000)]
    rows: usize,
    /// Queries, of the same kind
    #[arg(long, default_value_t = 1_000)]
    queries: usize,
    /// Coordinates per vector
    #[arg(long)]
    dim: usize,
    /// Seed of the random numbers
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How the vectors are compared: l2, dot, cosine, l1
    #[arg(long, default_value = "l2")]
    metric: Metric,
    /// The folder to write
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl Args {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let (Kind::Gaussian { shape }
        | Kind::Clustered { shape, .. }
        | Kind::LowIntrinsic { shape, .. }
        | Kind::Duplicates { shape, .. }) = &self.kind;
        let Shape { rows, queries, dim, seed, metric, ref out } = *shape;
        ensure!(dim > 0, "--dim: expected at least 1, found 0");
        let all = rows + queries;
        let matrix = match self.kind {
            Kind::Gaussian { .. } => synthetic::gaussian(all, dim, seed),
            Kind::Clustered { clusters, spread, .. } => {
                ensure!(clusters > 0, "--clusters: expected at least 1, found 0");
                synthetic::clustered(all, dim, clusters, spread, seed)
            }
            Kind::LowIntrinsic { intrinsic, .. } => synthetic::low_intrinsic(all, dim, intrinsic, seed),
            Kind::Duplicates { distinct, .. } => {
                ensure!(distinct > 0, "--distinct: expected at least 1, found 0");
                synthetic::duplicates(all, dim, distinct, seed)
            }
        };
        let name = out.file_name().map_or_else(|| "synthetic".into(), |name| name.to_string_lossy().into_owned());
        let dataset = synthetic::dataset(name, &matrix, queries, metric)?;
        // The arguments but --out make the numbers.
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let source = format!("datasets {}", arguments.join(" "));
        folder::write(out, &dataset, &Provenance { source: Some(source), licence: None })?;
        Ok(super::print(&format!("{}\n", out.display()))?)
    }
}
