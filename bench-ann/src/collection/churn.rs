//! Rounds in which a twentieth of the points is replaced, and what is left of it beside a collection built afresh of the same points.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use vicino_index::collection::{Change, Collection, Options, Payload, Point, Search, SharedCollection};
use vicino_index::vfs::RealFs;
use vicino_index::{BuildOptions, Effort, PointId};

use super::figures::{Report, mb};
use super::{Settings, create, fresh_folder, query, upsert};
use crate::data::Data;
use crate::machine::kilobytes;

/// Times that each collection answers all queries, in turn.
const REPEATS: usize = 5;

/// SplitMix64: which points are replaced, and by which rows.
fn draw(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) % below
}

pub(super) fn wear(
    data: &Data,
    settings: &Settings,
    worn: SharedCollection,
    home: &Path,
    report: &mut Report,
    say: &dyn Fn(&str),
) -> Result<()> {
    let (rows, mut state) = (data.info.rows as u64, 1);
    for round in 0..settings.rounds {
        for _ in (0..rows / 20).step_by(settings.batch) {
            // Points get the vectors of others, so that the nearest are other ones after it.
            let shift = draw(&mut state, rows);
            let ids: std::collections::BTreeSet<u64> = (0..settings.batch).map(|_| draw(&mut state, rows)).collect();
            worn.write(upsert(data, ids.into_iter(), |id| ((id + shift) % rows) as usize))?;
        }
        if round % 10 == 9 {
            say(&format!("churning: {} of {} rounds", round + 1, settings.rounds));
        }
    }
    worn.checkpoint()?;
    worn.settle()?;
    let fresh_home = fresh_folder(&settings.dir, "fresh")?;
    let fresh = create(data, settings, &fresh_home)?;
    let view = worn.read();
    copy(&view, &fresh, settings.batch)?;
    fresh.compact(&BuildOptions::default())?;
    ensure!(fresh.read().len() == view.len(), "{} points of {}", fresh.read().len(), view.len());
    report.add(
        format!("segments after {} rounds of 5 % replaced", settings.rounds),
        format!("{}, {} of {} rows dead", view.segments().count(), view.rows() - view.len(), view.rows()),
        "–",
    );
    for &ef in &settings.ef {
        compare(data, settings, ef, &worn.read(), &fresh.read(), report)?;
    }
    drop((view, worn, fresh));
    let (files, fresh_files) = (folder_bytes(home)?, folder_bytes(&fresh_home)?);
    report.add("files after the churn", beside(files, fresh_files), "≤ 1.5 × fresh");
    let (memory, fresh_memory) = (ask_resident(data, settings, home)?, ask_resident(data, settings, &fresh_home)?);
    report.add(
        "resident memory of a process that opens it and answers all queries",
        beside(memory, fresh_memory),
        "≤ 1.5 × fresh",
    );
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

fn beside(worn: u64, fresh: u64) -> String {
    format!("{}, fresh {}: {:.2} ×", mb(worn), mb(fresh), worn as f64 / fresh.max(1) as f64)
}

/// Recall against exact search and speed, in turn.
fn compare(
    data: &Data,
    settings: &Settings,
    ef: usize,
    worn: &Collection,
    fresh: &Collection,
    report: &mut Report,
) -> Result<()> {
    let queries = data.info.queries;
    let search = Search { effort: Some(Effort::Beam(ef)), ..Search::new(settings.k) };
    let recall = |collection: &Collection| -> Result<f64> {
        let metric = collection.schema().vectors.metric("").context("a vector without a name")?;
        let larger_is_nearer = metric.larger_is_nearer();
        let mut right = 0;
        for number in 0..queries {
            let exact = collection.search(query(data, number), Search { exact: true, ..search })?;
            let farthest = exact.last().map_or(0.0, |found| found.score);
            let near = |score: f32| if larger_is_nearer { score >= farthest } else { score <= farthest };
            right += collection.search(query(data, number), search)?.iter().filter(|found| near(found.score)).count();
        }
        Ok(right as f64 / (queries * settings.k) as f64)
    };
    let speed = |collection: &Collection| -> Result<f64> {
        let started = Instant::now();
        for number in 0..queries {
            collection.search(query(data, number), search)?;
        }
        Ok(queries as f64 / started.elapsed().as_secs_f64())
    };
    let (worn_recall, fresh_recall) = (recall(worn)?, recall(fresh)?);
    let (mut worn_speeds, mut fresh_speeds) = (Vec::new(), Vec::new());
    for _ in 0..REPEATS {
        worn_speeds.push(speed(worn)?);
        fresh_speeds.push(speed(fresh)?);
    }
    let median = |mut speeds: Vec<f64>| {
        speeds.sort_by(f64::total_cmp);
        speeds[speeds.len() / 2]
    };
    let (worn_speed, fresh_speed) = (median(worn_speeds), median(fresh_speeds));
    let k = settings.k;
    report.add(
        format!("recall@{k} and queries/s at ef {ef}, one thread, beside a fresh build"),
        format!(
            "recall {worn_recall:.4}, fresh {fresh_recall:.4}; {worn_speed:.0} queries/s, fresh {fresh_speed:.0}: {:.2} ×",
            worn_speed / fresh_speed
        ),
        "recall within .01, speed within 10 %",
    );
    Ok(())
}

fn folder_bytes(home: &Path) -> Result<u64> {
    let entries = std::fs::read_dir(home).with_context(|| format!("cannot list {}", home.display()))?;
    entries.map(|entry| Ok(entry?.metadata()?.len())).sum()
}

/// Asks a process of its own how much memory the collection in `home` takes.
fn ask_resident(data: &Data, settings: &Settings, home: &Path) -> Result<u64> {
    let queries = settings.dir.join("queries.f32");
    std::fs::write(&queries, bytemuck::cast_slice(data.vectors().queries))?;
    let mut command = Command::new(&settings.own);
    command.arg("resident").arg(home).arg(&queries);
    let output = command.args([settings.k.to_string(), settings.ef[0].to_string()]).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse()?)
}

/// Opens the collection in `home`, searches it for every query in the file, and returns the bytes this process then has in memory.
pub fn resident(home: &Path, queries: &Path, k: usize, ef: usize) -> Result<u64> {
    let collection = SharedCollection::open(Arc::new(RealFs), home, Options::default())?;
    let view = collection.read();
    let bytes = std::fs::read(queries)?;
    let queries: Vec<f32> = bytes.chunks_exact(4).map(bytemuck::pod_read_unaligned).collect();
    let spec = view.schema().vectors.unnamed().context("a vector without a name")?;
    for query in queries.chunks_exact(spec.dim()) {
        view.search(query, Search { effort: Some(Effort::Beam(ef)), ..Search::new(k) })?;
    }
    kilobytes(&std::fs::read_to_string("/proc/self/status")?, "VmRSS").context("the system does not say")
}
