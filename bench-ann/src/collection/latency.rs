//! How long searches take: with nothing else to do, beside writers, while deleted points are compacted away, and while a bulk load is merged.
//!
//! One thread searches, each search begun when the last is answered, by the views that callers get. The writers are users' too: in
//! durable batches, as fast as they are taken or at a steady rate. What they write falls due, and the collection's own threads see to it at
//! their low priority. On few cores they all compete, so the report says how much the background ran and how long the searching thread
//! waited for a processor: what is above idle by no more than that wait is not the collection's doing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use vicino_index::PointId;
use vicino_index::collection::{Change, SharedCollection};

use super::background::{background, waited};
use super::figures::{Findings, Times};
use super::{Bench, segments};

/// How points come in meanwhile.
#[derive(Debug, Clone, Copy)]
enum Writer {
    None,
    /// So many points a second, a tenth of them every tenth of a second.
    Steady(usize),
    /// Batches of so many, one after the other.
    Full(usize),
    /// Deletes every [`DELETED`]th point in batches of so many, and so makes a compaction due.
    Deletes(usize),
}

/// One point of so many is deleted: more than a segment keeps dead rows of.
const DELETED: usize = 4;

/// What was seen in one state.
struct Seen {
    times: Times,
    points_per_second: f64,
    /// Of one processor, as far as the system says.
    background: Option<f64>,
    waited: Option<f64>,
    before: Segments,
    after: Segments,
}

/// What a collection consists of.
struct Segments {
    numbers: Vec<u64>,
    /// Live points that no graph finds.
    scanned: usize,
}

impl Segments {
    fn of(collection: &SharedCollection) -> Self {
        let view = collection.read();
        let segments: Vec<_> = view.segments().collect();
        Segments {
            numbers: segments.iter().map(|segment| segment.number).collect(),
            scanned: segments.iter().map(|segment| segment.vectors - segment.indexed).sum(),
        }
    }
}

pub(super) fn measure(bench: &Bench<'_>, findings: &mut Findings) -> Result<()> {
    let collection = bench.open()?;
    let (ef, batch, ingest) = (bench.settings.ef[0], bench.settings.batch, bench.settings.ingest);
    (bench.say)("warming up");
    search_for(bench, &collection, bench.settings.seconds.min(5.0))?;
    let mut idle = None;
    let mut measure = |state: &str, writer, bounded: bool| -> Result<()> {
        (bench.say)(&format!("searching, {state}"));
        let seen = beside(bench, &collection, writer)?;
        let p99 = seen.times.quantile(0.99).as_secs_f64();
        let ratio = p99 / idle.get_or_insert(p99).max(1e-9);
        let finding = findings.add(format!("one search, ef {ef}, {state}"), words(&seen, writer, ratio));
        finding.times(&seen.times).value("points_per_second", seen.points_per_second).value("p99_by_idle", ratio);
        finding.value("scanned_points", seen.after.scanned as f64);
        for (name, part) in [("background_processors", seen.background), ("waited_for_processor", seen.waited)] {
            if let Some(part) = part {
                finding.value(name, part);
            }
        }
        if bounded {
            finding.goal("p99 ≤ 2 × idle", ratio <= 2.0);
        }
        Ok(())
    };
    measure("idle", Writer::None, false)?;
    measure(&format!("beside {ingest} points/s"), Writer::Steady(ingest), true)?;
    measure(&format!("one point of {DELETED} deleted, while the rest is compacted"), Writer::Deletes(batch), true)?;
    measure(&format!("beside {ingest} points/s while it is compacted"), Writer::Steady(ingest), true)?;
    (bench.say)("compacting to the end");
    collection.settle()?;
    measure(&format!("beside batches of {batch}, one after the other"), Writer::Full(batch), false)?;
    // What the writer at full speed has left keeps the background at work.
    measure("while that is merged", Writer::None, false)?;
    measure(&format!("beside {ingest} points/s while that is merged"), Writer::Steady(ingest), true)?;
    (bench.say)(&format!("segments: {}", segments(&collection)));
    Ok(())
}

fn words(seen: &Seen, writer: Writer, ratio: f64) -> String {
    let mut text = seen.times.words();
    if let Writer::Steady(_) | Writer::Full(_) = writer {
        text += &format!("; {:.0} points/s written", seen.points_per_second);
    }
    text += &format!("; p99 {ratio:.2} × idle");
    if let (Some(background), Some(waited)) = (seen.background, seen.waited) {
        let (background, waited) = (background * 100.0, waited * 100.0);
        text += &format!(
            "; background on a processor {background:.0} % of the time, this thread waiting for one {waited:.1} %"
        );
    }
    let Seen { before, after, .. } = seen;
    let new = after.numbers.iter().filter(|number| !before.numbers.contains(number)).count();
    text += &format!("; {new} of {} segments new", after.numbers.len());
    text + &format!("; points without a graph: {} before, {} after", before.scanned, after.scanned)
}

/// Searches while `writer` writes.
fn beside(bench: &Bench<'_>, collection: &SharedCollection, writer: Writer) -> Result<Seen> {
    let (before, ran_before, waited_before) = (Segments::of(collection), background(), waited());
    let (started, stop) = (Instant::now(), AtomicBool::new(false));
    let (times, written) = std::thread::scope(|scope| {
        let writing = scope.spawn(|| write(bench, collection, writer, &stop));
        let times = search_for(bench, collection, bench.settings.seconds);
        stop.store(true, Ordering::Relaxed);
        (times, writing.join().expect("a writer that does not panic"))
    });
    let seconds = started.elapsed().as_secs_f64();
    let part =
        |now: Option<Duration>, before: Option<Duration>| Some(now?.saturating_sub(before?).as_secs_f64() / seconds);
    Ok(Seen {
        times: times?,
        points_per_second: written? as f64 / seconds,
        background: part(background(), ran_before),
        waited: part(waited(), waited_before),
        before,
        after: Segments::of(collection),
    })
}

/// Writes until it is told to stop, and says how many points: replaces them by rows of other ones, or deletes them.
fn write(bench: &Bench<'_>, collection: &SharedCollection, writer: Writer, stop: &AtomicBool) -> Result<usize> {
    let (rows, started, mut written) = (bench.data.info.rows, Instant::now(), 0);
    let (each, pause) = match writer {
        Writer::None => return Ok(0),
        Writer::Deletes(batch) => return delete(collection, rows, batch),
        Writer::Steady(rate) => (rate.div_ceil(10), Some(Duration::from_millis(100))),
        Writer::Full(batch) => (batch, None),
    };
    for round in 1.. {
        // Ids far apart, as those of changes are.
        let ids: std::collections::BTreeSet<u64> =
            (written..written + each).map(|number| (number * 7919 % rows) as u64).collect();
        collection.write(bench.upsert(ids.into_iter(), |id| (id as usize + 1) % rows))?;
        written += each;
        while let Some(pause) = pause.filter(|pause| started.elapsed() < *pause * round) {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            std::thread::sleep((pause * round).saturating_sub(started.elapsed()).min(Duration::from_millis(20)));
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    Ok(written)
}

/// Deletes every [`DELETED`]th of `rows` points; how many.
fn delete(collection: &SharedCollection, rows: usize, batch: usize) -> Result<usize> {
    let ids: Vec<PointId> = (0..rows as u64).step_by(DELETED).map(PointId::from).collect();
    for batch in ids.chunks(batch) {
        collection.write(Change::Delete(batch.to_vec()))?;
    }
    Ok(ids.len())
}

/// Searches one after the other for so many seconds.
fn search_for(bench: &Bench<'_>, collection: &SharedCollection, seconds: f64) -> Result<Times> {
    let (ended, mut times) = (Instant::now() + Duration::from_secs_f64(seconds), Times::default());
    let (search, k) = (bench.search(bench.settings.ef[0]), bench.settings.k);
    while Instant::now() < ended {
        let query = bench.query(times.len());
        let called = Instant::now();
        let view = collection.read();
        let found = view.search(query, search)?.len();
        let points = view.len();
        // Whoever reads a view lets go of it before the answer is sent.
        drop(view);
        times.push(called.elapsed());
        ensure!(found == k.min(points), "{found} points found");
    }
    Ok(times)
}
