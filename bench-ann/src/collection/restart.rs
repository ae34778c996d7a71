//! From a closed collection to its first answer: with all points in segments, and with a log that is to be read.

use std::time::Instant;

use anyhow::{Result, ensure};
use vicino_index::collection::{Search, SharedCollection};

use super::figures::{Findings, Times, ms};
use super::{Bench, open};

/// Restarts, of which the median is reported.
const RESTARTS: usize = 5;

/// Points that are only in the log, not so many that they are sealed.
const LOGGED: usize = 40_000;

pub(super) fn measure(bench: &Bench<'_>, findings: &mut Findings) -> Result<()> {
    let collection = bench.open()?;
    let points = collection.read().len();
    let what =
        format!("restart of {points} points to the first answer, every checksum verified, files in the page cache");
    let collection = again(bench, collection, findings, what, ("≤ 1 s for 1,000,000 × 128", 1.0))?;
    (bench.say)("writing a log");
    for first in (0..LOGGED).step_by(bench.settings.batch) {
        let ids = first..LOGGED.min(first + bench.settings.batch);
        let ids: std::collections::BTreeSet<usize> = ids.map(|id| id % points).collect();
        collection.write(bench.upsert(ids.into_iter().map(|id| id as u64), |id| (id as usize + 1) % points))?;
    }
    let what = format!("the same with {LOGGED} points in the log alone, as a crash leaves it");
    again(bench, collection, findings, what, ("≤ 2 s", 2.0)).map(drop)
}

/// Closes the collection and opens it again, a few times.
fn again(
    bench: &Bench<'_>,
    mut collection: SharedCollection,
    findings: &mut Findings,
    what: String,
    (goal, seconds): (&str, f64),
) -> Result<SharedCollection> {
    let (points, sum) = (collection.read().len(), collection.read().sum());
    let (mut opened, mut answered) = (Times::default(), Times::default());
    for number in 0..RESTARTS {
        drop(collection);
        let started = Instant::now();
        collection = open(&bench.home())?;
        opened.push(started.elapsed());
        let found = collection.read().search(bench.query(number), Search::new(bench.settings.k))?.len();
        answered.push(started.elapsed());
        ensure!(found == bench.settings.k.min(points) && collection.read().sum() == sum, "not what was stored");
    }
    let (open, answer) = (opened.quantile(0.5), answered.quantile(0.5));
    findings
        .add(what, format!("{}, of which {} to open (median of {RESTARTS})", ms(answer), ms(open)))
        .times(&answered)
        .goal(goal, answer.as_secs_f64() <= seconds);
    Ok(collection)
}
