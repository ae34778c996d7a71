//! A restart to its first answer, and how long searches take: with nothing else to do, and while points come in and segments are merged.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use vicino_index::Effort;
use vicino_index::collection::{Options, Search, SharedCollection};
use vicino_index::vfs::RealFs;

use super::figures::{Report, Times, ms};
use super::{Settings, query, upsert};
use crate::data::Data;

/// Restarts, of which the median is reported.
const RESTARTS: usize = 5;

/// Closes the collection and opens it again, a few times.
pub(super) fn restart(
    data: &Data,
    settings: &Settings,
    mut collection: SharedCollection,
    home: &Path,
    report: &mut Report,
) -> Result<SharedCollection> {
    collection.checkpoint()?;
    let (points, sum) = (collection.read().len(), collection.read().sum());
    let (mut opened, mut answered) = (Times::default(), Times::default());
    for number in 0..RESTARTS {
        drop(collection);
        let started = Instant::now();
        collection = SharedCollection::open(Arc::new(RealFs), home, Options::default())?;
        opened.push(started.elapsed());
        let found = collection.read().search(query(data, number), Search::new(settings.k))?.len();
        answered.push(started.elapsed());
        ensure!(found == settings.k.min(points) && collection.read().sum() == sum, "not what was stored");
    }
    let [open, answer] = [opened, answered].map(|times| ms(times.quantile(0.5)));
    let what =
        format!("restart of {points} points to the first answer, every checksum verified, files in the page cache");
    report.add(what, format!("{answer}, of which {open} to open (median of {RESTARTS})"), "1 s for 1,000,000 × 128");
    Ok(collection)
}

/// Searches one after the other for so many seconds.
fn search_for(data: &Data, settings: &Settings, collection: &SharedCollection) -> Result<Times> {
    let (ended, mut times) = (Instant::now() + Duration::from_secs_f64(settings.seconds), Times::default());
    let search = Search { effort: Some(Effort::Beam(settings.ef[0])), ..Search::new(settings.k) };
    while Instant::now() < ended {
        let query = query(data, times.len());
        let called = Instant::now();
        let view = collection.read();
        let found = view.search(query, search)?.len();
        times.push(called.elapsed());
        ensure!(found == settings.k.min(view.len()), "{found} points found");
    }
    Ok(times)
}

/// Latencies idle, and with points coming in at a steady rate.
pub(super) fn latencies(
    data: &Data,
    settings: &Settings,
    collection: &SharedCollection,
    report: &mut Report,
) -> Result<()> {
    search_for(data, settings, collection)?;
    let idle = search_for(data, settings, collection)?;
    report.add(format!("one search, ef {}, idle", settings.ef[0]), idle.words(), "–");
    let (stop, written) = (AtomicBool::new(false), AtomicUsize::new(0));
    let before: Vec<u64> = collection.read().segments().map(|segment| segment.number).collect();
    let busy = std::thread::scope(|scope| {
        let ingest = scope.spawn(|| -> Result<()> {
            // A tenth of a second's points at a time, replacing old ones.
            let (each, started) = (settings.ingest.div_ceil(10), Instant::now());
            for round in 1.. {
                let first = (round * each) as u64;
                let rows = data.info.rows as u64;
                collection.write(upsert(data, (first..first + each as u64).map(|id| id % rows), |id| id as usize))?;
                written.fetch_add(each, Ordering::Relaxed);
                while started.elapsed() < Duration::from_millis(100 * round as u64) {
                    if stop.load(Ordering::Relaxed) {
                        return Ok(());
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
            Ok(())
        });
        // What is merged meanwhile: everything, on the threads of the background.
        let merge = scope.spawn(|| collection.compact(&vicino_index::BuildOptions { threads: 1, progress: None }));
        let busy = search_for(data, settings, collection);
        stop.store(true, Ordering::Relaxed);
        ingest.join().expect("a writer that does not panic")?;
        merge.join().expect("a merge that does not panic")?;
        busy
    })?;
    let ratio = busy.quantile(0.99).as_secs_f64() / idle.quantile(0.99).as_secs_f64().max(1e-9);
    let after: Vec<u64> = collection.read().segments().map(|segment| segment.number).collect();
    let rate = written.into_inner() as f64 / settings.seconds;
    let changed = if before == after { "no segment changed" } else { "segments changed meanwhile" };
    report.add(
        format!(
            "one search, ef {}, beside {rate:.0} points/s coming in and all segments merged on one thread",
            settings.ef[0]
        ),
        format!("{}; p99 {ratio:.2} × idle; {changed}", busy.words()),
        "p99 ≤ 2 × idle",
    );
    Ok(())
}
