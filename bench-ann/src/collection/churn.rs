//! Rounds in which a twentieth of the points is replaced, and what is left of it beside a collection built afresh of the same points.
//!
//! Both are compared as the background leaves them, and again when both are compacted. Recall is counted against exact search, a tie
//! with the last true neighbour as right; speeds are taken in turn.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use vicino_index::collection::{Change, Collection, Payload, Point, Search, SharedCollection};
use vicino_index::{BuildOptions, Effort, PointId};

use super::figures::{Findings, mb};
use super::{Bench, load, open, segments};
use crate::machine::kilobytes;
use crate::results::median;

/// Times that each collection answers all queries, in turn.
const REPEATS: usize = 5;

/// A collection and the name of its folder.
type Kept = (SharedCollection, &'static str);

/// SplitMix64: which points are replaced, and by which rows.
fn draw(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) % below
}

pub(super) fn measure(bench: &Bench<'_>, findings: &mut Findings) -> Result<()> {
    let worn = bench.create("worn")?;
    load::fill(bench, &worn, bench.settings.churn_rows)?;
    wear(bench, &worn, findings)?;
    let fresh = bench.create("fresh")?;
    (bench.say)("building afresh");
    copy(&worn.read(), &fresh, bench.settings.batch)?;
    fresh.checkpoint()?;
    fresh.settle()?;
    let (points, expected) = (fresh.read().len(), worn.read().len());
    ensure!(points == expected, "{points} points, expected {expected}");
    (bench.say)("finding the true neighbours");
    let farthest = farthest(bench, &fresh.read())?;
    let mut both: [Kept; 2] = [(worn, "worn"), (fresh, "fresh")];
    for (state, compact) in [("as the background leaves both", false), ("both compacted", true)] {
        (bench.say)(&format!("comparing, {state}"));
        if compact {
            both.iter().try_for_each(|(collection, _)| collection.compact(&BuildOptions::default()))?;
        }
        let what = both.each_ref().map(|(collection, name)| format!("{name}: {}", segments(collection)));
        let dead = both[0].0.read().rows() - points;
        let words = format!("{}; {dead} rows of the worn one dead", what.join("; "));
        findings.add(format!("segments, {state}"), words).value("dead_rows", dead as f64);
        for &ef in &bench.settings.ef {
            compare(bench, (state, ef), both.each_ref().map(|(collection, _)| collection), &farthest, findings)?;
        }
        both = sizes(bench, state, both, findings)?;
    }
    Ok(())
}

/// Replaces a twentieth of the points, round after round; then does what is due.
fn wear(bench: &Bench<'_>, worn: &SharedCollection, findings: &mut Findings) -> Result<()> {
    let (settings, pool) = (bench.settings, bench.data.info.rows as u64);
    let (rows, rounds, batch) = (settings.churn_rows as u64, settings.rounds, settings.batch as u64);
    let (mut state, mut written, started) = (1, 0, Instant::now());
    for round in 1..=rounds {
        for first in (0..rows / 20).step_by(settings.batch) {
            // Points get the vectors of others, so that the nearest are other ones after it.
            let shift = draw(&mut state, pool);
            let wanted = batch.min(rows / 20 - first) as usize;
            let mut ids = BTreeSet::new();
            while ids.len() < wanted {
                ids.insert(draw(&mut state, rows));
            }
            written += ids.len();
            worn.write(bench.upsert(ids.into_iter(), |id| ((id + shift) % pool) as usize))?;
        }
        if round % rounds.div_ceil(10) == 0 {
            (bench.say)(&format!("churning: {round} of {rounds} rounds"));
        }
    }
    let rate = written as f64 / started.elapsed().as_secs_f64();
    (bench.say)("sealing and merging what is due");
    let settling = Instant::now();
    worn.checkpoint()?;
    worn.settle()?;
    let seconds = settling.elapsed().as_secs_f64();
    findings
        .add(
            format!("{rounds} rounds, in each 5 % of {rows} points replaced"),
            format!("{written} points at {rate:.0} points/s, then {seconds:.1} s until nothing was due"),
        )
        .value("points", written as f64)
        .value("points_per_second", rate)
        .value("settling_seconds", seconds);
    Ok(())
}

/// Stores all points of `view` in `fresh`, in the order of ids.
fn copy(view: &Collection, fresh: &SharedCollection, batch: usize) -> Result<()> {
    let mut points = view.scroll(PointId::FIRST);
    loop {
        let some = points.by_ref().take(batch);
        let some = some.map(|point| Point { id: point.id(), vectors: point.vectors(), payload: Payload::new() });
        let some: Vec<Point> = some.collect();
        if some.is_empty() {
            return Ok(());
        }
        fresh.write(Change::Upsert(some))?;
    }
}

/// The score of the last true neighbour of each query.
fn farthest(bench: &Bench<'_>, collection: &Collection) -> Result<Vec<f32>> {
    let last = |number| {
        let exact = Search { exact: true, ..Search::new(bench.settings.k) };
        let found = collection.search(bench.query(number), exact)?;
        Ok(found.last().context("a collection with points")?.score)
    };
    (0..bench.data.info.queries).map(last).collect()
}

/// Recall and speed of both, in turn.
fn compare(
    bench: &Bench<'_>,
    (state, ef): (&str, usize),
    both: [&SharedCollection; 2],
    farthest: &[f32],
    findings: &mut Findings,
) -> Result<()> {
    let (k, search) = (bench.settings.k, bench.search(ef));
    let recall = |collection: &Collection| -> Result<f64> {
        let metric = collection.schema().vectors.metric("").context("a vector without a name")?;
        let larger_is_nearer = metric.larger_is_nearer();
        let mut right = 0;
        for (number, &farthest) in farthest.iter().enumerate() {
            let near = |score: f32| if larger_is_nearer { score >= farthest } else { score <= farthest };
            right += collection.search(bench.query(number), search)?.iter().filter(|found| near(found.score)).count();
        }
        Ok(right as f64 / (farthest.len() * k) as f64)
    };
    let speed = |collection: &Collection| -> Result<f64> {
        let started = Instant::now();
        for number in 0..farthest.len() {
            collection.search(bench.query(number), search)?;
        }
        Ok(farthest.len() as f64 / started.elapsed().as_secs_f64())
    };
    let [worn, fresh] = both.map(SharedCollection::read);
    let (worn_recall, fresh_recall) = (recall(&worn)?, recall(&fresh)?);
    let (mut worn_speeds, mut fresh_speeds) = (Vec::new(), Vec::new());
    for _ in 0..REPEATS {
        worn_speeds.push(speed(&worn)?);
        fresh_speeds.push(speed(&fresh)?);
    }
    let (worn_speed, fresh_speed) = (median(&worn_speeds), median(&fresh_speeds));
    let ratio = worn_speed / fresh_speed;
    findings
        .add(
            format!("recall@{k} and queries/s at ef {ef}, one thread, {state}"),
            format!(
                "recall {worn_recall:.4}, fresh {fresh_recall:.4}; {worn_speed:.0} queries/s, fresh {fresh_speed:.0}: {ratio:.2} ×"
            ),
        )
        .value("recall", worn_recall)
        .value("fresh_recall", fresh_recall)
        .value("qps", worn_speed)
        .value("fresh_qps", fresh_speed)
        .goal("recall within .01, speed within 10 %", worn_recall >= fresh_recall - 0.01 && ratio >= 0.9);
    Ok(())
}

/// Bytes of files and memory of both, which are closed for it and opened again.
fn sizes(bench: &Bench<'_>, state: &str, both: [Kept; 2], findings: &mut Findings) -> Result<[Kept; 2]> {
    let names = both.map(|(_, name)| name);
    let homes = names.map(|name| bench.settings.dir.join(name));
    let files = [folder_bytes(&homes[0])?, folder_bytes(&homes[1])?];
    let memory = [ask_resident(bench, &homes[0])?, ask_resident(bench, &homes[1])?];
    let resident = "resident memory of a process that opens it and answers all queries";
    for (what, [worn, fresh]) in [("files", files), (resident, memory)] {
        let ratio = worn as f64 / fresh.max(1) as f64;
        findings
            .add(format!("{what}, {state}"), format!("{}, fresh {}: {ratio:.2} ×", mb(worn), mb(fresh)))
            .value("bytes", worn as f64)
            .value("fresh_bytes", fresh as f64)
            .goal("≤ 1.5 × fresh", ratio <= 1.5);
    }
    let [worn, fresh] = [open(&homes[0])?, open(&homes[1])?];
    Ok([(worn, names[0]), (fresh, names[1])])
}

fn folder_bytes(home: &Path) -> Result<u64> {
    let entries = std::fs::read_dir(home).with_context(|| format!("cannot list {}", home.display()))?;
    entries.map(|entry| Ok(entry?.metadata()?.len())).sum()
}

/// Asks a process of its own how much memory the collection in `home` takes.
fn ask_resident(bench: &Bench<'_>, home: &Path) -> Result<u64> {
    let settings = bench.settings;
    let queries = settings.dir.join("queries.f32");
    std::fs::write(&queries, bytemuck::cast_slice(bench.data.vectors().queries))?;
    let mut command = Command::new(&settings.own);
    command.arg("resident").arg(home).arg(&queries);
    let output = command.args([settings.k.to_string(), settings.ef[0].to_string()]).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse()?)
}

/// Opens the collection in `home`, searches it for every query in the file, and returns the bytes this process then has in memory.
pub fn resident(home: &Path, queries: &Path, k: usize, ef: usize) -> Result<u64> {
    let collection = open(home)?;
    let view = collection.read();
    let bytes = std::fs::read(queries)?;
    let queries: Vec<f32> = bytes.chunks_exact(4).map(bytemuck::pod_read_unaligned).collect();
    let spec = view.schema().vectors.unnamed().context("a vector without a name")?;
    for query in queries.chunks_exact(spec.dim()) {
        view.search(query, Search { effort: Some(Effort::Beam(ef)), ..Search::new(k) })?;
    }
    kilobytes(&std::fs::read_to_string("/proc/self/status")?, "VmRSS").context("the system does not say")
}
