//! `vicino embed distill`.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, ensure};
use clap::Args;
use indicatif::ProgressBar;
use serde_json::json;
use vicino_embed::distill::{DistillParams, Stage, distill, wordnet};
use vicino_embed::{Encoder, StaticEncoder};

use super::{advance, progress, sentence_encoder};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  apt-get download wordnet-base && dpkg-deb -x wordnet-base_*.deb wordnet
  vicino embed distill --wordnet wordnet/usr/share/wordnet --out static.safetensors
  vicino embed distill --teacher ./my-model --texts texts.txt --dim 128 --out small.safetensors")]
pub(super) struct Distill {
    /// The sentence encoder to learn from: minilm, a model's folder, or its name in the Hugging Face cache
    #[arg(long, default_value = "minilm")]
    teacher: String,
    /// Tokens of a text that the teacher looks at
    #[arg(long, value_name = "TOKENS", default_value_t = 64)]
    max_tokens: usize,
    /// Files of texts to learn on, one in a line
    #[arg(long, value_name = "FILE", num_args = 1.., required_unless_present = "wordnet")]
    texts: Vec<PathBuf>,
    /// A folder with WordNet's data.noun, data.verb, data.adj and data.adv, whose entries are texts too
    #[arg(long, value_name = "DIR")]
    wordnet: Option<PathBuf>,
    /// Take every Nth text only
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    every: u32,
    /// Numbers in a vector
    #[arg(long, default_value_t = DistillParams::default().dim)]
    dim: usize,
    /// How strongly the vectors are held to those of single tokens
    #[arg(long, default_value_t = DistillParams::default().ridge)]
    ridge: f32,
    /// Steps of conjugate gradients
    #[arg(long, default_value_t = DistillParams::default().iterations)]
    iterations: usize,
    /// Where the table goes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Distill {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let texts = self.read()?;
        let texts: Vec<&str> = texts.iter().map(String::as_str).step_by(self.every as usize).collect();
        let teacher = sentence_encoder(&self.teacher, Some(self.max_tokens))?;
        let params = DistillParams { dim: self.dim, ridge: self.ridge, iterations: self.iterations };
        let (teaching, fitting): (ProgressBar, ProgressBar) = (progress("teacher")?, progress("fitting")?);
        let started = Instant::now();
        let table = distill(&teacher, &texts, params, &|stage| match stage {
            Stage::Teacher { done, total } => advance(&teaching, done, total),
            Stage::Fit { done, total } => advance(&fitting, done, total),
        })?;
        teaching.finish_and_clear();
        fitting.finish_and_clear();
        let encoder = StaticEncoder::read(&table)?;
        fs::write(&self.out, &table).with_context(|| self.out.display().to_string())?;
        let seconds = started.elapsed().as_secs_f64();
        let (model, tokens, bytes) = (encoder.model_id(), encoder.tokens(), table.len());
        if self.json {
            println!(
                "{:#}",
                json!({ "model": model, "tokens": tokens, "texts": texts.len(), "bytes": bytes, "seconds": seconds })
            );
        } else {
            println!("{model}: {tokens} tokens, {bytes} bytes, from {} texts in {seconds:.0} s", texts.len());
        }
        Ok(())
    }

    fn read(&self) -> anyhow::Result<Vec<String>> {
        let mut texts = match &self.wordnet {
            Some(folder) => wordnet::texts(folder)?,
            None => Vec::new(),
        };
        for path in &self.texts {
            let file = fs::read_to_string(path).with_context(|| path.display().to_string())?;
            texts.extend(file.lines().filter(|line| !line.trim().is_empty()).map(String::from));
        }
        ensure!(!texts.is_empty(), "expected texts to learn on, found none");
        Ok(texts)
    }
}
