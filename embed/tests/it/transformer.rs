//! Sentence encoder, token states, SPLADE and cross-encoder against the same model in f64, and what they refuse.

use crate::random::Random;
use crate::tiny::{self, HIDDEN, POSITIONS, Tiny, WORDS};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use vicino_embed::splade::InferenceFree;
use vicino_embed::{
    CrossEncoder, DenseEncoder, EncodeError, EncodeOptions, Encoder, MultiVectorEncoder, Overlong, Reranker,
    SentenceEncoder, SparseEncoder, Splade, TextKind, TokenStates,
};

const SEED: u64 = 20_261_124;

/// A text of words the tiny model knows, and its ids without special ones.
fn text(random: &mut Random, words: usize) -> (String, Vec<usize>) {
    let (mut text, mut ids) = (String::new(), Vec::new());
    for _ in 0..words {
        let id = [4, 5, 6, 7, 9, 10, 12, 13][random.below(8) as usize];
        text.push_str(&WORDS[id].to_uppercase());
        ids.push(id);
        if id == 7 && random.below(2) == 0 {
            text.push('s');
            ids.push(8);
        }
        text.push_str(if random.below(4) == 0 { " \n " } else { " " });
    }
    (text, ids)
}

fn with_special(ids: &[usize], max: usize) -> Vec<usize> {
    let kept = &ids[..ids.len().min(max - 2)];
    [&[2], kept, &[3]].concat()
}

fn unit(x: &[f64]) -> Vec<f64> {
    let length = tiny::dot(x, x).sqrt();
    x.iter().map(|x| x / length).collect()
}

/// What unit vectors may differ by from the definition.
const OF_UNIT_VECTORS: f64 = 2e-5;
/// What scores and weights may: short texts are computed with weights rounded to 16 bits.
const OF_SCORES: f64 = 1e-4;

fn close(found: &[f32], expected: &[f64], within: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        assert!((f64::from(*found) - expected).abs() < within, "seed {SEED}, {what}: {found} {expected}");
    }
}

fn folder(architecture: &str) -> (tempfile::TempDir, Tiny) {
    let (folder, model) = (tempfile::tempdir().unwrap(), Tiny::new(SEED));
    model.write(folder.path(), architecture, str::to_owned);
    (folder, model)
}

#[test]
fn equals_the_definition_in_any_batch() {
    let (folder, model) = folder("BertModel");
    let encoder = SentenceEncoder::open(folder.path()).unwrap();
    assert_eq!((encoder.dim(), encoder.normalized(), encoder.max_tokens()), (HIDDEN, true, Some(32)));
    assert!(encoder.model_id().ends_with(&encoder.weights_sha256()[..12]));
    let mut random = Random(SEED);
    let texts: Vec<(String, Vec<usize>)> = (0..80).map(|i| text(&mut random, i % 40)).collect();
    let refs: Vec<&str> = texts.iter().map(|(text, _)| text.as_str()).collect();
    let (vectors, counts) = encoder.encode_with(&refs, &EncodeOptions::new(TextKind::Raw)).unwrap();
    assert_eq!(counts.cut, texts.iter().filter(|(_, ids)| ids.len() > 30).count());
    assert_eq!(counts.tokens, texts.iter().map(|(_, ids)| ids.len().min(30) + 2).sum::<usize>());
    for (at, (text, ids)) in texts.iter().enumerate() {
        let ids = with_special(ids, 32);
        let states = model.forward(&ids, &vec![0; ids.len()]);
        let sum = states.iter().fold(vec![0.0; HIDDEN], |sum, state| tiny::add(&sum, state));
        close(vectors.row(at), &unit(&sum), OF_UNIT_VECTORS, text);
        let alone = encoder.encode(&[text], TextKind::Raw).unwrap();
        close(alone.row(0), &unit(&sum), OF_UNIT_VECTORS, "alone");
    }
    let states = TokenStates::new(SentenceEncoder::open(folder.path()).unwrap());
    let rows = MultiVectorEncoder::encode(&states, &refs[..9], TextKind::Raw).unwrap();
    for (at, (_, ids)) in texts[..9].iter().enumerate() {
        let expected = model.forward(&with_special(ids, 32), &vec![0; ids.len() + 2]);
        let expected: Vec<f64> = expected[1..=ids.len()].iter().flat_map(|state| unit(state)).collect();
        close(rows.text(at), &expected, OF_UNIT_VECTORS, "token states");
    }
}

#[test]
fn long_texts_are_tokenized_to_the_limit_only() {
    let (folder, _) = folder("BertModel");
    let encoder = SentenceEncoder::open(folder.path()).unwrap();
    let long = "wings lift heat ".repeat(700_000);
    let started = std::time::Instant::now();
    let (vectors, counts) =
        encoder.encode_with(&[&long, &long[..16 * 20]], &EncodeOptions::new(TextKind::Raw)).unwrap();
    assert!(started.elapsed().as_secs() < 2, "11 MB in {:?}", started.elapsed());
    assert_eq!((counts.cut, counts.tokens), (2, 64));
    assert_eq!(vectors.row(0), vectors.row(1), "the end makes no difference");
    let refuse = EncodeOptions { overlong: Overlong::Refuse, ..EncodeOptions::new(TextKind::Raw) };
    let error = encoder.encode_with(&["lift", &long], &refuse).unwrap_err();
    assert_eq!(error, EncodeError::TooLong { text: 1, max: 32 });
    assert!(encoder.encode_with(&["lift", ""], &refuse).is_ok());
}

#[test]
fn reports_progress_and_stops_when_told() {
    let (folder, _) = folder("BertModel");
    let encoder = SentenceEncoder::open(folder.path()).unwrap();
    let texts = vec!["lift of a wing"; 5000];
    let (most, cancel) = (AtomicUsize::new(0), AtomicBool::new(false));
    let progress = |done, total| {
        assert_eq!(total, 5000);
        most.fetch_max(done, Ordering::Relaxed);
    };
    let options =
        EncodeOptions { progress: Some(&progress), cancel: Some(&cancel), ..EncodeOptions::new(TextKind::Raw) };
    encoder.encode_with(&texts, &options).unwrap();
    assert_eq!(most.load(Ordering::Relaxed), 5000);
    let stop = |_, _| cancel.store(true, Ordering::Relaxed);
    let options = EncodeOptions { progress: Some(&stop), ..options };
    assert_eq!(encoder.encode_with(&texts, &options).unwrap_err(), EncodeError::Cancelled);
}

#[test]
fn prompts_are_put_before_queries_and_documents() {
    let (folder, _) = folder("BertModel");
    let prompts = json!({"prompts": {"query": "fast ", "document": ""}, "default_prompt_name": null});
    fs::write(folder.path().join("config_sentence_transformers.json"), prompts.to_string()).unwrap();
    let encoder = SentenceEncoder::open(folder.path()).unwrap();
    let encode = |text, kind| encoder.encode(&[text], kind).unwrap().into_data();
    assert_eq!(encode("wing", TextKind::Query), encode("fast wing", TextKind::Raw));
    assert_eq!(encode("wing", TextKind::Document), encode("wing", TextKind::Raw));
    assert_eq!(encoder.prompts().query, "fast ");
}

#[test]
fn splade_weighs_words_as_defined() {
    let (folder, model) = (tempfile::tempdir().unwrap(), Tiny::new(SEED));
    // As older exports name tensors.
    model.write(folder.path(), "BertForMaskedLM", |name| {
        let name = if name.starts_with("cls") { name.to_owned() } else { format!("bert.{name}") };
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
    });
    let encoder = Splade::open(folder.path()).unwrap();
    let texts = [("", vec![]), ("wings of heat", vec![7, 8, 5, 9]), ("fast", vec![13])];
    let found = encoder.encode(&texts.clone().map(|(text, _)| text), TextKind::Document).unwrap();
    let table = model.tensors["embeddings.word_embeddings.weight"].1.clone();
    for ((text, ids), found) in texts.iter().zip(found) {
        let ids = with_special(ids, 32);
        let mut best = vec![f64::NEG_INFINITY; WORDS.len()];
        for state in model.forward(&ids, &vec![0; ids.len()]) {
            let inner = model.apply("cls.predictions.transform.dense", &state).into_iter().map(tiny::gelu);
            let inner = model.normalise("cls.predictions.transform", &inner.collect::<Vec<_>>());
            for (word, best) in best.iter_mut().enumerate() {
                let row: Vec<f64> = table[word * HIDDEN..(word + 1) * HIDDEN].iter().map(|&x| f64::from(x)).collect();
                let bias = f64::from(model.tensors["cls.predictions.bias"].1[word]);
                *best = best.max(tiny::dot(&inner, &row) + bias);
            }
        }
        let mut dense = vec![0.0; WORDS.len()];
        found.iter().for_each(|(word, weight)| dense[word as usize] = weight);
        close(&dense, &best.iter().map(|best| best.max(0.0).ln_1p()).collect::<Vec<_>>(), OF_SCORES, text);
    }
}

#[test]
fn inference_free_queries_are_looked_up() {
    let (folder, _) = folder("BertForMaskedLM");
    let splade = || Splade::open(folder.path()).unwrap();
    let documents = ["lift of a wing", "wings", "heat", "heat of a wing"];
    let free = InferenceFree::of_corpus(splade(), &documents).unwrap();
    let (with, without) =
        (free.encode(&documents, TextKind::Document), splade().encode(&documents, TextKind::Document));
    assert_eq!(with, without, "documents go through the model");
    // `wing` (7) is in 3 of 4 documents, `heat` (9) in 2, `fast` (13) in none; a word said twice counts once.
    let found = &free.encode(&["wing wing heat fast"], TextKind::Query).unwrap()[0];
    let idf = |count: f64| (1.0 + (4.0 - count + 0.5) / (count + 0.5)).ln() as f32;
    assert_eq!((found.indices(), found.values()), (&[7, 9, 13][..], &[idf(3.0), idf(2.0), idf(0.0)][..]));
    assert!(free.encode(&[""], TextKind::Query).unwrap()[0].is_empty(), "special tokens weigh nothing");

    let weights = |text: &str| {
        fs::write(folder.path().join("idf.json"), text).unwrap();
        InferenceFree::open(folder.path()).map(|free| free.encode(&["wing heat"], TextKind::Query).unwrap().remove(0))
    };
    let found = weights("{\"wing\": 2.5, \"fast\": 1}").unwrap();
    assert_eq!((found.indices(), found.values()), (&[7][..], &[2.5][..]));
    for (text, message) in
        [("{\"zzz\": 1}", "found `zzz`"), ("{\"wing\": -1}", "found -1 for `wing`"), ("[", "idf.json")]
    {
        let error = weights(text).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn a_cross_encoder_reads_pairs() {
    let (folder, model) = folder("BertForSequenceClassification");
    let encoder = CrossEncoder::open(folder.path()).unwrap();
    let (query, query_ids) = ("lift of a wing", vec![4, 5, 6, 7]);
    let documents = [("heat flow", vec![9, 10]), ("", vec![]), ("fast wings.", vec![13, 7, 8, 12])];
    let texts = documents.clone().map(|(text, _)| text);
    let (scores, _) = encoder.scores(query, &texts, &EncodeOptions::new(TextKind::Document)).unwrap();
    let expected: Vec<f64> = documents
        .iter()
        .map(|(_, ids)| {
            let all = [&[2], &query_ids[..], &[3], ids, &[3]].concat();
            let types: Vec<usize> = (0..all.len()).map(|at| usize::from(at >= query_ids.len() + 2)).collect();
            let first = model.forward(&all, &types)[0].clone();
            let pooled: Vec<f64> = model.apply("pooler.dense", &first).iter().map(|x| x.tanh()).collect();
            model.apply("classifier", &pooled)[0]
        })
        .collect();
    close(&scores, &expected, OF_SCORES, "scores");
    let ranked = encoder.rank(query, &texts).unwrap();
    assert!(ranked.is_sorted_by(|(_, a), (_, b)| a >= b) && ranked.len() == 3);
    let long = "wing ".repeat(500);
    let (_, counts) = encoder.scores(&long, &[&long], &EncodeOptions::new(TextKind::Document)).unwrap();
    assert_eq!((counts.tokens, counts.cut), (POSITIONS, 1), "both are cut to fit");
}

/// `change` is made to a sound folder; opening it must say `expected`.
fn refused(what: &str, change: impl Fn(&Path), expected: &str) {
    let (folder, _) = folder("BertModel");
    change(folder.path());
    let error = match SentenceEncoder::open(folder.path()) {
        Ok(_) => panic!("{what} was accepted"),
        Err(error) => error.to_string(),
    };
    assert!(error.contains(expected), "{what}: {error}");
}

#[test]
fn models_that_cannot_be_computed_are_refused_by_name() {
    let write = |name: &'static str, value: serde_json::Value| {
        move |at: &Path| fs::write(at.join(name), value.to_string()).unwrap()
    };
    let config = |key: &str, value: serde_json::Value| {
        let mut config = tiny::config("BertModel");
        config[key] = value;
        write("config.json", config)
    };
    let remove = |name: &'static str| move |at: &Path| fs::remove_file(at.join(name)).unwrap();
    refused("another type", config("model_type", json!("roberta")), "`model_type` is `roberta`; supported: bert");
    refused("no type", config("model_type", json!(null)), "`model_type` is `nothing`");
    refused("another activation", config("hidden_act", json!("relu")), "`hidden_act` is relu; supported: gelu");
    refused("relative positions", config("position_embedding_type", json!("relative_key")), "relative_key");
    refused("heads that do not divide", config("num_attention_heads", json!(5)), "24 and 5");
    refused("a missing size", config("hidden_size", json!(null)), "config.json");
    refused("another dimension", config("intermediate_size", json!(41)), "expected shape [41, 24], found [40, 24]");
    refused("too many tokens", write("sentence_bert_config.json", json!({"max_seq_length": 99})), "99 of 48");
    refused("a dense module", write("modules.json", tiny::modules(&["Transformer", "Pooling", "Dense"])), "Dense");
    refused("no pooling", write("modules.json", tiny::modules(&["Transformer"])), "Pooling");
    let last = json!({"pooling_mode_lasttoken": true});
    refused("another pooling", write("1_Pooling/config.json", last), "pooling_mode_lasttoken");
    let two = json!({"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true});
    refused("two poolings", write("1_Pooling/config.json", two), "pooling_mode_cls_token and pooling_mode_mean_tokens");
    refused("another width", write("1_Pooling/config.json", json!({"word_embedding_dimension": 7})), "7 and 24");
    refused("no modules", remove("modules.json"), "modules.json");
    refused("no weights", remove("model.safetensors"), "model.safetensors");
    refused("no tokenizer", remove("tokenizer.json"), "tokenizer.json");
    let torch = |at: &Path| fs::rename(at.join("model.safetensors"), at.join("pytorch_model.bin")).unwrap();
    refused("weights of another format", torch, "pytorch_model.bin");
    refused("a tokenizer that is none", write("tokenizer.json", json!({"model": 3})), "tokenizer.json");
    let cut = |at: &Path| {
        let bytes = fs::read(at.join("model.safetensors")).unwrap();
        fs::write(at.join("model.safetensors"), &bytes[..bytes.len() - 5]).unwrap();
    };
    refused("half a file", cut, "expected a whole safetensors file");
    refused("an empty file", |at| fs::write(at.join("model.safetensors"), "").unwrap(), "safetensors");
    let spoil = |change: fn(&mut Tiny)| {
        move |at: &Path| {
            let mut model = Tiny::new(SEED);
            change(&mut model);
            model.write(at, "BertModel", str::to_owned);
        }
    };
    let nan = spoil(|model| model.tensors.get_mut("encoder.layer.1.output.dense.bias").unwrap().1[3] = f32::NAN);
    refused(
        "a weight that is no number",
        nan,
        "expected finite weights, found NaN in `encoder.layer.1.output.dense.bias`",
    );
    let less = spoil(|model| drop(model.tensors.remove("encoder.layer.1.output.dense.bias")));
    refused("a missing tensor", less, "expected a tensor `encoder.layer.1.output.dense.bias`");

    let (folder, _) = folder("BertModel");
    assert!(Splade::open(folder.path()).err().unwrap().to_string().contains("supported: BertForMaskedLM"));
    let error = CrossEncoder::open(folder.path()).err().unwrap().to_string();
    assert!(error.contains("`architectures` is `BertModel`"), "{error}");
    let mut config = tiny::config("BertForSequenceClassification");
    config["id2label"] = json!({"0": "no", "1": "yes"});
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    assert!(CrossEncoder::open(folder.path()).err().unwrap().to_string().contains("2 labels"));
}
