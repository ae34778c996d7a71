//! The log by itself: what was added is read; torn and damaged are told apart; no signed lie does harm.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::frame::{FILE_HEADER, GROUP_HEADER};
use super::*;
use crate::vfs::{Fault, FaultKind, Keep, SimFs, Vfs};

const ID: LogId = LogId(0x1234_5678_9abc_def0_1122_3344_5566_7788);

fn dir() -> &'static Path {
    Path::new("log")
}

/// `groups` groups of one to three records, each group synced if `sync`, a new file after every third.
fn written(groups: u64, sync: bool) -> SimFs {
    let fs = SimFs::new();
    fs.create_dir(dir()).unwrap();
    fs.sync_dir(Path::new("")).unwrap();
    let mut log = Log::create(Arc::new(fs.clone()), dir(), ID, 0, Position::default()).unwrap();
    for group in 1..=groups {
        log.append(group * 10, u128::from(group) << 100, &records(group)).unwrap();
        if sync {
            log.sync().unwrap();
        }
        if group % 3 == 0 {
            log.roll().unwrap();
        }
    }
    fs
}

fn records(group: u64) -> Vec<Vec<u8>> {
    (0..=group % 3).map(|record| vec![group as u8; 5 + 100 * record as usize]).collect()
}

/// How many groups there are, each checked, and the end.
fn groups(fs: &SimFs) -> Result<(u64, End), WalError> {
    let mut count = 0;
    let end = read(fs, dir(), ID, 0, Position::default(), |group| {
        count += 1;
        let same =
            group.first == count * 10 && group.sum == u128::from(count) << 100 && group.records == records(count);
        if same { Ok(()) } else { Err(format!("group {count} is not what was written")) }
    })?;
    Ok((count, end))
}

#[test]
fn what_was_added_is_read_and_the_log_goes_on() {
    let fs = written(7, true);
    let (count, end) = groups(&fs).unwrap();
    assert_eq!((count, end.number, &end.torn), (7, 2, &None));
    assert_eq!(groups(&fs.crash(Keep::Nothing)).unwrap().0, 7, "every group was synced");
    let mut log = Log::resume(Arc::new(fs.clone()), dir(), ID, &end).unwrap();
    log.append(80, 8 << 100, &records(8)).unwrap();
    assert_eq!(groups(&fs).unwrap().0, 8);
    assert_eq!(log_number("wal-17.log"), Some(17));
    assert_eq!(log_number("wal-x.log"), None);
}

#[test]
fn a_log_cut_anywhere_keeps_its_whole_groups() {
    let fs = written(8, true);
    let path = log_path(dir(), 2);
    let whole = fs.read(&path).unwrap();
    let (_, end) = groups(&fs).unwrap();
    assert_eq!(end.len as usize, whole.len());
    let first_group = FILE_HEADER + GROUP_HEADER + records(7).iter().map(|record| 4 + record.len()).sum::<usize>();
    for cut in FILE_HEADER..whole.len() {
        fs.put(&path, whole[..cut].to_vec()).unwrap();
        let (count, end) = groups(&fs).unwrap();
        assert_eq!(count, if cut < first_group { 6 } else { 7 }, "cut at {cut}");
        assert_eq!(end.torn.is_some(), cut != FILE_HEADER && cut != first_group, "cut at {cut}");
        Log::resume(Arc::new(fs.clone()), dir(), ID, &end).unwrap();
        assert_eq!(groups(&fs).unwrap(), (count, End { torn: None, ..end }), "cut at {cut}");
    }
}

#[test]
pub(crate) fn damage_is_refused_wherever_a_later_group_vouches() {
    let fs = written(8, true);
    let last_group = {
        let fs = written(7, true);
        (2, fs.read(&log_path(dir(), 2)).unwrap().len())
    };
    for number in 0..3 {
        let path = log_path(dir(), number);
        let whole = fs.read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            fs.put(&path, bytes).unwrap();
            match groups(&fs) {
                Ok((count, end)) => {
                    assert!((number, at) >= last_group, "file {number}, byte {at} accepted");
                    assert!(
                        count == 7 && matches!(end.torn, Some(Torn::Group { .. })),
                        "file {number}, byte {at}: {end:?}"
                    );
                }
                Err(WalError::Damaged { path: named, .. }) => {
                    assert!((number, at) < last_group && named == path, "file {number}, byte {at}: {named:?}");
                }
                Err(error) => panic!("file {number}, byte {at}: {error}"),
            }
        }
        fs.put(&path, whole).unwrap();
    }
}

#[test]
fn without_syncs_a_crash_leaves_a_prefix() {
    for seed in 0..3000 {
        let fs = written(5, false).crash(Keep::Some(seed));
        // The third group was followed by a new file, and so synced.
        let (count, _) = groups(&fs).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert!((3..=5).contains(&count), "seed {seed}: {count}");
    }
}

#[test]
fn a_missing_file_and_a_stranger_are_refused() {
    let fs = written(8, true);
    fs.remove(&log_path(dir(), 0)).unwrap();
    let error = groups(&fs).unwrap_err();
    assert!(matches!(&error, WalError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound), "{error}");
    let fs = written(8, true);
    let other = fs.read(&log_path(dir(), 1)).unwrap();
    fs.put(&log_path(dir(), 2), other).unwrap();
    let error = groups(&fs).unwrap_err().to_string();
    assert!(error.starts_with("log/wal-2.log: damaged at byte 0: belongs to another log, or is its file 1"), "{error}");
}

/// Groups that are whole, numbered rightly and of this log, but upon another past: such as lay behind a torn end that was cut off and
/// written anew.
#[test]
pub(crate) fn a_group_upon_another_past_is_refused() {
    let groups = |value: u8| {
        let mut at = Position::default();
        let one = |number: u64| {
            let records = [vec![if number == 1 { value } else { 7 }]];
            let (bytes, end) = frame::group(ID, at, number, number - 1, 0, &records);
            at = end;
            bytes
        };
        (1..=3).map(one).collect::<Vec<_>>()
    };
    let (ours, others) = (groups(1), groups(2));
    let fs = written(0, true);
    let header = fs.read(&log_path(dir(), 0)).unwrap();
    let read_all = |groups: [&[u8]; 3]| {
        fs.put(&log_path(dir(), 0), [&header[..], groups[0], groups[1], groups[2]].concat()).unwrap();
        read(&fs, dir(), ID, 0, Position::default(), |_| Ok(())).map(|end| end.at.group)
    };
    assert_eq!(read_all([&ours[0], &ours[1], &ours[2]]).unwrap(), 3);
    let error = read_all([&ours[0], &others[1], &others[2]]).unwrap_err().to_string();
    assert!(error.contains("checksum of the chain"), "{error}");
}

#[test]
fn a_file_that_was_begun_and_given_up_is_passed_over() {
    let fs = written(2, true);
    let (_, end) = groups(&fs).unwrap();
    let mut log = Log::resume(Arc::new(fs.clone()), dir(), ID, &end).unwrap();
    // The name of the new file cannot be synced, and it cannot be removed again: it lies there with a whole header.
    fs.set_fault(Some(Fault::new(fs.calls() + 3, FaultKind::Io, true)));
    assert!(matches!(log.roll(), Err(LogError::Refused { .. })));
    fs.set_fault(None);
    log.append(30, 3 << 100, &records(3)).unwrap();
    log.sync().unwrap();
    let (count, end) = groups(&fs).unwrap();
    assert_eq!((count, end.number), (3, 0));
    assert!(matches!(&end.torn, Some(Torn::File { path }) if *path == log_path(dir(), 1)), "{end:?}");
    let mut log = Log::resume(Arc::new(fs.clone()), dir(), ID, &end).unwrap();
    log.roll().unwrap();
    log.append(40, 4 << 100, &records(4)).unwrap();
    log.sync().unwrap();
    assert_eq!(groups(&fs.crash(Keep::Nothing)).unwrap().0, 4);
}

/// Checksums hold, but what they vouch for does not. Refused or read, never a panic.
pub(crate) fn signed_lies() -> Result<(), String> {
    let mut refused = 0;
    let (honest, _) = frame::group(ID, Position::default(), 1, 0, 0, &[vec![1; 6], vec![], vec![2; 3]]);
    for at in GROUP_HEADER..honest.len() {
        for value in [0, 1, 2, 3, 0x7f, 0xff] {
            let mut lie = honest.clone();
            lie[at] = value;
            frame::sign(ID, Position::default(), &mut lie);
            refused += u32::from(frame::read_group(&lie, ID, Position::default()).is_err());
        }
    }
    if refused > 40 { Ok(()) } else { Err(format!("only {refused} lies were refused")) }
}

#[test]
fn a_well_signed_lie_does_no_harm() {
    signed_lies().unwrap();
}
