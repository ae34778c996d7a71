//! Every byte of every file: one bit flipped, or the file cut there. A typed error or the points as they were; never a panic, never a
//! wrong answer. The one exemption is the last group of a log that was not closed: it cannot be told from one that was never finished.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::workload::{Kind, State, Workload, create_as, dir, file_system, held, open, small_schema};
use crate::BuildOptions;
use crate::PointId;
use crate::collection::{Change, IndexKind, Payload, PointVectors, SyncMode, salvage, verify};
use crate::vfs::{Keep, SimFs, Vfs};
use crate::wal;

/// A folder with a checkpoint and a log of several groups behind it; unless `closed`, then the checkpoint is all.
fn folder(workload: &Workload, closed: bool) -> SimFs {
    folder_as(Kind::Whole, workload, closed)
}

fn folder_as(kind: Kind, workload: &Workload, closed: bool) -> SimFs {
    let fs = file_system();
    let collection = create_as(&fs, SyncMode::Always, kind).unwrap();
    for (done, change) in workload.changes.iter().enumerate() {
        collection.write(change.clone()).unwrap();
        let left = workload.changes.len() - done;
        // One segment with a graph and dead rows, one without, and changes behind them.
        match left {
            12 => collection.compact(&BuildOptions::default()).unwrap(),
            6 | 9 => collection.checkpoint().unwrap(),
            _ => {}
        }
    }
    if closed {
        collection.checkpoint().unwrap();
    }
    drop(collection);
    fs.crash(Keep::Everything)
}

fn files(fs: &SimFs) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = fs.files().into_iter().filter(|path| !path.ends_with("lock") && !path.ends_with("reserve"));
    files.map(|path| (path.clone(), fs.read(&path).unwrap())).collect()
}

/// What opening `fs` gives, on an image of its own.
fn outcome(fs: &SimFs, workload: &Workload) -> Result<usize, Result<String, String>> {
    let image = fs.crash(Keep::Everything);
    let opened =
        catch_unwind(AssertUnwindSafe(|| open(&image, SyncMode::Always).map(|found| workload.position(&found))));
    match opened {
        Ok(Ok(Ok(position))) => Ok(position),
        Ok(Ok(Err(wrong))) => Err(Err(wrong)),
        Ok(Err(refusal)) => Err(Ok(refusal)),
        Err(_) => Err(Err("panic".into())),
    }
}

/// Changes every file of a folder by `damage`, which is given a place and returns the bytes, and judges what opening it gives.
fn every(
    kind_of_workload: Kind,
    closed: bool,
    step: usize,
    offset: usize,
    damage: impl Fn(&[u8], usize) -> Vec<u8>,
) -> Result<(usize, usize), String> {
    let workload = Workload::of(kind_of_workload, 7, 24);
    let fs = folder_as(kind_of_workload, &workload, closed);
    let all = workload.changes.len();
    if outcome(&fs, &workload) != Ok(all) {
        return Err(format!("undamaged: {:?}", outcome(&fs, &workload)));
    }
    let (mut refused, mut harmless) = (0, 0);
    // Zeros that align sections, behind the header, and the last line break are all that may change without a word.
    let may_be_padding = |path: &Path, at: usize| matches!(kind(path), "points" | "vectors" | "dead") && at >= 64;
    let says_the_same = |whole: &[u8], damaged: &[u8]| damaged == whole || [damaged, b"\n"].concat() == whole;
    for (path, whole) in files(&fs) {
        for at in (offset..whole.len()).step_by(step) {
            let place = format!("{}, byte {at} of {}", path.display(), whole.len());
            let damaged = damage(&whole, at);
            let same = may_be_padding(&path, at) || says_the_same(&whole, &damaged);
            let torn = |position| is_log(&path) && !closed && is_torn(&whole, &damaged, position, all);
            fs.put(&path, damaged.clone()).unwrap();
            match outcome(&fs, &workload) {
                Ok(position) if (position == all && same) || torn(position) => harmless += 1,
                Ok(position) => return Err(format!("{place}: {position} changes of {all}")),
                Err(Ok(refusal)) if refusal.contains(&*path.to_string_lossy()) || names_its_pair(&path, &refusal) => {
                    refused += 1;
                }
                Err(Ok(refusal)) => return Err(format!("{place}: names another file: {refusal}")),
                Err(Err(wrong)) => return Err(format!("{place}: {wrong}")),
            }
        }
        fs.put(&path, whole).unwrap();
    }
    Ok((refused, harmless))
}

fn is_log(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).and_then(wal::log_number).is_some()
}

/// What a file is, by its name without numbers.
fn kind(path: &Path) -> &str {
    let name = path.extension().and_then(|kind| kind.to_str()).unwrap_or_default();
    match name.split_once('-') {
        Some(("dead", _)) => "dead",
        // Of one vector or another.
        Some(("vectors", _)) => "vectors",
        _ => name,
    }
}

/// Whether losing all but `position` changes is what a log that was cut, or whose last group was hit, may do.
fn is_torn(whole: &[u8], damaged: &[u8], position: usize, all: usize) -> bool {
    position < all && (damaged.len() < whole.len() || position + 1 == all)
}

/// A manifest that is damaged where no checksum tells (there is none such place) would make another file look wrong.
fn names_its_pair(path: &Path, refusal: &str) -> bool {
    path.ends_with("manifest.json") && refusal.contains(&*dir().to_string_lossy())
}

/// A sample, for the mutants.
pub(super) fn suite() -> Result<(), String> {
    for (kind, offset) in Kind::ALL.into_iter().zip([0, 1, 2, 0, 1]) {
        flips(kind, 3, offset)?;
    }
    strangers()
}

fn flips(kind: Kind, step: usize, offset: usize) -> Result<(usize, usize), String> {
    let flip = |whole: &[u8], at: usize| {
        let mut bytes = whole.to_vec();
        bytes[at] ^= 1 << (at % 8);
        bytes
    };
    let (refused, harmless) = every(kind, false, step, offset, flip)?;
    let closed = every(kind, true, step, offset, flip)?;
    Ok((refused + closed.0, harmless + closed.1))
}

/// Files that are sound in themselves and lie in the wrong place: those of another time, or of another collection.
fn strangers() -> Result<(), String> {
    let workload = Workload::new(7, 24);
    let (now, before) =
        (folder(&workload, true), folder(&Workload { changes: workload.changes[..20].to_vec(), states: vec![] }, true));
    let other = folder(&Workload::new(8, 24), true);
    // As many rows and points, with the same ids and versions, at other places.
    let mut moved = Workload::new(7, 24);
    for change in &mut moved.changes {
        if let Change::Upsert(points) = change {
            let moved = |(name, vector): (String, Vec<f32>)| (name, vector.iter().map(|x| x + 1.0).collect());
            points.iter_mut().for_each(|point| {
                point.vectors = std::mem::take(&mut point.vectors).into_iter().map(moved).collect();
            });
        }
    }
    let moved = folder(&moved, true);
    for stranger in [&before, &other, &moved] {
        let strange = files(stranger);
        for (path, whole) in files(&now) {
            let mut alike = strange.iter().filter(|(other, _)| kind(other) == kind(&path)).peekable();
            if alike.peek().is_none() {
                return Err(format!("no file like {}", path.display()));
            }
            for (_, bytes) in alike.filter(|(_, bytes)| **bytes != whole) {
                now.put(&path, bytes.clone()).unwrap();
                match outcome(&now, &workload) {
                    Err(Ok(_)) => {}
                    other => return Err(format!("{} of another collection: {other:?}", path.display())),
                }
            }
            now.put(&path, whole).unwrap();
        }
    }
    Ok(())
}

/// `text`, the lines of a manifest, with its first line changed and its checksum made right.
pub(super) fn resigned(text: &[u8], change: impl FnOnce(String) -> String) -> Vec<u8> {
    let first = text.split_inclusive(|&byte| byte == b'\n').next().unwrap_or_default();
    let mut line = change(String::from_utf8(first.to_vec()).expect("JSON is text")).into_bytes();
    let sum = crc32c::crc32c(&line);
    line.extend_from_slice(format!("{{\"crc32c\":{sum}}}\n").as_bytes());
    line
}

/// A manifest whose checksum is right and whose sum of points is not.
pub(super) fn signed_sum() -> Result<(), String> {
    let workload = Workload::new(7, 24);
    let fs = folder(&workload, true);
    let path = dir().join("manifest.json");
    let text = fs.read(&path).map_err(|error| error.to_string())?;
    let sum = open(&fs.kill(), SyncMode::Always)?.read().sum();
    let lie = resigned(&text, |line| line.replace(&format!("{sum:032x}"), &format!("{:032x}", sum ^ 1)));
    fs.put(&path, lie).map_err(|error| error.to_string())?;
    match open(&fs, SyncMode::Always) {
        Err(error) if error.contains("sum up to") => Ok(()),
        other => Err(format!("points of another sum: {:?}", other.map(|_| ()))),
    }
}

#[test]
fn a_manifest_of_another_sum_is_refused() {
    signed_sum().unwrap();
}

#[test]
fn every_flipped_bit_is_refused_or_harmless() {
    for kind in Kind::ALL {
        let (refused, harmless) = flips(kind, 1, 0).unwrap_or_else(|fault| panic!("{kind:?}: {fault}"));
        println!("{kind:?}: {refused} flips refused, {harmless} harmless");
        // Harmless are the zeros that align a segment file's sections, and the last group of the log that was not closed.
        assert!(refused > 4 * harmless, "{kind:?}: {refused} refused, {harmless} harmless");
    }
}

#[test]
fn every_cut_is_refused_or_harmless() {
    let cut = |whole: &[u8], at: usize| whole[..at].to_vec();
    for closed in [false, true] {
        let (refused, harmless) = every(Kind::Fractions, closed, 64, 0, cut).unwrap_or_else(|fault| panic!("{fault}"));
        let (refused_too, harmless_too) =
            every(Kind::Fractions, closed, 7, 1, cut).unwrap_or_else(|fault| panic!("{fault}"));
        println!("closed {closed}: {} cuts refused, {} harmless", refused + refused_too, harmless + harmless_too);
    }
}

#[test]
fn a_page_of_zeros_is_refused_or_harmless() {
    for page in [512, 4096] {
        let zeros = |whole: &[u8], at: usize| {
            let mut bytes = whole.to_vec();
            let end = (at + page).min(bytes.len());
            bytes[at..end].fill(0);
            bytes
        };
        every(Kind::Fractions, true, page, 0, zeros).unwrap_or_else(|fault| panic!("{fault}"));
    }
}

#[test]
fn files_of_another_time_or_collection_are_refused() {
    strangers().unwrap_or_else(|fault| panic!("{fault}"));
}

#[test]
fn a_missing_file_is_refused_by_name() {
    let workload = Workload::new(7, 24);
    let fs = folder(&workload, false);
    let logs: Vec<PathBuf> = files(&fs).into_keys().filter(|path| is_log(path)).collect();
    assert!(logs.len() > 1, "{logs:?}");
    // Nothing names the last log file but the groups in it, so a log that lost it looks like one that ends before.
    for path in files(&fs).into_keys().filter(|path| logs.last() != Some(path)) {
        let image = fs.crash(Keep::Everything);
        image.remove(&path).unwrap();
        let error = open(&image, SyncMode::Always).err().unwrap_or_default();
        assert!(error.starts_with(&*path.to_string_lossy()), "{}: {error}", path.display());
    }
}

#[test]
fn what_is_whole_is_salvaged_and_the_rest_named() {
    Kind::ALL.into_iter().for_each(salvaged);
}

fn salvaged(kind_of_workload: Kind) {
    let workload = Workload::of(kind_of_workload, 7, 24);
    let fs = folder_as(kind_of_workload, &workload, false);
    let all: State = workload.states[24].clone();
    let had = |fs: &SimFs| {
        let salvaged = salvage(fs, dir()).unwrap();
        assert!(kind_of_workload == Kind::Named || salvaged.schema == kind_of_workload.schema());
        let points = salvaged.points.into_iter().map(|point| (point.id, (point.vectors, point.payload)));
        (points.collect::<BTreeMap<_, _>>(), salvaged.lost)
    };
    let whole: BTreeMap<_, _> =
        all.iter().map(|(id, (_, vectors, payload))| (*id, (vectors.clone(), payload.clone()))).collect();
    assert_eq!(had(&fs), (whole.clone(), vec![]));
    // Whatever byte is hit, what is there was there at some time, and nothing is missing without a word.
    let once: Vec<_> =
        workload.states.iter().flat_map(|state| state.iter()).map(|(id, (_, v, payload))| (*id, v, payload)).collect();
    let was = |id: PointId, held: &(PointVectors, Payload)| {
        let of_point = || once.iter().filter(|(other, ..)| *other == id);
        // Of named vectors one may be lost, and the others not.
        let was_so = |(name, vector)| of_point().any(|(_, vectors, _)| vectors.get(name) == Some(vector));
        held.0.iter().all(was_so) && of_point().any(|(_, _, payload)| **payload == held.1)
    };
    let mut partly = 0;
    for (path, bytes) in files(&fs).into_iter().filter(|(path, _)| !path.ends_with("manifest.json")) {
        for at in (0..bytes.len()).step_by(3) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            fs.put(&path, flipped).unwrap();
            let (points, lost) = had(&fs);
            let place = format!("{}, byte {at}: {lost:?}", path.display());
            assert!(points.iter().all(|(id, held)| was(*id, held)), "{place}");
            assert!(points == whole || !lost.is_empty(), "{place}: {} points of {}", points.len(), whole.len());
            partly += u32::from(points != whole && points.len() + 4 >= whole.len());
        }
        fs.put(&path, bytes).unwrap();
    }
    assert!(partly > 50, "{partly} times a few points were lost and no more");
}

#[test]
fn looking_at_a_folder_changes_nothing_and_sees_all() {
    let workload = Workload::new(7, 24);
    let fs = folder(&workload, false);
    let logs = files(&fs).into_keys().filter(|path| is_log(path)).collect::<Vec<PathBuf>>();
    let (log, last) = (logs[0].clone(), logs[logs.len() - 1].clone());
    let torn = [fs.read(&last).unwrap(), vec![7; 30]].concat();
    fs.put(&last, torn).unwrap();
    let before = files(&fs);
    let (inspection, reports) = verify(&fs, dir()).unwrap();
    assert_eq!((inspection.points, inspection.operation), (workload.states[24].len(), 24));
    assert_eq!((inspection.log.changes, inspection.log.torn_bytes, &inspection.schema), (5, 30, &small_schema()));
    let on_disk: Vec<_> = inspection.segments.iter().filter(|segment| segment.number > 0).collect();
    assert!(on_disk.iter().any(|segment| segment.kind == IndexKind::Quantized && segment.dead > 0), "{on_disk:?}");
    assert!(on_disk.iter().any(|segment| segment.kind == IndexKind::Flat), "{on_disk:?}");
    assert_eq!(inspection.rows, inspection.segments.iter().map(|segment| segment.rows).sum::<usize>());
    assert_eq!(reports.iter().map(|report| report.nodes).sum::<usize>(), on_disk[0].rows);
    assert_eq!(files(&fs), before);
    let mut flipped = before[&log].clone();
    flipped[100] ^= 1;
    fs.put(&log, flipped).unwrap();
    let error = verify(&fs, dir()).unwrap_err().to_string();
    let place = format!("{}: damaged at byte 64: checksum of the ", log.display());
    assert!(error.starts_with(&place), "{error}");
}

#[test]
fn what_is_no_file_of_a_collection_is_left_alone_and_left_overs_go() {
    let workload = Workload::new(7, 24);
    let fs = folder(&workload, true);
    let mut names = fs.list(dir()).unwrap();
    let strange = [
        "notes.txt",
        "segment-1.points.gz",
        "segment-x.vectors",
        "segment-7.vectors-x",
        "segment-7.dead-",
        "points-1.jsonl",
    ];
    let left_over = [
        "manifest.json.unfinished",
        "segment-99.points",
        "segment-99.vectors",
        "segment-99.vectors-7",
        "segment-2.dead-99",
        "wal-0.log",
    ];
    for name in strange.iter().chain(&left_over) {
        fs.create(&dir().join(name)).unwrap();
    }
    let before = held(&open(&fs, SyncMode::Always).unwrap());
    assert_eq!(&before, workload.states.last().unwrap());
    names.extend(strange.map(String::from));
    names.sort();
    let mut left = fs.list(dir()).unwrap();
    left.sort();
    assert_eq!(left, names);
}
