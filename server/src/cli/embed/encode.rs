//! `vicino embed encode`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};
use vicino_datasets::formats::{Table, npy};
use vicino_datasets::{Matrix, Values};
use vicino_embed::{Counts, EncodeOptions, Overlong, TextKind};

use super::{ENCODERS, Model, advance, progress};

/// Texts encoded and written at a time.
const BATCH: usize = 1024;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  echo 'a cat on a mat' | vicino embed encode                      one JSON line for each line of text
  vicino embed encode texts.txt --encoder minilm --out vectors.npy dense vectors as one matrix
  vicino embed encode docs.jsonl --encoder splade --kind document  `text` of JSON lines; sparse vectors

`datasets fetch all-minilm-l6-v2` and `datasets fetch splade-tiny` get two models, `datasets fetch hf:OWNER/NAME` those of the
Hugging Face hub; `static` needs nothing.")]
pub(super) struct Encode {
    /// A file of lines, or of JSON lines with `text` if it ends in .jsonl; without it, stdin
    #[arg(value_name = "FILE")]
    texts: Option<PathBuf>,
    #[arg(long, default_value = "static", help = format!("The encoder: {ENCODERS}"))]
    encoder: String,
    /// What the texts are
    #[arg(long, value_enum, default_value_t = Kind::Raw)]
    kind: Kind,
    /// A .npy file for dense vectors, else JSON lines; without it, JSON lines on stdout
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Tokens of a text that are looked at; by default what the model says
    #[arg(long, value_name = "TOKENS")]
    max_tokens: Option<usize>,
    /// Refuse texts that are too long instead of cutting them
    #[arg(long)]
    refuse_long: bool,
    /// Print what was done as one JSON object on stderr
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Query,
    Document,
    Raw,
}

impl Encode {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let texts = self.texts()?;
        let model = Model::open(&self.encoder, self.max_tokens)?;
        let matrix = self.out.as_ref().is_some_and(|path| path.extension().is_some_and(|end| end == "npy"));
        if matrix && !matches!(model, Model::Dense(_)) {
            bail!("--out FILE.npy takes dense vectors, and `{}` has others: name a .jsonl file", self.encoder);
        }
        let mut lines: Option<Box<dyn Write>> = match &self.out {
            _ if matrix => None,
            Some(path) => {
                Some(Box::new(BufWriter::new(File::create(path).with_context(|| path.display().to_string())?)))
            }
            None => Some(Box::new(BufWriter::new(io::stdout().lock()))),
        };
        let (mut numbers, mut counts, mut done) = (Vec::new(), Counts::default(), 0);
        let bar = progress("encoding")?;
        for batch in texts.chunks(BATCH) {
            let report = |part, _| advance(&bar, done + part, texts.len());
            let options = EncodeOptions {
                overlong: if self.refuse_long { Overlong::Refuse } else { Overlong::Cut },
                progress: Some(&report),
                ..EncodeOptions::new(self.kind.into())
            };
            let batch: Vec<&str> = batch.iter().map(String::as_str).collect();
            let counted = match &mut lines {
                Some(out) => write_lines(out, &model, &batch, &options)?,
                None => match &model {
                    Model::Dense(encoder) => {
                        let (vectors, counted) = encoder.encode_with(&batch, &options)?;
                        numbers.extend(vectors.into_data());
                        counted
                    }
                    _ => unreachable!("checked above"),
                },
            };
            counts.tokens += counted.tokens;
            counts.cut += counted.cut;
            done += batch.len();
        }
        bar.finish_and_clear();
        if let Some(mut out) = lines {
            out.flush()?;
        }
        if let (true, Some(path), Model::Dense(encoder)) = (matrix, &self.out, &model) {
            npy::write(path, &Table::Vectors(Matrix::new(Values::F32(numbers), encoder.dim())?))?;
        }
        let (tokens, cut) = (counts.tokens, counts.cut);
        if self.json {
            eprintln!("{}", json!({ "encoder": self.encoder, "texts": texts.len(), "tokens": tokens, "cut": cut }));
        } else {
            eprintln!("{} texts, {tokens} tokens, {cut} texts cut off", texts.len());
        }
        Ok(())
    }

    fn texts(&self) -> anyhow::Result<Vec<String>> {
        let (reader, name): (Box<dyn BufRead>, String) = match &self.texts {
            None => (Box::new(io::stdin().lock()), "stdin".into()),
            Some(path) => {
                let name = path.display().to_string();
                (Box::new(BufReader::new(File::open(path).with_context(|| name.clone())?)), name)
            }
        };
        let json_lines = self.texts.as_ref().is_some_and(|path| path.extension().is_some_and(|end| end == "jsonl"));
        let text = |(number, line): (usize, io::Result<String>)| {
            let place = || format!("{name}, line {}", number + 1);
            let line = line.with_context(place)?;
            if !json_lines {
                return Ok(line);
            }
            let object: Map<String, Value> = serde_json::from_str(&line).with_context(place)?;
            match object.get("text") {
                Some(Value::String(text)) => Ok(text.clone()),
                other => bail!("{}: expected `text`, a string, found {other:?}", place()),
            }
        };
        reader.lines().enumerate().map(text).collect()
    }
}

/// One JSON object for each text.
fn write_lines(
    out: &mut dyn Write,
    model: &Model,
    texts: &[&str],
    options: &EncodeOptions<'_>,
) -> anyhow::Result<Counts> {
    Ok(match model {
        Model::Dense(encoder) => {
            let (vectors, counts) = encoder.encode_with(texts, options)?;
            for (text, row) in texts.iter().zip(0..) {
                writeln!(out, "{}", json!({ "text": text, "vector": vectors.row(row) }))?;
            }
            counts
        }
        Model::Sparse(encoder) => {
            let (vectors, counts) = encoder.encode_with(texts, options)?;
            for (text, vector) in texts.iter().zip(vectors) {
                let vector = json!({ "indices": vector.indices(), "values": vector.values() });
                writeln!(out, "{}", json!({ "text": text, "vector": vector }))?;
            }
            counts
        }
        Model::MultiVector(encoder) => {
            let (vectors, counts) = encoder.encode_with(texts, options)?;
            for (text, at) in texts.iter().zip(0..) {
                let rows: Vec<&[f32]> = vectors.text(at).chunks_exact(encoder.dim()).collect();
                writeln!(out, "{}", json!({ "text": text, "vectors": rows }))?;
            }
            counts
        }
    })
}

impl From<Kind> for TextKind {
    fn from(kind: Kind) -> TextKind {
        match kind {
            Kind::Query => TextKind::Query,
            Kind::Document => TextKind::Document,
            Kind::Raw => TextKind::Raw,
        }
    }
}
