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
fn ids_are_integers_or_uuids_in_any_spelling() {
    let client = Client::with_collection(2, "Euclid");
    let (low, high) = ("000f4240-0000-4000-8000-00000000002a", "f9168c5e-ceb2-4faa-b6bf-329bf39fa1e4");
    let points =
        [json!("F9168C5ECEB24FAAB6BF329BF39FA1E4"), json!(u64::MAX), json!(format!("urn:uuid:{low}")), json!(0)];
    let points: Vec<Value> = (0..).zip(points).map(|(x, id)| json!({"id": id, "vector": [x, 0]})).collect();
    client.ok("PUT", "/collections/c/points", json!({ "points": points }));
    let ids = |points: &Value| points.as_array().unwrap().iter().map(|point| point["id"].clone()).collect::<Vec<_>>();

    // Integers come before UUIDs, page by page.
    let (mut seen, mut offset) = (Vec::new(), Value::Null);
    loop {
        let page = client.ok("POST", "/collections/c/points/scroll", json!({"limit": 1, "offset": offset}));
        seen.extend(ids(&page["points"]));
        offset = page["next_page_offset"].clone();
        if offset.is_null() {
            break;
        }
    }
    assert_eq!(seen, [json!(0), json!(u64::MAX), json!(low), json!(high)]);

    for spelling in [high.to_owned(), high.to_uppercase(), high.replace('-', ""), format!("urn:uuid:{high}")] {
        assert_eq!(
            client.ok("GET", &format!("/collections/c/points/{spelling}"), Value::Null)["vector"],
            json!([0.0, 0.0])
        );
        let found = client.ok("POST", "/collections/c/points", json!({"ids": [spelling, 7, 0]}));
        assert_eq!(ids(&found), [json!(high), json!(0)]);
        let nearest = query(&client, json!({"query": spelling, "limit": 1}));
        assert_eq!(ids(&nearest), [json!(u64::MAX)], "the nearest but for itself");
        let filter = json!({"must": [{"has_id": [spelling, 0]}]});
        assert_eq!(ids(&query(&client, json!({"query": [9, 0], "filter": filter}))), [json!(0), json!(high)]);
    }
    // A UUID of digits alone is no number.
    let digits = "00000000000000000000000000000042";
    client.ok(
        "PUT",
        "/collections/c/points",
        json!({"points": [{"id": digits, "vector": [5, 5]}, {"id": 42, "vector": [6, 6]}]}),
    );
    assert_eq!(client.ok("GET", &format!("/collections/c/points/{digits}"), Value::Null)["vector"], json!([5.0, 5.0]));
    client.ok("POST", "/collections/c/points/payload", json!({"payload": {"a": 1}, "points": [high]}));
    client.ok("POST", "/collections/c/points/delete", json!({"points": [low, digits, u64::MAX]}));
    let left = client.ok("POST", "/collections/c/points/scroll", json!({}))["points"].take();
    assert_eq!((ids(&left), &left[2]["payload"]), (vec![json!(0), json!(42), json!(high)], &json!({"a": 1})));
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
fn payloads_change_key_by_key_or_whole() {
    let client = Client::with_collection(2, "Euclid");
    let points = json!([
        {"id": 1, "vector": [1, 0], "payload": {"a": 1, "b": {"c": 2, "d": 3}}},
        {"id": 2, "vector": [2, 0]},
        {"id": 3, "vector": [3, 0], "payload": {"z": null}},
    ]);
    client.ok("PUT", "/collections/c/points", json!({ "points": points }));
    let payloads = || {
        let page = client.ok("POST", "/collections/c/points/scroll", json!({}));
        let points = page["points"].as_array().unwrap();
        points.iter().map(|point| point["payload"].clone()).collect::<Vec<Value>>()
    };
    let path = "/collections/c/points/payload?wait=true";
    let answer = client.ok("POST", path, json!({"payload": {"a": "x", "n": [1]}, "points": [1, 2]}));
    assert_eq!(answer, json!({"operation_id": 2, "status": "completed"}));
    assert_eq!(
        payloads(),
        [json!({"a": "x", "b": {"c": 2, "d": 3}, "n": [1]}), json!({"a": "x", "n": [1]}), json!({"z": null})]
    );
    let keys = json!({"keys": ["b.c", "n", "absent", "a.x"], "points": [1]});
    client.ok("POST", "/collections/c/points/payload/delete", keys);
    client.ok("PUT", path, json!({"payload": {"new": true}, "points": [2]}));
    client.ok("POST", "/collections/c/points/payload/clear", json!({"points": [3]}));
    assert_eq!(payloads(), [json!({"a": "x", "b": {"d": 3}}), json!({"new": true}), json!({})]);
    let found = query(&client, json!({"query": [2, 0], "limit": 1, "with_payload": true}));
    assert_eq!((&found[0]["version"], &found[0]["payload"]), (&json!(4), &json!({"new": true})));

    let error = client.error(404, "POST", path, json!({"payload": {"a": 1}, "points": [1, 9]}));
    assert!(error.contains("Point with id 9 does not exist"), "{error}");
    let error = client.error(400, "POST", path, json!({"payload": {"a": 1}}));
    assert!(error.contains("expected either `points`"), "{error}");
    let error = client.error(400, "PUT", path, json!({"payload": {"a": 1}, "points": [1], "key": "b"}));
    assert!(error.contains("key: not supported yet"), "{error}");
    assert_eq!(payloads()[0], json!({"a": "x", "b": {"d": 3}}), "refused changes change nothing");
}

#[test]
fn filters_choose_what_is_found_counted_changed_and_deleted() {
    let client = Client::with_collection(2, "Euclid");
    let points: Vec<Value> = (0..20)
        .map(|id| json!({"id": id, "vector": [id, 0], "payload": {
            "n": id, "even": id % 2 == 0, "tags": [format!("t{}", id % 3), "all"], "at": format!("2024-01-{:02}T00:00:00Z", id + 1),
            "say": format!("Row number {id}"), "place": {"lon": id, "lat": 0}, "parts": [{"a": id % 4, "b": 1}, {"a": 9, "b": id % 5}],
        }}))
        .collect();
    client.ok("PUT", "/collections/c/points", json!({ "points": points }));
    let expected: [(Value, Vec<u64>); 19] = [
        (
            json!({"must": {"key": "even", "match": {"value": true}}, "must_not": [{"has_id": [0, 2, 4]}]}),
            vec![6, 8, 10, 12, 14, 16, 18],
        ),
        (json!({"must": [{"key": "n", "range": {"gte": 3, "lt": 6.5}}]}), vec![3, 4, 5, 6]),
        (json!({"must": [{"key": "tags", "match": {"any": ["t2", "t9"]}}]}), vec![2, 5, 8, 11, 14, 17]),
        (json!({"must": [{"key": "n", "match": {"except": (0..18).collect::<Vec<_>>()}}]}), vec![18, 19]),
        (json!({"should": [{"key": "n", "match": {"value": 1}}, {"key": "n", "match": {"value": 7}}]}), vec![1, 7]),
        (json!({"must": [{"key": "at", "range": {"gt": "2024-01-18T12:00:00Z"}}]}), vec![18, 19]),
        (
            json!({"must": [{"nested": {"key": "parts", "filter": {"must": [
            {"key": "a", "match": {"value": 9}}, {"key": "b", "match": {"value": 4}}]}}}]}),
            vec![4, 9, 14, 19],
        ),
        (json!({"must": [{"key": "parts[].a", "match": {"value": 3}}]}), vec![3, 7, 11, 15, 19]),
        (
            json!({"must": [{"key": "place", "geo_radius": {"center": {"lon": 10, "lat": 0}, "radius": 120_000}}]}),
            vec![9, 10, 11],
        ),
        (
            json!({"must": [{"key": "tags", "values_count": {"gte": 2}}, {"is_empty": {"key": "absent"}}, {"key": "n", "range": {"gt": 18}}]}),
            vec![19],
        ),
        (
            json!({"min_should": {"min_count": 2, "conditions": [
            {"key": "n", "range": {"gt": 16}}, {"key": "even", "match": {"value": true}}]}}),
            vec![18],
        ),
        (json!({"must": [{"is_null": {"key": "n"}}]}), vec![]),
        (json!({"must": [{"key": "say", "match": {"text": "7 row"}}]}), vec![7]),
        (json!({"must": [{"key": "say", "match": {"text_any": "3 5 number9"}}]}), vec![3, 5]),
        (json!({"must": [{"key": "say", "match": {"phrase": "number 11"}}]}), vec![11]),
        (json!({"must": [{"key": "say", "match": {"phrase": "11 number"}}]}), vec![]),
        (
            json!({"must": [{"key": "say", "match": {"prefix": "Row number 1"}}, {"has_vector": ""}], "must_not": {"key": "n", "range": {"gt": 11}}}),
            vec![1, 10, 11],
        ),
        (json!({"must": [{"has_vector": "image"}]}), vec![]),
        (json!({}), (0..20).collect()),
    ];
    for (filter, expected) in &expected {
        let count = client.ok("POST", "/collections/c/points/count", json!({ "filter": filter }));
        assert_eq!(count, json!({"count": expected.len()}), "{filter}");
        let page = client.ok("POST", "/collections/c/points/scroll", json!({"filter": filter, "limit": 100}));
        assert_eq!(&ids(&page["points"]), expected, "{filter}");
        // By nearness to 0 they come in the same order, whether all are compared or the graph is walked.
        for exact in [true, false] {
            let asked = json!({"query": [0, 0], "filter": filter, "limit": 50, "params": {"exact": exact}});
            assert_eq!(&ids(&query(&client, asked)), expected, "{filter}");
        }
        let unasked = query(&client, json!({"filter": filter, "limit": 3}));
        assert_eq!(ids(&unasked), expected[..expected.len().min(3)], "{filter}");
        let searched =
            client.ok("POST", "/collections/c/points/search", json!({"vector": [0, 0], "filter": filter, "limit": 2}));
        assert_eq!(ids(&searched), expected[..expected.len().min(2)], "{filter}");
    }
    let small = json!({"must": [{"key": "n", "range": {"lt": 5}}]});
    client.ok("POST", "/collections/c/points/payload", json!({"payload": {"small": true}, "filter": small}));
    client.ok(
        "POST",
        "/collections/c/points/delete",
        json!({"filter": {"must_not": {"key": "small", "match": {"value": true}}}}),
    );
    let left = client.ok("POST", "/collections/c/points/scroll", json!({"limit": 100}));
    assert_eq!(ids(&left["points"]), [0, 1, 2, 3, 4]);
    let both = json!({"points": [1], "filter": {}});
    assert!(client.error(400, "POST", "/collections/c/points/delete", both).contains("expected either"));

    let point = |id: u64| json!({"id": id, "vector": [50, 0]});
    client.ok("PUT", "/collections/c/points", json!({"points": [point(1), point(60)], "update_mode": "insert_only"}));
    client.ok("PUT", "/collections/c/points", json!({"points": [point(2), point(70)], "update_mode": "update_only"}));
    let found = query(&client, json!({"query": [50, 0], "limit": 2}));
    // Both as near: the lower id comes first.
    assert_eq!(ids(&found), [2, 60]);
    assert_eq!(client.ok("POST", "/collections/c/points/count", json!({})), json!({"count": 6}));

    // Of points that exist only those that match are replaced: 3 does, 4 does not, 80 is new.
    let point = |id: u64| json!({"id": id, "vector": [90, 0], "payload": {"n": 3}});
    let is_3 = json!({"must": [{"key": "n", "match": {"value": 3}}]});
    for (mode, stored) in [("update_only", vec![3]), ("insert_only", vec![3, 80]), ("upsert", vec![3, 80])] {
        let points = json!([point(3), point(4), point(80)]);
        let request = json!({"points": points, "update_mode": mode, "update_filter": is_3});
        client.ok("PUT", "/collections/c/points", request);
        let near = json!({"query": [90, 0], "limit": 9, "score_threshold": 0.5});
        let mut found = ids(&query(&client, near));
        found.sort_unstable();
        assert_eq!(found, stored, "{mode}");
    }
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

#[test]
fn indexes_are_made_described_used_and_dropped() {
    let client = Client::with_collection(2, "Euclid");
    let points: Vec<Value> = (0..50)
        .map(|id| json!({"id": id, "vector": [id, 0], "payload": {"n": id, "say": format!("Row number {id}")}}))
        .collect();
    client.ok("PUT", "/collections/c/points", json!({ "points": points }));
    let filter = json!({"must": [{"key": "n", "range": {"lt": 7}}, {"key": "say", "match": {"text": "ROW num"}}]});
    let count = || client.ok("POST", "/collections/c/points/count", json!({ "filter": filter }))["count"].clone();
    assert_eq!(count(), 0, "`num` is no word");
    let text = json!({"type": "text", "tokenizer": "prefix", "min_token_len": 2, "phrase_matching": true});
    for (name, schema) in [("n", json!("integer")), ("say", text)] {
        let made =
            client.ok("PUT", "/collections/c/index?wait=true", json!({"field_name": name, "field_schema": schema}));
        assert_eq!(made["status"], "completed");
    }
    let schema = client.ok("GET", "/collections/c", Value::Null)["payload_schema"].clone();
    assert_eq!(schema["n"], json!({"data_type": "integer", "points": 50}));
    assert_eq!(schema["say"]["params"]["tokenizer"], "prefix");
    assert_eq!(count(), 7, "words are found by their beginnings now");
    let asked = json!({"query": [3, 0], "filter": filter, "limit": 2});
    assert_eq!(ids(&query(&client, asked.clone())), [3, 2]);
    let explained = client.ok("POST", "/v1/collections/c/explain", asked.clone());
    assert_eq!(explained["points"][0]["id"], 3);
    let segment = &explained["segments"][0];
    assert_eq!((&segment["plan"], &segment["matching"], &segment["asked"]), (&json!("scan"), &json!(7), &json!(0)));
    assert!(segment["estimate"]["max"].as_u64() >= Some(7), "{segment}");
    client.ok("DELETE", "/collections/c/index/say?wait=true", Value::Null);
    client.ok("DELETE", "/collections/c/index/absent", Value::Null);
    assert_eq!(count(), 0);
    for (body, words) in [
        (json!({"field_name": "n", "field_schema": "number"}), "field_schema"),
        (json!({"field_name": "n"}), "field_schema"),
        (json!({"field_name": "n", "field_schema": {"type": "text", "stemmer": {"type": "snowball"}}}), "field_schema"),
    ] {
        assert!(client.error(400, "PUT", "/collections/c/index", body.clone()).contains(words), "{body}");
    }
    for (body, words) in [
        (json!({"field_name": "a[", "field_schema": "keyword"}), "expected `]`"),
        (json!({"field_name": "n", "field_schema": {"type": "integer", "tokenizer": "word"}}), "settings of texts"),
    ] {
        assert!(client.error(422, "PUT", "/collections/c/index", body.clone()).contains(words), "{body}");
    }
    let nothing = client.error(400, "POST", "/v1/collections/c/explain", json!({"filter": filter}));
    assert!(nothing.contains("expected `query`"), "{nothing}");
}
