//! `vicino embed` from outside, over a small collection written for it: every subcommand that needs no model.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::program::VICINO;

const DOCUMENTS: [&str; 6] = [
    "The lift of a wing grows with the square of the speed of the air.",
    "Bread rises because yeast turns sugar into gas, and the dough holds it.",
    "A kitten slept on the couch while rain fell on the roof.",
    "Interest rates rose again, and the price of houses fell.",
    "The heart pumps blood through the lungs and the body.",
    "Trains to the coast leave every hour from the central station.",
];

/// Questions and the document that answers them; the first four are for training.
const QUESTIONS: [(&str, usize); 8] = [
    ("why does dough rise", 1),
    ("what does the heart do with blood", 4),
    ("how does a wing make lift", 0),
    ("did house prices fall", 3),
    ("when do trains leave for the coast", 5),
    ("where did the cat sleep", 2),
    ("speed of the air and lift", 0),
    ("gas made by yeast", 1),
];

fn collection(folder: &Path) {
    fs::create_dir_all(folder.join("qrels")).unwrap();
    let line = |(id, text): (usize, &str)| format!("{{\"_id\": \"{id}\", \"text\": \"{text}\"}}\n");
    fs::write(folder.join("corpus.jsonl"), DOCUMENTS.into_iter().enumerate().map(line).collect::<String>()).unwrap();
    let questions = QUESTIONS.iter().map(|(text, _)| *text).enumerate().map(line);
    fs::write(folder.join("queries.jsonl"), questions.collect::<String>()).unwrap();
    for (split, asked) in [("train", 0..4), ("test", 4..8)] {
        let judged: String = asked.map(|query| format!("{query}\t{}\t1\n", QUESTIONS[query].1)).collect();
        fs::write(folder.join(format!("qrels/{split}.tsv")), format!("query-id\tcorpus-id\tscore\n{judged}")).unwrap();
    }
    fs::write(folder.join("some.txt"), "4\n5\n").unwrap();
}

fn embed(arguments: &[&str]) -> Output {
    Command::new(VICINO).arg("embed").args(arguments).output().unwrap()
}

fn json(arguments: &[&str]) -> Value {
    let output = embed(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn refusal(arguments: &[&str]) -> String {
    let output = embed(arguments);
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What prints into a closed pipe ends without a word, as `embed encode | head -1` should.
#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(VICINO);
    command.args(["embed", "encode"]).stdin(Stdio::piped()).stdout(writer).stderr(Stdio::piped());
    let mut child = command.env("VICINO_LOG", "error").spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"a cat on a mat\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn encoders_and_hybrids_are_evaluated_in_one_table() {
    let folder = tempfile::tempdir().unwrap();
    collection(folder.path());
    let data = folder.path().to_str().unwrap();
    let vectors = folder.path().join("vectors");
    let arguments = [
        "evaluate",
        "--data",
        data,
        "--encoder",
        "bm25,static,hybrid:bm25+static",
        "--subset",
        "some.txt",
        "--vectors",
        vectors.to_str().unwrap(),
        "--json",
    ];
    let report = json(&arguments);
    let rows = report["collections"][0]["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 5, "three rules of the hybrid: {report:#}");
    for row in rows {
        let ndcg = row["measures"]["ndcg_at_10"].as_f64().unwrap();
        assert!(
            (0.5..=1.0).contains(&ndcg) && row["measures"]["queries"] == 4 && row["subset"]["queries"] == 2,
            "{row:#}"
        );
    }
    assert!(rows[4]["note"].as_str().unwrap().contains("on the 4 queries of `train`"), "{report:#}");
    assert_eq!(fs::read_dir(&vectors).unwrap().count(), 3, "documents and the queries of two splits are kept");
    assert_eq!(json(&arguments)["collections"][0]["rows"][4]["measures"], rows[4]["measures"]);

    let run = folder.path().join("run.trec");
    json(&["evaluate", "--data", data, "--encoder", "bm25", "--run", run.to_str().unwrap(), "--json"]);
    assert!(fs::read_to_string(run).unwrap().lines().all(|line| line.split_whitespace().count() == 6));
    let table = embed(&["evaluate", "--data", data, "--encoder", "bm25,hybrid:bm25+static", "--lambda", "0.1"]);
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(table.contains("bm25+static, dense + λ · sparse") && table.contains("λ = 0.1, given"), "{table}");
    for (arguments, message) in [
        (["evaluate", "--data", data, "--encoder", "hybrid:static+bm25"], "expected a sparse encoder before the +"),
        (["evaluate", "--data", data, "--encoder", "hybrid:bm25"], "expected hybrid:SPARSE+DENSE"),
        (["evaluate", "--data", "no-such-collection", "--encoder", "bm25"], "collection `no-such-collection`"),
        (["evaluate", "--data", data, "--encoder", "no-such-model"], "model `no-such-model`"),
    ] {
        assert!(refusal(&arguments).contains(message), "{}", refusal(&arguments));
    }
}

#[test]
fn capacity_is_measured_and_heads_are_trained() {
    let folder = tempfile::tempdir().unwrap();
    collection(folder.path());
    let data = folder.path().to_str().unwrap();
    let report = json(&[
        "capacity",
        "--data",
        data,
        "--dims",
        "8,64,512",
        "--lengths",
        "5",
        "--words",
        "25",
        "--passages",
        "2",
        "--spans",
        "8",
        "--shapes",
        "1x8,2x4",
        "--encoder",
        "static",
        "--json",
    ]);
    let kept = |at: usize| report["survival"]["kept"][at]["pairs"].as_f64().unwrap();
    assert!(kept(0) <= kept(2) && kept(2) > 0.8, "{report:#}");
    assert_eq!(report["encoder"][0].as_array().unwrap().len(), 4, "{report:#}");

    let head = folder.path().join("head.safetensors");
    let report = json(&[
        "train",
        "--data",
        data,
        "--encoder",
        "static",
        "--held-out",
        "1",
        "--batch",
        "3",
        "--hard",
        "1",
        "--steps",
        "4",
        "--save",
        head.to_str().unwrap(),
        "--json",
    ]);
    assert_eq!((&report["parameters"], &report["dims"][0]["dim"]), (&(256 * 256).into(), &256.into()));
    assert!(head.is_file());
    assert!(refusal(&["train", "--data", data, "--encoder", "static"]).contains("more than the 160 queries held out"));
}

#[test]
fn texts_that_are_no_utf8_are_refused_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("texts.txt");
    fs::write(&file, b"sound\n\xff\xfe\n").unwrap();
    let error = refusal(&["encode", file.to_str().unwrap()]);
    assert!(error.contains("texts.txt, line 2") && error.contains("UTF-8"), "{error}");
}
