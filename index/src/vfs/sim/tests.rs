//! The simulation itself: what was synced stays, what was not may go, each on its own.

use std::collections::BTreeSet;

use super::*;

fn path(name: &str) -> PathBuf {
    Path::new("d").join(name)
}

/// A file system with folder `d` on disk.
fn with_folder() -> SimFs {
    let fs = SimFs::new();
    fs.create_dir(Path::new("d")).unwrap();
    fs.sync_dir(Path::new("")).unwrap();
    fs
}

fn read(fs: &SimFs, name: &str) -> Option<Vec<u8>> {
    fs.read(&path(name)).ok()
}

#[test]
fn bytes_need_a_sync_and_names_another() {
    let fs = with_folder();
    let mut file = fs.create(&path("a")).unwrap();
    file.write_all(b"one").unwrap();
    assert_eq!(read(&fs, "a").unwrap(), b"one");
    file.sync().unwrap();
    assert_eq!(read(&fs.crash(Keep::Nothing), "a"), None, "the name was not synced");
    fs.sync_dir(Path::new("d")).unwrap();
    file.write_all(b"two").unwrap();
    assert_eq!(read(&fs.crash(Keep::Nothing), "a").unwrap(), b"one");
    assert_eq!(read(&fs.crash(Keep::Everything), "a").unwrap(), b"onetwo");
    assert_eq!(read(&fs.kill(), "a").unwrap(), b"onetwo");
    assert_eq!(read(&fs.kill().crash(Keep::Nothing), "a").unwrap(), b"one", "a kill syncs nothing");
    file.set_len(1).unwrap();
    file.sync().unwrap();
    assert_eq!(read(&fs.crash(Keep::Nothing), "a").unwrap(), b"o");
}

#[test]
fn subsets_hold_every_outcome_and_replay_from_their_seed() {
    let fs = with_folder();
    let mut file = fs.create(&path("a")).unwrap();
    fs.sync_dir(Path::new("d")).unwrap();
    file.write_all(&[1; 600]).unwrap();
    file.write_all(&[2; 600]).unwrap();
    fs.rename(&path("a"), &path("b")).unwrap();
    let mut outcomes = BTreeSet::new();
    for seed in 0..2000 {
        let (image, again) = (fs.crash(Keep::Some(seed)), fs.crash(Keep::Some(seed)));
        let bytes = (read(&image, "a"), read(&image, "b"));
        assert_eq!(bytes, (read(&again, "a"), read(&again, "b")), "seed {seed}");
        let (renamed, bytes) = match bytes {
            (Some(bytes), None) => (false, bytes),
            (None, Some(bytes)) => (true, bytes),
            both => panic!("seed {seed}: a rename is atomic: {both:?}"),
        };
        let first = bytes.iter().take(600).filter(|&&byte| byte == 1).count();
        let second = bytes.iter().skip(600).filter(|&&byte| byte == 2).count();
        assert!(bytes.iter().take(600).all(|&byte| byte < 2), "seed {seed}");
        outcomes.insert((renamed, first, second, bytes.len()));
    }
    // The first write all, none, or cut at byte 512; the second at 1,024.
    let firsts: BTreeSet<usize> = outcomes.iter().map(|outcome| outcome.1).collect();
    let seconds: BTreeSet<usize> = outcomes.iter().map(|outcome| outcome.2).collect();
    assert_eq!(firsts, [0, 88, 512, 600].into(), "of the first write");
    assert_eq!(seconds, [0, 176, 424, 600].into(), "of the second");
    for kept in [(false, 0, 0, 0), (true, 600, 600, 1200), (false, 0, 600, 1200), (true, 0, 0, 1200)] {
        assert!(outcomes.contains(&kept), "{kept:?}");
    }
}

#[test]
fn a_rename_between_folders_happens_in_both_or_neither() {
    let fs = with_folder();
    fs.create_dir(Path::new("e/f")).unwrap();
    fs.sync_dir(Path::new("")).unwrap();
    fs.sync_dir(Path::new("e")).unwrap();
    fs.rename(Path::new("e/f"), &path("f")).unwrap();
    for seed in 0..50 {
        let image = fs.crash(Keep::Some(seed));
        let found = [image.list(Path::new("e")).unwrap().len(), image.list(Path::new("d")).unwrap().len()];
        assert_eq!(found[0] + found[1], 1, "seed {seed}");
    }
    fs.sync_dir(Path::new("d")).unwrap();
    let image = fs.crash(Keep::Nothing);
    assert_eq!([image.list(Path::new("e")).unwrap().len(), image.list(Path::new("d")).unwrap().len()], [0, 1]);
}

#[test]
fn a_failed_sync_is_never_made_good() {
    let fs = with_folder();
    let mut file = fs.create(&path("a")).unwrap();
    fs.sync_dir(Path::new("d")).unwrap();
    file.write_all(b"lost").unwrap();
    fs.set_fault(Some(Fault::new(0, FaultKind::Sync, false)));
    assert_eq!(file.sync().unwrap_err().raw_os_error(), Some(5));
    file.sync().unwrap();
    assert_eq!(read(&fs, "a").unwrap(), b"lost");
    assert_eq!(read(&fs.crash(Keep::Nothing), "a").unwrap(), b"", "the second sync wrote nothing");
}

#[test]
fn faults_strike_when_and_as_told() {
    let fs = with_folder();
    let mut file = fs.create(&path("a")).unwrap();
    let mut attempt = |kind, for_good| {
        fs.set_fault(Some(Fault::new(fs.calls() + 2, kind, for_good)));
        (0..4).map(|_| file.write(b"four").map_err(|error| error.kind())).collect::<Vec<_>>()
    };
    let full = Err(io::ErrorKind::StorageFull);
    assert_eq!(attempt(FaultKind::Short, false), [Ok(4), Ok(2), Ok(4), Ok(4)]);
    assert_eq!(attempt(FaultKind::Short, true), [Ok(4), Ok(2), Ok(2), Ok(2)]);
    assert_eq!(attempt(FaultKind::NoSpace, false), [Ok(4), Ok(2), full, Ok(4)]);
    assert_eq!(attempt(FaultKind::NoSpace, true), [Ok(4), Ok(2), full, full]);
    assert_eq!(attempt(FaultKind::Interrupted, true), [Ok(4), Err(io::ErrorKind::Interrupted), Ok(4), Ok(4)]);
    let io_error = Err(io::Error::from_raw_os_error(5).kind());
    assert_eq!(attempt(FaultKind::Io, true), [Ok(4), io_error, io_error, io_error]);
    fs.set_fault(None);
    fs.set_capacity(Some(fs.used() + 5));
    assert_eq!([file.write(b"four").unwrap(), file.write(b"four").unwrap()], [4, 1]);
    assert_eq!(file.write(b"four").unwrap_err().kind(), io::ErrorKind::StorageFull);
}

#[test]
fn locks_are_held_until_dropped_or_killed() {
    let fs = with_folder();
    let held = fs.lock(&path("lock")).unwrap();
    assert!(matches!(fs.lock(&path("lock")), Err(LockError::Held)));
    drop(fs.kill().lock(&path("lock")).unwrap());
    drop(held);
    fs.lock(&path("lock")).unwrap();
}
