//! The contrastive loss in tiles beside the plain one: time, and the largest memory each took, by batch size.
//!
//! ```text
//! cargo run --release -p vicino-embed --example tiled_loss -- --batch 1024,4096,16384,65536 --out embed/results/tiled-loss.md
//! ```

mod conditions;

use anyhow::{Context, Result};
use clap::Parser;
use serde_json::json;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;
use vicino_embed::cpu::Level;
use vicino_embed::random::Random;
use vicino_embed::train::Gradients;
use vicino_embed::train::contrastive::{Batch, Contrastive};
use vicino_embed::train::negatives::Masked;
use vicino_embed::train::tiled::DEFAULT_TILE;
use vicino_embed::train::unit::Unit;

/// Measures both forms of the symmetric loss. Linux only: memory is the kernel's count of resident pages.
#[derive(Parser)]
struct Args {
    /// Rows of queries, and as many of documents.
    #[arg(long, value_delimiter = ',', default_values_t = [1024, 4096, 16384])]
    batch: Vec<usize>,
    /// Numbers in a row.
    #[arg(long, default_value_t = 384)]
    dim: usize,
    /// Rows and columns of a tile.
    #[arg(long, default_value_t = DEFAULT_TILE)]
    tile: usize,
    /// The plain loss runs where its score matrix takes no more than this; elsewhere only its need is printed.
    #[arg(long, default_value_t = 2048)]
    plain_mib: usize,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Write the report to this file too.
    #[arg(long)]
    out: Option<PathBuf>,
}

const MIB: f64 = (1 << 20) as f64;

/// One form's run.
struct Measured {
    gradients: Gradients,
    seconds: f64,
    /// Above what was resident before, the gradients included.
    peak_mib: f64,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let mut report = Report { text: String::new(), printed: !args.json };
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    report.line("# The contrastive loss in tiles beside the plain one\n");
    report.line(&format!(
        "`cargo run --release -p vicino-embed --example tiled_loss -- {}`  \n{}\n",
        arguments.join(" "),
        conditions::conditions(Level::detect())
    ));
    let (dim, tile) = (args.dim, args.tile);
    report.line(&format!("Symmetric loss, dimension {dim}, tiles of {tile} × {tile}, one thread. Peaks are resident memory above what was there before,"));
    report.line("gradients included. The difference is the largest of any gradient, as part of the largest gradient. The plain loss is");
    report.line(&format!("not run where its score matrix alone takes more than {} MiB.\n", args.plain_mib));
    report.line(
        "| batch | score matrix, MiB | plain: peak, MiB | s | tiled: peak, MiB | s | largest difference |\n|---|---|---|---|---|---|---|",
    );
    let mut rows = Vec::new();
    for &batch in &args.batch {
        let row = measure(batch, &args)?;
        let number = |name: &str, digits: usize| match row[name].as_f64() {
            Some(number) => format!("{number:.digits$}"),
            None => "–".into(),
        };
        let difference = row["largest_difference"].as_f64().map_or("–".into(), |found| format!("{found:.1e}"));
        let (plain, tiled) = (number("plain_peak_mib", 0), number("tiled_peak_mib", 0));
        let (plain_s, tiled_s) = (number("plain_seconds", 2), number("tiled_seconds", 2));
        let matrix = number("matrix_mib", 0);
        report.line(&format!("| {batch} | {matrix} | {plain} | {plain_s} | {tiled} | {tiled_s} | {difference} |"));
        rows.push(row);
    }
    if args.json {
        println!("{:#}", json!({ "dim": args.dim, "tile": args.tile, "symmetric": true, "rows": rows }));
    }
    match args.out {
        Some(path) => fs::write(&path, report.text).with_context(|| path.display().to_string()),
        None => Ok(()),
    }
}

/// Lines of Markdown, printed as they come.
struct Report {
    text: String,
    printed: bool,
}

impl Report {
    fn line(&mut self, line: &str) {
        if self.printed {
            println!("{line}");
        }
        self.text.push_str(line);
        self.text.push('\n');
    }
}

fn measure(batch: usize, args: &Args) -> Result<serde_json::Value> {
    let mut random = Random::new(batch as u64);
    let queries: Vec<f32> = (0..batch * args.dim).map(|_| random.normal() as f32).collect();
    // A document is its query and as much noise again, so that the softmax is neither flat nor decided.
    let documents = queries.iter().map(|x| x + random.normal() as f32).collect();
    let (queries, documents) = (Unit::new(queries, args.dim).rows, Unit::new(documents, args.dim).rows);
    let masked = Masked::default();
    let loss = Contrastive { symmetric: true, ..Contrastive::DEFAULT };
    let batch_of = Batch { queries: &queries, documents: &documents, dim: args.dim, masked: &masked };

    let tiled = run(|| loss.tiled(batch_of, args.tile))?;
    let matrix_mib = (batch * batch * 4) as f64 / MIB;
    let plain = if matrix_mib <= args.plain_mib as f64 { Some(run(|| loss.plain(batch_of))?) } else { None };
    let difference = plain.as_ref().map(|plain| {
        let sides = |of: &Gradients| of.queries.iter().chain(&of.documents).copied().collect::<Vec<f32>>();
        let (plain, tiled) = (sides(&plain.gradients), sides(&tiled.gradients));
        let largest = plain.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
        plain.iter().zip(&tiled).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs())) / largest
    });
    Ok(json!({
        "batch": batch, "matrix_mib": matrix_mib, "loss": tiled.gradients.loss,
        "tiled_peak_mib": tiled.peak_mib, "tiled_seconds": tiled.seconds,
        "plain_peak_mib": plain.as_ref().map(|plain| plain.peak_mib),
        "plain_seconds": plain.as_ref().map(|plain| plain.seconds),
        "plain_loss": plain.as_ref().map(|plain| plain.gradients.loss),
        "largest_difference": difference,
    }))
}

fn run(work: impl FnOnce() -> Gradients) -> Result<Measured> {
    // 5 asks the kernel to forget the largest resident size so far (proc_pid_clear_refs(5)).
    fs::write("/proc/self/clear_refs", "5").context("/proc/self/clear_refs")?;
    let before = resident("VmRSS")?;
    let started = Instant::now();
    let gradients = work();
    let seconds = started.elapsed().as_secs_f64();
    Ok(Measured { gradients, seconds, peak_mib: (resident("VmHWM")? - before) / MIB })
}

/// A field of `/proc/self/status`, in bytes.
fn resident(field: &str) -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status").context("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let kib: f64 = line.and_then(|line| line.split_whitespace().next()).context(field.to_owned())?.parse()?;
    Ok(kib * 1024.0)
}
