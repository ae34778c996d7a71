//! Loss of power at every call of a workload: whatever subset of the unsynced changes gets to the disk, nothing acknowledged is lost,
//! nothing comes back, nothing is there by half, and the collection opens and goes on.
//!
//! `VICINO_CRASH_IMAGES=100000 cargo test --release -p vicino-index crash_images -- --nocapture` for more than the default;
//! `VICINO_CRASH_SEED` chooses the first workload.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::Random;
use super::workload::{Kind, Workload, create_as, file_system, open};
use crate::BuildOptions;
use crate::collection::SyncMode;
use crate::vfs::{Keep, SimFs};

/// How far a workload is, as its caller knows.
#[derive(Debug, Default)]
struct Ledger {
    /// Changes begun, and changes acknowledged.
    begun: AtomicUsize,
    acknowledged: AtomicUsize,
    /// Changes that a loss of power must not take back.
    safe: AtomicUsize,
}

/// Images looked at, and the first fault found.
#[derive(Debug, Default)]
struct Verdict {
    images: usize,
    recoveries: usize,
    fault: Option<String>,
}

/// Runs a workload of `changes` changes and looks at `subsets + 3` images before every call.
fn run(seed: u64, sync: SyncMode, changes: usize, subsets: u64) -> Result<(usize, usize), String> {
    let kind = Kind::ALL[seed as usize % Kind::ALL.len()];
    let workload = Arc::new(Workload::of(kind, seed, changes));
    let (ledger, verdict) = (Arc::new(Ledger::default()), Arc::new(Mutex::new(Verdict::default())));
    let fs = file_system();
    let collection = create_as(&fs, sync, kind)?;
    {
        let (workload, ledger, verdict) = (Arc::clone(&workload), Arc::clone(&ledger), Arc::clone(&verdict));
        fs.on_call(move |fs| {
            let mut verdict = verdict.lock();
            if verdict.fault.is_none() {
                let call = fs.calls();
                verdict.fault = look(fs, seed ^ (call << 20), sync, &workload, &ledger, subsets, &mut verdict)
                    .err()
                    .map(|fault| format!("seed {seed}, {sync:?}, before call {call}: {fault}"));
            }
        });
    }
    let mut random = Random(!seed);
    for (done, change) in workload.changes.iter().enumerate() {
        ledger.begun.store(done + 1, Ordering::Relaxed);
        let operation = collection.write(change.clone()).map_err(|error| error.to_string())?;
        assert_eq!(operation as usize, done + 1);
        ledger.acknowledged.store(done + 1, Ordering::Relaxed);
        if sync == SyncMode::Always {
            ledger.safe.store(done + 1, Ordering::Relaxed);
        }
        if random.below(8) == 0 {
            collection.checkpoint().map_err(|error| error.to_string())?;
            ledger.safe.store(done + 1, Ordering::Relaxed);
        }
        // Seals what has grown, builds graphs and merges.
        if random.below(4) == 0 {
            collection.tend().map_err(|error| error.to_string())?;
        }
        if random.below(20) == 0 {
            collection.compact(&BuildOptions::default()).map_err(|error| error.to_string())?;
            ledger.safe.store(done + 1, Ordering::Relaxed);
        }
    }
    drop(collection);
    let end = look(&fs, seed, sync, &workload, &ledger, subsets, &mut verdict.lock());
    let verdict = verdict.lock();
    match verdict.fault.clone() {
        Some(fault) => Err(fault),
        None => end.map(|()| (verdict.images, verdict.recoveries)),
    }
}

/// Opens what could be found after a crash now.
fn look(
    fs: &SimFs,
    seed: u64,
    sync: SyncMode,
    workload: &Workload,
    ledger: &Ledger,
    subsets: u64,
    verdict: &mut Verdict,
) -> Result<(), String> {
    let (begun, safe) = (ledger.begun.load(Ordering::Relaxed), ledger.safe.load(Ordering::Relaxed));
    let within = |found: usize, least: usize| {
        if (least..=begun).contains(&found) {
            Ok(found)
        } else {
            Err(format!("{found} changes, expected {least}..={begun}"))
        }
    };
    let chosen = (0..subsets).map(|subset| Keep::Some(seed + subset));
    for keep in [Keep::Nothing, Keep::Everything].into_iter().chain(chosen) {
        let context = |fault| format!("{keep:?}: {fault}");
        let image = fs.crash(keep);
        verdict.images += 1;
        let again = (seed ^ verdict.images as u64).is_multiple_of(61).then(|| image.crash(Keep::Everything));
        let found = open(&image, sync).and_then(|found| workload.position(&found)).map_err(context)?;
        within(found, safe).map_err(context)?;
        if let Some(image) = again {
            verdict.recoveries += 1;
            crash_in_recovery(&image, seed, sync, workload, found).map_err(context)?;
        }
    }
    // The process alone is killed: what it wrote is all there. Once that was read by anyone, power may not take it back.
    let killed = fs.kill();
    verdict.images += 1;
    let context = |fault| format!("killed: {fault}");
    let opened = open(&killed, sync).map_err(context)?;
    let found = workload.position(&opened).map_err(context)?;
    within(found, ledger.acknowledged.load(Ordering::Relaxed)).map_err(context)?;
    let read = open(&killed.crash(Keep::Nothing), sync).and_then(|found| workload.position(&found)).map_err(context)?;
    if read != found {
        return Err(format!("{found} changes were read after a kill, {read} after a loss of power"));
    }
    // And it goes on.
    if let Some(next) = workload.changes.get(found) {
        opened.write(next.clone()).map_err(|error| format!("killed: {error}"))?;
        let keep = if sync == SyncMode::Always { Keep::Nothing } else { Keep::Everything };
        let image = killed.crash(keep);
        drop(opened);
        let after = open(&image, sync).and_then(|found| workload.position(&found)).map_err(context)?;
        if after != found + 1 {
            return Err(format!("{after} changes after one more than {found}"));
        }
    }
    Ok(())
}

/// Power is lost at every call of a recovery that finds `expected` changes: each time the next one finds as many.
fn crash_in_recovery(
    image: &SimFs,
    seed: u64,
    sync: SyncMode,
    workload: &Workload,
    expected: usize,
) -> Result<(), String> {
    let images = Arc::new(Mutex::new(Vec::new()));
    let taken = Arc::clone(&images);
    image.on_call(move |fs| taken.lock().push(fs.crash(Keep::Some(seed ^ fs.calls()))));
    drop(open(image, sync)?);
    for (call, image) in images.lock().iter().enumerate() {
        let found = open(image, sync).and_then(|found| workload.position(&found));
        let found = found.map_err(|fault| format!("again before call {call} of the recovery: {fault}"))?;
        if found != expected {
            return Err(format!("{found} changes after a second crash, {expected} after the first"));
        }
    }
    Ok(())
}

/// A short run, for the mutants.
pub(super) fn suite() -> Result<(), String> {
    for sync in [SyncMode::Always, SyncMode::Os] {
        for seed in 0..3 {
            run(seed, sync, 30, 6)?;
        }
    }
    Ok(())
}

#[test]
fn crash_images() {
    let setting = |name, default| std::env::var(name).map_or(default, |value| value.parse().expect("a number"));
    let (wanted, first) = (setting("VICINO_CRASH_IMAGES", 10_000) as usize, setting("VICINO_CRASH_SEED", 100));
    let (mut images, mut recoveries, mut seed) = (0, 0, first);
    // Of every kind one at least.
    while images < wanted || (seed - first) < Kind::ALL.len() as u64 {
        // Two of three with a sync for each change.
        let sync = if seed % 3 == 2 { SyncMode::Os } else { SyncMode::Always };
        let (looked, recovered) = run(seed, sync, 30, 8).unwrap_or_else(|fault| panic!("{fault}"));
        (images, recoveries, seed) = (images + looked, recoveries + recovered, seed + 1);
    }
    println!(
        "{images} crash images of workloads {first}..{seed}, {recoveries} of them with a crash at every call of their recovery"
    );
    assert!(recoveries > 0);
}
