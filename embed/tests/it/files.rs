//! Saved statistics come back whole, and a damaged file is refused with its reason.

use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;
use vicino_embed::{Bm25, Bm25Params, Encoder, SparseEncoder, TextKind};

const TEXTS: [&str; 3] = ["the lift of a wing", "heat transfer, heat", "wing \"flutter\" \\ naïve ζ"];

fn saved() -> (TempDir, PathBuf, Bm25) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bm25.json");
    let mut bm25 = Bm25::new(Bm25Params::new(0.1 + 0.2, 1.0 / 3.0).unwrap());
    bm25.extend(TEXTS);
    bm25.save(&path).unwrap();
    (folder, path, bm25)
}

#[test]
fn statistics_come_back_and_go_on() {
    let (_folder, path, mut before) = saved();
    let mut after = Bm25::open(&path).unwrap();
    for _ in 0..2 {
        assert_eq!(after.params(), before.params());
        assert_eq!(after.model_id(), before.model_id());
        assert_eq!((after.documents(), after.average_length()), (before.documents(), before.average_length()));
        for kind in [TextKind::Document, TextKind::Query, TextKind::Raw] {
            assert_eq!(after.encode(&TEXTS, kind).unwrap(), before.encode(&TEXTS, kind).unwrap());
        }
        before.add("a new wing arrives");
        after.add("a new wing arrives");
    }
    after.save(&path).unwrap();
    assert_eq!(Bm25::open(&path).unwrap().vocabulary_len(), before.vocabulary_len());
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside the file");
}

#[test]
fn every_cut_is_refused() {
    let (_folder, path, _) = saved();
    let bytes = fs::read(&path).unwrap();
    for end in 0..bytes.len() {
        fs::write(&path, &bytes[..end]).unwrap();
        let error = Bm25::open(&path).expect_err("a part of the file").to_string();
        assert!(error.contains("bm25.json: expected BM25 statistics as JSON"), "{end}: {error}");
    }
}

#[test]
fn contradictions_are_named() {
    let (_folder, path, _) = saved();
    let text = fs::read_to_string(&path).unwrap();
    for (good, bad, message) in [
        ("vicino-bm25", "other", "format: expected vicino-bm25, found other"),
        ("\"version\":1", "\"version\":2", "version: expected 1, found 2"),
        ("\"english\"", "\"german\"", "analyzer: expected english, found german"),
        ("\"documents\":3", "\"documents\":1", "term 1 `wing`: expected a document frequency in 1..=1, found 2"),
        ("[\"lift\",1]", "[\"lift\",0]", "term 0 `lift`: expected a document frequency in 1..=3, found 0"),
        ("[\"lift\",1]", "[\"wing\",1]", "term 1 `wing`: expected each term once, found it as term 0 too"),
        ("\"total_length\":9", "\"total_length\":2", "expected a total length of at least 8"),
        ("\"k1\":0.3", "\"k1\":-0.3", "k1: expected a finite number of at least 0, found -0.3"),
    ] {
        assert!(text.contains(good), "{good} in {text}");
        fs::write(&path, text.replace(good, bad)).unwrap();
        let error = Bm25::open(&path).expect_err(bad).to_string();
        assert!(error.starts_with(&path.display().to_string()) && error.contains(message), "{error}");
    }
}

#[test]
fn errors_name_the_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("absent").join("bm25.json");
    let open = Bm25::open(&path).unwrap_err().to_string();
    let save = Bm25::new(Bm25Params::LUCENE).save(&path).unwrap_err().to_string();
    for error in [open, save] {
        assert!(error.starts_with(&path.display().to_string()), "{error}");
    }
}
