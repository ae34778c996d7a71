//! `vicino import` and `vicino export`: what goes in comes out, over HTTP and straight into a data folder; what is wrong is said with its
//! row; a run that is cut short goes on.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::ledger::vectors;
use crate::program::{Program, VICINO};

pub(crate) fn vicino(arguments: &[&str]) -> Output {
    Command::new(VICINO).args(arguments).env("VICINO_LOG", "error").output().unwrap()
}

/// What a command that must succeed prints.
pub(crate) fn ok(arguments: &[&str]) -> String {
    let output = vicino(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The error of a command that must fail.
pub(crate) fn error(arguments: &[&str]) -> String {
    let output = vicino(arguments);
    assert!(!output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn path(dir: &Path, name: &str) -> String {
    dir.join(name).to_string_lossy().into_owned()
}

/// Lines as an export writes them, in the order of ids: integers before UUIDs, floats of every kind.
fn lines() -> Vec<Value> {
    let floats = [0.1_f32, -0.0, 1.0 / 3.0, f32::MIN_POSITIVE, 1e-40, f32::MAX / 1e20, 16_777_217.0];
    let id = |at: u64| if at < 400 { json!(at * at) } else { json!(format!("00000000-0000-4000-8000-{at:012}")) };
    let payload = |at: u64| match at % 3 {
        0 => json!({}),
        1 => json!({"n": at, "nested": {"list": [1, null, "ü"]}}),
        _ => json!({"text": "line\nbreak", "big": u64::MAX, "long": 2.718_281_828_459_1}),
    };
    let vector = |at: u64| [floats[at as usize % 7], at as f32, floats[at as usize % 5]];
    (0..600).map(|at| json!({"id": id(at), "vector": vector(at), "payload": payload(at)})).collect()
}

fn write_lines(path: &str, lines: &[Value]) {
    fs::write(path, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
}

/// Equal, numbers of vectors as 32-bit floats.
pub(crate) fn assert_same(path: &str, expected: &[Value]) {
    let text = fs::read_to_string(path).unwrap();
    let found: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(found.len(), expected.len(), "{path}");
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!((&found["id"], &found["payload"]), (&expected["id"], &expected["payload"]), "{path}");
        assert_eq!(vectors(&found["vector"]), vectors(&expected["vector"]), "{path}: {found}");
    }
}

#[test]
fn what_is_imported_is_exported_again_in_every_format() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| path(dir.path(), name);
    let (first, lines) = (file("first.jsonl"), lines());
    write_lines(&first, &lines);
    let program = Program::start(&[]);
    let url = format!("http://{}", program.address);
    let server = ["-c", "a", "--url", &url];
    let said = ok(&[&["import", &first, "--distance", "Euclid", "--batch", "77"], &server[..]].concat());
    assert!(said.contains("600 rows stored in") && said.contains("which has 600 points"), "{said}");
    assert!(!Path::new(&file("first.jsonl.importing")).exists());

    // From the server into files, from there into a data folder, and out again.
    let data = file("data");
    for (name, more) in [("out.jsonl", vec![]), ("out.npy", vec!["--beside"])] {
        let out = file(name);
        ok(&[&["export", &out, "--batch", "101"], &server[..]].concat());
        let beside = out.replace(".npy", ".jsonl");
        let more: Vec<&str> = more.into_iter().flat_map(|flag| [flag, beside.as_str()]).collect();
        let collection = name.split_once('.').unwrap().1;
        let folder = ["-c", collection, "--data", &data];
        ok(&[&["import", &out, "--distance", "Euclid"], &more[..], &folder[..]].concat());
        let again = file(&format!("again-{name}.jsonl"));
        ok(&[&["export", &again], &folder[..]].concat());
        assert_same(&again, &lines);
    }
    assert!(ok(&["verify", &data]).contains("sound"));
    let words = error(&["export", &file("x.jsonl"), "-c", "nothing", "--data", &data]);
    assert!(words.contains("collection `nothing`") && words.contains("does not exist"), "{words}");
    assert!(error(&["export", &file("x.csv"), "-c", "a", "--url", &url]).contains("ends in .jsonl"));
}

#[test]
fn named_vectors_are_imported_and_exported() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| path(dir.path(), name);
    let (first, columns, out, data) = (file("first.jsonl"), file("columns.jsonl"), file("out.jsonl"), file("data"));
    // The first batches know nothing of `body`.
    let of = |id: u64| match id {
        0..300 => json!({"title": [id, 0.1, 2]}),
        300..400 => json!({}),
        400..500 => json!({"body": [id, -1.5]}),
        _ => json!({"title": [0.5, id, 3], "body": [1, id]}),
    };
    let lines: Vec<Value> = (0..600).map(|id| json!({"id": id, "vector": of(id), "payload": {"n": id}})).collect();
    write_lines(&first, &lines);
    let flat = (0..600).map(|id| {
        let vectors = of(id);
        json!({"id": id, "title": vectors["title"], "body": vectors["body"], "n": id})
    });
    write_lines(&columns, &flat.collect::<Vec<Value>>());
    let program = Program::start(&[]);
    let url = format!("http://{}", program.address);
    for (name, file, more) in [("a", &first, &[][..]), ("b", &columns, &["--vector", "title,body"])] {
        for place in [["-c", name, "--url", &url], ["-c", name, "--data", &data]] {
            ok(&[&["import", file, "--distance", "Euclid", "--batch", "77"], &place[..], more].concat());
            ok(&[&["export", &out], &place[..]].concat());
            assert_same(&out, &lines);
        }
    }
    let words = error(&["export", &file("out.npy"), "-c", "a", "--data", &data]);
    assert!(words.contains("its vectors have names"), "{words}");
    for (vectors, words) in [
        (json!({"title": [1, 2]}), "title"),
        (json!({"title": [1, 2, 3], "other": [1]}), "other"),
        (json!([1, 2, 3]), "vector"),
    ] {
        write_lines(&first, &[json!({"id": 1, "vector": vectors})]);
        let found = error(&["import", &first, "-c", "a", "--data", &data]);
        assert!(found.contains("rows 1 to 1 were not stored") && found.contains(words), "{found}");
    }
    write_lines(&first, &[json!({"id": 1, "vector": {}})]);
    let words = error(&["import", &first, "-c", "new", "--distance", "Dot", "--data", &data]);
    assert!(words.contains("no row has a vector"), "{words}");
    assert!(program.stop().success());
}

#[test]
fn rows_that_are_wrong_are_named_and_a_run_goes_on_behind_those_before() {
    let dir = tempfile::tempdir().unwrap();
    let (points, data) = (path(dir.path(), "points.jsonl"), path(dir.path(), "data"));
    let mut lines = lines()[..90].to_vec();
    let import = ["import", &points, "-c", "a", "--data", &data, "--batch", "20"];
    write_lines(&points, &lines[..2]);
    assert!(error(&import).contains("does not exist: --distance Cosine, Euclid, Dot or Manhattan makes it"));
    for (line, words) in [
        (json!({"id": 1, "vector": [1, 2]}), "line 71: a vector of 2 numbers, expected 3"),
        (json!({"id": 1, "vector": [1, 2, "x"]}), "line 71: column `vector`: [2]: expected a number, found \"x\""),
        (json!({"id": "cat", "vector": [1, 2, 3]}), "line 71: point id \"cat\""),
        (json!({"vector": [1, 2, 3]}), "line 71: no id, which rows before have"),
        (json!({"id": 1}), "line 71: no column `vector` or `embedding`"),
        (json!([1, 2, 3, 4]), "line 71: a vector of 4"),
    ] {
        let right = std::mem::replace(&mut lines[70], line);
        write_lines(&points, &lines);
        let words_found = error(&[&import[..], &["--distance", "Dot", "--from-start"]].concat());
        assert!(words_found.contains(words), "{words_found}");
        lines[70] = right;
    }
    // The same file once more: 60 rows of it are stored.
    let said = error(&import);
    assert!(said.contains("line 71"), "{said}");
    let counted = ok(&["info", &data]);
    assert!(counted.contains("60 points"), "{counted}");
    write_lines(&points, &lines);
    let said = ok(&import);
    assert!(said.contains("90 rows stored") && !said.contains("going on"), "another file begins anew: {said}");
}

#[test]
fn an_import_cut_short_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (points, data) = (path(dir.path(), "points.jsonl"), path(dir.path(), "data"));
    write_lines(&points, &lines());
    let program = Program::start(&["--data", &data]);
    let import = ["import", &points, "-c", "a", "--batch", "100", "--distance", "Dot", "--url"];
    let url = format!("http://{}", program.address);
    ok(&[&import[..], &[&url]].concat());
    // As a run leaves it that was killed behind the fourth batch.
    let metadata = fs::metadata(&points).unwrap();
    let modified = metadata.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
    let place = format!("{url}/collections/a");
    let left = json!({"bytes": metadata.len(), "modified_ns": modified.as_nanos() as u64, "place": place, "rows": 400});
    fs::write(path(dir.path(), "points.jsonl.importing"), left.to_string()).unwrap();
    let before = program.call("GET", "/collections/a/points/0", &Value::Null).1["result"].take();
    let said = ok(&[&import[..], &[&url]].concat());
    assert!(said.contains("400 rows of an earlier run are stored") && said.contains("600 rows stored"), "{said}");
    assert_eq!(program.call("GET", "/collections/a/points/0", &Value::Null).1["result"], before);
    let next = program.call("PUT", "/collections/a/points", &json!({"points": []})).1["result"]["operation_id"].take();
    assert_eq!(next, 6 + 2 + 1, "six batches, two, and this one");
    assert!(program.stop().success());
}

#[test]
fn ids_of_texts_are_uuids_that_keep_their_text() {
    let dir = tempfile::tempdir().unwrap();
    let (points, data) = (path(dir.path(), "points.jsonl"), path(dir.path(), "data"));
    let line = |name: &str| json!({"name": name, "vector": [1, 2]});
    write_lines(&points, &[line("cat"), line("7"), line("ünï")]);
    let import =
        ["import", &points, "-c", "a", "--data", &data, "--distance", "Dot", "--id", "name", "--string-ids", "key"];
    ok(&import);
    ok(&[&import[..], &["--from-start"]].concat());
    let out = path(dir.path(), "out.jsonl");
    ok(&["export", &out, "-c", "a", "--data", &data]);
    let text = fs::read_to_string(&out).unwrap();
    assert_eq!(text.lines().count(), 3, "{text}");
    // Python's `uuid.uuid5(uuid.NAMESPACE_URL, "cat")`.
    assert!(
        text.contains(
            "{\"id\":\"e242681a-dcaf-5f46-9914-f75a73e33d1a\",\"vector\":[1.0,2.0],\"payload\":{\"key\":\"cat\"}}"
        ),
        "{text}"
    );
    // A point of that id that is not that text's is not replaced.
    let other = path(dir.path(), "other.jsonl");
    write_lines(
        &other,
        &[json!({"id": "e242681a-dcaf-5f46-9914-f75a73e33d1a", "vector": [5, 5], "payload": {"key": "dog"}})],
    );
    ok(&["import", &other, "-c", "a", "--data", &data]);
    let words = error(&import);
    assert!(
        words.contains("\"cat\"") && words.contains("\"dog\"") && words.contains("nothing of this batch"),
        "{words}"
    );
}
