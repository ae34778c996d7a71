//! Fetching, from a server of the tests' own.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use vicino_datasets::fetch::{FetchError, fetch_into};
use vicino_datasets::registry::{Contents, Entry, File, Layout, Origin, Source, find};
use vicino_datasets::{DIGITS, digits, open};
use vicino_index::Metric;

use crate::fixture;

/// How the server answers, and what it was asked.
#[derive(Default)]
struct Script {
    body: Vec<u8>,
    tag: &'static str,
    /// Answers break off after so many bytes of the body.
    breaks_after: Option<usize>,
    /// The `Range` of every request.
    ranges: Vec<Option<String>>,
}

struct Server {
    script: Arc<Mutex<Script>>,
    url: &'static str,
}

impl Server {
    fn start(body: Vec<u8>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/x", listener.local_addr().unwrap());
        let script = Arc::new(Mutex::new(Script { body, tag: "\"one\"", ..Script::default() }));
        let shared = Arc::clone(&script);
        thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), &mut shared.lock().unwrap());
            }
        });
        Server { script, url: url.leak() }
    }

    fn script(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.script.lock().unwrap());
    }
}

fn answer(mut stream: TcpStream, script: &mut Script) {
    let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let headers: Vec<String> =
        lines.take_while(|line| !line.is_empty()).map(|line| line.to_ascii_lowercase()).collect();
    let header =
        |name: &str| headers.iter().find_map(|line| line.strip_prefix(name).map(|value| value.trim().to_owned()));
    let range = header("range:");
    let same = header("if-range:").as_deref() == Some(script.tag);
    let from: usize = match &range {
        Some(range) if same => range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap(),
        _ => 0,
    };
    script.ranges.push(range);
    let rest = &script.body[from..];
    let status = if from > 0 { "206 Partial Content" } else { "200 OK" };
    let sent = &rest[..script.breaks_after.unwrap_or(rest.len()).min(rest.len())];
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nETag: {}\r\nConnection: close\r\n\r\n",
        rest.len(),
        script.tag
    );
    // The client may have hung up.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(sent));
}

fn source(url: &'static str, sha256: Option<&'static str>, layout: Layout) -> Source {
    let files = vec![File { path: "file.hdf5", sha256 }].leak();
    Source { origin: Origin::Url(url), files, layout }
}

/// The fixture's shape.
fn entry(sources: Vec<Source>) -> Entry {
    let contents = Contents::Vectors { rows: 12, queries: 3, dim: 4, metric: Metric::L2 };
    Entry { name: "x-euclidean", about: "", licence: "", contents, sources: sources.leak() }
}

fn fetched(root: &Path, entry: &Entry) -> Result<String, FetchError> {
    fetch_into(root, entry, &|_| {}).map(|path| open(path.to_str().unwrap()).unwrap().hash)
}

fn fixture_server() -> (Server, String) {
    let path = fixture("contiguous.hdf5");
    (Server::start(fs::read(&path).unwrap()), open(path.to_str().unwrap()).unwrap().hash)
}

#[test]
fn an_interrupted_download_goes_on() {
    let (server, hash) = fixture_server();
    let root = tempfile::tempdir().unwrap();
    let entry = entry(vec![source(server.url, None, Layout::Hdf5)]);
    server.script(|script| script.breaks_after = Some(1000));
    let error = fetched(root.path(), &entry).unwrap_err().to_string();
    assert!(error.contains(server.url) && error.contains("1000 bytes"), "{error}");
    assert!(!root.path().join("x-euclidean").exists());
    server.script(|script| script.breaks_after = None);
    assert_eq!(fetched(root.path(), &entry).unwrap(), hash);
    assert_eq!(fetched(root.path(), &entry).unwrap(), hash);
    server.script(|script| assert_eq!(script.ranges, [None, Some("bytes=1000-".into())], "and nothing the third time"));
    assert!(!root.path().join("x-euclidean.part").exists());
}

#[test]
fn the_rest_of_another_version_is_not_added() {
    let (server, hash) = fixture_server();
    let root = tempfile::tempdir().unwrap();
    let entry = entry(vec![source(server.url, None, Layout::Hdf5)]);
    let body = fs::read(fixture("contiguous.hdf5")).unwrap();
    server.script(|script| (script.body, script.tag, script.breaks_after) = (vec![7; 5000], "\"zero\"", Some(1000)));
    fetched(root.path(), &entry).unwrap_err();
    server.script(|script| (script.body, script.tag, script.breaks_after) = (body, "\"one\"", None));
    assert_eq!(fetched(root.path(), &entry).unwrap(), hash);
}

#[test]
fn every_source_that_fails_is_named_and_the_next_is_tried() {
    let (server, hash) = fixture_server();
    let root = tempfile::tempdir().unwrap();
    // The discard port: nobody answers there.
    let nobody = "http://127.0.0.1:9/nobody";
    let wrong = "0000000000000000000000000000000000000000000000000000000000000000";
    let bad = vec![source(nobody, None, Layout::Hdf5), source(server.url, Some(wrong), Layout::Hdf5)];
    let error = fetched(root.path(), &entry(bad.clone())).unwrap_err();
    assert!(matches!(&error, FetchError::NoSource { tried, .. } if tried.len() == 2));
    let error = error.to_string();
    assert!(error.contains(nobody) && error.contains("refused") && error.contains(server.url), "{error}");
    assert!(error.contains(&format!("file.hdf5: SHA-256: expected {wrong}, found ")), "{error}");
    let good = [bad, vec![source(server.url, None, Layout::Hdf5)]].concat();
    assert_eq!(fetched(root.path(), &entry(good)).unwrap(), hash);
}

#[test]
fn a_checksum_once_seen_is_held_to() {
    let (server, _) = fixture_server();
    let root = tempfile::tempdir().unwrap();
    let entry = entry(vec![source(server.url, None, Layout::Hdf5)]);
    fetched(root.path(), &entry).unwrap();
    fs::remove_dir_all(root.path().join("x-euclidean")).unwrap();
    server.script(|script| script.body = fs::read(fixture("deflated.hdf5")).unwrap());
    let error = fetched(root.path(), &entry).unwrap_err().to_string();
    assert!(error.contains("file.hdf5: SHA-256: expected"), "{error}");
    server.script(|script| script.body = fs::read(fixture("contiguous.hdf5")).unwrap());
    fetched(root.path(), &entry).unwrap();
}

#[test]
fn a_set_of_another_shape_is_refused() {
    let server = Server::start(fs::read(fixture("fortran.npy")).unwrap());
    let root = tempfile::tempdir().unwrap();
    let entry = entry(vec![source(server.url, None, Layout::Split { queries: 2, seed: 1 })]);
    let error = fetched(root.path(), &entry).unwrap_err().to_string();
    assert!(
        error.contains("shape: expected 12 rows and 3 queries of 4, l2, found 10 rows and 2 queries of 4, l2"),
        "{error}"
    );
}

#[test]
fn a_matrix_is_split_and_answered() {
    let server = Server::start(fs::read(fixture("fortran.npy")).unwrap());
    let root = tempfile::tempdir().unwrap();
    let contents = Contents::Vectors { rows: 9, queries: 3, dim: 4, metric: Metric::L2 };
    let split = source(server.url, None, Layout::Split { queries: 3, seed: 1 });
    let entry = Entry { contents, ..entry(vec![split]) };
    let path = fetch_into(root.path(), &entry, &|_| {}).unwrap();
    let made = open(path.to_str().unwrap()).unwrap();
    let mut firsts: Vec<f32> = [made.train.to_f32(), made.test.to_f32()].concat().chunks(4).map(|row| row[0]).collect();
    firsts.sort_by(f32::total_cmp);
    assert_eq!(firsts, (0_u8..12).map(|row| f32::from(row) * 2.0).collect::<Vec<_>>(), "every row is there once");
    assert_eq!(made.truth.unwrap().k, 9);
}

#[test]
fn texts_are_unpacked() {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in [
        ("set/corpus.jsonl", "{\"_id\": \"d\", \"text\": \"t\"}\n"),
        ("set/queries.jsonl", "{\"_id\": \"q\", \"text\": \"t\"}\n"),
        ("set/qrels/test.tsv", "query-id\tcorpus-id\tscore\nq\td\t1\n"),
    ] {
        archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    let server = Server::start(archive.finish().unwrap().into_inner());
    let root = tempfile::tempdir().unwrap();
    let sources = vec![source(server.url, None, Layout::Beir)];
    let entry = Entry { contents: Contents::Text { documents: 1 }, ..entry(sources) };
    let path = fetch_into(root.path(), &entry, &|_| {}).unwrap();
    let texts = vicino_datasets::text::read(&path).unwrap();
    assert_eq!((texts.documents.len(), texts.judgments["test"].len()), (1, 1));
}

#[test]
fn the_digits_are_written_out() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(fetched(root.path(), find(DIGITS).unwrap()).unwrap(), digits().hash);
}
