//! Durable writes: in batches, one by one, and by many at once. Each is on disk when its call returns.

use std::time::Instant;

use anyhow::{Result, ensure};
use vicino_index::collection::SharedCollection;

use super::figures::{Report, Times};
use super::{Settings, upsert};
use crate::data::Data;

/// All rows, in batches; then what is due of sealing and merging.
pub(super) fn all(data: &Data, settings: &Settings, collection: &SharedCollection, report: &mut Report) -> Result<()> {
    let rows = data.info.rows as u64;
    let (started, mut times) = (Instant::now(), Times::default());
    for first in (0..rows).step_by(settings.batch) {
        let batch = upsert(data, first..rows.min(first + settings.batch as u64), |id| id as usize);
        let called = Instant::now();
        collection.write(batch)?;
        times.push(called.elapsed());
    }
    let seconds = started.elapsed().as_secs_f64();
    ensure!(collection.read().len() as u64 == rows, "{} points of {rows}", collection.read().len());
    let batch = settings.batch;
    report.add(
        format!("{rows} points in durable batches of {batch}, while segments are sealed and merged"),
        format!("{:.0} points/s; a batch {}", rows as f64 / seconds, times.words()),
        "50,000 points/s",
    );
    let started = Instant::now();
    collection.checkpoint()?;
    collection.settle()?;
    let view = collection.read();
    let segments = view.segments().map(|segment| format!("{} {}", segment.live(), segment.kind));
    report.add(
        "until nothing is due to be sealed or merged",
        format!("{:.1} s; segments: {}", started.elapsed().as_secs_f64(), segments.collect::<Vec<_>>().join(", ")),
        "–",
    );
    Ok(())
}

/// Changes of one point each: by one writer, then by many.
pub(super) fn singles(
    data: &Data,
    settings: &Settings,
    collection: &SharedCollection,
    report: &mut Report,
) -> Result<()> {
    let rows = data.info.rows;
    let write = |writer: usize, changes: usize| -> Result<Times> {
        let mut times = Times::default();
        for number in 0..changes {
            let id = ((writer * 7919 + number * 31) % rows) as u64;
            let change = upsert(data, std::iter::once(id), |id| id as usize);
            let called = Instant::now();
            collection.write(change)?;
            times.push(called.elapsed());
        }
        Ok(times)
    };
    let times = write(0, settings.singles)?;
    report.add("one durable upsert, one writer", times.words(), "p50 ≤ 1 ms, p99 ≤ 10 ms");
    let (writers, each) = settings.writers;
    let started = Instant::now();
    let mut times = Times::default();
    let outcomes: Vec<Result<Times>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..writers).map(|writer| scope.spawn(move || write(writer, each))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a writer that does not panic")).collect()
    });
    for outcome in outcomes {
        times.extend(outcome?);
    }
    let rate = times.len() as f64 / started.elapsed().as_secs_f64();
    report.add(
        format!("{writers} writers, one durable upsert a call"),
        format!("{rate:.0} upserts/s; {}", times.words()),
        "5,000 upserts/s",
    );
    Ok(())
}
