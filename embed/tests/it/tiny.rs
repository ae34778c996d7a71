//! A small BERT with weights from a seed, written as a model folder, and computed here in f64 by the definition.

use crate::random::Random;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

pub(crate) const HIDDEN: usize = 24;
const HEADS: usize = 3;
const LAYERS: usize = 2;
const INNER: usize = 40;
pub(crate) const POSITIONS: usize = 48;
pub(crate) const WORDS: [&str; 14] =
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "lift", "of", "a", "wing", "##s", "heat", "flow", "##ing", ".", "fast"];

/// Named tensors with their shapes.
pub(crate) struct Tiny {
    pub(crate) tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl Tiny {
    pub(crate) fn new(seed: u64) -> Self {
        let mut tiny = Tiny { tensors: BTreeMap::new() };
        let mut random = Random(seed);
        for (name, shape) in [
            ("embeddings.word_embeddings", vec![WORDS.len(), HIDDEN]),
            ("embeddings.position_embeddings", vec![POSITIONS, HIDDEN]),
            ("embeddings.token_type_embeddings", vec![2, HIDDEN]),
        ] {
            tiny.add(&mut random, &format!("{name}.weight"), shape, 0.0);
        }
        tiny.norm(&mut random, "embeddings");
        for layer in 0..LAYERS {
            let name = |part: &str| format!("encoder.layer.{layer}.{part}");
            for part in ["query", "key", "value"] {
                tiny.linear(&mut random, &name(&format!("attention.self.{part}")), HIDDEN, HIDDEN);
            }
            tiny.linear(&mut random, &name("attention.output.dense"), HIDDEN, HIDDEN);
            tiny.norm(&mut random, &name("attention.output"));
            tiny.linear(&mut random, &name("intermediate.dense"), INNER, HIDDEN);
            tiny.linear(&mut random, &name("output.dense"), HIDDEN, INNER);
            tiny.norm(&mut random, &name("output"));
        }
        tiny.linear(&mut random, "pooler.dense", HIDDEN, HIDDEN);
        tiny.linear(&mut random, "classifier", 1, HIDDEN);
        tiny.linear(&mut random, "cls.predictions.transform.dense", HIDDEN, HIDDEN);
        tiny.norm(&mut random, "cls.predictions.transform");
        tiny.add(&mut random, "cls.predictions.bias", vec![WORDS.len()], 0.0);
        tiny
    }

    fn add(&mut self, random: &mut Random, name: &str, shape: Vec<usize>, centre: f32) {
        let number = |_| centre + random.below(2001) as f32 / 2500.0 - 0.4;
        let values = (0..shape.iter().product()).map(number).collect();
        self.tensors.insert(name.into(), (shape, values));
    }

    fn linear(&mut self, random: &mut Random, name: &str, outputs: usize, inputs: usize) {
        self.add(random, &format!("{name}.weight"), vec![outputs, inputs], 0.0);
        self.add(random, &format!("{name}.bias"), vec![outputs], 0.0);
    }

    fn norm(&mut self, random: &mut Random, name: &str) {
        self.add(random, &format!("{name}.LayerNorm.weight"), vec![HIDDEN], 1.0);
        self.add(random, &format!("{name}.LayerNorm.bias"), vec![HIDDEN], 0.0);
    }

    /// Writes a sentence encoder of mean pooling, `architecture` and `rename`d tensors.
    pub(crate) fn write(&self, folder: &Path, architecture: &str, rename: impl Fn(&str) -> String) {
        let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = self
            .tensors
            .iter()
            .map(|(name, (shape, values))| {
                (rename(name), shape.clone(), values.iter().flat_map(|x| x.to_le_bytes()).collect())
            })
            .collect();
        let views = bytes
            .iter()
            .map(|(name, shape, data)| (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), data).unwrap()));
        fs::write(folder.join("model.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
        fs::create_dir_all(folder.join("1_Pooling")).unwrap();
        for (name, value) in [
            ("modules.json", modules(&["Transformer", "Pooling", "Normalize"])),
            ("1_Pooling/config.json", json!({"word_embedding_dimension": HIDDEN, "pooling_mode_mean_tokens": true})),
            ("sentence_bert_config.json", json!({"max_seq_length": 32})),
            ("config.json", config(architecture)),
            ("tokenizer.json", tokenizer()),
        ] {
            fs::write(folder.join(name), value.to_string()).unwrap();
        }
    }

    fn get(&self, name: &str) -> Vec<f64> {
        self.tensors[name].1.iter().map(|&x| f64::from(x)).collect()
    }

    pub(crate) fn apply(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let (weight, bias) = (self.get(&format!("{name}.weight")), self.get(&format!("{name}.bias")));
        let rows = weight.chunks_exact(x.len()).zip(bias);
        rows.map(|(row, bias)| bias + row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>()).collect()
    }

    pub(crate) fn normalise(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let (weight, bias) =
            (self.get(&format!("{name}.LayerNorm.weight")), self.get(&format!("{name}.LayerNorm.bias")));
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64;
        let scale = 1.0 / (variance + 1e-12).sqrt();
        x.iter().zip(weight.iter().zip(bias)).map(|(x, (w, b))| (x - mean) * scale * w + b).collect()
    }

    /// The states of a text's tokens.
    pub(crate) fn forward(&self, ids: &[usize], types: &[usize]) -> Vec<Vec<f64>> {
        let row = |name: &str, at: usize| self.get(name)[at * HIDDEN..(at + 1) * HIDDEN].to_vec();
        let embedded = ids.iter().zip(types).enumerate().map(|(position, (&id, &kind))| {
            let sum = add(
                &row("embeddings.word_embeddings.weight", id),
                &row("embeddings.position_embeddings.weight", position),
            );
            self.normalise("embeddings", &add(&sum, &row("embeddings.token_type_embeddings.weight", kind)))
        });
        let mut states: Vec<Vec<f64>> = embedded.collect();
        for layer in 0..LAYERS {
            let name = |part: &str| format!("encoder.layer.{layer}.{part}");
            let all = |part: &str| -> Vec<Vec<f64>> { states.iter().map(|x| self.apply(&name(part), x)).collect() };
            let (q, k, v) = (all("attention.self.query"), all("attention.self.key"), all("attention.self.value"));
            let dim = HIDDEN / HEADS;
            let attended = q.iter().map(|q| {
                (0..HEADS)
                    .flat_map(|head| {
                        let part = head * dim..(head + 1) * dim;
                        let score = |k: &Vec<f64>| dot(&q[part.clone()], &k[part.clone()]) / (dim as f64).sqrt();
                        let weights: Vec<f64> = k.iter().map(|k| score(k).exp()).collect();
                        let total: f64 = weights.iter().sum();
                        let (v, weights) = (&v, &weights);
                        part.map(move |d| v.iter().zip(weights).map(|(v, w)| w * v[d]).sum::<f64>() / total)
                            .collect::<Vec<_>>()
                    })
                    .collect::<Vec<f64>>()
            });
            let attended: Vec<Vec<f64>> = attended.collect();
            states = states
                .iter()
                .zip(attended)
                .map(|(x, attended)| {
                    let x = add(x, &self.apply(&name("attention.output.dense"), &attended));
                    let x = self.normalise(&name("attention.output"), &x);
                    let inner: Vec<f64> = self.apply(&name("intermediate.dense"), &x).into_iter().map(gelu).collect();
                    self.normalise(&name("output"), &add(&x, &self.apply(&name("output.dense"), &inner)))
                })
                .collect();
        }
        states
    }
}

pub(crate) fn modules(kinds: &[&str]) -> Value {
    let module = |(at, kind): (usize, &&str)| {
        let path = if at == 0 { String::new() } else { format!("{at}_{kind}") };
        json!({"idx": at, "name": at.to_string(), "path": path, "type": format!("sentence_transformers.models.{kind}")})
    };
    kinds.iter().enumerate().map(module).collect()
}

pub(crate) fn config(architecture: &str) -> Value {
    json!({
        "model_type": "bert", "architectures": [architecture], "hidden_size": HIDDEN, "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS, "intermediate_size": INNER, "vocab_size": WORDS.len(),
        "max_position_embeddings": POSITIONS, "type_vocab_size": 2, "layer_norm_eps": 1e-12, "hidden_act": "gelu",
        "id2label": {"0": "LABEL_0"},
    })
}

/// BERT's, with truncation and padding that must not be followed.
fn tokenizer() -> Value {
    let vocabulary: serde_json::Map<String, Value> =
        WORDS.iter().zip(0..).map(|(word, id)| ((*word).into(), json!(id))).collect();
    let special = |name: &str, id: u32| json!({"id": name, "ids": [id], "tokens": [name]});
    let piece = |name: &str, kind: u32| json!({"SpecialToken": {"id": name, "type_id": kind}});
    let text = |name: &str, kind: u32| json!({"Sequence": {"id": name, "type_id": kind}});
    json!({
        "version": "1.0",
        "truncation": {"max_length": 4, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
        "padding": {"strategy": {"Fixed": 16}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"},
        "added_tokens": [],
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [piece("[CLS]", 0), text("A", 0), piece("[SEP]", 0)],
            "pair": [piece("[CLS]", 0), text("A", 0), piece("[SEP]", 0), text("B", 1), piece("[SEP]", 1)],
            "special_tokens": {"[CLS]": special("[CLS]", 2), "[SEP]": special("[SEP]", 3)},
        },
        "decoder": null,
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": vocabulary},
    })
}

pub(crate) fn add(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// With erf as Simpson's rule gives it.
pub(crate) fn gelu(x: f64) -> f64 {
    let (limit, steps) = (x / 2_f64.sqrt(), 2000);
    let h = limit / f64::from(steps);
    let value = |i: i32| (-(h * f64::from(i)).powi(2)).exp();
    let inner: f64 = (1..steps).map(|i| value(i) * if i % 2 == 0 { 2.0 } else { 4.0 }).sum();
    let erf = 2.0 / std::f64::consts::PI.sqrt() * h / 3.0 * (value(0) + inner + value(steps));
    0.5 * x * (1.0 + erf)
}
