//! Models of the Hugging Face hub, from a hub of the tests' own.

mod server;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use vicino_datasets::fetch::hub::{Hub, HubError, Model};
use vicino_embed::model::ModelConfig;
use vicino_embed::model::locate::locate_in;

use server::{COMMIT, Server};

const SECRET: &str = "hf_secret";

/// An encoder of the kind that embed reads, its weights being bytes that are only carried here.
fn encoder() -> Server {
    let server = Server::start();
    server.script(|script| {
        for (path, text) in [
            ("README.md", "An encoder"),
            (
                "modules.json",
                r#"[{"path": "", "type": "sentence_transformers.models.Transformer"},
                    {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
                    {"path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}]"#,
            ),
            ("1_Pooling/config.json", r#"{"word_embedding_dimension": 4, "pooling_mode_mean_tokens": true}"#),
            ("sentence_bert_config.json", r#"{"max_seq_length": 8}"#),
            ("config_sentence_transformers.json", r#"{"prompts": {"query": "ask: "}}"#),
            (
                "config.json",
                r#"{"model_type": "bert", "hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 2,
                    "intermediate_size": 8, "vocab_size": 10, "max_position_embeddings": 16}"#,
            ),
            ("tokenizer.json", "{}"),
            ("onnx/config.json", "{}"),
        ] {
            script.files.insert(path.into(), text.into());
        }
        script.large.insert("model.safetensors".into(), (0..100_000_u32).flat_map(u32::to_le_bytes).collect());
        script.large.insert("pytorch_model.bin".into(), vec![1; 1000]);
    });
    server
}

/// What of [`encoder`] is to be fetched.
const FETCHED: [&str; 7] = [
    "1_Pooling/config.json",
    "config.json",
    "config_sentence_transformers.json",
    "model.safetensors",
    "modules.json",
    "sentence_bert_config.json",
    "tokenizer.json",
];

fn hub(server: &Server, cache: &Path) -> Hub {
    Hub { endpoint: server.endpoint.clone(), cache: cache.into(), token: None, offline: false }
}

fn model(name: &str) -> Model {
    name.parse().unwrap()
}

fn fetch(hub: &Hub, name: &str) -> Result<PathBuf, HubError> {
    hub.fetch(&model(name), &|_| {})
}

/// An error and its causes, as the command line shows them.
fn said(error: HubError) -> String {
    format!("{:#}", anyhow::Error::new(error))
}

fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_str().unwrap().replace('\\', "/"));
            }
        }
    }
    found
}

#[test]
fn what_is_fetched_is_found_by_the_encoders_and_not_fetched_again() {
    let (server, cache) = (encoder(), tempfile::tempdir().unwrap());
    let hub = hub(&server, cache.path());
    let snapshot = fetch(&hub, "hf:org/encoder").unwrap();
    assert_eq!(files(&snapshot), FETCHED.map(str::to_owned).into());
    assert_eq!(locate_in("org/encoder", Some(cache.path())).unwrap(), snapshot);
    assert_eq!(locate_in(&format!("org/encoder@{COMMIT}"), Some(cache.path())).unwrap(), snapshot);
    let config = ModelConfig::open(&snapshot).unwrap();
    assert_eq!((config.bert.hidden, config.max_tokens, config.normalize), (4, 8, true));
    assert_eq!(config.prompts.query, "ask: ");

    let repository = cache.path().join("models--org--encoder");
    assert_eq!(snapshot, repository.join("snapshots").join(COMMIT));
    assert_eq!(fs::read_to_string(repository.join("refs/main")).unwrap(), COMMIT);
    assert!(repository.join(".no_exist").join(COMMIT).join("idf.json").is_file());
    server.script(|script| {
        for path in FETCHED {
            let blob = repository.join("blobs").join(script.etag(path));
            assert_eq!(fs::read(&blob).unwrap(), script.contents(path), "{path}");
            #[cfg(unix)]
            {
                assert!(fs::read_link(snapshot.join(path)).unwrap().is_relative());
                assert_eq!(snapshot.join(path).canonicalize().unwrap(), blob.canonicalize().unwrap());
            }
        }
        assert!(script.asked.iter().all(|asked| !asked.path.contains("onnx") && !asked.path.contains(".bin")));
        script.asked.clear();
    });
    assert_eq!(files(&repository.join("blobs")).len(), FETCHED.len(), "nothing half is left");

    assert_eq!(fetch(&hub, "hf:org/encoder").unwrap(), snapshot);
    assert_eq!(fetch(&hub, &format!("hf:org/encoder@{COMMIT}")).unwrap(), snapshot);
    server.script(|script| assert!(script.asked.is_empty(), "{:?}", script.asked));
    hub.update(&model("hf:org/encoder"), &|_| {}).unwrap();
    server.script(|script| {
        let asked: Vec<&str> = script.asked.iter().map(|asked| asked.path.as_str()).collect();
        assert_eq!(asked, ["/api/models/org/encoder/revision/main"], "all of that commit is here");
    });
}

#[test]
fn a_branch_that_moved_is_followed_when_asked_and_shares_what_is_the_same() {
    let (server, cache) = (encoder(), tempfile::tempdir().unwrap());
    let hub = hub(&server, cache.path());
    let old = fetch(&hub, "hf:org/encoder").unwrap();
    let commit = "b".repeat(40);
    server.script(|script| {
        script.commit.clone_from(&commit);
        script.files.insert("sentence_bert_config.json".into(), r#"{"max_seq_length": 16}"#.into());
        script.asked.clear();
    });
    assert_eq!(fetch(&hub, "hf:org/encoder").unwrap(), old);
    let new = hub.update(&model("hf:org/encoder"), &|_| {}).unwrap();
    assert!(new.ends_with(&commit));
    assert_eq!(locate_in("org/encoder", Some(cache.path())).unwrap(), new);
    assert_eq!(ModelConfig::open(&new).unwrap().max_tokens, 16);
    server.script(|script| {
        let got: Vec<_> = script.asked.iter().filter(|asked| asked.method == "GET").collect();
        assert_eq!(got.len(), 2, "the listing and what changed: {got:?}");
    });
}

#[test]
fn a_download_that_was_cut_goes_on_where_it_stopped() {
    let (server, cache) = (encoder(), tempfile::tempdir().unwrap());
    let hub = hub(&server, cache.path());
    server.script(|script| script.breaks_after = Some(150_000));
    let error = said(fetch(&hub, "hf:org/encoder").unwrap_err());
    assert!(error.contains("`model.safetensors` of model `org/encoder@main`"), "{error}");
    assert!(error.contains("connection lost after 150000 bytes, which are kept"), "{error}");
    let repository = cache.path().join("models--org--encoder");
    let part =
        server.script(|script| repository.join(format!("blobs/{}.incomplete", script.etag("model.safetensors"))));
    assert_eq!(fs::metadata(&part).unwrap().len(), 150_000);
    assert!(!repository.join("refs/main").exists(), "nothing refers to half a model");
    locate_in("org/encoder", Some(cache.path())).unwrap_err();

    server.script(|script| script.breaks_after = None);
    let snapshot = fetch(&hub, "hf:org/encoder").unwrap();
    assert!(!part.exists());
    server.script(|script| {
        assert_eq!(fs::read(snapshot.join("model.safetensors")).unwrap(), script.contents("model.safetensors"));
        let ranges: Vec<_> = script.asked.iter().filter_map(|asked| asked.range.as_deref()).collect();
        assert_eq!(ranges, ["bytes=150000-"]);
    });
}

#[test]
fn a_whole_download_that_was_not_renamed_is_only_verified() {
    let (server, cache) = (encoder(), tempfile::tempdir().unwrap());
    let blobs = cache.path().join("models--org--encoder/blobs");
    fs::create_dir_all(&blobs).unwrap();
    server.script(|script| {
        let part = blobs.join(format!("{}.incomplete", script.etag("model.safetensors")));
        fs::write(part, script.contents("model.safetensors")).unwrap();
    });
    fetch(&hub(&server, cache.path()), "hf:org/encoder").unwrap();
    server.script(|script| assert!(script.asked.iter().all(|asked| asked.host == "hub"), "{:?}", script.asked));
}

#[test]
fn contents_that_are_not_those_announced_are_refused_and_removed() {
    for (path, sum) in [("model.safetensors", "SHA-256"), ("config.json", "git's SHA-1")] {
        let (server, cache) = (encoder(), tempfile::tempdir().unwrap());
        let hub = hub(&server, cache.path());
        server.script(|script| script.damaged = Some(path.into()));
        let error = said(fetch(&hub, "hf:org/encoder").unwrap_err());
        let etag = server.script(|script| script.etag(path));
        assert!(error.contains(&format!("`{path}` of model")), "{error}");
        assert!(error.contains(&format!("{sum}: expected {etag}, found ")), "{error}");
        let blobs = files(&cache.path().join("models--org--encoder/blobs"));
        assert!(blobs.iter().all(|name| !name.contains(&etag)), "{blobs:?}");
        server.script(|script| script.damaged = None);
        fetch(&hub, "hf:org/encoder").unwrap();
    }
}

#[test]
fn the_token_goes_to_the_endpoint_alone() {
    let (server, cache) = (encoder(), tempfile::tempdir().unwrap());
    server.script(|script| script.token = Some(SECRET.into()));
    let mut hub = hub(&server, cache.path());
    let error = said(fetch(&hub, "hf:org/encoder").unwrap_err());
    assert!(error.contains("status 401") && error.contains("HF_TOKEN, which"), "{error}");
    hub.token = Some("hf_other".into());
    let error = said(fetch(&hub, "hf:org/encoder").unwrap_err());
    assert!(error.contains("the account of HF_TOKEN has no access") && !error.contains("hf_other"), "{error}");
    hub.token = Some(SECRET.into());
    server.script(|script| script.asked.clear());
    fetch(&hub, "hf:org/encoder").unwrap();
    server.script(|script| {
        let shown = Some(format!("Bearer {SECRET}"));
        assert!(script.asked.iter().any(|asked| asked.host == "cdn"));
        for asked in &script.asked {
            assert_eq!(asked.authorization, if asked.host == "hub" { shown.clone() } else { None }, "{asked:?}");
        }
    });
}

#[test]
fn renamed_models_and_the_hubs_own_cache_are_followed() {
    let (server, cache) = (encoder(), tempfile::tempdir().unwrap());
    server.script(|script| (script.renamed_from, script.redirects_small) = (Some("old/name".into()), true));
    let snapshot = fetch(&hub(&server, cache.path()), "hf:old/name").unwrap();
    assert_eq!(files(&snapshot), FETCHED.map(str::to_owned).into());
    assert_eq!(locate_in("old/name", Some(cache.path())).unwrap(), snapshot);
    let blobs = server.script(|script| FETCHED.map(|path| script.etag(path)));
    assert_eq!(files(&cache.path().join("models--old--name/blobs")), blobs.into(), "named as the hub says first");
}

#[test]
fn refusals_say_what_the_hub_says() {
    let (server, cache) = (encoder(), tempfile::tempdir().unwrap());
    let hub = hub(&server, cache.path());
    for (name, status, code, expected) in [
        ("hf:org/none", None, "", "status 404 (RepoNotFound): there is no such model, or it is private or gated"),
        ("hf:org/encoder@v9", None, "", "status 404 (RevisionNotFound): the model has no such branch, tag or commit"),
        ("hf:org/encoder", Some(403), "GatedRepo", "status 403 (GatedRepo): the model is gated; HF_TOKEN, which"),
        ("hf:org/encoder", Some(401), "", "status 401: there is no such model, or it is private or gated; HF_TOKEN"),
        ("hf:org/encoder", Some(503), "", "status 503: the hub is busy"),
    ] {
        server.script(|script| script.refuses = status.map(|status| (status, code)));
        let error = said(fetch(&hub, name).unwrap_err());
        assert!(error.contains(expected) && error.contains(&name[3..]), "{error}");
    }
    // The discard port: nobody answers there.
    let nobody = Hub { endpoint: "http://127.0.0.1:9".into(), ..hub };
    let error = said(fetch(&nobody, "hf:org/encoder").unwrap_err());
    assert!(error.contains("found no connection") && error.contains("refused"), "{error}");
}

#[test]
fn answers_that_lead_elsewhere_are_refused() {
    let (server, cache) = (encoder(), tempfile::tempdir().unwrap());
    let hub = hub(&server, cache.path());
    for path in ["../../outside", "/etc/outside", "a/../../outside"] {
        server.script(|script| script.files.insert(path.into(), "x".into()));
        let error = said(fetch(&hub, "hf:org/encoder").unwrap_err());
        assert!(error.contains("a file that lies elsewhere") && error.contains(path), "{error}");
        server.script(|script| script.files.remove(path));
    }
    server.script(|script| script.files.insert("modules.json".into(), r#"[{"path": "../.."}]"#.into()));
    let error = said(fetch(&hub, "hf:org/encoder").unwrap_err());
    assert!(error.contains("modules.json") && error.contains("a module in `../..`"), "{error}");
    server.script(|script| script.commit = "../elsewhere".into());
    let error = said(fetch(&hub, "hf:org/encoder").unwrap_err());
    assert!(error.contains("expected a commit and its files, found the commit `../elsewhere`"), "{error}");
}

#[test]
fn a_model_without_the_weights_that_are_read_is_refused_before_anything_large() {
    let (server, cache) = (encoder(), tempfile::tempdir().unwrap());
    server.script(|script| script.large.remove("model.safetensors"));
    let error = said(fetch(&hub(&server, cache.path()), "hf:org/encoder").unwrap_err());
    assert!(error.contains("expected a file `model.safetensors`, found none"), "{error}");
    assert!(error.contains("pytorch_model.bin"), "{error}");
    server.script(|script| assert!(script.asked.iter().all(|asked| asked.host == "hub")));
}

/// `/dev/full` stands for a disk without room.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_named() {
    let (server, cache) = (encoder(), tempfile::tempdir().unwrap());
    let blobs = cache.path().join("models--org--encoder/blobs");
    fs::create_dir_all(&blobs).unwrap();
    let part = server.script(|script| format!("{}.incomplete", script.etag("model.safetensors")));
    std::os::unix::fs::symlink("/dev/full", blobs.join(part)).unwrap();
    let error = said(fetch(&hub(&server, cache.path()), "hf:org/encoder").unwrap_err());
    assert!(error.contains("the disk is full: expected room for 400000 bytes"), "{error}");
}

/// The command line with the environment that Python's tools have.
fn datasets(server: &Server, cache: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_datasets"));
    for name in ["HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_TOKEN", "XDG_CACHE_HOME"] {
        command.env_remove(name);
    }
    command.env("HF_HOME", cache).env("HF_ENDPOINT", format!("{}/", server.endpoint));
    command.envs(environment.iter().copied()).arg("fetch").args(arguments).output().unwrap()
}

#[test]
fn offline_uses_the_cache_or_says_so() {
    let (server, home) = (encoder(), tempfile::tempdir().unwrap());
    let offline = [("HF_HUB_OFFLINE", "1")];
    let output = datasets(&server, home.path(), &["hf:org/encoder"], &offline);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(error.contains("HF_HUB_OFFLINE is set, so no connection is opened: expected model `org/encoder@main` in "));
    assert!(error.contains("found no such revision"), "{error}");
    server.script(|script| assert!(script.asked.is_empty()));

    let output = datasets(&server, home.path(), &["hf:org/encoder"], &[]);
    let snapshot = home.path().join("hub/models--org--encoder/snapshots").join(COMMIT);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{}\n", snapshot.display()));

    server.script(|script| script.asked.clear());
    // A cache that Python's tools filled does not say which files the hub lacks.
    fs::remove_dir_all(home.path().join("hub/models--org--encoder/.no_exist")).unwrap();
    assert!(datasets(&server, home.path(), &["hf:org/encoder"], &offline).status.success());
    let output = datasets(&server, home.path(), &["hf:org/encoder", "--update"], &offline);
    assert!(String::from_utf8(output.stderr).unwrap().contains("no way to see a newer one"));
    fs::remove_file(snapshot.join("tokenizer.json")).unwrap();
    let output = datasets(&server, home.path(), &["hf:org/encoder"], &offline);
    assert!(
        String::from_utf8(output.stderr).unwrap().contains(&format!("found no `tokenizer.json` at commit {COMMIT}"))
    );
    server.script(|script| assert!(script.asked.is_empty(), "{:?}", script.asked));
}

#[test]
fn a_malformed_name_is_refused_before_anything_is_opened() {
    let (server, home) = (encoder(), tempfile::tempdir().unwrap());
    let output = datasets(&server, home.path(), &["hf:org/encoder", "hf:org"], &[]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("`hf:org`: expected hf:OWNER/NAME or hf:OWNER/NAME@REVISION, found no `/`"), "{error}");
    let output = datasets(&server, home.path(), &["digits-64-euclidean", "--update"], &[]);
    assert!(String::from_utf8(output.stderr).unwrap().contains("--update: expected a model (hf:OWNER/NAME)"));
    assert_eq!(files(home.path()).len(), 0);
    server.script(|script| assert!(script.asked.is_empty()));
}
