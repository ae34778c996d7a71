//! The command line, as a user runs it.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::fixture;

fn datasets(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_datasets"));
    command.current_dir(folder).env_remove("VICINO_DATA").env("XDG_CACHE_HOME", folder.join("cache"));
    command.args(arguments).output().unwrap()
}

fn said(folder: &Path, arguments: &[&str]) -> String {
    let output = datasets(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn json(folder: &Path, arguments: &[&str]) -> Value {
    serde_json::from_str(&said(folder, arguments)).unwrap()
}

#[test]
fn list_shows_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let table = said(folder.path(), &["list"]);
    assert!(
        table.lines().any(|line| line.starts_with("digits-64-euclidean ") && line.ends_with("built in")),
        "{table}"
    );
    let all = json(folder.path(), &["list", "--json"]);
    let sift = all.as_array().unwrap().iter().find(|entry| entry["name"] == "sift-128-euclidean").unwrap();
    assert_eq!((sift["contents"]["rows"].as_u64(), &sift["path"]), (Some(1_000_000), &Value::Null));
}

#[test]
fn a_made_set_gets_its_truth() {
    let folder = tempfile::tempdir().unwrap();
    let made = ["synth", "clustered", "--rows", "500", "--queries", "20", "--dim", "8", "--out", "made"];
    assert_eq!(said(folder.path(), &made), "made\n");
    assert_eq!(json(folder.path(), &["info", "made", "--json"])["truth_k"], Value::Null);
    assert_eq!(said(folder.path(), &["truth", "made", "--k", "7", "--threads", "1"]), "made\n");
    let info = json(folder.path(), &["info", "made", "--json"]);
    assert_eq!((&info["truth_k"], &info["train"]["rows"], &info["metric"]), (&7.into(), &500.into(), &"l2".into()));
    assert!(said(folder.path(), &["info", "made"]).contains("truth   7 neighbours per query"));
}

#[test]
fn convert_goes_there_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let hdf5 = fixture("contiguous.hdf5");
    let hdf5 = hdf5.to_str().unwrap();
    let hash = |name: &str| json(folder.path(), &["info", name, "--json"])["hash"].clone();
    said(folder.path(), &["convert", hdf5, "folder"]);
    assert_eq!(hash("folder"), hash(hdf5));
    for (what, through) in
        [("train", "t.fvecs"), ("test", "t.fbin"), ("neighbors", "n.ivecs"), ("distances", "d.jsonl")]
    {
        said(folder.path(), &["convert", hdf5, through, "--what", what]);
        let back = format!("{what}.npy");
        said(folder.path(), &["convert", through, &back]);
        let (back, whole) = (folder.path().join(&back), folder.path().join("folder").join(&back));
        assert_eq!(std::fs::read(back).unwrap(), std::fs::read(whole).unwrap(), "{what}");
    }
}

#[test]
fn errors_are_one_line_and_a_status() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, expected) in [
        (&["info", "nothing"][..], "no data set `nothing`"),
        (&["fetch", "nothing"], "unknown data set `nothing`: expected one of digits-64-euclidean, "),
        (&["convert", "nothing.fvecs", "out.npy"], "nothing.fvecs: cannot open: No such file"),
        (&["truth", "digits-64-euclidean"], "no folder to write to; --out names one"),
        (&["synth", "gaussian", "--dim", "0", "--out", "x"], "--dim: expected at least 1, found 0"),
    ] {
        let output = datasets(folder.path(), arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(error.starts_with("error: ") && error.contains(expected) && error.lines().count() == 1, "{error}");
        assert!(output.stdout.is_empty());
    }
}
