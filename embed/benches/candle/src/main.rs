//! Times candle's BERT on token ids, a round for each line on stdin: what `benches/throughput.py` drives.
//!
//! Texts are given as ids, a text in a line, all of one length, so that nothing is tokenized or padded. Threads are those of
//! `RAYON_NUM_THREADS`, which is where candle takes them from.
//!
//! ```text
//! RAYON_NUM_THREADS=1 candle-throughput MODEL_FOLDER ids.txt BATCH
//! ```

use anyhow::{Context, Result, bail, ensure};
use candle_core::{Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config, DTYPE};
use std::fs;
use std::io::{BufRead, stdin};
use std::path::Path;
use std::time::Instant;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, texts, batch] = &arguments[..] else {
        bail!("expected MODEL (a folder), TEXTS (a file of ids) and BATCH (texts)");
    };
    let folder = Path::new(folder);
    let config: Config = serde_json::from_slice(&fs::read(folder.join("config.json")).context("config.json")?)?;
    let weights = fs::read(folder.join("model.safetensors")).context("model.safetensors")?;
    let model = BertModel::load(VarBuilder::from_buffered_safetensors(weights, DTYPE, &Device::Cpu)?, &config)?;

    let file = fs::read_to_string(texts).with_context(|| texts.clone())?;
    let ids = |line: &str| line.split(' ').map(str::parse).collect::<Result<Vec<u32>, _>>();
    let texts: Vec<Vec<u32>> = file.lines().map(ids).collect::<Result<_, _>>()?;
    let length = texts.first().map_or(0, Vec::len);
    ensure!(length > 0 && texts.iter().all(|text| text.len() == length), "expected texts of one length");
    let batches = texts.chunks(batch.parse::<usize>()?.max(1));
    let batches: Vec<Tensor> = batches
        .map(|batch| Tensor::from_vec(batch.concat(), (batch.len(), length), &Device::Cpu))
        .collect::<Result<_, _>>()?;
    for round in stdin().lock().lines() {
        round?;
        let started = Instant::now();
        let mut sums = Vec::new();
        for ids in &batches {
            let states = model.forward(ids, &ids.zeros_like()?, None)?;
            let pooled = (states.sum(1)? / length as f64)?;
            let lengths = pooled.sqr()?.sum_keepdim(1)?.sqrt()?;
            sums.push(pooled.broadcast_div(&lengths)?.to_vec2::<f32>()?);
        }
        let seconds = started.elapsed().as_secs_f64();
        // Two places of the first vector, by which the caller sees that the work was done.
        println!("{} {seconds} {} {}", texts.len() * length, sums[0][0][0], sums[0][0][1]);
    }
    Ok(())
}
