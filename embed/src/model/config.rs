//! What a model's JSON files say, reduced to what the forward pass and the pooling need.

use super::ModelError;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// How the vectors of a text's tokens become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The first token's, `[CLS]`.
    Cls,
    /// Their mean, special tokens included.
    Mean,
    /// The largest value of each dimension.
    Max,
    /// Their sum over the square root of their number.
    MeanSqrtLength,
}

/// What is put before a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prompts {
    /// Before a query.
    pub query: String,
    /// Before a document.
    pub document: String,
}

/// The shape of a BERT body.
#[derive(Debug, Clone, PartialEq)]
pub struct BertConfig {
    /// Dimension of a token's state.
    pub hidden: usize,
    /// Layers.
    pub layers: usize,
    /// Attention heads; they share `hidden` evenly.
    pub heads: usize,
    /// Dimension inside the feed-forward part.
    pub intermediate: usize,
    /// Tokens in the vocabulary.
    pub vocabulary: usize,
    /// Positions that have an embedding.
    pub positions: usize,
    /// Segments that have an embedding.
    pub token_types: usize,
    /// Added to the variance in layer normalisation.
    pub layer_norm_eps: f32,
    /// What the head on top is, as `architectures` names it.
    pub architecture: String,
    /// Outputs of a classification head.
    pub labels: usize,
}

/// A sentence encoder's settings.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// The body.
    pub bert: BertConfig,
    /// How tokens become one vector.
    pub pooling: Pooling,
    /// Whether vectors are scaled to length 1.
    pub normalize: bool,
    /// Tokens that are looked at, `[CLS]` and `[SEP]` included.
    pub max_tokens: usize,
    /// What is put before texts.
    pub prompts: Prompts,
}

#[derive(Deserialize)]
struct Module {
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct SentenceBert {
    max_seq_length: Option<usize>,
}

#[derive(Default, Deserialize)]
struct SentenceTransformers {
    #[serde(default)]
    prompts: BTreeMap<String, Option<String>>,
    default_prompt_name: Option<String>,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    architectures: Vec<String>,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    vocab_size: usize,
    max_position_embeddings: usize,
    #[serde(default = "two")]
    type_vocab_size: usize,
    #[serde(default = "bert_eps")]
    layer_norm_eps: f32,
    #[serde(default = "gelu")]
    hidden_act: String,
    #[serde(default = "absolute")]
    position_embedding_type: String,
    #[serde(default)]
    id2label: BTreeMap<String, Value>,
}

fn two() -> usize {
    2
}

fn bert_eps() -> f32 {
    1e-12
}

fn gelu() -> String {
    "gelu".into()
}

fn absolute() -> String {
    "absolute".into()
}

impl ModelConfig {
    /// Reads the settings of the sentence encoder in `folder`.
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        let path = folder.join("modules.json");
        let modules: Vec<Module> = read(&path)?;
        let [transformer, pooling, rest @ ..] = &modules[..] else {
            let kinds: Vec<&str> = modules.iter().map(Module::name).collect();
            return Err(ModelError::Malformed {
                path,
                expected: "a Transformer and a Pooling module at least",
                found: format!("{kinds:?}"),
            });
        };
        let known = transformer.name() == "Transformer"
            && pooling.name() == "Pooling"
            && rest.len() <= 1
            && rest.iter().all(|module| module.name() == "Normalize");
        if !known {
            return Err(ModelError::Unsupported {
                path,
                field: "type".into(),
                found: modules.iter().map(Module::name).collect::<Vec<_>>().join(", "),
                supported: "Transformer, Pooling, and Normalize or nothing",
            });
        }
        let body = folder.join(&transformer.path);
        let bert = BertConfig::open(&body)?;
        let pooling = read_pooling(&folder.join(&pooling.path).join("config.json"), bert.hidden)?;
        let limit = read_if_there::<SentenceBert>(&body.join("sentence_bert_config.json"))?;
        let max_tokens = limit.and_then(|limit| limit.max_seq_length).unwrap_or(bert.positions);
        check_limit(&body.join("sentence_bert_config.json"), max_tokens, bert.positions)?;
        let path = folder.join("config_sentence_transformers.json");
        let prompts = read_if_there::<SentenceTransformers>(&path)?.unwrap_or_default().prompts(&path)?;
        Ok(ModelConfig { bert, pooling, normalize: !rest.is_empty(), max_tokens, prompts })
    }
}

impl Module {
    /// The last part of the class name: packages moved between versions of sentence-transformers.
    fn name(&self) -> &str {
        self.kind.rsplit('.').next().unwrap_or(&self.kind)
    }
}

impl SentenceTransformers {
    fn prompts(mut self, path: &Path) -> Result<Prompts, ModelError> {
        let default = match self.default_prompt_name {
            None => String::new(),
            Some(name) => match self.prompts.get(&name) {
                Some(prompt) => prompt.clone().unwrap_or_default(),
                None => {
                    let expected = "a `default_prompt_name` that is among the `prompts`";
                    return Err(ModelError::Malformed { path: path.into(), expected, found: format!("`{name}`") });
                }
            },
        };
        let mut take = |names: &[&str]| {
            names.iter().find_map(|&name| self.prompts.remove(name)).map_or(default.clone(), Option::unwrap_or_default)
        };
        Ok(Prompts { query: take(&["query"]), document: take(&["document", "passage"]) })
    }
}

fn check_limit(path: &Path, max_tokens: usize, positions: usize) -> Result<(), ModelError> {
    if (3..=positions).contains(&max_tokens) {
        return Ok(());
    }
    Err(ModelError::Malformed {
        path: path.into(),
        expected: "a `max_seq_length` of at least 3 and at most the model's positions",
        found: format!("{max_tokens} of {positions}"),
    })
}

fn read_pooling(path: &Path, hidden: usize) -> Result<Pooling, ModelError> {
    let settings: Map<String, Value> = read(path)?;
    if let Some(dim) = settings.get("word_embedding_dimension").filter(|dim| dim.as_u64() != Some(hidden as u64)) {
        let expected = "the `word_embedding_dimension` that config.json calls `hidden_size`";
        return Err(ModelError::Malformed { path: path.into(), expected, found: format!("{dim} and {hidden}") });
    }
    let chosen = settings.iter().filter(|(name, value)| name.starts_with("pooling_mode_") && **value == true);
    let chosen: Vec<&str> = chosen.map(|(name, _)| name.as_str()).collect();
    match chosen[..] {
        ["pooling_mode_cls_token"] => Ok(Pooling::Cls),
        ["pooling_mode_mean_tokens"] => Ok(Pooling::Mean),
        ["pooling_mode_max_tokens"] => Ok(Pooling::Max),
        ["pooling_mode_mean_sqrt_len_tokens"] => Ok(Pooling::MeanSqrtLength),
        _ => Err(ModelError::Unsupported {
            path: path.into(),
            field: "pooling_mode".into(),
            found: if chosen.is_empty() { "none".into() } else { chosen.join(" and ") },
            supported: "one of cls_token, mean_tokens, max_tokens, mean_sqrt_len_tokens",
        }),
    }
}

impl BertConfig {
    /// Reads `config.json` in `folder`.
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        let path = folder.join("config.json");
        let config: Config = read_typed(&path)?;
        let unsupported = |field: &str, found: String, supported| {
            Err(ModelError::Unsupported { path: path.clone(), field: field.into(), found, supported })
        };
        if config.hidden_act != "gelu" {
            return unsupported("hidden_act", config.hidden_act, "gelu");
        }
        if config.position_embedding_type != "absolute" {
            return unsupported("position_embedding_type", config.position_embedding_type, "absolute");
        }
        let sizes = [
            ("hidden_size", config.hidden_size),
            ("num_hidden_layers", config.num_hidden_layers),
            ("num_attention_heads", config.num_attention_heads),
            ("intermediate_size", config.intermediate_size),
            ("vocab_size", config.vocab_size),
            ("max_position_embeddings", config.max_position_embeddings),
            ("type_vocab_size", config.type_vocab_size),
        ];
        for (name, size) in sizes {
            if !(1..=1 << 24).contains(&size) {
                let found = format!("`{name}` {size}");
                return Err(ModelError::Malformed { path, expected: "sizes in 1..=2²⁴", found });
            }
        }
        if !config.hidden_size.is_multiple_of(config.num_attention_heads) {
            let found = format!("{} and {}", config.hidden_size, config.num_attention_heads);
            let expected = "a `hidden_size` that `num_attention_heads` divides";
            return Err(ModelError::Malformed { path, expected, found });
        }
        Ok(BertConfig {
            hidden: config.hidden_size,
            layers: config.num_hidden_layers,
            heads: config.num_attention_heads,
            intermediate: config.intermediate_size,
            vocabulary: config.vocab_size,
            positions: config.max_position_embeddings,
            token_types: config.type_vocab_size,
            layer_norm_eps: config.layer_norm_eps,
            architecture: config.architectures.into_iter().next().unwrap_or_default(),
            // What Hugging Face assumes where nothing is said.
            labels: if config.id2label.is_empty() { 2 } else { config.id2label.len() },
        })
    }

    /// Errors unless `architectures` names `expected`, which says what the head is.
    pub fn expect_architecture(&self, folder: &Path, expected: &'static str) -> Result<(), ModelError> {
        if self.architecture == expected {
            return Ok(());
        }
        Err(ModelError::Unsupported {
            path: folder.join("config.json"),
            field: "architectures".into(),
            found: format!("`{}`", self.architecture),
            supported: expected,
        })
    }
}

/// Reads `config.json`, of which only a BERT's is understood: the type is looked at before anything else.
fn read_typed(path: &Path) -> Result<Config, ModelError> {
    let value: Value = read(path)?;
    let kind = value.get("model_type").and_then(Value::as_str).unwrap_or("nothing");
    if kind != "bert" {
        let (field, found) = ("model_type".into(), format!("`{kind}`"));
        return Err(ModelError::Unsupported { path: path.into(), field, found, supported: "bert" });
    }
    serde_json::from_value(value).map_err(|error| malformed(path, &error))
}

pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, ModelError> {
    let text = fs::read_to_string(path).map_err(|source| ModelError::Io { path: path.into(), source })?;
    serde_json::from_str(&text).map_err(|error| malformed(path, &error))
}

fn read_if_there<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, ModelError> {
    match read(path) {
        Err(ModelError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

fn malformed(path: &Path, error: &serde_json::Error) -> ModelError {
    ModelError::Malformed { path: path.into(), expected: "the settings of a BERT model", found: error.to_string() }
}
