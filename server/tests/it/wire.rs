//! The forms on the wire: what Qdrant's clients send, and what they must get back.

use serde_json::{Value, json};

use crate::client::Client;

/// Four points on a line, with payloads.
fn filled(distance: &str) -> Client {
    let client = Client::with_collection(2, distance);
    let points = json!({"points": [
        {"id": 1, "vector": [1.0, 0.0], "payload": {"z": 1, "a": {"b": [1, 2.5], "c": "x"}}},
        {"id": 2, "vector": [2.0, 0.0], "payload": null},
        {"id": 30, "vector": [3.0, 0.0]},
        {"id": u64::MAX, "vector": {"": [4.0, 0.5]}, "payload": {"big": u64::MAX, "f": 0.300_000_000_000_000_04}},
    ]});
    let result = client.ok("PUT", "/collections/c/points?wait=true", points);
    assert_eq!(result, json!({"operation_id": 1, "status": "completed"}));
    client
}

fn ids(points: &Value) -> Vec<u64> {
    points.as_array().unwrap().iter().map(|point| point["id"].as_u64().unwrap()).collect()
}

fn query(client: &Client, body: Value) -> Value {
    client.ok("POST", "/collections/c/points/query", body)["points"].take()
}

#[test]
fn the_server_says_what_it_is() {
    let client = Client::new();
    let (_, version) = client.call("GET", "/", Value::Null);
    assert_eq!(version["version"], "1.19.0");
    assert_eq!(version["vicino"], env!("CARGO_PKG_VERSION"));
    for path in ["/healthz", "/livez", "/readyz"] {
        let (status, body) = client.raw("GET", path, "", "");
        assert!(status == 200 && !body.is_empty(), "{path}: {status} {body}");
    }
}

#[test]
fn collections_are_made_listed_described_and_removed() {
    let client = Client::new();
    assert_eq!(client.ok("GET", "/collections", Value::Null), json!({"collections": []}));
    // Defaults are not filled in: clients compare what they sent.
    let vectors = json!({"size": 3, "distance": "Dot", "datatype": "float16", "hnsw_config": {"ef_construct": 50}});
    let body = json!({"vectors": vectors, "hnsw_config": {"m": 8, "ef_construct": 70}, "shard_number": 1, "quantization_config": null});
    assert_eq!(client.ok("PUT", "/collections/with%20space", body), true);
    assert_eq!(
        client.ok("PUT", "/collections/c?timeout=5", json!({"vectors": {"size": 3, "distance": "Manhattan"}})),
        true
    );
    assert_eq!(
        client.ok("GET", "/collections", Value::Null),
        json!({"collections": [{"name": "c"}, {"name": "with space"}]})
    );
    assert_eq!(client.ok("GET", "/collections/c/exists", Value::Null), json!({"exists": true}));
    assert_eq!(client.ok("GET", "/collections/d/exists", Value::Null), json!({"exists": false}));

    let info = client.ok("GET", "/collections/with%20space", Value::Null);
    assert_eq!(info["config"]["params"]["vectors"], vectors);
    assert_eq!(
        info["config"]["hnsw_config"],
        json!({"m": 8, "ef_construct": 50, "full_scan_threshold": 10000, "max_indexing_threads": 0, "on_disk": false})
    );
    let found = ["status", "optimizer_status", "segments_count", "points_count", "payload_schema"]
        .map(|field| info[field].clone());
    assert_eq!(found, [json!("green"), json!("ok"), json!(1), json!(0), json!({})]);
    for field in ["default_segment_number", "flush_interval_sec"] {
        assert!(info["config"]["optimizer_config"][field].is_u64(), "{info}");
    }

    assert_eq!(client.ok("DELETE", "/collections/with%20space", Value::Null), true);
    assert_eq!(client.ok("DELETE", "/collections/with%20space", Value::Null), false);
    assert_eq!(client.ok("GET", "/collections", Value::Null), json!({"collections": [{"name": "c"}]}));
}

#[test]
fn points_are_stored_read_counted_and_deleted() {
    let client = filled("Euclid");
    let all = client.ok("POST", "/collections/c/points", json!({"ids": [30, 99, 1], "with_vector": true}));
    let first = json!({"id": 1, "payload": {"z": 1, "a": {"b": [1, 2.5], "c": "x"}}, "vector": [1.0, 0.0]});
    assert_eq!(all, json!([{"id": 30, "payload": {}, "vector": [3.0, 0.0]}, first]));
    assert_eq!(client.ok("GET", "/collections/c/points/1", Value::Null), first);
    let last = client.ok("GET", &format!("/collections/c/points/{}", u64::MAX), Value::Null);
    assert_eq!(last["payload"].to_string(), json!({"big": u64::MAX, "f": 0.300_000_000_000_000_04}).to_string());

    let columns = json!({"batch": {"ids": [2, 5], "vectors": [[9.0, 9.0], [8.0, 8.0]], "payloads": [{"n": 2}, null]}});
    assert_eq!(client.ok("PUT", "/collections/c/points", columns)["operation_id"], 2);
    assert_eq!(client.ok("POST", "/collections/c/points/count", json!({"exact": true})), json!({"count": 5}));
    assert_eq!(
        client.ok("POST", "/collections/c/points", json!({"ids": [2]})),
        json!([{"id": 2, "payload": {"n": 2}}])
    );

    let deleted = client.ok("POST", "/collections/c/points/delete?wait=true", json!({"points": [1, 2, 77]}));
    assert_eq!(deleted, json!({"operation_id": 3, "status": "completed"}));
    assert_eq!(client.ok("POST", "/collections/c/points/count", json!({})), json!({"count": 3}));
    assert!(client.error(404, "GET", "/collections/c/points/1", Value::Null).contains("1 does not exist"));
    assert_eq!(ids(&query(&client, json!({"query": [0.0, 0.0]}))), [30, u64::MAX, 5]);
    assert_eq!(client.ok("GET", "/collections/c", Value::Null)["points_count"], 3);
}

#[test]
fn scrolling_walks_all_ids_in_order() {
    let client = filled("Euclid");
    let page = |body| client.ok("POST", "/collections/c/points/scroll", body);
    let first = page(json!({"limit": 3, "with_payload": false}));
    assert_eq!(first, json!({"points": [{"id": 1}, {"id": 2}, {"id": 30}], "next_page_offset": u64::MAX}));
    let rest = page(json!({"offset": u64::MAX, "limit": 1, "with_payload": ["big"]}));
    assert_eq!(rest, json!({"points": [{"id": u64::MAX, "payload": {"big": u64::MAX}}], "next_page_offset": null}));
    assert_eq!(ids(&page(json!({"limit": 1_000_000_000}))["points"]), [1, 2, 30, u64::MAX]);
    assert_eq!(page(json!({}))["next_page_offset"], Value::Null);
}

#[test]
fn queries_take_every_served_form() {
    let client = filled("Euclid");
    let near_three = [30, 2, u64::MAX, 1];
    for form in [json!([2.9, 0.0]), json!({"nearest": [2.9, 0.0]}), json!({"nearest": [2.9, 0.0], "mmr": null})] {
        assert_eq!(ids(&query(&client, json!({"query": form}))), near_three, "{form}");
    }
    for form in [json!(30), json!({"nearest": 30})] {
        assert_eq!(
            ids(&query(&client, json!({"query": form}))),
            near_three[1..],
            "the point itself is no answer: {form}"
        );
    }
    let found = query(
        &client,
        json!({"query": [1.0, 0.0], "limit": 2, "with_payload": {"include": ["a.c"]}, "with_vector": true}),
    );
    let expected = json!([
        {"id": 1, "version": 1, "score": 0.0, "payload": {"a": {"c": "x"}}, "vector": [1.0, 0.0]},
        {"id": 2, "version": 1, "score": 1.0, "payload": {}, "vector": [2.0, 0.0]},
    ]);
    assert_eq!(found, expected);
    let plain = query(&client, json!({"query": [1.0, 0.0], "limit": 1, "using": "", "filter": null, "prefetch": null}));
    assert_eq!(plain, json!([{"id": 1, "version": 1, "score": 0.0}]));
    let some = query(&client, json!({"query": [1.0, 0.0], "limit": 1, "with_payload": {"exclude": ["a.b", "z"]}}));
    assert_eq!(some[0]["payload"], json!({"a": {"c": "x"}}));

    let from_second =
        query(&client, json!({"query": [2.9, 0.0], "offset": 1, "limit": 2, "params": {"hnsw_ef": 50, "exact": true}}));
    assert_eq!(ids(&from_second), near_three[1..3]);
    assert_eq!(ids(&query(&client, json!({"query": [2.9, 0.0], "offset": 4}))).len(), 0);
    assert_eq!(ids(&query(&client, json!({"query": [2.9, 0.0], "limit": 1_000_000_000}))), near_three);
    assert_eq!(ids(&query(&client, json!({"query": [2.9, 0.0], "limit": u64::MAX, "offset": 1}))), near_three[1..]);
    assert_eq!(ids(&query(&client, json!({"query": [2.9, 0.0], "score_threshold": 0.95}))), near_three[..2]);
    assert_eq!(ids(&query(&client, json!({"limit": 2, "offset": 1}))), [2, 30], "without a query: by id");

    let batch = json!({"searches": [{"query": [1.0, 0.0], "limit": 1}, {"query": 1, "limit": 1}]});
    let answers = client.ok("POST", "/collections/c/points/query/batch", batch);
    assert_eq!((ids(&answers[0]["points"]), ids(&answers[1]["points"])), (vec![1], vec![2]));
    for vector in [json!([2.9, 0.0]), json!({"name": "", "vector": [2.9, 0.0]})] {
        let found = client.ok("POST", "/collections/c/points/search", json!({"vector": vector, "limit": 2}));
        assert_eq!(ids(&found), near_three[..2]);
    }
}

#[test]
fn scores_are_those_of_each_distance() {
    let points =
        json!({"points": [{"id": 1, "vector": [4, 2]}, {"id": 2, "vector": [3, 2]}, {"id": 3, "vector": [0, 1]}]});
    for (distance, asked, nearest_first, scores, threshold) in [
        ("Euclid", [2, 2], [2, 1, 3], [1.0, 2.0, 5_f64.sqrt()], 2.1),
        ("Manhattan", [2, 2], [2, 1, 3], [1.0, 2.0, 3.0], 2.5),
        ("Dot", [1, 0], [1, 2, 3], [4.0, 3.0, 0.0], 2.9),
        ("Cosine", [0, 1], [3, 2, 1], [1.0, 2.0 / 13_f64.sqrt(), 2.0 / 20_f64.sqrt()], 0.5),
    ] {
        let client = Client::with_collection(2, distance);
        client.ok("PUT", "/collections/c/points", points.clone());
        let found = query(&client, json!({"query": asked}));
        assert_eq!(ids(&found), nearest_first, "{distance}");
        for (found, score) in found.as_array().unwrap().iter().zip(scores) {
            assert!(
                (found["score"].as_f64().unwrap() - score).abs() < 1e-6,
                "{distance}: {found} should score {score}"
            );
        }
        let good = query(&client, json!({"query": asked, "score_threshold": threshold}));
        assert_eq!(ids(&good), nearest_first[..2], "{distance}, threshold {threshold}");
    }
}

#[test]
fn cosine_vectors_come_back_with_length_one_and_zero_as_it_was() {
    let client = Client::with_collection(2, "Cosine");
    let points = json!({"points": [{"id": 1, "vector": [3.0, 4.0]}, {"id": 2, "vector": [0.0, 0.0]}]});
    client.ok("PUT", "/collections/c/points", points);
    let found = query(&client, json!({"query": [30.0, 40.0], "with_vector": [""]}));
    assert_eq!(found[0]["vector"], json!([0.6, 0.8]));
    assert_eq!((&found[1]["vector"], &found[1]["score"]), (&json!([0.0, 0.0]), &json!(0.0)));
}

#[test]
fn an_empty_collection_answers_with_nothing() {
    let client = Client::with_collection(2, "Cosine");
    assert_eq!(query(&client, json!({"query": [1.0, 0.0]})), json!([]));
    assert_eq!(query(&client, json!({})), json!([]));
    assert_eq!(
        client.ok("POST", "/collections/c/points/scroll", json!({})),
        json!({"points": [], "next_page_offset": null})
    );
    assert_eq!(client.ok("POST", "/collections/c/points/count", json!({})), json!({"count": 0}));
    assert_eq!(client.ok("PUT", "/collections/c/points", json!({"points": []}))["status"], "completed");
}

#[test]
fn texts_are_embedded_where_vectors_are_wanted() {
    let client = Client::with_collection(256, "Cosine");
    let text = |text: &str| json!({"text": text, "model": "static"});
    let points = json!({"points": [
        {"id": 1, "vector": text("The cat sleeps on the sofa."), "payload": {"of": "cats"}},
        {"id": 2, "vector": {"": text("Interest rates rose again, the central bank said.")}},
    ]});
    client.ok("PUT", "/collections/c/points?wait=true", points);
    let batch =
        json!({"batch": {"ids": [3, 4], "vectors": [text("A recipe for bread with yeast and flour"), vec![0.5; 256]]}});
    client.ok("PUT", "/collections/c/points?wait=true", batch);
    for (asked, nearest) in [("kitten on a couch", 1), ("inflation and the economy", 2), ("how to bake a loaf", 3)] {
        for body in [json!({"query": text(asked), "limit": 1}), json!({"query": {"nearest": text(asked)}, "limit": 1})]
        {
            assert_eq!(ids(&query(&client, body)), [nearest], "{asked}");
        }
    }
    let searches = json!({"searches": [{"query": text("pets"), "limit": 1}, {"query": 4, "limit": 1}]});
    let answers = client.ok("POST", "/collections/c/points/query/batch", searches);
    assert_eq!(ids(&answers[0]["points"]), [1]);
}
