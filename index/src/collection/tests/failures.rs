//! Every call fails, once and for good, in every way: no change is acknowledged that is not stored, none that was refused comes back,
//! reads go on, and what heals goes on.

use std::sync::Arc;

use super::workload::{
    Kind, State, Workload, apply, create, create_as, dir, file_system, held, open, options, small_schema,
};
use super::{DIM, Random};
use crate::PointId;
use crate::collection::{Change, Payload, Point, SharedCollection, SyncMode, WriteError};
use crate::vfs::{Fault, FaultKind, Keep, SimFs};

/// What became of a workload under faults.
struct Survivor {
    /// What was acknowledged, by an oracle of its own.
    state: State,
    /// What it could be instead: with the change whose fate is not known.
    or: Option<State>,
    refused: usize,
}

/// Runs `changes` random changes on `collection` and checks after each that it holds what was acknowledged.
fn work(collection: &SharedCollection, seed: u64, changes: usize) -> Result<Survivor, String> {
    let mut random = Random(seed);
    let mut survivor = Survivor { state: held(collection), or: None, refused: 0 };
    for number in 0..changes {
        let change = super::workload::change(&mut random, &survivor.state, 12);
        match collection.write(change.clone()) {
            Ok(operation) => {
                if survivor.or.is_some() {
                    return Err(format!("change {number} was taken after one whose fate is not known"));
                }
                apply(&mut survivor.state, &change, operation);
            }
            Err(WriteError::Full { .. } | WriteError::Io { .. }) => survivor.refused += 1,
            Err(WriteError::ReadOnly { .. }) => {
                survivor.refused += 1;
                if survivor.or.is_none() {
                    let mut or = survivor.state.clone();
                    apply(&mut or, &change, collection.read().operation() + 1);
                    survivor.or = Some(or);
                }
            }
            Err(error) => return Err(format!("change {number}: {error}")),
        }
        if held(collection) != survivor.state {
            return Err(format!("after change {number} what is read is not what was acknowledged"));
        }
        if number % 5 == 4 {
            // A failure is no loss: the log holds everything.
            let _ = collection.checkpoint();
        }
        if number % 7 == 6 {
            let _ = collection.tend();
        }
    }
    Ok(survivor)
}

/// A workload in which call `at` fails; then what a restart finds, after a kill and after losses of power.
fn run(of: Kind, at: u64, kind: FaultKind, for_good: bool) -> Result<bool, String> {
    let fs = file_system();
    let collection = create_as(&fs, SyncMode::Always, of)?;
    work(&collection, 1, 4)?;
    fs.set_fault(Some(Fault::new(fs.calls() + at, kind, for_good)));
    let before = fs.calls();
    let mut survivor = work(&collection, 2, 22)?;
    let reached = fs.calls() - before > at;
    fs.set_fault(None);
    if collection.read_only().is_none() {
        // What refused for a while goes on.
        let healed = work(&collection, 3, 6)?;
        if healed.refused > 0 {
            return Err(format!("{} changes refused after the fault was over", healed.refused));
        }
        survivor = healed;
    } else if kind == FaultKind::NoSpace || kind == FaultKind::Short || kind == FaultKind::Interrupted {
        return Err(format!("read-only: {:?}", collection.read_only()));
    }
    drop(collection);
    let images = [fs.kill(), fs.crash(Keep::Nothing), fs.crash(Keep::Everything)].into_iter();
    for (number, image) in images.chain((0..4).map(|seed| fs.crash(Keep::Some(seed)))).enumerate() {
        let found = open(&image, SyncMode::Always).map_err(|error| format!("image {number}: {error}"))?;
        let found = held(&found);
        if found != survivor.state && survivor.or.as_ref() != Some(&found) {
            return Err(format!("image {number} holds {found:?}, acknowledged was {:?}", survivor.state));
        }
    }
    Ok(reached)
}

/// Every call of the workload in turn, from `first` in steps of `step`; returns how many runs that were.
fn every(of: Kind, first: u64, step: usize) -> Result<usize, String> {
    let mut runs = 0;
    for kind in FaultKind::ALL {
        for for_good in [false, true] {
            for at in (first..).step_by(step) {
                let reached = run(of, at, kind, for_good)
                    .map_err(|fault| format!("{of:?}, {kind:?}, for good {for_good}, call {at}: {fault}"))?;
                runs += 1;
                if !reached {
                    break;
                }
            }
        }
    }
    Ok(runs)
}

/// A sample, for the mutants.
pub(super) fn suite() -> Result<(), String> {
    every(Kind::Whole, 1, 3)?;
    full_disk()
}

#[test]
fn every_call_fails_once_and_for_good() {
    let runs = every(Kind::Whole, 1, 1).and_then(|runs| Ok(runs + every(Kind::Named, 1, 2)?));
    let runs = runs.unwrap_or_else(|fault| panic!("{fault}"));
    println!("{runs} workloads, each with one call failing once or all from it on");
    assert!(runs > 500, "{runs}");
}

#[test]
fn every_call_fails_while_a_collection_is_opened() {
    let workload = Workload::new(5, 12);
    let fs = file_system();
    let collection = create(&fs, SyncMode::Always).unwrap();
    for change in &workload.changes[..6] {
        collection.write(change.clone()).unwrap();
    }
    collection.checkpoint().unwrap();
    for change in &workload.changes[6..] {
        collection.write(change.clone()).unwrap();
    }
    drop(collection);
    let (mut refused, mut opened) = (0, 0);
    for kind in FaultKind::ALL {
        for for_good in [false, true] {
            for at in 1.. {
                let image = fs.kill();
                image.set_fault(Some(Fault::new(at, kind, for_good)));
                match open(&image, SyncMode::Always) {
                    Ok(found) => {
                        assert_eq!(workload.position(&found), Ok(12), "{kind:?}, call {at}");
                        opened += 1;
                    }
                    Err(_) => refused += 1,
                }
                let reached = image.calls() >= at;
                image.set_fault(None);
                let found = open(&image.crash(Keep::Nothing), SyncMode::Always).unwrap();
                assert_eq!(workload.position(&found), Ok(12), "{kind:?}, call {at}, opened again");
                if !reached {
                    break;
                }
            }
        }
    }
    assert!(refused > 10 && opened > 10, "{refused} {opened}");
}

fn upsert(id: u64, value: f32) -> Change {
    Change::Upsert(vec![Point { id: PointId::Integer(id), vectors: vec![value; DIM].into(), payload: Payload::new() }])
}

/// A disk without room: upserts are refused and change nothing, deletes are taken, and with room all goes on.
fn full_disk() -> Result<(), String> {
    let fs = file_system();
    let collection = create(&fs, SyncMode::Always)?;
    let text = |error: WriteError| error.to_string();
    for id in 0..10 {
        collection.write(upsert(id, 1.0)).map_err(text)?;
    }
    for room in [0, 1, 50, 150] {
        fs.set_capacity(Some(fs.used() + room));
        let mut full = 0;
        for id in 20..24 {
            full += u32::from(matches!(collection.write(upsert(id, 2.0)), Err(WriteError::Full { .. })));
        }
        if full == 0 {
            return Err(format!("four points fit into {room} bytes"));
        }
        collection
            .write(Change::Delete(vec![PointId::Integer(room % 10)]))
            .map_err(|error| format!("room {room}: {error}"))?;
        if collection.write(upsert(30, 3.0)).is_ok() {
            return Err("a point took the room for deletes".into());
        }
        let (image, now) = (fs.crash(Keep::Nothing), held(&collection));
        if held(&open(&image, SyncMode::Always)?) != now {
            return Err(format!("room {room}: not what was acknowledged"));
        }
        fs.set_capacity(None);
        collection.write(upsert(40 + room, 4.0)).map_err(|error| format!("with room again: {error}"))?;
    }
    Ok(())
}

#[test]
fn a_full_disk_refuses_upserts_takes_deletes_and_heals() {
    full_disk().unwrap_or_else(|fault| panic!("{fault}"));
}

#[test]
fn a_folder_is_used_by_one_at_a_time() {
    lock().unwrap();
    let fs = file_system();
    let made = create(&fs, SyncMode::Always).unwrap();
    drop(made);
    let again = SharedCollection::create(Arc::new(fs), dir(), small_schema(), options(SyncMode::Always));
    assert!(again.unwrap_err().to_string().contains("holds a collection already"));
}

pub(super) fn lock() -> Result<(), String> {
    let fs = file_system();
    let held = create(&fs, SyncMode::Always)?;
    match open(&fs, SyncMode::Always) {
        Err(error) if error.contains("in use by another process") => {}
        other => return Err(format!("opened twice: {other:?}")),
    }
    drop(held);
    open(&fs, SyncMode::Always).map(drop)
}

#[test]
fn many_writers_share_syncs_and_each_gets_its_own_answer() {
    let fs: SimFs = file_system();
    let collection = create(&fs, SyncMode::Always).unwrap();
    let (writers, each) = (8, 40);
    let operations = std::thread::scope(|scope| {
        let write = |writer: u64| {
            let collection = &collection;
            move || {
                let mut operations = Vec::new();
                for number in 0..each {
                    if number % 10 == 9 {
                        let bad = Change::Upsert(vec![Point {
                            id: PointId::Integer(0),
                            vectors: vec![].into(),
                            payload: Payload::new(),
                        }]);
                        assert!(matches!(collection.write(bad), Err(WriteError::Upsert(_))));
                    } else {
                        let id = writer * each + number;
                        operations.push(collection.write(upsert(id, id as f32)).unwrap());
                        assert!(collection.read().get(PointId::Integer(id)).is_some(), "read what was written");
                    }
                }
                operations
            }
        };
        let threads: Vec<_> = (0..writers).map(|writer| scope.spawn(write(writer))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<std::collections::BTreeSet<u64>>()
    });
    let expected = writers * (each - each / 10);
    assert_eq!(
        (operations.len() as u64, operations.last().copied()),
        (expected, Some(expected)),
        "numbered without gaps"
    );
    drop(collection);
    let opened = open(&fs.crash(Keep::Nothing), SyncMode::Always).unwrap();
    assert_eq!(opened.read().len() as u64, expected);
}
