//! Times one encoder on a file of texts, a round for each line on stdin: what `benches/throughput.py` drives.
//!
//! ```text
//! yes | head -5 | cargo run --release -p vicino-embed --example throughput -- static texts.txt 1
//! ```

use anyhow::{Context, Result};
use std::io::{BufRead, stdin};
use std::time::Instant;
use vicino_embed::{DenseEncoder, EncodeOptions, SentenceEncoder, StaticEncoder, TextKind};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, texts, threads] = &arguments[..] else {
        anyhow::bail!("expected MODEL (static, or a folder), TEXTS (a file of lines) and THREADS");
    };
    let file = std::fs::read_to_string(texts).with_context(|| texts.clone())?;
    let texts: Vec<&str> = file.lines().collect();
    let encoder: Box<dyn DenseEncoder> = match model.as_str() {
        "static" => Box::new(StaticEncoder::builtin().clone()),
        folder => Box::new(SentenceEncoder::open(folder.as_ref())?),
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.parse()?).build()?;
    for round in stdin().lock().lines() {
        round?;
        let started = Instant::now();
        let (vectors, counts) =
            pool.install(|| encoder.encode_with(&texts, &EncodeOptions::new(TextKind::Document)))?;
        let seconds = started.elapsed().as_secs_f64();
        // Two places of the first vector, by which the caller sees that the work was done.
        println!("{} {seconds} {} {}", counts.tokens, vectors.row(0)[0], vectors.row(0)[1]);
    }
    Ok(())
}
