//! Reading a log from one place to its end, and saying how it ends. Nothing is changed here.

use std::io;
use std::path::{Path, PathBuf};

use super::frame::{self, FILE_HEADER, Group, LogId, Position};
use super::{WalError, log_path};
use crate::faults::{self, Safeguard};
use crate::vfs::Vfs;

/// Where a log ends, and what lies behind its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct End {
    /// The last file, and its length up to the end of the last whole group.
    pub(crate) number: u64,
    pub(crate) len: u64,
    /// The last whole group.
    pub(crate) at: Position,
    /// Bytes of all files up to there.
    pub(crate) bytes: u64,
    /// What a crash left behind the end: to be cut off before anything is added.
    pub(crate) torn: Option<Torn>,
}

/// What a crash left behind the end of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Torn {
    /// Part of a group, that many bytes, at the end of the last file.
    Group { bytes: u64, what: String },
    /// A file that was being begun.
    File { path: PathBuf },
}

/// Reads the log `id` in `dir` from `at`, where its file `number` begins, and hands each group to `apply` with its file and offset.
/// What `apply` finds wrong with a group is damage.
pub(crate) fn read(
    vfs: &dyn Vfs,
    dir: &Path,
    id: LogId,
    number: u64,
    at: Position,
    mut apply: impl FnMut(&Group<'_>) -> Result<(), String>,
) -> Result<End, WalError> {
    let mut end = End { number, len: 0, at, bytes: 0, torn: None };
    let mut bytes = load(vfs, &log_path(dir, number))?;
    let damaged =
        |number, offset: usize, what| WalError::Damaged { path: log_path(dir, number), offset: offset as u64, what };
    // The manifest names this file only once it is on disk: whatever is wrong with it is damage.
    let begun = frame::read_file_header(&bytes, id, number).and_then(|begun| expect(begun, at));
    begun.map_err(|what| damaged(number, 0, what))?;
    loop {
        let mut offset = FILE_HEADER;
        let broken = loop {
            if offset == bytes.len() {
                break None;
            }
            match frame::read_group(&bytes[offset..], id, end.at) {
                Ok(group) => {
                    apply(&group).map_err(|what| damaged(end.number, offset, what))?;
                    end.at = group.end;
                    offset += group.bytes;
                }
                Err(what) => break Some(what),
            }
        };
        end.len = offset as u64;
        end.bytes += offset as u64;
        let next = end.number + 1;
        let path = log_path(dir, next);
        let following = match load(vfs, &path) {
            Ok(following) => Some(following),
            Err(WalError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let header = following.as_ref().map(|following| frame::read_file_header(following, id, next));
        if let Some(what) = broken {
            let lost = end.at.group + 1;
            let vouched = frame::vouched(&bytes[offset..], id, lost)
                || matches!(&header, Some(Ok(begun)) if begun.group >= lost)
                || following.as_ref().is_some_and(|following| frame::vouched(following, id, lost));
            if vouched && faults::on(Safeguard::DamageInTheMiddle) {
                return Err(damaged(end.number, offset, what));
            }
            end.torn = Some(Torn::Group { bytes: (bytes.len() - offset) as u64, what });
            return Ok(end);
        }
        let (Some(following), Some(header)) = (following, header) else {
            if is_later_file(vfs, dir, next) {
                return Err(damaged(next, 0, "the file is missing, and later ones are there".into()));
            }
            return Ok(end);
        };
        if let Ok(begun) = &header
            && begun.group > end.at.group
        {
            let what = format!("ends after group {}, and the next file goes on after {}", end.at.group, begun.group);
            return Err(damaged(end.number, offset, what));
        }
        match header.and_then(|begun| expect(begun, end.at)) {
            Ok(()) => {
                end.number = next;
                bytes = following;
            }
            // Groups and further files follow a header only once it is on disk.
            Err(what) if frame::any_group(&following, id) || is_later_file(vfs, dir, next) => {
                return Err(damaged(next, 0, what));
            }
            // The file was being begun, or given up again.
            Err(_) => {
                end.torn = Some(Torn::File { path });
                return Ok(end);
            }
        }
    }
}

/// Reads what is whole of a log that may be damaged, from file `number` on: hands every record of every whole group after `at` to
/// `apply`, in order, and tells `lost` what is not whole or what `apply` makes nothing of.
pub(crate) fn salvage(
    vfs: &dyn Vfs,
    dir: &Path,
    id: LogId,
    mut number: u64,
    mut at: Position,
    lost: &mut Vec<String>,
    mut apply: impl FnMut(&[u8]) -> Result<(), String>,
) {
    let first = number;
    loop {
        let path = log_path(dir, number);
        let bytes = match vfs.read(&path) {
            Ok(bytes) => bytes,
            // A log has a first file, and ends with its last one.
            Err(_) if number > first && !is_later_file(vfs, dir, number) => return,
            Err(error) => {
                lost.push(format!("{}: {error}", path.display()));
                number += 1;
                continue;
            }
        };
        let mut offset = FILE_HEADER.min(bytes.len());
        while let Some((skipped, group)) = frame::next_group(&bytes[offset..], id, at.group) {
            if group.end.group != at.group + 1 {
                lost.push(format!("{}: groups {}..={} of the log", path.display(), at.group + 1, group.end.group - 1));
            }
            for record in &group.records {
                if let Err(what) = apply(record) {
                    lost.push(format!("{}: a change in group {}: {what}", path.display(), group.end.group));
                }
            }
            at = group.end;
            offset += skipped + group.bytes;
        }
        if offset < bytes.len() {
            lost.push(format!("{}: {} bytes at its end", path.display(), bytes.len() - offset));
        }
        number += 1;
    }
}

/// Whether there is a log file after `number`.
fn is_later_file(vfs: &dyn Vfs, dir: &Path, number: u64) -> bool {
    let is_later = |name: &String| super::log_number(name).is_some_and(|other| other > number);
    vfs.list(dir).is_ok_and(|names| names.iter().any(is_later))
}

fn expect(found: Position, expected: Position) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!(
        "goes on after group {}, expected {}; chain {:08x}, expected {:08x}",
        found.group, expected.group, found.chain, expected.chain
    ))
}

fn load(vfs: &dyn Vfs, path: &Path) -> Result<Vec<u8>, WalError> {
    vfs.read(path).map_err(|source| WalError::Io { path: path.into(), source })
}
