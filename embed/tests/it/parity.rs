//! all-MiniLM-L6-v2 against sentence-transformers on torch: vectors that `tests/reference/minilm.py` made.

use half::f16;
use safetensors::SafeTensors;
use std::path::PathBuf;
use vicino_embed::{DenseEncoder, EncodeOptions, SentenceEncoder, TextKind};

/// The model's folder, where `datasets fetch all-minilm-l6-v2` puts it or `VICINO_DATA` says.
fn minilm() -> Option<PathBuf> {
    let data = std::env::var_os("VICINO_DATA").map(PathBuf::from);
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let places = data.into_iter().chain(cache.map(|cache| cache.join("vicino")));
    let found = places.map(|place| place.join("all-minilm-l6-v2")).find(|folder| folder.is_dir());
    if found.is_none() {
        eprintln!("skipped: no all-minilm-l6-v2; `cargo run -p vicino-datasets -- fetch all-minilm-l6-v2` gets it");
    }
    found
}

#[test]
fn minilm_vectors_are_those_of_sentence_transformers() {
    let Some(folder) = minilm() else { return };
    let encoder = SentenceEncoder::open(&folder).unwrap();
    assert_eq!((encoder.dim(), encoder.normalized(), encoder.config().max_tokens), (384, true, 256));
    assert!(encoder.weights_sha256().starts_with("53aa51172d142c89"));
    let encoder = encoder.with_max_tokens(512).unwrap();
    let file = SafeTensors::deserialize(include_bytes!("../data/minilm.safetensors")).unwrap();
    let texts = String::from_utf8(file.tensor("texts").unwrap().data().to_vec()).unwrap();
    let texts: Vec<&str> = texts.split('\0').collect();
    let reference = file.tensor("vectors").unwrap();
    let reference: Vec<f32> =
        reference.data().as_chunks().0.iter().map(|&bytes| f16::from_le_bytes(bytes).to_f32()).collect();
    assert_eq!((texts.len(), reference.len()), (200, 200 * 384));
    let mut worst = 1.0_f64;
    // All of them together, and enough of them in small batches and alone to see that it makes no difference.
    for (batch, every) in [(200, 1), (7, 5), (1, 13)] {
        for (part, texts) in texts.chunks(batch).enumerate().step_by(every) {
            let (vectors, counts) = encoder.encode_with(texts, &EncodeOptions::new(TextKind::Raw)).unwrap();
            assert_eq!(counts.cut, 0);
            for (at, vector) in vectors.as_slice().chunks_exact(384).enumerate() {
                let text = part * batch + at;
                let expected = &reference[text * 384..(text + 1) * 384];
                let dot =
                    |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
                let cosine = dot(vector, expected) / (dot(vector, vector) * dot(expected, expected)).sqrt();
                worst = worst.min(cosine);
                assert!(cosine >= 0.99999, "text {text} in a batch of {batch}: cosine {cosine}");
            }
        }
    }
    println!("least cosine {worst:.7}");
}

/// With ONNX Runtime's library in `ORT_DYLIB_PATH` and all-MiniLM-L6-v2's body, as `benches/minilm_onnx.py` writes it, in
/// `VICINO_MINILM_ONNX`.
#[cfg(feature = "onnx")]
#[test]
fn onnx_runtime_computes_the_same_states() {
    use vicino_embed::bert::onnx::OnnxModel;
    let Some(folder) = minilm() else { return };
    let (Some(library), Some(graph)) = (std::env::var_os("ORT_DYLIB_PATH"), std::env::var_os("VICINO_MINILM_ONNX"))
    else {
        eprintln!("skipped: ORT_DYLIB_PATH and VICINO_MINILM_ONNX do not name a library and a graph");
        return;
    };
    let here = SentenceEncoder::open(&folder).unwrap();
    let body = OnnxModel::open(Some(library.as_ref()), graph.as_ref(), 384, 1).unwrap();
    let there = SentenceEncoder::open(&folder).unwrap().with_body(Box::new(body));
    let long = "the lift of a wing ".repeat(40);
    let texts = ["a", "The cat sleeps on the sofa", &long, "Interest rates rose again", ""];
    let (a, b) = (here.encode(&texts, TextKind::Raw).unwrap(), there.encode(&texts, TextKind::Raw).unwrap());
    for (a, b) in a.as_slice().iter().zip(b.as_slice()) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
    let nowhere = OnnxModel::open(Some(library.as_ref()), folder.join("config.json").as_ref(), 384, 1).err().unwrap();
    assert!(nowhere.to_string().contains("config.json: expected a graph for ONNX Runtime"), "{nowhere}");
    let other = OnnxModel::open(Some("/another/library".as_ref()), graph.as_ref(), 384, 1).err().unwrap();
    assert!(other.to_string().contains("/another/library: this process has loaded the one at"), "{other}");
    assert!(OnnxModel::open(None, graph.as_ref(), 384, 1).is_ok(), "the library that is loaded");
}
