//! Bad input: each kind gets its status and a message that says what was expected, and changes nothing.

use serde_json::{Value, json};

use crate::client::{Client, error_text};

/// Every body that `PUT …/points` must refuse, with the status and words that say why.
fn bad_points() -> Vec<(u16, Value, &'static str)> {
    let with_vector = |vector: Value| json!({"points": [{"id": 1, "vector": [1, 1]}, {"id": 7, "vector": vector}]});
    vec![
        (400, with_vector(json!([1.0])), "Wrong input: Vector dimension error: expected dim: 2, got 1 (point 7)"),
        (400, with_vector(json!([1.0, 2.0, 3.0])), "expected dim: 2, got 3"),
        (400, with_vector(json!([])), "expected dim: 2, got 0"),
        (400, with_vector(json!({"image": [1.0, 2.0]})), "Not existing vector name error: image (point 7)"),
        (400, with_vector(json!({"indices": [1], "values": [1.0]})), "`indices`: sparse vectors are not supported yet"),
        (400, with_vector(json!({"image": {"indices": [1], "values": [1.0]}})), "points[1].vector"),
        (400, with_vector(json!({"image": [[1.0, 2.0]]})), "multivectors are not supported yet"),
        (400, with_vector(json!("x")), "expected a vector: a list of numbers"),
        (400, with_vector(json!({"image": "x"})), "`image`: expected a vector: a list of numbers"),
        (400, with_vector(json!({})), "no vector given"),
        (400, with_vector(json!([[1.0, 2.0]])), "points[1].vector[0]"),
        (400, with_vector(json!([1.0, "x"])), "points[1].vector[1]"),
        (400, with_vector(json!([1.0, null])), "points[1].vector[1]"),
        (400, with_vector(json!([1e30, 0.0])), "norm"),
        (400, json!({"points": [{"id": 1}]}), "missing field `vector`"),
        (400, json!({"points": [{"vector": [1.0, 2.0]}]}), "missing field `id`"),
        (400, json!({"points": [{"id": -1, "vector": [1.0, 2.0]}]}), "points[0].id"),
        (
            400,
            json!({"points": [{"id": "5c56c793-69f3-4fbf-87e6-c4bf54c28c2", "vector": [1, 2]}]}),
            "points[0].id: point id \"5c56c793-69f3-4fbf-87e6-c4bf54c28c2\": expected an unsigned 64-bit integer or a UUID",
        ),
        (400, json!({"points": [{"id": 1, "vector": [1.0, 2.0], "payload": [1]}]}), "points[0].payload"),
        (400, json!({"points": [{"id": 1, "vector": [1.0, 2.0], "colour": 1}]}), "unknown field `colour`"),
        (400, json!({"points": [], "shard_key": "a"}), "shard_key: not supported yet"),
        (400, json!({"points": [], "update_mode": "replace"}), "unknown variant `replace`"),
        (400, json!({}), "expected either `points` or `batch`"),
        (400, json!({"points": [], "batch": {"ids": [], "vectors": []}}), "expected either `points` or `batch`"),
        (422, json!({"batch": {"ids": [1, 2], "vectors": [[1.0, 2.0]]}}), "2 ids but 1 vectors"),
        (422, json!({"batch": {"ids": [1], "vectors": [[1.0, 2.0]], "payloads": []}}), "1 ids but 0 payloads"),
        (400, json!([1, 2]), "Format error in JSON body"),
    ]
}

#[test]
fn bad_points_are_refused_and_nothing_is_stored() {
    let client = Client::with_collection(2, "Euclid");
    for (status, body, words) in bad_points() {
        let error = client.error(status, "PUT", "/collections/c/points?wait=true", body.clone());
        assert!(error.contains(words), "{body}: {error}");
    }
    assert_eq!(client.ok("POST", "/collections/c/points/count", json!({})), json!({"count": 0}));
}

#[test]
fn numbers_that_are_none_are_refused_where_they_stand() {
    let client = Client::with_collection(2, "Cosine");
    for (number, words) in [
        ("NaN", "line 1 column"),
        ("Infinity", "line 1 column"),
        ("1e400", "number out of range"),
        // Finite as a 64-bit float, infinite as a 32-bit one.
        ("1e39", "[1]"),
        ("-3.5e38", "[1]"),
    ] {
        let points = format!(r#"{{"points": [{{"id": 7, "vector": [0.5, {number}]}}]}}"#);
        let query = format!(r#"{{"query": [0.5, {number}]}}"#);
        for (method, path, body) in
            [("PUT", "/collections/c/points", points), ("POST", "/collections/c/points/query", query)]
        {
            let (status, answer) = client.raw(method, path, "application/json", body);
            let error = error_text(400, status, &serde_json::from_str(&answer).unwrap());
            assert!(error.contains(words) || error.contains("coordinate 1 is not finite"), "{number}: {error}");
        }
    }
    assert_eq!(client.ok("POST", "/collections/c/points/count", json!({})), json!({"count": 0}));
}

#[test]
fn vectors_must_fit_the_stored_type() {
    let client = Client::new();
    for (datatype, bad) in [("uint8", json!([256, 0])), ("uint8", json!([0.5, 0])), ("float16", json!([0, 70000]))] {
        client.ok("PUT", "/collections/c", json!({"vectors": {"size": 2, "distance": "Euclid", "datatype": datatype}}));
        let error = client.error(400, "PUT", "/collections/c/points", json!({"points": [{"id": 3, "vector": bad}]}));
        assert!(error.contains("coordinate") && error.contains("(point 3)"), "{datatype}: {error}");
        client.ok("DELETE", "/collections/c", Value::Null);
    }
}

#[test]
fn bad_queries_are_refused() {
    let client = Client::with_collection(2, "Euclid");
    let good = json!([1.0, 2.0]);
    for (status, body, words) in [
        (400, json!({"query": [1.0]}), "Wrong input: Vector dimension error: expected dim: 2, got 1"),
        (422, json!({"query": good, "limit": 0}), "limit: value 0 invalid"),
        (422, json!({"query": good, "params": {"hnsw_ef": 0}}), "hnsw_ef: value 0 invalid"),
        (400, json!({"query": good, "limit": -1}), "limit"),
        (400, json!({"query": good, "limit": 1e30}), "limit"),
        (404, json!({"query": 5}), "Point with id 5 does not exist"),
        (400, json!({"query": "text"}), "point id \"text\": expected an unsigned 64-bit integer or a UUID"),
        (
            404,
            json!({"query": "5C56c793-69f3-4fbf-87e6-c4bf54c28c26"}),
            "Point with id 5c56c793-69f3-4fbf-87e6-c4bf54c28c26",
        ),
        (400, json!({"query": {"recommend": {"positive": [1]}}}), "`recommend` is not supported yet"),
        (400, json!({"query": {"fusion": "rrf"}}), "`fusion` is not supported yet"),
        (400, json!({"query": {"nearest": {"text": "x", "model": "y"}}}), "model `y`: expected `static`"),
        (400, json!({"query": {"text": "x"}}), "expected both `text` and `model`"),
        (400, json!({"query": {"text": "x", "model": "static"}}), "expected dim: 2, got 256"),
        (400, json!({"query": {"text": 3, "model": "static"}}), "expected a string"),
        (400, json!({"query": {"text": "x", "model": "static", "options": {"k": 1}}}), "not supported yet"),
        (400, json!({"query": {}}), "an empty query"),
        (400, json!({"query": good, "filter": {"musst": []}}), "filter: unknown `musst`"),
        (400, json!({"query": good, "prefetch": []}), "prefetch: not supported yet"),
        (
            400,
            json!({"query": good, "params": {"quantization": {"ignore": true}}}),
            "params.quantization.ignore: not supported yet",
        ),
        (400, json!({"query": good, "params": {"quantization": {"rescore": false}}}), "not supported yet"),
        (
            422,
            json!({"query": good, "params": {"quantization": {"oversampling": 0.5}}}),
            "oversampling: value 0.5 invalid, must be from 1 to 100",
        ),
        (422, json!({"query": good, "params": {"min_recall": 1.0}}), "min_recall: recall 1: expected a number above 0"),
        (422, json!({"query": good, "params": {"min_recall": -3}}), "recall -3: expected a number above 0 and below 1"),
        (400, json!({"query": good, "params": {"min_recall": "all"}}), "params.min_recall: invalid type: string"),
        (
            400,
            json!({"query": good, "params": {"min_recall": 0.9, "hnsw_ef": 64}}),
            "params.min_recall beside params.hnsw_ef: expected one of them",
        ),
        (
            400,
            json!({"query": good, "params": {"min_recall": 0.9, "quantization": {"oversampling": 2.0}}}),
            "params.min_recall beside params.quantization.oversampling: expected one of them",
        ),
        (422, json!({"query": good, "params": {"bits": 3}}), "bits: value 3 invalid, must be 2, 4 or 8"),
        (400, json!({"query": good, "using": "image"}), "Not existing vector name error: image"),
        (400, json!({"query": good, "with_vector": ["image"]}), "Not existing vector name error: image"),
        (400, json!({"query": good, "with_payload": 3}), "with_payload: a boolean, a list of keys"),
        (400, json!({"query": good, "with_payload": ["a[].b"]}), "not supported yet"),
        (400, json!({"query": good, "limits": 3}), "unknown field `limits`"),
        (400, json!({"score_threshold": 0.5}), "score_threshold without a query"),
    ] {
        let error = client.error(status, "POST", "/collections/c/points/query", body.clone());
        assert!(error.contains(words), "{body}: {error}");
        let error = client.error(status, "POST", "/collections/c/points/query/batch", json!({"searches": [body]}));
        assert!(error.contains(words.split(':').next().unwrap()), "in a batch: {error}");
    }
    assert!(
        client
            .error(400, "POST", "/collections/c/points/search", json!({"vector": good}))
            .contains("missing field `limit`")
    );
    assert!(client.error(422, "POST", "/collections/c/points/scroll", json!({"limit": 0})).contains("limit"));
    assert!(
        client
            .error(400, "POST", "/collections/c/points/scroll", json!({"order_by": "a"}))
            .contains("order_by: not supported")
    );
    assert!(
        client
            .error(400, "POST", "/collections/c/points/count", json!({"filter": []}))
            .contains("filter: []: expected an object")
    );
    assert!(
        client
            .error(400, "POST", "/collections/c/points/delete", json!({"filter": []}))
            .contains("filter: []: expected an object")
    );
    assert!(client.error(400, "POST", "/collections/c/points/delete", json!({})).contains("expected either `points`"));
}

#[test]
fn bad_collections_are_refused() {
    let client = Client::new();
    let with = |field: &str, value: Value| {
        let mut body = json!({"vectors": {"size": 4, "distance": "Dot"}});
        body[field] = value;
        body
    };
    for (status, body, words) in [
        (
            400,
            json!({"vectors": {"size": 4, "distance": "Hamming"}}),
            "unknown variant `Hamming`, expected one of `Cosine`, `Euclid`, `Dot`, `Manhattan`",
        ),
        (422, json!({"vectors": {"size": 0, "distance": "Dot"}}), "dimension 0: expected 1..="),
        (422, json!({"vectors": {"size": 1_000_000_000, "distance": "Dot"}}), "dimension 1000000000: expected 1..="),
        (400, json!({"vectors": {"size": 4}}), "missing field `distance`"),
        (400, json!({"vectors": {"image": {"size": 4}}}), "vectors.image: missing field `distance`"),
        (422, json!({"vectors": {"image": {"size": 0, "distance": "Dot"}}}), "dimension 0: expected 1..="),
        (
            400,
            json!({"vectors": {"image": {"size": 4, "distance": "Dot", "multivector_config": {"comparator": "max_sim"}}}}),
            "vectors.image: not supported yet",
        ),
        (
            400,
            json!({"vectors": {"image": {"size": 4, "distance": "Dot", "hnsw_config": {"m": 8}}}}),
            "vectors.image: hnsw_config of one of several vectors is not supported yet",
        ),
        (400, json!({"vectors": {"": {"size": 4, "distance": "Dot"}}}), "a vector's name of 0 bytes"),
        (400, json!({"vectors": {"size": 4, "distance": "Dot", "datatype": "turbo4"}}), "unknown variant `turbo4`"),
        (400, json!({"vectors": {"size": 4, "distance": "Dot", "on_disk": true}}), "not supported yet"),
        (422, with("hnsw_config", json!({"ef_construct": 1})), "ef_construction is 1"),
        (422, with("hnsw_config", json!({"m": 0})), "m is 0"),
        (422, with("shard_number", json!(3)), "shard_number"),
        (400, with("sparse_vectors", json!({"text": {}})), "sparse_vectors: not supported yet"),
        (
            400,
            with("quantization_config", json!({"product": {"compression": "x16"}})),
            "quantization_config: not supported yet",
        ),
        (400, with("quantization_config", json!({"scalar": {"type": "int4"}})), "unknown variant `int4`"),
        (400, with("quantization_config", json!({"scalar": {}})), "quantization_config: missing field `type`"),
        (400, with("quantization_config", json!({})), "expected one of `scalar` and `binary`"),
        (
            400,
            with("quantization_config", json!({"binary": {}, "scalar": {"type": "int8"}})),
            "expected one of `scalar` and `binary`",
        ),
        (
            400,
            with("quantization_config", json!({"binary": {"encoding": "two_bits"}})),
            "unknown variant `two_bits`, expected `one_bit`",
        ),
        (
            400,
            json!({"vectors": {"image": {"size": 4, "distance": "Dot", "quantization_config": {"binary": {}}}}}),
            "vectors.image: quantization_config of one of several vectors is not supported yet",
        ),
        (
            400,
            json!({"vectors": {"size": 4, "distance": "Dot", "quantization_config": {"scalar": 8}}}),
            "vectors.quantization_config: invalid type",
        ),
        (400, with("vicino_config", json!({"layout": "flat"})), "vicino_config.layout: unknown variant `flat`"),
        (400, with("vicino_config", json!({"bytes": 9})), "unknown field `bytes`"),
        (422, with("vicino_config", json!({"bytes_per_vector": 0})), "bytes_per_vector: value 0 invalid"),
        (
            422,
            with("vicino_config", json!({"layout": "compact", "bytes_per_vector": 900})),
            "value 900 beside layout `compact`: expected layout `auto`",
        ),
        (
            422,
            with("vicino_config", json!({"min_recall": 1.5})),
            "vicino_config.min_recall: recall 1.5: expected a number above 0 and below 1",
        ),
        (
            400,
            json!({
                "vectors": {"size": 4, "distance": "Dot"},
                "quantization_config": {"binary": {}},
                "vicino_config": {"layout": "compact"},
            }),
            "another layout in vicino_config than by quantization_config",
        ),
        (400, with("colour", json!(3)), "unknown field `colour`"),
    ] {
        let error = client.error(status, "PUT", "/collections/c", body.clone());
        assert!(error.contains(words), "{body}: {error}");
    }
    let fine = json!({"vectors": {"size": 4, "distance": "Dot"}});
    for (status, name, words) in [
        (400, "a%2Fb", "no `/`"),
        (400, "a%00b", "control character"),
        (400, "%2E%2E", "anything but `.` and `..`"),
        (422, "x".repeat(256).as_str(), "256 characters: expected 1..=255"),
    ] {
        let error = client.error(status, "PUT", &format!("/collections/{name}"), fine.clone());
        assert!(error.contains(words), "{name}: {error}");
    }
    assert_eq!(client.ok("GET", "/collections", Value::Null), json!({"collections": []}));
    client.ok("PUT", "/collections/c", fine.clone());
    assert_eq!(client.error(409, "PUT", "/collections/c", fine), "Wrong input: Collection `c` already exists!");
}

#[test]
fn unknown_collections_and_routes_are_named() {
    let client = Client::new();
    let words = "Not found: Collection `nope` doesn't exist!";
    let point = json!({"points": [{"id": 1, "vector": [1.0]}]});
    for (method, path, body) in [
        ("GET", "", Value::Null),
        ("PUT", "/points", point),
        ("POST", "/points", json!({"ids": [1]})),
        ("GET", "/points/1", Value::Null),
        ("POST", "/points/delete", json!({"points": [1]})),
        ("POST", "/points/payload", json!({"payload": {}, "points": [1]})),
        ("POST", "/points/count", json!({})),
        ("POST", "/points/scroll", json!({})),
        ("POST", "/points/query", json!({"query": [1.0]})),
        ("POST", "/points/query/batch", json!({"searches": []})),
        ("POST", "/points/search", json!({"vector": [1.0], "limit": 1})),
    ] {
        assert_eq!(client.error(404, method, &format!("/collections/nope{path}"), body), words, "{method} {path}");
    }
    let error = client.error(404, "POST", "/collections/nope/points/vectors", json!({}));
    assert_eq!(error, "Not found: POST /collections/nope/points/vectors is not served");
    assert_eq!(
        client.error(404, "PATCH", "/collections/nope", json!({})),
        "Not found: PATCH /collections/nope is not served"
    );
}

#[test]
fn bodies_that_are_not_json_are_refused() {
    let client = Client::with_collection(2, "Euclid");
    let path = "/collections/c/points/query";
    for (status, content_type, body, words) in [
        (400, "application/json", "{\"query\": [1.0,", "line 1 column"),
        (400, "application/json", "", "EOF"),
        (400, "application/json", "{} {}", "trailing characters"),
        (400, "application/json", "{\"limit\": 1, \"limit\": 2}", "duplicate field `limit`"),
        (400, "application/json; charset=utf-8", "{\"limit\": \"ten\"}", "limit: invalid type: string \"ten\""),
        (415, "application/x-www-form-urlencoded", "{}", "expected `application/json`"),
        (415, "text/plain", "{}", "`text/plain`"),
    ] {
        let (found, answer) = client.raw("POST", path, content_type, body);
        let error = error_text(status, found, &serde_json::from_str(&answer).unwrap());
        assert!(error.contains(words), "{body}: {error}");
    }
    let deep = format!("{{\"query\": {}", "[".repeat(100_000));
    assert_eq!(client.raw("POST", path, "application/json", deep).0, 400);
    let large = vec![b' '; vicino_server::api::MAX_BODY_BYTES + 1];
    let (found, answer) = client.raw("POST", path, "application/json", large);
    assert!(error_text(413, found, &serde_json::from_str(&answer).unwrap()).contains("33554432 bytes"), "{answer}");
}

#[test]
fn query_parameters_are_checked() {
    let client = Client::with_collection(2, "Euclid");
    for (status, params, words) in [
        (422, "timeout=0", "timeout: value 0 invalid"),
        (400, "timeout=soon", "timeout"),
        (400, "wait=perhaps", "wait"),
        (400, "ordering=strange", "unknown variant `strange`"),
        (400, "speed=9", "unknown field `speed`"),
    ] {
        let error = client.error(status, "POST", &format!("/collections/c/points/count?{params}"), json!({}));
        assert!(error.contains(words), "{params}: {error}");
    }
    client.ok(
        "POST",
        "/collections/c/points/count?timeout=3&consistency=majority&wait=true&ordering=strong",
        json!({}),
    );
}

#[test]
fn filters_are_refused_where_they_are_wrong() {
    let client = Client::with_collection(2, "Euclid");
    let condition = |condition: Value| json!({"must": [{"has_id": [1]}, condition]});
    let nested = (0..20).fold(json!({}), |inner, _| json!({"must": inner}));
    let many: Vec<Value> = (0..1025).map(|id| json!({"has_id": [id]})).collect();
    for (filter, words) in [
        (json!({"must": 7}), "must: 7: expected an object"),
        (condition(json!({})), "must[1]: an empty condition"),
        (condition(json!({"key": "a"})), "must[1]: expected one of match, range"),
        (
            condition(json!({"key": "a..b", "match": {"value": 1}})),
            "must[1].key: payload path \"a..b\": expected a key at byte 2",
        ),
        (
            condition(json!({"key": "a", "match": {"value": 1.5}})),
            "must[1].match.value: 1.5: expected a string, an integer or a boolean",
        ),
        (condition(json!({"key": "a", "match": {"text": 1}})), "must[1].match.text: 1: expected a string"),
        (
            condition(json!({"key": "a", "match": {"like": "x"}})),
            "must[1].match.like: unknown: expected one of value, any",
        ),
        (
            condition(json!({"key": "a", "range": {"gt": "yesterday"}})),
            "must[1].range.gt: \"yesterday\": expected a moment",
        ),
        (
            condition(json!({"key": "a", "range": {"from": 1}})),
            "must[1].range: unknown `from`: expected lt, gt, gte, lte",
        ),
        (
            condition(json!({"key": "a", "geo_radius": {"center": {"lon": 200, "lat": 0}, "radius": 1}})),
            "must[1].geo_radius.center: ",
        ),
        (condition(json!({"has_id": ["x"]})), "must[1].has_id: \"x\": expected an unsigned 64-bit integer or a UUID"),
        (condition(json!({"has_vector": 1})), "must[1].has_vector: 1: expected a string"),
        (condition(json!({"slice": {}})), "must[1]: `slice`: not supported yet"),
        (condition(json!({"nested": {"key": "a", "filter": {"x": 1}}})), "must[1].nested.filter: unknown `x`"),
        (json!({"min_should": {"conditions": []}}), "min_should: expected `min_count`"),
        (nested, "filters nested more than 16 deep"),
        (json!({ "must": many }), "must: 1025 conditions: expected at most 1024"),
    ] {
        let error = client.error(400, "POST", "/collections/c/points/count", json!({ "filter": filter }));
        assert!(error.contains("filter: ") && error.contains(words), "{words}: {error}");
    }
}
