//! The static encoder: what it promises, what it refuses, and what the one in the crate reaches.

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::collections::HashMap;
use std::path::Path;
use vicino_embed::evaluate::beir::Collection;
use vicino_embed::evaluate::exact::rank_dense;
use vicino_embed::evaluate::measure;
use vicino_embed::evaluate::rank::SameId;
use vicino_embed::{DenseEncoder, EncodeOptions, Encoder, StaticEncoder, TextKind};

fn encode(encoder: &StaticEncoder, texts: &[&str]) -> Vec<f32> {
    DenseEncoder::encode(encoder, texts, TextKind::Raw).unwrap().into_data()
}

#[test]
fn a_table_is_what_was_written() {
    let tokens = ["[PAD]", "[UNK]", "wing", "##s", "heat"].map(String::from);
    let rows = [0.0, 1.0, 0.5, 0.5, 2.0, 0.0, 0.0, 1.0, -3.0, 0.75];
    let table = StaticEncoder::write("tiny", &tokens, &rows, 2, &[("teacher", "none".into())]);
    let encoder = StaticEncoder::read(&table).unwrap();
    assert_eq!((encoder.model_id(), encoder.dim(), encoder.tokens(), encoder.max_tokens()), ("tiny", 2, 5, None));
    let found = encode(&encoder, &["Wings", "heat wing", "", "zzz"]);
    let unit = |x: f32, y: f32| [x / x.hypot(y), y / x.hypot(y)];
    let expected = [unit(2.0, 1.0), unit(-1.0, 0.75), unit(0.0, 1.0), unit(0.5, 0.5)].concat();
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 0.02, "{found} {expected}: rows are kept to one part in 127");
    }
    let (_, counts) = encoder.encode_with(&["Wings", "heat wing", ""], &EncodeOptions::new(TextKind::Raw)).unwrap();
    assert_eq!((counts.tokens, counts.cut), (4, 0));
}

#[test]
fn damaged_tables_are_refused() {
    let tokens = ["[PAD]", "[UNK]"].map(String::from);
    let sound = StaticEncoder::write("tiny", &tokens, &[1.0, 2.0], 1, &[]);
    for length in 0..sound.len() {
        assert!(StaticEncoder::read(&sound[..length]).is_err(), "{length} of {} bytes", sound.len());
    }
    let refused = |rows: (Dtype, &[usize], &[u8]), scales: &[f32], vocabulary: &str, name: Option<&str>| {
        let scales: Vec<u8> = scales.iter().flat_map(|x| x.to_le_bytes()).collect();
        let view = |dtype, shape: &[usize], data| TensorView::new(dtype, shape.to_vec(), data).unwrap();
        let tensors = [
            ("rows", view(rows.0, rows.1, rows.2)),
            ("scales", view(Dtype::F32, &[scales.len() / 4], &scales)),
            ("vocabulary", view(Dtype::U8, &[vocabulary.len()], vocabulary.as_bytes())),
        ];
        let metadata = name.map(|name| HashMap::from([("name".to_owned(), name.to_owned())]));
        StaticEncoder::read(&safetensors::serialize(tensors, metadata).unwrap()).unwrap_err().to_string()
    };
    let two: (Dtype, &[usize], &[u8]) = (Dtype::I8, &[2, 1], &[1, 2]);
    let words = "[PAD]\n[UNK]\n";
    for (error, expected) in [
        (refused(two, &[1.0, 1.0], words, None), "expected a name among the metadata"),
        (refused((Dtype::U8, &[2, 1], &[1, 2]), &[1.0, 1.0], words, Some("x")), "found rows of U8"),
        (refused((Dtype::I8, &[2], &[1, 2]), &[1.0, 1.0], words, Some("x")), "rows of two dimensions"),
        (refused((Dtype::I8, &[1, 2], &[1, 2]), &[1.0, 1.0], words, Some("x")), "2 tokens, rows [1, 2]"),
        (refused(two, &[1.0], words, Some("x")), "scales [1]"),
        (refused(two, &[1.0, f32::INFINITY], words, Some("x")), "expected finite scales, found inf"),
        (refused(two, &[1.0, 1.0], "[PAD]\na\n", Some("x")), "expected a token `[UNK]`"),
        (refused(two, &[1.0, 1.0], "[UNK]\n[UNK]\n", Some("x")), "found `[UNK]` again"),
    ] {
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn the_builtin_one_takes_any_text() {
    let encoder = StaticEncoder::builtin();
    assert_eq!((encoder.dim(), encoder.normalized(), encoder.max_tokens()), (256, true, None));
    let long = "heat transfer in a slipstream ".repeat(350_000);
    let texts = ["", " \u{200b}\n", "a", "Größe 北京 😀", &long, "heat transfer in a slipstream"];
    let vectors = encode(encoder, &texts);
    for (text, vector) in vectors.chunks_exact(256).enumerate() {
        let length: f64 = vector.iter().map(|&x| f64::from(x).powi(2)).sum();
        assert!((length - 1.0).abs() < 1e-5, "text {text}: {length}");
    }
    let cosine: f32 = vectors[4 * 256..5 * 256].iter().zip(&vectors[5 * 256..]).map(|(a, b)| a * b).sum();
    assert!(cosine > 0.9999, "a text repeated points where it points: {cosine}");
    for (text, vector) in texts.iter().zip(vectors.chunks_exact(256)) {
        assert_eq!(encode(encoder, &[text]), vector, "alone as among others");
    }
}

/// As measured when the table was made; no text of these collections had a part in that.
const NDCG: [(&str, f64); 2] = [("scifact", 0.4702), ("cranfield", 0.2808)];

#[test]
fn the_builtin_one_ranks_judged_collections() {
    let Some(data) = std::env::var_os("VICINO_DATA") else {
        eprintln!("skipped: VICINO_DATA does not name a folder with scifact/ and cranfield/");
        return;
    };
    for (name, ndcg) in NDCG {
        let folder = Path::new(&data).join(name);
        if !folder.exists() {
            eprintln!("skipped: no {}", folder.display());
            continue;
        }
        let collection = Collection::open(&folder, "test").unwrap();
        let (run, _) = rank_dense(StaticEncoder::builtin(), &collection, SameId::Keep, &|_, _| ()).unwrap();
        let measures = measure(&collection.judgments, &run);
        assert!((measures.ndcg_at_10 - ndcg).abs() < 1e-3, "{name}: {measures:?}");
    }
}
