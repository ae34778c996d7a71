//! Reports and comparisons of a small results file whose numbers can be followed by hand.

use std::fs;

use bench_ann::compare::compare;
use bench_ann::report::growth::Growth;
use bench_ann::report::plot::{Measure, plot};
use bench_ann::report::summary::{self, json, sections};
use bench_ann::report::table::Table;
use bench_ann::report::{html, standing, svg};
use bench_ann::results::Results;
use tempfile::TempDir;

use crate::read_small;

#[test]
fn the_table_reads_each_front_at_the_targets() {
    let files = [read_small()];
    let sections = sections(&files);
    assert_eq!(sections[0].title(), "small: 1000 × 8, l2, 200 queries, k = 10, 1 search thread");
    // vicino at .90 lies 5/7 of the way from (.85, 40000) to (.92, 20000) in log QPS: 40000 · 2^(-5/7) = 24380; at .95 it is 3/4 of
    // the way from (.92, 20000) to (.96, 10000): 20000 · 2^(-3/4) = 11892; hnswlib at .95 is half way from 8000 to 5000: 6325.
    // The setting at (.91, 15000) is beaten by (.92, 20000). Nothing of scann reaches .90.
    let expected = "\
| engine | build | QPS .90 | QPS .95 | QPS .99 | QPS .995 | × .95 | × .99 | dist .95 | dist .99 | p50 µs .95 | p99 µs .95 | build s | build CPU s | index MB | resident MB | peak MB |
|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|
| vicino | m=16 ef_construction=200 | 24380 | 11892 | 4000 | – | 1.88 | – | 336 | 900 | 100 | 300 | 2.0 | 3.5 | 1.0 | 2.5 | 3.0 |
| hnswlib | m=16 ef_construction=200 | ≥ 8000 | 6325 | – | – | 1.00 | – | – | – | 200 | 600 | 4.0† | – | 2.0 | 2.5 | 5.0 |
| scann | leaves=300 | – | – | – | – | – | – | – | – | – | – | 8.0 | – | – | 2.5 | 7.0 |
";
    assert_eq!(Table::of(&sections[0]).markdown(), expected);
    assert_eq!(Table::every_run(&sections[0]).rows.len(), files[0].runs.len());
}

#[test]
fn json_has_a_row_for_every_index_and_target() {
    let files = [read_small()];
    let rows = json(&sections(&files));
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 3 * 4);
    assert_eq!(rows[2]["engine"], "vicino");
    assert_eq!((&rows[2]["recall_target"], &rows[2]["qps"]), (&0.99.into(), &4000.0.into()));
    assert_eq!(rows[2]["params"], serde_json::json!({"m": 16, "ef_construction": 200}));
    assert_eq!((&rows[2]["build_s"], &rows[2]["index_bytes"]), (&2.0.into(), &1_000_000.into()));
    assert_eq!((&rows[2]["dataset"], &rows[2]["peak_rss_bytes"]), (&"small".into(), &3_000_000.into()));
    assert_eq!((&rows[4]["engine"], &rows[4]["at_least"]), (&"hnswlib".into(), &true.into()));
    assert!(rows[3]["qps"].is_null(), "nothing is extrapolated");
}

#[test]
fn plots_and_page_stand_alone() {
    let files = [read_small()];
    let sections = sections(&files);
    let drawing = plot(&sections[0], Measure::Qps).unwrap();
    for part in ["engine-vicino", "engine-hnswlib", "engine-scann", "A processor &lt;x&gt;", "recall@10"] {
        assert!(drawing.contains(part), "{part}");
    }
    let distances = plot(&sections[0], Measure::Distances).unwrap();
    assert!(
        distances.contains("engine-vicino") && !distances.contains("engine-hnswlib"),
        "only vicino counts distances"
    );
    assert!(svg::png(&drawing).starts_with(b"\x89PNG\r\n\x1a\n"));
    let page = html::page(&sections);
    for part in [
        "<svg",
        "sha256 00ff",
        "0123abcd",
        "ngt is not installed",
        "A processor &lt;x&gt;",
        "bench-ann run --dataset small",
        "from runs of 2026-01-02T03:04:05Z",
    ] {
        assert!(page.contains(part), "{part}");
    }
    let outside = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    assert!(
        !outside.contains("http") && !outside.contains("src=") && !outside.contains("@import"),
        "the page needs nothing else"
    );
}

#[test]
fn the_standing_sets_our_fastest_index_against_the_fastest_peer() {
    let files = [read_small()];
    let sections = sections(&files);
    // At .90 hnswlib's cheapest setting exceeds the recall, and its speed counts as reached: 24380 / 8000.
    let expected = "\
| small | .90 | vicino 24380 | hnswlib ≥ 8000 | 3.05 | ≥ 8000 | 3.05 | 2.0 | 4.0† | 4.0† | 3.5 | – | – | 2.5 | 2.5 | 2.5 |
| small | .95 | vicino 11892 | hnswlib 6325 | 1.88 | 6325 | 1.88 | 2.0 | 4.0† | 4.0† | 3.5 | – | – | 2.5 | 2.5 | 2.5 |
| small | .99 | vicino 4000 | – | – | – | – | 2.0 | – | – | 3.5 | – | – | 2.5 | – | – |
| small | .995 | – | – | – | – | – | – | – | – | – | – | – | – | – | – |
";
    let table = standing::table(&sections).unwrap().markdown();
    assert!(table.ends_with(expected), "{table}");
    assert!(html::page(&sections).contains(standing::TITLE));

    let mut ours = read_small();
    ours.runs.retain(|run| run.engine == "vicino");
    let files = [ours];
    assert!(standing::table(&summary::sections(&files)).is_none(), "no peer, no standing");
}

#[test]
fn growth_is_a_power_of_the_rows() {
    let mut tenfold = read_small();
    tenfold.dataset.rows *= 10;
    tenfold.dataset.hash = "11ff".to_owned();
    for run in &mut tenfold.runs {
        run.qps /= 2.0;
        run.build.build_s *= 10.0;
        run.build.build_cpu_s = run.build.build_cpu_s.map(|seconds| seconds * 10.0);
    }
    // Given in any order. Twice the time at ten times the rows is a power of lg 2; hnswlib stands behind vicino, scann reaches nothing.
    let files = [tenfold, read_small()];
    let sections = sections(&files);
    let growth = Growth::of(&sections).unwrap();
    let expected = "\
| engine | build | µs 1,000 | µs 10,000 | exponent | build s 1,000 | build s 10,000 | exponent | build CPU s 1,000 | build CPU s 10,000 | exponent |
|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|
| vicino | m=16 ef_construction=200 | 84.1 | 168 | 0.30 | 2.00 | 20.0 | 1.00 | 3.50 | 35.0 | 1.00 |
| hnswlib | m=16 ef_construction=200 | 158 | 316 | 0.30 | 4.00 | 40.0 | 1.00 | – | – | – |
| scann | leaves=300 | – | – | – | 8.00 | 80.0 | 1.00 | – | – | – |
";
    assert_eq!(growth.table().markdown(), expected);
    let plots = growth.plots();
    assert_eq!(plots.iter().map(|plot| plot.0).collect::<Vec<_>>(), ["query", "build", "build-cpu"]);
    assert!(plots[0].1.contains("hnswlib n^0.30") && !plots[0].1.contains("engine-scann"));
    assert!(plots[1].1.contains("scann n^1.00"));

    let message = |files: &[Results]| Growth::of(&summary::sections(files)).map(|_| ()).unwrap_err().to_string();
    assert_eq!(message(&files[..1]), "expected results of at least 2 numbers of rows, found 1");
    let mut other = read_small();
    other.k = 100;
    assert_eq!(message(&[files[0].clone(), other]), "k: expected the same in all files, found 10 and 100");
}

#[test]
fn a_comparison_marks_losses_and_what_is_missing() {
    let old = read_small();
    let same = compare(&old, &old).unwrap();
    assert_eq!((same.losses, same.notes.len()), (0, 0));
    assert!(
        same.table.markdown().contains("| vicino | m=16 ef_construction=200 | 1.00× | 1.00× | 1.00× | – | 1.00× |")
    );

    // hnswlib's cheapest setting exceeds .90: its speed there is a bound, and bounds are not compared.
    assert!(same.table.markdown().contains("| hnswlib | m=16 ef_construction=200 | – | 1.00× | – | – |"));

    let mut new = read_small();
    new.runs.retain(|run| run.engine != "scann" && run.recall < 0.99);
    for run in new.runs.iter_mut().filter(|run| run.engine == "vicino") {
        run.qps *= 0.5;
    }
    let comparison = compare(&old, &new).unwrap();
    let text = comparison.table.markdown();
    assert!(text.contains("| 0.50× LOSS | 0.50× LOSS | no longer reached LOSS | – |"), "{text}");
    assert_eq!(comparison.losses, 3);
    assert_eq!(comparison.notes, ["only in the first file: scann leaves=300"]);

    new.k = 100;
    let Err(error) = compare(&old, &new) else { panic!("k differs") };
    assert!(error.to_string().contains("k = 10") && error.to_string().contains("k = 100"), "{error}");
}

#[test]
fn results_survive_the_disk_and_foreign_files_are_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("r.json");
    read_small().write(&path).unwrap();
    assert_eq!(Results::read(&path).unwrap(), read_small());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no part file is left");
    fs::write(&path, r#"{"schema": 99}"#).unwrap();
    assert!(Results::read(&path).unwrap_err().to_string().ends_with("layout version 99; this build reads 1"));
    fs::write(&path, "[1, 2").unwrap();
    assert!(Results::read(&path).unwrap_err().to_string().contains("not a results file"));
}
