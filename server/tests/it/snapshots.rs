//! Snapshots: what is restored is what was, whatever happens meanwhile; what is no snapshot changes nothing; and the calls, in Qdrant's form.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use vicino_index::collection::{Change, Options, Point, Schema, Upkeep};
use vicino_index::vfs::{Fault, FaultKind, Keep, RealFs, SimFs, Vfs};
use vicino_index::{BuildOptions, ElementType, HnswParams, Metric, PointId, VectorSpec};
use vicino_server::store::{CollectionName, MAX_SNAPSHOT_BYTES, Restore, Store};

use crate::client::{Client, error_text};
use crate::program::{Program, VICINO};

const REPLACE: Restore<'static> = Restore { limit: MAX_SNAPSHOT_BYTES, sha256: None, replace: true };

fn store(vfs: Arc<dyn Vfs>, dir: &Path) -> Store {
    let options = Options { reserve_bytes: 100, upkeep: Upkeep::Tended, seal_rows: 20, ..Options::default() };
    Store::open_in(vfs, dir, options).unwrap_or_else(|error| panic!("{error}"))
}

fn simulated(fs: &SimFs) -> Store {
    store(Arc::new(fs.clone()), Path::new("data"))
}

fn file_system() -> SimFs {
    let fs = SimFs::new();
    fs.create_dir(Path::new("data")).unwrap();
    fs.sync_dir(Path::new("")).unwrap();
    fs
}

fn name(text: &str) -> CollectionName {
    CollectionName::new(text).unwrap()
}

/// Graphs from the third row on.
fn schema() -> Schema {
    let vectors = VectorSpec::new(3, Metric::L2, ElementType::F32).unwrap();
    Schema { hnsw: HnswParams::new(4, 16), full_scan_bytes: 24, ..Schema::new(vectors) }
}

fn point(id: u64, of: u64) -> Point {
    let payload = json!({"of": of, "text": "ü".repeat((id % 5) as usize)}).as_object().unwrap().clone();
    Point { id: PointId::Integer(id), vectors: vec![id as f32, of as f32, 0.5].into(), payload }
}

type State = BTreeMap<String, (u64, Vec<u32>, Value)>;

/// All points of collection `c`, bit by bit.
fn state(store: &Store, collection: &str) -> State {
    assert_eq!(store.damaged(), []);
    let view = store.get(collection).unwrap_or_else(|| panic!("no collection {collection}")).read();
    let held = view.scroll(PointId::FIRST).map(|point| {
        let bits = point.vector("").unwrap().iter().map(|x| x.to_bits()).collect();
        (point.id().to_string(), (point.version(), bits, Value::Object(point.payload())))
    });
    held.collect()
}

fn write(store: &Store, change: Change) {
    store.get("c").unwrap().write(change).unwrap();
}

/// Collection `c` with a merged segment with a graph, a sealed one, dead rows in both, and some rows that grow.
fn fill(store: &Store, of: u64) {
    assert!(store.create(name("c"), schema()).unwrap());
    write(store, Change::Upsert((0..30).map(|id| point(id, of)).collect()));
    store.get("c").unwrap().compact(&BuildOptions::default()).unwrap();
    write(store, Change::Upsert((20..40).map(|id| point(id, of + 1)).collect()));
    write(store, Change::Delete((3..6).map(PointId::Integer).collect()));
    store.get("c").unwrap().checkpoint().unwrap();
    write(store, Change::Upsert((38..45).map(|id| point(id, of + 2)).collect()));
}

/// An archive of collection `c` as it is, and what it holds.
fn archive_of(store: &Store) -> (Vec<u8>, State) {
    let expected = state(store, "c");
    let archived = store.snapshot("c", &|_, _| ()).unwrap();
    let (found, file) = store.open_snapshot("c", &archived.name).unwrap();
    assert_eq!(found, archived);
    assert_eq!(file.bytes().len() as u64, archived.bytes);
    (file.bytes().to_vec(), expected)
}

#[test]
fn a_snapshot_restores_what_was_under_its_name_and_others() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(Arc::new(RealFs), dir.path());
    fill(&store, 0);
    let (archive, expected) = archive_of(&store);
    assert_eq!(state(&store, "c"), expected);
    write(&store, Change::Delete((0..50).map(PointId::Integer).collect()));
    assert!(state(&store, "c").is_empty());
    let keep = Restore { replace: false, ..REPLACE };
    let error = store.restore(&name("c"), &archive[..], keep).unwrap_err().to_string();
    assert_eq!(error, "there is a collection `c`");
    assert_eq!(store.restore(&name("näher dran"), &archive[..], keep).unwrap(), expected.len());
    assert_eq!(state(&store, "näher dran"), expected);
    let old = store.get("c").unwrap();
    assert_eq!(store.restore(&name("c"), &archive[..], REPLACE).unwrap(), expected.len());
    assert_eq!(state(&store, "c"), expected);
    // Whoever still has the old one reads it, and cannot change it.
    assert!(old.read().is_empty() && old.write(Change::Upsert(vec![point(1, 1)])).is_err());
    // And both go on.
    for collection in ["c", "näher dran"] {
        let shared = store.get(collection).unwrap();
        shared.write(Change::Upsert(vec![point(1000, 9)])).unwrap();
        shared.compact(&BuildOptions::default()).unwrap();
    }
    drop((store, old));
    let again = self::store(Arc::new(RealFs), dir.path());
    for collection in ["c", "näher dran"] {
        let mut found = state(&again, collection);
        assert!(found.remove("1000").is_some());
        assert_eq!(found, expected, "{collection}");
    }
    assert_eq!(again.snapshots("c").unwrap().len(), 1);
    // What is removed can be had back.
    assert!(again.remove("c").unwrap());
    let archived = again.snapshots("c").unwrap().remove(0);
    assert_eq!(again.recover(&name("c"), &format!("c/{}", archived.name), keep).unwrap(), expected.len());
    assert_eq!(state(&again, "c"), expected);
    again.remove_snapshot("c", &archived.name).unwrap();
    assert!(again.snapshots("c").unwrap().is_empty());
    let left = std::fs::read_dir(dir.path().join("snapshots/c")).unwrap().count();
    let pending = std::fs::read_dir(dir.path().join("pending")).unwrap().count();
    assert_eq!((left, pending), (0, 0));
}

#[test]
fn a_snapshot_taken_between_writes_holds_a_first_part_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Options { seal_rows: 50, ..Options::default() }).unwrap();
    assert!(store.create(name("c"), schema()).unwrap());
    let (sent, acknowledged, rounds) = (AtomicU64::new(0), AtomicU64::new(0), 12);
    let mut checked = 0;
    std::thread::scope(|scope| {
        let (over, collection) = (Arc::new(Mutex::new(false)), store.get("c").unwrap());
        let stop = Arc::clone(&over);
        let writing = scope.spawn(|| {
            let (stop, collection) = (stop, collection);
            // Change n stores point n and a new version of point 0; every seventh removes the one before.
            for n in 1.. {
                if *stop.lock().unwrap() {
                    break;
                }
                sent.store(n, Ordering::SeqCst);
                let change = match n % 7 {
                    0 => Change::Delete(vec![PointId::Integer(n - 1)]),
                    _ => Change::Upsert(vec![point(n, 0), point(0, n)]),
                };
                collection.write(change).unwrap();
                acknowledged.store(n, Ordering::SeqCst);
            }
        });
        for round in 0..rounds {
            while acknowledged.load(Ordering::SeqCst) < (round + 1) * 40 {
                std::thread::yield_now();
            }
            let before = acknowledged.load(Ordering::SeqCst);
            let archived = store.snapshot("c", &|_, _| ()).unwrap();
            let after = sent.load(Ordering::SeqCst);
            store.recover(&name("copy"), &format!("c/{}", archived.name), REPLACE).unwrap();
            let copy = store.get("copy").unwrap().read();
            let last = copy.operation();
            assert!((before..=after).contains(&last), "{before} <= {last} <= {after}");
            // What the first `last` changes make.
            let mut expected = BTreeMap::new();
            for n in 1..=last {
                if n % 7 == 0 {
                    expected.remove(&(n - 1));
                } else {
                    expected.extend([(n, 0), (0, n)]);
                }
            }
            let found = copy.scroll(PointId::FIRST).map(|point| {
                let PointId::Integer(id) = point.id() else { panic!("{}", point.id()) };
                (id, point.payload()["of"].as_u64().unwrap())
            });
            assert_eq!(found.collect::<BTreeMap<_, _>>(), expected);
            checked += 1;
        }
        *over.lock().unwrap() = true;
        writing.join().unwrap();
    });
    assert_eq!(checked, rounds);
}

/// What must be found in an image, and how many were looked at.
struct Watch {
    may: Vec<State>,
    images: u64,
    old: u64,
}

#[test]
fn a_restore_that_is_cut_short_leaves_the_old_collection_or_the_new_one() {
    let fs = file_system();
    let store = simulated(&fs);
    fill(&store, 100);
    let (archive, new) = archive_of(&store);
    assert!(store.remove("c").unwrap());
    fill(&store, 200);
    let old = state(&store, "c");
    assert_ne!(old, new);
    let watch = Arc::new(Mutex::new(Watch { may: vec![old, new.clone()], images: 0, old: 0 }));
    let seen = Arc::clone(&watch);
    fs.on_call(move |fs| {
        let mut watch = seen.lock().unwrap();
        let random = (0..4).map(|seed| Keep::Some(seed ^ fs.calls() << 8));
        let crashes = [Keep::Nothing, Keep::Everything].into_iter().chain(random).map(|keep| fs.crash(keep));
        for image in crashes.chain([fs.kill()]) {
            let again = simulated(&image);
            let found = state(&again, "c");
            let which = watch.may.iter().position(|may| *may == found);
            assert!(which.is_some(), "before call {}: {} points", fs.calls(), found.len());
            watch.old += u64::from(which == Some(0));
            watch.images += 1;
            // It stays so.
            drop(again);
            assert_eq!(state(&simulated(&image), "c"), found);
            // Every archive that is listed is whole.
            let listed = simulated(&image);
            for archived in listed.snapshots("c").unwrap() {
                listed.recover(&name("copy"), &format!("c/{}", archived.name), REPLACE).unwrap();
            }
        }
    });
    assert_eq!(store.restore(&name("c"), &archive[..], REPLACE).unwrap(), new.len());
    {
        let mut watch = watch.lock().unwrap();
        assert!(watch.old > 50 && watch.images > watch.old + 10, "{} of {} old", watch.old, watch.images);
        watch.may = vec![new.clone()];
    }
    // What is written to the new one is never lost to a restore that is finished once more.
    for n in 0..3 {
        let mut after = state(&store, "c");
        let version = store.get("c").unwrap().read().operation() + 1;
        let Point { vectors, payload, .. } = point(7000 + n, n);
        let bits = vectors.get("").unwrap().iter().map(|x| x.to_bits()).collect();
        after.insert((7000 + n).to_string(), (version, bits, Value::Object(payload)));
        watch.lock().unwrap().may.push(after.clone());
        write(&store, Change::Upsert(vec![point(7000 + n, n)]));
        watch.lock().unwrap().may = vec![after];
    }
    // And an archive on its way is never listed in part.
    store.snapshot("c", &|_, _| ()).unwrap();
    assert!(watch.lock().unwrap().images > 400);
}

#[test]
fn every_call_of_a_restore_may_fail_and_nothing_is_lost() {
    let make = || {
        let fs = file_system();
        let store = simulated(&fs);
        fill(&store, 100);
        let (archive, new) = archive_of(&store);
        assert!(store.remove("c").unwrap());
        fill(&store, 200);
        (fs, store, archive, new)
    };
    let (fs, store, archive, _) = make();
    let first = fs.calls();
    store.restore(&name("c"), &archive[..], REPLACE).unwrap();
    let calls = fs.calls() - first;
    let (mut failed, mut decided) = (0, 0);
    for call in 0..calls {
        for forever in [false, true] {
            let (fs, store, archive, new) = make();
            let old = state(&store, "c");
            fs.set_fault(Some(Fault::new(fs.calls() + call, FaultKind::Io, forever)));
            let outcome = store.restore(&name("c"), &archive[..], REPLACE);
            let mut may = vec![old, new];
            if outcome.is_ok() {
                may.remove(0);
            } else {
                failed += 1;
                match store.damage("c") {
                    Some(_) => decided += 1,
                    // The old one is served, and goes on once the disk does.
                    None => assert_eq!(state(&store, "c"), may[0], "call {call}: {outcome:?}"),
                }
            }
            fs.set_fault(None);
            if store.damage("c").is_none() {
                write(&store, Change::Upsert(vec![point(7000, 1)]));
                may = vec![state(&store, "c")];
            }
            drop(store);
            for image in [fs.kill(), fs.crash(Keep::Nothing), fs.crash(Keep::Some(call))] {
                let found = state(&simulated(&image), "c");
                assert!(may.contains(&found), "call {call}, forever {forever}: {outcome:?}");
            }
        }
    }
    assert!(failed > 40 && decided > 4, "{failed} failed, {decided} decided, of {calls} calls");
}

#[test]
fn an_archive_that_is_not_what_was_written_is_refused_or_the_same() {
    let fs = file_system();
    let store = simulated(&fs);
    fill(&store, 100);
    let (archive, expected) = archive_of(&store);
    let before = state(&store, "c");
    let target = name("copy");
    let (mut refused, mut same) = (0, 0);
    for at in (0..archive.len()).step_by(17) {
        let mut damaged = archive.clone();
        damaged[at] ^= 1 << (at % 8);
        match store.restore(&target, &damaged[..], REPLACE) {
            Ok(_) => {
                // Between files there are bytes that mean nothing.
                assert_eq!(state(&store, "copy"), expected, "byte {at}");
                same += 1;
            }
            Err(_) => refused += 1,
        }
    }
    for len in (0..archive.len()).step_by(256) {
        if store.restore(&target, &archive[..len], REPLACE).is_ok() {
            assert_eq!(state(&store, "copy"), expected, "cut at {len}");
        }
    }
    assert!(refused > 3 * same, "{refused} refused, {same} the same, of {} bytes", archive.len());
    let error = store.restore(&target, &archive[..], Restore { limit: archive.len() as u64 - 1, ..REPLACE });
    assert!(error.unwrap_err().to_string().contains("more than"));
    for (bytes, words) in [
        (with_file(&archive, "extra.txt"), "`extra.txt`, which its manifest does not name"),
        (with_file(&[0; 1024], "manifest.json"), "holds no collection"),
        (vec![0; 1024], "manifest.json"),
    ] {
        let error = store.restore(&target, &bytes[..], REPLACE).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    assert_eq!(state(&store, "c"), before);
    assert!(fs.list(Path::new("data/pending")).unwrap().is_empty());
}

/// `archive` with one more file.
fn with_file(archive: &[u8], name: &str) -> Vec<u8> {
    let mut header = vec![0_u8; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    for (at, field) in [(100, "0000644\0"), (124, "00000000002\0"), (136, "00000000000\0"), (257, "ustar\x0000")] {
        header[at..at + field.len()].copy_from_slice(field.as_bytes());
    }
    header[148..156].fill(b' ');
    header[156] = b'0';
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let end = archive.len() - 1024;
    [&archive[..end], &header, b"{}", &[0; 510], &archive[end..]].concat()
}

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

#[test]
fn a_restore_that_is_killed_leaves_the_old_collection_or_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let (data, archive) = (dir.path().join("data"), dir.path().join("new.snapshot"));
    let open = || Store::open(&data, Options { upkeep: Upkeep::Tended, ..Options::default() }).unwrap();
    let store = open();
    fill(&store, 100);
    write(&store, Change::Upsert((100..4000).map(|id| point(id, 5)).collect()));
    let (bytes, new) = archive_of(&store);
    std::fs::write(&archive, bytes).unwrap();
    assert!(store.remove("c").unwrap());
    fill(&store, 200);
    let old = state(&store, "c");
    drop(store);
    let restore = || {
        let mut command = Command::new(VICINO);
        command.args(["snapshot", "restore", archive.to_str().unwrap(), "-c", "c", "--replace", "--data"]).arg(&data);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let (mut killed, mut done, mut was_new) = (0, 0, false);
    let started = std::time::Instant::now();
    assert!(restore().wait().unwrap().success());
    let whole = started.elapsed();
    for cycle in 0..24_u32 {
        // The new one is put aside again, so that each cycle may end either way.
        if cycle == 0 || was_new {
            let store = open();
            assert!(store.remove("c").unwrap());
            fill(&store, 200);
        }
        let mut child = restore();
        std::thread::sleep(whole * cycle / 20);
        let ended = child.try_wait().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let found = state(&open(), "c");
        was_new = found == new;
        assert!(was_new || found == old, "cycle {cycle}: {} points", found.len());
        match ended {
            Some(status) => {
                assert!(status.success() && was_new, "cycle {cycle}: {status}");
                done += 1;
            }
            None => killed += 1,
        }
    }
    println!("{killed} killed, {done} done");
    assert!(killed > 5, "{killed} killed, {done} done");
    assert_eq!(std::fs::read_dir(data.join("restored")).unwrap().count(), 0);
}
