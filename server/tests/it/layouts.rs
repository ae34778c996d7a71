//! Layouts of graphs over HTTP: asked for in Qdrant's words and in ours, described, explained, searched to a recall.

use serde_json::{Value, json};

use crate::client::Client;

const ROWS: usize = 1200;

/// Points on a curve through eight dimensions, with no two alike.
fn points() -> Value {
    let vector = |row: usize| {
        let t = row as f64 / 40.0;
        (1..=8).map(|i| (t * f64::from(i)).sin() + t * 0.01 * f64::from(i)).collect::<Vec<f64>>()
    };
    (0..ROWS).map(|row| json!({"id": row, "vector": vector(row)})).collect()
}

/// A collection made by `more` settings, filled and merged: what is said of it, and how a search of it went.
fn made(more: &Value, params: &Value) -> (Value, Value) {
    let client = Client::new();
    let mut body = json!({"vectors": {"size": 8, "distance": "Euclid"}, "hnsw_config": {"full_scan_threshold": 0}});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    client.ok("PUT", "/collections/c", body);
    client.ok("PUT", "/collections/c/points", json!({ "points": points() }));
    client.ok("POST", "/v1/collections/c/compact", json!({}));
    let config = client.ok("GET", "/collections/c", Value::Null)["config"].take();
    let asked = json!({"query": [0.1, 0.2, 0.3, 0.2, 0.1, 0.0, 0.1, 0.2], "limit": 10, "params": params});
    let exact = json!({"query": asked["query"], "limit": 10, "params": {"exact": true}});
    let explained = client.ok("POST", "/v1/collections/c/explain", asked);
    let nearest = client.ok("POST", "/collections/c/points/query", exact)["points"][0]["id"].clone();
    assert_eq!(explained["points"][0]["id"], nearest, "{explained}");
    assert_eq!(explained["points"].as_array().unwrap().len(), 10);
    (config, explained)
}

#[test]
fn layouts_are_asked_for_described_and_explained() {
    let scalar = json!({"scalar": {"type": "int8", "quantile": 0.99, "always_ram": true}});
    let binary = json!({"binary": {"always_ram": false}});
    for (more, kind, own, words) in [
        (json!({}), "quantized", Value::Null, "memory is not bounded"),
        (json!({"quantization_config": scalar}), "compact", json!({"layout": "compact"}), "asked for by name"),
        (json!({"quantization_config": binary}), "quantized", json!({"layout": "quantized"}), "asked for by name"),
        (json!({"vicino_config": {"layout": "hnsw"}}), "hnsw", json!({"layout": "hnsw"}), "asked for by name"),
        (
            json!({"vicino_config": {"bytes_per_vector": 350}}),
            "compact",
            json!({"layout": "auto", "bytes_per_vector": 350}),
            "bytes of 420000",
        ),
        (
            json!({"vectors": {"size": 8, "distance": "Dot"}, "quantization_config": scalar}),
            "hnsw",
            json!({"layout": "compact"}),
            "f32 by dot: no codes are kept",
        ),
    ] {
        let given = more["quantization_config"].clone();
        let dot = more["vectors"]["distance"] == "Dot";
        let (config, explained) = if dot {
            // The nearest by inner product need not be found by a graph; what matters is which there is.
            let client = Client::new();
            let mut body = json!({"hnsw_config": {"full_scan_threshold": 0}});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            client.ok("PUT", "/collections/c", body);
            client.ok("PUT", "/collections/c/points", json!({ "points": points() }));
            client.ok("POST", "/v1/collections/c/compact", json!({}));
            let explained = client.ok("POST", "/v1/collections/c/explain", json!({"query": 5, "limit": 3}));
            (client.ok("GET", "/collections/c", Value::Null)["config"].take(), explained)
        } else {
            made(&more, &json!({}))
        };
        let segment = &explained["segments"][0];
        assert_eq!((&segment["kind"], &config["quantization_config"]), (&json!(kind), &given), "{more}: {explained}");
        assert_eq!(config.get("vicino_config").unwrap_or(&Value::Null), &own, "{more}");
        assert!(segment["reasons"].to_string().contains(words), "{more}: {segment}");
        assert_eq!(segment["depth"], json!({"beam": 128}), "{more}");
        assert!(explained.get("expected_recall").is_none(), "{explained}");
    }
}

#[test]
fn a_recall_is_asked_for_and_foretold() {
    for layout in ["quantized", "compact"] {
        let settings = json!({"vicino_config": {"layout": layout}});
        let (_, explained) = made(&settings, &json!({"min_recall": 0.9}));
        let expected = explained["expected_recall"].as_f64().unwrap();
        assert!(expected >= 0.89 && explained["segments"][0]["depth"]["slack"].is_f64(), "{layout}: {explained}");
        let (_, exact) = made(&settings, &json!({"exact": true}));
        assert_eq!((&exact["expected_recall"], &exact["segments"][0]["plan"]), (&json!(1.0), &json!("scan")));
    }
    let usual = json!({"vicino_config": {"layout": "compact", "min_recall": 0.8}});
    let (config, explained) = made(&usual, &json!({}));
    assert_eq!(config["vicino_config"], json!({"layout": "compact", "min_recall": 0.8}));
    assert!(explained["segments"][0]["depth"]["slack"].is_f64(), "{explained}");
    let (_, explained) = made(&usual, &json!({"hnsw_ef": 40}));
    assert_eq!(explained["segments"][0]["depth"], json!({"beam": 40}), "what a search says goes before");
    let codes = json!({"bits": 8, "quantization": {"ignore": false, "rescore": true, "oversampling": 20.5}});
    let (_, explained) = made(&usual, &codes);
    assert_eq!(explained["segments"][0]["depth"], json!({"beam": 205}), "{explained}");
}
