//! Texts in requests, embedded by the models that are served: the one that comes with the program, and others beside it.

use std::process::Command;
use std::sync::Arc;

use serde_json::{Value, json};
use vicino_embed::{DenseBatch, DenseEncoder, EncodeError, Encoder, StaticEncoder, TextKind};
use vicino_server::api::{Encoders, ModelNameError};
use vicino_server::store::Store;

use crate::client::Client;
use crate::program::VICINO;

/// How often a text has the letters a and b, and whether it is a query: an encoder whose vectors can be told by looking at the text.
struct Letters;

impl Encoder for Letters {
    fn model_id(&self) -> &str {
        "letters@1"
    }

    fn max_tokens(&self) -> Option<usize> {
        Some(100)
    }
}

impl DenseEncoder for Letters {
    fn dim(&self) -> usize {
        3
    }

    fn normalized(&self) -> bool {
        false
    }

    fn encode(&self, texts: &[&str], kind: TextKind) -> Result<DenseBatch, EncodeError> {
        let count = |text: &str, letter| text.chars().take(100).filter(|&found| found == letter).count() as f32;
        let asked = f32::from(u8::from(kind == TextKind::Query));
        let rows = texts.iter().flat_map(|text| [count(text, 'a'), count(text, 'b'), asked]).collect();
        Ok(DenseBatch::new(rows, 3).expect("whole rows of numbers"))
    }
}

fn client() -> Client {
    let mut encoders = Encoders::default();
    encoders.add("letters".into(), Box::new(Letters)).unwrap();
    let client = Client::with_encoders(Arc::new(Store::in_memory()), encoders);
    let vectors = json!({"x": {"size": 3, "distance": "Euclid"}, "y": {"size": 256, "distance": "Cosine"}});
    client.ok("PUT", "/collections/c", json!({ "vectors": vectors }));
    client
}

fn text(text: &str, model: &str) -> Value {
    json!({"text": text, "model": model})
}

fn vectors_of(client: &Client, id: u64) -> Value {
    client.ok("GET", &format!("/collections/c/points/{id}"), json!(null))["vector"].take()
}

#[test]
fn texts_of_one_request_may_name_several_models() {
    let client = client();
    let points = json!({"points": [
        {"id": 1, "vector": {"x": text("banana", "letters"), "y": text("a cat on a mat", "static")}},
        {"id": 2, "vector": {"x": text("bb", "letters@1"), "y": text("interest rates rose", "static")}},
        {"id": 3, "vector": {"x": [9.0, 9.0, 0.0], "y": text("", "static")}},
    ]});
    client.ok("PUT", "/collections/c/points?wait=true", points);
    assert_eq!(vectors_of(&client, 1)["x"], json!([3.0, 1.0, 0.0]));
    assert_eq!(vectors_of(&client, 2)["x"], json!([0.0, 2.0, 0.0]));
    assert_eq!(vectors_of(&client, 3)["x"], json!([9.0, 9.0, 0.0]));

    let search = |query: Value, using: &str| json!({"query": query, "using": using, "limit": 1});
    let searches = json!({"searches": [
        search(text("bbb", "letters"), "x"),
        search(text("kitten", "static"), "y"),
        search(json!([9.0, 8.0, 0.0]), "x"),
        search(text("aaa", "letters"), "x"),
    ]});
    let answers = client.ok("POST", "/collections/c/points/query/batch", searches);
    let nearest = |at: usize| (answers[at]["points"][0]["id"].as_u64(), answers[at]["points"][0]["score"].as_f64());
    assert_eq!([0, 1, 2, 3].map(|at| nearest(at).0), [Some(2), Some(1), Some(3), Some(1)]);
    // Embedded as a query: the third number is one.
    let score = |at: usize| nearest(at).1.unwrap();
    assert!((score(0) - 2_f64.sqrt()).abs() < 1e-6 && (score(2) - 1.0).abs() < 1e-6, "{answers}");

    let update = json!({"points": [{"id": 2, "vector": {"x": text("aaaa", "letters")}}]});
    client.ok("PUT", "/collections/c/points/vectors?wait=true", update);
    assert_eq!(vectors_of(&client, 2)["x"], json!([4.0, 0.0, 0.0]));
}

#[test]
fn what_a_model_cannot_be_asked_is_refused_and_nothing_is_stored() {
    let client = client();
    let upsert = |vector: Value| json!({"points": [{"id": 1, "vector": vector}]});
    let query = |vector: Value, using: &str| json!({"query": vector, "using": using});
    let (put, ask) = (("PUT", "/collections/c/points"), ("POST", "/collections/c/points/query"));
    for ((method, path), body, expected) in [
        (
            put,
            upsert(json!({"x": text("a", "static")})),
            "expected dim: 3, got 256 (a text by model `static`, vector `x`)",
        ),
        (ask, query(text("a", "letters"), "y"), "expected dim: 256, got 3 (a text by model `letters`, vector `y`)"),
        (put, upsert(json!({"x": text("a", "minilm")})), "model `minilm`: expected `static`, `letters`"),
        (ask, query(text("a", "minilm"), "x"), "`vicino serve --encoder NAME=MODEL` serves another"),
        (put, upsert(json!({"z": text("a", "letters")})), "z"),
        (put, upsert(json!({"x": {"text": 3, "model": "letters"}})), "expected"),
        (put, upsert(json!({"x": {"text": "a", "model": "letters", "options": {"k": 1}}})), "options"),
    ] {
        let error = client.error(400, method, path, body);
        assert!(error.contains(expected), "{error}: expected {expected}");
    }
    assert_eq!(client.ok("POST", "/collections/c/points/count", json!({})), json!({"count": 0}));
    // Ten megabytes are cut to what the model looks at.
    client.ok("PUT", "/collections/c/points?wait=true", upsert(json!({"x": text(&"a".repeat(10_000_000), "letters")})));
    assert_eq!(vectors_of(&client, 1)["x"], json!([100.0, 0.0, 0.0]));
}

#[test]
fn models_are_listed_and_have_names_of_their_own() {
    let listed = client().ok("GET", "/v1/models", json!(null));
    let models = listed["models"].as_array().unwrap();
    let builtin = StaticEncoder::builtin();
    assert_eq!(models[0], json!({"name": "static", "id": builtin.model_id(), "dim": 256, "max_tokens": null}));
    assert_eq!(models[1..], [json!({"name": "letters", "id": "letters@1", "dim": 3, "max_tokens": 100})]);
    let mut encoders = Encoders::default();
    for name in ["static", builtin.model_id()] {
        assert_eq!(encoders.add(name.into(), Box::new(Letters)), Err(ModelNameError::Taken(name.into())));
    }
    assert_eq!(encoders.add(String::new(), Box::new(Letters)), Err(ModelNameError::Empty));
    encoders.add("a".into(), Box::new(Letters)).unwrap();
    assert_eq!(encoders.add("a".into(), Box::new(Letters)), Err(ModelNameError::Taken("a".into())));
}

#[test]
fn a_server_with_a_model_that_cannot_be_served_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere");
    let nowhere = nowhere.to_str().unwrap();
    for (encoder, expected) in [
        (nowhere, "datasets fetch"),
        ("static", "expected another name"),
        ("static=minilm", "expected another name"),
        ("bm25", "expected a model of dense vectors, found one of sparse vectors"),
        ("=minilm", "expected NAME=MODEL, or MODEL"),
        ("x=", "expected NAME=MODEL, or MODEL"),
    ] {
        let output = Command::new(VICINO)
            .args(["serve", "--port", "0", "--encoder", encoder])
            .env("VICINO_DATA", folder.path())
            .env("HF_HUB_CACHE", folder.path())
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && error.contains(expected), "{encoder}: {error}");
        assert!(output.stdout.is_empty(), "it took requests");
    }
}
