//! A hub of one model, `org/encoder`, and the host that its large files are on, as the real ones answer: the listing at
//! `/api/models/…`, small files themselves with git's name as their tag, for large ones a redirect that says SHA-256 and size.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::json;
use sha2::{Digest, Sha256};

/// The commit that `main` is at.
pub(super) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

const MODEL: &str = "org/encoder";

/// What the servers have, how they answer, and what they were asked.
#[derive(Default)]
pub(super) struct Script {
    pub(super) commit: String,
    pub(super) files: BTreeMap<String, Vec<u8>>,
    pub(super) large: BTreeMap<String, Vec<u8>>,
    /// The name that redirects to the model's.
    pub(super) renamed_from: Option<String>,
    /// Whether small files are redirected to the hub's own cache, whose tag is another.
    pub(super) redirects_small: bool,
    /// What must be shown.
    pub(super) token: Option<String>,
    /// The status and the code of every answer.
    pub(super) refuses: Option<(u16, &'static str)>,
    /// Answers with a large file break off after so many bytes.
    pub(super) breaks_after: Option<usize>,
    /// The file that comes with a bit changed.
    pub(super) damaged: Option<String>,
    pub(super) asked: Vec<Asked>,
}

#[derive(Debug)]
pub(super) struct Asked {
    pub(super) host: &'static str,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) range: Option<String>,
    pub(super) authorization: Option<String>,
}

pub(super) struct Server {
    pub(super) endpoint: String,
    script: Arc<Mutex<Script>>,
}

/// Status and headers; what comes, and how much of it.
struct Answer {
    head: String,
    body: Vec<u8>,
    sent: usize,
}

impl Server {
    pub(super) fn start() -> Server {
        let script = Arc::new(Mutex::new(Script { commit: COMMIT.into(), ..Script::default() }));
        let cdn = listen("cdn", &script, Script::answer_as_cdn);
        let endpoint = listen("hub", &script, move |script, asked| script.answer_as_hub(asked, &cdn));
        Server { endpoint, script }
    }

    pub(super) fn script<T>(&self, change: impl FnOnce(&mut Script) -> T) -> T {
        change(&mut self.script.lock().unwrap())
    }
}

fn listen(
    host: &'static str,
    script: &Arc<Mutex<Script>>,
    answer: impl Fn(&Script, &Asked) -> Answer + Send + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let script = Arc::clone(script);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let asked = read(&stream, host);
            let mut script = script.lock().unwrap();
            let Answer { head, body, sent } = answer(&script, &asked);
            let head = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let body: &[u8] = if asked.method == "HEAD" { &[] } else { &body[..sent] };
            script.asked.push(asked);
            // The client may have hung up.
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        }
    });
    url
}

fn read(stream: &TcpStream, host: &'static str) -> Asked {
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    let lines: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let header = |name: &str| {
        let pairs = lines.iter().filter_map(|line| line.split_once(": "));
        pairs.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    };
    let mut words = lines[0].split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    Asked { host, method, path, range: header("range"), authorization: header("authorization") }
}

impl Script {
    pub(super) fn contents(&self, path: &str) -> &[u8] {
        self.files.get(path).unwrap_or_else(|| &self.large[path])
    }

    /// SHA-256 of a large file; of a small one SHA-1 of what git stores.
    pub(super) fn etag(&self, path: &str) -> String {
        match self.large.get(path) {
            Some(contents) => Sha256::digest(contents).iter().map(|byte| format!("{byte:02x}")).collect(),
            None => {
                let contents = &self.files[path];
                let mut stored = format!("blob {}\0", contents.len()).into_bytes();
                stored.extend(contents);
                sha1_smol::Sha1::from(stored).digest().to_string()
            }
        }
    }

    fn answer_as_hub(&self, asked: &Asked, cdn: &str) -> Answer {
        if let Some((status, code)) = self.refuses {
            return refusal(status, code);
        }
        if self.token.is_some() && asked.authorization != self.token.as_ref().map(|token| format!("Bearer {token}")) {
            return refusal(401, "");
        }
        if let Some(old) = self.renamed_from.as_ref().filter(|old| asked.path.contains(*old)) {
            return answer(format!("307 Temporary Redirect\r\nLocation: {}", asked.path.replace(old, MODEL)), vec![]);
        }
        if let Some(revision) = asked.path.strip_prefix(&format!("/api/models/{MODEL}/revision/")) {
            if revision != "main" && revision != self.commit {
                return refusal(404, "RevisionNotFound");
            }
            let paths: Vec<_> = self.files.keys().chain(self.large.keys()).collect();
            let siblings: Vec<_> = paths.iter().map(|path| json!({ "rfilename": path })).collect();
            let info =
                json!({ "id": MODEL, "sha": self.commit, "private": false, "gated": false, "siblings": siblings });
            return answer("200 OK".into(), info.to_string().into_bytes());
        }
        let resolved = format!("/{MODEL}/resolve/{}/", self.commit);
        let cached = format!("/api/resolve-cache/models/{MODEL}/{}/", self.commit);
        if let Some(path) = asked.path.strip_prefix(&cached) {
            return answer("200 OK\r\nETag: \"of-the-cache\"".into(), self.bytes(path));
        }
        let Some(path) = asked.path.strip_prefix(&resolved) else {
            return refusal(404, "RepoNotFound");
        };
        let linked = |path: &str| {
            let (etag, size) = (self.etag(path), self.contents(path).len());
            format!("X-Repo-Commit: {}\r\nX-Linked-Etag: \"{etag}\"\r\nX-Linked-Size: {size}", self.commit)
        };
        if self.large.contains_key(path) {
            let head = format!("302 Found\r\n{}\r\nETag: \"of-the-redirect\"\r\nLocation: {cdn}/{path}", linked(path));
            answer(head, b"Found. Redirecting".to_vec())
        } else if !self.files.contains_key(path) {
            refusal(404, "EntryNotFound")
        } else if self.redirects_small {
            let head = format!("307 Temporary Redirect\r\n{}\r\nLocation: {cached}{path}", linked(path));
            answer(head, b"Temporary Redirect".to_vec())
        } else {
            let head = format!("200 OK\r\nX-Repo-Commit: {}\r\nETag: W/\"{}\"", self.commit, self.etag(path));
            answer(head, self.bytes(path))
        }
    }

    fn answer_as_cdn(&self, asked: &Asked) -> Answer {
        let bytes = self.bytes(&asked.path[1..]);
        let from = asked
            .range
            .as_ref()
            .map_or(0, |range| range.trim_start_matches("bytes=").trim_end_matches('-').parse::<usize>().unwrap());
        if from >= bytes.len() {
            return answer("416 Range Not Satisfiable".into(), vec![]);
        }
        let status = if from == 0 { "200 OK" } else { "206 Partial Content" };
        let body = bytes[from..].to_vec();
        let sent = self.breaks_after.unwrap_or(body.len()).min(body.len());
        Answer { head: format!("{status}\r\nETag: \"of-the-cdn\""), body, sent }
    }

    fn bytes(&self, path: &str) -> Vec<u8> {
        let mut bytes = self.contents(path).to_vec();
        if self.damaged.as_deref() == Some(path) {
            bytes[0] ^= 1;
        }
        bytes
    }
}

fn answer(head: String, body: Vec<u8>) -> Answer {
    Answer { head, sent: body.len(), body }
}

fn refusal(status: u16, code: &str) -> Answer {
    answer(format!("{status} Refused\r\nX-Error-Code: {code}"), b"{\"error\":\"\"}".to_vec())
}
