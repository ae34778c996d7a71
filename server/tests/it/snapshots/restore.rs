//! Restoring: what was is there again, under its name or another; a restore that fails, is cut short or killed leaves the old collection or
//! the new one, whole.

use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use vicino_index::collection::{Change, Options, Point, Upkeep};
use vicino_index::vfs::{Fault, FaultKind, Keep, RealFs};
use vicino_index::{BuildOptions, PointId};
use vicino_server::store::{Restore, Store};

use super::{REPLACE, State, archive_of, file_system, fill, name, point, simulated, state, write};
use crate::program::VICINO;

#[test]
fn a_snapshot_restores_what_was_under_its_name_and_others() {
    let dir = tempfile::tempdir().unwrap();
    let store = super::store(Arc::new(RealFs), dir.path());
    fill(&store, 0);
    let (archive, expected) = archive_of(&store);
    assert_eq!(state(&store, "c"), expected);
    write(&store, Change::Delete((0..50).map(PointId::Integer).collect()));
    assert!(state(&store, "c").is_empty());
    let keep = Restore { replace: false, ..REPLACE };
    let error = store.restore(&name("c"), &archive[..], keep).unwrap_err().to_string();
    assert_eq!(error, "there is a collection `c`");
    assert_eq!(store.restore(&name("näher dran"), &archive[..], keep).unwrap(), expected.len());
    assert_eq!(state(&store, "näher dran"), expected);
    let old = store.get("c").unwrap();
    assert_eq!(store.restore(&name("c"), &archive[..], REPLACE).unwrap(), expected.len());
    assert_eq!(state(&store, "c"), expected);
    // Whoever still has the old one reads it, and cannot change it.
    assert!(old.read().is_empty() && old.write(Change::Upsert(vec![point(1, 1)])).is_err());
    // And both go on.
    for collection in ["c", "näher dran"] {
        let shared = store.get(collection).unwrap();
        shared.write(Change::Upsert(vec![point(1000, 9)])).unwrap();
        shared.compact(&BuildOptions::default()).unwrap();
    }
    drop((store, old));
    let again = super::store(Arc::new(RealFs), dir.path());
    for collection in ["c", "näher dran"] {
        let mut found = state(&again, collection);
        assert!(found.remove("1000").is_some());
        assert_eq!(found, expected, "{collection}");
    }
    assert_eq!(again.snapshots("c").unwrap().len(), 1);
    // What is removed can be had back.
    assert!(again.remove("c").unwrap());
    let archived = again.snapshots("c").unwrap().remove(0);
    assert_eq!(again.recover(&name("c"), &format!("c/{}", archived.name), keep).unwrap(), expected.len());
    assert_eq!(state(&again, "c"), expected);
    again.remove_snapshot("c", &archived.name).unwrap();
    assert!(again.snapshots("c").unwrap().is_empty());
    let left = std::fs::read_dir(dir.path().join("snapshots/c")).unwrap().count();
    let pending = std::fs::read_dir(dir.path().join("pending")).unwrap().count();
    assert_eq!((left, pending), (0, 0));
}

/// What must be found in an image, and how many were looked at.
struct Watch {
    may: Vec<State>,
    images: u64,
    old: u64,
}

#[test]
fn a_restore_that_is_cut_short_leaves_the_old_collection_or_the_new_one() {
    let fs = file_system();
    let store = simulated(&fs);
    fill(&store, 100);
    let (archive, new) = archive_of(&store);
    assert!(store.remove("c").unwrap());
    fill(&store, 200);
    let old = state(&store, "c");
    assert_ne!(old, new);
    let watch = Arc::new(Mutex::new(Watch { may: vec![old, new.clone()], images: 0, old: 0 }));
    let seen = Arc::clone(&watch);
    fs.on_call(move |fs| {
        let mut watch = seen.lock().unwrap();
        let random = (0..4).map(|seed| Keep::Some(seed ^ fs.calls() << 8));
        let crashes = [Keep::Nothing, Keep::Everything].into_iter().chain(random).map(|keep| fs.crash(keep));
        for image in crashes.chain([fs.kill()]) {
            let again = simulated(&image);
            let found = state(&again, "c");
            let which = watch.may.iter().position(|may| *may == found);
            assert!(which.is_some(), "before call {}: {} points", fs.calls(), found.len());
            watch.old += u64::from(which == Some(0));
            watch.images += 1;
            // It stays so.
            drop(again);
            assert_eq!(state(&simulated(&image), "c"), found);
            // Every archive that is listed is whole.
            let listed = simulated(&image);
            for archived in listed.snapshots("c").unwrap() {
                listed.recover(&name("copy"), &format!("c/{}", archived.name), REPLACE).unwrap();
            }
        }
    });
    assert_eq!(store.restore(&name("c"), &archive[..], REPLACE).unwrap(), new.len());
    {
        let mut watch = watch.lock().unwrap();
        assert!(watch.old > 50 && watch.images > watch.old + 10, "{} of {} old", watch.old, watch.images);
        watch.may = vec![new.clone()];
    }
    // What is written to the new one is never lost to a restore that is finished once more.
    for n in 0..3 {
        let mut after = state(&store, "c");
        let version = store.get("c").unwrap().read().operation() + 1;
        let Point { vectors, payload, .. } = point(7000 + n, n);
        let bits = vectors.get("").unwrap().iter().map(|x| x.to_bits()).collect();
        after.insert((7000 + n).to_string(), (version, bits, Value::Object(payload)));
        watch.lock().unwrap().may.push(after.clone());
        write(&store, Change::Upsert(vec![point(7000 + n, n)]));
        watch.lock().unwrap().may = vec![after];
    }
    // And an archive on its way is never listed in part.
    store.snapshot("c", &|_, _| ()).unwrap();
    assert!(watch.lock().unwrap().images > 400);
}

#[test]
fn every_call_of_a_restore_may_fail_and_nothing_is_lost() {
    let make = || {
        let fs = file_system();
        let store = simulated(&fs);
        fill(&store, 100);
        let (archive, new) = archive_of(&store);
        assert!(store.remove("c").unwrap());
        fill(&store, 200);
        (fs, store, archive, new)
    };
    let (fs, store, archive, _) = make();
    let first = fs.calls();
    store.restore(&name("c"), &archive[..], REPLACE).unwrap();
    let calls = fs.calls() - first;
    let (mut failed, mut decided) = (0, 0);
    for call in 0..calls {
        for forever in [false, true] {
            let (fs, store, archive, new) = make();
            let old = state(&store, "c");
            fs.set_fault(Some(Fault::new(fs.calls() + call, FaultKind::Io, forever)));
            let outcome = store.restore(&name("c"), &archive[..], REPLACE);
            let mut may = vec![old, new];
            if outcome.is_ok() {
                may.remove(0);
            } else {
                failed += 1;
                match store.damage("c") {
                    Some(_) => decided += 1,
                    // The old one is served, and goes on once the disk does.
                    None => assert_eq!(state(&store, "c"), may[0], "call {call}: {outcome:?}"),
                }
            }
            fs.set_fault(None);
            if store.damage("c").is_none() {
                write(&store, Change::Upsert(vec![point(7000, 1)]));
                may = vec![state(&store, "c")];
            }
            drop(store);
            for image in [fs.kill(), fs.crash(Keep::Nothing), fs.crash(Keep::Some(call))] {
                let found = state(&simulated(&image), "c");
                assert!(may.contains(&found), "call {call}, forever {forever}: {outcome:?}");
            }
        }
    }
    assert!(failed > 40 && decided > 4, "{failed} failed, {decided} decided, of {calls} calls");
}

#[test]
fn a_restore_that_is_killed_leaves_the_old_collection_or_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let (data, archive) = (dir.path().join("data"), dir.path().join("new.snapshot"));
    let open = || Store::open(&data, Options { upkeep: Upkeep::Tended, ..Options::default() }).unwrap();
    let store = open();
    fill(&store, 100);
    write(&store, Change::Upsert((100..4000).map(|id| point(id, 5)).collect()));
    let (bytes, new) = archive_of(&store);
    std::fs::write(&archive, bytes).unwrap();
    assert!(store.remove("c").unwrap());
    fill(&store, 200);
    let old = state(&store, "c");
    drop(store);
    let restore = || {
        let mut command = Command::new(VICINO);
        command.args(["snapshot", "restore", archive.to_str().unwrap(), "-c", "c", "--replace", "--data"]).arg(&data);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let (mut killed, mut done, mut was_new) = (0, 0, false);
    let started = std::time::Instant::now();
    assert!(restore().wait().unwrap().success());
    let whole = started.elapsed();
    for cycle in 0..24_u32 {
        // The new one is put aside again, so that each cycle may end either way.
        if cycle == 0 || was_new {
            let store = open();
            assert!(store.remove("c").unwrap());
            fill(&store, 200);
        }
        let mut child = restore();
        std::thread::sleep(whole * cycle / 20);
        let ended = child.try_wait().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let found = state(&open(), "c");
        was_new = found == new;
        assert!(was_new || found == old, "cycle {cycle}: {} points", found.len());
        match ended {
            Some(status) => {
                assert!(status.success() && was_new, "cycle {cycle}: {status}");
                done += 1;
            }
            None => killed += 1,
        }
    }
    println!("{killed} killed, {done} done");
    assert!(killed > 5, "{killed} killed, {done} done");
    assert_eq!(std::fs::read_dir(data.join("restored")).unwrap().count(), 0);
}
