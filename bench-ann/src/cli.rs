//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Measures nearest-neighbour indexes side by side: recall, speed, build time, size, memory.
#[derive(Parser)]
#[command(name = "bench-ann", version, max_term_width = 120)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Build indexes on a data set, search them, write what was measured as JSON
    Run(RunArgs),
    /// Tables, plots and a page from results files
    Report(ReportArgs),
    /// How the second results file differs from the first: speed ratios at equal recall, losses marked
    Compare {
        /// The older results
        old: PathBuf,
        /// The newer results
        new: PathBuf,
        /// Print Markdown
        #[arg(long)]
        markdown: bool,
    },
    /// What codes can find without a graph: of the true neighbours, how many are among the nearest by code
    Gate(GateArgs),
    /// How time per query and build time grow with the rows: results of `run --rows` side by side
    Growth(GrowthArgs),
    /// Where the time of a query of the quantized graph goes, beside what this machine's memory allows
    Budget(BudgetArgs),
    /// Filtered search by selectivity and correlation, beside the exact scan and Qdrant's engine: measure, or report what was measured
    Filters(FiltersArgs),
    /// What keeping points costs: durable writes, restarts, searches beside ingest, a long churn
    Collection(CollectionArgs),
    /// The memory that the collection in a folder takes; started by `collection`
    #[command(hide = true)]
    Resident {
        /// The collection's folder
        home: PathBuf,
        /// Queries, f32 behind one another
        queries: PathBuf,
        /// Neighbours per query
        k: usize,
        /// Beam width
        ef: usize,
    },
    /// The rivals' Python packages, in an environment of their own
    Rivals {
        #[command(subcommand)]
        command: RivalsCommand,
        /// Where the environment is [default: vicino/rivals in the user's cache folder]
        #[arg(long, env = "VICINO_RIVALS", value_name = "DIR", global = true)]
        rivals: Option<PathBuf>,
    },
    /// List the engines that can be measured
    Engines,
    /// List the built-in sweeps, or print one, as a start for your own
    Sweeps {
        /// The sweep to print
        name: Option<String>,
    },
    /// One engine's process; started by `run`, speaks JSON lines on stdin and stdout
    #[command(hide = true)]
    Worker {
        /// The engine
        #[arg(long)]
        engine: String,
    },
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  bench-ann run --dataset digits-64-euclidean --engine vicino,flat --sweep quick --out digits.json
  bench-ann run --dataset fashion-mnist-784-euclidean --engine vicino,hnswlib,faiss-hnsw,usearch \\
      --sweep first-slice --out fashion.json
  bench-ann run --dataset path/to/folder --engine vicino --k 100 --threads 4 --sweep mine.toml --out mine.json

Every index is built in a process of its own; then all settings of all engines are timed, repeat by repeat. The file is
written anew after every step, so Ctrl-C keeps what was measured.")]
pub(crate) struct RunArgs {
    /// A data set's name or path (see `datasets list`)
    #[arg(long)]
    pub(crate) dataset: String,
    /// Engines, separated by commas (see `bench-ann engines`)
    #[arg(long, required = true, value_delimiter = ',')]
    pub(crate) engine: Vec<String>,
    /// Neighbours per query
    #[arg(long, default_value_t = 10, value_parser = positive)]
    pub(crate) k: usize,
    /// Search threads
    #[arg(long, default_value_t = 1, value_parser = positive)]
    pub(crate) threads: usize,
    /// Build threads [default: all processors]
    #[arg(long, value_parser = positive)]
    pub(crate) build_threads: Option<usize>,
    /// A built-in sweep (see `bench-ann sweeps`) or a TOML file
    #[arg(long, default_value = "default")]
    pub(crate) sweep: String,
    /// Time every setting this often, whatever the sweep says
    #[arg(long, value_parser = positive)]
    pub(crate) repeats: Option<usize>,
    /// Index only the first so many rows; their exact neighbours are then computed
    #[arg(long, value_parser = positive)]
    pub(crate) rows: Option<usize>,
    /// Ask only the first so many queries
    #[arg(long, value_parser = positive)]
    pub(crate) queries: Option<usize>,
    /// Where the results go
    #[arg(long, value_name = "FILE.json")]
    pub(crate) out: PathBuf,
    /// Also write the neighbours found, int32: [queries × k], or [runs × queries × k] for several, in the order of `runs` in the results
    #[arg(long, value_name = "FILE.npy")]
    pub(crate) neighbors: Option<PathBuf>,
    /// Give up on an engine that takes longer than this for one build or batch, in seconds
    #[arg(long, default_value_t = 7200, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout: u64,
    /// Keep the rivals' indexes in this folder, and read back those that are there instead of building them; results mark them
    #[arg(long, env = "VICINO_KEEP", value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
    /// Where the rivals' environment is [default: vicino/rivals in the user's cache folder]
    #[arg(long, env = "VICINO_RIVALS", value_name = "DIR")]
    pub(crate) rivals: Option<PathBuf>,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  bench-ann collection --dataset digits-64-euclidean --seconds 1 --rounds 5 --dir /tmp/points --out points.json
  bench-ann collection --dataset sift-photos-128-euclidean --dir /data/points --out points.json
  bench-ann collection --dataset sift-photos-128-euclidean --dir /data/points --out points.json --phase latency
  bench-ann collection --dataset sift-photos-128-euclidean --dir /data/points --out points.json --phase churn --churn-rows 300000

Phases come in the order load, writes, restart, latency, churn. The report, FILE.json and the same as FILE.md, is written after each; a
phase that is repeated takes the place of its last. writes, restart and latency go on with the collection that load left in DIR; churn
makes its own. The report says machine, commit and every setting. The folder should be on the disk that is to be measured.")]
pub(crate) struct CollectionArgs {
    /// A data set's name or path (see `datasets list`)
    #[arg(long)]
    pub(crate) dataset: String,
    /// Measure only these, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "PHASE")]
    pub(crate) phase: Vec<bench_ann::collection::Phase>,
    /// Keep only the first so many rows
    #[arg(long, value_parser = positive)]
    pub(crate) rows: Option<usize>,
    /// Ask only the first so many queries
    #[arg(long, default_value_t = 1000, value_parser = positive)]
    pub(crate) queries: usize,
    /// How vectors are kept
    #[arg(long, default_value = "f32")]
    pub(crate) element: vicino_index::ElementType,
    /// Neighbours per query
    #[arg(long, default_value_t = 10, value_parser = positive)]
    pub(crate) k: usize,
    /// Beam widths, separated by commas; latencies are measured at the first
    #[arg(long, default_value = "64,128,32", value_delimiter = ',')]
    pub(crate) ef: Vec<usize>,
    /// Points of a batch
    #[arg(long, default_value_t = 1000, value_parser = positive)]
    pub(crate) batch: usize,
    /// Durable changes of one point each, by one writer and then by all
    #[arg(long, default_value_t = 10_000, value_parser = positive)]
    pub(crate) singles: usize,
    /// Writers at once
    #[arg(long, default_value_t = 64, value_parser = positive)]
    pub(crate) writers: usize,
    /// Seconds of searching in each state
    #[arg(long, default_value_t = 20.0)]
    pub(crate) seconds: f64,
    /// Points per second that come in at a steady rate
    #[arg(long, default_value_t = 1000, value_parser = positive)]
    pub(crate) ingest: usize,
    /// Points of the churn [default: 100,000, or all if there are fewer]
    #[arg(long, value_parser = positive)]
    pub(crate) churn_rows: Option<usize>,
    /// Rounds in which a twentieth of them is replaced
    #[arg(long, default_value_t = 100, value_parser = positive)]
    pub(crate) rounds: usize,
    /// Where collections are made: folders `points`, `worn` and `fresh` in it are emptied first
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Where the report goes; its Markdown beside it
    #[arg(long, value_name = "FILE.json")]
    pub(crate) out: PathBuf,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  bench-ann report fashion.json                     table; plots and page beside fashion.json
  bench-ann report a.json b.json --out report/      several files; those of one data set together
  bench-ann report fashion.json --json              speeds at recall .90/.95/.99/.995, for scripts
  bench-ann report fashion.json --markdown          the table, for a README")]
pub(crate) struct ReportArgs {
    /// Results files
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Print JSON instead of the table
    #[arg(long, conflicts_with = "markdown")]
    pub(crate) json: bool,
    /// Print Markdown instead of the table
    #[arg(long)]
    pub(crate) markdown: bool,
    /// Where plots and page go [default: beside the first file; with --json or --markdown: nowhere]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  for rows in 100000 300000 1000000; do
      bench-ann run --dataset sift-128-euclidean --rows $rows --engine vicino,hnswlib --sweep m16 --out sift-$rows.json
  done
  bench-ann growth sift-100000.json sift-300000.json sift-1000000.json")]
pub(crate) struct GrowthArgs {
    /// Results files of one data set with different numbers of rows
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Print Markdown
    #[arg(long)]
    pub(crate) markdown: bool,
    /// Where the plots go [default: beside the first file; with --markdown: nowhere]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Args)]
#[command(after_help = "\
Example:
  bench-ann budget --dataset fashion-mnist-784-euclidean --queries 2000 --recall .95,.99 --out budget.md")]
pub(crate) struct BudgetArgs {
    /// A data set's name or path (see `datasets list`)
    #[arg(long)]
    pub(crate) dataset: String,
    /// Recalls whose searches are taken apart
    #[arg(long, default_value = "0.95,0.99", value_delimiter = ',')]
    pub(crate) recall: Vec<f64>,
    /// Neighbours per query
    #[arg(long, default_value_t = 10, value_parser = positive)]
    pub(crate) k: usize,
    /// Index only the first so many rows
    #[arg(long, value_parser = positive)]
    pub(crate) rows: Option<usize>,
    /// Ask only the first so many queries
    #[arg(long, value_parser = positive)]
    pub(crate) queries: Option<usize>,
    /// Build threads [default: all processors]
    #[arg(long, value_parser = positive)]
    pub(crate) build_threads: Option<usize>,
    /// Also write it as Markdown
    #[arg(long, value_name = "FILE.md")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  bench-ann gate --dataset fashion-mnist-784-euclidean,path/to/folder --queries 200 > codes.md

Every row is compared by its code: f32, f16, bytes, nested codes read at 8, 4 and 2 bits, and one bit, rotated or not, over
all dimensions and over the first half of them.")]
pub(crate) struct GateArgs {
    /// Data sets by name or path, separated by commas
    #[arg(long, required = true, value_delimiter = ',')]
    pub(crate) dataset: Vec<String>,
    /// Neighbours per query
    #[arg(long, default_value_t = 10, value_parser = positive)]
    pub(crate) k: usize,
    /// Ask only the first so many queries
    #[arg(long, default_value_t = 200, value_parser = positive)]
    pub(crate) queries: usize,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  apt-get download dataset-fashion-mnist && dpkg-deb -x dataset-fashion-mnist_*.deb fashion
  bench-ann filters --dataset fashion-mnist-784-euclidean --out filters.json \\
      --labels fashion/usr/share/datasets/fashion-mnist/train-labels-idx1-ubyte.gz \\
      --query-labels fashion/usr/share/datasets/fashion-mnist/t10k-labels-idx1-ubyte.gz
  bench-ann filters --report filters.json --markdown

Table and plot are made beside the results.")]
pub(crate) struct FiltersArgs {
    /// A data set's name or path (see `datasets list`)
    #[arg(long, required_unless_present = "report", requires = "out")]
    pub(crate) dataset: Option<String>,
    /// Report this file instead of measuring
    #[arg(long, value_name = "FILE.json", conflicts_with = "dataset")]
    pub(crate) report: Option<PathBuf>,
    /// Classes of the rows: IDX, one byte each
    #[arg(long, value_name = "FILE", requires = "query_labels")]
    pub(crate) labels: Option<PathBuf>,
    /// Classes of the queries
    #[arg(long, value_name = "FILE", requires = "labels")]
    pub(crate) query_labels: Option<PathBuf>,
    /// Neighbours per query
    #[arg(long, default_value_t = 10, value_parser = positive)]
    pub(crate) k: usize,
    /// Recall that a setting must reach
    #[arg(long, default_value_t = 0.95)]
    pub(crate) recall: f64,
    /// Index only the first so many rows
    #[arg(long, value_parser = positive)]
    pub(crate) rows: Option<usize>,
    /// Ask only the first so many queries
    #[arg(long, default_value_t = 500, value_parser = positive)]
    pub(crate) queries: usize,
    /// Time every chosen setting this often
    #[arg(long, default_value_t = 5, value_parser = positive)]
    pub(crate) repeats: usize,
    /// Build threads [default: all processors]
    #[arg(long, value_parser = positive)]
    pub(crate) build_threads: Option<usize>,
    /// Where the results go
    #[arg(long, value_name = "FILE.json")]
    pub(crate) out: Option<PathBuf>,
    /// Print Markdown
    #[arg(long)]
    pub(crate) markdown: bool,
    /// Where the rivals' environment is [default: vicino/rivals in the user's cache folder]
    #[arg(long, env = "VICINO_RIVALS", value_name = "DIR")]
    pub(crate) rivals: Option<PathBuf>,
}

#[derive(Subcommand)]
pub(crate) enum RivalsCommand {
    /// Install rivals, by engine or package name; all without a name
    Install {
        /// Engines or packages
        names: Vec<String>,
    },
    /// What is installed, and what did not install and why
    List,
}

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("expected a whole number of at least 1".to_owned()),
        Ok(number) => Ok(number),
    }
}
