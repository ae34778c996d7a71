//! The bytes of a log: a header for each file, then groups.
//!
//! ```text
//! file   magic 8   version u32   0 u32   id 16   number u64   group u64   0 u64   chain u32   checksum u32          64 bytes
//! group  magic 4   length u32   group u64   first u64   synced u64   sum 16   records u32   chain u32
//!        payload checksum u32   header checksum u32                                                                  64 bytes
//!        payload: per record  length u32, bytes
//! ```
//!
//! Little-endian, CRC32C started from the log's id. `group` counts groups over all files, from 1; in a file's header it and `chain` are
//! those of the last group before the file. `first` is the number of the group's first record, `sum` the sum of the live points that
//! it was written upon, `chain` the header checksum of the group before.

use bytemuck::{Pod, Zeroable};

use crate::faults::{self, Safeguard};

/// `\r\n` and the end-of-file mark show what a transfer as text does to a file.
const FILE_MAGIC: [u8; 8] = *b"VWAL\r\n\x1a\n";
const GROUP_MAGIC: [u8; 4] = *b"VGRP";
const VERSION: u32 = 1;

/// Bytes of a file's header.
pub(super) const FILE_HEADER: usize = size_of::<FileHeader>();
/// Bytes of a group's header.
pub(super) const GROUP_HEADER: usize = size_of::<GroupHeader>();

/// Which log bytes belong to; drawn at random.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogId(pub(crate) u128);

impl LogId {
    fn checksum(self, bytes: &[u8]) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c(&self.0.to_le_bytes()), bytes)
    }
}

/// A place between two groups: number and checksum of the group before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Position {
    pub(crate) group: u64,
    pub(crate) chain: u32,
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct FileHeader {
    magic: [u8; 8],
    version: u32,
    zero: u32,
    id: [u8; 16],
    number: u64,
    group: u64,
    zeros: u64,
    chain: u32,
    checksum: u32,
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct GroupHeader {
    magic: [u8; 4],
    len: u32,
    group: u64,
    first: u64,
    synced: u64,
    sum: [u8; 16],
    records: u32,
    chain: u32,
    payload_checksum: u32,
    checksum: u32,
}

/// Bytes over which a header's own checksum goes: all but itself, which comes last.
const SIGNED: usize = 60;

/// One group, as read.
#[derive(Debug)]
pub(crate) struct Group<'a> {
    /// The place behind it.
    pub(crate) end: Position,
    /// Number of its first record.
    pub(crate) first: u64,
    /// Sum of the live points before it.
    pub(crate) sum: u128,
    /// Its records, in order.
    pub(crate) records: Vec<&'a [u8]>,
    /// Its length in the file.
    pub(crate) bytes: usize,
}

/// The header of file `number`, which goes on at `at`.
pub(super) fn file_header(id: LogId, number: u64, at: Position) -> [u8; FILE_HEADER] {
    let mut header = FileHeader {
        magic: FILE_MAGIC,
        version: VERSION,
        id: id.0.to_le_bytes(),
        number,
        group: at.group,
        chain: at.chain,
        ..Zeroable::zeroed()
    };
    header.checksum = id.checksum(&bytemuck::bytes_of(&header)[..SIGNED]);
    bytemuck::cast(header)
}

/// The place at which file `number`, whose bytes these are, goes on; or what is wrong with its header.
pub(super) fn read_file_header(bytes: &[u8], id: LogId, number: u64) -> Result<Position, String> {
    let Some(signed) = bytes.get(..FILE_HEADER) else {
        return Err(format!("{} bytes, expected a header of {FILE_HEADER}", bytes.len()));
    };
    let header: FileHeader = bytemuck::pod_read_unaligned(signed);
    if header.magic != FILE_MAGIC {
        return Err(format!("starts with {:02x?}, expected {FILE_MAGIC:02x?}", header.magic));
    }
    if header.version != VERSION {
        return Err(format!("log format version {}, this build reads {VERSION}", header.version));
    }
    let computed = id.checksum(&signed[..SIGNED]);
    if computed != header.checksum && faults::on(Safeguard::LogHeaderChecksum) {
        return Err(mismatch("header", header.checksum, computed));
    }
    if header.id != id.0.to_le_bytes() || header.number != number {
        return Err(format!("belongs to another log, or is its file {} and not {number}", header.number));
    }
    Ok(Position { group: header.group, chain: header.chain })
}

/// The bytes of the group after `at`, and the place behind it.
pub(super) fn group(
    id: LogId,
    at: Position,
    first: u64,
    synced: u64,
    sum: u128,
    records: &[Vec<u8>],
) -> (Vec<u8>, Position) {
    let len = records.iter().map(|record| 4 + record.len()).sum::<usize>();
    let mut bytes = Vec::with_capacity(GROUP_HEADER + len);
    bytes.resize(GROUP_HEADER, 0);
    for record in records {
        bytes.extend_from_slice(&(record.len() as u32).to_le_bytes());
        bytes.extend_from_slice(record);
    }
    let header =
        GroupHeader { first, synced, sum: sum.to_le_bytes(), records: records.len() as u32, ..Zeroable::zeroed() };
    let at = seal(id, at, header, &mut bytes);
    (bytes, at)
}

/// Completes `header` for the payload that lies in `bytes` behind the room for it, and puts it there.
fn seal(id: LogId, at: Position, header: GroupHeader, bytes: &mut [u8]) -> Position {
    let payload = &bytes[GROUP_HEADER..];
    let mut header = GroupHeader {
        magic: GROUP_MAGIC,
        len: payload.len() as u32,
        group: at.group + 1,
        chain: at.chain,
        payload_checksum: id.checksum(payload),
        ..header
    };
    header.checksum = id.checksum(&bytemuck::bytes_of(&header)[..SIGNED]);
    bytes[..GROUP_HEADER].copy_from_slice(bytemuck::bytes_of(&header));
    Position { group: header.group, chain: header.checksum }
}

/// The group at the start of `bytes`, which must be the one after `at`; or what is wrong with it.
pub(super) fn read_group(bytes: &[u8], id: LogId, at: Position) -> Result<Group<'_>, String> {
    let header = read_header(bytes, id)?;
    if header.group != at.group + 1 {
        return Err(format!("group {}, expected {}", header.group, at.group + 1));
    }
    if header.chain != at.chain && faults::on(Safeguard::Chain) {
        return Err(mismatch("chain", at.chain, header.chain));
    }
    // The header's checksum held, so this length is the one written: the file ends early if it is too long.
    let rest = &bytes[GROUP_HEADER..];
    let Some(payload) = rest.get(..header.len as usize) else {
        return Err(format!("{} bytes of records, expected {}", rest.len(), header.len));
    };
    let computed = id.checksum(payload);
    if computed != header.payload_checksum && faults::on(Safeguard::GroupChecksum) {
        return Err(mismatch("records", header.payload_checksum, computed));
    }
    Ok(Group {
        end: Position { group: header.group, chain: header.checksum },
        first: header.first,
        sum: u128::from_le_bytes(header.sum),
        records: split(payload, header.records)?,
        bytes: GROUP_HEADER + payload.len(),
    })
}

fn read_header(bytes: &[u8], id: LogId) -> Result<GroupHeader, String> {
    let Some(signed) = bytes.get(..GROUP_HEADER) else {
        return Err(format!("{} bytes, expected a group's header of {GROUP_HEADER}", bytes.len()));
    };
    let header: GroupHeader = bytemuck::pod_read_unaligned(signed);
    if header.magic != GROUP_MAGIC {
        return Err(format!("{:02x?}, expected {GROUP_MAGIC:02x?}, the start of a group", header.magic));
    }
    let computed = id.checksum(&signed[..SIGNED]);
    if computed != header.checksum && faults::on(Safeguard::GroupHeaderChecksum) {
        return Err(mismatch("group header", header.checksum, computed));
    }
    Ok(header)
}

/// The records of a payload, which must hold as many as its header says.
fn split(mut payload: &[u8], records: u32) -> Result<Vec<&[u8]>, String> {
    let mut split = Vec::new();
    while let Some((len, rest)) = payload.split_first_chunk() {
        let len = u32::from_le_bytes(*len) as usize;
        if len > rest.len() && faults::on(Safeguard::RecordBounds) {
            return Err(format!("a record of {len} bytes, expected at most {}", rest.len()));
        }
        split.push(&rest[..len]);
        payload = &rest[len..];
    }
    if !payload.is_empty() || split.len() != records as usize {
        return Err(format!("{} records and {} bytes, expected {records} records", split.len(), payload.len()));
    }
    Ok(split)
}

/// The first whole group in `bytes` that comes after group `last`, wherever it starts, with the bytes before it.
pub(super) fn next_group(bytes: &[u8], id: LogId, last: u64) -> Option<(usize, Group<'_>)> {
    let starts = bytes.windows(GROUP_MAGIC.len()).enumerate().filter(|(_, window)| *window == GROUP_MAGIC);
    starts.map(|(at, _)| at).find_map(|at| {
        let header = read_header(&bytes[at..], id).ok().filter(|header| header.group > last)?;
        let before = Position { group: header.group - 1, chain: header.chain };
        Some((at, read_group(&bytes[at..], id, before).ok()?))
    })
}

/// Whether a group in `bytes`, wherever it starts, says that group `number` was on disk when it was written.
pub(super) fn vouched(bytes: &[u8], id: LogId, number: u64) -> bool {
    let starts = bytes.windows(GROUP_MAGIC.len()).enumerate().filter(|(_, window)| *window == GROUP_MAGIC);
    starts.map(|(at, _)| read_header(&bytes[at..], id)).any(|header| header.is_ok_and(|header| header.synced >= number))
}

/// Whether there is any group in `bytes`.
pub(super) fn any_group(bytes: &[u8], id: LogId) -> bool {
    vouched(bytes, id, 0)
}

fn mismatch(what: &str, expected: u32, found: u32) -> String {
    format!("checksum of the {what} {found:08x}, expected {expected:08x}")
}

/// `bytes`, a group, with its checksums made right again after a change of its payload.
#[cfg(test)]
pub(super) fn sign(id: LogId, at: Position, bytes: &mut [u8]) {
    let header: GroupHeader = bytemuck::pod_read_unaligned(&bytes[..GROUP_HEADER]);
    seal(id, at, header, bytes);
}
