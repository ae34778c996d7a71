//! `vicino compact` and its call: room comes back, the points stay, and wherever it is cut short the next one goes on.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use vicino_index::collection::{Change, Options, Payload, Point, PointView, Schema, SyncMode, Upkeep};
use vicino_index::faults::{KILL_AT, Point as Kill};
use vicino_index::{ElementType, HnswParams, Metric, PointId, VectorSpec};
use vicino_server::store::{CollectionName, Store};

use crate::program::{Program, VICINO};

fn vicino(arguments: &[&str], environment: Option<(&str, &str)>) -> (bool, String) {
    let mut command = Command::new(VICINO);
    let output = command.args(arguments).env("VICINO_LOG", "error").envs(environment).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text.into_owned())
}

/// Collections `one` and `two` of 3,000 points in `data`, two thirds of which were replaced, and what is in them.
fn filled(data: &Path) -> (Program, Value) {
    let program = Program::start(&["--data", data.to_str().unwrap(), "--checkpoint-after", "60000"]);
    for name in ["one", "two"] {
        let schema = json!({"vectors": {"size": 4, "distance": "Euclid"}});
        assert_eq!(program.call("PUT", &format!("/collections/{name}"), &schema).0, 200);
        for from in [0, 1000, 2000, 0, 1000] {
            let point =
                |id: u64| json!({"id": id, "vector": [id, id % 7, id % 11, 1], "payload": {"n": id, "from": from}});
            let points: Vec<Value> = (from..from + 1000).map(point).collect();
            let (status, answer) =
                program.call("PUT", &format!("/collections/{name}/points"), &json!({ "points": points }));
            assert_eq!(status, 200, "{answer}");
        }
    }
    let points = all(&program, "one");
    (program, points)
}

fn all(program: &Program, name: &str) -> Value {
    let body = json!({"limit": 10_000, "with_vector": true, "with_payload": true});
    let (status, mut answer) = program.call("POST", &format!("/collections/{name}/points/scroll"), &body);
    assert_eq!(status, 200, "{answer}");
    answer["result"].take()
}

/// After it there are no dead rows, and one segment.
fn assert_compact(compacted: &Value) {
    let after = &compacted["after"];
    let number = |usage: &Value, key: &str| usage[key].as_u64().unwrap_or_else(|| panic!("{key}: {compacted}"));
    assert_eq!((number(after, "dead"), number(after, "segments")), (0, 1), "{compacted}");
    assert_eq!((number(after, "points"), number(after, "rows")), (3000, 3000), "{compacted}");
}

#[test]
fn room_comes_back_and_the_points_stay() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    let (program, points) = filled(dir.path());
    let url = format!("http://{}", program.address);
    let (status, mut answer) = program.call("POST", "/v1/collections/one/compact", &Value::Null);
    assert_eq!(status, 200, "{answer}");
    assert_compact(&answer["result"].take());
    let (success, text) = vicino(&["compact", "-c", "two", "--url", &url], None);
    assert!(
        success && text.contains("before") && text.contains("3000 points in 3000 rows, 0 dead; 1 segments"),
        "{text}"
    );
    for name in ["one", "two"] {
        assert_eq!(all(&program, name), points, "{name}");
    }
    let (success, text) = vicino(&["compact", "--json", "--url", &url], None);
    assert!(success, "{text}");
    let answer: Value = serde_json::from_str(&text).unwrap();
    for name in ["one", "two"] {
        assert_compact(&answer[name]);
        assert_eq!(answer[name]["before"], answer[name]["after"], "nothing is done twice");
    }
    let gone: Vec<u64> = (0..2000).collect();
    assert_eq!(program.call("POST", "/collections/one/points/delete", &json!({ "points": gone })).0, 200);
    let fewer = program.call("POST", "/v1/collections/one/compact", &Value::Null).1["result"]["after"].take();
    let bytes = |usage: &Value| usage["bytes"].as_u64().unwrap();
    assert_eq!((&fewer["rows"], &fewer["dead"]), (&json!(1000), &json!(0)), "{fewer}");
    assert!(bytes(&fewer) + 50_000 < bytes(&answer["one"]["after"]), "{fewer} after {answer}");
    assert_eq!(program.call("POST", "/v1/collections/none/compact", &Value::Null).0, 404);
    let (success, text) = vicino(&["compact", "-c", "one", "--data", data], None);
    assert!(!success && text.contains("in use by another server"), "{text}");
    assert!(program.stop().success());
    let (success, text) = vicino(&["compact", "-c", "none", "--data", data], None);
    assert!(!success && text.contains("no collection `none`"), "{text}");
    let (success, text) = vicino(&["compact", "--data", &format!("{data}/none")], None);
    assert!(!success && text.contains("none"), "{text}");
}

/// All that collection `c` in `data` holds, and how many of its rows are dead.
fn held(data: &Path) -> (Vec<(u64, String)>, usize) {
    let store = Store::open(data, TENDED).unwrap();
    let shared = store.get("c").unwrap();
    let view = shared.read();
    let point = |point: PointView<'_>| {
        (point.version(), format!("{} {:?} {:?}", point.id(), point.vector(""), point.payload()))
    };
    (view.scroll(PointId::FIRST).map(point).collect(), view.rows() - view.len())
}

/// Nothing is sealed or merged but when the test says so.
const TENDED: Options = Options {
    sync: SyncMode::Always,
    upkeep: Upkeep::Tended,
    checkpoint_after: u64::MAX,
    seal_rows: usize::MAX,
    merge_bytes: Options::DEFAULT_MERGE_BYTES,
    log_file_bytes: Options::DEFAULT_LOG_FILE_BYTES,
    reserve_bytes: 1000,
};

#[test]
fn wherever_it_is_killed_it_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("from");
    {
        let store = Store::open(&from, TENDED).unwrap();
        let vectors = VectorSpec::new(3, Metric::L2, ElementType::F32).unwrap();
        let schema = Schema { hnsw: HnswParams::new(8, 32), full_scan_bytes: 100, ..Schema::new(vectors) };
        assert!(store.create(CollectionName::new("c").unwrap(), schema).unwrap());
        let shared = store.get("c").unwrap();
        for (number, ids) in [(0..300), (200..500), (100..350), (490..510)].into_iter().enumerate() {
            let vector = |id: u64| vec![id as f32, (id % 7) as f32, number as f32];
            let point = |id| Point { id: PointId::Integer(id), vectors: vector(id).into(), payload: Payload::new() };
            shared.write(Change::Upsert(ids.map(point).collect())).unwrap();
            if number < 3 {
                shared.checkpoint().unwrap();
            }
        }
    }
    let (expected, dead) = held(&from);
    assert!(expected.len() == 510 && dead > 300, "{} points, {dead} dead", expected.len());
    for (number, point) in [
        Kill::SealBegun,
        Kill::SealWritten,
        Kill::SealSwapped,
        Kill::MergeBegun,
        Kill::VectorsWritten,
        Kill::PointsWritten,
        Kill::MergeWritten,
        Kill::ManifestWritten,
        Kill::ManifestSwapped,
        Kill::MergeSwapped,
        Kill::OldFilesRemoved,
    ]
    .into_iter()
    .enumerate()
    {
        let data = dir.path().join(number.to_string());
        copy(&from, &data);
        let compact = ["compact", "--json", "--data", data.to_str().unwrap()];
        let (success, text) = vicino(&compact, Some((KILL_AT, &format!("{point:?}:0"))));
        assert!(!success && text.is_empty(), "not killed at {point:?}: {text}");
        assert_eq!(held(&data).0, expected, "{point:?}");
        assert!(vicino(&["verify", data.to_str().unwrap()], None).0, "{point:?}");
        let (success, text) = vicino(&compact, None);
        assert!(success, "{point:?}: {text}");
        let after = &serde_json::from_str::<Value>(&text).unwrap()["c"]["after"];
        assert_eq!((&after["segments"], &after["rows"]), (&json!(1), &json!(510)), "{point:?}");
        assert_eq!(held(&data), (expected.clone(), 0), "{point:?}");
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (entry, to) = (entry.as_ref().unwrap(), to.join(entry.as_ref().unwrap().file_name()));
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).unwrap()),
        }
    }
}
