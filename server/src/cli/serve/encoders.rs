//! `--encoder`: the models that are served beside the one that comes with the program.

use anyhow::{Context, bail};
use vicino_embed::DenseEncoder;

use crate::api::{Encoders, MODEL};
use crate::cli::embed::Model;

pub(super) const HELP: &str = "\
A model that texts in requests may name besides `static`, or NAME for MODEL; may be given several times. MODEL is what `vicino embed \
encode --encoder` takes: minilm, a static table (.safetensors), or a model's folder or name in the Hugging Face cache. Dense vectors \
only: `splade`, `tokens:MODEL` and `bm25` are refused. Texts are cut to the tokens that a model looks at";

/// A model to serve, and what requests call it.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    name: String,
    model: String,
}

/// Reads `NAME=MODEL`, or a model that goes by its own name.
pub(super) fn wanted(text: &str) -> Result<Wanted, String> {
    let (name, model) = text.split_once('=').unwrap_or((text, text));
    if name.is_empty() || model.is_empty() {
        return Err("expected NAME=MODEL, or MODEL".into());
    }
    Ok(Wanted { name: name.into(), model: model.into() })
}

/// Opens all of them and says what is served.
pub(super) fn open(wanted: &[Wanted]) -> anyhow::Result<Encoders> {
    let mut encoders = Encoders::default();
    if wanted.is_empty() {
        return Ok(encoders);
    }
    for Wanted { name, model } in wanted {
        if name.as_str() == MODEL {
            bail!(
                "--encoder {name}: `{MODEL}` is the model that comes with the program and is always served: expected another name"
            );
        }
        let encoder = dense(model).with_context(|| format!("--encoder {name}={model}"))?;
        encoders.add(name.clone(), encoder).with_context(|| format!("--encoder {name}={model}"))?;
    }
    for (name, encoder) in encoders.iter() {
        let tokens = encoder.max_tokens().map_or("all".into(), |max| format!("at most {max}"));
        tracing::info!(
            "model `{name}`: {} dimensions, {tokens} tokens of a text, {}",
            encoder.dim(),
            encoder.model_id()
        );
    }
    Ok(encoders)
}

fn dense(model: &str) -> anyhow::Result<Box<dyn DenseEncoder>> {
    let kind = match model {
        "bm25" => "sparse vectors, weighted by a corpus",
        _ => match Model::open(model, None)? {
            Model::Dense(encoder) => return Ok(encoder),
            Model::Sparse(_) => "sparse vectors",
            Model::MultiVector(_) => "several vectors for a text",
        },
    };
    bail!("expected a model of dense vectors, found one of {kind}, which are not served yet")
}
