//! The calls, in Qdrant's form, and the commands.

use std::process::Command;
use std::sync::Arc;

use serde_json::{Value, json};
use vicino_index::PointId;
use vicino_index::collection::Change;
use vicino_index::vfs::RealFs;

use super::{fill, state, store};
use crate::client::{Client, error_text};
use crate::program::{Program, VICINO};

/// A form with `archive` as a file, and its content type.
fn form(field: &str, archive: &[u8]) -> (&'static str, Vec<u8>) {
    let head = format!(
        "--limit\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\nx\r\n--limit\r\nContent-Disposition: form-data; \
         name=\"{field}\"; filename=\"a.snapshot\"\r\nContent-Type: application/octet-stream\r\n\r\n"
    );
    ("multipart/form-data; boundary=limit", [head.as_bytes(), archive, b"\r\n--limit--\r\n"].concat())
}

#[test]
fn snapshots_are_served_in_the_form_of_qdrant() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path();
    let store = Arc::new(store(Arc::new(RealFs), data));
    fill(&store, 0);
    let expected = state(&store, "c");
    let client = Client::over(Arc::clone(&store));
    assert_eq!(client.ok("GET", "/collections/c/snapshots", json!(null)), json!([]));
    let made = client.ok("POST", "/collections/c/snapshots?wait=true", json!(null));
    let archive = made["name"].as_str().unwrap();
    assert_eq!(made["creation_time"].as_str().unwrap().len(), "2026-11-25T07:10:03".len());
    assert_eq!(client.ok("GET", "/collections/c/snapshots", json!(null)), json!([made]));
    let url = format!("/collections/c/snapshots/{archive}");
    let (status, bytes) = client.bytes("GET", &url, "", "");
    assert_eq!((status.as_u16(), bytes.len() as u64), (200, made["size"].as_u64().unwrap()));
    assert_eq!(std::fs::read(data.join("snapshots/c").join(archive)).unwrap(), bytes);
    let checksum = made["checksum"].as_str().unwrap();
    assert_eq!(checksum.len(), 64);

    // Uploaded, to a new name and in place of what is there; with the checksum and without.
    let upload = |collection: &str, more: &str, (content_type, body): (&str, Vec<u8>)| {
        let path = format!("/collections/{collection}/snapshots/upload?{more}");
        let (status, answer) = client.raw("POST", &path, content_type, body);
        (status, serde_json::from_str::<Value>(&answer).unwrap_or_else(|error| panic!("{error}: {answer}")))
    };
    for (to, more) in [("new", ""), ("new", "priority=snapshot&wait=true"), ("c", &*format!("checksum={checksum}"))] {
        let (status, answer) = upload(to, more, form("snapshot", &bytes));
        assert_eq!((status.as_u16(), &answer["result"]), (200, &json!(true)), "{answer}");
        assert_eq!(state(&store, to), expected);
        store.get(to).unwrap().write(Change::Delete(vec![PointId::Integer(1)])).unwrap();
    }
    let other = "0".repeat(64);
    let cut = |at: usize| (form("snapshot", &bytes).0, form("snapshot", &bytes).1[..at].to_vec());
    for (status, more, body, words) in [
        (400, &*format!("checksum={other}"), form("snapshot", &bytes), checksum),
        (400, "checksum=abc", form("snapshot", &bytes), "64 hexadecimal digits"),
        (400, "priority=mine", form("snapshot", &bytes), "priority"),
        (400, "what=else", form("snapshot", &bytes), "what"),
        (422, "timeout=0", form("snapshot", &bytes), "timeout"),
        (400, "", form("file", &bytes), "the form has no file `snapshot`"),
        (400, "", form("snapshot", b"no archive"), "archive"),
        (400, "", ("application/json", b"{}".to_vec()), "multipart/form-data"),
        (400, "", cut(bytes.len() / 2), "cut short"),
        (400, "", cut(form("snapshot", &bytes).1.len() - 8), ""),
    ] {
        let before = state(&store, "c");
        let (found, answer) = upload("c", more, body);
        let error = error_text(status, found, &answer);
        assert!(error.contains(words), "{error}");
        assert_eq!(state(&store, "c"), before, "{error}");
    }

    // Recovered from the server's own folder, named in any way.
    let folder = data.join("snapshots").canonicalize().unwrap().display().to_string();
    for location in [format!("file://{folder}/c/{archive}"), format!("{folder}/c/{archive}"), format!("c/{archive}")] {
        client.ok("POST", "/collections/c/points/delete?wait=true", json!({"points": [2]}));
        let body = json!({"location": location, "priority": "snapshot", "checksum": checksum});
        assert_eq!(client.ok("PUT", "/collections/c/snapshots/recover?wait=true", body), true);
        assert_eq!(state(&store, "c"), expected, "{location}");
    }
    let outside = dir.path().join("outside.snapshot");
    std::fs::write(&outside, &bytes).unwrap();
    for (status, location, words) in [
        (400, format!("file://{}", outside.display()), "expected a file in"),
        (400, format!("file://{folder}/c/../../outside.snapshot"), "expected a file in"),
        (400, "http://127.0.0.1:6333/collections/c/snapshots/x.snapshot".into(), "nothing is fetched"),
        (400, format!("s3://c/{archive}"), "nothing is fetched"),
        (400, "..".into(), "expected a file in"),
        (404, "c/other.snapshot".into(), "Snapshot `other.snapshot` doesn't exist"),
        (404, format!("other/{archive}"), "Collection `other` doesn't exist"),
    ] {
        let error = client.error(status, "PUT", "/collections/c/snapshots/recover", json!({ "location": location }));
        assert!(error.contains(words), "{location}: {error}");
    }
    let wrong = json!({"location": format!("c/{archive}"), "checksum": other});
    assert!(client.error(400, "PUT", "/collections/c/snapshots/recover", wrong).contains(checksum));

    for (method, path) in [
        ("GET", "/collections/none/snapshots"),
        ("POST", "/collections/none/snapshots"),
        ("GET", "/collections/c/snapshots/none.snapshot"),
        ("GET", "/collections/c/snapshots/..%2F..%2Flock"),
        ("GET", "/collections/c/snapshots/%2Fetc%2Fpasswd"),
        ("DELETE", "/collections/c/snapshots/..%2F..%2Flock"),
    ] {
        client.error(404, method, path, json!(null));
    }
    assert_eq!(client.ok("DELETE", &url, json!(null)), true);
    assert_eq!(client.ok("GET", "/collections/c/snapshots", json!(null)), json!([]));
    client.error(404, "DELETE", &url, json!(null));
    let memory = Client::with_collection(2, "Dot");
    assert!(memory.error(400, "POST", "/collections/c/snapshots", json!(null)).contains("--data DIR"));
}

fn vicino(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(VICINO).args(arguments).env("VICINO_LOG", "error").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text.into_owned())
}

/// What a command that must succeed answers in JSON.
fn answer(arguments: &[&str]) -> Value {
    let (success, text) = vicino(&[arguments, &["--json"]].concat());
    assert!(success, "{arguments:?}: {text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
}

#[test]
fn the_command_line_makes_and_restores_snapshots_of_servers_and_folders() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (one, two, kept, again) = (file("one"), file("two"), file("kept.snapshot"), file("again.snapshot"));
    let program = Program::start(&["--data", &one]);
    let url = format!("http://{}", program.address);
    let vectors = json!({"vectors": {"size": 2, "distance": "Euclid"}});
    assert_eq!(program.call("PUT", "/collections/n%C3%A4her", &vectors).0, 200);
    let points: Vec<Value> = (0..100).map(|id| json!({"id": id, "vector": [id, 1], "payload": {"n": id}})).collect();
    assert_eq!(program.call("PUT", "/collections/n%C3%A4her/points", &json!({ "points": points })).0, 200);
    let all = |program: &Program, name: &str| {
        let body = json!({"limit": 1000, "with_vector": true, "with_payload": true});
        program.call("POST", &format!("/collections/{name}/points/scroll"), &body).1["result"].take()
    };
    let expected = all(&program, "n%C3%A4her");

    // From a server into a file, from there into a folder, out of it, and back into the server.
    let at = ["-c", "näher", "--url", &url];
    let made = answer(&[&["snapshot", "create", "--to", &kept], &at[..]].concat());
    assert_eq!(answer(&[&["snapshot", "list"], &at[..]].concat()), json!([made["snapshot"]]));
    let (checksum, name) = (made["snapshot"]["checksum"].as_str().unwrap(), made["snapshot"]["name"].as_str().unwrap());
    let folder = ["-c", "copy", "--data", &two];
    let restored = answer(&[&["snapshot", "restore", &kept, "--sha256", checksum], &folder[..]].concat());
    assert_eq!(restored["points"], 100);
    let (success, text) = vicino(&[&["snapshot", "create", "--to", &again], &folder[..]].concat());
    assert!(success && text.contains("SHA-256 ") && text.contains("copied to "), "{text}");
    assert!(vicino(&["verify", &two]).1.contains("sound"));
    for (snapshot, to) in [(kept.as_str(), "one"), (&again, "two"), (name, "näher")] {
        let to = ["-c", to, "--url", &url, "--replace"];
        assert_eq!(answer(&[&["snapshot", "restore", snapshot], &to[..]].concat())["points"], 100);
    }
    for name in ["n%C3%A4her", "one", "two"] {
        assert_eq!(all(&program, name), expected, "{name}");
    }

    let mut damaged = std::fs::read(&kept).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    let bad = file("bad.snapshot");
    std::fs::write(&bad, damaged).unwrap();
    let none = "0".repeat(64);
    for (arguments, words) in [
        (vec!["restore", &kept, "-c", "one", "--url", &url], "exists: --replace"),
        (vec!["restore", &kept, "-c", "copy", "--data", &two], "exists: --replace"),
        (vec!["restore", &kept, "-c", "new", "--data", &two, "--sha256", &none], checksum),
        (vec!["restore", &kept, "-c", "new", "--data", &two, "--sha256", "12"], "64 hexadecimal digits"),
        (vec!["restore", &bad, "-c", "new", "--data", &two], "archive"),
        (vec!["restore", &bad, "-c", "one", "--url", &url, "--replace"], "archive"),
        (vec!["restore", "nothing", "-c", "one", "--url", &url, "--replace"], "expected a file, or a snapshot of"),
        (vec!["list", "-c", "none", "--data", &two], "no collection `none`"),
        (vec!["create", "-c", "none", "--url", &url], "Collection `none` doesn't exist"),
        (vec!["create", "-c", "näher", "--data", &one], "in use by another server"),
        (vec!["create", "-c", "copy", "--data", &file("none")], "expected a data folder"),
    ] {
        let (success, text) = vicino(&[&["snapshot"], &arguments[..]].concat());
        assert!(!success && text.contains(words), "{arguments:?}: {text}");
    }
    assert_eq!(all(&program, "one"), expected);
    let (success, text) = vicino(&["snapshot", "remove", name, "-c", "näher", "--url", &url]);
    assert!(success && answer(&[&["snapshot", "list"], &at[..]].concat()) == json!([]), "{text}");
    assert!(program.stop().success());
}
