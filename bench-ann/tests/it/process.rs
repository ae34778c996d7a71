//! A worker process seen from the parent: what it answers, and each way it can go wrong.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bench_ann::params::Params;
use bench_ann::process::{Worker, WorkerError};
use bench_ann::protocol::{Reply, Request};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

fn shell(script: &str, folder: &Path, patience: Duration) -> Worker {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    Worker::start(command, &folder.join("log"), patience).unwrap()
}

fn ef(value: u64) -> Params {
    Params([("ef".to_owned(), value.into())].into_iter().collect())
}

fn search(folder: &Path, params: Params) -> Request {
    Request::Search { params, k: 2, threads: 1, neighbors: folder.join("found") }
}

#[test]
fn requests_and_replies_survive_the_wire() {
    let request = Request::Search { params: ef(7), k: 3, threads: 1, neighbors: "n".into() };
    let line = serde_json::to_string(&request).unwrap();
    assert_eq!(line, r#"{"op":"search","params":{"ef":7},"k":3,"threads":1,"neighbors":"n"}"#);
    assert_eq!(serde_json::from_str::<Request>(&line).unwrap(), request);
    let reply = Reply::Searched { seconds: 0.5, cpu_seconds: None, distances: Some(9), hops: None };
    let line = serde_json::to_string(&reply).unwrap();
    assert_eq!(serde_json::from_str::<Reply>(&line).unwrap(), reply);
}

#[test]
fn our_worker_loads_builds_searches_and_goes_on_after_a_refusal() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    // Rows 0, 1, 2 and 10 on a line; queries beside 0 and beside 10.
    std::fs::write(at("train"), bytemuck::cast_slice::<f32, u8>(&[0.0, 1.0, 2.0, 10.0])).unwrap();
    std::fs::write(at("queries"), bytemuck::cast_slice::<f32, u8>(&[-0.1, 9.0])).unwrap();
    let mut command = Command::new(crate::BENCH_ANN);
    command.args(["worker", "--engine", "vicino"]);
    let mut worker = Worker::start(command, &at("log"), PATIENCE).unwrap();

    let early = worker.ask(&search(folder.path(), ef(10))).unwrap_err();
    assert_eq!(early.to_string(), "search before load");
    let load = Request::Load { train: at("train"), queries: at("queries"), dim: 1, metric: "l2".to_owned() };
    assert!(matches!(worker.ask(&load).unwrap(), Reply::Loaded { version } if version.starts_with("vicino-index")));
    let params: Params = serde_json::from_str(r#"{"m": 4, "ef_construction": 10}"#).unwrap();
    let built =
        worker.ask(&Request::Build { params, threads: 2, scratch: folder.path().to_owned(), keep: None }).unwrap();
    assert!(matches!(built, Reply::Built { index_bytes: Some(bytes), .. } if bytes >= 16), "{built:?}");

    let refused = worker.ask(&search(folder.path(), Params::default())).unwrap_err();
    assert!(matches!(&refused, WorkerError::Failed(message) if message.contains("missing field `ef`")), "{refused}");
    let searched = worker.ask(&search(folder.path(), ef(10))).unwrap();
    assert!(matches!(searched, Reply::Searched { distances: Some(2..), hops: Some(1..), .. }), "{searched:?}");
    let found = std::fs::read(at("found")).unwrap();
    assert_eq!(bytemuck::pod_collect_to_vec::<u8, i32>(&found), [0, 1, 3, 2]);

    let latency = Request::Latency { params: ef(10), k: 2, queries: 5, micros: at("micros") };
    assert_eq!(worker.ask(&latency).unwrap(), Reply::Timed);
    assert_eq!(std::fs::read(at("micros")).unwrap().len(), 2 * size_of::<f32>(), "as many as there are queries");
}

#[test]
fn a_worker_that_dies_is_reported_with_its_last_words() {
    let folder = TempDir::new().unwrap();
    let mut worker = shell("read line; echo 'out of luck' >&2; exit 3", folder.path(), PATIENCE);
    let error = worker.ask(&search(folder.path(), ef(1))).unwrap_err();
    assert!(matches!(error, WorkerError::Died { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("exit status: 3") && text.ends_with("out of luck"), "{text}");
}

#[test]
fn a_worker_that_babbles_or_hangs_is_not_waited_for() {
    let folder = TempDir::new().unwrap();
    let mut babbler = shell("read line; echo hello", folder.path(), PATIENCE);
    let error = babbler.ask(&search(folder.path(), ef(1))).unwrap_err();
    assert!(matches!(&error, WorkerError::Protocol(message) if message.contains("`hello`")), "{error}");
    let mut sleeper = shell("exec sleep 600", folder.path(), Duration::from_millis(200));
    let error = sleeper.ask(&search(folder.path(), ef(1))).unwrap_err();
    assert!(matches!(error, WorkerError::Slow(_)), "{error}");
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let folder = TempDir::new().unwrap();
    let Err(error) = Worker::start(Command::new("/nowhere/python"), &folder.path().join("log"), PATIENCE) else {
        panic!("there is no such program");
    };
    assert!(error.to_string().starts_with("cannot start /nowhere/python: "), "{error}");
}
