//! Named vectors on the wire.

use serde_json::{Value, json};

use crate::client::Client;

const POINTS: &str = "/collections/c/points";

/// Two vectors, compared in two ways, and four points with one, the other, both or none.
fn filled() -> Client {
    let client = Client::new();
    let vectors = json!({"text": {"size": 2, "distance": "Euclid"}, "image": {"size": 3, "distance": "Dot", "datatype": "float16"}});
    assert_eq!(client.ok("PUT", "/collections/c", json!({ "vectors": vectors })), true);
    assert_eq!(client.ok("GET", "/collections/c", Value::Null)["config"]["params"]["vectors"], vectors);
    let points = json!({"points": [
        {"id": 1, "vector": {"text": [1, 0], "image": [1, 0, 0]}, "payload": {"n": 1}},
        {"id": 2, "vector": {"text": [2, 0]}},
        {"id": 3, "vector": {"image": [3, 0, 0]}},
        {"id": 4, "vector": {}},
    ]});
    client.ok("PUT", POINTS, points);
    client
}

fn ids(points: &Value) -> Vec<u64> {
    points.as_array().unwrap().iter().map(|point| point["id"].as_u64().unwrap()).collect()
}

fn query(client: &Client, body: Value) -> Vec<u64> {
    ids(&client.ok("POST", &format!("{POINTS}/query"), body)["points"])
}

fn vectors(client: &Client) -> Vec<Value> {
    let all = client.ok("POST", POINTS, json!({"ids": [1, 2, 3, 4], "with_vector": true}));
    all.as_array().unwrap().iter().map(|point| point["vector"].clone()).collect()
}

#[test]
fn points_have_any_of_the_vectors_and_are_found_by_those() {
    let client = filled();
    let stored = vec![
        json!({"text": [1.0, 0.0], "image": [1.0, 0.0, 0.0]}),
        json!({"text": [2.0, 0.0]}),
        json!({"image": [3.0, 0.0, 0.0]}),
        json!({}),
    ];
    assert_eq!(vectors(&client), stored);
    let some = client.ok("POST", &format!("{POINTS}/scroll"), json!({"with_vector": ["image"], "limit": 2}));
    let expected = json!([{"id": 1, "payload": {"n": 1}, "vector": {"image": [1.0, 0.0, 0.0]}}, {"id": 2, "payload": {}, "vector": {}}]);
    assert_eq!(some["points"], expected);
    assert_eq!(query(&client, json!({"query": [0, 0], "using": "text"})), [1, 2]);
    assert_eq!(query(&client, json!({"query": [1, 0, 0], "using": "image"})), [3, 1]);
    assert_eq!(query(&client, json!({"query": 1, "using": "image"})), [3]);
    let has = |name: &str| json!({"must": [{"has_vector": name}]});
    assert_eq!(query(&client, json!({"query": [0, 0], "using": "text", "filter": has("image")})), [1]);
    assert_eq!(client.ok("POST", &format!("{POINTS}/count"), json!({"filter": has("text")})), json!({"count": 2}));
    let old = json!({"vector": {"name": "text", "vector": [2, 0]}, "limit": 1, "with_vector": true});
    assert_eq!(client.ok("POST", &format!("{POINTS}/search"), old)[0]["vector"], json!({"text": [2.0, 0.0]}));
    let explained = client.ok("POST", "/v1/collections/c/explain", json!({"query": [0, 0], "using": "text"}));
    assert_eq!(explained["segments"][0]["matching"], 2);
    // By column, name by name.
    let columns =
        json!({"batch": {"ids": [7, 8], "vectors": {"text": [[7, 0], [8, 0]], "image": [[0, 7, 0], [0, 8, 0]]}}});
    client.ok("PUT", POINTS, columns);
    assert_eq!(query(&client, json!({"query": [0, 1, 0], "using": "image", "limit": 1})), [8]);
    assert_eq!(query(&client, json!({"query": [9, 0], "using": "text", "limit": 2})), [8, 7]);
}

#[test]
fn vectors_are_updated_and_deleted_one_by_one() {
    let client = filled();
    let update = json!({"points": [{"id": 2, "vector": {"image": [0, 2, 0]}}, {"id": 4, "vector": {"text": [4, 4]}}]});
    assert_eq!(client.ok("PUT", &format!("{POINTS}/vectors?wait=true"), update)["status"], "completed");
    client.ok("POST", &format!("{POINTS}/vectors/delete"), json!({"points": [1, 3], "vector": ["image"]}));
    let stored = vec![
        json!({"text": [1.0, 0.0]}),
        json!({"text": [2.0, 0.0], "image": [0.0, 2.0, 0.0]}),
        json!({}),
        json!({"text": [4.0, 4.0]}),
    ];
    assert_eq!(vectors(&client), stored);
    let n1 = json!({"must": [{"key": "n", "match": {"value": 1}}]});
    client.ok("POST", &format!("{POINTS}/vectors/delete"), json!({"filter": n1, "vector": ["text", "image"]}));
    let update = json!({"points": [{"id": 1, "vector": {"text": [9, 9]}}, {"id": 2, "vector": {"text": [9, 9]}}], "update_filter": n1});
    client.ok("PUT", &format!("{POINTS}/vectors"), update);
    assert_eq!(
        vectors(&client)[..2],
        [json!({"text": [9.0, 9.0]}), json!({"text": [2.0, 0.0], "image": [0.0, 2.0, 0.0]})]
    );
    assert_eq!(client.ok("POST", POINTS, json!({"ids": [1]}))[0]["payload"], json!({"n": 1}), "payloads stay");

    // Without names: vectors are updated, and stay.
    client.ok("PUT", "/collections/d", json!({"vectors": {"size": 2, "distance": "Euclid"}}));
    client.ok("PUT", "/collections/d/points", json!({"points": [{"id": 1, "vector": [1, 1], "payload": {"a": 1}}]}));
    client.ok("PUT", "/collections/d/points/vectors", json!({"points": [{"id": 1, "vector": [2, 2]}]}));
    let point = client.ok("GET", "/collections/d/points/1", Value::Null);
    assert_eq!(point, json!({"id": 1, "payload": {"a": 1}, "vector": [2.0, 2.0]}));
    let error =
        client.error(400, "POST", "/collections/d/points/vectors/delete", json!({"points": [1], "vector": [""]}));
    assert!(error.contains("the collection's vector has no name"), "{error}");
}

#[test]
fn vectors_come_and_go() {
    let client = filled();
    let dense = json!({"size": 2, "distance": "Cosine"});
    let made = client.ok("PUT", "/collections/c/vectors/title?wait=true", json!({ "dense": dense }));
    assert_eq!(made["status"], "completed");
    let update = json!({"points": [{"id": 4, "vector": {"title": [0, 5]}}]});
    client.ok("PUT", &format!("{POINTS}/vectors"), update);
    assert_eq!(query(&client, json!({"query": [1, 0], "using": "title"})), [4]);
    assert_eq!(client.ok("GET", "/collections/c", Value::Null)["config"]["params"]["vectors"]["title"], dense);
    client.ok("PUT", "/collections/c/vectors/title", json!({ "dense": dense }));
    assert_eq!(query(&client, json!({"query": [1, 0], "using": "title"})), [4], "the same once more is nothing");
    client.ok("DELETE", "/collections/c/vectors/text", Value::Null);
    client.ok("DELETE", "/collections/c/vectors/text", Value::Null);
    assert_eq!(
        client.error(400, "POST", &format!("{POINTS}/query"), json!({"query": [0, 0], "using": "text"})),
        "Wrong input: Not existing vector name error: text"
    );
    assert_eq!(
        vectors(&client),
        [json!({"image": [1.0, 0.0, 0.0]}), json!({}), json!({"image": [3.0, 0.0, 0.0]}), json!({"title": [0.0, 1.0]})]
    );
    // A collection may begin with none.
    client.ok("PUT", "/collections/d", json!({}));
    client.ok("PUT", "/collections/d/points", json!({"points": [{"id": 1, "vector": {}}]}));
    assert_eq!(client.ok("GET", "/collections/d", Value::Null)["config"]["params"]["vectors"], json!({}));
    client.ok("PUT", "/collections/d/vectors/a", json!({ "dense": dense }));
    assert_eq!(
        client.ok("POST", "/collections/d/points/query", json!({"query": [1, 0], "using": "a"}))["points"],
        json!([])
    );
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let client = filled();
    let before = vectors(&client);
    let update = |vector: Value| json!({"points": [{"id": 1, "vector": vector}]});
    for (status, method, path, body, words) in [
        (400, "PUT", "points/vectors", update(json!({"x": [1, 2]})), "Not existing vector name error: x (point 1)"),
        (400, "PUT", "points/vectors", update(json!([1, 2])), "Not existing vector name error:  (point 1)"),
        (400, "PUT", "points/vectors", update(json!({"text": [1]})), "expected dim: 2, got 1 (point 1, vector `text`)"),
        (
            400,
            "PUT",
            "points/vectors",
            update(json!({"text": {"indices": [1], "values": [1]}})),
            "sparse vectors are not supported yet",
        ),
        (404, "PUT", "points/vectors", json!({"points": [{"id": 9, "vector": {}}]}), "9 does not exist"),
        (404, "POST", "points/vectors/delete", json!({"points": [1, 9], "vector": ["text"]}), "9 does not exist"),
        (
            400,
            "POST",
            "points/vectors/delete",
            json!({"points": [1], "vector": ["x"]}),
            "Not existing vector name error: x",
        ),
        (
            400,
            "POST",
            "points/vectors/delete",
            json!({"vector": ["text"]}),
            "expected either `points`, a list of ids, or `filter`",
        ),
        (422, "PUT", "points/vectors", json!({"points": []}), "points: an empty list"),
        (422, "POST", "points/vectors/delete", json!({"points": [1], "vector": []}), "vector: an empty list"),
        (400, "POST", "points/query", json!({"query": [1, 2]}), "Not existing vector name error: "),
        (400, "POST", "points/query", json!({"query": [1, 2, 3], "using": "text"}), "expected dim: 2, got 3"),
        (
            400,
            "POST",
            "points/query",
            json!({"query": 3, "using": "text"}),
            "point 3 has no vector `text` to search with",
        ),
        (400, "POST", "points/scroll", json!({"with_vector": ["x"]}), "Not existing vector name error: x"),
        (
            400,
            "PUT",
            "vectors/text",
            json!({"dense": {"size": 3, "distance": "Dot"}}),
            "`text` exists already, and is another",
        ),
        (400, "PUT", "vectors/x", json!({"sparse": {}}), "sparse: not supported yet"),
        (400, "PUT", "vectors/x", json!({"dense": {"size": 3}}), "dense: missing field `distance`"),
        (
            422,
            "PUT",
            "points",
            json!({"batch": {"ids": [1, 2], "vectors": {"text": [[1, 2]]}}}),
            "2 ids but 1 vectors `text`",
        ),
    ] {
        let error = client.error(status, method, &format!("/collections/c/{path}"), body.clone());
        assert!(error.contains(words), "{method} {path} {body}: {error}");
    }
    assert_eq!(vectors(&client), before);
    client.ok("PUT", "/collections/d", json!({"vectors": {"size": 2, "distance": "Euclid"}}));
    let error = client.error(400, "PUT", "/collections/d/vectors/x", json!({"dense": {"size": 3, "distance": "Dot"}}));
    assert!(error.contains("the collection's vector has no name"), "{error}");
}

#[test]
fn a_text_may_stand_for_a_named_vector_and_a_vector_may_be_named_text() {
    let client = Client::new();
    let text = |text: &str| json!({"text": text, "model": "static"});
    client.ok("PUT", "/collections/c", json!({"vectors": {"text": {"size": 256, "distance": "Cosine"}}}));
    let points = json!({"points": [
        {"id": 1, "vector": {"text": text("The cat sleeps on the sofa.")}},
        {"id": 2, "vector": {"text": text("Interest rates rose again.")}},
        {"id": 3, "vector": {"text": vec![0.5; 256]}},
    ]});
    client.ok("PUT", POINTS, points);
    assert_eq!(query(&client, json!({"query": text("kitten on a couch"), "using": "text", "limit": 1})), [1]);
}
