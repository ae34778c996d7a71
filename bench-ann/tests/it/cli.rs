//! Whole runs of the binary on the handwritten digits, which need no download.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use bench_ann::results::Results;
use tempfile::TempDir;

const SWEEP: &str = r#"
repeats = 2
[[config]]
engines = ["flat"]
[[config]]
engines = ["vicino", "hnswlib"]
build = { m = 8, ef_construction = 40 }
search = { ef = [10, 100] }
"#;

fn bench_ann(folder: &Path, args: &[&str]) -> Output {
    Command::new(crate::BENCH_ANN).current_dir(folder).args(args).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What prints into a closed pipe ends without a word, as `engines | head -1` should.
#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = Command::new(crate::BENCH_ANN).arg("engines").stdout(writer).stderr(Stdio::piped()).spawn();
    let output = output.unwrap().wait_with_output().unwrap();
    assert_eq!(stderr(&output), "");
}

#[test]
fn a_run_measures_recall_speed_and_cost_and_lists_what_it_could_not() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("sweep.toml"), SWEEP).unwrap();
    let args = "run --dataset digits-64-euclidean --engine flat,vicino,hnswlib --sweep sweep.toml --rivals none --out out.json \
                --neighbors found.npy";
    let output = bench_ann(folder.path(), &args.split_whitespace().collect::<Vec<_>>());
    assert!(output.status.success(), "{}", stderr(&output));

    let results = Results::read(&folder.path().join("out.json")).unwrap();
    assert!(results.complete);
    assert_eq!((results.dataset.rows, results.dataset.queries, results.dataset.dim), (1597, 200, 64));
    assert_eq!(results.runs.len(), 3);
    let flat = &results.runs[0];
    assert_eq!((flat.engine.as_str(), flat.recall), ("flat", 1.0));
    assert_eq!(flat.distances_per_query, Some(1597.0));
    let wide = results.runs.iter().find(|run| run.search_params.to_string() == "ef=100").unwrap();
    // 100 of 1,597 rows are kept in view: a beam this wide misses next to nothing on any sound graph.
    assert!(wide.recall >= 0.99, "recall {}", wide.recall);
    for run in &results.runs {
        assert_eq!(run.qps_repeats.len(), 2);
        assert!(run.recall_ann_benchmarks >= run.recall);
        assert!(run.latency.is_some_and(|latency| latency.queries == 200 && latency.p50_us <= latency.p99_us));
        assert!(run.build.resident_bytes.is_some() || cfg!(not(target_os = "linux")));
        assert!(run.build.index_bytes.is_some_and(|bytes| bytes >= 1597 * 64 * 4));
    }
    let [failure] = results.failures.as_slice() else { panic!("{:?}", results.failures) };
    assert_eq!(failure.engine, "hnswlib");
    assert!(failure.message.contains("bench-ann rivals install hnswlib"), "{}", failure.message);

    let npy = fs::read(folder.path().join("found.npy")).unwrap();
    let end = npy.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    let header = String::from_utf8_lossy(&npy[10..end]).into_owned();
    assert!(header.contains("'<i4'") && header.contains("(3, 200, 10, )") && end % 64 == 0, "{header}");
    assert_eq!(npy.len(), end + 3 * 200 * 10 * 4);

    let report = bench_ann(folder.path(), &["report", "out.json"]);
    assert!(report.status.success(), "{}", stderr(&report));
    for name in ["out-qps.svg", "out-qps.png", "out-distances.svg", "out-distances.png", "out.html"] {
        assert!(folder.path().join(name).exists(), "{name}");
    }
}

#[test]
fn what_cannot_be_run_is_said_in_one_line() {
    let folder = TempDir::new().unwrap();
    for (args, expected) in [
        ("run --dataset digits-64-euclidean --engine hnsw --out x.json", "no engine is named `hnsw`"),
        (
            "run --dataset digits-64-euclidean --engine vicino --sweep mine --out x.json",
            "sweep mine: not a built-in sweep",
        ),
        ("run --dataset digits-64-euclidean --engine flat --k 5000 --out x.json", "5000 rows for k = 5000"),
        (
            "run --dataset digits-64-euclidean --engine flat --rows 1598 --out x.json",
            "first rows: expected 1 to 1597, found 1598",
        ),
        ("run --dataset digits-64-euclidean --engine flat --out missing/x.json", "missing/x.json"),
        ("report nothing.json", "nothing.json"),
        ("rivals install faiss", "no rival is named `faiss`"),
        ("sweeps mine", "no built-in sweep is named `mine`"),
    ] {
        let output = bench_ann(folder.path(), &args.split_whitespace().collect::<Vec<_>>());
        assert!(!output.status.success(), "{args}");
        let message = stderr(&output);
        assert!(
            message.lines().any(|line| line.starts_with("error: ") && line.contains(expected)),
            "{args}: {message}"
        );
    }
}

#[test]
fn a_budget_takes_searches_apart() {
    let folder = TempDir::new().unwrap();
    let args = "budget --dataset digits-64-euclidean --recall 0.9,0.999 --out budget.md";
    let output = bench_ann(folder.path(), &args.split_whitespace().collect::<Vec<_>>());
    assert!(output.status.success(), "{}", stderr(&output));
    let report = fs::read_to_string(folder.path().join("budget.md")).unwrap();
    let row = |name: &str| -> Vec<f64> {
        let line = report.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{name}: {report}"));
        let number = |cell: &str| cell.split_whitespace().next().and_then(|word| word.parse().ok());
        line.split('|').skip(3).filter_map(number).collect()
    };
    let (hops, estimates, lines) = (row("nodes expanded"), row("estimates from codes"), row("KB of memory read"));
    assert!(hops[0] >= 1.0 && hops[1] > hops[0], "{hops:?}");
    // 32 neighbours of each node, all of them scored.
    assert!(
        hops.iter().zip(&estimates).all(|(hops, estimates)| (hops * 32.0 - estimates).abs() < 2.0),
        "{estimates:?}"
    );
    assert!(lines[1] > lines[0]);
    for part in ["estimates from codes | alone", "distances from bytes | alone", "· query", "· entries"] {
        assert!(row(part).iter().all(|&ns| ns > 0.0), "{part}: {report}");
    }
    assert!(report.contains("ns for a line whose place") && report.contains("bench-ann budget --dataset"), "{report}");

    let none = bench_ann(folder.path(), &["budget", "--dataset", "digits-64-euclidean", "--recall", "1.1"]);
    assert!(!none.status.success() && stderr(&none).contains("no slack up to 1 reaches it"), "{}", stderr(&none));
}

#[test]
fn built_in_sweeps_are_listed_and_printed() {
    let folder = TempDir::new().unwrap();
    let list = bench_ann(folder.path(), &["sweeps"]).stdout;
    assert_eq!(
        String::from_utf8_lossy(&list),
        "default\nquick\nfirst-slice\nfrontier\ngrowth\ncodes\npeers\npeers-million\ncompact\n"
    );
    let printed = bench_ann(folder.path(), &["sweeps", "first-slice"]).stdout;
    assert!(String::from_utf8_lossy(&printed).contains("ef_construction = 400"));
}

#[test]
fn a_collection_is_measured_phase_by_phase_and_its_report_kept() {
    let folder = TempDir::new().unwrap();
    let measure = |more: &str| {
        let args = "collection --dataset digits-64-euclidean --dir points --out report.json --seconds 0.1 --singles 64 --batch 100";
        bench_ann(folder.path(), &args.split_whitespace().chain(more.split_whitespace()).collect::<Vec<_>>())
    };
    let read = || -> serde_json::Value {
        serde_json::from_slice(&fs::read(folder.path().join("report.json")).unwrap()).unwrap()
    };
    let output = measure("--phase restart");
    assert!(!output.status.success() && stderr(&output).contains("run the phase `load` first"), "{}", stderr(&output));
    let output = measure("--phase load,writes,restart,latency");
    assert!(output.status.success(), "{}", stderr(&output));
    let before = read();
    let output = measure("--phase churn --churn-rows 1000 --rounds 4 --queries 50 --ef 64");
    assert!(output.status.success(), "{}", stderr(&output));
    let report = read();
    let phases: Vec<&str> = report["phases"].as_array().unwrap().iter().map(|p| p["phase"].as_str().unwrap()).collect();
    assert_eq!(phases, ["load", "writes", "restart", "latency", "churn"]);
    assert_eq!(report["phases"].as_array().unwrap()[..4], before["phases"].as_array().unwrap()[..]);
    let recall = report["phases"][4]["findings"].as_array().unwrap().iter().filter_map(|finding| {
        let values = &finding["values"];
        Some((values["recall"].as_f64()?, values["fresh_recall"].as_f64()?))
    });
    // So few points are compared one by one: nothing may be missed, before compaction and after it.
    assert_eq!(recall.collect::<Vec<_>>(), [(1.0, 1.0); 2]);
    assert_eq!(report["phases"][4]["findings"][0]["values"]["points"], 200.0);
    let text = fs::read_to_string(folder.path().join("report.md")).unwrap();
    assert!(text.contains("## latency") && text.contains("--phase churn"), "{text}");
    let output = measure("--phase load --rows 500");
    assert!(!output.status.success() && stderr(&output).contains("expected another file"), "{}", stderr(&output));
}
