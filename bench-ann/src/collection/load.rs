//! All rows in durable batches, each of them on disk when its call returns; then what is due of sealing and merging.

use std::time::Instant;

use anyhow::{Result, ensure};
use vicino_index::collection::SharedCollection;

use super::figures::{Findings, Times};
use super::{Bench, segments};

pub(super) fn measure(bench: &Bench<'_>, findings: &mut Findings) -> Result<()> {
    let collection = bench.create("points")?;
    let rows = bench.data.info.rows;
    let (seconds, times) = fill(bench, &collection, rows)?;
    let (batch, rate) = (bench.settings.batch, rows as f64 / seconds);
    findings
        .add(
            format!("{rows} points in durable batches of {batch}, while segments are sealed and merged"),
            format!("{rate:.0} points/s; a batch {}", times.words()),
        )
        .times(&times)
        .value("points_per_second", rate)
        .goal("≥ 50,000 points/s", rate >= 50_000.0);
    (bench.say)("sealing and merging what is due");
    let started = Instant::now();
    collection.checkpoint()?;
    collection.settle()?;
    let seconds = started.elapsed().as_secs_f64();
    findings
        .add(
            "until nothing is due to be sealed or merged",
            format!("{seconds:.1} s; segments: {}", segments(&collection)),
        )
        .value("seconds", seconds);
    Ok(())
}

/// Stores the first `rows` rows under their numbers; seconds in all, and the time of each batch.
pub(super) fn fill(bench: &Bench<'_>, collection: &SharedCollection, rows: usize) -> Result<(f64, Times)> {
    let (started, mut times) = (Instant::now(), Times::default());
    for first in (0..rows).step_by(bench.settings.batch) {
        let next = rows.min(first + bench.settings.batch);
        let batch = bench.upsert(first as u64..next as u64, |id| id as usize);
        let called = Instant::now();
        collection.write(batch)?;
        times.push(called.elapsed());
        if first * 10 / rows != next * 10 / rows {
            (bench.say)(&format!("loading: {next} of {rows} points"));
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    ensure!(collection.read().len() == rows, "{} points of {rows}", collection.read().len());
    Ok((seconds, times))
}
